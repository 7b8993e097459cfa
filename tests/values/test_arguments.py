"""What checks of arguments share."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import pytest

import kxflow as kx
from kxflow.values.arguments import check_answers, check_takes, exit_codes, is_number, is_whole, kind, mapping, members


@pytest.mark.parametrize(
    ("value", "words"),
    [(5, "an int"), ([], "a list"), (None, "a NoneType"), (kx.Output(), "an Output"), (kx.Host("a"), "a Host")],
)
def test_kind_has_an_article(value: object, words: str) -> None:
    """As a sentence needs it."""
    assert kind(value) == words


@pytest.mark.parametrize("value", [[1, 2], (1, 2), {1: "a", 2: "b"}, iter([1, 2]), range(1, 3)])
def test_members_of_whatever_has_some(value: Any) -> None:
    """In their order."""
    assert members(value, "x", "y") == (1, 2)


@pytest.mark.parametrize("value", ["ab", b"ab", 5, None, object()])
def test_text_and_scalars_have_no_members(value: Any) -> None:
    """Text is one thing, not a list of letters."""
    with pytest.raises(kx.InvalidError, match=r"x is an? \w+: y"):
        members(value, "x", "y")


def test_mapping_passes_and_else_raises() -> None:
    """A list of pairs is none."""
    assert mapping({"a": 1}, "x", "y") == {"a": 1}
    with pytest.raises(kx.InvalidError, match="x is a list: y"):
        mapping([("a", 1)], "x", "y")


@pytest.mark.parametrize(
    ("value", "number", "whole"),
    [
        (1, True, True),
        (-1, True, True),
        (1.5, True, False),
        (1.0, True, False),
        (True, False, False),
        (math.nan, False, False),
        (math.inf, False, False),
        ("1", False, False),
        (None, False, False),
        pytest.param(10**400, False, True, id="large"),
    ],
)
def test_numbers_are_finite_and_no_truth_values(value: object, number: bool, whole: bool) -> None:
    """Text that reads like one is none either."""
    assert (is_number(value), is_whole(value)) == (number, whole)


def test_exit_codes_are_a_set_within_bounds() -> None:
    """From `least` to 255."""
    assert exit_codes([0, 255, 0], "x", least=0, remedy="y") == {0, 255}
    for bad in ([], [256], [-1], ["0"], [True], [None]):
        with pytest.raises(kx.InvalidError, match="cannot be: y"):
            exit_codes(bad, "x", least=0, remedy="y")
    with pytest.raises(kx.InvalidError, match="x is an int: y"):
        exit_codes(0, "x", least=0, remedy="y")


async def later() -> None:
    """A function that has something to wait for."""


def test_a_function_has_to_answer_at_once() -> None:
    """What is async or cannot be called does not."""
    check_answers(len, "x", "y")
    with pytest.raises(kx.InvalidError, match="x is async"):
        check_answers(later, "x", "y")
    with pytest.raises(kx.InvalidError, match="x is an int: y"):
        check_answers(5, "x", "y")


@pytest.mark.parametrize("function", [len, time.sleep, lambda a: a, lambda *a: a, functools.partial(max, 1), int, bool])
def test_a_function_that_takes_one_argument_passes(function: Any) -> None:
    """One that does not tell what it takes is believed."""
    check_takes(function, "x", "y", takes=1)


@pytest.mark.parametrize(
    ("function", "takes", "words"),
    [
        (lambda: 1, 1, "x cannot be called with an argument: too many positional arguments: y"),
        (lambda a, b: 1, 1, "x cannot be called with an argument: missing a required argument: 'b'"),
        (lambda a: 1, 0, "x cannot be called with no arguments: missing a required argument: 'a'"),
        (lambda *, a: 1, 1, "x cannot be called with an argument"),
        (lambda a: 1, 2, "x cannot be called with 2 arguments"),
    ],
)
def test_a_function_that_takes_something_else_is_refused(function: Any, takes: int, words: str) -> None:
    """The message says what does not fit."""
    with pytest.raises(kx.InvalidError) as caught:
        check_takes(function, "x", "y", takes=takes)
    assert words in str(caught.value)
