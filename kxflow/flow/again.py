"""What an undo has to see to behind a change that it takes back: what followed the change is done again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve, frozen

from kxflow.flow.layout import Slot
from kxflow.values.action import Action, Both, Command, Pending, Reboot, commands_of, parts_of
from kxflow.values.result import Status, StepResult


@frozen
class Following:
    """What followed changes, to be done once the first of them is taken back.

    Attributes:
        behind: Index of the slot that stands first of those that change something, and is taken back last.
        changing: Indices of all that change something.
        slots: What followed, in order.
    """

    behind: int
    changing: frozenset[int]
    slots: tuple[Slot, ...]

    @property
    def name(self) -> str:
        """Of a step that does no more than to take the mark away."""
        return f"on_change {next(_awaited(self.slots[-1]))[:8]}"

    @property
    def secret(self) -> bool:
        """Some of it is to be in no record."""
        return any(slot.step.secret for slot in self.slots)


def following(slots: Iterable[Slot]) -> tuple[Following, ...]:
    """What follows changes among the slots of a task; that of one `on_change` inside another together with it."""
    setters: dict[str, set[int]] = {}
    waiting: dict[int, tuple[set[int], list[Slot]]] = {}
    for slot in slots:
        changing = {index for mark in _awaited(slot) for index in setters.get(mark, ())}
        if changing:
            indices, its = waiting.setdefault(min(changing), (set(), []))
            indices |= changing
            its.append(slot)
        for each in _pending(slot):
            if each.role == "sets":
                setters.setdefault(each.mark, set()).add(slot.index)
    return tuple(Following(behind, frozenset(each), tuple(its)) for behind, (each, its) in waiting.items())


def _awaited(slot: Slot) -> Iterator[str]:
    return (each.mark for each in _pending(slot) if each.role != "sets")


def _pending(slot: Slot) -> Iterator[Pending]:
    yield from slot.step.pending
    if isinstance(slot.step.build, Action):
        for each in commands_of(slot.step.build):
            yield from each.pending


def again(action: Action[Any], result: StepResult | None) -> tuple[Action[Any], ...]:
    """Parts of what followed that are to be done again: what an undo does not take back by itself.

    Of one that does, and was to take a mark away, that is left. Some see to less than before where what they deal with
    is gone, or did not run: by what came of them in the run, None where they were not reached.
    """
    failed = result is not None and result.status is not Status.Succeeded
    said = "" if result is None else str(result.stdout)
    return tuple(each for part in parts_of(action) for each in _part(part, failed=failed, said=said))


def _part(part: Action[Any], *, failed: bool, said: str) -> Iterator[Action[Any]]:
    if isinstance(part, Command) and part.again is not None:
        its = part.again(failed, said)
        yield evolve(its, become=part.become, timeout=part.timeout, pending=part.pending)
    elif isinstance(part, Reboot) or (isinstance(part, Command) and part.probe is None and part.undo is None):
        yield part
    elif isinstance(part, Command) and (clears := tuple(each for each in part.pending if each.role == "clears")):
        yield Command(text=":", become=part.become, pending=clears)


def only_clears(action: Action[Any]) -> bool:
    """All that it does is to take a mark away."""
    return isinstance(action, Command) and action.text == ":" and any(each.role == "clears" for each in action.pending)


def as_one(parts: Iterable[Action[Any]]) -> Action[Any] | None:
    """Parts of several steps as one action, which stops at the first that fails; None where there are none."""
    its = tuple(parts)
    return Both(its) if len(its) > 1 else next(iter(its), None)
