"""Which steps of a host can go out together, as one program. Pure: no host is touched here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen, mutable

from kxflow.flow.decide import Decided, Do, decide
from kxflow.flow.layout import Slot, TaskPlan
from kxflow.flow.wiring import Missing, Values, Wiring
from kxflow.interpreters.runner import wire_commands
from kxflow.shell.program import Op
from kxflow.values.action import Command
from kxflow.values.context import HostContext
from kxflow.values.result import Attempt, Performed, Status, StepResult

PROGRAM_BYTES: Final = 512 * 1024


@mutable
class Item:
    """One slot in a batch.

    Attributes:
        slot: Its place.
        what: Decided without the host, or to be done there.
        commands: Where it is to be done by commands on this host: those.
        parts: What came of them so far.
    """

    slot: Slot
    what: Decided | Do
    commands: tuple[Command[Any], ...] = ()
    parts: list[Performed] = field(factory=list)

    @property
    def sensitive(self) -> bool:
        """No output of it may be kept."""
        return any(each.sensitive for each in self.commands)

    @property
    def alone(self) -> bool:
        """It is no plain program on this host: on the controller, elsewhere, or of mixed parts."""
        return isinstance(self.what, Do) and not self.commands


@mutable
class Ledger:
    """What a host's driver knows of its slots.

    Attributes:
        status: Of every slot that has a result.
        failed: Of slots that are tried again: what they came to so far.
    """

    status: dict[int, Status] = field(factory=dict)
    failed: dict[int, StepResult] = field(factory=dict)

    def tries(self, slot: Slot) -> tuple[Attempt, ...]:
        """How often a slot was tried so far."""
        return self.failed[slot.index].attempts if slot.index in self.failed else ()


@frozen
class Planner:
    """Plans batches for one host in one task.

    Attributes:
        fuse: Several steps go out as one program, as far as they can.
    """

    plan: TaskPlan
    ctx: HostContext
    wiring: Wiring
    values: Values
    ledger: Ledger
    layer_failed: bool
    fuse: bool

    def batch(self, start: int, end: int | None = None) -> list[Item]:
        """The longest run of slots from `start` on, before `end`, that can be done without an answer in between.

        Either decided slots only, or one slot alone, or commands with decided slots between them. That a step ends
        well is assumed for what comes behind it; where it does not, the batch ends there.
        """
        items: list[Item] = []
        size = 0
        for slot in self.plan.slots[start:end]:
            item = self._item(slot, items)
            if item is None or (items and not self._fits(item, items[0])):
                break
            items.append(item)
            size += sum(map(_weight, item.commands))
            if size > PROGRAM_BYTES or self._is_last(item):
                break
        return items

    def _fits(self, item: Item, first: Item) -> bool:
        return not item.alone and (bool(first.commands) or not item.commands)

    def _is_last(self, item: Item) -> bool:
        """What follows depends on an answer that only the controller can judge."""
        if isinstance(item.what, Decided):
            return not item.what.status.ok
        retry = item.slot.step.attempts
        judges = retry is not None and retry.until is not None
        return item.alone or not self.fuse or judges or any(each.gives_value for each in item.commands)

    def _item(self, slot: Slot, before: Sequence[Item]) -> Item | None:
        """A slot as part of a batch; None where what is before it must end first."""
        if slot.rescues is not None:
            needed = self._rescue_needed(slot.rescues, before)
            if not needed:
                return Item(slot, Decided(status=Status.Skipped, reason="rescue"))
        what: Decided | Do | None = slot.alike
        if what is None:
            given = self._inputs(slot)
            if isinstance(given, Missing):
                why = Decided(status=Status.NotRun, reason=given.reason)
                return None if before else Item(slot, why)
            inputs, conditions = given
            where = self.plan.path(slot)
            what = decide(slot.step, self.ctx, inputs, conditions, layer_failed=self.layer_failed, where=where)
        here = isinstance(what, Do) and slot.step.target is None
        commands = (wire_commands(what.action) or ()) if isinstance(what, Do) and here else ()
        return Item(slot, what, commands)

    def _rescue_needed(self, rescued: int, before: Sequence[Item]) -> bool:
        """Known where the rescued step has a result; for one of this batch it is assumed that it ends well."""
        status = self.ledger.status.get(rescued)
        if status is not None:
            return status in (Status.Failed, Status.Cancelled)
        inside = next((each for each in before if each.slot.index == rescued), None)
        return inside is not None and isinstance(inside.what, Decided) and not inside.what.status.ok

    def _inputs(self, slot: Slot) -> tuple[dict[str, Any], list[dict[str, Any]]] | Missing:
        sets: list[dict[str, Any]] = []
        for wanted in (slot.step.inputs, *(each.inputs for each in slot.step.conditions)):
            given = self.wiring.gather(wanted, self.plan, slot, self.ctx.host.name, self.values) if wanted else {}
            if isinstance(given, Missing):
                return given
            sets.append(given)
        return sets[0], sets[1:]

    def ops(self, items: Sequence[Item]) -> list[Op]:
        """The commands of a batch as ops; the group of an op is the place of its item."""
        ops: list[Op] = []
        for place, item in enumerate(items):
            for command in item.commands:
                ops.append(Op(index=len(ops), command=command, group=place, go_on=self._goes_on(item)))
        return ops

    def _goes_on(self, item: Item) -> bool:
        """The program goes on after this step failed: it is tolerated, and nothing else is to be done about it."""
        step = item.slot.step
        tried = len(self.ledger.tries(item.slot))
        again = step.attempts is not None and tried < step.attempts.times
        return step.tolerant and not step.rescued_by and not again


def _weight(command: Command[Any]) -> int:
    """About how many bytes of program a command takes."""
    stdin = command.stdin
    own = 0 if stdin is None else len(stdin if isinstance(stdin, bytes) else stdin.raw)
    probe = command.probe
    asked = 0 if probe is None else len(probe.text) + len(probe.wanted) + len(probe.detail or "")
    return 200 + len(command.text or "") + sum(map(len, command.argv or ())) + asked + own
