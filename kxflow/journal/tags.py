r"""How a log writes what JSON has no word for, so that it comes back as it was.

| value | in JSON |
|---|---|
| NaN, Infinity, -Infinity | `{"f64": "nan"}`, `{"f64": "inf"}`, `{"f64": "-inf"}` |
| an integer beyond ±(2^53 - 1) | `{"int": "9007199254740992"}` |
| bytes | `{"b64": "…"}` |
| text with lone surrogates | `{"esc": "a\\udcff"}`: each as `\uXXXX`, each backslash doubled |
| a mapping of one key that is a tag | `{"map": {…}}` around it |
| a mapping with a key that is no plain text | `{"pairs": [[key, value], …]}` |
| a field too large for its line | `{"beside": ["sha256", size]}`: its JSON is kept beside the log |

Everything else is itself. A mapping of one key is therefore a tag, or its key is no tag's name.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from frozendict import frozendict

from kxflow.values.errors import InvalidError, UnencodableError

DEPTH: Final = 32
SAFE: Final = 2**53 - 1

_LONE: Final = re.compile(r"\\(?:\\|u(d[89a-f][0-9a-f]{2}))")


def text(value: str) -> Any:
    """A text field: itself, or tagged where it holds lone surrogates."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"esc": value.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()}
    return value


def number(value: float) -> Any:
    """A number: itself, or tagged where JSON readers would change it."""
    if isinstance(value, int):
        return value if -SAFE <= value <= SAFE else {"int": _digits(value)}
    return value if math.isfinite(value) else {"f64": repr(value)}


def _digits(value: int) -> str:
    """Decimal, or hexadecimal where Python refuses decimal as too long (4300 digits)."""
    return str(value) if value.bit_length() < 14_000 else hex(value)


def octets(value: bytes) -> Any:
    """Bytes where only bytes can stand: as text where they are valid UTF-8, else tagged."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return pack_bytes(value)


def pack_bytes(value: bytes) -> dict[str, str]:
    """Bytes where anything can stand: always tagged."""
    return {"b64": base64.b64encode(value).decode()}


def pack(value: Any, depth: int = DEPTH) -> Any:
    r"""A frozen data value as JSON can hold it.

    >>> pack({"ratio": float("nan"), "raw": b"\xff"})
    {'ratio': {'f64': 'nan'}, 'raw': {'b64': '/w=='}}

    Raises:
        UnencodableError: Something in it is no number, text, bytes, None, list or mapping.
        InvalidError: More than 32 lists and mappings within each other.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return text(str.__str__(value))
    if isinstance(value, int):
        return number(int(value))
    if isinstance(value, float):
        return number(float(value))
    if isinstance(value, bytes):
        return pack_bytes(value)
    if depth <= 0:
        raise InvalidError(f"a value is nested deeper than {DEPTH}", "give flatter data, or its text")
    if isinstance(value, Mapping):
        return _pack_mapping(value, depth - 1)
    if isinstance(value, list | tuple):
        return [pack(each, depth - 1) for each in value]
    raise UnencodableError(type(value).__name__)


def _pack_mapping(value: Mapping[Any, Any], depth: int) -> Any:
    if not all(isinstance(key, str) and text(key) is key for key in value):
        return {"pairs": [[pack(key, depth), pack(each, depth)] for key, each in value.items()]}
    packed = {str.__str__(key): pack(each, depth) for key, each in value.items()}
    return {"map": packed} if len(packed) == 1 and not _UNPACK.keys().isdisjoint(packed) else packed


def unpack(value: Any, depth: int = DEPTH) -> Any:
    """What `pack` was given, lists as tuples, mappings as frozen maps.

    Raises:
        ValueError, TypeError: A tag holds what it cannot, or it is nested deeper than any record is.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in _UNPACK:
                return _UNPACK[key](inner, depth)
        return _unpack_map(value, depth)
    if isinstance(value, list):
        return tuple([unpack(each, _below(depth)) for each in value])
    return value


def _below(depth: int) -> int:
    if depth <= 0:
        raise ValueError(f"nested deeper than {DEPTH}")
    return depth - 1


def untext(value: Any) -> str:
    """What `text` was given.

    Raises:
        ValueError, TypeError: It is no text.
    """
    if type(value) is str:
        return value
    if isinstance(value, dict) and value.keys() == {"esc"}:
        return _unpack_escaped(value["esc"], 0)
    raise TypeError(f"no text: {type(value).__name__}")


def unnumber(value: Any) -> Any:
    """What `number` was given.

    Raises:
        ValueError, TypeError: It is no number.
    """
    found = unpack(value, 0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"no number: {type(value).__name__}")
    return found


def unpack_octets(value: Any) -> bytes:
    """What `octets` was given.

    Raises:
        ValueError, TypeError: It is neither text nor base64 in a tag.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return _unpack_bytes(value["b64"], 0)
    raise TypeError(f"no bytes: {type(value).__name__}")


def _unpack_bytes(inner: Any, _: int) -> bytes:
    return base64.b64decode(inner, validate=True)


def _unpack_int(inner: str, _: int) -> int:
    return int(inner, 0)


def _unpack_float(inner: Any, _: int) -> float:
    if inner not in ("nan", "inf", "-inf"):
        raise ValueError(f"no float: {inner!r}")
    return float(inner)


def _unpack_escaped(inner: str, _: int) -> str:
    return _LONE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", inner)


def _unpack_map(inner: Any, depth: int) -> frozendict[str, Any]:
    below = _below(depth)
    return frozendict({key: unpack(each, below) for key, each in inner.items()})


def _unpack_pairs(inner: Any, depth: int) -> frozendict[Any, Any]:
    below = _below(depth)
    return frozendict({unpack(key, below): unpack(each, below) for key, each in inner})


def _refuse(inner: Any, _: int) -> Any:
    raise ValueError(f"only a whole field is kept beside the log: {inner!r}")


_UNPACK: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "f64": _unpack_float,
    "int": _unpack_int,
    "b64": _unpack_bytes,
    "esc": _unpack_escaped,
    "map": _unpack_map,
    "pairs": _unpack_pairs,
    "beside": _refuse,
}
