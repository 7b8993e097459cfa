"""The conversation with a host that answers commands itself, by the wire's own rules."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import anyio.lowlevel

from kxflow.interpreters.brake import Brake
from kxflow.interpreters.converse import Handler, Over
from kxflow.interpreters.ports import Answering, Reply
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.output import Output


async def ask(link: Answering, ops: Sequence[Op], brake: Brake, handle: Handler) -> Over:
    """Op by op: begin, answer, end; halt, stop and leave out as a program on a host would."""
    await anyio.lowlevel.checkpoint()
    broken: int | None = None
    for place, op in enumerate(ops):
        if op.group == broken:
            continue
        if brake.stopped and (place == 0 or ops[place - 1].group != op.group):
            return await _over("stop", handle)
        await handle(frames.Began(op.index))
        reply = await _answered(link, op, brake)
        if isinstance(reply, frames.Killed):
            await handle(reply)
            return Over(killed=reply, why="cancel", began=True, index=op.index)
        if reply is None:
            return Over(began=True, index=op.index)
        ended = as_frame(op, reply)
        await handle(ended)
        if ended.how == "held" or (ended.how == "ran" and ended.exit_code in op.command.ok_codes):
            continue
        if not op.go_on:
            return await _over("halt", handle)
        broken = op.group
    return await _over("end", handle)


class _Cancel:
    """Ends a wait once the brake says that steps in flight are to be ended."""

    def __init__(self, brake: Brake, scope: anyio.CancelScope) -> None:
        self._brake, self._scope = brake, scope

    def wake(self) -> None:
        if self._brake.cancelled:
            self._scope.cancel()


async def _answered(link: Answering, op: Op, brake: Brake) -> Reply | frames.Killed | None:
    """The reply; that the command was ended, where the brake said so meanwhile."""
    with anyio.CancelScope() as scope:
        cancel = _Cancel(brake, scope)
        brake.attach(cancel)
        try:
            cancel.wake()
            return await link.answer(op.command)
        finally:
            brake.detach(cancel)
    return frames.Killed(op.index, "kill", confirmed=True)


async def _over(why: frames.DoneWhy, handle: Handler) -> Over:
    done = frames.Done(why)
    await handle(done)
    return Over(done=done, began=True)


def as_frame(op: Op, reply: Reply) -> frames.Ended:
    """What the wire would have said of a reply."""
    command = op.command
    well = reply.held or reply.exit_code in command.ok_codes
    from_output = command.value is None and command.parse is not None and not reply.held
    value = reply.stdout if from_output else reply.value if command.value is not None else None
    return frames.Ended(
        op.index,
        "held" if reply.held else "ran",
        0 if reply.held else reply.exit_code,
        None,
        Output() if reply.held else Output.of(reply.stdout),
        Output() if reply.held else Output.of(reply.stderr),
        value if well else None,
        len(value or b"") > command.capture,
    )
