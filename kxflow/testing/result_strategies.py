"""Hypothesis strategies of results and of records of a log, as hostile as hosts are."""

from __future__ import annotations

import datetime as dt
from typing import Any

from attrs import evolve
from frozendict import frozendict
from hypothesis import strategies as st

from kxflow.journal.record import Body, LogRepaired, Record, StepSent
from kxflow.values.event import RunBegan, RunEnded, StepEnded, TaskShape
from kxflow.values.fault import Fault
from kxflow.values.output import HEAD, Output
from kxflow.values.result import Attempt, Change, Position, Status, StepResult

_TAGS = ("f64", "int", "b64", "esc", "map", "pairs", "beside")


def texts() -> st.SearchStrategy[str]:
    """Any text, lone surrogates, controls and separators among it."""
    odd = st.sampled_from(["\udcff", "\ud800\udc00", "\\udcff", "\u2028", "\x85", "\x7f", "\x1b[2J", "\n", "\\", "é"])
    anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
    return st.lists(anything | odd, max_size=4).map("".join)


def times() -> st.SearchStrategy[dt.datetime]:
    """Moments, UTC."""
    return st.datetimes(timezones=st.just(dt.UTC)).map(lambda each: each.replace(fold=0))


def data() -> st.SearchStrategy[Any]:
    """What `jsonable` gives: frozen data with NaN, huge numbers, bytes, surrogates, and keys that look like tags."""
    numbers = st.integers() | st.floats() | st.sampled_from([2**53, -(2**53), 2**53 - 1, 2**64, 2**70, -(10**4000)])
    leaves = st.none() | st.booleans() | numbers | texts() | st.binary(max_size=20)
    keys = texts() | st.sampled_from(_TAGS)

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        mappings = st.dictionaries(keys, inner, max_size=3).map(frozendict)
        return st.lists(inner, max_size=3).map(tuple) | mappings

    return st.recursive(leaves, deeper, max_leaves=8)


def outputs() -> st.SearchStrategy[Output]:
    """Outputs: empty, whole, longer than a head, with a gap, and such as no collector would make."""
    odd = st.builds(Output, st.binary(max_size=30), st.binary(max_size=30), st.integers(0, 2**70), texts())
    long = st.binary(min_size=1, max_size=8).map(lambda each: Output.of(each * HEAD))
    return st.just(Output()) | st.binary(max_size=60).map(Output.of) | long | odd


def faults() -> st.SearchStrategy[Fault]:
    """Faults with any text in them."""
    return st.builds(Fault, texts(), texts(), texts(), texts())


def attempts() -> st.SearchStrategy[Attempt]:
    """Tries, ended in any way."""
    codes = st.none() | st.integers(-(2**70), 2**70)
    return st.builds(Attempt, st.sampled_from(Status), codes, times(), times(), st.floats())


def positions() -> st.SearchStrategy[Position]:
    """Places in the canonical order."""
    small = st.integers(0, 3)
    return st.builds(Position, small, small, small, small)


def step_results() -> st.SearchStrategy[StepResult]:
    """Results with anything in every field."""
    return st.builds(
        StepResult,
        run=texts(),
        pipeline=texts(),
        module=texts(),
        task=texts(),
        step=texts(),
        host=texts(),
        position=positions(),
        status=st.sampled_from(Status),
        reason=texts(),
        exit_code=st.none() | st.integers(),
        signal=st.none() | texts(),
        stdout=outputs(),
        stderr=outputs(),
        error=st.none() | faults(),
        value=data(),
        change=st.none() | st.builds(Change, texts(), texts(), texts()),
        attempts=st.lists(attempts(), max_size=2).map(tuple),
        started_at=times(),
        ended_at=times(),
        duration=st.floats(),
        digest=texts(),
        tolerated=st.booleans(),
    )


def bodies() -> st.SearchStrategy[Body]:
    """What any line of a log can say."""
    names = st.lists(texts(), max_size=3).map(tuple)
    shapes = st.lists(st.builds(TaskShape, texts(), texts(), names, st.integers(0, 9)), max_size=2).map(tuple)
    counts = st.integers(0, 2**53 - 1)
    several = st.lists(faults(), max_size=2).map(tuple)
    return st.one_of(
        st.builds(StepEnded, step_results()),
        st.builds(
            StepSent,
            run=texts(),
            module=texts(),
            task=texts(),
            step=texts(),
            host=texts(),
            position=positions(),
            digest=texts(),
            attempt=st.integers(1, 9),
        ),
        st.builds(RunBegan, run=texts(), pipeline=texts(), at=times(), fingerprint=texts(), hosts=names, shape=shapes),
        st.builds(RunEnded, run=texts(), pipeline=texts(), at=times(), faults=several),
        st.builds(LogRepaired, run=texts(), offset=counts, size=counts, sha256=st.just("0" * 64), saved=texts()),
    )


def records() -> st.SearchStrategy[Record]:
    """Lines of a log."""
    return st.builds(Record, st.integers(0, 2**53 - 1), times(), st.just("0" * 32), bodies())


def runs(most: int = 6) -> st.SearchStrategy[tuple[StepResult, ...]]:
    """Results of one run, each place once, in any order."""

    def placed(results: list[StepResult]) -> tuple[StepResult, ...]:
        return tuple(evolve(each, run="r1", position=Position(0, 0, 0, place)) for place, each in enumerate(results))

    return st.lists(step_results(), max_size=most).map(placed)
