"""Data with the place in a file where each piece of it stands."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from attrs import frozen

from kxflow.values.errors import InvalidError, InventoryError, Problem

DEPTH: Final = 32
"""How deep data may be nested, in every format."""


PROBLEMS: Final = 1000
"""How many problems are kept: who wrote that many has another format in mind."""


_SHOWN: Final = 500


@frozen(order=True)
class Place:
    """A line of a file; line 0 means the file as a whole.

    >>> print(Place("hosts.toml", 12), Place("hosts.toml", 0))
    hosts.toml:12 hosts.toml
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@frozen(eq=False)
class Scalar:
    """One value. `raw` is the text that it was read from, where it is not a text itself."""

    value: Any
    place: Place
    raw: str = ""


@frozen(eq=False)
class Items:
    """A list of values."""

    nodes: tuple[Node, ...]
    place: Place


@frozen(eq=False)
class Entry:
    """One key with its value; `place` is the key's."""

    key: Any
    node: Node
    place: Place


@frozen(eq=False)
class Table:
    """Keys with their values, in the order of the file; a key may come twice until it was reported."""

    entries: tuple[Entry, ...]
    place: Place


Node: TypeAlias = Scalar | Items | Table


def plain(node: Node) -> Any:
    """The data alone, as dicts, lists and scalars; the last of equal keys wins."""
    if isinstance(node, Table):
        return {entry.key: plain(entry.node) for entry in node.entries}
    if isinstance(node, Items):
        return [plain(each) for each in node.nodes]
    return node.value


_KINDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
    dt.datetime: "a date",
    dt.date: "a date",
    dt.time: "a time",
}


def kind(node: Node) -> str:
    """What a value is, in words, without showing it: it may be a secret."""
    if isinstance(node, Table):
        return "a table"
    if isinstance(node, Items):
        return "a list"
    return _KINDS.get(type(node.value), type(node.value).__name__)


def guess(word: object, known: Iterable[str]) -> str:
    """A remedy for an unknown word: the nearest known one, or all of them.

    >>> guess("adress", ["address", "vars"])
    "did you mean 'address'?"
    >>> guess("zzz", ["address", "vars"])
    'known here: address, vars'
    """
    names = list(known)
    near = difflib.get_close_matches(str(word), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"


def _visible(text: str) -> str:
    """In one line, and nothing in it that a terminal obeys: paths and names come as the file has them."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class Findings:
    """The problems found so far; each is kept once, however many hosts share the line.

    Attributes:
        full: There are more than are kept; nobody needs to look on.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.full = False
        self._found: dict[tuple[Place, str], Problem] = {}

    def add(self, place: Place, what: str, remedy: str = "") -> None:
        """Something is wrong at a place."""
        if len(what) > _SHOWN:
            what = what[:_SHOWN] + "…"
        if len(self._found) < PROBLEMS:
            self._found.setdefault((place, what), Problem(*map(_visible, (str(place), what, remedy))))
        else:
            self.full = True

    def invalid(self, place: Place, error: InvalidError) -> None:
        """A value refused what stands at a place."""
        self.add(place, error.what, error.remedy)

    def __bool__(self) -> bool:
        return bool(self._found)

    def take(self) -> tuple[Problem, ...]:
        """All of them: the inventory's own first, then by file and line."""
        order = sorted(self._found, key=lambda key: (key[0].file != self._file, key[0]))
        rest = Problem(self._file, f"more than {PROBLEMS} problems", "mend the first ones, and load it again")
        return (*(self._found[key] for key in order), *([rest] if self.full else []))

    def error(self) -> InventoryError:
        """All of them as the one error to raise."""
        return InventoryError(self.take())
