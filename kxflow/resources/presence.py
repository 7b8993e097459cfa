"""Whether a thing is to be there."""

from __future__ import annotations

from typing import Literal, TypeAlias

from kxflow.values.errors import InvalidError

Presence: TypeAlias = Literal["present", "absent"]


def is_wanted(state: object, what: str) -> bool:
    """It is to be there; else it is to be taken away.

    Args:
        state: What was given.
        what: The thing, for the message.

    Raises:
        InvalidError: Neither of the two words.
    """
    if state not in ("present", "absent"):
        raise InvalidError(f"{what}: state={state!r}", 'write "present" or "absent"')
    return state == "present"
