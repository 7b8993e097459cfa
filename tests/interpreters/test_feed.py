"""Between a run and who is shown it: sinks hold nothing up and lose nothing unsaid, readers have everything."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.interpreters.feed import AHEAD, Feed
from kxflow.values.event import Event
from kxflow.values.result import Position
from tests.journal.logs import result

HERE: Final = kx.Cluster([kx.Host("here")], connect=kx.Local())
LONG: Final = 30.0
END: Final = kx.StepEnded(evolve(result(0), host="here", position=Position()))


def chunk(data: bytes, stream: str = "stdout") -> kx.OutputChunk:
    """Live output of the step that `END` ends."""
    return kx.OutputChunk(module="m", task="t", step="s", host="here", position=Position(), stream=stream, data=data)


class Gated:
    """A sink that takes nothing while its gate is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.came = threading.Event()
        self.events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        """Keep it."""
        self.came.set()
        assert self.gate.wait(LONG)
        self.events.append(event)


def test_a_slow_sink_misses_output_that_is_counted_and_nothing_else() -> None:
    """Ten of forty megabytes fit; the next chunk, or the end of the step, says how much was left out before it."""
    sink = Gated()
    feed = Feed(sink, output=10 << 20)
    feed.put(chunk(b"first"))
    assert sink.came.wait(LONG)
    for _ in range(40):
        feed.put(chunk(bytes(1 << 20)))
    feed.put(chunk(b"x" * (2 << 20), "stderr"))
    feed.put(END)
    sink.gate.set()
    assert feed.close() is None
    out = [each for each in sink.events if isinstance(each, kx.OutputChunk) and each.stream == "stdout"]
    err = [each for each in sink.events if isinstance(each, kx.OutputChunk) and each.stream == "stderr"]
    assert sum(len(each.data) + each.missed for each in out) == 5 + (40 << 20)
    assert 9 << 20 <= sum(len(each.data) for each in out) <= 10 << 20
    assert [(each.data, each.missed) for each in (out[-1], *err)] == [(b"", out[-1].missed), (b"", 2 << 20)]
    assert sink.events[-1] is END


def test_what_is_missed_is_told_before_what_comes_next() -> None:
    """Once there is room again."""
    sink = Gated()
    feed = Feed(sink, output=2000)
    feed.put(chunk(b"a" * 1000))
    feed.put(chunk(b"b" * 3000))
    assert sink.came.wait(LONG)
    sink.gate.set()
    while len(sink.events) < 1:
        threading.Event().wait(0.01)
    feed.put(chunk(b"c"))
    assert feed.close() is None
    assert [(each.data[:1], each.missed) for each in sink.events if isinstance(each, kx.OutputChunk)] == [
        (b"a", 0),
        (b"c", 3000),
    ]


def test_a_sink_that_is_too_many_events_behind_is_given_up_and_that_is_told() -> None:
    """Ends of steps are never left out in between: either all come, or a fault says that they do not."""
    sink = Gated()
    feed = Feed(sink, most=10)
    for _ in range(20):
        feed.put(END)
    sink.gate.set()
    fault = feed.close()
    assert fault is not None
    assert (fault.code, fault.what) == ("sink_slow", "sink Gated: it is 10 events behind")
    assert len(sink.events) <= 1


def test_a_sink_that_hangs_is_given_up_at_the_end() -> None:
    """It has its time for one event, and no more."""
    sink = Gated()
    feed = Feed(sink, patience=0.05)
    feed.put(END)
    fault = feed.close()
    sink.gate.set()
    assert fault is not None
    assert fault.code == "sink_slow"


def test_a_sink_that_goes_on_is_waited_for() -> None:
    """Longer than the time for one event."""
    taken: list[Event] = []

    def slow(event: Event) -> None:
        threading.Event().wait(0.02)
        taken.append(event)

    feed = Feed(slow, patience=0.2)
    for _ in range(30):
        feed.put(END)
    assert feed.close() is None
    assert len(taken) == 30


