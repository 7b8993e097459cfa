"""Programs run by each shell that may be a host's `sh`: byte for byte what was meant, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.shell import frames
from kxflow.shell.compile import KILL, STOP
from kxflow.shell.program import Op
from kxflow.shell.quote import escaped
from kxflow.testing.fleet import until
from kxflow.values.action import Check, Command
from kxflow.values.host import Become
from kxflow.values.output import Output
from tests.shell.host import CUT, SHELLS, Talk, compiled, ops_of, sh_is, talk

ANY_BYTES = bytes(range(256))
WORD = st.one_of(
    st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"")),
    st.sampled_from(
        [b"", b"-", b"--", b"-n", b"~", b"*", b"$x", b"`id`", b"'", b'"', b"\\", b"!", b"\n", b"\x81", b"\xff"]
    ),
)
FEW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(params=SHELLS)
def env(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """An environment whose `sh` is one of them."""
    with sh_is(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def all_of_them() -> Iterator[list[dict[str, str]]]:
    """Environments of all of them, for tests that mostly wait."""
    with ExitStack() as stack:
        yield [stack.enter_context(sh_is(shell)) for shell in SHELLS]


def side_by_side(envs: list[dict[str, str]], one: Callable[[dict[str, str]], Any]) -> list[Any]:
    """The same in every shell at once."""
    with ThreadPoolExecutor(len(envs)) as pool:
        return list(pool.map(one, envs))


def ends(env: dict[str, str], commands: Sequence[Command[Any]], **options: Any) -> list[frames.Ended]:
    """What became of these, one step each, all of which end."""
    its = talk(compiled(ops_of(commands)), env, **options)
    assert its.last == frames.Done("end")
    assert its.code == 0
    ended = its.ended()
    assert sorted(ended) == list(range(len(commands)))
    return list(ended.values())


def sh(text: str, **options: Any) -> Command[Any]:
    """A command of shell text."""
    made = kx.shell(text, **options)
    assert isinstance(made, Command)
    return made


def argv(*words: Any, **options: Any) -> Command[Any]:
    """A command of words."""
    made = kx.cmd(*words, **options)
    assert isinstance(made, Command)
    return made


# -- byte for byte --


def test_argv_arrives_byte_for_byte(env: dict[str, str]) -> None:
    """Any bytes but NUL, empty words too."""

    @FEW
    @given(lists=st.lists(st.lists(WORD, min_size=1, max_size=5), min_size=15, max_size=15))
    def check(lists: list[list[bytes]]) -> None:
        commands = [argv("printf", r"%s\000", *words) for words in [[ANY_BYTES[1:]], *lists]]
        for words, ended in zip([[ANY_BYTES[1:]], *lists], ends(env, commands), strict=True):
            assert ended.stdout.data == b"".join(word + b"\0" for word in words)
            assert (ended.exit_code, ended.stderr.data) == (0, b"")

    check()


def test_environment_arrives_byte_for_byte_and_stays_in_its_step(env: dict[str, str]) -> None:
    """Check, run and value have it; the next step has not."""

    @FEW
    @given(values=st.lists(st.tuples(WORD, WORD), min_size=8, max_size=8))
    def check(values: list[tuple[bytes, bytes]]) -> None:
        given = [{"KX_A": one.decode("utf-8", "surrogateescape"), "KX_B": kx.Secret(two)} for one, two in values]
        commands: list[Command[Any]] = []
        for each in given:
            commands.append(argv("printenv", "-0", "KX_A", "KX_B", env=each))
            again = "printenv -0 KX_A KX_B"
            commands.append(sh(f"{again} >&2", check=f"{again} >/dev/null; exit 1", value=again, env=each))
            commands.append(sh("echo ${KX_A-unset}${KX_B-unset}"))
        found = ends(env, commands)
        for place, (one, two) in enumerate(values):
            plain, three, none = found[3 * place : 3 * place + 3]
            whole = one + b"\0" + two + b"\0"
            assert plain.stdout.data == whole
            assert (three.stderr.data, three.value) == (whole, whole)
            assert none.stdout.data == b"unsetunset\n"

    check()


def test_stdin_arrives_byte_for_byte_and_unread_stdin_hurts_nobody(env: dict[str, str]) -> None:
    """All 256 values, of any length, also where the step reads a part of it or nothing."""

    @FEW
    @given(inputs=st.lists(st.binary(max_size=300), min_size=10, max_size=10))
    def check(inputs: list[bytes]) -> None:
        inputs = [*inputs, ANY_BYTES * 4, b"\n\n", b"\\0\\\\n%%s%c", b"\0" * 70_000, ANY_BYTES[::-1] * 1000]
        commands = [argv("cat", stdin=each) for each in inputs]
        commands += [sh("true", stdin=b"x" * 300_000), sh("read -r x; echo $x", stdin=b"one\ntwo\n"), argv("cat")]
        found = ends(env, commands)
        for data, ended in zip(inputs, found, strict=False):
            assert ended.stdout == Output.of(data)
        assert [ended.stdout.data for ended in found[-3:]] == [b"", b"one\n", b""]
        assert [ended.exit_code for ended in found[-3:]] == [0, 0, 0]

    check()


def test_ten_megabytes_of_stdin_arrive_within_seconds(all_of_them: list[dict[str, str]]) -> None:
    """The program is read block by block and not byte by byte."""
    data = os.urandom(10_000_000)

    def one(env: dict[str, str]) -> Output:
        return ends(env, [argv("cat", stdin=data)], seconds=60)[0].stdout

    assert side_by_side(all_of_them, one) == [Output.of(data)] * len(all_of_them)


@pytest.mark.parametrize("case", ["no word of flags", "no full blocks"])
def test_a_simpler_dd_reads_the_program_too(case: str, all_of_them: list[dict[str, str]], tmp_path: Path) -> None:
    """One that refuses `iflag=` has read nothing; one that takes it for nothing gives what a pipe holds."""
    refuse = {"no word of flags": "exit 1", "no full blocks": 'shift; exec "$real" "$@"'}[case]
    simple = tmp_path / "dd"
    simple.write_text(
        f'#!/bin/sh\nreal={shutil.which("dd")}\ncase $1 in iflag=*) {refuse} ;; esac\nexec "$real" "$@"\n'
    )
    simple.chmod(0o755)
    commands = [sh(f"echo {i}; : {'x' * 10_000}") for i in range(60)]
    wanted = [b"%d\n" % i for i in range(60)]

    def one(env: dict[str, str]) -> bool:
        found = ends({**env, "PATH": f"{tmp_path}:{env['PATH']}"}, commands)
        return [each.stdout.data for each in found] == wanted

    assert all(side_by_side(all_of_them, one))


@frozen
class Meant:
    """A command and what is to come of it.

    Attributes:
        how, code: As in `frames.Ended`.
        out, err: None where the shell's own words may be in it.
    """

    command: Command[Any]
    how: str
    code: int
    out: bytes
    err: bytes | None
    value: bytes | None = None

    @property
    def well(self) -> bool:
        """The program goes on."""
        return self.how == "held" or (self.how == "ran" and self.code in self.command.ok_codes)


@st.composite
def meant(draw: st.DrawFn) -> Meant:
    """A command of many kinds, and what it means."""
    data = draw(st.binary(max_size=20))
    out, err = draw(st.sampled_from([(data, b""), (b"", data), (data, data)]))
    code = draw(st.sampled_from([0, 0, 0, 1, 3, 77, 126, 255]))
    ok = draw(st.sampled_from([frozenset({0}), frozenset({0, 3}), frozenset({1, 255})]))
    way = (
        {(True, False): "cat", (False, True): "cat >&2", (True, True): "tee /dev/fd/2"}[bool(out), bool(err)]
        if data
        else "true"
    )
    folder = draw(st.sampled_from([None, None, "/", "/usr/../usr", "/no such\nfolder", "-"]))
    asks = draw(st.sampled_from([None, None, 0, 1, 2, 9]))
    value = draw(st.sampled_from([None, None, (0, data), (4, data)]))
    command: Command[Any] = Command(
        text=f"{way}; exit {code}",
        stdin=data,
        ok_codes=ok,
        cwd=folder,
        check=None if asks is None else Check(f"echo asked; exit {asks}", frozenset({1, 2})),
        value=None if value is None else _says(value[1], value[0]),
    )
    if folder not in (None, "/", "/usr/../usr"):
        return Meant(command, "cwd", 1, b"", None)
    if asks == 9:
        return Meant(command, "check_failed", 9, b"asked\n", b"")
    if asks != 0 and code not in ok:
        return Meant(command, "ran", code, out, err)
    if value is not None and value[0]:
        return Meant(command, "value_failed", 4, b"" if asks == 0 else out, b"")
    given = None if value is None else value[1]
    if asks == 0:
        return Meant(command, "held", 0, b"", b"", given)
    return Meant(command, "ran", code, out, err, given)


def _says(data: bytes, code: int) -> str:
    """Shell text that writes these bytes and ends so."""
    return f"printf %b {escaped(data).decode('utf-8', 'surrogateescape')}; exit {code}"


def expected(ops: Sequence[Op], of: Sequence[Meant]) -> list[frames.Event]:
    """What a program of these does, by the rules: halt, go on, leave out."""
    events: list[frames.Event] = [frames.Up(b"")]
    broken: int | None = None
    for op, its in zip(ops, of, strict=True):
        if op.group == broken:
            continue
        events += [frames.Began(op.index), _end(op.index, its)]
        if its.well:
            continue
        if not op.go_on:
            return [*events, frames.Done("halt")]
        broken = op.group
    return [*events, frames.Done("end")]


def _end(index: int, its: Meant) -> frames.Ended:
    err = Output.of(its.err or b"")
    return frames.Ended(index, its.how, its.code, _signal(its), Output.of(its.out), err, its.value, False)


def _signal(its: Meant) -> str | None:
    from kxflow.shell.endings import signal_name

    return signal_name(its.code) if its.how == "ran" else None


def test_programs_do_what_their_ops_say(env: dict[str, str], tmp_path: Path) -> None:
    """Checks, values, folders, statuses, groups, halting: every event is the one that the rules give."""

    @settings(FEW, max_examples=10)
    @given(
        all_of=st.lists(st.tuples(meant(), st.booleans(), st.booleans()), min_size=1, max_size=10),
    )
    def check(all_of: list[tuple[Meant, bool, bool]]) -> None:
        ops: list[Op] = []
        for its, joins, goes_on in all_of:
            before = ops[-1] if ops and joins else None
            group = before.group if before else len(ops)
            go_on = before.go_on if before else goes_on
            ops.append(Op(index=len(ops), command=its.command, group=group, go_on=go_on))
        its_ = talk(compiled(ops), env, cwd=tmp_path)
        wanted = expected(ops, [its for its, _, _ in all_of])
        assert [_known(each, all_of) for each in its_.events] == wanted

    check()


def _known(event: frames.Event, all_of: list[tuple[Meant, bool, bool]]) -> frames.Event:
    """An event without a shell's own words."""
    if isinstance(event, frames.Ended) and all_of[event.index][0].err is None:
        assert event.stderr.size > 0
        return evolve(event, stderr=Output())
    return event


