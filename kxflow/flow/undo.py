"""The pipeline that takes back what another did: the steps that it began in reverse order, host by host. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from kxflow.flow.actions import skip
from kxflow.flow.again import Following, again, as_one, following, only_clears
from kxflow.flow.decide import Do, decide
from kxflow.flow.ensure import hearing, undo_of, why_no_undo
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.layout import AFTER, Layout, Slot, TaskPlan, lay_out
from kxflow.flow.policy import keep_going
from kxflow.flow.selectors import where
from kxflow.flow.step import Step
from kxflow.flow.wiring import Missing, Values, Wiring
from kxflow.values.action import Action, Both, Command, Skip, digest
from kxflow.values.context import HostContext
from kxflow.values.host import Host
from kxflow.values.result import ABSENT, KEPT, UNDO, Status, StepResult
from kxflow.values.state import Ensured, State, from_record

_Done = Mapping[tuple[int, int, int], Mapping[str, StepResult]]

# Reasons of a command that failed before it began; it could not become another user, too.
_BEFORE: Final = frozenset({"check", "probe", "cwd", "mark", "upload", "into"})
_BECOME: Final = "become_"


def undoing(layout: Layout, results: Iterable[StepResult], values: Values, hosts: Iterable[str]) -> Pipeline:
    """What takes back, on these hosts, the steps that results say were begun.

    One module, `@undo`, with the tasks last to first and in each the steps last to first; each is Skipped where there
    is nothing to take back, or where it cannot be, and says so. A command that failed, or was ended, after it began is
    taken back by its `undo=`, which has to cope with work that is half done. One that was Lost is not: it may still be
    at it. A host whose undo fails is not touched any further. What hooks named `after` did is left
    alone, and they say so.

    What followed a change by `on_change` and has no `undo=` is done again behind the change that is taken back; where
    that fails, the host is taken back all the same, and a mark stays there for the next run.

    Args:
        layout: Of the pipeline that ran.
        results: What came of it.
        values: Values of earlier steps, by place and host: actions are made anew from them.
        hosts: Names.
    """
    chosen = frozenset(hosts)
    done: dict[tuple[int, int, int], dict[str, StepResult]] = {}
    for each in results:
        if each.host in chosen and touched(each):
            done.setdefault(each.position[:3], {})[each.host] = each
    back = _Back(layout, Wiring(layout), values, done)
    tasks = [back.left(plan) if plan.hook.startswith(AFTER) else back.task(plan) for plan in reversed(layout.enabled)]
    module = Module(UNDO, tuple(task for task in tasks if task.steps))
    return Pipeline(layout.pipeline.name, (module,), policy=keep_going())


def touched(result: StepResult) -> bool:
    """It may have changed something: it succeeded, or the host was asked to do it and it came to no good end."""
    if result.status in (Status.Failed, Status.Cancelled):
        return bool(result.digest and result.attempts) and not result.reason.startswith("fail:")
    return result.status in (Status.Succeeded, Status.Lost)


def _began(result: StepResult, action: Action[Any]) -> bool:
    """Not only what comes before an action was done; of several tries or parts an earlier one may have begun."""
    if result.status is not Status.Failed or result.change is not None or isinstance(action, Both):
        return True
    return len(result.attempts) > 1 or not (result.reason in _BEFORE or result.reason.startswith(_BECOME))


def taking_back(
    layout: Layout, results: Iterable[StepResult], values: Values, faulty: Iterable[str], struck: Iterable[str]
) -> tuple[TaskPlan, ...]:
    """The tasks that a failed run ends with, by its pipeline's `on_failure`; none where it has none.

    Their positions come after all others of the layout.

    Args:
        layout: As for `undoing`.
        results: As for `undoing`.
        values: As for `undoing`.
        faulty: Hosts with an untolerated fault.
        struck: Hosts of the waves in which one failed.
    """
    wanted = layout.pipeline.on_failure
    if wanted is None:
        return ()
    whole = {host.name for plan in layout.enabled for host in plan.hosts}
    hosts = {"host": faulty, "wave": struck, "run": whole}[wanted.scope]
    behind = lay_out(undoing(layout, results, values, hosts), layout.cluster)
    return tuple(
        evolve(plan, module_index=len(layout.modules) + 2, order=len(layout.tasks) + plan.order, hook=UNDO)
        for plan in behind.tasks
    )


@frozen
class _Back:
    """Takes back the tasks of a layout.

    Attributes:
        layout, wiring, values: What ran, and what its steps gave.
        done: What may have changed something, by place and host.
    """

    layout: Layout
    wiring: Wiring
    values: Values
    done: _Done

    def task(self, plan: TaskPlan) -> Task:
        """The steps of a task last to first; behind the last change of an `on_change`, what followed it."""
        made = {slot.index: self._actions(plan, slot) for slot in plan.slots}
        then = {group.behind: self._then(plan, group, made) for group in following(plan.slots)}
        steps: list[Step[Any]] = []
        hosts: set[str] = set()
        for slot in reversed(plan.slots):
            if actions := made[slot.index]:
                steps.append(_step(slot.step, actions))
                hosts |= actions.keys()
            steps += then.get(slot.index, [])
        return Task(f"{plan.module}/{plan.name}", tuple(steps), where(_among(frozenset(hosts))), allow_empty=True)

    def left(self, plan: TaskPlan) -> Task:
        """What a task did that could be taken back, and is not."""
        stays = skip(f"{KEPT}what an after= hook does is left alone")
        steps: list[Step[Any]] = []
        hosts: set[str] = set()
        for slot in reversed(plan.slots):
            could = {name: stays for name, each in self._actions(plan, slot).items() if not isinstance(each, Skip)}
            if could:
                steps.append(_step(slot.step, could))
                hosts |= could.keys()
        return Task(f"{plan.module}/{plan.name}", tuple(steps), where(_among(frozenset(hosts))), allow_empty=True)

    def _of(self, plan: TaskPlan, slot: Slot) -> Mapping[str, StepResult]:
        return self.done.get((plan.module_index, plan.task_index, slot.index), {})

    def _actions(self, plan: TaskPlan, slot: Slot) -> dict[str, Action[Any]]:
        its = self._of(plan, slot).items()
        made = {name: _action(self.layout, self.wiring, plan, slot, result, self.values) for name, result in its}
        return {name: action for name, action in made.items() if action is not None}

    def _then(self, plan: TaskPlan, group: Following, made: dict[int, dict[str, Action[Any]]]) -> list[Step[Any]]:
        """What followed, once more, where one of the changes is taken back; of these hosts nothing else tells of it.

        As one step, so that the first that fails is the last; the host goes on, and its mark says what is left to do.
        """
        backs = [made[index] for index in sorted(group.changing)]
        hosts = {name for each in backs for name, action in each.items() if not isinstance(action, Skip)}
        actions: dict[str, Action[Any]] = {}
        named: dict[str, None] = {}
        for name in sorted(hosts):
            parts: list[Action[Any]] = []
            why = ""
            for slot in group.slots:
                anew = self._anew(plan, slot, name)
                if isinstance(anew, str):
                    why = why or anew
                    continue
                its = again(anew, self._of(plan, slot).get(name))
                parts += its
                if its and isinstance(made[slot.index].get(name), Skip):
                    del made[slot.index][name]
                if not all(map(only_clears, its)):
                    named[slot.step.name] = None
            action = skip(f"{KEPT}{why}") if why else as_one(parts)
            if action is not None:
                actions[name] = action
        if not actions:
            return []
        like = evolve(group.slots[-1].step, name=", ".join(named)[:200] or group.name, secret=group.secret)
        return [evolve(_step(like, actions), tolerant=True, limit=None)]

    def _anew(self, plan: TaskPlan, slot: Slot, host: str) -> Action[Any] | str:
        """What a step that followed would do now; or why that is not known."""
        result = self._of(plan, slot).get(host)
        if result is not None and result.status is Status.Lost:
            return "its end is unknown"
        sets: list[dict[str, Any]] = []
        for wanted in (slot.step.inputs, *(each.inputs for each in slot.step.conditions)):
            given = self.wiring.gather(wanted, plan, slot, host, self.values)
            if isinstance(given, Missing):
                return given.why
            sets.append(given)
        ctx = HostContext(self.layout.cluster[host], self.layout.cluster, "" if result is None else result.run)
        what = decide(slot.step, ctx, sets[0], sets[1:], where=plan.path(slot))
        if isinstance(what, Do):
            return what.action
        return skip(what.reason) if what.status.ok else what.error.what if what.error is not None else what.reason


def _among(names: frozenset[str]) -> Callable[[Host], bool]:
    return lambda host: host.name in names


def _step(step: Step[Any], actions: Mapping[str, Action[Any]]) -> Step[Any]:
    def take_back(ctx: HostContext) -> Action[Any]:
        return actions.get(ctx.host.name, skip("nothing to take back"))

    return Step(name=step.name, build=take_back, target=step.target, secret=step.secret, limit=step.limit)


def _action(
    layout: Layout, wiring: Wiring, plan: TaskPlan, slot: Slot, result: StepResult, values: Values
) -> Action[Any] | None:
    """What takes back one step on one host, or a skip that says why nothing can; None where it never began."""
    ctx = HostContext(layout.cluster[result.host], layout.cluster, result.run)
    given = wiring.gather(slot.step.inputs, plan, slot, result.host, values)
    if isinstance(given, Missing):
        return skip(f"{KEPT}{given.why}")
    what = decide(evolve(slot.step, conditions=()), ctx, given, where=plan.path(slot))
    if result.status is Status.Lost and not (isinstance(what, Do) and _only_looks(what.action)):
        return skip(f"{KEPT}its end is unknown")
    if not isinstance(what, Do):
        return skip("nothing to take back")
    if not _began(result, what.action):
        return None
    if only_clears(what.action):
        return skip("nothing to take back")
    if result.digest and digest(what.action) != result.digest:
        return skip(f"{KEPT}the step is another by now")
    before = before_of(result)
    back = undo_of(hearing(what.action, str(result.stdout)), before)
    return skip(_why(what.action, before)) if back is None else back


def _only_looks(action: Action[Any]) -> bool:
    return isinstance(action, Command) and action.readonly


def _why(action: Action[Any], before: State | None) -> str:
    why = why_no_undo(action, before)
    return f"{KEPT}{why}" if why else "nothing to take back"


def before_of(result: StepResult) -> State | None:
    """The state that a step found, where that is known."""
    if isinstance(result.payload, Ensured):
        return result.payload.before
    return None if result.change is None else from_record(result.change.before)


def recorded_values(layout: Layout, results: Iterable[StepResult]) -> Values:
    """The values of results, from records where they are no longer at hand."""
    wiring = Wiring(layout)
    places = {
        (plan.module_index, plan.task_index, slot.index): (plan.order, slot.index)
        for plan in layout.enabled
        for slot in plan.slots
    }
    found: Values = {}
    for each in results:
        place = places.get(each.position[:3])
        if place in wiring.needed and place is not None and each.on_success_track:
            value = each.value if each.payload is ABSENT else each.payload
            if value is not None:
                found.setdefault(place, {})[each.host] = value
    return found
