"""Pipelines on real OpenSSH servers: what the wire, the connector and the interpreters give together."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.testing.accounts import account
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet, need_program

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can make accounts")


def one(*steps: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """A pipeline of one task that keeps going."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, **options)), policy=kx.keep_going())


def giving(name: str, action: kx.Action[Any]) -> kx.Step[Any]:
    """A step that gives an action."""

    def give(_: kx.HostContext) -> kx.Action[Any]:
        return action

    made: kx.Step[Any] = kx.step(give)
    return made.named(name)


def ran(pipeline: kx.Pipeline, cluster: kx.Cluster, **options: Any) -> kx.Report:
    """The report of a run."""
    return kx.report_of(kx.run(pipeline, cluster, **options))


def told(report: kx.Report) -> list[tuple[str, str, str]]:
    """Status, reason and stdout of each result."""
    return [(each.status.name, each.reason, str(each.stdout)) for each in report]


def alive(mark: str) -> int:
    """How many processes have this in their command line."""
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += mark.encode() in (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def test_25_hosts_times_20_commands_give_500_exact_outputs(sshd_fleet: MakeSshdFleet) -> None:
    """Nothing is lost, mixed up or counted twice."""
    fleet = sshd_fleet(25)
    steps = [kx.command(f"s{i}", f"echo out {i} $((6 * 7)); echo err {i} >&2") for i in range(20)]
    its = ran(one(*steps), fleet.cluster)
    assert len(its) == 500
    assert {(str(e.stdout), str(e.stderr)) for e in its if e.step == "s7"} == {("out 7 42\n", "err 7\n")}
    assert all(str(e.stdout) == f"out {e.position.step} 42\n" for e in its)
    assert its.succeeded


def test_values_travel_between_hosts(sshd_fleet: MakeSshdFleet) -> None:
    """The example of the design: a token made on one host and used on the others, then everything is skipped."""
    fleet = sshd_fleet(3, roles=lambda i: {"db"} if i == 0 else {"web"})
    token = kx.command(
        "token",
        "umask 077; echo s3cret-token > ~/token",
        check="test -s ~/token",
        value="cat ~/token",
        parse=kx.Secret,
        sensitive=True,
    )

    @kx.step(token=kx.from_one(token))
    def join(ctx: kx.HostContext, token: kx.Secret) -> kx.Action[Any]:
        check = 'test "$(cat ~/joined 2>/dev/null)" = "$T"'
        return kx.shell('printf %s "$T" > ~/joined', check=check, env={"T": token})

    tasks = [kx.task("make", token, on=kx.role("db")), kx.task("join", join, on=kx.role("web"))]
    pipeline = kx.pipeline("p", kx.module("m", *tasks))
    first, second = (ran(pipeline, fleet.cluster) for _ in range(2))
    assert [each.status.name for each in first] == ["Succeeded"] * 3
    assert [each.status.name for each in second] == ["Skipped"] * 3
    assert (fleet.home("host2") / "joined").read_text() == "s3cret-token"
    assert "s3cret-token" not in repr(first.to_dicts())


def test_a_noisy_and_slow_bashrc_costs_one_login_and_spoils_nothing(sshd_fleet: MakeSshdFleet) -> None:
    """What comes before the first frame is trimmed."""
    fleet = sshd_fleet(1, config=["MaxSessions 1"])
    (fleet.home("host1") / ".bashrc").write_text("echo noise; echo noise >&2; sleep 0.1\n")
    its = ran(one(*(kx.command(f"s{i}", f"echo {i}") for i in range(20))), fleet.cluster)
    assert [str(each.stdout) for each in its] == [f"{i}\n" for i in range(20)]
    assert all(each.stderr.size == 0 for each in its)


def test_max_sessions_1_works_for_programs_that_follow_each_other(sshd_fleet: MakeSshdFleet) -> None:
    """One at a time: ten programs down the same connection."""
    fleet = sshd_fleet(1, config=["MaxSessions 1"])
    its = ran(one(*(kx.command(f"s{i}", f"echo {i}") for i in range(10))), fleet.cluster, fuse=False)
    assert its.succeeded


@needs_root
@pytest.mark.parametrize("shell", ["sh", "bash", "rbash", "zsh", "ksh", "tcsh", "fish"])
def test_every_login_shell_carries_the_wire(sshd_fleet: MakeSshdFleet, shell: str) -> None:
    """Argv and environment arrive byte for byte, whatever the login shell."""
    need_program(shell)
    fleet = sshd_fleet(1)
    odd = bytes(range(1, 256))
    text = " '\"\\$(id)`id`!*?;&|<>\n\t~#é"
    with account(f"kx{shell}", shell=shell) as user:
        cluster = fleet.login(user.name)
        steps = [
            giving("argv", kx.cmd("printf", "%s", odd)),
            kx.command("env", ["printenv", "X"], env={"X": text}),
        ]
        argv, env = ran(one(*steps), cluster)
    assert argv.stdout.data == odd
    assert str(env.stdout) == text + "\n"


@needs_root
def test_sudo_with_password_without_wrong_and_not_allowed(sshd_fleet: MakeSshdFleet) -> None:
    """Each is what it is: a success, or a fault with its own reason, with one try."""
    fleet = sshd_fleet(1)
    who = kx.command("who", "id -un")

    def outcome(user: str, become: kx.Become) -> list[tuple[str, str, str]]:
        step = giving("as", kx.cmd("id", "-un", become=become))
        return told(ran(one(who, step), fleet.login(user)))[1:]

    with (
        account("kxpass", shell="bash", password="right-pw-1", sudo="password") as ops,
        account("kxfree", shell="bash", sudo="nopasswd") as free,
        account("kxnone", shell="bash", password="right-pw-2") as none,
    ):
        assert outcome(ops.name, kx.Become(password="right-pw-1")) == [("Succeeded", "", "root\n")]
        assert outcome(free.name, kx.Become()) == [("Succeeded", "", "root\n")]
        assert outcome(free.name, kx.Become(password="not needed")) == [("Succeeded", "", "root\n")]
        assert outcome(ops.name, kx.Become())[0][:2] == ("Failed", "become_password")
        assert outcome(ops.name, kx.Become(password="wrong-pw-1"))[0][:2] == ("Failed", "become_denied")
        assert outcome(none.name, kx.Become(password="right-pw-2"))[0][:2] == ("Failed", "become_denied")


@needs_root
def test_steps_for_root_deploy_root_are_each_whose_they_are(sshd_fleet: MakeSshdFleet) -> None:
    """Neighbours of one user share one escalation; checks, environment and folder are the user's too."""
    fleet = sshd_fleet(1)
    with account("kxdeploy", shell="bash") as deploy:
        steps = [
            kx.command("a", "id -un"),
            kx.command("b", "id -un; pwd; echo $X", check="false", become=deploy.name, cwd="/", env={"X": "x y"}),
            kx.command("c", "id -un", become=deploy.name),
            kx.command("d", "id -un"),
        ]
        outputs = [str(each.stdout) for each in ran(one(*steps), fleet.cluster)]
    assert outputs == ["root\n", "kxdeploy\n/\nx y\n", "kxdeploy\n", "root\n"]


def test_invalid_utf8_and_nul_bytes_come_back_as_they_are(sshd_fleet: MakeSshdFleet) -> None:
    """One such byte closes no connection; text shows it escaped."""
    fleet = sshd_fleet(1)
    steps = [kx.command("odd", r"printf '\377\000\033[31m'"), kx.command("next", "echo fine")]
    odd, after = ran(one(*steps), fleet.cluster)
    assert odd.stdout.data == b"\xff\x00\x1b[31m"
    assert str(after.stdout) == "fine\n"


def test_100_mb_of_output_and_a_stderr_flood_leave_memory_flat(sshd_fleet: MakeSshdFleet) -> None:
    """Head and tail are kept, the rest is counted; both streams are drained."""
    fleet = sshd_fleet(1)
    ran(one(kx.command("warm", "head -c 20000000 /dev/zero; head -c 10000000 /dev/zero >&2")), fleet.cluster)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps = [
        kx.command("out", "head -c 100000000 /dev/zero"),
        kx.command("err", "head -c 30000000 /dev/zero >&2; echo end"),
    ]
    out, err = ran(one(*steps), fleet.cluster)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (out.stdout.size, err.stderr.size) == (100_000_000, 30_000_000)
    assert str(err.stdout) == "end\n"
    assert grown < 16 * 1024


def test_a_background_child_that_keeps_stdout_open_holds_nothing_up(sshd_fleet: MakeSshdFleet) -> None:
    """The step's end is its own, not its child's."""
    fleet = sshd_fleet(1)
    its = ran(one(kx.command("bg", "sleep 20 & echo started"), kx.command("next", "echo next")), fleet.cluster)
    assert [str(each.stdout) for each in its] == ["started\n", "next\n"]
    assert sum(each.duration for each in its) < 10


def test_the_sessions_sshd_killed_in_the_middle_of_a_step_gives_lost(sshd_fleet: MakeSshdFleet) -> None:
    """Never Failed, never Succeeded; what is behind it in the program may have begun; nothing is left on the host."""
    fleet = sshd_fleet(1)
    mark = f"43{os.getpid()}"
    killer = threading.Thread(
        target=_when, args=(lambda: alive(f"sleep\0{mark}") > 0, lambda: fleet.kill_sessions("host1"))
    )
    killer.start()
    its = ran(one(kx.command("a", "echo a"), kx.command("b", f"sleep {mark}"), kx.command("c", "true")), fleet.cluster)
    killer.join()
    assert [each.status.name for each in its] == ["Succeeded", "Lost", "Lost"]
    until(lambda: not alive(f"sleep\0{mark}"), "no process left", 5)


def _when(holds: Callable[[], bool], act: Callable[[], Any]) -> None:
    until(holds, "the step began", 15)
    act()


@needs_root
def test_200_of_200_process_groups_are_gone_within_5_s_when_the_controller_is_killed(sshd_fleet: MakeSshdFleet) -> None:
    """SIGKILL of the controller, steps as root by sudo among them, children that ignore TERM."""
    fleet = sshd_fleet(50)
    mark = f"44{os.getpid()}"
    step = f"trap '' TERM; sleep {mark} & sleep {mark} & sleep {mark} & sleep {mark}"
    with account("kxlease", shell="bash", sudo="nopasswd") as user:
        cluster = fleet.login(user.name)
        lines = [
            "import sys, kxflow as kx",
            "hosts = []",
            *(
                f"hosts.append(kx.Host({h.name!r}, {h.address!r}, connect=kx.Ssh(user={user.name!r},"
                f" port={h.connect.port}, key_files={h.connect.key_files!r}, known_hosts={h.connect.known_hosts!r},"
                f" agent=False, become={'root' if i % 5 == 0 else None!r})))"
                for i, h in enumerate(cluster.hosts)
                if isinstance(h.connect, kx.Ssh)
            ),
            f"task = kx.task('t', kx.command('long', {step!r}))",
            "kx.run(kx.pipeline('p', kx.module('m', task)), kx.Cluster(hosts))",
        ]
        controller = subprocess.Popen([sys.executable, "-c", "\n".join(lines)])
        try:
            until(lambda: alive(f"sleep\0{mark}") >= 200, "200 processes run", 60, 0.2)
        finally:
            controller.send_signal(signal.SIGKILL)
            controller.wait()
        until(lambda: not alive(f"sleep\0{mark}"), "no process left", 5, 0.1)


def test_a_timeout_ends_a_child_that_ignores_term_and_is_a_confirmed_failure(sshd_fleet: MakeSshdFleet) -> None:
    """Failed, since its death is confirmed; the host goes on where the step is tolerated."""
    fleet = sshd_fleet(1)
    mark = f"45{os.getpid()}"
    slow = kx.command("slow", f"trap '' TERM; echo begun; sleep {mark}").timeout(0.5).ignore_errors()
    its = ran(one(slow, kx.command("next", "echo next")), fleet.cluster)
    assert told(its) == [("Failed", "timed_out", "begun\n"), ("Succeeded", "", "next\n")]
    assert not alive(f"sleep\0{mark}")


def test_fail_fast_stops_softly_and_with_cancel_at_once(sshd_fleet: MakeSshdFleet) -> None:
    """Softly: the step in flight ends and no other begins. With `cancel`: its death is confirmed."""
    fleet = sshd_fleet(2)

    @kx.step
    def act(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell("sleep 0.5; exit 1" if ctx.host.name == "host1" else "sleep 2; echo whole")

    def statuses(policy: Any) -> list[str]:
        task = kx.task("t", act, kx.command("next", "echo next"), policy=policy)
        its = ran(kx.pipeline("p", kx.module("m", task)), fleet.cluster)
        return [f"{each.host} {each.status.name}" for each in its]

    assert statuses(kx.fail_fast()) == ["host1 Failed", "host2 Succeeded", "host1 NotRun", "host2 NotRun"]
    assert statuses(kx.fail_fast(cancel=True)) == ["host1 Failed", "host2 Cancelled", "host1 NotRun", "host2 NotRun"]


def test_the_embedded_fleet_gives_what_sshd_gives(embedded_fleet: MakeEmbeddedFleet, sshd_fleet: MakeSshdFleet) -> None:
    """The same pipeline, the same records, times apart."""
    steps = [
        kx.command("ok", "echo ok"),
        kx.command("held", "echo no", check="true"),
        kx.command("stdin", "cat", stdin=b"a\0b\n\n"),
        kx.command("code", "exit 4", ok_codes=(4,)),
        kx.command("number", "echo 12", parse=int),
        kx.command("bad", "echo out; echo err >&2; exit 9").rescue(kx.command("mend", "echo mended")),
        kx.command("flaky", "test -e ~/flag || { touch ~/flag; exit 1; }").retry(2),
        kx.command("last", "exit 5"),
        kx.command("never", "echo never"),
    ]
    one_way = told(ran(one(*steps), embedded_fleet(2).cluster))
    assert one_way == told(ran(one(*steps), sshd_fleet(2).cluster))
    assert one_way[-1] == ("NotRun", "blocked: p/m/t/last", "")
