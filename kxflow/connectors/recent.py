"""What lies on disk and many hosts ask for at once: looked at once a second, not once a host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

import anyio.to_thread
from attrs import define, field, frozen

T = TypeVar("T")

SECONDS: Final = 1.0


@frozen
class _Held(Generic[T]):
    looked: float
    stamp: object
    value: T


@define
class Recent(Generic[T]):
    """Values by key, read again when their stamp is another; that is looked at when it is `seconds` old.

    A look is a thread's work, and while the loop is busy a thread waits 5 ms for its turn: with a look a host, a
    hundred hosts would wait for each other for half a second.

    Attributes:
        seconds: How long a look holds.
        clock: Monotonic.
    """

    seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic
    _held: dict[Hashable, _Held[T]] = field(factory=dict, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def of(self, key: Hashable, stamp: Callable[[], object], read: Callable[[], T]) -> T:
        """The value of a key; `stamp`, which changes when it does, and `read` are called in a thread.

        Raises:
            Exception: What these raise; nothing is kept of it.
        """
        if (found := self._fresh(key)) is None:
            async with self._lock:  # those who waited for it find it looked at
                if (found := self._fresh(key)) is None:
                    found = await anyio.to_thread.run_sync(self._look, self._held.get(key), stamp, read)
                    self._held[key] = found
        return found.value

    def forget(self, key: Hashable) -> None:
        """Look again when it is asked for next."""
        self._held.pop(key, None)

    def _look(self, before: _Held[T] | None, stamp: Callable[[], object], read: Callable[[], T]) -> _Held[T]:
        now = stamp()
        value = before.value if before is not None and before.stamp == now else read()
        return _Held(self.clock(), now, value)

    def _fresh(self, key: Hashable) -> _Held[T] | None:
        held = self._held.get(key)
        return held if held is not None and self.clock() - held.looked < self.seconds else None
