"""A pipeline laid out over a cluster: every place that will have a result, in canonical order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from attrs import field, frozen

from kxflow.flow.decide import Do, alike
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.policy import Policy, Waves
from kxflow.flow.step import Step
from kxflow.values.action import Action, digest, function_name
from kxflow.values.cluster import Cluster
from kxflow.values.event import TaskShape
from kxflow.values.host import Host
from kxflow.values.result import Position

BEFORE = "@before"
AFTER = "@after"


@frozen
class Slot:
    """One step's place in a task.

    Attributes:
        index: Place among the slots of its task.
        step: What stands there.
        rescues: Index of the slot that it rescues; None for a step of the task itself.
    """

    index: int
    step: Step[Any]
    rescues: int | None = None

    @cached_property
    def alike(self) -> Do | None:
        """What is to be done on every host alike: made once, not once a host."""
        return alike(self.step)


@frozen
class TaskPlan:
    """A task on its hosts.

    Attributes:
        pipeline, module, name: Address; a hook's task has `@before/` or `@after/` in front, or such a module.
        module_index, task_index: First two parts of its positions.
        order: Place among all tasks of the layout.
        slots: Its steps, rescue steps after the rescued.
        hosts: Selected hosts, in the cluster's order.
        policy: Its own, or the pipeline's.
        waves: Its own.
        concurrency: Its own bound.
        hook: It is a `before` or an `after`.
    """

    pipeline: str
    module: str
    name: str
    module_index: int
    task_index: int
    order: int
    slots: tuple[Slot, ...]
    hosts: tuple[Host, ...]
    policy: Policy
    waves: Waves | None
    concurrency: int | None
    task: Task
    hook: str = ""

    def position(self, slot: Slot, rank: int) -> Position:
        """Where a result of this slot stands."""
        return Position(self.module_index, self.task_index, slot.index, rank)

    def path(self, slot: Slot) -> str:
        """Path of a slot's step."""
        return f"{self.pipeline}/{self.module}/{self.name}/{slot.step.name}"

    @property
    def label(self) -> str:
        """Module and task."""
        return f"{self.module}/{self.name}"


@frozen
class ModulePlan:
    """A module's tasks on their hosts; a pipeline's hooks are modules of tasks without hooks."""

    name: str
    before: tuple[TaskPlan, ...]
    tasks: tuple[TaskPlan, ...]
    after: tuple[TaskPlan, ...]
    waves: Waves | None = None
    enabled: bool = True

    def __iter__(self) -> Iterator[TaskPlan]:
        yield from self.before
        yield from self.tasks
        yield from self.after


@frozen
class Layout:
    """Everything that a run will give results of.

    Attributes:
        before, after: Hooks of the pipeline.
        modules: All modules, those that are not enabled too.
    """

    pipeline: Pipeline
    cluster: Cluster
    before: tuple[TaskPlan, ...]
    modules: tuple[ModulePlan, ...]
    after: tuple[TaskPlan, ...]
    tasks: tuple[TaskPlan, ...] = field(repr=False)

    @property
    def enabled(self) -> tuple[TaskPlan, ...]:
        """Tasks that are to run, in canonical order."""
        off = {plan.order for each in self.modules if not each.enabled for plan in each}
        return tuple(plan for plan in self.tasks if plan.order not in off)

    @property
    def shape(self) -> tuple[TaskShape, ...]:
        """What a progress display needs to know."""
        return tuple(
            TaskShape(plan.module, plan.name, tuple(each.name for each in plan.hosts), len(plan.slots))
            for plan in self.enabled
        )

    @property
    def fingerprint(self) -> str:
        """Hex digest of names, order, constant actions and functions' names: equal pipelines have equal ones."""
        words = [
            (plan.module, plan.name, slot.step.name, slot.rescues, _mark(slot.step))
            for plan in self.tasks
            for slot in plan.slots
        ]
        text = repr((self.pipeline.name, words))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _mark(step: Step[Any]) -> str:
    return digest(step.build) if isinstance(step.build, Action) else function_name(step.build)


def slots_of(task: Task) -> tuple[Slot, ...]:
    """The steps of a task with their rescue steps behind them, in order."""
    slots: list[Slot] = []

    def add(step: Step[Any], rescues: int | None) -> None:
        index = len(slots)
        slots.append(Slot(index, step, rescues))
        for each in step.rescued_by:
            add(each, index)

    for step in task.steps:
        add(step, None)
    return tuple(slots)


class _Builder:
    """Numbers tasks as they are laid out."""

    def __init__(self, pipeline: Pipeline, cluster: Cluster) -> None:
        self.pipeline = pipeline
        self.cluster = cluster
        self.tasks: list[TaskPlan] = []

    def plan(self, task: Task, module: str, prefix: str, module_index: int, task_index: int) -> TaskPlan:
        """The plan of one task; the next in order."""
        made = TaskPlan(
            pipeline=self.pipeline.name,
            module=module,
            name=f"{prefix}/{task.name}" if prefix else task.name,
            module_index=module_index,
            task_index=task_index,
            order=len(self.tasks),
            slots=slots_of(task),
            hosts=tuple(task.hosts(self.cluster)),
            policy=self.pipeline.policy if task.policy is None else task.policy,
            waves=task.waves,
            concurrency=task.concurrency,
            task=task,
            hook=prefix or (module if module in (BEFORE, AFTER) else ""),
        )
        self.tasks.append(made)
        return made

    def hook(self, tasks: tuple[Task, ...], name: str, index: int) -> tuple[TaskPlan, ...]:
        """Hooks of the pipeline: a module of their own."""
        return tuple(self.plan(each, name, "", index, i) for i, each in enumerate(tasks))

    def module(self, module: Module, index: int) -> ModulePlan:
        """A module: its hooks stand around its tasks."""
        parts: list[tuple[TaskPlan, ...]] = []
        count = 0
        for prefix, tasks in ((BEFORE, module.before), ("", module.tasks), (AFTER, module.after)):
            parts.append(tuple(self.plan(each, module.name, prefix, index, count + i) for i, each in enumerate(tasks)))
            count += len(tasks)
        enabled = bool(module.when(self.cluster)) if callable(module.when) else bool(module.when)
        first, own, last = parts
        return ModulePlan(module.name, first, own, last, module.waves, enabled)


def lay_out(pipeline: Pipeline, cluster: Cluster) -> Layout:
    """Lay a pipeline out over a cluster; pure."""
    builder = _Builder(pipeline, cluster)
    before = builder.hook(pipeline.before, BEFORE, 0)
    modules = tuple(builder.module(each, 1 + i) for i, each in enumerate(pipeline.modules))
    after = builder.hook(pipeline.after, AFTER, 1 + len(modules))
    return Layout(pipeline, cluster, before, modules, after, tuple(builder.tasks))
