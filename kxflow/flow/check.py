"""Every mistake of composition, all at once, before any host is touched."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from kxflow.flow.inputs import Input, Reach
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.layout import AFTER, Layout, Slot, TaskPlan, lay_out
from kxflow.flow.selectors import And, First, Named, Or, Selector
from kxflow.flow.step import Failed, Step
from kxflow.flow.trial import Trial
from kxflow.flow.wiring import MEND, Producer, Unwired, Wiring, inputs_of
from kxflow.values.action import Action, Check, Command, Skip, parts_of
from kxflow.values.arguments import kind
from kxflow.values.cluster import Cluster
from kxflow.values.errors import CompositionError, InvalidError, Problem
from kxflow.values.fault import Raised, attempt, words_of


@frozen(str=False)
class _Unknown(Selector):
    """Stands for a selector that raised, so that all other problems are found as well."""

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset()

    def __str__(self) -> str:
        return "unknown"


def check(pipeline: Pipeline, cluster: Cluster) -> list[Problem]:
    """Every composition error of a pipeline on a cluster; empty where it can run. No host is touched.

    Finds: two steps with one path; an input whose step comes later, nowhere or in several places; a selector that
    matches no host; `from_one` and `.on` that match several; a value that somebody needs of a step that may be
    skipped without one; functions of selectors and modules that raise.

    Raises:
        InvalidError: It is no pipeline, or no cluster.
    """
    if not isinstance(pipeline, Pipeline) or not isinstance(cluster, Cluster):
        what = f"check of {kind(pipeline)} on {kind(cluster)}"
        raise InvalidError(what, 'give a pipeline("name", module, …) and a Cluster([host, …])')
    problems = [*_names(pipeline), *_raising(pipeline, cluster)]
    wiring = Wiring(lay_out(_sound(pipeline, cluster), cluster))
    trial = Trial(wiring)
    for plan in wiring.layout.enabled:
        problems += _hosts(plan, cluster)
        for slot in plan.slots:
            problems += _targets(plan, slot, cluster)
            problems += _hooks_only(plan, slot)
            for name, wanted in inputs_of(slot.step):
                problems += _input(trial, plan, slot, name, wanted)
    return list(dict.fromkeys(problems))


def checked(pipeline: Pipeline, cluster: Cluster) -> Layout:
    """The layout of a pipeline that fits together.

    Raises:
        CompositionError: Every problem that `check` finds.
    """
    problems = check(pipeline, cluster)
    if problems:
        raise CompositionError(tuple(problems))
    return lay_out(pipeline, cluster)


def _groups(pipeline: Pipeline) -> Iterator[tuple[str, tuple[Task, ...]]]:
    """Tasks that stand under one path."""
    yield f"{pipeline.name}/@before", pipeline.before
    yield f"{pipeline.name}/@after", pipeline.after
    for each in pipeline.modules:
        path = f"{pipeline.name}/{each.name}"
        yield from ((path, each.tasks), (f"{path}/@before", each.before), (f"{path}/@after", each.after))


def _names(pipeline: Pipeline) -> Iterator[Problem]:
    yield from _twice(pipeline.modules, pipeline.name, "modules")
    for path, tasks in _groups(pipeline):
        yield from _twice(tasks, path, "tasks")
        for its in tasks:
            yield from _twice(_with_rescues(its.steps), f"{path}/{its.name}", "steps")


def _raised(function: Callable[[Cluster], object], cluster: Cluster) -> str:
    """What a user's function says when it raises; empty where it answers."""
    gave = attempt(lambda: bool(function(cluster)))
    return words_of(gave.error) if isinstance(gave, Raised) else ""


def _raising(pipeline: Pipeline, cluster: Cluster) -> Iterator[Problem]:
    for module in pipeline.modules:
        if callable(module.when) and (words := _raised(module.when, cluster)):
            yield Problem(f"{pipeline.name}/{module.name}", f"its `when` raised {words}", MEND)
    for path, tasks in _groups(pipeline):
        for task in tasks:
            if words := _raised(task.hosts, cluster):
                yield Problem(f"{path}/{task.name}", f"the selector {task.hosts} raised {words}", MEND)


def _sound(pipeline: Pipeline, cluster: Cluster) -> Pipeline:
    """The pipeline without functions that raise: such a module runs, such a task has hosts that are not known."""

    def known(its: Task) -> Task:
        return evolve(its, hosts=_Unknown()) if _raised(its.hosts, cluster) else its

    def answering(its: Module) -> Module:
        return evolve(its, when=True) if callable(its.when) and _raised(its.when, cluster) else its

    return evolve(pipeline, modules=tuple(map(answering, pipeline.modules))).each_task(known)


def _with_rescues(steps: Iterable[Step[Any]]) -> Iterator[Step[Any]]:
    for each in steps:
        yield each
        yield from _with_rescues(each.rescued_by)


def _twice(parts: Iterable[Module | Task | Step[Any]], path: str, kind: str) -> Iterator[Problem]:
    for name, count in Counter(part.name for part in parts).items():
        if count > 1:
            remedy = 'give each its own name: step.named("…")' if kind == "steps" else "give each its own name"
            yield Problem(f"{path}/{name}", f"{count} {kind} have this path", remedy)


