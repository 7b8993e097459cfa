"""What a step would do, found before anything runs: its function is pure, and is tried with values that stand in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from attrs import define, field
from frozendict import frozendict

from kxflow.flow.inputs import Input, Reach
from kxflow.flow.layout import Slot, TaskPlan
from kxflow.flow.wiring import Place, Unwired, Wiring
from kxflow.values.action import Action, Command, Value, parts_of
from kxflow.values.context import HostContext
from kxflow.values.fault import Raised, attempt
from kxflow.values.host import Host
from kxflow.values.output import Output
from kxflow.values.result import ABSENT
from kxflow.values.secret import Secret

# What a value may be like, where nothing tells; and what a user's `parse` may understand.
_ANY: Final[tuple[Any, ...]] = ("1", 1, Secret("stands in"), frozendict(), ())
_TEXTS: Final = ("1", "{}", "[]", "1 1 1", "")


@define
class Trial:
    """Actions of the steps of one pipeline on one cluster; what was tried is kept."""

    wiring: Wiring
    _values: dict[Place, tuple[Any, ...]] = field(factory=dict)
    _given: dict[Place, tuple[dict[str, Any], ...]] = field(factory=dict)

    def action(self, plan: TaskPlan, slot: Slot, host: Host) -> Action[Any] | None:
        """The action on a host; None where the function raises.

        A step with inputs is given what their steps may give: an `example=`, what `parse` makes of a few texts, a few
        plain values. The first action that comes of it counts.
        """
        step = slot.step
        ctx = HostContext(host, self.wiring.layout.cluster)
        place = (plan.order, slot.index)
        if place not in self._given:  # the same on every host: a mapping of all hosts is made once, not once for each
            self._given[place] = tuple(self._inputs(plan, slot)) if step.inputs else ({},)
        for given in self._given[place]:
            action = attempt(partial(step.action, ctx, **given))
            if not isinstance(action, Raised):  # else that is its failure in the run; here it decides nothing
                return action
        return None

    def _inputs(self, plan: TaskPlan, slot: Slot) -> Iterator[dict[str, Any]]:
        """Values for all inputs at once: the first of each, then the second of each."""
        each = {name: self._standing_in(wanted, plan, slot) for name, wanted in slot.step.inputs.items()}
        for turn in range(max(map(len, each.values()))):
            yield {name: values[min(turn, len(values) - 1)] for name, values in each.items()}

    def _standing_in(self, wanted: Input, plan: TaskPlan, slot: Slot) -> tuple[Any, ...]:
        found = self.wiring.find(wanted, plan, slot)
        if isinstance(found, Unwired) or not found.hosts:
            return _ANY
        if found.place not in self._values:
            self._values[found.place] = tuple(_values_of(self.action(found.plan, found.slot, found.hosts[0])))
        values = self._values[found.place]
        if wanted.reach is not Reach.every:
            return values
        return tuple(frozendict(dict.fromkeys((each.name for each in found.hosts), value)) for value in values)


def _values_of(action: Action[Any] | None) -> Iterator[Any]:
    """What an action may give."""
    match None if action is None else parts_of(action)[-1]:
        case Value(value):
            yield value
        case Command() as command:
            if command.example is not ABSENT:
                yield command.example
            if (parse := command.parse) is None:
                yield Output.of(b"1")
            else:
                values = (attempt(partial(parse, text)) for text in _TEXTS)
                yield from (value for value in values if not isinstance(value, Raised))  # else the text is none for it
            yield from _ANY
        case _:
            yield from _ANY
