"""What a program wrote, bounded."""

from __future__ import annotations

from typing import Final

from attrs import frozen

HEAD: Final = 16 * 1024
TAIL: Final = 48 * 1024
_EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing


@frozen(repr=False)
class Output:
    r"""One stream of one step: its first and last bytes, its full size and digest.

    Shape: `head` is at most 16 KiB, `tail` at most 48 KiB; what lay between was counted, digested and dropped.

    >>> str(Output.of(b"caf\xc3\xa9 \xff"))
    'café \\xff'

    Attributes:
        head, tail: Bytes as they came. `tail` is empty while all fits into `head`.
        size: Bytes that came in all.
        sha256: Hex digest of all bytes that came.
    """

    head: bytes = b""
    tail: bytes = b""
    size: int = 0
    sha256: str = _EMPTY

    @classmethod
    def of(cls, data: bytes) -> Output:
        """The record of bytes that are all at hand."""
        import hashlib

        head, rest = data[:HEAD], data[HEAD:]
        return cls(head, rest[-TAIL:], len(data), hashlib.sha256(data).hexdigest())

    @property
    def complete(self) -> bool:
        """Nothing was dropped."""
        return self.size == len(self.head) + len(self.tail)

    @property
    def dropped(self) -> int:
        """How many bytes were counted and not kept."""
        return self.size - len(self.head) - len(self.tail)

    @property
    def data(self) -> bytes:
        """The bytes that were kept, a marker line where some were dropped."""
        if self.complete:
            return self.head + self.tail
        return self.head + f"\n[… {self.dropped} bytes not kept …]\n".encode() + self.tail

    def lines(self) -> tuple[str, ...]:
        """The kept text by lines, split on newlines only."""
        text = str(self)
        return tuple((text.removesuffix("\n")).split("\n")) if text else ()

    def __str__(self) -> str:
        return self.data.decode("utf-8", "backslashreplace")

    def __bool__(self) -> bool:
        return self.size > 0

    def __repr__(self) -> str:
        text = str(self)
        shown = text if len(text) <= 60 else text[:40] + "…" + text[-19:]
        return f"Output({shown!r}, size={self.size})"


class Collector:
    """Grows an `Output` from chunks in bounded memory; `take()` gives the value.

    With `whole` set it also keeps every byte up to that many, for values that are parsed.
    """

    __slots__ = ("_digest", "_head", "_tail", "_whole", "limit", "size")

    def __init__(self, whole: int = 0) -> None:
        import hashlib

        self._head = bytearray()
        self._tail = bytearray()
        self._whole = bytearray()
        self._digest = hashlib.sha256()
        self.size = 0
        self.limit = whole

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size += len(chunk)
        self._digest.update(chunk)
        if len(self._whole) < self.limit:
            self._whole += chunk[: self.limit - len(self._whole)]
        room = HEAD - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail += chunk
            if len(self._tail) > 2 * TAIL:
                del self._tail[:-TAIL]

    @property
    def overflowed(self) -> bool:
        """More came than was to be kept whole."""
        return self.size > self.limit

    def whole(self) -> bytes:
        """Every byte, up to the limit."""
        return bytes(self._whole)

    def take(self) -> Output:
        """The bounded record of what came so far."""
        return Output(bytes(self._head), bytes(self._tail[-TAIL:]), self.size, self._digest.hexdigest())
