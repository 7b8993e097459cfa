"""Inputs: what a declaration says, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.inputs import Input, Reach

TOKEN = kx.command("token", "cat /token", parse=kx.Secret)


def test_an_input_names_origin_reach_and_what_is_missing() -> None:
    """A frozen value, whatever a checker takes it for."""
    every: Any = kx.from_all
    lead = kx.first(kx.role("db"))
    assert kx.from_here(TOKEN) == Input(TOKEN.origin, "token", Reach.here)
    assert kx.from_one(TOKEN) == Input(TOKEN.origin, "token", Reach.one)
    assert kx.from_one(TOKEN, sel=lead) == kx.from_one(TOKEN, lead) == Input(TOKEN.origin, "token", Reach.one, lead)
    assert every(TOKEN) == Input(TOKEN.origin, "token", Reach.every)
    assert every(TOKEN, missing="omit") == Input(TOKEN.origin, "token", Reach.every, missing="omit")


@pytest.mark.parametrize("make", [kx.from_here, kx.from_one, kx.from_all])
def test_every_input_can_say_in_which_task_its_step_is_meant(make: Any) -> None:
    """Module and task; a hook's task has more parts."""
    assert make(TOKEN, in_task="db/token").in_task == "db/token"
    assert make(TOKEN, in_task="db/@before/token").in_task == "db/@before/token"


def test_a_transform_of_a_step_is_the_same_input() -> None:
    """Inputs go by origin: whatever was said of the step before or after."""
    assert kx.from_here(TOKEN.timeout(5).become("app").named("other")) == Input(TOKEN.origin, "other", Reach.here)
    assert kx.from_one(TOKEN.sensitive()) == kx.from_one(TOKEN)


def test_the_repr_of_an_input_names_the_step() -> None:
    """Not its origin, which says nothing to people."""
    assert repr(kx.from_here(TOKEN)).startswith("Input(step='token', reach=<Reach.here: 'this host'>")


odd: Any = kx


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.from_here("token"), "an input from 'token': name the step itself, as made by command() or @step"),
        (lambda: odd.from_one(kx.cmd("a")), "name the step itself"),
        (lambda: odd.from_all([TOKEN]), "name the step itself"),
        (lambda: odd.from_one(TOKEN, "db1"), "from_one() got 'db1', which is no selector: write role("),
        (lambda: odd.from_one(TOKEN, kx.role), "from_one() got <function role"),
        (lambda: odd.from_here(TOKEN, in_task="token"), "in_task='token': write \"module/task\""),
        (lambda: odd.from_all(TOKEN, in_task=5), "in_task=5: write"),
        (lambda: odd.from_all(TOKEN, missing="skip"), 'missing=\'skip\': write "error" or "omit"'),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
