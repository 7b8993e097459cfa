"""A TCP relay on loopback that cuts connections: at a byte, at once, or by going silent."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_RESET: Final = struct.pack("ii", 1, 0)


class _Side(asyncio.Protocol):
    """One side of a connection; what comes in goes out on the other."""

    def __init__(self, cutter: Cutter, *, counted: bool) -> None:
        self.cutter = cutter
        self.counted = counted
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []
        self.passed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream protocol gets a stream transport
        if self.other is not None:
            early, self.other.early = self.other.early, []
            for data in early:
                self.send(data)

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.other.early.append(data)  # type: ignore[union-attr]  # both are made together
        else:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        if self.cutter.silent:
            return
        limit = self.cutter.limit if self.counted else None
        if limit is not None and self.passed + len(data) >= limit:
            self.other.send(data[: limit - self.passed])
            asyncio.get_running_loop().call_soon(self.reset)
            return
        self.passed += len(data)
        self.cutter.bytes_back = max(self.cutter.bytes_back, self.passed if self.counted else 0)
        self.other.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other is not None and self.other.transport is not None and not self.cutter.silent:
            self.other.transport.close()

    def reset(self) -> None:
        """End both sides at once, with what was written to ours gone out; the host's is reset."""
        for each, hard in ((self, self.counted), (self.other, not self.counted)):
            if each is None or each.transport is None:
                continue
            sock: Any = each.transport.get_extra_info("socket")
            if hard and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.transport.abort()
            else:
                each.transport.close()


class Cutter:
    """Listens on a port of its own and passes on to another.

    Attributes:
        port: Where it listens.
        limit: Cut when so many bytes have come back from the host; None for never.
        silent: Pass nothing on any more, and close nothing.
        bytes_back: Most bytes that came back on one connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, to: int) -> None:
        self._loop = loop
        self._to = to
        self._sides: list[_Side] = []
        self._dials: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.limit: int | None = None
        self.silent = False
        self.bytes_back = 0

    async def listen(self) -> None:
        """Begin."""
        self._server = await self._loop.create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Listen no more, end what there is."""
        if self._server is not None:
            self._server.close()
        for each in self._dials:
            each.cancel()
        for side in self._sides:
            if side.transport is not None:
                side.transport.abort()
        await asyncio.sleep(0)

    def _accept(self) -> asyncio.Protocol:
        near, far = _Side(self, counted=False), _Side(self, counted=True)
        near.other, far.other = far, near
        self._sides += [near, far]
        dial = self._loop.create_task(self._dial(near, far))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return near

    async def _dial(self, near: _Side, far: _Side) -> None:
        try:
            await self._loop.create_connection(lambda: far, "127.0.0.1", self._to)
        except OSError:
            if near.transport is not None:
                near.transport.abort()

    def cut(self) -> None:
        """Reset every connection now."""

        def work() -> None:
            for side in self._sides:
                if side.counted:
                    side.reset()

        self._loop.call_soon_threadsafe(work)


@contextmanager
def cutters(*ports: int) -> Iterator[list[Cutter]]:
    """One for each of these ports, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = [Cutter(loop, port) for port in ports]
    for each in found:
        asyncio.run_coroutine_threadsafe(each.listen(), loop).result(10)
    try:
        yield found
    finally:
        for each in found:
            asyncio.run_coroutine_threadsafe(each.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
