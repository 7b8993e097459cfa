"""The README is what is tested: its commands, its blocks of code, its tables, its links."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner

import kxflow as kx
from kxflow import cli, resources
from kxflow.cli import status
from kxflow.testing.plugin import MakeEmbeddedFleet, embedded_fleet
from tests.cli.program import Program, environment, inventory

__all__ = ["embedded_fleet"]

ROOT: Final = Path(__file__).parent.parent
TEXT: Final = (ROOT / "README.md").read_text("utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """All blocks of a language, in order."""
    return [text for kind, text in BLOCKS if kind == language]


def section(title: str) -> str:
    """The text below a heading."""
    _, _, rest = TEXT.partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def table(title: str, head: str) -> list[list[str]]:
    """Rows of the table with this head, without the head."""
    lines = section(title).splitlines()
    start = lines.index(next(line for line in lines if line.startswith(f"| {head}")))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def inline(text: str) -> list[str]:
    """Code within the prose."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


DEPLOY, SITE, ALIAS, *TESTING = blocks("python")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What `deploy.py` defines."""
    found: dict[str, Any] = {"__name__": "deploy"}
    exec(compile(DEPLOY, "deploy.py", "exec"), found)  # noqa: S102 -- the README's own
    return found


@pytest.fixture
def kxflow(tmp_path: Path) -> Iterator[Program]:
    """The program, beside the files of the README."""
    program = Program(tmp_path, environment())
    program.file("deploy.py", DEPLOY)
    program.file("hosts.toml", blocks("toml")[0])
    yield program
    program.close()


# The commands for a fresh machine


def test_both_commands_are_one_line_of_shell() -> None:
    """The first runs the demo, the second the tests, as CI runs them."""
    demo, tests = blocks("sh")
    for each in (demo, tests):
        assert each.count("\n") == 1
        subprocess.run(["sh", "-n", "-c", each], check=True)
    assert demo.startswith("python3 -m venv .venv && ")
    assert demo.endswith("&& .venv/bin/kxflow demo\n")
    command = tests.strip().rpartition("&& .venv/bin/")[2]
    assert command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_extras_that_are_installed_are_there() -> None:
    """`.[test]` brings what the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {each for command in blocks("sh") for each in re.findall(r"\.\[(\w+)\]", command)}
    assert extras == {"test"}
    assert extras <= project["optional-dependencies"].keys()
    assert project["scripts"]["kxflow"] == "kxflow.cli:main"
    assert project["license"] == "MIT"
    assert project["version"] == kx.__version__


# The pipeline


def test_the_pipeline_runs_and_a_second_run_skips_everything(
    kxflow: Program, embedded_fleet: MakeEmbeddedFleet, names: dict[str, Any]
) -> None:
    """By the command that the README gives, on hosts of those names over SSH; the log reads back."""
    hosts = names["fleet"].hosts
    fleet = embedded_fleet(names=[each.name for each in hosts], roles={each.name: each.roles for each in hosts})
    kxflow.file("fleet.toml", inventory(fleet))
    for log, word in (("first.ndjson", "Succeeded"), ("second.ndjson", "Skipped")):
        done = kxflow.run("run", "deploy.py", "-i", "fleet.toml", "--log", log)
        assert (done.code, done.err) == (0, "")
        report = kx.read_log(kxflow.folder / log).report()
        assert [each.status.name for each in report] == [word] * 3
    token = (fleet.home("db1") / "app-token").read_text("ascii").strip()
    assert (fleet.home("web2") / "joined").read_text("ascii") == f"web2 {token}\n"
    assert not any(token.encode() in path.read_bytes() for path in kxflow.folder.glob("*.ndjson"))


def test_the_file_runs_by_itself(kxflow: Program) -> None:
    """`python deploy.py` runs it and tells what came of it; here, its hosts are this machine."""
    local = DEPLOY.replace("    ]\n)\n", "    ],\n    connect=kx.Local(),\n)\n", 1)
    assert local != DEPLOY
    kxflow.file("deploy.py", local)
    done = kxflow.start("deploy.py", argv=(sys.executable,)).end()
    assert (done.code, done.err) == (0, "")
    assert "deploy: succeeded: 3 succeeded" in done.out
    assert "Status.Succeeded: 3" in done.out
    assert kx.read_log(kxflow.folder / "run.ndjson").complete


def test_the_pipeline_fits_its_fleet_and_the_inventory(kxflow: Program) -> None:
    """`kxflow check` says so, with the hosts of the file and with those of the inventory."""
    for more in ((), ("-i", "hosts.toml")):
        done = kxflow.run("check", "deploy.py", *more)
        assert (done.code, done.out) == (0, "deploy: no problems: 2 modules, 2 tasks, 2 steps; 3 hosts\n")


