"""Laws 6 and 7, on generated pipelines: a check that holds starts nothing, and a policy that stops is obeyed."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.policy import Policy
from kxflow.testing.plugin import MakeSshdFleet
from kxflow.values.action import Command
from kxflow.values.tally import Tally, Verdict
from tests.interpreters.hosts import giving, one, ran

HOSTS = ("a", "b", "c", "d")
FLEET = kx.Cluster([kx.Host(name) for name in HOSTS])
RELAXED = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

# -- law 7 --

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

    @RELAXED
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

    @settings(RELAXED, max_examples=30)
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


# -- law 6 --

KINDS = st.tuples(
    st.sampled_from(["holds", "undone", "fails", "none"]),
    st.sampled_from(["", "value", "parse", "folder", "environment", "stdin", "tolerant", "rescue", "retry", "both"]),
)
CODES = {"holds": 0, "undone": 1, "fails": 5}


def make(name: str, kind: str, extra: str, folder: Path) -> kx.Step[Any]:
    """A step whose run leaves its name in a file, and so does its check."""
    options: dict[str, Any] = {}
    if kind != "none":
        options["check"] = f"echo {name} >> {folder}/checked; exit {CODES[kind]}"
    match extra:
        case "value":
            options["value"] = "echo v"
        case "parse":
            options["parse"] = str
        case "folder":
            options["cwd"] = str(folder)
        case "environment":
            options["env"] = {"X": "y"}
        case "stdin":
            options["stdin"] = b"x"
    action: kx.Action[Any] = kx.shell(f"echo {name} >> {folder}/ran", **options)
    step = giving(name, kx.both(action, action) if extra == "both" else action)
    match extra:
        case "tolerant":
            return step.ignore_errors()
        case "rescue":
            return step.rescue(kx.command(f"{name} rescue", "true"))
        case "retry":
            return step.retry(1)
    return step


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(kinds=st.lists(KINDS, min_size=1, max_size=6), fuse=st.booleans())
def test_a_check_that_holds_means_skipped_and_nothing_is_started(kinds: list[tuple[str, str]], fuse: bool) -> None:
    """Law 6, on shells, by marks in files: Skipped where it held, run where undone, neither where it failed."""
    fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = [make(f"s{i}", kind, extra, folder) for i, (kind, extra) in enumerate(kinds)]
        its = {each.step: each for each in ran(one(*steps), fleet, fuse=fuse)}
        ran_, checked = (
            Counter((folder / each).read_text().split() if (folder / each).exists() else [])
            for each in ("ran", "checked")
        )
    for i, (kind, extra) in enumerate(kinds):
        result = its[f"s{i}"]
        times = 2 if extra in ("both", "retry") else 1
        if result.status is kx.Status.NotRun:
            assert not ran_[f"s{i}"] + checked[f"s{i}"]
            continue
        match kind:
            case "holds":
                assert (result.status, result.reason) == (kx.Status.Skipped, "check")
                assert (ran_[f"s{i}"], checked[f"s{i}"]) == (0, 2 if extra == "both" else 1)
            case "fails":
                assert (result.status, result.reason) == (kx.Status.Failed, "check")
                assert (ran_[f"s{i}"], checked[f"s{i}"]) == (0, 2 if extra == "retry" else 1)
            case _:
                assert result.status is kx.Status.Succeeded
                assert ran_[f"s{i}"] == (times if extra == "both" else 1)
                assert checked[f"s{i}"] == (ran_[f"s{i}"] if kind == "undone" else 0)
