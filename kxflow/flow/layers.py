"""Task, module, pipeline: frozen values that fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeAlias

from attrs import evolve, frozen

from kxflow.flow.policy import Policy, Rollback, Waves, fail_fast
from kxflow.flow.selectors import Selector, all_hosts, as_selector
from kxflow.flow.step import Step, Steps, check_name, flatten
from kxflow.values.action import no_truth
from kxflow.values.arguments import check_answers, check_takes, is_whole, kind, members
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError

Enabled: TypeAlias = bool | Callable[[Cluster], bool]


@frozen(repr=False)
class Task:
    """Steps in order, on each selected host; hosts side by side.

    Transforms apply to each of its steps.

    Attributes:
        name: Unique in its module.
        steps: In order.
        hosts: Which hosts.
        concurrency: Most hosts at a time; the run's bound where None.
        policy: When to stop; the pipeline's where None.
        waves: Roll-out; all at once where None.
        allow_empty: The selector may match no host.
    """

    name: str
    steps: tuple[Step[Any], ...]
    hosts: Selector = all_hosts
    concurrency: int | None = None
    policy: Policy | None = None
    waves: Waves | None = None
    allow_empty: bool = False

    def each(self, change: Callable[[Step[Any]], Step[Any]]) -> Task:
        """The task with every step changed."""
        return evolve(self, steps=tuple(change(member) for member in self.steps))

    def retry(self, times: int, **options: Any) -> Task:
        """As `Step.retry`, for each of its steps."""
        return self.each(lambda member: member.retry(times, **options))

    def timeout(self, seconds: float) -> Task:
        """As `Step.timeout`, for each of its steps."""
        return self.each(lambda member: member.timeout(seconds))

    def when(self, function: Callable[..., bool], **inputs: Any) -> Task:
        """As `Step.when`, for each of its steps."""
        return self.each(lambda member: member.when(function, **inputs))

    def become(self, user: str = "root", **options: Any) -> Task:
        """As `Step.become`, for each of its steps."""
        return self.each(lambda member: member.become(user, **options))

    def rescue(self, *steps: Step[Any] | Steps) -> Task:
        """As `Step.rescue`, for each of its steps; where it has several, the rescue steps' names say which."""
        several = len(self.steps) > 1

        def attach(member: Step[Any]) -> Step[Any]:
            own = [each.named(f"{each.name} ({member.name})") if several else each for each in flatten(steps)]
            return member.rescue(*own)

        return self.each(attach)

    def ignore_errors(self) -> Task:
        """As `Step.ignore_errors`, for each of its steps."""
        return self.each(lambda member: member.ignore_errors())

    def ignore_unreachable(self) -> Task:
        """As `Step.ignore_unreachable`, for each of its steps."""
        return self.each(lambda member: member.ignore_unreachable())

    def sensitive(self) -> Task:
        """As `Step.sensitive`, for each of its steps."""
        return self.each(lambda member: member.sensitive())

    def detached(self) -> Task:
        """As `Step.detached`, for each of its steps."""
        return self.each(lambda member: member.detached())

    def on(self, sel: Selector) -> Task:
        """As `Step.on`, for each of its steps."""
        return self.each(lambda member: member.on(sel))

    def __bool__(self) -> NoReturn:
        no_truth(self, "run it in a pipeline, and ask the report")

    def __repr__(self) -> str:
        return f"Task({self.name!r}, {len(self.steps)} steps, on={self.hosts})"

    def _repr_html_(self) -> str:
        from kxflow.values.markup import tree

        steps = [each.name for each in self.steps]
        return tree(f"task {self.name}", [(f"on {self.hosts}{_waves(self.waves)}", steps)])


@frozen(repr=False)
class Module:
    """Tasks in order.

    Attributes:
        name: Unique in its pipeline.
        tasks: In order.
        when: Whether it runs at all: a truth value, or a pure function of the cluster.
        waves: Roll-out of all its tasks together.
        before: Tasks to do first; where they fail, the others do not run.
        after: Tasks that are done whenever `before` began, like `finally`.
    """

    name: str
    tasks: tuple[Task, ...]
    when: Enabled = True
    waves: Waves | None = None
    before: tuple[Task, ...] = ()
    after: tuple[Task, ...] = ()

    def __bool__(self) -> NoReturn:
        no_truth(self, "run it in a pipeline, and ask the report")

    def __repr__(self) -> str:
        return f"Module({self.name!r}, {len(self.tasks)} tasks)"

    def _repr_html_(self) -> str:
        from kxflow.values.markup import tree

        return tree(f"module {self.name}", [(self.name + _waves(self.waves), map(_told, _with_hooks(self)))])


