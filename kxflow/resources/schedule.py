"""When cron starts something: five fields, or a word with @."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from kxflow.values.errors import InvalidError

_WORDS: Final = frozenset({"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_PART: Final = re.compile(r"(\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<every>\d+))?")


@frozen
class Field:
    """One of the five; names stand for its values from the lowest on."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def number(self, word: str) -> int:
        """What a number or name in it says; below the lowest, if nothing."""
        if word.isascii() and word.isdecimal():
            return int(word) if self.lowest <= int(word) <= self.highest else -1
        return self.lowest + self.names.index(word.lower()) if word.lower() in self.names else -1

    def holds(self, text: str) -> bool:
        """It is a list of values, ranges and steps within its bounds."""
        return all(self._holds(part) for part in text.split(","))

    def _holds(self, part: str) -> bool:
        found = _PART.fullmatch(part)
        if found is None or not 0 < int(found["every"] or 1) <= self.highest:
            return False
        if found["first"] is None:
            return True
        first = self.number(found["first"])
        last = first if found["last"] is None else self.number(found["last"])
        return self.lowest <= first <= last


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())),  # noqa: SIM905 -- a table
    Field("day of week", 0, 7, tuple("sun mon tue wed thu fri sat".split())),  # noqa: SIM905 -- a table
)


def schedule(text: object) -> str:
    """Five fields or a word, one blank between them.

    >>> schedule("*/5  0-6 * jan,feb  mon-fri")
    '*/5 0-6 * jan,feb mon-fri'
    >>> schedule("@daily")
    '@daily'

    Raises:
        InvalidError: Neither; a field that holds what its values cannot be.
    """
    if not isinstance(text, str):
        raise InvalidError(f"schedule {text!r} is no text", 'write "minute hour day month weekday", or "@daily"')
    words = text.split()
    if len(words) == 1 and words[0] in _WORDS:
        return words[0]
    if len(words) != len(FIELDS):
        raise InvalidError(f"schedule {text!r} has {len(words)} fields", 'write "minute hour day month weekday"')
    for each, word in zip(FIELDS, words, strict=True):
        if not each.holds(word):
            told = f"{each.lowest}-{each.highest}" + (f" or {each.names[0]}-{each.names[-1]}" if each.names else "")
            raise InvalidError(
                f"schedule {text!r}: {each.name} {word!r} cannot be", f"{told}, as in cron: *, 1,2, 1-5, */2"
            )
    return " ".join(words)
