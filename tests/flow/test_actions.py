"""Builders of actions: what they make, and what they refuse."""

from __future__ import annotations

import json
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import kxflow as kx
from kxflow.values.action import Both, Check, Command, Fail, OnController, Skip, Value


def command(action: kx.Action[Any]) -> Command[Any]:
    """The command that an action is."""
    assert isinstance(action, Command)
    return action


def test_cmd_keeps_its_words_as_they_are() -> None:
    """Text, bytes, numbers and paths; nothing is quoted in the value."""
    made = command(kx.cmd("install", "-m", 644, b"a\xff", PurePosixPath("/srv/my app"), 0.5, "$HOME"))
    assert made.argv == ("install", "-m", "644", b"a\xff", "/srv/my app", "0.5", "$HOME")
    assert made.text is None


def test_cmd_shows_itself_as_a_shell_would_take_it() -> None:
    """Quoted, undecodable bytes escaped."""
    assert str(kx.cmd("echo", "it's", "a b", b"\xff")) == "echo 'it'\"'\"'s' 'a b' '\\xff'"


def test_a_program_with_arguments_may_hold_a_blank() -> None:
    """Only one word alone looks like shell text; an empty argument is one."""
    assert command(kx.cmd("/opt/my app/run", "")).argv == ("/opt/my app/run", "")


def test_shell_keeps_its_text() -> None:
    """Several lines, and what it shows is the text."""
    made = command(kx.shell("set -e\necho $HOME\n"))
    assert (made.text, made.argv) == ("set -e\necho $HOME\n", None)
    assert str(made) == "set -e\necho $HOME\n"


def test_options_have_quiet_defaults() -> None:
    """Nothing asked for is nothing set."""
    made = command(kx.shell("true"))
    assert made == Command(text="true")
    assert made.ok_codes == {0}
    assert (made.capture, made.timeout, dict(made.env)) == (8 * 1024 * 1024, None, {})
    assert not made.gives_value


def test_options_arrive_in_the_command() -> None:
    """Each in the form that it is kept in."""
    made = command(
        kx.cmd(
            "app",
            check="test -e /x",
            undo="rm /x",
            value="cat /x",
            env={"A": "1", "TOKEN": kx.Secret("hunter2")},
            cwd=PurePosixPath("/srv"),
            stdin="käse",
            become="app",
            timeout=5,
            ok_codes=[0, 3],
            parse=int,
            sensitive=True,
            capture=10,
            idempotent=True,
            detached=True,
        )
    )
    assert made == Command(
        argv=("app",),
        check=Check("test -e /x"),
        undo="rm /x",
        value="cat /x",
        env={"A": "1", "TOKEN": kx.Secret("hunter2")},
        cwd="/srv",
        stdin="käse".encode(),
        become=kx.Become("app"),
        timeout=5.0,
        ok_codes=frozenset({0, 3}),
        parse=int,
        sensitive=True,
        capture=10,
        idempotent=True,
        detached=True,
    )
    assert made.gives_value


def test_a_plain_string_check_means_undone_1() -> None:
    """`test` names other codes; 0 is never among them."""
    assert command(kx.cmd("a", check="true")).check == kx.test("true") == kx.test("true", undone=(1,))
    assert kx.test("grep -q x f", undone=[1, 2]).undone == {1, 2}


def test_stdin_takes_text_bytes_and_secrets() -> None:
    """Text becomes its UTF-8, surrogates that stand for a byte that byte."""
    secret = kx.Secret("s3cret")
    assert command(kx.cmd("a", stdin="\udcffé")).stdin == b"\xff\xc3\xa9"
    assert command(kx.cmd("a", stdin=b"\0")).stdin == b"\0"
    assert command(kx.cmd("a", stdin=secret)).stdin is secret
    assert command(kx.cmd("a", stdin="")).stdin == b""


def test_both_splices_and_keeps_the_order() -> None:
    """Grouping leaves no trace; of one alone it is that one."""
    a, b, c = kx.cmd("a"), kx.cmd("b"), kx.skip("why")
    assert kx.both(a, kx.both(b, c)) == kx.both(kx.both(a, b), c) == kx.both(a, b, c) == Both((a, b, c))
    assert kx.both(a) is a


def test_the_small_actions_hold_what_they_are_given() -> None:
    """A reason, a value, a function."""
    assert kx.skip("not here") == Skip("not here")
    assert kx.fail("no disk") == Fail("no disk")
    assert kx.value(None) == Value(None)
    assert kx.on_controller(time.time) == OnController(time.time)


async def later() -> int:
    """A function that has something to wait for."""
    return 7


