"""Signals: the first lets steps in flight end, the second ends them, and hosts are left as they should be."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

import pytest

import kxflow as kx
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeEmbeddedFleet
from tests.cli.program import ONE, Program, Running, inventory

STEPS: Final = """
import kxflow as kx

hold = kx.pipeline(
    "p",
    kx.module(
        "m",
        kx.task("t", kx.command("a", "touch began; while test ! -e go; do sleep 0.02; done; echo ended well")),
        kx.task("u", kx.command("b", "touch never")),
        kx.task("v", kx.command("c", "touch never")),
    ),
    after=kx.task("tidy", kx.command("d", "touch tidied")),
)
"""
CALM: Final = "no further step begins; those in flight may end, for up to 10 s; once more ends them now"
CODES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def steps(kxflow: Program) -> Program:
    """The program, with a pipeline that waits for a file."""
    kxflow.file("steps.py", STEPS)
    kxflow.file("one.toml", ONE)
    return kxflow


def begin(steps: Program, **options: object) -> Running:
    """A run in the middle of its first step."""
    running = steps.start("run", "steps.py", "-i", "one.toml", "--log", "run.ndjson", **options)  # type: ignore[arg-type]  # passed on
    until((steps.folder / "began").exists, "the step to begin", 30)
    return running


def statuses(steps: Program) -> dict[str, str]:
    """By step, as the log has them."""
    return {each.step: each.status.name for each in kx.read_log(steps.folder / "run.ndjson")}


@pytest.mark.parametrize("number", CODES)
def test_the_first_signal_lets_the_step_in_flight_end_and_no_other_begin(
    steps: Program, number: signal.Signals
) -> None:
    """It says so at once; `after` still runs; the log tells all, and the exit status which signal it was."""
    running = begin(steps)
    running.send(number)
    running.says(f"kxflow: {number.name}: {CALM}\n")
    (steps.folder / "go").touch()
    done = running.end()
    assert done.code == CODES[number]
    assert statuses(steps) == {"a": "Succeeded", "b": "NotRun", "c": "NotRun", "d": "Succeeded"}
    assert "2 not run: interrupted: " + number.name in done.out
    assert f"the run was interrupted: {number.name}" in done.out
    assert not (steps.folder / "never").exists()
    log = kx.read_log(steps.folder / "run.ndjson")
    assert log.complete
    assert {str(each.stdout) for each in log if each.step == "a"} == {"ended well\n"}


def test_the_second_signal_ends_the_step_now(steps: Program, embedded_fleet: MakeEmbeddedFleet) -> None:
    """On a host over SSH: its death is confirmed, nothing of it is left, and no hook begins."""
    fleet = embedded_fleet(1)
    steps.file("fleet.toml", inventory(fleet))
    running = steps.start("run", "steps.py", "-i", "fleet.toml", "--log", "run.ndjson")
    until((fleet.home("host1") / "began").exists, "the step to begin", 30)
    running.send(signal.SIGINT)
    running.says(CALM)
    running.send(signal.SIGINT)
    running.says("kxflow: SIGINT: steps in flight are ended\n")
    assert running.end().code == 130
    assert statuses(steps) == {"a": "Cancelled", "b": "NotRun", "c": "NotRun", "d": "NotRun"}
    until(lambda: not fleet.processes("host1"), "its processes to be gone")
    assert not (fleet.home("host1") / "tidied").exists()


def test_when_the_time_for_steps_in_flight_is_over_they_are_ended(steps: Program) -> None:
    """It is ten seconds; here it is made shorter, and one signal is enough."""
    from kxflow.edge import GRACE

    assert GRACE == 10.0
    program = "import kxflow.edge as edge; edge.GRACE = 0.3; from kxflow.cli import main; main()"
    running = begin(steps, argv=(sys.executable, "-c", program))
    running.send(signal.SIGTERM)
    running.says("kxflow: SIGTERM: steps in flight are ended\n")
    assert running.end().code == 143
    assert statuses(steps)["a"] == "Cancelled"


def test_ctrl_c_at_a_terminal_does_not_reach_local_steps_by_itself(steps: Program) -> None:
    """A terminal sends it to every process of the group; steps have sessions of their own, and may end well."""
    running = begin(steps)
    os.killpg(running.process.pid, signal.SIGINT)
    running.says(CALM)
    (steps.folder / "go").touch()
    assert running.end().code == 130
    assert statuses(steps)["a"] == "Succeeded"


def test_a_signal_that_was_ignored_before_stays_ignored(steps: Program) -> None:
    """As `nohup` has it."""
    running = begin(steps, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    running.send(signal.SIGHUP)
    (steps.folder / "go").touch()
    done = running.end()
    assert (done.code, done.err) == (0, "")
    assert statuses(steps) == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "d": "Succeeded"}


def test_a_run_gives_signals_back_as_it_found_them() -> None:
    """Handlers of the program around it are those that were there before."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    found = {each: signal.getsignal(each) for each in wanted}
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        before = {each: signal.getsignal(each) for each in wanted}
        pipeline = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", "true"))))
        kx.run(pipeline, kx.Cluster([kx.Host("here")], connect=kx.Local()))
        assert {each: signal.getsignal(each) for each in wanted} == before
    finally:
        for each, handler in found.items():
            signal.signal(each, handler)


