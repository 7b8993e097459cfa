"""Where it meets the world: default connectors, sinks, signals, event loops."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypedDict, Unpack

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import evolve, frozen

from kxflow.flow.check import checked
from kxflow.flow.layers import Pipeline
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock, SystemClock
from kxflow.interpreters.engine import Engine, Options
from kxflow.interpreters.lane import Lane, Wires
from kxflow.interpreters.ports import Connector, Journal, Sink
from kxflow.interpreters.runner import LaneRunner
from kxflow.interpreters.serial import Serial
from kxflow.sinks.feed import Feed
from kxflow.values.cluster import Cluster
from kxflow.values.context import HostContext
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event, RunEnded, fold
from kxflow.values.fault import Fault
from kxflow.values.outcome import Outcome, outcome_of

GRACE: Final = 10.0
BUFFER: Final = 256


class RunOptions(TypedDict, total=False):
    """What `run`, `arun` and `stream` take.

    Attributes:
        sinks: Journals, such as `ndjson(path)`, and sinks, such as `console()`, or any function of an event.
        concurrency: Most hosts at work at a time; 50 where not given.
        connects: Most hosts being connected to at a time; 20.
        open_connections: Most connections that stay open while idle; 256.
        fuse: Steps go out as one program, as far as they can; True.
        output: Live output is told as `OutputChunk` events; False.
        connector: How hosts are reached; by SSH, locally or via a command, as the cluster says, where not given.
        run_id: Id of the run; a new one where not given.
        clock: Time; the machine's where not given.
    """

    sinks: Sequence[Sink | Journal]
    concurrency: int
    connects: int
    open_connections: int
    fuse: bool
    output: bool
    connector: Connector | None
    run_id: str | None
    clock: Clock | None


def new_run_id() -> str:
    """An id that sorts by time: UTC to the second, and 48 random bits."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"


@frozen
class _Plan:
    """A run as it was asked for, checked."""

    engine: Callable[[Callable[[Event], Awaitable[None]]], Engine]
    sinks: tuple[Sink, ...]
    connector: Connector


def _bounds(options: RunOptions) -> Options:
    numbers = {}
    for name in ("concurrency", "connects", "open_connections"):
        value: Any = options.get(name, getattr(Options(), name))
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidError(f"{name}={value!r} cannot be", "give a whole number >= 1")
        numbers[name] = value
    return Options(**numbers, fuse=options.get("fuse", True), chunks=options.get("output", False))


def _prepare(pipeline: Pipeline, cluster: Cluster, options: RunOptions) -> _Plan:
    """Check everything that can be checked before any host is touched.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster.
        InvalidError: An option that cannot be.
    """
    if not isinstance(pipeline, Pipeline):
        raise InvalidError(f"a {type(pipeline).__name__} is no pipeline", 'wrap it: pipeline("name", module(…))')
    if not isinstance(cluster, Cluster):
        raise InvalidError(f"a {type(cluster).__name__} is no cluster", "give Cluster([Host(…)])")
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise InvalidError(f"unknown option {min(unknown)!r}", f"known are {', '.join(RunOptions.__annotations__)}")
    bounds = _bounds(options)
    layout = checked(pipeline, cluster)
    sinks = tuple(options.get("sinks", ()))
    for each in sinks:
        if not isinstance(each, Journal) and not callable(each):
            raise InvalidError(f"{each!r} is no sink", "give ndjson(path), console(), or a function of an event")
    connector = options.get("connector") or _default_connector()
    run = options.get("run_id") or new_run_id()
    clock = options.get("clock") or SystemClock()
    journals = [each for each in sinks if isinstance(each, Journal)]
    build = lambda deliver: Engine(layout, run, connector, clock, journals, deliver, bounds)  # noqa: E731 -- needs a loop
    return _Plan(build, tuple(each for each in sinks if not isinstance(each, Journal)), connector)


def _default_connector() -> Connector:
    from kxflow.connectors.choose import default_connector

    return default_connector()


class Stream:
    """A run whose events come while it goes on: an async iterator, and an async context manager.

    Leaving it early ends the run: connections are closed, and hosts end the steps in progress. `async with` waits for
    that; an iteration that is broken off outside of one ends it when the stream is closed or collected.
    """

    def __init__(self, plan: _Plan) -> None:
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
            return await receive.receive()
        except anyio.EndOfStream:
            await self.aclose()
            raise StopAsyncIteration from None

    def _start(self) -> MemoryObjectReceiveStream[Event]:
        if self._receive is None:
            if self._closed:
                raise InvalidError("this stream is closed", "a stream runs once: make another")
            send, self._receive = anyio.create_memory_object_stream[Event](BUFFER)
            show = _Show(self._plan.sinks, send)
            self._engine = self._plan.engine(show.deliver)
            self._background = _Background(partial(_conduct, self._engine, show, self._plan.connector))
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
        if self._background is not None:
            self._background.abandon()


