"""What a log says of its runs: a fold of its lines.

Believed is only what is proved: each line by its checksum, their order by `seq` and `prev`. The last line may be torn
(the process or the machine died while it was written): it is reported and left out. Damage anywhere else is an error
that names its place, for what follows a hole cannot be told from what never was.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen, mutable

from kxflow.journal.codec import LIMIT, Beside, chain, decode, intact, nothing_beside
from kxflow.journal.errors import LogError
from kxflow.journal.record import GENESIS, LogRepaired, Record, StepSent
from kxflow.values.event import RunBegan, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import UNDO, Position, Results, StepResult

if TYPE_CHECKING:
    from kxflow.values.report import Report


@frozen
class Torn:
    """A fragment at the end of a log, left out.

    Attributes:
        offset: Where it begins, in bytes from the start of the file.
        size: Its length in bytes.
    """

    offset: int
    size: int


@frozen(kw_only=True)
class Log:
    """One run, as its log tells it. Iterates over the results.

    Attributes:
        began: What was known before the first step.
        results: Every result that was recorded, in canonical order: by position, then host.
        sent: Steps that were sent and have no end, in the order of sending: they may have begun.
        ended: The end of the run; None where the log ends before it.
        repaired: Fragments that this run found at the end of the file and cut off.
        torn: A fragment at the end of the file, left out; only ever on its last run.
        runs: Ids of all runs in the file, in order.
    """

    began: RunBegan
    results: Results
    sent: tuple[StepSent, ...] = ()
    ended: RunEnded | None = None
    repaired: tuple[LogRepaired, ...] = ()
    torn: Torn | None = None
    runs: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.began.run

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return self.began.pipeline

    @property
    def took_back(self) -> bool:
        """It was a rollback: it did nothing but take back what another run did."""
        return bool(self.began.shape) and all(each.module == UNDO for each in self.began.shape)

    @property
    def complete(self) -> bool:
        """The end of the run was recorded."""
        return self.ended is not None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What went wrong with the run itself; a log without its end is a fault too, so it is never a success."""
        if self.ended is not None:
            return self.ended.faults
        few = ", ".join(f"{each.module}/{each.task}/{each.step} on {each.host}" for each in self.sent[:3])
        more = f", and {len(self.sent) - 3} more" if len(self.sent) > 3 else ""
        began = f"; these may have begun and have no end: {few}{more}" if few else ""
        return (Fault("unfinished", f"the log ends before the run did{began}", self.run),)

    def report(self) -> Report:
        """Results and faults as the run itself would have given them."""
        from kxflow.values.report import Report

        return Report(results=self.results, faults=self.faults)

    def __iter__(self) -> Iterator[StepResult]:
        return iter(self.results)


@mutable
class _Draft:
    """A run while its lines come in."""

    began: RunBegan
    results: dict[tuple[Position, str], StepResult] = field(factory=dict)
    sent: dict[tuple[Position, str], StepSent] = field(factory=dict)
    repaired: list[LogRepaired] = field(factory=list)
    ended: RunEnded | None = None

    def add(self, record: Record) -> None:
        if self.ended is not None:
            raise LogError(f"record {record.seq} stands behind the end of its run")
        match record.body:
            case StepSent() as sent:
                self._same_run(sent.run)
                self.sent[sent.key] = sent
            case StepEnded(result=result):
                if result.key in self.results:
                    raise LogError(f"record {record.seq} ends {result.path} on {result.host} a second time")
                self.results[result.key] = result
                self.sent.pop(result.key, None)
            case RunEnded() as ended:
                self._same_run(ended.run)
                self.ended = ended
            case LogRepaired() as repaired:
                self.repaired.append(repaired)

    def _same_run(self, run: str) -> None:
        if run != self.began.run:
            raise LogError(f"a record of run {run!r} stands in run {self.began.run!r}")

    def log(self, torn: Torn | None = None) -> Log:
        return Log(
            began=self.began,
            results=tuple(self.results[key] for key in sorted(self.results)),
            sent=tuple(self.sent.values()),
            ended=self.ended,
            repaired=tuple(self.repaired),
            torn=torn,
        )


def records(lines: Iterable[bytes], beside: Beside = nothing_beside) -> Iterator[tuple[int, Record] | Torn]:
    r"""Every record with the offset of its line, and last the torn fragment, where there is one.

    Args:
        lines: With their newlines, split on `b"\n"` only, as a binary file gives them.
        beside: Gives the bytes that were kept beside the log.

    Raises:
        LogError: Damage before the last line, a gap or change in the order, a newer version.
    """
    offset, seq, prev = 0, 0, GENESIS
    pending: bytes | None = None
    for line in lines:
        if pending is not None:
            record = _next(pending, offset, seq, prev, beside)
            yield offset, record
            offset, seq, prev = offset + len(pending), seq + 1, chain(pending)
        pending = line
    if pending is None:
        return
    if intact(pending):
        yield offset, _next(pending, offset, seq, prev, beside)
    else:
        yield Torn(offset, len(pending))


def _next(line: bytes, offset: int, seq: int, prev: str, beside: Beside) -> Record:
    try:
        record = decode(line, beside)
    except LogError as error:
        raise evolve(error, offset=offset) from error
    if record.seq != seq:
        raise LogError(f"record {record.seq} stands where {seq} belongs: lines are missing, doubled or moved", offset)
    if record.prev != prev:
        raise LogError(f"record {seq} does not follow the line before it: one of them was changed", offset)
    return record


def runs(lines: Iterable[bytes], beside: Beside = nothing_beside) -> Iterator[Log]:
    """Every run in a log, in order. Holds one run at a time.

    Raises:
        LogError: The log cannot be believed; see `records`.
    """
    draft: _Draft | None = None
    torn: Torn | None = None
    for item in records(lines, beside):
        if isinstance(item, Torn):
            torn = item
            break
        offset, record = item
        if isinstance(record.body, RunBegan):
            if draft is not None:
                yield draft.log()
            draft = _Draft(record.body)
        elif draft is None:
            raise LogError(f"record {record.seq} stands before the beginning of a run", offset)
        else:
            _add(draft, record, offset)
    if draft is not None:
        yield draft.log(torn)


def _add(draft: _Draft, record: Record, offset: int) -> None:
    try:
        draft.add(record)
    except LogError as error:
        raise evolve(error, offset=offset) from error


def fold(log: bytes | Iterable[bytes], run: str | None = None, beside: Beside = nothing_beside) -> Log:
    """One run of a log: the last, or the last with this id.

    Args:
        log: The bytes of the file, or its lines with their newlines.
        run: Id of a run.
        beside: Gives the bytes that were kept beside the log.

    Raises:
        LogError: The log cannot be believed, holds no run, or not this one.
    """
    lines = io.BytesIO(log) if isinstance(log, bytes) else log
    ids: list[str] = []
    found: Log | None = None
    for each in runs(lines, beside):
        ids.append(each.run)
        if run is None or each.run == run:
            found = each
    if found is None and run is not None and ids:
        raise LogError(f"holds no run {run!r}", remedy=f"it holds {', '.join(map(repr, ids[-5:]))}")
    if found is None:
        raise LogError("holds no run", remedy="the run died before it began, or this is no log of kxflow")
    return evolve(found, runs=tuple(ids))


__all__ = ["LIMIT", "Log", "Torn", "fold", "records", "runs"]
