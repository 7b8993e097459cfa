"""The harness: what is wrong is said, who is absent is named, what was measured is judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.bench import Line, Outcome, run_case
from benchmarks.case import Case, Ready, alone
from benchmarks.contenders.common import Job
from benchmarks.goals import judge
from benchmarks.measure import Contender, Sample
from benchmarks.saved import read, together
from benchmarks.table import data, table

JOB: Job = {"kind": "start", "hosts": [], "user": "", "key": "", "known_hosts": ""}


def case(contenders: Sequence[Contender] = (), *, wrong: str = "", workload: str = "echo20", size: str = "") -> Case:
    """Whose work is always as wrong as this."""
    ready = alone(Ready(lambda: JOB, lambda found, job: wrong))  # noqa: ARG005 -- decided beforehand
    return Case(workload=workload, size=size, number=1, ready=ready, contenders=contenders)


def ran(its: Case, tmp_path: Path) -> Outcome:
    """Two rounds of it, with no peers."""
    return run_case(its, peers=tmp_path, rounds=2, chosen=(), say=lambda _: None)


def measured(label: str, walls: dict[str, float]) -> Outcome:
    """A case that was run, once."""
    workload, _, size = label.partition(" ")
    lines = tuple(Line(name, [Sample(wall, wall, 1 << 20)]) for name, wall in walls.items())
    return Outcome(case(workload=workload, size=size), lines)


def test_work_that_is_wrong_is_no_figure(tmp_path: Path) -> None:
    """It is said what is wrong, and it is not done again."""
    python = Contender("python", "start", variant={"code": "pass"})
    (line,) = ran(case([python], wrong="another file"), tmp_path).lines
    assert line.problem == "another file"
    assert len(line.samples) == 1


def test_a_contender_that_fails_shows_what_it_said(tmp_path: Path) -> None:
    """The end of it."""
    broken = Contender("broken", "start", variant={"code": "raise SystemExit('no such host')"})
    (line,) = ran(case([broken]), tmp_path).lines
    assert "no such host" in line.problem


def test_a_contender_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """It takes no part."""
    outcome = ran(case([Contender("peer", "start", "no_such_package")]), tmp_path)
    assert outcome.absent == ("peer",)
    assert outcome.lines == ()


def test_right_work_is_measured_each_round(tmp_path: Path) -> None:
    """Twice here."""
    python = Contender("python", "start", variant={"code": "pass"})
    (line,) = ran(case([python]), tmp_path).lines
    assert not line.problem
    assert len(line.samples) == 2
    assert 0 < line.wall < 30


@pytest.mark.parametrize(("ours", "met"), [(1.2, True), (1.3, False)])
def test_goals_are_ratios_within_one_case(ours: float, met: bool) -> None:
    """Against the floor, and only against who took part."""
    (verdict,) = judge([measured("echo20 25 hosts", {"floor": 1.0, "kxflow": ours})])
    assert verdict.limit == "<= 1.2 x floor"
    assert verdict.met is met


def test_round_trips_are_what_distance_costs() -> None:
    """Time that is spent on the machine is in both, and falls out."""
    outcomes = [
        measured("wan echo20", {"kxflow": 3.0}),
        measured("wan echo20, 200 ms", {"kxflow": 3.9}),
        measured("wan connect only", {"floor": 1.0}),
        measured("wan connect only, 200 ms", {"floor": 1.6}),
    ]
    assert [each.measured for each in judge(outcomes) if "round trips" in each.limit] == ["3.0"]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """A run in parts is as one, in one order: what was measured again replaces what was before."""
    first = measured("wan connect only", {"floor": 1.0})
    path = tmp_path / "results.json"
    path.write_text(json.dumps(data([first, measured("echo20 25 hosts", {"floor": 2.0})], {})))
    whole = together(read(path), [measured("echo20 25 hosts", {"floor": 3.0})])
    assert table(whole) == table([measured("echo20 25 hosts", {"floor": 3.0}), first])
    assert read(tmp_path / "none") == []
