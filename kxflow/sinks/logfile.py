"""The file of a log while a run writes it. Blocking; its owner calls it from one thread at a time."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from attrs import field, mutable

from kxflow.interpreters.ports import JournalError
from kxflow.journal.codec import LIMIT, chain, encode
from kxflow.journal.errors import LogError
from kxflow.journal.record import GENESIS, Body, LogRepaired, Record
from kxflow.journal.tail import end_of
from kxflow.sinks.beside import Keeper
from kxflow.sinks.disk import Disk, journal_error, open_plain, sync_folder, write_all
from kxflow.values.errors import InvalidError, KxflowError
from kxflow.values.fault import Fault

_BLOCK: Final = 1 << 20


@mutable(eq=False)
class Entry:
    """What one call wants written: all of it or nothing.

    Attributes:
        bodies: In this order, nothing between them.
        error: Why they cannot be written at all, whatever the disk says.
    """

    bodies: Sequence[Body]
    error: KxflowError | None = None


@mutable(eq=False)
class LogFile:
    """A log that is open and ours alone. Only whole lines ever stay in it.

    Attributes:
        path: Absolute.
        size: Bytes of whole lines; what is beyond after a failure is cut off.
        seq, prev: What the next record is to say.
        dead: Why nothing more can be written; every later call raises it.
    """

    path: Path
    fd: int
    disk: Disk
    sync: bool
    now: Callable[[], dt.datetime]
    size: int = 0
    seq: int = 0
    prev: str = GENESIS
    dead: Fault | None = None
    keeper: Keeper = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.keeper = Keeper(self.path, self.disk)

    def append_one(self, bodies: Sequence[Body]) -> None:
        """Write these, and make them durable.

        Raises:
            JournalError: They are not, and nothing will be any more.
            KxflowError: One of them cannot be encoded.
        """
        entry = Entry(bodies)
        self.append([entry])
        if entry.error is not None:
            raise entry.error

    def append(self, entries: Iterable[Entry]) -> None:
        """Write all entries with one write, and make them durable; one that cannot be encoded gets its `error`.

        Raises:
            JournalError: Nothing of it is acknowledged, and nothing will be any more.
        """
        if self.dead is not None:
            raise JournalError(self.dead)
        lines: list[bytes] = []
        beside: dict[str, bytes] = {}
        seq, prev = self.seq, self.prev
        for entry in entries:
            try:
                encoded = list(self._encode(entry.bodies, seq, prev, beside))
            except (KxflowError, ValueError, TypeError) as error:
                entry.error = error if isinstance(error, KxflowError) else InvalidError(f"cannot be recorded: {error}")
                continue
            if encoded:
                lines += encoded
                seq, prev = seq + len(encoded), chain(encoded[-1])
        if lines:
            self._write(b"".join(lines), beside)
        self.seq, self.prev = seq, prev

    def _encode(self, bodies: Sequence[Body], seq: int, prev: str, beside: dict[str, bytes]) -> Iterable[bytes]:
        now = self.now()
        for place, body in enumerate(bodies):
            line = encode(Record(seq + place, now, prev, body))
            beside.update(line.beside)
            prev = line.hash
            yield line.data

    def _write(self, data: bytes, beside: dict[str, bytes]) -> None:
        try:
            self._watch()
            self.keeper.keep(beside)
            try:
                write_all(self.disk, self.fd, data)
            except OSError as error:
                raise journal_error(error, self.path, self._roll_back()) from error
            if self.sync:
                self.disk.sync(self.fd)  # where this fails nobody knows what is durable: it is not tried again
        except OSError as error:
            problem = error if isinstance(error, JournalError) else journal_error(error, self.path)
            self.dead = problem.fault
            raise problem from error
        self.size += len(data)

    def _watch(self) -> None:
        """See that the name still leads to this file, and that nobody else wrote to it."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            found = None
        ours, where = os.fstat(self.fd), str(self.path)
        if found is None or (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino):
            raise JournalError(Fault("sink_replaced", "the log was removed or replaced", where, "leave it alone"))
        if ours.st_size != self.size:
            raise JournalError(Fault("sink_replaced", "somebody else wrote to the log", where, "leave it alone"))

    def _roll_back(self) -> str:
        """Cut off the fragment of a failed write, so that nothing is ever glued to it; says where it cannot."""
        try:
            self.disk.truncate(self.fd, self.size)
        except OSError as error:
            return f"; nor can the fragment of it be cut off: {os.strerror(error.errno or 0)}"
        return ""

    def flush(self) -> None:
        """Make durable what was written.

        Raises:
            JournalError: Nobody knows what is durable.
        """
        try:
            self.disk.sync(self.fd)
        except OSError as error:
            problem = journal_error(error, self.path)
            self.dead = problem.fault
            raise problem from error

    def close(self) -> None:
        """Give up the file and its lock."""
        os.close(self.fd)


def open_log(path: Path, *, sync: bool, disk: Disk, now: Callable[[], dt.datetime]) -> tuple[LogFile, bytes]:
    """Open a log to write behind what is there, or make it; gives it and the torn fragment at its end.

    All of it is checked, for nobody could read what stands behind damage; see `end_of` for what it costs.

    Raises:
        InvalidError: It is a link, a pipe, somebody else's, no log, or damaged.
        JournalError: The system refuses, or another run writes it.
    """
    path = path.absolute()  # links are not followed: they are refused
    fd = open_plain(path, os.O_RDWR | os.O_APPEND)
    try:
        _lock(fd, path)
        with open(fd, "rb", buffering=_BLOCK, closefd=False) as file:
            end = end_of(lines_of(file))
        if not end.size and not end.torn:
            sync_folder(path)
    except LogError as error:
        os.close(fd)
        raise _unfit(path, error) from error
    except OSError as error:
        os.close(fd)
        raise error if isinstance(error, JournalError) else journal_error(error, path) from error
    return LogFile(path, fd, disk, sync, now, end.size, end.seq, end.prev), end.torn


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    r"""Lines split on b"\n" only; what is longer than any record comes in pieces, and so counts as damage."""
    while line := file.readline(LIMIT + 1):
        yield line


def _unfit(path: Path, error: LogError) -> InvalidError:
    """Why nothing can be written behind a log: nobody could read it."""
    what, remedy = f"nothing can be written behind the log {path}: {error.what}", error.remedy or "name another file"
    if error.offset is None:
        return InvalidError(what, remedy)
    saved = f"; `head -c {error.offset} LOG` gives what is whole before it" if error.offset else ""
    return InvalidError(f"{what} at byte {error.offset}", f"{remedy}{saved}")


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        what = "another run is writing this log"
        raise JournalError(Fault("sink_locked", what, str(path), "wait for its end, or name another file")) from error


def repair(log: LogFile, torn: bytes, run: str) -> LogRepaired:
    """Save a torn fragment beside the log, durably, and then cut it off.

    Raises:
        InvalidError: The place to save it is a link, or somebody else's.
        JournalError: It cannot be saved, or not be cut off.
    """
    saved = log.path.with_name(f"{log.path.name}.torn")
    try:
        fd = open_plain(saved, os.O_WRONLY | os.O_APPEND)
        try:
            write_all(log.disk, fd, torn)
            log.disk.sync(fd)
        finally:
            os.close(fd)
        log.disk.truncate(log.fd, log.size)
        log.disk.sync(log.fd)
        sync_folder(saved)
    except OSError as error:
        raise error if isinstance(error, JournalError) else journal_error(error, saved) from error
    digest = hashlib.sha256(torn).hexdigest()
    return LogRepaired(run=run, offset=log.size, size=len(torn), sha256=digest, saved=saved.name)
