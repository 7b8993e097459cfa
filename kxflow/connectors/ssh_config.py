"""An OpenSSH client configuration, as far as it may say something here. Source: ssh_config(5).

Read are `Host`, `Match` (all, host, originalhost, user, localuser), `Include`, `HostName`, `User`, `Port`,
`IdentityFile`, `CertificateFile`, `IdentityAgent`, `UserKnownHostsFile`, `HostKeyAlias` and `ProxyJump`; the first
value found holds, as in OpenSSH. Everything else is passed over, except what would run a command or switch off
the check of host keys: that is refused where it would apply. asyncssh's own reader runs `Match exec` while it
reads, and takes `UserKnownHostsFile none` for "check nothing".

A relative `Include` is looked for beside the file that it stands in.
"""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from kxflow.values.errors import InvalidError

_DEPTH: Final = 16
_LARGEST: Final = 1 << 20
_MANY: Final = ("identityfile", "certificatefile")
_ONE: Final = ("user", "port", "identityagent", "userknownhostsfile", "hostkeyalias", "proxyjump")
_TOKEN: Final = re.compile(r"%(.)")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class ConfigError(InvalidError):
    """A configuration that is not to be followed."""


@frozen
class Options:
    """What the configuration says of one host; None and empty where it says nothing.

    Attributes:
        jump: As `ProxyJump` writes it; an empty text for `none`.
    """

    address: str | None = None
    user: str | None = None
    port: int | None = None
    key_files: tuple[str, ...] = ()
    cert_files: tuple[str, ...] = ()
    agent: str | None = None
    known_hosts: tuple[str, ...] = ()
    alias: str | None = None
    jump: str | None = None


@define
class _Reading:
    """The walk through the files for one host."""

    host: str
    user: str | None
    local_user: str
    values: dict[str, str] = field(factory=dict)
    several: dict[str, list[str]] = field(factory=dict)

    def take(self, path: Path, depth: int = 0) -> None:
        if depth > _DEPTH:
            raise ConfigError(f"{path}: Include goes deeper than {_DEPTH}", "does a file include itself?")
        applies = True
        for place, key, words in _lines(path):
            if key == "host":
                applies = _any_pattern(words, self.host)
            elif key == "match":
                applies = self._match(words, place)
            elif not applies:
                continue
            elif key == "include":
                for each in _included(words, path):
                    self.take(each, depth + 1)
            else:
                self._option(key, words, place)

    def _option(self, key: str, words: Sequence[str], place: str) -> None:
        value = words[0] if words else ""
        _refuse_unsafe(key, value, place)
        if key in _MANY:
            self.several.setdefault(key, []).append(value)
        elif key == "userknownhostsfile":
            self.values.setdefault(key, "\n".join(words))
        elif key == "hostname":  # expanded at once: `Match host` asks for it
            self.values.setdefault(key, _expander(self.host, None, "", self.local_user)(value))
        elif key in _ONE:
            self.values.setdefault(key, value)

    def _match(self, words: Sequence[str], place: str) -> bool:
        rest = list(words)
        while rest:
            word = rest.pop(0).lower()
            negated, what = word.startswith("!"), word.lstrip("!")
            if what == "all":
                holds = True
            elif what in ("canonical", "final"):
                holds = False
            elif what == "exec":
                raise ConfigError(f"{place}: Match exec runs a command", "not supported: use Match host or Host")
            else:
                holds = self._criterion(what, rest.pop(0) if rest else "", place)
            if holds == negated:
                return False
        return True

    def _criterion(self, what: str, patterns: str, place: str) -> bool:
        subjects = {
            "host": self.values.get("hostname") or self.host,
            "originalhost": self.host,
            "user": self.values.get("user") or self.user or self.local_user,
            "localuser": self.local_user,
        }
        if what not in subjects:
            raise ConfigError(f"{place}: Match {what} is not supported", "use host, originalhost, user or localuser")
        return _any_pattern(patterns.split(","), subjects[what])

    def options(self) -> Options:
        user = self.user or self.values.get("user")
        address = self.values.get("hostname")
        expand = _expander(self.host, address, user or self.local_user, self.local_user)
        port = self.values.get("port")
        if port is not None and not (port.isdecimal() and 1 <= int(port) <= 65535):
            raise ConfigError(f"port {port!r} in the SSH configuration is none", "give a number from 1 to 65535")
        known, jump = self.values.get("userknownhostsfile", ""), self.values.get("proxyjump")
        return Options(
            address=address,
            user=user,
            port=int(port) if port else None,
            key_files=tuple(expand(each) for each in self.several.get("identityfile", ()) if each != "none"),
            cert_files=tuple(expand(each) for each in self.several.get("certificatefile", ()) if each != "none"),
            agent=_path_or_none(self.values.get("identityagent"), expand),
            known_hosts=tuple(expand(each) for each in known.split("\n") if each),
            alias=expand(self.values["hostkeyalias"]) if "hostkeyalias" in self.values else None,
            jump="" if jump is not None and jump.lower() == "none" else jump,
        )


