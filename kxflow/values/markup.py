"""Values as HTML, for notebooks; every cell is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import islice


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, total: int, most: int = 200) -> str:
    """A table of at most `most` rows; where there are more, a line says how many are left out.

    >>> table(["host"], [["<web1>"]], total=1)
    '<table><thead><tr><th>host</th></tr></thead><tbody><tr><td>&lt;web1&gt;</td></tr></tbody></table>'
    """
    head = _row(columns, "th")
    body = "".join(_row(row, "td") for row in islice(rows, most))
    more = f"<p>… and {total - most} more</p>" if total > most else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{more}"


def title(said: object) -> str:
    """A line in bold."""
    return f"<p><b>{text(said)}</b></p>"


def text(said: object) -> str:
    """Text as it is, escaped."""
    return html.escape(str(said))


def bullets(items: Iterable[str]) -> str:
    """A list of what is HTML already."""
    return "<ul>" + "".join(f"<li>{each}</li>" for each in items) + "</ul>"


def preformatted(name: str, said: str) -> str:
    """A named block of text as it is; nothing where it is empty."""
    return f"<p>{text(name)}</p><pre>{text(said)}</pre>" if said else ""


def _row(cells: Sequence[object], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{text(cell)}</{tag}>" for cell in cells) + "</tr>"
