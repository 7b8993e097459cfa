"""The console on a terminal: live progress, colours and a table, by rich. Loaded only there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, cast

from rich.console import Console as Rich
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kxflow.sinks import wording
from kxflow.sinks.out import Out
from kxflow.sinks.plain import SHOWN
from kxflow.sinks.progress import AT_ONCE, RunProgress, TaskProgress, Trouble
from kxflow.values.fault import Fault
from kxflow.values.result import Status

_TONES = {
    Status.Failed: "red",
    Status.Lost: "magenta",
    Status.Unreachable: "yellow",
    Status.Cancelled: "yellow",
}


def _rich(out: Out, color: bool | None) -> Rich:
    """A console that takes text as it is: no markup, no emoji names, no guessing at what to highlight."""
    return Rich(
        file=cast("IO[str]", out),
        force_terminal=True if color else None,
        no_color=None if color is None else not color,
        markup=False,
        emoji=False,
        highlight=False,
    )


class Live:
    """One row for each task in progress, at the bottom; what is finished stands above.

    Everything it shows went through `wording`, so the only control codes on the terminal are rich's own.
    """

    def __init__(self, out: Out, *, color: bool | None, redirect: bool) -> None:
        self._rich = _rich(out, color)
        self._rows: dict[str, TaskID] = {}
        self._notes: dict[TaskID, str] = {}
        self._progress = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="red", markup=False),
            TimeElapsedColumn(),
            console=self._rich,
            transient=True,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
        )
        self._progress.start()

    def line(self, text: str, tone: str = "") -> None:
        """One line above the rows."""
        self._rich.print(Text(text, style=tone))

    def moved(self, task: TaskProgress) -> None:
        """Show how far a task is."""
        row = self._rows.get(task.path)
        if row is None:
            name = wording.clipped(task.path, 60)
            row = self._rows[task.path] = self._progress.add_task(name, total=task.hosts or None, note="")
        note = f"{task.bad} failed" if task.bad else ""
        # Rows are drawn ten times a second by rich's own thread; the first faults of a task are shown at once.
        news = task.bad <= AT_ONCE and note != self._notes.get(row, "")
        self._notes[row] = note
        self._progress.update(row, completed=task.done, note=note, refresh=news)

    def ended(self, task: TaskProgress, now: float) -> None:
        """Put a finished task's line above the rows."""
        row = self._rows.pop(task.path, None)
        if row is not None:
            self._progress.remove_task(row)
            self._notes.pop(row, None)
        self.line(f"  {wording.task_ended(task, now)}", _tone(task))

    def summary(self, run: RunProgress, faults: Sequence[Fault], now: float, *, whole: bool) -> None:
        """What went wrong as a table, and the tally."""
        self.stop()
        if run.troubles:
            self._rich.print(self._table(run))
        closing = [wording.unseen(run, SHOWN), *wording.not_run(run)]
        for text in filter(None, closing):
            self.line(text, "dim")
        for fault in faults:
            self.line(wording.run_fault(fault), "red")
        if undone := wording.undone(run):
            self.line(undone, "yellow" if run.undone.kept else "")
        word, good = wording.verdict(run, faults, whole=whole)
        self.line(wording.tally(run, word, now), "bold green" if good else "bold red")

    def _table(self, run: RunProgress) -> Table:
        table = Table(show_lines=True)
        for title in ("host", "step", "what happened", "last output"):
            table.add_column(title, overflow="fold")
        for what, where in list(run.troubles.items())[:SHOWN]:
            table.add_row(
                Text(wording.hosts(where)),
                Text(wording.clipped(what.path)),
                Group(*_what_happened(what)),
                Text("\n".join(wording.output_lines(what)), style="dim"),
            )
        return table

    def stop(self) -> None:
        """Take the rows away and give the cursor back."""
        self._progress.stop()


def _tone(task: TaskProgress) -> str:
    if task.bad:
        return "red"
    return "green" if all(word in ("ok", "skipped", "ignored") for _, word in task.words()) else "yellow"


def _what_happened(what: Trouble) -> Sequence[Text]:
    ignored = " (ignored)" if what.tolerated else ""
    lines = [Text(wording.clipped(what.why) + ignored, style=_TONES.get(what.status, ""))]
    if what.remedy:
        lines.append(Text(f"→ {wording.clipped(what.remedy)}", style="bold"))
    return lines
