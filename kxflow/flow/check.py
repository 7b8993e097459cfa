"""Every mistake of composition, all at once, before any host is touched."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from kxflow.flow.inputs import Input, Reach
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.layout import AFTER, Layout, Slot, TaskPlan, lay_out
from kxflow.flow.selectors import Named, Selector
from kxflow.flow.step import Failed, Step
from kxflow.flow.wiring import Producer, Unwired, Wiring, inputs_of
from kxflow.values.action import Action, commands_of
from kxflow.values.cluster import Cluster
from kxflow.values.context import HostContext
from kxflow.values.errors import CompositionError, Problem


def check(pipeline: Pipeline, cluster: Cluster) -> list[Problem]:
    """Every composition error of a pipeline on a cluster; empty where it can run. No host is touched.

    Finds: two steps with one path; an input whose step comes later, nowhere or in several places; a selector that
    matches no host; `from_one` and `.on` that match several; a value that somebody needs of a step that may be
    skipped without one.
    """
    problems = list(_names(pipeline))
    try:
        layout = lay_out(pipeline, cluster)
    except Exception as error:  # noqa: BLE001 -- a user's selector or `when` raised: that is what is wrong
        what = f"a selector or a module's when raised {type(error).__name__}: {error}"
        return [*problems, Problem(pipeline.name, what, "mend the function")]
    wiring = Wiring(layout)
    for plan in layout.enabled:
        problems += _hosts(plan, cluster)
        for slot in plan.slots:
            problems += _targets(plan, slot, cluster)
            problems += _hooks_only(plan, slot)
            for name, wanted in inputs_of(slot.step):
                problems += _input(wiring, plan, slot, name, wanted)
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


def _names(pipeline: Pipeline) -> Iterator[Problem]:
    yield from _twice(pipeline.modules, pipeline.name, "modules")
    groups: list[tuple[str, Iterable[Task]]] = [
        (f"{pipeline.name}/@before", pipeline.before),
        (f"{pipeline.name}/@after", pipeline.after),
    ]
    for each in pipeline.modules:
        path = f"{pipeline.name}/{each.name}"
        groups += [(path, each.tasks), (f"{path}/@before", each.before), (f"{path}/@after", each.after)]
    for path, tasks in groups:
        yield from _twice(tasks, path, "tasks")
        for each_task in tasks:
            yield from _twice(_with_rescues(each_task.steps), f"{path}/{each_task.name}", "steps")


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
    if not plan.hosts and not plan.task.allow_empty:
        what = f"the selector {plan.task.hosts} matches no host"
        yield Problem(f"{plan.pipeline}/{plan.label}", what, _near(plan.task.hosts, cluster))


def _near(selector: Selector, cluster: Cluster) -> str:
    near = difflib.get_close_matches(selector.pattern, cluster.names, n=2) if isinstance(selector, Named) else []
    if near:
        return f"did you mean {' or '.join(near)}?"
    roles = ", ".join(cluster.roles) or "none"
    return f"roles of this cluster: {roles}; or set allow_empty=True"


def _targets(plan: TaskPlan, slot: Slot, cluster: Cluster) -> Iterator[Problem]:
    if slot.step.target is None:
        return
    found = tuple(slot.step.target(cluster))
    if len(found) != 1:
        what = f".on({slot.step.target}) matches {len(found)} hosts, it needs exactly one"
        yield Problem(plan.path(slot), what, "narrow it: first(…) or host(…)")


def _hooks_only(plan: TaskPlan, slot: Slot) -> Iterator[Problem]:
    asks = any(isinstance(each.function, Failed) for each in slot.step.conditions)
    if asks and plan.hook != AFTER:
        yield Problem(plan.path(slot), ".when(kx.failed) outside of an `after`", "move the task into after=")


def _input(wiring: Wiring, plan: TaskPlan, slot: Slot, name: str, wanted: Input) -> Iterator[Problem]:
    found = wiring.find(wanted, plan, slot)
    where = plan.path(slot)
    if isinstance(found, Unwired):
        yield Problem(where, f"input {name!r} {found.what}", found.remedy)
        return
    yield from _reach(found, plan, where, name, wanted)
    yield from _may_lack_value(found, wiring.layout.cluster, where, name, wanted)


def _reach(found: Producer, plan: TaskPlan, where: str, name: str, wanted: Input) -> Iterator[Problem]:
    if wanted.reach is not Reach.here and found.plan.order == plan.order:
        what = f"input {name!r} wants {found.path} on other hosts while they are at the same task"
        yield Problem(where, what, "put that step into an earlier task")
    if wanted.reach is Reach.one and len(found.hosts) != 1 and not plan.task.allow_empty:
        hosts = ", ".join(each.name for each in found.hosts[:4]) or "no host"
        what = f"from_one of input {name!r} matches {len(found.hosts)} hosts ({hosts})"
        yield Problem(where, what, "narrow it: from_one(step, host(…)) or from_one(step, first(…))")
    if wanted.reach is Reach.here:
        there = {each.name for each in found.hosts}
        absent = [each.name for each in plan.hosts if each.name not in there]
        if absent:
            what = f"input {name!r} comes from {found.path}, which does not run on {absent[0]}"
            yield Problem(where, what, "select the same hosts, or use from_one")


def _may_lack_value(found: Producer, cluster: Cluster, where: str, name: str, wanted: Input) -> Iterator[Problem]:
    if wanted.missing == "omit":
        return
    step = found.slot.step
    if step.conditions or found.slot.rescues is not None:
        why = "has a when" if step.conditions else "is a rescue step"
        what = f"input {name!r} needs the value of {found.path}, which {why} and may be skipped without one"
        yield Problem(where, what, 'use from_all(…, missing="omit"), or take the condition away')
        return
    for host in found.hosts:
        action = _action_if_known(step, HostContext(host, cluster))
        if action is not None and any(
            (each.check and each.value is None) or each.awaits for each in commands_of(action)[-1:]
        ):
            what = f"input {name!r} needs the value of {found.path}, which has a check and may be skipped without one"
            yield Problem(where, what, "give it value=, the command that reads the value")
            return


def _action_if_known(step: Step[Any], ctx: HostContext) -> Action[Any] | None:
    """The action where it depends on nothing but the host; a function that raises says so when it runs."""
    if step.inputs:
        return None
    try:
        return step.action(ctx)
    except Exception:  # noqa: BLE001 -- recorded as this step's failure in the run; here it decides nothing
        return None
