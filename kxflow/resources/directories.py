"""A folder: its mode and owner, and those of all that is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.absence import nothing
from kxflow.resources.files import Presence, check_presence
from kxflow.resources.paths import (
    Account,
    PathLike,
    ask_rights,
    mode_text,
    own_words,
    parent_of,
    remote_path,
    rights,
    sh,
    word_chunks,
)
from kxflow.resources.present import command
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import GONE, Ensured, State

BELOW: Final = "below"
"""The attribute that lists what is not as wanted below: mode, owner and group by number, path; `//` ends each."""
LISTED: Final = 256 * 1024
TOO_MUCH: Final = "more than can be told"
UNKNOWN: Final = "its owner or group is not known here"


@frozen(kw_only=True)
class Directory:
    """A folder at a path.

    Attributes:
        path: Absolute; a link is followed.
        parents: Folders above it are made too.
        recursive: What is below it is seen to, in the way of `rights`.
        rights: Attributes of the folders below: those of the folder itself.
        file_mode: Of the files below.
    """

    path: str
    parents: bool = False
    recursive: bool = False
    rights: State = GONE
    file_mode: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("directory", self.path)

    def probe(self, wanted: State) -> str:
        """Type, mode, owner; what is not as wanted below; where it is not there, the highest parent that is not."""
        where = sh(self.path)
        missing = self._missing if self.parents and wanted else ""
        asks = f"kx_stat {where} || exit 1\n" if not wanted or wanted.keys() - {"type", BELOW} else ""
        every = wanted or {"mode": "", "uid": "", "gid": ""}
        return f"""\
