"""A parameter of the kernel, now and after the next start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from kxflow.flow.edits import Edit, lines_of
from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs, table
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

FILE: Final = "/etc/sysctl.d/99-zz-kxflow.conf"
"""Late in the order: a file with a later name, and /etc/sysctl.conf on some hosts, would have the last word."""

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:@-]*([./][A-Za-z0-9_:@*-]+)+")

# A line of sysctl.d(5): key, equals sign, value, blanks around them; a key may be written with dots or with slashes.
_PARTS: Final = """\
{
  kx_l = $0; sub(/^[ \\t]*-?[ \\t]*/, "", kx_l); kx_i = index(kx_l, "="); kx_k = kx_v = ""
  if (kx_i && kx_l !~ /^[#;]/) {
    kx_k = substr(kx_l, 1, kx_i - 1); sub(/[ \\t]+$/, "", kx_k)
    kx_v = substr(kx_l, kx_i + 1); gsub(/[ \\t]+/, " ", kx_v); sub(/^ /, "", kx_v); sub(/ $/, "", kx_v)
  }
  kx_t = kx_k != "" && (kx_k == ENVIRON["kx_key"] || kx_k == ENVIRON["kx_path"])
}
"""
_SEE: Final = _PARTS + "kx_t { kx_last = kx_v; n++ }\nEND { if (n) print kx_last }"


@frozen
class Sysctl:
    """A parameter, by the path of its file below /proc/sys.

    Attributes:
        path: With slashes.
        file: Where it is kept for the next start.
        keep: A file of which nothing is left stays, empty.
    """

    path: str
    file: str = FILE
    keep: bool = False

    @property
    def name(self) -> str:
        """As sysctl(8) has it: slashes and dots exchanged."""
        return self.path.translate(_EXCHANGED)

    @property
    def _names(self) -> dict[str, str]:
        return {"kx_key": self.name, "kx_path": self.path}

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("sysctl", self.name)

    @property
    def within(self) -> str:
        """The file that its line is a part of."""
        return self.file

    def edit(self, before: State | None, after: State) -> Edit:
        """The lines about it; what they hold was told without its blanks."""
        told = (lines_of(each, "persistent") for each in (before, after))
        takes, puts = (None if each is None else tuple(f"{self.name} = {value}" for value in each) for each in told)
        return Edit(self._looks, puts, takes, told=bool(takes))

    def _looks(self, line: str) -> bool:
        return line.partition("=")[0].strip(" \t-") in (self.name, self.path)

    def needs(self, wanted: State) -> Iterator[Need]:
        """That the kernel has it, where its own value is seen to, and a place for its line."""
        if wanted.get("persistent"):
            yield needs.room(self.file)
        if "value" in wanted:
            yield needs.program("sysctl", "procps")
            live = f"/proc/sys/{self.path}"
            why = f"this kernel has no {live}: mend the name, or load the module that brings it"
            yield Need(f"[ -e {sh(live)} ]", why, (live,), (("kernel_module", ""),))

    def probe(self, wanted: State) -> str:
        """What the kernel has, blanks made one, and the last line of the file about it, or that the file is empty."""
        live = f"/proc/sys/{self.path}"
        # Not `read`: it takes one byte at a time, and the kernel gives no second.
        now = (
            f"if [ -e {sh(live)} ]; then kx_l=$(cat {sh(live)}) || exit 1\n"
            'set -f; set -- $kx_l; set +f\nkx_say value "$*"; fi\n'
        )
        later = f'{table.see(self.file, _SEE, self._names)}kx_say persistent "${{kx_l%?}}"\n'
        later += table.say_empty(self.file) if wanted.get("persistent") else ""
        said = {"value": now, "persistent": later}
        return "".join(said[name] for name in wanted)

    def apply(self, wanted: State) -> str:
        """Both, or none: what the kernel does not take is not kept, and what cannot be kept is taken back."""
        if "persistent" not in wanted:
            return SBIN + self._able + self._set(sh(wanted["value"]))
        keep = f"({self._keep(wanted['persistent'])})"
        if "value" not in wanted:
            return SBIN + keep
        return f"""\
{SBIN}{self._able}kx_b=$(cat {sh(f"/proc/sys/{self.path}")} 2>/dev/null)
{self._set(sh(wanted["value"]))} || exit 1
{keep} || {{ {self._set('"$kx_b"')}; exit 1; }}
"""

    @property
    def _able(self) -> str:
        live = sh(f"/proc/sys/{self.path}")
        words = sh(f"this kernel has no /proc/sys/{self.path}: mend the name, or load the module that brings it")
        return f"kx_need sysctl procps\n[ -e {live} ] || kx_no {words}\n"

    def back(self, before: State) -> Command[Ensured]:
        """What was found; the file goes where nothing is left, or stays as empty as it was."""
        found = table.emptied(before)
        return ensuring(evolve(self, keep=found != before), found)

    def _set(self, value: str) -> str:
        return f"sysctl -w {sh(self.path)}={value} >/dev/null"

    def _keep(self, value: str) -> str:
        folder = sh(self.file.rpartition("/")[0])
        new = table.lines(f"{self.name} = {value}") if value else ""
        program = _PARTS + table.exchange("kx_t")
        put = table.put(self.file, program, {**self._names, "kx_new": new}, keep=self.keep)
        return f"[ -d {folder} ] || mkdir -- {folder} || exit 1\n{put}"


_EXCHANGED: Final = str.maketrans("./", "/.")


def sysctl(
    key: str,
    value: str | int | None = None,
    *,
    runtime: bool = True,
    persistent: bool = True,
    file: PathLike = FILE,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A parameter of the kernel with this value, now and after the next start.

    >>> sysctl("net.ipv4.ip_forward", 1)
    Step('sysctl net.ipv4.ip_forward')

    States: `present`; `absent`: nothing is set at the next start, what the kernel has now stays. Probe: the file below
    /proc/sys, and the last line in `file` about it. The host needs sysctl, and root.

    Args:
        key: Its name with dots, or, where a part of it holds one, with slashes: `net/ipv4/conf/eth0.7/forwarding`.
        value: Several numbers with blanks between.
        runtime: See to the kernel's own value.
        persistent: See to the file.
        file: Where to keep it; files in /etc/sysctl.d are read in the order of their names.
        state: Whether it is to be set.
        name: Of the step.

    Raises:
        InvalidError: A key, value or file that cannot be; absent, and with a value; neither runtime nor persistent.
    """
    its = Sysctl(_path(key), remote_path(file, "file"))
    if state not in ("present", "absent"):
        raise InvalidError(f"sysctl {key}: state={state!r}", 'write "present" or "absent"')
    if not is_wanted(state, f"sysctl {key}"):
        if value is not None or not runtime or not persistent:
            raise InvalidError(f"sysctl {key}: absent, and with more than its key", "give the key, and the file")
        return ensure(its, {"persistent": ""}, name=name)
    if not (runtime or persistent):
        raise InvalidError(f"sysctl {key}: neither runtime nor persistent", "leave one of them on")
    text = _value(key, value)
    wanted = {**({"value": text} if runtime else {}), **({"persistent": text} if persistent else {})}
    return ensure(its, wanted, name=name)


def _path(key: object) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidError(f"sysctl {key!r} cannot be a key", 'write it as "net.ipv4.ip_forward"')
    first = next(each for each in key if each in "./")
    path = key if first == "/" else key.translate(_EXCHANGED)
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidError(f"sysctl {key!r} cannot be a key", 'write it as "net.ipv4.ip_forward"')
    return path


def _value(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidError(f"sysctl {key}: value={value!r} cannot be", "give a number or text; 1 for on, 0 for off")
    lines = str(value).strip().splitlines()
    text = " ".join("".join(lines).split())
    if len(lines) != 1 or not text.isprintable():
        raise InvalidError(f"sysctl {key}: value={value!r} cannot be", "give one line that is not empty")
    return text
