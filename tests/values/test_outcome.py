"""Two tracks that carry the same record."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.future import FutureResult
from returns.io import IOFailure, IOResult, IOSuccess
from returns.result import Failure, Result, Success

import kxflow as kx
from kxflow.testing.result_strategies import step_results
from kxflow.values.fault import Fault
from kxflow.values.outcome import future, outcome_of, record_of, track, tracks
from tests.values.made import RECORDS, result

S = kx.Status


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(Success(2), "good 2"), (Failure("x"), "bad x"), (IOSuccess(2), "good 2"), (IOFailure("x"), "bad x")],
)
def test_either_asks_the_function_of_its_track(outcome: Any, said: str) -> None:
    """The other one is not called; both kinds of container will do."""
    called: list[str] = []

    def good(value: object) -> str:
        called.append("good")
        return f"good {value}"

    def bad(value: object) -> str:
        called.append("bad")
        return f"bad {value}"

    assert kx.either(outcome, good, bad) == said
    assert called == [said.split(maxsplit=1)[0]]


def test_what_the_function_raises_flies() -> None:
    """A bug is not turned into a track."""
    with pytest.raises(ZeroDivisionError):
        kx.either(Success(0), lambda n: 1 // n, len)
    with pytest.raises(ZeroDivisionError):
        kx.either(IOFailure(0), str, lambda n: str(1 // n))


def test_either_hands_on_containers_as_values() -> None:
    """What a function gives is given, whatever it is."""
    inner: Result[int, str] = Failure("inner")
    assert kx.either(Success(1), lambda _: inner, lambda _: inner) is inner


@pytest.mark.parametrize("tolerated", [True, False])
@pytest.mark.parametrize("status", S)
def test_a_result_travels_on_its_track(status: S, tolerated: bool) -> None:
    """Succeeded, Skipped and tolerated on one, all else on the other; the record is the same on both."""
    its = result(status, tolerated=tolerated)
    good = status in (S.Succeeded, S.Skipped) or (tolerated and status is not S.NotRun)
    assert track(its) == (Success(its) if good else Failure(its))


@pytest.mark.parametrize("wrong", [5, None, kx.Report(), IOSuccess(5), IOFailure(ValueError("x"))])
def test_report_of_what_is_no_outcome_says_what_to_give(wrong: Any) -> None:
    """Of a report, too: it is what one has already."""
    with pytest.raises(kx.InvalidError, match=r"is no outcome of a run: give what kxflow.run\(…\) gives"):
        kx.report_of(wrong)


@RECORDS
@given(results=st.lists(step_results(), max_size=3))
def test_tracks_of_several_is_success_where_each_is(results: list[kx.StepResult]) -> None:
    """Both carry all of them, in order; of none it is a success."""
    every = tuple(results)
    good = all(kx.either(track(each), lambda _: True, lambda _: False) for each in results)
    assert tracks(iter(results)) == (Success(every) if good else Failure(every))


@pytest.mark.parametrize(
    "report",
    [
        kx.Report.empty,
        kx.Report([result()]),
        kx.Report([result(S.Failed)]),
        kx.Report([result(S.Failed, tolerated=True)]),
        kx.Report([result()], (Fault("sink", "no space"),)),
    ],
)
def test_report_of_gives_the_report_whichever_track_it_came_on(report: kx.Report) -> None:
    """Success where the report succeeded."""
    outcome = outcome_of(report)
    assert kx.report_of(outcome) is report
    assert outcome == (IOSuccess(report) if report.succeeded else IOFailure(report))
    assert isinstance(outcome, IOResult)


def test_a_future_is_awaited_once_and_gives_its_record() -> None:
    """From either track."""

    async def work(made: Any) -> Any:
        return made

    async def both() -> tuple[int, int]:
        good: FutureResult[int, int] = future(work(Success(1)))
        bad: FutureResult[int, int] = future(work(Failure(2)))
        return await record_of(good), await record_of(bad)

    assert anyio.run(both) == (1, 2)
