"""What a start costs: time, and packages that are not needed yet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.cli.program import SCRIPT, environment

ROUNDS: Final = 7
IMPORT: Final = 0.150
VERSION: Final = 0.250
COSTLY: Final = (
    "asyncssh",
    "rich",
    "click",
    "yaml",
    "hypothesis",
    "pandas",
    "anyio",
    "returns",
    "trio",
    "cryptography",
)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python keeps what it has compiled, as it does for everybody."""
    kept = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("caches"))}


def python(code: str) -> list[str]:
    """Run this by a fresh Python."""
    return [sys.executable, "-c", code]


def seconds(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """How long a program takes: the time that it has a processor, so that what others do does not count."""
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def compared(programs: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> dict[str, float]:
    """The least that each takes, in rounds, one after the other.

    What disturbs a measurement only ever makes it longer, so the least is nearest to the truth.
    """
    for each in programs.values():
        seconds(each, env)  # now all is compiled, and in the cache of the disk
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, argv in programs.items():
            times[name].append(seconds(argv, env))
    return {name: min(each) for name, each in times.items()}


def test_import_takes_at_most_150_ms_and_the_program_250(env: dict[str, str]) -> None:
    """Over a Python that does nothing; the program with all that it takes."""
    programs = {"bare": python("pass"), "import": python("import kxflow"), "version": [str(SCRIPT), "--version"]}
    found = compared(programs, env)
    assert found["import"] - found["bare"] <= IMPORT, found
    assert found["version"] <= VERSION, found


def loaded(code: str, env: Mapping[str, str]) -> set[str]:
    """Top-level packages that are there after this."""
    told = f"{code}\nimport sys\nprint(*sorted({{each.partition('.')[0] for each in sys.modules}}))"
    done = subprocess.run(python(told), env=env, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_no_package_before_it_is_needed(env: dict[str, str]) -> None:
    """A pipeline can be written and looked at without SSH, tables, or an event loop."""
    pipeline = "kx.pipeline('p', kx.module('m', kx.task('t', kx.command('s', 'true'), on=kx.role('web'))))"
    found = loaded(f"import kxflow as kx\np = {pipeline}\nkx.Cluster([kx.Host('web1', roles='web')])", env)
    assert "kxflow" in found
    assert not found & set(COSTLY)


def test_the_command_line_loads_what_a_command_needs(env: dict[str, str]) -> None:
    """Reading a log needs no SSH, and a local run neither."""
    assert not loaded("import kxflow.cli", env) & (set(COSTLY) - {"click"})


def test_a_local_run_loads_no_ssh(env: dict[str, str], tmp_path: Path) -> None:
    """Neither asyncssh nor what it is made of."""
    code = f"""
import os
import kxflow as kx
os.chdir({str(tmp_path)!r})
p = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
report = kx.report_of(kx.run(p, kx.Cluster([kx.Host("here")], connect=kx.Local()), sinks=[kx.ndjson("run.ndjson")]))
assert report.succeeded and kx.read_log("run.ndjson").report() == report
"""
    assert not loaded(code, env) & {
        "asyncssh",
        "cryptography",
        "bcrypt",
        "rich",
        "click",
        "yaml",
        "hypothesis",
        "pandas",
    }


def test_every_public_name_can_be_loaded_first() -> None:
    """Whichever of them is the first to be asked for: no order of imports is needed, and none is a module."""
    code = """
import importlib, subprocess, sys, types
import kxflow
for name in kxflow.__all__:
    assert not isinstance(getattr(kxflow, name), types.ModuleType), name
assert sorted(kxflow.__all__) == kxflow.__all__
assert set(kxflow.__all__) <= set(dir(kxflow))
"""
    subprocess.run(python(code), check=True)


@pytest.mark.parametrize(
    "name", ["run", "check", "either", "StepEnded", "Report", "console", "Store", "MemoryConnector"]
)
def test_a_name_that_loads_late_can_be_the_first(name: str, env: dict[str, str]) -> None:
    """Each alone, in a fresh process."""
    subprocess.run(
        python(f"from kxflow import {name}\nassert {name}.__module__.startswith('kxflow.')"), env=env, check=True
    )


def test_a_name_that_is_not_there_is_told() -> None:
    """As Python tells it."""
    import kxflow

    with pytest.raises(AttributeError, match="module 'kxflow' has no attribute 'nonsense'"):
        kxflow.nonsense  # noqa: B018 -- asking is the test
