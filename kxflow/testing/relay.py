"""A TCP relay on loopback that makes a connection slow, as if the host were far away."""

from __future__ import annotations

import asyncio
from collections import deque


class _Side(asyncio.Protocol):
    """One of the two sides: what comes in here goes out on the other, later."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes | None]] = deque()  # due time; None is the end
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream protocol gets a stream transport
        if self.other is not None:
            self.other.flush()

    def data_received(self, data: bytes) -> None:
        self._hold(data)

    def eof_received(self) -> bool:
        self._hold(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._hold(None)

    def _hold(self, data: bytes | None) -> None:
        self._held.append((asyncio.get_running_loop().time() + self.delay, data))
        self.flush()

    def flush(self) -> None:
        """Pass on what is due, in order."""
        loop = asyncio.get_running_loop()
        out = self.other.transport if self.other is not None else None
        while out is not None and self._held and self._held[0][0] <= loop.time() + 1e-4:
            _, data = self._held.popleft()
            if data is None:
                out.close()
            else:
                out.write(data)
        if self._held and out is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(self._held[0][0], self.flush)


class Relay:
    """Listens on a port of its own and passes on to another, each way half the latency later.

    Args:
        latency: Seconds of one round trip.
        port: Where to pass on to.
        address: The same, on loopback.
    """

    def __init__(self, latency: float, port: int, address: str = "127.0.0.1") -> None:
        self._delay, self._port, self._address = latency / 2, port, address
        self._sides: set[_Side] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> int:
        """Begin; the port it listens on."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def _accept(self) -> asyncio.Protocol:
        near, far = _Side(self._delay), _Side(self._delay)
        near.other, far.other = far, near
        self._sides |= {near, far}
        dial = asyncio.ensure_future(self._dial(near, far))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return near

    async def _dial(self, near: _Side, far: _Side) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, self._address, self._port)
        except OSError:
            if near.transport is not None:
                near.transport.abort()

    def cut(self) -> None:
        """End every connection at once."""
        for each in self._sides:
            if each.transport is not None:
                each.transport.abort()
        self._sides.clear()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()
