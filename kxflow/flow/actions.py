"""Builders of actions."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from kxflow.values.action import (
    CAPTURE,
    STDIN_LIMIT,
    Action,
    Both,
    Check,
    Command,
    Fail,
    OnController,
    Skip,
    Value,
    Word,
    clean_text,
    octets,
    ok_code_set,
    shell_text,
)
from kxflow.values.arguments import check_answers, check_takes, is_number, is_whole, kind
from kxflow.values.errors import InvalidError
from kxflow.values.host import Become, as_become
from kxflow.values.output import Output
from kxflow.values.secret import Secret, refuse_mask

T = TypeVar("T")

WordLike = str | bytes | int | float | os.PathLike[str] | os.PathLike[bytes]


class Options(TypedDict, total=False):
    """What `cmd`, `shell` and `command` take beside the program.

    Attributes:
        check: Asked first; where it says done, the program is not started and the step is Skipped.
        undo: Shell text that takes the effect back, also where that is half done: the command may have failed.
        value: Shell text whose stdout is the value, after a run as after a skip.
        env: Variables; a `Secret` travels on stdin only.
        cwd: Folder on the host.
        stdin: Text, bytes or a `Secret` for the program; none: it reads end of file.
        become: User to act as, or a `Become`.
        timeout: Seconds for check, program and value together; 3600 where not given.
        ok_codes: Exit statuses that mean success; `(0,)` where not given.
        sensitive: Keep no output and no value in records.
        capture: Bytes to keep whole for `parse` and `value`; 8 MiB where not given.
        idempotent: It may be run again when its end is not known.
        detached: It survives the loss of the connection.
        readonly: It changes nothing: a plan may run it, there is nothing to undo.
        one_shot: It does its work anew each time, and is meant to.
        example: What a plan takes for its value while that is not known.
    """

    check: str | Check | None
    undo: str | None
    value: str | None
    env: Mapping[str, str | Secret]
    cwd: str | os.PathLike[str] | None
    stdin: str | bytes | Secret | None
    become: str | Become | None
    timeout: float | None
    ok_codes: Iterable[int]
    sensitive: bool
    capture: int
    idempotent: bool
    detached: bool
    readonly: bool
    one_shot: bool
    example: Any


def test(text: str, undone: Iterable[int] = (1,)) -> Check:  # noqa: PT028 -- no pytest function
    """A check with the exit statuses that mean "not done": 0 is done, any other is a failed check.

    >>> test("grep -q kx /etc/motd", undone=(1, 2)).undone == {1, 2}
    True

    Args:
        text: Shell text; exit status 0 means done.
        undone: Exit statuses that mean not done.

    Raises:
        InvalidError: 0 or something outside 1 to 255 among `undone`, or text that no shell can run.
    """
    return Check(text, undone)


vars(test)["__test__"] = False  # pytest takes an imported function of this name for a test


def positive_seconds(seconds: float | None, where: str = "timeout") -> float | None:
    """A time limit that can be kept.

    Raises:
        InvalidError: Not a number above 0.
    """
    if seconds is None:
        return None
    if not is_number(seconds) or seconds <= 0:
        raise InvalidError(f"{where}={seconds!r} cannot be", "give a positive number of seconds")
    return float(seconds)


def _stdin(value: str | bytes | Secret | None) -> bytes | Secret | None:
    if isinstance(value, str):
        refuse_mask(value, "stdin")
        value = octets(value, "stdin")
    elif value is not None and not isinstance(value, bytes | Secret):
        raise InvalidError(f"stdin is {kind(value)}", "give text, bytes or a Secret")
    if value is not None and len(value.raw if isinstance(value, Secret) else value) > STDIN_LIMIT:
        raise InvalidError(f"stdin is over {STDIN_LIMIT} bytes", "bring large content to the host as a file")
    return value


def _cwd(value: Any) -> str | None:
    return None if value is None else shell_text(os.fspath(value) if isinstance(value, os.PathLike) else value, "cwd")


def check_parse(parse: Callable[[str], Any] | None) -> None:
    """Refuse what cannot be called with a text.

    Raises:
        InvalidError: It is no function, is async, or takes more.
    """
    if parse is not None and not isinstance(parse, type):  # int, str, Secret
        remedy = "give a function from text to the value: parse=int"
        check_answers(parse, "parse", remedy)
        check_takes(parse, "parse", remedy, takes=1)


def _options(options: Options) -> dict[str, Any]:
    """Checked fields of a `Command`."""
    fields: dict[str, Any] = dict(options)
    unknown = fields.keys() - Options.__annotations__.keys()
    if unknown:
        raise InvalidError(f"unknown option {min(unknown)!r}", f"known are {', '.join(Options.__annotations__)}")
    check = fields.get("check")
    if check is not None and not isinstance(check, Check):
        fields["check"] = Check(check)
    for name in ("undo", "value"):
        if fields.get(name) is not None:
            fields[name] = shell_text(fields[name], name)
    for name in ("sensitive", "idempotent", "detached"):
        if not isinstance(fields.get(name, False), bool):
            raise InvalidError(f"{name}={fields[name]!r}", "write True or False")
    fields["cwd"] = _cwd(fields.get("cwd"))
    fields["stdin"] = _stdin(fields.get("stdin"))
    fields["become"] = as_become(fields.get("become"))
    fields["timeout"] = positive_seconds(fields.get("timeout"))
    if "ok_codes" in fields:
        fields["ok_codes"] = ok_code_set(fields["ok_codes"])
    capture = fields.get("capture", CAPTURE)
    if not is_whole(capture) or capture < 1:
        raise InvalidError(f"capture={capture!r} cannot be", "give a positive number of bytes")
    return fields


def _word(word: Any, place: int) -> Word:
    where = f"argument {place} of cmd"
    if type(word) is str:
        return clean_text(word, where)
    if isinstance(word, Secret):
        raise InvalidError(f"{where} is a Secret", "it would show in the process list: pass it with env= or stdin=")
    if isinstance(word, os.PathLike):
        word = os.fspath(word)
    elif isinstance(word, int | float) and not isinstance(word, bool):
        word = str(word)
    if not isinstance(word, str | bytes):
        raise InvalidError(f"{where} is {kind(word)}", "give text, bytes, a number or a path")
    return clean_text(word, where)


@overload
def cmd(*argv: WordLike, parse: Callable[[str], T], **options: Unpack[Options]) -> Action[T]: ...
@overload
def cmd(*argv: WordLike, parse: None = None, **options: Unpack[Options]) -> Action[Output]: ...
def cmd(*argv: WordLike, parse: Callable[[str], Any] | None = None, **options: Unpack[Options]) -> Action[Any]:
    """A program and its arguments, run as they are: no shell in between, nothing to quote.

    >>> str(cmd("install", "-d", "/srv/my app"))
    "install -d '/srv/my app'"

    Args:
        argv: Program, then arguments: text, bytes, numbers or paths.
        parse: From stdout (or the text of `value=`), trailing newlines removed, to the value.
        options: See `Options`.

    Raises:
        InvalidError: No program, one argument that holds a blank (it wanted `shell`), a `Secret` as argument,
            a NUL byte, an option that cannot be.
    """
    words = tuple(_word(word, place) for place, word in enumerate(argv))
    if not words or not words[0]:
        raise InvalidError("cmd() needs a program", 'for example cmd("systemctl", "restart", "app")')
    if len(words) == 1 and any(each.isspace() for each in os.fsdecode(words[0])):
        raise InvalidError(f"cmd({words[0]!r}) is one word with a blank", "use shell(…), or one argument a word")
    check_parse(parse)
    return Command(argv=words, parse=parse, **_options(options))


@overload
def shell(text: str, *, parse: Callable[[str], T], **options: Unpack[Options]) -> Action[T]: ...
@overload
def shell(text: str, *, parse: None = None, **options: Unpack[Options]) -> Action[Output]: ...
def shell(text: str, *, parse: Callable[[str], Any] | None = None, **options: Unpack[Options]) -> Action[Any]:
    """Shell text, run by the host's POSIX `sh`.

    Args:
        text: One or more lines.
        parse: From stdout (or the text of `value=`), trailing newlines removed, to the value.
        options: See `Options`.

    Raises:
        InvalidError: Empty text, a NUL byte, a `Secret` formatted into it, an option that cannot be.
    """
    check_parse(parse)
    return Command(text=shell_text(text, "shell text"), parse=parse, **_options(options))


@overload
def on_controller(function: Callable[[], Awaitable[T]]) -> Action[T]: ...
@overload
def on_controller(function: Callable[[], T]) -> Action[T]: ...
def on_controller(function: Callable[[], Any]) -> Action[Any]:
    """Call a function here, not on the host; in a thread, where it is not async. What it returns is the value.

    Raises:
        InvalidError: It cannot be called without arguments.
    """
    remedy = "give a function without arguments: on_controller(lambda: …)"
    if not callable(function):
        raise InvalidError(f"on_controller({function!r})", remedy)
    check_takes(function, "the function of on_controller", remedy, takes=0)
    return OnController(function)


def _reason(reason: Any, where: str) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidError(f"{where}({reason!r})", "say why, in a few words")
    return reason


def skip(reason: str) -> Action[Any]:
    """Nothing to do: Skipped, with this reason.

    Raises:
        InvalidError: The reason is no text, or empty.
    """
    return Skip(_reason(reason, "skip"))


def fail(reason: str) -> Action[Any]:
    """It cannot be done: Failed, with this reason.

    Raises:
        InvalidError: The reason is no text, or empty.
    """
    return Fail(_reason(reason, "fail"))


def value(known: T) -> Action[T]:
    """A value that is known without asking the host."""
    return Value(known)


def both(*actions: Action[Any]) -> Action[Any]:
    """Several actions as one, with one record; it stops at the first that fails. The value is the last one's.

    Raises:
        InvalidError: None given, or something that is no action.
    """
    flat: list[Action[Any]] = []
    for each in actions:
        if not isinstance(each, Action):
            raise InvalidError(f"both() got {kind(each)}", "give actions: cmd(…), shell(…)")
        flat.extend(each.actions if isinstance(each, Both) else (each,))
    if not flat:
        raise InvalidError("both() needs actions", "give at least one")
    return flat[0] if len(flat) == 1 else Both(tuple(flat))
