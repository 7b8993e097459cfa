"""What is to be done on a host, as data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeAlias, TypeVar

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.errors import InvalidError
from kxflow.values.host import Become
from kxflow.values.secret import Secret, refuse_mask

if TYPE_CHECKING:  # to a checker a bare `Action` is one of any value; typing has such defaults from Python 3.13 on
    from typing_extensions import TypeVar as DefaultingTypeVar

    T_co = DefaultingTypeVar("T_co", covariant=True, default=Any)
else:
    T_co = TypeVar("T_co", covariant=True)

CAPTURE: Final = 8 * 1024 * 1024
DEFAULT_TIMEOUT: Final = 3600.0
STDIN_LIMIT: Final = 16 * 1024 * 1024

Word: TypeAlias = str | bytes
Argv: TypeAlias = tuple[Word, ...]


def no_truth(value: object, remedy: str) -> NoReturn:
    """What `bool()` of a description of work does: it is always a mistake.

    Raises:
        TypeError: Always.
    """
    raise TypeError(f"a {type(value).__name__} has no truth value before it ran: {remedy}")


def clean_text(text: str | bytes, where: str) -> str | bytes:
    """Refuse what no shell can hold.

    Raises:
        InvalidError: A NUL byte, or the mask of a secret.
    """
    if (b"\0" if isinstance(text, bytes) else "\0") in text:  # type: ignore[operator]  # like with like
        raise InvalidError(f"{where} holds a NUL byte", "no command, path or variable can carry one")
    refuse_mask(text, where)
    return text


@frozen
class Check:
    """A question to the host whether something is done already.

    Attributes:
        text: Shell text; exit status 0 means done.
        undone: Exit statuses that mean not done. Any other is a failed check.

    Raises:
        InvalidError: 0 among `undone`, or text that no shell can hold.
    """

    text: str
    undone: frozenset[int] = frozenset({1})

    def __attrs_post_init__(self) -> None:
        clean_text(self.text, "a check")
        if not self.undone or not all(isinstance(code, int) and 0 < code < 256 for code in self.undone):
            raise InvalidError(
                f"undone={sorted(self.undone)} cannot be", "name exit statuses from 1 to 255 that mean not done"
            )


class Action(Generic[T_co]):
    """What a step does on a host, as data; T is the type of the value that it gives.

    Made by `cmd`, `shell`, `on_controller`, `skip`, `fail`, `value` and `both`.
    """

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        no_truth(self, "return it from a step, and ask the result")


def _env(value: Mapping[str, str | Secret]) -> frozendict[str, str | Secret]:
    for name, each in value.items():
        if not name.isascii() or not name.isidentifier():
            raise InvalidError(f"env name {name!r} cannot be one", "use letters, digits and _")
        if not isinstance(each, Secret):
            if not isinstance(each, str):
                raise InvalidError(f"env {name} is a {type(each).__name__}", "give text or a Secret")
            clean_text(each, f"env {name}")
        elif b"\0" in each.raw:
            raise InvalidError(f"env {name} holds a NUL byte", "no variable can carry one")
    return frozendict(value)


@frozen(kw_only=True)
class Command(Action[T_co]):
    """A program to run on the host, with all that belongs to it.

    Exactly one of `argv` and `text` is set.

    Attributes:
        argv: Program and arguments, run as they are, no shell in between.
        text: Shell text, run as `sh -c` would.
        check: Asked first; where it holds the program is not started.
        undo: Shell text that takes the effect back.
        value: Shell text whose stdout is the value, after a run as after a skip.
        env: Variables for check, program and value.
        cwd: Folder for them.
        stdin: Bytes for the program; it reads end of file at once where None.
        become: User to act as; None: as the host's connection says.
        timeout: Seconds for check, program and value together; 3600 where None.
        ok_codes: Exit statuses that mean success.
        parse: From the value's text (stdout's, where `value` is None), trailing newlines removed, to the value.
        sensitive: Keep no output and no value in records.
        capture: Bytes to keep whole for `parse` and `value`.
        idempotent: It may be run again when its end is not known.
        detached: It survives the loss of the connection.
    """

    argv: Argv | None = None
    text: str | None = None
    check: Check | None = None
    undo: str | None = None
    value: str | None = None
    env: frozendict[str, str | Secret] = field(factory=dict, converter=_env)
    cwd: str | None = None
    stdin: bytes | Secret | None = None
    become: Become | None = None
    timeout: float | None = None
    ok_codes: frozenset[int] = frozenset({0})
    parse: Callable[[str], Any] | None = None
    sensitive: bool = False
    capture: int = CAPTURE
    idempotent: bool = False
    detached: bool = False

    @property
    def gives_value(self) -> bool:
        """The value is more than the output: its text must be captured whole."""
        return self.parse is not None or self.value is not None

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        return " ".join(_word(each) for each in self.argv or ())


def _word(word: Word) -> str:
    import shlex

    return shlex.quote(word if isinstance(word, str) else word.decode("utf-8", "backslashreplace"))


@frozen
class OnController(Action[T_co]):
    """A function to call on the controller, in a thread where it is not async."""

    function: Callable[[], Any]

    def __str__(self) -> str:
        return f"on the controller: {function_name(self.function)}"


@frozen
class Skip(Action[T_co]):
    """Nothing to do, and why."""

    reason: str


@frozen
class Fail(Action[T_co]):
    """It cannot be done, and why."""

    reason: str


@frozen
class Value(Action[T_co]):
    """A value that is known without asking the host."""

    value: Any


@frozen
class Both(Action[T_co]):
    """Several actions with one record; the first that fails stops it. The value is the last part's."""

    actions: tuple[Action[Any], ...]


