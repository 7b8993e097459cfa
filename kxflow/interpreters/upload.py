"""Files that travel behind a program: only where a host says that it needs them, a piece at a time."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import anyio
import anyio.to_thread
from attrs import evolve, frozen

from kxflow.shell.program import Op
from kxflow.values.action import Source, Upload
from kxflow.values.errors import KxflowError

PIECE: Final = 1 << 20


@frozen
class UploadError(KxflowError, OSError):
    """A file here is not what it was when the step was made, or cannot be read any more."""

    what: str

    def __str__(self) -> str:
        return self.what


async def pieces(upload: Upload) -> AsyncIterator[bytes]:
    """The bytes of a file, just as many as were announced; the last comes only when all are what they were.

    Raises:
        UploadError: They are not, or cannot be read.
    """
    if isinstance(upload.source, bytes):
        for start in range(0, upload.size, PIECE):
            yield upload.source[start : start + PIECE]
    elif isinstance(upload.source, str):
        async for data in _of_file(upload, upload.source):
            yield data
    else:
        async for data in _of_source(upload, upload.source):
            yield data


async def _of_source(upload: Upload, source: Source) -> AsyncIterator[bytes]:
    made, left = source.pieces(), upload.size
    try:
        while left:
            data = await anyio.to_thread.run_sync(next, made, b"")
            left -= len(data)
            if not data or left < 0:
                raise UploadError(f"what goes to {upload.target} was changed while it was sent")
            yield data
    except OSError as error:
        if isinstance(error, UploadError):
            raise
        raise UploadError(str(error)) from error


async def _of_file(upload: Upload, path: str) -> AsyncIterator[bytes]:
    digest, left = hashlib.sha256(), upload.size
    try:
        async with await anyio.open_file(path, "rb") as source:

            def read(size: int) -> bytes:
                data = source.wrapped.read(size)
                digest.update(data)  # in the thread: it takes as long as the encryption, which the loop does meanwhile
                return data

            while left:
                data = await anyio.to_thread.run_sync(read, min(PIECE, left))
                left -= len(data)
                if not data or (not left and digest.hexdigest() != upload.sha256):
                    raise UploadError(f"{path} was changed while it was sent")
                yield data
    except OSError as error:
        if isinstance(error, UploadError):
            raise
        raise UploadError(f"{path}: {error.strerror}") from error


@frozen
class Segment:
    """Neighbouring ops that go out as one program.

    Attributes:
        ops: Numbered from 0.
        first: Index of the first of them among all ops.
        asks: The last of them is only asked.
        acts: It is the one that was asked in the segment before.
    """

    ops: tuple[Op, ...]
    first: int
    asks: bool = False
    acts: bool = False


def segments(ops: Sequence[Op]) -> list[Segment]:
    """Ops cut behind each one that is done in two: it is only asked first, then sent with what it needs."""
    found: list[Segment] = []
    begin = 0
    for place, op in enumerate(ops):
        if not op.command.in_two:
            continue
        found.append(Segment(_numbered([*ops[begin:place], _dry(op)]), begin, asks=True))
        found.append(Segment(_numbered([op]), place, acts=True))
        begin = place + 1
    if begin < len(ops):
        found.append(Segment(_numbered(ops[begin:]), begin))
    return found


def _dry(op: Op) -> Op:
    probe = op.command.probe
    return op if probe is None else evolve(op, command=evolve(op.command, probe=evolve(probe, dry=True)))


def _numbered(ops: Sequence[Op]) -> tuple[Op, ...]:
    return tuple(evolve(op, index=index) for index, op in enumerate(ops))
