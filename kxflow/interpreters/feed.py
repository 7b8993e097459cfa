"""Between a run and a sink: a queue and a thread, so that a slow sink never delays a host."""

from __future__ import annotations

import queue
import threading
from typing import Final

from kxflow.interpreters.ports import Sink
from kxflow.values.event import Event
from kxflow.values.fault import Fault

MOST: Final = 100_000


class Feed:
    """Calls a sink in a thread of its own, one event at a time, in order.

    A sink that raises, or that is more than 100,000 events behind, is given no more; the fault says so.
    """

    def __init__(self, sink: Sink, *, most: int = MOST) -> None:
        self._sink = sink
        self._most = most
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._fault: Fault | None = None
        self._thread = threading.Thread(target=self._work, name="kxflow-sink", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Hand over the next event; never waits."""
        if self._fault is not None:
            return
        if self._queue.qsize() >= self._most:
            self._fault = self._wrong("sink_slow", f"it is {self._most} events behind")
            return
        self._queue.put(event)

    def close(self, seconds: float = 10.0) -> Fault | None:
        """Let it finish, at most so long; gives what went wrong with it. Blocks: call it in a thread."""
        self._queue.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive() and self._fault is None:
            self._fault = self._wrong("sink_slow", f"it did not finish within {seconds:g} s")
        return self._fault

    def _wrong(self, code: str, what: str) -> Fault:
        name = getattr(self._sink, "__qualname__", type(self._sink).__qualname__)
        return Fault(code, f"sink {name}: {what}", "sinks=", "the results are complete in the report and in journals")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            if self._fault is None:
                self._call(event)
        close = getattr(self._sink, "close", None)
        if close is not None:
            self._guarded(close)

    def _call(self, event: Event) -> None:
        try:
            self._sink(event)
        except Exception as error:  # noqa: BLE001 -- a user's sink: whatever it raises is a fault of the run
            self._fault = self._wrong("sink", f"it raised {type(error).__name__}: {error}")

    def _guarded(self, close: object) -> None:
        try:
            if callable(close):
                close()
        except Exception as error:  # noqa: BLE001 -- as above
            self._fault = self._fault or self._wrong("sink", f"its close() raised {type(error).__name__}: {error}")
