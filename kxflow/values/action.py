"""What is to be done on a host, as data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, NoReturn, Protocol, TypeAlias, TypeVar

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.errors import InvalidError
from kxflow.values.host import Become
from kxflow.values.secret import Secret, refuse_mask
from kxflow.values.state import State

T_co = TypeVar("T_co", covariant=True)

CAPTURE: Final = 8 * 1024 * 1024
DETAIL: Final = 256 * 1024
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


class Source(Protocol):
    """Bytes that are made while they are sent."""

    def pieces(self) -> Iterator[bytes]:
        """All of them, in pieces of at most 1 MiB; called in a thread.

        Raises:
            OSError: They are not what they were when they were announced: what was sent counts for nothing.
        """
        ...


@frozen
class Upload:
    """Bytes from here that a command takes on the host, where its probe says that they are needed.

    Attributes:
        source: Path on the controller, the bytes themselves, or what makes them.
        target: Path on the host; the bytes are put into a file beside it first, or in it where it is a folder.
        size: Bytes.
        sha256: Hex digest; where the file is another by then, nothing is put in place. A `Source` sees to that itself.
    """

    source: str | bytes | Source = field(repr=False)
    target: str
    size: int
    sha256: str = ""


@frozen
class Into:
    """A file here that is to hold what a command writes to stdout.

    Attributes:
        folder: On the controller; made where it is not there.
        parts: Names of the folders below it, and of the file; none of them leads elsewhere.
        size: Bytes that are to come.
        sha256: Hex digest of them; where others come, nothing is put in place.
    """

    folder: str
    parts: tuple[str, ...]
    size: int
    sha256: str


@frozen
class Probe:
    """How to see the state of a thing on a host, and the state that is wanted.

    Attributes:
        text: Shell text that prints the present state in canonical form; it changes nothing.
        wanted: The canonical text of the wanted state: where the probe prints just this, nothing is done.
        detail: Shell text that prints the present content; asked only where the states differ.
        content: The wanted content, where it is text that a diff may show.
        key: What the thing is: kind and name, equal for equal things.
        resource: Knows how to bring the thing to any other state; what undo goes by.
        verify: Ask again afterwards; a state that did not come about is a failure.
        dry: Only ask, do nothing.
        keep: Bytes of `detail` that are kept; of more, none.
    """

    text: str
    wanted: str
    detail: str | None = None
    content: str | None = field(default=None, repr=False)
    key: tuple[str, str] = ("", "")
    resource: Any = field(default=None, repr=False)
    verify: bool = True
    dry: bool = False
    keep: int = DETAIL

    def __attrs_post_init__(self) -> None:
        clean_text(self.text, "a probe")
        clean_text(self.wanted, "a wanted state")


class Action(Generic[T_co]):
    """What a step does on a host, as data; T is the type of the value that it gives.

    Made by `cmd`, `shell`, `on_controller`, `skip`, `fail`, `value` and `both`.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
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
        probe: In place of a check: where the state is as wanted the program is not started.
        undo: Shell text that takes the effect back.
        value: Shell text whose stdout is the value, after a run as after a skip.
        env: Variables for check, program and value.
        cwd: Folder for them.
        stdin: Bytes for the program; it reads end of file at once where None.
        upload: A file that it needs, too large to travel with it; only together with a probe.
        chosen: Only together with a probe: gives what is to be done instead, once the state is known that it has to
            do with. Called in a thread.
        into: Where its stdout goes to; only in what `chosen` gives.
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
    probe: Probe | None = None
    undo: str | None = None
    value: str | None = None
    env: frozendict[str, str | Secret] = field(factory=dict, converter=_env)
    cwd: str | None = None
    stdin: bytes | Secret | None = None
    upload: Upload | None = None
    chosen: Callable[[State], Command[Any]] | None = field(default=None, repr=False)
    into: Into | None = None
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

    @property
    def asks_first(self) -> bool:
        """It may find that there is nothing to do."""
        return self.check is not None or self.probe is not None

    @property
    def in_two(self) -> bool:
        """The host is asked by one program, and acts by another: what that is depends on the answer."""
        only_asked = self.probe is not None and self.probe.dry
        return not only_asked and (self.upload is not None or self.chosen is not None)

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
                action.probe
                and (*action.probe.key, action.probe.text, "" if action.sensitive else action.probe.wanted),
                action.undo,
                action.value,
                tuple((k, "secret" if isinstance(v, Secret) else v) for k, v in sorted(action.env.items())),
                action.cwd,
                "secret" if isinstance(stdin, Secret) else stdin and hashlib.sha256(stdin).hexdigest(),
                action.upload and (action.upload.target, action.upload.sha256),
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
