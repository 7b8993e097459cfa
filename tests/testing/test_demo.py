"""`kxflow demo`, as a newcomer runs it: without ssh, without root, and without anything left behind."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

import kxflow as kx
from kxflow.journal.fold import Log
from kxflow.testing.demo import RELEASE, free_ports, site
from kxflow.testing.fleet import until
from kxflow.testing.plugin import need_program
from tests.cli.program import LONG, SCRIPT, as_from_a_terminal

HOSTS: Final = 8
FORBIDDEN: Final = ("ssh", "sshd", "ssh-keygen", "ssh-agent", "scp", "sftp", "sudo", "su")


class Stage:
    """Where a demo runs: a folder, and a PATH on which every program of SSH tells that it was called.

    The PATH has a folder with a name of its own, which every process of the demo has in its environment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.traps = folder / f"traps-{secrets.token_hex(8)}"
        self.log = folder / "run.ndjson"
        self.temp = folder / "temp"
        for each in (self.traps, self.temp):
            each.mkdir()
        for name in FORBIDDEN:
            trap = self.traps / name
            trap.write_text(f"#!/bin/sh\necho {name} >> {folder}/called\nexit 1\n", "ascii")
            trap.chmod(0o755)

    def start(self, *args: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        """The demo as a process, maybe behind another program."""
        env = {"PATH": f"{self.traps}:{os.defpath}", "HOME": str(self.folder), "TMPDIR": str(self.temp)}
        pipe = subprocess.PIPE
        argv = [*before, str(SCRIPT), "demo", *args]
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=as_from_a_terminal,  # noqa: PLW1509 -- it does nothing that could wait for a lock
        )

    def processes(self) -> list[int]:
        """Everything that carries this PATH."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(self.traps).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:  # gone
                continue
        return found

    def called(self) -> list[str]:
        """Programs that must not be called, and were."""
        told = self.folder / "called"
        return told.read_text("ascii").split() if told.exists() else []

    def clean_up(self) -> None:
        """End what a failed test left."""
        for each in self.processes():
            os.kill(each, signal.SIGKILL)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A place for a demo."""
    stage = Stage(tmp_path)
    yield stage
    stage.clean_up()


def read(log: Path, run: str | None = None) -> Log:
    """A run of a log."""
    return kx.read_log(log, run=run)


def test_the_demo_runs_to_its_end_twice_and_leaves_nothing(stage: Stage) -> None:
    """On eight hosts: first everything is done, then everything is skipped, and both runs are in the log."""
    demo = stage.start("--hosts", str(HOSTS), "--log", str(stage.log))
    out, err = demo.communicate(timeout=LONG)
    assert (demo.returncode, err) == (0, "")
    assert out.startswith("8 SSH hosts on loopback: db1, web1, web2, web3, web4, web5, web6, web7\n")
    assert "release/roll out: 7 hosts: 7 ok" in out
    assert "Nothing was left to do: every step was skipped." in out
    assert out.rstrip().endswith(f"kxflow show {stage.log}")
    first, second = read(stage.log).runs
    _first_run(read(stage.log, first))
    _second_run(read(stage.log, second))
    assert stage.called() == []
    assert stage.processes() == []
    assert list(stage.temp.iterdir()) == []


def _first_run(log: Log) -> None:
    """All succeeded, but for what a step before it had done already, by design: the answer of a service that is up."""
    report = log.report()
    assert report.succeeded
    assert len(report) == 67
    skipped = {each.step for each in report if each.status is kx.Status.Skipped}
    assert skipped <= {"answers"}
    assert {each.status for each in report} <= {kx.Status.Succeeded, kx.Status.Skipped}
    greetings = str(report["check/over HTTP/verify", "db1"].stdout).splitlines()
    assert len(greetings) == 7
    for number, line in enumerate(greetings, 1):
        assert re.fullmatch(rf"127\.0\.0\.1:\d+: web{number} serves release {re.escape(RELEASE)}", line)
    _in_waves({host: [each for each in its if each.module == "release"] for host, its in report.by_host().items()})
    assert not any(re.search(rb"\b[0-9a-f]{32}\b", each.stdout.data + each.stderr.data) for each in report)


