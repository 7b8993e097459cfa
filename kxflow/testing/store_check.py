"""What every store must stand: its records, its logs, and whole runs with everything in them that hosts can send."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, Final

import anyio
from attrs import evolve

from kxflow.services.record import record_run
from kxflow.services.store import DuplicateTaskError, StepLog, Store, TaskRecord, TaskStatus, UnknownTaskError
from kxflow.testing.sink_check import Scenario, scenarios
from kxflow.values.event import Event, StepEnded, fold

_NOW: Final = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
_LATER: Final = _NOW + dt.timedelta(hours=1, microseconds=1)

Check = Callable[[Store], Awaitable[None]]


def check_store(
    make_store: Callable[[], Store | AbstractAsyncContextManager[Store]], *, backend: str = "asyncio"
) -> None:
    """Hold a store to its protocol, each check with a fresh one.

    >>> from kxflow.services.store import MemoryStore
    >>> check_store(MemoryStore)

    Args:
        make_store: Gives an empty store, or an async context manager that gives one.
        backend: The event loop: `asyncio` or `trio`.

    Raises:
        AssertionError: It raised, or what it gives back is not what it was told; the sentence names the check.
    """
    for check in _CHECKS:
        anyio.run(_with_fresh, make_store, check, backend=backend)


async def _with_fresh(make_store: Callable[[], Any], check: Check) -> None:
    name = check.__name__.strip("_").replace("_", " ")
    made = make_store()
    try:
        if hasattr(made, "__aenter__"):
            async with made as store:
                await check(store)
        else:
            await check(made)
    except AssertionError as error:
        raise AssertionError(f"{made!r}, {name}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{made!r}, {name}: it raised {error!r}") from error


def _equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise AssertionError(f"{what} is {found!r:.300} and should be {wanted!r:.300}")


async def _refused(call: Awaitable[object], kind: type[Exception], what: str) -> None:
    try:
        await call
    except kind:
        return
    raise AssertionError(f"{what} raised no {kind.__name__}")


def _record(name: str = "a") -> TaskRecord:
    return TaskRecord(id=name, name=f"the {name} é\u2028", created_at=_NOW)


def _logs(task: str, count: int, first: int = 0) -> list[StepLog]:
    """Logs that differ, with all that results of hosts leave in them."""
    samples = _samples()
    return [
        evolve(samples[place % len(samples)], task_id=task, position=(0, 0, place, 0))
        for place in range(first, first + count)
    ]


@cache
def _samples() -> tuple[StepLog, ...]:
    return tuple(StepLog.of("", result) for each in scenarios() for result in each.results)


# The checks


async def _a_record_comes_back_as_it_was_created(store: Store) -> None:
    await store.create(_record())
    _equal(await store.get("a"), _record(), "the record")
    _equal(tuple(await store.logs("a")), (), "the logs of a new record")


async def _a_record_is_created_once(store: Store) -> None:
    await store.create(_record())
    await store.append_logs("a", _logs("a", 2))
    again = evolve(_record(), name="another", status=TaskStatus.Failed)
    await _refused(store.create(again), DuplicateTaskError, "a second record of one id")
    _equal(await store.get("a"), _record(), "the record after that")
    _equal(tuple(await store.logs("a")), tuple(_logs("a", 2)), "its logs after that")


async def _an_unknown_task_is_refused(store: Store) -> None:
    await store.create(_record("other"))
    await _refused(store.get("a"), UnknownTaskError, "get")
    await _refused(store.logs("a"), UnknownTaskError, "logs")
    await _refused(store.append_logs("a", _logs("a", 1)), UnknownTaskError, "append_logs")
    await _refused(store.append_logs("a", []), UnknownTaskError, "append_logs of none")
    await _refused(store.update_status("a", TaskStatus.Running, at=_NOW), UnknownTaskError, "update_status")
    _equal(await store.get("other"), _record("other"), "the record of another task")


async def _a_status_sets_its_time(store: Store) -> None:
    for status in (TaskStatus.Succeeded, TaskStatus.Failed):
        record = _record(status.name)
        await store.create(record)
        await store.update_status(record.id, TaskStatus.Running, at=_NOW)
        running = evolve(record, status=TaskStatus.Running, started_at=_NOW)
        _equal(await store.get(record.id), running, "a record that runs")
        await store.update_status(record.id, status, at=_LATER)
        _equal(await store.get(record.id), evolve(running, status=status, ended_at=_LATER), "a record that has ended")


async def _an_error_stays(store: Store) -> None:
    await store.create(_record())
    await store.update_status("a", TaskStatus.Running, at=_NOW, error="é 'quoted' \"twice\" \\ %s ; -- \u2028")
    await store.update_status("a", TaskStatus.Failed, at=_LATER)
    _equal((await store.get("a")).error, "é 'quoted' \"twice\" \\ %s ; -- \u2028", "the error")
    await store.update_status("a", TaskStatus.Failed, at=_LATER, error="another")
    _equal((await store.get("a")).error, "another", "an error told later")


async def _tasks_are_apart(store: Store) -> None:
    for name in ("a", "A", "a ", "ab"):
        await store.create(_record(name))
        await store.append_logs(name, _logs(name, 3))
    await store.update_status("ab", TaskStatus.Running, at=_NOW)
    for name in ("a", "A", "a "):
        _equal(await store.get(name), _record(name), "the record of a task that nothing was told of")
        _equal(tuple(await store.logs(name)), tuple(_logs(name, 3)), "the logs of one of several tasks")


async def _logs_come_in_the_order_in_which_they_were_added(store: Store) -> None:
    await store.create(_record())
    whole = _logs("a", 700)[::-1]
    for start, end in ((0, 1), (1, 1), (1, 201), (201, 700)):
        await store.append_logs("a", whole[start:end])
    found = tuple(await store.logs("a"))
    _equal(len(found), len(whole), "how many logs there are")
    for one, other in zip(found, whole, strict=True):
        _equal(one, other, "a log")


async def _what_was_given_can_change(store: Store) -> None:
    await store.create(_record())
    given = _logs("a", 2)
    await store.append_logs("a", given)
    before = await store.logs("a")
    given.clear()
    await store.append_logs("a", _logs("a", 1, first=2))
    _equal(tuple(before), tuple(_logs("a", 2)), "what was read before more was added")
    _equal(tuple(await store.logs("a")), tuple(_logs("a", 3)), "the logs after the caller's list was emptied")


async def _side_by_side_nothing_is_lost(store: Store) -> None:
    names = ("a", "b")
    for name in names:
        await store.create(_record(name))
    async with anyio.create_task_group() as group:
        for batch in range(20):
            for name in names:
                group.start_soon(store.append_logs, name, _logs(name, 5, first=5 * batch))
    for name in names:
        found = tuple(await store.logs(name))
        batches = [found[start : start + 5] for start in range(0, len(found), 5)]
        batches.sort(key=lambda each: each[0].position)
        _equal([log for each in batches for log in each], _logs(name, 100), "the logs, batches in any order")


async def _a_run_is_recorded_whole(store: Store) -> None:
    for scenario in scenarios():
        record = await record_run(_stream(scenario.events), store, batch=3)
        await _compare(store, scenario, record)


async def _compare(store: Store, scenario: Scenario, record: TaskRecord) -> None:
    good = fold(scenario.events).succeeded
    what = f"of the run {scenario.name!r}"
    _equal(record.status, TaskStatus.Succeeded if good else TaskStatus.Failed, f"the status {what}")
    _equal(record.error is None, good, f"that there is no error {what}")
    _equal(await store.get(scenario.run), record, f"the record {what}")
    results = [event.result for event in scenario.events if isinstance(event, StepEnded)]
    found: Sequence[StepLog] = await store.logs(scenario.run)
    _equal(len(found), len(results), f"the number of logs {what}")
    for log, result in zip(found, results, strict=True):
        _equal(log, StepLog.of(scenario.run, result), f"a log {what}")


async def _stream(events: Iterable[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event


_CHECKS: Final[tuple[Check, ...]] = (
    _a_record_comes_back_as_it_was_created,
    _a_record_is_created_once,
    _an_unknown_task_is_refused,
    _a_status_sets_its_time,
    _an_error_stays,
    _tasks_are_apart,
    _logs_come_in_the_order_in_which_they_were_added,
    _what_was_given_can_change,
    _side_by_side_nothing_is_lost,
    _a_run_is_recorded_whole,
)
