"""Words for a POSIX shell, byte by byte."""

from __future__ import annotations

from kxflow.values.action import Word


def to_bytes(word: Word) -> bytes:
    """A word as the bytes that a program will see; text is UTF-8, surrogate escapes give their bytes back."""
    return word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")


def quote(word: Word) -> bytes:
    """The word in single quotes: every shell takes it literally.

    >>> quote("it's")
    b"'it'\\\\''s'"
    """
    return b"'" + to_bytes(word).replace(b"'", b"'\\''") + b"'"


def escaped(data: bytes) -> bytes:
    """A quoted word of the escapes that `printf %b` knows, for exactly these bytes, NUL and all.

    >>> escaped(b"50%\\x00")
    b"'50%\\\\0000'"
    """
    return quote(data.replace(b"\\", b"\\\\").replace(b"\0", b"\\0000"))
