"""Task, module, pipeline: frozen values that hold what they were given."""

from __future__ import annotations

import copy
from typing import Any

import attrs
import pytest

import kxflow as kx
from kxflow.flow.layers import Module, Pipeline, Task

A, B = kx.command("a", "true"), kx.command("b", "true")
TASK = kx.task("t", A)
MODULE = kx.module("m", TASK)
PIPELINE = kx.pipeline("p", MODULE)


def test_a_task_has_quiet_defaults() -> None:
    """Every host, no bound of its own, the pipeline's policy, all at once."""
    assert Task("t", (A,)) == TASK
    assert (TASK.hosts, TASK.concurrency, TASK.policy, TASK.waves, TASK.allow_empty) == (
        kx.all_hosts,
        None,
        None,
        None,
        False,
    )


def test_a_task_keeps_what_it_is_given() -> None:
    """Options by keyword, steps in order."""
    made = kx.task(
        "t",
        A,
        kx.steps(B),
        on=kx.role("web"),
        concurrency=3,
        policy=kx.keep_going(),
        waves=kx.waves(1),
        allow_empty=True,
    )
    assert made == Task("t", (A, B), kx.role("web"), 3, kx.keep_going(), kx.waves(1), allow_empty=True)


def test_a_module_keeps_what_it_is_given() -> None:
    """`before` and `after` take one task or several."""
    other = kx.task("u")
    made = kx.module("m", TASK, other, when=False, waves=kx.waves(1), before=other, after=[TASK, other])
    assert made == Module("m", (TASK, other), False, kx.waves(1), (other,), (TASK, other))
    assert Module("m", (TASK,)) == MODULE


def test_a_pipeline_keeps_what_it_is_given() -> None:
    """Its tasks stop at the first failure where nothing else was said."""
    made = kx.pipeline("p", MODULE, before=TASK, after=(each for each in [TASK]), guard=kx.max_failures(3))
    assert made == Pipeline("p", (MODULE,), (TASK,), (TASK,), kx.fail_fast(), kx.max_failures(3))
    assert kx.pipeline("p").policy == kx.fail_fast()
    assert kx.pipeline("p", policy=kx.keep_going()).policy == kx.keep_going()


@pytest.mark.parametrize("layer", [TASK, MODULE, PIPELINE, A])
def test_layers_are_frozen_values(layer: Any) -> None:
    """They cannot be changed; copies are equal, and equal ones have one hash."""
    field = attrs.fields(type(layer))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(layer, field, "other")
    assert copy.copy(layer) == layer
    assert hash(copy.copy(layer)) == hash(layer)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (TASK, "a Task has no truth value before it ran: run it in a pipeline, and ask the report"),
        (MODULE, "a Module has no truth value before it ran: run it in a pipeline, and ask the report"),
        (PIPELINE, "a Pipeline has no truth value before it ran: run it, and ask the report"),
    ],
)
def test_layers_have_no_truth_value(layer: object, words: str) -> None:
    """`if pipeline:` before the run is a mistake, and the message says what to write."""
    with pytest.raises(TypeError) as caught:
        bool(layer)
    assert str(caught.value) == words


def test_reprs_are_short() -> None:
    """Name, and how much there is."""
    assert repr(kx.task("t", A, B, on=kx.role("web"))) == "Task('t', 2 steps, on=role:web)"
    assert repr(MODULE) == "Module('m', 1 tasks)"
    assert repr(kx.pipeline("p", MODULE, kx.module("n"))) == "Pipeline('p': m, n)"
    assert repr(kx.pipeline("p")) == "Pipeline('p': no modules)"


WHOLE = kx.pipeline(
    "p",
    kx.module("db", kx.task("install", A), kx.task("init", B), before=kx.task("probe", A)),
    kx.module("web", kx.task("install", A), after=kx.task("report", A)),
    before=kx.task("lock", A),
    after=kx.task("unlock", A),
    guard=kx.max_failures(3),
)


def names(pipeline: kx.Pipeline) -> list[str]:
    """Module and task of every task."""
    return [f"{module.name}/{task.name}" for module in pipeline.modules for task in module.tasks]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (("web",), ["web/install"]),
        (("web", "db"), ["db/install", "db/init", "web/install"]),
        (("db/init",), ["db/init"]),
        (("db/init", "web"), ["db/init", "web/install"]),
        (("db", "db/init"), ["db/install", "db/init"]),
    ],
)
def test_only_keeps_modules_and_tasks_in_the_pipelines_order(wanted: tuple[str, ...], left: list[str]) -> None:
    """Hooks, policy and guard stay; the whole is as it was."""
    part = WHOLE.only(*wanted)
    assert names(part) == left
    assert (part.before, part.after, part.guard) == (WHOLE.before, WHOLE.after, WHOLE.guard)
    assert all(module.before for module in part.modules if module.name == "db")
    assert len(names(WHOLE)) == 3


