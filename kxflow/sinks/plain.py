"""The console without a terminal: plain lines, no control codes at all."""

from __future__ import annotations

from collections.abc import Sequence

from kxflow.sinks import wording
from kxflow.sinks.out import Out
from kxflow.sinks.progress import RunProgress, TaskProgress
from kxflow.values.fault import Fault

SHOWN = 30


class Plain:
    """Writes each line when it is known."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def line(self, text: str, tone: str = "") -> None:
        """One line."""
        del tone  # a colour: there are none here
        self._out.write(text + "\n")
        self._out.flush()

    def moved(self, task: TaskProgress) -> None:
        """Nothing: a line a task is enough."""

    def ended(self, task: TaskProgress, now: float) -> None:
        """The line of a finished task."""
        self.line(f"  {wording.task_ended(task, now)}")

    def summary(self, run: RunProgress, faults: Sequence[Fault], now: float, *, whole: bool) -> None:
        """What went wrong, and the tally."""
        word, _ = wording.verdict(run, faults, whole=whole)
        self.line(wording.tally(run, word, now))
        if undone := wording.undone(run):
            self.line(undone)
        for what, where in list(run.troubles.items())[:SHOWN]:
            self.line("")
            self.line(f"{wording.hosts(where)}: {wording.fault_line(what, '').lstrip()}")
            for each in wording.output_lines(what):
                self.line(f"  | {each}")
            if what.remedy:
                self.line(f"  to do: {wording.clipped(what.remedy)}")
        closing = [wording.unseen(run, SHOWN), *wording.not_run(run), *map(wording.run_fault, faults)]
        for number, text in enumerate(filter(None, closing)):
            if not number:
                self.line("")
            self.line(text)

    def stop(self) -> None:
        """Nothing is left to put away."""
