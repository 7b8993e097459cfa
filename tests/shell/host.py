"""Programs in a real shell of this machine, without a connector: each `sh` that a host may have."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from attrs import define, field

from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op, Program
from kxflow.testing.plugin import need_program
from kxflow.values.action import Command

SHELLS: Final = ("dash", "bash", "ksh", "zsh", "busybox")
NONCE: Final = "0123456789abcdef0123456789abcdef"
CUT: Final = object()
_SECONDS: Final = 20.0


def ops_of(commands: Iterable[Command[Any]], go_on: bool = True) -> list[Op]:
    """Each command a step of its own."""
    return [Op(index=i, command=each, group=i, go_on=go_on) for i, each in enumerate(commands)]


def compiled(ops: Sequence[Op], **options: Any) -> Program:
    """Their program."""
    return compile_program(ops, nonce=NONCE, **options)


@contextmanager
def sh_is(shell: str) -> Iterator[dict[str, str]]:
    """An environment in which `sh` is this shell; it knows by its name that it is to be a POSIX one."""
    path = need_program(shell)
    with tempfile.TemporaryDirectory(prefix="kxflow-sh-") as folder:
        (Path(folder) / "sh").symlink_to(path)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("KX", "LC_", "LANG"))}
        yield {**clean, "PATH": f"{folder}:{os.environ['PATH']}"}


@define
class Talk:
    """What a program said.

    Attributes:
        events: In order.
        reader: For `partial`.
        out, err: Bytes as they came.
        code: Its exit status.
    """

    events: list[frames.Event]
    reader: frames.Reader
    out: bytearray = field(factory=bytearray)
    err: bytearray = field(factory=bytearray)
    code: int | None = None

    def ended(self) -> dict[int, frames.Ended]:
        """The ends, by index."""
        return {each.index: each for each in self.events if isinstance(each, frames.Ended)}

    @property
    def last(self) -> frames.Event:
        """The last event."""
        return self.events[-1]


Act: TypeAlias = Callable[[frames.Event, "subprocess.Popen[bytes]"], object]


def talk(
    program: Program,
    env: dict[str, str],
    *,
    act: Act = lambda event, child: None,
    cwd: str | Path | None = None,
    seconds: float = _SECONDS,
) -> Talk:
    """Hold a conversation to its last frame, to the end of both streams, or until the process ended and says no more.

    Args:
        program: What to send.
        env: Its environment.
        act: Told of each event, with the process: may write lease lines, kill; `CUT` closes all three streams at once.
        cwd: Its folder.
        seconds: Longest to wait.

    Raises:
        TimeoutError: It did not end within the time.
    """
    child = subprocess.Popen(
        program.argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    its = Talk([], frames.Reader(program))
    try:
        with selectors.DefaultSelector() as selector:
            _Exchange(child, program, its, act, selector).hold(time.monotonic() + seconds)
    finally:
        for pipe in _pipes(child):
            pipe.close()
        try:
            its.code = child.wait(10)
        finally:
            child.kill()
    return its


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    return child.stdin, child.stdout, child.stderr


class _Exchange:
    """Writes the program and reads both streams as they come."""

    def __init__(
        self, child: subprocess.Popen[bytes], program: Program, its: Talk, act: Act, selector: selectors.BaseSelector
    ) -> None:
        self._child, self._its, self._act, self._selector = child, its, act, selector
        self._rest = memoryview(program.body)
        stdin, stdout, stderr = _pipes(child)
        self._streams = {stdout.fileno(): (its.reader.stdout, its.out), stderr.fileno(): (its.reader.stderr, its.err)}
        self._stdin = stdin.fileno()
        for number in (self._stdin, *self._streams):
            os.set_blocking(number, False)
            selector.register(number, selectors.EVENT_WRITE if number == self._stdin else selectors.EVENT_READ)

    def hold(self, deadline: float) -> None:
        """Until it is over."""
        silent = 0
        while not self._its.reader.done and self._reading() and silent < 3:
            if time.monotonic() > deadline:
                its = self._its
                raise TimeoutError(f"no end; so far {its.events[-5:]}, {its.out[-200:]!r} {its.err[-200:]!r}")
            ready = self._selector.select(0.1)
            silent = 0 if ready or self._child.poll() is None else silent + 1
            for key, _ in ready:
                if (self._write() if key.fd == self._stdin else self._read(key.fd)) is CUT:
                    return

    def _reading(self) -> bool:
        return any(number in self._selector.get_map() for number in self._streams)

    def _write(self) -> object:
        try:
            self._rest = self._rest[os.write(self._stdin, self._rest[:65536]) :]
        except BlockingIOError:
            return None
        except BrokenPipeError:
            self._rest = self._rest[:0]
        if not self._rest:
            self._selector.unregister(self._stdin)
        return None

    def _read(self, number: int) -> object:
        feed, kept = self._streams[number]
        data = os.read(number, 65536)
        if not data:
            self._selector.unregister(number)
        kept += data
        for event in feed(data):
            self._its.events.append(event)
            if self._act(event, self._child) is CUT:
                return CUT
        return None
