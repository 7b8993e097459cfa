"""Frames are found in any chunking, and nothing else is taken for one."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kxflow.shell.marks import FRAME_LIMIT, Mark, Piece, Splitter
from tests.shell.strategies import NONCE, OTHER, imitations, mark, outputs


def joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring bytes as one piece."""
    whole: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and whole and isinstance(whole[-1], bytes):
            whole[-1] += piece
        else:
            whole.append(piece)
    return whole


def split(data: bytes, sizes: list[int]) -> list[Piece]:
    """All pieces of this, fed in chunks of these sizes and then whole."""
    splitter = Splitter(NONCE)
    found: list[Piece] = []
    for size in sizes:
        found += splitter.feed(data[:size])
        data = data[size:]
    return joined([*found, *splitter.feed(data)])


STREAMS = st.lists(
    st.one_of(outputs(), st.sampled_from([mark("u"), mark("b", 0), mark("e", 0, "ran", 0), mark("d", "end")])),
    max_size=8,
)
SIZES = st.lists(st.integers(1, 40), max_size=40)


@given(parts=STREAMS, sizes=SIZES)
def test_chunking_changes_neither_marks_nor_bytes(parts: list[bytes], sizes: list[int]) -> None:
    """Whatever the chunks, the pieces are those of the whole, once what was held back has come."""
    data = b"".join(parts) + b"."
    assert split(data, sizes) == split(data, [])


@given(parts=st.lists(st.tuples(outputs(), st.sampled_from(["u", "b 7", "e 0 ran 0"])), max_size=6), sizes=SIZES)
def test_frames_between_any_outputs_are_all_found_and_the_bytes_are_kept(
    parts: list[tuple[bytes, str]], sizes: list[int]
) -> None:
    """What was written between the frames comes out, byte for byte."""
    data = b"".join(output + mark(words) for output, words in parts)
    expected: list[Piece] = []
    for output, words in parts:
        expected += [output] if output else []
        expected.append(Mark(tuple(words.split())))
    assert split(data, sizes) == expected


@given(parts=st.lists(imitations(), max_size=10), sizes=SIZES)
def test_imitations_are_bytes(parts: list[bytes], sizes: list[int]) -> None:
    """Another nonce, a nonce cut short, NULs: no marks; and all of it comes out but what may still become one."""
    data = b"".join(parts)
    assume(b"\0" + NONCE.encode() + b" " not in data)
    pieces = split(data, sizes)
    assert not [piece for piece in pieces if isinstance(piece, Mark)]
    got = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    assert data.startswith(got)
    assert len(data) - len(got) <= len(NONCE) + 2


@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_a_mark_that_is_cut_at_the_end_of_the_stream_is_no_mark(data: bytes, cut: int) -> None:
    """Only with its last byte is it one."""
    text = data.replace(b"\0", b"") + mark("e", 0, "ran", 0)
    pieces = split(text[: min(cut, len(text) - 1)], [])
    assert not [piece for piece in pieces if isinstance(piece, Mark)]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (b"\0" + NONCE.encode() + b" \0", [Mark(())]),
        (b"\0" + NONCE.encode() + b" \xff\xfe 1\0", [Mark(("\ufffd\ufffd", "1"))]),
        (b"\0" + NONCE.encode() + b" " + b"x" * (FRAME_LIMIT - 1) + b"\0", [Mark(("x" * (FRAME_LIMIT - 1),))]),
        (b"\0" + NONCE.encode() + b" " + b"x" * FRAME_LIMIT + b"\0", []),
        (f"\0{OTHER} u\0".encode(), []),
        (mark("u") * 3, [Mark(("u",))] * 3),
        (b"\0" + mark("u"), [Mark(("u",))]),
        (b"\0" + NONCE.encode() + mark("u"), [Mark(("u",))]),
        (b"\0" + NONCE.encode() + b" " + b"y" * 500 + mark("u"), [Mark(("u",))]),
    ],
)
def test_odd_marks_are_what_they_are(text: bytes, marks: list[Mark]) -> None:
    """Empty, not ASCII, at the limit and over it, one after the other, behind a beginning that came to nothing."""
    for sizes in ([], [1] * len(text)):
        assert [piece for piece in split(text, sizes) if isinstance(piece, Mark)] == marks


def test_memory_is_bounded_by_one_marks_length_whatever_a_host_writes() -> None:
    """Beginnings of marks without an end, by the megabyte, are given away."""
    splitter = Splitter(NONCE)
    lead = b"\0" + NONCE.encode() + b" "
    for block in (lead * 1000, b"\0" * 50_000, lead + b"x" * 50_000, lead[:-1] * 1000):
        tracemalloc.start()
        for _ in range(20):
            splitter.feed(block)
            assert len(splitter._rest) <= len(lead) + FRAME_LIMIT
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * len(block) + 100_000
