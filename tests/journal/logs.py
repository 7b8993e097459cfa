"""Small logs to try things on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kxflow.journal.codec import encode
from kxflow.journal.record import GENESIS, Body, Record, StepSent
from kxflow.values.event import RunBegan, RunEnded
from kxflow.values.fault import Fault
from kxflow.values.result import Position, Status, StepResult

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def began(run: str = "r1") -> RunBegan:
    """The beginning of a run without tasks."""
    return RunBegan(run=run, pipeline="deploy", at=NOW, fingerprint="f", hosts=(), shape=())


def ended(run: str = "r1", *faults: Fault) -> RunEnded:
    """The end of a run."""
    return RunEnded(run=run, pipeline="deploy", at=NOW, faults=faults)


def result(place: int, run: str = "r1") -> StepResult:
    """A plain result at a place."""
    return StepResult(
        run=run,
        pipeline="deploy",
        module="web",
        task="join",
        step="join",
        host=f"web{place}",
        position=Position(0, 0, 0, place),
        status=Status.Succeeded,
        started_at=NOW,
        ended_at=NOW,
    )


def sent(place: int, run: str = "r1") -> StepSent:
    """The sending of the step at a place."""
    each = result(place)
    return StepSent(run=run, module="web", task="join", step="join", host=each.host, position=each.position, digest="d")


def lines(bodies: Sequence[Body]) -> list[bytes]:
    """A log's lines, in order and chained."""
    found: list[bytes] = []
    prev = GENESIS
    for seq, body in enumerate(bodies):
        line = encode(Record(seq, NOW, prev, body))
        found.append(line.data)
        prev = line.hash
    return found
