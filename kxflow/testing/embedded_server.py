"""The SSH servers of an embedded fleet, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import asyncssh
from attrs import define, field, frozen

from kxflow.testing.embedded_session import EmbeddedSession
from kxflow.testing.fleet import LOOPBACK, MARK, Member
from kxflow.testing.relay import Relay

T = TypeVar("T")


@frozen
class Knobs:
    """How the hosts of an embedded fleet behave.

    Attributes:
        latency: Seconds of a round trip.
        max_sessions: Processes at a time on one connection; no limit where None.
        refuse: Names of hosts that let nobody in.
        password: Lets in, too; by `password` and by `keyboard-interactive`.
        forwarding: They may be jump hosts.
    """

    latency: float = 0.0
    max_sessions: int | None = None
    refuse: frozenset[str] = frozenset()
    password: str | None = None
    forwarding: bool = True


@define(eq=False)
class Served:
    """One host while it runs."""

    member: Member
    mark: str
    user: str
    authorized: asyncssh.SSHKey
    knobs: Knobs
    port: int = 0
    connections: set[asyncssh.SSHServerConnection] = field(factory=set)
    sessions: set[EmbeddedSession] = field(factory=set)
    accepted: int = 0
    listener: asyncssh.SSHAcceptor | None = None
    relay: Relay | None = None

    async def start(self) -> None:
        """Listen; on the port it had before, if any."""
        direct = self.port if not self.knobs.latency else 0
        self.listener = await asyncssh.listen(
            LOOPBACK,
            direct,
            server_factory=lambda: _Server(self),
            server_host_keys=[str(self.member.host_key)],
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            gss_host=None,
            compression_algs=None,
            login_timeout=60,
        )
        port = self.listener.get_port()
        if self.knobs.latency:
            self.relay = Relay(self.knobs.latency, port)
            port = await self.relay.listen(self.port)
        self.port = port

    def stop(self) -> None:
        """Listen no more; connections stay."""
        if self.listener is not None:
            self.listener.close()
        if self.relay is not None:
            self.relay.close()

    def drop(self) -> None:
        """Cut every connection, by a reset where the system can."""
        if self.relay is not None:
            self.relay.cut()
        for each in list(self.connections):
            sock = each.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.abort()

    def env(self, user: str) -> Mapping[str, str]:
        """Of its processes: little, as sshd gives, with the PATH of whoever runs the fleet."""
        return {
            "HOME": str(self.member.home),
            "LOGNAME": user,
            "USER": user,
            "SHELL": "/bin/sh",
            "PATH": os.environ.get("PATH", os.defpath),
            MARK: self.mark,
        }


class _Server(asyncssh.SSHServer):
    """One connection to a host."""

    def __init__(self, host: Served) -> None:
        self._host = host
        self._conn: asyncssh.SSHServerConnection | None = None
        self._sessions: set[EmbeddedSession] = set()
        self._user = host.user

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._host.connections.add(conn)
        self._host.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._conn is not None:
            self._host.connections.discard(self._conn)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._open and key == self._host.authorized

    def password_auth_supported(self) -> bool:
        return self._host.knobs.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        return self._open and password == self._host.knobs.password

    @property
    def _open(self) -> bool:
        return self._host.member.name not in self._host.knobs.refuse

    def session_requested(self) -> EmbeddedSession | bool:
        limit = self._host.knobs.max_sessions
        if limit is not None and len(self._sessions) >= limit:
            return False
        session = EmbeddedSession(
            self._host.member.home, self._host.env(self._user), self._ended, self._host.sessions.discard
        )
        self._sessions.add(session)
        self._host.sessions.add(session)
        return session

    def _ended(self, session: EmbeddedSession) -> None:
        self._sessions.discard(session)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return self._host.knobs.forwarding


class LoopThread:
    """An event loop in a thread, for servers that must run beside whatever else does, in a notebook too."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="kxflow-fleet", daemon=True)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def start(self) -> None:
        """Returns once it runs."""
        self._thread.start()
        self._ready.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def call(self, work: Callable[[], T]) -> T:
        """The same for a plain function."""

        async def called() -> T:
            return work()

        return self.run(called())

    def stop(self) -> None:
        """Returns once it is over."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)
