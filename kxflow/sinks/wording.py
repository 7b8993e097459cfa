"""What the console says, as single safe lines; the screens only place and colour them."""

from __future__ import annotations

from collections.abc import Sequence

from kxflow.journal.fold import Torn
from kxflow.journal.record import LogRepaired
from kxflow.sinks.escape import visible
from kxflow.sinks.progress import WORDS, RunProgress, TaskProgress, Trouble, Where
from kxflow.values.event import OutputChunk, StepRetried
from kxflow.values.fault import Fault
from kxflow.values.result import Status, StepResult

WIDTH = 400


def clipped(text: str, most: int = WIDTH) -> str:
    """Text made visible, at most so long."""
    shown = visible(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def seconds(value: float) -> str:
    """A duration for people: `0.4 s`, `3 min 20 s`.

    >>> seconds(0.42), seconds(200), seconds(7300)
    ('0.4 s', '3 min 20 s', '2 h 1 min')
    """
    if value < 60:
        return f"{max(value, 0.0):.1f} s"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, word: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def began(run: RunProgress, tasks: int) -> str:
    """The first line of a run."""
    return f"{clipped(run.pipeline)}: {count(tasks, 'task')} on {count(run.hosts, 'host')}"


def task_ended(task: TaskProgress, now: float) -> str:
    """The line of a finished task."""
    words = ", ".join(f"{number} {word}" for number, word in task.words())
    known = task.hosts or sum(number for number, _ in task.words())
    return f"{clipped(task.path)}: {count(known, 'host')}: {words}, {seconds(now - task.began)}"


def step_ended(result: StepResult) -> str:
    """The line of one step on one host."""
    reason = f" ({clipped(result.reason)})" if result.reason else ""
    path = "/".join((result.module, result.task, result.step))
    took = f", {seconds(result.duration)}" if result.attempts else ""
    return f"{clipped(result.host)} {clipped(path)}: {WORDS[result.status]}{reason}{took}"


def retried(event: StepRetried) -> str:
    """The line of a failed try."""
    path = "/".join((event.module, event.task, event.step))
    word = WORDS[event.attempt.status]
    return f"{clipped(event.host)} {clipped(path)}: {word}, again in {seconds(event.delay)}"


def missed(event: OutputChunk) -> str:
    """The line that stands for live output that is not shown."""
    what = f"{count(event.missed, 'byte')} of {event.stream}"
    return f"{clipped(event.host)}: {what} left out: it came faster than it is shown"


def repaired(fragment: LogRepaired) -> str:
    """The line on a fragment that a crash had left in a log."""
    return f"a torn fragment at its end, {count(fragment.size, 'byte')}, was moved to {clipped(fragment.saved)}"


def torn(fragment: Torn) -> str:
    """The line on a fragment that is still there."""
    return f"a torn fragment at its end, {count(fragment.size, 'byte')}, is left out"


def fault_line(what: Trouble, host: str) -> str:
    """The line of a fault when it happens."""
    ignored = " (ignored)" if what.tolerated else ""
    return f"{clipped(host)} {clipped(what.path)}: {clipped(what.why)}{ignored}"


def output_lines(what: Trouble) -> Sequence[str]:
    """The last lines of what a step wrote; tabs become spaces, so that columns stay columns."""
    return [clipped(line.expandtabs()) for line in what.output.split("\n")] if what.output else []


def hosts(where: Where) -> str:
    """The hosts of a fault: a few names, and how many more."""
    more = where.count - len(where.names)
    return ", ".join(map(clipped, where.names)) + (f" and {more} more" if more else "")


def run_fault(fault: Fault) -> str:
    """The line of a fault of the run itself."""
    return clipped(str(fault))


def not_run(run: RunProgress, most: int = 5) -> Sequence[str]:
    """Why steps did not run, the most frequent reasons first."""
    ranked = run.not_run.most_common()
    lines = [
        f"{number} not run: {clipped(reason) if reason else 'no reason given'}" for reason, number in ranked[:most]
    ]
    rest = sum(number for _, number in ranked[most:])
    return [*lines, f"{rest} not run for other reasons"] if rest else lines


def undone(run: RunProgress, most: int = 5) -> str:
    """How many steps a run took back, and which not and why; empty where it had nothing to take back."""
    its = run.undone
    if not its.steps and not its.kept:
        return ""
    told = [f"{clipped(path)} on {hosts(where)}: {clipped(why)}" for (path, why), where in [*its.kept.items()][:most]]
    rest = sum(where.count for where in list(its.kept.values())[most:]) + its.others
    kept = "; ".join([*told, *([f"and {rest} more"] if rest else [])])
    return f"undone: {count(its.steps, 'step')}" + (f"; not undone: {kept}" if kept else "")


def unseen(run: RunProgress, shown: int) -> str:
    """A line on faults that the summary leaves out; empty where it shows all."""
    rest = sum(where.count for where in list(run.troubles.values())[shown:]) + run.other_troubles
    return f"… and {count(rest, 'fault')} more: the report and the log have all" if rest else ""


def verdict(run: RunProgress, faults: Sequence[Fault], *, whole: bool) -> tuple[str, bool]:
    """The last word on a run, and whether it is a good one."""
    good = whole and not faults and not run.spoilt
    return ("succeeded" if good else "failed" if whole else "ended before its end"), good


def tally(run: RunProgress, word: str, now: float) -> str:
    """The last line of a run: results by status."""
    counts = ", ".join(f"{run.counts[each]} {WORDS[each]}" for each in Status if run.counts[each])
    return f"{clipped(run.pipeline)}: {word}: {counts or 'no steps'} in {seconds(now - run.began)}"
