"""Actions as data: their digest, and the parts that they are made of."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.values.action import (
    Both,
    Command,
    OnController,
    Value,
    digest,
    function_name,
    is_sensitive,
    map_parts,
    parts_of,
)
from tests.flow.drawn import commands
from tests.laws import laws

LAWS = laws(50)


def actions() -> st.SearchStrategy[kx.Action[Any]]:
    """Commands, values, reasons, and several of them as one."""
    plain = st.recursive(
        st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=5,
    )
    leaves = commands() | plain.map(kx.value) | st.sampled_from([kx.skip("why"), kx.fail("why")])
    return leaves | st.lists(leaves, min_size=1, max_size=3).map(lambda parts: kx.both(*parts))


@LAWS
@given(action=actions())
def test_equal_actions_have_equal_digests(action: kx.Action[Any]) -> None:
    """However they came to be; 128 bits in hex."""
    again = map_parts(action, evolve)
    assert again == action
    assert digest(again) == digest(action)
    assert len(digest(action)) == 32
    int(digest(action), 16)


@LAWS
@given(one=actions(), other=actions())
def test_equality_decides_over_digests(one: kx.Action[Any], other: kx.Action[Any]) -> None:
    """Two that were drawn apart and are equal have one digest."""
    if one == other:
        assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (kx.value({"a": 1, "b": 2}), kx.value({"b": 2, "a": 1})),
        (kx.value(1), kx.value(True)),
        (kx.value([1.0]), kx.value([1])),
        (kx.value(0.0), kx.value(-0.0)),
        (kx.value({3, 1, 2}), kx.value({2, 3, 1})),
        (kx.shell("a", env={"A": "1", "B": "2"}), kx.shell("a", env={"B": "2", "A": "1"})),
        (kx.shell("a", timeout=5), Command(text="a", timeout=5)),
        (kx.shell("a", ok_codes=(0, 1)), kx.shell("a", ok_codes=(1, 0, 1))),
        (kx.both(kx.cmd("a"), kx.cmd("b")), Both((kx.cmd("a"), kx.cmd("b")))),
    ],
)
def test_equal_actions_that_are_written_differently_have_equal_digests(one: Any, other: Any) -> None:
    """Order of mappings and sets, and kinds of one number, are no difference."""
    assert one == other
    assert digest(one) == digest(other)


BASE: dict[str, Any] = {
    "check": "c",
    "undo": "u",
    "value": "v",
    "env": {"A": "1"},
    "cwd": "/x",
    "stdin": "i",
    "timeout": 5,
}


@pytest.mark.parametrize(
    "other",
    [
        kx.shell("b", **BASE),
        kx.cmd("a", **BASE),
        *(kx.shell("a", **{**BASE, name: None}) for name in ("check", "undo", "value", "cwd", "stdin", "timeout")),
        kx.shell("a", **{**BASE, "env": {"A": "2"}}),
        kx.shell("a", **{**BASE, "env": {"B": "1"}}),
        kx.shell("a", **{**BASE, "check": kx.test("c", undone=(1, 2))}),
        kx.shell("a", **BASE, become="root"),
        kx.shell("a", **BASE, ok_codes=(0, 1)),
        kx.shell("a", **BASE, parse=int),
        kx.shell("a", **BASE, sensitive=True),
        kx.both(kx.shell("a", **BASE), kx.shell("a", **BASE)),
    ],
)
def test_actions_that_do_something_else_have_other_digests(other: Any) -> None:
    """Each part of it counts."""
    assert digest(other) != digest(kx.shell("a", **BASE))


def test_a_digest_tells_values_apart() -> None:
    """Text from numbers, lists from mappings, the large and the odd ones."""
    values: list[Any] = [None, 1, "1", b"1", [1], {"a": 1}, {"1": 1}, 1.5, math.nan, math.inf, 10**5000, "None", [], {}]
    assert len({digest(kx.value(value)) for value in values}) == len(values)
    assert digest(kx.skip("x")) != digest(kx.fail("x"))


class Plain:
    """An object whose text is its address."""


def test_a_digest_does_not_depend_on_where_an_object_lies() -> None:
    """The next run has to find the same."""
    assert digest(kx.value(Plain())) == digest(kx.value(Plain()))
    assert digest(kx.value([Plain(), len])) == digest(kx.value([Plain(), len]))


@frozen
class Login:
    """A user's value with a secret in it."""

    user: str
    password: kx.Secret


