"""A program for one host, as data."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from kxflow.values.action import Command


@frozen(kw_only=True)
class Op:
    """One command in a program.

    Attributes:
        index: Place in the program, from 0.
        command: What to run; its `become` and `timeout` are decided.
        group: Ops with equal group are parts of one step: after a failed part the others are left out.
        go_on: Its failure does not halt the program.
    """

    index: int
    command: Command[Any]
    group: int
    go_on: bool = False


@frozen
class Program:
    """What goes to a host.

    Attributes:
        ops: What it does; `become` in their commands is the one that is used.
        argv: What to spawn there: a constant line that survives every login shell.
        body: What to write to its stdin, which then stays open: it is the lease. It may hold secrets.
        nonce: Marks its frames; 128 bits, hex.
    """

    ops: tuple[Op, ...]
    argv: tuple[str, ...]
    body: bytes = field(repr=False)
    nonce: str = field(repr=False)
