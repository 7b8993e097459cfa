"""Where in a TOML text each statement, key and value stands.

`tomllib` says what a text means and not where, and no kept library does for Python (python/cpython#115516,
python-poetry/tomlkit#55). So this finds places only, and leaves every question of meaning to `tomllib`: it knows
what a string, a comment, a list and an inline table look like, and goes on after a statement that is broken.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import Final, Literal, NoReturn, TypeAlias

from attrs import define, field, frozen

from kxflow.values.inventory.located import DEPTH, PROBLEMS

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"[ \t]*+")
_GAP: Final = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_BARE_VALUE: Final = re.compile(r"[^,\]}\n#]*+")
_LONG: Final = (  # atomic, not possessive: `(?:…(?!…))*+` loses its place before Python 3.11.5 (python/cpython#100061)
    re.compile(r'"""(?>(?:[^"\\]++|\\.|"(?!""))*)"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''(?>(?:[^']++|'(?!''))*)'''(?:'{0,2})"),
)
_SHORT: Final = (
    re.compile(r'"(?:[^"\\\n]++|\\[^\n])*+"'),
    re.compile(r"'[^'\n]*+'"),
)

Sort: TypeAlias = Literal["pair", "table", "array", "broken"]


@define(eq=False)
class Mark:
    """The line of a value, and of what is in it, by key or index.

    Attributes:
        parts: Marks of what is in it; those of a `[[list of tables]]` by index.
        closed: Nothing may be added by another statement: it is a value, or a table that had its header.
        array: It is a list of tables, made by `[[…]]`.
    """

    line: int
    parts: dict[str | int, Mark] = field(factory=dict)
    closed: bool = False
    array: bool = False


@frozen(eq=False)
class Statement:
    """One `key = value`, `[table]` or `[[table]]`, or a line that is broken.

    Attributes:
        sort: Which of them.
        keys: The parts of its key, unquoted.
        start, end: Offsets in the text; `end` is that of the line's end.
        line, last: First and last line.
        value: Places in the value of a pair.
        fault: What is wrong with a broken one.
    """

    sort: Sort
    keys: tuple[str, ...]
    start: int
    end: int
    line: int
    last: int
    value: Mark | None = None
    fault: str = ""


class _BrokenError(Exception):
    """A statement cannot be followed to its end."""


def statements(text: str) -> list[Statement]:
    """Every statement of a text whose lines end with a newline alone, in order; it stops after too many broken ones."""
    scanner = _Scanner(text)
    found = []
    broken = 0
    while broken <= PROBLEMS and (each := scanner.statement()) is not None:
        found.append(each)
        broken += each.sort == "broken"
    return found


class _Scanner:
    """One pass over a text; every method moves on from `at`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def statement(self) -> Statement | None:
        self._skip(_GAP)
        if self.at >= len(self.text):
            return None
        start = self.at
        try:
            sort, keys, value = self._header() if self.text[start] == "[" else self._pair()
        except _BrokenError as error:
            # Go on in the next line: what follows is often sound.
            end = self._line_end(start)
            self.at = end + 1
            line = self._line(start)
            sort = "table" if self.text[start] == "[" else "pair"
            return Statement("broken", (sort,), start, end, line, line, fault=str(error))
        end = self._line_end(self.at)
        last, self.at = self._line(self.at), end + 1
        return Statement(sort, keys, start, end, self._line(start), last, value)

    def _header(self) -> tuple[Sort, tuple[str, ...], None]:
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        keys = self._key()
        if not self._take("]]" if double else "]"):
            self._broken("this table header is not closed")
        return "array" if double else "table", keys, None

    def _pair(self) -> tuple[Sort, tuple[str, ...], Mark]:
        keys = self._key()
        if not self._take("="):
            self._broken("this is no `key = value`")
        self._skip(_BLANK)
        mark = self._value(len(keys))
        mark.closed = True
        return "pair", keys, mark

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._skip(_BLANK)
            parts.append(self._key_part())
            self._skip(_BLANK)
            if len(parts) > DEPTH:
                self._broken(f"this key has more than {DEPTH} parts")
            if not self._take("."):
                return tuple(parts)

    def _key_part(self) -> str:
        if found := _BARE_KEY.match(self.text, self.at):
            self.at = found.end()
            return found[0]
        if not self.text.startswith(('"', "'"), self.at) or self.text.startswith(('"""', "'''"), self.at):
            self._broken("a key is missing here, or needs quotes")
        start = self.at
        self._string()
        raw = self.text[start : self.at]
        if "\\" not in raw:
            return raw[1:-1]
        try:
            return str(tomllib.loads(f"key = {raw}")["key"])
        except ValueError:
            return self._broken("this key has an escape that is none")

    def _value(self, depth: int) -> Mark:
        if depth > DEPTH:
            self._broken(f"this value is nested deeper than {DEPTH}")
        mark = Mark(self._line(self.at))
        first = self.text[self.at : self.at + 1]
        if first in ('"', "'"):
            self._string()
        elif first == "[":
            self._list(mark, depth)
        elif first == "{":
            self._inline(mark, depth)
        else:
            self._skip(_BARE_VALUE)
        return mark

    def _string(self) -> None:
        long = self.text.startswith(('"""', "'''"), self.at)  # one that is not closed is not an empty short one
        for form in _LONG if long else _SHORT:
            if found := form.match(self.text, self.at):
                self.at = found.end()
                return
        self._broken("this text is not closed")

    def _list(self, mark: Mark, depth: int) -> None:
        self.at += 1
        while True:
            self._skip(_GAP)
            if self._take("]"):
                return
            mark.parts[len(mark.parts)] = self._value(depth + 1)
            self._skip(_GAP)
            if not self._take(",") and not self.text.startswith("]", self.at):
                self._broken(f"the list that begins in line {mark.line} is not closed, or lacks a comma")

    def _inline(self, mark: Mark, depth: int) -> None:
        self.at += 1
        while True:
            self._skip(_GAP)
            if self._take("}"):
                return
            self._inline_pair(mark, depth)
            self._skip(_GAP)
            if not self._take(",") and not self.text.startswith("}", self.at):
                self._broken(f"the table {{…}} that begins in line {mark.line} is not closed, or lacks a comma")

    def _inline_pair(self, mark: Mark, depth: int) -> None:
        line = self._line(self.at)
        keys = self._key()
        if not self._take("="):
            self._broken("inside {…} there must be `key = value`")
        self._skip(_BLANK)
        value = self._value(depth + len(keys))
        for key in keys[:-1]:
            mark = mark.parts.setdefault(key, Mark(line))
        mark.parts[keys[-1]] = value

    def _skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, sign: str) -> bool:
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def _line(self, offset: int) -> int:
        return bisect.bisect_left(self._ends, offset) + 1

    def _line_end(self, offset: int) -> int:
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def _broken(self, what: str) -> NoReturn:
        raise _BrokenError(what)
