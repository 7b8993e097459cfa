"""A stop that comes while a step has begun, or is just about to: the record says which of the two it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

import kxflow as kx
from kxflow.interpreters.ports import Sent
from tests.interpreters.fleet import FLEET

WEB1 = kx.host("db1") | kx.host("web1")


class Held:
    """A journal that holds back what is to be sent to web1 until db1 has failed, and with that stopped the task.

    Attributes:
        attempt: Only this try is held back; none where 0.
    """

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.tried = anyio.Event()
        self.stopped = anyio.Event()

    async def begin(self, event: kx.RunBegan) -> None:
        """Nothing to do."""

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Wait, where it is that try."""
        if steps[0].host == "web1" and steps[0].attempt == self.attempt:
            self.tried.set()
            await self.stopped.wait()

    async def ended(self, results: Sequence[kx.StepResult]) -> None:
        """The task is stopped by then."""
        if results[0].host == "db1":
            self.stopped.set()

    async def finish(self, event: kx.RunEnded) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def pause(self, host: kx.Host, command: Any) -> None:
        """The command of db1 fails when web1 is where it is to be; `first` on web1 ends when db1 has failed."""
        if host.name == "db1":
            await self.tried.wait()
        elif str(command) == "first":
            self.tried.set()
            await self.stopped.wait()


def played(step: kx.Step[Any], held: Held, *, cancel: bool = False) -> tuple[kx.StepResult, list[str]]:
    """What the step came to on web1, and the kinds of events that told of it."""
    task = kx.task("t", step, on=WEB1, policy=kx.fail_fast(cancel=cancel))
    bad = kx.MemoryConnector(lambda host, command: int(host.name == "db1" or str(command) == "bad"), pause=held.pause)

    async def collect() -> list[Any]:
        pipeline = kx.pipeline("p", kx.module("m", task))
        with anyio.fail_after(10):
            return [event async for event in kx.stream(pipeline, FLEET, connector=bad, sinks=[held])]

    events = asyncio.run(collect())
    (result,) = (each for each in kx.fold(events) if each.host == "web1")
    told = [type(event).__name__ for event in events if getattr(event, "host", None) == "web1"]
    return result, told


def first_of(*rest: kx.Action[Any]) -> kx.Step[Any]:
    """A step of several actions, which go out one by one."""

    @kx.step
    def several(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.both(kx.shell("first" if ctx.host.name == "web1" else "bad"), kx.value(0), *rest)

    return several


def test_a_step_that_waits_for_its_next_try_is_what_its_last_try_was() -> None:
    """It began and failed: that it was stopped before the next try does not make it NotRun."""
    result, told = played(kx.command("bad", "bad").retry(1), Held(2))
    assert (result.status, result.reason, len(result.attempts)) == (kx.Status.Failed, "exit", 1)
    assert told == ["StepBegan", "StepRetried"]


@pytest.mark.parametrize("target", [None, "web2"])
def test_of_a_step_that_is_stopped_before_it_begins_no_beginning_is_told(target: str | None) -> None:
    """Held back while it is made durable that it is about to be sent; of several actions, or done elsewhere."""
    step = first_of() if target is None else kx.command("bad", "bad").on(kx.host(target))
    result, told = played(step, Held(1))
    assert (result.status, told) == (kx.Status.NotRun, [])


def test_a_step_of_several_actions_that_has_begun_is_in_flight_to_its_end() -> None:
    """A stop between two of its actions lets it end."""
    result, told = played(first_of(kx.shell("last")), Held(0))
    assert (result.status, told) == (kx.Status.Succeeded, ["StepBegan"])


def test_a_step_of_several_actions_that_is_ended_between_them_is_cancelled() -> None:
    """It began, so that NotRun would be wrong; the function in the middle ends when the others are to be ended."""
    held = Held(0)

    async def middle() -> None:
        held.tried.set()
        await held.stopped.wait()

    @kx.step
    def several(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.both(
            kx.shell("one"), kx.on_controller(middle if ctx.host.name == "web1" else _nothing), kx.shell("two")
        )

    result, told = played(several, held, cancel=True)
    assert (result.status, result.reason, told) == (kx.Status.Cancelled, "cancelled", ["StepBegan"])


async def _nothing() -> None:
    pass
