"""Where a log ends, once all of it was seen to be whole: what a run writes behind must be readable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from kxflow.journal.codec import chain, intact, place_of
from kxflow.journal.errors import LogError
from kxflow.journal.record import GENESIS

_HEAD: Final = b'{"v":1,"seq":0,'


@frozen
class End:
    """Where a log ends.

    Attributes:
        size: Bytes of whole lines.
        seq, prev: What the next record is to say.
        torn: The fragment behind them.
    """

    size: int = 0
    seq: int = 0
    prev: str = GENESIS
    torn: bytes = b""


def end_of(lines: Iterable[bytes]) -> End:
    r"""The end of a log; every line before it is proved by its checksum, its number, and the hash of the line before.

    What the lines say is not read: 100 MB take half a second where lines are long, two where they are short.

    Args:
        lines: With their newlines, split on `b"\n"` only.

    Raises:
        LogError: A line is damaged, missing, or not of a log; or it is of a newer version.
    """
    offset, seq, prev = 0, 0, GENESIS
    pending = b""
    for line in lines:
        if pending:
            _check(pending, offset, seq, prev)
            offset, seq, prev = offset + len(pending), seq + 1, chain(pending)
        pending = line
    if intact(pending):
        _check(pending, offset, seq, prev)
        return End(offset + len(pending), seq + 1, chain(pending))
    if not seq and not _could_be_first(pending):
        raise LogError("it is no log of kxflow")
    return End(offset, seq, prev, pending)


def _check(line: bytes, offset: int, seq: int, prev: str) -> None:
    if not intact(line):
        if not seq and not _could_be_first(line):
            raise LogError("it is no log of kxflow")
        raise LogError("a record is damaged", offset)
    try:
        found = place_of(line)
    except LogError as error:
        raise evolve(error, offset=offset) from error
    if found != (seq, prev):
        what = f"record {found[0]} stands where {seq} belongs" if found[0] != seq else f"record {seq} was changed"
        raise LogError(f"{what}: lines are missing, doubled, moved or changed", offset)


def _could_be_first(torn: bytes) -> bool:
    return torn[: len(_HEAD)] == _HEAD[: len(torn)] or not torn.strip(b"\0")
