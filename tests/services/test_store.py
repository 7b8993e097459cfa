"""Stores: what they keep, and the check that holds them to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import pytest
from attrs import evolve
from hypothesis import given, settings

import kxflow as kx
from kxflow.services.store import DuplicateTaskError, StepLog, StoreError, TaskRecord, TaskStatus, UnknownTaskError
from kxflow.testing import check_store
from kxflow.testing.result_strategies import step_results
from kxflow.values.result import StepResult
from tests.journal.logs import result

NOW: Final = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_memory_store_stands_every_check(backend: str) -> None:
    """On both event loops."""
    check_store(kx.MemoryStore, backend=backend)


def test_a_store_that_has_to_be_opened_is_given_as_a_context_manager() -> None:
    """Each check opens and closes a fresh one."""
    opened: list[str] = []

    @asynccontextmanager
    async def database() -> AsyncIterator[kx.Store]:
        opened.append("opened")
        yield kx.MemoryStore()
        opened.append("closed")

    check_store(database)
    assert opened == ["opened", "closed"] * (len(opened) // 2)
    assert len(opened) >= 20


class Forgetful(kx.MemoryStore):
    """Keeps the last batch of logs only."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        await self.get(task_id)
        self._logs[task_id] = list(logs)


class Sorting(kx.MemoryStore):
    """Gives logs in the canonical order, and not in that of their coming."""

    async def logs(self, task_id: str) -> tuple[StepLog, ...]:
        return tuple(sorted(await super().logs(task_id), key=lambda each: each.position))


class Overwriting(kx.MemoryStore):
    """Takes a second record of one id for the first."""

    async def create(self, record: TaskRecord) -> None:
        self._records[record.id] = record
        self._logs[record.id] = []


class Lenient(kx.MemoryStore):
    """Takes logs of tasks that it does not know."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        self._logs.setdefault(task_id, []).extend(logs)


class Erasing(kx.MemoryStore):
    """Forgets an error when a status comes without one."""

    async def update_status(
        self, task_id: str, status: TaskStatus, *, at: dt.datetime, error: str | None = None
    ) -> None:
        await super().update_status(task_id, status, at=at, error=error)
        record = await self.get(task_id)
        self._records[task_id] = TaskRecord(**{**_fields(record), "error": error})


class Coarse(kx.MemoryStore):
    """Keeps whole seconds only."""

    async def update_status(
        self, task_id: str, status: TaskStatus, *, at: dt.datetime, error: str | None = None
    ) -> None:
        await super().update_status(task_id, status, at=at.replace(microsecond=0), error=error)


class Aliasing(kx.MemoryStore):
    """Keeps the list of the caller."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        await self.get(task_id)
        if self._logs[task_id] or not isinstance(logs, list):
            self._logs[task_id].extend(logs)
        else:
            self._logs[task_id] = logs


class CaseBlind(kx.MemoryStore):
    """Takes `a` and `A` for one, as some databases do."""

    async def create(self, record: TaskRecord) -> None:
        if record.id.casefold() in (each.casefold() for each in self._records):
            raise DuplicateTaskError(record.id)
        await super().create(record)


class Interleaving(kx.MemoryStore):
    """Adds log by log, with others between."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        await self.get(task_id)
        for each in tuple(logs):
            await anyio.lowlevel.checkpoint()
            self._logs[task_id].append(each)


class Clipping(kx.MemoryStore):
    """Cuts text at 1000 characters."""

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        await super().append_logs(
            task_id, [StepLog(**{**_fields(each), "stdout": each.stdout[:1000]}) for each in logs]
        )


def _fields(record: TaskRecord | StepLog) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in type(record).__attrs_attrs__}


BROKEN: Final = {
    Forgetful: "how many logs there are|number of logs",
    Sorting: "a log is",
    Overwriting: "raised no DuplicateTaskError",
    Lenient: "append_logs raised no UnknownTaskError",
    Erasing: "the error is None",
    Coarse: "a record that has ended|a record that runs",
    Aliasing: "caller's list|read before",
    CaseBlind: "tasks are apart: it raised DuplicateTaskError",
    Interleaving: "batches in any order",
    Clipping: "a log",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_check_store_finds_what_is_wrong_with_a_store(broken: type[kx.MemoryStore]) -> None:
    """The sentence says which check it was, and what came back."""
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_store(broken)


def test_errors_of_a_store_have_one_parent() -> None:
    """And the builtin that fits; their words say what to do."""
    assert issubclass(UnknownTaskError, StoreError)
    assert issubclass(UnknownTaskError, LookupError)
    assert issubclass(DuplicateTaskError, StoreError)
    assert issubclass(DuplicateTaskError, ValueError)
    assert issubclass(StoreError, kx.KxflowError)
    assert str(UnknownTaskError("r1")) == "no task 'r1' in the store: create it first"
    assert str(DuplicateTaskError("r1")) == "task 'r1' is in the store already: a run is recorded once"


# The step log


@settings(deadline=None)
@given(result=step_results())
def test_a_step_log_says_what_its_result_says_in_text_that_can_be_kept(result: StepResult) -> None:
    """No NUL, no half of a surrogate pair, errors in one line; numbers and times as they were."""
    log = StepLog.of("r1", result)
    for text in (log.path, log.host, log.reason, log.stdout, log.stderr, log.error or ""):
        assert "\0" not in text
        assert text.encode("utf-8").decode("utf-8") == text
    assert log.status == result.status.name
    assert log.position == tuple(result.position)
    assert (log.exit_code, log.started_at, log.ended_at) == (result.exit_code, result.started_at, result.ended_at)
    assert log.tolerated == result.tolerated
    assert (log.error is None) == (result.error is None)
    assert not {"\n", "\r"} & set(log.error or "")


def test_plain_text_is_kept_as_it_is() -> None:
    """Only what no database can keep is changed."""
    text = "caf\u00e9 \u2028 \U0001f600\ttab\r\nline \x1b[1m"
    made = kx.Output.of(text.encode())
    assert StepLog.of("r1", with_output(made)).stdout == text


def test_the_log_of_a_huge_output_stays_small() -> None:
    """Head and tail, and between them a line on what was left out."""
    made = kx.Output.of(b"x" * 10_000_000)
    log = StepLog.of("r1", with_output(made))
    assert len(log.stdout) < 70_000
    assert "bytes not kept" in log.stdout


def with_output(output: kx.Output) -> StepResult:
    """A result that wrote this."""
    return evolve(result(0), stdout=output)
