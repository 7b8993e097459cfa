"""A fleet of SSH hosts inside this process: needs nothing installed, and no root."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncssh

from kxflow.testing.embedded_server import Knobs, LoopThread, Served
from kxflow.testing.fleet import Fleet, Ground, Roles, Variables, end_marked, folder, lay, marked, me
from kxflow.values.cluster import Cluster


class EmbeddedFleet(Fleet):
    """Hosts that run; made by `embedded_fleet`.

    Attributes:
        cluster: Its hosts, each with everything to log in.
    """

    def __init__(self, ground: Ground, served: dict[str, Served], loop: LoopThread, user: str) -> None:
        super().__init__(ground)
        self._served, self._loop = served, loop
        self.cluster: Cluster = ground.cluster({name: each.port for name, each in served.items()}, user)

    def home(self, name: str) -> Path:
        """A host's home folder: where its processes begin."""
        return self._served[name].member.home

    def port(self, name: str) -> int:
        """Where a host listens, on 127.0.0.1."""
        return self._served[name].port

    def connections(self, name: str) -> int:
        """How many are open now."""
        return self._loop.call(lambda: len(self._served[name].connections))

    def accepted(self, name: str) -> int:
        """How many there were."""
        return self._served[name].accepted

    def drop(self, name: str) -> None:
        """Cut every connection to a host, hard. Its processes find their stdin ended, and nothing else."""
        self._loop.call(self._served[name].drop)

    def stop(self, name: str) -> None:
        """A host refuses new connections; those that are open stay."""
        self._loop.call(self._served[name].stop)

    def start(self, name: str) -> None:
        """It listens again, on the same port."""
        self._loop.run(self._served[name].start())

    def processes(self, name: str) -> set[int]:
        """What runs on a host, daemons too; only where there is a /proc."""
        return marked(self._ground.mark(name))

    def __repr__(self) -> str:
        return f"EmbeddedFleet({', '.join(self._served)})"


@contextmanager
def embedded_fleet(
    n: int | None = None,
    *,
    names: Sequence[str] | None = None,
    roles: Roles | None = None,
    vars: Variables | None = None,  # noqa: A002 -- the field's word
    user: str | None = None,
    knobs: Knobs | None = None,
    latency: float = 0.0,
    max_sessions: int | None = None,
    refuse: Collection[str] = (),
    password: str | None = None,
) -> Iterator[EmbeddedFleet]:
    """SSH hosts on loopback: own port, host key and home each, real `/bin/sh` processes.

    What the hosts started is ended with them, also daemons, where there is a /proc.

    >>> with embedded_fleet(2, roles=lambda i: {"web"} if i else {"db"}) as fleet:
    ...     [(host.name, sorted(host.roles)) for host in fleet.hosts]
    [('host1', ['db']), ('host2', ['web'])]

    Args:
        n: How many; 1, or as many as names.
        names: `host1`, `host2`, … where not given.
        roles: By index from 0 or by name: `{0: ["db"]}`, `{"host1": ["db"]}`, or a function of the index.
        vars: As `roles`.
        user: Name to log in with; who runs this, where not given. Processes run as who runs this.
        knobs: All of the following, and more, in one value.
        latency: Seconds of a round trip.
        max_sessions: Processes at a time on one connection.
        refuse: Names of hosts that let nobody in.
        password: Lets in, too.

    Raises:
        InvalidError: Roles or variables of a host that there is not.
    """
    settled = knobs or Knobs(latency=latency, max_sessions=max_sessions, refuse=frozenset(refuse), password=password)
    login = user or me()
    loop = LoopThread()
    with folder() as root:
        ground = lay(n, names=names, roles=roles, variables=vars, root=Path(root))
        authorized = asyncssh.read_public_key(f"{ground.key}.pub")
        served = {m.name: Served(m, ground.mark(m.name), login, authorized, settled) for m in ground.members}
        loop.start()
        try:
            loop.run(_start(served))
            yield EmbeddedFleet(ground, served, loop, login)
        finally:
            loop.run(_stop(served))
            end_marked(ground.token)
            loop.call(lambda: _end_sessions(served))
            loop.stop()


async def _start(served: dict[str, Served]) -> None:
    await asyncio.gather(*(each.start() for each in served.values()))


def _end_sessions(served: dict[str, Served]) -> None:
    for each in served.values():
        for session in list(each.sessions):
            session.end()


async def _stop(served: dict[str, Served]) -> None:
    open_ = [conn for each in served.values() for conn in each.connections]
    for each in served.values():
        each.stop()
        each.drop()
    await asyncio.gather(*(conn.wait_closed() for conn in open_))
