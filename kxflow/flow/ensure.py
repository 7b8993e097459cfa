"""A thing on a host and the state that it is to be in: probe, compare, apply, ask again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import evolve, frozen

from kxflow.flow.actions import Options, shell
from kxflow.flow.step import Step, check_name
from kxflow.values.action import DETAIL, Action, Command, Probe
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import CONTENT, GONE, Ensured, State, state, to_text


class Resource(Protocol):
    """A thing on a host. Make it a frozen class: what it is in its fields, what it is to be like in a `State`.

    Its shell text is run by the host's `sh`, with the words of `kxflow.shell.library` at hand.
    It may have two more methods: `back(before) -> Command | None`, how to undo where ensuring `before` does not do,
    None where nothing does; `told(before, after) -> Ensured`, what to tell where that is not the state that was wanted.
    """

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name; two resources with one key are the same thing."""
        ...

    def probe(self, wanted: State) -> str:
        """Shell text that prints the present state, by `kx_say NAME VALUE`; nothing where the thing is not there.

        It prints the attributes that `wanted` names, in that order; where it names none (the thing is to be taken
        away), all that bringing it back would need. It changes nothing, and ends with 0 where it could see.
        """
        ...

    def apply(self, wanted: State) -> Action[Any] | str:
        """Shell text (or a command) that brings the state about; `GONE` takes the thing away."""
        ...


@frozen(kw_only=True)
class Content:
    """What a thing holds, for those that hold something.

    Attributes:
        detail: Shell text that prints the present content; for diffs, and for undo.
        wanted: The wanted content, where it is text.
        keep: Bytes of the present content that are kept; of more, none.
    """

    detail: str
    wanted: str | None = None
    keep: int = DETAIL


def ensuring(
    resource: Resource, wanted: Mapping[str, str | int] | None, *, content: Content | None = None
) -> Command[Ensured]:
    """The action that sees to a state; None takes the thing away.

    Raises:
        InvalidError: A state that cannot be, an apply that is no command.
    """
    target = GONE if wanted is None else state(wanted)
    made = resource.apply(target)
    command: Any = shell(made) if isinstance(made, str) else made
    if not isinstance(command, Command):
        raise InvalidError(
            f"{type(resource).__name__}.apply gave a {type(command).__name__}", "give shell text or cmd(…)"
        )
    probe = Probe(
        text=resource.probe(target),
        wanted=to_text(target),
        detail=None if content is None else content.detail,
        content=None if content is None else content.wanted,
        keep=DETAIL if content is None else content.keep,
        key=resource.key,
        resource=resource,
    )
    return evolve(command, probe=probe, check=None, idempotent=True)


def ensure(
    resource: Resource,
    wanted: Mapping[str, str | int] | None,
    *,
    name: str | None = None,
    kind: str | None = None,
    content: Content | None = None,
) -> Step[Ensured]:
    """A step that sees to a state: Skipped where it is there already, Failed where it did not come about.

    Args:
        resource: The thing.
        wanted: Its attributes; None takes it away.
        name: Of the step; kind and name of the thing where not given.
        kind: What the name begins with, where that is not the thing's kind.
        content: How to see what it holds.

    Raises:
        InvalidError: A state or name that cannot be.
    """
    its = resource.key[1]
    shown = its if its.isprintable() else ascii(its)[1:-1]
    step_name = check_name(name or f"{kind or resource.key[0]} {shown}"[:200].rstrip(), "step", slash=True)
    try:
        action = ensuring(resource, wanted, content=content)
    except InvalidError as error:
        raise InvalidError(f"step {step_name!r}: {error.what}", error.remedy) from None
    return Step(name=step_name, build=action, secret=action.sensitive)


def undo_of(action: Action[Any], before: State | None) -> Action[Any] | None:
    """The action that takes a done one back; None where nothing can.

    Args:
        action: A command with `undo=`, or one that ensured a state.
        before: The state that was found, for the latter.
    """
    if not isinstance(action, Command):
        return None
    if action.probe is not None and before is not None:
        resource = action.probe.resource
        back = getattr(resource, "back", None)
        made = back(before) if back is not None else ensuring(resource, before or None)
        return None if made is None else evolve(made, become=action.become, env={**made.env, **action.env})
    if action.undo is not None:
        return evolve(action, text=action.undo, argv=None, check=None, probe=None, undo=None, value=None, parse=None)
    return None


__all__ = [
    "CONTENT",
    "GONE",
    "Content",
    "Ensured",
    "Options",
    "Resource",
    "Secret",
    "State",
    "ensure",
    "ensuring",
    "undo_of",
]
