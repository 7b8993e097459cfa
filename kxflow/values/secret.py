"""A value that never shows itself."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

from attrs import field, frozen

from kxflow.values.errors import InvalidError

MASK: Final = "Secret(***)"


def _to_bytes(value: str | bytes) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value)


@frozen(repr=False, eq=False)
class Secret:
    """Text or bytes that must not appear in an output, a log or an argv.

    It has no text form: `str`, `repr` and f-strings give a mask, and commands refuse text that holds the mask.
    Pass it with `env=`, `stdin=` or `password=`; `reveal()` is the one way to its text.

    >>> Secret("hunter2-hunter2")
    Secret(***)
    >>> Secret("a" * 8) == Secret("a" * 8)
    True

    Attributes:
        raw: The bytes themselves, UTF-8 of the text they were made from.
    """

    raw: bytes = field(converter=_to_bytes)

    def reveal(self) -> str:
        """The text, undecodable bytes as surrogate escapes."""
        return self.raw.decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.raw, other.raw)

    def __hash__(self) -> int:
        return hash((Secret, self.raw))

    def __repr__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise InvalidError("a Secret is not pickled", "pass it where it is used, or read it there")


def refuse_mask(text: str | bytes, where: str) -> None:
    """Refuse text into which a secret was formatted: the mask is all that arrived.

    Raises:
        InvalidError: The mask is in it.
    """
    mask = MASK if isinstance(text, str) else MASK.encode()
    if mask in text:  # type: ignore[operator]  # str in str or bytes in bytes, by the line above
        raise InvalidError(f"{where} holds a Secret as text", "pass the Secret with env= or stdin= instead")
