"""One program on one host: send it, read its frames, keep its deadlines, stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from math import inf
from typing import Final, Literal, TypeAlias

import anyio
from attrs import frozen

from kxflow.interpreters.brake import Brake
from kxflow.interpreters.ports import Exit, Link, LinkBrokenError, Process
from kxflow.interpreters.upload import UploadError
from kxflow.shell import frames
from kxflow.shell.compile import KILL, STOP
from kxflow.shell.program import Program
from kxflow.values.action import DEFAULT_TIMEOUT
from kxflow.values.output import Output
from kxflow.values.redact import Redactor

_BUSY_PAUSE: Final = 0.5
_BLOCK: Final = 1 << 18

Handler: TypeAlias = Callable[[frames.Event], Awaitable[None]]
Why: TypeAlias = Literal["cancel", "timed_out", "become_timeout", "output_limit"]


@frozen(kw_only=True)
class Limits:
    """How long a host is waited for, in seconds, and how much it may write.

    Attributes:
        start: From the last block of the program that it took to its first frame: a slow `.bashrc`.
        escalation: Until another user's program is there; a password that nobody answers takes longer.
        death: From an order to end the step to the word that it is dead.
        drain: Without a byte, after the process ended without a last frame.
        drains: How often at most, where bytes go on coming.
        output: Bytes of one step.
    """

    start: float = 30.0
    escalation: float = 20.0
    death: float = 8.0
    drain: float = 2.0
    drains: int = 15
    output: int = 1 << 30


@frozen(kw_only=True)
class Over:
    """How a program's conversation ended.

    Attributes:
        done: Its last frame came: `end`, `halt` or `stop`.
        killed: The host says that it ended the step in progress, and whether its death is confirmed.
        why: Why we asked for that; None where the host did so by itself, or the program was cut.
        broken: Why the file behind the program was not sent to its end: then the host has not begun with it.
        began: A first frame came: something ran.
        exit: How the process ended, where that is known.
        whole: Both streams were read to their end, and the connection was not cut: nothing more was to come.
        index: The op in progress when it was cut or killed.
        stdout, stderr: What that op wrote so far.
    """

    done: frames.Done | None = None
    killed: frames.Killed | None = None
    why: Why | None = None
    broken: str | None = None
    began: bool = False
    exit: Exit | None = None
    whole: bool = False
    index: int | None = None
    stdout: Output = Output()
    stderr: Output = Output()


class Conversation:
    """One program over one link, from its first byte to its last frame.

    Events are handed to `handle` one at a time, in order; while it waits, the host is not read.
    """

    def __init__(
        self,
        link: Link,
        program: Program,
        brake: Brake,
        handle: Handler,
        *,
        chunks: bool = False,
        behind: AsyncIterator[bytes] | None = None,
        limits: Limits = Limits(),
        redactor: Redactor | None = None,
    ) -> None:
        self._behind = behind
        self._sending = anyio.CancelScope()
        self._sent = behind is None
        self._broken: str | None = None
        self._link = link
        self._program = program
        self._brake = brake
        self._handle = handle
        self._limits = limits
        self._reader = frames.Reader(program, chunks=chunks, redactor=redactor)
        self._signal = anyio.Event()
        # Not through the event loop where nobody waits: else a host fills its buffers faster than they are read.
        self._order = anyio.Lock(fast_acquire=True)
        self._deadline = inf
        self._open = 2
        self._seen = 0
        self._up = False
        self._done: frames.Done | None = None
        self._killed: frames.Killed | None = None
        self._why: Why | None = None
        self._told_stop = False
        self._escalating = False
        self._gone = False
        self._busy = 0
        self._fed = 0

    def wake(self) -> None:
        """Look at the brake and the deadline again."""
        self._signal.set()

    async def hold(self) -> Over:
        """Send the program and see it through.

        Raises:
            LinkBrokenError, ReachError: No process could be started: nothing began.
        """
        self._deadline = anyio.current_time() + self._limits.start
        process = await self._link.spawn(self._program.argv)
        self._brake.attach(self)
        ended: Exit | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._say, process)
                tasks.start_soon(self._pump, process.read_stdout, self._reader.stdout)
                tasks.start_soon(self._pump, process.read_stderr, self._reader.stderr)
                tasks.start_soon(self._mind, process)
                await self._steer(process)
                tasks.cancel_scope.cancel()
            if self._killed is None:  # else all is known, and what is around the step may take its time
                with anyio.move_on_after(2):
                    ended = await process.wait()
        finally:
            self._brake.detach(self)
            with anyio.CancelScope(shield=True), anyio.move_on_after(3):
                await process.kill()
        return self._over(ended)

    def _over(self, ended: Exit | None) -> Over:
        index, out, err = self._reader.partial()
        return Over(
            done=self._done,
            killed=self._killed,
            why=self._why,
            broken=self._broken,
            began=self._up,
            exit=ended,
            whole=not self._open and self._link.alive,
            index=index,
            stdout=out,
            stderr=err,
        )

    async def _send(self, process: Process) -> None:
        """The program, block by block: as long as the host takes it, it has time to answer."""
        body = self._program.body
        for start in range(0, len(body), _BLOCK):
            if not self._up:
                self._deadline = anyio.current_time() + self._limits.start
                self.wake()
            await self._tell(process, body[start : start + _BLOCK])

    async def _say(self, process: Process) -> None:
        """The program, and the file that comes behind it; one that is broken off is cut, so that it is not taken."""
        await self._send(process)
        if self._behind is None:
            return
        whole = False
        with self._sending:
            try:
                async for data in self._behind:
                    await process.write(data)
                whole = True
            except UploadError as error:
                self._broken = str(error)
            except LinkBrokenError:
                pass
        self._sent = True
        if not whole:
            await process.close_stdin()
        self.wake()

    async def _tell(self, process: Process, data: bytes) -> None:
        try:
            await process.write(data)
        except LinkBrokenError:
            self.wake()  # the readers see the end of the streams

    async def _pump(
        self, read: Callable[[], Awaitable[bytes]], feed: Callable[[bytes], Sequence[frames.Event]]
    ) -> None:
        while data := await read():
            self._seen += len(data)
            self._fed += len(data)
            if self._seen > self._limits.output:
                self.wake()
            self._busy += 1
            async with self._order:
                for event in feed(data):
                    await self._take(event)
            self._busy -= 1
        self._open -= 1
        if not self._open:
            self.wake()

    async def _mind(self, process: Process) -> None:
        """A program that ended and did not say so was ended by others; what it wrote may still be on its way."""
        await process.wait()
        fed, rounds = -1, self._limits.drains
        while self._busy or (rounds > 0 and self._fed != fed):
            fed, rounds = self._fed, rounds - 1
            await anyio.sleep(self._limits.drain)
        self._gone = True
        self.wake()

    async def _take(self, event: frames.Event) -> None:
        match event:
            case frames.Up():
                self._up = True
                self._deadline = inf
                self.wake()
            case frames.Escalating():
                self._escalating = True
                if self._why is None:
                    self._deadline = anyio.current_time() + self._limits.escalation
                    self.wake()
            case frames.Began(index):
                self._seen = 0
                self._escalating = False
                if self._why is None:
                    self._deadline = anyio.current_time() + (
                        self._program.ops[index].command.timeout or DEFAULT_TIMEOUT
                    )
                    self.wake()
            case frames.Ended():
                self._escalating = False
                if self._why is None:
                    self._deadline = inf
            case frames.Killed():
                self._killed = event
                self.wake()
            case frames.Done():
                self._done = event
                self.wake()
            case _:
                pass
        await self._handle(event)

    @property
    def _finished(self) -> bool:
        return self._done is not None or self._killed is not None or self._gone or not self._open

    async def _steer(self, process: Process) -> None:
        """Wait for the end; meanwhile pass on stops and keep deadlines."""
        while not self._finished:
            with anyio.CancelScope(deadline=self._deadline) as scope:
                await self._signal.wait()
            self._signal = anyio.Event()
            if self._finished:
                return
            if scope.cancelled_caught and self._busy:
                # An event waits to be taken: who takes it is late, not the host.
                self._deadline = anyio.current_time() + _BUSY_PAUSE
                continue
            if scope.cancelled_caught and (self._why is not None or not self._up):
                return  # no answer, not even to a kill: given up, the end stays unknown
            await self._obey(process, late=scope.cancelled_caught)

    async def _obey(self, process: Process, *, late: bool) -> None:
        if self._why is None and (why := self._reason_to_kill(late=late)) is not None:
            self._why = why
            self._deadline = anyio.current_time() + self._limits.death
            if self._sent:
                await self._order_host(process, KILL)
            else:
                self._sending.cancel()
        elif self._brake.stopped and self._sent and not self._told_stop:
            self._told_stop = True
            await self._order_host(process, STOP)

    def _reason_to_kill(self, *, late: bool) -> Why | None:
        if self._brake.cancelled:
            return "cancel"
        if late:
            return "become_timeout" if self._escalating else "timed_out"
        return "output_limit" if self._seen > self._limits.output else None

    async def _order_host(self, process: Process, line: bytes) -> None:
        """Write one lease line; a host that does not read its stdin is not waited for."""
        with anyio.move_on_after(1):
            await self._tell(process, line)
