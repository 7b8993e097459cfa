"""Reach hosts by SSH: one connection a host, host keys always checked, each fault with its own name."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
import asyncssh
from attrs import evolve

from kxflow.connectors import hostkeys
from kxflow.connectors.recent import Recent
from kxflow.connectors.ssh_dial import Road
from kxflow.connectors.ssh_errors import Seen, explain, unreachable
from kxflow.connectors.ssh_keys import Keys, agent_path
from kxflow.connectors.ssh_link import SshLink
from kxflow.connectors.ssh_login import Identity, Login, changed, settings
from kxflow.connectors.ssh_target import Target, chain, reads
from kxflow.interpreters.ports import ReachError
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.fault import Fault
from kxflow.values.host import Host, Ssh

# A drop beyond MaxStartups is common when many log in at once; a refused connection may be a server that restarts.
TRIES: Final[Mapping[str, int]] = {"refused": 3, "throttled": 6, "handshake": 2}
_FIRST_DELAY: Final = {"throttled": 0.25}
_LONGEST: Final = 8.0
_CLOSE_SECONDS: Final = 1.5


def _silence(name: str = "asyncssh") -> None:
    """Its log is its own affair: without a handler Python would print warnings to stderr."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # else a user's basicConfig(level=INFO) shows a line per connection


_BY_JUMP: Final = "its jump host: "


def _by_jump(fault: Fault) -> Fault:
    """Whose fault it is, in words too: a line that names the host alone would blame that."""
    return evolve(fault, what=f"{_BY_JUMP}{fault.what}")


