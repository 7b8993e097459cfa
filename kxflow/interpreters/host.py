"""Drive one host through one task: batches of steps as single programs, results as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio
from attrs import evolve, frozen

from kxflow.flow.decide import Decided, Do
from kxflow.flow.layout import Slot, TaskPlan
from kxflow.flow.perform import decided_result, judged, marked, tries_left
from kxflow.flow.wiring import Values, Wiring
from kxflow.interpreters import verdicts
from kxflow.interpreters.batch import Item, Ledger, Planner
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.converse import Over
from kxflow.interpreters.lane import Lane
from kxflow.interpreters.ports import JournalError, ReachError, Sent
from kxflow.interpreters.runner import LaneRunner
from kxflow.interpreters.verdicts import Span
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.context import HostContext
from kxflow.values.event import OutputChunk, StepBegan, StepRetried
from kxflow.values.result import Performed, Status, StepResult, settle


class Caller(Protocol):
    """Who collects what a host's driver reports."""

    async def sent(self, steps: Sequence[Sent]) -> None:
        """These are about to be sent; durable when it returns.

        Raises:
            JournalError: It could not be recorded, so they must not be sent.
        """
        ...

    async def ended(self, results: Sequence[StepResult]) -> None:
        """These ended; the values that later steps need are at hand when it returns."""
        ...

    async def tell(self, event: StepBegan | OutputChunk | StepRetried) -> None:
        """This happened."""
        ...


@frozen(kw_only=True)
class Post:
    """What the driver of a host works with.

    Attributes:
        plan: The task.
        wiring, values: Inputs and where they come from.
        lane_of: The way to any host of the cluster; `.on(sel)` needs others than its own.
        blank: The record of a slot that nothing is known of yet.
        layer_failed: What `kx.failed` answers.
        fuse: Steps go out as one program, as far as they can.
    """

    plan: TaskPlan
    wiring: Wiring
    values: Values
    lane_of: Callable[[str], Lane]
    blank: Callable[[TaskPlan, Slot, str], StepResult]
    layer_failed: bool = False
    fuse: bool = True


