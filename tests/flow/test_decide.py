"""What a step comes to without asking the host."""

from __future__ import annotations

from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.decide import Decided, Do, decide
from kxflow.flow.layout import Slot
from kxflow.values.action import digest
from kxflow.values.fault import Fault
from kxflow.values.result import ABSENT
from tests.flow.drawn import step_of

CTX = kx.context(kx.Host("web1", vars={"port": 80}))
A = kx.command("a", "true")
ODD: Any = A
SECRET = "hunter2-hunter2"


def raising(error: Exception) -> Any:
    """A function that raises it, whatever it is given."""

    def function(*args: object, **inputs: object) -> Any:
        raise error

    return function


def decided(step: kx.Step[Any], **options: Any) -> Decided:
    """What it came to, where that is decided."""
    found = decide(step, CTX, {}, where="p/m/t/a", **options)
    assert isinstance(found, Decided)
    return found


def test_a_command_is_to_be_done() -> None:
    """With the digest of its action."""
    found = decide(A, CTX, {})
    assert found == Do(kx.shell("true"), digest(kx.shell("true")))


def test_skip_fail_and_value_need_no_host() -> None:
    """Each says why, or what."""
    skip, fail = decided(step_of(lambda ctx: kx.skip("no need"))), decided(step_of(lambda ctx: kx.fail("no disk")))
    value = decided(step_of(lambda ctx: kx.value(ctx.vars["port"])))
    assert (skip.status, skip.reason, skip.error) == (kx.Status.Skipped, "skip: no need", None)
    assert (fail.status, fail.reason, fail.error) == (
        kx.Status.Failed,
        "fail: no disk",
        Fault("fail", "no disk", "p/m/t/a"),
    )
    assert (value.status, value.payload, value.has_value) == (kx.Status.Succeeded, 80, True)
    assert skip.payload is ABSENT
    assert skip.digest == digest(kx.skip("no need"))


def test_several_parts_are_to_be_done_even_where_each_is_known() -> None:
    """One record comes of them, and the runner makes it."""
    assert isinstance(decide(step_of(lambda ctx: kx.both(kx.value(1), kx.skip("x"))), CTX, {}), Do)
    assert isinstance(decide(step_of(lambda ctx: kx.on_controller(dict)), CTX, {}), Do)


def test_a_condition_that_does_not_hold_skips() -> None:
    """The first that does not decides; the action is not even built."""
    step = step_of(raising(AssertionError())).when(lambda ctx: True).when(lambda ctx: False)
    assert decided(step) == Decided(status=kx.Status.Skipped, reason="when")
    later = A.when(lambda ctx: False).when(raising(AssertionError()))
    assert decided(later).status is kx.Status.Skipped


def test_conditions_that_hold_change_nothing() -> None:
    """They see the context and their inputs, each its own."""
    step = A.when(lambda ctx: ctx.host.name == "web1").when(lambda ctx, n: n > 1, n=kx.from_here(kx.command("n", "n")))
    assert isinstance(decide(step, CTX, {}, [{}, {"n": 2}]), Do)
    assert decided(step, condition_inputs=[{}, {"n": 1}]).reason == "when"


def test_failed_is_answered_by_the_layer() -> None:
    """No function is asked."""
    assert isinstance(decide(A.when(kx.failed), CTX, {}, layer_failed=True), Do)
    assert decided(A.when(kx.failed), layer_failed=False).reason == "when"


def test_inputs_reach_the_function() -> None:
    """By name."""
    step = step_of(lambda ctx, n: kx.cmd("x", n), n=kx.from_here(A))
    found = decide(step, CTX, {"n": 3})
    assert isinstance(found, Do)
    assert found.action == kx.cmd("x", "3")


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (step_of(raising(ZeroDivisionError("by 0")), "a"), "step 'a' raised ZeroDivisionError: by 0"),
        (A.when(raising(KeyError("disk"))), "raised KeyError: 'disk'"),
        (step_of(lambda ctx: 5, "a"), "step 'a' returned an int"),
        (step_of(lambda ctx: kx.cmd("ls -l"), "a"), "step 'a': cmd('ls -l') is one word with a blank"),
        (ODD.when(lambda ctx: kx.cmd("test")), "has no truth value before it ran"),
        (step_of(raising(RuntimeError("x" * 9999)), "a"), "raised RuntimeError: xxx"),
    ],
)
def test_a_function_that_raises_is_a_failed_step(step: Any, what: str) -> None:
    """Whatever it raises; the fault says which function, where, and what to do. Nothing was sent."""
    found = decided(step)
    assert (found.status, found.reason) == (kx.Status.Failed, "raised")
    assert found.error is not None
    assert what in found.error.what
    assert len(found.error.what) < 600
    assert (found.error.code, found.error.where) == ("raised", "p/m/t/a")
    ours = what.endswith(("an int", "a blank"))  # refused by a builder of ours, which says itself what to do
    assert found.error.remedy.startswith(("return an action", "use shell") if ours else "mend the function")


class Mute(Exception):
    """An error that cannot tell what it is."""

    def __str__(self) -> str:
        raise self


def test_an_error_without_words_is_a_failed_step_too() -> None:
    """Its class has to do."""
    error = decided(step_of(raising(Mute()))).error
    assert error is not None
    assert "raised Mute: (without words)" in error.what


@pytest.mark.parametrize(
    "step",
    [
        step_of(raising(RuntimeError(SECRET))),
        step_of(raising(kx.InvalidError(SECRET))),
        A.when(raising(RuntimeError(SECRET))),
    ],
)
def test_a_sensitive_step_does_not_tell_what_its_function_said(step: Any) -> None:
    """The words may quote what must not be told: the class has to do."""
    loud, still = decided(step).error, decided(step.sensitive()).error
    assert loud is not None
    assert still is not None
    assert SECRET in loud.what
    assert SECRET not in str(still)
    assert "Error" in still.what


def test_a_sensitive_value_is_marked() -> None:
    """So that no record shows it."""
    step = step_of(lambda ctx: kx.value(SECRET))
    assert not decided(step).sensitive
    assert decided(step.sensitive()).sensitive
    assert SECRET not in decided(step.sensitive()).digest


@pytest.mark.parametrize(
    ("action", "is_sensitive"),
    [
        (kx.cmd("a"), False),
        (kx.cmd("a", sensitive=True), True),
        (kx.both(kx.cmd("a"), kx.cmd("b", sensitive=True)), True),
        (kx.on_controller(dict), False),
    ],
)
def test_what_is_to_be_done_knows_whether_it_is_sensitive(action: Any, is_sensitive: bool) -> None:
    """One part that is makes it so."""
    assert Do(action, "").sensitive is is_sensitive
    made = decide(step_of(lambda ctx: action).sensitive(), CTX, {})
    assert isinstance(made, Do)
    assert made.sensitive


def test_what_is_alike_on_all_hosts_is_what_is_decided_on_each() -> None:
    """With its transforms, and made once for a place."""
    step = A.become("deploy").timeout(5)
    slot = Slot(0, step)
    assert slot.alike == decide(step, CTX, {})
    assert slot.alike is slot.alike


@pytest.mark.parametrize(
    "step",
    [
        step_of(lambda ctx: kx.cmd("a")),
        A.when(lambda ctx: True),
        step_of(lambda ctx: kx.skip("why")),
        step_of(lambda ctx: kx.fail("why")),
        step_of(lambda ctx: kx.value(1)),
    ],
)
def test_what_a_function_or_a_condition_decides_is_not_alike(step: kx.Step[Any]) -> None:
    """Each host is asked."""
    assert Slot(0, step).alike is None
