"""One conversation: what it waits for, what it gives up, and what it says then."""

from __future__ import annotations

import datetime as dt
import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

import kxflow as kx
from kxflow.connectors.local import LocalLink
from kxflow.interpreters import verdicts
from kxflow.interpreters.answer import ask
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.converse import Conversation, Limits, Over
from kxflow.interpreters.ports import Answering, Exit, Link
from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op, Program
from kxflow.testing.fleet import until
from kxflow.values.action import Command
from kxflow.values.host import Become, Method
from kxflow.values.redact import Redactor
from kxflow.values.result import Status
from tests.interpreters.hosts import alive
from tests.shell.strategies import NONCE, mark

BACKENDS = ("asyncio", "trio")


async def ignore(_: frames.Event) -> None:
    """Take an event."""


def held(
    link: Link,
    program: Program,
    *,
    take: Callable[[frames.Event], Awaitable[None]] = ignore,
    backend: str = "asyncio",
    brake: Brake | None = None,
    **limits: Any,
) -> Over:
    """How a conversation ended; it may not take longer than 20 s."""

    async def main() -> Over:
        with anyio.fail_after(20):
            return await Conversation(link, program, brake or Brake(), take, limits=Limits(**limits)).hold()

    return anyio.run(main, backend=backend)


def program_of(*commands: Command[Any]) -> Program:
    """Each command a step."""
    return compile_program([Op(index=i, command=each, group=i) for i, each in enumerate(commands)], nonce=NONCE)


def performed(over: Over) -> tuple[Status, str]:
    """Status and reason of the step that was in progress."""
    now = dt.datetime.now(dt.UTC)
    its = verdicts.of_over(over, verdicts.Span(now, now, 0.0), "here")
    return its.status, its.reason


