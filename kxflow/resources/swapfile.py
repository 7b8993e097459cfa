"""A file that the kernel swaps to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.edits import Edit
from kxflow.flow.ensure import Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import fstab as tab
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.sight import sighted
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State
from kxflow.values.state import state as as_state

WHOLE: Final[State] = as_state({"size": 0, "mode": "", "on": "", "fstab": ""})
_SIZE: Final = re.compile(r"(\d+)([KMGT]?)(?:i?B)?")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_PAGE: Final = 4096
_LEAST: Final = 10 * _PAGE  # of mkswap

# Where the file is, what it is, whether it is in use, and with which priority.
_LOOK: Final = r"""
kx_real "$kx_d"
size= mode= kx_on=no kx_pri=
if [ -e "$real" ]; then
[ -f "$real" ] || kx_no "$real is no file"
kx_stat "$real" || exit 1
fi
kx_l=$(LC_ALL=C kx_r=$real awk '
NR > 1 {
  at = $1; gsub(/\\040/, " ", at); gsub(/\\011/, "\t", at); gsub(/\\012/, "\n", at); gsub(/\\134/, "\\", at)
  if (at == ENVIRON["kx_r"]) print $5
}' </proc/swaps) || exit 1
[ -z "$kx_l" ] || kx_on=yes kx_pri=$kx_l
case $kx_pri in -*) kx_pri=default ;; esac
"""
# The kernel's own mark, at the end of the first page. Somebody's data are not written over, nor removed.
_IS_SWAP: Final = """\
[ -r "$real" ] || kx_no "cannot read $real"
kx_e=$(getconf PAGESIZE 2>/dev/null || echo 4096)
case $(dd if="$real" bs=1 skip=$((kx_e-10)) count=10 2>/dev/null) in
SWAPSPACE2 | SWAP-SPACE) ;;
*) kx_no "$real is there, and is no swap file" ;;
esac
"""
# Written in full: the kernel takes no file with holes. On btrfs it takes one only that is not copied on write.
_MAKE: Final = """\
if [ -e "$real" ]; then {is_swap}fi
[ $kx_on = no ] || swapoff -- "$real" || exit 1
kx_on=no
umask 077
kx_beside || kx_no "cannot write beside $real"
trap 'rm -f -- "$kx_t"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
chattr +C "$kx_t" 2>/dev/null
kx_e=$(LC_ALL=C dd if=/dev/zero of="$kx_t" bs={block} count={count} 2>&1) || kx_no "${{kx_e%%
*}}"
mkswap "$kx_t" >/dev/null || exit 1
[ -e "$real" ] || kx_new=1
mv -f -- "$kx_t" "$real" || exit 1
trap - EXIT
"""


_REFUSED: Final = 'kx_no "the kernel does not swap to $real: it takes root, and a file system such as ext4 or xfs"'


@frozen
class Swap:
    """A swap file at a path, with a priority where that is seen to."""

    path: str

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("swap", self.path)

    @property
    def within(self) -> str:
        """The file that its line is a part of."""
        return tab.FILE

    def edit(self, before: State | None, after: State) -> Edit:
        """The lines about it in fstab; of those there, not every blank was told."""
        takes, puts = (tab.told(each, self.path, 1) for each in (before, after))
        return Edit(self._looks, puts, takes, told=bool(takes))

    def _looks(self, line: str) -> bool:
        return tab.mangled(self.path) in line.split()[0:1]

    def needs(self, wanted: State) -> Iterator[Need]:
        """What makes it, and a folder to be in."""
        if wanted:
            yield needs.program("mkswap", "util-linux")
            yield needs.room(self.path)

    def probe(self, wanted: State) -> str:
        """The file, /proc/swaps, and the line in fstab."""
        said = {
            "size": '[ -z "$size" ] || kx_say size "$size"\n',
            "mode": '[ -z "$size" ] || kx_say mode "$mode"\n',
            "on": 'kx_say on "$kx_on"\n',
            "priority": 'kx_say priority "$kx_pri"\n',
            "fstab": 'kx_say fstab "$kx_l"\n',
        }
        gone = 'if [ -z "$size$kx_l" ] && [ $kx_on = no ]; then exit 0; fi\n'
        look = f"{sighted(self.path)}kx_d={sh(self.path)}\n{_LOOK}{tab.see(self.path, 1)}{gone}"
        return look + "".join(said[name] for name in wanted or WHOLE)

    def apply(self, wanted: State) -> str:
        """The file, then the kernel, then fstab; a file that the kernel does not take goes again."""
        begin = f"{SBIN}kx_need mkswap util-linux\nkx_d={sh(self.path)} kx_new=\n{_LOOK}"
        if not wanted:
            tell = f"({tab.put(self.path, 1, '')}) || exit 1\n"
            off = '[ $kx_on = no ] || swapoff -- "$real" || exit 1\n'
            return f'{begin}if [ -e "$real" ]; then\n{_IS_SWAP}fi\n{off}{tell}rm -f -- "$real"'
        parts = [begin, self._make(int(wanted["size"]))]
        if "mode" in wanted:
            parts.append(f'chmod {sh(wanted["mode"])} "$real" || exit 1\n')
        if "on" in wanted:
            parts.append(self._use(wanted))
        if "fstab" in wanted:
            source, _, rest = wanted["fstab"].partition(" ")
            parts.append(f"({tab.put(self.path, 1, f'{source} none {rest}' if source else '')}) || exit 1\n")
        return "".join(parts)

    @staticmethod
    def _make(size: int) -> str:
        block = _UNITS["M"] if size % _UNITS["M"] == 0 else _PAGE
        make = _MAKE.format(is_swap=f"\n{_IS_SWAP}", block=block, count=size // block)
        return f'if [ "$size" != {size} ]; then\n{make}fi\n'

    @staticmethod
    def _use(wanted: State) -> str:
        if wanted["on"] == "no":
            return '[ $kx_on = no ] || swapoff -- "$real" || exit 1\n'
        priority = wanted.get("priority")
        flag = f"-p {priority} " if priority and priority.isdecimal() else ""
        on = f'swapon {flag}-- "$real" || {{ [ -z "$kx_new" ] || rm -f -- "$real"; {_REFUSED}; }}'
        off = '[ $kx_on = no ] || { swapoff -- "$real" && kx_on=no; } || exit 1'
        off = "" if priority is None else f'[ "$kx_pri" = {sh(priority)} ] || {off}\n'
        return f"{off}if [ $kx_on = no ]; then {on}; fi\n"


def swap(
    path: PathLike,
    size: int | str | None = None,
    *,
    priority: int | None = None,
    fstab: bool = True,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A file of this size that the kernel swaps to, now and after the next start; its mode is 600.

    >>> swap("/swapfile", "2G")
    Step('swap /swapfile')

    States: `present`; `absent`: not in use, not in fstab, not there. Probe: size and mode of the file, /proc/swaps, and
    the line in /etc/fstab. The host needs mkswap, swapon and swapoff, Linux, and root. A file that is there and is no
    swap file is neither written over nor removed. Another size means a new file: what was swapped out to the old one
    must find room elsewhere for that time.

    Args:
        path: Absolute.
        size: Bytes, or `"512M"`, `"2G"` (of 1024): a multiple of 4096.
        priority: From 0 to 32767; the kernel takes that of the highest first.
        fstab: See to the line in fstab.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, size or priority that cannot be; absent, and with a size.
    """
    its = Swap(remote_path(path))
    if state not in ("present", "absent"):
        raise InvalidError(f"swap {its.path}: state={state!r}", 'write "present" or "absent"')
    if not is_wanted(state, f"swap {its.path}"):
        if size is not None or priority is not None or not fstab:
            raise InvalidError(f"swap {its.path}: absent, and with more than its path", "give the path only")
        return ensure(its, None, name=name)
    if priority is not None and (isinstance(priority, bool) or priority not in range(32768)):
        raise InvalidError(f"swap {its.path}: priority={priority!r} cannot be", "give a number from 0 to 32767")
    line = f"{tab.mangled(its.path)} swap sw{'' if priority is None else f',pri={priority}'} 0 0"
    wanted: dict[str, str | int] = {
        "size": _bytes(its.path, size),
        "mode": "600",
        "on": "yes",
        **({} if priority is None else {"priority": priority}),
        **({"fstab": line} if fstab else {}),
    }
    return ensure(its, wanted, name=name)


def _bytes(path: str, size: object) -> int:
    """A size in bytes that mkswap takes.

    Raises:
        InvalidError: It takes none such.
    """
    number = size if isinstance(size, int) and not isinstance(size, bool) else -1
    if isinstance(size, str) and (found := _SIZE.fullmatch(size.strip())):
        number = int(found[1]) * _UNITS[found[2]]
    if number < _LEAST or number % _PAGE:
        raise InvalidError(f"swap {path}: size {size!r} cannot be", f'write it as "2G": a multiple of {_PAGE} bytes')
    return number
