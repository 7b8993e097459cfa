"""Run cases: contenders by turns, round after round, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from benchmarks.case import Case, Ready
from benchmarks.measure import Contender, Missing, Sample, measure, python_of

# Who takes longer than this once is not run again: its ratio is not in doubt.
_SLOW: Final = 25.0

Say: Any = Callable[[str], object]


@define
class Line:
    """What one contender came to in one case.

    Attributes:
        samples: One a round.
    """

    contender: str
    samples: list[Sample] = field(factory=list)

    @property
    def problem(self) -> str:
        """The first one; empty where all of its work was right."""
        return next((each.problem for each in self.samples if each.problem), "")

    @property
    def wall(self) -> float:
        """Median seconds of the whole process."""
        return statistics.median(each.wall for each in self.samples)

    @property
    def seconds(self) -> float:
        """Median seconds in the process."""
        return statistics.median(each.seconds for each in self.samples)

    @property
    def rss(self) -> int:
        """Median of most memory, bytes."""
        return int(statistics.median(each.rss for each in self.samples))


@frozen
class Outcome:
    """A case that was run.

    Attributes:
        absent: Contenders that are not installed.
    """

    case: Case
    lines: tuple[Line, ...]
    absent: tuple[str, ...] = ()

    def line(self, contender: str) -> Line | None:
        """Of one contender, where it took part and did its work right."""
        return next((each for each in self.lines if each.contender == contender and not each.problem), None)


def run_case(case: Case, *, peers: Path, rounds: int, chosen: Sequence[str], say: Callable[[str], object]) -> Outcome:
    """Start the hosts, let everyone do the work, look at what they did; each round begins with another contender."""
    lines, pythons, absent = {}, {}, []
    for each in case.contenders:
        if chosen and not any(word in each.name for word in chosen):
            continue
        try:
            pythons[each.name] = python_of(each, peers)
            lines[each.name] = (each, Line(each.name))
        except Missing:
            absent.append(each.name)
    with case.ready() as ready:
        for number in range(min(rounds, case.rounds)):
            for contender, line in _turn(list(lines.values()), number):
                if number == 0 or not (line.problem or line.wall > _SLOW):
                    sample = _once(contender, ready, pythons[contender.name])
                    line.samples.append(sample)
                    say(f"{case.label}: {contender.name}: {sample.problem or f'{sample.wall:.2f} s'}")
    return Outcome(case, tuple(line for _, line in lines.values()), tuple(absent))


def _turn(those: list[tuple[Contender, Line]], number: int) -> Iterable[tuple[Contender, Line]]:
    start = number % len(those) if those else 0
    return [*those[start:], *those[:start]]


def _once(contender: Contender, ready: Ready, python: Path) -> Sample:
    ready.before()
    job = ready.job()
    sample = measure(contender, job, python)
    problem = sample.problem or ready.check(sample.found, job)
    return Sample(sample.wall, sample.seconds, sample.rss, problem)
