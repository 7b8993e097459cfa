"""The journal: a run as a file of one JSON record a line, durable before anything depends on it."""

from __future__ import annotations

import datetime as dt
import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import evolve

from kxflow.interpreters.ports import JournalError, Sent
from kxflow.journal.errors import LogError
from kxflow.journal.fold import Log, fold
from kxflow.journal.record import LogRepaired, StepSent
from kxflow.sinks.beside import fetch
from kxflow.sinks.commit import GroupCommit
from kxflow.sinks.disk import Disk
from kxflow.sinks.logfile import LogFile, lines_of, open_log, repair
from kxflow.values.errors import InvalidError, KxflowError
from kxflow.values.event import RunBegan, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import StepResult


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Ndjson:
    """A journal in a file; made by `ndjson`. One run at a time, as many after each other as you like."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: bool,
        disk: Disk,
        now: Callable[[], dt.datetime],
        on_repair: Callable[[LogRepaired], object] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self._on_repair = on_repair
        self.sync = sync
        self._disk = disk
        self._now = now
        self._run = ""
        self._commit: GroupCommit | None = None

    async def begin(self, event: RunBegan) -> None:
        """Open the file, or make it, and record the beginning.

        Raises:
            InvalidError: The file is a link, a pipe, somebody else's, no log, or damaged.
            JournalError: It cannot be opened or written, or another run is writing it.
        """
        if self._commit is not None:
            what = "this journal is in use by another run"
            raise JournalError(Fault("sink_locked", what, self.path, "give each run a journal of its own"))
        log = await anyio.to_thread.run_sync(self._open, event, limiter=anyio.CapacityLimiter(1))
        self._commit = GroupCommit(log)
        self._run = event.run

    def _open(self, event: RunBegan) -> LogFile:
        log, torn = open_log(Path(self.path), sync=self.sync, disk=self._disk, now=self._now)
        try:
            repaired = [repair(log, torn, event.run)] if torn else []
            log.append_one([event, *repaired])
        except KxflowError:
            log.close()
            raise
        if repaired and self._on_repair is not None:
            self._on_repair(repaired[0])
        return log

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Record that these are about to be sent.

        Raises:
            JournalError: It is not durable.
        """
        await self._opened(
            [
                StepSent(
                    run=self._run,
                    module=each.module,
                    task=each.task,
                    step=each.step,
                    host=each.host,
                    position=each.position,
                    digest=each.digest,
                    attempt=each.attempt,
                )
                for each in steps
            ]
        )

    async def ended(self, results: Sequence[StepResult]) -> None:
        """Record these results.

        Raises:
            JournalError: They are not durable.
            UnencodableError: A value in them is no data.
        """
        await self._opened([StepEnded(each) for each in results])

    async def finish(self, event: RunEnded) -> None:
        """Record the end of the run; durable also with `sync=False`.

        Raises:
            JournalError: It is not.
        """
        commit = self._opened
        await commit([event])
        if not self.sync:
            await commit.flush()

    async def aclose(self) -> None:
        """Give up the file; the journal can then begin another run. Never raises."""
        commit, self._commit = self._commit, None
        if commit is not None:
            await commit.aclose()

    @property
    def _opened(self) -> GroupCommit:
        if self._commit is None:
            raise JournalError(Fault("sink_closed", "the journal has not begun a run", self.path, "call begin first"))
        return self._commit

    def __repr__(self) -> str:
        return f"ndjson({self.path!r}{'' if self.sync else ', sync=False'})"


def ndjson(
    path: str | os.PathLike[str],
    *,
    sync: bool = True,
    disk: Disk | None = None,
    now: Callable[[], dt.datetime] = _now,
    on_repair: Callable[[LogRepaired], object] | None = None,
) -> Ndjson:
    """A journal that records runs in a file, one JSON record a line; `read_log` reads it back.

    The file is opened when a run begins: made where it is not there (mode 0600), else this run is written behind the
    runs that are in it. They are checked first: behind damage nothing is written. A fragment that a crash left at the
    end is moved to `<path>.torn`. Values that make a record longer than 256 KiB lie in files in `<path>.d`. While a run
    writes it no other run can.

    Args:
        path: A plain file of your own, in a folder that exists.
        sync: Wait for the disk before a step is sent and before its result is handed on. Without it the log
            outlives the death of the process, but not of the machine.
        disk: The calls to the operating system.
        now: The clock for the time in each record.
        on_repair: Called with a fragment that was moved away, before the run goes on; in a thread. It must not raise.

    Raises:
        InvalidError: `path` is no path.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InvalidError(f"ndjson({path!r}) names no file", 'give a path: ndjson("run.ndjson")')
    return Ndjson(path, sync=sync, disk=disk or Disk(), now=now, on_repair=on_repair)


def read_log(path: str | os.PathLike[str], *, run: str | None = None) -> Log:
    """Read a log back: its last run, or the last one with this id.

    Args:
        path: The file; values beside it are read too.
        run: Id of a run; `read_log(path).runs` lists them.

    Raises:
        LogError: It is no log, damaged (naming the byte), of a newer version, or holds no such run.
        OSError: It cannot be read.
    """
    real = Path(path).resolve()
    fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise LogError("is no plain file", path=os.fspath(path))
        try:
            return fold(lines_of(file), run, partial(fetch, real))
        except LogError as error:
            raise evolve(error, path=os.fspath(path)) from error