def test_each_task_reaches_hooks_too() -> None:
    """Wherever a task stands, it is changed."""
    made = WHOLE.each_task(lambda task: attrs.evolve(task, allow_empty=True))
    every = [*made.before, *made.after, *(t for m in made.modules for t in (*m.before, *m.tasks, *m.after))]
    assert len(every) == 7
    assert all(task.allow_empty for task in every)


odd: Any = kx


async def slow(cluster: object) -> bool:
    """A question that has no answer at once."""
    return True


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.task("", A), "task name '': give a short text"),
        (lambda: odd.task("a/b", A), "task name 'a/b': no leading @, which marks hooks, and no /, which splits paths"),
        (lambda: odd.task("@after", A), "task name '@after'"),
        (lambda: odd.task(A), "task name Step('a'): give a short text"),
        (lambda: odd.task("t", 5), "5 is no step: make one"),
        (lambda: odd.task("t", [A]), "is no step"),
        (lambda: odd.task("t", kx.cmd("a")), "is no step"),
        (lambda: odd.task("t", A, on="web"), "task 't': on= got 'web', which is no selector: write role("),
        (lambda: odd.task("t", A, on=kx.role), "task 't': on= got <function role"),
        (lambda: odd.task("t", A, on=lambda cluster: cluster.hosts), "which is no selector"),
        (lambda: odd.task("t", A, concurrency=0), "task 't': concurrency=0: give a whole number >= 1"),
        (lambda: odd.task("t", A, concurrency="5"), "task 't': concurrency='5'"),
        (lambda: odd.task("t", A, concurrency=2.5), "task 't': concurrency=2.5"),
        (lambda: odd.task("t", A, concurrency=True), "task 't': concurrency=True"),
        (lambda: odd.task("t", A, policy=kx.keep_going), "task 't': policy=<function keep_going"),
        (lambda: odd.task("t", A, policy="10%"), "write policy=keep_going(), with parentheses"),
        (lambda: odd.task("t", A, waves=(1, "25%")), "task 't': waves=(1, '25%') is none: write waves=waves(1,"),
        (lambda: odd.task("t", A, allow_empty="no"), "task 't': allow_empty='no': write True or False"),
        (lambda: odd.module("", TASK), "module name ''"),
        (lambda: odd.module("@before", TASK), "module name '@before'"),
        (lambda: odd.module("m", A), "module 'm' got a Step: give tasks: task("),
        (lambda: odd.module("m", MODULE), "module 'm' got a Module: give tasks"),
        (lambda: odd.module("m", [TASK]), "module 'm' got a list: give tasks"),
        (lambda: odd.module("m", before=5), "module 'm': before= is an int: give tasks"),
        (lambda: odd.module("m", after=A), "module 'm': after= is a Step: give tasks"),
        (lambda: odd.module("m", after=[A]), "module 'm': after= got a Step: give tasks"),
        (lambda: odd.module("m", when="web"), "module 'm': when= is a str: write True, False or when=lambda cluster"),
        (lambda: odd.module("m", when=None), "module 'm': when= is a NoneType"),
        (lambda: odd.module("m", when=slow), "module 'm': when= is async"),
        (lambda: odd.module("m", when=lambda: True), "module 'm': when= cannot be called with an argument"),
        (lambda: odd.module("m", waves=3), "module 'm': waves=3 is none"),
        (lambda: odd.pipeline("x\n"), "pipeline name 'x\\n': use at most 200 printable characters"),
        (lambda: odd.pipeline("a/b"), "pipeline name 'a/b'"),
        (lambda: odd.pipeline("p", TASK), "pipeline 'p' got a Task: give modules: module("),
        (lambda: odd.pipeline("p", [MODULE]), "pipeline 'p' got a list: give modules"),
        (lambda: odd.pipeline("p", before=MODULE), "pipeline 'p': before= is a Module: give tasks"),
        (lambda: odd.pipeline("p", policy=kx.fail_fast), "pipeline 'p': policy=<function fail_fast"),
        (lambda: odd.pipeline("p", guard=3), "pipeline 'p': guard=3 is none: write guard=keep_going()"),
        (lambda: WHOLE.only("wbe"), "pipeline 'p' has no module or task 'wbe': modules: db, web"),
        (lambda: WHOLE.only("web", "web/init"), "has no module or task 'web/init'"),
        (lambda: odd.pipeline("p").only("x"), "modules: none"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy
