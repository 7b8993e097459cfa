"""Each login shell of real hosts: words arrive byte for byte, and no step can hide its own end or spoil another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.from_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.connectors.choose import default_connector
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import SystemClock
from kxflow.interpreters.lane import Lane, Wires
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.testing.accounts import account
from kxflow.testing.plugin import MakeSshdFleet, need_program
from kxflow.values.action import Command
from tests.interpreters.hosts import alive, needs_root, one, ran, unique

pytestmark = needs_root

LOGIN_SHELLS = ("sh", "bash", "rbash", "zsh", "ksh", "tcsh", "fish")
ODD = [
    b"",
    b"-",
    b"--",
    b"!!",
    b"~",
    b"*",
    b"$HOME",
    b"`id`",
    b"'",
    b'"',
    b"\\",
    b"\n",
    b"\r",
    b"%s",
    b"{a,b}",
    b"\xff",
]
WORD = st.one_of(st.binary(min_size=1, max_size=8).map(lambda data: data.replace(b"\0", b"'")), st.sampled_from(ODD))
ARGV = st.lists(WORD, min_size=1, max_size=3)
ARGVS, VALUES, EXAMPLES = 90, 10, 10
"""Of words and of environments in one program, and how many programs: 1000 of each shell."""

Send = Callable[[Sequence[Command[Any]]], dict[int, frames.Ended]]


@contextmanager
def open_lane(cluster: kx.Cluster) -> Iterator[Send]:
    """Sends commands as one program to the one host of a cluster, again and again over one connection."""
    with anyio.from_thread.start_blocking_portal() as portal:

        async def begin() -> Lane:
            wires = Wires(default_connector(), SystemClock(), cluster, anyio.Semaphore(1))
            return Lane(cluster.hosts[0], wires)

        lane = portal.call(begin)

        async def send(commands: Sequence[Command[Any]]) -> dict[int, frames.Ended]:
            ended: dict[int, frames.Ended] = {}

            async def take(event: frames.Event) -> None:
                if isinstance(event, frames.Ended):
                    ended[event.index] = event

            ops = [Op(index=i, command=each, group=i, go_on=True) for i, each in enumerate(commands)]
            over = await lane.run(ops, Brake(), take)
            assert over.done == frames.Done("end")
            return ended

        try:
            yield lambda commands: portal.call(send, commands)
        finally:
            portal.call(lane.aclose)
            portal.call(lane.wires.connector.aclose)


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_argv_and_environment_arrive_byte_for_byte_through_every_login_shell(
    sshd_fleet: MakeSshdFleet, shell: str
) -> None:
    """1000 generated for each, and all 255 byte values that a word can hold."""
    need_program(shell)
    fleet = sshd_fleet(1)
    every = bytes(range(1, 256))
    seen = 0
    with account(unique(f"kx{shell}"), shell=shell) as user, open_lane(fleet.login(user.name)) as send:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(
            argvs=st.lists(ARGV, min_size=ARGVS, max_size=ARGVS),
            values=st.lists(st.tuples(WORD, WORD), min_size=VALUES, max_size=VALUES),
        )
        def check(argvs: list[list[bytes]], values: list[tuple[bytes, bytes]]) -> None:
            nonlocal seen
            argvs, values = [[every], *argvs], [(every, every), *values]
            commands = [Command[Any](argv=("printf", r"%s\000", *words)) for words in argvs]
            for plain, secret in values:
                env: dict[str, str | kx.Secret] = {
                    "KX_A": plain.decode("utf-8", "surrogateescape"),
                    "KX_B": kx.Secret(secret),
                }
                commands.append(Command(argv=("printenv", "-0", "KX_A", "KX_B"), env=env))
            ended = send(commands)
            for index, words in enumerate([*argvs, *values]):
                expected = b"".join(word + b"\0" for word in words)
                came = ended[index].unmasked or ended[index].stdout  # the record masks the secret
                assert (came.data, ended[index].stderr.data) == (expected, b"")
            seen += len(argvs) + len(values)

        check()
    assert seen >= ARGVS * EXAMPLES
    assert fleet.log("host1").count("Accepted publickey") == 1


# What steps may try, and the status that they have; None where nobody can see their end.
RUDE = {
    "exit": ("exit 3", 3),
    "errexit": ("set -e; false; echo no", 1),
    "trap": ("trap 'exit 9' EXIT; trap '' USR1 USR2 ALRM TERM PIPE HUP", 9),
    "closed": ("exec >&- 2>&- <&-", 0),
    "no path": ("unset PATH; kx_none_such", 127),
    "functions": ("kx_w() { :; }; kx_a() { :; }; kx_e() { kx_r=0; }; printf() { :; }; kill() { :; }; exit 4", 4),
    "aliases": ("alias printf=true kx_w=true exit=true; sh -c 'exit 8'", 8),
    "replaced": ("exec sh -c 'exit 5'", 5),
    "wait": ("sleep 0.1 & wait", 0),
    "killed": ("exec sh -c 'kill -9 $$'", 137),
    "eats": ("cat; cat <&3; read x", 1),
    "itself": ("kill -9 $$", 137),
    "the program": ("true $$; kill -9 $PPID", None),  # who asks for its pid has a shell of its own below the program
    "the group": ("kill 0; sleep 30", None),
    "the group, hard": ("kill -9 0", None),
}


@pytest.mark.parametrize("shell", ["bash", "tcsh", "fish"])
def test_no_step_can_hide_its_own_end_or_spoil_another(sshd_fleet: MakeSshdFleet, shell: str) -> None:
    """Each ends with its own status, or is lost where it ended the program itself; the next one is as always."""
    need_program(shell)
    fleet = sshd_fleet(1)
    with account(unique("kxrude"), shell=shell) as user:
        steps = []
        for name, (text, _) in RUDE.items():
            after = kx.command(f"after {name}", f"echo {name}; echo '{name}' >> ~/done").ignore_errors()
            steps += [kx.command(name, text).ignore_errors(), after]
        its = {each.step: each for each in ran(one(*steps), fleet.login(user.name), fuse=False)}
        for name, (_, code) in RUDE.items():
            status = kx.Status.Succeeded if code == 0 else kx.Status.Failed
            assert its[name].status is (kx.Status.Lost if code is None else status), name
            assert its[name].exit_code == code, name
            assert (its[f"after {name}"].status, str(its[f"after {name}"].stdout)) == (
                kx.Status.Succeeded, f"{name}\n"
            )  # fmt: skip
        assert (user.home / "done").read_text().splitlines() == list(RUDE)


@pytest.mark.parametrize("shell", ["bash", "tcsh"])
@pytest.mark.parametrize("text", ["kill -9 $PPID; sleep 5", "true $$; kill -9 $PPID", "kill 0", "kill -9 $PPID $$"])
def test_a_step_that_ends_what_is_around_it_gives_no_false_success(
    sshd_fleet: MakeSshdFleet, shell: str, text: str
) -> None:
    """The connection's process, or the login shell: it and what is behind it in the program may have run, or not."""
    need_program(shell)
    fleet = sshd_fleet(1)
    with account(unique("kxends"), shell=shell) as user:
        steps = [kx.command("a", "echo a"), kx.command("b", text), kx.command("c", "echo c >> ~/c")]
        its = ran(one(*steps), fleet.login(user.name))
        ran_c = (user.home / "c").exists()
    # What the step before it had said may not have left the host any more.
    assert its.results[0].status in (kx.Status.Succeeded, kx.Status.Lost)
    assert its.results[1].status is kx.Status.Lost
    assert its.results[2].status is kx.Status.Lost or not ran_c


@pytest.mark.parametrize("shell", ["tcsh", "fish"])
def test_timeout_and_cancel_are_confirmed_through_login_shells_that_stay(sshd_fleet: MakeSshdFleet, shell: str) -> None:
    """The login shell leads the session and waits: it is not taken for a part of the step."""
    need_program(shell)
    fleet = sshd_fleet(1)
    mark = f"47{os.getpid()}"
    with account(unique("kxstays"), shell=shell) as user:
        step = kx.command("slow", f"trap '' TERM; echo out; sleep {mark} & sleep {mark}").timeout(0.3).ignore_errors()
        slow, after = ran(one(step, kx.command("next", "echo next")), fleet.login(user.name))
    assert (slow.status, slow.reason, str(slow.stdout)) == (kx.Status.Failed, "timed_out", "out\n")
    assert str(after.stdout) == "next\n"
    assert not alive(f"sleep\0{mark}")