class SshConnector:
    """Opens SSH connections; remembers the keys of hosts for as long as it lives, and shares jump hosts.

    Needs a running asyncio loop, the same for its whole life.

    Args:
        tries: How often to try by fault; 1 for those not named.
        sleep: Waits between tries.
        rng: A number in [0, 1) that spreads the tries of many hosts.
        session_wait: See `SshLink`.
    """

    def __init__(
        self,
        *,
        tries: Mapping[str, int] | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        rng: Callable[[], float] = random.random,
        session_wait: float = 3600.0,
    ) -> None:
        _silence()
        self._tries = TRIES if tries is None else tries
        self._sleep, self._rng, self._session_wait = sleep, rng, session_wait
        self._keys = Keys()
        self._pins: dict[tuple[str, int, str | None], bytes] = {}
        self._books: Recent[hostkeys.Book] = Recent()
        self._jumps: dict[tuple[Target, ...], asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def connect(self, host: Host, cluster: Cluster) -> SshLink:
        """Log in, by way of its jump hosts.

        Raises:
            ReachError: See the fault's code.
            InvalidError: The host is not reached by SSH.
        """
        ssh = cluster.connect_of(host)
        if not isinstance(ssh, Ssh):
            raise InvalidError(f"host {host.name} is not reached by SSH", "use connectors.default_connector()")
        _need_asyncio(host)
        try:
            targets = await anyio.to_thread.run_sync(chain, host, ssh) if reads(ssh) else chain(host, ssh)
        except InvalidError as error:
            raise unreachable("config", error.what, host.name, error.remedy) from None
        conn = await self._through(targets)
        return SshLink(conn, targets[-1].where, session_wait=self._session_wait, sleep=self._sleep)

    async def aclose(self) -> None:
        """Close the connections to jump hosts, and with them what goes through."""
        open_ = [done.result() for done in self._jumps.values() if _opened(done)]
        for each in self._jumps.values():
            each.cancel()
        self._jumps.clear()
        for conn in open_:
            conn.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            for conn in open_:
                await conn.wait_closed()

    async def _through(self, targets: Sequence[Target]) -> asyncssh.SSHClientConnection:
        """Log in to the last, trying again what may pass."""
        tried: Counter[str] = Counter()
        while True:
            try:
                jump = await self._jump(tuple(targets[:-1]))
                return await self._login(targets[-1], jump)
            except ReachError as error:
                code = error.fault.code
                tried[code] += 1
                if tried[code] >= self._tries.get(code, 1) or error.fault.where != targets[-1].where:
                    raise
                await self._sleep(self._delay(code, tried[code]))

    def _delay(self, code: str, tries: int) -> float:
        longest: float = min(_FIRST_DELAY.get(code, 0.1) * 2 ** (tries - 1), _LONGEST)
        return longest * (0.5 + self._rng())

    async def _jump(self, targets: tuple[Target, ...]) -> asyncssh.SSHClientConnection | None:
        """The connection that hosts behind the same jump hosts share.

        Those that come while it is made share its fault, too: else each would wait for it anew.
        """
        if not targets:
            return None
        making = self._jumps.get(targets)
        if making is None or (making.done() and not (_opened(making) and not making.result().is_closed())):
            making = self._jumps[targets] = asyncio.ensure_future(self._through(targets))
            making.add_done_callback(_opened)  # looks at its fault, should nobody wait any more
        try:
            return await asyncio.shield(making)
        except ReachError as error:
            fault = error.fault if error.fault.what.startswith(_BY_JUMP) else _by_jump(error.fault)
            raise ReachError(evolve(fault, where=targets[-1].where)) from None

    async def _login(self, target: Target, jump: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        socket = agent_path(target)
        agent = asyncssh.SSHAgentClient(socket) if socket else None
        try:
            identity = await self._identity(target)
            seen = Seen(wanted=tuple(identity.algorithms()))
            login = Login(target, identity, await self._keys.of(target, agent), seen)
            conn = await self._open(target, identity, login, seen, jump)
        finally:
            if agent is not None:
                agent.close()
        try:
            await self._remember(target, login, conn)
        except BaseException:
            conn.abort()
            raise
        return conn

    async def _open(
        self,
        target: Target,
        identity: Identity,
        login: Login,
        seen: Seen,
        jump: asyncssh.SSHClientConnection | None,
    ) -> asyncssh.SSHClientConnection:
        road = Road(target.where, target.ssh.connect_timeout, seen, through=jump)

        async def open_() -> asyncssh.SSHClientConnection:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(None) as limit:
                road.connected = lambda: limit.reschedule(loop.time() + target.ssh.login_timeout)
                return await asyncssh.connect(
                    target.address,
                    target.ssh.port,
                    tunnel=road,
                    client_factory=lambda: login,
                    **settings(target, identity),
                )

        # In a task of its own: asyncssh's clean-up after a cancellation must not be cancelled again.
        opening = asyncio.ensure_future(open_())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.cancel()
            opening.add_done_callback(_abort)
            raise
        except (OSError, asyncssh.Error, ValueError, TimeoutError) as error:
            raise ReachError(explain(error, seen, target.where)) from None

    async def _identity(self, target: Target) -> Identity:
        files = target.ssh.known_hosts
        try:
            book = await self._book(files)
        except OSError as error:
            what = f"{error.filename} cannot be read: {error.strerror}"
            raise unreachable("credential", what, target.where, "check known_hosts=") from None
        known = book.of(*_name(target))
        return Identity(known, self._pins.get(_pin(target)), files)

    async def _book(self, files: tuple[str, ...]) -> hostkeys.Book:
        """The files, read again only when they changed: with many hosts that is once."""
        return await self._books.of(files, partial(hostkeys.stamp, files), partial(hostkeys.read, files))

    async def _remember(self, target: Target, login: Login, conn: asyncssh.SSHClientConnection) -> None:
        key = conn.get_server_host_key()
        if key is None:
            raise unreachable("protocol", "it proved no key", target.where)
        blob = key.public_data
        if login.fresh:
            await self._accept(target, key.algorithm.decode(), blob)
        pinned = self._pins.setdefault(_pin(target), blob)
        if pinned != blob:  # a certificate for another key than before
            was = hostkeys.Known((hostkeys.Entry((), "", pinned, where="earlier in this run"),))
            raise ReachError(changed(target, was, blob))

    async def _accept(self, target: Target, algorithm: str, blob: bytes) -> None:
        files = target.ssh.known_hosts
        try:
            verdict = await anyio.to_thread.run_sync(hostkeys.accept, files, *_name(target), algorithm, blob)
        except OSError as error:
            what = f"its key cannot be written to {files[0]}: {error.strerror or error}"
            raise unreachable("hostkey_unknown", what, target.where, "accept_new=True needs a file to write") from None
        self._books.forget(files)
        if verdict in ("changed", "revoked"):
            raise ReachError(changed(target, (await self._book(files)).of(*_name(target)), blob))


def _name(target: Target) -> tuple[str, int]:
    return (target.alias, 22) if target.alias else (target.address, target.ssh.port)


def _pin(target: Target) -> tuple[str, int, str | None]:
    return (target.address, target.ssh.port, target.alias)


def _abort(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().abort()


def _opened(done: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
    return done.done() and not done.cancelled() and done.exception() is None


def _need_asyncio(host: Host) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        what = "SSH runs on asyncio only, and this is another event loop"
        raise unreachable("backend", what, host.name, 'use anyio.run(…, backend="asyncio")') from None