def function_name(function: Callable[..., Any]) -> str:
    """Module and qualified name of a function, what a digest knows of it."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"


def _describe(action: Action[Any]) -> tuple[object, ...]:
    """An action as nested tuples of text and numbers: names of secrets, never their values."""
    match action:
        case Command():
            stdin = action.stdin
            return (
                "command",
                None if action.argv is None else tuple(os.fsencode(word) for word in action.argv),
                action.text,
                None if action.check is None else (action.check.text, tuple(sorted(action.check.undone))),
                action.undo,
                action.value,
                tuple((k, "secret" if isinstance(v, Secret) else v) for k, v in sorted(action.env.items())),
                action.cwd,
                "secret" if isinstance(stdin, Secret) else stdin and hashlib.sha256(stdin).hexdigest(),
                None if action.become is None else (action.become.user, action.become.method),
                action.timeout,
                tuple(sorted(action.ok_codes)),
                action.parse and function_name(action.parse),
                action.sensitive,
            )
        case OnController():
            return ("on_controller", function_name(action.function))
        case Skip() | Fail():
            return (type(action).__name__.lower(), action.reason)
        case Value():
            return ("value", repr(action.value))
        case Both():
            return ("both", tuple(_describe(each) for each in action.actions))
        case _:
            return (type(action).__qualname__,)


def digest(action: Action[Any]) -> str:
    """Hex digest of what an action is: equal actions have equal ones, secrets count by name only."""
    return hashlib.sha256(repr(_describe(action)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def map_commands(action: Action[Any], change: Callable[[Command[Any]], Command[Any]]) -> Action[Any]:
    """The action with every command in it changed."""
    match action:
        case Command():
            return change(action)
        case Both():
            return evolve(action, actions=tuple(map_commands(each, change) for each in action.actions))
        case _:
            return action


def commands_of(action: Action[Any]) -> tuple[Command[Any], ...]:
    """Every command in an action, in order."""
    match action:
        case Command():
            return (action,)
        case Both():
            return tuple(each for part in action.actions for each in commands_of(part))
        case _:
            return ()


def ok_code_set(value: Iterable[int]) -> frozenset[int]:
    """Converter of `ok_codes`.

    Raises:
        InvalidError: None, or one outside 0 to 255.
    """
    codes = frozenset(value)
    if not codes or not all(isinstance(code, int) and 0 <= code <= 255 for code in codes):
        raise InvalidError(f"ok_codes={sorted(codes, key=repr)} cannot be", "name exit statuses from 0 to 255")
    return codes
