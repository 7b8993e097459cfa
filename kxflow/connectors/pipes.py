"""Processes of this machine, their three streams read and written without blocking, on asyncio and on trio.

Not by the event loop's own subprocesses: with those the end of a process is told only after its streams have
ended on some versions of Python, so that a background child which keeps stdout open would hide it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from kxflow.connectors.proctree import kill_tree
from kxflow.interpreters.ports import Exit, LinkBrokenError
from kxflow.values.errors import InvalidError

_CHUNK: Final = 1 << 16
_KILL_SECONDS: Final = 1.5


class End:
    """One end of a pipe, ours."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._open = True
        os.set_blocking(number, False)

    async def read(self) -> bytes:
        """At most 64 KiB; empty at its end, also when it is closed on this side."""
        while self._open:
            try:
                return os.read(self._number, _CHUNK)
            except BlockingIOError:
                await self._ready(anyio.wait_readable)
        return b""

    async def write(self, data: bytes) -> None:
        """All of it; nothing where nobody reads any more."""
        rest = memoryview(data)
        while rest and self._open:
            try:
                rest = rest[os.write(self._number, rest[:_CHUNK]) :]
            except BlockingIOError:
                await self._ready(anyio.wait_writable)
            except BrokenPipeError:
                return

    async def _ready(self, wait: Callable[[int], Awaitable[None]]) -> None:
        with contextlib.suppress(anyio.ClosedResourceError):
            await wait(self._number)

    def close(self) -> None:
        """Wakes who waits on it."""
        if self._open:
            self._open = False
            anyio.notify_closing(self._number)
            os.close(self._number)


class PipeProcess:
    """A process of this machine that leads a session of its own.

    Args:
        child: Started, all three streams pipes.
        alive: Whether the link that it belongs to is open.
    """

    def __init__(self, child: subprocess.Popen[bytes], alive: Callable[[], bool] = lambda: True) -> None:
        self._child, self._alive = child, alive
        self._stdin, self._stdout, self._stderr = (
            End(_detached(pipe)) for pipe in (child.stdin, child.stdout, child.stderr)
        )
        self._exit: Exit | None = None

    async def write(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        await self._stdin.write(data)
        if not self._alive():
            raise LinkBrokenError

    async def close_stdin(self) -> None:
        self._stdin.close()

    async def read_stdout(self) -> bytes:
        return await self._stdout.read()

    async def read_stderr(self) -> bytes:
        return await self._stderr.read()

    async def wait(self) -> Exit:
        while self._exit is None:
            await _ended(self._child.pid)
            self._reap()
        return self._exit

    def _reap(self) -> None:
        code = self._child.poll()
        if code is not None and self._exit is None:
            self._exit = Exit(code) if code >= 0 else Exit(None, _signal(-code))

    @property
    def over(self) -> bool:
        """Its end was seen."""
        return self._exit is not None

    async def kill(self) -> None:
        """End it with its session and descendants; after its own end only the streams are closed.

        What it had started in the background and left behind goes on then, as with an SSH server.
        """
        self._stdin.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_KILL_SECONDS):
            if self._exit is None and self._running():
                await anyio.to_thread.run_sync(kill_tree, self._child.pid, abandon_on_cancel=True)
            await self.wait()
        self._stdout.close()
        self._stderr.close()

    def _running(self) -> bool:
        """Not ended yet, as far as can be told without waiting for it, which would give its number away."""
        ended = os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is None


def _detached(pipe: object) -> int:
    """Our number for a pipe of Popen's, whose file object is dropped."""
    number = os.dup(pipe.fileno())  # type: ignore[attr-defined]  # a file: stdin, stdout and stderr are pipes here
    os.set_inheritable(number, False)
    pipe.close()  # type: ignore[attr-defined]  # as above
    return number


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return "other"


async def _ended(pid: int) -> None:
    """Wait until a child has ended, and leave it to be waited for."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            number = os.pidfd_open(pid)
            try:
                await anyio.wait_readable(number)
            finally:
                anyio.notify_closing(number)
                os.close(number)
            return
    flags = os.WEXITED | os.WNOWAIT
    await anyio.to_thread.run_sync(os.waitid, os.P_PID, pid, flags, abandon_on_cancel=True)


async def start(
    argv: Sequence[str], env: Mapping[str, str] | None = None, alive: Callable[[], bool] = lambda: True
) -> PipeProcess:
    """Start a process, its three streams ours.

    Raises:
        InvalidError: A NUL in a word.
        OSError: It cannot be started.
    """
    if any("\0" in word for word in argv):
        raise InvalidError("a word of the command holds a NUL", "no process can take it: send it on stdin")
    if os.sep not in argv[0] and shutil.which(argv[0]) is None:
        raise FileNotFoundError(2, f"there is no program {argv[0]!r}")
    child = await anyio.to_thread.run_sync(_popen, tuple(argv), env)
    return PipeProcess(child, alive)


def _popen(argv: tuple[str, ...], env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=env, start_new_session=True)
