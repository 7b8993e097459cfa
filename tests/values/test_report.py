"""A report adds up, in any order, and has pure views."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import sys
import types
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults, step_results
from kxflow.values.fault import Fault
from kxflow.values.report import last_lines
from kxflow.values.result import Attempt, Change
from tests.laws import laws
from tests.values.made import RECORDS, START, many, placed, result, result_lists, shards

S = kx.Status


@RECORDS
@given(parts=shards())
def test_reports_are_a_monoid(parts: tuple[kx.Report, ...]) -> None:
    """`empty` is neutral, grouping and order do not matter, and what is there twice counts once."""
    a, b, c = parts
    assert a + kx.Report.empty == kx.Report.empty + a == a
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + a == a
    assert hash(a + b) == hash(b + a)


@RECORDS
@given(parts=shards(4))
def test_merge_is_the_sum(parts: tuple[kx.Report, ...]) -> None:
    """Of any number of reports, none too, in any order."""
    total = kx.Report.empty
    for each in parts:
        total += each
    assert kx.Report.merge(parts) == kx.Report.merge(reversed(parts)) == total
    assert kx.Report.merge([]) == kx.Report.empty


@RECORDS
@given(results=result_lists(), data=st.data())
def test_results_stand_in_canonical_order_however_they_came(results: tuple[kx.StepResult, ...], data: Any) -> None:
    """By position, then host; the order they came in leaves no trace."""
    shuffled = data.draw(st.permutations(results))
    assert kx.Report(shuffled).results == results
    assert [each.key for each in kx.Report(shuffled)] == sorted(each.key for each in results)


@RECORDS
@given(results=result_lists(), cut=st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_partition_adds_up_to_the_whole(results: tuple[kx.StepResult, ...], cut: list[bool]) -> None:
    """Whoever holds which part."""
    one = kx.Report(r for r, here in zip(results, cut, strict=False) if here)
    other = kx.Report(r for r, here in zip(results, cut, strict=False) if not here)
    assert one + other == kx.Report(results)
    assert len(one + other) == len(results)


@RECORDS
@given(one=step_results(), other=step_results())
def test_equal_duplicates_merge_and_unequal_ones_raise(one: kx.StepResult, other: kx.StepResult) -> None:
    """One step on one host says one thing."""
    (first,) = placed([one])
    second = evolve(other, run="r1", position=first.position, host=first.host)
    assert kx.Report([first, evolve(first)]) == kx.Report([first])
    if first != second:
        with pytest.raises(kx.MergeError) as caught:
            kx.Report([first]) + kx.Report([second])
        assert (caught.value.path, caught.value.host) == (second.path, first.host)


def test_duplicates_that_were_read_from_logs_merge() -> None:
    """NaN equals nothing, not even itself; a report of the same log twice is that report."""

    def read() -> kx.StepResult:
        attempt = Attempt(S.Succeeded, 0, START, START, float("nan"))
        return result(value={"load": [float("nan")]}, duration=float("nan"), attempts=(attempt,))

    assert len(kx.Report([read()]) + kx.Report([read()])) == 1
    with pytest.raises(kx.MergeError):
        kx.Report([read(), evolve(read(), value={"load": [1.0]})])


def test_the_typed_value_is_no_part_of_what_merges() -> None:
    """It is there in one process, and absent in a log."""
    assert len(kx.Report([result(value=1, payload=1), result(value=1)])) == 1


def test_a_merge_error_names_step_and_host() -> None:
    """And says what that means; it is ours and a ValueError."""
    with pytest.raises(
        ValueError, match="two different results for deploy/web/join/start on web1: these reports are not"
    ):
        kx.Report([result(), result(S.Failed)])


def test_adding_something_else_is_a_type_error() -> None:
    """A report adds reports."""
    odd: Any = kx.Report()
    with pytest.raises(TypeError):
        odd + 1


def test_one_host_at_one_place_is_one_result_several_hosts_are_several() -> None:
    """The host is part of what identifies a result."""
    assert len(kx.Report([result(), result(host="web2"), result(position=kx.Position(step=1))])) == 3


# Success

HANDLED = "tolerated: deploy/db/make/token gave no value on db1"


@pytest.mark.parametrize(
    ("its", "success"),
    [
        (result(S.Succeeded), True),
        (result(S.Skipped), True),
        *((result(status), False) for status in S if status.fault),
        *((result(status, tolerated=True), True) for status in S if status.fault),
        (result(S.NotRun, reason="blocked: deploy/web/join/install"), False),
        (result(S.NotRun, reason="blocked: deploy/web/join/install", tolerated=True), False),
        (result(S.NotRun, reason="stopped: web/join: 1 of 3 hosts failed"), False),
        (result(S.NotRun, reason="input: deploy/db/make/token gave no value on db1"), False),
        (result(S.NotRun, reason="interrupted: SIGTERM"), False),
        (result(S.NotRun), False),
        (result(S.NotRun, reason=HANDLED), True),
    ],
)
def test_success_is_no_untolerated_fault_and_nothing_unrun_because_of_one(its: kx.StepResult, success: bool) -> None:
    """One such result among good ones decides; a fault of the run itself does, whatever the results."""
    good = [result(host="web2"), result(S.Skipped, host="web3")]
    assert kx.Report([*good, its]).succeeded is success
    assert kx.Report([*good, its]).ok is success
    assert its.spoils is not success
    assert not kx.Report([*good, its], (Fault("interrupted", "by SIGTERM"),)).succeeded


def test_an_empty_report_is_a_success() -> None:
    """Nothing went wrong."""
    assert kx.Report.empty.succeeded
    assert not kx.Report(faults=(Fault("sink", "no space"),)).succeeded


@RECORDS
@given(parts=shards())
def test_a_sum_succeeded_where_all_parts_did(parts: tuple[kx.Report, ...]) -> None:
    """Success is what survives adding."""
    assert kx.Report.merge(parts).succeeded == all(each.succeeded for each in parts)


def test_a_report_has_no_truth_value() -> None:
    """`if report:` could mean two things."""
    with pytest.raises(TypeError, match=r"ask `report\.succeeded`"):
        bool(kx.Report.empty)


# Views


@RECORDS
@given(results=result_lists())
def test_views_partition_the_results(results: tuple[kx.StepResult, ...]) -> None:
    """By host, by status, by path: every result once, in order; the tally counts them."""
    report = kx.Report(results)
    for view in (report.by_host(), report.by_status(), report.by_path()):
        members: list[kx.StepResult] = list(itertools.chain.from_iterable(view.values()))
        assert sorted(members, key=lambda each: each.key) == list(results)
        assert all(list(group) == sorted(group, key=lambda each: each.key) for group in view.values())
    assert all(each.host == name for name, group in report.by_host().items() for each in group)
    assert all(each.status is status for status, group in report.by_status().items() for each in group)
    assert set(report.tally) == set(S)
    assert sum(report.tally.values()) == len(report) == len(results)
    assert all(report.tally[status] == len(group) for status, group in report.by_status().items())
    assert tuple(report) == results


def test_views_are_frozen() -> None:
    """What was asked cannot be changed by whoever got it."""
    odd: Any = kx.Report([result()])
    for view in (odd.by_host(), odd.by_status(), odd.by_path(), odd.tally, odd.durations()):
        with pytest.raises(TypeError):
            view["x"] = 1
    with pytest.raises(AttributeError):
        odd.results = ()


def test_first_fault_is_the_untolerated_one_that_ended_first() -> None:
    """Not the first by place; a tolerated one is none; of two at one time the one that stands first."""

    def later(seconds: int, status: S = S.Failed, **fields: Any) -> kx.StepResult:
        return result(status, ended_at=START + dt.timedelta(seconds=seconds), **fields)

    early = later(1, host="web3", position=kx.Position(host=2))
    report = kx.Report([later(2), early, later(0, host="web2", position=kx.Position(host=1), tolerated=True)])
    assert report.first_fault == early
    assert [each.host for each in report.faulty] == ["web1", "web3"]
    tie = kx.Report([later(1), evolve(early, status=S.Lost)])
    assert tie.first_fault is not None
    assert tie.first_fault.host == "web1"
    assert kx.Report([result(), later(1, S.NotRun, host="web2")]).first_fault is None


def test_durations_are_sums_by_step() -> None:
    """Over hosts, in the order of the steps."""
    report = kx.Report(
        [
            result(duration=1.5),
            result(duration=2.0, host="web2", position=kx.Position(host=1)),
            result(step="stop", duration=0.5, position=kx.Position(step=1)),
        ]
    )
    assert dict(report.durations()) == {"deploy/web/join/start": 3.5, "deploy/web/join/stop": 0.5}


def test_run_and_pipeline_are_those_of_the_results() -> None:
    """Empty where there is none."""
    assert (kx.Report([result()]).run, kx.Report([result()]).pipeline) == ("r1", "deploy")
    assert (kx.Report.empty.run, kx.Report.empty.pipeline) == ("", "")


def test_a_result_is_found_by_path_and_host() -> None:
    """The last parts of the path will do, where they name one."""
    report = kx.Report(many(30))
    assert report["s3", "h1"] is report["web/join/s3", "h1"] is report["deploy/web/join/s3", "h1"]
    assert report["s3", "h1"].key == (kx.Position(0, 0, 3, 1), "h1")


@pytest.mark.parametrize("address", [("s3", "h9"), ("s99", "h0"), ("3", "h0"), ("oin/s3", "h0")])
def test_no_result_by_that_address_is_a_lookup_error(address: tuple[str, str]) -> None:
    """Half a name is none."""
    with pytest.raises(LookupError, match="0 results for"):
        kx.Report(many(30))[address]


def test_several_results_by_that_address_are_a_lookup_error() -> None:
    """It says where the paths are listed."""
    twice = [result(), result(task="leave", position=kx.Position(task=1))]
    with pytest.raises(LookupError, match=r"2 results for 'start' on 'web1': `report.by_path\(\)` lists the paths"):
        kx.Report(twice)["start", "web1"]


@pytest.mark.parametrize("address", [0, "start", ("start",), ("a", "b", "c")])
def test_something_that_is_no_address_is_a_type_error(address: Any) -> None:
    """It says what to write."""
    with pytest.raises(TypeError, match="names no result: write report"):
        kx.Report([result()])[address]


def test_to_dicts_gives_plain_rows() -> None:
    """Enums by name, outputs as text, times as datetime, faults in words; the typed value is left out."""
    its = result(
        S.Failed,
        reason="exit",
        exit_code=3,
        stdout=kx.Output.of(b"out\xff"),
        error=Fault("exit", "it failed", "here", "mend it"),
        value={"a": [1]},
        payload=object(),
        change=Change("a", "b", "-a\n+b"),
        attempts=(Attempt(S.Failed, 3, START, START, 0.5),),
    )
    (row,) = kx.Report([its]).to_dicts()
    assert type(row) is dict
    assert "payload" not in row
    assert row == {
        "run": "r1",
        "pipeline": "deploy",
        "module": "web",
        "task": "join",
        "step": "start",
        "host": "web1",
        "position": (0, 0, 0, 0),
        "status": "Failed",
        "reason": "exit",
        "exit_code": 3,
        "signal": None,
        "stdout": "out\\xff",
        "stderr": "",
        "error": "here: it failed (mend it)",
        "value": {"a": (1,)},
        "change": {"before": "a", "after": "b", "diff": "-a\n+b"},
        "attempts": 1,
        "started_at": START,
        "ended_at": START,
        "duration": 0.0,
        "digest": "",
        "tolerated": False,
        "path": "deploy/web/join/start",
    }
    assert kx.Report([result()]).to_dicts()[0]["change"] is None
    assert kx.Report.empty.to_dicts() == []


@RECORDS
@given(results=result_lists())
def test_to_dicts_has_a_row_for_each_result_in_order(results: tuple[kx.StepResult, ...]) -> None:
    """Whatever is in them; all rows have the same columns."""
    rows = kx.Report(results).to_dicts()
    assert [row["host"] for row in rows] == [each.host for each in results]
    assert len({tuple(row) for row in rows}) <= 1


def test_to_pandas_gives_the_rows_to_the_users_own_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row a result, by column."""
    frames: list[Any] = []
    module: Any = types.ModuleType("pandas")
    module.DataFrame = frames.append
    monkeypatch.setitem(sys.modules, "pandas", module)
    report = kx.Report(many(20))
    report.to_pandas()
    assert frames == [report.to_dicts()]


