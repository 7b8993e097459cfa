"""What is written in one round of the event loop goes out as one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kxflow.connectors.ssh_dial import Gathering


class _Wire(asyncio.Transport):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 22)})
        self.seen: list[Any] = []

    def write(self, data: Any) -> None:
        self.seen.append(bytes(data))

    def close(self) -> None:
        self.seen.append("close")

    def abort(self) -> None:
        self.seen.append("abort")


def gathering() -> tuple[_Wire, Gathering]:
    """Both, connected."""
    wire = _Wire()
    return wire, Gathering(wire)


def test_writes_of_one_round_go_out_together_and_in_order() -> None:
    """And those of the next round after them."""
    wire, its = gathering()

    async def write() -> None:
        its.write(b"a")
        its.write(b"b")
        assert wire.seen == []
        await asyncio.sleep(0)
        its.write(b"c")
        await asyncio.sleep(0)

    asyncio.run(write())
    assert wire.seen == [b"ab", b"c"]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_what_was_written_goes_out_before_the_end(end: str) -> None:
    """A farewell and a hang-up in one round: the server hears both."""
    wire, its = gathering()

    async def write() -> None:
        its.write(b"bye")
        getattr(its, end)()
        await asyncio.sleep(0)

    asyncio.run(write())
    assert wire.seen == [b"bye", end]


def test_much_is_not_held() -> None:
    """The transport's own measures against too much in memory see it at once."""
    wire, its = gathering()

    async def write() -> None:
        its.write(bytes(1 << 18))
        assert wire.seen == [bytes(1 << 18)]

    asyncio.run(write())


def test_all_else_is_the_transports_own() -> None:
    """Whoever asks for the peer is told."""
    assert gathering()[1].get_extra_info("peername") == ("127.0.0.1", 22)