class HostDrive:
    """One host in one task. `run` reports a result for every slot, each once, in order."""

    def __init__(self, post: Post, ctx: HostContext, brake: Brake, caller: Caller) -> None:
        self._post = post
        self._ctx = ctx
        self._given = self._brake = brake
        self._caller = caller
        self._lane = post.lane_of(ctx.host.name)
        self._runner = LaneRunner(self._lane, brake)
        self._ledger = Ledger()
        self._planner = Planner(post.plan, ctx, post.wiring, post.values, self._ledger, post.layer_failed, post.fuse)
        self._next = 0
        self._blocked = ""
        self._items: list[Item] = []
        self._ops: list[Op] = []
        self._turn = 0
        self._watch = self._runner.stopwatch()
        self._addresses: dict[int, StepResult] = {}

    async def run(self, blocked: str = "") -> None:
        """Do every step, as far as the host and the brake let.

        Args:
            blocked: Why the host is out already.
        """
        self._blocked = blocked
        while self._next < len(self._post.plan.slots):
            if self._brake.stopped:
                await self._try_no_more()
            rescuing = self._rescuing()
            self._under(self._given.rescue if rescuing else self._given)
            if why := self._blocked or self._brake.reason:
                await self._leave(why)
                return
            self._items = self._planner.batch(self._next, self._next + rescuing if rescuing else None)
            self._turn = 0
            try:
                await self._round(self._items[0])
            except JournalError as error:
                self._given.stop(f"journal: {error}")

    def _under(self, brake: Brake) -> None:
        if brake is not self._brake:
            self._brake, self._runner = brake, LaneRunner(self._lane, brake)

    def _rescuing(self) -> int:
        """How many slots from here on rescue one that was cancelled: they have a brake of their own."""
        if not self._given.cancelled:
            return 0
        slots = self._post.plan.slots[self._next :]
        rescued = slots[0].rescues if slots else None
        if rescued is None:
            return 0
        while (above := self._post.plan.slots[rescued].rescues) is not None:  # a rescue step that has one itself
            rescued = above
        if self._ledger.status.get(rescued) is not Status.Cancelled:
            return 0
        rest = (at for at, each in enumerate(slots) if each.rescues is None or each.rescues < rescued)
        return next(rest, len(slots))

    async def _round(self, first: Item) -> None:
        if first.commands:
            await self._send()
        elif isinstance(first.what, Do):
            await self._alone(first, first.what)
        else:
            await self._pass_decided()

    async def _alone(self, item: Item, what: Do) -> None:
        """A step that is no plain program on this host."""
        lane = self._lane
        if item.slot.step.target is not None:
            lane = self._post.lane_of(item.slot.step.target(self._ctx.cluster)[0].name)
        told = False

        async def began() -> None:
            nonlocal told
            if not told:
                told = True
                await self._began(item.slot)

        with lane.held():
            await self._caller.sent([self._sent(item.slot, what)])
            performed = await LaneRunner(lane, self._brake, began).perform(what.action)
        if performed.status is not Status.NotRun:  # else it was stopped before it began: the loop sees the brake
            await self._conclude(item, performed)

    async def _send(self) -> None:
        """Commands of several slots as one program."""
        self._ops = self._planner.ops(self._items)
        watch = self._watch = self._runner.stopwatch()
        try:
            over = await self._lane.run(self._ops, self._brake, self._take, before_send=self._announce)
        except ReachError as error:
            await self._conclude(self._items[self._turn], verdicts.unreachable(error.fault, watch()))
            return
        ended_itself = over.done is not None and over.done.why in ("stop", "halt")
        # Told to end when the failed step had just ended: nothing was in progress, and what is behind it never began.
        idle = over.killed is not None and over.killed.index is None and self._brake.stopped
        if not (ended_itself or idle) and any(each.commands for each in self._items[self._turn :]):
            await self._cut(over, self._watch())

    async def _announce(self) -> None:
        todo = [(each.slot, each.what) for each in self._items]
        await self._caller.sent([self._sent(slot, what) for slot, what in todo if isinstance(what, Do)])

    async def _take(self, event: frames.Event) -> None:
        """The next event of the wire."""
        match event:
            case frames.Began(index):
                item = self._items[self._ops[index].group]
                if not item.parts:
                    await self._began(item.slot)
                self._watch = self._runner.stopwatch()
            case frames.Chunk(index, stream, data):
                await self._chunk(self._items[self._ops[index].group], stream, data)
            case frames.Ended(index):
                await self._ended(self._items[self._ops[index].group], event)
            case _:
                pass

    async def _ended(self, item: Item, ended: frames.Ended) -> None:
        command = self._ops[ended.index].command
        part = verdicts.of_ended(command, ended, self._watch(), self._lane.host.name)
        item.parts.append(part)
        if part.status.ok and len(item.parts) < len(item.commands):
            return
        self._turn = self._ops[ended.index].group + 1
        whole = verdicts.merged(item.parts)
        if await self._conclude(item, whole) and (whole.status.ok or not item.slot.step.rescued_by):
            await self._pass_decided()

    async def _pass_decided(self) -> None:
        """Record what was decided without the host, as far as its turn has come."""
        while self._turn < len(self._items):
            item = self._items[self._turn]
            if not isinstance(item.what, Decided):
                return
            self._turn += 1
            if not await self._report(item.slot, self._without_host(item.slot, item.what)):
                return

    def _without_host(self, slot: Slot, what: Decided) -> StepResult:
        place = self._place(slot)
        if what.status is Status.NotRun:
            result = evolve(place, reason=what.reason)
            if result.spoils:
                self._blocked = self._blocked or f"blocked: {place.path}"
            return result
        return marked(slot.step, decided_result(place, what, self._runner))

    async def _cut(self, over: Over, span: Span) -> None:
        """A program that did not end by itself: its first step without an end, and what may have begun behind it."""
        item, *behind = self._items[self._turn :]
        name = self._lane.host.name
        cut = verdicts.of_over(over, span, name, sensitive=item.sensitive)
        await self._conclude(item, verdicts.merged([*item.parts, cut]))
        if cut.status is not Status.Lost or over.killed is not None:
            return  # the host answered to the end: what is behind it never began
        unseen = evolve(over, stdout=verdicts.NO_OUTPUT, stderr=verdicts.NO_OUTPUT)
        for each in behind:
            if each.commands:
                await self._conclude(each, verdicts.of_over(unseen, span, name))
            elif isinstance(each.what, Decided) and not self._blocked:  # a tolerated loss: the host goes on
                await self._report(each.slot, self._without_host(each.slot, each.what))
            else:
                await self._report(each.slot, evolve(self._place(each.slot), reason=self._blocked))

    async def _conclude(self, item: Item, performed: Performed) -> bool:
        """Record what a slot came to, or note the try and leave it the next; True where the host goes on."""
        slot = item.slot
        began = performed.status is not Status.Unreachable
        tries = (*self._ledger.tries(slot), *((performed.attempt,) if began else ()))
        result = judged(slot.step, settle(self._at(slot), performed, digest=item.what.digest, attempts=tries))
        if tries_left(slot.step, result) and not self._brake.stopped:
            self._ledger.failed[slot.index] = result
            await self._pause(slot, result)
            if not self._brake.stopped:
                return False
        return await self._report(slot, marked(slot.step, result))

    async def _pause(self, slot: Slot, result: StepResult) -> None:
        """Tell of the try that failed and wait for the next, but not past a stop."""
        retry = slot.step.attempts
        delay = 0.0 if retry is None else retry.pause(len(result.attempts))
        await self._caller.tell(
            StepRetried(
                module=result.module,
                task=result.task,
                step=result.step,
                host=result.host,
                position=result.position,
                attempt=result.attempts[-1],
                delay=delay,
            )
        )
        if delay:
            await until_stopped(self._brake, lambda: self._runner.pause(delay))

    async def _report(self, slot: Slot, result: StepResult) -> bool:
        """Hand a result on; True where the host goes on."""
        self._ledger.status[slot.index] = result.status
        self._next = slot.index + 1
        if result.status.fault and not result.tolerated:
            self._blocked = self._blocked or f"blocked: {result.path}"
        await self._caller.ended([result])
        return not self._blocked

    async def _try_no_more(self) -> None:
        """A step that was to be tried again has begun all the same: its last try is what it came to."""
        slot = self._post.plan.slots[self._next]
        if slot.index in self._ledger.failed:
            await self._report(slot, marked(slot.step, self._ledger.failed[slot.index]))

    async def _leave(self, why: str) -> None:
        """NotRun for every slot that is left."""
        rest = self._post.plan.slots[self._next :]
        self._next = len(self._post.plan.slots)
        if rest:
            await self._caller.ended([evolve(self._place(slot), reason=why) for slot in rest])

    async def _began(self, slot: Slot) -> None:
        at = self._at(slot)
        await self._caller.tell(
            StepBegan(
                run=at.run,
                pipeline=at.pipeline,
                module=at.module,
                task=at.task,
                step=at.step,
                host=at.host,
                position=at.position,
                at=self._runner.now(),
            )
        )

    async def _chunk(self, item: Item, stream: str, data: bytes) -> None:
        if item.sensitive:
            return
        at = self._at(item.slot)
        await self._caller.tell(
            OutputChunk(
                module=at.module,
                task=at.task,
                step=at.step,
                host=at.host,
                position=at.position,
                stream=stream,
                data=data,
            )
        )

    def _at(self, slot: Slot) -> StepResult:
        """The address of a slot, made once; its times and its status say nothing."""
        found = self._addresses.get(slot.index)
        if found is None:
            found = self._addresses[slot.index] = self._place(slot)
        return found

    def _place(self, slot: Slot) -> StepResult:
        """The record of a slot that never began, as of now."""
        return self._post.blank(self._post.plan, slot, self._ctx.host.name)

    def _sent(self, slot: Slot, what: Do) -> Sent:
        at = self._at(slot)
        tries = len(self._ledger.tries(slot)) + 1
        return Sent(at.module, at.task, at.step, at.host, at.position, what.digest, tries)


class _Woken:
    """Remembers that a brake was pulled."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    def wake(self) -> None:
        self.event.set()


async def until_stopped(brake: Brake, work: Callable[[], Awaitable[Any]]) -> None:
    """Do something, but end it when the brake is pulled."""
    woken = _Woken()
    brake.attach(woken)
    try:
        async with anyio.create_task_group() as tasks:

            async def do() -> None:
                await work()
                woken.wake()

            tasks.start_soon(do)
            await woken.event.wait()
            tasks.cancel_scope.cancel()
    finally:
        brake.detach(woken)