def test_to_pandas_without_pandas_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not among what kxflow needs."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as caught:
        kx.Report(many(1)).to_pandas()
    assert isinstance(caught.value, kx.KxflowError)
    assert str(caught.value) == "to_pandas() needs pandas: pip install 'kxflow[pandas]'"


def test_last_lines_are_the_end_of_what_was_written() -> None:
    """Of stderr, of stdout where that is empty; each cut to its own end."""
    both = result(stdout=kx.Output.of(b"1\n2\n3\n4\n"), stderr=kx.Output.of(b"oops\n" + b"x" * 300 + b"end"))
    assert last_lines(both).split("\n") == ["oops", ("x" * 300 + "end")[-200:]]
    assert last_lines(result(stdout=kx.Output.of(b"1\n2\n3\n4\n"))) == "2\n3\n4"
    assert last_lines(result()) == ""


def test_the_repr_says_how_it_stands() -> None:
    """Name, end, and how many of each status that there is."""
    report = kx.Report([result(), result(S.Failed, host="web2"), result(host="web3")])
    assert repr(report) == "Report(deploy failed: 2 Succeeded, 1 Failed)"
    assert repr(kx.Report.empty) == "Report(empty succeeded: no results)"


def test_faults_of_the_run_are_kept_each_once() -> None:
    """In an order that does not depend on who came first."""
    one, other = Fault("sink", "no space", "run.ndjson"), Fault("interrupted", "by SIGTERM")
    assert kx.Report(faults=(one, other, one)).faults == kx.Report(faults=(other, one)).faults == (other, one)


