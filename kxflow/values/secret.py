"""A value that never shows itself."""

from __future__ import annotations

from typing import Final, NoReturn

from attrs.exceptions import FrozenInstanceError

from kxflow.values.arguments import kind
from kxflow.values.errors import InvalidError

MASK: Final = "Secret(***)"


class Secret:
    """Text or bytes that must not appear in an output, a log or an argv.

    It has no text form: `str`, `repr` and f-strings give a mask, and commands refuse text that holds the mask.
    Pass it with `env=`, `stdin=` or `password=`; `reveal()` is the one way to its text.

    A plain class, on purpose: what walks over the fields of attrs classes (`attrs.asdict`, rich's and hypothesis'
    pretty printers, which show the locals of tracebacks) finds no field in it. Frozen; a copy is the secret itself;
    it is not pickled.

    >>> Secret("hunter2-hunter2")
    Secret(***)
    >>> Secret("a" * 8) == Secret(b"a" * 8)
    True

    Args:
        raw: Text, kept as its UTF-8, or bytes.

    Raises:
        InvalidError: Neither text nor bytes.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: str | bytes) -> None:
        object.__setattr__(self, "_raw", _to_bytes(raw))

    @property
    def raw(self) -> bytes:
        """The bytes themselves, UTF-8 of the text they were made from."""
        return self._raw  # type: ignore[attr-defined, no-any-return]  # set by __init__, past the frozen __setattr__

    def reveal(self) -> str:
        """The text, undecodable bytes as surrogate escapes."""
        return self.raw.decode("utf-8", "surrogateescape")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError

    def __eq__(self, other: object) -> bool:
        from hmac import compare_digest

        return isinstance(other, Secret) and compare_digest(self.raw, other.raw)

    def __hash__(self) -> int:
        return hash((Secret, self.raw))

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise InvalidError("a Secret is not pickled", "pass it where it is used, or read it there")

    def __getstate__(self) -> NoReturn:
        self.__reduce__()


def _to_bytes(value: object) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            # from None: the error quotes the text
            raise InvalidError("this text cannot be a Secret", "it holds surrogates that stand for no byte") from None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Secret):
        return value.raw
    raise InvalidError(f"{kind(value)} cannot be a Secret", "give text or bytes")


def refuse_mask(text: str | bytes, where: str) -> None:
    """Refuse text into which a secret was formatted: the mask is all that arrived.

    Raises:
        InvalidError: The mask is in it.
    """
    mask = MASK if isinstance(text, str) else MASK.encode()
    if mask in text:  # type: ignore[operator]  # str in str or bytes in bytes, by the line above
        raise InvalidError(f"{where} holds a Secret as text", "pass the Secret with env= or stdin= instead")
