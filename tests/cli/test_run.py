"""`kxflow run` and `kxflow check`: what they take, and what they do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from tests.cli.program import Program, call

DEPLOY = """
import kxflow as kx
from kxflow import role

token = kx.command("token", "echo 0123456789", value="echo 0123456789", parse=str)

@kx.step(token=kx.from_one(token))
def join(ctx, token):
    names = ",".join(each.name for each in ctx.cluster.hosts)
    return kx.shell('echo "$NAME of $ALL has $TOKEN"', env={"NAME": ctx.host.name, "ALL": names, "TOKEN": token})

deploy = kx.pipeline(
    "deploy",
    kx.module("database", kx.task("token", token, on=role("db"))),
    kx.module("web", kx.task("join", join, on=role("web"))),
)
"""
SIMPLE = """
import kxflow as kx

def build(name):
    mark = kx.command("mark", 'echo marked; echo >> marks')
    return kx.pipeline(name, kx.module("m", kx.task("all", mark), kx.task("lead", mark, on=kx.first(kx.all_hosts))))

prod = build("prod")
stage = build("stage")

def made():
    return build("made")
"""
VARS = """
import kxflow as kx

@kx.step
def tell(ctx):
    return kx.value({name: repr(each) for name, each in ctx.vars.items()})

p = kx.pipeline("p", kx.module("m", kx.task("t", tell)))
"""


def results(log: str | Path = "run.ndjson") -> dict[tuple[str, str], str]:
    """Status names by step and host, as the log has them."""
    return {(each.path, each.host): each.status.name for each in kx.read_log(log)}


def test_run_runs_a_pipeline_on_an_inventory_and_records_it(here: Program) -> None:
    """The console tells each task, the log has every result."""
    here.file("deploy.py", DEPLOY)
    done = call("run", "deploy.py", "-i", "hosts.toml", "--log", "run.ndjson")
    assert done.code == 0
    assert done.err == ""
    assert "web/join: 2 hosts: 2 ok" in done.out
    assert "deploy: succeeded: 3 succeeded" in done.out
    texts = {each.host: str(each.stdout) for each in kx.read_log("run.ndjson")}
    assert texts["web2"] == "web2 of db1,web1,web2 has 0123456789\n"


def test_the_cluster_of_the_file_is_used_where_no_inventory_is_named(here: Program) -> None:
    """A file that names its fleet runs by itself; an inventory that is named goes before it."""
    own = '\nfleet = kx.Cluster([kx.Host("mine", roles={"db", "web"})], connect=kx.Local())\n'
    here.file("deploy.py", DEPLOY + own)
    assert call("run", "deploy.py", "--log", "own.ndjson").code == 0
    assert {host for _, host in results("own.ndjson")} == {"mine"}
    assert call("run", "deploy.py", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    assert {host for _, host in results()} == {"db1", "web1", "web2"}


@pytest.mark.parametrize(("name", "expected"), [("prod", "prod"), ("stage", "stage"), ("made", "made")])
def test_name_says_which_pipeline_of_a_file(here: Program, name: str, expected: str) -> None:
    """It is a variable, or a function without arguments."""
    here.file("several.py", SIMPLE)
    done = call("run", f"several.py:{name}", "-i", "hosts.toml")
    assert done.code == 0
    assert done.out.startswith(f"{expected}: 2 tasks on 3 hosts\n")


def test_only_runs_the_parts_that_are_named(here: Program) -> None:
    """A module, or one task of it; several may be named."""
    here.file("several.py", SIMPLE)
    assert call("run", "several.py:prod", "-i", "hosts.toml", "--only", "m/lead", "--log", "run.ndjson").code == 0
    assert results() == {("prod/m/lead/mark", "db1"): "Succeeded"}
    assert call("run", "several.py:prod", "-i", "hosts.toml", "--only", "m", "--log", "all.ndjson").code == 0
    assert len(results("all.ndjson")) == 4


def test_limit_leaves_out_hosts_and_changes_nothing_else(here: Program) -> None:
    """`first(all)` still means the first of the whole fleet: on hosts outside of the limit its task does not run."""
    here.file("several.py", SIMPLE)
    args = ("run", "several.py:prod", "-i", "hosts.toml", "--log")
    assert call(*args, "run.ndjson", "--limit", "role:web & ~web1").code == 0
    assert results() == {("prod/m/all/mark", "web2"): "Succeeded"}
    assert call(*args, "wild.ndjson", "--limit", "web*").code == 0
    assert set(results("wild.ndjson")) == {("prod/m/all/mark", "web1"), ("prod/m/all/mark", "web2")}
    assert call(*args, "first.ndjson", "--limit", "db1").code == 0
    assert set(results("first.ndjson")) == {("prod/m/all/mark", "db1"), ("prod/m/lead/mark", "db1")}


def test_a_limited_run_still_sees_the_whole_cluster(here: Program) -> None:
    """A file that lists the fleet lists all of it: a run on one host does not break what the run on all has built."""
    here.file("deploy.py", DEPLOY)
    args = ("run", "deploy.py", "-i", "hosts.toml", "--limit", "db1 | web2", "--log", "run.ndjson")
    assert call(*args).code == 0
    texts = [str(each.stdout) for each in kx.read_log("run.ndjson") if each.host == "web2"]
    assert texts == ["web2 of db1,web1,web2 has 0123456789\n"]


def test_a_value_from_outside_of_the_limit_is_a_problem_told_before_anything_runs(here: Program) -> None:
    """The message names the step and says to widen the limit."""
    here.file("deploy.py", DEPLOY)
    done = call("run", "deploy.py", "-i", "hosts.toml", "--limit", "role:web", "--log", "run.ndjson")
    assert done.code == 2
    assert "deploy/web/join/join" in done.err
    assert "because of the limit role:web: widen it" in done.err
    assert not Path("run.ndjson").exists()


def test_set_gives_values_with_types_and_goes_over_everything(here: Program) -> None:
    """What is TOML is read so, all else is text; a host's own variable is overridden."""
    here.file("vars.py", VARS)
    given = {
        "port": ("8080", "8080"),
        "big": ("9007199254740993", "9007199254740993"),
        "share": ("0.25", "0.25"),
        "on": ("true", "True"),
        "version": ('"1.10"', "'1.10'"),
        "bare_version": ("1.10", "1.1"),
        "names": ('["a", "b"]', "('a', 'b')"),
        "table": ("{x = 1}", "frozendict.frozendict({'x': 1})"),
        "day": ("2026-01-02", "datetime.date(2026, 1, 2)"),
        "text": ("hello world", "'hello world'"),
        "equals": ("a=b=c", "'a=b=c'"),
        "empty": ("", "''"),
        "two": ("1\nother = 2", "'1\\nother = 2'"),
        "colour": ("#fff", "'#fff'"),
        "dotted.name": ("1", "1"),
    }
    options = [part for name, (text, _) in given.items() for part in ("--set", f"{name}={text}")]
    assert call("run", "vars.py", "-i", "hosts.toml", *options, "--log", "run.ndjson").code == 0
    expected = {name: shown for name, (_, shown) in given.items()}
    values: dict[str, Any] = {each.host: dict(each.value) for each in kx.read_log("run.ndjson")}
    assert values == {"db1": expected, "web1": expected, "web2": expected}


