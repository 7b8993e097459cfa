"""The chain's rules, each with a test named after it: the executor reports, the caller collects."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

import kxflow as kx
from tests.interpreters.fleet import FLEET, answering, on_host, one_task, report, statuses


def test_a_step_that_fails_keeps_its_stdout_and_stderr() -> None:
    """A Failed record holds what the command wrote, its exit status, and a fault that says what and where."""
    connector = answering({"boom": kx.Reply(exit_code=7, stdout=b"half done\n", stderr=b"no space\n")})
    result = report(one_task(kx.command("boom", "boom"), on=kx.role("db")), connector).results[0]
    assert result.status is kx.Status.Failed
    assert (str(result.stdout), str(result.stderr), result.exit_code) == ("half done\n", "no space\n", 7)
    assert result.error is not None
    assert "exit status 7" in result.error.what
    assert result.error.where == "db1"


def test_a_step_whose_check_holds_gives_a_skipped_record_with_times() -> None:
    """Skipped is a record like any other: it has a beginning, an end and a reason."""
    connector = answering({"install": kx.Reply(held=True)})
    result = report(one_task(kx.command("install", "install", check="test -e x"), on=kx.role("db")), connector).results[
        0
    ]
    assert (result.status, result.reason) == (kx.Status.Skipped, "check")
    assert result.started_at <= result.ended_at
    assert result.started_at.tzinfo is not None
    assert result.duration >= 0


def test_a_check_that_errors_gives_a_failed_record_never_a_stop_without_one() -> None:
    """A check that ends neither done nor undone is a failure of its step, on a real shell."""
    fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
    step = kx.command("install", "echo ran", check="echo odd >&2; exit 9")
    its = kx.report_of(kx.run(one_task(step, kx.command("next", "true")), fleet))
    first, second = its.results
    assert (first.status, first.reason, first.exit_code) == (kx.Status.Failed, "check", 9)
    assert "odd" in str(first.stderr)
    assert "ran" not in str(first.stdout)
    assert (second.status, second.reason) == (kx.Status.NotRun, "blocked: p/m/t/install")


def test_a_task_gives_back_the_results_of_all_its_hosts_also_when_one_failed() -> None:
    """One host's failure loses no other host's results."""
    connector = answering({"work": on_host("web2", 1, "fine")})
    its = report(one_task(kx.command("work", "work"), on=kx.role("web")), connector)
    assert statuses(its, "work") == {"web1": "Succeeded", "web2": "Failed", "web3": "Succeeded"}


def test_per_host_steps_stop_after_the_first_failure() -> None:
    """The host that failed is out; its later steps are NotRun and name the fault."""
    connector = answering({"b": on_host("web2", 1)})
    its = report(one_task(*(kx.command(name, name) for name in "abc"), on=kx.role("web")), connector)
    assert statuses(its, "c") == {"web1": "Succeeded", "web2": "NotRun", "web3": "Succeeded"}
    assert its["t/c", "web2"].reason == "blocked: p/m/t/b"


@pytest.mark.parametrize("bound", [1, 2, 3])
def test_concurrency_n_is_never_exceeded(bound: int) -> None:
    """As many hosts as allowed are at work at a time, and never more: measured."""
    fleet = kx.Cluster([kx.Host(f"h{i}") for i in range(9)])
    at_work: set[str] = set()
    most: list[int] = []

    async def pause(host: kx.Host, _: object) -> None:
        at_work.add(host.name)
        most.append(len(at_work))
        for _ in range(20):
            await asyncio.sleep(0)
        at_work.discard(host.name)

    connector = kx.MemoryConnector(pause=pause)
    its = report(one_task(kx.command("w", "w"), concurrency=bound), connector, fleet)
    assert its.succeeded
    assert max(most) == bound


def test_a_module_adds_up_its_tasks_results_also_when_one_fails_and_stops_there() -> None:
    """The failing task's results and those before it are there; later tasks' are NotRun."""
    tasks = [kx.task(name, kx.command(name, name), on=kx.role("web")) for name in ("one", "two", "three")]
    its = report(kx.pipeline("p", kx.module("m", *tasks)), answering({"two": on_host("web1", 1)}), concurrency=1)
    assert statuses(its, "one") == dict.fromkeys(("web1", "web2", "web3"), "Succeeded")
    assert statuses(its, "two") == {"web1": "Failed", "web2": "NotRun", "web3": "NotRun"}
    assert statuses(its, "three") == dict.fromkeys(("web1", "web2", "web3"), "NotRun")
    assert its["three", "web1"].reason == "blocked: p/m/two/two"
    assert its["three", "web2"].reason == "stopped: m/two: 1 of 3 hosts failed, allowed are 0"


def test_a_module_goes_on_where_the_failing_task_ignores_errors() -> None:
    """Tolerated failures are recorded, put no host out and stop nothing."""
    tasks = [kx.task("one", kx.command("one", "one")).ignore_errors(), kx.task("two", kx.command("two", "two"))]
    its = report(kx.pipeline("p", kx.module("m", *tasks)), answering({"one": 1}))
    assert set(statuses(its, "one").values()) == {"Failed"}
    assert set(statuses(its, "two").values()) == {"Succeeded"}
    assert its.succeeded
    assert all(each.tolerated for each in its if each.step == "one")


def test_a_pipeline_adds_up_its_modules_results_and_stops_at_the_failing_one() -> None:
    """As a module over its tasks, so a pipeline over its modules."""
    modules = [kx.module(name, kx.task("t", kx.command(name, name))) for name in ("one", "two", "three")]
    its = report(kx.pipeline("p", *modules), answering({"two": 1}), concurrency=1)
    assert set(statuses(its, "one").values()) == {"Succeeded"}
    assert statuses(its, "two")["db1"] == "Failed"
    assert set(statuses(its, "three").values()) == {"NotRun"}
    assert len(its) == 12


def test_a_module_whose_when_is_false_does_not_run() -> None:
    """It has no results, and it does not stop what follows."""
    off = kx.module("off", kx.task("t", kx.command("a", "a")), when=lambda cluster: "gpu" in cluster.roles)
    on = kx.module("on", kx.task("t", kx.command("b", "b")), when=lambda cluster: "db" in cluster.roles)
    its = report(kx.pipeline("p", off, on))
    assert {each.module for each in its} == {"on"}
    assert its.succeeded


def test_after_runs_when_its_before_began_on_all_its_hosts() -> None:
    """Like `finally`: also for hosts that are out, with a fresh tally."""
    opening, closing = (kx.task(name, kx.command(name, name)) for name in ("open", "close"))
    module = kx.module("m", kx.task("t", kx.command("work", "work")), before=opening, after=closing)
    its = report(kx.pipeline("p", module), answering({"work": on_host("web1", 1)}))
    assert set(statuses(its, "close").values()) == {"Succeeded"}
    assert its["@after/close/close", "web1"].path == "p/m/@after/close/close"
    assert not its.succeeded


def test_a_failed_before_stops_its_layer_and_after_still_runs() -> None:
    """The tasks of the layer are NotRun; its `after` is not."""
    pipeline = kx.pipeline(
        "p",
        kx.module("m", kx.task("t", kx.command("work", "work"))),
        before=[kx.task("lock", kx.command("lock", "lock"), on=kx.role("db"))],
        after=[kx.task("unlock", kx.command("unlock", "unlock"), on=kx.role("db"))],
    )
    its = report(pipeline, answering({"lock": 1}))
    assert set(statuses(its, "work").values()) == {"NotRun"}
    assert statuses(its, "unlock") == {"db1": "Succeeded"}
    assert [each.path for each in its if each.module == "@after"] == ["p/@after/unlock/unlock"]


def test_after_does_not_run_when_its_layer_never_began() -> None:
    """A module behind the failing one did not begin: its hooks are NotRun too."""
    first = kx.module("one", kx.task("t", kx.command("a", "a")))
    second = kx.module("two", kx.task("t", kx.command("b", "b")), after=[kx.task("z", kx.command("z", "z"))])
    its = report(kx.pipeline("p", first, second), answering({"a": 1}))
    assert set(statuses(its, "z").values()) == {"NotRun"}


def test_after_can_ask_whether_its_layer_failed() -> None:
    """`.when(kx.failed)` holds after a failure and not after a success."""
    hook = [kx.task("h", kx.command("undo", "undo").when(kx.failed), on=kx.role("db"))]
    module = kx.module("m", kx.task("t", kx.command("work", "work")), after=hook)
    well = report(kx.pipeline("p", module))
    ill = report(kx.pipeline("p", module), answering({"work": on_host("web1", 1)}))
    assert (well["undo", "db1"].status, well["undo", "db1"].reason) == (kx.Status.Skipped, "when")
    assert ill["undo", "db1"].status is kx.Status.Succeeded


def test_a_failed_after_fails_a_run_that_had_succeeded_and_never_hides_the_first_fault() -> None:
    """The first fault stays the first."""
    module = kx.module("m", kx.task("t", kx.command("work", "work")), after=[kx.task("z", kx.command("z", "z"))])
    only_after = report(kx.pipeline("p", module), answering({"z": on_host("db1", 1)}))
    assert not only_after.succeeded
    both = report(kx.pipeline("p", module), answering({"z": 1, "work": on_host("web3", 1)}))
    assert both.first_fault is not None
    assert both.first_fault.step == "work"


def test_results_and_outcome_come_back_together_on_both_tracks() -> None:
    """Whichever track, the whole report is on it."""
    ok = kx.run(one_task(kx.command("a", "a")), FLEET, connector=answering({}))
    bad = kx.run(one_task(kx.command("a", "a")), FLEET, connector=answering({"a": on_host("web1", 1)}))
    assert kx.either(ok, lambda its: ("success", len(its)), lambda its: ("failure", len(its))) == ("success", 4)
    assert kx.either(bad, lambda its: ("success", len(its)), lambda its: ("failure", len(its))) == ("failure", 4)


def test_recording_a_run_into_a_store_never_trips_over_a_result_without_an_error() -> None:
    """Failed, NotRun, Skipped without an error: each becomes a log."""

    async def record() -> tuple[str, str | None, list[str | None]]:
        store = kx.MemoryStore()
        steps = [kx.command("a", "a").when(lambda _: False), kx.command("b", "b"), kx.command("c", "c")]
        stream = kx.stream(one_task(*steps), FLEET, connector=answering({"b": 1}), run_id="r1")
        task = await kx.record_run(stream, store)
        logs = await store.logs("r1")
        return task.status.name, task.error, [each.error for each in logs if each.status == "NotRun"]

    status, error, errors = asyncio.run(record())
    assert status == "Failed"
    assert error is not None
    assert errors == [None] * 4


def test_rescue_steps_run_only_where_they_are_needed() -> None:
    """They catch Failed, have their own addresses, and the host goes on."""
    step = kx.command("start", "start").rescue(kx.command("mend", "mend"), kx.command("again", "again"))
    its = report(
        one_task(step, kx.command("next", "next"), on=kx.role("web")), answering({"start": on_host("web2", 1)})
    )
    assert statuses(its, "mend") == {"web1": "Skipped", "web2": "Succeeded", "web3": "Skipped"}
    assert its["mend", "web1"].reason == "rescue"
    assert set(statuses(its, "next").values()) == {"Succeeded"}
    assert its.succeeded


def test_a_rescue_that_fails_puts_the_host_out() -> None:
    """Nothing rescues the rescue."""
    step = kx.command("start", "start").rescue(kx.command("mend", "mend"))
    its = report(one_task(step, kx.command("next", "next"), on=kx.role("db")), answering({"start": 1, "mend": 1}))
    assert statuses(its, "next") == {"db1": "NotRun"}
    assert its["next", "db1"].reason == "blocked: p/m/t/mend"
    assert not its.succeeded


def test_retry_records_every_attempt() -> None:
    """A flaky step's record tells of all its tries."""
    left = {"web1": 2}

    def flaky(host: kx.Host) -> kx.Reply:
        left[host.name] = left.get(host.name, 0) - 1
        return kx.Reply(exit_code=1 if left[host.name] >= 0 else 0)

    its = report(one_task(kx.command("f", "f").retry(3), on=kx.role("web")), answering({"f": flaky}))
    assert its.succeeded
    assert [each.status.name for each in its["f", "web1"].attempts] == ["Failed", "Failed", "Succeeded"]
    assert len(its["f", "web2"].attempts) == 1


