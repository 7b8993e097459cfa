"""A run into a store: every stream, however it ends, leaves a record that tells the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.services.record import record_run
from kxflow.services.store import DuplicateTaskError, MemoryStore, StepLog, StoreError, TaskRecord, TaskStatus
from kxflow.testing.result_strategies import faults, runs
from kxflow.values.event import Event, RunBegan, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import Results, Status
from tests.interpreters.fleet import FLEET, answering, on_host, one_task
from tests.journal.logs import NOW, began, ended, result

T = TypeVar("T")
BACKENDS: Final = ("asyncio", "trio")


class Slow(MemoryStore):
    """Lets others go on before each call, as a database does, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    async def create(self, record: TaskRecord) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append(record.status.name)
        await super().create(record)

    async def update_status(self, task_id: str, status: TaskStatus, **more: Any) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append(status.name)
        await super().update_status(task_id, status, **more)

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append(len(logs))
        await super().append_logs(task_id, logs)


async def stream_of(*events: Event) -> AsyncIterator[Event]:
    """A stream that ends there."""
    for event in events:
        yield event


def kept(store: MemoryStore, run: str = "r1") -> tuple[TaskRecord, tuple[StepLog, ...]]:
    """What a store has of a run."""

    async def look() -> tuple[TaskRecord, tuple[StepLog, ...]]:
        return await store.get(run), await store.logs(run)

    return anyio.run(look)


def recorded(store: MemoryStore, *events: Event, **options: Any) -> TaskRecord:
    """Record a stream that was kept."""

    async def work() -> TaskRecord:
        return await record_run(stream_of(*events), store, **options)

    return anyio.run(work)


