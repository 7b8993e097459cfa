"""The way to one host during a run: one connection, made when first needed, used again and again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
from attrs import evolve, field, frozen

from kxflow.interpreters import silence
from kxflow.interpreters.answer import ask
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.converse import Conversation, Handler, Limits, Over
from kxflow.interpreters.into import SLACK, Taker
from kxflow.interpreters.ports import Connector, Link, LinkBrokenError, ReachError, answers
from kxflow.interpreters.upload import Segment, pieces, segments
from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Become, Host
from kxflow.values.output import Output
from kxflow.values.redact import Redactor
from kxflow.values.state import found

_USUAL: Final = Limits()

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
        verify: Resources are asked again after they acted, as they say; False: none is.
        nonce: Makes the 128-bit mark of a program's frames.
    """

    connector: Connector
    clock: Clock
    cluster: Cluster
    connecting: anyio.Semaphore
    chunks: bool = False
    redactor: Redactor = field(factory=Redactor)
    verify: bool = True
    nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(16))


class Lane:
    """The way to one host during a run."""

    def __init__(self, host: Host, wires: Wires) -> None:
        self.host = host
        self.wires = wires
        self.busy = 0
        self._holders = 0
        self._link: Link | None = None
        self._verified: frozenset[Become] = frozenset()
        self._gate = anyio.Lock()
        wires.redactor.learn(silence.of_connect(wires.cluster.connect_of(host)))
        self._marks: set[str] = set()

    @property
    def open(self) -> bool:
        """A connection is open."""
        return self._link is not None

    @property
    def spare(self) -> bool:
        """Nobody holds it, and another made in its place would be the same."""
        return not self._holders and not self.open and not self._marks

    @contextmanager
    def held(self) -> Iterator[None]:
        """It is in use, though nothing may be under way: whoever asks for the way to this host must be given it."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1

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
        ops = ops if self.wires.verify else [_unverified(op) for op in ops]
        self.wires.redactor.learn(secret for op in ops for secret in silence.of_command(op.command))
        try:
            link = await self.link()
            await before_send()
            if answers(link):
                return await ask(link, ops, brake, handle, self.wires.redactor, self._marks)
            if any(op.command.in_two for op in ops):
                return await self._in_segments(ops, brake, handle)
            return await self._converse(ops, brake, handle)
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
        asked: frames.Ended | None = None
        over = Over(done=frames.Done("end"), began=True)
        for segment in segments(ops):
            if segment.acts and asked is None:
                continue
            chosen = [op for op in segment.ops if op.group != left_out]
            if not chosen:
                continue
            if segment.acts and asked is not None:
                chosen = [await _decided(chosen[0], asked)]
            its = _Window(segment, chosen, handle, asked)
            over = await self._segment(its, brake)
            asked, left_out = its.asked, its.failed
            if over.done is None or (over.done.why != "end" and asked is None):
                return over
        return over

    async def _segment(self, its: _Window, brake: Brake) -> Over:
        """One program, with the file that goes out behind it or comes in by it."""
        command = its.ops[0].command if its.acts else None
        if command is not None and command.into is not None:
            taker = Taker(command.into, its.take)
            limits = Limits(output=command.into.size + SLACK)
            try:
                over = await self._converse(its.ops, brake, taker.take, chunks=True, limits=limits)
                return evolve(over, stdout=Output())  # content is nothing for records
            finally:
                await taker.aclose()
        behind = None if command is None or command.upload is None else pieces(command.upload)
        return await self._converse(its.ops, brake, its.take, behind=behind)

    async def _converse(
        self,
        ops: Sequence[Op],
        brake: Brake,
        handle: Handler,
        *,
        behind: AsyncIterator[bytes] | None = None,
        chunks: bool = False,
        limits: Limits = _USUAL,
    ) -> Over:
        """One program; a connection that turns out to be gone is made again once."""
        become = self.wires.cluster.connect_of(self.host).become

        async def remember(event: frames.Event) -> None:
            if isinstance(event, frames.Verified) and event.password_needed:
                self._verified |= {event.become}
            await handle(event)

        def talk(link: Link) -> Conversation:
            live = chunks or self.wires.chunks
            program = compile_program(ops, nonce=self.wires.nonce(), connect_become=become, verified=self._verified)
            return Conversation(
                link, program, brake, remember, chunks=live, behind=behind, limits=limits, redactor=self.wires.redactor
            )

        try:
            return await talk(await self.link()).hold()
        except LinkBrokenError:
            return await talk(await self._again()).hold()


def _unverified(op: Op) -> Op:
    """The op without its second probe."""
    probe = op.command.probe
    return op if probe is None else evolve(op, command=evolve(op.command, probe=evolve(probe, verify=False)))


async def _decided(op: Op, asked: frames.Ended) -> Op:
    """The op that is to be done, now that it is known what was found; by whom and how is as it was asked."""
    its = op.command
    if its.chosen is None:
        return op
    made = await anyio.to_thread.run_sync(its.chosen, found(asked.before, asked.detail))
    env = {**its.env, **made.env}
    return evolve(
        op,
        command=evolve(
            made,
            become=its.become,
            cwd=its.cwd,
            timeout=its.timeout,
            env=env,
            sensitive=its.sensitive or made.sensitive,
            pending=its.pending,
        ),
    )


class _Window:
    """What is heard of one segment, as if all ops were one program.

    Attributes:
        ops: Numbered from 0.
        acts: They are one, which was asked before.
        asked: The last op was only asked, and this is what was found: it has to be done.
        failed: Group of the last failed op; the rest of it is left out.
    """

    def __init__(self, segment: Segment, chosen: Sequence[Op], handle: Handler, before: frames.Ended | None) -> None:
        self.ops = tuple(evolve(op, index=place) for place, op in enumerate(chosen))
        self.acts = segment.acts
        self.asked: frames.Ended | None = None
        self.failed: int | None = None
        self._index = [segment.first + op.index for op in chosen]
        self._handle = handle
        self._asks = segment.asks and chosen[-1] is segment.ops[-1]
        self._before = before

    async def take(self, event: frames.Event) -> None:
        """Pass it on under the number that the op has among all."""
        match event:
            case frames.Began() if self.acts:
                return  # that was told when it was asked
            case frames.Ended(how="differs") if self._asks:
                self.asked = event
                return
            case frames.Ended():
                if self.acts and self._before is not None:
                    event = _with_what_was_found(event, self._before)
                op = self.ops[event.index]
                self.failed = None if frames.went_well(op.command, event) else op.group
        index = getattr(event, "index", None)
        await self._handle(event if index is None else evolve(event, index=self._index[index]))


def _with_what_was_found(event: frames.Ended, before: frames.Ended) -> frames.Ended:
    """Where it was not seen again when it was acted, what was seen when it was asked."""
    if event.before is None and event.how != "held":
        event = evolve(event, before=before.before)
    return event if event.detail is not None else evolve(event, detail=before.detail)
