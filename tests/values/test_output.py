"""Output: what a program wrote, bounded, whatever pieces it came in."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.values.output import HEAD, TAIL, Collector
from tests.laws import laws

LAWS = laws(60)
SIZES = st.one_of(
    st.integers(0, 40),
    st.sampled_from([HEAD - 1, HEAD, HEAD + 1, TAIL, HEAD + TAIL - 1, HEAD + TAIL, HEAD + TAIL + 1, 3 * TAIL + 7]),
    st.integers(0, 300_000),
)


def written(size: int) -> bytes:
    """So many bytes, each place told from the others."""
    return bytes(i * 31 % 251 for i in range(size))


@LAWS
@given(size=SIZES, cuts=st.lists(st.floats(0, 1), max_size=6), whole=st.sampled_from([0, 1, 100, 400_000]))
def test_any_chunking_gives_the_same_output(size: int, cuts: list[float], whole: int) -> None:
    """A collector that grew it is equal to the output of all bytes at once, at every point on the way."""
    data = written(size)
    places = sorted({0, size, *(int(cut * size) for cut in cuts)})
    collector = Collector(whole)
    for start, end in pairwise(places):
        collector.add(data[start:end])
        assert collector.take() == kx.Output.of(data[:end])
    assert collector.take() == kx.Output.of(data)
    assert collector.overflowed == (size > whole)
    if not collector.overflowed:
        assert collector.whole() == data


def test_single_bytes_give_the_same_output() -> None:
    """The smallest chunks there are, over both bounds."""
    data = written(HEAD + TAIL + 100)
    collector = Collector()
    for place in range(len(data)):
        collector.add(data[place : place + 1])
    collector.add(b"")
    assert collector.take() == kx.Output.of(data)


@LAWS
@given(size=SIZES)
def test_an_output_is_bounded_and_knows_all_that_came(size: int) -> None:
    """At most 16 KiB of head and 48 KiB of tail; size and digest are of everything."""
    data = written(size)
    output = kx.Output.of(data)
    assert (len(output.head), len(output.tail)) == (min(size, 16 * 1024), min(max(0, size - 16 * 1024), 48 * 1024))
    assert data.startswith(output.head)
    assert data.endswith(output.tail)
    assert (output.size, output.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert output.complete == (size <= 64 * 1024)
    assert output.dropped == max(0, size - 64 * 1024)
    assert bool(output) == (size > 0)


@pytest.mark.parametrize("size", [0, 1, HEAD, HEAD + TAIL])
def test_a_complete_output_is_its_data(size: int) -> None:
    """Nothing was dropped, so no mark stands in it."""
    output = kx.Output.of(written(size))
    assert output.complete
    assert output.data == written(size)


def test_an_incomplete_output_says_how_much_is_missing() -> None:
    """On a line between head and tail."""
    output = kx.Output.of(b"a" * HEAD + b"b" * 10 + b"c" * TAIL)
    assert output.data == b"a" * HEAD + "\n[… 10 bytes not kept …]\n".encode() + b"c" * TAIL
    assert "10 bytes not kept" in str(output)


def test_memory_of_a_collector_is_bounded() -> None:
    """However much comes; what was to be kept whole and is too large is not kept."""
    collector = Collector(whole=100)
    collector.add(bytes(1_000_000))
    for _ in range(200):
        collector.add(bytes(10_000))
    held = len(collector._kept.head) + len(collector._kept.tail) + len(collector._whole)
    assert held <= HEAD + 2 * TAIL + 100
    assert collector.overflowed
    assert collector.size == 3_000_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"caf\xc3\xa9\n", "café\n"),
        (b"caf\xe9 \xff\x80", "caf\\xe9 \\xff\\x80"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"a\0b\r\x1b[2J", "a\0b\r\x1b[2J"),
    ],
)
def test_undecodable_bytes_are_escaped(data: bytes, text: str) -> None:
    """What is UTF-8 is text as it is."""
    assert str(kx.Output.of(data)) == text


@laws()
@given(data=st.binary(max_size=200))
def test_the_text_of_any_output_can_be_encoded(data: bytes) -> None:
    """No surrogate is in it, and UTF-8 comes back as it was."""
    text = str(kx.Output.of(data))
    assert text.encode().decode() == text
    try:
        assert text == data.decode()
    except UnicodeDecodeError:
        assert "\\x" in text


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", ()),
        (b"\n", ("",)),
        (b"a", ("a",)),
        (b"a\n", ("a",)),
        (b"a\n\nb\n\n", ("a", "", "b", "")),
        ("a\u2028b\x0bc\rd\x85e\n".encode(), ("a\u2028b\x0bc\rd\x85e",)),
    ],
)
def test_lines_are_split_on_newlines_only(data: bytes, lines: tuple[str, ...]) -> None:
    """As the host meant them; the last newline ends the last line."""
    assert kx.Output.of(data).lines() == lines


def test_the_repr_is_short() -> None:
    """Both ends of a long text, and the size."""
    assert repr(kx.Output.of(b"ok\n")) == "Output('ok\\n', size=3)"
    long = repr(kx.Output.of(b"a" * 90_000 + b"end"))
    assert long.endswith("aend', size=90003)")
    assert len(long) < 90


def test_an_output_is_a_frozen_value() -> None:
    """Equal bytes make equal outputs with one hash."""
    odd: Any = kx.Output.of(b"a")
    with pytest.raises(AttributeError):
        odd.size = 2
    assert hash(kx.Output.of(b"a")) == hash(kx.Output.of(b"a"))
    assert kx.Output.of(b"") == kx.Output()
