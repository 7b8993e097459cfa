"""Steps whose input has no value, and values that no record may show: `run` and `serial` agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kxflow as kx
from tests.interpreters.fleet import FLEET, answering

MAKE = kx.command("make", "make", parse=str)
Run = Callable[..., kx.Report]


def by_run(pipeline: kx.Pipeline, replies: dict[str, Any]) -> kx.Report:
    """The report of the concurrent interpreter."""
    return kx.report_of(kx.run(pipeline, FLEET, connector=answering(replies)))


def by_serial(pipeline: kx.Pipeline, replies: dict[str, Any]) -> kx.Report:
    """The report of the oracle."""
    return kx.report_of(kx.serial(pipeline, FLEET, connector=answering(replies)))


BOTH = pytest.mark.parametrize("run", [by_run, by_serial])


@kx.step(made=kx.from_one(MAKE))
def use(ctx: kx.HostContext, made: str) -> kx.Action[str]:
    """Needs the value of `make`."""
    return kx.cmd("use", made, parse=str)


def pipeline(make: kx.Step[Any], *then: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """Made on db1, needed on web hosts, and something after that."""
    tasks = [
        kx.task("a", make, on=kx.role("db")),
        kx.task("b", use, *then, kx.command("next", "next"), on=kx.role("web")),
        kx.task("c", kx.command("last", "last"), on=kx.role("web")),
    ]
    return kx.pipeline("p", kx.module("m", *tasks, **options), policy=kx.keep_going())


def told(report: kx.Report, step: str) -> set[tuple[str, str]]:
    """Status and reason of a step on the web hosts."""
    return {(each.status.name, each.reason) for each in report if each.step == step and each.host != "db1"}


MISSING = "p/m/a/make gave no value on db1"


@BOTH
def test_a_step_without_its_value_puts_its_host_out(run: Run) -> None:
    """The fault is untolerated: nothing of what follows there runs, and the run failed."""
    report = run(pipeline(MAKE), {"make": 1})
    assert told(report, "use") == {("NotRun", f"input: {MISSING}")}
    assert told(report, "next") == told(report, "last") == {("NotRun", "blocked: p/m/b/use")}
    assert not report.succeeded


@BOTH
@pytest.mark.parametrize("handled", [MAKE.ignore_errors(), MAKE.rescue(kx.command("mend", "mend"))])
def test_a_step_without_a_value_for_a_tolerated_fault_is_not_run_and_its_host_goes_on(
    run: Run, handled: kx.Step[Any]
) -> None:
    """Who tolerated the fault tolerates that nothing came of it: the run succeeded."""
    report = run(pipeline(handled), {"make": 1})
    assert told(report, "use") == {("NotRun", f"tolerated: {MISSING}")}
    assert told(report, "next") == told(report, "last") == {("Succeeded", "")}
    assert report.succeeded
    assert report.tally[kx.Status.NotRun] == 3


@BOTH
def test_a_value_of_a_step_that_was_not_run_for_a_tolerated_fault_is_missed_the_same_way(run: Run) -> None:
    """The cause is the same, however long the chain."""

    @kx.step(used=kx.from_here(use))
    def again(ctx: kx.HostContext, used: str) -> kx.Action[kx.Output]:
        return kx.cmd("again", used)

    report = run(pipeline(MAKE.ignore_errors(), again), {"make": 1})
    assert told(report, "again") == {
        ("NotRun", f"tolerated: p/m/b/use gave no value on {host}") for host in ("web1", "web2", "web3")
    }
    assert told(report, "next") == {("Succeeded", "")}
    assert report.succeeded


@BOTH
def test_after_a_tolerated_fault_the_layer_has_not_failed(run: Run) -> None:
    """`kx.failed` says so in the hook."""
    hook = kx.task("h", kx.command("alarm", "alarm").when(kx.failed), on=kx.role("web"))
    assert told(run(pipeline(MAKE.ignore_errors(), after=hook), {"make": 1}), "alarm") == {("Skipped", "when")}
    assert told(run(pipeline(MAKE, after=hook), {"make": 1}), "alarm") == {("Succeeded", "")}


@BOTH
def test_a_value_that_was_skipped_is_no_tolerated_fault(run: Run) -> None:
    """The producer's own function skipped it, by a value that nobody could know before."""

    @kx.step(made=kx.from_here(MAKE))
    def maybe(ctx: kx.HostContext, made: str) -> kx.Action[str]:
        return kx.skip("not this time")

    @kx.step(it=kx.from_here(maybe))
    def need(ctx: kx.HostContext, it: str) -> kx.Action[kx.Output]:
        return kx.cmd("need", it)

    whole = kx.pipeline("p", kx.module("m", kx.task("t", MAKE, maybe, need)), policy=kx.keep_going())
    report = run(whole, {})
    assert told(report, "need") == {
        ("NotRun", f"input: p/m/t/maybe gave no value on {host}") for host in ("web1", "web2", "web3")
    }
    assert not report.succeeded


SECRET = "hunter2-hunter2"


def gives(ctx: kx.HostContext) -> kx.Action[Any]:
    """A function of the controller that gives what must not be told."""
    return kx.on_controller(lambda: SECRET)


def says(ctx: kx.HostContext) -> kx.Action[Any]:
    """One that says it in an error."""

    def function() -> str:
        raise RuntimeError(SECRET)

    return kx.on_controller(function)


def knows(ctx: kx.HostContext) -> kx.Action[Any]:
    """A value known beforehand."""
    return kx.value(SECRET)


def mixes(ctx: kx.HostContext) -> kx.Action[Any]:
    """Several parts, of which one gives it."""
    return kx.both(kx.cmd("true"), kx.on_controller(lambda: SECRET))


def wraps(ctx: kx.HostContext) -> kx.Step[Any]:
    """A constant step that says itself that it is sensitive."""
    inner: kx.Step[Any] = kx.step(knows)
    return inner.sensitive()


@BOTH
@pytest.mark.parametrize("function", [gives, says, knows, mixes])
def test_no_record_shows_what_a_sensitive_step_gave(run: Run, function: Any) -> None:
    """Wherever its value comes from; without `.sensitive()` it is there."""
    step: kx.Step[Any] = kx.step(function)
    for its, hidden in ((step, False), (step.sensitive(), True)):
        report = run(kx.pipeline("p", kx.module("m", kx.task("t", its)), policy=kx.keep_going()), {})
        assert len(report) == 4
        for each in report:
            assert (SECRET not in f"{each!r} {each.error} {each.value}") is hidden


@BOTH
def test_a_step_that_a_step_returned_can_be_sensitive(run: Run) -> None:
    """It is said there, and it holds."""
    step: kx.Step[Any] = kx.step(wraps)
    report = run(kx.pipeline("p", kx.module("m", kx.task("t", step))), {})
    assert {each.value for each in report} == {"Secret(***)"}