def read(path: str, host: str, *, user: str | None = None, local_user: Callable[[], str] = getpass.getuser) -> Options:
    """What the file at `path` says of a host, by the name that the inventory gives it.

    Args:
        path: The configuration; the files it includes are read with it.
        host: Name to look up.
        user: Login name that is set already.
        local_user: Who runs this, for `Match localuser` and `%u`.

    Raises:
        ConfigError: It cannot be read, others may write to it, or it would run a command or switch a check off.
    """
    reading = _Reading(host, user, local_user())
    reading.take(Path(path))
    return reading.options()


def _refuse_unsafe(key: str, value: str, place: str) -> None:
    low = value.lower()
    if key in ("proxycommand", "knownhostscommand") and low != "none":
        raise ConfigError(f"{place}: {key} runs a command", "not supported: use ProxyJump, or jump=")
    if key == "userknownhostsfile" and low in ("none", "/dev/null"):
        raise ConfigError(f"{place}: it switches off the check of host keys", "name a file, or set accept_new=True")
    if key == "stricthostkeychecking" and low in ("no", "off"):
        raise ConfigError(f"{place}: it switches off the check of host keys", "remove it, or set accept_new=True")


def _lines(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = f"{path}:{number}"
        key, _, rest = re.sub(r"^([^\s=\"]+)\s*[\s=]\s*", r"\1\0", text, count=1).partition("\0")
        try:
            words = shlex.split(rest, comments=True)
        except ValueError as error:
            raise ConfigError(f"{place}: {error}", "close the quotes") from None
        yield place, key.lower(), words


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            _check_owner(path, state)
            return file.read(_LARGEST).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "check config=") from None


def _check_owner(path: Path, state: os.stat_result) -> None:
    if state.st_size > _LARGEST:
        raise ConfigError(f"{path} is larger than {_LARGEST} bytes", "is it an SSH configuration?")
    if state.st_uid not in (0, os.getuid()) or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path} can be written by others", f"chmod go-w {path}, and own it")


def _included(words: Sequence[str], by: Path) -> Iterator[Path]:
    for word in words:
        pattern = Path(word).expanduser()
        base = by.parent if not str(by).startswith(("/etc/",)) else Path("/etc/ssh")
        yield from (Path(each) for each in sorted(glob.glob(str(base / pattern))))  # noqa: PTH207 -- absolute patterns


def _any_pattern(patterns: Sequence[str], name: str) -> bool:
    matched = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if _glob(pattern.lstrip("!"), name):
            if negated:
                return False
            matched = True
    return matched


def _glob(pattern: str, name: str) -> bool:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch("".join(parts), name, re.IGNORECASE) is not None


def _expander(host: str, address: str | None, user: str, local_user: str) -> Callable[[str], str]:
    tokens = {"%": "%", "h": address or host, "n": host, "r": user, "u": local_user, "d": str(Path.home())}

    def token(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise ConfigError(f"%{found[1]} is not supported in the SSH configuration", "write it out")
        return tokens[found[1]]

    def expand(text: str) -> str:
        known = _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), text)
        return str(Path(_TOKEN.sub(token, known)).expanduser()) if "/" in known else _TOKEN.sub(token, known)

    return expand


def _path_or_none(value: str | None, expand: Callable[[str], str]) -> str | None:
    if value is None or value == "SSH_AUTH_SOCK":
        return None
    if value.lower() == "none":
        return ""
    return os.environ.get(value[1:], "") if value.startswith("$") and not value.startswith("${") else expand(value)
