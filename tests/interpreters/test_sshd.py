"""Pipelines on real OpenSSH servers: what the wire, the connector and the interpreters give together."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.testing.accounts import account
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet
from kxflow.testing.sshd import SshdFleet
from kxflow.values.output import Output
from tests.interpreters.hosts import alive, giving, needs_root, one, ran, statuses, told


def logins(fleet: SshdFleet, host: str) -> int:
    """How many connections a host has let in."""
    return fleet.log(host).count("Accepted publickey")


def test_25_hosts_times_20_commands_give_500_exact_outputs(sshd_fleet: MakeSshdFleet) -> None:
    """Nothing is lost, mixed up or counted twice; each host is logged in to once."""
    fleet = sshd_fleet(25)
    steps = [kx.command(f"s{i}", f"echo $HOME {i} $((6 * {i})); echo err {i} $HOME >&2; exit {i}") for i in range(20)]
    steps = [giving(each.name, kx.shell(str(each.build), ok_codes=[i])) for i, each in enumerate(steps)]
    its = ran(one(*steps), fleet.cluster)
    expected = [
        (host.name, i, f"{fleet.home(host.name)} {i} {6 * i}\n", f"err {i} {fleet.home(host.name)}\n", i)
        for i in range(20)
        for host in fleet.hosts
    ]
    assert [(e.host, e.position.step, str(e.stdout), str(e.stderr), e.exit_code) for e in its] == expected
    assert its.succeeded
    assert [logins(fleet, host.name) for host in fleet.hosts] == [1] * 25


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


def test_a_value_of_the_same_task_on_the_same_host_goes_down_the_same_connection(sshd_fleet: MakeSshdFleet) -> None:
    """A program ends where its value is needed, and the next one follows: one login in all."""
    fleet = sshd_fleet(1)
    number = kx.command("number", "echo 20", parse=int)

    @kx.step(number=kx.from_here(number))
    def double(ctx: kx.HostContext, number: int) -> kx.Action[int]:
        return kx.shell(f"echo $(({number} * 2))", parse=int)

    @kx.step(first=kx.from_here(number), second=kx.from_here(double))
    def both(ctx: kx.HostContext, first: int, second: int) -> kx.Action[Any]:
        return kx.cmd("echo", first, second)

    its = ran(one(number, double, both, kx.command("last", "echo last")), fleet.cluster)
    assert [str(each.stdout) for each in its] == ["20\n", "40\n", "20 40\n", "last\n"]
    assert logins(fleet, "host1") == 1


def test_a_noisy_and_slow_bashrc_costs_one_login_and_spoils_nothing(sshd_fleet: MakeSshdFleet) -> None:
    """It runs once for twenty steps, which take about as long as one; what it says is trimmed."""
    fleet = sshd_fleet(1)
    slow = 0.4
    (fleet.home("host1") / ".bashrc").write_text(
        f"echo noise; printf 'no\\0ise \\0'; echo noise >&2; echo x >> ~/count; sleep {slow}\n"
    )

    def timed(count: int) -> tuple[kx.Report, float]:
        began = time.monotonic()
        its = ran(one(*(kx.command(f"s{i}", f"echo {i}") for i in range(count))), fleet.cluster)
        return its, time.monotonic() - began

    _, login = timed(1)
    its, whole = timed(20)
    assert [(str(each.stdout), str(each.stderr)) for each in its] == [(f"{i}\n", "") for i in range(20)]
    assert (fleet.home("host1") / "count").read_text() == "x\nx\n"
    assert slow < login
    assert whole < login + 4 * slow


@pytest.mark.parametrize("fuse", [True, False])
def test_max_sessions_1_carries_programs_that_follow_each_other(sshd_fleet: MakeSshdFleet, fuse: bool) -> None:
    """Tasks, single steps, retries, values: one session at a time, on one connection."""
    fleet = sshd_fleet(1, config=["MaxSessions 1"])
    value = kx.command("value", "echo 1", parse=int)
    flaky = kx.command("flaky", "test -e ~/flag || { touch ~/flag; exit 1; }").retry(2)
    tasks = [
        kx.task("a", *(kx.command(f"s{i}", f"echo {i}") for i in range(5))),
        kx.task("b", value, flaky, kx.command("c", "echo c", check="false", value="echo v", parse=str)),
        kx.task("d", kx.command("slow", "sleep 60").timeout(0.3).ignore_errors(), kx.command("e", "echo e")),
    ]
    its = ran(kx.pipeline("p", kx.module("m", *tasks)), fleet.cluster, fuse=fuse)
    assert its.succeeded
    assert [str(each.stdout) for each in its] == ["0\n", "1\n", "2\n", "3\n", "4\n", "1\n", "", "c\n", "", "e\n"]
    assert logins(fleet, "host1") == 1


def test_invalid_utf8_and_nul_bytes_come_back_as_they_are(sshd_fleet: MakeSshdFleet) -> None:
    """One such byte closes no connection; text shows it escaped; every byte value arrives on both streams."""
    fleet = sshd_fleet(1)
    every = bytes(range(256))
    steps = [
        kx.command("odd", r"printf '\377\000\033[31m'"),
        kx.command("every", "tee /dev/fd/2", stdin=every),
        kx.command("next", "echo fine"),
    ]
    odd, all_of_them, after = ran(one(*steps), fleet.cluster)
    assert odd.stdout.data == b"\xff\x00\x1b[31m"
    assert str(odd.stdout).startswith("\\xff")
    assert (all_of_them.stdout.data, all_of_them.stderr.data) == (every, every)
    assert str(after.stdout) == "fine\n"


def memory(which: str) -> int:
    """A number of kilobytes that the kernel counts of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def test_100_mb_of_output_and_a_stderr_flood_leave_memory_flat(sshd_fleet: MakeSshdFleet) -> None:
    """Head and tail are kept, the rest is counted and digested; both streams are drained."""
    fleet = sshd_fleet(1)
    ran(one(kx.command("warm", "head -c 20000000 /dev/zero; head -c 10000000 /dev/zero >&2")), fleet.cluster)
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
    before = memory("VmRSS")
    steps = [
        kx.command("out", "head -c 100000000 /dev/zero"),
        kx.command("err", "head -c 100000000 /dev/zero >&2; echo end"),
    ]
    out, err = ran(one(*steps), fleet.cluster)
    grown = memory("VmHWM") - before
    assert (out.stdout.size, err.stderr.size) == (100_000_000, 100_000_000)
    digest = hashlib.sha256()
    for _ in range(100):
        digest.update(bytes(1_000_000))
    assert (out.stdout.sha256, err.stderr.sha256) == (digest.hexdigest(),) * 2
    assert str(err.stdout) == "end\n"
    assert grown < 16 * 1024


