"""One record for one step on one host: settled of what a runner gave back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults, outputs, times
from kxflow.values.fault import Fault
from kxflow.values.freeze import alike, jsonable
from kxflow.values.result import ABSENT, Attempt, Change, Performed, settle
from kxflow.values.secret import MASK
from tests.laws import laws
from tests.values.made import START, result

S = kx.Status


def at(seconds: float) -> dt.datetime:
    """A moment after the start."""
    return START + dt.timedelta(seconds=seconds)


def performed(status: S = S.Succeeded, **fields: Any) -> Performed:
    """What a runner gave back: begun after a second, ended after three."""
    times = {"started_at": at(1), "ended_at": at(3), "duration": 2.0}
    return Performed(status=status, **{**times, **fields})


def attempt(status: S, start: float, end: float) -> Attempt:
    """One try."""
    return Attempt(status, None, at(start), at(end), end - start)


def test_there_are_seven_statuses() -> None:
    """Two are as wanted, four are faults, one never began."""
    assert [each.name for each in S] == [
        "Succeeded",
        "Skipped",
        "Failed",
        "Lost",
        "Unreachable",
        "Cancelled",
        "NotRun",
    ]
    assert {each for each in S if each.ok} == {S.Succeeded, S.Skipped}
    assert {each for each in S if each.fault} == {S.Failed, S.Lost, S.Unreachable, S.Cancelled}
    assert repr(S.Lost) == "Status.Lost"


def test_a_step_result_has_what_the_design_names() -> None:
    """Each of them a field; the typed value beside."""
    names = {each.name for each in attrs.fields(kx.StepResult)}
    assert names == {
        *("run", "pipeline", "module", "task", "step", "host", "position"),
        *("status", "reason", "exit_code", "signal", "stdout", "stderr", "error", "value", "change"),
        *("attempts", "started_at", "ended_at", "duration", "digest", "tolerated", "payload"),
    }


@laws(40)
@given(
    status=st.sampled_from(S),
    fields=st.fixed_dictionaries(
        {
            "reason": st.text(max_size=5),
            "exit_code": st.none() | st.integers(0, 255),
            "signal": st.none() | st.just("TERM"),
            "stdout": outputs(),
            "stderr": outputs(),
            "error": st.none() | faults(),
            "change": st.none() | st.just(Change("a", "b")),
            "started_at": times(),
            "ended_at": times(),
            "duration": st.floats(0, 9),
        }
    ),
)
def test_settle_puts_what_was_performed_at_its_place(status: S, fields: dict[str, Any]) -> None:
    """Address and flag are those of the place, all else is as the runner said."""
    place = result(S.NotRun, run="r9", host="web7", position=kx.Position(1, 2, 3, 4), tolerated=True, reason="x")
    its = settle(place, Performed(status=status, **fields), digest="d1")
    said = {name: getattr(its, name) for name in fields}
    assert said == fields
    address = ("run", "pipeline", "module", "task", "step", "host", "position", "tolerated")
    assert [getattr(its, name) for name in address] == [getattr(place, name) for name in address]
    assert (its.status, its.digest, its.value) == (status, "d1", None)
    assert its.attempts == (Attempt(status, its.exit_code, its.started_at, its.ended_at, its.duration),)


def test_settle_sums_up_the_tries() -> None:
    """It began with the first, ended with the last, and took as long as all of them without the pauses."""
    tries = (attempt(S.Failed, 0, 1), attempt(S.Failed, 10, 12), attempt(S.Succeeded, 20, 23))
    its = settle(result(), performed(started_at=at(20), ended_at=at(23), duration=3.0), attempts=tries)
    assert (its.attempts, its.started_at, its.ended_at, its.duration) == (tries, at(0), at(23), 6.0)


def test_settle_without_tries_has_the_times_of_what_was_performed() -> None:
    """Who could not be reached began nothing, and it took time."""
    its = settle(result(), performed(S.Unreachable), attempts=())
    assert (its.attempts, its.started_at, its.ended_at, its.duration) == ((), at(1), at(3), 2.0)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, None),
        ({"payload": 7}, None),
        ({"payload": 7, "has_value": True}, 7),
        ({"payload": None, "has_value": True}, None),
        ({"payload": {"a": [1]}, "has_value": True}, {"a": (1,)}),
        ({"payload": kx.Secret("hunter2"), "has_value": True}, MASK),
        ({"payload": {"t": kx.Secret("hunter2")}, "has_value": True}, {"t": MASK}),
        ({"payload": "hunter2", "has_value": True, "sensitive": True}, MASK),
        ({"payload": "hunter2", "sensitive": True}, None),
    ],
)
def test_settle_records_a_value_that_is_to_be_shown(fields: dict[str, Any], value: object) -> None:
    """As JSON can say it, a secret as its mask; the typed value is handed on as it is."""
    its = settle(result(), performed(**fields))
    assert its.value == value
    assert its.payload is fields.get("payload", ABSENT)
    assert "hunter2" not in repr(its)
    assert "hunter2" not in repr(performed(**fields))


@laws(30)
@given(value=st.lists(st.integers() | st.lists(st.text()) | st.sets(st.integers()), max_size=3))
def test_a_result_is_frozen_all_the_way_down(value: object) -> None:
    """Also where it was made with data that can be changed."""
    its = result(value=value)
    assert alike(its.value, jsonable(value))
    hash(its)
    odd: Any = its
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        odd.value = 1


def test_the_typed_value_is_no_part_of_the_record() -> None:
    """Not of equality, not of the repr."""
    assert result(payload=1) == result(payload=2) == result()
    assert "payload" not in repr(result(payload=1))


def test_a_result_knows_its_path_and_key() -> None:
    """What is unique in a pipeline, and in a run."""
    its = result(position=kx.Position(1, 2, 3, 4))
    assert its.path == "deploy/web/join/start"
    assert its.key == ((1, 2, 3, 4), "web1")
    assert str(result(S.Failed, reason="exit")) == "web1 deploy/web/join/start: Failed (exit)"
    assert str(result()) == "web1 deploy/web/join/start: Succeeded"


@pytest.mark.parametrize("tolerated", [True, False])
@pytest.mark.parametrize("status", S)
def test_a_result_is_on_the_success_track_where_ok_or_tolerated(status: S, tolerated: bool) -> None:
    """What never ran is not, whatever handler is attached."""
    its = result(status, tolerated=tolerated)
    assert its.ok == status.ok
    assert its.on_success_track == (status.ok or (tolerated and status is not S.NotRun))
    assert its.spoils == (status is S.NotRun or (status.fault and not tolerated))


def test_a_repr_never_raises() -> None:
    """Python refuses to write out a number of five thousand digits."""
    assert "value=<int>" in repr(result(value=10**5000))


def test_a_fault_says_where_what_and_what_to_do() -> None:
    """Where there is nothing to say of one of them, it is left out."""
    assert str(Fault("exit", "it failed", "web1", "mend it")) == "web1: it failed (mend it)"
    assert str(Fault("exit", "it failed")) == "it failed"
