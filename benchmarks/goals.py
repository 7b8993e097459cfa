"""What is to be true of the figures, and whether it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

from benchmarks.bench import Line, Outcome
from benchmarks.hosts import LATENCY


@frozen
class Verdict:
    """One goal in one case.

    Attributes:
        limit, measured: As text, with what they are of.
        met: Whether it is.
    """

    goal: str
    case: str
    limit: str
    measured: str
    met: bool

    @property
    def word(self) -> str:
        """For a table."""
        return "met" if self.met else "**missed**"


def judge(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Every goal of whose case, and of whose contenders, there are figures."""
    by = {each.case.label: each for each in outcomes}
    found: list[Verdict] = []
    for each in outcomes:
        found += _of_one(each)
    found += _rounds(by)
    for workload in ("steps", "hosts", "engine"):
        grown = [each for each in outcomes if each.case.workload == workload]
        if len(grown) > 1:
            found += _SLOPES[workload](grown)
    return found


# name of the workload (and a word of the size): against whom, at most (or at least) how many times, of which time
_RATIOS: Final = (
    ("echo20", "", "floor", "<=", 1.2),
    ("echo20", "", "pyinfra", ">=", 4.0),
    ("echo20", "", "parallel-ssh", ">=", 2.0),
    ("echo20", "", "ansible", ">=", 60.0),
    ("slow-login", "", "exec each", ">=", 10.0),
    ("slow-login", "", "parallel-ssh", ">=", 10.0),
    ("slow-login", "", "fabric", ">=", 10.0),
    ("slow-login", "", "pyinfra", ">=", 10.0),
    ("config4", "second", "floor", "<=", 1.2),
    ("config4", "second", "pyinfra", ">=", 7.0),
    ("config4", "second", "ansible", ">=", 20.0),
    ("wan", "echo20", "pyinfra", ">=", 6.0),
    ("wan", "config4", "pyinfra", ">=", 6.0),
    ("upload", "", "scp", "<=", 2.0),
)


def _of_one(outcome: Outcome) -> Iterator[Verdict]:
    case, ours = outcome.case, outcome.line("kxflow")
    for workload, word, other, sign, limit in _RATIOS:
        theirs = outcome.line(other)
        if case.workload != workload or word not in case.size or ours is None or theirs is None:
            continue
        if sign == "<=":
            ratio = ours.wall / theirs.wall
            yield Verdict(workload, case.label, f"<= {limit:g} x {other}", f"{ratio:.2f}", ratio <= limit)
        else:
            ratio = theirs.wall / ours.wall
            yield Verdict(workload, case.label, f"{limit:g} x faster than {other}", f"{ratio:.1f}", ratio >= limit)
    yield from _absolute(outcome)


def _absolute(outcome: Outcome) -> Iterator[Verdict]:
    case, ours = outcome.case, outcome.line("kxflow")
    if case.workload == "import" and ours is not None:
        limit = 0.25 if case.size == "--version" else 0.15
        yield Verdict(
            "import", case.label, f"<= {limit * 1000:.0f} ms", f"{ours.wall * 1000:.0f} ms", ours.wall <= limit
        )
    bare, kept = outcome.line("kxflow, no sinks"), outcome.line("kxflow, journal and console")
    if case.workload == "record" and bare is not None and kept is not None:
        more = kept.wall / bare.wall - 1
        yield Verdict("record", case.label, "<= 10 % over no sinks", f"{more:.0%}", more <= 0.1)
    theirs = outcome.line("nornir")
    if case.workload == "engine" and ours is not None and theirs is not None:
        ratio = theirs.seconds / ours.seconds
        yield Verdict("engine", case.label, ">= nornir's rate", f"{ratio:.2f}", ratio >= 1)
    if case.workload == "engine" and ours is not None and case.number == 100_000:
        yield Verdict("engine", case.label, "<= 200 MB", f"{ours.rss / 1e6:.0f} MB", ours.rss <= 200e6)
    floor = outcome.line("floor")
    if case.workload == "output" and ours is not None and floor is not None:
        more = (ours.rss - floor.rss) / 1e6
        yield Verdict("output", case.label, "<= 64 MB over floor", f"{more:.0f} MB", more <= 64)


def _trips(by: dict[str, Outcome], case: str, name: str) -> float | None:
    """Round trips of a whole run: what it takes longer where a round trip does."""
    near, far = (by[each].line(name) if each in by else None for each in (case, f"{case}, 200 ms"))
    return None if near is None or far is None else (far.seconds - near.seconds) / LATENCY


def _rounds(by: dict[str, Outcome]) -> Iterator[Verdict]:
    """Round trips of a task, beyond those of a bare connection."""
    connect, ours = _trips(by, "wan connect only", "floor"), _trips(by, "wan echo20", "kxflow")
    if connect is not None and ours is not None:
        more = ours - connect
        yield Verdict("wan", "wan echo20", "<= connect + 3 round trips", f"{more:.1f}", more <= 3.5)


def _slope(grown: Sequence[Outcome], name: str, value: Callable[[Line], float]) -> float | None:
    """Least squares over the sizes."""
    points = [(each.case.number, value(line)) for each in grown if (line := each.line(name)) is not None]
    if len(points) < 2:
        return None
    x, y = sum(a for a, _ in points) / len(points), sum(b for _, b in points) / len(points)
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def _seconds(line: Line) -> float:
    return line.seconds


def _steps(grown: Sequence[Outcome]) -> Iterator[Verdict]:
    ours, loop = _slope(grown, "kxflow", _seconds), _slope(grown, "sh -c loop", _seconds)
    if ours is not None and loop:
        yield Verdict("steps", "a further step", "<= 1.3 x sh -c loop", f"{ours / loop:.2f}", ours / loop <= 1.3)


def _hosts(grown: Sequence[Outcome]) -> Iterator[Verdict]:
    half = len(grown) // 2
    few, many = _slope(grown[: half + 1], "kxflow", _seconds), _slope(grown[half - 1 :], "kxflow", _seconds)
    if few and many:
        yield Verdict("hosts", "a further host", "linear: <= 1.25 x", f"{many / few:.2f}", many / few <= 1.25)
    memory = _slope(grown, "kxflow", lambda line: line.rss)
    if memory is not None:
        yield Verdict("hosts", "a further host", "<= 150 KB", f"{memory / 1000:.0f} KB", memory <= 150_000)
    bounded = _slope(grown[half:], "kxflow, 25 at a time", lambda line: line.rss)
    if bounded is not None:
        yield Verdict("hosts", "beyond 25 at a time", "<= 50 KB", f"{bounded / 1000:.0f} KB", bounded <= 50_000)


def _engine(grown: Sequence[Outcome]) -> Iterator[Verdict]:
    lines = [(each.case.number, line) for each in grown if (line := each.line("kxflow")) is not None]
    (few, small), (many, large) = lines[0], lines[-1]
    ratio = (large.seconds / many) / (small.seconds / few)
    yield Verdict("engine", f"{few} to {many} hosts", "flat: <= 1.15 x", f"{ratio:.2f}", ratio <= 1.15)


_SLOPES: Final = {"steps": _steps, "hosts": _hosts, "engine": _engine}
