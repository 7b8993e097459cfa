"""Read located data as what it should be; what is not so becomes a problem at its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kxflow.values.errors import InvalidError
from kxflow.values.host import Host
from kxflow.values.inventory.located import Entry, Findings, Items, Node, Scalar, Table, guess, kind, plain
from kxflow.values.inventory.outside import Outside
from kxflow.values.secret import Secret

_SECRET_KEYS: Final = ("env", "file")
_WITH_PORT: Final = re.compile(r"[^:]+:\d+\Z")


def refused(node: Node, wanted: str, remedy: str = "") -> InvalidError:
    """A value is not of the kind that is wanted; the value itself is not shown, it may be a secret."""
    return InvalidError(f"this must be {wanted}, not {kind(node)}", remedy)


def members(
    node: Node, known: Iterable[str], findings: Findings, hints: Mapping[str, str] | None = None
) -> dict[str, Entry]:
    """The entries of a table by key; unknown keys, and what is no table at all, are reported.

    Args:
        node: What should be the table.
        known: Keys that it may have.
        findings: Takes the problems.
        hints: Remedies for keys that people try.
    """
    if not isinstance(node, Table):
        findings.invalid(node.place, refused(node, "a table"))
        return {}
    names = tuple(known)
    found: dict[str, Entry] = {}
    for entry in node.entries:
        if entry.key in names:
            found[entry.key] = entry
        else:
            remedy = (hints or {}).get(str(entry.key)) or guess(entry.key, names)
            findings.add(entry.place, f"unknown key {entry.key!r}", remedy)
    return found


def table(node: Node, findings: Findings) -> tuple[Entry, ...]:
    """The entries of a table with names of its own making."""
    if isinstance(node, Table):
        return node.entries
    findings.invalid(node.place, refused(node, "a table"))
    return ()


def variables(node: Node, findings: Findings) -> dict[str, Any]:
    """Variables: any data, under names."""
    return {entry.key: plain(entry.node) for entry in table(node, findings)}


def as_text(node: Node) -> str:
    """A text.

    Raises:
        InvalidError: It is something else.
    """
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise refused(node, "text", "put it in quotes")
    return node.value


def as_texts(node: Node) -> tuple[str, ...]:
    """A list of texts; one text stands for a list of one.

    Raises:
        InvalidError: It is something else, or something else is in it.
    """
    if isinstance(node, Items):
        return tuple(as_text(each) for each in node.nodes)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return (node.value,)
    raise refused(node, "a list of texts")


def as_bool(node: Node) -> bool:
    """True or false.

    Raises:
        InvalidError: It is something else.
    """
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        raise refused(node, "true or false")
    return node.value


def as_seconds(node: Node) -> float:
    """A number of seconds.

    Raises:
        InvalidError: It is something else.
    """
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise refused(node, "a number of seconds")
    return node.value


def as_port(node: Node) -> int:
    """A whole number; its range is checked where it is used.

    Raises:
        InvalidError: It is something else.
    """
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
        raise refused(node, "a whole number from 1 to 65535")
    return node.value


def as_secret(node: Node, outside: Outside) -> Secret:
    """A text, `{env = "NAME"}` or `{file = "path"}`; one newline at the end of a file is not part of it.

    Raises:
        InvalidError: It is something else, the variable is not set, the file cannot be read, or it is empty.
    """
    if not isinstance(node, Table):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return filled(Secret(node.value))
        raise refused(node, "text", 'or {env = "NAME"}, or {file = "path"}')
    if len(node.entries) != 1 or node.entries[0].key not in _SECRET_KEYS:
        raise InvalidError("this names no place of a secret", 'write {env = "NAME"} or {file = "path"}')
    where = as_text(node.entries[0].node)
    if node.entries[0].key == "env":
        return secret_of_env(where, outside)
    return filled(Secret(outside.read(outside.path(where)).removesuffix(b"\n").removesuffix(b"\r")))


def secret_of_env(name: str, outside: Outside) -> Secret:
    """The value of a variable of the environment.

    Raises:
        InvalidError: It is not set, or empty.
    """
    if name not in outside.env:
        raise InvalidError(f"the environment has no variable {name!r}", f"set it before the start: export {name}=…")
    return filled(Secret(outside.env[name]))


def filled(secret: Secret) -> Secret:
    """A secret that can be sent as one line.

    Raises:
        InvalidError: It is empty, or holds a line break or a NUL byte.
    """
    if not secret.raw:
        raise InvalidError("the secret is empty", "leave the key out where there is none")
    if any(sign in secret.raw for sign in b"\n\r\0"):
        raise InvalidError("the secret has more than one line", "only its own line belongs there")
    return secret


def readable(text: str, outside: Outside) -> str:
    """The absolute path of a file that is there and can be read.

    Raises:
        InvalidError: It cannot.
    """
    path = outside.path(text)
    outside.check(path)
    return path


def check_address(address: str | None) -> None:
    """Refuse an address that was given and is empty, for `Host` it would be none given; and one with a port.

    Raises:
        InvalidError: It is.
    """
    if address is not None and not address.strip():
        raise InvalidError("the address is empty", "leave it out where the name will do")
    if address is not None and _WITH_PORT.match(address):
        raise InvalidError(f"the address {address!r} holds a port", "give the port by itself, as a setting")


def host_or_problem(entry: Entry, findings: Findings, name: str, address: str | None) -> bool:
    """Whether a host may be named so; where not, that is reported."""
    try:
        check_address(name if address is None else address)
        Host(name, address)
    except InvalidError as error:
        findings.invalid(entry.place, error)
        return False
    return True
