"""Laws 1 to 4 and 13 of the interpreters, on whatever pipelines can be drawn: serial is the oracle of run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from tests.flow.drawn import joined
from tests.interpreters.drawn import POLICIES, Shape, pipelines, step_lists
from tests.interpreters.world import FLEET, HOSTS, World, folded, oracle, paces, ran, timeless, worlds
from tests.laws import laws

GOING = Shape(policies=False)
APART = Shape(policies=False, cross=False)
BOUNDS = st.fixed_dictionaries(
    {"concurrency": st.integers(1, 5), "connects": st.integers(1, 3), "open_connections": st.integers(1, 4)}
)

# -- law 1: stream = run = serial --


@laws(250)
@given(pipeline=pipelines(), world=worlds(lost=True))
def test_one_host_at_a_time_stream_run_and_serial_say_the_same(pipeline: kx.Pipeline, world: World) -> None:
    """Law 1: under every policy, where the order in which hosts come is fixed."""
    told = timeless(oracle(pipeline, world))
    assert timeless(ran(pipeline, world, concurrency=1, fuse=False)) == told
    assert timeless(folded(pipeline, world, concurrency=1, fuse=False)) == told


@laws(150)
@given(pipeline=pipelines(GOING), world=worlds(lost=True), bounds=BOUNDS)
def test_under_keep_going_stream_run_and_serial_say_the_same(pipeline: kx.Pipeline, world: World, bounds: Any) -> None:
    """Law 1: however many hosts are at work side by side."""
    told = timeless(oracle(pipeline, world))
    assert timeless(ran(pipeline, world, fuse=False, **bounds)) == told
    assert timeless(folded(pipeline, world, fuse=False, **bounds)) == told


# -- law 2: order --


@laws(100)
@given(pipeline=pipelines(GOING), world=worlds(lost=True), pace=paces(), bounds=st.tuples(BOUNDS, BOUNDS), fuse=...)
def test_under_keep_going_the_report_does_not_depend_on_timing(
    pipeline: kx.Pipeline, world: World, pace: tuple[int, ...], bounds: Any, fuse: bool
) -> None:
    """Law 2: how long connections and steps take on which host, and how many go side by side, changes times alone."""
    one, other = bounds
    first = ran(pipeline, world, fuse=fuse, **one)
    second = ran(pipeline, evolve(world, pace=pace), fuse=fuse, **other)
    assert timeless(first) == timeless(second)


# -- law 3: totality --


def addresses(pipeline: kx.Pipeline) -> Iterator[tuple[str, str]]:
    """Path and host of every result that there has to be, in order, read off the pipeline as it was written."""

    def names(steps: Iterable[kx.Step[Any]]) -> Iterator[str]:
        for each in steps:
            yield each.name
            yield from names(each.rescued_by)

    def those(path: str, tasks: Iterable[kx.Task]) -> Iterator[tuple[str, str]]:
        for task in tasks:
            for name in names(task.steps):
                for host in FLEET.hosts:
                    if host in task.hosts(FLEET):
                        yield f"{path}/{task.name}/{name}", host.name

    yield from those("p/@before", pipeline.before)
    for module in pipeline.modules:
        if module.when(FLEET) if callable(module.when) else module.when:
            path = f"p/{module.name}"
            yield from those(f"{path}/@before", module.before)
            yield from those(path, module.tasks)
            yield from those(f"{path}/@after", module.after)
    yield from those("p/@after", pipeline.after)


@laws(100)
@given(pipeline=pipelines(), world=worlds(lost=True), bounds=BOUNDS, fuse=...)
def test_every_address_of_an_enabled_task_has_exactly_one_result_in_order(
    pipeline: kx.Pipeline, world: World, bounds: Any, fuse: bool
) -> None:
    """Laws 2 and 3: under every policy, at every pace; and what did not run says why."""
    its = ran(pipeline, world, fuse=fuse, **bounds)
    assert [(each.path, each.host) for each in its] == list(addresses(pipeline))
    assert [each.position for each in its] == sorted({each.position for each in its})
    assert all(each.reason for each in its if each.status is kx.Status.NotRun)


# -- law 4: sequence --


def task_of(*parts: Any, policy: Any = None) -> kx.Pipeline:
    """A pipeline of one task."""
    policy = kx.keep_going() if policy is None else policy
    return kx.pipeline("p", kx.module("m", kx.task("t", *parts)), policy=policy)


@laws(60)
@given(parts=step_lists(), cuts=st.tuples(st.integers(0, 5), st.integers(0, 5)), policy=POLICIES, world=worlds())
def test_steps_splice_without_a_trace(
    parts: tuple[kx.Step[Any], ...], cuts: tuple[int, int], policy: Any, world: World
) -> None:
    """Law 4: `steps(a, steps(b, c))` is `a, b, c`, and `steps()` is nothing."""
    low, high = sorted(cuts)
    nested = kx.steps(kx.steps(), *parts[low:high], kx.steps(*parts[high:], kx.steps()))
    flat = ran(task_of(*parts, policy=policy), world, concurrency=1)
    assert timeless(ran(task_of(*parts[:low], nested, policy=policy), world, concurrency=1)) == timeless(flat)


@laws(60)
@given(parts=step_lists(), at=st.integers(0, 5), world=worlds(lost=True), concurrency=st.integers(1, 5))
def test_a_task_is_its_first_steps_and_then_where_they_did_not_stop_it_the_rest(
    parts: tuple[kx.Step[Any], ...], at: int, world: World, concurrency: int
) -> None:
    """Law 4: one task or two, the first steps alone or with others behind them, their records are the same."""

    def told(*tasks: Iterable[kx.Step[Any]]) -> dict[tuple[str, str], Any]:
        modules = [kx.module(f"m{i}", kx.task("t", *steps)) for i, steps in enumerate(tasks)]
        pipeline = kx.pipeline("p", *modules, policy=kx.keep_going())
        its = ran(pipeline, world, concurrency=concurrency, fuse=False)
        return {(each.step, each.host): _without_place(each) for each in timeless(its)}

    whole = told(parts)
    assert told(parts[:at], parts[at:]) == whole
    assert told(parts[:at]).items() <= whole.items()


def _without_place(result: kx.StepResult) -> list[object]:
    """A record but for the module it stands in."""
    fault = None if result.error is None else evolve(result.error, where="")
    reason = result.reason.replace("p/m1/", "p/m0/")
    moved = evolve(result, module="m", position=kx.Position(0, 0, 0, result.position.host), error=fault, reason=reason)
    return [moved]


# -- law 13: merge --


@laws(60)
@given(
    pipeline=pipelines(APART),
    world=worlds(lost=True),
    parts=st.lists(st.integers(0, 2), min_size=len(HOSTS), max_size=len(HOSTS)),
    order=st.permutations(range(3)),
    fuse=...,
)
def test_a_partition_of_the_hosts_adds_up_to_the_whole(
    pipeline: kx.Pipeline, world: World, parts: list[int], order: list[int], fuse: bool
) -> None:
    """Law 13: run up to three parts, add the reports in any order."""
    its = kx.Report.empty
    for part in order:
        inside = [kx.host(name) for name, its_part in zip(HOSTS, parts, strict=True) if its_part == part]
        if inside:
            cluster = FLEET.only(joined(inside))
            its += ran(pipeline, world, cluster, run_id="r", fuse=fuse)
    assert timeless(its) == timeless(ran(pipeline, world, run_id="r", fuse=fuse))
