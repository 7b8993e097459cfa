"""The laws of the interpreters, on generated pipelines: serial is the oracle of run, on memory and on real shells."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.values.action import Command

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "fail", "fail web", "held", "when", "skip", "no", "value", "raise"]),
        st.sampled_from(["", "tolerant", "rescue", "bad rescue", "retry", "both"]),
    ),
    max_size=4,
)
TASKS = st.lists(st.tuples(STEPS, st.sampled_from(["all", "web", "db"]), st.sampled_from([None, 1, 2])), max_size=3)
MODULES = st.lists(st.tuples(TASKS, st.booleans(), st.booleans()), min_size=1, max_size=2)
POLICIES = st.sampled_from([kx.keep_going(), kx.fail_fast(), kx.max_failures(1), kx.max_failures("40%")])
FLEET = kx.Cluster([kx.Host("db1", roles={"db"}), *(kx.Host(f"web{i}", roles={"web"}) for i in range(3))])
WHERE = {"all": kx.all_hosts, "web": kx.role("web"), "db": kx.role("db")}
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def answer(host: kx.Host, command: Command[Any]) -> kx.Reply:
    """Hosts that do as the command's first word says."""
    word = str(command).split()[0]
    if word == "held":
        return kx.Reply(held=True)
    bad = word == "fail" or (word == "failweb" and host.name == "web1")
    return kx.Reply(exit_code=3 if bad else 0, stdout=f"{host.name} {command}".encode(), stderr=b"e")


def made(name: str, function: Callable[[kx.HostContext], kx.Action[Any]]) -> kx.Step[Any]:
    """A step of a function, under a name."""
    step: kx.Step[Any] = kx.step(function)
    return step.named(name)


def giving(name: str, action: kx.Action[Any]) -> kx.Step[Any]:
    """A step that gives an action."""
    return made(name, lambda _: action)


def make_step(name: str, kind: str, extra: str) -> kx.Step[Any]:
    """A step of a kind, with something attached."""
    text = f"{kind.replace(' ', '')} {name}"

    def odd(ctx: kx.HostContext) -> kx.Action[Any]:
        raise RuntimeError(ctx.host.name)

    plain: dict[str, kx.Step[Any]] = {
        "when": kx.command(name, text).when(lambda ctx: ctx.host.name != "web1"),
        "skip": giving(name, kx.skip("no need")),
        "no": giving(name, kx.fail("cannot")),
        "value": kx.command(name, text, parse=len),
        "raise": made(name, odd),
    }
    step = plain[kind] if kind in plain else kx.command(name, text)
    match extra:
        case "tolerant":
            return step.ignore_errors()
        case "rescue":
            return step.rescue(kx.command(f"{name} rescue", "ok"))
        case "bad rescue":
            return step.rescue(kx.command(f"{name} rescue", "fail"))
        case "retry":
            return step.retry(2)
        case "both":
            return giving(name, kx.both(kx.cmd("ok"), kx.cmd(*text.split())))
        case _:
            return step


def make(modules: Any, policy: Any) -> kx.Pipeline:
    """A pipeline of what was drawn."""

    def tasks(prefix: str, drawn: Any) -> list[kx.Task]:
        return [
            kx.task(
                f"{prefix}{t}",
                *(make_step(f"s{t}-{s}", *each) for s, each in enumerate(steps)),
                on=WHERE[where],
                concurrency=bound,
            )
            for t, (steps, where, bound) in enumerate(drawn)
        ]

    layers = [
        kx.module(
            f"m{m}",
            *tasks("t", drawn),
            before=tasks("b", drawn[:1]) if before else (),
            after=tasks("a", drawn[:1]) if after else (),
        )
        for m, (drawn, before, after) in enumerate(modules)
    ]
    return kx.pipeline("p", *layers, policy=policy)


def timeless(report: kx.Report) -> list[kx.StepResult]:
    """Results without what differs from run to run."""
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    return [
        evolve(
            each,
            run="r",
            started_at=epoch,
            ended_at=epoch,
            duration=0.0,
            attempts=tuple(evolve(a, started_at=epoch, ended_at=epoch, duration=0.0) for a in each.attempts),
        )
        for each in report
    ]


def ran(pipeline: kx.Pipeline, cluster: kx.Cluster = FLEET, **options: Any) -> kx.Report:
    """The report of a run in memory."""
    return kx.report_of(kx.run(pipeline, cluster, connector=kx.MemoryConnector(answer), **options))


@RELAXED
@given(modules=MODULES, policy=POLICIES)
def test_run_one_host_at_a_time_equals_serial(modules: Any, policy: Any) -> None:
    """Law 1: under every policy, where order is fixed."""
    pipeline = make(modules, policy)
    oracle = kx.report_of(kx.serial(pipeline, FLEET, connector=kx.MemoryConnector(answer)))
    assert timeless(ran(pipeline, concurrency=1)) == timeless(oracle)


@RELAXED
@given(modules=MODULES, concurrency=st.integers(1, 5), fuse=st.booleans())
def test_under_keep_going_the_report_depends_on_nothing_else(modules: Any, concurrency: int, fuse: bool) -> None:
    """Laws 2 and 5: not on concurrency, not on fusion; and it equals serial."""
    pipeline = make(modules, kx.keep_going())
    oracle = kx.report_of(kx.serial(pipeline, FLEET, connector=kx.MemoryConnector(answer)))
    assert timeless(ran(pipeline, concurrency=concurrency, fuse=fuse)) == timeless(oracle)


