"""What a log asks of the operating system, and what its refusals mean."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import frozen

from kxflow.interpreters.ports import JournalError
from kxflow.values.errors import InvalidError
from kxflow.values.fault import Fault

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LOG: Final = {
    errno.ELOOP: ("is a symbolic link", "name the file itself"),
    errno.EISDIR: ("is a folder", "name a file"),
    errno.ENXIO: ("is a socket or a pipe", "name a plain file"),
    errno.ENOENT: ("is in no folder that exists", "make the folder first"),
    errno.ENOTDIR: ("is in no folder that exists", "make the folder first"),
}

# macOS has no fdatasync
fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


@frozen
class Disk:
    """The calls that can fail while a log grows; tests give ones that do.

    Attributes:
        write: Appends bytes to a descriptor, gives how many it took.
        sync: Makes what was written durable.
        truncate: Cuts a descriptor's file to a size.
    """

    write: Callable[[int, bytes | memoryview], int] = os.write
    sync: Callable[[int], None] = fdatasync
    truncate: Callable[[int, int], None] = os.ftruncate


def write_all(disk: Disk, fd: int, data: bytes) -> None:
    """Write every byte; a full disk gives a short write first, and the error with the next.

    Raises:
        OSError: As the disk says.
    """
    rest = memoryview(data)
    while rest:
        taken = disk.write(fd, rest)
        if taken <= 0:
            raise OSError(errno.ENOSPC, "nothing more is taken")
        rest = rest[taken:]


def journal_error(error: OSError, path: Path, more: str = "") -> JournalError:
    """What a refusal of the operating system means for the run."""
    text = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return JournalError(
            Fault("sink_full", f"the log cannot grow: {text}{more}", str(path), "make room, then run it again")
        )
    return JournalError(Fault("sink_io", f"the log cannot be written: {text}{more}", str(path), "check the disk"))


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file of our own, or make it (0600); never through a link, never waiting for a pipe.

    Raises:
        InvalidError: It is a link, a pipe, a device, a folder, or somebody else's.
        JournalError: The system refuses.
    """
    # O_NONBLOCK: opening a FIFO to look at it must not wait for its other end; plain files ignore it.
    careful = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        fd = os.open(path, flags | careful | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno in _NO_LOG:
            what, remedy = _NO_LOG[error.errno]
            raise InvalidError(f"the log {path} {what}", remedy) from error
        text = os.strerror(error.errno or 0)
        fault = Fault("sink_open", f"the log cannot be opened: {text}", str(path), "name another file")
        raise JournalError(fault) from error
    try:
        _check_ours(fd, path)
    except InvalidError:
        os.close(fd)
        raise
    return fd


def _check_ours(fd: int, path: Path) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidError(f"the log {path} is no plain file", "name one, or a name that is free")
    if found.st_uid != os.geteuid():
        raise InvalidError(f"the log {path} belongs to user {found.st_uid}", "name a file of your own")
    if found.st_mode & 0o022:  # whoever may write to it could forge it
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & ~0o022)


def sync_folder(path: Path) -> None:
    """Make a new name in the folder of `path` durable.

    Raises:
        OSError: As the disk says.
    """
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