def _hosts(plan: TaskPlan, cluster: Cluster) -> Iterator[Problem]:
    if not plan.hosts and not plan.task.allow_empty and not _unknown(plan):
        what = f"the selector {plan.task.hosts} matches no host"
        yield Problem(f"{plan.pipeline}/{plan.label}", what, _near(plan.task.hosts, cluster))


def _unknown(plan: TaskPlan) -> bool:
    return isinstance(plan.task.hosts, _Unknown)


def _near(selector: Selector, cluster: Cluster) -> str:
    wrong = islice(_named(selector), 3)  # of hundreds, a few show what is the matter; it takes its time in large fleets
    words = [word for name in wrong for word in difflib.get_close_matches(name, cluster.names, n=2)]
    guess = f"did you mean {' or '.join(dict.fromkeys(words))}? " if words else ""
    return f"{guess}roles of this cluster: {', '.join(cluster.roles) or 'none'}; or set allow_empty=True"


def _named(selector: Selector) -> Iterator[str]:
    """Names of hosts that a selector asks for."""
    match selector:
        case Named(pattern):
            yield pattern
        case And(parts) | Or(parts):
            for each in parts:
                yield from _named(each)
        case First(inner):
            yield from _named(inner)


def _targets(plan: TaskPlan, slot: Slot, cluster: Cluster) -> Iterator[Problem]:
    target, where = slot.step.target, plan.path(slot)
    if target is None:
        return
    if words := _raised(target, cluster):
        yield Problem(where, f".on({target}) raised {words}", MEND)
        return
    found = target(cluster)
    if len(found) > 1 or (not found and plan.hosts):
        remedy = "narrow it: first(…) or host(…)" if found else _near(target, cluster)
        yield Problem(where, f".on({target}) matches {len(found)} hosts, it needs exactly one", remedy)


def _hooks_only(plan: TaskPlan, slot: Slot) -> Iterator[Problem]:
    asks = any(isinstance(each.function, Failed) for each in slot.step.conditions)
    if asks and plan.hook != AFTER:
        yield Problem(plan.path(slot), ".when(kx.failed) outside of an `after`", "move the task into after=")


def _input(trial: Trial, plan: TaskPlan, slot: Slot, name: str, wanted: Input) -> Iterator[Problem]:
    found = trial.wiring.find(wanted, plan, slot)
    where = plan.path(slot)
    if isinstance(found, Unwired):
        yield Problem(where, f"input {name!r} {found.what}", found.remedy)
        return
    yield from _reach(found, plan, where, name, wanted)
    yield from _may_lack_value(found, trial, where, name, wanted)


def _reach(found: Producer, plan: TaskPlan, where: str, name: str, wanted: Input) -> Iterator[Problem]:
    if wanted.reach is not Reach.here and found.plan.order == plan.order:
        what = f"input {name!r} wants {found.path} on other hosts while they are at the same task"
        yield Problem(where, what, "put that step into an earlier task")
    if _unknown(found.plan) or _unknown(plan):
        return
    if wanted.reach is Reach.one and (len(found.hosts) > 1 or (not found.hosts and plan.hosts)):
        hosts = ", ".join(each.name for each in found.hosts[:4]) or "no host"
        what = f"from_one of input {name!r} matches {len(found.hosts)} hosts ({hosts})"
        yield Problem(where, what, "narrow it: from_one(step, host(…)) or from_one(step, first(…))")
    if wanted.reach is Reach.here:
        there = {each.name for each in found.hosts}
        absent = [each.name for each in plan.hosts if each.name not in there]
        if absent:
            what = f"input {name!r} comes from {found.path}, which does not run on {absent[0]}"
            yield Problem(where, what, "select the same hosts, or use from_one")


def _may_lack_value(found: Producer, trial: Trial, where: str, name: str, wanted: Input) -> Iterator[Problem]:
    if wanted.missing == "omit":
        return
    step = found.slot.step
    if step.conditions or found.slot.rescues is not None:
        why = "has a when" if step.conditions else "is a rescue step"
        what = f"input {name!r} needs the value of {found.path}, which {why} and may be skipped without one"
        yield Problem(where, what, 'use from_all(…, missing="omit"), or take the condition away')
        return
    for host in found.hosts:
        if none := _gives_none(trial.action(found.plan, found.slot, host), tried=bool(step.inputs)):
            what = f"input {name!r} needs the value of {found.path}, which {none[0]} and may be skipped without one"
            yield Problem(where, what, none[1])
            return


def _gives_none(action: Action[Any] | None, *, tried: bool) -> tuple[str, str] | None:
    """Why an action may be skipped without a value, and what to do; its last part is the one that gives it.

    Where it was only `tried` with values that stand in, what it says of them is not taken at its word.
    """
    match None if action is None else parts_of(action)[-1]:
        case Command(check=Check(), value=None):
            return "has a check", "give it value=, the command that reads the value"
        case Command() as command if command.awaits:
            return "follows a change", "take the value of a step that always runs"
        case Skip(reason) if not tried:
            return f"says skip({reason!r})", "return value(…) there instead"
    return None
