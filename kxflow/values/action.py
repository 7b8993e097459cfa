"""What is to be done on a host, as data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, Protocol, TypeAlias, TypeVar

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.arguments import exit_codes, kind, mapping
from kxflow.values.errors import InvalidError
from kxflow.values.freeze import jsonable
from kxflow.values.host import Become
from kxflow.values.result import ABSENT
from kxflow.values.secret import Secret, refuse_mask
from kxflow.values.state import State

if TYPE_CHECKING:  # to a checker a bare `Action` is one of any value; typing has such defaults from Python 3.13 on
    from typing_extensions import TypeVar as DefaultingTypeVar

    T_co = DefaultingTypeVar("T_co", covariant=True, default=Any)
else:
    T_co = TypeVar("T_co", covariant=True)

CAPTURE: Final = 8 * 1024 * 1024
DETAIL: Final = 256 * 1024
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
        here: What is wanted is what is here, and is brought here: nothing on the host is changed, and it is no part of
            the digest, for it is another once that is done.
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
    here: bool = False

    def __attrs_post_init__(self) -> None:
        clean_text(self.text, "a probe")
        clean_text(self.wanted, "a wanted state")


@frozen
class Pending:
    """A mark on a host: something was changed, and what is to follow that has not ended well yet.

    Attributes:
        mark: Its name, the same in every run.
        role: The command `sets` it before it starts; `awaits` it: without the mark it is not started; or `clears` it:
            it awaits the mark, and takes it away when it ended well.
        users: Other users who may have set it; None is whoever the connection acts as.
        shared: Not all who deal with it act as one user.
    """

    mark: str
    role: Literal["sets", "awaits", "clears"]
    users: tuple[str | None, ...] = ()
    shared: bool = False


class Action(Generic[T_co]):
    """What a step does on a host, as data; T is the type of the value that it gives.

    Made by `cmd`, `shell`, `on_controller`, `skip`, `fail`, `value` and `both`.
    """

    __slots__ = ()

    def __bool__(self) -> NoReturn:
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
        probe: In place of a check: where the state is as wanted the program is not started.
        undo: Shell text that takes the effect back, also where that is half done: the command may have failed.
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
        readonly: It changes nothing: a plan may run it, there is nothing to undo.
        one_shot: It does its work anew each time, and is meant to.
        example: What a plan takes for its value while that is not known.
        again: Gives what a rollback does in its place where it is to be done again behind a change that is taken back;
            called with whether it failed in the run, and what it wrote to stdout.
        pending: Marks on the host that it sets, or that it depends on.
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
    readonly: bool = False
    one_shot: bool = False
    example: Any = field(default=ABSENT, eq=False, repr=False)
    again: Callable[[bool, str], Command[Any]] | None = field(default=None, eq=False, repr=False)
    pending: tuple[Pending, ...] = ()

    @property
    def gives_value(self) -> bool:
        """The value is more than the output: its text must be captured whole."""
        return self.parse is not None or self.value is not None

    @property
    def asks_first(self) -> bool:
        """It may find that there is nothing to do."""
        return self.check is not None or self.probe is not None

    @property
    def awaits(self) -> tuple[Pending, ...]:
        """Marks without which it is not started."""
        return tuple(each for each in self.pending if each.role != "sets")

    @property
    def tells(self) -> bool:
        """Where it fails, the last line that it wrote to stderr says why."""
        return self.probe is not None or self.readonly or self.one_shot

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
    """A function to call on the controller, in a thread where it is not async.

    Attributes:
        sensitive: Keep no value in records, nor what it says where it raises.
        timeout: Seconds; 3600 where None.
    """

    function: Callable[[], Any]
    sensitive: bool = False
    timeout: float | None = None

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


@frozen
class Reboot(Action[T_co]):
    """A command after which the host goes away, and comes back as one that answers something else.

    Attributes:
        command: Says what `ask` would say before, and orders the host to go. It may have a check.
        ask: Asked on new connections, until it says something else.
        timeout: Seconds for all of it.
        interval: Seconds between two questions.
    """

    command: Command[Any]
    ask: Command[Any]
    timeout: float
    interval: float

    def __str__(self) -> str:
        return "restart"


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
                action.probe
                and (
                    *action.probe.key,
                    action.probe.text,
                    "" if action.sensitive or action.probe.here else action.probe.wanted,
                ),
                action.undo,
                action.value,
                tuple((k, "secret" if isinstance(v, Secret) else v) for k, v in sorted(action.env.items())),
                action.cwd,
                "secret" if isinstance(stdin, Secret) else stdin and _sha256(stdin),
                action.upload and (action.upload.target, action.upload.sha256),
                None if action.become is None else (action.become.user, action.become.method),
                None if action.timeout is None else float(action.timeout),
                tuple(sorted(action.ok_codes)),
                action.parse and function_name(action.parse),
                action.sensitive,
                *(action.pending and (tuple((each.mark, each.role) for each in action.pending),)),
            )
        case OnController():
            limit = () if action.timeout is None else (float(action.timeout),)
            return ("on_controller", function_name(action.function), action.sensitive, *limit)
        case Reboot(command, ask):
            return ("reboot", _describe(command), _describe(ask))
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
    return _sha256(repr(_describe(action)).encode("utf-8", "surrogateescape"))[:32]


def _sha256(data: bytes) -> str:

    return hashlib.sha256(data).hexdigest()


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


def commands_of(action: Action[Any]) -> tuple[Command[Any], ...]:
    """Every command in an action, in order."""
    parts = (each.command if isinstance(each, Reboot) else each for each in parts_of(action))
    return tuple(each for each in parts if isinstance(each, Command))


def is_sensitive(action: Action[Any]) -> bool:
    """Something in it is to be kept out of records."""
    return any(isinstance(each, Command | OnController | Value) and each.sensitive for each in parts_of(action))


def pend(action: Action[Any], pending: tuple[Pending, ...]) -> Action[Any]:
    """The action with marks: its last command clears, what only reads sets none.

    Raises:
        InvalidError: The host does not do it, so that it cannot depend on a mark there.
    """
    match action:
        case Command():
            return _pended(action, pending)
        case Both(parts):
            first = tuple(evolve(each, role="awaits") if each.role == "clears" else each for each in pending)
            return Both((*(pend(each, first) for each in parts[:-1]), pend(parts[-1], pending)))
        case Reboot():
            return evolve(action, command=_pended(action.command, pending))
        case Skip() | Fail() | Value():
            return action
        case _:
            raise InvalidError(
                f"a {type(action).__name__} in on_change", "give commands and resources, which the host itself does"
            )


def _pended(command: Command[Any], pending: tuple[Pending, ...]) -> Command[Any]:
    own = pending if not command.readonly else tuple(each for each in pending if each.role != "sets")
    return evolve(command, pending=(*command.pending, *own))


def repeats(action: Action[Any]) -> bool:
    """It may succeed again on a host where nothing changed, and says so: it only reads, or is one-shot."""
    return any(each.readonly or each.one_shot for each in commands_of(action))


def ok_code_set(value: Iterable[int]) -> frozenset[int]:
    """Converter of `ok_codes`.

    Raises:
        InvalidError: None, or one outside 0 to 255.
    """
    return exit_codes(value, "ok_codes", least=0, remedy="name exit statuses from 0 to 255: ok_codes=(0,)")
