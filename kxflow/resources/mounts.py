"""A file system at its mount point: in /etc/fstab, and mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from kxflow.flow.edits import Edit
from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import fstab as tab
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.sight import sighted
from kxflow.values.action import Command, clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAGS: Final = ("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
# Options that the kernel tells of every mount, and what undoes them.
_SEEN: Final = {"nosuid": "suid", "nodev": "dev", "noexec": "exec", "noatime": "atime", "nodiratime": "diratime"}

# The topmost mount at kx_r: root of it in its file system, options, type, source.
_TOPMOST: Final = r"""
{
  at = $5; gsub(/\\040/, " ", at); gsub(/\\011/, "\t", at); gsub(/\\012/, "\n", at); gsub(/\\134/, "\\", at)
  if (at == ENVIRON["kx_r"]) {
    for (i = 7; i <= NF && $i != "-"; i++);
    more = $(i + 3); sub(/^r[wo],?/, "", more)
    if ($(i + 3) ~ /^ro/ && $6 !~ /^ro/) sub(/^rw/, "ro", $6)
    found = $(i + 2) ($4 == "/" ? "" : "[" $4 "]") " " $(i + 1) " " $6 (more == "" ? "" : "," more)
  }
}
END { print found }
"""
_MOUNTED: Final = f"""\
kx_mounted() {{
  if [ -d "$kx_d" ]; then kx_r=$(cd -P -- "$kx_d" && pwd -P && echo x) && kx_r=${{kx_r%?x}}
  else kx_r=$kx_d; fi
  kx_w=$(LC_ALL=C kx_r=$kx_r awk {sh(_TOPMOST)} </proc/self/mountinfo) || exit 1
  kx_s=${{kx_w%% *}} kx_o=,${{kx_w##* }}, kx_y=${{kx_w% *}} kx_y=${{kx_y##* }}
}}
"""


# The last line of what mount says is mostly about dmesg. A mount point that was made for nothing goes again.
_TRY: Final = """\
kx_try() {
  kx_e=$(LC_ALL=C "$@" 2>&1) && return
  [ -z "$kx_made" ] || rmdir -- "$kx_d"
  kx_no "${kx_e%%
*}"
}
"""


@frozen
class Wanted:
    """What is to be mounted: source, type, options."""

    source: str
    kind: str
    options: str

    @staticmethod
    def read(text: str) -> Wanted:
        """From the text that the state has."""
        source, kind, options = text.split(" ")
        return Wanted(tab.unmangled(source), kind, options)

    def __str__(self) -> str:
        return f"{tab.mangled(self.source)} {self.kind} {self.options}"

    @property
    def words(self) -> list[str]:
        """Its options, one by one."""
        return self.options.split(",")

    @property
    def bound(self) -> bool:
        """A part of the tree, shown at another place, too."""
        return not {"bind", "rbind"}.isdisjoint(self.words)

    def is_source(self, path: str) -> str:
        """Shell condition: what is mounted there comes from the wanted source and is of the wanted type."""
        source, told = sh(self.source), sh(tab.mangled(self.source))
        if self.bound:
            return f"[ {sh(path)} -ef {source} ]"
        kinds = {"auto": "*", "none": "*", "nfs": "nfs | nfs4"}.get(self.kind, sh(self.kind))
        kind = f"case $kx_y in {kinds}) ;; *) false ;; esac"
        root = "${kx_s%%[[]*}" if any(each.startswith("subvol") for each in self.words) else "$kx_s"
        if self.source.startswith(_TAGS):
            return f'{{ {kind}; }} && kx_e=$(findfs {source}) && [ "{root}" -ef "$kx_e" ]'
        if not self.source.startswith("/"):
            return f'{{ {kind}; }} && [ "{root}" = {told} ]'
        loop = f'[ "$(cat "/sys/block/${{kx_s#/dev/}}/loop/backing_file" 2>/dev/null)" = {source} ]'
        return f'{{ {kind}; }} && {{ [ "{root}" = {told} ] || [ "{root}" -ef {source} ] || {loop}; }}'

    @property
    def has_options(self) -> str:
        """Shell condition: those of the wanted options that can be seen are in force."""
        words = self.words
        there = ["ro" if "ro" in words else "rw", *(each for each in words if each in _SEEN)]
        gone = [no for no, yes in _SEEN.items() if yes in words]
        tests = [f"case $kx_o in *,{each},*) ;; *) false ;; esac" for each in there]
        tests += [f"case $kx_o in *,{each},*) false ;; esac" for each in gone]
        return " && ".join(f"{{ {each}; }}" for each in tests)

    def mount(self, path: str) -> str:
        """The command; a file system that is in fstab is known by that already, if it is one that was found here."""
        if self.source.endswith("]"):
            return f"mount -- {sh(path)}"
        kind = "" if self.bound or self.kind in ("auto", "none") else f"-t {sh(self.kind)} "
        return f"mount {kind}-o {sh(self.options)} -- {sh(self.source)} {sh(path)}"

    def remount(self, path: str) -> str:
        """The command that changes its options; with a source, else it mixes them with those in fstab."""
        words = ["bind" if each == "rbind" else each for each in self.words]
        return f"mount -o {sh(','.join(['remount', *words]))} -- {sh(self.source)} {sh(path)}"


@frozen
class Mount:
    """What is mounted at a path."""

    path: str

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("mount", self.path)

    @property
    def within(self) -> str:
        """The file that its line is a part of."""
        return tab.FILE

    def edit(self, before: State | None, after: State) -> Edit:
        """The lines about it in fstab; of those there, not every blank was told."""
        takes, puts = (tab.told(each, self.path, 2) for each in (before, after))
        return Edit(self._looks, puts, takes, told=bool(takes))

    def _looks(self, line: str) -> bool:
        return tab.mangled(self.path) in line.split()[1:2]

    def needs(self, wanted: State) -> Iterator[Need]:
        """What is to be mounted, where that has a path on the host."""
        if wanted.get("mounted"):
            yield needs.program("mount", "mount")
            source = Wanted.read(wanted["mounted"]).source
            if source.startswith("/") and not source.endswith("]"):
                yield Need(f"[ -e {sh(source)} ]", f"there is no {source}", (source,))

    def probe(self, wanted: State) -> str:
        """The line in fstab, what the kernel says, and whether there is a mount point."""
        point = f"[ -e {sh(self.path)} ] && kx_say point yes || kx_say point no\n"
        said = {
            "fstab": tab.see(self.path, 2) + 'kx_say fstab "$kx_l"\n',
            "mounted": self._seen(wanted),
            "point": point,
        }
        return sighted(self.path) + "".join(said[name] for name in wanted)

    def _seen(self, wanted: State) -> str:
        """As it is wanted, where it comes to that; else as it is."""
        text = wanted.get("mounted")
        look = f"kx_d={sh(self.path)}\n{_MOUNTED}kx_mounted\n"
        if not text:
            return look + 'kx_say mounted "$kx_w"\n'
        its = Wanted.read(text)
        same = f'[ "$kx_w" ] && {its.is_source(self.path)} && {its.has_options}'
        return f'{look}if {same}; then kx_say mounted {sh(text)}; else kx_say mounted "$kx_w"; fi\n'

    def apply(self, wanted: State) -> str:
        """First the kernel: what cannot be mounted, or taken away, does not get into fstab, or out of it."""
        where = sh(self.path)
        change = self._unmount()
        if wanted.get("mounted"):
            change = self._mount(Wanted.read(wanted["mounted"]), wanted.get("fstab"))
        parts = [
            f"[ ! -h {where} ] || [ -e {where} ] || kx_no {sh(f'{self.path} is a link that leads nowhere')}\n"
            f"[ -e {where} ] || {{ mkdir -p -- {where} && kx_made=1; }} || exit 1\n"
            if wanted.get("point") == "yes"
            else "",
            f"{_MOUNTED}{_TRY}kx_mounted\n{change}" if "mounted" in wanted else "",
            self._tell(wanted["fstab"]) if "fstab" in wanted else "",
            f"rmdir -- {where} || exit 1\n" if wanted.get("point") == "no" else "",
        ]
        if wanted.get("mounted", "").split(" ")[0].endswith("]"):  # only fstab says where that came from
            parts[1], parts[2] = parts[2], parts[1]
        need = "kx_need mount mount\n" if "mounted" in wanted else ""
        return f"{SBIN}{need}kx_d={where} kx_made=\n{''.join(parts)}"

    def _tell(self, text: str) -> str:
        source, _, rest = text.partition(" ")
        line = f"{source} {tab.mangled(self.path)} {rest}" if source else ""
        return f"({tab.put(self.path, 2, line)}) || exit 1\n"

    def _mount(self, its: Wanted, line: str | None) -> str:
        """Options that cannot be seen are set anew where those in fstab are others."""
        other = "false" if line is None else f'{tab.see(self.path, 2)}[ "$kx_l" != {sh(line)} ]'
        return f"""\
if [ "$kx_w" ] && {its.is_source(self.path)}; then
if ! {{ {its.has_options}; }} || {{ {other}; }}; then kx_try {its.remount(self.path)}; fi
else
[ -z "$kx_w" ] || kx_try umount -- "$kx_d"
kx_try {its.mount(self.path)}
fi
"""

    def _unmount(self) -> str:
        return 'while [ "$kx_w" ]; do kx_try umount -- "$kx_d"; kx_mounted; done\n'

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards what was found; None where that was a part of a tree, of which only fstab could tell the source."""
        if "]" in before.get("mounted", "").split(" ")[0] and not before.get("fstab"):
            return None
        return ensuring(self, before)


def mount(
    path: PathLike,
    source: str | None = None,
    *,
    fstype: str = "auto",
    options: str | Sequence[str] = "defaults",
    dump: int = 0,
    passno: int = 0,
    mounted: bool = True,
    fstab: bool = True,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A file system is mounted at a path, now and after the next start.

    >>> mount("/srv/cache", "tmpfs", fstype="tmpfs", options="size=64m,nosuid")
    Step('mount /srv/cache')

    States: `present`; `absent`: nothing is mounted there, and fstab has no line about it. Probe: the line in
    /etc/fstab, and in /proc/self/mountinfo the source and those options that are told of every mount: ro, nosuid,
    nodev, noexec, noatime, nodiratime. What else is in `options` is set anew, as far as that goes without unmounting,
    where the line in fstab has to be changed. A missing mount point is made. The host needs mount and umount, Linux,
    and root.

    What is in use is not taken away: umount says so. Undo mounts what was there, as far as fstab or the kernel tell.

    Args:
        path: The mount point.
        source: A device, `UUID=…` or `LABEL=…`, a folder for `options="bind"`, or what the type wants.
        fstype: Its type.
        options: As of mount(8); one text or a list.
        dump: Fifth field of the line.
        passno: Sixth: in which order it is checked at the start; 0, 1 or 2.
        mounted: See to it that it is mounted now.
        fstab: See to the line in fstab.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, source, type or option that cannot be; absent, and with a source;
            neither mounted nor fstab.
    """
    its = Mount(remote_path(path))
    if state not in ("present", "absent"):
        raise InvalidError(f"mount {its.path}: state={state!r}", 'write "present" or "absent"')
    if not (mounted or fstab):
        raise InvalidError(f"mount {its.path}: neither mounted nor fstab", "leave one of them on")
    if not is_wanted(state, f"mount {its.path}"):
        if source is not None:
            raise InvalidError(f"mount {its.path}: absent, and with a source", "give the path only")
        wanted = {**({"fstab": ""} if fstab else {}), **({"mounted": ""} if mounted else {})}
        return ensure(its, wanted, name=name)
    what = Wanted(_source(its.path, source), _kind(its.path, fstype), tab.options(options))
    if what.bound and what.kind == "auto":
        what = Wanted(what.source, "none", what.options)
    line = f"{what} {_whole(dump, 'dump', 9)} {_whole(passno, 'passno', 2)}"
    wanted = {"fstab": line, "mounted": str(what), "point": "yes"}
    left_out = {"fstab": fstab, "mounted": mounted, "point": mounted}
    return ensure(its, {each: text for each, text in wanted.items() if left_out[each]}, name=name)


def _source(path: str, source: object) -> str:
    if not isinstance(source, str) or not source or source.startswith(("#", "-")) or source.endswith("]"):
        raise InvalidError(
            f"mount {path}: source {source!r} cannot be one", "give a device, UUID=…, a folder, or a name"
        )
    clean_text(source, "a source")
    return source


def _kind(path: str, fstype: object) -> str:
    if not isinstance(fstype, str) or not _TYPE.fullmatch(fstype) or fstype == "swap":
        raise InvalidError(
            f"mount {path}: type {fstype!r} cannot be one", 'write it as "ext4"; for swap there is swap()'
        )
    return fstype


def _whole(value: object, what: str, most: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidError(f"{what}={value!r} cannot be", f"give a whole number from 0 to {most}")
    return str(value)
