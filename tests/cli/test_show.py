"""`kxflow show`: tables from a log, whatever hosts have written into it."""

from __future__ import annotations

import json
import os
import pty
import re
import termios
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from attrs import evolve

from kxflow.sinks.ndjson import ndjson
from kxflow.testing.sink_check import Scenario, scenarios
from kxflow.values.event import RunBegan, RunEnded, StepEnded
from kxflow.values.result import Position, Status, StepResult
from tests.cli.program import Program, call

# All that controls or hides, but for the newline that ends a line.
CONTROL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
STYLES: Final = re.compile(r"\x1b\[[0-9;]*m")

SMALL: Final = """
import kxflow as kx

p = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", "true"))))
"""


async def record(path: Path, scenario: Scenario) -> None:
    """Write a scenario into a log, as a run does."""
    journal = ndjson(path, sync=False)
    for event in scenario.events:
        match event:
            case RunBegan():
                await journal.begin(event)
            case StepEnded(result):
                await journal.ended([result])
            case RunEnded():
                await journal.finish(event)
    await journal.aclose()


@pytest.fixture
def logs(here: Program) -> Program:
    """A log for each scenario, by its name, and one with all of them behind each other."""
    for scenario in scenarios():
        for name in (f"{scenario.name}.ndjson", "all.ndjson"):
            anyio.run(record, here.folder / name, scenario)
    return here


def rows(*args: str) -> list[dict[str, Any]]:
    """What --json gives."""
    return [json.loads(line) for line in call("show", *args, "--json").out.splitlines()]


def test_names_in_a_log_do_not_act_either(here: Program) -> None:
    """Nobody but a forger writes such a log, and it is shown escaped."""
    evil = "\x1b[2J\u202e\x9b31m\n"
    base = next(each for each in scenarios() if each.name == "every status")
    named: dict[str, Any] = {"module": evil, "task": evil, "step": evil, "host": evil, "reason": evil, "pipeline": evil}
    forged = [
        evolve(each, result=evolve(each.result, **named)) if isinstance(each, StepEnded) else each
        for each in base.events
    ]
    anyio.run(record, here.folder / "forged.ndjson", Scenario(base.name, tuple(forged)))
    for options in ((), ("--status", "Failed"), ("--json",), ("--host", "nix")):
        done = call("show", "forged.ndjson", *options)
        assert done.code == (2 if "nix" in options else 0)
        assert not CONTROL.search(done.out + done.err)


@pytest.mark.parametrize("name", [each.name for each in scenarios()])
@pytest.mark.parametrize("options", [(), ("--host", "*"), ("--json",)])
def test_nothing_that_a_host_wrote_acts_on_a_terminal(logs: Program, name: str, options: tuple[str, ...]) -> None:
    """Not one control character leaves the program, in whatever form the log is shown."""
    done = call("show", f"{name}.ndjson", *options)
    no_host_to_choose = name == "no steps" and "--host" in options
    assert done.code == (2 if no_host_to_choose else 0)
    assert not CONTROL.search(done.out + done.err)


def test_on_a_terminal_there_are_styles_and_nothing_else_that_acts(logs: Program, kxflow: Program) -> None:
    """The tables fit its width, and rich's own codes are the only ones."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 60))
    running = kxflow.start("show", "hostile bytes.ndjson", stdout=side)
    os.close(side)
    written = b"".join(iter(lambda: _read(main), b"")).decode()
    os.close(main)
    assert running.end().code == 0
    plain = STYLES.sub("", written).replace("\r\n", "\n")
    assert plain != written
    assert not CONTROL.search(plain)
    assert max(map(len, plain.split("\n"))) <= 60


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has the other side any more
        return b""


def test_the_tables_tell_what_went_wrong_and_where(logs: Program) -> None:
    """A line on the whole, the untolerated faults with the end of their output, and a row for each step."""
    out = call("show", "every status.ndjson").out
    heading, *_ = out.splitlines()
    assert heading.startswith(
        "deploy: failed: 1 Succeeded, 1 Skipped, 1 Failed, 1 Lost, 1 Unreachable, 1 Cancelled, 1 NotRun on 7 hosts"
    )
    faults, steps = out.split(" step ", 2)[1:]
    assert "web2" in faults
    assert "Failed" in faults
    assert "web3" not in faults  # Lost, and tolerated
    assert "deploy/web/join/step 3" in steps


def test_the_last_output_of_a_fault_is_shown_escaped(logs: Program) -> None:
    """People see what the host wrote, and see that it is odd."""
    out = call("show", "hostile bytes.ndjson").out
    assert "[bold red]markup[/] \\u202e" in out
    assert "\\x1b[2J" in out
    assert ":boom:" in out


def test_what_to_do_about_a_fault_is_shown_with_it(logs: Program) -> None:
    """As the console has shown it."""
    out = call("show", "hostile bytes.ndjson").out
    assert "Failed (exit): it said " in out
    assert " (look at " in out


def test_faults_of_the_run_itself_are_shown(logs: Program) -> None:
    """They are of no host."""
    out = call("show", "faults of the run itself.ndjson").out
    assert "it said interrupted \\x1b[1m" in out
    assert out.startswith("deploy: failed")


def test_json_gives_each_result_as_one_object_a_line(logs: Program) -> None:
    """Every field of the record; text of outputs as it was, times in ISO 8601."""
    found = rows("every status.ndjson")
    assert [row["status"] for row in found] == [each.name for each in Status]
    fields = {each.name for each in StepResult.__attrs_attrs__ if each.name != "payload"}
    assert all(fields | {"path"} == row.keys() for row in found)
    assert found[1]["started_at"] == "2026-01-02T03:04:05.678901+00:00"
    hostile = next(each for each in scenarios() if each.name == "hostile bytes").results
    assert [row["stdout"] for row in rows("hostile bytes.ndjson")] == [str(each.stdout) for each in hostile]


def test_json_is_json_also_of_values_that_have_no_word_in_it(logs: Program) -> None:
    """NaN and infinity are told as text: a strict parser reads every line."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    out = call("show", "values that JSON has no word for.ndjson", "--json").out
    assert len([json.loads(line, parse_constant=refuse) for line in out.splitlines()]) == 9


