"""A thing on a host and the state that it is to be in: probe, compare, apply, ask again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import evolve, frozen

from kxflow.flow.actions import shell
from kxflow.flow.needs import Need
from kxflow.flow.step import Step, check_name
from kxflow.values.action import DETAIL, Action, Both, Command, Pending, Probe, commands_of
from kxflow.values.errors import InvalidError
from kxflow.values.state import GONE, Ensured, State, state, to_text


class Resource(Protocol):
    """A thing on a host. Make it a frozen class: what it is in its fields, what it is to be like in a `State`.

    Its shell text is run by the host's `sh`, with the words of `kxflow.shell.library` at hand.
    It may have more methods: `back(before) -> Command | None`, how to undo where ensuring `before` does not do,
    None where nothing does; `told(before, after) -> Ensured`, what to tell where that is not the state that was wanted;
    `needs(wanted) -> Iterable[Need]`, without what it cannot be brought about, and `refuses(before) -> str`, why it
    cannot from what is there (empty where it can), so that a plan says what would fail;
    `takes(wanted)`, shell text that prints what goes with it, as `flow.needs.taken` reads it, for plans as well.
    For undo, `hear(said)` gives the resource that knows what apply had written to stdout, and `leaves(before, after)`
    says what undo will not bring back, or take away; empty where it will. An undo names such by lines on stderr that
    begin with `cannot be taken back: `.
    Where it is a part of a file, or a file that its key does not name, `within` is the path of that: a plan knows then
    what else has to do with it.
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
    resource: Resource,
    wanted: Mapping[str, str | int] | None,
    *,
    content: Content | None = None,
    verify: bool = True,
    here: bool = False,
) -> Command[Ensured]:
    """The action that sees to a state; None takes the thing away. Arguments as for `ensure`.

    With `here`, what is brought about is here: the host stays as it is.

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
        verify=verify,
        here=here,
    )
    return evolve(command, probe=probe, check=None, idempotent=True)


def ensure(
    resource: Resource,
    wanted: Mapping[str, str | int] | None,
    *,
    name: str | None = None,
    kind: str | None = None,
    content: Content | None = None,
    verify: bool = True,
) -> Step[Ensured]:
    """A step that sees to a state: Skipped where it is there already, Failed where it did not come about.

    Args:
        resource: The thing.
        wanted: Its attributes; None takes it away.
        name: Of the step; kind and name of the thing where not given.
        kind: What the name begins with, where that is not the thing's kind.
        content: How to see what it holds.
        verify: Ask again afterwards: a state that did not come about is a failure, whatever the exit status said.

    Raises:
        InvalidError: A state or name that cannot be.
    """
    its = resource.key[1]
    shown = its if its.isprintable() else ascii(its)[1:-1]
    usual = f"{kind or resource.key[0]} {shown}"[:200].rstrip()
    step_name = check_name(usual if name is None else name, "step", slash=True)
    try:
        action = ensuring(resource, wanted, content=content, verify=verify)
    except InvalidError as error:
        raise InvalidError(f"step {step_name!r}: {error.what}", error.remedy) from None
    return Step(name=step_name, build=action, secret=action.sensitive)


def undo_of(action: Action[Any], before: State | None) -> Action[Any] | None:
    """The action that takes a done one back; None where nothing can.

    Args:
        action: A command with `undo=`, one that ensured a state, or several with `undo=`.
        before: The state that was found, for one that ensured a state.
    """
    match action:
        case Command(probe=Probe()):
            return _back(action, before)
        case Command(undo=str() as text):
            return evolve(
                action,
                text=text,
                argv=None,
                check=None,
                undo=None,
                value=None,
                parse=None,
                stdin=None,
                upload=None,
                pending=_marks(action),
            )
        case Both(parts):
            undone = [undo_of(each, None) for each in reversed(parts)]
            return None if None in undone else Both(tuple(each for each in undone if each is not None))
        case _:
            return None


def hearing(action: Action[Any], said: str) -> Action[Any]:
    """The action of which is known what it wrote to stdout when it was done."""
    if not isinstance(action, Command) or action.probe is None:
        return action
    hear = getattr(action.probe.resource, "hear", None)
    return action if hear is None else evolve(action, probe=evolve(action.probe, resource=hear(said)))


def what_stays(probe: Probe | None, ensured: Ensured | None) -> str:
    """What an undo would leave of what a resource does; empty where nothing, or where nothing is known of it."""
    leaves = getattr(None if probe is None else probe.resource, "leaves", None)
    if leaves is None or ensured is None or ensured.before is None:
        return ""
    return str(leaves(ensured.before, ensured.after))


def why_no_undo(action: Action[Any], before: State | None) -> str:
    """Why a done action could not be taken back; empty where it could."""
    if undo_of(action, before) is not None or (isinstance(action, Command) and action.readonly):
        return ""
    if isinstance(action, Command) and action.probe is not None:
        if action.probe.here:
            return ""
        return "the state before is not known" if before is None else "what was there was not kept"
    follows = any(each.awaits for each in commands_of(action))
    return "it has no undo=" + ("; it is done again once what it follows is taken back" if follows else "")


def _marks(action: Command[Any]) -> tuple[Pending, ...]:
    """What is changed back is a change, too: what followed is to follow again."""
    sets = any(each.role == "sets" for each in action.pending)
    return tuple(evolve(each, role="sets") for each in action.pending) if sets else ()


def _back(action: Command[Any], before: State | None) -> Command[Any] | None:
    if before is None or action.probe is None:
        return None
    resource = action.probe.resource
    own = getattr(resource, "back", None)
    made: Command[Any] | None = own(before) if own is not None else ensuring(resource, before or None)
    if made is None:
        return None
    probe = made.probe
    return evolve(
        made,
        probe=None if probe is None else evolve(probe, verify=probe.verify and action.probe.verify),
        become=action.become,
        pending=_marks(action),
        env={**action.env, **made.env},
        sensitive=action.sensitive or made.sensitive,
    )


__all__ = [
    "GONE",
    "Content",
    "Ensured",
    "Need",
    "Resource",
    "State",
    "ensure",
    "ensuring",
    "hearing",
    "undo_of",
    "what_stays",
    "why_no_undo",
]