def test_retry_until_judges_the_result() -> None:
    """A success that does not satisfy `until` is tried again; in the end it is a failure."""
    count = iter(range(100))
    step = kx.command("n", "n").retry(5, until=lambda result: str(result.stdout) == "2")
    its = report(one_task(step, on=kx.role("db")), answering({"n": lambda _: str(next(count))}))
    assert its["n", "db1"].ok
    assert len(its["n", "db1"].attempts) == 3
    never = report(one_task(kx.command("n", "n").retry(1, until=lambda _: False), on=kx.role("db")))
    assert (never["n", "db1"].status.name, never["n", "db1"].reason) == ("Failed", "until")


def test_unreachable_is_a_record_and_not_an_exception() -> None:
    """Nothing began: the first step says why, the others are NotRun."""
    fault = kx.Fault("refused", "connection refused", "web2")
    connector = kx.MemoryConnector(refuse=lambda host: fault if host.name == "web2" else None)
    its = report(one_task(kx.command("a", "a"), kx.command("b", "b")), connector)
    assert (its["a", "web2"].status.name, its["a", "web2"].reason) == ("Unreachable", "refused")
    assert its["a", "web2"].attempts == ()
    assert its["b", "web2"].status is kx.Status.NotRun


def test_a_connection_lost_in_the_middle_makes_the_rest_of_the_program_lost() -> None:
    """Fused, every later step of the program may have begun; one at a time, they did not."""
    connector = answering({"b": on_host("db1", None)})
    steps = [kx.command(name, name) for name in "abcd"]
    fused = report(one_task(*steps, on=kx.role("db")), connector)
    assert [each.status.name for each in fused] == ["Succeeded", "Lost", "Lost", "Lost"]
    single = report(one_task(*steps, on=kx.role("db")), connector, fuse=False)
    assert [each.status.name for each in single] == ["Succeeded", "Lost", "NotRun", "NotRun"]


