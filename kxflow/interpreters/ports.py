"""What the interpreters need from later floors, as small protocols."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

from attrs import frozen

from kxflow.values.action import Command
from kxflow.values.arguments import is_async
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError, KxflowError
from kxflow.values.event import Event, RunBegan, RunEnded
from kxflow.values.fault import Fault
from kxflow.values.host import Host
from kxflow.values.result import Position, StepResult


@frozen
class Exit:
    """How a process ended.

    Attributes:
        code: Exit status, None where none was received (the connection was cut, or a signal ended it).
        signal: Name without SIG, where the other side told one.
        received: The end itself was received from the other side: the connection was alive then.
    """

    code: int | None
    signal: str | None = None
    received: bool = True


class Process(Protocol):
    """A process on a host: three byte streams and its end."""

    async def write(self, data: bytes) -> None:
        """Put bytes on its stdin, all of them; waits while the other side does not read.

        Raises:
            LinkBrokenError: The connection is gone. A process that has closed its stdin is no error.
        """
        ...

    async def close_stdin(self) -> None:
        """End of file on its stdin; no error when it is gone."""
        ...

    async def read_stdout(self) -> bytes:
        """The next bytes of stdout, at most 64 KiB; empty at its end, also where the connection was cut."""
        ...

    async def read_stderr(self) -> bytes:
        """The next bytes of stderr, at most 64 KiB; empty at its end, also where the connection was cut."""
        ...

    async def wait(self) -> Exit:
        """Its end; comes also when the connection is cut. Does not need its streams to be read."""
        ...

    async def kill(self) -> None:
        """End it as far as the connector can, and give up what it holds (streams, an SSH channel).

        Returns within two seconds; no error when it is gone.
        """
        ...


class Link(Protocol):
    """A way to one host that stays open."""

    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a process there; several may run side by side as far as the host lets.

        Raises:
            LinkBrokenError: The connection is gone; nothing began.
            ReachError: The host refuses a process.
        """
        ...

    @property
    def alive(self) -> bool:
        """As far as is known."""
        ...

    async def aclose(self) -> None:
        """Close it; processes on it end. Never raises, takes at most two seconds."""
        ...


@frozen(kw_only=True)
class Reply:
    """What a host that answers commands itself says to one.

    Attributes:
        exit_code: 0 to 255.
        stdout, stderr: What the program wrote.
        value: What its `value=` command wrote; None where it has none.
        held: Its check said that it is done: the program was not started.
    """

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    value: bytes | None = None
    held: bool = False


@runtime_checkable
class Answering(Link, Protocol):
    """A link that answers commands itself, without a shell and without the wire's programs."""

    async def answer(self, command: Command[Any], /) -> Reply | None:
        """Perform a command; None where the connection is lost in the middle of it."""
        ...


def answers(link: Link) -> TypeGuard[Answering]:
    """It answers commands itself. By its one name: a check of the whole protocol costs more than a step does."""
    return hasattr(link, "answer")


class Connector(Protocol):
    """Opens links."""

    async def connect(self, host: Host, cluster: Cluster) -> Link:
        """Reach a host, identify it, log in.

        Raises:
            ReachError: It could not be reached, identified or logged in to; nothing began.
        """
        ...

    async def aclose(self) -> None:
        """Give up what all links share."""
        ...


@frozen
class ReachError(KxflowError, ConnectionError):
    """A host could not be reached, identified or logged in to: nothing began there.

    Attributes:
        fault: Its code is the reason: `dns`, `refused`, `connect_timeout`, `hostkey_unknown`,
            `hostkey_changed`, `auth`, `no_exec`, …
    """

    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)


@frozen
class LinkBrokenError(KxflowError, ConnectionError):
    """A connection that was open is gone."""

    what: str = "the connection is gone"

    def __str__(self) -> str:
        return self.what


class Sink(Protocol):
    """A function of the stream of events, at the edge.

    Called in a thread of its own, in order, one event at a time. What it raises becomes a fault of the run. Live output
    that it is too slow for is left out and counted, unless it is the `reader` of the run, for which hosts wait.
    It may have a method `close()`, called once after the last event.
    """

    def __call__(self, event: Event, /) -> object:
        """Take the next event."""
        ...


def check_sink(sink: object, name: str = "") -> None:
    """A sink can be called with an event, and what it does is done when it returns.

    Raises:
        InvalidError: It is no function, or async: nobody would await it.
    """
    what = f"{name}={sink!r}" if name else repr(sink)
    if not callable(sink):
        raise InvalidError(f"{what} is no sink", "give console(), or a function of an event")
    if is_async(sink):
        remedy = "use def, it has a thread of its own; or read kxflow.stream with async for"
        raise InvalidError(f"the sink {what} is async, and nobody awaits it", remedy)


def call_sink(sink: Sink, event: Event) -> None:
    """Hand a sink an event.

    Raises:
        TypeError: It gave a coroutine, which nobody awaits.
        Exception: What the sink raised.
    """
    given = sink(event)
    if inspect.iscoroutine(given):
        given.close()
        raise TypeError("it gave a coroutine, and nobody awaits it")


@frozen
class Sent:
    """A step that is about to be sent to a host.

    Attributes: its address, place and the digest of its action.
    """

    module: str
    task: str
    step: str
    host: str
    position: Position
    digest: str
    attempt: int = 1


@runtime_checkable
class Journal(Protocol):
    """A sink that is awaited: what it was told is durable when it returns."""

    async def begin(self, event: RunBegan) -> None:
        """The run begins.

        Raises:
            JournalError: It could not be written.
        """
        ...

    async def sent(self, steps: Sequence[Sent]) -> None:
        """A program with these steps is about to be sent to one host: nothing goes out before this returns.

        Raises:
            JournalError: It could not be written.
        """
        ...

    async def ended(self, results: Sequence[StepResult]) -> None:
        """These ended: they are handed on after this returns.

        Raises:
            JournalError: It could not be written.
        """
        ...

    async def finish(self, event: RunEnded) -> None:
        """The run is over.

        Raises:
            JournalError: It could not be written.
        """
        ...

    async def aclose(self) -> None:
        """Give up the file. Never raises."""
        ...


@frozen
class JournalError(KxflowError, OSError):
    """The journal could not record: the run must not go on as if it had."""

    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)


__all__ = [
    "Answering",
    "Connector",
    "Exit",
    "Journal",
    "JournalError",
    "Link",
    "LinkBrokenError",
    "Process",
    "ReachError",
    "Reply",
    "Sent",
    "Sink",
    "answers",
    "call_sink",
    "check_sink",
]
