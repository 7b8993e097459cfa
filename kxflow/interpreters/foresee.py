"""The planning interpreter: asks hosts for their state, changes nothing, and says what a run would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio
from attrs import evolve, frozen
from frozendict import frozendict

from kxflow.flow.decide import Decided, Do, decide
from kxflow.flow.ensure import why_no_undo
from kxflow.flow.layout import AFTER, Layout, Slot, TaskPlan
from kxflow.flow.needs import Answered, Need, answered, asking, looking, needs_of, taken, takes_of
from kxflow.flow.perform import attached
from kxflow.flow.policy import cut
from kxflow.flow.wiring import Missing, Producer, Values, Wiring, inputs_of
from kxflow.interpreters import verdicts
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.crossing import HALFWAY, Crossings, Key, paths_of
from kxflow.interpreters.earlier import Earlier, Met
from kxflow.interpreters.lane import Lane, Wires
from kxflow.interpreters.ports import ReachError
from kxflow.interpreters.prospect import (
    AFTERWARDS,
    NO_STATE,
    UNCHANGED,
    Item,
    Seen,
    decided,
    leaves,
    merged,
    undo,
    unforeseen,
)
from kxflow.interpreters.question import asked_of, can_be_asked, question
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.action import Command, Probe
from kxflow.values.context import HostContext
from kxflow.values.host import Host
from kxflow.values.plan import Effect, Plan, Planned, cluster_digest
from kxflow.values.result import ABSENT, Status
from kxflow.values.state import CONTENT, GONE, Ensured, State, found


@frozen
class _Answer:
    """What a host said of a command.

    Attributes:
        ended: To its probe or check.
        needs: What it needs.
        lacks: What of that is not there.
        taken: Paths that go with what it takes away; None where it is about what comes.
    """

    ended: frames.Ended
    needs: tuple[Need, ...] = ()
    lacks: tuple[Need, ...] = ()
    taken: frozenset[str] | None = None


class Foresight:
    """Plans a layout: task by task, hosts side by side, each host's questions as one program."""

    def __init__(self, layout: Layout, wires: Wires, *, concurrency: int) -> None:
        self._layout = layout
        self._wiring = Wiring(layout)
        self._lanes = {host.name: Lane(host, wires) for host in layout.cluster.hosts}
        self._bound = anyio.Semaphore(concurrency)
        self._waves = _waves_of(layout)
        self._values: Values = {}
        self._held_by: dict[tuple[int, int], str] = {}
        self._predicted: dict[str, dict[Key, State]] = {}
        self._crossings = Crossings()
        self._renumbered: dict[str, set[Key]] = {}
        self._marked: dict[str, set[str]] = {}
        self._earlier: dict[str, Earlier] = {}
        self._failing: set[tuple[int, int, str]] = set()
        self._out: dict[str, str] = {}
        self._unreachable: dict[str, str] = {}
        self._too_much: dict[str, set[str]] = {}
        self._entries: list[Planned] = []

    async def plan(self) -> Plan:
        """Ask, and say what would be done."""
        try:
            for task in self._layout.enabled:
                async with anyio.create_task_group() as hosts:
                    for host in task.hosts:
                        hosts.start_soon(self._on_host, task, host)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                for lane in self._lanes.values():
                    await lane.aclose()
        return Plan(
            self._layout.pipeline.name,
            self._layout.fingerprint,
            cluster_digest(self._layout.cluster),
            sorted(self._entries, key=lambda each: (each.position, each.host)),
        )

    async def _on_host(self, task: TaskPlan, host: Host) -> None:
        async with self._bound:
            left = list(task.slots)
            while left:
                items = self._together(task, host, left)
                left = left[len(items) :]
                await self._ask(items, host, task)
                for item in items:
                    self._settle(task, host, item)

    def _together(self, task: TaskPlan, host: Host, slots: Sequence[Slot]) -> list[Item]:
        """Steps from the first on that can be asked for at once: up to one that needs an answer."""
        ctx = HostContext(host, self._layout.cluster, "plan")
        items: list[Item] = []
        for slot in slots:
            elsewhere = slot.step.target is not None
            if items and (elsewhere or not self._needs(task, slot).isdisjoint(each.slot.index for each in items)):
                return items
            items.append(self._item(task, slot, ctx))
            if elsewhere:
                return items
        return items

    def _needs(self, task: TaskPlan, slot: Slot) -> set[int]:
        """Places of the same task whose values a step takes."""
        places = [self._wiring.find(each, task, slot) for _, each in inputs_of(slot.step)]
        return {each.place[1] for each in places if isinstance(each, Producer) and each.place[0] == task.order}

    def _item(self, task: TaskPlan, slot: Slot, ctx: HostContext) -> Item:
        path = f"{task.label}/{slot.step.name}"
        if slot.rescues is not None:
            return Item(slot, path, Decided(status=Status.Skipped, reason="rescue"))
        what = self._decided(task, slot, ctx)
        commands = asked_of(what.action) if isinstance(what, Do) else ()
        return Item(slot, path, what, commands, unless=self._unless(task, slot))

    def _unless(self, task: TaskPlan, slot: Slot) -> str:
        """What the values that a step takes hold by."""
        found = (self._wiring.find(each, task, slot) for _, each in inputs_of(slot.step))
        places = (each.place for each in found if isinstance(each, Producer))
        return next((self._held_by[place] for place in places if place in self._held_by), "")

    def _decided(self, task: TaskPlan, slot: Slot, ctx: HostContext) -> Decided | Do | str:
        """What is to be done; or which value it waits for."""
        sets: list[dict[str, Any]] = []
        for wanted in (slot.step.inputs, *(each.inputs for each in slot.step.conditions)):
            given = self._wiring.gather(wanted, task, slot, ctx.host.name, self._values) if wanted else {}
            if isinstance(given, Missing):
                return f"needs {given.path or given.why}"
            sets.append(given)
        return decide(slot.step, ctx, sets[0], sets[1:], where=task.path(slot))

    async def _ask(self, items: Sequence[Item], host: Host, task: TaskPlan) -> None:
        """What hosts can be asked of these, in one program."""
        marks = self._marked.setdefault(host.name, set())
        target = items[0].slot.step.target
        lane = self._lanes[target(self._layout.cluster)[0].name if target is not None else host.name]
        earlier = self._earlier.setdefault(lane.host.name, Earlier(self._crossings.names(lane.host.name)))
        asked = [each for item in items for each in item.commands if can_be_asked(each)]
        found = await self._answers(asked, lane) if asked else {}
        if found is None:
            return
        number = 0
        for item in items:
            if self._acts_unseen(item, host, task):
                earlier.anything()
            for command in item.commands:
                seen, answer = None, None
                if can_be_asked(command):
                    answer = found.get(number)
                    seen = self._provided(self._seen(command, answer, lane.host.name), command, lane)
                    number += 1
                    item.seen.append(seen)
                if seen is None or seen.effect is not Effect.none:
                    marks |= _sets(command)
                _note(earlier, command, seen, None if answer is None else answer.taken)
            self._crossings.loosen(item.path, unforeseen(item), lane.host.name)
            if item.acts:
                self._crossings.acts(item.path, lane.host.name)
            if item.fails:
                self._failing.add((task.order, item.slot.index, host.name))

    def _acts_unseen(self, item: Item, host: Host, task: TaskPlan) -> bool:
        """What it does is not asked of the host: it waits for a value, runs here, or comes to the rescue."""
        if isinstance(item.what, Decided):
            return (task.order, item.slot.rescues, host.name) in self._failing
        return not item.commands

    async def _answers(self, asked: Sequence[Command[Any]], lane: Lane) -> dict[int, _Answer] | None:
        """What the host says to each, by its number, and what it needs; None where it cannot be reached."""
        if lane.host.name in self._unreachable:
            return None
        found: dict[int, frames.Ended] = {}

        async def hear(event: frames.Event) -> None:
            if isinstance(event, frames.Ended):
                found[event.index] = event

        needs = {number: its for number, each in enumerate(asked) if (its := needs_of(each))}
        paths = {number: told for number, each in enumerate(asked) if (told := _paths(each))}
        more = sorted(needs.keys() | paths.keys())
        questions = [question(each) for each in asked]
        questions += [asking(asked[number], needs.get(number, ()), paths.get(number, ())) for number in more]
        takes = {number: text for number, each in enumerate(asked) if (text := takes_of(each))}
        questions += [looking(asked[number], text) for number, text in takes.items()]
        ops = [Op(index=i, command=each, group=i, go_on=True) for i, each in enumerate(questions)]
        try:
            await lane.run(ops, Brake(), hear)
        except ReachError as error:
            self._unreachable[lane.host.name] = f"unreachable: {error.fault.code}"
            return None
        said = {
            number: answered(needs.get(number, ()), paths.get(number, ()), str(found[at].stdout))
            for at, number in enumerate(more, len(asked))
            if at in found
        }
        gone = {
            number: taken(str(found[at].stdout) if at in found and found[at].stdout.complete else "")
            for at, number in enumerate(takes, len(asked) + len(more))
        }
        for each in said.values():
            self._crossings.names(lane.host.name).learn(each.real)
        return {
            at: _Answer(found[at], needs.get(at, ()), said.get(at, Answered()).lacks, gone.get(at))
            for at in range(len(asked))
            if at in found
        }

    def _provided(self, seen: Seen, command: Command[Any], lane: Lane) -> Seen:
        """What an answer of the host holds by.

        Behind a command nobody can tell what that touches, and of what a command itself asks, what that depends on.
        """
        if seen.effect is Effect.unknown or seen.reason == UNCHANGED:
            return seen
        host = lane.host.name
        unless = self._crossings.loose(host) or ("" if command.probe is not None else self._crossings.first(host))
        return evolve(seen, unless=unless)

    def _seen(self, command: Command[Any], answer: _Answer | None, host: str) -> Seen:
        if answer is None:
            return Seen(Effect.unknown, "the connection was lost")
        ended = answer.ended
        if ended.how == "unchanged":
            return self._unchanged(command, host)
        if command.probe is not None:
            seen = self._state(command.probe, answer, host)
            return evolve(seen, found=self._found(command.probe, seen, ended, host))
        if command.check is None and command.readonly:
            if path := self._crossings.named(f"{command} {command.value or ''}", host):
                return Seen(Effect.none, f"read only; it names {path}, which an earlier step changes")
        elif path := self._crossings.named(command.check.text if command.check is not None else "", host):
            return Seen(Effect.unknown, f"its check names {path}, which an earlier step changes", value=command.example)
        performed = verdicts.of_ended(command, ended, verdicts.NO_SPAN, host)
        if ended.how == "held" or command.readonly:
            if not performed.status.ok:
                return Seen(Effect.unknown, f"{performed.reason}: {performed.error.what if performed.error else ''}")
            return Seen(Effect.none, "check" if ended.how == "held" else "read only", value=performed.payload)
        if ended.how in ("ran", "value_failed"):
            why = "its check says that it is not done" if command.asks_first else "an earlier run changed something"
            return Seen(Effect.change, why, value=command.example)
        told = performed.error.what if performed.error else ended.how
        return Seen(Effect.unknown if self._earlier[host].may_mend(None) else Effect.fail, told)

    def _unchanged(self, command: Command[Any], host: str) -> Seen:
        """What it waits for was not changed by an earlier run; by this one?"""
        if not self._marked.get(host, set()).issuperset(each.mark for each in command.awaits):
            return Seen(Effect.none, UNCHANGED)
        if command.asks_first:
            return Seen(Effect.unknown, "it depends on what earlier steps change")
        return Seen(Effect.change, "an earlier step changes something", value=command.example)

    def _state(self, probe: Probe, answer: _Answer, host: str) -> Seen:
        """What a resource would do: from the state that an earlier step of this plan leaves, else from the present."""
        known, ended = self._predicted.setdefault(host, {}), answer.ended
        if ended.how not in ("held", "differs"):
            return self._not_seen(probe, ended, host)
        ensured = verdicts.seen(probe, ended)
        whole = known.get(probe.key)
        acts = ensured.changed if whole is None else _part(whole, ensured.after) != ensured.after
        met = self._met(answer, host) if acts else {}
        if barred := self._barred(probe, answer, met, host) if acts else None:
            return barred
        by = self._crossings.naming(probe, ensured, host)
        if self._is_doubtful(probe, ensured, met.values(), host) or self._taken(probe, answer, host) or by:
            self._crossings.doubt(probe.key, host)
            named = f": {by} names it" if by else ""
            return Seen(Effect.unknown, f"it depends on what earlier steps change{named}", value=ensured)
        together = getattr(probe.resource, "after", None)
        if together is not None:
            return _jointly(probe.key[0], together, ensured, known)
        if whole is not None:
            ensured = _again(probe, whole, ensured)
            if unseen := _unseen(whole, ensured.after):
                known[probe.key] = frozendict({**whole, **ensured.after})
                return Seen(Effect.unknown, f"{', '.join(unseen)} cannot be known before it is there", value=ensured)
        if not ensured.changed:
            return Seen(Effect.none, "check", ensured, ensured)
        if _gets_another_number(probe.key, ensured):
            self._renumbered.setdefault(host, set()).add(probe.key)
        known[probe.key] = (
            frozendict({**(ensured.before or {}), **(whole or {}), **ensured.after}) if ensured.after else GONE
        )
        behind = self._crossings.before(probe, host) if whole is None and probe.detail is not None else ""
        return _changing(ensured, behind, brought=acts and bool(answer.lacks))

    def _is_doubtful(self, probe: Probe, ensured: Ensured, met: Iterable[Met], host: str) -> bool:
        """What it finds depends on earlier steps."""
        crossed = self._crossings.crossed(probe, ensured, host)  # which notes it, too
        return crossed or Met.unsure in met or self._disowned(ensured, host)

    def _met(self, answer: _Answer, host: str) -> dict[Need, Met]:
        lacking = {each.test for each in answer.lacks}
        return {need: self._earlier[host].meet(need, now=need.test not in lacking) for need in answer.needs}

    def _barred(self, probe: Probe, answer: _Answer, met: dict[Need, Met], host: str) -> Seen | None:
        """Why it cannot be brought about: for want of something, or because of what is there; None where it can."""
        earlier, words = self._earlier[host], {each.test: each.why for each in answer.lacks}
        blocked = [f"{at} is there and no folder" for need in met if (at := earlier.in_the_way(need))]
        if why := blocked + [words.get(need.test, need.why) for need, how in met.items() if how is Met.no]:
            self._crossings.failed(probe, host)
            return Seen(Effect.fail, why[0].replace("\n", "\\n"))
        if not (refused := _refused(probe, answer.ended)):
            return None
        if not earlier.may_mend(probe):
            return Seen(Effect.fail, refused)
        self._crossings.not_seen(probe, host)
        return Seen(Effect.unknown, f"it depends on what earlier steps change: {refused}")

    def _found(self, probe: Probe, seen: Seen, ended: frames.Ended, host: str) -> State | None:
        """What an undo would go back to: of what earlier steps leave, a run keeps the content, as far as is known."""
        told = seen.value if isinstance(seen.value, Ensured) else None
        if told is None or told.before is None:
            return None
        here = verdicts.seen(probe, ended).before
        too_much = self._too_much.setdefault(host, set())
        if ended.how == "differs" and probe.detail is not None and here and CONTENT not in here:
            too_much.update(paths_of(probe))
        kept = probe.detail is not None and too_much.isdisjoint(paths_of(probe))
        return told.before.set(CONTENT, "") if kept and told.before and CONTENT not in told.before else told.before

    def _not_seen(self, probe: Probe, ended: frames.Ended, host: str) -> Seen:
        told = str(ended.stderr).strip().splitlines()
        if not self._earlier[host].may_mend(probe):
            return Seen(Effect.fail, told[-1] if told else "its state cannot be seen")
        self._crossings.not_seen(probe, host)
        if told and told[-1].startswith("there is no file ") and (by := self._crossings.before(probe, host)):
            return Seen(Effect.unknown, f"it depends on what {by} puts there")
        after = ", after what earlier steps change" if self._predicted[host] else ""
        return Seen(Effect.unknown, f"its state cannot be seen{after}" + (f": {told[-1]}" if told else ""))

    def _taken(self, probe: Probe, answer: _Answer, host: str) -> bool:
        """A package that an earlier step takes away has what it is about, or what it needs."""
        earlier = self._earlier[host]
        return earlier.takes(paths_of(probe)) or any(map(earlier.takes_need, answer.needs))

    def _disowned(self, ensured: Ensured, host: str) -> bool:
        """Its owner or group is one that an earlier step gives another number: what has the old one is nobody's."""
        keys = {(kind, ensured.after.get(name, "")) for name, kind in (("owner", "user"), ("group", "group"))}
        return not keys.isdisjoint(self._renumbered.get(host, ()))

    def _settle(self, task: TaskPlan, host: Host, item: Item) -> None:
        """The entry of a step, and the value that later ones may take."""
        entry = Planned(
            module=task.module,
            task=task.name,
            step=item.slot.step.name,
            host=host.name,
            position=task.position(item.slot, self._layout.cluster.rank(host.name)),
            effect=Effect.unknown,
            wave=self._waves[task.order, host.name],
            side_by_side=task.concurrency or 0,
        )
        told, value = self._verdict(item, host, entry)
        told = self._in_its_place(told, task, item)
        if item.unless and told.effect in (Effect.change, Effect.none):
            told = evolve(told, unless=told.unless or item.unless)
        if told.unless:
            self._held_by[task.order, item.slot.index] = told.unless
        self._entries.append(told)
        if value is not ABSENT:
            self._values.setdefault((task.order, item.slot.index), {})[host.name] = value

    def _in_its_place(self, entry: Planned, task: TaskPlan, item: Item) -> Planned:
        """What becomes of it where a step before it would fail: a rescue is needed, and the host is out."""
        host, slot = entry.host, item.slot
        if (task.order, slot.rescues, host) in self._failing:
            what = self._decided(task, slot, HostContext(self._layout.cluster[host], self._layout.cluster, "plan"))
            lasts = why_no_undo(what.action, GONE) if isinstance(what, Do) else NO_STATE  # what it finds is not asked
            return evolve(entry, effect=Effect.unknown, reason="it would run: what it rescues would fail", undo=lasts)
        if task.hook.startswith(AFTER):
            acts = entry.effect in (Effect.change, Effect.unknown)
            return evolve(entry, undo=entry.undo or AFTERWARDS) if acts else entry
        if entry.effect is Effect.fail and not attached(slot.step):
            self._out.setdefault(host, entry.path)
        elif entry.effect is Effect.change and host in self._out:
            return evolve(entry, effect=Effect.unknown, reason=f"{self._out[host]} would fail before it")
        return entry

    def _verdict(self, item: Item, host: Host, entry: Planned) -> tuple[Planned, Any]:
        if isinstance(item.what, str):
            return evolve(entry, reason=item.what), ABSENT
        if isinstance(item.what, Decided):
            return decided(item.what, entry)
        entry = evolve(entry, digest=item.what.digest)
        example = next((each.example for each in reversed(item.commands)), ABSENT)
        if not item.commands:
            return evolve(entry, reason="it runs on the controller, and is not called", undo=NO_STATE), ABSENT
        target = item.slot.step.target
        name = target(self._layout.cluster)[0].name if target is not None else host.name
        if name in self._unreachable:
            return evolve(entry, reason=self._unreachable[name]), example
        if all(each.readonly for each in item.commands) and not item.seen:
            return evolve(entry, effect=Effect.none, reason="read only"), example
        if len(item.seen) < len(item.commands):
            return evolve(entry, reason="it has no check: it would run", undo=undo(item)), example
        return evolve(merged(item, entry), undo=undo(item), leaves=leaves(item)), item.seen[-1].value


