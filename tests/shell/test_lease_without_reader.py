"""A program whose controller is gone: nobody reads what it says any more, and still nothing of it is left."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

import kxflow as kx
from kxflow.shell.compile import compile as compile_
from kxflow.shell.program import Op
from kxflow.testing.fleet import until
from kxflow.values.action import Command


def session(leader: int) -> set[int]:
    """Live processes of a session."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                state, _, _, its, *_ = (entry / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
                if int(its) == leader and state != "Z":
                    found.add(int(entry.name))
        except OSError:  # gone
            continue
    return found


def start(folder: Path, step: str) -> subprocess.Popen[bytes]:
    """A program of one step, as a login shell starts it."""
    command = kx.shell(step)
    assert isinstance(command, Command)
    program = compile_([Op(index=0, command=command, group=0)], nonce="ab" * 16)
    pipe = subprocess.PIPE
    line = shlex.join(program.argv)
    process = subprocess.Popen(
        ["/bin/sh", "-c", line], cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, bufsize=0
    )
    assert process.stdin is not None
    process.stdin.write(program.body)
    return process


@pytest.mark.parametrize("on_term", ["", "trap 'exit 1' TERM;", "trap '' TERM;"])
def test_the_guard_ends_everything_also_when_it_cannot_say_so(tmp_path: Path, on_term: str) -> None:
    """Input and outputs are closed at once, as a connection closes them; the shell of the program is ended, too.

    A step that dies of TERM makes that shell say so and die of the closed pipe; one that exits by itself does not.
    """
    process = start(tmp_path, f"{on_term} touch began; while :; do sleep 0.02; done")
    try:
        until((tmp_path / "began").exists, "the step to begin", 30)
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        until(lambda: not session(process.pid), "all of it to be gone")
    finally:
        for pid in session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
