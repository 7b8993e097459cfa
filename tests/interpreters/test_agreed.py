"""Corners of the rules on which `run` and `serial` have to agree, each as a small case: the laws once found it open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import kxflow as kx
from tests.interpreters.fleet import FLEET, Said, answering, on_host, statuses

Run = Callable[..., kx.Report]


def by_run(pipeline: kx.Pipeline, replies: dict[str, Said | Callable[[kx.Host], Said]]) -> kx.Report:
    """The report of the concurrent interpreter."""
    return kx.report_of(kx.run(pipeline, FLEET, connector=answering(replies), concurrency=1))


def by_serial(pipeline: kx.Pipeline, replies: dict[str, Said | Callable[[kx.Host], Said]]) -> kx.Report:
    """The report of the oracle."""
    return kx.report_of(kx.serial(pipeline, FLEET, connector=answering(replies)))


BOTH = pytest.mark.parametrize("run", [by_run, by_serial])


def text(name: str) -> kx.Task:
    """A task of one step."""
    return kx.task(name, kx.command(name, name))


@BOTH
@pytest.mark.parametrize("where", ["work", "close"])
def test_a_module_that_a_guard_keeps_from_beginning_does_not_run_its_after(run: Run, where: str) -> None:
    """`after` runs iff its `before` began: also where the guard struck in the `after` of the module in front."""
    one = kx.module("one", text("work"), after=[text("close")])
    two = kx.module("two", text("next"), before=[text("open")], after=[text("shut")])
    pipeline = kx.pipeline("p", one, two, after=[text("end")], policy=kx.keep_going(), guard=kx.fail_fast())
    its = run(pipeline, {where: on_host("web1", 1)})
    for step in ("open", "next", "shut"):
        assert set(statuses(its, step).values()) == {"NotRun"}
    assert set(statuses(its, "end").values()) == {"Succeeded"}


@BOTH
def test_what_stopped_the_run_first_is_what_later_records_name(run: Run) -> None:
    """An `after` that is stopped by a policy of its own, behind a guard that had struck, hides nothing."""
    close = kx.task("close", kx.command("close", "close"), policy=kx.fail_fast())
    one = kx.module("one", text("work"), after=[close])
    pipeline = kx.pipeline("p", one, kx.module("two", text("next")), policy=kx.keep_going(), guard=kx.fail_fast())
    its = run(pipeline, {"work": on_host("web1", 1), "close": on_host("db1", 1)})
    reasons = {each.reason for each in its if each.step == "next" and each.host not in ("web1", "db1")}
    assert len(reasons) == 1
    assert reasons.pop().startswith("stopped: guard: ")


@pytest.mark.parametrize("fuse", [True, False])
def test_behind_a_tolerated_loss_what_needs_no_host_is_as_it_was_decided(fuse: bool) -> None:
    """The host goes on; a step whose `when` is false is Skipped there, as in a program of its own."""
    lost = kx.command("lost", "lost").ignore_errors()
    behind = kx.command("behind", "behind").when(lambda _: False)
    never = kx.command("never", "never").rescue(kx.command("rescue", "rescue"))
    task = kx.task("t", lost, behind, never, on=kx.role("db"))
    connector = answering({"lost": None})
    its = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", task)), FLEET, connector=connector, fuse=fuse))
    assert [(each.step, each.status.name, each.reason) for each in its][:2] == [
        ("lost", "Lost", "connection"), ("behind", "Skipped", "when")
    ]  # fmt: skip
    assert its["never", "db1"].status is (kx.Status.Lost if fuse else kx.Status.Succeeded)
