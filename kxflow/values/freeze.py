"""Make data frozen all the way down, at the border."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Any, Final, TypeAlias

from frozendict import frozendict

from kxflow.values.arguments import kind
from kxflow.values.errors import InvalidError, UnencodableError

Vars: TypeAlias = "frozendict[str, Any]"

DEPTH: Final = 64
_PLAIN: Final = (bool, int, float, str, bytes)
MEMBERS: Final = 1_000_000
_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+(?=>)")


def freeze(value: Any) -> Any:
    """The same data with tuples for lists and frozen maps for mappings; hashable values pass as they are.

    >>> freeze({"ports": [80, 443]})
    frozendict.frozendict({'ports': (80, 443)})

    Raises:
        InvalidError: It nests deeper than 64, holds itself, or has more than a million members.
        UnencodableError: Something in it can be changed afterwards and is no list, set or mapping.
    """
    return _freeze(value, DEPTH, count(1))


def _freeze(value: Any, depth: int, seen: Iterator[int]) -> Any:
    if type(value) in _PLAIN:
        return value
    if depth < 0 or next(seen) > MEMBERS:  # a few short lists of lists of lists hold more than any memory
        raise InvalidError(f"data deeper than {DEPTH} or larger than {MEMBERS} members", "a list must not hold itself")
    if isinstance(value, Mapping):
        return frozendict({key: _freeze(each, depth - 1, seen) for key, each in value.items()})
    if isinstance(value, list | tuple):
        members = [_freeze(each, depth - 1, seen) for each in value]
        return type(value)(*members) if isinstance(value, tuple) and hasattr(value, "_fields") else tuple(members)
    if isinstance(value, AbstractSet):
        return frozenset(_freeze(each, depth - 1, seen) for each in value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if not _hashable(value):
        raise UnencodableError(type(value).__name__)
    return value


def frozen_vars(value: Mapping[str, Any]) -> Vars:
    """Converter of fields that hold variables.

    Raises:
        InvalidError: It is no mapping of names to data.
    """
    if not isinstance(value, Mapping):
        raise InvalidError(f"variables cannot be {kind(value)}", 'give a mapping, such as {"port": 80}')
    return frozendict({str(key): freeze(each) for key, each in value.items()})


def _hashable(value: object) -> bool:
    """What has no hash, or holds something that has none, can be changed."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def recorded(value: Any) -> Any:
    """Converter of the value of a record: what `jsonable` gave passes (a hash is quick), all else goes through it."""
    if value is None or type(value) in _PLAIN:
        return value
    return value if isinstance(value, tuple | frozendict) and _hashable(value) else jsonable(value)


def jsonable(value: Any) -> Any:
    """The view of a value that a record keeps: what JSON can say, frozen; a secret becomes its mask.

    Total: whatever is given, it ends and does not raise. Depth is bounded at 32 and size at a million members; what
    lies beyond, or holds itself, is given by the name of its class; anything that JSON has no word for as its text.
    Bytes, NaN and huge numbers stay: the journal has an encoding for them.

    >>> import datetime as dt
    >>> jsonable({"a": [1, 2.5, None], "at": dt.date(2026, 1, 2)})
    frozendict.frozendict({'a': (1, 2.5, None), 'at': '2026-01-02'})
    """
    return _View().of(value, 32)


class _View:
    """One walk over a value: what is left of the allowed size, and where it is."""

    TEXT: Final = 100_000

    def __init__(self) -> None:
        self.left = MEMBERS
        self.above: set[int] = set()

    def of(self, value: Any, depth: int) -> Any:
        """Scalars as they are, the rest by kind."""
        self.left -= 1
        kind = type(value)
        if value is None or kind in _PLAIN:
            return value
        if depth <= 0 or self.left <= 0 or id(value) in self.above:
            return _name(value)  # not its repr: that of lists in lists in lists may be endless
        self.above.add(id(value))
        try:
            return self.inside(value, depth - 1)
        except Exception:  # noqa: BLE001 -- a value of the user's whose own methods raise must not end a run
            return _name(value)
        finally:
            self.above.discard(id(value))

    def inside(self, value: Any, depth: int) -> Any:
        """What is no plain scalar."""
        from kxflow.values.output import Output
        from kxflow.values.secret import MASK, Secret

        match value:
            case Secret():
                return MASK
            case bool() | int() | float() | str() | bytes():  # of a subclass: an enum of numbers, a number of numpy
                plain: Callable[[Any], Any] = next(base for base in _PLAIN if isinstance(value, base))
                return plain(value)
            case bytearray() | memoryview():
                return bytes(value)
            case Output():
                return str(value)
            case Mapping():
                return frozendict({self.key(key): self.of(each, depth) for key, each in value.items()})
            case list() | tuple():
                return tuple([self.of(each, depth) for each in value])
            case AbstractSet():
                return tuple(sorted((self.of(each, depth) for each in value), key=repr))
            case os.PathLike():
                return self.of(os.fspath(value), depth)
        return self.rest(value, depth)

    def rest(self, value: Any, depth: int) -> Any:
        """Values of classes with declared fields, moments, and all that has only a text."""
        import dataclasses
        from enum import Enum

        if isinstance(value, Enum):
            return value.name
        if not isinstance(value, type):
            fields: Any = getattr(type(value), "__attrs_attrs__", None)
            if fields is None and dataclasses.is_dataclass(value):
                fields = dataclasses.fields(value)
            if fields is not None:
                return frozendict({f.name: self.of(getattr(value, f.name), depth) for f in fields if f.repr})
        if hasattr(value, "isoformat"):
            return str(value.isoformat())
        return _ADDRESS.sub("", str(value)[: self.TEXT])  # that of an object differs from run to run

    def key(self, key: Any) -> str:
        """A key as text."""
        if type(key) is str:
            return key
        return str(key.name if hasattr(key, "name") and hasattr(key, "value") else key)


def shown(value: object) -> str:
    """The repr of a value for people; Python refuses to write out numbers of more than 4300 digits.

    >>> shown({"port": 80}), shown([10**5000])
    ("{'port': 80}", '<list>')
    """
    try:
        return repr(value)
    except ValueError:
        return _name(value)


def alike(one: Any, other: Any) -> bool:
    """Equality of data under which NaN, which equals nothing, equals NaN.

    >>> alike({"load": float("nan")}, {"load": float("nan")})
    True
    """
    if one == other:
        return True
    match one, other:
        case float(), float():
            return math.isnan(one) and math.isnan(other)
        case tuple(), tuple():
            return len(one) == len(other) and all(map(alike, one, other))
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    fields: Any = getattr(type(one), "__attrs_attrs__", None)
    if fields is None or type(one) is not type(other):
        return False
    return all(alike(getattr(one, each.name), getattr(other, each.name)) for each in fields if each.eq)


def _name(value: object) -> str:
    return f"<{type(value).__name__}>"