def _in_waves(rolled: dict[str, list[kx.StepResult]]) -> None:
    """One host first, then half of them, then all: a wave begins when the one before has ended."""
    ends = {host: max(each.ended_at for each in its) for host, its in rolled.items() if its}
    begins = {host: min(each.started_at for each in its) for host, its in rolled.items() if its}
    waves = (("web1",), ("web2", "web3", "web4"), ("web5", "web6", "web7"))
    for one, other in pairwise(waves):
        assert max(ends[host] for host in one) <= min(begins[host] for host in other)


def _second_run(log: Log) -> None:
    assert log.complete
    assert Counter(each.status.name for each in log) == {"Skipped": 67}


def test_the_demo_needs_no_root_and_makes_a_log_of_its_own(stage: Stage) -> None:
    """Where root runs the tests, with every right of root given up; the log is all that it leaves."""
    given_up = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
    before = (need_program("setpriv"), *given_up) if os.geteuid() == 0 else ()
    demo = stage.start("--hosts", "2", before=before)
    out, err = demo.communicate(timeout=LONG)
    assert (demo.returncode, err) == (0, "")
    assert "every step was skipped" in out
    path = Path(out.rstrip().rsplit(" ", 1)[1])
    assert len(read(path).runs) == 2
    assert list(stage.temp.iterdir()) == [path.parent]
    assert list(path.parent.iterdir()) == [path]
    assert stage.processes() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_in_the_middle_takes_everything_down(stage: Stage, number: signal.Signals, code: int) -> None:
    """Services that run already, too; there is no second run."""
    demo = stage.start("--hosts", "3", "--log", str(stage.log))
    assert demo.stdout is not None
    _read_until(demo, lambda line: "service/start" in line)
    demo.send_signal(number)
    out, err = demo.communicate(timeout=LONG)
    assert demo.returncode == code
    assert f"kxflow: {number.name}: no further step begins" in err
    assert "The second run" not in out
    until(lambda: not stage.processes(), "its processes to be gone")
    assert list(stage.temp.iterdir()) == []


def test_keep_leaves_the_services_running_until_a_signal(stage: Stage) -> None:
    """It tells how to reach them; then they go, and the exit status is that of the runs."""
    demo = stage.start("--hosts", "2", "--keep", "--log", str(stage.log))
    told = _read_until(demo, lambda line: "curl http://127.0.0.1:" in line)
    url = told.split()[-1]
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 -- a service of ours, on loopback
        assert response.read() == b"1.1\n"
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=LONG)
    assert demo.returncode == 0
    assert stage.processes() == []


def test_a_demo_that_is_killed_leaves_no_service_running(stage: Stage) -> None:
    """It can do nothing more itself: the services see that it is gone."""
    demo = stage.start("--hosts", "3", "--keep", "--log", str(stage.log))
    _read_until(demo, lambda line: "curl http://127.0.0.1:" in line)
    assert len(stage.processes()) >= 3
    demo.kill()
    demo.communicate(timeout=LONG)
    until(lambda: not stage.processes(), "its services to be gone")


def _read_until(demo: subprocess.Popen[str], holds: Callable[[str], bool]) -> str:
    assert demo.stdout is not None
    for line in demo.stdout:
        if holds(line):
            return line
    raise AssertionError(f"it ended with {demo.wait()} before it said so")


def test_its_pipeline_fits_together_without_a_fleet() -> None:
    """As a file to copy from, it can be checked like any other."""
    from click.testing import CliRunner

    from kxflow.cli import cli

    demo = sys.modules["kxflow.testing.demo"].__file__
    done = CliRunner().invoke(cli, ["check", f"{demo}:site"])
    assert done.exit_code == 0
    assert done.stdout.startswith("site: no problems: 5 modules, 6 tasks")
    assert site.name == "site"


def test_ports_are_free_and_differ() -> None:
    """Below those that the system gives away by itself."""
    found = free_ports(20)
    assert len(set(found)) == 20
    assert all(20_000 <= each < 30_000 for each in found)
