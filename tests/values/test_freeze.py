"""Data frozen at the border, and the view of any value that a record keeps."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
from collections import ChainMap, Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
from frozendict import frozendict
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.journal.tags import pack
from kxflow.testing.result_strategies import data
from kxflow.values.errors import UnencodableError
from kxflow.values.freeze import alike, freeze, frozen_vars, jsonable, recorded, shown
from kxflow.values.secret import MASK
from tests.laws import laws

LAWS = laws(80)


class Color(enum.Enum):
    """Names of things."""

    red = 1


class Level(enum.IntEnum):
    """Numbers with names."""

    high = 3


@dataclasses.dataclass
class Data:
    """A user's class."""

    size: int
    token: str = dataclasses.field(default="hidden", repr=False)


@attrs.frozen
class Frozen:
    """Another one."""

    size: object
    token: str = attrs.field(default="hidden", repr=False)


class Point(NamedTuple):
    """Two numbers."""

    x: int
    y: int


class Broken:
    """Raises at whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __hash__(self) -> int:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


class Endless(Mapping[str, object]):
    """Says that it has members and gives no end of them."""

    def __getitem__(self, key: str) -> object:
        return self

    def __iter__(self) -> Iterator[str]:
        return (str(i) for i in range(10**9))

    def __len__(self) -> int:
        return 10**9


class Odd(Mapping[str, object]):
    """Raises in the middle."""

    def __getitem__(self, key: str) -> object:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Text(str):
    """A text that is more."""

    __slots__ = ()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.integers(10**4000, 10**4001)
)
KEYS = st.text(max_size=4) | st.integers() | st.none() | st.booleans() | st.sampled_from([Color.red, Level.high])
ODD = st.one_of(
    st.sampled_from([Color.red, Level.high, Path("/a"), Decimal(1), object(), int, len, Text("t")]),
    st.builds(Broken) | st.builds(Odd),
    st.builds(Data, st.integers()),
    st.builds(Frozen, st.integers()),
    st.builds(Point, st.integers(), st.integers()),
    st.datetimes() | st.dates() | st.timedeltas() | st.times(),
    st.binary().map(bytearray) | st.binary().map(lambda raw: memoryview(raw)),  # noqa: PLW0108 -- it is generic
    st.binary().map(kx.Output.of) | st.text().map(lambda text: kx.Secret(text.encode("utf-8", "replace"))),
    st.complex_numbers() | st.fractions(),
    st.lists(st.integers()).map(iter),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists, tuples, sets and mappings of them, of all classes that there are."""

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        mappings = st.dictionaries(KEYS, inner, max_size=3)
        lists = st.lists(inner, max_size=3)
        return st.one_of(
            mappings,
            mappings.map(OrderedDict),
            mappings.map(frozendict),
            mappings.map(ChainMap),
            lists,
            lists.map(tuple),
            lists.map(deque),
            st.frozensets(SCALARS, max_size=3),
            st.builds(Frozen, inner),
        )

    return st.recursive(leaves, deeper, max_leaves=8)


def is_recorded(value: object) -> bool:
    """Whether it is what a record keeps: plain scalars, tuples, frozen maps by text, and nothing else."""
    if isinstance(value, tuple):
        return type(value) is tuple and all(map(is_recorded, value))
    if isinstance(value, Mapping):
        return type(value) is frozendict and all(type(key) is str and is_recorded(value[key]) for key in value)
    return value is None or type(value) in (bool, int, float, str, bytes)


@LAWS
@given(value=nested(SCALARS | ODD))
def test_jsonable_is_total_and_frozen_all_the_way_down(value: object) -> None:
    """Whatever it is given it does not raise; what it gives has a hash, is settled, and a journal takes it."""
    view = jsonable(value)
    assert is_recorded(view)
    hash(view)
    assert alike(jsonable(view), view)
    json.dumps(pack(view))


@LAWS
@given(value=data())
def test_jsonable_keeps_recorded_data_as_it_is(value: object) -> None:
    """NaN, bytes, surrogates and huge numbers among it."""
    assert alike(jsonable(value), value)


@pytest.mark.parametrize(
    ("value", "view"),
    [
        (None, None),
        ({"a": [1, 2.5, None, True]}, frozendict({"a": (1, 2.5, None, True)})),
        ({1: "a", None: "b", Color.red: "c"}, frozendict({"1": "a", "None": "b", "red": "c"})),
        (kx.Secret("hunter2"), MASK),
        ({"t": [kx.Secret("hunter2")]}, frozendict({"t": (MASK,)})),
        ({kx.Secret("hunter2"): 1}, frozendict({MASK: 1})),
        (kx.Output.of(b"caf\xe9\n"), "caf\\xe9\n"),
        (Color.red, "red"),
        (Level.high, 3),
        (kx.Status.Failed, "Failed"),
        (Data(3), frozendict({"size": 3})),
        (Frozen([3]), frozendict({"size": (3,)})),
        (Point(1, 2), (1, 2)),
        ({3, 1, 2}, (1, 2, 3)),
        ({"b", "a"}, ("a", "b")),
        (Counter("aab"), frozendict({"a": 2, "b": 1})),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        (Path("/etc/motd"), "/etc/motd"),
        (Text("t"), "t"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), "2026-01-02T03:00:00+00:00"),
        (dt.timedelta(seconds=90), "0:01:30"),
        (Decimal("1.50"), "1.50"),
        (1 + 2j, "(1+2j)"),
        (Data, "<class 'tests.values.test_freeze.Data'>"),
        (Broken(), "<Broken>"),
        ([Broken(), 1], ("<Broken>", 1)),
        (Odd(), "<Odd>"),
        (ValueError("x"), "x"),
    ],
)
def test_jsonable_says_each_in_its_own_way(value: object, view: object) -> None:
    """Fields of declared classes that show in their repr; names of enums; text of the rest."""
    found = jsonable(value)
    assert found == view
    assert type(found) is type(view)


