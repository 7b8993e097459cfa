"""How programs spell a secret: the encoders that tests hide secrets with, none of them the package's own."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from kxflow.values.secret import Secret

Spelling = Callable[[bytes], bytes]


def _text(secret: bytes) -> str:
    return secret.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _hex_upper(secret: bytes) -> bytes:
    return secret.hex().upper().encode()


def _json_of_go(secret: bytes) -> bytes:
    text = json.dumps(_text(secret), ensure_ascii=False)
    return _bytes(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


SPELLINGS: Final[Mapping[str, Spelling]] = {
    "raw": bytes,
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 in lines": base64.encodebytes,
    "hex": lambda secret: secret.hex().encode(),
    "hex in capitals": _hex_upper,
    "URL": lambda secret: quote(secret, safe="").encode(),
    "URL path": lambda secret: quote(secret).encode(),
    "URL form": lambda secret: quote_plus(secret).encode(),
    "URL in small letters": lambda secret: _small(quote(secret, safe="").encode()),
    "JSON": lambda secret: _bytes(json.dumps(_text(secret))),
    "JSON in UTF-8": lambda secret: _bytes(json.dumps(_text(secret), ensure_ascii=False)),
    "JSON of PHP": lambda secret: _bytes(json.dumps(_text(secret)).replace("/", "\\/")),
    "JSON of Go": _json_of_go,
    "shell": lambda secret: _bytes(shlex.quote(_text(secret))),
    "shell, escaped quote": lambda secret: b"'" + secret.replace(b"'", b"'\\''") + b"'",
    "repr": lambda secret: repr(secret).encode(),
}


def _small(text: bytes) -> bytes:
    first, *rest = text.split(b"%")
    return b"%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def base64_inside(before: bytes, secret: bytes, after: bytes) -> bytes:
    """Base64 of more than the secret: it stands at any of three alignments."""
    return base64.b64encode(before + secret + after)


def in_base64(secret: bytes, text: bytes) -> bool:
    """Whether base64 somewhere in a text gives the secret: at any place, in either alphabet, also across lines."""
    letters = text.replace(b"\n", b"").translate(bytes.maketrans(b"-_", b"+/"))
    plain = re.sub(rb"[^A-Za-z0-9+/]", b" ", letters)
    for run in plain.split():
        for skip in range(4):
            part = run[skip:]
            part = part[: len(part) - 1] if len(part) % 4 == 1 else part
            if secret in base64.b64decode(part + b"=" * (-len(part) % 4)):
                return True
    return False


def spoken(secret: Secret, text: bytes) -> list[str]:
    """The spellings in which a text holds a secret whole."""
    found = [name for name, spell in SPELLINGS.items() if spell(secret.raw) in text]
    inner = [name for name in ("JSON", "JSON in UTF-8", "JSON of Go") if SPELLINGS[name](secret.raw)[1:-1] in text]
    return found + inner + ["base64 inside"] * in_base64(secret.raw, text)


AWKWARD: Final = "aA0z'\"\\$`%&<>/+-_=*#~!?;:,.@|^(){}[] \t\n\r\x1b\x00é€𝄞\u2028"


def secrets(*, least: int = 8, most: int = 40) -> st.SearchStrategy[Secret]:
    """Secrets of all kinds: bytes, text with signs that need quoting, tokens."""
    kinds = (
        st.binary(min_size=least, max_size=most),
        st.text(AWKWARD, min_size=least, max_size=most),
        st.text("abcdef0123456789", min_size=least, max_size=most),
        st.text(st.characters(codec="utf-8"), min_size=least, max_size=most),
    )
    return st.one_of(*kinds).map(Secret)
