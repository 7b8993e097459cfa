"""Where runs are recorded for services: a protocol, its types, and one in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from attrs import evolve, frozen

from kxflow.values.errors import KxflowError
from kxflow.values.result import StepResult


class TaskStatus(Enum):
    """How a recorded task stands."""

    Pending = "Pending"
    Running = "Running"
    Succeeded = "Succeeded"
    Failed = "Failed"


@frozen(kw_only=True)
class TaskRecord:
    """One run, as a service knows it.

    Attributes:
        id: The run's id.
        name: The pipeline's name.
        status: How it stands.
        created_at: UTC.
        started_at, ended_at: UTC; None before that.
        error: What went wrong first, in one line; None where nothing did.
    """

    id: str
    name: str
    status: TaskStatus = TaskStatus.Pending
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    error: str | None = None


@frozen(kw_only=True)
class StepLog:
    """One step on one host, as a store keeps it: text and numbers only, never more than a result keeps.

    Its texts can be kept by any database: NUL and what is no Unicode are written as escapes.

    Attributes:
        task_id: Of the `TaskRecord`.
        path, host: Address.
        position: Module, task, step, host: the canonical order.
        status, reason: As in the result, the status by name.
        tolerated: Its fault, if any, does not count.
        exit_code: None where none was received.
        stdout, stderr: Kept text, undecodable bytes escaped.
        error: One line; None where nothing went wrong.
        started_at, ended_at: UTC.
        duration: Seconds.
    """

    task_id: str
    path: str
    host: str
    position: tuple[int, int, int, int]
    status: str
    reason: str
    exit_code: int | None
    stdout: str
    stderr: str
    error: str | None
    tolerated: bool
    started_at: dt.datetime
    ended_at: dt.datetime
    duration: float

    @classmethod
    def of(cls, task_id: str, result: StepResult) -> StepLog:
        """The log of a result; one without an error has none, whatever its status."""
        return cls(
            task_id=task_id,
            path=storable(result.path),
            host=storable(result.host),
            position=(*result.position,),
            status=result.status.name,
            reason=storable(result.reason),
            exit_code=result.exit_code,
            stdout=storable(str(result.stdout)),
            stderr=storable(str(result.stderr)),
            error=None if result.error is None else one_line(result.error),
            tolerated=result.tolerated,
            started_at=result.started_at,
            ended_at=result.ended_at,
            duration=result.duration,
        )


def storable(text: str) -> str:
    r"""Text that any database can keep: NUL and lone surrogates are written as escapes.

    >>> print(storable("nul \0, half \udcff"))
    nul \x00, half \udcff
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", r"\x00")


def one_line(what: object) -> str:
    """A text in one line, as a store keeps it."""
    return storable(str(what)).replace("\r", r"\r").replace("\n", r"\n")


class StoreError(KxflowError):
    """A store that cannot do what it was asked for."""


@frozen
class UnknownTaskError(StoreError, LookupError):
    """A task record that the store does not hold."""

    id: str

    def __str__(self) -> str:
        return f"no task {self.id!r} in the store: create it first"


@frozen
class DuplicateTaskError(StoreError, ValueError):
    """A task record that is there already."""

    id: str

    def __str__(self) -> str:
        return f"task {self.id!r} is in the store already: a run is recorded once"


class Store(Protocol):
    """Keeps task records and step logs.

    Several runs may be recorded side by side. What a call was told is there for every later call once it returns.
    `kxflow.testing.check_store` holds a store to all of this.

    Raises:
        StoreError: From any method: it cannot be reached, or cannot keep what it was given.
    """

    async def create(self, record: TaskRecord) -> None:
        """Take a new record.

        Raises:
            DuplicateTaskError: Its id is there already.
        """
        ...

    async def update_status(
        self, task_id: str, status: TaskStatus, *, at: dt.datetime, error: str | None = None
    ) -> None:
        """Set the status; Running sets `started_at`, Succeeded and Failed set `ended_at`.

        An error that was told stays until another one is told.

        Raises:
            UnknownTaskError: It was not created.
        """
        ...

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        """Add step logs, many at a time: all of them or none, nothing between them.

        Raises:
            UnknownTaskError: It was not created.
        """
        ...

    async def get(self, task_id: str) -> TaskRecord:
        """A record.

        Raises:
            UnknownTaskError: It was not created.
        """
        ...

    async def logs(self, task_id: str) -> tuple[StepLog, ...]:
        """The logs of a task, in the order in which they were added.

        Raises:
            UnknownTaskError: It was not created.
        """
        ...


class MemoryStore:
    """A store that forgets when the process ends."""

    def __init__(self) -> None:
        self._records: dict[str, TaskRecord] = {}
        self._logs: dict[str, list[StepLog]] = {}

    async def create(self, record: TaskRecord) -> None:
        """Take a new record.

        Raises:
            DuplicateTaskError: Its id is there already.
        """
        if record.id in self._records:
            raise DuplicateTaskError(record.id)
        self._records[record.id] = record
        self._logs[record.id] = []

    async def update_status(
        self, task_id: str, status: TaskStatus, *, at: dt.datetime, error: str | None = None
    ) -> None:
        """Set the status and the time that goes with it.

        Raises:
            UnknownTaskError: It was not created.
        """
        record = await self.get(task_id)
        begins = status is TaskStatus.Running
        ends = status in (TaskStatus.Succeeded, TaskStatus.Failed)
        self._records[task_id] = evolve(
            record,
            status=status,
            started_at=at if begins else record.started_at,
            ended_at=at if ends else record.ended_at,
            error=error if error is not None else record.error,
        )

    async def append_logs(self, task_id: str, logs: Sequence[StepLog]) -> None:
        """Add step logs.

        Raises:
            UnknownTaskError: It was not created.
        """
        await self.get(task_id)
        self._logs[task_id].extend(logs)

    async def get(self, task_id: str) -> TaskRecord:
        """A record.

        Raises:
            UnknownTaskError: It was not created.
        """
        try:
            return self._records[task_id]
        except KeyError:
            raise UnknownTaskError(task_id) from None

    async def logs(self, task_id: str) -> tuple[StepLog, ...]:
        """The logs of a task.

        Raises:
            UnknownTaskError: It was not created.
        """
        await self.get(task_id)
        return tuple(self._logs[task_id])