def test_a_value_beyond_capture_is_too_large_and_one_within_is_whole(sshd_fleet: MakeSshdFleet) -> None:
    """Never a value that was cut; the host goes on where the step is tolerated."""
    fleet = sshd_fleet(1)
    steps = [
        kx.command("whole", "head -c 200000 /dev/zero | tr '\\0' x", parse=len, capture=200_000),
        kx.command("over", "head -c 200001 /dev/zero | tr '\\0' x", parse=len, capture=200_000).ignore_errors(),
        kx.command("value", "true", value="head -c 1001 /dev/zero", parse=len, capture=1000).ignore_errors(),
        kx.command("next", "echo next"),
    ]
    whole, over, value, after = ran(one(*steps), fleet.cluster)
    assert whole.value == 200_000
    for each in (over, value):
        assert (each.status, each.reason, each.value) == (kx.Status.Failed, "output_too_large", None)
        assert "capture=" in str(each.error)
    assert str(after.stdout) == "next\n"


def test_ten_megabytes_of_stdin_arrive_and_the_next_step_has_none(sshd_fleet: MakeSshdFleet) -> None:
    """Random bytes, so that every one of them counts."""
    fleet = sshd_fleet(1)
    data = os.urandom(10_000_000)
    same, none = ran(one(kx.command("same", "cat", stdin=data), kx.command("none", "wc -c")), fleet.cluster)
    assert same.stdout == Output.of(data)
    assert str(none.stdout).strip() == "0"


def test_a_step_that_reads_stdin_does_not_eat_the_lease(sshd_fleet: MakeSshdFleet) -> None:
    """End of file at once; and what is written to the lease afterwards still works."""
    fleet = sshd_fleet(2)

    @kx.step
    def eat(ctx: kx.HostContext) -> kx.Action[Any]:
        if ctx.host.name == "host2":
            return kx.shell("sleep 1; exit 1")
        return kx.shell("cat; read x; cat <&3; head -c 10 /dev/stdin; sleep 60")

    its = ran(kx.pipeline("p", kx.module("m", kx.task("t", eat, policy=kx.fail_fast(cancel=True)))), fleet.cluster)
    assert statuses(its) == {"host1 eat": "Cancelled", "host2 eat": "Failed"}


