"""What lies on disk and many hosts ask for at once: looked at once a second, not once a host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

import anyio.to_thread
from attrs import define, field

T = TypeVar("T")

SECONDS: Final = 1.0


@define
class Recent(Generic[T]):
    """Values by key, each as old as `seconds` at most.

    A look is a thread's work, and while the loop is busy a thread waits 5 ms for its turn: with a look a host, a
    hundred hosts would wait for each other for half a second.

    Attributes:
        seconds: How long a value holds.
        clock: Monotonic.
    """

    seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic
    _held: dict[Hashable, tuple[float, T]] = field(factory=dict, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def of(self, key: Hashable, look: Callable[[T | None], T]) -> T:
        """The value of a key; `look` is called in a thread, with the value before.

        Raises:
            Exception: What `look` raises; nothing is kept of it.
        """
        if (found := self._fresh(key)) is None:
            async with self._lock:  # those who waited for it find it looked at
                if (found := self._fresh(key)) is None:
                    before = self._held.get(key)
                    value = await anyio.to_thread.run_sync(look, None if before is None else before[1])
                    found = self._held[key] = (self.clock(), value)
        return found[1]

    def forget(self, key: Hashable) -> None:
        """Look again when it is asked for next."""
        self._held.pop(key, None)

    def _fresh(self, key: Hashable) -> tuple[float, T] | None:
        held = self._held.get(key)
        return held if held is not None and self.clock() - held[0] < self.seconds else None