@frozen(repr=False)
class Pipeline:
    """Modules in order: a value that is run, planned, resumed, drawn, compared.

    Attributes:
        name: First part of every path.
        modules: In order.
        before: Tasks to do first; where they fail, no module runs.
        after: Tasks that are done whenever `before` began, like `finally`.
        policy: Of its tasks that have none of their own.
        guard: Sees the whole run; no task's own policy overrides it.
        on_failure: What is taken back when the run fails; nothing where None.
    """

    name: str
    modules: tuple[Module, ...]
    before: tuple[Task, ...] = ()
    after: tuple[Task, ...] = ()
    policy: Policy = fail_fast()
    guard: Policy | None = None
    on_failure: Rollback | None = None

    def only(self, *names: str) -> Pipeline:
        """The pipeline with just these modules (`"web"`) or tasks (`"web/join"`), in its own order; hooks stay.

        Raises:
            InvalidError: It has no such module or task.
        """
        found: set[str] = set()
        kept = [piece for each in self.modules if (piece := _part(each, names, found)) is not None]
        if missing := [name for name in names if name not in found]:
            has = ", ".join(each.name for each in self.modules) or "none"
            raise InvalidError(f"pipeline {self.name!r} has no module or task {missing[0]!r}", f"modules: {has}")
        return evolve(self, modules=tuple(kept))

    def each_task(self, change: Callable[[Task], Task]) -> Pipeline:
        """The pipeline with every task changed, those of hooks too."""

        def all_of(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
            return tuple(map(change, tasks))

        def inside(its: Module) -> Module:
            return evolve(its, tasks=all_of(its.tasks), before=all_of(its.before), after=all_of(its.after))

        modules = tuple(map(inside, self.modules))
        return evolve(self, modules=modules, before=all_of(self.before), after=all_of(self.after))

    def __bool__(self) -> NoReturn:
        no_truth(self, "run it, and ask the report")

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}: {', '.join(each.name for each in self.modules) or 'no modules'})"

    def _repr_html_(self) -> str:
        from kxflow.values.markup import tree

        modules = [(each.name + _waves(each.waves), _with_hooks(each)) for each in self.modules]
        before = [("@before", self.before)] if self.before else []
        after = [("@after", self.after)] if self.after else []
        branches = ((name, map(_told, tasks)) for name, tasks in (*before, *modules, *after))
        return tree(f"pipeline {self.name}", branches)


def _with_hooks(its: Module) -> tuple[Task, ...]:
    """Tasks of a module in their order, those of hooks under the names that paths give them."""
    before = (evolve(each, name=f"@before/{each.name}") for each in its.before)
    after = (evolve(each, name=f"@after/{each.name}") for each in its.after)
    return (*before, *its.tasks, *after)


def _told(task: Task) -> str:
    return f"{task.name} on {task.hosts}{_waves(task.waves)}: {', '.join(each.name for each in task.steps)}"


def _waves(waves: Waves | None) -> str:
    if waves is None:
        return ""
    sizes = (f"{size:g}{'%' if share else ''}" for size, share in zip(waves.sizes, waves.shares, strict=True))
    return f" in waves ({', '.join(sizes)})"


def _part(its: Module, names: Iterable[str], found: set[str]) -> Module | None:
    wanted = set(names)
    tasks = tuple(each for each in its.tasks if f"{its.name}/{each.name}" in wanted)
    found.update(f"{its.name}/{each.name}" for each in tasks)
    if its.name in wanted:
        found.add(its.name)
        return its
    return evolve(its, tasks=tasks) if tasks else None


def _tasks(parts: Iterable[Task] | Task, where: str) -> tuple[Task, ...]:
    remedy = 'give tasks: task("name", step, …)'
    tasks = (parts,) if isinstance(parts, Task) else members(parts, where, remedy)
    for each in tasks:
        if not isinstance(each, Task):
            raise InvalidError(f"{where} got {kind(each)}", remedy)
    return tasks


def _check_waves(waves: Waves | None, where: str) -> None:
    if waves is not None and not isinstance(waves, Waves):
        raise InvalidError(f"{where}: waves={waves!r} is none", 'write waves=waves(1, "25%", "100%")')


