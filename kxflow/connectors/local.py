"""Reach this machine itself, by subprocesses."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

import anyio

from kxflow.connectors.pipes import PipeProcess, start
from kxflow.interpreters.ports import LinkBrokenError, ReachError
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Host

_FEW: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


class LocalLink:
    """Starts processes here.

    Args:
        where: The host, for messages.
        prefix: Words put before those of every command.
    """

    def __init__(self, where: str, prefix: Sequence[str] = ()) -> None:
        self._where, self._prefix = where, tuple(prefix)
        self._processes: list[PipeProcess] = []
        self._closed = False

    @property
    def alive(self) -> bool:
        return not self._closed

    async def spawn(self, argv: Sequence[str]) -> PipeProcess:
        """Start a process that leads a session of its own.

        Raises:
            InvalidError: A NUL in a word.
        """
        if self._closed:
            raise LinkBrokenError("the link is closed")
        try:
            process = await start((*self._prefix, *argv), alive=lambda: self.alive)
        except OSError as error:
            code = "local_limit" if error.errno in _FEW else "no_exec"
            what = f"{[*self._prefix, *argv][0]!r} cannot be started: {error.strerror or error}"
            raise ReachError(Fault(code, what, self._where)) from None
        self._processes = [*(each for each in self._processes if not each.over), process]
        return process

    async def aclose(self) -> None:
        """End the processes that still run."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for each in self._processes:
                    group.start_soon(each.kill)
        self._processes = []


class LocalConnector:
    """Every host is this machine."""

    async def connect(self, host: Host, cluster: Cluster) -> LocalLink:
        """A link that starts processes here; never fails."""
        return LocalLink(host.name)

    async def aclose(self) -> None:
        """Nothing is shared."""
