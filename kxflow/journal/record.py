"""What a line of a log says, as frozen values."""

from __future__ import annotations

import datetime as dt
from typing import Final, TypeAlias

from attrs import frozen

from kxflow.values.event import RunBegan, RunEnded, StepEnded
from kxflow.values.result import Position

GENESIS: Final = "0" * 32


@frozen(kw_only=True)
class StepSent:
    """A step was about to be sent to a host: from here on it may have begun.

    Attributes: its address, place, and the digest of its action; `attempt` counts from 1.
    """

    run: str
    module: str
    task: str
    step: str
    host: str
    position: Position
    digest: str
    attempt: int = 1

    @property
    def key(self) -> tuple[Position, str]:
        """What identifies it in a run, as in its result."""
        return (self.position, self.host)


@frozen(kw_only=True)
class LogRepaired:
    """A fragment at the end of the log was cut off before this run went on behind it.

    Attributes:
        run: The run that found it, not the one that left it.
        offset: Where it began, bytes from the start of the file.
        size: Its length in bytes.
        sha256: Hex digest of it.
        saved: Name of the file beside the log that keeps the fragment.
    """

    run: str
    offset: int
    size: int
    sha256: str
    saved: str


Body: TypeAlias = RunBegan | StepSent | StepEnded | RunEnded | LogRepaired


@frozen
class Record:
    """One line of a log.

    Attributes:
        seq: Its place in the file: 0, 1, 2, … without gaps, over all runs in it.
        at: When it was written, UTC, wall clock; order goes by `seq` only.
        prev: First 32 hex digits of the SHA-256 of the line before, its newline included; zeros in the first line.
        body: What it says.
    """

    seq: int
    at: dt.datetime
    prev: str
    body: Body
