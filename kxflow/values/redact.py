"""Mask known secrets in bytes, also where a program wrote them in another spelling, also across chunks.

A mask has the length of what it hides: sizes and places in a text stay as they were.

What is found: a secret of 8 bytes or more as it is, in base64 (both alphabets, all three alignments, also in lines of
64 or 76 characters), in hex of either case, and as URLs, JSON, Python and shells quote it. What is not: a shorter
secret, whose masks would tear ordinary words apart and tell by that what it is, and which can be guessed anyway; a
secret that was cut, turned round, encrypted, compressed, or quoted twice.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from kxflow.values.secret import Secret

SHORTEST: Final = 8
# A longer secret is looked for in pieces, each of them masked wherever it stands alone; what comes after the first
# 64 KiB is content, and is not.
WHOLE: Final = 512
PIECE: Final = 256
MOST: Final = 64 * 1024

_WORD: Final = 4
_HEAD: Final = 3
# Up to so many forms, looking for each of them is quicker than looking at every word of the data.
_FEW: Final = 40
_MARKS: Final = b"*#~^=!?@&|:;,.<>()[]{}_-+/"

Span: TypeAlias = tuple[int, int]


def forms(secret: bytes) -> frozenset[bytes]:
    """Every spelling of a secret that is looked for; none for a short one.

    >>> b"pass%20word" in forms(b"pass word"), b"cGFzcyB3b3Jk" in forms(b"pass word"), len(forms(b"word"))
    (True, True, 0)
    """
    if len(secret) < SHORTEST:
        return frozenset()
    found: set[bytes] = set()
    for piece in _pieces(secret[:MOST]):
        found.update((piece, piece.hex().encode(), piece.hex().upper().encode()))
        found.update(_base64(piece))
        found.update(_quoted(piece))
    found.update(_lines(secret[:MOST]))
    return frozenset(each for each in found if len(each) >= SHORTEST)


def _pieces(secret: bytes) -> Iterator[bytes]:
    if len(secret) <= WHOLE:
        yield secret
        return
    ends = [*range(PIECE, len(secret) - PIECE + 1, PIECE), len(secret)]
    yield from (secret[start:end] for start, end in zip([0, *ends], ends, strict=False))


def _base64(piece: bytes) -> Iterator[bytes]:
    """What base64 makes of it wherever it stands: the characters that depend on nothing around it."""
    import base64

    for before in range(3):
        text = base64.b64encode(bytes(before) + piece)
        inner = text[(0, 2, 3)[before] : 8 * (before + len(piece)) // 6]
        yield inner
        yield inner.translate(_URL_SAFE)


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def _lines(secret: bytes) -> Iterator[bytes]:
    """The lines of its base64 where that is broken into lines, as `base64` and `openssl` do."""
    import base64

    text = base64.b64encode(secret)
    for width in (64, 76):
        if len(text) > width:
            yield from (text[at : at + width].rstrip(b"=") for at in range(0, len(text), width))


def _quoted(piece: bytes) -> Iterator[bytes]:
    import json
    from urllib.parse import quote as url_quote
    from urllib.parse import quote_plus

    for safe in ("", "/", "!'()*", ";,/?:@&=+$!'()*#"):  # of RFC 3986, Python, and JavaScript's two
        yield from _either_case(url_quote(piece, safe=safe).encode(), b"%")
    yield from _either_case(quote_plus(piece).encode(), b"%")
    yield repr(piece)[2:-1].encode()
    text = piece.decode("utf-8", "surrogateescape")
    yield repr(text)[1:-1].encode("utf-8", "surrogateescape")
    yield piece.decode("utf-8", "backslashreplace").encode()
    for ascii_only in (True, False):
        inner = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogateescape")
        for each in (inner, inner.replace(b"/", b"\\/"), _for_html(inner)):
            yield from _either_case(each, b"\\u")
    yield from _shell(piece)


def _either_case(text: bytes, before: bytes) -> Iterator[bytes]:
    """An escaped text as it is, and with its hex digits in lower and in upper case."""
    yield text
    parts = text.split(before)
    digits = 2 if before == b"%" else 4
    for change in (bytes.lower, bytes.upper):
        yield before.join([parts[0], *(change(each[:digits]) + each[digits:] for each in parts[1:])])


def _for_html(text: bytes) -> bytes:
    """As Go's encoder writes it, and with it most programs around containers."""
    for sign in (b"<", b">", b"&"):
        text = text.replace(sign, b"\\u%04x" % sign[0])
    return text


def _shell(piece: bytes) -> Iterator[bytes]:
    yield piece.replace(b"'", b"'\\''")
    yield piece.replace(b"'", b"'\"'\"'")
    yield _escaped(piece, lambda byte: byte in b'"$`\\')
    yield _escaped(piece, lambda byte: byte in b" \t\"$`\\'|&;()<>!{}*[]?^#~,")
    yield _escaped(piece, lambda byte: not chr(byte).isalnum() and byte < 128 and byte not in b"_/.,:+-@%=")
    yield b"".join(_ANSI_C[byte] for byte in piece)  # $'…', other bytes in octal
    yield b"".join(_ANSI_C[byte] if byte < 128 else bytes([byte]) for byte in piece)


def _escaped(piece: bytes, needs: Callable[[int], bool]) -> bytes:
    return b"".join(b"\\%c" % byte if needs(byte) else b"%c" % byte for byte in piece)


