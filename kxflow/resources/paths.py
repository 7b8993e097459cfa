"""What resources in the file system share: paths, modes, owners, and how a host tells of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from kxflow.shell.quote import quote
from kxflow.values.action import clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.state import State

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Account: TypeAlias = str | int

_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*[$]?")

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")

RIGHTS: Final = ("mode", "owner", "group")
_ASK: Final = {"mode": "$mode", "owner": "$owner", "group": "$group", "uid": "$uid", "gid": "$gid"}
_NAMELESS: Final = {
    "owner": '[ "$owner" != UNKNOWN ] || owner=$uid\n',
    "group": '[ "$group" != UNKNOWN ] || group=$gid\n',
}
"""A number that has no name is told as it is, as `chown` takes it."""


def remote_path(path: PathLike, what: str = "path") -> str:
    """A path on a host as text; bytes that are no UTF-8 travel as surrogate escapes.

    >>> remote_path("/srv//app")
    '/srv/app'

    Raises:
        InvalidError: It is not absolute, ends in `/`, holds a NUL, or has `.` or `..` in it, which lead elsewhere where
            there are links.
    """
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except (TypeError, UnicodeError):
        raise InvalidError(f"{what} {path!r} cannot be one", "give text, bytes or a path") from None
    clean_text(text, what)
    if not text.startswith("/") or text.endswith("/") or {".", ".."} & set(text.split("/")):
        raise InvalidError(
            f"{what} {text!r} cannot be one", "name a thing by its absolute path, no . and .. in it, no / at the end"
        )
    return re.sub("/{2,}", "/", text)


def sha256_text(value: str, where: str) -> str:
    """A digest as hosts print it.

    Raises:
        InvalidError: Not 64 hex digits.
    """
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise InvalidError(f"{where}: sha256 {value!r} is none", "give 64 hex digits, as sha256sum prints them")
    return value.lower()


def parent_of(path: str) -> str:
    """The folder that it is in.

    >>> parent_of("/srv"), parent_of("/srv/app")
    ('/', '/srv')
    """
    return path.rpartition("/")[0] or "/"


def sh(text: str | bytes) -> str:
    """A word of shell text, quoted."""
    return quote(text).decode("utf-8", "surrogateescape")


def mode_text(mode: int | str | None) -> str | None:
    """Permission bits as `stat` prints them.

    >>> mode_text(0o644), mode_text("0750")
    ('644', '750')

    Raises:
        InvalidError: No octal number from 0 to 7777; 644 in decimal is a mistake that is easily made.
    """
    if mode is None:
        return None
    try:
        number = int(mode, 8) if isinstance(mode, str) else mode
    except ValueError:
        number = -1
    if isinstance(mode, bool) or not isinstance(number, int) or not 0 <= number <= 0o7777:
        raise InvalidError(f"mode {mode!r} cannot be one", "write it in octal: 0o644")
    if isinstance(mode, int) and number in (644, 755, 600, 700, 640, 750, 664, 775, 777, 440, 400):
        raise InvalidError(f"mode {mode} is decimal", f"write it in octal: 0o{mode}")
    return f"{number:o}"


def account(value: Account | None, what: str) -> str | None:
    """An owner or group: a name, or a number.

    Raises:
        InvalidError: Neither.
    """
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not _ACCOUNT.fullmatch(text):
        raise InvalidError(f"{what} {value!r} cannot be one", "give a name or a number")
    return text


def rights(mode: int | str | None, owner: Account | None, group: Account | None) -> dict[str, str]:
    """The attributes of a state that these ask for; a number is compared as a number."""
    found: dict[str, str] = {}
    if (told := mode_text(mode)) is not None:
        found["mode"] = told
    for name, number, value in (("owner", "uid", account(owner, "owner")), ("group", "gid", account(group, "group"))):
        if value is not None:
            found[number if value.isdecimal() else name] = value
    return found


def word_chunks(words: Iterable[str], most: int = 64 * 1024) -> Iterator[str]:
    """Words quoted and joined, as many at a time as a command may have: about 64 KiB."""
    some: list[str] = []
    size = 0
    for word in words:
        some.append(sh(word))
        size += len(some[-1])
        if size > most:
            yield " ".join(some)
            some, size = [], 0
    if some:
        yield " ".join(some)


def ask_rights(wanted: Mapping[str, str]) -> str:
    """Shell text that prints the attributes of `rights`, after `kx_stat`."""
    return "\n".join(f'{_NAMELESS.get(name, "")}kx_say {name} "{_ASK[name]}"' for name in wanted if name in _ASK)


def own_words(wanted: State) -> str:
    """Mode, owner and group as `kx_put` and `kx_own` take them."""
    return " ".join(
        sh(wanted.get(name) or wanted.get(number, ""))
        for name, number in (("mode", ""), ("owner", "uid"), ("group", "gid"))
    )
