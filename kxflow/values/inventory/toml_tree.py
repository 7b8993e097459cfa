"""A TOML text as located data, and everything that is wrong with it, not the first thing only.

`tomllib` stops at the first mistake. So a statement that it refuses is reported, left out, and the rest read again;
a table that comes twice is also read by itself, so that what is wrong inside it is told at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from kxflow.values.inventory.located import Entry, Findings, Items, Node, Place, Scalar, Table
from kxflow.values.inventory.toml_scan import Mark, Statement, statements

_WORK: Final = 64 * 1024 * 1024
_ROUNDS: Final = 64
_REST: Final = "mend the problems above first"
_AT: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def read(text: str, file: str, findings: Findings) -> tuple[Table, tuple[Table, ...]]:
    """The document, and what was left out of it because it comes twice, as documents of their own."""
    return _Document(text.replace("\r\n", "\n"), file, findings).read()


class _Document:
    def __init__(self, text: str, file: str, findings: Findings) -> None:
        self.text = text
        self.file = file
        self.findings = findings
        self.statements = statements(text)
        self.headers = _headers(self.statements)
        self.left_out: set[int] = set()

    def read(self) -> tuple[Table, tuple[Table, ...]]:
        for index, each in enumerate(self.statements):
            if each.sort == "broken":
                self._add(each.line, each.fault, "see https://toml.io for how it is written")
                self._leave_out(index)
        marks, twice = _place(self.statements, self._kept())
        for index, first in twice.items():
            if index not in self.left_out:
                self._add(self.statements[index].line, *self._twice(index, first))
        again = [self._leave_out(index) for index in twice if index not in self.left_out]
        data = self._load()
        main = _table(data, marks, self.file)
        return main, tuple(extra for part in again[:_ROUNDS] if (extra := self._alone(part)) is not None)

    def _kept(self) -> list[int]:
        return [index for index in range(len(self.statements)) if index not in self.left_out]

    def _leave_out(self, index: int) -> list[int]:
        """Leave out a statement, a header with all that stands under it; gives what reads as a document of its own."""
        if not _is_header(self.statements[index]):
            self.left_out.add(index)
            above = self.headers[index]
            return [index] if above is None else [above, index]
        section = [index]
        for following in range(index + 1, len(self.statements)):
            if _is_header(self.statements[following]):
                break
            section.append(following)
        self.left_out.update(section)
        return section

    def _load(self) -> dict[str, Any]:
        """What `tomllib` makes of the statements that are sound."""
        rounds = max(1, min(_ROUNDS, _WORK // (len(self.text) + 1)))
        for _ in range(rounds):
            text = _only(self.text, self.statements, self._kept())
            try:
                return tomllib.loads(text)
            except (ValueError, RecursionError) as error:
                if not self._refused(error):
                    return {}
        self._add(self.statements[-1].last, "more may be wrong", _REST)
        return {}

    def _refused(self, error: ValueError | RecursionError) -> bool:
        """Report what `tomllib` refused and leave it out; False where that is not possible."""
        index = self._culprit(error)
        what = _AT.sub("", str(error)) or type(error).__name__
        line = self.statements[index].line if index is not None else _line_of(error) or 1
        self._add(line, f"this is not TOML: {what[:1].lower()}{what[1:]}", _remedy(what))
        if index is None:
            return False
        self._leave_out(index)
        return True

    def _culprit(self, error: Exception) -> int | None:
        line = _line_of(error)
        for index in self._kept():
            each = self.statements[index]
            if (each.line <= line <= each.last) if line is not None else not _loads(self._source([index])):
                return index
        return None

    def _source(self, part: Sequence[int]) -> str:
        return _only(self.text, self.statements, part)

    def _alone(self, part: Sequence[int]) -> Table | None:
        try:
            data = tomllib.loads(self._source(part))
        except (ValueError, RecursionError):
            return None  # reported already, or to be seen once the repetition is gone
        return _table(data, _place(self.statements, part)[0], self.file)

    def _twice(self, index: int, first: int) -> tuple[str, str]:
        """What to say of a statement that says again what was said in line `first`."""
        each, above = self.statements[index], self.headers[index]
        table = self.statements[above].keys if above is not None and above != index else ()
        path = (*table, *each.keys)
        if path[0] == "hosts" and len(path) == 2:
            return f"host {path[1]!r} is declared twice, first in line {first}", "give each host its own name"
        name = ".".join(path)
        return f"{name!r} is set twice, first in line {first}", "keep one of them, or join them"

    def _add(self, line: int, what: str, remedy: str) -> None:
        self.findings.add(Place(self.file, line), what, remedy)


def _is_header(each: Statement) -> bool:
    return each.sort in ("table", "array") or (each.sort == "broken" and each.keys == ("table",))


def _headers(found: Sequence[Statement]) -> list[int | None]:
    """By statement, the index of the header that it stands under; a header stands under itself."""
    headers: list[int | None] = []
    now = None
    for index, each in enumerate(found):
        if _is_header(each):
            now = index
        headers.append(now)
    return headers


def _only(text: str, found: Sequence[Statement], kept: Iterable[int]) -> str:
    """The text of some statements, each in the lines where it was."""
    lines: list[str] = []
    now = 1
    for index in kept:
        each = found[index]
        lines.append("\n" * (each.line - now) + text[each.start : each.end])
        now = each.last
    return "".join((*lines, "\n"))  # with the last line ended, `tomllib` names it, not the end of the document


def _place(found: Sequence[Statement], kept: Iterable[int]) -> tuple[Mark, dict[int, int]]:
    """The lines of a document, and which statements say again what another said: index to that one's line."""
    root = Mark(1)
    twice: dict[int, int] = {}
    table = root
    skip = False
    for index in kept:
        each = found[index]
        if each.sort == "pair":
            if not skip and (line := _put(table, each)) is not None:
                twice[index] = line
            continue
        line, table = _open(root, each)
        skip = line is not None
        if line is not None:
            twice[index] = line
    return root, twice


