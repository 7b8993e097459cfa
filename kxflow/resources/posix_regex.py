r"""Python's regular expressions as those that a host's `grep -E` and `sed -E` understand: a subset, or a clear no.

Translated: literals, `.`, sets, `^ $ \A \Z`, groups (numbered, named, `(?:…)`), `|`, `* + ? {m,n}`, `\d \s \w` and
their opposites, `\b`, `\t \r \f \v \xHH \uHHHH`, `(?i)` and the flags of a compiled pattern. Refused: looking ahead
or behind, `\B`, references back inside of the pattern, `\n`, possessive and atomic parts, verbose mode, `^` and `$`
where they cannot hold.

What is another on the host: it looks at bytes, so `.` and negated sets take one byte of a character that has several,
and `\d \s \w \b` know ASCII only. Where one place has several matches the longest wins, not the first alternative.

No POSIX expression can say `\b`. So the lines that it looks at have every boundary of a word marked, by four bytes of
1, and every character may have such marks before it: then `\b` is one mark. Four, since `\b` can be said more than once
at one place, and a match must leave some to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen
from frozendict import frozendict

from kxflow.resources.regex_nodes import (
    ASCII,
    Chars,
    Choice,
    Edge,
    Group,
    Node,
    Repeat,
    Sequence,
    is_empty,
    is_nothing,
    is_optional,
    is_optional_group,
)
from kxflow.resources.regex_parser import Parser
from kxflow.values.errors import InvalidError

MARK: Final = "\x01"
MARKING: Final = f"s/[A-Za-z0-9_]\\{{1,\\}}/{MARK * 4}&{MARK * 4}/g"
"""A command for `sed` that marks the boundaries of words; `s/\\x01//g` takes the marks away."""

_SPECIAL: Final = frozenset(r".[()*+?{|^$" + "\\")


@frozen
class Ere:
    """A POSIX extended regular expression.

    Attributes:
        text: As `grep -E` and `sed -E` take it, under `LC_ALL=C`.
        marked: It is for lines with marked words.
        groups: Number of each of Python's groups in it, by number and by name.
        empty: It matches where nothing is.
        lazy: It had `*?` and the like, which only matters where a match is replaced.
        pattern: Python's.
    """

    text: str
    marked: bool = False
    groups: frozendict[int | str, int] = frozendict()
    empty: bool = False
    lazy: bool = False
    pattern: re.Pattern[str] | None = field(default=None, eq=False, repr=False)

    def may_match(self, line: str) -> bool:
        """The host may find it in a line; of one that is all ASCII it is known."""
        return self.pattern is None or not line.isascii() or self.pattern.search(line) is not None


def to_ere(pattern: str | re.Pattern[str], where: str = "match") -> Ere:
    r"""Translate.

    >>> to_ere(r"^#?Port=\d{2,}$").text
    '^#?Port=[0-9]{2,}$'

    Raises:
        InvalidError: No regular expression, or one that no POSIX one can stand for.
    """
    text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    if not isinstance(text, str):
        raise InvalidError(f"{where} is a {type(text).__name__}", "give text, or a compiled pattern of text")
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError) as error:
        raise InvalidError(f"{where} {text!r} is no regular expression", str(error)) from None
    parser = Parser(text, where, compiled)
    node = parser.whole()
    writer = _Writer(marked=parser.marked)
    ere = writer.write(node)
    writer.groups.update({name: writer.groups[number] for name, number in compiled.groupindex.items()})
    return Ere(ere, parser.marked, frozendict(writer.groups), is_empty(node), parser.lazy, compiled)


def literal(text: str) -> str:
    """An expression that matches just this text, which has no line break."""
    return "".join("\\" + each if each in _SPECIAL else each for each in text)


class _Writer:
    """Writes what was read."""

    def __init__(self, *, marked: bool) -> None:
        self._marked = marked
        self._count = 0
        self.groups: dict[int | str, int] = {}

    def write(self, node: Node) -> str:
        match node:
            case Chars():
                return self._chars(node)
            case Edge("b"):
                return MARK
            case Edge("$"):
                return f"{MARK}*$" if self._marked else "$"
            case Edge():
                return "^"
            case Group():
                return self._group(node.body, node.number)
            case Repeat():
                return self._repeat(node)
            case Sequence():
                return "".join(map(self.write, node.parts))
            case Choice():
                return self._choice(node)

    def _group(self, body: Node, number: int | None = None) -> str:
        self._count += 1
        if number is not None:
            self.groups[number] = self._count
        return f"({self.write(body)})" + ("?" if is_optional(body) else "")

    def _choice(self, node: Choice) -> str:
        """Its options but for one that is nothing: then the parentheses around it are what may be missing."""
        return "|".join(self.write(each) for each in node.options if not is_nothing(each))

    def _repeat(self, node: Repeat) -> str:
        body = node.body
        bare = not self._marked and not body.more if isinstance(body, Chars) else not is_optional_group(body)
        return (self.write(body) if bare else self._group(body)) + _sign(node.least, node.most)

    def _chars(self, chars: Chars) -> str:
        known = chars.ascii - {1} if self._marked and chars.high else chars.ascii
        options = [] if not known and not chars.high else [_bracket(known, high=chars.high)]
        text = "|".join([*options, *chars.more])
        if chars.more and (len(chars.more) + len(options) > 1):
            self._count += 1
            text = f"({text})"
        return f"{MARK}*{text}" if self._marked else text


def _sign(least: int, most: int | None) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (least, most) in signs:
        return signs[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _bracket(codes: frozenset[int], *, high: bool) -> str:
    """A set of bytes; where it has those beyond ASCII, by what it has not."""
    if high and codes == ASCII:
        return "."
    listed = ASCII - codes if high else codes
    if not high and len(listed) == 1:
        return literal(chr(*listed))
    special = [each for each in "[\\^-" if ord(each) in listed]
    plain = "".join(_ranges(sorted(listed - set(map(ord, "[]\\^-")))))
    inside = ("]" if ord("]") in listed else "") + plain + "".join(special)
    if not high and inside.startswith("^"):
        inside = inside[1:] + "^"
    return f"[{'^' if high else ''}{inside}]"


def _ranges(codes: list[int]) -> Iterator[str]:
    start = 0
    while start < len(codes):
        end = start
        while end + 1 < len(codes) and codes[end + 1] == codes[end] + 1:
            end += 1
        first, last = chr(codes[start]), chr(codes[end])
        if end - start < 2:
            yield from (chr(each) for each in codes[start : end + 1])
        else:
            yield f"{first}-{last}"
        start = end + 1


def replacement(text: str, ere: Ere, where: str) -> str:
    r"""The right side of a `s` command of `sed` with the delimiter 2: `\1`, `\g<1>` and `\g<name>` are groups.

    Raises:
        InvalidError: A line break, an escape that means nothing, or a group that is not there or not among the
            first nine on the host.
    """
    made: list[str] = []
    at = 0
    for found in re.finditer(r"\\(?:g<(\w+)>|([1-9]\d*)|(\\)|(.?))", text, re.DOTALL):
        made.append(_plain(text[at : found.start()], where))
        at = found.end()
        if found[3]:
            made.append("\\\\")
            continue
        if found[4] is not None:
            raise InvalidError(f"{where} {text!r}: \\{found[4]} means nothing", "write \\\\ for a backslash")
        name = found[1] or found[2]
        key = int(name) if name.isdecimal() else name
        its = 0 if key == 0 else ere.groups.get(key)
        if its is None or its > 9:
            raise InvalidError(f"{where} {text!r}: there is no group {name}, or too many", "at most nine can be named")
        made.append("&" if its == 0 else f"\\{its}")
    made.append(_plain(text[at:], where))
    return "".join(made)


def _plain(text: str, where: str) -> str:
    if any(each in text for each in "\n\0\x01\x02"):
        raise InvalidError(f"{where} {text!r} holds a line break or a control character", "use block() for lines")
    return text.replace("&", "\\&")