def test_waves_go_on_only_while_the_one_before_ended_well() -> None:
    """The canary fails: nobody else is touched."""
    its = report(one_task(kx.command("a", "a"), waves=kx.waves(1, "100%"), policy=kx.fail_fast()), answering({"a": 1}))
    assert statuses(its, "a") == {"db1": "Failed", "web1": "NotRun", "web2": "NotRun", "web3": "NotRun"}


def test_a_modules_waves_take_all_its_tasks_to_the_first_hosts_first() -> None:
    """Task by task within a wave, wave after wave."""
    order: list[str] = []

    def note(host: kx.Host) -> str:
        order.append(host.name)
        return ""

    tasks = [kx.task(name, kx.command(name, "note"), on=kx.role("web")) for name in ("one", "two")]
    module = kx.module("m", *tasks, waves=kx.waves(1, "100%"))
    its = report(kx.pipeline("p", module), answering({"note": note}), concurrency=1)
    assert its.succeeded
    assert order == ["web1", "web1", "web2", "web3", "web2", "web3"]


def test_a_guard_sees_the_whole_run_and_cannot_be_overridden() -> None:
    """Tasks that keep going are stopped all the same."""
    tasks = [kx.task(f"t{i}", kx.command(f"s{i}", f"s{i}"), policy=kx.keep_going()) for i in range(3)]
    pipeline = kx.pipeline("p", kx.module("m", *tasks), guard=kx.max_failures(1))
    its = report(pipeline, answering({"s0": on_host("web1", 1), "s1": on_host("web2", 1)}))
    assert set(statuses(its, "s2").values()) == {"NotRun"}
    assert "guard" in its["s2", "web3"].reason


