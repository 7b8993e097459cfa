"""A secret never shows itself, wherever it is put."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.values.freeze import freeze, jsonable
from kxflow.values.secret import MASK
from tests.laws import laws

PLAIN = "hunter2-hunter2"
SECRET = kx.Secret(PLAIN)


@attrs.frozen
class Holder:
    """A user's class."""

    secret: object
    more: tuple[object, ...] = ()


@dataclasses.dataclass
class Data:
    """Another one."""

    secret: object


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        format,
        lambda it: f"{it} {it!r} {it!s:>20}",
        "{:>40}".format,
        lambda it: "%s %r" % (it, it),  # noqa: UP031 -- what users write
        pprint.pformat,
        lambda it: pprint.pformat({"a": [it]}),
        lambda it: str([it, {it: it}, (it,)]),
        lambda it: str(Holder(it, (it,))),
        lambda it: str(attrs.asdict(Holder(it, (it,)))),
        lambda it: str(attrs.astuple(Holder(it, (it,)))),
        lambda it: str(Data(it)),
        lambda it: str(dataclasses.asdict(Data(it))),
        lambda it: str(jsonable({"a": [it], it: Holder(it)})),
        lambda it: str(freeze({"a": [it]})),
        lambda it: str(kx.cmd("a", env={"T": it}, stdin=it)),
        lambda it: repr(kx.cmd("a", env={"T": it}, stdin=it)),
        lambda it: repr(kx.value(it)),
        lambda it: json.dumps(it, default=repr),
        lambda it: logging.LogRecord("n", 1, "p", 1, "%s", (it,), None).getMessage(),
        lambda it: repr(object.__dir__(it)),
        lambda it: repr(kx.InvalidError(f"about {it}")),
    ],
)
def test_a_secret_shows_only_its_mask(show: Any) -> None:
    """In text of every kind, also inside of other values."""
    shown = show(SECRET)
    assert PLAIN not in shown
    assert "hunter2" not in shown


def test_the_mask_says_what_it_is() -> None:
    """So that a reader of a log knows."""
    assert str(SECRET) == repr(SECRET) == f"{SECRET}" == f"{SECRET:>99}" == MASK == "Secret(***)"


@pytest.mark.parametrize("dump", [json.dumps, orjson.dumps])
def test_json_refuses_it(dump: Any) -> None:
    """An encoder that knows nothing of it must not find a text in it."""
    with pytest.raises(TypeError):
        dump({"a": SECRET})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    """Alone, or inside of another value; the message says what to do."""
    for value in (SECRET, {"a": [SECRET]}, Data(SECRET)):
        with pytest.raises(kx.InvalidError, match="a Secret is not pickled: pass it where it is used"):
            pickle.dumps(value, protocol)


def test_a_copy_is_the_secret_itself() -> None:
    """Deep copies of what holds it too."""
    assert copy.copy(SECRET) is SECRET
    assert copy.deepcopy(SECRET) is SECRET
    assert copy.deepcopy([SECRET])[0] is SECRET
    assert copy.deepcopy(Data(SECRET)).secret is SECRET


@pytest.mark.parametrize(
    "ask",
    [
        vars,
        bytes,
        len,
        iter,
        lambda it: it + "x",
        lambda it: "x" + it,
        "".join,
        lambda it: "".join([it]),
        lambda it: it[0],
        lambda it: it.__reduce__(),
        memoryview,
    ],
)
def test_nothing_but_reveal_gets_at_its_text(ask: Any) -> None:
    """It is no text, no bytes, no sequence, and has no dictionary."""
    with pytest.raises((TypeError, kx.InvalidError)):
        ask(SECRET)


def test_reveal_is_the_one_way_to_its_text() -> None:
    """And `raw` to its bytes; what is no UTF-8 comes as surrogate escapes."""
    assert (SECRET.reveal(), SECRET.raw) == (PLAIN, PLAIN.encode())
    assert kx.Secret(b"\xff\x00").reveal() == "\udcff\x00"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@laws()
@given(text=TEXTS | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_what_was_put_in_comes_out(text: str) -> None:
    """Any text that stands for bytes."""
    secret = kx.Secret(text)
    assert secret.reveal() == text
    assert secret == kx.Secret(secret.raw)


@laws()
@given(one=st.binary(max_size=4), other=st.binary(max_size=4))
def test_secrets_are_equal_as_their_bytes_are(one: bytes, other: bytes) -> None:
    """Whether made of text or of bytes; and equal ones have one hash."""
    assert (kx.Secret(one) == kx.Secret(other)) == (one == other)
    if one == other:
        assert hash(kx.Secret(one)) == hash(kx.Secret(other))


def test_a_secret_equals_no_text() -> None:
    """Not even its own."""
    assert SECRET != PLAIN
    assert PLAIN.encode() != SECRET
    assert kx.Secret("é") == kx.Secret("é".encode())
    assert kx.Secret(SECRET) == SECRET  # type: ignore[arg-type]  # as `password=` does with what is one already
    assert kx.Secret(bytearray(b"ab")) == kx.Secret("ab")  # type: ignore[arg-type]  # any bytes


def test_a_secret_is_frozen() -> None:
    """It can neither be set nor deleted nor given more."""
    odd: Any = SECRET
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        odd._raw = b""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        odd.more = 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del odd._raw
    assert SECRET.reveal() == PLAIN


@pytest.mark.parametrize("value", [5, None, ["a"], object()])
def test_only_text_and_bytes_can_be_secret(value: Any) -> None:
    """The message names the kind and never the value."""
    with pytest.raises(kx.InvalidError, match=r"an? \w+ cannot be a Secret: give text or bytes"):
        kx.Secret(value)


def test_text_that_is_no_secret_is_not_quoted() -> None:
    """The error of the codec would quote it; no part of it is in the traceback."""
    with pytest.raises(kx.InvalidError) as caught:
        kx.Secret(f"{PLAIN}\ud800")
    told = "".join(traceback.format_exception(caught.value))
    assert "cannot be a Secret" in told
    assert "hunter2" not in told


def test_a_record_holds_its_mask() -> None:
    """As the value of a result; the typed value goes on to the steps that want it."""

    @kx.step
    def token(ctx: kx.HostContext) -> kx.Action[kx.Secret]:
        return kx.value(SECRET)

    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", token)))
    connector = kx.MemoryConnector(lambda host, command: None)
    (result,) = kx.report_of(kx.run(pipeline, kx.Cluster([kx.Host("a")]), connector=connector)).results
    assert (result.value, result.payload) == (MASK, SECRET)
    assert "hunter2" not in repr(result)
