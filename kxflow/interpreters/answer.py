"""The conversation with a host that answers commands itself, by the wire's own rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel

from kxflow.interpreters.brake import Brake
from kxflow.interpreters.converse import Handler, Over
from kxflow.interpreters.ports import Answering, Reply
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.action import Command
from kxflow.values.output import Output
from kxflow.values.redact import Redactor


async def ask(
    link: Answering, ops: Sequence[Op], brake: Brake, handle: Handler, redactor: Redactor, marks: set[str]
) -> Over:
    """Op by op: begin, answer, end; halt, stop and leave out as a program on a host would.

    Args:
        link: Answers.
        ops: What to ask.
        brake: Stops it.
        handle: Takes every event.
        redactor: Masks secrets.
        marks: Of what is pending on the host; kept up as a host does.
    """
    await anyio.lowlevel.checkpoint()
    with anyio.CancelScope() as scope:
        wait = _Wait(brake, scope, handle)
        brake.attach(wait)
        try:
            return await _each(link, ops, wait, redactor, marks)
        finally:
            brake.detach(wait)
    index = wait.index
    killed = frames.Killed(index, "kill", confirmed=True)
    await handle(killed)
    return Over(killed=killed, why="cancel", began=True, index=index)


async def _each(link: Answering, ops: Sequence[Op], wait: _Wait, redactor: Redactor, marks: set[str]) -> Over:
    broken: int | None = None
    for place, op in enumerate(ops):
        if op.group == broken:
            continue
        if wait.brake.stopped and (place == 0 or ops[place - 1].group != op.group):
            return await _over("stop", wait.tell)
        await wait.tell(frames.Began(op.index))
        if any(each.mark not in marks for each in op.command.awaits):
            await wait.tell(frames.Ended(op.index, "unchanged", 0, None, Output(), Output(), None, overflow=False))
            continue
        reply = await wait.answer(link, op)
        if reply is None:
            return Over(began=True, index=op.index)
        ended = as_frame(op, reply, redactor)
        well = frames.went_well(op.command, ended)
        _mark(marks, op.command, ended, well=well)
        await wait.tell(ended)
        if well:
            continue
        if not op.go_on:
            return await _over("halt", wait.tell)
        broken = op.group
    return await _over("end", wait.tell)


def _mark(marks: set[str], command: Command[Any], ended: frames.Ended, *, well: bool) -> None:
    """As the wire does: set by what was started, taken away by what ended well."""
    for each in command.pending:
        if each.role == "sets" and ended.how != "held":
            marks.add(each.mark)
        elif each.role == "clears" and well:
            marks.discard(each.mark)


class _Wait:
    """Waits for answers; ended once the brake says that steps in flight are to be ended.

    One scope for all of them, since the first that it ends is the last.

    Attributes:
        index: The op whose answer is waited for; None between answers, which are taken whole.
    """

    def __init__(self, brake: Brake, scope: anyio.CancelScope, handle: Handler) -> None:
        self.brake, self._scope, self._handle = brake, scope, handle
        self.index: int | None = None

    def wake(self) -> None:
        if self.brake.cancelled and self.index is not None:
            self._scope.cancel()

    async def answer(self, link: Answering, op: Op) -> Reply | None:
        """The reply; where the brake says so meanwhile, this is the end of the scope."""
        self.index = op.index
        if self.brake.cancelled:
            self._scope.cancel()
            await anyio.lowlevel.checkpoint()
        reply = await link.answer(op.command)
        self.index = None
        return reply

    async def tell(self, event: frames.Event) -> None:
        """Hand an event on, also where the reply came at the very moment that it was no longer waited for."""
        if not self._scope.cancel_called:
            await self._handle(event)
            return
        with anyio.CancelScope(shield=True):
            await self._handle(event)


async def _over(why: frames.DoneWhy, handle: Handler) -> Over:
    done = frames.Done(why)
    await handle(done)
    return Over(done=done, began=True)


def as_frame(op: Op, reply: Reply, redactor: Redactor) -> frames.Ended:
    """What the wire would have said of a reply."""
    shown = redactor.redact(reply.stdout)
    command = op.command
    well = reply.held or reply.exit_code in command.ok_codes
    from_output = command.value is None and command.parse is not None and not reply.held
    value = reply.stdout if from_output else reply.value if command.value is not None else None
    return frames.Ended(
        op.index,
        "held" if reply.held else "ran",
        0 if reply.held else reply.exit_code,
        None,
        Output() if reply.held else Output.of(shown),
        Output() if reply.held else Output.of(redactor.redact(reply.stderr)),
        value if well else None,
        len(value or b"") > command.capture,
        unmasked=None if reply.held or shown is reply.stdout else Output.of(reply.stdout),
    )
