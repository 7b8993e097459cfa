"""One run from outside: a stream of events that can be left at any point, or a report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeAlias

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import evolve, frozen

from kxflow.interpreters.engine import Engine
from kxflow.interpreters.feed import Feed
from kxflow.interpreters.ports import Connector, Sink
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.outcome import Outcome, outcome_of
from kxflow.values.report import Report
from kxflow.values.result import StepResult

BUFFER: Final = 256

HandOn: TypeAlias = Callable[[Event], Awaitable[None]]


@frozen
class RunPlan:
    """A run as it was asked for, checked; nothing was done yet.

    Attributes:
        engine: Makes the engine on an event loop, given whom to deliver events to.
        sinks: What else hears of it.
        reader: Is told everything, and waited for.
        connector: Given up when the run is over.
    """

    engine: Callable[[HandOn], Engine]
    sinks: tuple[Sink, ...]
    connector: Connector
    reader: Sink | None = None


class Stream:
    """A run whose events come while it goes on: an async iterator, and an async context manager.

    Leaving it early ends the run: connections are closed, and hosts end the steps in progress. `async with` waits for
    that; an iteration that is broken off outside of one ends it when the stream is closed or collected.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._background: _Background | None = None
        self._receive: MemoryObjectReceiveStream[Event] | None = None
        self._engine: Engine | None = None
        self._closed = False

    def stop(self, reason: str = "stopped by the caller") -> None:
        """Let steps in flight end and begin no other; the stream goes on to its end. Call it on the stream's loop."""
        if self._engine is not None:
            self._engine.interrupt(reason)

    def abort(self, reason: str = "aborted by the caller") -> None:
        """End steps in flight now; the stream goes on to its end. Call it on the stream's loop."""
        if self._engine is not None:
            self._engine.abort(reason)

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        receive = self._start()
        try:
            try:
                return receive.receive_nowait()
            except anyio.WouldBlock:
                return await receive.receive()
        except anyio.EndOfStream:
            await self.aclose()
            raise StopAsyncIteration from None

    def _start(self) -> MemoryObjectReceiveStream[Event]:
        if self._closed:
            raise InvalidError("this stream is over", "a stream runs once: make another")
        if self._receive is None:
            send, self._receive = anyio.create_memory_object_stream[Event](BUFFER)
            conduct = Conduct(self._plan, partial(_hand_on, send))
            self._engine = conduct.engine
            self._background = _Background(partial(_to_the_end, conduct, send))
        return self._receive

    async def aclose(self) -> None:
        """End the run, where it still goes on, and wait until it has ended.

        Raises:
            Exception: What the run raised: a bug, never trouble on a host.
        """
        self._closed = True
        if self._background is None or self._receive is None:
            return
        self._receive.close()
        background, self._background = self._background, None
        with anyio.CancelScope(shield=True):
            await background.end()

    def __del__(self) -> None:
        if self._background is not None and self._receive is not None:
            self._background.abandon(self._receive)


async def _hand_on(send: MemoryObjectSendStream[Event], event: Event) -> None:
    """Only where the buffer is full does it wait, and let others run: the reader is behind, and is one of them."""
    try:
        try:
            send.send_nowait(event)
        except anyio.WouldBlock:
            await send.send(event)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # nobody reads any more; sinks were told


async def _to_the_end(conduct: Conduct, send: MemoryObjectSendStream[Event]) -> None:
    async with send:
        await conduct()


class _Show:
    """Events to sinks, and then to whoever reads them: the reader first, who is told what became of the sinks."""

    def __init__(self, sinks: Iterable[Sink], reader: Sink | None, hand_on: HandOn) -> None:
        self._feeds = [Feed(each) for each in sinks]
        self._reader = None if reader is None else Feed(reader, waits=True)
        self._hand_on = hand_on
        # A pool of its own: the default one may be full of users' functions.
        self._threads = anyio.CapacityLimiter(1)

    async def deliver(self, event: Event) -> None:
        for feed in self._feeds:
            feed.put(event)
        if isinstance(event, RunEnded):
            event = await self._with_faults(event)
        elif self._reader is not None:
            self._reader.put(event)
            if self._reader.full:
                await anyio.to_thread.run_sync(self._reader.until_room, abandon_on_cancel=True, limiter=self._threads)
        await self._hand_on(event)

    async def _with_faults(self, event: RunEnded) -> RunEnded:
        event = evolve(event, faults=(*event.faults, *await self._close_sinks()))
        if self._reader is not None:
            self._reader.put(event)
        return evolve(event, faults=(*event.faults, *await self._close_reader()))

    def let_go(self) -> None:
        """Wait for the reader no longer."""
        if self._reader is not None:
            self._reader.let_go()

    async def close(self) -> None:
        """Let all of them finish, where the run did not come to its end."""
        self.let_go()
        await self._close_sinks()
        await self._close_reader()

    async def _close_sinks(self) -> list[Fault]:
        feeds, self._feeds = self._feeds, []
        return [fault for feed in feeds if (fault := await self._closed(feed)) is not None]

    async def _close_reader(self) -> list[Fault]:
        fault = None if self._reader is None else await self._closed(self._reader)
        self._reader = None
        return [] if fault is None else [fault]

    async def _closed(self, feed: Feed) -> Fault | None:
        """Let it finish; what went wrong with it."""
        return await anyio.to_thread.run_sync(feed.close, abandon_on_cancel=False, limiter=self._threads)


class Conduct:
    """One run: the engine between its connector and its sinks."""

    def __init__(self, plan: RunPlan, hand_on: HandOn) -> None:
        self._show = _Show(plan.sinks, plan.reader, hand_on)
        self._connector = plan.connector
        self.engine = plan.engine(self._show.deliver)

    def interrupt(self, reason: str) -> None:
        """Let steps in flight end and begin no other."""
        self.engine.interrupt(reason)

    def abort(self, reason: str) -> None:
        """End steps in flight now, and wait for a reader no longer."""
        self.engine.abort(reason)
        self._show.let_go()

    async def __call__(self) -> None:
        try:
            await self.engine.run()
        finally:
            with anyio.CancelScope(shield=True):
                await self._show.close()
                with anyio.move_on_after(5):
                    await self._connector.aclose()


class Kept:
    """What a run leaves: its results and its faults, no other event."""

    def __init__(self) -> None:
        self._results: list[StepResult] = []
        self._faults: tuple[Fault, ...] = ()

    async def take(self, event: Event) -> None:
        if isinstance(event, StepEnded):
            self._results.append(event.result)
        elif isinstance(event, RunEnded):
            self._faults = event.faults

    @property
    def outcome(self) -> Outcome:
        """The report on its track."""
        return outcome_of(Report(self._results, self._faults))


class _Background:
    """A task outside of the caller's scopes, so that a stream can be left at any point; asyncio and trio."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._error: BaseException | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        if self._loop is not None:
            self._task = self._loop.create_task(self._main())
        else:
            import trio

            trio.lowlevel.spawn_system_task(self._main)

    async def _main(self) -> None:
        try:
            with self._scope:
                await self._work()
        except BaseException as error:  # noqa: BLE001 -- carried over to whoever waits for the end
            self._error = error
        finally:
            self._done.set()

    async def end(self) -> None:
        """End it and wait; raises what it raised."""
        if not self._done.is_set():
            self._scope.cancel()
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def abandon(self, receive: MemoryObjectReceiveStream[Event]) -> None:
        """End it, from wherever, without waiting; nobody reads any more."""

        def end() -> None:
            receive.close()
            self._scope.cancel()

        if self._loop is None:
            end()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(end)
