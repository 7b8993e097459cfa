"""An account, as the tools of the `shadow` suite see to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from attrs import evolve, field, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, Need, ensuring
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN, administered, entry, known, say_all, say_some
from kxflow.resources.paths import sh
from kxflow.values.action import Command
from kxflow.values.secret import Secret
from kxflow.values.state import CONTENT, Ensured, State, hidden
from kxflow.values.state import state as as_state

Clears: TypeAlias = Literal["keep", "home", "skeleton"]

GIVEN: Final = "given"
"""What a state says of a password that is the one which was given; any other is `other`."""

SECRET: Final = "KX_PASSWORD"  # noqa: S105 -- the name of a variable
_SHADOW: Final = frozenset({"password", "locked", "expires", "aging"})
_WHOLE: Final = (
    "user",
    "uid",
    "gid",
    "group",
    "groups",
    "comment",
    "home",
    "shell",
    "password",
    "expires",
    "aging",
    "folder",
    "subordinate",
    "administers",
)
WHOLE: Final[State] = as_state(dict.fromkeys(_WHOLE, ""))
"""All that bringing an account back needs; the hash of its password is the content."""

# The hash, out of the environment of what is started from here.
HOLD: Final = f'kx_w="${{{SECRET}-}}"; unset {SECRET}\n'
# The hash that is there (after the fields of shadow), as it compares: without the mark of a lock, if one is wanted.
_COMPARED: Final = """\
kx_h=$2
case $kx_w in '!'* | '*'* | '') ;; *) kx_h=${kx_h#'!'} ;; esac
"""
_KEEP_LOCK: Final = "case $kx_w in '!'* | '*'* | '') ;; *) case $2 in '!'[!!*]*) kx_h='!' ;; esac ;; esac"

# After the fields of passwd, and those of shadow.
_SAY: Final = {
    "locked": "case $2 in '!'*) kx_say locked yes ;; *) kx_say locked no ;; esac\n",
    "expires": 'kx_say expires "${8:-never}"\n',
    "aging": 'kx_say aging "${3:--1} ${4:--1} ${5:--1} ${6:--1} ${7:--1}"\n',
    "folder": 'if [ -d "$home" ]; then kx_say folder yes; else kx_say folder no; fi\n',
}
# After the fields of passwd. Nothing is lost with a home that holds only what every new one does.
_CLEAR: Final = """\
kx_h=$6 kx_u=$3
if [ -d "$kx_h" ] && [ ! -h "$kx_h" ] && kx_stat "$kx_h" && [ "$uid" = "$kx_u" ] &&
diff -r /etc/skel "$kx_h" >/dev/null 2>&1; then rm -rf -- "$kx_h" || exit 1; fi
"""
_FURNISH: Final = """\
if [ ! -d "$6" ]; then
mkdir -p -- "${6%/*}/" && (umask 077; mkdir -- "$6") || exit 1
[ ! -d /etc/skel ] || cp -RP -- /etc/skel/. "$6" || exit 1
chown -hR -- "$3:$4" "$6" || exit 1
fi
"""
# Ranges of subordinate numbers, as `u:FIRST:COUNT` and `g:FIRST:COUNT`: files belong to these, too.
_RANGES: Final = """\
kx_ranges() {
for kx_i in u g; do
[ ! -r /etc/sub${kx_i}id ] || while IFS=: read -r kx_x kx_y; do
[ "$kx_x" != "$1" ] || kx_l=$kx_l\\ $kx_i:$kx_y
done </etc/sub${kx_i}id
done
kx_l=${kx_l#\\ }
}
"""
# Those that `useradd` chose go, those that were there come.
_RANGE: Final = """\
kx_range() {
kx_y=${2#?:}
usermod $1 ${kx_y%:*}-$((${kx_y%:*} + ${kx_y#*:} - 1)) "$3" || exit 1
}
"""


@frozen
class User:
    """An account of this name.

    Attributes:
        login: Its name.
        password: The hash that it is to have.
        among: Groups of which it may have to be a member, whatever other groups it has.
        system: Its number is one of the system's, where it is made.
        homes: Its home is made with it.
        clears: What becomes of the home where the account goes: `keep`, `home` (it goes, too), `skeleton` (it goes
            where it holds nothing but what every new home does).
    """

    login: str
    password: Secret | None = field(default=None, repr=False)
    among: tuple[str, ...] = ()
    system: bool = False
    homes: bool = True
    clears: Clears = "keep"

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("user", self.login)

    def probe(self, wanted: State) -> str:
        """The entries in passwd and shadow, as far as they are wanted."""
        asked = wanted or WHOLE
        shadow = entry("shadow", sh(self.login), "kx_no 'only root sees the passwords of this host'")
        parts = [
            HOLD,
            entry("passwd", sh(self.login)),
            'uid=$3 gid=$4 comment=$5 home=$6 shell=$7\nkx_p=$(getent group "$gid"); kx_p=${kx_p%%:*}\n',
            shadow if asked.keys() & _SHADOW else "",
            *(self._say(name, asked) for name in asked),
        ]
        return "".join(parts)

    def _say(self, name: str, asked: State) -> str:
        have = f"$(id -Gn {sh(self.login)})"
        match name:
            case "user":
                return f"kx_say user {sh(self.login)}\n"
            case "group":
                return 'kx_say group "${kx_p:-$gid}"\n'
            case "groups":
                return say_all("groups", _split(asked["groups"]), have)
            case "among":
                return say_some("among", self.among, have)
            case "password":
                known = f'if [ "$kx_h" = "$kx_w" ]; then kx_say password {GIVEN}; else kx_say password other; fi\n'
                return f"{_COMPARED}{known}" if self.password is not None else "kx_say password other\n"
            case "subordinate":
                return f'{_RANGES}kx_l=; kx_ranges {sh(self.login)}\nkx_say subordinate "$kx_l"\n'
            case "administers":
                mine = f'case ",$kx_z," in *{sh(f",{self.login},")}*) kx_a="$kx_a $kx_x" ;; esac'
                said = say_all("administers", _split(asked["administers"]), "$kx_a")
                return f'kx_a=\n{administered("", mine)}if [ "$kx_a" ]; then\nkx_p=\n{said}fi\n'
            case _:
                return _SAY.get(name, f'kx_say {name} "${name}"\n')

    def apply(self, wanted: State) -> Command[Any]:
        """By the tools of the `shadow` suite; the hash goes by the stdin of `chpasswd`."""
        text = self._bring(wanted) if wanted else self._take()
        secret = {} if self.password is None or "password" not in wanted else {SECRET: self.password}
        return cast("Command[Any]", shell(f"{HOLD}{SBIN}{text}", env=secret))

    def needs(self, wanted: State) -> Iterator[Need]:
        """The tools, its groups, and a number and a name that are free."""
        yield needs.program("useradd", "passwd")
        own = wanted.get("group") or wanted.get("gid")
        if own and not {"group", "gid"} <= wanted.keys():  # what is known by both is made with it
            yield needs.group(own)
        for each in (*_split(wanted.get("groups", "")), *_split(wanted.get("among", ""))):
            yield needs.group(each)
        if uid := wanted.get("uid"):
            yield needs.free("passwd", uid, self.login)
        if wanted and not own:
            yield self._no_group

    @property
    def _no_group(self) -> Need:
        """Where each user gets a group of his own, none of that name may be there when he is made."""
        name = sh(self.login)
        habit = "grep -q '^USERGROUPS_ENAB[[:space:]]*yes' /etc/login.defs"
        test = needs.any_of(f"getent passwd {name}", f"! getent group {name}", f"! {habit}")
        why = f"there is a group {self.login} already: group={self.login!r} makes it the user's own"
        return Need(
            test, why, ("/etc/passwd", "/etc/group", "/etc/login.defs"), (("user", ""), ("group", "")), packed=False
        )

    def _take(self) -> str:
        name = sh(self.login)
        clear = _CLEAR if self.clears == "skeleton" else ""
        take = f"userdel {'-r ' if self.clears == 'home' else ''}{name} || exit 1\n"
        return f"kx_need userdel passwd\n{entry('passwd', name)}{take}{clear}"

    def _bring(self, wanted: State) -> str:
        name = sh(self.login)
        parts = [
            "kx_need useradd passwd\n",
            _own_group(wanted),
            known("group", self._groups(wanted)),
            self._make_or_change(wanted),
            *(_leave(name, group) for group in self._unwanted(wanted)),
            self._set_password(wanted),
            f"usermod {'-L' if wanted['locked'] == 'yes' else '-U'} {name} || exit 1\n" if "locked" in wanted else "",
            _set_aging(name, wanted),
            _set_ranges(name, wanted["subordinate"]) if "subordinate" in wanted else "",
            *(_administer(name, group) for group in _split(wanted.get("administers", ""))),
        ]
        if folder := wanted.get("folder"):
            parts += [entry("passwd", name, "exit 1"), _FURNISH if folder == "yes" else _CLEAR]
        return "".join(parts)

    def _groups(self, wanted: State) -> tuple[str, ...]:
        """Groups that are to be there."""
        own = wanted.get("group", wanted.get("gid"))
        more = {each for listed in ("groups", "among", "administers") for each in _split(wanted.get(listed, ""))}
        more -= {self.login} - {*_split(wanted.get("groups", ""))}  # his own, which may come with him
        return (*(() if own is None else (own,)), *sorted(more))

    def _make_or_change(self, wanted: State) -> str:
        name = sh(self.login)
        options = {
            "-u": wanted.get("uid"),
            "-g": wanted.get("group", wanted.get("gid")),
            "-G": wanted.get("groups"),
            "-a -G": wanted.get("among") or None,
            "-c": wanted.get("comment"),
            "-d": wanted.get("home"),
            "-s": wanted.get("shell"),
        }
        words = {option: f"{option} {sh(value)}" for option, value in options.items() if value is not None}
        change = f"usermod {' '.join(words.values())} {name}" if words else ":"
        new = [word.removeprefix("-a ") for word in words.values()]
        new.append("-m" if wanted.get("folder", "yes" if self.homes else "no") == "yes" else "-M")
        make = " ".join(("useradd", *(["-r"] if self.system else []), *new, name))
        return f"if getent passwd {name} >/dev/null; then {change}; else {make}; fi || exit 1\n"

    def _unwanted(self, wanted: State) -> tuple[str, ...]:
        """Groups that `among` is about, and that it is not to be a member of."""
        return tuple(each for each in self.among if each not in _split(wanted["among"])) if "among" in wanted else ()

    def _set_password(self, wanted: State) -> str:
        """An account that is locked stays so, unless that is seen to by itself."""
        if "password" not in wanted:
            return ""
        name = sh(self.login)
        return f"""\
{entry("shadow", name, "exit 1")}{_COMPARED}if [ "$kx_h" != "$kx_w" ]; then
kx_h=
{"" if "locked" in wanted else _KEEP_LOCK}
if [ "$kx_h$kx_w" ]; then printf '%s:%s\\n' {name} "$kx_h$kx_w" | chpasswd -e; else usermod -p '' {name}; fi || exit 1
fi
"""

    def told(self, before: State | None, after: State) -> Ensured:
        """The hash that was there is for undo only."""
        return Ensured(None if before is None else hidden(before), after)

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards the entry that was found; None where its password, or a home that is gone, was not kept."""
        if not before:
            return evolve(self, clears="skeleton", password=None).ensured(None)
        if self.clears == "home" and before.get("folder", "yes") == "yes":  # a plan may not know
            return None
        its, wanted = self, {name: value for name, value in before.items() if name != CONTENT}
        if wanted.get("password", GIVEN) != GIVEN:
            if CONTENT not in before:
                return None
            its, wanted["password"] = evolve(self, password=Secret(before[CONTENT])), GIVEN
        return its.ensured(wanted)

    def ensured(self, wanted: Mapping[str, str] | None) -> Command[Ensured]:
        """The action that sees to that state."""
        return ensuring(self, wanted, content=self.kept(wanted))

    def kept(self, wanted: Mapping[str, str] | None) -> Content | None:
        """How to see the hash that is there, where it is not going to stay."""
        if wanted is not None and "password" not in wanted:
            return None
        return Content(detail=f'unset {SECRET}\n{entry("shadow", sh(self.login))}printf %s "$2"\n')


def _split(listed: str) -> tuple[str, ...]:
    return tuple(listed.split(",")) if listed else ()


def _own_group(wanted: State) -> str:
    """A group that is known by name and number was there with the account; it went with it."""
    if "group" not in wanted or "gid" not in wanted:
        return ""
    group = sh(wanted["group"])
    return f"getent group {group} >/dev/null || groupadd -g {sh(wanted['gid'])} {group} || exit 1\n"


def _leave(name: str, group: str) -> str:
    return f'case " $(id -Gn {name}) " in *{sh(f" {group} ")}*) gpasswd -d {name} {sh(group)} || exit 1 ;; esac\n'


def _administer(name: str, group: str) -> str:
    """One of the administrators of a group, beside those that it has."""
    there = f'case ",$kx_z," in *{sh(f",{name},")}*) ;;'
    more = f'{there} *) gpasswd -A "$kx_z${{kx_z:+,}}"{name} {sh(group)} || exit 1 ;; esac'
    return f"kx_z=\n{administered(sh(group), 'break')}{more}\n"


def _set_ranges(name: str, ranges: str) -> str:
    options = {"u": ("-V", "-v"), "g": ("-W", "-w")}
    take = "\n".join(f"{kind}:*) kx_range {options[kind][0]} $kx_k {name} ;;" for kind in options)
    give = "".join(f"kx_range {options[each[0]][1]} {sh(each)} {name}\n" for each in ranges.split())
    return f"""\
{_RANGES}{_RANGE}kx_l=; kx_ranges {name}
if [ "$kx_l" != {sh(ranges)} ]; then
for kx_k in $kx_l; do case $kx_k in
{take}
esac; done
{give}fi
"""


def _set_aging(name: str, wanted: State) -> str:
    """After the password, whose change is noted among these."""
    options = []
    if "expires" in wanted:
        options.append(f"-E {sh('-1' if wanted['expires'] == 'never' else wanted['expires'])}")
    if "aging" in wanted:
        flags = zip(("-d", "-m", "-M", "-W", "-I"), wanted["aging"].split(), strict=True)
        options += [f"{flag} {sh(value)}" for flag, value in flags]
    return f"chage {' '.join(options)} {name} || exit 1\n" if options else ""
