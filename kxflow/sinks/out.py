"""A text stream that may go away while a run goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TextIO


class Out:
    """Writes to a text stream, and is quiet once nobody reads it any more; it never raises.

    What the stream's encoding cannot say it writes as escapes.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.off = False

    @property
    def encoding(self) -> str:
        """Of the stream."""
        return getattr(self._file, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with contextlib.suppress(ValueError):  # closed
            return self._file.isatty()
        return False

    def fileno(self) -> int:
        """Of the stream.

        Raises:
            OSError: It has none.
        """
        return self._file.fileno()

    def write(self, text: str) -> int:
        """Write it, as far as anybody reads."""
        self._try(lambda: self._write(text))
        return len(text)

    def flush(self) -> None:
        """Flush it, as far as anybody reads."""
        self._try(self._file.flush)

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except UnicodeEncodeError:
            self._file.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))

    def _try(self, act: Callable[[], object]) -> None:
        if self.off:
            return
        try:
            act()
        except (OSError, ValueError):  # a closed pipe, a terminal that is gone, a full disk, a closed file
            self.off = True
            if self._file in (sys.stdout, sys.stderr):
                self._to_nowhere()

    def _to_nowhere(self) -> None:
        """Lead its descriptor to /dev/null.

        Else Python, flushing stdout at exit, prints an error and exits with 120 (library/signal, "Note on SIGPIPE").
        """
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._file.fileno())
            os.close(null)
