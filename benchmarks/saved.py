"""Runs that were written, read back: a long run can be done in parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import Line, Outcome
from benchmarks.case import Case, Ready, alone
from benchmarks.measure import Sample


def read(path: Path) -> list[Outcome]:
    """The cases of a results.json, without what could run them again; none where there is no such file."""
    return [_outcome(each) for each in json.loads(path.read_text("utf-8"))["cases"]] if path.exists() else []


def _outcome(told: Mapping[str, Any]) -> Outcome:
    ready = alone(Ready(_not_again, lambda found, job: ""))  # noqa: ARG005 -- nothing is checked again
    size = str(told["case"]).removeprefix(told["workload"]).strip()
    case = Case(workload=told["workload"], size=size, number=told["number"], ready=ready, contenders=())
    lines = tuple(
        Line(name, [Sample(s["wall"], s["seconds"], s["rss"], s["problem"]) for s in samples])
        for name, samples in told["contenders"].items()
    )
    return Outcome(case, lines, tuple(told["absent"]))


def _not_again() -> Any:
    raise NotImplementedError("a case that was read back cannot be run")


def together(before: Sequence[Outcome], now: Sequence[Outcome]) -> list[Outcome]:
    """What was measured before, where it was not measured again; and now. By workload and number, as slopes need it."""
    again = {each.case.label for each in now}
    kept = [each for each in before if each.case.label not in again]
    return sorted([*kept, *now], key=lambda each: (each.case.workload, each.case.number))