@LAWS
@given(one=st.binary(min_size=1, max_size=20), other=st.binary(min_size=1, max_size=20))
def test_a_digest_does_not_depend_on_secrets(one: bytes, other: bytes) -> None:
    """It holds their names; from what depends on the value, a short one could be guessed."""

    def made(raw: bytes) -> list[kx.Action[Any]]:
        secret = kx.Secret(raw.translate(bytes.maketrans(b"\0\n\r", b"---")))
        return [
            kx.shell("login", env={"TOKEN": secret}),
            kx.cmd("login", stdin=secret),
            kx.cmd("login", become=kx.Become("app", password=secret)),
            kx.value(secret),
            kx.value({"login": [Login("ops", secret)]}),
            kx.both(kx.cmd("a"), kx.value(secret)),
            Value(secret.reveal(), sensitive=True),
        ]

    assert list(map(digest, made(one))) == list(map(digest, made(other)))


def test_a_digest_holds_the_name_of_a_secrets_variable() -> None:
    """Another variable is another action; and no digest is one of the secret itself."""
    secret = kx.Secret("hunter2-hunter2")
    one, other = kx.shell("a", env={"A": secret}), kx.shell("a", env={"B": secret})
    assert digest(one) != digest(other)
    for text in (secret.raw, repr(secret.reveal()).encode()):
        assert digest(one) not in hashlib.sha256(text).hexdigest()


def named() -> int:
    """A function of this module."""
    return 1


def test_a_function_counts_by_its_name() -> None:
    """Module and qualified name; of an object that is called, those of its class."""
    assert function_name(named) == "tests.values.test_action.named"
    assert function_name(str.upper) == ".str.upper" or function_name(str.upper).endswith("str.upper")
    assert digest(kx.on_controller(named)) == digest(kx.on_controller(named))
    assert digest(kx.on_controller(named)) != digest(kx.on_controller(dict))
    assert digest(kx.shell("a", parse=int)) != digest(kx.shell("a", parse=str))


A, B = kx.cmd("a"), kx.cmd("b")


def test_parts_are_flat_and_in_order() -> None:
    """Also of what was nested by hand; an action of one part is its own."""
    assert parts_of(Both((A, Both((B, kx.skip("x"))), A))) == (A, B, kx.skip("x"), A)
    assert parts_of(A) == (A,)


def test_map_parts_changes_each_and_keeps_the_shape() -> None:
    """It gives a new value, and the old one is as it was."""
    nested: Both[Any] = Both((A, Both((B,))))
    made = map_parts(nested, lambda part: kx.skip(str(part)))
    assert made == Both((kx.skip("a"), Both((kx.skip("b"),))))
    assert nested == Both((A, Both((B,))))
    assert map_parts(nested, lambda part: part) == nested


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (A, False),
        (kx.cmd("a", sensitive=True), True),
        (Value(1), False),
        (Value(1, sensitive=True), True),
        (OnController(named), False),
        (OnController(named, sensitive=True), True),
        (kx.skip("x"), False),
        (Both((A, Both((Value(1, sensitive=True),)))), True),
    ],
)
def test_an_action_is_sensitive_where_a_part_is(action: kx.Action[Any], expected: bool) -> None:
    """At any depth."""
    assert is_sensitive(action) is expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"env": {"A": 1}}, "env A is an int: give text or a Secret"),
        ({"env": 5}, "env is an int: give a mapping"),
    ],
)
def test_a_command_made_by_hand_is_checked_where_it_would_leak(change: Any, words: str) -> None:
    """Its environment is, whoever makes it."""
    with pytest.raises(kx.InvalidError) as caught:
        Command(text="a", **change)
    assert words in str(caught.value)
