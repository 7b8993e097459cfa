"""Lines of /etc/fstab, and what the kernel says is mounted."""

from __future__ import annotations

import re
from typing import Final

from kxflow.flow.edits import lines_of
from kxflow.resources import table
from kxflow.values.errors import InvalidError
from kxflow.values.state import State

FILE: Final = "/etc/fstab"
_MANGLED: Final = {" ": r"\040", "\t": r"\011", "\n": r"\012", "\\": r"\134"}
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_WORD: Final = re.compile(r"[^\s,\x00-\x1f\x7f]+")

# A line about something: a comment is none.
_OURS: Final = '$1 !~ /^#/ && NF > 2 && $ENVIRON["kx_column"] == ENVIRON["kx_what"]'
_SEE: Final = f'{_OURS} {{ print $1 " " $3 " " ($4 == "" ? "defaults" : $4) " " ($5 + 0) " " ($6 + 0) }}'


def mangled(text: str) -> str:
    r"""A field: blanks and backslashes in octal.

    >>> mangled("/srv/my files")
    '/srv/my\\040files'
    """
    return "".join(_MANGLED.get(each, each) for each in text)


def unmangled(text: str) -> str:
    """What a field says."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def options(value: object) -> str:
    """Options of a mount, as one text.

    Raises:
        InvalidError: One that is empty, or holds blanks.
    """
    words = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
    if not words or not all(isinstance(each, str) and _WORD.fullmatch(each) for each in words):
        raise InvalidError(f"options {value!r} cannot be", 'write "ro,noatime" or a list; no blanks')
    return ",".join(words)


def told(its: State | None, what: str, column: int) -> tuple[str, ...] | None:
    """The lines that the attribute `fstab` of a state stands for; None where that is not known."""
    lines = lines_of(its, "fstab")
    at = f"{mangled(what)} " if column == 2 else "none "
    return None if lines is None else tuple(f"{each.partition(' ')[0]} {at}{each.partition(' ')[2]}" for each in lines)


def see(what: str, column: int) -> str:
    """Shell text that sets `kx_l` to the lines about something: all but its mount point, by lines.

    Args:
        what: Mount point, or source.
        column: 2 for the mount point, 1 for the source.
    """
    given = {"kx_what": mangled(what), "kx_column": str(column)}
    return f"{table.see(FILE, _SEE, given)}kx_l=${{kx_l%?}}\n"


def put(what: str, column: int, line: str) -> str:
    """Shell text that puts a line in the place of those about something; an empty one takes them away."""
    given = {"kx_what": mangled(what), "kx_column": str(column), "kx_new": table.lines(line) if line else ""}
    return table.put(FILE, table.exchange(_OURS), given)
