"""The way to one host during a run: one connection, made when first needed, used again and again."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio
from attrs import field, frozen

from kxflow.interpreters import silence
from kxflow.interpreters.answer import ask
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
from kxflow.values.redact import Redactor

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
        redactor: Knows the secrets of the run; learns those that a lane sends.
        nonce: Makes the 128-bit mark of a program's frames.
    """

    connector: Connector
    clock: Clock
    cluster: Cluster
    connecting: anyio.Semaphore
    chunks: bool = False
    redactor: Redactor = field(factory=Redactor)
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
        wires.redactor.learn(silence.of_connect(wires.cluster.connect_of(host)))

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
        self.wires.redactor.learn(secret for op in ops for secret in silence.of_command(op.command))
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
            return await ask(link, ops, brake, handle, self.wires.redactor)
        become = self.wires.cluster.connect_of(self.host).become
        program = compile_program(ops, nonce=self.wires.nonce(), connect_become=become, verified=self._verified)

        async def remember(event: frames.Event) -> None:
            if isinstance(event, frames.Verified) and event.password_needed:
                self._verified |= {event.become}
            await handle(event)

        shared = self.wires
        conversation = Conversation(link, program, brake, remember, chunks=shared.chunks, redactor=shared.redactor)
        return await conversation.hold()
