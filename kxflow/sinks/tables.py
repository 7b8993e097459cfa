"""Tables of a run that is over, for `kxflow show`."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from kxflow.sinks.escape import lines_of, visible
from kxflow.sinks.wording import clipped, count, run_fault, seconds
from kxflow.values.report import Report, last_lines
from kxflow.values.result import Results, Status, StepResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNBOUNDED: Final = 10_000  # where nobody looks through a window, no line is folded


def show(report: Report, file: TextIO, *, results: Results | None = None, notes: Iterable[str] = ()) -> None:
    """Write tables: the tally, faults with the end of what they wrote, durations by step.

    Args:
        report: The run.
        file: Where to.
        results: Where given, these one by one, in place of the tables of the whole.
        notes: Lines on the log itself.
    """
    from rich.text import Text

    width = shutil.get_terminal_size().columns if file.isatty() else _UNBOUNDED
    screen = _screen(file, width)
    screen.print(Text(_heading(report), style="bold"))
    for note in notes:
        screen.print(Text(note, style="yellow"))
    for fault in report.faults:
        screen.print(Text(run_fault(fault), style="red"))
    if results is not None:
        screen.print(_results(results))
        return
    if report.faulty:
        screen.print(_faults(report.faulty))
    screen.print(_steps(report))


def _screen(file: TextIO, width: int) -> Console:
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the caller's to know; rich would end the process

    return Screen(file=file, width=width, markup=False, emoji=False, highlight=False)


def json_lines(results: Iterable[StepResult]) -> Iterable[str]:
    """Each result as one line of JSON: outputs as text, times in ISO 8601."""
    for row in Report(results).to_dicts():
        try:
            yield json.dumps(row, default=_plain, allow_nan=False)
        except ValueError:  # NaN and infinity have no word in JSON
            yield json.dumps({**row, "value": repr(row["value"])}, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(type(value), "__attrs_attrs__"):
        return {each.name: getattr(value, each.name) for each in type(value).__attrs_attrs__}
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _heading(report: Report) -> str:
    word = "succeeded" if report.succeeded else "failed"
    counts = ", ".join(f"{number} {status.name}" for status, number in report.tally.items() if number)
    began = min((each.started_at for each in report.results), default=None)
    when = f", {began:%Y-%m-%d %H:%M:%S} UTC" if began else ""
    hosts = count(len(report.by_host()), "host")
    return f"{clipped(report.pipeline or 'no results')}: {word}: {counts or 'nothing'} on {hosts}{when}"


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def _address(result: StepResult) -> str:
    return visible("/".join((result.module, result.task, result.step)))


def _why(result: StepResult) -> str:
    words = [result.status.name, f"({result.reason})" if result.reason else ""]
    fault = result.error if result.status.fault else None
    told = f": {fault.what}" if fault else ""
    remedy = f" ({fault.remedy})" if fault and fault.remedy else ""
    return clipped(" ".join(filter(None, words)) + told + remedy)


def _faults(results: Results) -> Table:
    table = _table("host", "step", "what happened", "last output")
    for each in results:
        table.add_row(visible(each.host), _address(each), _why(each), lines_of(last_lines(each)))
    return table


def _results(results: Results) -> Table:
    table = _table("host", "step", "what happened", "took", "last output", right=("took",))
    for each in results:
        took = seconds(each.duration) if each.attempts else ""
        table.add_row(visible(each.host), _address(each), _why(each), took, lines_of(last_lines(each)))
    return table


def _steps(report: Report) -> Table:
    """One row a step: its results by status, the mean and the longest time of those that ran."""
    table = _table("step", "results", "mean", "longest", right=("mean", "longest"))
    for path, results in report.by_path().items():
        counts = Counter(each.status for each in results)
        told = ", ".join(f"{counts[each]} {each.name}" for each in Status if counts[each])
        times = [each.duration for each in results if each.attempts]
        mean = seconds(sum(times) / len(times)) if times else ""
        table.add_row(visible(path), told, mean, seconds(max(times)) if times else "")
    return table
