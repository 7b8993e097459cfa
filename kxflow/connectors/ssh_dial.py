"""The way to an SSH server's port: by TCP or through a jump host, each phase with its own time limit and fault."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio.to_thread
import asyncssh
from attrs import define, field

from kxflow.connectors.late import finish_later
from kxflow.connectors.ssh_errors import Seen, server_host_key_algorithms, shown, unreachable
from kxflow.interpreters.ports import ReachError

_HEAD: Final = 4096
_GATHERED: Final = 1 << 18
_LOCAL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)


class Gathering:
    """Stands before a transport and sends what is written in one round of the event loop at once.

    asyncssh writes an empty packet before each one (MSG_IGNORE, against attacks on chained ciphers), and packets one
    by one: on its own each is a call to the system, and wakes the server.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send it, by the end of this round of the loop."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _GATHERED:
            self.flush()

    def flush(self) -> None:
        """Send what was written so far."""
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def abort(self) -> None:
        """Close at once; what was written goes out as far as the system takes it."""
        self.flush()
        self._transport.abort()

    def close(self) -> None:
        """Close when all is sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Tap(asyncio.Protocol):
    """Stands before asyncssh's protocol for the first bytes, and keeps them.

    They tell what an answer says that is no SSH, or which algorithms a server wanted that hung up. After the
    server's greeting and offer it steps aside.
    """

    def __init__(self, inner: asyncssh.SSHClientConnection, seen: Seen) -> None:
        self.inner = inner
        self._seen = seen
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream protocol gets a stream transport
        self.inner.connection_made(Gathering(self._transport))  # type: ignore[arg-type]  # all that asyncssh asks of one

    def data_received(self, data: bytes) -> None:
        if len(self._seen.head) < _HEAD:
            self._seen.head += data[: _HEAD - len(self._seen.head)]
        self.inner.data_received(data)
        version = self.inner.get_extra_info("server_version")
        if version:
            self._seen.version = str(version)
            if self._transport is not None and (
                len(self._seen.head) == _HEAD or server_host_key_algorithms(self._seen.head)
            ):
                self._transport.set_protocol(self.inner)

    def eof_received(self) -> None:
        self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


@define
class Road:
    """What asyncssh takes for a tunnel: it asks for a connection, and we make it.

    Attributes:
        where: The host, for messages.
        timeout: Seconds for the connection.
        seen: Told of what happens.
        connected: Called once the connection is there; the time for the log-in begins then.
        through: The jump host's connection; None goes by TCP.
    """

    where: str
    timeout: float
    seen: Seen
    connected: Callable[[], None] = field(default=lambda: None)
    through: asyncssh.SSHClientConnection | None = None

    async def create_connection(
        self, factory: Callable[[], asyncssh.SSHClientConnection], host: str, port: int
    ) -> tuple[Any, asyncssh.SSHClientConnection]:
        """Connect and hang asyncssh's protocol on it.

        Raises:
            ReachError: dns, refused, connect_timeout, no_route, local_limit.
        """
        try:
            async with asyncio.timeout(self.timeout):
                if self.through is not None:
                    return await self._jump(self.through, factory, host, port)
                return await self._direct(factory, host, port)
        except TimeoutError:
            what = f"no connection to {host} port {port} within {self.timeout:g} s"
            remedy = "is it up, and the port open in its firewall? raise connect_timeout="
            raise unreachable("connect_timeout", what, self.where, remedy) from None

    async def _jump(
        self,
        through: asyncssh.SSHClientConnection,
        factory: Callable[[], asyncssh.SSHClientConnection],
        host: str,
        port: int,
    ) -> tuple[Any, asyncssh.SSHClientConnection]:
        opening = asyncio.ensure_future(through.create_connection(factory, host, port))  # type: ignore[arg-type]  # asyncssh's own tunnels pass a connection, too
        channel, inner = await finish_later(opening, lambda opened: opened[0].abort())
        self.seen.connected = True
        self.connected()
        return channel, inner  # type: ignore[return-value]  # what the factory made

    async def _direct(
        self, factory: Callable[[], asyncssh.SSHClientConnection], host: str, port: int
    ) -> tuple[asyncio.BaseTransport, asyncssh.SSHClientConnection]:
        loop = asyncio.get_running_loop()
        sock = await self._first_that_answers(await self._resolve(host, port))
        self.seen.connected = True
        self.connected()
        transport, tap = await loop.create_connection(lambda: Tap(factory(), self.seen), sock=sock)
        return transport, tap.inner

    async def _resolve(self, host: str, port: int) -> list[tuple[int, Any]]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        with contextlib.suppress(socket.gaierror, UnicodeError):
            return _addresses(look_up(flags=socket.AI_NUMERICHOST))  # an IP address asks nobody
        try:
            # The time ends before that for the whole, so that a slow resolver is told apart. Not on the loop's own
            # few threads: asyncssh prepares every connection on those, and would wait for a slow resolver.
            async with asyncio.timeout(self.timeout * 0.9):
                return _addresses(await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True))
        except (socket.gaierror, UnicodeError) as error:
            raise self._dns(host, shown(str(error))) from None
        except TimeoutError:
            raise self._dns(host, "the resolver does not answer") from None

    def _dns(self, host: str, why: str) -> ReachError:
        return unreachable("dns", f"the name {host!r} cannot be resolved: {why}", self.where, "check the address")

    async def _first_that_answers(self, addresses: list[tuple[int, Any]]) -> socket.socket:
        """One after the other, each with its share of the time."""
        failures: list[OSError] = []
        for family, address in addresses:
            try:
                async with asyncio.timeout(self.timeout * 0.9 / len(addresses) if len(addresses) > 1 else None):
                    return await _connect(family, address)
            except (OSError, TimeoutError) as error:
                failures.append(error if isinstance(error, OSError) else TimeoutError(errno.ETIMEDOUT, "no answer"))
        raise self._failure(failures, addresses[0][1][:2])

    def _failure(self, failures: list[OSError], address: tuple[str, int]) -> ReachError:
        codes = {each.errno for each in failures}
        place = f"{address[0]} port {address[1]}"
        if errno.ECONNREFUSED in codes:
            return unreachable("refused", f"{place} refuses connections", self.where, "is sshd running there?")
        if codes & set(_LOCAL):
            remedy = "raise ulimit -n, or lower open_connections="
            return unreachable("local_limit", f"no more connections can be opened: {failures[0]}", self.where, remedy)
        if errno.ETIMEDOUT in codes:
            return unreachable("connect_timeout", f"no answer from {place}", self.where, "is it up?")
        why = re.sub(r"^\[Errno \d+\] ", "", str(failures[0]))
        return unreachable("no_route", f"{place} cannot be reached: {why}", self.where, "check network and address")


def _addresses(found: list[Any]) -> list[tuple[int, Any]]:
    return [(family, address) for family, _, _, _, address in found]


async def _connect(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
