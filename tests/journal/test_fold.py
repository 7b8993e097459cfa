"""A log tells of its runs what is proved, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attrs import evolve
from crc32c import crc32c
from hypothesis import given, settings

from kxflow.journal.errors import LogError
from kxflow.journal.fold import Torn, fold, runs
from kxflow.journal.record import Body, LogRepaired
from kxflow.testing.result_strategies import runs as results_of_a_run
from kxflow.values.event import StepEnded
from kxflow.values.fault import Fault
from kxflow.values.result import StepResult
from tests.journal.logs import began, ended, lines, result, sent

FULL = (began(), sent(0), sent(1), StepEnded(result(1)), StepEnded(result(0)), ended())


@settings(max_examples=40)
@given(results_of_a_run(4))
def test_results_equal_the_ones_written(results: tuple[StepResult, ...]) -> None:
    """Whatever order they ended in, they come back all, equal, in canonical order."""
    shuffled = sorted(results, key=lambda each: each.digest)
    log = fold(b"".join(lines([began(), *map(StepEnded, shuffled), ended()])))
    assert repr(log.results) == repr(tuple(sorted(results, key=lambda each: each.key)))
    assert [each.stdout for each in log] == [each.stdout for each in sorted(results, key=lambda each: each.key)]


def test_whole_run_is_complete() -> None:
    """Run, pipeline, results and end are told; nothing is left that was sent."""
    log = fold(b"".join(lines(FULL)))
    assert (log.run, log.pipeline, log.complete, log.sent, log.faults, log.torn) == ("r1", "deploy", True, (), (), None)
    assert [each.host for each in log] == ["web0", "web1"]
    assert log.report().succeeded


def test_run_without_its_end_is_no_success() -> None:
    """Steps that were sent and have no end are told, and the report has a fault that names them."""
    log = fold(b"".join(lines(FULL[:4])))
    assert not log.complete
    assert [each.host for each in log.sent] == ["web0"]
    report = log.report()
    assert not report.succeeded
    assert [(each.code, each.what) for each in report.faults] == [
        ("unfinished", "the log ends before the run did; these may have begun and have no end: web/join/join on web0")
    ]


def test_faults_of_the_run_come_back() -> None:
    """What went wrong with the run itself is in its last record."""
    fault = Fault("interrupted", "SIGINT", "here", "resume it")
    assert fold(b"".join(lines([began(), ended("r1", fault)]))).report().faults == (fault,)


def test_several_runs_in_one_file() -> None:
    """The last is given, any other by its id, and each run has its own results."""
    log = b"".join(lines([began("a"), StepEnded(result(0, "a")), began("b"), StepEnded(result(1, "b")), ended("b")]))
    last, first = fold(log), fold(log, "a")
    assert (last.run, last.runs, first.run, first.runs) == ("b", ("a", "b"), "a", ("a", "b"))
    assert [each.host for each in last] == ["web1"]
    assert [each.host for each in first] == ["web0"]
    assert (first.complete, last.complete) == (False, True)
    with pytest.raises(LogError, match="holds no run 'c'"):
        fold(log, "c")


def test_repair_is_told() -> None:
    """A fragment that was cut off is known to the run that found it."""
    repaired = LogRepaired(run="r1", offset=7, size=3, sha256="0" * 64, saved="x.torn")
    assert fold(b"".join(lines([began(), repaired]))).repaired == (repaired,)


def test_cut_at_every_byte_invents_nothing() -> None:
    """A log cut anywhere tells a prefix of its records, and the fragment; it never crashes."""
    whole = lines(FULL)
    data = b"".join(whole)
    ends = [sum(map(len, whole[: n + 1])) for n in range(len(whole))]
    for cut in range(len(data)):
        left = sum(end <= cut for end in ends)
        if not left:
            with pytest.raises(LogError, match="holds no run"):
                fold(data[:cut])
            continue
        log = fold(data[:cut])
        expected = fold(b"".join(whole[:left]))
        assert evolve(log, torn=None) == expected
        assert log.torn == (Torn(ends[left - 1], cut - ends[left - 1]) if cut != ends[left - 1] else None)


def test_every_flipped_bit_is_seen() -> None:
    """One wrong bit anywhere is an error that names its line, or, in the last line, a reported fragment."""
    whole = lines([began(), *(StepEnded(result(n)) for n in range(8)), ended()])
    data = bytearray(b"".join(whole))
    assert len(data) >= 4096
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        assert _told(bytes(data), bit // 8, whole)
        data[bit // 8] ^= 1 << bit % 8


def _told(data: bytes, place: int, whole: list[bytes]) -> bool:
    """Whether the line with the damage is named, or reported as torn with all before it told."""
    before: list[bytes] = []
    while place >= len(b"".join([*before, whole[len(before)]])):
        before.append(whole[len(before)])
    start = len(b"".join(before))
    try:
        log = fold(data)
    except LogError as error:
        return error.offset == start
    return log.torn == Torn(start, len(data) - start) and evolve(log, torn=None) == fold(b"".join(before))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda log: log[1:], "stands where 0 belongs"),
        (lambda log: [*log[:2], *log[3:]], "stands where 2 belongs"),
        (lambda log: [*log[:3], *log[2:]], "stands where 3 belongs"),
        (lambda log: [log[0], log[2], log[1], *log[3:]], "stands where 1 belongs"),
        (lambda log: [*log, *log], "stands where 6 belongs"),
        (lambda log: [*log[:2], b"\0" * 100 + b"\n", *log[2:]], "is damaged"),
        (lambda log: [*log[:2], b"\n", *log[2:]], "is damaged"),
        (lambda log: [*log[:2], log[2][:30], *log[3:]], "is damaged"),
        (lambda log: [*log[:2], *lines([began(), sent(0), sent(3)])[2:], *log[3:]], "does not follow the line before"),
    ],
)
def test_damage_before_the_end_is_an_error(change: Callable[[list[bytes]], list[bytes]], what: str) -> None:
    """Lines that are missing, doubled, moved, forged or torn in the middle are refused, with the place."""
    with pytest.raises(LogError, match=what) as caught:
        fold(b"".join(change(lines(FULL))))
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    ("bodies", "what"),
    [
        ([sent(0)], "before the beginning of a run"),
        ([*FULL, sent(0)], "behind the end"),
        ([began(), StepEnded(result(0)), StepEnded(result(0))], "a second time"),
        ([began(), sent(0, "other")], "of run 'other' stands in run 'r1'"),
        ([began(), ended("other")], "of run 'other' stands in run 'r1'"),
    ],
)
def test_records_that_no_run_writes_are_an_error(bodies: list[Body], what: str) -> None:
    """Well-formed lines in an order that no run has are refused."""
    with pytest.raises(LogError, match=what):
        fold(b"".join(lines(bodies)))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"hello\n", b"hello\nworld\n", b"\0" * 5000, b"{}\n", b'{"v":1}\n{"v":1}\n']
)
def test_what_is_no_log_is_an_error(data: bytes) -> None:
    """Any other file gives an error of ours."""
    with pytest.raises(LogError):
        fold(data)


def test_newer_version_at_the_end_is_no_torn_line() -> None:
    """A last line that is whole and of a newer version is refused, not left out."""
    line = lines([began()])[0]
    head = line[: line.rindex(b',"crc"')].replace(b'{"v":1', b'{"v":2')
    with pytest.raises(LogError, match="version 2, this is 1"):
        fold(b'%b,"crc":"%08x"}\n' % (head, crc32c(head)))


def test_runs_are_read_one_at_a_time() -> None:
    """Each run is given before the next is read."""
    data = lines([began("a"), ended("a"), began("b"), ended("b")])
    taken: list[bytes] = []

    def source() -> Iterator[bytes]:
        for line in data:
            taken.append(line)
            yield line

    assert next(runs(source())).run == "a"
    assert len(taken) <= 4
