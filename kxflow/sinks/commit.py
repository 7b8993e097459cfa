"""Group commit: what many tasks want written at once goes out as one write and one sync."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import anyio.to_thread
from attrs import Factory, mutable

from kxflow.interpreters.ports import JournalError
from kxflow.journal.record import Body
from kxflow.sinks.logfile import Entry, LogFile
from kxflow.values.fault import Fault


@mutable(eq=False)
class _Batch:
    """Entries that share a write. `fault` is what its callers raise: none only once all is durable.

    Attributes:
        led: One of its callers sees to it; the others wait for `told`.
    """

    entries: list[Entry] = Factory(list)
    led: bool = False
    told: anyio.Event = Factory(anyio.Event)
    settled: bool = False
    fault: Fault | None = Fault("sink_io", "the log was not written")


class GroupCommit:
    """Writes entries to a log, in the order in which they were given. Made in the event loop that uses it.

    The first caller of a batch writes it, in a thread; who comes meanwhile shares the next batch. Nobody waits for
    company: a lone caller is written at once, and under load batches grow by themselves.
    """

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._next = _Batch()
        self._turn = anyio.Lock()
        # A pool of its own: the default one may be full of users' functions that wait for this very write.
        self._threads = anyio.CapacityLimiter(2)
        self._writing = threading.Lock()

    async def __call__(self, bodies: Sequence[Body]) -> None:
        """Write these, and return when they are durable. Not cancelled half-way: it takes as long as the disk does.

        Raises:
            JournalError: They are not durable.
            KxflowError: One of them cannot be encoded; then none of this call is written.
        """
        if not bodies:
            return
        batch, entry = self._next, Entry(bodies)
        batch.entries.append(entry)
        with anyio.CancelScope(shield=True):
            await self._see_to(batch)
        if entry.error is not None:
            raise entry.error
        if batch.fault is not None:
            raise JournalError(batch.fault)

    async def _see_to(self, batch: _Batch) -> None:
        while not batch.settled:
            if batch.led:
                await batch.told.wait()
                continue
            batch.led = True
            try:
                await self._write(batch)
            finally:  # all at once: with the turn passed from one to the next, the disk would wait for each of them
                batch.led = False
                batch.told.set()
                batch.told = anyio.Event()

    async def _write(self, batch: _Batch) -> None:
        # One round of the event loop: who was woken together by the batch before comes along, in one write.
        await anyio.lowlevel.checkpoint()
        async with self._turn:
            if batch is self._next:
                self._next = _Batch()
            await anyio.to_thread.run_sync(self._settle, batch, limiter=self._threads)

    def _settle(self, batch: _Batch) -> None:
        # asyncio's own cancel reaches into the shield above: it leaves this thread running, and another caller sees
        # to the batch, who then waits here for the first thread, and finds it settled.
        with self._writing:
            if batch.settled:
                return
            try:
                self._log.append(batch.entries)
                batch.fault = None
            except JournalError as error:
                batch.fault = error.fault
            finally:
                batch.settled = True

    async def flush(self) -> None:
        """Make durable what was written without a sync.

        Raises:
            JournalError: It is not.
        """
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._flush, limiter=self._threads)

    def _flush(self) -> None:
        with self._writing:
            self._log.flush()

    async def aclose(self) -> None:
        """Write what is left and give up the file. Never raises."""
        with anyio.CancelScope(shield=True):
            if self._next.entries:
                await self._see_to(self._next)
            await anyio.to_thread.run_sync(self._close, limiter=self._threads)

    def _close(self) -> None:
        with self._writing:
            self._log.close()
