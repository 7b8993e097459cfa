"""Why something went wrong, as a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import frozen

from kxflow.values.errors import KxflowError

T = TypeVar("T")


@frozen
class Fault:
    """What went wrong, where, and what to do.

    Attributes:
        code: Short machine word, the `reason` of the result it belongs to: `exit`, `hostkey_changed`, …
        what: One sentence; may quote a host's bytes, escaped.
        where: Step path, host, file or option.
        remedy: What to do about it; may be empty.
    """

    code: str
    what: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.remedy})" if self.remedy else "")


@frozen
class Raised:
    """What a user's function raised instead of giving something."""

    error: BaseException


def attempt(function: Callable[[], T]) -> T | Raised:
    """Call a user's function: whatever it raises is its own affair.

    Also `SystemExit`, which would end our process, and a cancellation that it brought upon itself, which would pass for
    ours. Not Ctrl-C. For functions that are not async only: around an `await` a cancellation is ours.
    """
    try:
        return function()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 -- the one place: see above
        return Raised(error)


def words_of(error: BaseException) -> str:
    """Class and text of what a user's function raised; one of ours needs no class, and some have no text."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 -- an exception of the user's that cannot even tell what it is
        text = "(without words)"
    return text if isinstance(error, KxflowError) else f"{type(error).__name__}: {text}"
