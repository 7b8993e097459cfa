"""One step on one host, taken literally: what comes of it, of its tries and of its handlers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import kxflow as kx
from kxflow.flow.perform import blank, perform, tolerates
from kxflow.values.action import Action
from kxflow.values.fault import Fault
from kxflow.values.result import ABSENT, Performed
from kxflow.values.secret import MASK
from tests.flow.drawn import step_of

S = kx.Status
START = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
A = kx.command("a", "true")


class Imagined:
    """A runner on a clock of its own: every action takes a second and ends as it is told."""

    def __init__(self, *statuses: kx.Status, payload: Any = ABSENT) -> None:
        self.statuses = list(statuses)
        self.payload = payload
        self.time = 0.0
        self.actions: list[Action[Any]] = []
        self.pauses: list[float] = []

    async def perform(self, action: Action[Any]) -> Performed:
        began = self.now()
        self.actions.append(action)
        self.time += 1
        status = self.statuses.pop(0)
        return Performed(
            status=status,
            reason="" if status.ok else status.name.lower(),
            exit_code=0 if status.ok else 3,
            error=None if status.ok else Fault("exit", "it failed"),
            payload=self.payload,
            has_value=self.payload is not ABSENT,
            started_at=began,
            ended_at=self.now(),
            duration=1.0,
        )

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.time)

    def monotonic(self) -> float:
        return self.time


def performed(step: kx.Step[Any], runner: Imagined) -> kx.StepResult:
    """The record of a step."""

    async def work() -> kx.StepResult:
        return await perform(step, kx.context("web1", runner=runner, run="r7"), {})

    return anyio.run(work)


def test_a_step_is_performed_once() -> None:
    """Its record has the step, the host, the run, both times and one attempt."""
    runner = Imagined(S.Succeeded)
    result = performed(A, runner)
    assert runner.actions == [kx.shell("true")]
    assert (result.step, result.host, result.run, result.status) == ("a", "web1", "r7", S.Succeeded)
    assert (result.started_at, result.ended_at, result.duration) == (START, START + dt.timedelta(seconds=1), 1.0)
    assert [each.status for each in result.attempts] == [S.Succeeded]
    assert (result.exit_code, result.reason, result.error) == (0, "", None)
    assert result.digest


@pytest.mark.parametrize(
    ("step", "status", "attempts"),
    [
        (A.when(lambda ctx: False), S.Skipped, 0),
        (step_of(lambda ctx: kx.skip("x")), S.Skipped, 0),
        (step_of(lambda ctx: kx.fail("x")), S.Failed, 1),
        (step_of(lambda ctx: kx.value(1)), S.Succeeded, 1),
    ],
)
def test_what_is_decided_is_not_performed_and_has_times(step: Any, status: kx.Status, attempts: int) -> None:
    """The host is not asked; a skip is no attempt."""
    runner = Imagined()
    result = performed(step, runner)
    assert (result.status, len(result.attempts), runner.actions) == (status, attempts, [])
    assert result.started_at == result.ended_at == START


def test_a_failure_is_tried_again_as_often_as_was_said() -> None:
    """Every try is in the record, the pauses grow, and the duration is of the tries alone."""
    runner = Imagined(S.Failed, S.Failed, S.Succeeded)
    result = performed(A.retry(5, delay=10, backoff=2), runner)
    assert (result.status, runner.pauses) == (S.Succeeded, [10.0, 20.0])
    assert [each.status for each in result.attempts] == [S.Failed, S.Failed, S.Succeeded]
    assert (result.duration, result.started_at) == (3.0, START)
    assert result.ended_at == START + dt.timedelta(seconds=33)


def test_the_last_failure_is_the_result() -> None:
    """After `times` further tries; there is no pause behind the last one."""
    runner = Imagined(S.Failed, S.Failed, S.Failed)
    result = performed(A.retry(2, delay=1), runner)
    assert (result.status, len(result.attempts), runner.pauses) == (S.Failed, 3, [1.0, 1.0])


@pytest.mark.parametrize("status", [S.Lost, S.Cancelled, S.Unreachable, S.Skipped, S.Succeeded])
def test_only_a_failure_is_tried_again(status: kx.Status) -> None:
    """What is lost may still go on; who cannot be reached began nothing, which is no attempt."""
    runner = Imagined(status)
    result = performed(A.retry(3), runner)
    assert (result.status, len(runner.actions)) == (status, 1)
    assert len(result.attempts) == (0 if status is S.Unreachable else 1)


def test_until_makes_a_success_that_does_not_satisfy_a_failure() -> None:
    """It is tried again like one, and the attempts say so."""
    runner = Imagined(S.Succeeded, S.Succeeded)
    result = performed(A.retry(1, until=lambda its: False), runner)
    assert (result.status, result.reason) == (S.Failed, "until")
    assert [each.status for each in result.attempts] == [S.Failed, S.Failed]
    assert result.error == Fault("until", "the result does not satisfy until=", "///a", "raise times= or delay=")


def test_until_sees_each_result() -> None:
    """With its value and all tries so far."""
    seen: list[tuple[object, int]] = []

    def third(result: kx.StepResult) -> bool:
        seen.append((result.value, len(result.attempts)))
        return len(seen) == 3

    result = performed(A.retry(9, until=third), Imagined(*[S.Succeeded] * 3, payload=7))
    assert result.status is S.Succeeded
    assert seen == [(7, 1), (7, 2), (7, 3)]


def test_until_is_not_asked_about_a_skip_or_a_failure() -> None:
    """Nothing came of them that it could judge."""

    def never(result: kx.StepResult) -> bool:
        raise AssertionError

    assert performed(A.retry(1, until=never), Imagined(S.Skipped)).status is S.Skipped
    assert performed(A.retry(1, until=never), Imagined(S.Failed, S.Failed)).reason == "failed"


def test_until_that_raises_fails_the_step_at_once() -> None:
    """Another try would raise again; the attempt is no success either."""

    def odd(result: kx.StepResult) -> bool:
        raise KeyError("load")

    result = performed(A.retry(5, until=odd), Imagined(S.Succeeded))
    assert (result.status, result.reason, len(result.attempts)) == (S.Failed, "raised", 1)
    assert result.attempts[0].status is S.Failed
    assert result.error is not None
    assert result.error.what == "retry(until=…) raised KeyError: 'load'"


def test_a_sensitive_value_is_masked_in_the_record() -> None:
    """The typed value itself goes on to the steps that want it."""
    step = step_of(lambda ctx: kx.value("hunter2-hunter2")).sensitive()
    result = performed(step, Imagined())
    assert (result.value, result.payload) == (MASK, "hunter2-hunter2")
    assert "hunter2" not in repr(result)


HANDLERS: list[tuple[Callable[[kx.Step[Any]], kx.Step[Any]], set[kx.Status]]] = [
    (lambda step: step, set()),
    (lambda step: step.ignore_errors(), {S.Failed, S.Cancelled, S.Lost}),
    (lambda step: step.rescue(A), {S.Failed, S.Cancelled}),
    (lambda step: step.ignore_unreachable(), {S.Unreachable}),
    (lambda step: step.ignore_unreachable().ignore_errors(), {S.Unreachable, S.Failed, S.Cancelled, S.Lost}),
]


@pytest.mark.parametrize(("attach", "covered"), HANDLERS)
@pytest.mark.parametrize("status", [each for each in S if each.fault])
def test_handlers_cover_their_faults_and_change_nothing_else(
    attach: Any, covered: set[kx.Status], status: kx.Status
) -> None:
    """Law 8: only the flag differs."""
    plain, handled = performed(A, Imagined(status)), performed(attach(A), Imagined(status))
    assert handled.tolerated == (status in covered)
    assert tolerates(attach(A), status) == (status in covered)
    assert (handled.status, handled.reason, handled.error) == (plain.status, plain.reason, plain.error)
    assert handled.on_success_track == (status in covered)


@pytest.mark.parametrize(("attach", "covered"), HANDLERS)
def test_the_flag_is_known_when_built(attach: Any, covered: set[kx.Status]) -> None:
    """A step without a fault carries it, too, and so does the record of which nothing is known yet."""
    step = attach(A)
    assert performed(step, Imagined(S.Succeeded)).tolerated == bool(covered)
    assert blank(step, kx.context("web1")).tolerated == bool(covered)
    assert blank(step, kx.context("web1")).status is S.NotRun
