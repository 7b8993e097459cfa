"""Frames in a stream of bytes: find them in any chunking, and take nothing else for one."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import frozen

# Ours are shorter than 40 bytes; what has no end by then was not written by a program of ours.
FRAME_LIMIT: Final = 128


@frozen
class Mark:
    """The words of one frame."""

    words: tuple[str, ...]


Piece: TypeAlias = bytes | Mark


class Splitter:
    """Cuts one stream into data and marks: `NUL nonce blank words NUL`.

    Holds back at most one mark's length. Whatever the chunking, the marks are the same, and so are the bytes between.

    >>> Splitter("abc").feed(b"x\\x00abc u\\x00y")
    [b'x', Mark(words=('u',)), b'y']
    """

    __slots__ = ("_lead", "_rest")

    def __init__(self, nonce: str) -> None:
        self._lead = b"\0" + nonce.encode() + b" "
        self._rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        """The next bytes, as what is certain by now."""
        text = self._rest + data
        found: list[Piece] = []
        begin = look = 0
        while (at := text.find(self._lead, look)) >= 0:
            words = at + len(self._lead)
            end = text.find(b"\0", words, words + FRAME_LIMIT)
            if end < 0:
                if len(text) < words + FRAME_LIMIT:
                    break
                look = at + 1
                continue
            if at > begin:
                found.append(text[begin:at])
            found.append(Mark(tuple(text[words:end].decode("ascii", "replace").split())))
            begin = look = end + 1
        keep = at if at >= 0 else self._unsure(text, look)
        if keep > begin:
            found.append(text[begin:keep])
        self._rest = text[keep:]
        return found

    def _unsure(self, text: bytes, since: int) -> int:
        """Where at the end a mark may have begun; the end, where none has."""
        at = max(since, len(text) - len(self._lead) + 1)
        while (at := text.find(b"\0", at)) >= 0:
            if self._lead.startswith(text[at:]):
                return at
            at += 1
        return len(text)
