"""Counts of what is done, the same on every machine: processes, bytes, turns, frames, calls."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from kxflow.interpreters.ports import Connector, Exit, Link, Process
from kxflow.values.cluster import Cluster
from kxflow.values.host import Host


class Counting:
    """A connector that passes everything on to another, and counts.

    Args:
        inner: The one that does it.

    Attributes:
        seen: `connects`; `spawns`, which over SSH are channels; `sent` and `received` bytes; `writes`; `turns`, how
            often a host answered after it was written to, which is how often it was waited for; `marks`, the bytes
            that a frame lies between, two of them.
    """

    def __init__(self, inner: Connector) -> None:
        self._inner = inner
        self.seen: Counter[str] = Counter()

    async def connect(self, host: Host, cluster: Cluster) -> Link:
        """Count, and connect."""
        self.seen["connects"] += 1
        return _Link(await self._inner.connect(host, cluster), self.seen)

    async def aclose(self) -> None:
        """Close the other one."""
        await self._inner.aclose()


class _Link:
    def __init__(self, inner: Link, seen: Counter[str]) -> None:
        self._inner, self._seen = inner, seen

    async def spawn(self, argv: Sequence[str]) -> Process:
        self._seen["spawns"] += 1
        return _Process(await self._inner.spawn(argv), self._seen)

    @property
    def alive(self) -> bool:
        return self._inner.alive

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Process:
    def __init__(self, inner: Process, seen: Counter[str]) -> None:
        self._inner, self._seen = inner, seen
        self._written = False

    async def write(self, data: bytes) -> None:
        self._seen["writes"] += 1
        self._seen["sent"] += len(data)
        self._written = True
        await self._inner.write(data)

    async def close_stdin(self) -> None:
        await self._inner.close_stdin()

    async def read_stdout(self) -> bytes:
        return self._read(await self._inner.read_stdout())

    async def read_stderr(self) -> bytes:
        return self._read(await self._inner.read_stderr())

    def _read(self, data: bytes) -> bytes:
        self._seen["received"] += len(data)
        self._seen["marks"] += data.count(b"\0")
        self._seen["turns"] += self._written and bool(data)
        self._written = self._written and not data
        return data

    async def wait(self) -> Exit:
        return await self._inner.wait()

    async def kill(self) -> None:
        await self._inner.kill()


def calls(act: Callable[[], Any]) -> int:
    """How many functions were called in this thread, Python's and built-in ones, until it returned."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        del frame, argument
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count