def _refused(probe: Probe, ended: frames.Ended) -> str:
    """Why it cannot be brought about from what is there; empty where it can, or where that is not known."""
    tell = getattr(probe.resource, "refuses", None)
    if tell is None or ended.before is None or (probe.detail is not None and ended.detail is None):
        return ""
    return str(tell(found(ended.before, ended.detail)))


def _paths(command: Command[Any]) -> tuple[str, ...]:
    """Those of which a plan has to know what they lead to."""
    if command.probe is None:
        return ()
    own = paths_of(command.probe)
    return tuple(dict.fromkeys((*own, *(path.rpartition("/")[0] for path in own if path.count("/") > 1))))


def _waves_of(layout: Layout) -> dict[tuple[int, str], int]:
    """In which wave of its roll-out each host of each task is."""
    found: dict[tuple[int, str], int] = {}
    for plan in layout.tasks:
        found.update(_numbered(plan, cut(plan.hosts, plan.waves)))
    for module in layout.modules:
        if module.waves is not None:
            names = {host.name for plan in module.tasks for host in plan.hosts}
            hosts = [host for host in layout.cluster.hosts if host.name in names]
            for plan in module.tasks:
                found.update(_numbered(plan, cut(hosts, module.waves)))
    return found


def _numbered(plan: TaskPlan, waves: Iterable[Sequence[Host]]) -> dict[tuple[int, str], int]:
    return {(plan.order, host.name): number for number, wave in enumerate(waves) for host in wave}


