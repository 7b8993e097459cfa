"""A run into a store: one fold over its stream."""

from __future__ import annotations

from collections.abc import AsyncIterable

from kxflow.services.store import StepLog, Store, TaskRecord, TaskStatus
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event, RunBegan, RunEnded, StepEnded
from kxflow.values.result import StepResult

BATCH = 200


async def record_run(events: AsyncIterable[Event], store: Store, *, batch: int = BATCH) -> TaskRecord:
    """Take a stream to a store and give the record as it stands in the end.

    The record is Pending before anything is sent, Running from then on, and Succeeded or Failed in the end. Step logs
    go in batches, in the order of the stream. A stream that breaks off leaves the record Failed.

    Args:
        events: As `stream` gives them.
        store: Where to.
        batch: Step logs to add at a time.

    Raises:
        InvalidError: The stream has no `RunBegan`.
        StoreError: As the store raises.
    """
    fold = _Fold(store, batch)
    try:
        async for event in events:
            await fold.take(event)
    except BaseException:
        await fold.broke_off()
        raise
    return await fold.record()


class _Fold:
    """What the fold carries: the run's id, the logs not yet added, the first fault."""

    def __init__(self, store: Store, batch: int) -> None:
        self._store = store
        self._batch = batch
        self._id = ""
        self._logs: list[StepLog] = []
        self._first: StepResult | None = None
        self._last: RunBegan | None = None
        self._spoilt = False

    async def take(self, event: Event) -> None:
        match event:
            case RunBegan():
                await self._begin(event)
            case StepEnded(result):
                await self._step(result)
            case RunEnded():
                await self._end(event)
            case _:
                pass

    async def _begin(self, event: RunBegan) -> None:
        self._id, self._last = event.run, event
        await self._store.create(TaskRecord(id=event.run, name=event.pipeline, created_at=event.at))
        await self._store.update_status(event.run, TaskStatus.Running, at=event.at)

    async def _step(self, result: StepResult) -> None:
        self._logs.append(StepLog.of(self._id, result))
        self._spoilt = self._spoilt or result.spoils
        if self._first is None and result.status.fault and not result.tolerated:
            self._first = result
        if len(self._logs) >= self._batch:
            await self._flush()

    async def _flush(self) -> None:
        logs, self._logs = self._logs, []
        if logs:
            await self._store.append_logs(self._id, logs)

    async def _end(self, event: RunEnded) -> None:
        await self._flush()
        failed = self._spoilt or bool(event.faults)
        error = None if self._first is None else str(self._first.error or self._first)
        if event.faults:
            error = error or str(event.faults[0])
        status = TaskStatus.Failed if failed else TaskStatus.Succeeded
        await self._store.update_status(self._id, status, at=event.at, error=error)

    async def broke_off(self) -> None:
        """Leave no record that says Running for ever."""
        if self._last is not None:
            await self._flush()
            await self._store.update_status(self._id, TaskStatus.Failed, at=self._last.at, error="the stream broke off")

    async def record(self) -> TaskRecord:
        """The record as it stands.

        Raises:
            InvalidError: The stream had no `RunBegan`.
        """
        if not self._id:
            raise InvalidError("this stream has no beginning", "give record_run a fresh stream")
        return await self._store.get(self._id)
