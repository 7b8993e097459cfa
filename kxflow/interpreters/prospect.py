"""What a step would do on a host, as far as it was found out, and the entry of a plan that tells it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, field, frozen, mutable

from kxflow.flow.decide import Decided, Do
from kxflow.flow.ensure import what_stays, why_no_undo
from kxflow.flow.layout import Slot
from kxflow.interpreters.question import can_be_asked
from kxflow.values.action import Command
from kxflow.values.plan import Effect, Planned
from kxflow.values.result import ABSENT, Change
from kxflow.values.state import CONTENT, Ensured, State, change

NO_STATE: Final = "it keeps no state"
AFTERWARDS: Final = "what an after= hook does is left alone"
UNCHANGED: Final = "unchanged"


@frozen
class Seen:
    """What was found out of one command.

    Attributes:
        effect: What it would do.
        reason: Why.
        ensured: The states, where it ensures one.
        brought: What it needs is not there, and an earlier step may bring it: then what it finds is not known either.
        value: The value it has already, or is expected to give; absent where not known.
        unless: Path of an earlier step that may make it another.
        found: The state that undo would go back to, as far as that is known.
        behind: Kind and path of a step that changes the text of the file before: what that will be is not known.
    """

    effect: Effect
    reason: str = ""
    ensured: Ensured | None = None
    value: Any = ABSENT
    brought: bool = False
    unless: str = ""
    found: State | None = None
    behind: str = ""

    @property
    def open(self) -> bool:
        """It is up to earlier steps what it does: now it has nothing to do, or not all that it needs."""
        idle = isinstance(self.value, Ensured) and not self.value.changed
        return self.brought or (self.effect is Effect.unknown and idle)


@mutable
class Item:
    """One step on one host: what is known of it beforehand, and what was found out of its commands.

    Attributes:
        slot, path: Its place.
        what: To be done there, or decided without the host, or why it could not be made.
        commands: Where it is to be done by commands on this host: those.
        seen: Of those that the host can be asked about, in order.
        unless: Path of a step that may make an input another.
    """

    slot: Slot
    path: str
    what: Decided | Do | str
    commands: tuple[Command[Any], ...] = ()
    seen: list[Seen] = field(factory=list)
    unless: str = ""

    @property
    def effects(self) -> list[Effect]:
        """Of each command; unknown where the host cannot be asked, or was not."""
        seen = iter(self.seen)
        return [next(seen).effect if can_be_asked(each) and self.seen else Effect.unknown for each in self.commands]

    @property
    def acts(self) -> bool:
        """It would change something on its host, or may."""
        if not isinstance(self.what, Do):
            return isinstance(self.what, str)
        pairs = zip(self.commands, self.effects, strict=True)
        return any(effect not in (Effect.none, Effect.fail) and not each.readonly for each, effect in pairs)

    @property
    def fails(self) -> str:
        """Why it would fail; empty where that is not known."""
        if isinstance(self.what, Decided):
            return "" if self.what.status.ok else _words(self.what)
        return next((each.reason for each in self.seen if each.effect is Effect.fail), "")


def unforeseen(item: Item) -> str | None:
    """The text of what may touch anything on the host; None where all that it does is known, or where it does nothing.

    That is a command that is no resource and would run, or may, and a step that could not be made yet.
    """
    if isinstance(item.what, str):
        return ""
    texts = [
        str(each)
        for each, effect in zip(item.commands, item.effects, strict=True)
        if effect is not Effect.none and each.probe is None and not each.readonly and each.text != ":"
    ]
    return "\n".join(texts) if texts else None


def decided(what: Decided, entry: Planned) -> tuple[Planned, Any]:
    """The entry of what is decided without the host, and its value."""
    entry = evolve(entry, digest=what.digest)
    if what.status.ok:
        return evolve(entry, effect=Effect.none, reason=what.reason), what.payload
    return evolve(entry, effect=Effect.fail, reason=_words(what)), ABSENT


def _words(what: Decided) -> str:
    return what.error.what if what.error is not None else what.reason


def merged(item: Item, entry: Planned) -> Planned:
    """One entry of all commands of a step."""
    sensitive = any(each.sensitive for each in item.commands)
    if item.fails:
        return evolve(entry, effect=Effect.fail, reason=item.fails)
    first = next((each for each in item.seen if each.effect is Effect.unknown), None)
    if first is not None:
        return evolve(entry, reason=first.reason)
    changing = [each for each in item.seen if each.effect is Effect.change]
    entry = evolve(entry, unless=next((each.unless for each in item.seen if each.unless), ""))
    if not changing:
        return evolve(entry, effect=Effect.none, reason=item.seen[-1].reason)
    shown = None if sensitive else _joined(changing)
    return evolve(entry, effect=Effect.change, reason=changing[0].reason, change=shown)


def _joined(changing: Sequence[Seen]) -> Change | None:
    ensured = [_sure(each.ensured) if each.behind else each.ensured for each in changing if each.ensured is not None]
    parts = [change(each.before, each.after) for each in ensured if each.before is not None]
    if not parts:
        return None
    columns = zip(*((each.before, each.after, each.diff) for each in parts), strict=True)
    return Change(*("\n".join(filter(None, texts)) for texts in columns))


def _sure(ensured: Ensured) -> Ensured:
    """Without the text of the file, which is another once earlier steps have changed it; without one, there is none."""
    return Ensured(_bare(ensured.before) if ensured.before else None, _bare(ensured.after))


def _bare(its: State) -> State:
    return State({name: value for name, value in its.items() if name != CONTENT})


def undo(item: Item) -> str:
    """Why what would be done could not be taken back; empty where nothing would be done, or it could."""
    changing = not item.seen or any(each.effect not in (Effect.none, Effect.fail) for each in item.seen)
    if not changing or not isinstance(item.what, Do):
        return ""
    if len(item.commands) == 1 and item.seen and item.seen[0].open:
        return ""
    return why_no_undo(item.what.action, item.seen[0].found if item.seen else None)


def leaves(item: Item) -> str:
    """What an undo would leave of what would be done, as far as that is known."""
    pairs = zip(item.commands, item.seen, strict=True)
    told = (what_stays(each.probe, seen.ensured) for each, seen in pairs if seen.effect is Effect.change)
    return "; ".join(filter(None, told))
