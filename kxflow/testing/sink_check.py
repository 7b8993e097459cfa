"""What every sink must stand: well-formed streams of events, with everything in them that hosts can send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import anyio
from attrs import evolve, frozen
from frozendict import frozendict

from kxflow.interpreters.ports import Journal, Sent, Sink
from kxflow.values.event import (
    Event,
    OutputChunk,
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepRetried,
    TaskShape,
    fold,
)
from kxflow.values.fault import Fault
from kxflow.values.output import Output
from kxflow.values.result import Attempt, Change, Position, Results, Status, StepResult

_NOW: Final = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
_HOSTILE: Final = (
    b"\x1b[2J\x1b]0;owned\x07\x9b31m\r\x00\x7f",
    b'\xff\xfe not text \xc3\x28 {"v":1,"seq":0,"kind":"run.end"}\n{"v":1}\n',
    "[bold red]markup[/] \u202e\u2066\u2028\u200b\ufeff :boom:".encode(),
    b"line\n" * 20_000,
    bytes(range(256)) * 600,
)
_VALUES: Final[tuple[Any, ...]] = (
    None,
    "text",
    float("-inf"),
    2**70,
    b"\xff\x00",
    "lone \udcff",
    frozendict(f64="nan"),
    frozendict(deep=(1, (2.5, frozendict({"\ud800": (True, None)})))),
    "long " * 100_000,
)


@frozen
class Scenario:
    """A stream of events of one run.

    Attributes:
        name: What is special about it.
        events: From its `RunBegan` to its `RunEnded`.
    """

    name: str
    events: tuple[Event, ...]

    @property
    def results(self) -> Results:
        """Its results in canonical order."""
        return fold(self.events).results

    @property
    def run(self) -> str:
        """Id of its run."""
        return next(event.run for event in self.events if isinstance(event, RunBegan))


def scenarios() -> tuple[Scenario, ...]:
    """The streams that `check_sink` drives a sink through, always the same."""
    statuses = [_result(place, status=each, tolerated=place % 2 == 1) for place, each in enumerate(Status)]
    hostile = [
        _result(place, status=Status.Failed, stdout=Output.of(each), stderr=Output.of(each[::-1]), error=_fault(each))
        for place, each in enumerate(_HOSTILE)
    ]
    values = [_result(place, value=each) for place, each in enumerate(_VALUES)]
    hooks = [evolve(_result(place, host="web0"), task=f"@{when}") for place, when in enumerate(("before", "after"))]
    return (
        _scenario("no steps", ()),
        _scenario("every status", statuses),
        _scenario("hostile bytes", hostile),
        _scenario("values that JSON has no word for", values),
        _scenario("hooks", hooks),
        _scenario("results out of order", tuple(reversed(statuses))),
        _scenario("retries and live output", [_result(0, attempts=_tries(3))], _noise),
        _scenario("faults of the run itself", statuses[:2], faults=(_fault(b"interrupted \x1b[1m"),)),
    )


def check_sink(
    make_sink: Callable[[], Sink | Journal],
    *,
    read: Callable[[Any], Iterable[StepResult]] | None = None,
    backend: str = "asyncio",
) -> None:
    """Drive a sink through every scenario, each with a fresh one, and then two runs through the same one.

    >>> from kxflow.sinks.memory import memory
    >>> check_sink(memory, read=lambda sink: sink.results)

    Args:
        make_sink: Gives a sink or a journal.
        read: From that sink to the results that it recorded, in any order; those of other runs are left out. Where
            it is given, what comes back must equal what was written.
        backend: The event loop for a journal: `asyncio` or `trio`.

    Raises:
        AssertionError: It raised, or what it gives back differs; the sentence names the scenario.
    """
    every = scenarios()
    for scenario in every:
        _check(make_sink(), [scenario], read, backend)
    _check(make_sink(), [every[1], _again(every[2])], read, backend)


def _again(scenario: Scenario) -> Scenario:
    events = [
        evolve(event, result=evolve(event.result, run="second run"))
        if isinstance(event, StepEnded)
        else evolve(event, run="second run")
        if isinstance(event, RunBegan | RunEnded)
        else event
        for event in scenario.events
    ]
    return Scenario(f"{scenario.name}, after another run", tuple(events))


def _check(
    sink: Any, several: Sequence[Scenario], read: Callable[[Any], Iterable[StepResult]] | None, backend: str
) -> None:
    for scenario in several:
        try:
            if isinstance(sink, Journal):
                anyio.run(_journal, sink, scenario, backend=backend)
            else:
                _sink(sink, scenario)
        except Exception as error:
            raise AssertionError(f"{sink!r} raised {error!r} in the scenario {scenario.name!r}") from error
        if read is not None:
            _compare(sink, scenario, read)


def _sink(sink: Any, scenario: Scenario) -> None:
    for event in scenario.events:
        sink(event)
    close = getattr(sink, "close", None)
    if close is not None:
        close()


async def _journal(journal: Journal, scenario: Scenario) -> None:
    """As a run does it: steps are sent side by side, each result follows its own sending."""
    began, ended = scenario.events[0], scenario.events[-1]
    if not isinstance(began, RunBegan) or not isinstance(ended, RunEnded):
        raise TypeError("a stream goes from RunBegan to RunEnded")
    await journal.begin(began)
    try:
        async with anyio.create_task_group() as group:
            for event in scenario.events:
                if isinstance(event, StepEnded):
                    group.start_soon(_one_step, journal, event.result)
        await journal.finish(ended)
    finally:
        await journal.aclose()
    await journal.aclose()


async def _one_step(journal: Journal, result: StepResult) -> None:
    if result.status not in (Status.NotRun, Status.Unreachable):
        sent = Sent(result.module, result.task, result.step, result.host, result.position, result.digest)
        await journal.sent([sent])
    await journal.ended([result])


def _compare(sink: Any, scenario: Scenario, read: Callable[[Any], Iterable[StepResult]]) -> None:
    found = sorted((each for each in read(sink) if each.run == scenario.run), key=lambda each: each.key)
    expected = scenario.results
    if len(found) != len(expected):
        places = [each.key for each in found]
        raise AssertionError(
            f"{sink!r} gives back {len(found)} of {len(expected)} results in the scenario {scenario.name!r}: {places}"
        )
    for one, other in zip(found, expected, strict=True):
        for name in (each.name for each in StepResult.__attrs_attrs__ if each.eq):
            got, wanted = getattr(one, name), getattr(other, name)
            if got != wanted:
                raise AssertionError(
                    f"{sink!r} gives back another {name} in the scenario {scenario.name!r}: "
                    f"{got!r:.200} instead of {wanted!r:.200}"
                )


def _scenario(
    name: str,
    results: Sequence[StepResult],
    around: Callable[[StepResult], Iterator[Event]] | None = None,
    *,
    faults: tuple[Fault, ...] = (),
) -> Scenario:
    placed = [evolve(each, run=name) for each in results]
    tasks = dict.fromkeys((each.module, each.task) for each in placed)
    shape = tuple(
        TaskShape(module, task, tuple(each.host for each in placed if each.task == task), 1) for module, task in tasks
    )
    hosts = tuple(dict.fromkeys(each.host for each in placed))
    began = RunBegan(run=name, pipeline="deploy", at=_NOW, fingerprint="f" * 32, hosts=hosts, shape=shape)
    events: list[Event] = [began]
    for each in placed:
        if each.status is not Status.NotRun:
            events.append(_began(each))
        events += around(each) if around else ()
        events.append(StepEnded(each))
    return Scenario(name, (*events, RunEnded(run=name, pipeline="deploy", at=_NOW, faults=faults)))


def _began(result: StepResult) -> StepBegan:
    return StepBegan(
        run=result.run,
        pipeline=result.pipeline,
        module=result.module,
        task=result.task,
        step=result.step,
        host=result.host,
        position=result.position,
        at=result.started_at,
    )


def _noise(result: StepResult) -> Iterator[Event]:
    """Two failed tries, and output that is cut anywhere, or left out."""
    where: dict[str, Any] = {
        "module": result.module,
        "task": result.task,
        "step": result.step,
        "host": result.host,
        "position": result.position,
    }
    for attempt in result.attempts[:-1]:
        for stream, data in (("stdout", b"caf\xc3"), ("stderr", b"\x1b["), ("stdout", b"\xa9\nno end")):
            yield OutputChunk(**where, stream=stream, data=data)
        yield OutputChunk(**where, stream="stderr", data=b"", missed=1 << 20)
        yield StepRetried(**where, attempt=attempt, delay=1.5)


def _tries(number: int) -> tuple[Attempt, ...]:
    tries = [Attempt(Status.Failed, 1, _NOW, _NOW + dt.timedelta(seconds=1), 1.0) for _ in range(number - 1)]
    return (*tries, Attempt(Status.Succeeded, 0, _NOW, _NOW + dt.timedelta(microseconds=1), 1e-6))


def _fault(text: bytes) -> Fault:
    shown = text[:100].decode("utf-8", "surrogateescape")
    return Fault("exit", f"it said {shown}", "deploy/web/join/step", f"look at {shown}")


def _result(place: int, **fields: Any) -> StepResult:
    base: dict[str, Any] = {
        "run": "",
        "pipeline": "deploy",
        "module": "web",
        "task": "join",
        "step": f"step {place}",
        "host": f"web{place}",
        "position": Position(0, 0, 0, place),
        "status": Status.Succeeded,
        "reason": "" if place == 0 else "exit",
        "exit_code": None if place == 0 else place,
        "signal": None if place < 3 else "KILL",
        "change": None if place == 0 else Change("a\n", "b\n", "-a\n+b\n"),
        "attempts": _tries(1),
        "started_at": _NOW,
        "ended_at": _NOW + dt.timedelta(seconds=place),
        "duration": place / 3,
        "digest": "d" * 32,
    }
    return StepResult(**{**base, **fields})
