"""One session on an embedded host: a process of this machine, its pipes tied to an SSH channel, as sshd does it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import asyncssh

_CHUNK: Final = 1 << 15
_HIGH: Final = 1 << 18
_SIGNALS: Final = frozenset(
    ("ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2")
)


class EmbeddedSession(asyncssh.SSHServerSession[bytes]):
    """Runs an exec request by `/bin/sh -c` in the host's home, in a session of its own.

    When the channel or its connection is gone the process finds its stdin ended and its output closed; nothing
    else is done to it, as sshd does nothing.

    Args:
        home: Working folder of the process.
        env: Its environment.
        closed: Called with this when the channel is gone.
        over: Called with this when channel and process are gone.
    """

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str],
        closed: Callable[[EmbeddedSession], None],
        over: Callable[[EmbeddedSession], None],
    ) -> None:
        self._home, self._env, self._closed, self._over = home, env, closed, over
        self._loop = asyncio.get_running_loop()
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._outputs: dict[int, int | None] = {}  # our ends of stdout and stderr, and their SSH data type
        self._paused = False
        self._stdin = self._pidfd = -1
        self._pending = bytearray()
        self._writing = self._eof = self._reported = False

    # -- asyncssh's side --

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def exec_requested(self, command: str) -> bool:
        pipe = subprocess.PIPE
        argv = ["/bin/sh", "-c", command]
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=self._home,
                env=self._env,
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            return False
        self._stdin = _ours(self._child.stdin)
        self._outputs = {_ours(self._child.stdout): None, _ours(self._child.stderr): asyncssh.EXTENDED_DATA_STDERR}
        return True

    def session_started(self) -> None:
        assert self._child is not None  # noqa: S101 -- a session starts after its request was taken
        self._listen()
        self._await_end(self._child)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._stdin >= 0:
            self._pending += data
            self._feed()

    def eof_received(self) -> bool:
        self._eof = True
        self._feed()
        return True

    def pause_writing(self) -> None:
        self._paused = True
        for each in self._outputs:
            self._loop.remove_reader(each)

    def resume_writing(self) -> None:
        self._paused = False
        self._listen()

    def signal_received(self, signal: str) -> None:
        number = getattr(_signal_module, f"SIG{signal}", None) if signal in _SIGNALS else None
        if number is not None and self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def connection_lost(self, exc: Exception | None) -> None:
        self._chan = None
        self._close_stdin()
        for each in list(self._outputs):
            self._close_output(each)
        self._closed(self)
        self._part()

    # -- the process's side --

    def _listen(self) -> None:
        for each in self._outputs:
            self._loop.add_reader(each, self._pass_on, each)

    def _pass_on(self, number: int) -> None:
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            return
        if data and self._chan is not None:
            with contextlib.suppress(BrokenPipeError):
                self._chan.write(data, self._outputs[number])
            return
        self._close_output(number)
        self._finish()

    def _feed(self) -> None:
        while self._pending and self._stdin >= 0:
            try:
                done = os.write(self._stdin, self._pending[:_CHUNK])
            except BlockingIOError:
                self._wait_for_room()
                return
            except BrokenPipeError:  # it reads no more: the rest is swallowed, as sshd does
                self._close_stdin()
                return
            del self._pending[:done]
        self._go_on()

    def _wait_for_room(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._stdin, self._feed)
        if len(self._pending) > _HIGH and self._chan is not None:
            self._chan.pause_reading()

    def _go_on(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._stdin)
        if self._eof:
            self._close_stdin()
        if self._chan is not None:
            self._chan.resume_reading()

    def _close_stdin(self) -> None:
        self._pending.clear()
        if self._stdin >= 0:
            if self._writing:
                self._writing = False
                self._loop.remove_writer(self._stdin)
            number, self._stdin = self._stdin, -1
            os.close(number)
            if self._chan is not None:
                self._chan.resume_reading()

    def _close_output(self, number: int) -> None:
        self._loop.remove_reader(number)
        del self._outputs[number]
        os.close(number)

    def _await_end(self, child: subprocess.Popen[bytes]) -> None:
        try:
            self._pidfd = os.pidfd_open(child.pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            threading.Thread(target=self._wait_in_thread, args=(child,), daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._reap, child)

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._report(child.wait())

    def _wait_in_thread(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        with contextlib.suppress(RuntimeError):  # the fleet is over
            self._loop.call_soon_threadsafe(self._report, child.returncode)

    def _report(self, code: int) -> None:
        """Tell how it ended, at once; the channel stays open while somebody holds its output."""
        self._reported = True
        if self._chan is not None and not self._chan.is_closing():
            # asyncssh has no public way to send the status and leave the channel open, which is what sshd does.
            send: Any = self._chan._send_request  # noqa: SLF001 -- see above
            if code >= 0:
                send(b"exit-status", code.to_bytes(4, "big"))
            else:
                name = signal.Signals(-code).name.removeprefix("SIG").encode()
                send(b"exit-signal", len(name).to_bytes(4, "big") + name + bytes(9))
        self._finish()

    def _part(self) -> None:
        if self._chan is None and (self._reported or self._child is None):
            self._over(self)

    def _finish(self) -> None:
        self._part()
        if self._reported and not self._outputs and self._chan is not None:
            self._chan.close()

    def end(self) -> None:
        """SIGKILL to the process and its session, where it still runs."""
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._reap(self._child)


_signal_module = signal


def _ours(pipe: Any) -> int:
    number = os.dup(pipe.fileno())
    pipe.close()
    os.set_blocking(number, False)
    return number