def test_a_background_child_that_keeps_stdout_open_holds_nothing_up(sshd_fleet: MakeSshdFleet) -> None:
    """The step's end is its own, not its child's."""
    fleet = sshd_fleet(1)
    its = ran(one(kx.command("bg", "sleep 20 & echo started"), kx.command("next", "echo next")), fleet.cluster)
    assert [str(each.stdout) for each in its] == ["started\n", "next\n"]
    assert sum(each.duration for each in its) < 10


def test_umask_and_folder_are_of_one_step_and_a_missing_folder_is_its_own_failure(sshd_fleet: MakeSshdFleet) -> None:
    """What a step changes about its surroundings ends with it."""
    fleet = sshd_fleet(1)
    steps = [
        kx.command("before", "umask; pwd"),
        kx.command("change", "umask 077; cd /usr; touch ~/made; umask; pwd"),
        kx.command("there", "pwd; echo $OLDPWD", cwd="/usr/share"),
        kx.command("missing", "echo no", cwd="/no/such folder").ignore_errors(),
        kx.command("held", "echo no", cwd="/usr", check='test "$PWD" = /usr'),
        kx.command("after", "umask; pwd"),
    ]
    before, change, there, missing, held, after = ran(one(*steps), fleet.cluster)
    assert str(change.stdout) == "0077\n/usr\n"
    assert (fleet.home("host1") / "made").stat().st_mode & 0o777 == 0o600
    assert str(there.stdout).splitlines()[0] == "/usr/share"
    assert (missing.status, missing.reason, str(missing.stdout)) == (kx.Status.Failed, "cwd", "")
    assert "/no/such folder" in str(missing.error)
    assert held.status is kx.Status.Skipped
    assert str(after.stdout) == str(before.stdout)