def run_into(store: kx.Store, pipeline: kx.Pipeline, connector: kx.MemoryConnector, backend: str) -> tuple[Any, ...]:
    """Run a pipeline into a store; its record and its report."""

    async def work() -> tuple[TaskRecord, kx.Report]:
        seen: list[Event] = []

        async def listening(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
            async for event in events:
                seen.append(event)
                yield event

        async with kx.stream(pipeline, FLEET, connector=connector, run_id="r1") as events:
            record = await record_run(listening(events), store)
        return record, kx.fold(seen)

    return anyio.run(work, backend=backend)


# Runs


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_went_well_is_recorded_succeeded_with_all_its_logs(backend: str) -> None:
    """Created Pending, then Running, then logs, then Succeeded: in that order."""
    store = Slow()
    record, report = run_into(store, one_task(kx.command("a", "a"), kx.command("b", "b")), answering({}), backend)
    assert (record.id, record.name, record.status, record.error) == ("r1", "p", TaskStatus.Succeeded, None)
    assert record.created_at == record.started_at <= record.ended_at
    assert store.told == ["Pending", "Running", 8, "Succeeded"]
    record_again, logs = kept(store)
    assert record_again == record
    assert sorted(logs, key=lambda each: each.position) == [StepLog.of("r1", each) for each in report]
    assert {each.error for each in logs} == {None}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_failed_is_recorded_failed_with_what_went_wrong_first(backend: str) -> None:
    """The error of the record is the first fault of the report."""
    store = Slow()
    connector = answering({"a": on_host("web2", kx.Reply(exit_code=3, stderr=b"no space\nleft\n"))})
    record, report = run_into(store, one_task(kx.command("a", "a"), kx.command("b", "b")), connector, backend)
    assert record.status is TaskStatus.Failed
    assert record.error == str(report.first_fault.error).replace("\n", "\\n")
    assert "web2" in record.error or "p/m/t/a" in record.error
    logs = {(each.path, each.host): each for each in kept(store)[1]}
    assert logs["p/m/t/a", "web2"].exit_code == 3
    assert logs["p/m/t/a", "web2"].stderr == "no space\nleft\n"
    assert logs["p/m/t/b", "web2"].status == "NotRun"
    assert logs["p/m/t/b", "web2"].error is None
    assert logs["p/m/t/b", "web1"].status == "Succeeded"


def test_a_tolerated_fault_fails_no_record() -> None:
    """Its log says what went wrong, and that it does not count."""
    store = MemoryStore()
    pipeline = one_task(kx.command("a", "a").ignore_errors())
    record, _ = run_into(store, pipeline, answering({"a": 1}), "asyncio")
    assert (record.status, record.error) == (TaskStatus.Succeeded, None)
    logs = kept(store)[1]
    assert {(each.status, each.tolerated, each.error is None) for each in logs} == {("Failed", True, False)}


def test_a_run_that_was_interrupted_is_recorded_failed_and_says_so() -> None:
    """Also where no step failed: it is a fault of the run itself."""
    store = MemoryStore()

    async def work() -> TaskRecord:
        async with kx.stream(one_task(kx.command("a", "a")), FLEET, connector=answering({}), run_id="r1") as events:

            async def stopping() -> AsyncIterator[Event]:
                async for event in events:
                    if isinstance(event, RunBegan):
                        events.stop("enough")
                    yield event

            return await record_run(stopping(), store)

    record = anyio.run(work)
    assert record.status is TaskStatus.Failed
    assert record.error is not None
    assert "interrupted: enough" in record.error
    assert len(kept(store)[1]) == 4


def test_several_runs_side_by_side_stay_apart() -> None:
    """One store, three runs at a time."""
    store = Slow()

    async def one(name: str) -> None:
        pipeline = one_task(kx.command("a", name), kx.command("b", name))
        async with kx.stream(pipeline, FLEET, connector=answering({}), run_id=name) as events:
            await record_run(events, store, batch=3)

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for name in ("r1", "r2", "r3"):
                group.start_soon(one, name)

    anyio.run(work)
    for name in ("r1", "r2", "r3"):
        record, logs = kept(store, name)
        assert record.status is TaskStatus.Succeeded
        assert {(each.task_id, each.stdout) for each in logs} == {(name, name)}
        assert len(logs) == 8


# Streams


@settings(deadline=None, max_examples=40)
@given(results=runs(), told=st.lists(faults(), max_size=2), batch=st.integers(1, 4))
def test_the_record_says_what_the_report_of_the_stream_says(results: Results, told: list[Fault], batch: int) -> None:
    """For any results in any order: logs are those of the results, the status and the error those of the report."""
    store = MemoryStore()
    events: list[Event] = [began(), *map(StepEnded, results), ended("r1", *told)]
    record = recorded(store, *events, batch=batch)
    report = kx.fold(events)
    expected = [StepLog.of("r1", each) for each in results]
    assert list(map(repr, kept(store)[1])) == list(map(repr, expected))  # a duration may be NaN here
    assert (record.status is TaskStatus.Succeeded) == report.succeeded == (record.error is None)
    first = report.first_fault
    if first is not None:
        assert record.error == StepLog.of("r1", first).error or first.error is None


def test_logs_go_in_batches_of_the_size_that_was_asked_for() -> None:
    """And the rest before the end."""
    store = Slow()
    recorded(store, began(), *(StepEnded(result(place)) for place in range(7)), ended(), batch=3)
    assert store.told == ["Pending", "Running", 3, 3, 1, "Succeeded"]


def test_a_run_with_a_step_that_nothing_let_run_says_which() -> None:
    """No fault anywhere, and yet no success."""
    unrun = evolve(result(0), status=Status.NotRun, reason="input: token of web9")
    record = recorded(MemoryStore(), began(), StepEnded(unrun), ended())
    assert record.status is TaskStatus.Failed
    assert record.error == "web0 deploy/web/join/join: NotRun (input: token of web9)"


def test_what_went_wrong_first_is_what_ended_first() -> None:
    """Results of different hosts come in any order."""
    late, early = (
        evolve(result(place), status=Status.Failed, ended_at=NOW.replace(hour=hour), error=Fault("exit", f"at {hour}"))
        for place, hour in ((0, 9), (1, 8))
    )
    events = (began(), StepEnded(late), StepEnded(early), ended())
    record = recorded(MemoryStore(), *events)
    assert record.error == "at 8"
    assert kx.fold(events).first_fault == early


def test_an_error_is_one_line_however_many_it_had() -> None:
    """Stores show it in a list."""
    bad = evolve(result(0), status=Status.Failed, error=Fault("raised", "one\ntwo\r\nthree \0 \udcff"))
    assert recorded(MemoryStore(), began(), StepEnded(bad), ended()).error == r"one\ntwo\r\nthree \x00 \udcff"


def test_a_stream_that_ends_before_its_run_leaves_the_record_failed() -> None:
    """All logs that came are there; it ended when the last thing was heard of it."""
    store = MemoryStore()
    late = evolve(result(0), ended_at=NOW.replace(year=2027))
    record = recorded(store, began(), StepEnded(late))
    assert record.status is TaskStatus.Failed
    assert record.error == "the stream broke off before the end of the run"
    assert record.ended_at == late.ended_at
    assert len(kept(store)[1]) == 1


def test_a_stream_that_raises_leaves_the_record_failed_and_raises() -> None:
    """The error is the caller's to handle."""
    store = Slow()

    async def breaking() -> AsyncIterator[Event]:
        yield began()
        yield StepEnded(result(0))
        raise OSError("the wire broke")

    async def work() -> None:
        await record_run(breaking(), store)

    with pytest.raises(OSError, match="the wire broke"):
        anyio.run(work)
    assert kept(store)[0].status is TaskStatus.Failed
    assert store.told == ["Pending", "Running", 1, "Failed"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_recording_that_is_cancelled_leaves_no_record_running(backend: str) -> None:
    """The store still gets what was heard; the cancellation goes on."""
    store = Slow()

    async def endless(heard: anyio.Event) -> AsyncIterator[Event]:
        yield began()
        yield StepEnded(result(0))
        heard.set()
        await anyio.sleep_forever()

    async def work() -> bool:
        heard = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(record_run, endless(heard), store)
            await heard.wait()
            group.cancel_scope.cancel()
        return group.cancel_scope.cancelled_caught

    assert anyio.run(work, backend=backend)
    record, logs = kept(store)
    assert record.status is TaskStatus.Failed
    assert len(logs) == 1


def test_a_step_that_failed_before_the_stream_broke_off_is_what_went_wrong_first() -> None:
    """The record tells it."""
    bad = evolve(result(0), status=Status.Failed, error=Fault("exit", "exit status 3", "deploy/web/join/join"))
    assert recorded(MemoryStore(), began(), StepEnded(bad)).error == "deploy/web/join/join: exit status 3"


# What is refused


def refusing(work: Callable[[], Awaitable[T]], kind: type[Exception], words: str) -> None:
    """It raises this."""
    with pytest.raises(kind, match=words):
        anyio.run(work)


def test_a_run_that_is_in_the_store_already_is_refused_and_its_record_stays() -> None:
    """It is not ours to call it failed."""
    store = Slow()
    first = recorded(store, began(), StepEnded(result(0)), ended())
    refusing(lambda: record_run(stream_of(began(), ended()), store), DuplicateTaskError, "'r1' is in the store already")
    assert kept(store) == (first, (StepLog.of("r1", result(0)),))


@pytest.mark.parametrize("events", [(), (StepEnded(result(0)), began(), ended()), (ended(),)])
def test_a_stream_without_its_beginning_is_refused(events: tuple[Event, ...]) -> None:
    """Nothing is created for it."""
    store = Slow()
    refusing(lambda: record_run(stream_of(*events), store), kx.InvalidError, "has no beginning")
    assert store.told == []


def test_a_stream_of_two_runs_is_refused() -> None:
    """The record of the first does not stay Running."""
    store = Slow()
    refusing(lambda: record_run(stream_of(began(), began("r2")), store), kx.InvalidError, "a second run")
    assert kept(store)[0].status is TaskStatus.Failed
    assert store.told == ["Pending", "Running", "Failed"]


@pytest.mark.parametrize("batch", [0, -1, True, 2.5])
def test_a_batch_that_cannot_be_is_refused(batch: Any) -> None:
    """Before anything is created."""
    store = Slow()
    refusing(lambda: record_run(stream_of(began()), store, batch=batch), kx.InvalidError, "batch=")
    assert store.told == []


class Full(Slow):
    """Takes no logs any more."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        raise StoreError("the disk is full")


def test_a_store_that_fails_raises_and_the_record_is_left_failed() -> None:
    """As far as the store still can."""
    store = Full()
    events = (began(), StepEnded(result(0)), StepEnded(result(1)), ended())
    refusing(lambda: record_run(stream_of(*events), store, batch=1), StoreError, "the disk is full")
    assert store.told == ["Pending", "Running", "Failed"]
    assert kept(store)[0].error == "the stream broke off before the end of the run"


class Deaf(Slow):
    """Answers no update but the first."""

    async def update_status(self, task_id: str, status: TaskStatus, **more: Any) -> None:
        if status is not TaskStatus.Running:
            await anyio.sleep_forever()
        await super().update_status(task_id, status, **more)


def test_a_store_that_does_not_answer_holds_a_cancellation_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds; here, less."""
    from kxflow.services import record

    assert record.PATIENCE == 10.0
    monkeypatch.setattr(record, "PATIENCE", 0.05)
    store = Deaf()
    recorded(store, began())
    assert kept(store)[0].status is TaskStatus.Running


def test_the_end_of_a_run_is_that_of_its_event() -> None:
    """Not the time of the writing."""
    end = RunEnded(run="r1", pipeline="deploy", at=NOW.replace(hour=9))
    record = recorded(MemoryStore(), began(), end)
    assert (record.created_at, record.started_at, record.ended_at) == (NOW, NOW, end.at)
