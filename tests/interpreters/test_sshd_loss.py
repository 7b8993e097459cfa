"""Connections and controllers that are lost: nothing is left on the hosts, and no result claims what nobody saw."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve

import kxflow as kx
from kxflow.testing.accounts import Account
from kxflow.testing.fleet import end, until
from kxflow.testing.plugin import MakeSshdFleet
from kxflow.testing.sshd import SshdFleet
from tests.interpreters.cutter import Cutter, cutters
from tests.interpreters.hosts import alive, groups, needs_root, one, owned, processes, ran, sudoer, unique

CONTROLLER = """
import os, sys
from pathlib import Path
import kxflow as kx
ports, user, key, known, folder, mark, seconds = sys.argv[1:]
hosts = []
for i, port in enumerate(ports.split(",")):
    way = kx.Ssh(user=user, port=int(port), key_files=key, known_hosts=known, agent=False, keepalive=3,
                 become="root" if i % 5 == 0 else None)
    hosts.append(kx.Host(f"h{i}", "127.0.0.1", connect=way))

@kx.step
def gather(ctx):
    return kx.shell(f"touch {folder}/{ctx.host.name}; read x <{folder}/go")

four = f'bash -c \\'set -m; trap "" TERM; sleep {mark} & sleep {mark} & sleep {mark} & sleep {mark} & wait\\''
steps = [gather, kx.command("long", four).timeout(float(seconds)), kx.command("next", "echo next")]
task = kx.task("t", *steps, policy=kx.keep_going(), concurrency=100)
its = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", task)), kx.Cluster(hosts), concurrency=100))
print(sorted({(each.step, each.status.name) for each in its}))
"""


class Controllers:
    """Controllers in processes of their own, each of a run on all hosts of a fleet through relays.

    Attributes:
        mark: Seconds that the processes of the step sleep, by which they are found.
    """

    def __init__(self, user: Account, between: list[Cutter], fleet: SshdFleet, known: Path) -> None:
        self.user, self.between = user, between
        keys = [line.split(" ", 1)[1] for line in fleet.known_hosts.read_text().splitlines()]
        known.write_text("".join(f"[127.0.0.1]:{each.port} {key}\n" for each, key in zip(between, keys, strict=True)))
        self._words = [",".join(str(each.port) for each in between), user.name, str(fleet.key), str(known)]
        self.mark = ""

    @contextmanager
    def running(self, way: str, timeout: float, *, silent: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """A controller whose step runs on every host with all of its process groups; it is killed afterwards.

        Args:
            way: A name.
            timeout: Of the step.
            silent: The connections go silent before that step begins.
        """
        self.mark = f"44{os.getpid()}{len(way)}"
        folder = self.user.home / way
        folder.mkdir()
        folder.chmod(0o777)
        os.mkfifo(folder / "go")
        go = os.open(folder / "go", os.O_RDWR)
        argv = [sys.executable, "-c", CONTROLLER, *self._words, str(folder), self.mark, str(timeout)]
        controller = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            until(lambda: len(list(folder.iterdir())) > len(self.between), "every host has begun", 60, 0.1)
            for each in self.between:
                each.silent = silent
            os.write(go, b"\n" * len(self.between))
            wanted = 4 * len(self.between)
            until(lambda: len(groups(f"sleep\0{self.mark}\0")) >= wanted, f"{wanted} process groups run", 60, 0.2)
            yield controller
        finally:
            os.close(go)
            controller.kill()
            controller.communicate()

    def all_gone(self, seconds: float) -> None:
        """No group is left within these seconds, and soon after nothing at all of that user."""
        until(lambda: not alive(f"sleep\0{self.mark}\0"), "no group is left", seconds, 0.2)
        until(lambda: not owned(self.user.uid), "nothing of ours is left", 5, 0.2)


def lost(controller: subprocess.Popen[bytes]) -> bool:
    """It says that the step was lost, and what was behind it in its program too."""
    said, _ = controller.communicate(timeout=60)
    told = said.decode().strip()
    assert told.endswith("('long', 'Lost'), ('next', 'Lost')]"), told
    return "NotRun" not in told and "Failed" not in told


@needs_root
def test_200_of_200_process_groups_are_gone_within_5_s_however_the_controller_is_lost(
    sshd_fleet: MakeSshdFleet, tmp_path: Path
) -> None:
    """By SIGKILL, by connections that are reset, by such that go silent, where the host's own clock ends the step.

    50 hosts with four process groups each in one session, all ignoring TERM, on every fifth host as root by sudo.
    """
    fleet = sshd_fleet(50)
    ports = [fleet.port(host.name) for host in fleet.hosts]
    with sudoer(unique("kxlease")) as user, cutters(*ports) as between:
        controllers = Controllers(user, between, fleet, tmp_path / "known_hosts")
        with controllers.running("killed", 600) as controller:
            controller.send_signal(signal.SIGKILL)
            controllers.all_gone(5)
        with controllers.running("reset", 600) as controller:
            for each in between:
                each.cut()
            controllers.all_gone(5)
            assert lost(controller)
        with controllers.running("silent", 2, silent=True) as controller:
            controllers.all_gone(2 + 1 + 2 + 5)  # its timeout, a tick of the clock, what a controller is granted; and 5
            assert lost(controller)


def test_the_sessions_sshd_killed_in_the_middle_of_a_step_gives_lost(sshd_fleet: MakeSshdFleet) -> None:
    """Never Failed, never Succeeded; what is behind it in the program may have begun; nothing is left on the host."""
    fleet = sshd_fleet(1)
    with marks(1) as (mark,):
        pipeline = one(kx.command("a", "echo a"), kx.command("b", f"sleep {mark}"), kx.command("c", "true"))
        assert lost_with_its_session(fleet, pipeline, fleet.cluster, mark) == ["Succeeded", "Lost", "Lost"]
        until(lambda: not asleep(mark), "no process left", 5)


def when(holds: Callable[[], bool], act: Callable[[], Any]) -> None:
    """Do something once something holds."""
    until(holds, "what was waited for", 15)
    act()


@contextmanager
def marks(count: int) -> Iterator[list[str]]:
    """Numbers of seconds to sleep that nobody else sleeps; whoever still does so is ended."""
    found = [f"{4500 + i}{os.getpid()}" for i in range(count)]
    try:
        yield found
    finally:
        for pid, _, line in processes():
            if any(f"sleep\0{mark}\0".encode() in line for mark in found):
                end(pid)


def asleep(mark: str) -> int:
    """How many sleep so long."""
    return alive(f"sleep\0{mark}\0")


@needs_root
def test_a_detached_step_survives_the_lease_and_a_daemon_survives_a_normal_end(sshd_fleet: MakeSshdFleet) -> None:
    """Also as root by sudo: what left the session is not ended with it; what did not, is."""
    fleet = sshd_fleet(1)
    with sudoer(unique("kxdaemon")) as user, marks(4) as (daemon, mine, roots, attached):
        cluster = fleet.login(user.name)
        steps = [
            kx.command("daemon", f"setsid sleep {daemon} >/dev/null 2>&1 </dev/null & echo $!"),
            kx.command("root's", f"setsid sleep {daemon} >/dev/null 2>&1 </dev/null & echo $!").become(),
        ]
        assert ran(one(*steps), cluster).succeeded
        for step, mark in (
            (kx.command("mine", f"sleep {mine}").detached(), mine),
            (kx.command("root's", f"sleep {roots}").detached().become(), roots),
            (kx.command("attached", f"sleep {attached}"), attached),
        ):
            assert lost_with_its_session(fleet, one(step), cluster, mark) == ["Lost"]
        until(lambda: not asleep(attached), "the attached one is gone", 5)
        assert [asleep(mark) for mark in (daemon, mine, roots)] == [2, 1, 1]


def lost_with_its_session(fleet: SshdFleet, pipeline: kx.Pipeline, cluster: kx.Cluster, mark: str) -> list[str]:
    """Statuses of a run whose session is killed as soon as somebody sleeps so long."""
    killer = threading.Thread(target=when, args=(lambda: asleep(mark) > 0, lambda: fleet.kill_sessions("host1")))
    killer.start()
    its = ran(pipeline, cluster)
    killer.join()
    return [each.status.name for each in its]


def test_a_detached_step_is_ended_by_its_time_as_any_other(sshd_fleet: MakeSshdFleet) -> None:
    """It survives the loss of the connection, not its own timeout: a confirmed death is one."""
    fleet = sshd_fleet(1)
    mark = f"49{os.getpid()}"
    step = kx.command("slow", f"trap '' TERM; echo out; sleep {mark} & sleep {mark}").detached().timeout(0.5)
    (its,) = ran(one(step), fleet.cluster)
    assert (its.status, its.reason, str(its.stdout)) == (kx.Status.Failed, "timed_out", "out\n")
    assert not alive(f"sleep\0{mark}\0")


RELAYS, ROUNDS = 40, 7
"""How many hosts at once, and how often: together a few hundred places of a conversation of some thousand bytes."""

OUTCOMES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ok": ("Succeeded", "echo out; echo err >&2", {}),
    "held": ("Skipped", "echo never", {"check": "echo asked"}),
    "value": ("Succeeded", "echo 41", {"parse": int}),
    "bad": ("Failed", "echo half; exit 7", {}),
    "mend": ("Succeeded", "echo mended", {}),
    "big": ("Succeeded", "head -c 3000 /dev/zero; head -c 3000 /dev/zero >&2", {}),
    "last": ("Succeeded", "echo last", {}),
}


def marking(name: str, folder: Path) -> kx.Step[Any]:
    """A step that leaves its name in a file of its host's."""
    _, text, options = OUTCOMES[name]

    def act(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell(f"echo {name} >> '{folder}/{ctx.host.name}'; {text}", **options)

    made: kx.Step[Any] = kx.step(act)
    return made.named(name)


def test_a_connection_that_is_cut_at_any_byte_never_gives_a_wrong_result(sshd_fleet: MakeSshdFleet) -> None:
    """Every result is what a whole run says, or Lost, NotRun, Unreachable; what is said not to have run, did not.

    Cut after so many bytes of what the host sends, at places from the version line to the end. Each step leaves its
    mark in a file.
    """
    fleet = sshd_fleet(1)
    home = fleet.home("host1")
    step = {name: marking(name, home) for name in OUTCOMES}
    tasks = [
        kx.task("a", step["ok"], step["held"], step["value"]),
        kx.task("b", step["bad"].rescue(step["mend"]), step["big"], step["last"]),
    ]
    pipeline = kx.pipeline("p", kx.module("m", *tasks), policy=kx.keep_going())

    def run(between: list[Cutter], name: str) -> kx.Report:
        way = fleet.hosts[0].connect
        assert isinstance(way, kx.Ssh)
        ways = [evolve(way, port=each.port, known_hosts=home / "known") for each in between]
        return ran(
            pipeline, kx.Cluster([kx.Host(f"{name}{i}", "127.0.0.1", connect=one) for i, one in enumerate(ways)])
        )

    tally: Counter[str] = Counter()
    with cutters(*[fleet.port("host1")] * RELAYS) as between:
        key = fleet.known_hosts.read_text().split(" ", 1)[1]
        (home / "known").write_text("".join(f"[127.0.0.1]:{each.port} {key}" for each in between))
        whole = {each.step: each for each in run(between[:1], "whole")}
        assert {name: each.status.name for name, each in whole.items()} == {n: o[0] for n, o in OUTCOMES.items()}
        assert (home / "whole0").read_text().split() == ["ok", "value", "bad", "mend", "big", "last"]
        places = range(1, between[0].bytes_back + 200)
        chosen = iter(random.Random(7).sample(places, RELAYS * ROUNDS))  # noqa: S311 -- the same places every time
        for batch in range(ROUNDS):
            for each in between:
                each.limit = next(chosen)
            for result in run(between, f"cut{batch}x"):
                tally[result.status.name] += 1
                check_against(whole[result.step], result, home / result.host)
    assert all(tally[name] for name in ("Succeeded", "Skipped", "Failed", "Lost", "NotRun", "Unreachable"))


def check_against(whole: kx.StepResult, its: kx.StepResult, marks: Path) -> None:
    """One result of a run that was cut, against that of a whole one."""
    ran_there = marks.read_text().split() if marks.exists() else []
    assert len(ran_there) == len(set(ran_there)), "nothing runs twice"
    match its.status:
        case kx.Status.Lost:
            asked = b"asked\n" if whole.step == "held" else b""  # cut in its check, it gives what that wrote
            assert (asked + whole.stdout.data).startswith(its.stdout.data)
            assert whole.stderr.data.startswith(its.stderr.data)
        case kx.Status.NotRun | kx.Status.Unreachable:
            assert its.step not in ran_there
        case kx.Status.Skipped if its.reason == "rescue":
            raise AssertionError("the rescued step fails in every run")
        case _:
            same = ("status", "reason", "exit_code", "signal", "stdout", "stderr", "value")
            assert [getattr(its, each) for each in same] == [getattr(whole, each) for each in same]
            assert (its.step in ran_there) == (its.status is not kx.Status.Skipped)
