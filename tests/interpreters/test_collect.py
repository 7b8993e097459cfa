"""What is recorded when: results before they are handed on and before more is sent, and no step waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest
from attrs import evolve

import kxflow as kx
from kxflow.interpreters.ports import JournalError, Sent
from kxflow.values.fault import Fault

HOST = kx.Cluster([kx.Host("a")])


class Notes:
    """A journal that notes what it is told, and records results only while its gate is open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.asked = anyio.Event()
        self.gate = anyio.Event()

    async def begin(self, event: kx.RunBegan) -> None:
        """Nothing to note."""

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Each step."""
        self.lines += [f"sent {each.step}" for each in steps]

    async def ended(self, results: Sequence[kx.StepResult]) -> None:
        """Each result, once the gate is open."""
        self.asked.set()
        await self.gate.wait()
        self.lines += [f"ended {each.step}" for each in results]

    async def finish(self, event: kx.RunEnded) -> None:
        """Nothing to note."""

    async def aclose(self) -> None:
        """Nothing to close."""


def pipeline(*names: str) -> kx.Pipeline:
    """One task of these steps."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *(kx.command(name, name) for name in names))))


def test_no_step_waits_for_the_disk_and_nothing_is_handed_on_before_it() -> None:
    """All steps of a program end while the first end is being written."""

    async def main() -> tuple[list[str], list[str], list[str]]:
        journal, done = Notes(), []

        async def pause(host: kx.Host, command: object) -> None:
            done.append(str(command))
            if str(command) == "c":
                await journal.asked.wait()

        connector = kx.MemoryConnector(pause=pause)
        events = kx.stream(pipeline("a", "b", "c"), HOST, connector=connector, sinks=[journal])
        handed: list[str] = []

        async def read() -> None:
            async for event in events:
                handed.extend([event.result.step] if isinstance(event, kx.StepEnded) else [])

        async with events, anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await journal.asked.wait()
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            before = [*handed]
            journal.gate.set()
        return done, before, handed

    assert asyncio.run(main()) == (["a", "b", "c"], [], ["a", "b", "c"])


@pytest.mark.parametrize("fuse", [True, False])
def test_what_ended_is_recorded_before_more_is_sent_to_its_host(fuse: bool) -> None:
    """A log never says of two programs of one host that both are on their way."""

    async def main() -> list[str]:
        journal = Notes()
        journal.gate.set()
        run = kx.arun(pipeline("a", "b"), HOST, connector=kx.MemoryConnector(), sinks=[journal], fuse=fuse)
        assert kx.report_of(await run).succeeded
        return journal.lines

    whole = ["sent a", "sent b", "ended a", "ended b"]
    assert asyncio.run(main()) == (whole if fuse else ["sent a", "ended a", "sent b", "ended b"])


@pytest.mark.parametrize("read", [1, 3, 5])
def test_a_stream_that_is_left_early_has_recorded_each_end_once(read: int) -> None:
    """Whatever was still on its way to the reader."""

    async def main() -> list[str]:
        journal = Notes()
        journal.gate.set()
        events = kx.stream(pipeline("a", "b", "c"), HOST, connector=kx.MemoryConnector(), sinks=[journal])
        async with events:
            for _ in range(read):
                await anext(events)
        return [line for line in journal.lines if line.startswith("ended")]

    found = asyncio.run(main())
    assert found == sorted(set(found))


class Unfit(Notes):
    """A journal that cannot begin, and may then be asked for nothing."""

    async def begin(self, event: kx.RunBegan) -> None:
        """It cannot."""
        raise JournalError(Fault("sink_locked", "another run is writing this log", "run.ndjson"))

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Never called."""
        raise AssertionError(steps)

    async def ended(self, results: Sequence[kx.StepResult]) -> None:
        """Never called."""
        raise AssertionError(results)

    async def finish(self, event: kx.RunEnded) -> None:
        """Never called."""
        raise AssertionError(event)


@pytest.mark.parametrize("place", [0, 1])
def test_a_journal_that_did_not_begin_is_told_nothing_and_nothing_is_sent(place: int) -> None:
    """Its own fault is the only one; hooks do not run either; a journal that did begin hears of every result."""
    others = [Notes(), Notes()]
    for each in others:
        each.gate.set()
    hook = kx.task("last", kx.command("hook", "hook"))
    asked: list[str] = []
    connector = kx.MemoryConnector(lambda _, command: asked.append(str(command)))
    its = kx.report_of(
        kx.run(
            evolve(pipeline("a"), after=(hook,)),
            HOST,
            connector=connector,
            sinks=[*others[:place], Unfit(), *others[place:]],
        )
    )
    assert asked == []
    assert [str(each) for each in its.faults] == [
        str(Fault("sink_locked", "another run is writing this log", "run.ndjson"))
    ]
    assert {each.status.name for each in its} == {"NotRun"}
    assert [each.lines for each in others] == [["ended a", "ended hook"] if number < place else [] for number in (0, 1)]
