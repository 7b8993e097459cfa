"""Programs as text: right for every shell, constant where the login shell sees them, silent about secrets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.shell.compile import bootstrap
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op, Program
from kxflow.shell.quote import escaped, quote, to_bytes
from kxflow.values.action import Check, Command
from kxflow.values.host import Become
from tests.shell.host import NONCE, SHELLS, compiled, sh_is

TEXT = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
WORDS = st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"")), max_size=4)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
BECOMES = st.builds(
    Become,
    st.sampled_from(["root", "deploy", "a.b-c"]),
    password=st.none() | st.just("s3cret-pass'word"),
    method=st.sampled_from(["sudo", "su"]),
)


@st.composite
def commands(draw: st.DrawFn) -> Command[Any]:
    """Any command at all."""
    argv = None if draw(st.booleans()) else (b"prog", *draw(WORDS))
    return Command(
        argv=argv,
        text=draw(TEXT) if argv is None else None,
        check=draw(
            st.none()
            | st.builds(Check, TEXT.filter(str.strip), st.frozensets(st.integers(1, 255), min_size=1, max_size=3))
        ),
        value=draw(st.none() | TEXT),
        env=draw(st.dictionaries(NAMES, TEXT, max_size=2)),
        cwd=draw(st.none() | TEXT.filter(bool)),
        stdin=draw(st.none() | st.binary(max_size=40)),
        become=draw(st.none() | BECOMES),
        timeout=draw(st.none() | st.floats(0.01, 1e6)),
        ok_codes=draw(st.frozensets(st.integers(0, 255), min_size=1, max_size=3)),
        detached=draw(st.booleans()),
    )


@st.composite
def programs(draw: st.DrawFn) -> list[Op]:
    """Any ops, some of them parts of one step."""
    found: list[Op] = []
    group = -1
    for command in draw(st.lists(commands(), max_size=6)):
        group += 1 if group < 0 or draw(st.booleans()) else 0
        found.append(Op(index=len(found), command=command, group=group, go_on=draw(st.booleans())))
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_the_program_of_any_ops_is_valid_for_every_shell(shell: str) -> None:
    """Whatever words, texts and names are in it, `sh -n` reads it to its end."""
    with sh_is(shell) as env:

        @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(ops=programs())
        def check(ops: list[Op]) -> None:
            body = compiled(ops).body
            done = subprocess.run(["sh", "-n"], input=body, env=env, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr

        check()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ops=programs())
def test_argv_is_of_one_length_and_one_form_whatever_the_ops(ops: list[Op]) -> None:
    """The login shell and the process list see a line that tells nothing, not even how much there is to do."""
    program, other = compiled(ops), compiled([])
    assert program.argv[:2] == other.argv[:2] == ("sh", "-c")
    assert len(program.argv) == 3
    assert program.argv[2] == other.argv[2]


def test_the_line_is_nothing_to_other_shells() -> None:
    """Inside single quotes csh takes `!`, fish a backslash, and all of them a quote."""
    assert not set(bootstrap(b"")[0]) & set("'\\!\n")


def test_secrets_are_in_the_body_alone() -> None:
    """Not in argv, not in what a program shows of itself."""
    secret = "hunter2-hunter2"
    command: Command[Any] = Command(
        argv=("app",), env={"T": kx.Secret(secret)}, stdin=kx.Secret(secret), become=Become(password=secret)
    )
    program = compiled([Op(index=0, command=command, group=0)])
    assert secret.encode() in program.body
    assert secret not in " ".join(program.argv)
    assert secret not in repr(program)
    assert NONCE not in " ".join(program.argv) + repr(program)


def test_a_password_that_holds_a_newline_or_nul_is_refused() -> None:
    """It would end early and the rest of it would be run as a program."""
    for password in ("right\n", "a\nb", "a\0b", b"x\r\n"):
        with pytest.raises(kx.InvalidError, match="password"):
            Become(password=password)


def test_text_that_no_bytes_stand_for_is_refused_when_the_action_is_built() -> None:
    """A lone surrogate is the caller's mistake, not something to fall over in the middle of a run."""
    builds: list[Callable[[], object]] = [
        lambda: kx.cmd("x", "\ud800"),
        lambda: kx.shell("echo \ud800"),
        lambda: kx.shell("x", check="\ud800"),
        lambda: kx.shell("x", value="\ud800"),
        lambda: kx.shell("x", env={"A": "\ud800"}),
        lambda: kx.shell("x", cwd="\ud800"),
        lambda: kx.shell("x", stdin="\ud800"),
    ]
    for build in builds:
        with pytest.raises(kx.InvalidError):
            build()


def test_the_connections_user_is_used_where_a_command_names_none() -> None:
    """And only there; the program says which user each op has."""
    own, mine = Become("root"), Become("deploy")
    ops = [
        Op(index=0, command=Command(text="a"), group=0),
        Op(index=1, command=Command(text="b", become=mine), group=1),
    ]
    assert [op.command.become for op in compiled(ops, connect_become=own).ops] == [own, mine]
    assert [op.command.become for op in compiled(ops).ops] == [None, mine]


def test_neighbours_of_one_user_share_one_escalation() -> None:
    """One sudo for each run of them, not one for each step."""
    root, deploy = Become("root"), Become("deploy")
    users = [root, root, None, deploy, deploy, root]
    ops = [Op(index=i, command=Command(text="x", become=who), group=i) for i, who in enumerate(users)]
    assert compiled(ops).body.count(b"\nkx_become\n") == 3


def test_a_step_costs_few_bytes() -> None:
    """A thousand short steps fit into a program of some 100 KB."""
    one, many = (_size([Command(text="true")] * n) for n in (1, 1001))
    assert (many - one) / 1000 < 200


def _size(all_of: list[Command[Any]]) -> int:
    return len(compiled([Op(index=i, command=each, group=i) for i, each in enumerate(all_of)]).body)


def test_compile_depends_on_nothing_but_its_arguments() -> None:
    """Equal ops and nonce, equal bytes; another nonce, others."""
    ops = [Op(index=0, command=Command(text="x", become=Become(password="p")), group=0)]
    first: Program = compile_program(ops, nonce="a" * 32)
    assert first == compile_program(ops, nonce="a" * 32)
    assert evolve(first, body=b"", nonce="") == evolve(compile_program(ops, nonce="b" * 32), body=b"", nonce="")
    assert first.body != compile_program(ops, nonce="b" * 32).body


@given(word=st.one_of(TEXT, st.binary(max_size=30)))
def test_quoted_words_come_apart_again(word: str | bytes) -> None:
    """The bytes between the quotes, with their breaks mended, are the word's."""
    quoted = quote(word)
    assert quoted[:1] == quoted[-1:] == b"'"
    assert quoted[1:-1].replace(b"'\\''", b"'") == to_bytes(word)


@given(data=st.binary(max_size=60))
def test_escapes_hold_no_nul_and_stand_for_the_same_bytes(data: bytes) -> None:
    """As the rules of `printf %b` read them."""
    found = escaped(data)
    assert b"\0" not in found
    inner = found[1:-1].replace(b"'\\''", b"'")
    parts = [part.replace(b"\\0000", b"\0") for part in inner.split(b"\\\\")]
    assert b"\\".join(parts) == data
