"""The journal against real ends: SIGKILL, a file that may not grow, a task cancelled by asyncio itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from kxflow.interpreters.ports import Sent
from kxflow.sinks.disk import Disk
from kxflow.sinks.ndjson import ndjson, read_log
from kxflow.values.result import Position
from tests.journal.logs import began, ended, result

_WRITER: Final = """
import resource, sys
import anyio
from attrs import evolve
from kxflow.interpreters.ports import JournalError
from kxflow.sinks.ndjson import ndjson
from kxflow.values.output import Output
from tests.journal.logs import began, result

path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

async def host(journal, first):
    for place in range(first, 1_000_000, 8):
        await journal.ended([evolve(result(place, sys.argv[3]), stdout=Output.of(b"x" * (place * 997 % 60_000)))])
        print(place, flush=True)

async def main():
    journal = ndjson(path)
    await journal.begin(began(sys.argv[3]))
    async with anyio.create_task_group() as group:
        for first in range(8):
            group.start_soon(host, journal, first)

try:
    anyio.run(main)
except* JournalError as caught:
    print(caught.exceptions[0].fault.code, flush=True)
"""


def writer(path: Path, run: str, limit: int = 0) -> subprocess.Popen[bytes]:
    """A process that records as fast as it can, telling each result that was acknowledged."""
    argv = [sys.executable, "-c", _WRITER, str(path), str(limit), run]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()})  # noqa: PTH109


@pytest.mark.parametrize("kill_after", [1, 7, 40, 150])
def test_killed_writer_loses_nothing_acknowledged(tmp_path: Path, kill_after: int) -> None:
    """SIGKILL at any moment: every acknowledged result is read back, and the next run writes behind."""
    path = tmp_path / "run.ndjson"
    for run in ("first", "second"):
        process = writer(path, run)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(kill_after)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().splitlines()]
        process.stdout.close()
        assert process.wait(10) == -signal.SIGKILL
        log = read_log(path)
        assert log.run == run
        assert {each.position.host for each in log} >= set(told)
        assert not log.complete
    assert read_log(path).runs == ("first", "second")


def test_file_that_may_not_grow_keeps_whole_lines(tmp_path: Path) -> None:
    """At a real limit the system takes half a write and refuses the rest: whole lines stay, and the fault says why."""
    path = tmp_path / "run.ndjson"
    process = writer(path, "r1", limit=300_000)
    out, _ = process.communicate(timeout=30)
    *told, code = out.decode().split()
    assert code == "sink_full"
    assert path.read_bytes().endswith(b"\n")
    log = read_log(path)
    assert log.torn is None
    assert {each.position.host for each in log} >= set(map(int, told))
    assert told


def test_task_cancelled_by_asyncio_leaves_no_other_waiting(tmp_path: Path) -> None:
    """Its cancel reaches into shields: the write goes on in its thread, and the next caller gets its turn."""
    path = tmp_path / "run.ndjson"
    go, waiting = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        if read_log(path).sent and not go.is_set():
            waiting.set()
            assert go.wait(10)

    def sent(place: int) -> list[Sent]:
        return [Sent("web", "join", "join", f"web{place}", Position(0, 0, 0, place), "d")]

    async def main() -> None:
        journal = ndjson(path, disk=Disk(sync=sync))
        await journal.begin(began())
        first = asyncio.create_task(journal.sent(sent(0)))
        assert await asyncio.to_thread(waiting.wait, 10)
        second = asyncio.create_task(journal.sent(sent(1)))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        await asyncio.wait_for(second, 10)
        await journal.ended([result(1)])
        await journal.finish(ended())
        await journal.aclose()

    asyncio.run(main())
    log = read_log(path)
    assert [each.host for each in log.sent] == ["web0"]
    assert [each.host for each in log] == ["web1"]
