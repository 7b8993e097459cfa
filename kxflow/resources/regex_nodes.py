"""A regular expression as a tree."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import frozen

ASCII: Final = frozenset(range(1, 128)) - {10}
"""What a line may hold."""


@frozen
class Chars:
    """One character.

    Attributes:
        ascii: Codes of ASCII characters among them.
        high: Every byte beyond ASCII is one of them.
        more: Characters beyond ASCII, each by its bytes.
    """

    ascii: frozenset[int]
    high: bool = False
    more: tuple[str, ...] = ()


@frozen
class Edge:
    r"""A place: `^`, `$` or `\b`."""

    kind: str


@frozen
class Group:
    """Something in parentheses; its number, where it has one, is that of Python."""

    body: Node
    number: int | None = None


@frozen
class Repeat:
    """Something from `least` to `most` times; no limit where None."""

    body: Node
    least: int
    most: int | None


@frozen
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@frozen
class Choice:
    """One of several."""

    options: tuple[Node, ...]


Node: TypeAlias = Chars | Edge | Group | Repeat | Sequence | Choice


def has_place(node: Node) -> bool:
    """There is a `^`, `$` or `\\b` in it."""
    match node:
        case Edge():
            return True
        case Group(body) | Repeat(body):
            return has_place(body)
        case Sequence(members) | Choice(members):
            return any(map(has_place, members))
        case _:
            return False


def is_nothing(node: Node) -> bool:
    """Nothing at all was written there."""
    return isinstance(node, Sequence) and not node.parts


def is_optional(node: Node) -> bool:
    """One of its options is nothing."""
    return isinstance(node, Choice) and any(map(is_nothing, node.options))


def is_optional_group(node: Node) -> bool:
    """Its parentheses have a sign behind them already."""
    return isinstance(node, Group) and is_optional(node.body)


def is_empty(node: Node) -> bool:
    """It matches where nothing is."""
    match node:
        case Chars():
            return False
        case Edge():
            return True
        case Group():
            return is_empty(node.body)
        case Repeat():
            return node.least == 0 or is_empty(node.body)
        case Sequence():
            return all(map(is_empty, node.parts))
        case Choice():
            return any(map(is_empty, node.options))
