"""What of an `ssh` command line can be taken over: the arguments of `ansible_ssh_common_args` and `ProxyCommand`.

Every option is either taken over, known to change nothing that matters here, or a problem: none is dropped in silence.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field

from kxflow.values.errors import InvalidError
from kxflow.values.host import Ssh
from kxflow.values.inventory.outside import Outside
from kxflow.values.inventory.schema import readable

_JUMP: Final = "write -J user@host:port, or -o ProxyJump=user@host:port"
_NOT_TAKEN: Final = "remove it, or say it in our TOML format"
_IGNORED: Final = frozenset(
    {
        "addkeystoagent", "batchmode", "ciphers", "compression", "connectionattempts", "controlmaster", "controlpath",
        "controlpersist", "gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "hostkeyalgorithms",
        "kbdinteractiveauthentication", "kexalgorithms", "loglevel", "macs", "numberofpasswordprompts",
        "passwordauthentication", "preferredauthentications", "pubkeyauthentication", "requesttty",
        "serveralivecountmax", "tcpkeepalive", "updatehostkeys", "visualhostkey",
    }
)  # fmt: skip
_NO: Final = frozenset({"no", "off", "false"})
_LETTERS: Final = {
    "p": "port", "l": "user", "i": "identityfile", "F": "configfile", "J": "proxyjump", "o": "", "W": "stdioforward",
}  # fmt: skip
_IGNORED_LETTERS: Final = frozenset("qvxatCT46NnyY") - {"Y"}


@define(eq=False)
class Taken:
    """What an argument list says, as arguments of `Ssh`, and what of it is not understood."""

    fields: dict[str, Any] = field(factory=dict)
    rest: list[str] = field(factory=list)
    refused: list[InvalidError] = field(factory=list)
    forwards: bool = False

    def refuse(self, what: str, remedy: str = _NOT_TAKEN) -> None:
        """Something is not taken over."""
        self.refused.append(InvalidError(what, remedy))


def parse(words: Sequence[str], outside: Outside) -> Taken:
    """Read the words of an `ssh` command line, without the program's name."""
    taken = Taken()
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            taken.rest.append(word)
            continue
        _letters(word[1:], left, taken, outside)
    return taken


def _letters(letters: str, left: list[str], taken: Taken, outside: Outside) -> None:
    """One word of single-letter options; the last may have its value behind it or in the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _LETTERS:
            value = letters or (left.pop(0) if left else "")
            _option(_LETTERS[letter] or _name(value), value if _LETTERS[letter] else _value(value), taken, outside)
            return
        if letter not in _IGNORED_LETTERS:
            taken.refuse(f"the ssh option -{letter} is not taken over")
            return


def _split(text: str) -> tuple[str, str]:
    """`Name=value` or `Name value`."""
    name, equals, value = text.strip().partition("=")
    if not equals or " " in name.strip():
        name, _, value = text.strip().partition(" ")
    return name.strip().lower(), value.strip().strip('"')


def _name(text: str) -> str:
    return _split(text)[0]


def _value(text: str) -> str:
    return _split(text)[1]


def _option(name: str, value: str, taken: Taken, outside: Outside) -> None:
    """As in OpenSSH the first that says something wins, except that identity files add up."""
    if name in _IGNORED or (name in ("forwardagent", "forwardx11") and value.lower() in _NO):
        return
    if name not in _OPTIONS:
        taken.refuse(f"the ssh option {name!r} is not taken over")
        return
    try:
        for key, each in _OPTIONS[name](value, outside, taken).items():
            if key == "key_files":
                taken.fields[key] = (*taken.fields.get(key, ()), *each)
            elif each is not None:
                Ssh(**{key: each})
                taken.fields.setdefault(key, each)
    except InvalidError as error:
        taken.refuse(f"{name}: {error.what}", error.remedy)


Fields: TypeAlias = dict[str, Any]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidError(f"{text!r} is no whole number", "write digits")
    return int(text)


def _host_key_checking(value: str, _: Outside, __: Taken) -> Fields:
    if value.lower() in ("yes", "ask", "true"):
        return {}
    if value.lower() == "accept-new":
        return {"accept_new": True}
    raise InvalidError(
        "host keys are always checked", "write accept-new to take the key of a new host, or add it to known_hosts"
    )


def _known_hosts(value: str, outside: Outside, _: Taken) -> Fields:
    names = shlex.split(value)
    if not names or any(name in ("/dev/null", "none") for name in names):
        raise InvalidError("host keys are always checked", "name a file that keeps them")
    return {"known_hosts": tuple(name if name.startswith("~") else outside.path(name) for name in names)}


def _proxy_command(value: str, outside: Outside, _: Taken) -> Fields:
    """`ssh -W %h:%p [options] [user@]host`, the usual way to write a jump before there was ProxyJump."""
    if value.lower() == "none":
        return {}
    try:
        words = shlex.split(value)
    except ValueError:
        words = []
    if not words or posixpath.basename(words[0]) != "ssh":
        raise InvalidError("a ProxyCommand other than ssh -W %h:%p is not taken over", _JUMP)
    inner = parse(words[1:], outside)
    if inner.refused:
        raise inner.refused[0]
    if len(inner.rest) != 1 or not inner.forwards:
        raise InvalidError("a ProxyCommand other than ssh -W %h:%p is not taken over", _JUMP)
    (hop,) = Ssh(jump=inner.rest[0]).jump
    given = hop.connect if isinstance(hop.connect, Ssh) else Ssh()
    fields = {**inner.fields, **({"user": given.user} if given.user else {})}
    before = fields.pop("jump", ())
    return {"jump": (*before, evolve(hop, connect=Ssh(**fields)))}


def _forward(value: str, _: Outside, taken: Taken) -> Fields:
    if value not in ("%h:%p", "[%h]:%p"):
        raise InvalidError(f"-W {value} is not taken over", _JUMP)
    taken.forwards = True
    return {}


def _jump(value: str, _: Outside, __: Taken) -> Fields:
    return {} if value.lower() == "none" else {"jump": Ssh(jump=value).jump}


def _identity(value: str, outside: Outside, _: Taken) -> Fields:
    return {"key_files": (readable(value, outside),)}


def _only_identities(value: str, _: Outside, __: Taken) -> Fields:
    return {} if value.lower() in _NO else {"agent": False}


_OPTIONS: Final[dict[str, Callable[[str, Outside, Taken], Fields]]] = {
    "port": lambda value, _, __: {"port": _number(value)},
    "user": lambda value, _, __: {"user": value},
    "identityfile": _identity,
    "identitiesonly": _only_identities,
    "configfile": lambda value, outside, _: {"config": readable(value, outside)} if value != "none" else {},
    "proxyjump": _jump,
    "proxycommand": _proxy_command,
    "stdioforward": _forward,
    "stricthostkeychecking": _host_key_checking,
    "userknownhostsfile": _known_hosts,
    "connecttimeout": lambda value, _, __: {"connect_timeout": float(_number(value))},
    "serveraliveinterval": lambda value, _, __: {"keepalive": float(_number(value))} if _number(value) else {},
}
