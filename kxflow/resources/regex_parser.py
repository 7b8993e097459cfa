"""Reads Python's regular expressions, as far as a host has words for them."""

from __future__ import annotations

import re
import string
from typing import Final

from kxflow.resources.regex_nodes import (
    ASCII,
    Chars,
    Choice,
    Edge,
    Group,
    Node,
    Repeat,
    Sequence,
    has_place,
    is_empty,
    is_nothing,
)
from kxflow.values.errors import InvalidError

REPEATS: Final = 255
_CLASSES: Final = {
    "d": frozenset(map(ord, string.digits)),
    "s": frozenset(map(ord, " \t\r\f\v\x1c\x1d\x1e\x1f")),
    "w": frozenset(map(ord, string.ascii_letters + string.digits + "_")),
}
_CONTROLS: Final = {"t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_FLAGS: Final = "imsau"


class Parser:
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
        if is_nothing(node) or (isinstance(node, Choice) and any(map(is_nothing, node.options))):
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
                if is_empty(body) and has_place(body):
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
                return Chars(ASCII, high=True)
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
        if is_nothing(node) or (isinstance(node, Choice) and all(map(is_nothing, node.options))):
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
        return Chars(its) if char.islower() else Chars(ASCII - its, high=True)

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
        its = Chars(ASCII - plain, high=not high) if negated else Chars(frozenset(plain), high, tuple(sorted(more)))
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