@pytest.mark.parametrize(
    ("method", "password", "backend"),
    [("sudo", None, "asyncio"), ("sudo", "s3cret-password", "trio"), ("su", "s3cret-password", "asyncio")],
)
def test_an_escalation_that_hangs_is_ended_and_nothing_of_it_is_left(
    tmp_path: Path, method: Method, password: str | None, backend: str
) -> None:
    """A `sudo` that asks what nobody answers: a failure with a reason, its death confirmed."""
    seconds = f"8{os.getpid()}"
    fake = tmp_path / method
    fake.write_text(f"#!/bin/sh\ntrap '' TERM\n/bin/sleep {seconds}\n/bin/sleep {seconds}\n")
    fake.chmod(0o755)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    link = LocalLink("here", ("env", f"PATH={tmp_path}:{os.environ['PATH']}"))
    become = Become("deploy", password=password, method=method)
    over = held(link, program_of(Command(text="true", become=become)), backend=backend, escalation=0.3)
    assert over.killed is not None
    assert performed(over) == (Status.Failed, "become_timeout")
    until(lambda: not alive(f"sleep\0{seconds}"), "nothing is left", 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_takes_events_slowly_loses_none(backend: str) -> None:
    """The program has ended long before its events are taken; the host is not taken for gone."""
    seen: list[frames.Event] = []

    async def take(event: frames.Event) -> None:
        await anyio.sleep(0.15)
        seen.append(event)

    over = held(
        LocalLink("here"), program_of(*[Command(text="echo a")] * 3), take=take, backend=backend, drain=0.05, drains=1
    )
    assert over.done == frames.Done("end")
    assert [each.index for each in seen if isinstance(each, frames.Ended)] == [0, 1, 2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_is_not_ended_because_its_beginning_was_taken_late(backend: str) -> None:
    """Nor the one behind it, which is in progress meanwhile: who takes the events is late, and not the host."""
    seen: list[frames.Event] = []

    async def take(event: frames.Event) -> None:
        await anyio.sleep(0.8 if event == frames.Began(0) else 0)
        seen.append(event)

    program = program_of(Command(text="echo a", timeout=0.3), Command(text="sleep 0.7; echo b", timeout=5.0))
    over = held(LocalLink("here"), program, take=take, backend=backend)
    assert (over.done, over.killed) == (frames.Done("end"), None)
    assert [each.exit_code for each in seen if isinstance(each, frames.Ended)] == [0, 0]


@define
class Played:
    """A process that is played: what it says, how it ends, how slowly it takes its stdin.

    Attributes:
        out, err: Chunks to come.
        exit: Its end; None never comes.
        pause: Seconds that a write takes.
        endless: Its stdout goes on for ever.
    """

    out: list[bytes]
    err: list[bytes]
    exit: Exit | None
    pause: float = 0.0
    endless: bool = False
    written: int = 0
    took_all: anyio.Event = field(factory=anyio.Event)
    size: int = 0

    async def write(self, data: bytes) -> None:
        await anyio.sleep(self.pause)
        self.written += len(data)
        if self.written >= self.size:
            self.took_all.set()

    async def close_stdin(self) -> None:
        pass

    async def read_stdout(self) -> bytes:
        return await self._read(self.out)

    async def read_stderr(self) -> bytes:
        return await self._read(self.err)

    async def _read(self, chunks: list[bytes]) -> bytes:
        await self.took_all.wait()
        if chunks:
            return chunks.pop(0)
        if self.endless:
            await anyio.sleep(0.01)
            return b"x"
        if self.exit is None:
            await anyio.sleep_forever()
        return b""

    async def wait(self) -> Exit:
        await self.took_all.wait()
        if self.exit is None:
            await anyio.sleep_forever()
        assert self.exit is not None
        return self.exit

    async def kill(self) -> None:
        pass


@define
class PlayedLink:
    """A link with one process.

    Attributes:
        make: Plays it.
        alive: The connection is there.
    """

    make: Callable[[], Played]
    alive: bool = True

    async def spawn(self, argv: Sequence[str]) -> Any:
        return self.make()

    async def aclose(self) -> None:
        pass


UP = mark("u")
WHOLE = UP + mark("b", 0) + mark("e", 0, "ran", 0) + mark("d", "end")


def test_a_slow_line_has_time_as_long_as_the_program_is_taken() -> None:
    """Ten blocks, each taken within the limit, all of them not: the first frame may come after that."""
    program = program_of(Command(text="cat", stdin=b"x" * (10 << 18)))
    make = functools.partial(Played, [WHOLE], [WHOLE], Exit(0), pause=0.1, size=len(program.body))
    assert held(PlayedLink(make), program, start=0.4).done == frames.Done("end")


def test_a_login_shell_that_does_not_answer_is_given_up() -> None:
    """It took the program and says nothing: lost, for it may run."""
    over = held(PlayedLink(lambda: Played([], [], None)), program_of(Command(text="x")), start=0.2)
    assert performed(over) == (Status.Lost, "shell_start")


@pytest.mark.parametrize(
    ("alive", "outcome"),
    [(True, (Status.Unreachable, "no_exec")), (False, (Status.Lost, "connection"))],
)
def test_an_end_without_a_first_frame_is_unreachable_only_where_all_that_was_said_has_come(
    alive: bool, outcome: tuple[Status, str]
) -> None:
    """The exit status overtakes output: cut between the two, nobody knows whether something ran."""
    over = held(PlayedLink(lambda: Played([b"no shell"], [], Exit(1)), alive), program_of(Command(text="x")))
    assert performed(over) == outcome


def test_an_end_is_unknown_where_the_program_was_ended_and_its_children_go_on_writing() -> None:
    """Bytes without end after its end are not waited for."""
    started = UP + mark("b", 0)
    make = functools.partial(Played, [started], [started], Exit(None, "KILL"), endless=True)
    over = held(PlayedLink(make), program_of(Command(text="x")), drain=0.05, drains=4)
    assert performed(over) == (Status.Lost, "connection")


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_host_that_does_not_answer_an_order_is_given_up(cancelled: bool) -> None:
    """Late or cancelled, its death is not confirmed: lost."""
    started = UP + mark("b", 0)
    brake = Brake()

    async def take(event: frames.Event) -> None:
        if cancelled and isinstance(event, frames.Began):
            brake.stop("enough", cancel=True)

    make = functools.partial(Played, [started], [started], None)
    program = program_of(Command(text="x", timeout=60.0 if cancelled else 0.1))
    over = held(PlayedLink(make), program, take=take, brake=brake, death=0.2)
    assert performed(over) == (Status.Lost, "cancelled" if cancelled else "timed_out")


def test_endless_output_is_ended() -> None:
    """A bound on bytes, not on memory alone."""
    over = held(LocalLink("here"), program_of(Command(text="yes")), output=1_000_000)
    assert performed(over) == (Status.Failed, "output_limit")


@pytest.mark.parametrize("early", [True, False])
def test_a_host_of_memory_ends_what_it_does_when_it_is_cancelled(early: bool) -> None:
    """Told before it has begun to answer, or while it does: its death is confirmed at once."""
    brake = Brake()

    async def pause(host: kx.Host, command: Any) -> None:
        if not early:
            brake.stop("enough", cancel=True)
        await anyio.sleep_forever()

    async def take(event: frames.Event) -> None:
        if early and isinstance(event, frames.Began):
            brake.stop("enough", cancel=True)

    async def main() -> Over:
        link = await kx.MemoryConnector(pause=pause).connect(kx.Host("a"), kx.Cluster([kx.Host("a")]))
        assert isinstance(link, Answering)
        with anyio.fail_after(5):
            return await ask(link, [Op(index=0, command=Command(text="x"), group=0)], brake, take, Redactor(), set())

    assert performed(anyio.run(main)) == (Status.Cancelled, "cancelled")


@pytest.mark.parametrize("stream", [1, 2])
def test_what_was_said_instead_of_starting_a_shell_is_in_the_record(stream: int) -> None:
    """A prefix that cannot reach its container says why, and so does an account without a shell."""
    way = kx.Via("sh", "-c", f"echo 'cannot reach the daemon' >&{stream}; exit 7", "x")
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
    (result,) = kx.report_of(kx.run(pipeline, kx.Cluster([kx.Host("box", connect=way)])))
    assert (result.status, result.reason) == (kx.Status.Unreachable, "no_exec")
    assert result.error is not None
    assert result.error.what == "what should start a shell ended with 7 before it ran anything: cannot reach the daemon"
    assert "cannot reach the daemon\n" in (str(result.stdout), str(result.stderr))
