"""The way to one host during a run: one connection, made when first needed, used again and again."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import anyio
from attrs import field, frozen

from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.converse import Conversation, Handler, Over
from kxflow.interpreters.ports import Answering, Connector, Link, LinkBrokenError, ReachError
from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Become, Host
from kxflow.values.output import Output

BeforeSend: TypeAlias = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    pass


@frozen
class Wires:
    """What all lanes of a run share.

    Attributes:
        connector: Opens links.
        clock: Time.
        cluster: The fleet.
        connecting: Bounds how many hosts are connected to at a time.
        chunks: Live output is asked for.
        nonce: Makes the 128-bit mark of a program's frames.
    """

    connector: Connector
    clock: Clock
    cluster: Cluster
    connecting: anyio.Semaphore
    chunks: bool = False
    nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(16))


class Lane:
    """The way to one host during a run."""

    def __init__(self, host: Host, wires: Wires) -> None:
        self.host = host
        self.wires = wires
        self.busy = 0
        self._link: Link | None = None
        self._verified: frozenset[Become] = frozenset()
        self._gate = anyio.Lock()

    @property
    def open(self) -> bool:
        """A connection is open."""
        return self._link is not None

    async def link(self) -> Link:
        """The connection; made now where there is none, or where it is known to be gone.

        Raises:
            ReachError: The host could not be reached, identified or logged in to.
        """
        async with self._gate:
            if self._link is not None and self._link.alive:
                return self._link
            await self._drop()
            async with self.wires.connecting:
                self._link = await self.wires.connector.connect(self.host, self.wires.cluster)
            return self._link

    async def _drop(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            self._verified = frozenset()
            await link.aclose()

    async def aclose(self) -> None:
        """Close the connection; a later use opens it again."""
        with anyio.CancelScope(shield=True):
            await self._drop()

    async def run(
        self, ops: Sequence[Op], brake: Brake, handle: Handler, *, before_send: BeforeSend = _nothing
    ) -> Over:
        """Perform ops as one program; a connection that was lost meanwhile is made again once.

        Args:
            ops: What to do.
            brake: Stops it.
            handle: Takes every event of the wire, in order.
            before_send: Awaited when the host is reached, before anything is sent.

        Raises:
            ReachError: The host could not be reached: nothing began.
        """
        self.busy += 1
        try:
            link = await self.link()
            await before_send()
            try:
                return await self._converse(link, ops, brake, handle)
            except LinkBrokenError:
                return await self._converse(await self._again(), ops, brake, handle)
        except LinkBrokenError as error:
            what = f"the connection broke twice before anything was sent: {error}"
            raise ReachError(Fault("connection", what, self.host.name, "try again later")) from None
        finally:
            self.busy -= 1

    async def _again(self) -> Link:
        async with self._gate:
            await self._drop()
        return await self.link()

    async def _converse(self, link: Link, ops: Sequence[Op], brake: Brake, handle: Handler) -> Over:
        if isinstance(link, Answering):
            return await _ask(link, ops, brake, handle)
        become = self.wires.cluster.connect_of(self.host).become
        program = compile_program(ops, nonce=self.wires.nonce(), connect_become=become, verified=self._verified)

        async def remember(event: frames.Event) -> None:
            if isinstance(event, frames.Verified) and event.password_needed:
                self._verified |= {event.become}
            await handle(event)

        return await Conversation(link, program, brake, remember, chunks=self.wires.chunks).hold()


async def _ask(link: Answering, ops: Sequence[Op], brake: Brake, handle: Handler) -> Over:
    """The conversation with a link that answers commands itself, op by op, with the wire's own rules."""
    broken: int | None = None
    for place, op in enumerate(ops):
        if op.group == broken:
            continue
        starts_group = place == 0 or ops[place - 1].group != op.group
        if brake.stopped and starts_group:
            done = frames.Done("stop")
            await handle(done)
            return Over(done=done, began=True)
        await handle(frames.Began(op.index))
        reply = await link.answer(op.command)
        if reply is None:
            return Over(began=True, index=op.index)
        ended = _ended(op, reply.held, reply.exit_code, reply.stdout, reply.stderr, reply.value)
        await handle(ended)
        if ended.how != "held" and (ended.how != "ran" or ended.exit_code not in op.command.ok_codes):
            if not op.go_on:
                done = frames.Done("halt")
                await handle(done)
                return Over(done=done, began=True)
            broken = op.group
    done = frames.Done("end")
    await handle(done)
    return Over(done=done, began=True)


def _ended(op: Op, held: bool, code: int, out: bytes, err: bytes, value: bytes | None) -> frames.Ended:
    """What the wire would have said of a reply."""
    command: Any = op.command
    if command.value is None:
        value = out if command.parse is not None and not held else None
    whole = value or b""
    return frames.Ended(
        op.index,
        "held" if held else "ran",
        code,
        None,
        Output.of(out),
        Output.of(err),
        value if held or code in command.ok_codes else None,
        len(whole) > command.capture,
    )