def test_exec_is_interrupted_like_run(steps: Program) -> None:
    """The command in flight may end."""
    script = "echo begun; touch began; while test ! -e go; do sleep 0.02; done; echo over"
    running = steps.start("exec", "here", "-i", "one.toml", "--", script)
    running.says("here | begun\n", "out")
    running.send(signal.SIGINT)
    running.says(CALM)
    (steps.folder / "go").touch()
    done = running.end()
    assert done.code == 130
    assert done.out == "here | begun\nhere | over\n"
    assert "interrupted" in done.err


def test_ctrl_c_while_the_file_is_read_ends_the_program(steps: Program) -> None:
    """Nothing was run, no traceback is shown."""
    steps.file("slow.py", "import time, pathlib\npathlib.Path('reading').touch()\ntime.sleep(60)\n")
    running = steps.start("run", "slow.py", "-i", "one.toml")
    until((steps.folder / "reading").exists, "the file to be read", 30)
    running.send(signal.SIGINT)
    done = running.end()
    assert done.code == 130
    assert "Traceback" not in done.err


def test_after_sigkill_nothing_runs_on_and_the_log_says_what_may_have_begun(
    steps: Program, embedded_fleet: MakeEmbeddedFleet
) -> None:
    """The lease of the host ends what ran there; `kxflow show` does not call it a success."""
    fleet = embedded_fleet(1)
    steps.file("fleet.toml", inventory(fleet))
    running = steps.start("run", "steps.py", "-i", "fleet.toml", "--log", "run.ndjson")
    until((fleet.home("host1") / "began").exists, "the step to begin", 30)
    running.send(signal.SIGKILL)
    assert running.end().code == -signal.SIGKILL
    until(lambda: not fleet.processes("host1"), "its processes to be gone")
    shown = steps.run("show", Path("run.ndjson"))
    assert shown.code == 0
    assert "the log ends before the run did; these may have begun and have no end: m/t/a on host1" in shown.out
    assert "succeeded" not in shown.out


@pytest.mark.parametrize("module", ["click", "anyio"])
def test_ctrl_c_while_the_program_is_being_loaded_shows_no_traceback(kxflow: Program, module: str) -> None:
    """Exit status 130, and not a word; the module that is loaded just then is one that takes long."""
    kxflow.file(f"{module}.py", "import time\nfrom pathlib import Path\nPath('began').touch()\ntime.sleep(60)\n")
    kxflow.file("hosts.toml", ONE)
    kxflow.env = {**kxflow.env, "PYTHONPATH": str(kxflow.folder)}
    running = kxflow.start("exec", "all", "-i", "hosts.toml", "--", "true")
    until((kxflow.folder / "began").exists, "the module to be loaded", 30)
    running.send(signal.SIGINT)
    done = running.end()
    assert (done.code, done.out, done.err.strip()) == (130, "", "")