@pytest.mark.parametrize("value", [object(), lambda: 1, len, iter([]), Broken.__str__])
def test_jsonable_tells_no_addresses(value: object) -> None:
    """They differ from run to run, and the record would with them."""
    assert "0x" not in str(jsonable(value))
    assert str(jsonable(value)).startswith("<")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**53, 10**5000, 1e308], ids=shown)
def test_jsonable_keeps_numbers_that_json_has_no_word_for(number: Any) -> None:
    """The journal has an encoding for them."""
    view = jsonable([number])
    assert view[0] is number
    json.dumps(pack(view))


def test_jsonable_ends_on_what_holds_itself() -> None:
    """What is met again below itself is given by its class."""
    loop: list[Any] = [1]
    loop.append(loop)
    assert jsonable(loop) == (1, "<list>")
    table: dict[str, Any] = {"a": 1}
    table["self"] = [table]
    assert jsonable(table) == {"a": 1, "self": ("<dict>",)}
    twice = [1]
    assert jsonable([twice, twice]) == ((1,), (1,))


def test_jsonable_bounds_depth_and_size() -> None:
    """Below 32 levels, and beyond a million members, stands the name of the class."""
    deep: Any = 7
    for _ in range(40):
        deep = [deep]
    view, levels = jsonable(deep), 0
    while isinstance(view, tuple):
        view, levels = view[0], levels + 1
    assert (view, levels) == ("<list>", 32)
    wide: Any = [0] * 1000
    for _ in range(6):
        wide = [wide] * 10
    assert is_recorded(jsonable(wide))
    assert len(jsonable("x" * 200_000)) == 200_000
    assert len(jsonable(ValueError("x" * 200_000))) == 100_000


def plain_data() -> st.SearchStrategy[Any]:
    """Lists, tuples, sets and mappings, as inventories and programs hold them."""

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, max_size=3)
        return several | several.map(tuple) | st.dictionaries(KEYS, inner, max_size=3) | st.sets(KEYS, max_size=3)

    return st.recursive(SCALARS, deeper, max_leaves=8)


@LAWS
@given(value=plain_data())
def test_freeze_gives_what_can_be_hashed(value: object) -> None:
    """Lists as tuples, mappings as frozen maps; the data is the same, and it is settled."""
    frozen = freeze(value)
    hash(frozen)
    assert alike(freeze(frozen), frozen)
    assert alike(jsonable(frozen), jsonable(value))


@pytest.mark.parametrize(
    ("value", "frozen"),
    [
        ([1, [2]], (1, (2,))),
        ({"a": {"b": [1]}}, frozendict({"a": frozendict({"b": (1,)})})),
        ({1, 2}, frozenset({1, 2})),
        (bytearray(b"a"), b"a"),
        (Point(1, 2), Point(1, 2)),
        (Color.red, Color.red),
        (kx.Secret("x"), kx.Secret("x")),
    ],
)
def test_freeze_keeps_what_data_means(value: object, frozen: object) -> None:
    """Named tuples, enums and secrets stay what they are."""
    assert freeze(value) == frozen
    assert type(freeze(value)) is type(frozen)


def test_freeze_refuses_what_can_be_changed() -> None:
    """A class of the user's without a hash, alone or inside of data, and a frozen one that holds a list."""
    for value in (Data(1), [Data(1)], {"a": Data(1)}, Frozen([1])):
        with pytest.raises(UnencodableError, match="is not data: give numbers, text"):
            freeze(value)
    assert freeze(Frozen(1)) == Frozen(1)


def test_freeze_refuses_what_never_ends() -> None:
    """A list that holds itself, and more members than a memory has."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(kx.InvalidError, match="a list must not hold itself"):
        freeze(loop)
    with pytest.raises(kx.InvalidError, match="larger than 1000000 members"):
        freeze(Endless())


def test_frozen_vars_are_named_by_text() -> None:
    """And refuse what is no mapping."""
    assert frozen_vars({1: [2]}) == frozendict({"1": (2,)})  # type: ignore[dict-item]  # as YAML gives them
    with pytest.raises(kx.InvalidError, match="variables cannot be a list"):
        frozen_vars([1])  # type: ignore[arg-type]  # a caller's mistake


def test_recorded_freezes_what_is_not_frozen() -> None:
    """What `jsonable` gave passes as it is."""
    view = jsonable({"a": [1]})
    assert recorded(view) is view
    assert recorded([1, {2}]) == (1, (2,))
    assert recorded(([1],)) == ((1,),)
    assert recorded(kx.Secret("x")) == MASK


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (math.nan, float("nan"), True),
        ((1, math.nan), (1, float("nan")), True),
        ({"a": math.nan}, {"a": float("nan")}, True),
        (Frozen(math.nan), Frozen(float("nan")), True),
        (Frozen(1), Frozen(1), True),
        (Frozen(1), Frozen(2), False),
        ((math.nan, 1), (math.nan, 2), False),
        ((1,), (1, 2), False),
        ({"a": math.nan}, {"b": math.nan}, False),
        (math.nan, 1.0, False),
        (Frozen(math.nan), Data(1), False),
        ("a", "a", True),
        (None, math.nan, False),
    ],
)
def test_alike_is_equality_with_nan(one: object, other: object, same: bool) -> None:
    """In either order."""
    assert alike(one, other) is same
    assert alike(other, one) is same


def test_shown_never_raises_for_data() -> None:
    """Python refuses to write out numbers of thousands of digits."""
    assert shown({"a": 1}) == "{'a': 1}"
    assert shown(10**5000) == "<int>"
