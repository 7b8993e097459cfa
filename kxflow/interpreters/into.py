"""Files that come from a host: a piece at a time, whole or not at all, and never outside of their folder."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import Final

import anyio
import anyio.to_thread
from attrs import evolve

from kxflow.interpreters.converse import Handler
from kxflow.shell import frames
from kxflow.values.action import Into
from kxflow.values.output import Output

PIECE: Final = 1 << 20
SLACK: Final = 1 << 20
"""So much more than was announced may come before the host is not listened to any more."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Taker:
    """Takes the events of a program of one op whose stdout is a file's content; that goes into the file."""

    def __init__(self, into: Into, handle: Handler) -> None:
        self._into = into
        self._handle = handle
        self._waiting: list[bytes] = []
        self._weight = 0
        self._place: _Place | None = None
        self._trouble = ""

    async def take(self, event: frames.Event) -> None:
        """Keep what is content, pass on what is not."""
        match event:
            case frames.Chunk(_, stream, data):
                if stream == "stdout":
                    await self._add(data)
                return
            case frames.Ended(_, "ran", 0):
                event = await anyio.to_thread.run_sync(self._finish, event)
            case frames.Ended():
                event = evolve(event, stdout=Output())  # content is nothing for records
        await self._handle(event)

    async def aclose(self) -> None:
        """Leave nothing that is not whole."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._give_up)

    async def _add(self, data: bytes) -> None:
        if self._trouble:
            return
        self._waiting.append(data)
        self._weight += len(data)
        if self._weight >= PIECE:
            await anyio.to_thread.run_sync(self._write)

    def _write(self) -> None:
        data, self._waiting, self._weight = self._waiting, [], 0
        try:
            if self._place is None:
                self._place = _Place(self._into)
            self._place.write(data)
        except OSError as error:
            self._trouble = f"{self._name}: {error.strerror or error}"

    @property
    def _name(self) -> str:
        return os.path.join(self._into.folder, *self._into.parts)  # noqa: PTH118 -- a message

    def _finish(self, ended: frames.Ended) -> frames.Ended:
        self._write()
        came = ended.stdout
        if not self._trouble and (came.size, came.sha256) != (self._into.size, self._into.sha256):
            self._trouble = "it was changed while it was fetched"
        if not self._trouble and self._place is not None:
            try:
                self._place.keep()
            except OSError as error:
                self._trouble = f"{self._name}: {error.strerror or error}"
        ended = evolve(ended, stdout=Output())
        return evolve(ended, how="into", stderr=Output.of(self._trouble.encode())) if self._trouble else ended

    def _give_up(self) -> None:
        if self._place is not None:
            self._place.close()


class _Place:
    """A new file, open, beside the one that it is to become; no name on the way to it is a link."""

    def __init__(self, into: Into) -> None:
        os.makedirs(into.folder, exist_ok=True)  # noqa: PTH103 -- text with surrogate escapes
        self._name = into.parts[-1]
        self._folder = os.open(into.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in into.parts[:-1]:
                self._enter(part)
            self._temp: str | None = f".kx.{secrets.token_hex(8)}"
            self._file = os.fdopen(os.open(self._temp, _NEW, 0o600, dir_fd=self._folder), "wb", buffering=0)
        except OSError:
            os.close(self._folder)
            raise

    def _enter(self, part: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=self._folder)
        below = os.open(part, _FOLDER, dir_fd=self._folder)
        os.close(self._folder)
        self._folder = below

    def write(self, pieces: list[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        while data:
            data = data[self._file.write(data) :]

    def keep(self) -> None:
        """Put it in place, durably."""
        os.fsync(self._file.fileno())
        if self._temp is not None:
            os.rename(self._temp, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._temp = None

    def close(self) -> None:
        """Remove what was not kept."""
        if self._temp is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temp, dir_fd=self._folder)
        self._file.close()
        os.close(self._folder)
