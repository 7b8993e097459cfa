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
import string
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from kxflow.values.errors import InvalidError

MARK: Final = "\x01"
MARKING: Final = f"s/[A-Za-z0-9_]\\{{1,\\}}/{MARK * 4}&{MARK * 4}/g"
"""A command for `sed` that marks the boundaries of words; `s/\\x01//g` takes the marks away."""
REPEATS: Final = 255

_ASCII: Final = frozenset(range(1, 128)) - {10}
_CLASSES: Final = {
    "d": frozenset(map(ord, string.digits)),
    "s": frozenset(map(ord, " \t\r\f\v\x1c\x1d\x1e\x1f")),
    "w": frozenset(map(ord, string.ascii_letters + string.digits + "_")),
}
_CONTROLS: Final = {"t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_SPECIAL: Final = frozenset(r".[()*+?{|^$" + "\\")
_FLAGS: Final = "imsau"


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


@frozen
class Ere:
    """A POSIX extended regular expression.

    Attributes:
        text: As `grep -E` and `sed -E` take it, under `LC_ALL=C`.
        marked: It is for lines with marked words.
        groups: Number of each of Python's groups in it, by number and by name.
        empty: It matches where nothing is.
        lazy: It had `*?` and the like, which only matters where a match is replaced.
    """

    text: str
    marked: bool = False
    groups: Mapping[int | str, int] = field(factory=dict)
    empty: bool = False
    lazy: bool = False


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
    parser = _Parser(text, where, compiled)
    node = parser.whole()
    writer = _Writer(marked=parser.marked)
    ere = writer.write(node)
    writer.groups.update({name: writer.groups[number] for name, number in compiled.groupindex.items()})
    return Ere(ere, parser.marked, writer.groups, _empty(node), parser.lazy)


def literal(text: str) -> str:
    """An expression that matches just this text, which has no line break."""
    return "".join("\\" + each if each in _SPECIAL else each for each in text)


class _Parser:
    """Reads an expression that Python has read before: its syntax is right."""

    def __init__(self, text: str, where: str, compiled: re.Pattern[str]) -> None:
        self._text = text
        self._where = where
        self._at = 0
        self._count = 0
        self._folded = bool(compiled.flags & re.IGNORECASE)
        self.marked = False
        self.lazy = False
        if compiled.flags & re.VERBOSE:
            raise self._refuse("verbose mode")

    def whole(self) -> Node:
        node = self._choice()
        if _nothing(node) or (isinstance(node, Choice) and any(map(_nothing, node.options))):
            raise InvalidError(f"{self._where} {self._text!r} matches everything", "say what is looked for")
        self._check_places(node, first=True, last=True)
        return node

    def _check_places(self, node: Node, *, first: bool, last: bool) -> None:
        """`^` and `$` stand where they can hold; no place is repeated by itself."""
        match node:
            case Edge("^") if not first:
                raise self._refuse("^ behind something")
            case Edge("$") if not last:
                raise self._refuse("$ before something")
            case Group(body):
                self._check_places(body, first=first, last=last)
            case Repeat(body):
                if _empty(body) and _has_place(body):
                    raise self._refuse("a repeated place")
                self._check_places(body, first=False, last=False)
            case Sequence(parts):
                for at, part in enumerate(parts):
                    begins = first and all(each == Edge("^") for each in parts[:at])
                    ends = last and all(each == Edge("$") for each in parts[at + 1 :])
                    self._check_places(part, first=begins, last=ends)
            case Choice(options):
                for option in options:
                    self._check_places(option, first=first, last=last)
            case _:
                pass

    def _refuse(self, what: str) -> InvalidError:
        return InvalidError(
            f"{self._where} {self._text!r}: {what} has no counterpart on the host",
            "the host's grep and sed know groups, sets, | * + ? {m,n} ^ $ . \\b \\d \\s \\w",
        )

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        char = self._text[self._at]
        self._at += 1
        return char

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and not self._peek("|") and not self._peek(")"):
            part = self._repeated()
            if part is not None and not (isinstance(part, Edge) and parts and parts[-1] == part):
                parts.append(part)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self) -> Node | None:
        node = self._atom()
        times = self._times()
        if times is None:
            return node
        if node is None or isinstance(node, Edge):
            raise self._refuse("a repeated place")
        if self._take("+"):
            raise self._refuse("a possessive repetition")
        self.lazy = self._take("?") or self.lazy
        return Repeat(node, *times)

    def _times(self) -> tuple[int, int | None] | None:
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return times
        found = re.compile(r"\{(\d*)(,?)(\d*)\}", re.ASCII).match(self._text, self._at)
        if found is None or not (found[1] or found[3]):
            return None
        self._at = found.end()
        least = int(found[1] or 0)
        most = least if not found[2] else int(found[3]) if found[3] else None
        if max(least, most or 0) > REPEATS:
            raise self._refuse(f"more than {REPEATS} repetitions")
        return least, most

    def _atom(self) -> Node | None:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return Chars(_ASCII, high=True)
            case "^" | "$":
                return Edge(char)
            case "\\":
                return self._escape()
        return self._char(char)

    def _group(self) -> Node | None:
        number: int | None = None
        if self._take("?"):
            if self._peek("P<"):
                self._at = self._text.index(">", self._at) + 1
                self._count += 1
                number = self._count
            elif not self._take(":"):
                self._flags()
                return None
        else:
            self._count += 1
            number = self._count
        node = self._choice()
        self._take(")")
        if _nothing(node) or (isinstance(node, Choice) and all(map(_nothing, node.options))):
            raise self._refuse("an empty group")
        return Group(node, number)

    def _flags(self) -> None:
        """Flags for the whole; Python has told us of them."""
        end = self._text.find(")", self._at)
        if not self._text[self._at : end].strip(_FLAGS):
            self._at = end + 1
            return
        raise self._refuse(f"(?{self._text[self._at : self._at + 2]}…)")

    def _escape(self) -> Node:
        char = self._next()
        if char == "b":
            self.marked = True
            return Edge("b")
        if char in "AZ":
            return Edge("^" if char == "A" else "$")
        return self._class(char) or self._char(self._escaped(char))

    def _class(self, char: str) -> Chars | None:
        its = _CLASSES.get(char.lower())
        if its is None:
            return None
        return Chars(its) if char.islower() else Chars(_ASCII - its, high=True)

    def _escaped(self, char: str) -> str:
        """The character that an escape stands for."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        for kind, digits in (("x", 2), ("u", 4), ("U", 8)):
            if char == kind:
                code = self._text[self._at : self._at + digits]
                self._at += digits
                return chr(int(code, 16))
        if char.isascii() and char.isalnum():
            raise self._refuse(f"\\{char}")
        return char

    def _char(self, char: str) -> Chars:
        if char in "\n\0\x01\x02":
            raise self._refuse(f"the character {char!r}")
        cases = {char, char.lower(), char.upper()} if self._folded else {char}
        known = {each for each in cases if len(each) == 1}
        plain = frozenset(ord(each) for each in known if each.isascii())
        return Chars(plain, more=tuple(sorted(each for each in known if not each.isascii())))

    def _set(self) -> Chars:
        negated = self._take("^")
        plain: set[int] = set()
        more: set[str] = set()
        high = False
        first = True
        while first or not self._peek("]"):
            first = False
            member = self._member()
            if isinstance(member, str) and self._peek("-") and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                member = self._range(member)
            elif isinstance(member, str):
                member = self._char(member)
            plain |= member.ascii
            more |= set(member.more)
            high = high or member.high
        self._at += 1
        if negated and more:
            raise self._refuse("a negated set with characters beyond ASCII")
        its = Chars(_ASCII - plain, high=not high) if negated else Chars(frozenset(plain), high, tuple(sorted(more)))
        if not its.ascii and not its.high and not its.more:
            raise self._refuse("an empty set")
        return its

    def _member(self) -> str | Chars:
        char = self._next()
        if char != "\\":
            return char
        char = self._next()
        if char == "b":
            raise self._refuse("a backspace")
        return self._class(char) or self._escaped(char)

    def _range(self, start: str) -> Chars:
        end = self._member()
        if not isinstance(end, str) or not (start + end).isascii():
            raise self._refuse("a range beyond ASCII")
        codes = set(range(ord(start), ord(end) + 1)) - {0, 1, 2, 10}
        return Chars(frozenset().union(*(self._char(chr(code)).ascii for code in codes)))


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
        return f"({self.write(body)})" + ("?" if _optional(body) else "")

    def _choice(self, node: Choice) -> str:
        """Its options but for one that is nothing: then the parentheses around it are what may be missing."""
        return "|".join(self.write(each) for each in node.options if not _nothing(each))

    def _repeat(self, node: Repeat) -> str:
        body = node.body
        bare = not self._marked and not body.more if isinstance(body, Chars) else not _optional_group(body)
        return (self.write(body) if bare else self._group(body)) + _sign(node.least, node.most)

    def _chars(self, chars: Chars) -> str:
        known = chars.ascii - {1} if self._marked and chars.high else chars.ascii
        options = [] if not known and not chars.high else [_bracket(known, high=chars.high)]
        text = "|".join([*options, *chars.more])
        if chars.more and (len(chars.more) + len(options) > 1):
            self._count += 1
            text = f"({text})"
        return f"{MARK}*{text}" if self._marked else text


def _has_place(node: Node) -> bool:
    match node:
        case Edge():
            return True
        case Group(body) | Repeat(body):
            return _has_place(body)
        case Sequence(members) | Choice(members):
            return any(map(_has_place, members))
        case _:
            return False


def _nothing(node: Node) -> bool:
    return isinstance(node, Sequence) and not node.parts


def _optional(node: Node) -> bool:
    return isinstance(node, Choice) and any(map(_nothing, node.options))


def _optional_group(node: Node) -> bool:
    """Its parentheses have a sign behind them already."""
    return isinstance(node, Group) and _optional(node.body)


def _sign(least: int, most: int | None) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (least, most) in signs:
        return signs[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _bracket(codes: frozenset[int], *, high: bool) -> str:
    """A set of bytes; where it has those beyond ASCII, by what it has not."""
    if high and codes == _ASCII:
        return "."
    listed = _ASCII - codes if high else codes
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


def _empty(node: Node) -> bool:
    """It matches where nothing is."""
    match node:
        case Chars():
            return False
        case Edge():
            return True
        case Group():
            return _empty(node.body)
        case Repeat():
            return node.least == 0 or _empty(node.body)
        case Sequence():
            return all(map(_empty, node.parts))
        case Choice():
            return any(map(_empty, node.options))


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
