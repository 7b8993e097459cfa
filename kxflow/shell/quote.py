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


def printf_format(data: bytes) -> bytes:
    """A quoted format for the builtin `printf` that writes exactly these bytes, NUL and all.

    >>> printf_format(b"50%\\x00")
    b"'50%%\\\\000'"

    A leading dash would be an option.
    """
    escaped = data.replace(b"\\", b"\\\\").replace(b"%", b"%%").replace(b"\0", b"\\000")
    return quote(b"\\055" + escaped[1:] if escaped.startswith(b"-") else escaped)