def test_the_last_of_two_settings_of_one_name_counts(here: Program) -> None:
    """As with every command line."""
    here.file("vars.py", VARS)
    args = ("run", "vars.py", "-i", "hosts.toml", "--limit", "web1", "--log", "run.ndjson")
    assert call(*args, "--set", "a=1", "--set", " a = 2").code == 0
    assert [dict(each.value) for each in kx.read_log("run.ndjson")] == [{"a": "2"}]


FAILING = """
import kxflow as kx

def some(ctx):
    return kx.shell("exit 3" if ctx.host.name == "db1" else "true")

work = kx.step(some)
p = kx.pipeline("p", kx.module("m", kx.task("t", work, concurrency=1), kx.task("u", kx.command("next", "true"))))
strict = kx.pipeline("p", kx.module("m", kx.task("t", work, concurrency=1, policy=kx.fail_fast())))
"""


def test_without_keep_going_the_first_failure_stops_the_run(here: Program) -> None:
    """Hosts that have not begun do not, and exit status 1 says that a step failed."""
    here.file("failing.py", FAILING)
    assert call("run", "failing.py:p", "-i", "hosts.toml", "--log", "run.ndjson").code == 1
    assert [each.status.name for each in kx.read_log("run.ndjson")] == ["Failed"] + ["NotRun"] * 5


