"""What an exit status, and what sudo said, stand for."""

from __future__ import annotations

import signal

from kxflow.values.host import Become


def signal_name(code: int) -> str | None:
    """Name without SIG of the signal that an exit status above 128 stands for, by Linux' numbers.

    >>> signal_name(137)
    'KILL'
    """
    try:
        return signal.Signals(code - 128).name.removeprefix("SIG") if code > 128 else None
    except ValueError:
        return None


MISSING, LATE = 127, 124


def why_not_become(code: int, said: str, become: Become | None) -> str:
    """What kept another user's program from starting, by its exit status and words.

    >>> why_not_become(1, "sudo: a password is required", None)
    'become_password'
    """
    if code == MISSING:
        return "become_missing"
    if code == LATE:
        return "become_timeout"
    words = said.lower()
    given = become is not None and become.password is not None
    if "must have a tty" in words or "must be run from a terminal" in words:
        return "become_tty"
    asked = ("password is required", "authentication required", "authentication failure", "password was provided")
    if not given and any(each in words for each in asked):
        return "become_password"
    return "become_denied"
