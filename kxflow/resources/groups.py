"""A group of accounts: its number and its members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.ensure import Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN, entry, keep_root, known, login_name, names, number, say_all
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State
from kxflow.values.state import state as as_state

WHOLE: Final[State] = as_state({"group": "", "gid": "", "members": ""})


@frozen
class Group:
    """A group of this name; `system`: where it is made, its number is one of the system's."""

    called: str
    system: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("group", self.called)

    def probe(self, wanted: State) -> str:
        """The entry in group(5), as far as it is wanted."""
        asked = wanted or WHOLE
        parts = [entry("group", sh(self.called)), f"gid=$3 members=$4 kx_p=\nkx_say group {sh(self.called)}\n"]
        if "gid" in asked:
            parts.append('kx_say gid "$gid"\n')
        if "members" in asked:
            known = asked["members"].split(",") if asked["members"] else ()
            parts.append("set -f; IFS=,\nset -- $members\nunset IFS; set +f\n" + say_all("members", known, "$*"))
        return "".join(parts)

    def needs(self, wanted: State) -> Iterator[Need]:
        """The tools, a free number, members that are there; where it goes, that it is nobody's own."""
        yield needs.program("groupadd", "passwd")
        name = sh(self.called)
        if not wanted:
            own = f"kx_e=$(getent group {name}) || exit 0\nkx_e=${{kx_e#*:*:}}\n"
            test = f'{own}! getent passwd | cut -d : -f 4 | grep -qxF -- "${{kx_e%%:*}}"'
            yield Need(test, f"group {self.called} is some user's own", ("/etc/passwd",), (("user", ""),), packed=False)
        if gid := wanted.get("gid"):
            yield needs.free("group", gid, self.called)
        for each in filter(None, wanted.get("members", "").split(",")):
            yield needs.user(each)

    def apply(self, wanted: State) -> str:
        """By the tools of the `shadow` suite."""
        name = sh(self.called)
        if not wanted:
            return f"{SBIN}kx_need groupdel passwd\nexec groupdel {name}"
        gid = f"-g {sh(wanted['gid'])} " if "gid" in wanted else ""
        change = f"groupmod {gid}{name}" if gid else ":"
        make = f"groupadd {'-r ' if self.system else ''}{gid}{name}"
        enlist = f"gpasswd -M {sh(wanted['members'])} {name} || exit 1\n" if "members" in wanted else ""
        users = known("passwd", filter(None, wanted.get("members", "").split(",")))
        have = f"{SBIN}kx_need groupadd passwd\n{users}"
        return f"{have}if getent group {name} >/dev/null; then {change}; else {make}; fi || exit 1\n{enlist}"


def group(
    called: str,
    *,
    gid: int | None = None,
    members: Iterable[str] | None = None,
    system: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A group with this number and these members; what is not given is left as it is.

    >>> group("web", gid=900, members=["deploy"])
    Step('group web')

    States: `present`, `absent`. Probe: `getent group`. The host needs groupadd, groupmod, groupdel and gpasswd, and
    root. A group that is some account's own is not removed: the tool says so.

    Args:
        called: Its name.
        gid: Its number; files do not get another with it.
        members: All who are in it, but for those whose own group it is.
        system: Where it is made: with a number of the system's.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name or number that cannot be; absent, and with more, or root.
    """
    its = Group(login_name(called, "group"), system)
    if state not in ("present", "absent"):
        raise InvalidError(f"group {called}: state={state!r}", 'write "present" or "absent"')
    if not is_wanted(state, f"group {called}"):
        if gid is not None or members is not None or system:
            raise InvalidError(f"group {called}: absent, and with more than its name", "give the name only")
        keep_root(called, "group")
        return ensure(its, None, name=name)
    wanted = {
        "group": called,
        **({} if gid is None else {"gid": number(gid, "gid")}),
        **({} if members is None else {"members": ",".join(names(members, "members", "user"))}),
    }
    return ensure(its, wanted, name=name)
