"""Streams: live, safe to leave, bounded; `run` in every surrounding."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

import kxflow as kx
from kxflow.values.action import Command
from tests.interpreters.fleet import FLEET, answering, on_host, one_task, report


class Gate:
    """Holds commands with this text until it is opened; remembers who came and who was ended while waiting."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.opened = anyio.Event()
        self.came = anyio.Event()
        self.ended: list[str] = []

    async def __call__(self, host: kx.Host, command: Command[Any]) -> None:
        if str(command) != self.text:
            return
        self.came.set()
        try:
            await self.opened.wait()
        except BaseException:
            self.ended.append(host.name)
            raise


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_result_arrives_while_later_steps_run(backend: str) -> None:
    """Live: `b` is held until the result of `a` was seen. On both backends."""

    async def main() -> list[str]:
        gate = Gate("b")
        seen: list[str] = []
        connector = kx.MemoryConnector(pause=gate)
        async with kx.stream(
            one_task(kx.command("a", "a"), kx.command("b", "b")), FLEET, connector=connector
        ) as events:
            async for event in events:
                if isinstance(event, kx.StepEnded):
                    seen.append(event.result.step)
                    gate.opened.set()
        return seen

    with_deadline = anyio.run(main, backend=backend)
    assert with_deadline[0] == "a"
    assert sorted(with_deadline) == ["a"] * 4 + ["b"] * 4


def test_folding_the_stream_gives_the_report_of_run() -> None:
    """Law 1, one worked example; times apart."""

    async def main() -> kx.Report:
        events = [event async for event in kx.stream(one_task(kx.command("a", "a")), FLEET, connector=answering({}))]
        assert isinstance(events[0], kx.RunBegan)
        assert isinstance(events[-1], kx.RunEnded)
        return kx.fold(events)

    folded = asyncio.run(main())
    whole = report(one_task(kx.command("a", "a")))
    assert [(each.path, each.host, each.status, each.stdout) for each in folded] == [
        (each.path, each.host, each.status, each.stdout) for each in whole
    ]


def test_a_stream_that_is_left_early_ends_its_run() -> None:
    """Inside `async with`, leaving waits until nothing of the run is left."""

    async def main() -> list[str]:
        gate = Gate("b")
        connector = kx.MemoryConnector(pause=gate)
        pipeline = one_task(kx.command("a", "a"), kx.command("b", "b"), on=kx.role("db"))
        async with kx.stream(pipeline, FLEET, connector=connector) as events:
            async for event in events:
                if isinstance(event, kx.StepEnded):
                    await gate.came.wait()
                    break
        return gate.ended

    assert asyncio.run(main()) == ["db1"]


def test_a_stream_that_is_dropped_without_closing_ends_its_run() -> None:
    """A plain `break` and a lost reference are enough; nothing hangs and nothing is printed."""

    async def main() -> list[str]:
        gate = Gate("b")
        connector = kx.MemoryConnector(pause=gate)
        pipeline = one_task(kx.command("a", "a"), kx.command("b", "b"), on=kx.role("db"))

        async def first() -> None:
            async for event in kx.stream(pipeline, FLEET, connector=connector):
                if isinstance(event, kx.StepEnded):
                    await gate.came.wait()
                    return

        await first()
        with anyio.fail_after(5):
            while not gate.ended:
                await anyio.lowlevel.checkpoint()
        return gate.ended

    assert asyncio.run(main()) == ["db1"]


def test_a_stream_runs_once() -> None:
    """Asked again after its end it says so."""

    async def main() -> None:
        events = kx.stream(one_task(kx.command("a", "a")), FLEET, connector=answering({}))
        async for _ in events:
            pass
        assert [event async for event in events] == []
        with pytest.raises(kx.InvalidError, match="runs once"):
            async with events:
                pass

    asyncio.run(main())


def test_stop_lets_steps_in_flight_end_and_the_rest_is_not_run() -> None:
    """The stream goes on to its end, with a result for every step and a fault for the run."""

    async def main() -> kx.Report:
        gate = Gate("a")
        connector = kx.MemoryConnector(pause=gate)
        pipeline = one_task(kx.command("a", "a"), kx.command("b", "b"), on=kx.role("db"))
        events = kx.stream(pipeline, FLEET, connector=connector)
        kept = []
        async with events:
            async for event in events:
                kept.append(event)
                if isinstance(event, kx.StepBegan):
                    events.stop("enough")
                    gate.opened.set()
        return kx.fold(kept)

    its = asyncio.run(main())
    assert [each.status.name for each in its] == ["Succeeded", "NotRun"]
    assert its.results[1].reason == "interrupted: enough"
    assert [fault.code for fault in its.faults] == ["interrupted"]
    assert not its.succeeded