def _descend(mark: Mark, keys: Sequence[str], line: int) -> Mark:
    for key in keys:
        mark = mark.parts.setdefault(key, Mark(line))
        if mark.array:
            mark = mark.parts[len(mark.parts) - 1]
    return mark


def _put(table: Mark, pair: Statement) -> int | None:
    above = _descend(table, pair.keys[:-1], pair.line)
    if (old := above.parts.get(pair.keys[-1])) is not None:
        return old.line
    if pair.value is not None:
        pair.value.line = pair.line
        above.parts[pair.keys[-1]] = pair.value
    return None


def _open(root: Mark, header: Statement) -> tuple[int | None, Mark]:
    above = _descend(root, header.keys[:-1], header.line)
    old = above.parts.get(header.keys[-1])
    if header.sort == "array":
        if old is None:
            old = above.parts[header.keys[-1]] = Mark(header.line, array=True)
        if not old.array:
            return old.line, old
        here = old.parts[len(old.parts)] = Mark(header.line)
        return None, here
    if old is None:
        old = above.parts[header.keys[-1]] = Mark(header.line)
    elif old.closed or old.array:
        return old.line, old
    # A table that only came as part of a longer key stands where its own header is.
    old.line, old.closed = header.line, True
    return None, old


def _line_of(error: Exception) -> int | None:
    found = _AT.search(str(error))
    if found is None or not isinstance(error, tomllib.TOMLDecodeError):
        return None
    return int(found[1]) if found[1] else None


def _loads(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _remedy(what: str) -> str:
    if "inline table" in what.lower():
        return "a table {…} stays in one line, with commas between its keys"
    if what.lower().startswith("invalid value"):
        return "text needs quotes"
    return "see https://toml.io for how it is written"


def _node(data: Any, mark: Mark, file: str) -> Node:
    if isinstance(data, dict):
        return _table(data, mark, file)
    place = Place(file, mark.line)
    if isinstance(data, list):
        return Items(tuple(_node(each, mark.parts.get(i, mark), file) for i, each in enumerate(data)), place)
    return Scalar(data, place)


def _table(data: dict[str, Any], mark: Mark, file: str) -> Table:
    entries = []
    for key, value in data.items():
        node = _node(value, mark.parts.get(key, mark), file)
        entries.append(Entry(key, node, node.place))
    return Table(tuple(entries), Place(file, mark.line))