def _part(whole: State, wanted: State) -> State:
    """What a probe for a wanted state would tell of a whole one."""
    if not wanted:
        return whole
    return frozendict({name: value for name, value in whole.items() if name in wanted})


def _changing(ensured: Ensured, behind: str, *, brought: bool) -> Seen:
    """It would change; what it finds of a text is another where an earlier step changes that."""
    if not behind or (ensured.before and CONTENT not in ensured.before):
        return Seen(Effect.change, "", ensured, ensured, brought)
    why = f"the text that it finds is not shown: {behind} changes that before"
    return Seen(Effect.change, why, ensured, ensured, brought, behind=behind)


def _again(probe: Probe, whole: State, ensured: Ensured) -> Ensured:
    """What would be told of it after an earlier step has seen to it."""
    before = _part(whole, ensured.after)
    tell = getattr(probe.resource, "again", None)
    return evolve(ensured, before=before) if tell is None or not before else tell(before, ensured.after)


def _unseen(whole: State, wanted: State) -> list[str]:
    """Attributes on which it depends whether anything would change, and that no step has seen."""
    if not whole or any(whole[name] != value for name, value in wanted.items() if name in whole):
        return []
    return [name for name in wanted if name not in whole and name != CONTENT]


def _gets_another_number(key: Key, ensured: Ensured) -> bool:
    """An account that is there is given one, or goes."""
    before: State = ensured.before or GONE
    name = {"user": "uid", "group": "gid"}.get(key[0], "")
    return name in before and ensured.after.get(name) != before[name]