def test_run_works_inside_a_running_loop_and_arun_is_awaited() -> None:
    """As in Jupyter: a loop is running, and `run` blocks all the same."""

    async def main() -> tuple[bool, bool]:
        connector = answering({})
        inside = kx.run(one_task(kx.command("a", "a")), FLEET, connector=connector)
        awaited = await kx.arun(one_task(kx.command("a", "a")), FLEET, connector=connector)
        return kx.report_of(inside).succeeded, kx.report_of(awaited).succeeded

    assert asyncio.run(main()) == (True, True)


def test_run_works_inside_a_running_trio_loop() -> None:
    """The same, on the other backend."""

    async def main() -> tuple[bool, bool]:
        inside = kx.run(one_task(kx.command("a", "a")), FLEET, connector=answering({}))
        awaited = await kx.arun(one_task(kx.command("a", "a")), FLEET, connector=answering({}))
        return kx.report_of(inside).succeeded, kx.report_of(awaited).succeeded

    assert anyio.run(main, backend="trio") == (True, True)


def test_memory_follows_concurrency_when_a_stream_is_not_kept() -> None:
    """A reader who waits holds the hosts up: only a bounded number of events is ever under way."""
    begun: set[str] = set()

    async def note(host: kx.Host, _: object) -> None:
        begun.add(host.name)

    async def main() -> int:
        fleet = kx.Cluster([kx.Host(f"h{i}") for i in range(5000)])
        events = kx.stream(one_task(kx.command("a", "a")), fleet, connector=kx.MemoryConnector(pause=note))
        async with events:
            assert isinstance(await anext(events), kx.RunBegan)
            for _ in range(2000):
                await anyio.lowlevel.checkpoint()
            return len(begun)

    assert asyncio.run(main()) < 400


def test_composition_errors_refuse_the_run_before_any_host_is_touched() -> None:
    """Every problem at once, raised by the call."""
    touched: list[str] = []
    connector = kx.MemoryConnector(refuse=lambda host: touched.append(host.name))
    pipeline = one_task(kx.command("a", "a"), kx.command("a", "b"), on=kx.role("nowhere"))
    for call in (kx.run, kx.stream, kx.serial):
        with pytest.raises(kx.CompositionError) as caught:
            call(pipeline, FLEET, connector=connector)
        assert len(caught.value.problems) == 2
    assert touched == []


def test_a_sink_that_raises_is_a_fault_of_the_run_and_delays_nobody() -> None:
    """The results are complete; the report says which sink failed."""

    def broken(event: object) -> None:
        raise OSError("no space")

    its = report(one_task(kx.command("a", "a")), sinks=[broken])
    assert len(its) == 4
    assert [fault.code for fault in its.faults] == ["sink"]
    assert "no space" in its.faults[0].what


def test_any_function_of_an_event_is_a_sink() -> None:
    """In order, one at a time, all of them."""
    kept: list[Any] = []
    its = report(one_task(kx.command("a", "a")), sinks=[kept.append])
    assert kx.fold(kept) == its


def test_a_bug_in_the_connector_flies() -> None:
    """What is not trouble on a host is not turned into a result."""

    class Odd:
        async def connect(self, host: object, cluster: object) -> Any:
            raise ZeroDivisionError

        async def aclose(self) -> None:
            pass

    with pytest.raises(BaseExceptionGroup) as caught:
        kx.run(one_task(kx.command("a", "a")), FLEET, connector=Odd())
    assert caught.group_contains(ZeroDivisionError)


def test_cancelling_arun_ends_it() -> None:
    """The caller's deadline is the run's."""

    async def main() -> list[str]:
        gate = Gate("a")
        with anyio.move_on_after(0.05):
            await kx.arun(
                one_task(kx.command("a", "a"), on=kx.role("db")), FLEET, connector=kx.MemoryConnector(pause=gate)
            )
        return gate.ended

    assert asyncio.run(main()) == ["db1"]


def test_fail_fast_with_cancel_names_its_reason() -> None:
    """Hosts that had not begun are NotRun with the policy's words."""
    its = report(
        one_task(kx.command("a", "a"), policy=kx.fail_fast(cancel=True)),
        answering({"a": on_host("db1", 1)}),
        concurrency=1,
    )
    assert [each.status.name for each in its] == ["Failed", "NotRun", "NotRun", "NotRun"]
    assert its.results[1].reason == "stopped: m/t: 1 of 4 hosts failed, allowed are 0"
