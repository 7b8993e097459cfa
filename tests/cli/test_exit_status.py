"""The exit status, by real causes: what a script learns of a run without reading a word."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.cli import exit_code
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeEmbeddedFleet
from tests.cli.program import LOCAL, ONE, SCRIPT, Program, file_size_limit, inventory
from tests.journal.logs import result

STEPS: Final = """
import kxflow as kx

good = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", "true"), kx.command("b", "true"))))
bad = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", "exit 7"), kx.command("b", "touch never"))))
hold = kx.pipeline(
    "p",
    kx.module(
        "m",
        kx.task(
            "t",
            kx.command("a", "touch began; while test ! -e go; do sleep 0.02; done"),
            kx.command("b", "touch never"),
        ),
    ),
)
chatty = kx.pipeline(
    "p", kx.module("m", kx.task("t", *(kx.command(f"s{i}", f"seq 3000; echo {i} >> ran") for i in range(40))))
)
unlogged = kx.pipeline(
    "p", kx.module("m", kx.task("t", kx.command("a", "rm run.ndjson")), kx.task("u", kx.command("b", "touch never")))
)
"""


@pytest.fixture
def steps(kxflow: Program) -> Program:
    """The program, with pipelines for it."""
    kxflow.file("steps.py", STEPS)
    kxflow.file("one.toml", ONE)
    kxflow.file("hosts.toml", LOCAL)
    return kxflow


def test_0_where_all_is_well(steps: Program) -> None:
    """Every step succeeded or was skipped."""
    assert steps.run("run", "steps.py:good", "-i", "hosts.toml").code == 0


def test_1_where_a_step_failed(steps: Program) -> None:
    """What is behind it did not run."""
    done = steps.run("run", "steps.py:bad", "-i", "one.toml")
    assert done.code == 1
    assert "here: m/t/a: failed" in done.out
    assert "exit" in done.out
    assert not (steps.folder / "never").exists()


def test_2_where_nothing_was_run(steps: Program) -> None:
    """The real program says why on stderr."""
    done = steps.run("run", "steps.py", "-i", "one.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "kxflow: steps.py: which pipeline? Write steps.py:NAME; its pipelines: good, bad, hold, chatty, unlogged\n"
    )


def test_3_where_hosts_could_not_be_reached(steps: Program) -> None:
    """Nobody listens there; the host is named, with its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    steps.file("away.toml", f'[connect]\nport = {port}\naccept_new = true\n[hosts]\naway = "127.0.0.1"\n')
    done = steps.run("run", "steps.py:good", "-i", "away.toml")
    assert done.code == 3
    assert "away: m/t/a: unreachable" in done.out
    assert "to do: " in done.out
    assert steps.run("exec", "all", "-i", "away.toml", "--", "true").code == 3


def test_4_where_a_connection_was_cut_in_the_middle_of_a_step(
    steps: Program, embedded_fleet: MakeEmbeddedFleet
) -> None:
    """Nobody knows how it ended, so nobody says so; what ran there is ended by its host."""
    fleet = embedded_fleet(2)
    steps.file("fleet.toml", inventory(fleet))
    (fleet.home("host2") / "go").touch()
    running = steps.start("run", "steps.py:hold", "-i", "fleet.toml", "--log", "run.ndjson", "--keep-going")
    until((fleet.home("host1") / "began").exists, "the step to begin")
    fleet.drop("host1")
    done = running.end()
    assert done.code == 4
    assert "host1: m/t/a: lost" in done.out
    assert [each.status.name for each in kx.read_log(steps.folder / "run.ndjson")] == [
        "Lost",
        "Succeeded",
        "Lost",
        "Succeeded",
    ]
    until(lambda: not fleet.processes("host1"), "the step to be ended")
    assert not (fleet.home("host1") / "never").exists()


def test_5_where_the_log_cannot_grow(steps: Program) -> None:
    """The run stops with the step in flight, the log holds what was recorded before, and the words name the file."""
    done = steps.run("run", "steps.py:chatty", "-i", "one.toml", "--log", "run.ndjson", before=file_size_limit(100_000))
    assert done.code == 5
    assert "run.ndjson" in done.out
    log = kx.read_log(steps.folder / "run.ndjson")
    ran = (steps.folder / "ran").read_text("ascii").split()
    assert 0 < len(log.results) <= len(ran) < 40
    assert not log.complete


