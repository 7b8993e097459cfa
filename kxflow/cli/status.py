"""Exit codes, and how expected trouble is told: in words, never as a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import click

import kxflow as kx
from kxflow.interpreters.feed import SINK_FAULTS, SINK_THREAD
from kxflow.sinks.escape import lines_of
from kxflow.sinks.out import Out
from kxflow.sinks.wording import count
from kxflow.values.errors import KxflowError, ProblemsError

OK: Final = 0
FAILED: Final = 1
INVALID: Final = 2
UNREACHABLE: Final = 3
LOST: Final = 4
UNRECORDED: Final = 5
SIGNALLED: Final = 128

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_SEVERITY: Final = (LOST, FAILED, UNREACHABLE)
_CODES: Final = {
    kx.Status.Lost: LOST,
    kx.Status.Failed: FAILED,
    kx.Status.Cancelled: FAILED,
    kx.Status.Unreachable: UNREACHABLE,
}


def exit_code(report: kx.Report) -> int:
    """What a process that made this run says with its exit status.

    0 all well · 1 a step failed, or a sink did · 3 hosts could not be reached · 4 what became of a step is not known ·
    5 the run could not be recorded · 128+n ended by signal n. The worst wins: signal, 5, 4, 1, 3.

    >>> exit_code(kx.Report(faults=(kx.Fault("interrupted", "the run was interrupted: SIGTERM"),)))
    143
    """
    ended_by = [_signal_number(each.what) for each in report.faults if each.code == "interrupted"]
    if ended_by:
        return SIGNALLED + ended_by[0]
    if any(each.code not in SINK_FAULTS for each in report.faults):
        return UNRECORDED
    spoiling = {each.status for each in report.results if each.spoils}
    found = {_CODES[status] for status in spoiling if status in _CODES}
    if report.faults:  # the log has all, but who looked at the output has not: that is never a 0
        found.add(FAILED)
    # What was not run has its cause among the others; where they are all well, a step could not do its work.
    return next((code for code in _SEVERITY if code in found), FAILED if spoiling else OK)


def ended(report: kx.Report) -> int:
    """The exit status of a run; a sink that failed is told here, for it may be the one that tells."""
    for each in report.faults:
        if each.code in SINK_FAULTS:
            _tell(f"kxflow: what was shown is not all: {each}")
    return exit_code(report)


def _tell(text: str) -> None:
    """Write to stderr, if that takes it at once."""
    with contextlib.suppress(OSError, ValueError):  # it is no file, or it is closed
        if not select.select([], [sys.stderr], [], 0)[1]:
            return
    Out(sys.stderr).write(f"{lines_of(text)}\n")


def _stuck() -> bool:
    """A sink that was given up is still at it: it holds a stream that would be waited for when the process ends."""
    return any(each.name == SINK_THREAD for each in threading.enumerate())


def _signal_number(what: str) -> int:
    name = what.rsplit(maxsplit=1)[-1] if what.strip() else ""
    return int(signal.Signals.__members__.get(name, signal.SIGINT))


class Refused(click.ClickException):
    """Nothing was run, and this is why; names out of a log or an inventory are escaped."""

    exit_code = INVALID

    def show(self, file: Any = None) -> None:
        click.echo(lines_of(f"kxflow: {self.message}"), err=True)


class Commands(click.Group):
    """Commands that give exit codes; expected trouble is told in words, never as a traceback."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        options["standalone_mode"] = False
        sys.exit(_status_of(lambda: super(Commands, self).main(*args, **options)))

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _well_when_unread():  # --help and --version write from here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _well_when_unread():
            return super().invoke(ctx)


@contextlib.contextmanager
def _well_when_unread() -> Iterator[None]:
    """`| head` has seen enough: click would exit with 1."""
    try:
        yield
    except BrokenPipeError as error:
        raise click.exceptions.Exit(OK) from error


def _status_of(command: Callable[[], Any]) -> int:
    """The exit status of a command; what nobody reads any more goes nowhere, also at the interpreter's end."""
    try:
        code = int(command() or OK)
        if _stuck():
            os._exit(code)
        sys.stdout.flush()
    except click.ClickException as error:
        code = _refusal(error)
    except ProblemsError as error:
        listed = "".join(f"\n  {each}" for each in error.problems)
        code = _refusal(Refused(f"{count(len(error.problems), 'problem')}:{listed}"))
    except KxflowError as error:
        code = _refusal(Refused(str(error)))
    except (click.Abort, KeyboardInterrupt):
        code = SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        code = OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        code = _refusal(Refused(f"the output cannot be written: {error.strerror}"))
    for each in (sys.stdout, sys.stderr):
        Out(each).flush()
    return code


def _refusal(error: click.ClickException) -> int:
    with contextlib.suppress(OSError):  # nobody reads it
        error.show()
    return error.exit_code


def on_signal(name: str, final: bool) -> None:
    """What a signal does, told to who sent it."""
    from kxflow.edge import GRACE

    calm = f"no further step begins; those in flight may end, for up to {GRACE:.0f} s; once more ends them now"
    out = Out(sys.stderr)
    out.write(f"kxflow: {name}: {'steps in flight are ended' if final else calm}\n")
    out.flush()
