"""Make data frozen all the way down, at the border."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from frozendict import frozendict

from kxflow.values.errors import UnencodableError

Vars: TypeAlias = "frozendict[str, Any]"


def freeze(value: Any) -> Any:
    """The same data with tuples for lists and frozen maps for mappings; hashable values pass as they are.

    >>> freeze({"ports": [80, 443]})
    frozendict.frozendict({'ports': (80, 443)})

    Raises:
        UnencodableError: Something in it can be changed afterwards and is no list, set or mapping.
    """
    if isinstance(value, Mapping):
        return frozendict({key: freeze(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(each) for each in value) if not hasattr(value, "_fields") else value
    if isinstance(value, AbstractSet):
        return frozenset(freeze(each) for each in value)
    if isinstance(value, bytearray):
        return bytes(value)
    if getattr(type(value), "__hash__", None) is None:
        raise UnencodableError(type(value).__name__)
    return value


def frozen_vars(value: Mapping[str, Any]) -> Vars:
    """Converter of fields that hold variables."""
    return frozendict({str(key): freeze(each) for key, each in value.items()})


def jsonable(value: Any, *, depth: int = 32) -> Any:  # noqa: PLR0911 -- one line a kind of value
    """The view of a value that a record keeps: what JSON can say, frozen; a secret becomes its mask.

    Depth is bounded at 32, whatever lies deeper is given as its repr; anything JSON has no word for is given
    as text.

    >>> jsonable({"a": [1, 2.5, None], "at": dt.date(2026, 1, 2)})
    frozendict.frozendict({'a': (1, 2.5, None), 'at': '2026-01-02'})
    """
    from kxflow.values.secret import MASK, Secret

    if isinstance(value, Secret):
        return MASK
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, dt.date | dt.datetime | dt.time):
        return value.isoformat()
    if depth <= 0:
        return repr(value)[:200]
    if isinstance(value, Mapping):
        return frozendict({str(key): jsonable(each, depth=depth - 1) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(jsonable(each, depth=depth - 1) for each in value)
    if isinstance(value, AbstractSet):
        return tuple(sorted((jsonable(each, depth=depth - 1) for each in value), key=repr))
    if hasattr(type(value), "__attrs_attrs__"):
        fields = type(value).__attrs_attrs__
        return frozendict({f.name: jsonable(getattr(value, f.name), depth=depth - 1) for f in fields if f.repr})
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return str(value)
