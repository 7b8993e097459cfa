"""Files that travel behind a program: only where a host says that it needs them, a piece at a time."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import anyio
from attrs import evolve, frozen

from kxflow.shell.program import Op
from kxflow.values.action import Upload
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
        return
    digest, left = hashlib.sha256(), upload.size
    try:
        async with await anyio.open_file(upload.source, "rb") as source:
            while left:
                data = await source.read(min(PIECE, left))
                digest.update(data)
                left -= len(data)
                if not data or (not left and digest.hexdigest() != upload.sha256):
                    raise UploadError(f"{upload.source} was changed while it was sent")
                yield data
    except OSError as error:
        if isinstance(error, UploadError):
            raise
        raise UploadError(f"{upload.source}: {error.strerror}") from error


@frozen
class Segment:
    """Neighbouring ops that go out as one program.

    Attributes:
        ops: Numbered from 0.
        first: Index of the first of them among all ops.
        upload: The file that comes behind it: it is a program of one op then.
    """

    ops: tuple[Op, ...]
    first: int
    upload: Upload | None = None


def segments(ops: Sequence[Op]) -> list[Segment]:
    """Ops cut behind each one that may need a file: it is only asked first, then sent with its file."""
    found: list[Segment] = []
    begin = 0
    for place, op in enumerate(ops):
        upload = op.command.upload
        if upload is None:
            continue
        found.append(Segment(_numbered([*ops[begin:place], _dry(op)]), begin))
        found.append(Segment(_numbered([op]), place, upload))
        begin = place + 1
    if begin < len(ops):
        found.append(Segment(_numbered(ops[begin:]), begin))
    return found


def _dry(op: Op) -> Op:
    probe = op.command.probe
    return op if probe is None else evolve(op, command=evolve(op.command, probe=evolve(probe, dry=True)))


def _numbered(ops: Sequence[Op]) -> tuple[Op, ...]:
    return tuple(evolve(op, index=index) for index, op in enumerate(ops))
