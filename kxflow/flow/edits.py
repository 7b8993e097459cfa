"""What a resource does to the lines of a file: a plan tells by it which of several that share a file meet."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from kxflow.values.state import State


@frozen
class Edit:
    """What is done to the lines of a file, and which lines there have to do with that.

    Attributes:
        looks: Whether a line has to do with it; where it cannot tell, it has.
        puts: Lines that come; None: that is not known.
        takes: Lines that go; None: that is not known.
        told: The lines are as it tells them, not as they stand there: only another of its kind knows them again.
        rights: Mode or owner of the file are part of it.
        rows: It goes by which line follows which: any other that comes or goes between has to do with it.
    """

    looks: Callable[[str], bool] = field(eq=False)
    puts: tuple[str, ...] | None = None
    takes: tuple[str, ...] | None = None
    told: bool = False
    rights: bool = False
    rows: bool = False


def every_line(line: str) -> bool:
    """It may have to do with any line."""
    del line
    return True


def no_line(line: str) -> bool:
    """It has to do with none."""
    del line
    return False


NOTHING = Edit(no_line, (), ())
"""Neither lines nor rights."""
RIGHTS = Edit(no_line, (), (), rights=True)
"""Only mode and owner of a file."""
UNKNOWN = Edit(every_line, rights=True)
"""Whatever it is."""


def lines_of(its: State | None, name: str, most: int | None = None) -> tuple[str, ...] | None:
    """The lines that an attribute tells; None where it is not known, or tells no more than the first ones.

    >>> lines_of(State({"line": "a\\nb"}), "line")
    ('a', 'b')
    """
    if its is None:
        return None
    text = its.get(name, "")
    lines = tuple(text.removesuffix("\n").split("\n")) if text else ()
    return None if most is not None and len(lines) >= most else lines
