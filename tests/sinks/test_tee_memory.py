"""The small sinks, and the check that all of them pass."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from kxflow.interpreters.ports import Sent
from kxflow.sinks.console import console
from kxflow.sinks.memory import MemorySink, memory
from kxflow.sinks.ndjson import Ndjson, ndjson, read_log
from kxflow.sinks.tee import tee
from kxflow.testing.sink_check import check_sink, scenarios
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event, RunBegan, StepEnded
from kxflow.values.result import Status, StepResult


def test_memory_is_a_sink() -> None:
    """It keeps every result as it was."""
    check_sink(memory, read=lambda sink: sink.results)


def test_memory_keeps_events_in_their_order() -> None:
    """All events, and the results among them."""
    sink = memory()
    events = scenarios()[1].events
    for event in events:
        sink(event)
    assert sink.events == events
    assert sink.results == tuple(event.result for event in events if isinstance(event, StepEnded))


def test_tee_is_a_sink() -> None:
    """Each of its sinks gets everything."""
    kept: list[MemorySink] = []

    def make() -> Any:
        kept[:] = [memory(), memory()]
        return tee(*kept)

    check_sink(make, read=lambda _: kept[0].results)
    check_sink(make, read=lambda _: kept[1].results)


@pytest.mark.parametrize("color", [None, True])
@pytest.mark.parametrize("verbose", [False, True])
def test_console_is_a_sink(*, color: bool | None, verbose: bool) -> None:
    """Plain and live, brief and verbose."""
    check_sink(lambda: console(file=io.StringIO(), color=color, verbose=verbose))


class Broken:
    """A sink that raises at the second event, or when it is closed."""

    def __init__(self, *, late: bool = False) -> None:
        self.calls = 0
        self.late = late
        self.closed = 0

    def __call__(self, event: Event) -> None:
        """Count, and raise."""
        self.calls += 1
        if self.calls == 2 and not self.late:
            raise OSError("no more")

    def close(self) -> None:
        """Count, and raise."""
        self.closed += 1
        if self.late:
            raise ValueError("cannot close")


def test_tee_goes_on_when_one_sink_fails() -> None:
    """The others get every event, the broken one no more; closing closes all and raises what it raised."""
    broken, kept = Broken(), memory()
    both = tee(broken, kept)
    events = scenarios()[1].events
    for event in events:
        both(event)
    assert kept.events == events
    assert broken.calls == 2
    with pytest.raises(OSError, match="no more"):
        both.close()
    assert broken.closed == 1
    both(events[0])
    assert broken.calls == 3
    both.close()


def test_tee_tells_of_several_that_failed() -> None:
    """What each raised, in a group."""
    both = tee(Broken(), Broken(late=True))
    for event in scenarios()[1].events:
        both(event)
    with pytest.raises(ExceptionGroup, match="2 of 2 sinks failed") as caught:
        both.close()
    assert [type(each) for each in caught.value.exceptions] == [OSError, ValueError]


def test_tee_refuses_a_journal(tmp_path: Path) -> None:
    """A run waits for its journal, which a tee cannot do; what is no sink is refused too."""
    with pytest.raises(InvalidError, match="give it beside the tee"):
        tee(ndjson(tmp_path / "x"), memory())  # type: ignore[arg-type]  # the mistake that is tried
    with pytest.raises(InvalidError, match="is no sink"):
        tee("console")  # type: ignore[arg-type]  # the mistake that is tried
    assert repr(tee(memory())) == "tee(memory(0 events))"


class Forgetful(MemorySink):
    """Loses lost results."""

    def __call__(self, event: Event, /) -> None:
        """Keep it, but for some."""
        if not isinstance(event, StepEnded) or event.result.status is not Status.Lost:
            super().__call__(event)


class Lying(MemorySink):
    """Changes a reason."""

    def __call__(self, event: Event, /) -> None:
        """Keep it, changed."""
        if isinstance(event, StepEnded):
            event = StepEnded(evolve(event.result, reason=event.result.reason + " "))
        super().__call__(event)


class Once(MemorySink):
    """Breaks at a second run."""

    def __call__(self, event: Event, /) -> None:
        """Keep it, once."""
        if isinstance(event, RunBegan) and self.events:
            raise RuntimeError("one run is enough")
        super().__call__(event)


class Lazy(Ndjson):
    """Does not record what was sent last."""

    async def ended(self, results: Any) -> None:
        """Record some."""
        await super().ended([each for each in results if each.status is not Status.Lost])

    async def sent(self, steps: Any) -> None:
        """Record them."""
        assert all(isinstance(each, Sent) for each in steps)
        await super().sent(steps)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Forgetful, "gives back 6 of 7 results in the scenario 'every status'"),
        (Lying, "gives back another reason in the scenario 'every status'"),
        (Once, "raised RuntimeError.*, after another run'"),
        (Broken, r"raised OSError\('no more'\) in the scenario 'no steps'"),
    ],
)
def test_check_sink_finds_what_is_wrong(make: Any, what: str) -> None:
    """A sink that loses, changes or breaks is named, with the scenario."""
    read = (lambda sink: sink.results) if issubclass(make, MemorySink) else None
    with pytest.raises(AssertionError, match=what):
        check_sink(make, read=read)


def test_check_sink_finds_a_journal_that_loses(tmp_path: Path) -> None:
    """Journals are checked as well."""
    plain = ndjson(tmp_path / "x")

    def make() -> Lazy:
        return Lazy(plain.path, sync=False, disk=plain._disk, now=plain._now)

    def read(_: object) -> tuple[StepResult, ...]:
        return read_log(plain.path).results

    with pytest.raises(AssertionError, match="gives back 6 of 7"):
        check_sink(make, read=read)