def _can_mount() -> bool:
    """Whether a small disk can be had here, seen by its own processes only."""
    argv = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if _can_mount():

    def test_5_where_the_disk_of_the_log_is_full(steps: Program) -> None:
        """A disk of 64 KiB; runs where such a disk can be mounted."""
        (steps.folder / "disk").mkdir()
        text = (
            "mount -t tmpfs -o size=64k none disk && exec kxflow run steps.py:chatty -i one.toml --log disk/run.ndjson"
        )
        done = steps.start("-m", "sh", "-c", text, argv=("unshare",)).end()
        assert done.code == 5
        assert "No space left on device" in done.out
        assert 0 < len((steps.folder / "ran").read_text("ascii").split()) < 40


def test_5_where_the_log_is_taken_away(steps: Program) -> None:
    """A log that somebody removes records nothing any more: no further step begins."""
    done = steps.run("run", "steps.py:unlogged", "-i", "one.toml", "--log", "run.ndjson")
    assert done.code == 5
    assert "the log was removed or replaced" in done.out
    assert not (steps.folder / "never").exists()


def test_5_where_another_run_is_writing_the_log(steps: Program) -> None:
    """The second one runs nothing, the first one goes on."""
    args = ("run", "steps.py:hold", "-i", "one.toml", "--log", "run.ndjson")
    first = steps.start(*args)
    until((steps.folder / "began").exists, "the step to begin")
    second = steps.run("run", "steps.py:chatty", "-i", "one.toml", "--log", "run.ndjson")
    (steps.folder / "go").touch()
    assert second.code == 5
    assert "another run is writing this log" in second.out
    assert "has not begun" not in second.out
    assert not (steps.folder / "ran").exists()
    assert first.end().code == 0


INTERRUPTED: Final = kx.Fault("interrupted", "the run was interrupted: SIGTERM")
NO_LOG: Final = kx.Fault("sink_full", "no space left")
SINK: Final = kx.Fault("sink", "sink console: it raised ValueError: what")
SINK_SLOW: Final = kx.Fault("sink_slow", "sink console: it is 100000 events behind")


@pytest.mark.parametrize(
    ("statuses", "faults", "code"),
    [
        ("", (), 0),
        ("Succeeded Skipped", (), 0),
        ("Succeeded NotRun", (), 1),
        ("Unreachable NotRun", (), 3),
        ("Unreachable Failed NotRun", (), 1),
        ("Cancelled", (), 1),
        ("Failed Lost Unreachable", (), 4),
        ("Lost Failed", (NO_LOG,), 5),
        ("Succeeded", (NO_LOG,), 5),
        ("Succeeded", (SINK,), 1),
        ("Unreachable", (SINK_SLOW,), 1),
        ("Lost", (SINK,), 4),
        ("Failed", (SINK, NO_LOG), 5),
        ("Lost Failed", (NO_LOG, INTERRUPTED), 128 + signal.SIGTERM),
        ("Succeeded", (INTERRUPTED,), 128 + signal.SIGTERM),
    ],
)
def test_the_worst_wins(statuses: str, faults: tuple[kx.Fault, ...], code: int) -> None:
    """A signal, then 5, 4, 1, 3; a sink that failed is a fault of the run, but nothing of the log's."""
    results = [evolve(result(place), status=kx.Status[name]) for place, name in enumerate(statuses.split())]
    assert exit_code(kx.Report(results, faults)) == code


@pytest.mark.parametrize("status", ["Failed", "Lost", "Unreachable", "Cancelled"])
def test_a_tolerated_fault_does_not_count(status: str) -> None:
    """Its author said so."""
    assert exit_code(kx.Report([evolve(result(0), status=kx.Status[status], tolerated=True)])) == 0


def test_the_program_is_installed() -> None:
    """These tests run what people type."""
    assert Path(SCRIPT).is_file()