def test_on_another_host_runs_there_on_this_hosts_behalf(sshd_fleet: MakeSshdFleet) -> None:
    """Beside ordinary steps, for several hosts at once, over one connection to the one that does it."""
    fleet = sshd_fleet(3, roles=lambda i: {"lb"} if i == 0 else {"web"})

    @kx.step
    def drain(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell(f"echo {ctx.host.name} >> ~/drained; echo $HOME")

    steps = [kx.command("a", "echo $HOME"), drain.on(kx.role("lb")), kx.command("b", "echo $HOME")]
    its = ran(one(*steps, on=kx.role("web")), fleet.cluster)
    homes = {name: f"{fleet.home(name)}\n" for name in ("host1", "host2", "host3")}
    assert {(each.step, each.host): str(each.stdout) for each in its} == {
        (step, host): homes["host1" if step == "drain" else host] for step in ["a", "drain", "b"] for host in
        ("host2", "host3")
    }  # fmt: skip
    assert sorted((fleet.home("host1") / "drained").read_text().split()) == ["host2", "host3"]
    assert logins(fleet, "host1") == 1


def test_retry_waits_longer_each_time_and_records_every_attempt(sshd_fleet: MakeSshdFleet) -> None:
    """A delay, then that times backoff; the times say so."""
    fleet = sshd_fleet(1)
    text = "echo x >> ~/tries; test $(wc -l < ~/tries) -ge 3"
    its = ran(one(kx.command("flaky", text).retry(4, delay=0.2, backoff=2.0), kx.command("n", "echo n")), fleet.cluster)
    flaky = its.results[0]
    assert [each.status.name for each in flaky.attempts] == ["Failed", "Failed", "Succeeded"]
    first, second, third = flaky.attempts
    assert (second.started_at - first.ended_at).total_seconds() >= 0.2
    assert (third.started_at - second.ended_at).total_seconds() >= 0.4
    assert (fleet.home("host1") / "tries").read_text() == "x\n" * 3
    assert its.succeeded


def test_rescue_runs_where_it_is_needed_and_the_host_goes_on(sshd_fleet: MakeSshdFleet) -> None:
    """Fused: the step that is rescued ends its program; where it went well nothing of the rescue runs."""
    fleet = sshd_fleet(2)

    @kx.step
    def start(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell("exit 3" if ctx.host.name == "host1" else "echo fine")

    mend = kx.command("mend", "echo mended | tee ~/mended")
    its = ran(one(start.rescue(mend), kx.command("next", "echo next")), fleet.cluster)
    assert statuses(its) == {
        "host1 start": "Failed", "host1 mend": "Succeeded", "host1 next": "Succeeded",
        "host2 start": "Succeeded", "host2 mend": "Skipped", "host2 next": "Succeeded",
    }  # fmt: skip
    assert (fleet.home("host1") / "mended").exists()
    assert not (fleet.home("host2") / "mended").exists()
    assert its.succeeded


def test_parts_of_one_step_stop_at_the_first_that_fails_wherever_that_is_judged(sshd_fleet: MakeSshdFleet) -> None:
    """On the host by its status, here by its value; one record each, and what is behind it did not run."""
    fleet = sshd_fleet(1)
    by_status = kx.both(kx.shell("echo a"), kx.shell("exit 4"), kx.shell("touch ~/no"))
    by_value = kx.both(kx.shell("echo x", parse=int), kx.shell("touch ~/no"))
    well = kx.both(kx.shell("echo 1", parse=int), kx.shell("echo 2", parse=int))
    steps = [giving(name, action).ignore_errors() for name, action in
             {"status": by_status, "value": by_value, "well": well}.items()]  # fmt: skip
    for fuse in (True, False):
        its = ran(one(*steps, kx.command("last", "echo last")), fleet.cluster, fuse=fuse)
        assert [(e.step, e.status.name, e.reason) for e in its] == [
            ("status", "Failed", "exit"), ("value", "Failed", "parse"), ("well", "Succeeded", ""),
            ("last", "Succeeded", ""),
        ]  # fmt: skip
        assert [str(e.stdout) for e in its] == ["a\n", "x\n", "1\n2\n", "last\n"]
        assert its.results[2].value == 2
        assert not (fleet.home("host1") / "no").exists()


def test_a_timeout_ends_a_child_that_ignores_term_and_is_a_confirmed_failure(sshd_fleet: MakeSshdFleet) -> None:
    """Failed, since its death is confirmed; the host goes on where the step is tolerated."""
    fleet = sshd_fleet(1)
    mark = f"45{os.getpid()}"
    slow = kx.command("slow", f"trap '' TERM; echo begun; sleep {mark}").timeout(0.5).ignore_errors()
    stopped = kx.command("stopped", f"sleep {mark} & kill -STOP $!; wait").timeout(0.5).ignore_errors()
    its = ran(one(slow, stopped, kx.command("next", "echo next")), fleet.cluster)
    assert told(its) == [
        ("Failed", "timed_out", "begun\n"), ("Failed", "timed_out", ""), ("Succeeded", "", "next\n")
    ]  # fmt: skip
    assert not alive(f"sleep\0{mark}")


def test_fail_fast_stops_softly_and_with_cancel_at_once(sshd_fleet: MakeSshdFleet) -> None:
    """Softly: the step in flight ends and no other begins. With `cancel`: its death is confirmed, none is left."""
    fleet = sshd_fleet(2)
    mark = f"46{os.getpid()}"

    def outcome(policy: Any, whole: str) -> dict[str, str]:
        @kx.step
        def act(ctx: kx.HostContext) -> kx.Action[Any]:
            return kx.shell("sleep 0.5; exit 1" if ctx.host.name == "host1" else whole)

        task = kx.task("t", act, kx.command("next", "echo next; touch ~/next"), policy=policy)
        return statuses(ran(kx.pipeline("p", kx.module("m", task)), fleet.cluster))

    soft = outcome(kx.fail_fast(), "sleep 1.5; touch ~/whole")
    assert soft == {"host1 act": "Failed", "host2 act": "Succeeded", "host1 next": "NotRun", "host2 next": "NotRun"}
    assert (fleet.home("host2") / "whole").exists()
    hard = outcome(kx.fail_fast(cancel=True), f"trap '' TERM; sleep {mark} & sleep {mark}")
    assert hard == {"host1 act": "Failed", "host2 act": "Cancelled", "host1 next": "NotRun", "host2 next": "NotRun"}
    assert not alive(f"sleep\0{mark}")
    assert not (fleet.home("host2") / "next").exists()


@needs_root
def test_a_login_shell_that_is_none_is_unreachable(sshd_fleet: MakeSshdFleet) -> None:
    """It ends before anything ran, and the record says so."""
    fleet = sshd_fleet(1)
    with account("kxnoshell", shell="false") as user:
        (its,) = ran(one(kx.command("a", "echo a")), fleet.login(user.name))
    assert (its.status, its.reason) == (kx.Status.Unreachable, "no_exec")


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
