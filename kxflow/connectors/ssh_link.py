"""An open SSH connection: processes on it, side by side as far as the server lets."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

import anyio
import asyncssh

from kxflow.connectors.late import finish_later
from kxflow.connectors.ssh_errors import shown, unreachable
from kxflow.interpreters.ports import Exit, LinkBrokenError
from kxflow.values.errors import InvalidError

_CHUNK: Final = 1 << 16
_HIGH: Final = 3 << 20  # bytes held of both streams before the server is made to wait
_LOW: Final = 1 << 19
# asyncssh opens the whole window again with the first packet it delivers, whatever it still holds: what is read between
# two pauses (high - low) must be no less than a window, or memory grows with the output.
_WINDOW: Final = 1 << 21
_SIGNALS: Final = frozenset(  # RFC 4254, section 6.10
    ("ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2")
)
_FULL: Final = (asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE)
_CLOSE_SECONDS: Final = 1.5


class Session(asyncssh.SSHClientSession[bytes]):
    """The events of one channel, kept until somebody asks."""

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.changed = asyncio.Event()  # replaced at each change, so that any number of tasks may wait
        self.ended = asyncio.Event()
        self.status: Exit | None = None
        self.at_eof = self.gone = self.lost = self.paused = self.full = False
        self.chan: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        (self.err if datatype else self.out).extend(data)
        if len(self.out) + len(self.err) > _HIGH and not (self.paused or self.lost) and self.chan is not None:
            self.paused = True
            self.chan.pause_reading()
        self._tell()

    def taken(self) -> None:
        """Some bytes were read: let the server go on once enough were."""
        if self.paused and len(self.out) + len(self.err) <= _LOW and self.chan is not None:
            self.paused = False
            self.chan.resume_reading()

    def eof_received(self) -> bool:
        self.at_eof = True
        self._tell()
        return True  # stdin stays open: it is the lease

    def exit_status_received(self, status: int) -> None:
        self._end(Exit(status))

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._end(Exit(None, signal if signal in _SIGNALS else "other"))

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.paused and self.chan is not None and not self.gone:
            self.paused = False
            self.chan.resume_reading()  # what had arrived before the cut is still to be had, at most a window
        self.finish()

    def finish(self) -> None:
        """Nothing more will come."""
        self.gone = self.at_eof = True
        self._end(Exit(None, received=False))
        self._tell()

    def _end(self, status: Exit) -> None:
        self.status = self.status or status
        self.ended.set()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class SshProcess:
    """A process at the other end of a channel."""

    def __init__(self, session: Session, alive: Callable[[], bool]) -> None:
        self._session = session
        self._alive = alive

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            await self._room()
            if self._session.gone:
                break
            try:
                self._chan.write(data[start : start + _CHUNK])
            except BrokenPipeError:  # the channel is closing, or our end of it is closed
                break
        await self._room()
        if not self._alive():
            raise LinkBrokenError

    async def _room(self) -> None:
        while self._session.full and not self._session.gone:
            await self._session.changed.wait()

    async def close_stdin(self) -> None:
        if not self._session.gone:
            self._chan.write_eof()

    async def read_stdout(self) -> bytes:
        return await self._read(self._session.out)

    async def read_stderr(self) -> bytes:
        return await self._read(self._session.err)

    async def _read(self, buffer: bytearray) -> bytes:
        while not buffer and not self._session.at_eof:
            await self._session.changed.wait()
        data = bytes(buffer[:_CHUNK])
        del buffer[:_CHUNK]
        self._session.taken()
        return data

    async def wait(self) -> Exit:
        await self._session.ended.wait()
        assert self._session.status is not None  # noqa: S101 -- set before the event is
        return self._session.status

    async def kill(self) -> None:
        """Close the channel: the process loses its stdin, which is its lease. Nothing is waited for.

        No signal is sent: sshd signals the session's process group, and with it the guard that ends the step.
        """
        if not self._session.gone:
            self._chan.abort()
            self._session.finish()

    @property
    def _chan(self) -> asyncssh.SSHClientChannel[bytes]:
        assert self._session.chan is not None  # noqa: S101 -- made before the process is
        return self._session.chan


class SshLink:
    """A connection to one host.

    Args:
        conn: Logged in.
        where: The host, for messages.
        session_wait: Seconds to wait for a session while the host allows no more and this link holds some; a step
            ends within an hour by default, and with it its session.
        free_wait: The same while this link holds none: the server is still ending one.
        sleep, clock: Time.
    """

    def __init__(
        self,
        conn: asyncssh.SSHClientConnection,
        where: str,
        *,
        session_wait: float = 3600.0,
        free_wait: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conn, self._where = conn, where
        self._session_wait, self._free_wait = session_wait, free_wait
        self._sleep, self._clock = sleep, clock
        self._sessions: list[Session] = []
        self._turn = asyncio.Lock()  # of those that found the host full, one asks again at a time
        self._closed = False

    @property
    def alive(self) -> bool:
        return not self._closed and not self._conn.is_closed()

    async def spawn(self, argv: Sequence[str]) -> SshProcess:
        """Start a process by one exec request, its words quoted for the login shell.

        A host that allows no more sessions (`MaxSessions`) is asked again as soon as one of this link has ended.

        Raises:
            InvalidError: A NUL in a word.
        """
        command = _command(argv)
        session = await self._open(command)
        if session is None:
            async with self._turn:
                session = await self._when_free(command)
        self._sessions = [*(each for each in self._sessions if not each.gone), session]
        return SshProcess(session, lambda: self.alive)

    async def _when_free(self, command: str) -> Session:
        began, pause = self._clock(), 0.02
        while True:
            held = [each for each in self._sessions if not each.gone]
            if self._clock() - began > (self._session_wait if held else self._free_wait):
                what = f"it gives no session; {len(held)} of this connection are in use"
                raise unreachable("no_exec", what, self._where, "raise MaxSessions in its sshd_config")
            await self._sleep(pause)
            pause = min(2 * pause, 1.0)
            session = await self._open(command)
            if session is not None:
                return session

    async def _open(self, command: str) -> Session | None:
        """A session, None where the host has none to give at this moment."""
        if not self.alive:
            raise LinkBrokenError
        session = Session()
        opening = asyncio.ensure_future(self._create(session, command))
        try:
            await finish_later(opening, lambda chan: chan.abort())
        except asyncssh.ChannelOpenError as error:
            if not self.alive:
                raise LinkBrokenError from None
            if error.code in _FULL:
                return None
            what = f"it starts no process: {shown(str(error.reason))}"
            raise unreachable(
                "no_exec", what, self._where, "is there a ForceCommand, or a shell that is none?"
            ) from None
        except (asyncssh.Error, OSError, AttributeError) as error:
            # asyncssh 2.24 meets an AttributeError where the connection ends between its reply and our wake-up.
            raise LinkBrokenError(f"the connection ended while a process was started: {shown(str(error))}") from None
        return session

    async def _create(self, session: Session, command: str) -> asyncssh.SSHClientChannel[bytes]:
        chan, _ = await self._conn.create_session(
            cast("Any", lambda: session), command, encoding=None, env={}, send_env=None, window=_WINDOW
        )
        return cast("asyncssh.SSHClientChannel[bytes]", chan)

    async def aclose(self) -> None:
        self._closed = True
        self._conn.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            await self._conn.wait_closed()
        for each in self._sessions:
            each.finish()
        self._sessions = []


def _command(argv: Sequence[str]) -> str:
    if any("\0" in word for word in argv):
        raise InvalidError("a word of the command holds a NUL", "no shell can take it: send it on stdin")
    return shlex.join(argv)
