"""Between a run and who is shown it: a queue and a thread, so that a slow sink never delays a host.

A *sink* is never waited for: what it is too slow for is left out, and counted. A *reader* is: the run gets no further
ahead of it than a megabyte, so it has everything, whole and in order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import evolve

from kxflow.interpreters.ports import Sink, call_sink
from kxflow.values.event import Event, OutputChunk, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import Position

MOST: Final = 100_000
OUTPUT: Final = 8 << 20
AHEAD: Final = 1 << 20
EVENTS_AHEAD: Final = 1000
PATIENCE: Final = 10.0
AT_ALL: Final = 60.0
SINK_FAULTS: Final = ("sink", "sink_slow")
SINK_THREAD: Final = "kxflow-sink"
_EACH: Final = 512  # what an event costs besides the bytes in it

_Spring: TypeAlias = tuple[Position, str, str]


class Feed:
    """Calls a sink in a thread of its own, one event at a time, in order.

    Live output is held for it up to 8 MiB. What comes on top is left out, and the next chunk of that stream says how
    much (`missed`); no other event is ever left out. A sink that raises, that is 100,000 events behind, or that takes
    more than ten seconds over one event when the run is over, is given up: the fault says so.

    Args:
        sink: Whom to tell.
        waits: It is a reader: nothing is left out for it, and whoever puts is to await `until_room` where it is `full`.
        most: Events that it may be behind.
        output: Bytes of live output that it may be behind.
        patience: Seconds for one event when the run is over.
        at_all: Seconds for all of them.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        waits: bool = False,
        most: int = MOST,
        output: int = OUTPUT,
        patience: float = PATIENCE,
        at_all: float = AT_ALL,
    ) -> None:
        self._sink = sink
        self._waits = waits
        self._most = most
        self._most_output = output
        self._patience = patience
        self._at_all = at_all
        self._queue: deque[Event] = deque()
        self._behind = self._taken = 0
        self._missed: dict[_Spring, OutputChunk] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._fault: Fault | None = None
        self._thread = threading.Thread(target=self._work, name=SINK_THREAD, daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Hand over the next event; never waits."""
        with self._changed:
            if self._fault is not None:
                return
            for each in self._admitted(event):
                self._queue.append(each)
                self._behind += _weight(each)
            if len(self._queue) > self._most:
                self._give_up("sink_slow", f"it is {self._most} events behind")
            self._changed.notify_all()

    def _admitted(self, event: Event) -> Iterator[Event]:
        """The event, with what is to be said of output that was left out before it."""
        if isinstance(event, OutputChunk):
            spring = (event.position, event.host, event.stream)
            gap = self._missed.pop(spring, None)
            missed = gap.missed if gap is not None else 0
            if not self._waits and self._behind + _weight(event) > self._most_output:
                self._missed[spring] = evolve(event, data=b"", missed=missed + len(event.data))
            else:
                yield evolve(event, missed=missed) if missed else event
            return
        if self._missed and isinstance(event, StepEnded):
            for stream in ("stdout", "stderr"):
                gap = self._missed.pop((event.result.position, event.result.host, stream), None)
                if gap is not None:
                    yield gap
        yield event

    @property
    def full(self) -> bool:
        """A reader is so far behind that it is to be waited for."""
        return self._waits and (self._behind > AHEAD or len(self._queue) > EVENTS_AHEAD)

    def until_room(self) -> None:
        """Wait until a reader is not `full`. Blocks: call it in a thread."""
        with self._changed:
            self._changed.wait_for(lambda: not self.full or self._closing or self._fault is not None)

    def let_go(self) -> None:
        """Wait for a reader no longer: from here on it is a sink as any other, and has a second at the end."""
        with self._changed:
            self._waits = False
            self._patience = min(self._patience, 1.0)
            self._changed.notify_all()

    def close(self) -> Fault | None:
        """Let it finish; gives what went wrong with it. Blocks: call it in a thread.

        A sink is waited for while it goes on taking events, at most ten seconds for one and a minute for all; a reader
        as long as it takes.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._waits and self._thread.is_alive():
            self._thread.join(0.1)
        ends = time.monotonic() + self._at_all
        while self._thread.is_alive():
            taken = self._taken
            self._thread.join(max(0.0, min(self._patience, ends - time.monotonic())))
            if self._thread.is_alive() and (taken == self._taken or time.monotonic() >= ends):
                with self._changed:
                    self._give_up("sink_slow", f"the run is over, and it is still {len(self._queue)} events behind")
                break
        return self._fault

    def _give_up(self, code: str, what: str) -> None:
        self._fault = self._fault or self._wrong(code, what)
        self._queue.clear()
        self._missed.clear()
        self._behind = 0
        self._changed.notify_all()

    def _wrong(self, code: str, what: str) -> Fault:
        name = getattr(self._sink, "__qualname__", type(self._sink).__qualname__)
        return Fault(code, f"sink {name}: {what}", "sinks=", "the results are complete in the report and in journals")

    def _next(self) -> Event | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if not self._queue:
                return None
            event = self._queue.popleft()
            self._behind -= _weight(event)
            self._taken += 1
            if self._waits:
                self._changed.notify_all()
            return event

    def _work(self) -> None:
        while (event := self._next()) is not None:
            self._call(event)
        close = getattr(self._sink, "close", None)
        if close is not None:
            self._guarded(close)

    def _call(self, event: Event) -> None:
        try:
            call_sink(self._sink, event)
        except Exception as error:  # noqa: BLE001 -- a user's sink: whatever it raises is a fault of the run
            with self._changed:
                self._give_up("sink", f"it raised {type(error).__name__}: {error}")

    def _guarded(self, close: object) -> None:
        try:
            if callable(close):
                close()
        except Exception as error:  # noqa: BLE001 -- as above
            self._fault = self._fault or self._wrong("sink", f"its close() raised {type(error).__name__}: {error}")


def _weight(event: Event) -> int:
    return _EACH + len(event.data) if isinstance(event, OutputChunk) else 0
