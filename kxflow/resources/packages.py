"""Packages of the host's own package manager."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from attrs import evolve, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources.leavings import heard, steering, taking_back, unpurged
from kxflow.resources.managers import MANAGERS, ManagerName, words
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.result import KEPT
from kxflow.values.state import CONTENT, Ensured, State

DAY: Final = 86400.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*(:[A-Za-z0-9_-]+)?")
_DEBIAN: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")  # Debian Policy 5.6.1; others have R and libX11
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_^-]*\*?")

_AWAY: Final = ("absent", "purged")
_GONE: Final = ("absent", "config-files", "purged")

_SEE: Final = r"""
kx_see() {
kx_pv "$1"
case $2 in
installed) case $is in [0-9]*|provided) is=installed;; esac;;
latest) kx_pl "$1";;
purged) is=${is:-purged};;
absent) [ "$is" != config-files ] || is= ;;
*) case $is in $2) is=$2;; esac;;
esac
is=${is:-absent}
}
"""
_SAY: Final = r"""
kx_tell() { while [ $# -gt 0 ]; do kx_see "$1" "$2"; kx_say "$1" "$is"; shift 2; done; }
"""
_DO: Final = r"""
kx_do() {
get= drop= kx_names=
while [ $# -gt 0 ]; do
kx_names="$kx_names $1"
kx_see "$1" "$2"
if [ "$is" != "$2" ]; then
case $2 in
absent|purged) drop="$drop $1";;
installed|latest) get="$get $1";;
*) get="$get $1=$2";;
esac
fi
shift 2
done
kx_pb=$(kx_list) kx_b= kx_r=0
[ -z "$kx_lost" ] || kx_pf
if [ "$get" ]; then
kx_b=$(kx_there)
kx_pg
kx_r=$?
kx_tell_made "$kx_b"
fi
[ $kx_r != 0 ] || [ -z "$drop$kx_came" ] || kx_pd || kx_r=1
[ -z "$kx_found" ] || [ $kx_r != 0 ] || kx_pa
kx_tell_came "$kx_pb" "$kx_b"
[ $kx_r = 0 ] || exit 1
}
"""


# A folder with how much is in it: where others have something there it stays.
_TAKES: Final = r"""
{ dpkg -L %s; rpm -ql %s; pacman -Qlq %s; } 2>/dev/null | LC_ALL=C sort -u | while IFS= read -r kx_x; do
kx_x=${kx_x%%/}
case $kx_x in /?*) ;; *) continue ;; esac
if [ -h "$kx_x" ] && [ -d "$kx_x" ]; then continue; fi
if [ -d "$kx_x" ]; then
kx_n=0
for kx_y in "$kx_x"/* "$kx_x"/.[!.]*; do if [ -e "$kx_y" ] || [ -h "$kx_y" ]; then kx_n=$((kx_n + 1)); fi; done
printf 'd %%s %%s
' "$kx_n" "$kx_x"
elif [ -e "$kx_x" ] || [ -h "$kx_x" ]; then
printf 'f %%s
' "$kx_x"
case $kx_x in */systemd/system/*.*) sed -n 's,^Alias= *,f /etc/systemd/system/,p' "$kx_x" ;; esac
fi
done
echo .
"""


@frozen(kw_only=True)
class Package:
    """Packages, and how they are to be brought and taken away.

    Attributes:
        names: In order.
        manager: Of which manager; the one that the host uses where None.
        update: Seconds after which the lists of what there is are fetched anew; None: never.
        lock: Seconds to wait for others who are at it.
        recommends: What is recommended comes along or not; as the host says where None.
        may_remove: Other packages may be removed for it.
        purge: Without its configuration.
        sweep: What is taken away takes along what nothing needs any more.
        made: For undo: what came along, and what their scripts had made besides, as `leavings` tells it.
    """

    names: tuple[str, ...]
    manager: ManagerName | None = None
    update: float | None = DAY
    lock: int = 600
    recommends: bool | None = None
    may_remove: bool = False
    purge: bool = False
    sweep: bool = False
    made: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Kind and names."""
        return ("package", " ".join(self.names))

    def probe(self, wanted: State) -> str:
        """What is installed of each; for the latest, whether there is a newer one."""
        return self._text(wanted, _SAY, "kx_tell", change=False)

    def apply(self, wanted: State) -> Command[Any]:
        """One transaction for all that is to come, one for all that is to go."""
        text = self._text(wanted, _DO, "kx_do", change=True)
        return cast("Command[Any]", shell(text + taking_back(self.made)))

    def takes(self, wanted: State) -> str:
        """Shell text that lists the files and folders of those that are to go, and names that units have besides."""
        names = " ".join(sh(name) for name, value in wanted.items() if value in _AWAY)
        return _TAKES % (names, names, names) if names else ""

    def after(self, left: State, wanted: State) -> State | None:
        """What there is of each where earlier steps of a plan leave some of them so; None: that cannot be known."""
        found = {name: _found(state, wanted[name]) for name, state in left.items()}
        known = {name: state for name, state in found.items() if state is not None}
        return State(known) if len(known) == len(found) else None

    def _text(self, wanted: State, define: str, call: str, *, change: bool) -> str:
        latest = "latest" in wanted.values()
        pairs = " ".join(f"{sh(name)} {sh(value)}" for name, value in wanted.items())
        given = " ".join(sh(name) for name in wanted)
        its = words(self.manager, latest=latest, change=change)
        return f"{self._variables()}\n{its}{_SEE.strip()}\n{define.strip()}\nkx_pr {given}\n{call} {pairs}\n"

    def _variables(self) -> str:
        age = "" if self.update is None else -int(-self.update // 60)
        recommends = {None: "", True: "yes", False: "no"}[self.recommends]
        flags = " ".join(
            f"kx_{name}={'1' if on else ''}"
            for name, on in (("may", self.may_remove), ("purge", self.purge), ("sweep", self.sweep))
        )
        told = steering(self.made)
        return f"kx_age={age} kx_wait={self.lock} kx_rec={recommends} kx_found= kx_kept={sh(KEPT)} {flags} {told}"

    def back(self, before: State) -> Command[Ensured]:
        """What was not there goes again, with what came along for it; what was comes again in its version.

        With its configuration, unless one of them had left that behind when it was removed before, or its purge would
        take what was there before.
        """
        purge = "config-files" not in before.values()
        kept = {each.partition(":")[0] for each in unpurged(self.made)}
        wanted = {
            name: _back(value, purge=purge and name.partition(":")[0] not in kept) for name, value in before.items()
        }
        return ensuring(evolve(self, sweep=True, purge=purge), wanted)

    def hear(self, said: str) -> Package:
        """The same, knowing what else came and went, and what scripts of the packages made."""
        return evolve(self, made=heard(said))

    def leaves(self, before: State, after: State) -> str:
        """What an undo cannot bring back, or take away."""
        pairs = [(value, after[name]) for name, value in before.items() if name in after]
        if any(one in _GONE and other not in _GONE for one, other in pairs):
            newer = "; other packages as new as they become for it"
            return f"what they made and their removal keeps, such as data; accounts, too, where it is not apt's{newer}"
        if any(other == "purged" and one not in _GONE for one, other in pairs):
            return "configuration as it comes with them, also where it was changed"
        if self.may_remove and any(one not in _GONE and other in _GONE for one, other in pairs):
            return "what else is removed for it away, where that is not apt's or no longer to be had"
        return ""


def _found(left: str, wanted: str) -> str | None:
    """What is found of a package that was left in a state, told as it is wanted where it is that; None: not known."""
    if left == wanted or (left, wanted) == ("purged", "absent"):
        return wanted
    if left in _AWAY:
        return None if wanted in _AWAY else left
    if wanted == "installed":
        return wanted
    if wanted in _AWAY:
        return left
    if wanted == "latest" or left in ("installed", "latest") or left.endswith("*"):
        return None
    return wanted if wanted.endswith("*") and left.startswith(wanted[:-1]) else left


def _back(found: str, *, purge: bool) -> str:
    """A state that can be brought about again."""
    if found in _GONE:
        return "purged" if purge else "absent"
    return found if found[0].isdigit() else "installed"


def package(
    names: str | Iterable[str],
    *,
    version: str | None = None,
    latest: bool = False,
    state: Presence = "present",
    purge: bool = False,
    update: float | None = DAY,
    recommends: bool | None = None,
    may_remove: bool = False,
    lock: float = 600,
    manager: ManagerName | None = None,
    name: str | None = None,
) -> Step[Ensured]:
    """Packages of the host's own package manager, all of them in one transaction.

    >>> package("cowsay")
    Step('package cowsay')
    >>> package(["nginx=1.22.*", "libssl3:amd64"], recommends=False)
    Step('package nginx libssl3:amd64')

    States: `present` (in any version, in that of `version=`, or the latest that the host knows of), `absent`.
    Probe: `dpkg-query -W`, `rpm -q` or `pacman -Q`. A name that no package has, but an installed one provides, counts
    as installed.

    It keeps changed configuration files, asks nothing, and waits for others who hold the locks. Other packages are not
    removed for it: that fails, and names them. An undo removes what was not there, and what came along for it and
    nothing else needs, with its configuration where that is as it came. What was removed comes again in its version, if
    that is still to be had.
    With apt, an undo goes by what the transaction told: it removes what came, unless somebody asked for it since or
    another depends on it, and brings back what was removed besides. Accounts of the system and files of /etc that
    scripts of the packages had made go as well, where nobody has changed them since; accounts that were there before
    come again if a script takes them away; and where a purge would take a folder that was there before, as far as its
    script tells that, the package is removed and not purged. What is newer than it was, and all else that an undo finds
    and has to leave, it names.

    Args:
        names: One or several, `NAME`, `NAME:ARCHITECTURE`, `NAME=VERSION`.
        version: Of the one name, with its epoch; `*` at its end stands for any rest. It may be older. zypper finds no
            `*`, and pacman has the newest version only.
        latest: Newest that the host can get; to know it, lists that are too old are fetched anew.
        state: Whether they are to be there.
        purge: Remove the configuration too; dnf and zypper keep of it what was changed all the same.
        update: Before something is installed, fetch lists that are older than that many seconds, or than the list
            of sources; 0: always, None: never. They are fetched, too, where a name or a version is not to be found.
        recommends: Whether recommended packages come along; as the host is set up, where not given.
        may_remove: Other packages may be removed for it; an undo brings those again with apt, with others not.
        lock: Seconds to wait for others.
        manager: `apt`, `dnf`, `zypper` or `pacman`; the host's own, where not given.
        name: Of the step.

    Raises:
        InvalidError: A name or version that cannot be, one twice, a version for several or for what is to go.
    """
    given = _named((names,) if isinstance(names, str) else tuple(names), version)
    what = f"package {' '.join(given)}"
    present = is_wanted(state, what)
    if not present and (latest or any(given.values())):
        raise InvalidError(f"{what}: absent, and with a version", "give the names only")
    if purge and present:
        raise InvalidError(f"{what}: purge=True, and present", 'purge goes with state="absent"')
    if latest and any(given.values()):
        raise InvalidError(f"{what}: latest=True, and with a version", "give one of the two")
    if manager is not None and manager not in MANAGERS:
        raise InvalidError(f"{what}: manager={manager!r}", f"known are {', '.join(MANAGERS)}")
    if update is not None and not 0 <= update < float("inf"):
        raise InvalidError(f"{what}: update={update!r}", "give seconds >= 0, or None for never")
    if not 0 <= lock < float("inf"):
        raise InvalidError(f"{what}: lock={lock!r}", "give seconds >= 0")
    for each in given if manager == "apt" else ():
        if not _DEBIAN.fullmatch(each):
            raise InvalidError(
                f"package {each}: no package of Debian's can have that name",
                "use small letters, digits and +-., two at least",
            )
    its = Package(
        names=tuple(given),
        manager=manager,
        update=update,
        lock=int(lock),
        recommends=recommends,
        may_remove=may_remove,
        purge=purge,
    )
    else_ = "latest" if latest else "installed" if present else "purged" if purge else "absent"
    return ensure(its, {each: its_version or else_ for each, its_version in given.items()}, name=name)


def _named(names: tuple[str, ...], version: str | None) -> Mapping[str, str | None]:
    """Versions by name; None where none is wanted."""
    if version is not None and len(names) != 1:
        raise InvalidError(f"package: version= and {len(names)} names", "write NAME=VERSION")
    found: dict[str, str | None] = {}
    for each in names:
        name, _, its_version = each.partition("=")
        if not _NAME.fullmatch(name) or name == CONTENT:
            raise InvalidError(f"package {each!r} cannot be one", "write NAME, NAME:ARCHITECTURE or NAME=VERSION")
        if name in found:
            raise InvalidError(f"package {name} is given twice", "name each once")
        wanted = version or its_version or None
        if wanted is not None and not _VERSION.fullmatch(wanted):
            raise InvalidError(
                f"package {name}: version {wanted!r} cannot be one", "write it with its epoch, as 1:2.3-4"
            )
        found[name] = wanted
    if not found:
        raise InvalidError("package without a name", "give at least one")
    return found
