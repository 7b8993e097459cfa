"""From an input to the one earlier place whose value it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import frozen
from frozendict import frozendict

from kxflow.flow.inputs import Input, Origin, Reach
from kxflow.flow.layout import Layout, Slot, TaskPlan
from kxflow.flow.step import Step
from kxflow.values.fault import Raised, attempt, words_of
from kxflow.values.host import Host
from kxflow.values.result import ABSENT, TOLERATED, StepResult

MEND: Final = "mend the function"

Place: TypeAlias = tuple[int, int]
Values: TypeAlias = MutableMapping[Place, dict[str, Any]]


@frozen
class Producer:
    """The place that an input comes from.

    Attributes:
        hosts: Those of its task that the input takes, in order.
    """

    plan: TaskPlan
    slot: Slot
    hosts: tuple[Host, ...]

    @property
    def place(self) -> Place:
        """Key of its values."""
        return (self.plan.order, self.slot.index)

    @property
    def path(self) -> str:
        """Path of its step."""
        return self.plan.path(self.slot)


@frozen
class Unwired:
    """Why an input has no one place to come from, and what to do."""

    what: str
    remedy: str = ""


@frozen
class Missing:
    """An input has no value on a host.

    Attributes:
        why: In one line.
        path: Of the step that gave none; empty where there is no such step.
        tolerated: That is so because of faults alone which are tolerated.
    """

    why: str
    path: str = ""
    tolerated: bool = False

    @property
    def reason(self) -> str:
        """What the record of the step says that cannot run for it."""
        return f"{TOLERATED if self.tolerated else 'input'}: {self.why}"


def note(values: Values, place: Place, result: StepResult) -> None:
    """Keep what later steps may need of a result: its value, or that there is none because of a tolerated fault."""
    if result.payload is not ABSENT and result.on_success_track:
        values.setdefault(place, {})[result.host] = result.payload
    elif not result.ok and not result.spoils:
        values.setdefault(place, {})[result.host] = ABSENT


def inputs_of(step: Step[Any]) -> Iterator[tuple[str, Input]]:
    """Every input that a step declares, those of its conditions too, with the name of its parameter."""
    yield from step.inputs.items()
    for condition in step.conditions:
        yield from condition.inputs.items()


class Wiring:
    """Inputs of a layout, resolved by origin; pure once made."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._places: dict[Origin, list[tuple[TaskPlan, Slot]]] = {}
        self._found: dict[tuple[int, int, int], tuple[Input, Producer | Unwired]] = {}
        for plan in layout.enabled:
            for slot in plan.slots:
                self._places.setdefault(slot.step.origin, []).append((plan, slot))
        self.needed: frozenset[Place] = frozenset(self._needed())

    def _needed(self) -> Iterator[Place]:
        for plan in self.layout.enabled:
            for slot in plan.slots:
                for _, each in inputs_of(slot.step):
                    found = self.find(each, plan, slot)
                    if isinstance(found, Producer):
                        yield found.place

    def find(self, wanted: Input, plan: TaskPlan, slot: Slot) -> Producer | Unwired:
        """The earlier place whose value an input of that slot is."""
        key = (plan.order, slot.index, id(wanted))  # kept beside what was found, so that it stays that one's
        if key not in self._found:  # asked for once a host, and a selector asks every host of the cluster
            self._found[key] = wanted, self._search(wanted, plan, slot)
        return self._found[key][1]

    def _search(self, wanted: Input, plan: TaskPlan, slot: Slot) -> Producer | Unwired:
        places = self._places.get(wanted.origin, [])
        if wanted.in_task is not None:
            places = [each for each in places if each[0].label == wanted.in_task]
        if not places:
            return self._nowhere(wanted)
        mine = (plan.order, slot.index)
        earlier = [each for each in places if (each[0].order, each[1].index) < mine]
        if not earlier:
            at = places[0][0].path(places[0][1])
            return Unwired(f"needs step {wanted.step!r}, which comes later, at {at}", "move it before this one")
        if len(earlier) > 1:
            labels = " and ".join(each[0].path(each[1]) for each in earlier[:3])
            return Unwired(f"needs step {wanted.step!r}, which stands at {labels}", 'say which: in_task="module/task"')
        its_plan, its_slot = earlier[0]
        hosts = its_plan.hosts
        if wanted.selector is not None:
            chosen = attempt(partial(wanted.selector.holds, self.layout.cluster))  # it may be a function, of where(…)
            if isinstance(chosen, Raised):
                return Unwired(f"selects by {wanted.selector}, which raised {words_of(chosen.error)}", MEND)
            hosts = tuple(each for each in hosts if each.name in chosen)
        return Producer(its_plan, its_slot, hosts)

    def _nowhere(self, wanted: Input) -> Unwired:
        where = f"in task {wanted.in_task!r}" if wanted.in_task else "in this pipeline"
        what = f"needs step {wanted.step!r}, which stands nowhere {where}"
        for plan in self.layout.tasks:  # those of modules that are not to run, too
            there = any(slot.step.origin is wanted.origin for slot in plan.slots)
            if there and wanted.in_task in (None, plan.label):
                return Unwired(f"{what} that is to run: `when` of module {plan.module!r} is false", "take it along")
        return Unwired(what, "put it into an earlier task")

    def gather(
        self, inputs: Mapping[str, Input], plan: TaskPlan, slot: Slot, host: str, values: Values
    ) -> dict[str, Any] | Missing:
        """The values of inputs on a host, by parameter; or why one is missing."""
        given: dict[str, Any] = {}
        for name, wanted in inputs.items():
            value = self._value(wanted, plan, slot, host, values)
            if isinstance(value, Missing):
                return value
            given[name] = value
        return given

    def _value(self, wanted: Input, plan: TaskPlan, slot: Slot, host: str, values: Values) -> Any:
        found = self.find(wanted, plan, slot)
        if isinstance(found, Unwired):
            return Missing(found.what)
        there = values.get(found.place, {})
        match wanted.reach:
            case Reach.here:
                names = [host]
            case Reach.one:
                names = [each.name for each in found.hosts[:1]]
            case Reach.every:
                names = [each.name for each in found.hosts]
        absent = [name for name in names if there.get(name, ABSENT) is ABSENT]
        if wanted.reach is Reach.every and (not absent or wanted.missing == "omit"):
            return frozendict({name: there[name] for name in names if there.get(name, ABSENT) is not ABSENT})
        if absent or not names:
            why = f"{found.path} gave no value on {absent[0] if absent else 'no host'}"
            return Missing(why, found.path, bool(absent) and all(name in there for name in absent))
        return there[names[0]]
