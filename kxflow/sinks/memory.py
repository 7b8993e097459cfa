"""A sink that keeps what it was told."""

from __future__ import annotations

from kxflow.values.event import Event, StepEnded
from kxflow.values.result import Results


class MemorySink:
    """Keeps every event, of every run that it is given to; made by `memory`."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        """Keep it."""
        self._events.append(event)

    @property
    def events(self) -> tuple[Event, ...]:
        """All so far, in the order in which they came."""
        return tuple(self._events)

    @property
    def results(self) -> Results:
        """The results among them, in the order in which steps ended."""
        return tuple(event.result for event in self._events if isinstance(event, StepEnded))

    def __repr__(self) -> str:
        return f"memory({len(self._events)} events)"


def memory() -> MemorySink:
    """A sink that keeps every event in memory, for tests and notebooks; it grows with the run.

    >>> memory().events
    ()
    """
    return MemorySink()
