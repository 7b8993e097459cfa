"""A host that is told to end when its failed step has just ended: what is behind it never began."""

from __future__ import annotations

import re
from collections.abc import Sequence

import anyio
from attrs import define, field

import kxflow as kx
from kxflow.interpreters.ports import Exit, Link, Process


@define(eq=False)
class _Played:
    """A program whose first step fails, and which is slow to halt: the order to end it comes first."""

    body: bytes = b""
    said: dict[str, bytes] = field(factory=lambda: {"out": b"", "err": b""})
    news: anyio.Event = field(factory=anyio.Event)
    ended: anyio.Event = field(factory=anyio.Event)

    def say(self, *words: str) -> None:
        found = re.search(rb"kx_n=([0-9a-f]{32})", self.body)
        assert found is not None
        frames = b"".join(b"\0" + found[1] + b" " + each.encode() + b"\0" for each in words)
        self.said = {name: data + frames for name, data in self.said.items()}
        news, self.news = self.news, anyio.Event()  # by whoever tells: two readers wait for the same one
        news.set()

    async def write(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if data == b"kill\n":
            self.ended.set()
            self.say("k kill 1")
            return
        self.body += data
        if self.body.endswith(b"kx_done"):
            self.say("u", "b 0", "e 0 ran 1")

    async def close_stdin(self) -> None:
        pass

    async def _read(self, name: str) -> bytes:
        while not self.said[name] and not self.ended.is_set():
            await self.news.wait()
        data, self.said[name] = self.said[name], b""
        return data

    async def read_stdout(self) -> bytes:
        return await self._read("out")

    async def read_stderr(self) -> bytes:
        return await self._read("err")

    async def wait(self) -> Exit:
        await self.ended.wait()
        return Exit(None, "KILL")

    async def kill(self) -> None:
        self.ended.set()


class _Stage:
    """The connector and its only link."""

    alive = True

    async def connect(self, host: kx.Host, cluster: kx.Cluster) -> Link:
        return self

    async def spawn(self, argv: Sequence[str]) -> Process:
        return _Played()

    async def aclose(self) -> None:
        pass


def test_a_step_behind_a_failed_one_is_not_run_when_the_order_to_end_finds_nothing_in_progress() -> None:
    """It is NotRun, never Cancelled: it had not begun."""
    task = kx.task("t", kx.command("a", "exit 1"), kx.command("b", "true"), policy=kx.fail_fast(cancel=True))
    pipeline = kx.pipeline("p", kx.module("m", task))
    its = kx.report_of(kx.run(pipeline, kx.Cluster([kx.Host("h")]), connector=_Stage()))
    assert [(each.step, each.status.name) for each in its] == [("a", "Failed"), ("b", "NotRun")]
