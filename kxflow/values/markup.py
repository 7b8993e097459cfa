"""Values as HTML, for notebooks; every cell is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

_UNUSUAL: Final = re.compile(r"[^\x20-\x7e\n\t]")


def escaped(text: object) -> str:
    r"""Text that stays text in HTML; what controls, hides or cannot be encoded is written out.

    >>> print(escaped("<b>\x1b[2J\u202eé & \udcff"))
    &lt;b&gt;\x1b[2J\u202eé &amp; \udcff
    """
    return html.escape(_UNUSUAL.sub(_written_out, str(text)))


def _written_out(found: re.Match[str]) -> str:
    sign = found[0]
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, total: int, most: int = 200) -> str:
    """A table of at most `most` rows; where there are more, a line says how many are left out.

    >>> table(["host"], [["<web1>"]], total=1)
    '<table><thead><tr><th>host</th></tr></thead><tbody><tr><td>&lt;web1&gt;</td></tr></tbody></table>'
    """
    head = _row(columns, "th")
    body = "".join(_row(row, "td") for row in islice(rows, most))
    more = f"<p>… and {total - most} more</p>" if total > most else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{more}"


def title(text: object) -> str:
    """A line in bold."""
    return f"<p><b>{escaped(text)}</b></p>"


def line(text: object) -> str:
    """A line."""
    return f"<p>{escaped(text)}</p>"


def preformatted(name: str, text: str) -> str:
    """A named block of text as it is; nothing where it is empty."""
    return f"<p>{escaped(name)}</p><pre>{escaped(text)}</pre>" if text else ""


_TONES: Final = {"+": "green", "-": "red", "@": "teal"}


def diff(name: str, text: str, *, most: int = 200) -> str:
    """A named diff: what comes is green, what goes is red; of at most so many lines; nothing where it is empty.

    >>> diff("a", "-<old>")
    '<p>a</p><pre><span style="color:red">-&lt;old&gt;</span></pre>'
    """
    lines = text.split("\n")
    shown = [_toned(each) for each in lines[:most]]
    if len(lines) > most:
        shown.append(f"… and {len(lines) - most} more lines")
    body = "\n".join(shown)
    return f"<p>{escaped(name)}</p><pre>{body}</pre>" if text else ""


def _toned(line: str) -> str:
    tone = _TONES.get(line[:1])
    return escaped(line) if tone is None else f'<span style="color:{tone}">{escaped(line)}</span>'


class Block(str):
    """Text whose line breaks count, as a cell."""

    __slots__ = ()


def tree(name: str, branches: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A named list of lists.

    >>> tree("p", [("m", ["t"])])
    '<p><b>p</b></p><ul><li><b>m</b><ul><li>t</li></ul></li></ul>'
    """
    items = (
        f"<li><b>{escaped(branch)}</b><ul>{''.join(f'<li>{escaped(leaf)}</li>' for leaf in leaves)}</ul></li>"
        for branch, leaves in branches
    )
    return f"{title(name)}<ul>{''.join(items)}</ul>"


def _row(cells: Sequence[object], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells) + "</tr>"


def _cell(cell: object) -> str:
    return f"<pre>{escaped(cell)}</pre>" if isinstance(cell, Block) else escaped(cell)
