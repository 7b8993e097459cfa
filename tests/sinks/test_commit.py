"""Group commit: who comes while a write goes on shares the next one."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from kxflow.journal.record import LogRepaired
from kxflow.sinks.commit import GroupCommit
from kxflow.sinks.disk import Disk
from kxflow.sinks.logfile import open_log


def entry(number: int) -> LogRepaired:
    """A record that is told from others."""
    return LogRepaired(run="r", offset=number, size=1, sha256="0" * 64, saved="x")


def made(path: Path, sync: Callable[[int], None]) -> GroupCommit:
    """On a disk whose sync is this."""
    log, _ = open_log(path, sync=True, disk=Disk(sync=sync), now=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    return GroupCommit(log)


def offsets(path: Path) -> list[int]:
    """What is in a log, in order."""
    return [int(line.split(b'"offset":')[1].split(b",")[0]) for line in path.read_bytes().splitlines()]


@pytest.mark.anyio
async def test_many_at_once_are_one_write_and_in_order(tmp_path: Path) -> None:
    """As often as they come together: who was woken together comes along in one write again."""
    syncs: list[int] = []
    commit = made(tmp_path / "log", syncs.append)

    async def write(number: int) -> None:
        for each in range(3):
            await commit([entry(10 * each + number)])

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(write, number)
    await commit.aclose()
    found = offsets(tmp_path / "log")
    assert [sorted(found[i : i + 5]) for i in (0, 5, 10)] == [list(range(i, i + 5)) for i in (0, 10, 20)]
    assert len(syncs) == 3


def test_others_are_written_where_the_one_who_writes_is_cancelled(tmp_path: Path) -> None:
    """A cancel of asyncio's own, that no shield keeps out: nothing is lost, nothing is written twice."""
    let = threading.Event()

    def sync(fd: int) -> None:
        let.wait(10)
        os.fsync(fd)

    async def work() -> None:
        commit = made(tmp_path / "log", sync)
        tasks = [asyncio.ensure_future(commit([entry(number)])) for number in range(4)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()
        late = asyncio.ensure_future(commit([entry(4)]))
        await asyncio.sleep(0.05)
        let.set()
        await asyncio.gather(*tasks[1:], late)
        await commit.aclose()

    asyncio.run(work())
    assert offsets(tmp_path / "log") == [0, 1, 2, 3, 4]