if [ ! -e {where} ]; then
  [ ! -h {where} ] || kx_no {sh(f"{self.path} is a link that leads nowhere")}
{missing}  exit 0
fi
[ -d {where} ] || kx_no {sh(f"{self.path} is there and no directory")}
{asks}kx_say type directory
{ask_rights(every)}
{self._ask_below() if BELOW in wanted else ""}"""

    @property
    def _missing(self) -> str:
        return f"""\
  kx_y={sh(self.path)} kx_m=
  while kx_y=${{kx_y%/*}}; [ "$kx_y" ] && [ ! -d "$kx_y" ]; do kx_m=$kx_y; done
  [ -z "$kx_m" ] || kx_say missing "$kx_m"
"""

    def apply(self, wanted: State) -> Command[Any]:
        """Make it; mode and owner in place. For undo: away with it if it is empty, or back to what was below it."""
        where = sh(self.path)
        if "type" not in wanted:
            return command(self._away(wanted.get("missing", self.path)))
        parent = f"(umask 022; mkdir -p -- {sh(parent_of(self.path))}) || exit 1\n" if self.parents else ""
        opened = "" if "mode" in wanted else f" && chmod 755 -- {where}"
        owners = "".join(needs.insist(each) for each in needs.owners(wanted))
        text = f"""\
if [ ! -e {where} ]; then
{owners}{parent}kx_dir {sh(parent_of(self.path))} 'parents=True makes it' || exit 1
(umask 077; mkdir -- {where}){opened} || exit 1
fi
"""
        if wanted.get(BELOW):
            text += f"cd -- {where} || exit 1\n" + "".join(_restore(wanted[BELOW]))
        elif BELOW in wanted:
            text += self._set_below()
        own = f"kx_own {where} {own_words(wanted)} || kx_no {sh(f'cannot set owner and mode of {self.path}')}"
        return command(f"{text}{own}")

    @property
    def _no_parent(self) -> str:
        return f"there is no folder {parent_of(self.path)}: parents=True makes it"

    def needs(self, wanted: State) -> Iterator[Need]:
        """A folder to be in, and its owner and group."""
        if "type" in wanted:
            if not self.parents:
                folder = parent_of(self.path)
                test = needs.any_of(f"[ -e {sh(self.path)} ]", f"[ -d {sh(folder)} ]")
                yield Need(test, self._no_parent, (folder,))
            yield from needs.owners(wanted)

    def _away(self, top: str) -> str:
        """From the folder up to the highest that was made for it."""
        lines, path = [], self.path
        while True:
            lines.append(f"[ ! -e {sh(path)} ] || rmdir -- {sh(path)} || exit 1")
            if path == top:
                return "\n".join(lines)
            path = parent_of(path)

    def _find(self) -> str:
        """The start of every `find`: neither the folder itself nor another file system."""
        return "find . -xdev ! -name ."

    def _ask_below(self) -> str:
        """One `find` that prints what differs; a mark behind it tells that it could not see everything."""
        owner = self._owner_differs
        of_links = f'! -name . -type l \\( {owner} \\) -exec sh -c "$kx_y" - {{}} + -o' if owner else ""
        known = "".join(
            f" && find / -prune -{kind} {sh(its)} >/dev/null 2>&1" for kind, its in self._owners if not its.isdecimal()
        )
        # -exec … + at the top: busybox forgets it in parentheses
        seen = f'find . -xdev {of_links} ! -name . ! -type l \\( {self._differs} \\) -exec sh -c "$kx_y" %a {{}} +'
        return rf"""
LC_ALL=C
export LC_ALL
cd -- {sh(self.path)} || exit 1
kx_y='
stat -c "$0 %u %g %n//" -- "$@" 2>/dev/null && exit
case $0 in %a) set -- %Mp%Lp "$@" ;; *) set -- - "$@" ;; esac
kx_f=$1; shift
stat -f "$kx_f %u %g %N//" -- "$@"'
kx_z=$({{ {seen} || echo '?//'; }} | head -c {LISTED + 1})
case $kx_z in *'?//')
  if true{known}; then kx_no {sh(f"not all can be seen below {self.path}")}; fi
  kx_say {BELOW} {sh(UNKNOWN)}; exit ;;
esac
if [ -z "$kx_z" ]; then kx_say {BELOW} ''
elif [ ${{#kx_z}} -gt {LISTED} ]; then kx_say {BELOW} {sh(TOO_MUCH)}
else printf '%s\n' "$kx_z" | kx_say_all {BELOW}
fi
"""

    @property
    def _owners(self) -> list[tuple[str, str]]:
        names = {"owner": "user", "uid": "user", "group": "group", "gid": "group"}
        return [(names[name], its) for name, its in self.rights.items() if name in names]

    @property
    def _owner_differs(self) -> str:
        return " -o ".join(f"! -{kind} {sh(its)}" for kind, its in self._owners)

    @property
    def _differs(self) -> str:
        parts = [self._owner_differs] if self._owners else []
        if "mode" in self.rights:
            parts.append(f"-type d ! -perm {self.rights['mode']}")
        if self.file_mode is not None:
            parts.append(f"-type f ! -perm {self.file_mode}")
        return " -o ".join(parts)

    def _set_below(self) -> str:
        lines = [f"cd -- {sh(self.path)} || exit 1"]
        if self._owners:
            to = own_pair(self.rights)
            lines.append(f"{self._find()} \\( {self._owner_differs} \\) -exec chown -h -- {sh(to)} {{}} + || exit 1")
        if self.file_mode is not None:
            files = f"{self._find()} -type f ! -perm {self.file_mode}"
            lines.append(f"{files} -exec chmod -- 00{self.file_mode} {{}} + || exit 1")
        if "mode" in self.rights:
            mode = self.rights["mode"]
            lines.append(f"{self._find()} -depth -type d ! -perm {mode} -exec chmod -- 00{mode} {{}} + || exit 1")
        return "\n".join(lines) + "\n"

    def back(self, before: State) -> Command[Ensured] | None:
        """As it was; None where what was below it is not known in full."""
        if before.get(BELOW) in (TOO_MUCH, UNKNOWN):
            return None
        return ensuring(self, before or None)


def own_pair(its: Mapping[str, str]) -> str:
    """Owner and group as `chown` takes them."""
    owner = its.get("owner") or its.get("uid", "")
    group = its.get("group") or its.get("gid", "")
    return f"{owner}:{group}" if group else owner


def _restore(listing: str) -> Iterator[str]:
    """Shell text that gives each thing of a listing its mode and owner again."""
    owners: dict[str, list[str]] = {}
    modes: dict[str, list[str]] = {}
    for line in listing.removesuffix("\n").removesuffix("//").split("//\n"):
        mode, uid, gid, path = line.split(" ", 3)
        owners.setdefault(f"{uid}:{gid}", []).append(path)
        if mode != "-":
            modes.setdefault(mode, []).append(path)
    for who, paths in owners.items():
        for some in word_chunks(paths):
            yield f"chown -h -- {who} {some} || exit 1\n"
    for mode, paths in modes.items():
        for some in word_chunks(paths):
            yield f"chmod -- 00{mode} {some} || exit 1\n"


def directory(
    path: PathLike,
    *,
    mode: int | str | None = None,
    owner: Account | None = None,
    group: Account | None = None,
    parents: bool = False,
    recursive: bool = False,
    file_mode: int | str | None = None,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A folder with this mode and owner; what is not given is left as it is.

    >>> directory("/srv/app", mode=0o750, owner="app")
    Step('directory /srv/app')

    States: `present`, `absent`, which takes away an empty folder only (`absent(path)` takes trees). Probe: type, mode,
    owner, group of what is given here, and with `recursive` one `find` that prints what differs below. A link to a
    folder is followed; a link below is not, and of that only the owner is seen to. `recursive` stays on one file
    system. It goes by names: do not let it loose where others may swap a file for a link meanwhile.
    Undone: a folder that was made, with its parents, while it is empty; modes and owners, also those below, where their
    list had up to 256 KiB.

    Args:
        path: Absolute.
        mode: Permission bits: `0o755`; a new folder gets that where not given. With `recursive`, of all folders below.
        owner: Name or number; with `recursive` of all that is below.
        group: As owner.
        parents: Make the folders above it too, with mode 755.
        recursive: See to what is below as well.
        file_mode: Permission bits of the files below; only with `recursive`.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, mode or owner that cannot be; `recursive` with nothing to see to, `file_mode` without it.
    """
    where = remote_path(path)
    check_presence(state, f"directory {where}")
    told = rights(mode, owner, group)
    files = mode_text(file_mode)
    if state == "absent":
        if told or parents or recursive or files:
            raise InvalidError(f"directory {where}: absent, and with mode, owner or parents", "give the path only")
        return nothing(where, "directory", name=name)
    if files is not None and not recursive:
        raise InvalidError(f"directory {where}: file_mode= without recursive=True", "it is about files below")
    if recursive and not told and files is None:
        raise InvalidError(f"directory {where}: recursive, with nothing to see to", "give mode, file_mode or owner")
    its = Directory(path=where, parents=parents, recursive=recursive, rights=State(told), file_mode=files)
    return ensure(its, {"type": "directory", **told, **({BELOW: ""} if recursive else {})}, name=name)
