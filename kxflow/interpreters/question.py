"""What a plan asks a host about a command: what would be done, without doing it."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from kxflow.interpreters.runner import wire_commands
from kxflow.values.action import Action, Command, Reboot


def asked_of(action: Action[Any]) -> tuple[Command[Any], ...]:
    """Commands whose checks and probes tell what an action would do."""
    return (action.command,) if isinstance(action, Reboot) else wire_commands(action) or ()


def can_be_asked(command: Command[Any]) -> bool:
    """A host can say what it would do without doing it."""
    return command.asks_first or bool(command.awaits) or (command.readonly and command.gives_value)


def question(command: Command[Any]) -> Command[Any]:
    """The command without what it does: its probe or its check, and its value where that holds."""
    command = evolve(command, pending=tuple(evolve(each, role="awaits") for each in command.awaits))
    if command.probe is not None:
        return evolve(command, probe=evolve(command.probe, dry=True), upload=None, stdin=None, chosen=None, into=None)
    if command.readonly and command.check is None:
        return command
    return evolve(command, text=":", argv=None, stdin=None, upload=None, ok_codes=frozenset({0}), detached=False)