def test_inputs_come_from_here_from_one_and_from_all() -> None:
    """Typed values, by parameter, from the place that made them."""
    name = kx.command("name", "name", parse=str.upper)
    count = kx.command("count", "count", parse=int)

    @kx.step(mine=kx.from_here(name), its=kx.from_one(count), every=kx.from_all(name))
    def use(ctx: kx.HostContext, mine: str, its: int, every: Mapping[str, str]) -> kx.Action[kx.Output]:
        return kx.cmd("use", mine, its, *(f"{host}={said}" for host, said in every.items()))

    pipeline = kx.pipeline(
        "p",
        kx.module("m", kx.task("a", name), kx.task("b", count, on=kx.role("db")), kx.task("c", use, on=kx.role("web"))),
    )
    its = report(pipeline, answering({"name": lambda host: host.name, "count": "7\n"}))
    assert its.succeeded
    assert str(its["use", "web1"].stdout) == "use WEB1 7 db1=DB1 web1=WEB1 web2=WEB2 web3=WEB3"
    assert its["count", "db1"].value == 7


def test_a_missing_input_keeps_its_step_from_running_and_says_why() -> None:
    """The producer failed: its consumer is NotRun, on every host."""
    made = kx.command("make", "make", parse=str)

    @kx.step(made=kx.from_one(made))
    def use(ctx: kx.HostContext, made: str) -> kx.Action[kx.Output]:
        return kx.cmd("use", made)

    tasks = [kx.task("a", made, on=kx.role("db")), kx.task("b", use, on=kx.role("web"))]
    its = report(kx.pipeline("p", kx.module("m", *tasks), policy=kx.keep_going()), answering({"make": 1}))
    assert its["use", "web1"].status is kx.Status.NotRun
    assert its["use", "web1"].reason == "input: p/m/a/make gave no value on db1"


