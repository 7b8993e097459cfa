"""Memory follows concurrency, not the size of the fleet, when a stream is not kept: measured, not counted."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc
from typing import Any

import kxflow as kx

OUTPUT = 20_000
FEW = 150


def peak(hosts: int, concurrency: int = 20) -> int:
    """The most bytes held at a time between the first and the last event of a run whose events are let go at once.

    Every host does three steps, of two tasks, with an output of its own of 20 kB each. What a fleet of that size takes
    by itself (its hosts, the plan) is there before, and does not count.
    """
    number = itertools.count()

    def answer(host: kx.Host, command: Any) -> kx.Reply:
        return kx.Reply(stdout=b"%d " % next(number) * (OUTPUT // 8))

    made = kx.command("made", "made", parse=len)

    @kx.step(size=kx.from_here(made))
    def used(ctx: kx.HostContext, size: int) -> kx.Action[Any]:
        return kx.cmd("used", size)

    tasks = [kx.task("one", made, used), kx.task("two", kx.command("c", "c"))]
    pipeline = kx.pipeline("p", kx.module("m", *tasks))
    fleet = kx.Cluster([kx.Host(f"h{i}") for i in range(hosts)])

    async def main() -> int:
        stream = kx.stream(
            pipeline, fleet, connector=kx.MemoryConnector(answer), concurrency=concurrency, open_connections=20
        )
        async with stream:
            assert isinstance(await anext(stream), kx.RunBegan)
            gc.collect()
            tracemalloc.start()
            try:
                async for event in stream:
                    del event
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    return asyncio.run(main())


def test_the_peak_of_memory_does_not_grow_with_the_fleet() -> None:
    """Four times the hosts, about the same peak; kept, the outputs alone would be four times as much."""
    few, many = peak(FEW), peak(4 * FEW)
    assert many < 1.4 * few
    assert many < FEW * 3 * OUTPUT  # of the outputs of all steps not a quarter


def test_the_peak_of_memory_follows_concurrency() -> None:
    """The same fleet, more hosts at a time: more is under way."""
    assert peak(FEW, 5) < peak(FEW, 100)