def test_what_steps_know_more_is_there(names: dict[str, Any]) -> None:
    """Every transform, every policy, every option of a layer that the prose names can be written so."""
    code = inline(section("A pipeline"))
    transforms = [re.match(r"\.(\w+)\(", each) for each in code]
    found = [each[1] for each in transforms if each]
    assert len(found) >= 7
    assert all(hasattr(kx.Step, each) for each in found)
    values = [each.removeprefix("waves=") for each in code if each.startswith(("kx.", "waves="))]
    assert len(values) >= 5
    for each in values:
        assert eval(each, names) is not None  # noqa: S307 -- the README's own


# The inventory


def test_the_inventory_is_what_it_looks_like(kxflow: Program) -> None:
    """The hosts of the pipeline, with their addresses, roles and variables."""
    fleet = kx.Cluster.load(kxflow.folder / "hosts.toml")
    told = [(each.name, each.address, sorted(each.roles), fleet.vars_of(each)["port"]) for each in fleet]
    assert told == [
        ("db1", "10.0.0.21", ["db"], 5432),
        ("web1", "10.0.0.11", ["web"], 80),
        ("web2", "10.0.0.12", ["web"], 80),
    ]
    for each in fleet:
        way = fleet.connect_of(each)
        assert isinstance(way, kx.Ssh)
        assert (way.user, way.become) == ("ops", kx.Become("root"))


@pytest.mark.parametrize("setting", ["accept_new = true", 'how = "local"'])
def test_settings_that_the_prose_names_can_be_set(setting: str, tmp_path: Path) -> None:
    """Below `[connect]`."""
    assert setting in inline(section("An inventory"))
    path = tmp_path / "hosts.toml"
    path.write_text(f'[connect]\n{setting}\n[hosts]\nweb1 = "10.0.0.11"\n', "ascii")
    assert kx.Cluster.load(path).names == ("web1",)


# Resources


def test_the_site_of_resources_fits_together_and_can_be_planned(names: dict[str, Any]) -> None:
    """Every resource that the README names is there; a plan of it foresees every step."""
    exec(compile(SITE, "site.py", "exec"), names)  # noqa: S102 -- the README's own
    assert kx.check(names["site"], names["fleet"]) == []
    memory = kx.MemoryConnector(lambda *_: kx.Reply(held=True))
    planned = kx.plan(names["site"], names["fleet"], connector=memory)
    assert planned.tally[kx.Effect.none] == len(planned) > 0


def test_the_table_of_resources_names_all_of_them() -> None:
    """Each with how it is idempotent, and what it was proven on."""
    rows = table("States instead of commands", "resource")
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named - {"Facts"} == {name for name in resources.__all__ if name.islower()}
    assert all(len(row) == 3 and row[1] for row in rows)
    assert {row[2] for row in rows} <= {"real host", "recorded replies", "real host; others: recorded replies"}


def test_a_resource_of_ones_own_is_idempotent_and_can_be_taken_back(names: dict[str, Any], tmp_path: Path) -> None:
    """In fewer than 40 lines."""
    assert ALIAS.count("\n") < 40
    exec(compile(ALIAS, "alias.py", "exec"), names)  # noqa: S102 -- the README's own
    path = tmp_path / "aliases"
    path.write_text("root: admin\nwww: old\n")
    here = kx.Cluster([kx.Host("here")], connect=kx.Local())
    steps = [names["alias"]("www", "ops", path=str(path)), names["alias"]("new", "ops", path=str(path))]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *(s.named(str(i)) for i, s in enumerate(steps)))))
    first = kx.report_of(kx.run(pipeline, here))
    assert [each.status.name for each in first] == ["Succeeded"] * 2
    assert path.read_text() == "root: admin\nwww: ops\nnew: ops\n"
    assert [each.status.name for each in kx.report_of(kx.run(pipeline, here))] == ["Skipped"] * 2
    assert kx.report_of(kx.rollback(pipeline, here, first)).succeeded
    assert sorted(path.read_text().splitlines()) == ["root: admin", "www: old"]
    names["test_alias"](tmp_path)


# The command line


def test_every_command_in_the_table_exists_and_every_command_is_in_it() -> None:
    """With the options that it names."""
    rows = table("The command line", "command")
    found = {}
    for usage, told in rows:
        program, name, *_ = usage.strip("`").split()
        assert program == "kxflow"
        options = {opt for each in cli.cli.commands[name].params if isinstance(each, click.Option) for opt in each.opts}
        found[name] = {each.split()[0] for each in inline(told) if each.startswith("-")} | set(
            re.findall(r"(?<= )--?[a-z]+", usage)
        )
        assert found[name] <= options, name
    assert found.keys() == cli.cli.commands.keys()
    assert {"--limit", "--set", "--log", "--keep-going"} <= found["run"]


