"""Where it meets the world: default connectors, sinks, signals, event loops."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypedDict, TypeVar, Unpack, overload

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from kxflow.flow.check import checked
from kxflow.flow.layers import Pipeline
from kxflow.flow.layout import Layout
from kxflow.flow.policy import Rollback, Scope
from kxflow.flow.undo import recorded_values, undoing
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock, SystemClock
from kxflow.interpreters.engine import Engine, Options
from kxflow.interpreters.lane import Lane, Wires
from kxflow.interpreters.ports import Connector, Journal, Sink, check_sink
from kxflow.interpreters.run import Conduct, Kept, RunPlan, Stream
from kxflow.interpreters.runner import LaneRunner
from kxflow.values.cluster import Cluster
from kxflow.values.context import HostContext
from kxflow.values.errors import InvalidError
from kxflow.values.outcome import Outcome, outcome_of
from kxflow.values.plan import Plan, PlanMovedError, compare
from kxflow.values.report import Report
from kxflow.values.result import UNDO

T = TypeVar("T")

GRACE: Final = 10.0


class PlanOptions(TypedDict, total=False):
    """What `plan` takes.

    Attributes:
        concurrency: Most hosts asked at a time; 50 where not given.
        connects: Most hosts being connected to at a time; 20.
        connector: How hosts are reached; by SSH, locally or via a command, as the cluster says, where not given.
    """

    concurrency: int
    connects: int
    connector: Connector | None


class RunOptions(TypedDict, total=False):
    """What `run`, `arun` and `stream` take.

    Attributes:
        sinks: Journals, such as `ndjson(path)`, and sinks, such as `console()`, or any function of an event. No host
            waits for a sink: live output that it is too slow for is left out.
        reader: A sink that the run waits for: it is told everything, in order, and hosts that write faster than
            it takes are held up.
        concurrency: Most hosts at work at a time; 50 where not given.
        connects: Most hosts being connected to at a time; 20.
        open_connections: Most connections that stay open while idle; 256.
        fuse: Steps go out as one program, as far as they can; True.
        verify: False: what a resource did is not looked at again, its exit status is believed; a second run tells.
            None or True: as the resource says, and all of the library ask again.
        output: Live output is told as `OutputChunk` events; False.
        connector: How hosts are reached; by SSH, locally or via a command, as the cluster says, where not given.
        run_id: Id of the run; a new one where not given.
        clock: Time; the machine's where not given.
        on_signal: Of `run` only: called with the name of a signal that stops the run, and whether it ends steps in
            flight, too. In the event loop, so it must be quick; it must not raise.
    """

    sinks: Sequence[Sink | Journal]
    reader: Sink | None
    concurrency: int
    connects: int
    open_connections: int
    fuse: bool
    verify: bool | None
    output: bool
    connector: Connector | None
    run_id: str | None
    clock: Clock | None
    on_signal: Callable[[str, bool], object] | None


def new_run_id() -> str:
    """An id that sorts by time: UTC to the second, and 48 random bits."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"


def _bounds(options: RunOptions) -> Options:
    numbers = {}
    for name in ("concurrency", "connects", "open_connections"):
        value: Any = options.get(name, getattr(Options(), name))
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidError(f"{name}={value!r} cannot be", "give a whole number >= 1")
        numbers[name] = value
    verify = options.get("verify")
    if verify is not None and not isinstance(verify, bool):
        raise InvalidError(f"verify={verify!r} cannot be", "give True, False or None")
    return Options(
        **numbers, fuse=options.get("fuse", True), chunks=options.get("output", False), verify=verify is not False
    )


def _prepare(pipeline: Pipeline, cluster: Cluster, options: RunOptions) -> RunPlan:
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
    given = options.get("sinks", ())
    if not isinstance(given, Iterable):
        raise InvalidError(f"sinks={given!r} is no list", "write sinks=[console()]")
    sinks = tuple(given)
    for each in sinks:
        if not isinstance(each, Journal):
            check_sink(each)
    reader = options.get("reader")
    if reader is not None:
        check_sink(reader, "reader")
    connector = options.get("connector") or _connector_for(layout)
    run = options.get("run_id") or new_run_id()
    clock = options.get("clock") or SystemClock()
    journals = [each for each in sinks if isinstance(each, Journal)]
    build = lambda deliver: Engine(layout, run, connector, clock, journals, deliver, bounds)  # noqa: E731 -- needs a loop
    return RunPlan(build, tuple(each for each in sinks if not isinstance(each, Journal)), connector, reader)


def _connector_for(layout: Layout) -> Connector:
    """The usual one, when the key files are there that its hosts name.

    Raises:
        InvalidError: One of them cannot be read.
    """
    from kxflow.connectors.key_files import check_key_files

    names = {host.name: host for plan in layout.enabled for host in plan.hosts}
    check_key_files(names.values(), layout.cluster)
    return _default_connector()


def _default_connector() -> Connector:
    from kxflow.connectors.choose import default_connector

    return default_connector()