# -- what steps may try --

RUDE = {
    "exit": ("exit 3", 3),
    "set -e": ("set -e; false; echo no", 1),
    "set -u": ("set -u; echo $kx_no_such_thing; echo no", None),
    "syntax": ("echo a; )(", None),
    "open quote": ("echo 'a", None),
    "backslash": ("true \\", 0),
    "here-document": ("cat >/dev/null <<E\nx\nE", 0),
    "trap": ("trap 'exit 9' EXIT; trap '' USR1 USR2 ALRM TERM PIPE", 9),
    "wait": ("wait; sleep 0.05 & wait", 0),
    "closed": ("exec >&- 2>&- <&-", 0),
    "lease": ("cat; cat <&3; read x; exit 5", 5),
    "unset PATH": ("unset PATH; PATH=; export PATH; kx_none_such", 127),
    "functions": ("kx_w() { :; }; kx_a() { :; }; kx_e() { kx_r=0; }; printf() { :; }; kill() { :; }; exit 4", 4),
    "variables": ("kx_n=; kx_h=stop; kx_q=1; kx_stop=1; kx_r=0; kx_c0=9; kx_d=/; kx_g=1; kx_t=1; exit 6", 6),
    "readonly": ("readonly kx_h=stop; readonly kx_stop=1; exit 7", 7),
    "aliases": ("alias printf=true kx_w=true exit=true 2>/dev/null; sh -c 'exit 8'", 8),
    "folder and mask": ("umask 777; cd /; exit 1", 1),
    "limits": ("ulimit -n 4; ulimit -f 0; exit 1", 1),
    "killed": ("true; sh -c 'kill -9 $$'", 137),
    "kills itself": ("exec sh -c 'kill -9 $$'", 137),
    "background": ("(sleep 0.2; echo late) & echo soon", 0),
    "options": ("set -fax; set -n; exit 2", None),
    "positional": ('set -- a b; shift; test "$1$#" = b1', 0),
    "ends itself by its pid": ("kill -s USR2 $$; echo no", 140),
    "loop": ("while :; do break; done; for i in 1; do continue; done", 0),
}


