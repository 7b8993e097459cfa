"""Hosts that answer without processes, for tests and for trying a pipeline out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import anyio
from attrs import field, frozen

from kxflow.interpreters.ports import Exit, Link, LinkBrokenError, ReachError, Reply
from kxflow.values.action import Command
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Host

Answer: TypeAlias = Callable[[Host, Command[Any]], Reply | str | int | Fault | None]


def _succeed(host: Host, command: Command[Any]) -> Reply:
    del host, command
    return Reply()


@frozen
class MemoryConnector:
    """Answers every command by a function; no process, no network.

    >>> hosts = MemoryConnector(lambda host, command: f"{host.name}: {command}")

    Attributes:
        answer: From host and command to a `Reply`; text is a success with that output, a number an exit status,
            None a connection that is lost in the middle of it.
        refuse: From a host to the fault with which it cannot be reached; None where it can.
        pause: Awaited before each answer: lets tests hold a host.
    """

    answer: Answer = _succeed
    refuse: Callable[[Host], Fault | None] = field(default=lambda _: None)
    pause: Callable[[Host, Command[Any]], Any] | None = None

    async def connect(self, host: Host, cluster: Cluster) -> Link:
        """A link to a host of the imagination.

        Raises:
            ReachError: `refuse` says so.
        """
        del cluster
        fault = self.refuse(host)
        if fault is not None:
            raise ReachError(fault)
        return MemoryLink(host, self)

    async def aclose(self) -> None:
        """Nothing to give up."""


class MemoryLink:
    """A link that answers commands itself."""

    def __init__(self, host: Host, connector: MemoryConnector) -> None:
        self._host = host
        self._connector = connector
        self._alive = True

    @property
    def alive(self) -> bool:
        """Not closed, not lost."""
        return self._alive

    async def answer(self, command: Command[Any], /) -> Reply | None:
        """Perform a command; None where the connection is lost in the middle of it."""
        if self._connector.pause is not None:
            await self._connector.pause(self._host, command)
        said = self._connector.answer(self._host, command)
        if said is None:
            self._alive = False
            return None
        if isinstance(said, Fault):
            return Reply(exit_code=1, stderr=said.what.encode())
        if isinstance(said, int):
            return Reply(exit_code=said)
        return Reply(stdout=said.encode()) if isinstance(said, str) else said

    async def spawn(self, argv: Sequence[str]) -> MemoryProcess:
        """A process whose output is the answer to its argv.

        Raises:
            LinkBrokenError: The link was closed.
        """
        if not self._alive:
            raise LinkBrokenError("the link was closed")
        text = argv[2] if tuple(argv[:2]) == ("sh", "-c") else None
        command: Command[Any] = Command(text=text) if text is not None else Command(argv=tuple(argv))
        return MemoryProcess(await self.answer(command))

    async def aclose(self) -> None:
        """Close it."""
        self._alive = False


class MemoryProcess:
    """A process that has ended when it begins."""

    def __init__(self, reply: Reply | None) -> None:
        self._out = reply.stdout if reply is not None else b""
        self._err = reply.stderr if reply is not None else b""
        self._exit = Exit(reply.exit_code) if reply is not None else Exit(None, received=False)

    async def write(self, data: bytes) -> None:
        """It reads nothing."""
        del data
        await anyio.lowlevel.checkpoint()

    async def close_stdin(self) -> None:
        """It reads nothing."""

    async def read_stdout(self) -> bytes:
        """The next 64 KiB of what the answer said."""
        part, self._out = self._out[:65536], self._out[65536:]
        return part

    async def read_stderr(self) -> bytes:
        """The next 64 KiB of what the answer said."""
        part, self._err = self._err[:65536], self._err[65536:]
        return part

    async def wait(self) -> Exit:
        """As the answer said."""
        return self._exit

    async def kill(self) -> None:
        """It is over."""