def test_every_selector_in_the_prose_can_be_read() -> None:
    """The forms that SEL may have."""
    line = next(each for each in section("The command line").splitlines() if each.startswith("SEL is"))
    forms = [each for each in inline(line) if each not in "&|~"]
    assert len(forms) >= 5
    for each in forms:
        kx.selector(each.replace("…", "role:web"))
    kx.selector("(role:web | web*) & ~web1")


def test_the_exit_statuses_are_those_of_the_program() -> None:
    """Each of them, and no other."""
    numbers = [int(part) for row in table("The command line", "exit status") for part in row[0].split(", ")]
    signals = [status.SIGNALLED + number for number in (1, 2, 15)]
    assert numbers == [
        status.OK,
        status.FAILED,
        status.INVALID,
        status.UNREACHABLE,
        status.LOST,
        status.UNRECORDED,
        *signals,
    ]


# What comes back


def test_the_statuses_are_those_of_results() -> None:
    """In their order."""
    assert [row[0].strip("`") for row in table("What comes back", "status")] == [each.name for each in kx.Status]


def test_a_report_answers_what_the_prose_says(names: dict[str, Any]) -> None:
    """Every expression on a report can be evaluated; pandas is the reader's own."""
    memory = kx.MemoryConnector(lambda host, _: "0123456789" if host.name == "db1" else kx.Reply())
    report = kx.report_of(kx.run(names["deploy"], names["fleet"], connector=memory))
    code = [each for each in inline(section("What comes back")) if each.startswith("report")]
    assert len(code) >= 5
    for each in code:
        if each == "report.to_pandas()":
            assert hasattr(report, "to_pandas")
        else:
            assert eval(each, {"report": report, "other": report}) is not None  # noqa: S307 -- the README's own


# Testing your pipelines


def test_the_blocks_on_testing_hold(names: dict[str, Any]) -> None:
    """One after the other, behind `deploy.py`; they are made of assertions."""
    assert len(TESTING) == 2
    found = dict(names)
    for each in TESTING:
        assert "assert " in each
        exec(compile(each, "README.md", "exec"), found)  # noqa: S102 -- the README's own


def test_names_of_the_testing_package_are_there() -> None:
    """Fixtures, checks and strategies."""
    import kxflow.testing
    import kxflow.testing.result_strategies
    from kxflow.testing import plugin

    code = inline(section("Testing your pipelines"))
    for each in ("check_connector", "check_resource", "check_sink", "check_store"):
        assert each in code
        assert callable(getattr(kxflow.testing, each))
    for each in ("embedded_fleet(8)", "sshd_fleet(8)"):
        assert each in code
        assert hasattr(plugin, each.partition("(")[0])
    assert "with kxflow.testing.clone_fleet(2) as clones:" in code
    assert "kxflow.testing.clone_fleet" in inline(section("The command line"))  # where `kxflow rehearse` stands
    assert callable(kxflow.testing.clone_fleet)


# Links, and the files beside it


def test_links_lead_to_files_that_are_there() -> None:
    """Relative to the README."""
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) >= 3
    for each in links:
        assert (ROOT / each).is_file(), each


def test_commands_in_the_prose_can_be_typed() -> None:
    """Wherever it says `kxflow …`."""
    typed = [each for each in inline(TEXT) if each.startswith("kxflow ") and not re.search(r"[A-Z…]", each)]
    assert len(typed) >= 4
    for each in typed:
        _, name, *args = each.split()
        with cli.cli.commands[name].make_context(name, args):  # raises a UsageError for what cannot be
            pass


def test_the_page_with_every_setting_of_an_inventory_is_there() -> None:
    """As the README tells how to read it."""
    command = next(each for each in inline(TEXT) if each.startswith("python -c"))
    code = command.partition("'")[2].rpartition("'")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "`connect_timeout`" in done.stdout


def test_the_licence_is_mit_and_the_changelog_has_this_version() -> None:
    """As pyproject says."""
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License\n")
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\]", changes, re.MULTILINE)
    for name in cli.cli.commands:
        assert f"`{name}`" in changes or f"`kxflow {name}`" in changes


def test_it_is_short() -> None:
    """What it is, in five lines; the whole, on a few screens."""
    about = TEXT.partition("\n\n")[2].partition("\n\n")[0]
    assert len(about.splitlines()) == 5
    assert len(TEXT.splitlines()) < 300


def test_help_of_the_program_and_the_readme_say_the_same_of_examples() -> None:
    """A command that the help shows is one that the README explains."""
    shown = CliRunner().invoke(cli.cli, ["--help"]).stdout
    names = set(re.findall(r"^ +kxflow (\w+)", shown, re.MULTILINE))
    assert names == set(cli.cli.commands)