def test_a_reader_is_waited_for_and_misses_nothing() -> None:
    """It is full a megabyte ahead, and room comes when it has read."""
    sink = Gated()
    feed = Feed(sink, waits=True, output=1000)
    put = 0
    while not feed.full:
        feed.put(chunk(bytes(100_000)))
        put += 1
    assert put * 100_000 < 2 * AHEAD
    waiting = threading.Thread(target=feed.until_room)
    waiting.start()
    sink.gate.set()
    waiting.join(LONG)
    assert not waiting.is_alive()
    assert feed.close() is None
    assert [each.missed for each in sink.events if isinstance(each, kx.OutputChunk)] == [0] * put


def test_a_reader_that_is_let_go_holds_nobody_up() -> None:
    """Whoever waits for it goes on."""
    sink = Gated()
    feed = Feed(sink, waits=True)
    while not feed.full:
        feed.put(chunk(bytes(100_000)))
    waiting = threading.Thread(target=feed.until_room)
    waiting.start()
    feed.let_go()
    waiting.join(LONG)
    assert not waiting.is_alive()
    sink.gate.set()
    assert feed.close() is None


def test_the_reader_of_a_run_has_all_output_in_order_and_hears_of_failed_sinks() -> None:
    """Twenty megabytes, for one who is slower than the host."""
    data = bytearray()
    faults: list[str] = []

    def reader(event: Event) -> None:
        if isinstance(event, kx.OutputChunk):
            data.extend(event.data)
        elif isinstance(event, kx.RunEnded):
            faults.extend(each.code for each in event.faults)

    def broken(event: Event) -> None:
        raise ValueError(event)

    step = kx.command("s", "seq 2500000")
    made = kx.pipeline("p", kx.module("m", kx.task("t", step)))
    its = kx.report_of(kx.run(made, HERE, output=True, reader=reader, sinks=[broken]))
    assert bytes(data) == b"".join(b"%d\n" % number for number in range(1, 2_500_001))
    assert faults == ["sink"] == [each.code for each in its.faults]


@pytest.mark.parametrize("wrong", [5, kx.ndjson("x")])
def test_a_reader_is_a_function_of_an_event(wrong: object) -> None:
    """A journal is waited for in another way."""
    made = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
    with pytest.raises(kx.InvalidError, match="is no sink"):
        kx.run(made, HERE, reader=wrong)  # type: ignore[arg-type]  # on purpose


async def waits(event: Event) -> None:
    """No sink: nobody awaits what it gives."""


class Waits:
    """No sink either."""

    async def __call__(self, event: Event) -> None:
        """As above."""


@pytest.mark.parametrize("wrong", [waits, Waits(), functools.partial(waits)])
def test_what_nobody_awaits_is_refused_when_the_run_is_asked_for(wrong: Any) -> None:
    """As a sink, as a reader, and in a tee; no host is touched."""
    made = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
    for ask in (
        lambda: kx.run(made, HERE, sinks=[wrong]),
        lambda: kx.run(made, HERE, reader=wrong),
        lambda: kx.stream(made, HERE, sinks=[wrong]),
        lambda: kx.tee(wrong),
    ):
        with pytest.raises(kx.InvalidError, match="is async, and nobody awaits it"):
            ask()


@pytest.mark.parametrize("around", [lambda sink: sink, kx.tee])
def test_a_sink_that_turns_out_to_give_a_coroutine_has_failed(around: Callable[[Any], Any]) -> None:
    """Where it cannot be seen beforehand."""
    made = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
    its = kx.report_of(kx.run(made, HERE, sinks=[around(lambda event: waits(event))]))  # noqa: PLW0108 -- hidden
    assert [each.code for each in its.faults] == ["sink"]
    assert "it gave a coroutine, and nobody awaits it" in its.faults[0].what
