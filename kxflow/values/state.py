"""The state of a thing on a host: names and values, in one canonical text."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from attrs import frozen
from frozendict import frozendict

from kxflow.values.errors import InvalidError
from kxflow.values.result import Change
from kxflow.values.secret import Secret

State: TypeAlias = frozendict[str, str]
"""Attributes of a thing, in the order in which its probe prints them; none at all: it is not there."""

GONE: Final[State] = frozendict()
_SIGNS: Final = str.maketrans("", "", "._+:@~-")
CONTENT: Final = "content"
"""The attribute that holds what a thing holds; a probe gives it apart, and no comparison looks at it."""


def state(values: Mapping[str, str | int]) -> State:
    """A state of these values.

    Raises:
        InvalidError: A name with a blank, or a value that is neither text nor a whole number.
    """
    found: dict[str, str] = {}
    for name, value in values.items():
        if not name or not name.translate(_SIGNS).isalnum():
            raise InvalidError(f"attribute {name!r} cannot be one", "use letters, digits and ._+:@~-")
        if not isinstance(value, str | int) or ("\0" in str(value) and name != CONTENT):
            raise InvalidError(f"{name}={value!r} cannot be", "give text without NUL, or a whole number")
        found[name] = str(int(value)) if isinstance(value, int) else value
    return frozendict(found)


def to_text(its: State) -> str:
    r"""The canonical text: a line `name value` for each attribute, newlines in values escaped; no content.

    >>> to_text(state({"mode": 644, "target": "a\nb"}))
    'mode 644\ntarget a\\nb'
    """
    return "\n".join(f"{name} {_escaped(value)}" for name, value in its.items() if name != CONTENT)


def read(text: str) -> State:
    r"""What a probe printed, as a state.

    >>> read("mode 644\ntarget a\\nb") == {"mode": "644", "target": "a\nb"}
    True

    Raises:
        ValueError: A line without a name.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line:
            continue
        name, _, value = line.partition(" ")
        if not name:
            raise ValueError(f"no attribute: {line[:80]!r}")
        found[name] = _unescaped(value)
    return frozendict(found)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(value: str) -> str:
    parts = value.split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)


@frozen
class Ensured:
    """The value of a step that ensures a state.

    Attributes:
        before: The state that was found; None where that is not known.
        after: The state that is there now.
    """

    before: State | None
    after: State

    @property
    def changed(self) -> bool:
        """Something had to be done."""
        return self.before != self.after


def hidden(its: State) -> State:
    """The same state, its content a `Secret`: undo can use it, and no record or diff shows it.

    >>> to_record(hidden(state({"uid": 7, "content": "$y$j9T$x"})))
    'uid 7'
    """
    return its if CONTENT not in its else its.set(CONTENT, cast("str", Secret(its[CONTENT])))


def to_record(its: State) -> str:
    """The text of a state with its content: what a record keeps, and `from_record` reads back; no `Secret`."""
    told = to_text(its)
    return told if CONTENT not in its or _is_hidden(its) else f"{told}\n{CONTENT} {_escaped(its[CONTENT])}"


def _is_hidden(its: State) -> bool:
    return isinstance(its.get(CONTENT), Secret)


def from_record(text: str) -> State:
    """The state that `to_record` was given."""
    return read(text)


def change(before: State, after: State) -> Change:
    """What went from one state to another, with a diff for people."""
    return Change(to_record(before), to_record(after), diff(before, after))


def diff(before: State, after: State) -> str:
    r"""A unified diff of two states: attributes by line, then the lines of the content.

    >>> diff(state({"mode": "600"}), state({"mode": "644"}))
    '-mode 600\n+mode 644'
    """
    both_told = CONTENT in before and CONTENT in after
    attributes = _diff(_lines(before, both_told), _lines(after, both_told), 0)
    content = _diff(_content(before), _content(after), 2) if both_told or not (before and after) else []
    return "\n".join((*attributes, *content))


def _lines(its: State, told: bool) -> list[str]:
    """Attributes; where the content itself is told, its digest says nothing more."""
    hidden = {CONTENT, "sha256"} if told else {CONTENT}
    return [f"{name} {_escaped(value)}" for name, value in its.items() if name not in hidden]


def _content(its: State) -> list[str]:
    text = "" if _is_hidden(its) else its.get(CONTENT, "")
    if not text:
        return []
    return text[:-1].split("\n") if text.endswith("\n") else [*text.split("\n"), "\\ no newline at the end"]


def _diff(one: list[str], other: list[str], context: int) -> list[str]:
    found = difflib.unified_diff(one, other, lineterm="", n=context)
    return [line for line in found if not line.startswith(("---", "+++", "@@"))] if context == 0 else list(found)[2:]


def found(before: bytes | None, detail: bytes | None) -> State:
    """What a probe printed and what the thing holds, as one state."""
    if not before:
        return GONE
    its = read(before.decode("utf-8", "surrogateescape"))
    return its if detail is None else predicted(its, detail.decode("utf-8", "surrogateescape"))


def predicted(wanted: State, content: Any) -> State:
    """The wanted state with its content, where that is text."""
    return wanted if content is None else frozendict({**wanted, CONTENT: content})
