"""The way to one host during a run: one connection, made when first needed, used again and again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio
from attrs import evolve, field, frozen

from kxflow.interpreters.answer import ask
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.converse import Conversation, Handler, Over
from kxflow.interpreters.ports import Answering, Connector, Link, LinkBrokenError, ReachError
from kxflow.interpreters.upload import Segment, pieces, segments
from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Become, Host

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
        self._marks: set[str] = set()

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
            if isinstance(link, Answering):
                return await ask(link, ops, brake, handle, self._marks)
            if any(op.command.upload is not None for op in ops):
                return await self._in_segments(ops, brake, handle)
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

    async def _in_segments(self, ops: Sequence[Op], brake: Brake, handle: Handler) -> Over:
        """Program by program, so that files go out only where they are needed; it looks like one from outside."""
        left_out: int | None = None
        wanted = False
        over = Over(done=frames.Done("end"), began=True)
        for segment in segments(ops):
            if segment.upload is not None and not wanted:
                continue
            chosen = [op for op in segment.ops if op.group != left_out]
            if not chosen:
                continue
            its = _Window(segment, chosen, handle, asked=segment.upload is None and _may_need(chosen[-1]))
            behind = None if segment.upload is None else pieces(segment.upload)
            over = await self._converse(await self.link(), its.ops, brake, its.take, behind=behind)
            wanted = its.differs
            left_out = its.failed
            if over.done is None or (over.done.why != "end" and not wanted):
                return over
        return over

    async def _converse(
        self,
        link: Link,
        ops: Sequence[Op],
        brake: Brake,
        handle: Handler,
        *,
        behind: AsyncIterator[bytes] | None = None,
    ) -> Over:
        become = self.wires.cluster.connect_of(self.host).become
        program = compile_program(ops, nonce=self.wires.nonce(), connect_become=become, verified=self._verified)

        async def remember(event: frames.Event) -> None:
            if isinstance(event, frames.Verified) and event.password_needed:
                self._verified |= {event.become}
            await handle(event)

        talk = Conversation(link, program, brake, remember, chunks=self.wires.chunks, behind=behind)
        return await talk.hold()


def _may_need(op: Op) -> bool:
    return op.command.upload is not None


class _Window:
    """What is heard of one segment, as if all ops were one program.

    Attributes:
        ops: Numbered from 0.
        differs: The last op was only asked, and its file is needed.
        failed: Group of the last failed op; the rest of it is left out.
    """

    def __init__(self, segment: Segment, chosen: Sequence[Op], handle: Handler, *, asked: bool) -> None:
        self.ops = tuple(evolve(op, index=place) for place, op in enumerate(chosen))
        self.differs = False
        self.failed: int | None = None
        self._index = [segment.first + op.index for op in chosen]
        self._handle = handle
        self._asked = asked
        self._again = segment.upload is not None

    async def take(self, event: frames.Event) -> None:
        """Pass it on under the number that the op has among all."""
        match event:
            case frames.Began() if self._again:
                return  # that was told when it was asked
            case frames.Ended(how="differs") if self._asked:
                self.differs = True
                return
            case frames.Ended():
                op = self.ops[event.index]
                self.failed = None if frames.went_well(op.command, event) else op.group
        index = getattr(event, "index", None)
        await self._handle(event if index is None else evolve(event, index=self._index[index]))