def test_keep_going_lets_the_other_hosts_go_on(here: Program) -> None:
    """The host that failed is out; the run still counts as failed."""
    here.file("failing.py", FAILING)
    assert call("run", "failing.py:p", "-i", "hosts.toml", "--keep-going", "--log", "run.ndjson").code == 1
    names = [each.status.name for each in kx.read_log("run.ndjson")]
    assert names == ["Failed", "Succeeded", "Succeeded", "NotRun", "Succeeded", "Succeeded"]


def test_keep_going_leaves_a_task_its_own_policy(here: Program) -> None:
    """What the author of a task said of it is not overruled from outside."""
    here.file("failing.py", FAILING)
    assert call("run", "failing.py:strict", "-i", "hosts.toml", "--keep-going", "--log", "run.ndjson").code == 1
    assert [each.status.name for each in kx.read_log("run.ndjson")] == ["Failed", "NotRun", "NotRun"]


def test_output_shows_what_programs_write_and_every_step(here: Program) -> None:
    """Each line behind the name of its host."""
    here.file("several.py", SIMPLE)
    args = ("run", "several.py:prod", "-i", "hosts.toml", "--only", "m/lead")
    told = call(*args, "--output").out
    assert "  db1 | marked\n" in told
    assert "  db1 m/lead/mark: succeeded" in told
    assert "marked" not in call(*args).out


ALONE = """
import kxflow as kx

alone = kx.command("alone", "mkdir taken || exit 9; sleep 0.1; rmdir taken")
p = kx.pipeline("p", kx.module("m", kx.task("t", alone)))
"""


def test_concurrency_bounds_how_many_hosts_are_at_work(here: Program) -> None:
    """One at a time: none finds what another one has taken."""
    here.file("alone.py", ALONE)
    assert call("run", "alone.py", "-i", "hosts.toml", "--concurrency", "1").code == 0
    assert call("run", "alone.py", "-i", "hosts.toml", "--keep-going").code == 1


SHELLS = """
import kxflow as kx

above = "true $$; echo $PPID"
p = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("a", above), kx.command("b", above))))
"""


def test_no_fuse_sends_each_step_as_a_program_of_its_own(here: Program) -> None:
    """Else one shell does them all."""
    here.file("shells.py", SHELLS)
    shells = {}
    for log, options in (("fused.ndjson", ()), ("single.ndjson", ("--no-fuse",))):
        args = ("run", "shells.py", "-i", "hosts.toml", "--limit", "web1", "--log", log)
        assert call(*args, *options).code == 0
        shells[log] = len({str(each.stdout) for each in kx.read_log(log)})
    assert shells == {"fused.ndjson": 1, "single.ndjson": 2}


def test_no_fuse_gives_the_same_results(here: Program) -> None:
    """One step at a time, or all as one program: the log says the same."""
    here.file("deploy.py", DEPLOY)
    args = ("run", "deploy.py", "-i", "hosts.toml", "--log")
    assert call(*args, "one.ndjson", "--no-fuse").code == call(*args, "run.ndjson").code == 0
    assert results("one.ndjson") == results()


RESOURCE = """
import kxflow as kx
from attrs import frozen

@frozen
class Idle:
    key = ("idle", "x")

    def probe(self, wanted):
        return "true"

    def apply(self, wanted):
        return "true"

idle = kx.pipeline("idle", kx.module("m", kx.task("t", kx.ensure(Idle(), {"a": "1"}))))
"""


