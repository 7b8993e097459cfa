"""A run for the eyes: live progress on a terminal, plain lines elsewhere, then what went wrong."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TextIO

from kxflow.sinks import wording
from kxflow.sinks.escape import visible
from kxflow.sinks.out import Out
from kxflow.sinks.plain import Plain
from kxflow.sinks.progress import AT_ONCE, RunProgress, TaskProgress, trouble
from kxflow.values.event import Event, OutputChunk, RunBegan, RunEnded, StepBegan, StepEnded, StepRetried
from kxflow.values.fault import Fault
from kxflow.values.result import Position, StepResult

_PARTIAL = 64 * 1024


class Screen(Protocol):
    """Where lines go; what it is given is safe to show."""

    def line(self, text: str, tone: str = "") -> None:
        """One line, or several with newlines between them."""
        ...

    def moved(self, task: TaskProgress) -> None:
        """A task went on."""
        ...

    def ended(self, task: TaskProgress, now: float) -> None:
        """A task is finished."""
        ...

    def summary(self, run: RunProgress, faults: Sequence[Fault], now: float, *, whole: bool) -> None:
        """The run is over."""
        ...

    def stop(self) -> None:
        """Nothing more comes."""
        ...


class Console:
    """Shows one run after another; made by `console`."""

    def __init__(
        self,
        file: TextIO | None = None,
        *,
        color: bool | None = None,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._color = color
        self._verbose = verbose
        self._clock = clock
        self._screen: Screen | None = None
        self._out: Out | None = None
        self._run = RunProgress("", 0, 0.0)
        self._partial: dict[tuple[Position, str, str], bytes] = {}

    def __call__(self, event: Event, /) -> None:
        """Show it, as far as it is to be shown."""
        if isinstance(event, RunBegan):
            self._begin(event)
        elif self._screen is None or (self._out is not None and self._out.off):
            return
        elif isinstance(event, StepEnded):
            self._ended(self._screen, event.result)
        elif isinstance(event, StepBegan):
            self._screen.moved(self._run.task(event.module, event.task, self._clock()))
        elif isinstance(event, RunEnded):
            self._summary(event.faults, whole=True)
        elif self._verbose and isinstance(event, OutputChunk):
            self._chunk(self._screen, event)
        elif self._verbose and isinstance(event, StepRetried):
            self._screen.line(f"  {wording.retried(event)}", "dim")

    def _begin(self, event: RunBegan) -> None:
        self.close()
        self._run = RunProgress(event.pipeline, len(event.hosts), self._clock())
        self._run.expect(event.shape)
        self._out = Out(self._file if self._file is not None else sys.stdout)
        self._screen = self._choose(self._out)
        self._screen.line(wording.began(self._run, len(event.shape)), "bold")

    def _choose(self, out: Out) -> Screen:
        terminal = out.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        if not terminal and not self._color:
            return Plain(out)
        from kxflow.sinks.live import Live

        return Live(out, color=self._color, redirect=self._file is None)

    def _ended(self, screen: Screen, result: StepResult) -> None:
        now = self._clock()
        task = self._run.take(result, now)
        self._rest(screen, result)
        if result.status.fault:
            self._fault(screen, task, result)
        elif self._verbose:
            screen.line(f"  {wording.step_ended(result)}", "dim")
        if task.complete:
            screen.ended(task, now)
            del self._run.tasks[result.module, result.task]
        else:
            screen.moved(task)

    def _fault(self, screen: Screen, task: TaskProgress, result: StepResult) -> None:
        """The line of a fault; not one for each of ten thousand hosts."""
        task.unfolded += 1
        if task.unfolded <= AT_ONCE:
            tone = "yellow" if result.tolerated else "red"
            screen.line(f"  ! {wording.fault_line(trouble(result), result.host)}", tone)
        elif task.unfolded == AT_ONCE + 1:
            screen.line(f"  ! further faults of {wording.clipped(task.path)} come in the summary")

    def _chunk(self, screen: Screen, event: OutputChunk) -> None:
        """Whole lines of live output, each behind its host's name; a line that does not end is cut."""
        key = (event.position, event.host, event.stream)
        if event.missed:
            self._output(screen, event.host, filter(None, [self._partial.pop(key, b"")]))
            screen.line(f"  {wording.missed(event)}", "yellow")
        *lines, rest = (self._partial.pop(key, b"") + event.data).split(b"\n")
        if len(rest) > _PARTIAL:
            lines, rest = [*lines, rest], b""
        self._output(screen, event.host, lines)
        if rest:
            self._partial[key] = rest

    def _rest(self, screen: Screen, result: StepResult) -> None:
        for stream in ("stdout", "stderr"):
            rest = self._partial.pop((result.position, result.host, stream), b"")
            if rest:
                self._output(screen, result.host, [rest])

    def _output(self, screen: Screen, host: str, lines: Iterable[bytes]) -> None:
        """Lines of one chunk, shown at once: they are many, and the host may wait."""
        texts = (visible(each.decode("utf-8", "backslashreplace").expandtabs()) for each in lines)
        if text := "\n".join(f"  {wording.clipped(host)} | {each}" for each in texts):
            screen.line(text)

    def _summary(self, faults: Sequence[Fault], *, whole: bool) -> None:
        screen, self._screen = self._screen, None
        if screen is not None:
            for task in self._run.tasks.values():
                screen.ended(task, self._clock())
            screen.summary(self._run, faults, self._clock(), whole=whole)
            screen.stop()
        self._partial.clear()

    def close(self) -> None:
        """Say what is known of a run that did not tell its end, and give the terminal back."""
        self._summary((), whole=False)

    def __repr__(self) -> str:
        return "console()"


def console(*, file: TextIO | None = None, color: bool | None = None, verbose: bool = False) -> Console:
    """A sink that shows a run to people.

    On a terminal: a row for each task in progress with hosts done and failed, and at the end a table of what went
    wrong. Elsewhere (a pipe, a file, a notebook): plain lines, one for a finished task and one for a fault, at most
    20 faults a task; equal faults of many hosts share a paragraph of the summary. Bytes from hosts are shown escaped.
    When nobody reads it any more (`| head`), it is quiet, and the run goes on.

    Args:
        file: Where to write; `sys.stdout` as it is when a run begins, where not given.
        color: True: colours and live progress also where no terminal is seen. False: no colours. None: colours on a
            terminal, unless `NO_COLOR` is set.
        verbose: A line for each step, retries, and live output where the run tells it.
    """
    return Console(file, color=color, verbose=verbose)
