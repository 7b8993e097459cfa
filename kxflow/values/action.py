"""What is to be done on a host, as data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.arguments import exit_codes, kind, mapping
from kxflow.values.errors import InvalidError
from kxflow.values.freeze import jsonable
from kxflow.values.host import Become
from kxflow.values.secret import Secret, refuse_mask

T_co = TypeVar("T_co", covariant=True)

CAPTURE: Final = 8 * 1024 * 1024
DEFAULT_TIMEOUT: Final = 3600.0
STDIN_LIMIT: Final = 16 * 1024 * 1024
_UNDONE: Final[frozenset[int]] = frozenset({1})

Word: TypeAlias = str | bytes
Argv: TypeAlias = tuple[Word, ...]


def no_truth(value: object, remedy: str) -> NoReturn:
    """What `bool()` of a description of work does: it is always a mistake.

    Raises:
        TypeError: Always.
    """
    raise TypeError(f"a {type(value).__name__} has no truth value before it ran: {remedy}")


def octets(text: str, where: str) -> bytes:
    """Text as bytes for a host: UTF-8, surrogates that stand for a byte as that byte.

    Raises:
        InvalidError: It holds surrogates that stand for none.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidError(f"{where} holds surrogates that stand for no byte", "give text or bytes") from None


def clean_text(text: str | bytes, where: str) -> str | bytes:
    """Refuse what no shell can hold.

    Raises:
        InvalidError: A NUL byte, surrogates that stand for no byte, or the mask of a secret.
    """
    if isinstance(text, str) and not text.isascii():
        octets(text, where)
    if (b"\0" if isinstance(text, bytes) else "\0") in text:  # type: ignore[operator]  # like with like
        raise InvalidError(f"{where} holds a NUL byte", "no command, path or variable can carry one")
    refuse_mask(text, where)
    return text


def shell_text(text: Any, where: str) -> str:
    """Text that a shell can run.

    Raises:
        InvalidError: No text, an empty one, or what no shell can hold.
    """
    if isinstance(text, Secret):
        raise InvalidError(f"{where} is a Secret", "it would show in the process list: pass it with env= or stdin=")
    if not isinstance(text, str):
        raise InvalidError(f"{where} is {kind(text)}", "give text")
    clean_text(text, where)
    if not text.strip():
        raise InvalidError(f"{where} is empty", "give shell text")
    return text


def _undone(value: Any) -> frozenset[int]:
    remedy = "name exit statuses from 1 to 255 that mean not done: undone=(1,)"
    usual = value is _UNDONE  # nearly always; checks are made by the thousand
    return _UNDONE if usual else exit_codes(value, "undone", least=1, remedy=remedy)


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
    undone: frozenset[int] = field(default=_UNDONE, converter=_undone)

    def __attrs_post_init__(self) -> None:
        shell_text(self.text, "check")


class Action(Generic[T_co]):
    """What a step does on a host, as data; T is the type of the value that it gives.

    Made by `cmd`, `shell`, `on_controller`, `skip`, `fail`, `value` and `both`.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        no_truth(self, "return it from a step, and ask the result")


def _env(value: Mapping[str, str | Secret]) -> frozendict[str, str | Secret]:
    for name, each in mapping(value, "env", 'give a mapping: env={"LANG": "C"}').items():
        if not isinstance(name, str) or not name.isascii() or not name.isidentifier():
            raise InvalidError(f"env name {name!r} cannot be one", "use letters, digits and _")
        if isinstance(each, Secret):
            if b"\0" in each.raw:
                raise InvalidError(f"env {name} holds a NUL byte", "no variable can carry one")
            continue
        if not isinstance(each, str):
            raise InvalidError(f"env {name} is {kind(each)}", "give text or a Secret")
        clean_text(each, f"env {name}")
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
    """A function to call on the controller, in a thread where it is not async.

    Attributes:
        sensitive: Keep no value in records, nor what it says where it raises.
    """

    function: Callable[[], Any]
    sensitive: bool = False

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
    """A value that is known without asking the host.

    Attributes:
        sensitive: Keep it out of records.
    """

    value: Any
    sensitive: bool = False


@frozen
class Both(Action[T_co]):
    """Several actions with one record; the first that fails stops it. The value is the last part's."""

    actions: tuple[Action[Any], ...]


def function_name(function: Callable[..., Any]) -> str:
    """Module and qualified name of a function, what a digest knows of it."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"


def _octets(word: Word) -> bytes:
    return word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")


def _canonical(value: Any) -> object:
    """Recorded data so that what is equal reads alike: 1, 1.0 and True are, and mappings in any order."""
    if isinstance(value, Mapping):
        return ("map", *sorted((key, _canonical(each)) for key, each in value.items()))
    if isinstance(value, tuple):
        return ("list", *map(_canonical, value))
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return hex(int(value)) if isinstance(value, int | float) else ("data", value)


def _describe(action: Action[Any]) -> tuple[object, ...]:
    """An action as nested tuples of text and numbers: names of secrets, never their values."""
    match action:
        case Command():
            stdin = action.stdin
            return (
                "command",
                None if action.argv is None else tuple(_octets(word) for word in action.argv),
                action.text,
                None if action.check is None else (action.check.text, tuple(sorted(action.check.undone))),
                action.undo,
                action.value,
                tuple((k, "secret" if isinstance(v, Secret) else v) for k, v in sorted(action.env.items())),
                action.cwd,
                "secret" if isinstance(stdin, Secret) else stdin and hashlib.sha256(stdin).hexdigest(),
                None if action.become is None else (action.become.user, action.become.method),
                None if action.timeout is None else float(action.timeout),
                tuple(sorted(action.ok_codes)),
                action.parse and function_name(action.parse),
                action.sensitive,
            )
        case OnController():
            return ("on_controller", function_name(action.function), action.sensitive)
        case Skip() | Fail():
            return (type(action).__name__.lower(), action.reason)
        case Value():
            return ("value", "secret" if action.sensitive else _canonical(jsonable(action.value)))
        case Both():
            return ("both", tuple(_describe(each) for each in action.actions))
        case _:
            return (type(action).__qualname__,)


def digest(action: Action[Any]) -> str:
    """Hex digest of what an action is: equal actions have equal ones, secrets count by name only."""
    return hashlib.sha256(repr(_describe(action)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def map_parts(action: Action[Any], change: Callable[[Action[Any]], Action[Any]]) -> Action[Any]:
    """The action with every part of it changed; one that is not of several parts is its own only one."""
    if isinstance(action, Both):
        return evolve(action, actions=tuple(map_parts(each, change) for each in action.actions))
    return change(action)


def parts_of(action: Action[Any]) -> tuple[Action[Any], ...]:
    """Every part of an action that is not of several parts itself, in order."""
    if isinstance(action, Both):
        return tuple(each for part in action.actions for each in parts_of(part))
    return (action,)


def is_sensitive(action: Action[Any]) -> bool:
    """Something in it is to be kept out of records."""
    return any(isinstance(each, Command | OnController | Value) and each.sensitive for each in parts_of(action))


def ok_code_set(value: Iterable[int]) -> frozenset[int]:
    """Converter of `ok_codes`.

    Raises:
        InvalidError: None, or one outside 0 to 255.
    """
    return exit_codes(value, "ok_codes", least=0, remedy="name exit statuses from 0 to 255: ok_codes=(0,)")
