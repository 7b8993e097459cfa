"""Law 7: a policy that stops is obeyed, on whatever pipelines can be drawn, and closely on one task."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.policy import Policy
from kxflow.testing.plugin import MakeSshdFleet
from kxflow.values.action import Command
from kxflow.values.tally import Tally, Verdict
from tests.interpreters.doing import KINDS, Doing
from tests.interpreters.drawn import FUSED, pipelines, tasks_of
from tests.interpreters.hosts import ran
from tests.interpreters.world import FLEET as WORLD
from tests.interpreters.world import Hosts, Order, Turns, World, worlds
from tests.laws import laws

HOSTS = ("a", "b", "c", "d")
FLEET = kx.Cluster([kx.Host(name) for name in HOSTS])

# -- one task, closely --

TABLE = st.lists(st.dictionaries(st.sampled_from(HOSTS), st.booleans(), max_size=2), min_size=1, max_size=4)
"""By step: hosts on which it fails."""
PAUSES = st.lists(st.integers(0, 4), min_size=16, max_size=16)
POLICIES: dict[str, Callable[[bool], Policy]] = {
    "first": lambda cancel: kx.fail_fast(cancel=cancel),
    "two": lambda _: kx.max_failures(1),
    "quorum": lambda _: kx.quorum(kx.all_hosts, 3),
}


@frozen
class Watched(Policy):
    """As another policy; that it stopped is noted."""

    policy: Policy
    lines: list[tuple[str, ...]] = field(eq=False)

    def __call__(self, tally: Tally) -> Verdict:
        verdict = self.policy(tally)
        if verdict.stops:
            self.lines.append(("stop",))
        return verdict


class Log:
    """What happened, in order: `begin host step` as a host sees it, `end …`, and `stop` as the policy says it."""

    def __init__(self, fails: list[Mapping[str, bool]], pauses: list[int]) -> None:
        self.lines: list[tuple[str, ...]] = []
        self._fails, self._pauses = fails, pauses

    async def pause(self, host: kx.Host, command: Command[Any]) -> None:
        """A command begins on a host."""
        step = str(command)
        self.lines.append(("begin", host.name, step))
        for _ in range(self._pauses[(HOSTS.index(host.name) + 4 * int(step)) % len(self._pauses)]):
            await anyio.lowlevel.checkpoint()

    def answer(self, host: kx.Host, command: Command[Any]) -> int:
        """And it ends."""
        self.lines.append(("end", host.name, str(command)))
        return 1 if host.name in self._fails[int(str(command))] else 0


@pytest.mark.parametrize("fuse", [True, False])
def test_once_a_policy_says_stop_no_host_begins_another_step_and_those_in_flight_end(fuse: bool) -> None:
    """Law 7: what a host begins after the word `stop` it had been told before: at most the one step in flight."""

    @laws(100)
    @given(fails=TABLE, pauses=PAUSES, name=st.sampled_from(sorted(POLICIES)), cancel=st.booleans())
    def check(fails: list[Mapping[str, bool]], pauses: list[int], name: str, cancel: bool) -> None:
        log = Log(fails, pauses)
        steps = [kx.command(f"s{i}", f"{i}") for i in range(len(fails))]
        pipeline = kx.pipeline(
            "p", kx.module("m", kx.task("t", *steps, policy=Watched(POLICIES[name](cancel), log.lines)))
        )
        connector = kx.MemoryConnector(log.answer, pause=log.pause)

        async def collect() -> list[Any]:
            return [event async for event in kx.stream(pipeline, FLEET, connector=connector, fuse=fuse)]

        events = asyncio.run(collect())
        report = kx.fold(events)
        check_stop(log, events)
        check_ends(log, report, cancel=cancel and name == "first")

    check()


def check_stop(log: Log, events: list[Any]) -> None:
    """Nobody begins two steps after it; what is said to have been stopped was never told to begin."""
    if ("stop",) not in log.lines:
        return
    behind = log.lines[log.lines.index(("stop",)) :]
    begun = Counter(line[1] for line in behind if line[0] == "begin")
    assert all(count <= 1 for count in begun.values())
    told = {(event.host, event.step) for event in events if isinstance(event, kx.StepBegan)}
    assert {(line[1], f"s{line[2]}") for line in log.lines if line[0] == "begin"} <= told
    stopped = [e.result for e in events if isinstance(e, kx.StepEnded) and e.result.reason.startswith("stopped")]
    for result in stopped:
        assert result.status is kx.Status.NotRun
        assert (result.host, result.step) not in told


def check_ends(log: Log, report: kx.Report, *, cancel: bool) -> None:
    """What began has ended: whole, or, where in-flight steps are to be ended, perhaps Cancelled."""
    assert len(report) == len(HOSTS) * len({each.step for each in report})
    begun = Counter((line[1], f"s{line[2]}") for line in log.lines if line[0] == "begin")
    ended = {(line[1], f"s{line[2]}") for line in log.lines if line[0] == "end"}
    assert all(count == 1 for count in begun.values())
    for result in report:
        at = (result.host, result.step)
        match result.status:
            case kx.Status.NotRun:
                assert at not in begun
            case kx.Status.Cancelled:
                assert cancel
                assert at not in ended
            case _:
                assert at in ended


def test_with_cancel_every_step_in_flight_ends_cancelled() -> None:
    """Law 7, held until the policy has spoken: they cannot end by themselves, and do not keep the run."""

    @laws(30)
    @given(failing=st.sampled_from(HOSTS), held=st.sets(st.sampled_from(HOSTS), min_size=1), fuse=st.booleans())
    def check(failing: str, held: set[str], fuse: bool) -> None:
        waiting = held - {failing}
        began: set[str] = set()
        all_began = anyio.Event()

        async def pause(host: kx.Host, _: Any) -> None:
            began.add(host.name)
            if waiting <= began:
                all_began.set()
            if host.name in waiting:
                await anyio.sleep_forever()
            await all_began.wait()

        connector = kx.MemoryConnector(lambda host, _: int(host.name == failing), pause=pause)
        task = kx.task("t", kx.command("s", "s"), kx.command("n", "n"), policy=kx.fail_fast(cancel=True), concurrency=4)
        its = ran(kx.pipeline("p", kx.module("m", task)), FLEET, connector=connector, fuse=fuse)
        statuses = {each.host: each.status for each in its if each.step == "s"}
        assert statuses[failing] is kx.Status.Failed
        assert {statuses[name] for name in waiting} <= {kx.Status.Cancelled}
        assert all(each.status is kx.Status.NotRun for each in its if each.step == "n" and each.host in waiting)

    check()


def test_on_real_shells_a_policy_that_stops_is_obeyed_at_the_next_step(sshd_fleet: MakeSshdFleet) -> None:
    """Law 7, worked: three hosts in the middle of their first step when a fourth fails; marks say what began."""
    fleet = sshd_fleet(4)

    @kx.step
    def first(ctx: kx.HostContext) -> kx.Action[Any]:
        others = [str(fleet.home(host.name) / "began") for host in ctx.cluster.hosts[1:]]
        if ctx.host.name == "host1":
            return kx.shell("".join(f"until test -e {each}; do sleep 0.05; done; " for each in others) + "exit 1")
        return kx.shell("touch ~/began; sleep 0.5; touch ~/ended")

    task = kx.task("t", first, kx.command("second", "touch ~/second"), policy=kx.fail_fast())
    its = ran(kx.pipeline("p", kx.module("m", task)), fleet.cluster)
    assert [each.status.name for each in its if each.step == "first"] == ["Failed", *["Succeeded"] * 3]
    assert {each.status.name for each in its if each.step == "second"} == {"NotRun"}
    for host in fleet.hosts[1:]:
        assert (fleet.home(host.name) / "ended").exists()
        assert not (fleet.home(host.name) / "second").exists()


# -- whatever pipelines can be drawn --


SEVERAL = ("both", "parts")
"""Kinds of steps that are several commands: one that has begun goes on with the others."""


@frozen
class Governed(Policy):
    """As another policy; what begins, ends and is stopped goes into one log.

    Attributes:
        steps: Numbers of the steps that may not begin once it stopped.
    """

    policy: Policy
    steps: frozenset[int]
    log: Told

    def __call__(self, tally: Tally) -> Verdict:
        verdict = self.policy(tally)
        if verdict.stops:
            self.log.stopped(self.steps)
            self.log.cancels = self.log.cancels or verdict.cancel
        return verdict


class Told:
    """What began and ended, by number of step and host; and what began though a policy had stopped it."""

    def __init__(self, pipeline: kx.Pipeline) -> None:
        self.begun: Counter[tuple[int, str]] = Counter()
        self.ended: Counter[tuple[int, str]] = Counter()
        self.late: Counter[str] = Counter()
        self.cancels = False
        self._several = numbers(tasks_of(pipeline), SEVERAL)
        self._stopped: set[int] = set()

    def stopped(self, steps: frozenset[int]) -> None:
        """A policy says that these may not begin."""
        self._stopped |= steps

    def heard(self, what: str, order: Order) -> None:
        """A host begins or ends with a command."""
        at = (order.step, order.host)
        goes_on = order.step in self._several and self.begun[at]
        if what == "begin" and order.step in self._stopped and not goes_on:
            self.late[order.host] += 1
        (self.begun if what == "begin" else self.ended)[at] += 1


def numbers(tasks: Iterable[kx.Task], kinds: Container[str] = KINDS) -> frozenset[int]:
    """Of all their steps, or of those of some kinds."""

    def inside(steps: Iterable[kx.Step[Any]]) -> Iterator[int]:
        for each in steps:
            if isinstance(each.build, Doing) and each.build.kind in kinds:
                yield each.build.number
            yield from inside(each.rescued_by)

    return frozenset(number for task in tasks for number in inside(task.steps))


def governed(pipeline: kx.Pipeline, log: Told) -> kx.Pipeline:
    """The pipeline with every policy watched: what `after` holds is stopped by its own policy alone."""
    own = numbers(tasks_of(pipeline, after=False))

    def watch(task: kx.Task) -> kx.Task:
        policy = pipeline.policy if task.policy is None else task.policy
        return evolve(task, policy=Governed(policy, own | numbers([task]), log))

    guard = None if pipeline.guard is None else Governed(pipeline.guard, own, log)
    return evolve(pipeline.each_task(watch), guard=guard)


@laws(200)
@given(pipeline=pipelines() | pipelines(FUSED), world=worlds(), concurrency=st.integers(1, 5), fuse=...)
def test_once_anything_says_stop_no_host_begins_but_what_it_was_told_before(
    pipeline: kx.Pipeline, world: World, concurrency: int, fuse: bool
) -> None:
    """Law 7: policies of tasks and pipelines, and guards; what is in flight ends, or is Cancelled where so said."""
    log = Told(pipeline)

    async def collect() -> list[kx.Event]:
        its = governed(pipeline, log)
        options: Any = {"concurrency": concurrency, "fuse": fuse, "clock": Turns()}
        return [event async for event in kx.stream(its, WORLD, connector=Hosts(world, log.heard), **options)]

    events = asyncio.run(collect())
    assert all(count <= (concurrency > 1) for count in log.late.values())
    began = {(event.step, event.host) for event in events if isinstance(event, kx.StepBegan)}
    for result in kx.fold(events):
        at = (int(result.step[1:]), result.host)
        if result.status is kx.Status.NotRun:
            assert not log.begun[at]
            assert (result.step, result.host) not in began
        elif result.status is kx.Status.Cancelled:
            assert log.cancels
            assert log.begun[at] - log.ended[at] <= 1
        else:
            assert log.begun[at] == log.ended[at]