def stream(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Stream:
    """Run a pipeline and tell what happens while it happens.

    Use it as `async with stream(p, c) as events: async for event in events: …`. Folding what it yields with `fold`
    gives the report of `run`. Where nobody reads, hosts wait: memory stays bounded.

    Args:
        pipeline: What to do.
        cluster: On which hosts.
        options: See `kxflow.edge.RunOptions`.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    return Stream(_prepare(pipeline, cluster, options))


async def arun(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Outcome:
    """Run a pipeline to its report; as `run`, to be awaited.

    Args:
        pipeline: What to do.
        cluster: On which hosts.
        options: See `kxflow.edge.RunOptions`.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    kept = Kept()
    await Conduct(_prepare(pipeline, cluster, options), kept.take)()
    return kept.outcome


def run(pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Outcome:
    """Run a pipeline and give its report, on the success or on the failure track; also inside a running event loop.

    In the main thread, SIGINT, SIGTERM and SIGHUP (where nobody else handles them) let steps in flight end, for up to
    ten seconds, and a second one ends them at once; the report says so.

    Args:
        pipeline: What to do.
        cluster: On which hosts.
        options: See `kxflow.edge.RunOptions`.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be, or a journal's file that is none.
    """
    plan = _prepare(pipeline, cluster, options)
    told = options.get("on_signal") or _not_told
    if _inside_a_loop():
        return _run_aside(plan, told)
    watched = _free_signals() if threading.current_thread() is threading.main_thread() else {}
    try:
        return anyio.run(_run_watched, plan, tuple(watched), told)
    finally:
        for each, handler in watched.items():  # the event loop leaves its own idea of them
            signal.signal(each, handler)


def _not_told(name: str, final: bool) -> None:
    """Who wants to know that a signal came."""


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


def _run_aside(plan: RunPlan, told: Callable[[str, bool], object]) -> Outcome:
    """In a loop of its own, in a thread; an interrupt of the waiting thread stops the run, which still reports."""
    from anyio.from_thread import start_blocking_portal

    interrupted = False
    with start_blocking_portal() as portal:
        kept = Kept()
        conduct = portal.call(Conduct, plan, kept.take)
        future = portal.start_task_soon(conduct)
        while True:
            try:
                future.result()
            except KeyboardInterrupt:
                portal.call(conduct.abort if interrupted else conduct.interrupt, "SIGINT")
                told("SIGINT", interrupted)
                interrupted = True
            else:
                return kept.outcome


def _free_signals() -> dict[signal.Signals, Any]:
    """Signals that nobody handles yet, with the handlers that they have."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    free = (signal.SIG_DFL, signal.default_int_handler)
    return {each: its for each in wanted if (its := signal.getsignal(each)) in free}


async def _run_watched(
    plan: RunPlan, watched: tuple[signal.Signals, ...], told: Callable[[str, bool], object]
) -> Outcome:
    kept = Kept()
    conduct = Conduct(plan, kept.take)
    if not watched:
        await conduct()
        return kept.outcome
    refused: list[InvalidError] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch, conduct, watched, told)
        try:
            await conduct()
        except InvalidError as error:  # a journal's file: the caller's mistake, so it comes as it is, in no group
            refused.append(error)
        tasks.cancel_scope.cancel()
    if refused:
        raise refused[0]
    return kept.outcome


async def _watch(
    conduct: Conduct,
    watched: tuple[signal.Signals, ...],
    told: Callable[[str, bool], object],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """The first signal lets steps in flight end, for a while; the second ends them."""
    with anyio.open_signal_receiver(*watched) as received:
        task_status.started()
        name = (await anext(received)).name
        conduct.interrupt(name)
        told(name, False)
        with anyio.move_on_after(GRACE):
            name = (await anext(received)).name
        conduct.abort(name)
        told(name, True)
        async for again in received:
            conduct.abort(again.name)


def plan(pipeline: Pipeline, cluster: Cluster, **options: Unpack[PlanOptions]) -> Plan:
    """Say what a run would do, host by host and step by step; nothing is changed. Also inside a running event loop.

    Probes and checks are asked, and the values of steps that are done already; later steps see what earlier ones would
    change. A command with no check is unknown, and so is a step whose input is not known yet, unless the step that
    gives it has `example=`. Behind a command that would run, or may, later steps are foreseen as if it touched nothing
    of theirs: they say so (`unless`), and those whose path its text names are unknown. So do checks and values of
    commands behind any change. What can be seen to fail would fail, unless an earlier step may bring what it lacks;
    what that keeps from being reached is unknown.

    Args:
        pipeline: What is planned.
        cluster: Where.
        options: See `PlanOptions`.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    return _blocking(partial(aplan, pipeline, cluster, **options))


async def aplan(pipeline: Pipeline, cluster: Cluster, **options: Unpack[PlanOptions]) -> Plan:
    """As `plan`, to be awaited.

    Args:
        pipeline: What is planned.
        cluster: Where.
        options: See `PlanOptions`.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
        InvalidError: An option that cannot be.
    """
    from kxflow.interpreters.foresee import Foresight

    unknown = options.keys() - PlanOptions.__annotations__.keys()
    if unknown:
        raise InvalidError(f"unknown option {min(unknown)!r}", f"known are {', '.join(PlanOptions.__annotations__)}")
    bounds = _bounds(RunOptions(**{name: options[name] for name in ("concurrency", "connects") if name in options}))  # type: ignore[typeddict-item]  # names of both
    layout = checked(pipeline, cluster)
    connector = options.get("connector") or _default_connector()
    wires = Wires(connector, SystemClock(), cluster, anyio.Semaphore(bounds.connects))
    try:
        return await Foresight(layout, wires, concurrency=bounds.concurrency).plan()
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await connector.aclose()


def apply(planned: Plan, pipeline: Pipeline, cluster: Cluster, **options: Unpack[RunOptions]) -> Outcome:
    """Run a pipeline that was planned, if it would still do what was planned; else nothing is done.

    Args:
        planned: What `plan` gave, or what was saved of it.
        pipeline: What was planned.
        cluster: Where.
        options: As for `run`.

    Raises:
        PlanMovedError: The pipeline, the cluster, or the state of a host is another; the message tells the differences.
        CompositionError: The pipeline does not fit together, or not to this cluster.
        InvalidError: An option that cannot be.
    """
    names = PlanOptions.__annotations__.keys() & options.keys()
    now = plan(pipeline, cluster, **{name: options[name] for name in names})  # type: ignore[literal-required]  # names of both
    if moved := compare(planned, now):
        raise PlanMovedError(moved)
    return run(pipeline, cluster, **options)


@overload
def rollback(scope: Scope, /) -> Rollback: ...
@overload
def rollback(pipeline: Pipeline, cluster: Cluster, done: Report, /, **options: Unpack[RunOptions]) -> Outcome: ...
def rollback(*args: Any, **options: Any) -> Any:
    """Take back what a run did: the steps that it began in reverse order, host by host; the undos are the results.

    Called with `"host"`, `"wave"` or `"run"` it is a policy: `pipeline(…, on_failure=rollback("wave"))`.

    A resource is brought back to the state that was found, a command is taken back by its `undo=`, also where it failed
    half-way. What cannot be taken back, as a step whose end is not known (Lost), is Skipped and says why; a host whose
    undo fails is not touched any further. What followed a change (`on_change`) follows its undo, too; where that fails,
    the host's others are taken back all the same, and a mark stays there for the next run. What an `after=` hook did is
    left alone: it is what ends a layer, as `finally` does.

    Args:
        args: A scope; or the pipeline that ran, its cluster, and the report, as it was given or as a log tells it.
        options: As for `run`.

    Raises:
        InvalidError: A scope that is none; a report of another pipeline, or of a rollback.
        CompositionError: The pipeline does not fit together, or not to this cluster.
    """
    if len(args) == 1:
        return Rollback(args[0])
    pipeline, cluster, done = args
    if done.results and done.pipeline != pipeline.name:
        raise InvalidError(f"a report of {done.pipeline!r}, not of {pipeline.name!r}", "give the pipeline that ran")
    if done.results and all(each.module == UNDO for each in done.results):
        raise InvalidError("a report of a rollback", "give that of the run that it took back")
    layout = checked(pipeline, cluster)
    known = [each for each in done.results if each.host in cluster]
    values = recorded_values(layout, known)
    back = undoing(layout, known, values, {each.host for each in known})
    return run(back, cluster, **options)


def serial(
    pipeline: Pipeline,
    cluster: Cluster,
    *,
    connector: Connector | None = None,
    run_id: str | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Run a pipeline by the serial interpreter: one host and one step at a time, each as a program of its own.

    Slow and plain; it is what the laws compare `run` with.

    Args:
        pipeline: What to do.
        cluster: On which hosts.
        connector: How hosts are reached; as the cluster says, where not given.
        run_id: Id of the run; a new one where not given.
        clock: Time; the machine's where not given.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster; no host is touched.
    """
    from kxflow.interpreters.serial import Serial

    layout = checked(pipeline, cluster)
    via = connector or _default_connector()
    run = run_id or new_run_id()

    async def work() -> Outcome:
        wires = Wires(via, clock or SystemClock(), cluster, anyio.Semaphore(1))
        lanes = {host.name: Lane(host, wires) for host in cluster.hosts}
        contexts = [HostContext(host, cluster, run, LaneRunner(lanes[host.name], Brake())) for host in cluster.hosts]
        try:
            return outcome_of(await Serial(layout, contexts, wires.redactor).report())
        finally:
            for lane in lanes.values():
                await lane.aclose()
            await via.aclose()

    return _blocking(work)


def _blocking(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end, also inside a running event loop."""
    if _inside_a_loop():
        from anyio.from_thread import start_blocking_portal

        with start_blocking_portal() as portal:
            return portal.call(work)
    return anyio.run(work)
