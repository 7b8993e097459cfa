"""What came of one step on one host: one closed sum, total."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from attrs import field, frozen

from kxflow.values.fault import Fault
from kxflow.values.freeze import jsonable, recorded, shown
from kxflow.values.output import Output
from kxflow.values.secret import MASK


class Absent(Enum):
    """What stands where a step gave no value; None is a value."""

    absent = "absent"


ABSENT: Final = Absent.absent

TOLERATED: Final = "tolerated"
UNDO: Final = "@undo"
"""The module of what a run takes back."""
KEPT: Final = "cannot be taken back: "
"""How the reason begins why something is not."""


class Status(Enum):
    """How a step ended on a host; there is no eighth way."""

    Succeeded = "Succeeded"
    Skipped = "Skipped"
    Failed = "Failed"
    Lost = "Lost"
    Unreachable = "Unreachable"
    Cancelled = "Cancelled"
    NotRun = "NotRun"

    @property
    def ok(self) -> bool:
        """It is as wanted: Succeeded or Skipped."""
        return self in _OK

    @property
    def fault(self) -> bool:
        """Something went wrong with this step itself: Failed, Lost, Unreachable or Cancelled."""
        return self in _FAULTS

    def __repr__(self) -> str:
        return f"Status.{self.name}"


# Tuples: members are found by identity, which the hash of an enum's member would cost four times as much to do.
_OK: Final = (Status.Succeeded, Status.Skipped)
_FAULTS: Final = (Status.Failed, Status.Lost, Status.Unreachable, Status.Cancelled)


class Position(NamedTuple):
    """Where a result stands in the canonical order; hooks count as places of their own."""

    module: int = 0
    task: int = 0
    step: int = 0
    host: int = 0


@frozen
class Change:
    """What a step changed on the host, as far as it is known.

    Attributes:
        before, after: The state in its canonical text form.
        diff: Unified diff of the two.
    """

    before: str
    after: str
    diff: str = ""


@frozen
class Attempt:
    """One try of a step.

    Attributes:
        status: How it ended.
        exit_code: Its exit status, where received.
        started_at, ended_at: UTC, controller's clock.
        duration: Seconds, monotonic.
    """

    status: Status
    exit_code: int | None
    started_at: dt.datetime
    ended_at: dt.datetime
    duration: float


@frozen(kw_only=True)
class Performed:
    """What a runner gives back for one action: a result that does not know its place yet.

    Attributes: as those of `StepResult`. `payload` is the typed value; `has_value` says that a record is to show it.
    """

    status: Status
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    stdout: Output = Output()
    stderr: Output = Output()
    error: Fault | None = None
    payload: Any = field(default=ABSENT, eq=False, repr=False)
    has_value: bool = False
    sensitive: bool = False
    change: Change | None = None
    started_at: dt.datetime
    ended_at: dt.datetime
    duration: float = 0.0

    @property
    def attempt(self) -> Attempt:
        """This, as one try among several."""
        return Attempt(self.status, self.exit_code, self.started_at, self.ended_at, self.duration)


@frozen(kw_only=True)
class StepResult:
    """What came of one step on one host, in one run. Frozen; nothing is lost on the way to it.

    Attributes:
        run: Id of the run.
        pipeline, module, task, step, host: The address. Hooks are named `@before`, `@after`.
        position: Place in the canonical order: module, task, step, host.
        status: How it ended.
        reason: Machine word and what it refers to: `exit`, `check`, `when`, `timed_out`, `hostkey_changed`,
            `blocked: deploy/web/join/start`, …; empty on plain success. `tolerated` is the word of a step that did not
            run for want of a value, which a tolerated fault kept from coming.
        exit_code: As received from the host; None where none was.
        signal: Name of the signal that ended it, without SIG, where the exit status tells.
        stdout, stderr: What it wrote, bounded.
        error: What, where, what to do; None where nothing went wrong.
        value: What it produced, as JSON can say it; None for plain output, a mask for a secret.
        change: Before, after and diff, where known.
        attempts: Every try, first to last; empty where it never began.
        started_at, ended_at: UTC, controller's clock; also where it was skipped or never ran.
        duration: Seconds, monotonic, all attempts.
        digest: Of the action; holds names of secrets, never values. Empty where no action was made.
        tolerated: An error handler is attached (`ignore_errors`, `rescue`): known when built.
        payload: The typed value itself; not part of the record, absent in a result that was read from a log.
    """

    run: str
    pipeline: str
    module: str
    task: str
    step: str
    host: str
    position: Position = Position()
    status: Status
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    stdout: Output = Output()
    stderr: Output = Output()
    error: Fault | None = None
    value: Any = field(default=None, converter=recorded, repr=shown)
    change: Change | None = None
    attempts: tuple[Attempt, ...] = ()
    started_at: dt.datetime
    ended_at: dt.datetime
    duration: float = 0.0
    digest: str = ""
    tolerated: bool = False
    payload: Any = field(default=ABSENT, eq=False, repr=False)

    @property
    def path(self) -> str:
        """Pipeline, module, task and step in one text; unique in a pipeline."""
        return "/".join((self.pipeline, self.module, self.task, self.step))

    @property
    def key(self) -> tuple[Position, str]:
        """What identifies it in a run."""
        return (self.position, self.host)

    @property
    def ok(self) -> bool:
        """Succeeded or Skipped."""
        return self.status.ok

    @property
    def spoils(self) -> bool:
        """A run that holds it is no success: an untolerated fault, or not run for a cause that is not tolerated."""
        if self.status is Status.NotRun:
            return not self.reason.startswith(f"{TOLERATED}:")
        return self.status.fault and not self.tolerated

    @property
    def on_success_track(self) -> bool:
        """Whether the container carries it on the success track: ok, or tolerated."""
        return self.ok or (self.status.fault and self.tolerated)

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.host} {self.path}: {self.status.name}{why}"

    def _value_text(self) -> str:
        if self.value is None:
            return ""
        return self.value if isinstance(self.value, str) else shown(self.value)

    def _repr_html_(self) -> str:
        from kxflow.values.markup import preformatted, table, title

        rows = [
            ("exit code", "none received" if self.exit_code is None else self.exit_code),
            ("error", self.error or ""),
            ("value", self._value_text()),
            ("attempts", len(self.attempts)),
            ("began (UTC)", f"{self.started_at:%Y-%m-%d %H:%M:%S}"),
            ("seconds", f"{self.duration:.2f}"),
        ]
        told = [row for row in rows if row[1] != ""]
        outputs = preformatted("stdout", str(self.stdout)) + preformatted("stderr", str(self.stderr))
        return title(self) + table(("", ""), told, total=len(told)) + outputs


Results: TypeAlias = tuple[StepResult, ...]


def settle(
    place: StepResult, performed: Performed, *, digest: str = "", attempts: tuple[Attempt, ...] | None = None
) -> StepResult:
    """The result at a place once its action was performed; `place` gives the address."""
    tries = (performed.attempt,) if attempts is None else attempts
    secret = performed.sensitive and performed.has_value
    return StepResult(  # not evolve: this is the one hot place, and evolve costs four times as much
        run=place.run,
        pipeline=place.pipeline,
        module=place.module,
        task=place.task,
        step=place.step,
        host=place.host,
        position=place.position,
        tolerated=place.tolerated,
        status=performed.status,
        reason=performed.reason,
        exit_code=performed.exit_code,
        signal=performed.signal,
        stdout=performed.stdout,
        stderr=performed.stderr,
        error=performed.error,
        value=(MASK if secret else jsonable(performed.payload)) if performed.has_value else None,
        payload=performed.payload,
        change=performed.change,
        attempts=tries,
        started_at=tries[0].started_at if tries else performed.started_at,
        ended_at=performed.ended_at,
        duration=sum(each.duration for each in tries) if tries else performed.duration,
        digest=digest,
    )
