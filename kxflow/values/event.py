"""What a run tells while it goes on, as frozen values in the order of happening."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TypeAlias

from attrs import frozen

from kxflow.values.fault import Fault
from kxflow.values.report import Report
from kxflow.values.result import Attempt, Position, StepResult


@frozen
class TaskShape:
    """How large a task is: what a progress display needs to know beforehand.

    Attributes:
        module, task: Address.
        hosts: Names of the selected hosts, in order.
        steps: Number of steps, rescue steps included.
    """

    module: str
    task: str
    hosts: tuple[str, ...]
    steps: int


@frozen(kw_only=True)
class RunBegan:
    """A run began; nothing was sent yet.

    Attributes:
        run, pipeline: Id of the run, name of the pipeline.
        at: UTC.
        fingerprint: Digest of the pipeline's shape.
        hosts: Names of all hosts of the cluster, in order.
        shape: Its enabled tasks, in order.
    """

    run: str
    pipeline: str
    at: dt.datetime
    fingerprint: str
    hosts: tuple[str, ...]
    shape: tuple[TaskShape, ...]


@frozen(kw_only=True)
class StepBegan:
    """A step began on a host.

    Attributes:
        run: Id of the run.
        pipeline, module, task, step, host: The address.
        position: Place in the canonical order.
        at: UTC.
    """

    run: str
    pipeline: str
    module: str
    task: str
    step: str
    host: str
    position: Position
    at: dt.datetime


@frozen(kw_only=True)
class OutputChunk:
    """Bytes that a step wrote, as they came; only where asked for.

    Attributes:
        module, task, step, host: The address.
        position: Place in the canonical order.
        stream: `stdout` or `stderr`.
        data: Cut anywhere, also within a character; empty only where `missed` is all that there is to say.
        missed: Bytes of this stream, before these, that a sink is not given because it is too slow. Whoever reads a
            stream misses nothing.
    """

    module: str
    task: str
    step: str
    host: str
    position: Position
    stream: str
    data: bytes
    missed: int = 0


@frozen(kw_only=True)
class StepRetried:
    """A try of a step failed and another one follows.

    Attributes:
        module, task, step, host: The address.
        position: Place in the canonical order.
        attempt: The one that failed.
        delay: Seconds until the next.
    """

    module: str
    task: str
    step: str
    host: str
    position: Position
    attempt: Attempt
    delay: float


@frozen
class StepEnded:
    """A step has its result.

    Attributes:
        result: Its record, also where it was skipped or never ran.
    """

    result: StepResult


@frozen(kw_only=True)
class RunEnded:
    """The run is over, every result was given.

    Attributes:
        run, pipeline: Id of the run, name of the pipeline.
        at: UTC.
        faults: What went wrong with the run itself: interrupted, a sink could not write.
    """

    run: str
    pipeline: str
    at: dt.datetime
    faults: tuple[Fault, ...] = ()


Event: TypeAlias = RunBegan | StepBegan | OutputChunk | StepRetried | StepEnded | RunEnded


def fold(events: Iterable[Event]) -> Report:
    """The report of a stream whose events were kept: what `run` gives of the same pipeline."""
    results: list[StepResult] = []
    faults: tuple[Fault, ...] = ()
    for event in events:
        if isinstance(event, StepEnded):
            results.append(event.result)
        elif isinstance(event, RunEnded):
            faults = (*faults, *event.faults)
    return Report(results, faults)