def _ansi_c(byte: int) -> bytes:
    named = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 27: b"\\E"}
    if byte in named:
        return named[byte]
    if byte in b"'\\":
        return b"\\%c" % byte
    return b"%c" % byte if 32 <= byte < 127 else b"\\%03o" % byte


_ANSI_C: Final = tuple(_ansi_c(byte) for byte in range(256))


class Redactor:
    """Masks the secrets that it knows. It only learns: what it masked once it masks for good.

    Its time is in proportion to the data, however many secrets it knows: it looks at each aligned word of four bytes,
    and only where that is one of the words chosen for the forms of secrets it compares those.

    >>> Redactor([Secret("hunter2-hunter2")]).redact(b"login: root, hunter2-hunter2, aHVudGVyMi1odW50ZXIy")
    b'login: root, ***************, ********************'

    Args:
        secrets: What it knows to begin with; short ones are passed over.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[Secret] = set()
        self._forms: list[bytes] = []
        self._words: dict[int, list[tuple[bytes, int]]] = {}
        self._keys: set[int] = set()
        self._heads: set[bytes] = set()
        self._longest = 0
        self._mark = _MARKS[0]
        self._taken: set[int] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Mask these too from now on."""
        for secret in secrets:
            if secret not in self._known and len(secret.raw) >= SHORTEST:
                self._known.add(secret)
                for form in forms(secret.raw):
                    self._add(form)

    @property
    def knows(self) -> bool:
        """It knows a secret."""
        return bool(self._known)

    def __repr__(self) -> str:
        return f"Redactor({len(self._known)} secrets)"

    def redact(self, data: bytes) -> bytes:
        """The data with every form of every secret masked; the data itself where there is none."""
        if not self._known:
            return data
        return self.masked(data, self.find(data))

    def find(self, data: bytes) -> list[Span]:
        """Where forms of secrets stand, in order of their beginnings; they may overlap."""
        if len(self._forms) <= _FEW:
            if not self._forms or not any(form in data for form in self._forms):
                return []
        elif self._keys.isdisjoint(_words(data)):
            return []
        keys = self._keys
        hits = [(place, word) for place, word in enumerate(_words(data)) if word in keys]
        starts = ((form, _WORD * place - at) for place, word in hits for form, at in self._words[word])
        spans = {(at, at + len(form)) for form, at in starts if at >= 0 and data.startswith(form, at)}
        return sorted(spans)

    def masked(self, data: bytes, spans: Iterable[Span]) -> bytes:
        """The data with these places masked."""
        out: bytearray | None = None
        for start, end in spans:
            out = bytearray(data) if out is None else out
            out[start:end] = bytes([self._mark]) * (end - start)
        return data if out is None else bytes(out)

    def open_end(self, data: bytes, since: int) -> int:
        """Where at the end of the data a form may have begun, not before `since`; the end, where none has."""
        for at in range(max(since, len(data) - self._longest + 1), len(data)):
            if data[at : at + _HEAD] in self._heads and self._begins(data[at:]):
                return at
        return len(data)

    def _begins(self, data: bytes) -> bool:
        place = bisect_left(self._forms, data)
        return place < len(self._forms) and self._forms[place].startswith(data)

    def _add(self, form: bytes) -> None:
        place = bisect_left(self._forms, form)
        if place < len(self._forms) and self._forms[place] == form:
            return
        self._forms.insert(place, form)
        self._heads.update(form[:size] for size in range(1, _HEAD + 1))
        self._longest = max(self._longest, len(form))
        for residue in range(_WORD):  # one of these stands at an aligned place, wherever the form stands
            word, at = self._rarest(form, residue)
            self._words.setdefault(word, []).append((form, at))
            self._keys.add(word)
        self._taken.update(form)
        # A mark that stands in no secret: then no mask is one, nor is a mask with what stands beside it.
        self._mark = next((mark for mark in _MARKS if mark not in self._taken), _MARKS[0])

    def _rarest(self, form: bytes, residue: int) -> tuple[int, int]:
        """A word of a form that few others have: secrets of one kind begin alike."""
        places = range(residue, len(form) - _WORD + 1, _WORD)
        words = [(int.from_bytes(form[at : at + _WORD], sys.byteorder), at) for at in places]
        return min(words, key=lambda each: len(self._words.get(each[0], ())))


def _words(data: bytes) -> memoryview:
    return memoryview(data)[: len(data) // _WORD * _WORD].cast("I")


class Veil:
    """Masks one stream of bytes, in any chunking: it gives what is certain and holds back what may begin a secret.

    >>> veil = Veil(Redactor([Secret("hunter2-hunter2")]))
    >>> [veil.feed(b"a hunter2-")[1], veil.feed(b"hunter2 b")[1], veil.rest()]
    [b'a ', b'*************** b', b'']
    """

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The next bytes: as they came, and masked. Both are as long; where nothing is masked they are one object."""
        whole = self._held + data if self._held else data
        spans = self._redactor.find(whole)
        end = self._redactor.open_end(whole, max((end for _, end in spans), default=0))
        self._held = whole[end:]
        certain = whole[:end]
        return certain, self._redactor.masked(certain, spans)

    def rest(self) -> bytes:
        """The end of the stream: what was held back; nothing in it is a secret."""
        rest, self._held = self._held, b""
        return rest
