"""Host ranges: `web[01:20]`, `web[a:f].example.org`, `node[0:30:2]`, several in one name."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Sequence
from typing import Final

from kxflow.values.errors import InvalidError

HOSTS: Final = 100_000
"""Hosts that one inventory may have: a slip like `web[1:1000000000]` is told, not tried."""

_RANGE: Final = re.compile(r"\[([0-9]*|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")
_DIGITS: Final = 9
_LONGEST: Final = 1000
_FORM: Final = "write [begin:end] or [begin:end:step], with numbers or single letters: web[01:20]"


def is_range(text: str) -> bool:
    """Whether a name holds a range."""
    return "[" in text or "]" in text


def count(text: str) -> int:
    """How many names a pattern stands for, without making them.

    Raises:
        InvalidError: As `expand`.
    """
    total = 1
    for part in _parts(text):
        total *= len(part)
    return total


def expand(text: str, limit: int = HOSTS) -> tuple[str, ...]:
    """The names that a pattern stands for, as Ansible expands it; a name without a range stands for itself.

    A begin with a leading zero sets the width of all numbers; a missing begin is 0; the leftmost range is the
    slowest.

    >>> expand("web[08:10]")
    ('web08', 'web09', 'web10')
    >>> expand("[a:b]-db[0:4:2]")
    ('a-db0', 'a-db2', 'a-db4', 'b-db0', 'b-db2', 'b-db4')

    Raises:
        InvalidError: A range that is none, is empty, or gives more than `limit` names.
    """
    if (total := count(text)) > limit:
        raise InvalidError(f"{text!r} stands for {total} hosts", f"an inventory may have {limit}")
    return tuple("".join(words) for words in itertools.product(*_words(text)))


def _words(text: str) -> list[list[str]]:
    """By part of the pattern, what may stand there."""
    words: list[list[str]] = []
    at = 0
    for found, part in zip(_RANGE.finditer(text), _parts(text), strict=True):
        words += [[text[at : found.start()]], [_shown(found, each) for each in part]]
        at = found.end()
    return [*words, [text[at:]]]


def _shown(found: re.Match[str], item: int) -> str:
    begin = found[1]
    if begin.isalpha():
        return string.ascii_letters[item]
    return str(item).zfill(len(begin)) if begin.startswith("0") and len(begin) > 1 else str(item)


def _parts(text: str) -> Sequence[range]:
    if len(text) > _LONGEST:
        raise InvalidError(f"{text[:40]!r}… is too long for a host", "a name may have 253 characters")
    if is_range(_RANGE.sub("", text)):
        raise InvalidError(f"the range in {text!r} cannot be read", _FORM)
    return [_numbers(found, text) for found in _RANGE.finditer(text)]


def _numbers(found: re.Match[str], text: str) -> range:
    begin, end, step = found[1] or "0", found[2], found[3] or "1"
    if begin.isalpha() != end.isalpha():
        raise InvalidError(f"the range in {text!r} goes from a letter to a number", _FORM)
    if max(len(begin), len(end), len(step)) > _DIGITS:
        raise InvalidError(f"the range in {text!r} is too long", f"an inventory may have {HOSTS} hosts")
    if begin.startswith("0") and len(begin) > 1 and len(begin) != len(end):
        raise InvalidError(f"begin and end of the range in {text!r} differ in length", "write both alike: [01:20]")
    if int(step) == 0:
        raise InvalidError(f"the range in {text!r} has the step 0", "give a step of 1 or more")
    first, last = map(string.ascii_letters.index, (begin, end)) if begin.isalpha() else map(int, (begin, end))
    if first > last:
        raise InvalidError(f"the range in {text!r} is empty", "its begin must not be beyond its end")
    return range(first, last + 1, int(step))