@laws()
@given(wrong=st.lists(faults(), max_size=4))
def test_faults_add_up_like_a_set(wrong: list[Fault]) -> None:
    """Each alone and all together."""
    assert set(kx.Report(faults=tuple(wrong)).faults) == set(wrong)
    assert kx.Report.merge(kx.Report(faults=(each,)) for each in wrong) == kx.Report(faults=tuple(wrong))


class Counted(str):
    """A host's name that counts how often it is looked at."""

    __slots__ = ()
    looked = 0

    def __lt__(self, other: str) -> bool:
        Counted.looked += 1
        return str.__lt__(self, other)

    def __eq__(self, other: object) -> bool:
        Counted.looked += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def looks(count: int) -> int:
    """How often names are compared while reports of so many results are built, added and viewed."""
    results = [result(host=Counted(f"h{i:06}")) for i in range(count)]
    Counted.looked = 0
    half = count // 2
    report = kx.Report(results[half:]) + kx.Report(results[:half])
    report += kx.Report.empty
    for view in (report.by_host, report.by_status, report.by_path, report.durations, report.to_dicts):
        view()
    assert report.first_fault is None
    return Counted.looked


def test_a_large_report_is_not_quadratic() -> None:
    """Four times the results take about four times the work, not sixteen times: counted, not timed."""
    small, large = looks(1000), looks(4000)
    assert small > 0
    assert large < 4 * small * (1 + math.log(4))
