"""Results and reports that the tests of values share."""

from __future__ import annotations

import datetime as dt
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults, step_results
from tests.laws import laws

RECORDS = laws(20, shrink=False)
START = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def result(status: kx.Status = kx.Status.Succeeded, **fields: Any) -> kx.StepResult:
    """A result on web1, of a step of its own where a place is given."""
    given: dict[str, Any] = {
        "run": "r1",
        "pipeline": "deploy",
        "module": "web",
        "task": "join",
        "step": "start",
        "host": "web1",
        "status": status,
        "started_at": START,
        "ended_at": START,
    }
    return kx.StepResult(**{**given, **fields})


def many(count: int) -> list[kx.StepResult]:
    """So many results: ten steps on each host, in canonical order."""
    return [
        result(step=f"s{i % 10}", host=f"h{i // 10}", position=kx.Position(0, 0, i % 10, i // 10), duration=1.0)
        for i in range(count)
    ]


def placed(results: list[kx.StepResult]) -> tuple[kx.StepResult, ...]:
    """The same in one run, each at a place of its own."""
    return tuple(evolve(each, run="r1", position=kx.Position(0, 0, 0, place)) for place, each in enumerate(results))


def result_lists(most: int = 3) -> st.SearchStrategy[tuple[kx.StepResult, ...]]:
    """Results of one run with anything in them, in canonical order."""
    return st.lists(step_results(), max_size=most).map(placed)


@st.composite
def shards(draw: st.DrawFn, parts: int = 3) -> tuple[kx.Report, ...]:
    """Reports of parts of one run, which may overlap and repeat each other's faults."""
    whole, wrong = draw(result_lists()), draw(st.lists(faults(), max_size=2))
    return tuple(
        kx.Report(
            draw(st.lists(st.sampled_from(whole), max_size=3)) if whole else (),
            tuple(draw(st.lists(st.sampled_from(wrong), max_size=2))) if wrong else (),
        )
        for _ in range(parts)
    )
