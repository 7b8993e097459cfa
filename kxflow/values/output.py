"""What a program wrote, bounded."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from kxflow.values.redact import Redactor, Veil

HEAD: Final = 16 * 1024
TAIL: Final = 48 * 1024
_EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing


@frozen(repr=False)
class Output:
    r"""One stream of one step: its first and last bytes, its full size and digest.

    Shape: `head` is at most 16 KiB, `tail` at most 48 KiB; what lay between was counted, digested and dropped.

    >>> str(Output.of(b"caf\xc3\xa9 \xff"))
    'café \\xff'

    In a record the secrets that its run knew are masked, by as many bytes. The digest is that of the masked bytes: an
    output that is nothing but a secret cannot be told by guessing.

    Attributes:
        head, tail: Bytes as they came. `tail` is empty while all fits into `head`.
        size: Bytes that came in all.
        sha256: Hex digest of all bytes that came; empty where it would tell of a secret, or nothing was kept.
    """

    head: bytes = b""
    tail: bytes = b""
    size: int = 0
    sha256: str = _EMPTY

    @classmethod
    def of(cls, data: bytes) -> Output:
        """The record of bytes that are all at hand."""
        if not data:
            return cls()
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


class _Ends:
    """First and last bytes, size and digest, as they grow."""

    __slots__ = ("digest", "head", "size", "tail")

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.size = 0
        import hashlib

        self.digest = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.digest.update(chunk)
        room = HEAD - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self.tail += chunk
            if len(self.tail) > 2 * TAIL:
                del self.tail[:-TAIL]

    def copy(self) -> _Ends:
        same = _Ends()
        same.head, same.tail, same.size, same.digest = self.head[:], self.tail[:], self.size, self.digest.copy()
        return same

    def take(self) -> Output:
        return Output(bytes(self.head), bytes(self.tail[-TAIL:]), self.size, self.digest.hexdigest())


class Collector:
    """Grows an `Output` from chunks in bounded memory; `take()` gives the value.

    With `whole` set it also keeps every byte up to that many, for values that are parsed. What a redactor knows is
    masked in the output, and in nothing else.
    """

    __slots__ = ("_kept", "_unmasked", "_veil", "_whole", "limit", "size")

    def __init__(self, whole: int = 0, redactor: Redactor | None = None) -> None:
        self._kept = _Ends()
        self._unmasked: _Ends | None = None  # apart from what is kept once something was masked
        self._veil = Veil(redactor) if redactor is not None and redactor.knows else None
        self._whole = bytearray()
        self.size = 0
        self.limit = whole

    def add(self, chunk: bytes) -> bytes:
        """Take the next bytes; gives those that are certain by now, masked: they may lag behind."""
        self.size += len(chunk)
        if len(self._whole) < self.limit:
            self._whole += chunk[: self.limit - len(self._whole)]
        if self._veil is None:
            self._kept.add(chunk)
            return chunk
        certain, masked = self._veil.feed(chunk)
        if masked is not certain and self._unmasked is None:
            self._unmasked = self._kept.copy()
        return self._keep(certain, masked)

    def _keep(self, certain: bytes, masked: bytes) -> bytes:
        self._kept.add(masked)
        if self._unmasked is not None:
            self._unmasked.add(certain)
        return masked

    def rest(self) -> bytes:
        """What lagged behind, at the end."""
        if self._veil is None:
            return b""
        rest = self._veil.rest()
        return self._keep(rest, rest)

    @property
    def overflowed(self) -> bool:
        """More came than was to be kept whole."""
        return self.size > self.limit

    def whole(self) -> bytes:
        """Every byte, up to the limit."""
        return bytes(self._whole)

    def take(self) -> Output:
        """The bounded record of what came so far."""
        self.rest()
        return self._kept.take()

    def unmasked(self) -> Output | None:
        """The same with nothing masked; None where nothing was."""
        self.rest()
        return None if self._unmasked is None else self._unmasked.take()