def test_a_step_function_that_raises_is_a_failed_record() -> None:
    """Its message is in the fault; other hosts go on."""

    @kx.step
    def odd(ctx: kx.HostContext) -> kx.Action[kx.Output]:
        if ctx.host.name == "web1":
            raise RuntimeError("no such thing")
        return kx.cmd("fine")

    its = report(one_task(odd))
    assert (its["odd", "web1"].status.name, its["odd", "web1"].reason) == ("Failed", "raised")
    assert "no such thing" in str(its["odd", "web1"].error)
    assert its["odd", "web2"].ok


def test_on_controller_runs_here_and_gives_a_value() -> None:
    """In a thread where it is not async; its value goes on as any other."""
    seen: list[str] = []

    def here() -> int:
        seen.append(threading.current_thread().name)
        return 41

    async def also() -> int:
        return 42

    @kx.step
    def sync(ctx: kx.HostContext) -> kx.Action[int]:
        return kx.on_controller(here)

    @kx.step
    def later(ctx: kx.HostContext) -> kx.Action[int]:
        return kx.on_controller(also)

    its = report(one_task(sync, later, on=kx.role("db")))
    assert [each.value for each in its] == [41, 42]
    assert seen
    assert seen[0] != threading.main_thread().name


def test_skip_fail_value_and_both_mean_what_they_say() -> None:
    """The actions that need no host, and the one that stops at the first failure."""
    actions = {
        "skip": kx.skip("not here"),
        "value": kx.value({"a": [1]}),
        "both": kx.both(kx.cmd("x"), kx.shell("boom"), kx.cmd("y")),
        "fail": kx.fail("will not"),
    }

    def giving(name: str, action: kx.Action[Any]) -> kx.Step[Any]:
        def give(ctx: kx.HostContext) -> kx.Action[Any]:
            return action

        made: kx.Step[Any] = kx.step(give)
        return made.named(name)

    steps = [giving(name, action) for name, action in actions.items()]
    its = report(one_task(*(each.ignore_errors() for each in steps), on=kx.role("db")), answering({"boom": 1}))
    assert (its["skip", "db1"].status.name, its["skip", "db1"].reason) == ("Skipped", "skip: not here")
    assert its["value", "db1"].value == {"a": (1,)}
    assert (its["both", "db1"].status.name, str(its["both", "db1"].stdout)) == ("Failed", "x")
    assert (its["fail", "db1"].status.name, its["fail", "db1"].reason) == ("Failed", "fail: will not")


def test_on_another_host_runs_there_and_records_here() -> None:
    """`.on(sel)` acts elsewhere on this host's behalf."""
    its = report(
        one_task(kx.command("drain", "who").on(kx.role("db")), on=kx.role("web")), answering({"who": lambda h: h.name})
    )
    assert {each.host: str(each.stdout) for each in its} == dict.fromkeys(("web1", "web2", "web3"), "db1")
