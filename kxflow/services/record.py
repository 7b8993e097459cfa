"""A run into a store: one fold over its stream."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Final

import anyio

from kxflow.services.store import StepLog, Store, TaskRecord, TaskStatus, one_line
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event, RunBegan, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import StepResult

BATCH: Final = 200
PATIENCE: Final = 10.0


async def record_run(events: AsyncIterable[Event], store: Store, *, batch: int = BATCH) -> TaskRecord:
    """Take a stream to a store and give the record as it stands in the end.

    The record is created Pending when the run tells its beginning, is Running from then on, and Succeeded or Failed in
    the end, as the report of the run is. Step logs go in batches, in the order of the stream; all are there before
    the end is. A stream that breaks off leaves the record Failed, also where this is cancelled: the store then has ten
    seconds to take what is left. The stream stays the caller's: leave it with `async with`.

    Args:
        events: As `stream` gives them, from the beginning of one run to its end.
        store: Where to.
        batch: Step logs to add at a time.

    Raises:
        InvalidError: The stream has no `RunBegan`, or `batch` cannot be.
        StoreError: As the store raises; the record is then left Failed, where the store still can.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InvalidError(f"batch={batch!r} cannot be", "give a whole number >= 1")
    fold: _Fold | None = None
    try:
        async for event in events:
            if fold is None:
                fold = await _created(event, store, batch)
                await fold.start()
            else:
                await fold.take(event)
    finally:
        if fold is not None and not fold.over:
            with anyio.CancelScope(shield=True), anyio.move_on_after(PATIENCE):
                await fold.break_off()
    if fold is None:
        raise _NO_BEGINNING
    return await store.get(fold.run)


_NO_BEGINNING: Final = InvalidError("this stream has no beginning", "give record_run a fresh stream")


async def _created(event: Event, store: Store, batch: int) -> _Fold:
    """The fold of a run whose record was created; a record that was there already is not ours to touch."""
    if not isinstance(event, RunBegan):
        raise _NO_BEGINNING
    await store.create(TaskRecord(id=event.run, name=event.pipeline, created_at=event.at))
    return _Fold(store, batch, event)


class _Fold:
    """What the fold carries.

    Attributes:
        run: Id of the run; the store has its record.
        over: The store has its end.
    """

    def __init__(self, store: Store, batch: int, began: RunBegan) -> None:
        self.run = began.run
        self.over = False
        self._store = store
        self._batch = batch
        self._logs: list[StepLog] = []
        self._first: StepResult | None = None
        self._unrun: StepResult | None = None
        self._last = began.at

    async def start(self) -> None:
        """It runs."""
        await self._store.update_status(self.run, TaskStatus.Running, at=self._last)

    async def take(self, event: Event) -> None:
        """The next event.

        Raises:
            InvalidError: It is of another run.
        """
        match event:
            case StepEnded(result):
                await self._step(result)
            case RunEnded():
                await self._end(event)
            case RunBegan():
                raise InvalidError("this stream holds a second run", "give record_run one run at a time")
            case _:
                pass

    async def _step(self, result: StepResult) -> None:
        self._logs.append(StepLog.of(self.run, result))
        self._last = max(self._last, result.ended_at)
        if result.status.fault and not result.tolerated:
            self._first = result if self._first is None else min(self._first, result, key=_by_end)
        elif result.spoils:
            self._unrun = self._unrun or result
        if len(self._logs) >= self._batch:
            await self._flush()

    async def _flush(self) -> None:
        logs, self._logs = self._logs, []
        if logs:
            await self._store.append_logs(self.run, logs)

    async def _end(self, event: RunEnded) -> None:
        await self._flush()
        error = self._error(event.faults)
        status = TaskStatus.Succeeded if error is None else TaskStatus.Failed
        await self._store.update_status(self.run, status, at=event.at, error=error)
        self.over = True

    async def break_off(self) -> None:
        """Leave no record that says Running for ever."""
        told = self._error((Fault("broke_off", "the stream broke off before the end of the run"),))
        try:
            await self._flush()
        finally:
            await self._store.update_status(self.run, TaskStatus.Failed, at=self._last, error=told)

    def _error(self, faults: tuple[Fault, ...]) -> str | None:
        """What went wrong first, in one line: on a host, with the run, or else what kept a step from running."""
        if self._first is not None:
            return one_line(self._first.error or self._first)
        if faults:
            return one_line(faults[0])
        return None if self._unrun is None else one_line(self._unrun)


def _by_end(result: StepResult) -> tuple[object, ...]:
    return (result.ended_at, result.key)
