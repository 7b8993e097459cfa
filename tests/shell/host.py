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
from typing import Any, Final

from attrs import define, field

from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op, Program
from kxflow.testing.missing import program as path_of
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


def talk(
    program: Program,
    env: dict[str, str],
    *,
    act: Callable[[frames.Event, subprocess.Popen[bytes]], object] = lambda event, child: None,
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
        _exchange(child, program, its, act, time.monotonic() + seconds)
    finally:
        assert child.stdin is not None
        for pipe in (child.stdin, child.stdout, child.stderr):
            assert pipe is not None
            pipe.close()
        try:
            its.code = child.wait(10)
        finally:
            child.kill()
    return its


def _exchange(
    child: subprocess.Popen[bytes],
    program: Program,
    its: Talk,
    act: Callable[[frames.Event, subprocess.Popen[bytes]], object],
    deadline: float,
) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    for each in (child.stdin, child.stdout, child.stderr):
        os.set_blocking(each.fileno(), False)
    rest = memoryview(program.body)
    streams = {child.stdout.fileno(): (its.reader.stdout, its.out), child.stderr.fileno(): (its.reader.stderr, its.err)}
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdin, selectors.EVENT_WRITE)
        for number in streams:
            selector.register(number, selectors.EVENT_READ)
        silent = 0
        while not its.reader.done and len(selector.get_map()) > (1 if rest else 0) and silent < 3:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end; so far {its.events[-5:]}, {its.out[-200:]!r} {its.err[-200:]!r}")
            ready = selector.select(0.1)
            silent = 0 if ready or child.poll() is None else silent + 1
            for key, _ in ready:
                if key.fd == child.stdin.fileno():
                    rest = _write(key.fd, rest)
                    if not rest:
                        selector.unregister(child.stdin)
                    continue
                feed, kept = streams[key.fd]
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                    continue
                kept += data
                for event in feed(data):
                    its.events.append(event)
                    if act(event, child) is CUT:
                        return


def _write(number: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(number, rest[:65536]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return memoryview(b"")


__all__ = ["NONCE", "SHELLS", "Talk", "compiled", "ops_of", "path_of", "sh_is", "talk"]
