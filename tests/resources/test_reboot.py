"""Restarting a host: a clone with systemd for real; what may go wrong on the way by a server that goes and comes.

A clone ends when its systemd restarts it, and is brought up again by the test, which stands for what powers a machine.
With the server, a file stands for the id of its boot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import file, reboot
from kxflow.testing import SshdFleet
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeCloneFleet, MakeSshdFleet, need_program
from kxflow.values.action import Command, repeats
from tests.resources.helpers_services import results, task_of

NAME = "host1"


class Machine:
    """One host whose restart a thread plays when it is ordered."""

    def __init__(self, fleet: SshdFleet, folder: Path) -> None:
        self.fleet, self.id, self.ordered = fleet, folder / "boot id", folder / "ordered"
        self.id.write_text("one\n")
        self.down = threading.Event()
        self.over = threading.Event()

    def step(self, **options: Any) -> kx.Step[None]:
        """Restarts it."""
        options = {"timeout": 60, "interval": 0.05, **options}
        return reboot(command=f"touch {self.ordered}", boot_id=self.id, **options)

    @contextmanager
    def playing(self, *actions: Callable[[], object]) -> Iterator[None]:
        """Does these, in order, when the restart is ordered."""

        def play() -> None:
            until(lambda: self.ordered.exists() or self.over.is_set(), "the order", seconds=30)
            for act in actions if self.ordered.exists() else ():
                act()

        player = threading.Thread(target=play)
        player.start()
        try:
            yield
        finally:
            self.over.set()
            player.join()

    def goes(self) -> None:
        """Its connections are cut, and it lets nobody in."""
        self.fleet.stop(NAME)
        self.fleet.kill_sessions(NAME)

    def comes(self) -> None:
        """It is up, and another than before."""
        self.id.write_text("two\n")
        self.fleet.start(NAME)


@pytest.fixture
def machine(sshd_fleet: MakeSshdFleet, tmp_path: Path) -> Machine:
    """A host behind a real sshd."""
    return Machine(sshd_fleet(1), tmp_path)


def told(report: list[kx.StepResult]) -> list[str]:
    """Status and reason of each step."""
    return [f"{each.status.name} {each.reason}".strip() for each in report]


def test_a_host_with_systemd_restarts_and_comes_back_with_what_lasts(clone_fleet: MakeCloneFleet) -> None:
    """By `systemctl reboot`, over SSH: all processes and /run are gone, the disk is there; where asked, not again."""
    fleet = clone_fleet(1, init="systemd")
    over = threading.Event()

    def power() -> None:
        until(lambda: not fleet.alive(NAME) or over.is_set(), "it is down", seconds=60, pause=0.05)
        if not over.is_set():
            fleet.start(NAME)

    marks = kx.command("marks", "sleep 1000 & echo x >/run/kx-needed; echo kept >/etc/kx")
    restart = reboot(only_if="test -e /run/kx-needed", timeout=60, interval=1)
    look = kx.command("look", "cat /etc/kx; systemctl is-system-running --wait; ls /run/kx-needed", ok_codes=(2,))
    supply = threading.Thread(target=power)
    before = fleet.processes(NAME)
    supply.start()
    try:
        found = results(fleet.cluster, marks, restart, look)
        assert told(found) == ["Succeeded"] * 3
    finally:
        over.set()
        supply.join()
    assert str(found[2].stdout) == "kept\nrunning\n"
    assert not before & fleet.processes(NAME)
    change = found[1].change
    assert change is not None
    boot_id = fleet.sh(NAME, "cat /proc/sys/kernel/random/boot_id").stdout.decode().strip()
    assert change.after == f"boot_id {boot_id}"
    assert change.before not in (change.after, f"boot_id {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}")
    assert told(results(fleet.cluster, restart)) == ["Skipped check"]


def test_a_restarted_host_is_waited_for_and_goes_on_with_the_next_step(machine: Machine) -> None:
    """On a new connection; the record tells of both boots."""
    behind = kx.command("behind", f"cat '{machine.id}'")
    with machine.playing(machine.goes, machine.comes):
        found = results(machine.fleet.cluster, kx.command("before", "true"), machine.step(), behind)
    assert told(found) == ["Succeeded"] * 3
    assert str(found[2].stdout) == "two\n"
    assert found[1].change is not None
    assert found[1].change.diff == "-boot_id one\n+boot_id two"
    assert found[1].duration > 1


def test_a_host_that_is_not_gone_at_once_is_waited_for(machine: Machine) -> None:
    """It lets itself be asked for a while, with the same id."""
    log = machine.fleet.log(NAME)

    def linger() -> None:
        asked = "Accepted publickey"
        until(lambda: machine.fleet.log(NAME).count(asked) > log.count(asked) + 3, "several questions")

    with machine.playing(linger, machine.goes, machine.comes):
        assert told(results(machine.fleet.cluster, machine.step())) == ["Succeeded"]


def test_only_where_it_is_needed(machine: Machine) -> None:
    """Else it is Skipped; a question that goes wrong is no answer."""
    needed, flag = machine.step(only_if=f"test -e {machine.ordered.parent}/flag"), machine.ordered.parent / "flag"
    assert told(results(machine.fleet.cluster, needed)) == ["Skipped check"]
    assert told(results(machine.fleet.cluster, machine.step(only_if="exit 3"))) == ["Failed check"]
    assert not machine.ordered.exists()
    flag.touch()
    with machine.playing(machine.goes, flag.unlink, machine.comes):
        assert told(results(machine.fleet.cluster, needed)) == ["Succeeded"]
    assert told(results(machine.fleet.cluster, needed)) == ["Skipped check"]


def test_a_host_that_does_not_come_back_is_lost(machine: Machine) -> None:
    """It began, and how it ended is not known."""
    with machine.playing(machine.goes):
        found = results(machine.fleet.cluster, machine.step(timeout=3), kx.command("behind", "true"))
    assert told(found) == ["Lost reboot", "NotRun blocked: p/m/t/reboot"]
    assert found[0].error is not None
    assert "did not come back within" in found[0].error.what


def test_a_host_that_does_not_restart_is_failed(machine: Machine) -> None:
    """It is there all the time, with the same id."""
    found = results(machine.fleet.cluster, machine.step(timeout=2))
    assert told(found) == ["Failed reboot"]
    assert found[0].error is not None
    assert "its boot id is the same" in found[0].error.what


def test_a_host_that_cannot_be_restarted_says_so(tmp_path: Path) -> None:
    """No id, no tool: it fails before it is ordered."""
    for name in ("sh", "dd", "cat", "sleep"):
        (tmp_path / name).symlink_to(need_program(name))
    cluster = kx.Cluster([kx.Host("a", connect=kx.Via("env", f"PATH={tmp_path}"))])
    faults = [results(cluster, each)[0].error for each in (reboot(boot_id="/nowhere/id"), reboot())]
    words = [each.what for each in faults if each is not None]
    assert "/nowhere/id" in words[0]
    assert words[1] == "nothing here restarts it: no systemctl, no shutdown, no reboot (exit status 1)"


def test_a_connection_that_is_cut_by_the_order_itself_is_no_failure(machine: Machine) -> None:
    """The host is faster than its own report."""
    step = machine.step()
    action = step.action(kx.context("a"))
    fast = kx.Step(name="fast", build=_fast(action, f"touch {machine.ordered}; kill -s KILL $PPID; sleep 9"))
    with machine.playing(machine.goes, machine.comes):
        assert told(results(machine.fleet.cluster, fast)) == ["Succeeded"]


def _fast(action: kx.Action[Any], text: str) -> kx.Action[Any]:
    from attrs import evolve

    from kxflow.values.action import Reboot

    assert isinstance(action, Reboot)
    return evolve(action, command=evolve(action.command, text=f"{action.ask.text}; {text}"))


def test_it_follows_a_change_and_only_then(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `then=` of `on_change`: where nothing changed the host stays up."""
    conf = machine.ordered.parent / "conf"
    monkeypatch.setenv("HOME", str(machine.ordered.parent))
    steps = kx.on_change(file(conf, content="x"), then=machine.step())
    with machine.playing(machine.goes, machine.comes):
        assert told(results(machine.fleet.cluster, steps)) == ["Succeeded"] * 3
    machine.ordered.unlink()
    assert told(results(machine.fleet.cluster, steps)) == ["Skipped check", "Skipped unchanged", "Skipped unchanged"]
    assert not machine.ordered.exists()