async def _conduct(engine: Engine, show: _Show, connector: Connector) -> None:
    try:
        await engine.run()
    finally:
        with anyio.CancelScope(shield=True):
            await show.close()
            with anyio.move_on_after(5):
                await connector.aclose()


class _Show:
    """Events to sinks and to whoever reads the stream."""

    def __init__(self, sinks: Iterable[Sink], send: MemoryObjectSendStream[Event]) -> None:
        self._feeds = [Feed(each) for each in sinks]
        self._send = send

    async def deliver(self, event: Event) -> None:
        for feed in self._feeds:
            feed.put(event)
        if isinstance(event, RunEnded):
            event = evolve(event, faults=(*event.faults, *await self._close_feeds()))
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody reads any more; sinks were told

    async def _close_feeds(self) -> list[Fault]:
        feeds, self._feeds = self._feeds, []
        faults = [await anyio.to_thread.run_sync(feed.close, abandon_on_cancel=False) for feed in feeds]
        return [fault for fault in faults if fault is not None]

    async def close(self) -> None:
        await self._close_feeds()
        await self._send.aclose()


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

    def abandon(self) -> None:
        """End it, from wherever, without waiting."""
        if self._done.is_set():
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._scope.cancel)


def stream(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Stream:
    """Run a pipeline and tell what happens while it happens.

    Use it as `async with stream(p, c) as events: async for event in events: …`. Folding what it yields with `fold`
    gives the report of `run`. Where nobody reads, hosts wait: memory stays bounded.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    return Stream(_prepare(pipeline, cluster, options))


async def arun(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Outcome:
    """Run a pipeline to its report; as `run`, to be awaited.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    return await _collect(stream(pipeline, cluster, **options))


async def _collect(events: Stream) -> Outcome:
    kept: list[Event] = []
    async with events:
        async for event in events:
            kept.append(event)  # noqa: PERF401 -- an async comprehension would not leave a trace of where it waits
    return outcome_of(fold(kept))


def run(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Outcome:
    """Run a pipeline and give its report, on the success or on the failure track; also inside a running event loop.

    In the main thread, SIGINT, SIGTERM and SIGHUP (where nobody else handles them) let steps in flight end, for up to
    ten seconds, and a second one ends them at once; the report says so.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    events = stream(pipeline, cluster, **options)
    if _inside_a_loop():
        return _run_aside(events)
    watched = _free_signals() if threading.current_thread() is threading.main_thread() else ()
    return anyio.run(_run_watched, events, watched)


def _inside_a_loop() -> bool:
    import sys

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_aside(events: Stream) -> Outcome:
    """In a loop of its own, in a thread; an interrupt of the waiting thread stops the run, and still gives its report."""
    with anyio.from_thread.start_blocking_portal() as portal:
        future = portal.start_task_soon(_collect, events)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                portal.call(events.stop, "SIGINT")


def _free_signals() -> tuple[signal.Signals, ...]:
    """Signals that nobody handles yet."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    free = (signal.SIG_DFL, signal.default_int_handler)
    return tuple(each for each in wanted if signal.getsignal(each) in free)


async def _run_watched(events: Stream, watched: tuple[signal.Signals, ...]) -> Outcome:
    if not watched:
        return await _collect(events)
    async with anyio.create_task_group() as tasks:
        ready = anyio.Event()
        tasks.start_soon(_watch, events, watched, ready)
        await ready.wait()
        outcome = await _collect(events)
        tasks.cancel_scope.cancel()
    return outcome


async def _watch(events: Stream, watched: tuple[signal.Signals, ...], ready: anyio.Event) -> None:
    """The first signal lets steps in flight end, for a while; the second ends them."""
    with anyio.open_signal_receiver(*watched) as received:
        ready.set()
        name = (await anext(received)).name
        events.stop(name)
        with anyio.move_on_after(GRACE):
            await anext(received)
        events.abort(name)
        async for again in received:
            events.abort(again.name)


def serial(
    pipeline: Pipeline, cluster: Cluster, *, connector: Connector | None = None, run_id: str | None = None
) -> Outcome:
    """Run a pipeline by the serial interpreter: one host and one step at a time, each as a program of its own.

    Slow and plain; it is what the laws compare `run` with.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
    """
    layout = checked(pipeline, cluster)
    via = connector or _default_connector()
    run = run_id or new_run_id()

    async def work() -> Outcome:
        wires = Wires(via, SystemClock(), cluster, anyio.Semaphore(1))
        lanes = {host.name: Lane(host, wires) for host in cluster.hosts}
        contexts = [HostContext(host, cluster, run, LaneRunner(lanes[host.name], Brake())) for host in cluster.hosts]
        try:
            return outcome_of(await Serial(layout, contexts).report())
        finally:
            for lane in lanes.values():
                await lane.aclose()
            await via.aclose()

    if _inside_a_loop():
        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(work)
    return anyio.run(work)