def test_no_step_can_spoil_another_or_hide_its_own_end(env: dict[str, str], tmp_path: Path) -> None:
    """Between any two such steps an ordinary one does as always, and each ends with its own status."""
    plain = sh("umask; pwd; echo ${kx_n-no nonce} $PATH; cat; type printf >/dev/null; ulimit -f")
    commands = [plain]
    for text, _ in RUDE.values():
        commands += [sh(text), plain]
    found = ends(env, commands, cwd=tmp_path)
    ordinary = found[0::2]
    assert {each.exit_code for each in ordinary} == {0}
    kept = [each.stdout.data.replace(b"late\n", b"") for each in ordinary]
    assert set(kept) == {kept[0]}
    assert b"no nonce" in kept[0]
    codes = {name: ended.exit_code for name, ended in zip(RUDE, found[1::2], strict=True)}
    assert {name: codes[name] for name, (_, code) in RUDE.items() if code is not None} == {
        name: code for name, (_, code) in RUDE.items() if code is not None
    }
    assert codes["syntax"] != 0
    assert codes["open quote"] != 0
    assert codes["set -u"] != 0


def test_a_step_that_ends_the_program_itself_gives_no_end(env: dict[str, str]) -> None:
    """Whatever its status may be: there is no end frame, so there is no success and no failure."""
    above = "true $$; kill"  # in a shell of its own, whose parent is the program
    for text in (f"{above} -9 $PPID", "kill -9 0", f"{above} -s ALRM $PPID; kill -9 $PPID", "kill -s TERM 0"):
        its = talk(compiled(ops_of([sh("echo a"), sh(text), sh("echo c")])), env)
        assert list(its.ended()) == [0]
        assert its.last == frames.Began(1)
        assert its.reader.partial()[0] == 1