def test_a_run_that_is_interrupted_waits_for_the_host_but_one_that_is_ended_does_not(machine: Machine) -> None:
    """A host on its way is not let go of by a stop."""
    policy = kx.fail_fast(cancel=True)
    fails = kx.command("fails", f"while [ ! -e {machine.ordered} ]; do sleep 0.05; done; exit 1")
    cluster = kx.Cluster([*machine.fleet.cluster.hosts, kx.Host("here", connect=kx.Local())])
    there = machine.step().when(lambda ctx: ctx.host.name == NAME)
    task = kx.task("t", there, fails.when(lambda ctx: ctx.host.name == "here"))
    with machine.playing(machine.goes):
        found = list(kx.report_of(kx.run(kx.pipeline("p", kx.module("m", task), policy=policy), cluster)))
    (result,) = [each for each in found if each.step == "reboot" and each.host == NAME]
    assert f"{result.status.name} {result.reason}" == "Lost cancel"


def test_a_plan_says_whether_it_would_restart(machine: Machine) -> None:
    """It asks `only_if`, and orders nothing."""

    def effect(step: kx.Step[Any]) -> str:
        (planned,) = kx.plan(task_of(step), machine.fleet.cluster)
        return planned.effect.value

    assert effect(machine.step(only_if="true")) == "would change"
    assert effect(machine.step(only_if="false")) == "no change"
    assert effect(machine.step()) == "unknown"
    assert not machine.ordered.exists()


def test_hosts_of_the_imagination_restart_too() -> None:
    """The answer to the question is another the second time."""
    ids = iter(["one", "one", "two"])

    def answer(host: kx.Host, command: Command[Any]) -> str:
        return next(ids)

    found = results(kx.Cluster([kx.Host("a")]), reboot(interval=0.01), connector=kx.MemoryConnector(answer))
    assert told(found) == ["Succeeded"]


def test_it_is_one_shot_and_says_so() -> None:
    """A second run restarts again."""
    assert repeats(reboot().action(kx.context("a")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"only_if": ""},
        {"command": " "},
        {"command": "a\0"},
        {"timeout": 0},
        {"interval": -1},
        {"boot_id": "relative"},
        {"name": ""},
    ],
)
def test_what_cannot_be_is_refused_at_once(wrong: dict[str, Any]) -> None:
    """No host is asked."""
    with pytest.raises(kx.InvalidError):
        reboot(**wrong)
