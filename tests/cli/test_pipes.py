"""Where output goes: pipes that close, disks that are full, streams that are not there."""

from __future__ import annotations

from typing import Final

import pytest

import kxflow as kx
from tests.cli.program import LOCAL, Program

STEPS: Final = """
import kxflow as kx

wordy = kx.command("wordy", "seq 2000")
good = kx.pipeline("p", kx.module("m", kx.task("t", wordy, kx.command("mark", "echo x >> marks"))))
bad = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("mark", "echo x >> marks"), kx.command("no", "exit 3"))))
"""

# A command that tells, and its exit status where somebody reads it.
TELLING: Final = (
    "--help",
    "run --help",
    "--version",
    "check steps.py:good -i hosts.toml",
    "show run.ndjson",
    "show run.ndjson --json",
)


@pytest.fixture
def steps(kxflow: Program) -> Program:
    """The program, with pipelines for it, and a log."""
    kxflow.file("steps.py", STEPS)
    kxflow.file("hosts.toml", LOCAL)
    return kxflow


@pytest.fixture
def logged(steps: Program) -> Program:
    """The same with a log of many results."""
    assert steps.run("run", "steps.py:good", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    return steps


@pytest.mark.parametrize("sink", ["| head -n 1", ">/dev/full", ">&-", ">&- 2>&-", ">/dev/full 2>&1"])
@pytest.mark.parametrize(("name", "code"), [("good", 0), ("bad", 1)])
def test_a_run_goes_on_to_its_end_whoever_reads_what_it_says(steps: Program, sink: str, name: str, code: int) -> None:
    """The exit status is that of the run, and every step on every host has run."""
    options = "--output --keep-going --log run.ndjson"
    done = steps.sh(f"kxflow run steps.py:{name} -i hosts.toml {options} {sink}; exit ${{PIPESTATUS[0]}}")
    assert done.code == code
    assert "Traceback" not in done.err
    assert "Exception" not in done.err
    assert (steps.folder / "marks").read_text("ascii") == "x\n" * 3
    assert kx.read_log(steps.folder / "run.ndjson").complete


def test_what_head_has_read_is_whole(steps: Program) -> None:
    """And nothing is said about it."""
    done = steps.sh("kxflow exec all -i hosts.toml -- seq 20000 | head -n 2; exit ${PIPESTATUS[0]}")
    assert done.code == 0
    assert len(done.out.splitlines()) == 2
    assert done.err == "3 hosts: 3 succeeded\n"


def test_a_reader_that_goes_away_is_no_error(logged: Program) -> None:
    """Not for any command that only tells something."""
    for line in TELLING:
        done = logged.sh(f"kxflow {line} | true; exit ${{PIPESTATUS[0]}}")
        assert (line, done.code, done.err) == (line, 0, "")


def test_a_full_disk_is_told_in_words(logged: Program) -> None:
    """What was asked for could not be given: exit status 2."""
    for line in TELLING:
        done = logged.sh(f"kxflow {line} >/dev/full")
        told = "kxflow: the output cannot be written: No space left on device\n"
        assert (line, done.code, done.err) == (line, 2, told)


def test_a_refusal_keeps_its_exit_status_when_nobody_reads_it(steps: Program) -> None:
    """Wrong use is 2, wherever stderr leads."""
    for sink in ("2>/dev/full", "2>&-", "2>&1 | true"):
        assert steps.sh(f"kxflow run nix.py {sink}; exit ${{PIPESTATUS[0]}}").code == 2
        assert steps.sh(f"kxflow nonsense {sink}; exit ${{PIPESTATUS[0]}}").code == 2


def test_text_that_the_encoding_of_stdout_cannot_say_is_escaped(steps: Program) -> None:
    """A terminal of the last century still gets every line."""
    done = steps.sh("PYTHONIOENCODING=ascii kxflow exec web1 -i hosts.toml -- 'echo caf\u00e9'")
    assert (done.code, done.out) == (0, "web1 | caf\\xe9\n")