def test_a_step_that_a_signal_ends_wrote_only_what_it_wrote(env: dict[str, str]) -> None:
    """What a shell says of its children's ends (`Killed`, `Terminated`) is the program's business, not the step's."""
    texts = [f"echo out; echo err >&2; kill -s {name} $$" for name in ("TERM", "KILL", "SEGV", "INT", "PIPE")]
    ways: list[Command[Any]] = [sh(f"ulimit -c 0; {text}", stdin=b"in") for text in texts]
    ways += [argv("sh", "-c", f"ulimit -c 0; {text}") for text in texts]
    ended = ends(env, [*ways, sh("false", check=f"ulimit -c 0; {texts[1]}")])
    assert {each.stdout.data for each in ended} == {b"out\n"}
    assert {each.stderr.data for each in ended} == {b"err\n"}
    assert [each.signal for each in ended] == ["TERM", "KILL", "SEGV", "INT", "PIPE"] * 2 + [None]
    assert (ended[-1].how, ended[-1].exit_code) == ("check_failed", 137)


def test_a_step_knows_its_own_pid(env: dict[str, str], tmp_path: Path) -> None:
    """As in `sh -c`: what the step becomes is found under the number that it wrote down; in a check and a value too."""
    becomes = "exec sh -c 'echo $$'"
    elsewhere = {"PATH": str(tmp_path / "bin")}
    commands = [
        sh(f"echo $$ >a; {becomes}"),
        sh('echo "${$}"' + f" >b; {becomes}"),
        sh(f": {'x' * 400_000}; echo $$ >c; {becomes}"),
        sh("false", check="echo $$ >d; exec sh -c 'test $$ = \"$(cat d)\"'", value=f"echo $$ >e; {becomes}"),
        sh("echo $$ >f; echo $$", env=elsewhere),
    ]
    found = ends(env, commands, cwd=tmp_path)
    assert [each.exit_code for each in found] == [0] * len(commands)
    assert found[3].how == "held"
    said = [each.stdout.data for each in found[:3]] + [found[3].value, found[4].stdout.data]
    assert said == [(tmp_path / name).read_bytes() for name in "abcef"]
    assert len(set(said)) == len(said)


