"""A group of accounts: its number and its members; for undo, what gshadow(5) has of it, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from attrs import evolve, field, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN, administered, entry, keep_root, known, login_name, names, number, say_all
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.shadow import GIVEN, HOLD, SECRET
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import CONTENT, Ensured, State, hidden
from kxflow.values.state import state as as_state

WHOLE: Final[State] = as_state({"group": "", "gid": "", "members": "", "password": "", "administrators": ""})
"""All that bringing a group back needs; the hash of a password is the content."""

_NO_HASH: Final = ("", "!", "*")
"""Passwords of gshadow(5) that are none: a state tells them as they are."""


@frozen
class Group:
    """A group of this name.

    Attributes:
        called: Its name.
        system: Where it is made, its number is one of the system's.
        password: For undo: the hash that it had.
    """

    called: str
    system: bool = False
    password: Secret | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("group", self.called)

    def probe(self, wanted: State) -> str:
        """The entry in group(5), as far as it is wanted; where it goes, that in gshadow(5) as well, if there is one."""
        asked = wanted or WHOLE
        parts = [HOLD, entry("group", sh(self.called)), f"gid=$3 members=$4 kx_p=\nkx_say group {sh(self.called)}\n"]
        if "gid" in asked:
            parts.append('kx_say gid "$gid"\n')
        if "members" in asked:
            known = asked["members"].split(",") if asked["members"] else ()
            parts.append("set -f; IFS=,\nset -- $members\nunset IFS; set +f\n" + say_all("members", known, "$*"))
        if "password" in asked:
            told = f'if [ "$kx_y" = "$kx_w" ]; then kx_y={GIVEN}; else kx_y=other; fi'
            word = f"case $kx_y in '' | '!' | '*') ;; *) {told} ;; esac"
            parts.append(administered(sh(self.called), f'{word}\nkx_say password "$kx_y"'))
        if "administrators" in asked:
            parts.append(administered(sh(self.called), 'kx_say administrators "$kx_z"'))
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

    def apply(self, wanted: State) -> Command[Any]:
        """By the tools of the `shadow` suite; a hash goes by the stdin of `chgpasswd`."""
        text = self._bring(wanted) if wanted else f"kx_need groupdel passwd\nexec groupdel {sh(self.called)}"
        secret = {SECRET: self.password} if self.password is not None and wanted.get("password") == GIVEN else {}
        return cast("Command[Any]", shell(f"{HOLD}{SBIN}{text}", env=secret))

    def _bring(self, wanted: State) -> str:
        name = sh(self.called)
        gid = f"-g {sh(wanted['gid'])} " if "gid" in wanted else ""
        change = f"groupmod {gid}{name}" if gid else ":"
        make = f"groupadd {'-r ' if self.system else ''}{gid}{name}"
        lines = [f"if getent group {name} >/dev/null; then {change}; else {make}; fi"]
        if "members" in wanted:
            lines.append(f"gpasswd -M {sh(wanted['members'])} {name}")
        if wanted.get("password") in _NO_HASH:
            lines.append(f"groupmod -p {sh(wanted['password'])} {name}")
        elif "password" in wanted:
            lines.append(f"printf '%s:%s\\n' {name} \"$kx_w\" | chgpasswd -e")
        if "administrators" in wanted:
            lines.append(f"gpasswd -A {sh(wanted['administrators'])} {name}")
        every = {*wanted.get("members", "").split(","), *wanted.get("administrators", "").split(",")}
        users = known("passwd", sorted(filter(None, every)))
        return f"kx_need groupadd passwd\n{users}" + "".join(f"{each} || exit 1\n" for each in lines)

    def told(self, before: State | None, after: State) -> Ensured:
        """The hash that was there is for undo only."""
        return Ensured(None if before is None else hidden(before), after)

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards the entry that was found; None where its password was not kept."""
        its, wanted = self, {name: value for name, value in before.items() if name != CONTENT}
        if wanted.get("password", "") not in _NO_HASH:
            if CONTENT not in before:
                return None
            its, wanted["password"] = evolve(self, password=Secret(before[CONTENT])), GIVEN
        return ensuring(its, wanted or None)

    @property
    def kept(self) -> Content:
        """How to see the hash that is there, where it is not going to stay."""
        return Content(detail=f"unset {SECRET}\n" + administered(sh(self.called), 'printf %s "$kx_y"'))


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
    root. A group that is some account's own is not removed: the tool says so. Undo brings a group back with its number,
    members, administrators and password; one with a password's hash not from a record: none holds that.

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
        return ensure(its, None, name=name, content=its.kept)
    wanted = {
        "group": called,
        **({} if gid is None else {"gid": number(gid, "gid")}),
        **({} if members is None else {"members": ",".join(names(members, "members", "user"))}),
    }
    return ensure(its, wanted, name=name)