def _check_policy(policy: Policy | None, what: str, where: str) -> None:
    if policy is not None and not isinstance(policy, Policy):
        raise InvalidError(f"{where}: {what}={policy!r} is none", f"write {what}=keep_going(), with parentheses")


def task(
    name: str,
    *parts: Step[Any] | Steps,
    on: Selector = all_hosts,
    concurrency: int | None = None,
    policy: Policy | None = None,
    waves: Waves | None = None,
    allow_empty: bool = False,
) -> Task:
    """Steps in order, on each selected host; hosts side by side.

    Args:
        name: Unique in its module.
        parts: Steps, and what `steps` gave.
        on: Which hosts: `role("web")`, `host("web1")`, and these combined.
        concurrency: Most hosts at a time; the run's bound where not given.
        policy: When to stop, by the hosts of this task; the pipeline's where not given.
        waves: Roll-out: `waves(1, "25%", "100%")`; all at once where not given.
        allow_empty: The selector may match no host.

    Raises:
        InvalidError: A name that cannot be, something that is no step, a selector or bound that is none.
    """
    where = f"task {check_name(name, 'task')!r}"
    hosts = as_selector(on, f"{where}: on=")
    if concurrency is not None and (not is_whole(concurrency) or concurrency < 1):
        raise InvalidError(f"{where}: concurrency={concurrency!r}", "give a whole number >= 1")
    if not isinstance(allow_empty, bool):
        raise InvalidError(f"{where}: allow_empty={allow_empty!r}", "write True or False")
    _check_policy(policy, "policy", where)
    _check_waves(waves, where)
    return Task(name, flatten(parts), hosts, concurrency, policy, waves, allow_empty)


def module(
    name: str,
    *tasks: Task,
    when: Enabled = True,
    waves: Waves | None = None,
    before: Iterable[Task] | Task = (),
    after: Iterable[Task] | Task = (),
) -> Module:
    """Tasks in order.

    Args:
        name: Unique in its pipeline.
        tasks: In order.
        when: Whether it runs at all: a truth value, or a pure function of the cluster.
        waves: Roll-out of all its tasks together.
        before: Tasks to do first; where they fail, the others do not run.
        after: Tasks that are done whenever `before` began, like `finally`.

    Raises:
        InvalidError: A name that cannot be, something that is no task, or a `when` or `waves` that is none.
    """
    where = f"module {check_name(name, 'module')!r}"
    _check_waves(waves, where)
    if not isinstance(when, bool):
        remedy = "write True, False or when=lambda cluster: …"
        check_answers(when, f"{where}: when=", remedy)
        check_takes(when, f"{where}: when=", remedy, takes=1)
    own, first, last = _tasks(tasks, where), _tasks(before, f"{where}: before="), _tasks(after, f"{where}: after=")
    return Module(name, own, when, waves, first, last)


def pipeline(
    name: str,
    *modules: Module,
    before: Iterable[Task] | Task = (),
    after: Iterable[Task] | Task = (),
    policy: Policy | None = None,
    guard: Policy | None = None,
    on_failure: Rollback | None = None,
) -> Pipeline:
    """Modules in order.

    Args:
        name: First part of every path.
        modules: In order.
        before: Tasks to do first; where they fail, no module runs.
        after: Tasks that are done whenever `before` began, like `finally`.
        policy: Of its tasks that have none of their own; `fail_fast()` where not given.
        guard: Sees the whole run; no task's own policy overrides it.
        on_failure: What is taken back when the run fails: `rollback("host")`; nothing where not given.

    Raises:
        InvalidError: A name that cannot be, something that is no module, or no policy.
    """
    where = f"pipeline {check_name(name, 'pipeline')!r}"
    for each in modules:
        if not isinstance(each, Module):
            raise InvalidError(f"{where} got {kind(each)}", 'give modules: module("name", task, …)')
    _check_policy(policy, "policy", where)
    _check_policy(guard, "guard", where)
    if on_failure is not None and not isinstance(on_failure, Rollback):
        raise InvalidError(f"{where}: on_failure={on_failure!r}", 'write on_failure=rollback("host")')
    first, last = _tasks(before, f"{where}: before="), _tasks(after, f"{where}: after=")
    chosen = fail_fast() if policy is None else policy
    return Pipeline(name, modules, first, last, chosen, guard, on_failure)
