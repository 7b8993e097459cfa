"""Text from hosts made safe to look at: nothing in it acts upon a terminal, or hides."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNUSUAL: Final = re.compile(r"[^\x20-\x7e]")

# Printable by Unicode's categories, and yet nothing is seen: Default_Ignorable_Code_Point without the controls and
# format characters, which the categories name (DerivedCoreProperties.txt, Unicode 15), and the blank Braille cell.
_RANGES: Final = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_SINGLE: Final = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0})
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""The text with everything that controls or hides written out: C0, C1, DEL, bidi marks, zero width, surrogates.

    Newlines too: the result is one line. Backslashes stay as they are, so this is for eyes, not for reading back.

    >>> print(visible("ok\x1b[2J\r\u202eevil\n"))
    ok\x1b[2J\r\u202eevil\n
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNUSUAL.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    sign = found[0]
    if unicodedata.category(sign) in _HIDDEN or _unseen(ord(sign)):
        return sign.encode("unicode_escape").decode()
    return sign


def _unseen(code: int) -> bool:
    return code in _SINGLE or any(low <= code <= high for low, high in _RANGES)


def lines_of(text: str) -> str:
    """Text of several lines, each made visible; tabs become spaces first, so that columns stay columns."""
    return "\n".join(visible(line.expandtabs()) for line in text.split("\n"))
