"""Folding a stream of events gives the report."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults
from kxflow.values.event import Event, TaskShape
from kxflow.values.fault import Fault
from kxflow.values.result import Attempt
from tests.values.made import RECORDS, START, result, result_lists

PLACE: dict[str, Any] = {"module": "web", "task": "join", "step": "start", "host": "web1", "position": kx.Position()}
BEGAN = kx.RunBegan(
    run="r1",
    pipeline="deploy",
    at=START,
    fingerprint="f",
    hosts=("web1",),
    shape=(TaskShape("web", "join", ("web1",), 1),),
)
BETWEEN = (
    kx.StepBegan(run="r1", pipeline="deploy", at=START, **PLACE),
    kx.OutputChunk(stream="stdout", data=b"x", **PLACE),
    kx.StepRetried(attempt=Attempt(kx.Status.Failed, 1, START, START, 0.0), delay=1.0, **PLACE),
)


def ended(*wrong: Fault) -> kx.RunEnded:
    """The end of a run."""
    return kx.RunEnded(run="r1", pipeline="deploy", at=START + dt.timedelta(seconds=9), faults=wrong)


@RECORDS
@given(results=result_lists(), wrong=st.lists(faults(), max_size=2), data=st.data())
def test_a_fold_is_the_report_of_what_ended(results: tuple[kx.StepResult, ...], wrong: list[Fault], data: Any) -> None:
    """Whatever stands between, in whatever order the steps ended."""
    middle: list[Event] = [*(kx.StepEnded(each) for each in results), *BETWEEN]
    middle = data.draw(st.permutations(middle))
    assert kx.fold([BEGAN, *middle, ended(*wrong)]) == kx.Report(results, tuple(wrong))


def test_a_fold_of_nothing_is_the_empty_report() -> None:
    """Also of what says nothing of a result."""
    assert kx.fold([]) == kx.fold([BEGAN, *BETWEEN, ended()]) == kx.Report.empty


def test_a_fold_takes_any_iterable_once() -> None:
    """A generator, too; the stream of a run that has not ended is the report so far."""
    events: list[Event] = [BEGAN, kx.StepEnded(result())]
    assert kx.fold(iter(events)) == kx.Report([result()])


def test_a_fold_adds_up_over_a_split_stream() -> None:
    """What was heard in two parts is the sum of the parts."""
    events: list[Event] = [
        BEGAN,
        kx.StepEnded(result()),
        kx.StepEnded(result(host="web2")),
        ended(Fault("sink", "no space")),
    ]
    for cut in range(len(events) + 1):
        assert kx.fold(events[:cut]) + kx.fold(events[cut:]) == kx.fold(events)
