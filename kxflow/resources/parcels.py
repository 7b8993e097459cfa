"""Files of a folder here, as a tar that is made while it is sent."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kxflow.resources.trees import BYTES, Entry

PIECE: Final = 1 << 20
_BLOCK: Final = tarfile.BLOCKSIZE


@frozen
class Parcel:
    """A tar of files of a folder here, made while it is sent: a folder `0`, `1`, … for each that they go to.

    Attributes:
        root: The folder.
        files: In the order in which they are sent.
    """

    root: str
    files: tuple[Entry, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """Where they go: the number of a folder is its place here."""
        return tuple(dict.fromkeys(each.name.rpartition("/")[0] for each in self.files))

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return sum(len(head) + _padded(0 if each is None else each.size) for head, each in self._members()) + 2 * _BLOCK

    def _members(self) -> Iterator[tuple[bytes, Entry | None]]:
        """The header of each member, and the file that comes behind it."""
        numbers = {name: number for number, name in enumerate(self.folders)}
        last = -1
        for each in self.files:
            folder, _, name = each.name.rpartition("/")
            number = numbers[folder]
            if number > last:
                last = number
                yield _header(f"{number}/", 0o700, tarfile.DIRTYPE), None
            mode = int(each.mode.split(":")[0], 8)
            yield _header(f"{number}/{name}", mode, tarfile.REGTYPE, each.size), each

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the tar.

        Raises:
            OSError: A file is not what it was when the list was made.
        """
        waiting = bytearray()
        for head, each in self._members():
            waiting += head
            for data in () if each is None else self._content(each):
                waiting += data
                if len(waiting) >= PIECE:
                    yield bytes(waiting)
                    waiting.clear()
        yield bytes(waiting) + bytes(2 * _BLOCK)

    def _content(self, entry: Entry) -> Iterator[bytes]:
        path = os.path.join(self.root, entry.name)  # noqa: PTH118 -- text with surrogate escapes
        found, left = hashlib.sha256(), entry.size
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb", buffering=0) as opened:
            while data := opened.read(min(PIECE, left)) if left else b"":
                found.update(data)
                left -= len(data)
                yield data
        if left or found.hexdigest() != entry.digest:
            raise OSError(f"{path} was changed while it was sent")
        yield bytes(_padded(entry.size) - entry.size)


def _header(name: str, mode: int, kind: bytes, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.size = mode, kind, size
    return info.tobuf(tarfile.GNU_FORMAT, *BYTES)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
