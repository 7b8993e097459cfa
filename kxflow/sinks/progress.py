"""How far a run is, counted from its events in bounded memory: what the console shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import field, frozen, mutable

from kxflow.values.event import TaskShape
from kxflow.values.report import last_lines
from kxflow.values.result import KEPT, UNDO, Status, StepResult

GROUPS: Final = 200
NAMED: Final = 3
AT_ONCE: Final = 20  # faults of a task that are shown when they happen

WORDS: Final = {
    Status.Succeeded: "succeeded",
    Status.Skipped: "skipped",
    Status.Failed: "failed",
    Status.Lost: "lost",
    Status.Unreachable: "unreachable",
    Status.Cancelled: "cancelled",
    Status.NotRun: "not run",
}

# What a host is called after several steps: the last of these words that one of its results has.
_RISING: Final = ("skipped", "ok", "ignored", "not run", "cancelled", "unreachable", "failed", "lost")
_BAD: Final = frozenset(_RISING[4:])


def host_word(result: StepResult) -> str:
    """What one result makes of its host, in a word."""
    if result.status is Status.Succeeded:
        return "ok"
    if result.status.fault and result.tolerated:
        return "ignored"
    return WORDS[result.status]


@mutable(eq=False)
class TaskProgress:
    """One task while it runs.

    Attributes:
        path: Module and task.
        hosts: How many it selected; 0 where unknown.
        steps: How many results each host will have.
        began: Seconds, monotonic.
        done: Hosts of which every result is known.
        bad: Hosts with an untolerated fault.
        unfolded: Faults that were shown one by one.
    """

    path: str
    hosts: int
    steps: int
    began: float
    done: int = 0
    bad: int = 0
    unfolded: int = 0
    _seen: Counter[str] = field(factory=Counter)
    _words: dict[str, int] = field(factory=dict)

    def take(self, result: StepResult) -> None:
        """Count a result."""
        host, rank = result.host, _RISING.index(host_word(result))
        self._seen[host] += 1
        before = self._words.get(host, -1)
        if rank > before:
            self._words[host] = rank
            self.bad += _is_bad(rank) and not _is_bad(before)
        self.done += self._seen[host] == self.steps

    @property
    def complete(self) -> bool:
        """Every result of every host is known."""
        return self.hosts > 0 and self.done >= self.hosts

    def words(self) -> tuple[tuple[int, str], ...]:
        """How many hosts are called what, best first."""
        counts = Counter(self._words.values())
        return tuple((counts[rank], word) for rank, word in enumerate(_RISING) if counts[rank])


def _is_bad(rank: int) -> bool:
    return rank >= 0 and _RISING[rank] in _BAD


@frozen
class Trouble:
    """What went wrong, the same on every host it is grouped from.

    Attributes:
        path: Module, task and step.
        status: How it ended.
        why: Reason and message.
        output: The last lines of stderr, else of stdout.
        remedy: What to do about it.
        tolerated: The run went on as if nothing had happened.
    """

    path: str
    status: Status
    why: str
    output: str
    remedy: str
    tolerated: bool


@mutable(eq=False)
class Where:
    """The hosts of one trouble: the first few by name, all by number."""

    count: int = 0
    names: list[str] = field(factory=list)

    def add(self, host: str) -> None:
        """One more."""
        self.count += 1
        if len(self.names) < NAMED:
            self.names.append(host)


def trouble(result: StepResult) -> Trouble:
    """What a result with a fault has to say."""
    error = result.error
    reason = result.reason or (error.code if error else "")
    what = error.what if error else ""
    why = f"{WORDS[result.status]}{f' ({reason})' if reason else ''}{f': {what}' if what else ''}"
    path = "/".join((result.module, result.task, result.step))
    remedy = error.remedy if error else ""
    return Trouble(path, result.status, why, last_lines(result, 5), remedy, result.tolerated)


@mutable(eq=False)
class Undone:
    """What a run took back.

    Attributes:
        steps: How many, on each host by itself.
        kept: Where steps were not, by path and reason, or what undos say that they leave; at most 200 kinds.
        others: How many of further kinds.
    """

    steps: int = 0
    kept: dict[tuple[str, str], Where] = field(factory=dict)
    others: int = 0

    def take(self, result: StepResult) -> None:
        """Count a result, if it is one of an undo."""
        if result.module != UNDO:
            return
        if result.status is Status.Succeeded:
            self.steps += 1
            for line in str(result.stderr).splitlines():
                if line.startswith(KEPT):
                    self._keep(result, line.removeprefix(KEPT))
        elif why := _why_kept(result):
            self._keep(result, why)

    def _keep(self, result: StepResult, why: str) -> None:
        key = (f"{result.task}/{result.step}", why)
        if key in self.kept or len(self.kept) < GROUPS:
            self.kept.setdefault(key, Where()).add(result.host)
        else:
            self.others += 1


def _why_kept(result: StepResult) -> str:
    """Why something was not undone; empty where there was nothing to undo."""
    if result.status is Status.Skipped:
        _, known, why = result.reason.partition(KEPT)
        return why if known else ""
    return ": ".join(filter(None, (WORDS[result.status], result.error.what if result.error else result.reason)))


@mutable(eq=False)
class RunProgress:
    """A run while it goes on.

    Attributes:
        pipeline: Its name.
        hosts: How many hosts its cluster has.
        began: Seconds, monotonic.
        counts: Results by status.
        spoilt: Results that make the run no success.
        troubles: Faults, alike ones together; at most 200 kinds.
        other_troubles: Faults of further kinds.
        not_run: Reasons why steps did not run, and how often.
        undone: What it took back.
    """

    pipeline: str
    hosts: int
    began: float
    tasks: dict[tuple[str, str], TaskProgress] = field(factory=dict)
    counts: Counter[Status] = field(factory=Counter)
    spoilt: int = 0
    troubles: dict[Trouble, Where] = field(factory=dict)
    other_troubles: int = 0
    not_run: Counter[str] = field(factory=Counter)
    undone: Undone = field(factory=Undone)
    _shape: dict[tuple[str, str], TaskShape] = field(factory=dict)

    def expect(self, shape: Iterable[TaskShape]) -> None:
        """Know the size of tasks beforehand."""
        self._shape = {(each.module, each.task): each for each in shape}

    def task(self, module: str, task: str, now: float) -> TaskProgress:
        """The task with this address, begun now where it is new."""
        key = (module, task)
        if key not in self.tasks:
            shape = self._shape.get(key)
            hosts, steps = (len(shape.hosts), shape.steps) if shape else (0, 0)
            self.tasks[key] = TaskProgress(f"{module}/{task}", hosts, steps, now)
        return self.tasks[key]

    def take(self, result: StepResult, now: float) -> TaskProgress:
        """Count a result; gives its task."""
        self.counts[result.status] += 1
        self.spoilt += result.spoils
        self.undone.take(result)
        if result.status.fault:
            self._trouble(result)
        elif result.status is Status.NotRun:
            known = result.reason in self.not_run or len(self.not_run) < GROUPS
            self.not_run[result.reason if known else "other reasons"] += 1
        task = self.task(result.module, result.task, now)
        task.take(result)
        return task

    def _trouble(self, result: StepResult) -> None:
        what = trouble(result)
        if what in self.troubles or len(self.troubles) < GROUPS:
            self.troubles.setdefault(what, Where()).add(result.host)
        else:
            self.other_troubles += 1
