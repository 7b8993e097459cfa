"""Errors: what they say, what they are, and that they travel."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

import kxflow as kx
from kxflow.values.errors import Problem, UnencodableError

PROBLEMS = (Problem("p/m/t", "no host", "add one"), Problem("hosts.toml:3", "unknown key"))
ERRORS: list[tuple[Any, type[Exception], str]] = [
    (
        kx.InvalidError("port 0 is out of range", "give 1 to 65535"),
        ValueError,
        "port 0 is out of range: give 1 to 65535",
    ),
    (kx.InvalidError("this cannot be"), ValueError, "this cannot be"),
    (kx.UnknownHostError("web-1", ("web1", "web2")), LookupError, "did you mean 'web1' or 'web2'?"),
    (kx.UnknownHostError("x"), LookupError, "no host 'x' in the cluster: `cluster.names` lists all."),
    (kx.CompositionError(PROBLEMS), ValueError, "p/m/t: no host (add one)\nhosts.toml:3: unknown key"),
    (kx.InventoryError(PROBLEMS), ValueError, "p/m/t: no host (add one)\nhosts.toml:3: unknown key"),
    (kx.MergeError("p/m/t/s", "web1"), ValueError, "two different results for p/m/t/s on web1"),
    (UnencodableError("socket"), TypeError, "a socket is not data: give numbers"),
]


@pytest.mark.parametrize(("error", "builtin", "words"), ERRORS)
def test_an_error_has_two_parents_and_says_what_and_what_to_do(error: Any, builtin: Any, words: str) -> None:
    """Ours and the builtin one, so that both `except` clauses catch it."""
    assert isinstance(error, kx.KxflowError)
    assert isinstance(error, builtin)
    assert words in str(error)


@pytest.mark.parametrize(("error", "builtin", "words"), ERRORS)
def test_an_error_travels(error: Any, builtin: Any, words: str) -> None:
    """Between processes and into copies; it can be raised again."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 -- our own
        assert type(twin) is type(error)
        assert attrs.astuple(twin) == attrs.astuple(error)
        assert str(twin) == str(error)
        with pytest.raises(builtin):
            raise twin


@pytest.mark.parametrize("error", [kx.CompositionError(PROBLEMS), kx.InventoryError(PROBLEMS)])
def test_errors_of_many_problems_hold_them_as_values(error: kx.ProblemsError) -> None:
    """Place, what, remedy: for programs as for people."""
    assert error.problems == PROBLEMS
    assert isinstance(error, kx.ProblemsError)