def test_who_asks_for_its_pid_has_its_stdin_and_shows_its_text_to_nobody(env: dict[str, str], tmp_path: Path) -> None:
    """Not among arguments, and not in the environment of what it starts."""
    commands = [sh(": $$ canary; cat; env; cat /proc/$$/cmdline /proc/self/environ", stdin=b"in\n")]
    (found,) = ends(env, commands, cwd=tmp_path)
    assert found.exit_code == 0
    assert found.stdout.data.startswith(b"in\n")
    assert b"canary" not in found.stdout.data
    assert b"kx_t" not in found.stdout.data.replace(b"unset kx_t0\n$kx_t0", b"")


def test_what_a_step_sees_is_what_sh_c_would_give_it(env: dict[str, str]) -> None:
    """No variable, no descriptor, no signal disposition of the program's own; not even with an odd environment."""
    odd = {**env, "kx_n": "x", "kx_pw": "x", "kx_r": "x", "SHELLOPTS": "allexport:errexit:noglob:nounset:pipefail"}
    seen = (
        "env | grep '^kx_'; ls /proc/self/fd | wc -l; echo *; grep Sig[IC] /proc/self/status; false | true; echo $? $#"
    )
    commands = [sh(f"cd /; {seen}"), sh("true", stdin=b"x" * 5_000_000), sh("env | grep '^kx_'")]
    clean, polluted = (ends(each, commands) for each in (env, odd))
    bare = subprocess.run(
        ["sh", "-c", f"cd /; {seen}"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert clean[0].stdout.data == bare.stdout
    inherited = [b"kx_n=x\n", b"kx_pw=x\n"]  # were exported by others; ours never are
    assert polluted[1].exit_code == 0
    assert not any(each in polluted[2].stdout.data for each in inherited)
    for ended in polluted:
        assert compiled([]).nonce.encode() not in ended.stdout.data


# -- endings --


def sessions(leader: int) -> list[int]:
    """Who is in a session, zombies apart."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_bytes().rpartition(b") ")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[3]) == leader and fields[0] != b"Z":
            found.append(int(entry.name))
    return found


@frozen
class Ending:
    """How a program came to its end.

    Attributes:
        its: What was said.
        left: Processes of its session that are there afterwards.
    """

    its: Talk
    left: list[int]


def ending(
    env: dict[str, str], commands: Sequence[Command[Any]], at: int, act: Callable[[subprocess.Popen[bytes]], object]
) -> Ending:
    """Run these, do something when one has begun, and see what is left."""
    leader: list[int] = []

    def watch(event: frames.Event, child: subprocess.Popen[bytes]) -> object:
        leader[:] = [child.pid]
        return act(child) if event == frames.Began(at) else None

    its = talk(compiled(ops_of(commands)), env, act=watch)
    until(lambda: not sessions(leader[0]), "the session is empty", 5)
    return Ending(its, sessions(leader[0]))


def wrote(its: Talk) -> tuple[int | None, bytes, bytes]:
    """What the op in progress wrote."""
    index, out, err = its.reader.partial()
    return index, out.data, err.data


STUBBORN = "trap '' TERM; echo out; echo err >&2; /bin/sleep 600 & /bin/sleep 600"


def tell(line: bytes) -> Callable[[subprocess.Popen[bytes]], Any]:
    """Write a line to the lease."""

    def write(child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        os.write(child.stdin.fileno(), line)

    return write


def test_stop_lets_the_step_in_progress_end_and_no_other_begin(all_of_them: list[dict[str, str]]) -> None:
    """The program says so itself."""

    def one(env: dict[str, str]) -> list[Any]:
        commands = [sh("sleep 0.3; echo whole"), sh("echo never")]
        return [ending(env, commands, 0, tell(STOP)).its.events]

    for (events,) in side_by_side(all_of_them, one):
        assert [type(each).__name__ for each in events] == ["Up", "Began", "Ended", "Done"]
        assert events[2].stdout.data == b"whole\n"
        assert events[3] == frames.Done("stop")


@pytest.mark.parametrize("detached", [False, True])
def test_kill_ends_even_what_ignores_term_and_says_that_it_is_dead(
    all_of_them: list[dict[str, str]], detached: bool
) -> None:
    """Also a detached step, which has left the session; what it wrote is known."""
    mark = f"7{os.getpid()}{detached:d}"
    commands = [sh("true"), sh(STUBBORN.replace("600", mark), detached=detached), sh("echo never")]
    all_here = threading.Barrier(len(all_of_them))

    def act(child: subprocess.Popen[bytes]) -> None:
        until(lambda: running(mark) >= 2 * len(all_of_them), "all run", 10)
        all_here.wait(10)
        tell(KILL)(child)

    for each in side_by_side(all_of_them, lambda env: ending(env, commands, 1, act)):
        assert each.its.last == frames.Killed(1, "kill", True)
        assert list(each.its.ended()) == [0]
        assert wrote(each.its) == (1, b"out\n", b"err\n")
    assert not running(mark)


def sleeping(mark: str) -> list[int]:
    """Processes that sleep so long."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"sleep\0{mark}\0".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def running(mark: str) -> int:
    """How many processes sleep so long."""
    return len(sleeping(mark))


def test_the_hosts_own_clock_ends_a_step_that_nobody_ends_from_outside(all_of_them: list[dict[str, str]]) -> None:
    """Nothing is written to the lease: the timer alone says `timeout`, with the death confirmed."""
    commands = [sh("echo a", timeout=1.0), sh(STUBBORN, timeout=1.0), sh("echo never")]
    for each in side_by_side(all_of_them, lambda env: ending(env, commands, 9, lambda _: None)):
        assert each.its.last == frames.Killed(1, "timeout", True)
        assert wrote(each.its) == (1, b"out\n", b"err\n")


def test_timers_do_not_end_steps_that_are_in_time(all_of_them: list[dict[str, str]]) -> None:
    """A new watch for the next step once the old one has ticked: together they may take longer than one may."""
    commands = [sh("sleep 0.7; echo a", timeout=1.4), *[sh("sleep 0.7; echo b", timeout=1.4)] * 5]
    for found in side_by_side(all_of_them, lambda env: ends(env, commands)):
        assert [each.stdout.data for each in found] == [b"a\n", *[b"b\n"] * 5]


def test_the_end_of_the_lease_ends_everything(all_of_them: list[dict[str, str]]) -> None:
    """Also where nobody reads what is said: a closed connection closes all three streams."""
    for each in side_by_side(all_of_them, lambda env: ending(env, [sh("true"), sh(STUBBORN)], 1, lambda _: CUT)):
        assert list(each.its.ended()) == [0]
        assert not each.left


@pytest.mark.parametrize("end", ["kill", "lease"])
def test_what_a_step_runs_in_a_session_of_its_own_is_ended_with_it(all_of_them: list[dict[str, str]], end: str) -> None:
    """It descends from the step; a daemon, whose parent has ended, does not."""
    mark, daemon = f"8{os.getpid()}1", f"8{os.getpid()}2"
    inner = f"setsid /bin/sleep {mark} & setsid sh -c 'trap \"\" TERM; /bin/sleep {mark}; true'"
    commands = [sh(f"(setsid /bin/sleep {daemon} >/dev/null 2>&1 &)"), sh(f"{inner}; true"), sh("echo never")]
    all_here = threading.Barrier(len(all_of_them))

    def act(child: subprocess.Popen[bytes]) -> object:
        until(lambda: running(mark) >= 2 * len(all_of_them), "all run", 10)
        all_here.wait(10)
        return tell(KILL)(child) if end == "kill" else CUT

    try:
        for each in side_by_side(all_of_them, lambda env: ending(env, commands, 1, act)):
            assert end == "lease" or each.its.last == frames.Killed(1, "kill", True)
        until(lambda: not running(mark), "nothing of the step is left", 5)
        assert running(daemon) == len(all_of_them)
    finally:
        for pid in sleeping(daemon):
            os.kill(pid, signal.SIGKILL)


def test_a_detached_step_survives_the_end_of_the_lease(all_of_them: list[dict[str, str]], tmp_path: Path) -> None:
    """It goes on to its end in a session of its own; the program does not."""

    def one(env: dict[str, str]) -> None:
        made = tmp_path / Path(env["PATH"].split(":", maxsplit=1)[0]).name
        text = f"touch '{made}'; sleep 0.5; echo done > '{made}'"

        def cut(_: object) -> object:
            until(made.exists, "the detached step began", 5)
            return CUT

        ending(env, [sh(text, detached=True), sh("echo never")], 0, cut)
        until(lambda: made.exists() and made.read_text() == "done\n", "the detached step ended", 5)

    side_by_side(all_of_them, one)


def test_a_stopped_step_is_ended_by_the_clock(all_of_them: list[dict[str, str]]) -> None:
    """SIGSTOP hinders TERM, not KILL."""
    for each in side_by_side(
        all_of_them, lambda env: ending(env, [sh("exec sh -c 'kill -STOP $$; exit 7'", timeout=0.5)], 9, lambda _: None)
    ):
        assert each.its.last == frames.Killed(0, "timeout", True)


SUDO = """#!/bin/sh
case "$*" in *"-n -k"*) sleep 0.3; exit 1 ;; esac
while [ "$1" != -- ]; do shift; done
shift
IFS= read -r password
exec "$@"
"""
"""Asks for a password, takes any, and takes its time."""


def test_a_stop_while_a_password_is_checked_reaches_the_other_users_program(env: dict[str, str]) -> None:
    """It was told before that user's first step could begin, so none begins."""
    fake = Path(env["PATH"].split(":", maxsplit=1)[0]) / "sudo"
    fake.write_text(SUDO)
    fake.chmod(0o755)
    become = Become("deploy", password="any password")

    def stop(event: frames.Event, child: subprocess.Popen[bytes]) -> None:
        if event == frames.Escalating(0):
            tell(STOP)(child)

    program = compiled(ops_of([sh("echo a", become=become), sh("echo b", become=become), sh("echo c")]))
    told, stopped = talk(program, env), talk(program, env, act=stop)
    assert [each.stdout.data for each in told.ended().values()] == [b"a\n", b"b\n", b"c\n"]
    escalated: list[frames.Event] = [frames.Up(b""), frames.Escalating(0), frames.Verified(become, True)]
    assert told.events[:3] == escalated
    assert stopped.events == [*escalated, frames.Done("stop")]
