"""How a task is told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Braked(Protocol):
    """Something that looks at a brake when it is woken."""

    def wake(self) -> None:
        """Look again."""
        ...


class Brake:
    """Whether the hosts of one task may begin another step, and whether steps in flight are to end.

    Attributes:
        reason: Why it stopped; empty while it did not.
        cancelled: Steps in flight are to be ended too.
        rescue: The brake of the steps that rescue one which was cancelled: a policy's stop is not for them, or nobody
            would ever clean up behind it.
    """

    def __init__(self, *, rescues: bool = True) -> None:
        self.reason = ""
        self.cancelled = False
        self.rescue = Brake(rescues=False) if rescues else self
        self._live: set[Braked] = set()

    @property
    def stopped(self) -> bool:
        """No step may begin."""
        return bool(self.reason)

    def stop(self, reason: str, *, cancel: bool = False, rescues: bool = True) -> None:
        """Stop; the first reason stays. Everything that is attached is woken before this returns.

        Args:
            reason: Why.
            cancel: End steps in flight.
            rescues: Those that rescue a cancelled one, too.
        """
        if rescues and self.rescue is not self:
            self.rescue.stop(reason, cancel=cancel)
        self.reason = self.reason or reason
        self.cancelled = self.cancelled or cancel
        for each in tuple(self._live):
            each.wake()

    def attach(self, braked: Braked) -> None:
        """Wake this on every stop from now on."""
        self._live.add(braked)

    def detach(self, braked: Braked) -> None:
        """Wake it no more."""
        self._live.discard(braked)


class _Passing:
    """Passes on that steps in flight are to be ended, and no other stop."""

    def __init__(self, brake: Brake, to: Brake) -> None:
        self._brake, self._to = brake, to

    def wake(self) -> None:
        if self._brake.cancelled:
            self._to.stop(self._brake.reason, cancel=True)


@contextmanager
def in_flight(brake: Brake) -> Iterator[Brake]:
    """The brake of what is left of a step that has begun: a stop lets it end, a cancel ends it."""
    its = Brake()
    passing = _Passing(brake, its)
    brake.attach(passing)
    try:
        passing.wake()
        yield its
    finally:
        brake.detach(passing)