def _note(earlier: Earlier, command: Command[Any], seen: Seen | None, taken: frozenset[str] | None) -> None:
    """What a later step may owe to this one."""
    effect = Effect.unknown if seen is None else seen.effect
    probe = command.probe
    half = effect is Effect.fail and probe is not None and probe.key[0] in HALFWAY
    if command.readonly or effect is Effect.none or (effect is Effect.fail and not half):
        return
    if probe is None:
        earlier.anything()
    elif not probe.here:
        earlier.note(probe, sure=effect is Effect.change, taken=taken)


def _jointly(
    kind: str, after: Callable[[State, State], State | None], ensured: Ensured, known: dict[Key, State]
) -> Seen:
    """What a resource would do whose attributes are things of their own: earlier steps may see to some of them."""
    left = State({name: known[kind, name][name] for name in ensured.after if (kind, name) in known})
    found = after(left, ensured.after) if left else GONE
    before = ensured.after if ensured.before is None else State({**ensured.before, **(found or {})})
    for name, value in ensured.after.items():
        if found is None or before.get(name) != value:
            known[kind, name] = State({name: value})
    if found is None:
        return Seen(Effect.unknown, "it depends on what earlier steps change", value=ensured)
    ensured = evolve(ensured, before=None if ensured.before is None else before)
    return Seen(Effect.change if ensured.changed else Effect.none, "" if ensured.changed else "check", ensured, ensured)


def _sets(command: Command[Any]) -> set[str]:
    return {each.mark for each in command.pending if each.role == "sets"}
