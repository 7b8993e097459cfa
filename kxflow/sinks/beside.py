"""Values too large for a line of the log: each a file in the folder beside it, named by its SHA-256."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kxflow.journal.errors import LogError
from kxflow.sinks.disk import Disk, write_all

_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def folder_of(path: Path) -> Path:
    """The folder beside a log."""
    return path.with_name(f"{path.name}.d")


class Keeper:
    """Writes values beside a log; a value that was kept once in this run is not written again."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._folder = folder_of(path)
        self._disk = disk
        self._kept: set[str] = set()

    def keep(self, values: Mapping[str, bytes]) -> None:
        """Make every value durable: whole under its name, or not there.

        Raises:
            OSError: As the disk says.
        """
        fresh = {digest: value for digest, value in values.items() if digest not in self._kept}
        if not fresh:
            return
        folder = self._open_folder()
        try:
            for digest, value in fresh.items():
                self._write(folder, digest, value)
            os.fsync(folder)
        finally:
            os.close(folder)
        self._kept.update(fresh)

    def _open_folder(self) -> int:
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(0o700)
        return os.open(self._folder, _FOLDER)

    def _write(self, folder: int, digest: str, value: bytes) -> None:
        temporary = f".{digest[:16]}.{secrets.token_hex(16)}"
        fd = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        try:
            try:
                write_all(self._disk, fd, value)
                self._disk.sync(fd)
            finally:
                os.close(fd)
            os.rename(temporary, digest, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise


def fetch(path: Path, digest: str, size: int) -> bytes:
    """A value from beside the log at `path`; whether it is the right one the reader of the record checks.

    Raises:
        LogError: It is not there, or not of this size.
    """
    if not isinstance(digest, str) or not _DIGEST.match(digest):  # it names a file: no dots, no slashes
        raise LogError(f"{digest!r:.100} names nothing beside it")
    try:
        fd = os.open(folder_of(path) / digest, _READ)
    except OSError as error:
        raise LogError(f"the value {digest} beside it is gone", remedy=f"keep {folder_of(path)} with it") from error
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise LogError(f"the value {digest} beside it has changed")
        return file.read()