def test_no_verify_believes_resources(here: Program) -> None:
    """Else one that says it did something, and did not, has failed."""
    here.file("idle.py", RESOURCE)
    args = ("run", "idle.py", "-i", "hosts.toml", "--limit", "web1")
    assert call(*args).code == 1
    assert call(*args, "--no-verify").code == 0


def test_two_runs_go_behind_each_other_into_one_log(here: Program) -> None:
    """A log is appended to."""
    here.file("several.py", SIMPLE)
    for name in ("prod", "stage"):
        assert call("run", f"several.py:{name}", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    assert len(kx.read_log("run.ndjson").runs) == 2
    assert kx.read_log("run.ndjson").pipeline == "stage"


# check


def test_check_counts_the_parts_of_a_pipeline_without_problems(here: Program) -> None:
    """With an inventory it has checked hosts, too; nothing is run."""
    here.file("several.py", SIMPLE)
    done = call("check", "several.py:prod", "-i", "hosts.toml")
    assert (done.code, done.out) == (0, "prod: no problems: 1 module, 2 tasks, 2 steps; 3 hosts\n")
    assert not Path("marks").exists()


HOOKS = """
import kxflow as kx

def task(name):
    return kx.task(name, kx.command("a", "true"))

p = kx.pipeline(
    "p",
    kx.module("m", task("t").rescue(kx.command("b", "true")), task("u"), before=task("x"), after=task("y")),
    kx.module("off", task("t"), when=False),
    before=task("first"),
    after=task("last"),
)
"""


def test_check_counts_what_run_counts(here: Program) -> None:
    """Hooks are tasks too, rescue steps are steps, and what is off is none."""
    here.file("hooks.py", HOOKS)
    told = "p: no problems: 1 module, 6 tasks, 7 steps; "
    assert call("check", "hooks.py", "-i", "hosts.toml").out == f"{told}3 hosts\n"
    assert call("check", "hooks.py").out.startswith(told)
    assert call("run", "hooks.py", "-i", "hosts.toml").out.startswith("p: 6 tasks on 3 hosts\n")


def test_check_without_an_inventory_checks_what_needs_no_hosts(here: Program) -> None:
    """Selectors cannot be asked, the rest is checked, and it says so."""
    here.file("deploy.py", DEPLOY)
    done = call("check", "deploy.py")
    assert (done.code, done.err) == (0, "")
    assert "no inventory, so its hosts were not checked" in done.out


PROBLEMS = """
import kxflow as kx

late = kx.command("late", "true")

@kx.step(value=kx.from_here(late))
def early(ctx, value):
    return kx.cmd("true")

p = kx.pipeline(
    "p",
    kx.module(
        "m",
        kx.task("t", early),
        kx.task("t", late),
        kx.task("nobody", kx.command("x", "true"), on=kx.role("wbe")),
    ),
)
"""


def test_check_tells_every_problem_at_once(here: Program) -> None:
    """Each with its place in the pipeline; without an inventory, all but those of hosts."""
    here.file("problems.py", PROBLEMS)
    done = call("check", "problems.py", "-i", "hosts.toml")
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("kxflow: 3 problems:\n")
    assert "p/m/t/early" in done.err
    assert "p/m/t: 2 tasks have this path" in done.err
    assert "p/m/nobody: the selector role:wbe matches no host" in done.err
    without = call("check", "problems.py")
    assert without.code == 2
    assert "role:wbe" not in without.err
    assert "p/m/t/early" in without.err


def test_run_refuses_what_check_finds(here: Program) -> None:
    """In the same words, before anything is run."""
    here.file("problems.py", PROBLEMS)
    told = call("run", "problems.py", "-i", "hosts.toml", "--log", "run.ndjson")
    assert told.code == 2
    assert told.err == call("check", "problems.py", "-i", "hosts.toml").err
    assert not Path("run.ndjson").exists()