def test_host_and_status_choose_results(logs: Program) -> None:
    """Each may be repeated, a host may be a pattern; results are shown one by one."""
    assert [row["host"] for row in rows("every status.ndjson", "--host", "web[12]", "--host", "web6")] == [
        "web1",
        "web2",
        "web6",
    ]
    assert [row["status"] for row in rows("every status.ndjson", "--status", "lost", "--status", "Failed")] == [
        "Failed",
        "Lost",
    ]
    assert [row["host"] for row in rows("every status.ndjson", "--status", "Lost", "--host", "web?")] == ["web3"]
    out = call("show", "every status.ndjson", "--host", "web3").out
    assert "Lost (exit)" in out
    assert "web2" not in out


def test_a_status_that_no_result_has_gives_no_rows(logs: Program) -> None:
    """It is a fair question; the answer is none."""
    done = call("show", "hooks.ndjson", "--status", "Lost", "--json")
    assert (done.code, done.out) == (0, "")


def test_a_host_that_is_not_in_the_run_is_a_mistake(logs: Program) -> None:
    """A misspelt name is no empty table."""
    done = call("show", "every status.ndjson", "--host", "wbe1")
    assert (done.code, done.out) == (2, "")
    assert done.err == ("kxflow: --host 'wbe1' matches no host of this run; hosts: web0, web1, web2, web3, web4, …\n")


def test_run_chooses_one_of_several(logs: Program) -> None:
    """The last one, where none is named; a run that is not there is told with those that are."""
    assert {row["run"] for row in rows("all.ndjson")} == {"faults of the run itself"}
    assert {row["run"] for row in rows("all.ndjson", "--run", "hooks")} == {"hooks"}
    done = call("show", "all.ndjson", "--run", "nix")
    assert done.code == 2
    assert "holds no run 'nix'" in done.err
    assert "'hooks'" in done.err


def test_a_log_of_many_hosts_is_shown_in_one_table_of_steps(here: Program) -> None:
    """A row for a step, not for each host."""
    one = next(each for each in scenarios() if each.name == "no steps")
    base = next(each for each in scenarios() if each.name == "every status").results[0]
    many = [
        StepEnded(evolve(base, run=one.run, host=f"h{i}", position=Position(0, 0, 0, i), duration=float(i % 7)))
        for i in range(300)
    ]
    scenario = Scenario(one.name, (one.events[0], *many, one.events[-1]))
    anyio.run(record, here.folder / "many.ndjson", scenario)
    out = call("show", "many.ndjson").out
    assert out.startswith("deploy: succeeded: 300 Succeeded on 300 hosts")
    assert len(out.splitlines()) < 10
    assert "6.0 s" in out


@pytest.mark.parametrize("args", [(), ("--json",), ("--host", "db1")])
def test_a_torn_fragment_is_told_by_who_moves_it_and_by_who_reads_of_it(here: Program, args: tuple[str, ...]) -> None:
    """`run` on stderr when it goes on behind it; `show` while it is there, and of the run that found it."""
    here.file(
        "p.py", 'import kxflow as kx\np = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", "true"))))\n'
    )
    run = ("run", "p.py", "-i", "hosts.toml", "--log", "run.ndjson")
    assert call(*run).err == ""
    log = here.folder / "run.ndjson"
    log.write_bytes(log.read_bytes() + b'{"v":1,"seq')
    shown = call("show", "run.ndjson", *args)
    assert "a torn fragment at its end, 11 bytes, is left out\n" in shown.out + shown.err
    moved = "a torn fragment at its end, 11 bytes, was moved to run.ndjson.torn\n"
    assert call(*run).err == f"kxflow: run.ndjson: {moved}"
    shown = call("show", "run.ndjson", *args)
    assert moved in shown.out + shown.err
    assert call(*run).err == ""
    assert "torn" not in call("show", "run.ndjson", *args).out
