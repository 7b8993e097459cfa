"""Transforms of steps and tasks: each gives a new value, leaves the old one, and says one thing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.inputs import Input
from kxflow.flow.step import Condition, Retry
from kxflow.values.action import OnController, Value
from tests.flow.drawn import step_of
from tests.laws import laws

CTX = kx.context("web1")
BASE = kx.command("base", "true", become="app", timeout=9)
OTHER = kx.command("other", "true", parse=int)
RESCUE = kx.command("mend", "true")
LEAD = kx.host("db1")


def always(ctx: kx.HostContext) -> bool:
    """A condition."""
    return True


Transform = Callable[[Any], Any]

TRANSFORMS: dict[str, Transform] = {
    "retry": lambda it: it.retry(3, delay=1, backoff=2),
    "timeout": lambda it: it.timeout(5),
    "when": lambda it: it.when(always),
    "become": lambda it: it.become("root", password="pw"),
    "rescue": lambda it: it.rescue(RESCUE),
    "ignore_errors": lambda it: it.ignore_errors(),
    "ignore_unreachable": lambda it: it.ignore_unreachable(),
    "sensitive": lambda it: it.sensitive(),
    "detached": lambda it: it.detached(),
    "on": lambda it: it.on(LEAD),
}

SAID: dict[str, dict[str, object]] = {
    "retry": {"attempts": Retry(3, 1.0, 2.0)},
    "timeout": {"limit": 5.0},
    "when": {"conditions": (Condition(always),)},
    "become": {"escalation": kx.Become("root", password="pw")},
    "rescue": {"rescued_by": (RESCUE,)},
    "ignore_errors": {"tolerant": True},
    "ignore_unreachable": {"tolerates_unreachable": True},
    "sensitive": {"secret": True},
    "detached": {"survives": True},
    "on": {"target": LEAD},
}


def parts(step: kx.Step[Any]) -> dict[str, object]:
    """Every field of a step."""
    return {each.name: getattr(step, each.name) for each in fields(type(step))}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_changes_one_field_of_a_new_step(name: str) -> None:
    """All else is as it was, the origin too; and the old step is as it was."""
    before = parts(BASE)
    made = TRANSFORMS[name](BASE)
    assert made is not BASE
    assert parts(BASE) == before
    assert parts(made) == {**before, **SAID[name]}
    assert made.origin is BASE.origin


@laws(60)
@given(names=st.lists(st.sampled_from(sorted(TRANSFORMS)), max_size=8))
def test_any_chain_of_transforms_keeps_origin_and_name(names: list[str]) -> None:
    """So inputs find the step, whatever was said of it; those that differ commute."""
    chained, reversed_too = BASE, BASE
    for name in names:
        chained = TRANSFORMS[name](chained)
    for name in reversed(names):
        reversed_too = TRANSFORMS[name](reversed_too)
    assert (chained.origin, chained.name) == (BASE.origin, BASE.name)
    assert chained == reversed_too
    assert kx.from_here(chained) == kx.from_here(BASE)
    assert kx.command("base", "true", become="app", timeout=9) == BASE


def test_the_last_one_said_wins() -> None:
    """Of one kind; conditions and rescue steps add up instead."""
    assert BASE.timeout(1).timeout(2).limit == 2.0
    assert BASE.become("a").become("b").escalation == kx.Become("b")
    assert BASE.retry(1, delay=5).retry(2).attempts == Retry(2)
    assert BASE.on(LEAD).on(kx.host("db2")).target == kx.host("db2")
    assert len(BASE.when(always).when(always).conditions) == 2
    assert BASE.rescue(RESCUE).rescue(OTHER).rescued_by == (RESCUE, OTHER)


def test_what_a_transform_says_is_over_what_the_action_says() -> None:
    """User, limit, secrecy and life go into every command of the action."""
    made = BASE.become("root").timeout(5).sensitive().detached()
    assert made.action(CTX) == kx.shell("true", become="root", timeout=5, sensitive=True, detached=True)
    assert BASE.action(CTX) == kx.shell("true", become="app", timeout=9)


def test_a_transform_reaches_every_part_of_both() -> None:
    """Not the first alone; what is no command has neither user nor limit."""
    double = step_of(lambda ctx: kx.both(kx.cmd("a"), kx.both(kx.cmd("b"), kx.skip("why"))))
    made = double.become("root").timeout(2).action(CTX)
    options: dict[str, Any] = {"become": "root", "timeout": 2}
    assert made == kx.both(kx.cmd("a", **options), kx.cmd("b", **options), kx.skip("why"))


def test_sensitive_reaches_actions_that_are_no_commands() -> None:
    """A value, and a function of the controller: they give values that records would show."""
    double = step_of(lambda ctx: kx.both(kx.on_controller(dict), kx.value("hunter2")))
    assert double.sensitive().action(CTX) == kx.both(OnController(dict, sensitive=True), Value("hunter2", True))
    inner = step_of(lambda ctx: kx.value("hunter2")).sensitive()
    outer = step_of(lambda ctx: inner)
    assert outer.action(CTX) == Value("hunter2", sensitive=True)


def test_when_takes_inputs_in_both_forms() -> None:
    """As keywords and as defaults; the context comes first."""
    by_keyword = BASE.when(lambda ctx, count: count > 1, count=kx.from_here(OTHER))
    by_default = BASE.when(lambda ctx, count=kx.from_here(OTHER): count > 1)
    for made in (by_keyword, by_default):
        assert list(made.conditions[0].inputs) == ["count"]
        assert isinstance(made.conditions[0].inputs["count"], Input)
    assert BASE.when(kx.failed).conditions == (Condition(kx.failed),)


def test_retry_waits_longer_each_time() -> None:
    """The first pause is `delay`, each further one `backoff` times the one before."""
    retry = Retry(5, delay=2.0, backoff=3.0)
    assert [retry.pause(tried) for tried in (1, 2, 3)] == [2.0, 6.0, 18.0]
    assert Retry(5).pause(4) == 0.0


@laws()
@given(
    tried=st.integers(1, 10**9),
    delay=st.floats(0, 1e300, allow_subnormal=False),
    backoff=st.floats(1e-300, 1e300, allow_subnormal=False),
)
def test_a_pause_is_a_finite_time_whatever_the_numbers(tried: int, delay: float, backoff: float) -> None:
    """No overflow ends a run after a thousand tries."""
    pause = Retry(10**9, delay, backoff).pause(tried)
    assert math.isfinite(pause)
    assert 0 <= pause <= 365 * 86400


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_of_a_task_is_that_of_each_of_its_steps(name: str) -> None:
    """In their order; the task is a new one, and the old one as it was."""
    task = kx.task("t", BASE, on=kx.role("web"), concurrency=2)
    made = TRANSFORMS[name](task)
    assert made.steps == (TRANSFORMS[name](BASE),)
    assert made.steps[0].origin is BASE.origin
    assert (made.name, made.hosts, made.concurrency) == ("t", kx.role("web"), 2)
    assert task == kx.task("t", BASE, on=kx.role("web"), concurrency=2)


def test_rescue_of_a_task_names_its_steps_after_the_rescued() -> None:
    """Two steps of a task cannot have one path; where there is one step, the name is as it was."""
    made = kx.task("t", BASE, OTHER).rescue(RESCUE)
    assert [each.name for step in made.steps for each in step.rescued_by] == ["mend (base)", "mend (other)"]
    assert all(each.origin is RESCUE.origin for step in made.steps for each in step.rescued_by)
    assert [each.name for each in kx.task("t", BASE).rescue(kx.steps(RESCUE)).steps[0].rescued_by] == ["mend"]


odd: Any = BASE
odd_task: Any = kx.task("t", BASE)


async def slow(ctx: object) -> bool:
    """A question that has no answer at once."""
    return True


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.retry(-1), "retry(times=-1): give a whole number >= 0 of further tries"),
        (lambda: odd.retry(1.5), "retry(times=1.5)"),
        (lambda: odd.retry(True), "retry(times=True)"),
        (lambda: odd.retry("3"), "retry(times='3')"),
        (lambda: odd.retry(1, delay=-1), "retry(delay=-1, backoff=1.0): give delay >= 0 and backoff > 0"),
        (lambda: odd.retry(1, delay="5"), "retry(delay='5'"),
        (lambda: odd.retry(1, delay=math.inf), "retry(delay=inf"),
        (lambda: odd.retry(1, delay=math.nan), "retry(delay=nan"),
        (lambda: odd.retry(1, backoff=0), "backoff=0)"),
        (lambda: odd.retry(1, backoff=None), "backoff=None)"),
        (lambda: odd.retry(1, until=5), "retry(until=…) is an int: give a function of the result"),
        (lambda: odd.retry(1, until=slow), "retry(until=…) is async"),
        (lambda: odd.retry(1, until=lambda: True), "retry(until=…) cannot be called with an argument"),
        (lambda: odd.timeout(0), "timeout=0 cannot be: give a positive number of seconds"),
        (lambda: odd.timeout("5"), "timeout='5' cannot be"),
        (lambda: odd.timeout(None), "timeout(None): every step has a limit"),
        (lambda: odd.when(True), "when() of step 'base' is a bool: give a function: .when(lambda ctx: …)"),
        (lambda: odd.when(slow), "when() of step 'base' is async"),
        (lambda: odd.when(bool), "when() of step 'base' has no signature to check"),
        (lambda: odd.when(lambda: True), "when() of step 'base' takes no context"),
        (lambda: odd.when(lambda ctx: True, n=kx.from_here(OTHER)), "when() of step 'base' has no parameter 'n'"),
        (lambda: odd.when(lambda ctx, n: True), "when() of step 'base': nothing gives 'n'"),
        (lambda: odd.when(lambda ctx, n: True, n=5), "when() of step 'base': n is no input"),
        (lambda: odd.when(kx.failed, n=kx.from_here(OTHER)), "kx.failed takes no inputs"),
        (lambda: odd.become("-root"), "user '-root' is no login name"),
        (lambda: odd.become(5), "user 5 is no login name"),
        (lambda: odd.become("a", password=5), "an int cannot be a Secret"),
        (lambda: odd.become("a", method="pbrun"), "become method 'pbrun' is unknown: use one of sudo, su, doas"),
        (lambda: odd.become("a", method="doas", password="x"), "doas cannot read a password without a terminal"),
        (lambda: odd.rescue(5), "5 is no step"),
        (lambda: odd.on("db1"), ".on() of step 'base' got 'db1', which is no selector"),
        (lambda: odd_task.on(5), ".on() of step 'base' got 5"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy


def test_failed_is_no_question_to_a_context() -> None:
    """It says where it belongs."""
    with pytest.raises(kx.InvalidError, match=r"use it as \.when\(kx\.failed\) on an `after` task"):
        kx.failed(CTX)
