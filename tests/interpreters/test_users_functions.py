"""Functions of the user's: whatever they raise is their step's failure, and none is beyond being ended."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import kxflow as kx
from tests.flow.drawn import step_of

FLEET = kx.Cluster([kx.Host("a"), kx.Host("b")])
RAISES: dict[str, type[BaseException]] = {
    each.__name__: each for each in (SystemExit, asyncio.CancelledError, LookupError)
}


def raising(name: str, *_: Any) -> Any:
    """Raise it, whatever was asked."""
    raise RAISES[name]


async def later(name: str) -> None:
    """Raise it, after a while."""
    await anyio.lowlevel.checkpoint()
    raise RAISES[name]


async def cancels_its_own() -> None:
    """How a cancellation that nobody meant for us comes about."""
    task = asyncio.ensure_future(asyncio.sleep(9))
    await asyncio.sleep(0)
    task.cancel()
    await task


def on_a(do: Callable[[], Any], otherwise: str = "ok") -> Callable[[kx.HostContext], Any]:
    """Something on one host, nothing much on the other."""
    return lambda ctx: do() if ctx.host.name == "a" else kx.shell(otherwise)


PLACES: dict[str, Callable[[str], kx.Step[Any]]] = {
    "step": lambda name: step_of(on_a(functools.partial(raising, name)), "s"),
    "when": lambda name: kx.command("s", "ok").when(lambda ctx: ctx.host.name == "b" or raising(name)),
    "parse": lambda name: step_of(on_a(lambda: kx.shell("ok", parse=functools.partial(raising, name))), "s"),
    "until": lambda name: kx.command("s", "ok").retry(1, until=lambda its: its.host == "b" or raising(name)),
    "on_controller": lambda name: step_of(on_a(lambda: kx.on_controller(functools.partial(raising, name))), "s"),
    "on_controller, async": lambda name: step_of(on_a(lambda: kx.on_controller(functools.partial(later, name))), "s"),
    "on_controller, its own": lambda name: step_of(on_a(lambda: kx.on_controller(cancels_its_own)), "s"),
}


def ran(*steps: kx.Step[Any]) -> kx.Report:
    """The report of these, on hosts of memory."""
    task = kx.task("t", *steps, policy=kx.keep_going())
    pipeline = kx.pipeline("p", kx.module("m", task, after=kx.task("after", kx.command("last", "ok"))))
    return kx.report_of(kx.run(pipeline, FLEET, connector=kx.MemoryConnector()))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", RAISES)
def test_whatever_a_users_function_raises_is_its_steps_failure(place: str, name: str) -> None:
    """Also what would end our process or pass for our own cancellation: every step has its record, the others run."""
    report = ran(kx.command("before", "ok"), PLACES[place](name), kx.command("next", "ok"))
    assert {(each.host, each.step): each.status.name for each in report} == {
        ("a", "before"): "Succeeded",
        ("b", "before"): "Succeeded",
        ("a", "s"): "Failed",
        ("b", "s"): "Succeeded",
        ("a", "next"): "NotRun",
        ("b", "next"): "Succeeded",
        ("a", "last"): "Succeeded",
        ("b", "last"): "Succeeded",
    }
    failed = report.results[2]
    assert failed.reason == ("parse" if place == "parse" else "raised")
    assert failed.error is not None
    assert (name if place != "on_controller, its own" else "CancelledError") in failed.error.what


@pytest.mark.parametrize("name", RAISES)
def test_whatever_a_selector_raises_is_a_problem_of_the_pipeline(name: str) -> None:
    """Nothing is run."""
    task = kx.task("t", kx.command("s", "ok"), on=kx.where(functools.partial(raising, name)))
    found = kx.check(kx.pipeline("p", kx.module("m", task)), FLEET)
    assert any(name in each.what for each in found)


def test_what_a_builder_refuses_is_told_in_its_own_words() -> None:
    """The function did not mean to raise."""
    wrong: Any = lambda ctx: 7  # noqa: E731 -- it has no name to tell
    blank = ran(step_of(lambda ctx: kx.cmd("ls -l"), "blank")).results[0].error
    number = ran(step_of(wrong, "number")).results[0].error
    assert blank is not None
    assert blank.what.startswith("step 'blank': ")
    assert "shell" in blank.remedy
    assert number is not None
    assert number.what == "step 'number' returned an int"
    assert number.remedy.startswith("return an action")


async def forever() -> None:
    """Nothing, for long."""
    await anyio.sleep(60)


class Thread:
    """A function that no one can end; `let_go` lets it."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self) -> None:
        self.let_go.wait(60)


def test_a_timeout_ends_a_function_on_the_controller() -> None:
    """A thread can only be left to itself: then nobody knows how it ends."""
    thread = Thread()
    began = time.monotonic()
    steps = [kx.on_controller(forever), kx.on_controller(thread)]
    report = ran(
        *(step_of(lambda ctx, its=its: its, f"s{at}").timeout(0.1).ignore_errors() for at, its in enumerate(steps))
    )
    assert time.monotonic() - began < 20
    thread.let_go.set()
    told = {each.step: (each.status.name, each.reason) for each in report if each.host == "a"}
    assert told["s0"] == ("Failed", "timed_out")
    assert told["s1"] == ("Lost", "timed_out")


@pytest.mark.parametrize("way", ["policy", "abort"])
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_cancel_ends_a_function_on_the_controller(way: str, kind: str) -> None:
    """By a policy's stop, and by a user who says it twice."""
    thread = Thread()
    at_work = on_a(lambda: kx.on_controller(forever if kind == "async" else thread), "fail")
    policy = kx.fail_fast(cancel=True) if way == "policy" else kx.keep_going()
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", step_of(at_work, "s"), policy=policy)))

    async def main() -> kx.Report:
        held = anyio.Event()

        async def pause(host: kx.Host, command: object) -> None:
            await held.wait()

        kept = []
        connector = kx.MemoryConnector(lambda host, command: 1, pause=pause)
        events = kx.stream(pipeline, FLEET, connector=connector)
        async with events:
            async for event in events:
                kept.append(event)
                if isinstance(event, kx.StepBegan) and event.host == "a":
                    if way == "abort":
                        events.stop("enough")
                        events.stop("now")
                    held.set()
        return kx.fold(kept)

    began = time.monotonic()
    found = asyncio.run(main()).results[0]
    assert time.monotonic() - began < 20
    thread.let_go.set()
    assert (found.status.name, found.reason) == ("Cancelled" if kind == "async" else "Lost", "cancelled")
