"""What checks of arguments share; whatever is wrong with one is an `InvalidError` that says what and what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from kxflow.values.errors import InvalidError


def kind(value: object) -> str:
    """The class of a value with its article, for messages.

    >>> kind(5), kind([])
    ('an int', 'a list')
    """
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def members(value: Any, where: str, remedy: str) -> tuple[Any, ...]:
    """The members of a list, a tuple, a set or anything else that has some; text and bytes are one thing.

    Raises:
        InvalidError: It has no members.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidError(f"{where} is {kind(value)}", remedy)
    return tuple(value)


def mapping(value: Any, where: str, remedy: str) -> Mapping[Any, Any]:
    """A mapping as it is.

    Raises:
        InvalidError: It is none.
    """
    if not isinstance(value, Mapping):
        raise InvalidError(f"{where} is {kind(value)}", remedy)
    return value


def is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold; True and False are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:
        return False


def is_whole(value: object) -> bool:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_flag(_: object, attribute: Any, value: object) -> None:
    """Validator of fields that are True or False: text such as "no" would be true.

    Raises:
        InvalidError: It is neither.
    """
    if not isinstance(value, bool):
        raise InvalidError(f"{attribute.name}={value!r}", "write True or False")


def check_flags(where: str, **flags: object) -> None:
    """The same for arguments of a function, by name.

    Raises:
        InvalidError: One is neither.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidError(f"{where}: {name}={value!r}", "write True or False")


def exit_codes(value: Any, where: str, *, least: int, remedy: str) -> frozenset[int]:
    """Exit statuses from `least` to 255.

    Raises:
        InvalidError: None, or something that is no exit status.
    """
    codes = members(value, where, remedy)
    if not codes or not all(is_whole(code) and least <= code <= 255 for code in codes):
        raise InvalidError(f"{where}={value!r} cannot be", remedy)
    return frozenset(codes)


def is_async(function: Any) -> bool:
    """Calling it gives a coroutine, as far as can be seen: an `async def`, or an object whose `__call__` is one."""
    called = getattr(type(function), "__call__", None)  # noqa: B004 -- not whether it has one: of what kind it is
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def check_answers(function: Any, where: str, remedy: str) -> None:
    """A function of the user's that is called here and has to answer at once.

    Raises:
        InvalidError: It cannot be called, or is async: its answer would be a coroutine.
    """
    if not callable(function):
        raise InvalidError(f"{where} is {kind(function)}", remedy)
    if is_async(function):
        raise InvalidError(f"{where} is async", "it is a pure function, which has nothing to wait for: use def")


def check_takes(function: Callable[..., Any], where: str, remedy: str, *, takes: int) -> None:
    """A function that can be called with that many arguments by place; where it does not tell, it is believed.

    Raises:
        InvalidError: It cannot.
    """
    try:
        inspect.signature(function).bind(*range(takes))
    except ValueError:  # some that are not written in Python
        return
    except TypeError as error:
        many = "an argument" if takes == 1 else f"{takes or 'no'} arguments"
        raise InvalidError(f"{where} cannot be called with {many}: {error}", remedy) from None