@pytest.mark.parametrize("function", [later, lambda: 1, time.time, dict, lambda *rest: rest, lambda x=1: x])
def test_on_controller_takes_whatever_can_be_called_without_arguments(function: Any) -> None:
    """Async, a class, one that is not written in Python."""
    assert kx.on_controller(function) == OnController(function)


@pytest.mark.parametrize("parse", [int, str.strip, json.loads, kx.Secret, len, float, lambda text, *_: text, bool])
def test_parse_takes_whatever_can_be_called_with_a_text(parse: Any) -> None:
    """Classes, methods, builtins."""
    assert command(kx.cmd("a", parse=parse)).parse is parse


@pytest.mark.parametrize(
    "action",
    [kx.cmd("a"), kx.shell("a"), kx.skip("a"), kx.fail("a"), kx.value(1), kx.both(kx.cmd("a"), kx.cmd("b"))],
    ids=lambda action: type(action).__name__,
)
def test_an_action_has_no_truth_value(action: kx.Action[Any]) -> None:
    """It is a description: nothing is known of it before it ran."""
    with pytest.raises(TypeError, match="no truth value before it ran: return it from a step, and ask the result"):
        bool(action)


odd: Any = kx
SECRET = kx.Secret("hunter2-hunter2")


async def slow(text: str) -> str:
    """A parser that has no answer at once."""
    return text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (odd.cmd, 'cmd() needs a program: for example cmd("systemctl"'),
        (lambda: odd.cmd(""), "cmd() needs a program"),
        (lambda: odd.cmd("ls -l"), "cmd('ls -l') is one word with a blank: use shell(…)"),
        (lambda: odd.cmd("ls\t-l"), "is one word with a blank"),
        (lambda: odd.cmd(b"ls -l"), "is one word with a blank"),
        (lambda: odd.cmd("a", None), "argument 1 of cmd is a NoneType: give text, bytes, a number or a path"),
        (lambda: odd.cmd("a", True), "argument 1 of cmd is a bool"),
        (lambda: odd.cmd(["a", "b"]), "argument 0 of cmd is a list"),
        (lambda: odd.cmd("a", "\0"), "argument 1 of cmd holds a NUL byte"),
        (lambda: odd.cmd("a", b"x\0"), "argument 1 of cmd holds a NUL byte"),
        (lambda: odd.cmd("a", "\ud800"), "argument 1 of cmd holds surrogates that stand for no byte"),
        (lambda: odd.cmd("a", SECRET), "argument 1 of cmd is a Secret: it would show in the process list"),
        (lambda: odd.shell(5), "shell text is an int: give text"),
        (lambda: odd.shell(b"true"), "shell text is a bytes"),
        (lambda: odd.shell(" \n"), "shell text is empty: give shell text"),
        (lambda: odd.shell("a\0"), "shell text holds a NUL byte"),
        (lambda: odd.shell(SECRET), "shell text is a Secret: it would show"),
        (lambda: odd.shell("a", chek="b"), "unknown option 'chek': known are check, undo"),
        (lambda: odd.shell("a", check=5), "check is an int: give text"),
        (lambda: odd.shell("a", check=""), "check is empty"),
        (lambda: odd.shell("a", undo=["x"]), "undo is a list"),
        (lambda: odd.shell("a", value=" "), "value is empty"),
        (lambda: odd.shell("a", env=[("A", "b")]), 'env is a list: give a mapping: env={"LANG": "C"}'),
        (lambda: odd.shell("a", env={1: "b"}), "env name 1 cannot be one: use letters, digits and _"),
        (lambda: odd.shell("a", env={"A-B": "c"}), "env name 'A-B' cannot be one"),
        (lambda: odd.shell("a", env={"A=": "c"}), "env name 'A=' cannot be one"),
        (lambda: odd.shell("a", env={"Ä": "c"}), "env name 'Ä' cannot be one"),
        (lambda: odd.shell("a", env={"A": 1}), "env A is an int: give text or a Secret"),
        (lambda: odd.shell("a", env={"A": "\0"}), "env A holds a NUL byte"),
        (lambda: odd.shell("a", env={"A": kx.Secret("\0")}), "env A holds a NUL byte"),
        (lambda: odd.shell("a", cwd=5), "cwd is an int: give text"),
        (lambda: odd.shell("a", cwd=b"/x"), "cwd is a bytes"),
        (lambda: odd.shell("a", cwd=""), "cwd is empty"),
        (lambda: odd.shell("a", stdin=5), "stdin is an int: give text, bytes or a Secret"),
        (lambda: odd.shell("a", stdin="\ud800"), "stdin holds surrogates"),
        (
            lambda: odd.shell("a", stdin=bytes(16 * 1024 * 1024 + 1)),
            "stdin is over 16777216 bytes: bring",
        ),
        (lambda: odd.shell("a", become=True), 'become is a bool: write become="root"'),
        (lambda: odd.shell("a", become="-x"), "user '-x' is no login name"),
        (lambda: odd.shell("a", timeout=0), "timeout=0 cannot be: give a positive number of seconds"),
        (lambda: odd.shell("a", timeout="5"), "timeout='5' cannot be"),
        (lambda: odd.shell("a", timeout=True), "timeout=True cannot be"),
        (lambda: odd.shell("a", timeout=float("nan")), "timeout=nan cannot be"),
        (lambda: odd.shell("a", timeout=float("inf")), "timeout=inf cannot be"),
        (lambda: odd.shell("a", ok_codes=0), "ok_codes is an int: name exit statuses from 0 to 255: ok_codes=(0,)"),
        (lambda: odd.shell("a", ok_codes="0"), "ok_codes is a str"),
        (lambda: odd.shell("a", ok_codes=()), "ok_codes=() cannot be"),
        (lambda: odd.shell("a", ok_codes=(0, 256)), "ok_codes=(0, 256) cannot be"),
        (lambda: odd.shell("a", ok_codes=(0, [])), "ok_codes=(0, []) cannot be"),
        (lambda: odd.shell("a", ok_codes=(True,)), "ok_codes=(True,) cannot be"),
        (lambda: odd.shell("a", parse=5), "parse is an int: give a function from text to the value: parse=int"),
        (lambda: odd.shell("a", parse=lambda: 1), "parse cannot be called with an argument"),
        (lambda: odd.shell("a", parse=slow), "parse is async"),
        (lambda: odd.shell("a", sensitive="no"), "sensitive='no': write True or False"),
        (lambda: odd.shell("a", idempotent=1), "idempotent=1: write True or False"),
        (lambda: odd.shell("a", detached=None), "detached=None: write True or False"),
        (lambda: odd.shell("a", capture=0), "capture=0 cannot be: give a positive number of bytes"),
        (lambda: odd.shell("a", capture="8M"), "capture='8M' cannot be"),
        (lambda: odd.test(5), "check is an int: give text"),
        (lambda: odd.test(""), "check is empty"),
        (lambda: odd.test("a\0"), "check holds a NUL byte"),
        (lambda: odd.test(SECRET), "check is a Secret"),
        (lambda: odd.test("a", undone=1), "undone is an int: name exit statuses from 1 to 255 that mean not done"),
        (lambda: odd.test("a", undone=(0,)), "undone=(0,) cannot be"),
        (lambda: odd.test("a", undone=()), "undone=() cannot be"),
        (lambda: odd.test("a", undone=(1, "2")), "undone=(1, '2') cannot be"),
        (lambda: odd.test("a", undone=(300,)), "undone=(300,) cannot be"),
        (lambda: odd.skip(5), "skip(5): say why"),
        (lambda: odd.skip(" "), "skip(' '): say why"),
        (lambda: odd.fail(None), "fail(None): say why"),
        (lambda: odd.on_controller(5), "on_controller(5): give a function without arguments"),
        (
            lambda: odd.on_controller(lambda host: host),
            "cannot be called with no arguments: missing",
        ),
        (odd.both, "both() needs actions: give at least one"),
        (lambda: odd.both(kx.cmd("a"), "b"), "both() got a str: give actions"),
        (lambda: odd.both(kx.command("a", "b")), "both() got a Step: give actions"),
        (lambda: odd.both([kx.cmd("a")]), "both() got a list"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda text: odd.cmd("a", text),
        lambda text: odd.cmd("a", text.encode()),
        odd.cmd,
        odd.shell,
        lambda text: odd.shell("a", check=text),
        lambda text: odd.shell("a", check=kx.test(text)),
        lambda text: odd.shell("a", undo=text),
        lambda text: odd.shell("a", value=text),
        lambda text: odd.shell("a", cwd=text),
        lambda text: odd.shell("a", cwd=Path(text)),
        lambda text: odd.shell("a", env={"A": text}),
        lambda text: odd.shell("a", stdin=text),
        lambda text: odd.command("a", text),
        lambda text: odd.command("a", ["x", text]),
    ],
)
def test_a_secret_formatted_into_a_command_is_refused(make: Any) -> None:
    """Only its mask would arrive, and the step would do something else than meant."""
    with pytest.raises(kx.InvalidError, match=r"holds a Secret as text: pass the Secret with env= or stdin="):
        make(f"login--{SECRET}")
