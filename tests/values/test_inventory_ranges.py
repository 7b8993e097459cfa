"""Host ranges."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kxflow.values.errors import InvalidError
from kxflow.values.inventory import ranges

LETTERS = string.ascii_letters


def oracle(text: str) -> list[str]:
    """Ansible's way, said anew: expand the first range, then what is left of each name, one by one."""
    if "[" not in text:
        return [text]
    head, _, rest = text.partition("[")
    inside, _, tail = rest.partition("]")
    begin, end, *more = inside.split(":")
    step = int(more[0]) if more else 1
    names = []
    if begin in LETTERS and begin:
        items = list(LETTERS[LETTERS.index(begin) : LETTERS.index(end) + 1 : step])
    else:
        begin = begin or "0"
        width = len(begin) if begin[0] == "0" and len(begin) > 1 else 0
        items = [str(each).rjust(width, "0") for each in range(int(begin), int(end) + 1, step)]
    for item in items:
        names.extend(oracle(head + item + tail))
    return names


@st.composite
def numeric(draw: st.DrawFn) -> str:
    """Ranges of numbers."""
    first = draw(st.integers(0, 120))
    last = first + draw(st.integers(0, 12))
    if draw(st.booleans()):
        width = len(str(last)) + draw(st.integers(1, 2))
        begin, end = str(first).zfill(width), str(last).zfill(width)
    else:
        begin, end = draw(st.sampled_from(["", "0"])) if first == 0 else str(first), str(last)
    step = draw(st.sampled_from(["", ":1", ":2", ":05"]))
    return f"[{begin}:{end}{step}]"


@st.composite
def alphabetic(draw: st.DrawFn) -> str:
    """Ranges of letters."""
    first = draw(st.integers(0, 51))
    last = draw(st.integers(first, min(51, first + 10)))
    return f"[{LETTERS[first]}:{LETTERS[last]}{draw(st.sampled_from(['', ':3']))}]"


words = st.text("abz09.-", max_size=4)
patterns = st.tuples(words, st.lists(st.tuples(numeric() | alphabetic(), words), max_size=2)).map(
    lambda parts: parts[0] + "".join(r + w for r, w in parts[1])
)


@settings(deadline=None)
@given(pattern=patterns)
def test_ranges_expand_as_ansible_does(pattern: str) -> None:
    """Same names in the same order, and `count` tells how many."""
    names = ranges.expand(pattern)
    assert list(names) == oracle(pattern)
    assert ranges.count(pattern) == len(names)


@settings(deadline=None)
@given(text=st.text("a1[]:-", max_size=12))
def test_any_text_expands_or_is_invalid(text: str) -> None:
    """Nothing but InvalidError, and no bracket is left over."""
    try:
        names = ranges.expand(text)
    except InvalidError:
        return
    assert names
    assert not any(ranges.is_range(name) for name in names)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("web[1-3]", "cannot be read"),
        ("web[1:3", "cannot be read"),
        ("web1:3]", "cannot be read"),
        ("web[]", "cannot be read"),
        ("web[1:]", "cannot be read"),
        ("web[ab:cd]", "cannot be read"),
        ("web[1:2:3:4]", "cannot be read"),
        ("web[[1:2]]", "cannot be read"),
        ("web[a:3]", "from a letter to a number"),
        ("web[01:100]", "differ in length"),
        ("web[3:1]", "is empty"),
        ("web[c:a]", "is empty"),
        ("web[1:9:0]", "step 0"),
        ("web[1:1000000000000]", "too long"),
        ("web[1:999999999]", "stands for 999999999 hosts"),
        ("web[1:1000][1:1000]", "stands for 1000000 hosts"),
    ],
)
def test_a_range_that_is_none_says_why(pattern: str, what: str) -> None:
    """With a remedy, and without making the names."""
    with pytest.raises(InvalidError) as caught:
        ranges.expand(pattern)
    assert what in caught.value.what
    assert caught.value.remedy