@RELAXED
@given(modules=MODULES, policy=POLICIES)
def test_folding_the_stream_equals_the_run(modules: Any, policy: Any) -> None:
    """Law 1, the other half."""
    pipeline = make(modules, policy)

    async def fold() -> kx.Report:
        stream = kx.stream(pipeline, FLEET, connector=kx.MemoryConnector(answer), concurrency=1)
        return kx.fold([event async for event in stream])

    assert timeless(asyncio.run(fold())) == timeless(ran(pipeline, concurrency=1))


@RELAXED
@given(modules=MODULES, policy=POLICIES, concurrency=st.integers(1, 5))
def test_every_address_of_an_enabled_task_has_exactly_one_result_in_order(
    modules: Any, policy: Any, concurrency: int
) -> None:
    """Laws 2 and 3: results = the sum over enabled tasks of hosts times steps."""
    from kxflow.flow.layout import lay_out

    pipeline = make(modules, policy)
    its = ran(pipeline, concurrency=concurrency)
    expected = [
        (plan.path(slot), host.name)
        for plan in lay_out(pipeline, FLEET).enabled
        for slot in plan.slots
        for host in plan.hosts
    ]
    assert [(each.path, each.host) for each in its] == expected
    assert [each.position for each in its] == sorted({each.position for each in its})


@RELAXED
@given(first=STEPS, second=STEPS, policy=POLICIES)
def test_steps_splice_without_a_trace(first: Any, second: Any, policy: Any) -> None:
    """Law 4: a task of two parts is the task of their steps."""
    one = [make_step(f"a{i}", *each) for i, each in enumerate(first)]
    two = [make_step(f"b{i}", *each) for i, each in enumerate(second)]

    def of(*parts: Any) -> kx.Pipeline:
        return kx.pipeline("p", kx.module("m", kx.task("t", *parts)), policy=policy)

    nested = of(kx.steps(), kx.steps(*one, kx.steps(*two)))
    assert timeless(ran(nested, concurrency=1)) == timeless(ran(of(*one, *two), concurrency=1))


@RELAXED
@given(kinds=st.lists(st.sampled_from(["ok", "fail", "held", "fail web"]), min_size=1, max_size=4))
def test_tolerance_changes_only_what_happens_next_and_the_flag(kinds: list[str]) -> None:
    """Law 8: the record of the step itself is the same but for `tolerated`."""
    steps = [make_step(f"s{i}", kind, "") for i, kind in enumerate(kinds)]
    plain = ran(kx.pipeline("p", kx.module("m", kx.task("t", *steps)), policy=kx.keep_going()))
    easy = ran(kx.pipeline("p", kx.module("m", kx.task("t", *steps).ignore_errors()), policy=kx.keep_going()))
    begun = {(each.path, each.host): each for each in timeless(plain) if each.status is not kx.Status.NotRun}
    for each in timeless(easy):
        known = begun.get((each.path, each.host))
        if known is not None:
            assert evolve(each, tolerated=known.tolerated) == known


@RELAXED
@given(modules=MODULES, cut=st.integers(0, 15))
def test_a_partition_of_the_hosts_adds_up_to_the_whole(modules: Any, cut: int) -> None:
    """Law 13: run the parts, add the reports in any order."""
    pipeline = make(modules, kx.keep_going())
    names = [host.name for i, host in enumerate(FLEET.hosts) if cut >> i & 1]
    assume(0 < len(names) < len(FLEET))

    def part(inside: bool) -> kx.Report:
        cluster = FLEET.only(kx.where(lambda host: (host.name in names) is inside))
        tasks_here = [
            evolve(
                each,
                tasks=tuple(evolve(task, allow_empty=True) for task in each.tasks),
                before=tuple(evolve(task, allow_empty=True) for task in each.before),
                after=tuple(evolve(task, allow_empty=True) for task in each.after),
            )
            for each in pipeline.modules
        ]
        return ran(evolve(pipeline, modules=tuple(tasks_here)), cluster, run_id="r")

    whole = timeless(ran(pipeline, run_id="r"))
    one, other = part(True), part(False)
    assert timeless(one + other) == whole
    assert timeless(other + one) == whole


@settings(deadline=None, max_examples=25)
@given(
    kinds=st.lists(st.sampled_from(["true", "exit 3", "check", "undone", "echo x; exit 0"]), min_size=1, max_size=5),
    fuse=st.booleans(),
)
def test_on_real_shells_fused_equals_serial_and_a_check_that_holds_starts_nothing(kinds: list[str], fuse: bool) -> None:
    """Laws 5 and 6, on a real shell: the run part of a held check would leave its mark in the output."""
    fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
    checks = {"check": "true", "undone": "false"}
    steps = [
        kx.command(f"s{i}", f"echo ran{i}" if kind in checks else kind, check=checks.get(kind), value="echo v")
        if kind in checks
        else kx.command(f"s{i}", kind)
        for i, kind in enumerate(kinds)
    ]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)), policy=kx.keep_going())
    its = kx.report_of(kx.run(pipeline, fleet, fuse=fuse))
    assert timeless(its) == timeless(kx.report_of(kx.serial(pipeline, fleet)))
    for each in its:
        if each.reason == "check":
            assert each.stdout.size == 0
