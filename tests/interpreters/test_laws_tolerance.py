"""Law 8 on whatever pipelines can be drawn: a handler changes what happens next and the flag, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from tests.interpreters.doing import Doing
from tests.interpreters.drawn import Shape, pipelines, tasks_of
from tests.interpreters.world import World, ran, timeless, worlds
from tests.laws import laws

RESCUE: Final = 999


def rescue(word: str) -> kx.Step[Any]:
    """A step that mends, or that fails too."""
    everywhere = ("db1", "web0", "web1", "web2")
    made: kx.Step[Any] = kx.step(Doing("shell", RESCUE, word, everywhere))
    return made.named("mend")


HANDLERS: Final[dict[str, Callable[[kx.Step[Any]], kx.Step[Any]]]] = {
    "ignore_errors": lambda step: step.ignore_errors(),
    "rescue": lambda step: step.rescue(rescue("ok")),
    "bad rescue": lambda step: step.rescue(rescue("fail")),
}


def chosen(pipeline: kx.Pipeline, number: int) -> kx.Step[Any] | None:
    """One of the steps of its tasks, hooks among them; none where it has none."""
    found = [step for task in tasks_of(pipeline) for step in task.steps]
    return found[number % len(found)] if found else None


def handled(pipeline: kx.Pipeline, name: str, change: Callable[[kx.Step[Any]], kx.Step[Any]]) -> kx.Pipeline:
    """The pipeline with something attached to the one step of that name."""
    return pipeline.each_task(lambda task: task.each(lambda step: change(step) if step.name == name else step))


@laws(100)
@given(
    pipeline=pipelines(Shape(policies=False)),
    number=st.integers(0, 30),
    how=st.sampled_from(sorted(HANDLERS)),
    world=worlds(lost=True),
    fuse=...,
)
def test_a_handler_changes_only_what_happens_next_and_the_flag(
    pipeline: kx.Pipeline, number: int, how: str, world: World, fuse: bool
) -> None:
    """Law 8: up to the step, and of the step itself, everything is as without; behind it, its failure is no cause."""
    step = chosen(pipeline, number)
    if step is None:
        return
    plain = timeless(ran(pipeline, world, fuse=fuse))
    easy = timeless(ran(handled(pipeline, step.name, HANDLERS[how]), world, fuse=fuse))
    its = {each.host: each for each in easy if each.step == step.name}
    end = max((place + 1 for place, each in enumerate(plain) if each.step == step.name), default=0)
    assert [_blind(each, step) for each in easy[:end]] == [_blind(each, step) for each in plain[:end]]
    assert all(each.tolerated for each in its.values() if each.status is kx.Status.Failed)
    for each in easy:
        failed = its.get(each.host)
        if failed is not None and failed.status is kx.Status.Failed:
            assert each.reason != f"blocked: {failed.path}"
        if failed is not None and each.step == "mend" and not step.rescued_by:
            check_mend(each, failed, "Succeeded" if how == "rescue" else "Failed")


def check_mend(mend: kx.StepResult, rescued: kx.StepResult, done: str) -> None:
    """It runs where what it rescues failed, is Skipped where that went well, and never begins for another reason."""
    if rescued.status is kx.Status.Failed:
        assert mend.status.name in (done, "Unreachable")
    elif rescued.ok:
        assert (mend.status.name, mend.reason) == ("Skipped", "rescue")
    else:
        assert mend.status.name in ("NotRun", "Skipped")


def _blind(result: kx.StepResult, step: kx.Step[Any]) -> kx.StepResult:
    """Without the flag, where it is the step's own."""
    return evolve(result, tolerated=False) if result.step == step.name else result
