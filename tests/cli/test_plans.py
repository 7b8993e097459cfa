"""`kxflow plan`, `apply`, `rollback`, `rehearse` as a person uses them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import kxflow as kx
from kxflow.testing.plugin import need_program
from tests.cli.program import ONE, Program

DEPLOY = """
import kxflow as kx
from kxflow.resources import file

@kx.step
def conf(ctx):
    return file(f"{ctx.vars['root']}/conf", content=f"port={ctx.vars['port']}\\n", mode=0o640)

deploy = kx.pipeline("deploy", kx.module("app", kx.task("conf", conf, kx.command("blind", "true"))))
"""


@pytest.fixture
def site(kxflow: Program) -> Program:
    """A pipeline, an inventory, and a file that is there already."""
    kxflow.file("deploy.py", DEPLOY)
    kxflow.file("hosts.toml", f"{ONE}\n[vars]\nroot = {str(kxflow.folder)!r}\nport = 80\n")
    kxflow.file("conf", "port=1\n")
    return kxflow


def test_plan_shows_diffs_and_changes_nothing(site: Program) -> None:
    """A line for each step, the diff below, a tally last; exit status 0."""
    done = site.run("plan", "deploy.py", "-i", "hosts.toml")
    assert (done.code, done.err) == (0, "")
    assert "~ app/conf/conf: would change: here" in done.out
    assert "    -port=1\n    +port=80\n" in done.out
    assert "? app/conf/blind: unknown (it has no check: it would run): here" in done.out
    assert done.out.endswith("deploy: 1 would change, 1 unknown on 1 host\n")
    assert (site.folder / "conf").read_text() == "port=1\n"


def test_a_plan_of_what_would_fail_ends_with_1(site: Program) -> None:
    """It says why, is saved all the same, and applied it fails with that."""
    path = site.folder / "gone" / "conf"
    done = site.run("plan", "deploy.py", "-i", "hosts.toml", "--set", f"root={path.parent}", "--save", "my.plan")
    assert (done.code, done.err) == (1, "")
    why = f"there is no folder {path.parent}: make it in an earlier step"
    assert f"! app/conf/conf: would fail ({why}): here" in done.out
    assert "deploy: 1 would fail, 1 unknown on 1 host\n" in done.out
    done = site.run("apply", "my.plan")
    assert done.code == 1
    assert why in done.out


def test_a_saved_plan_is_applied(site: Program) -> None:
    """From the same folder, with what `--set` said; a second plan has nothing to change."""
    saved = site.run("plan", "deploy.py", "-i", "hosts.toml", "--set", "port=8080", "--save", "my.plan")
    assert saved.code == 0
    assert saved.out.endswith("saved: kxflow apply my.plan\n")
    done = site.run("apply", "my.plan", "--log", "run.ndjson")
    assert (done.code, done.err) == (0, "")
    assert (site.folder / "conf").read_text() == "port=8080\n"
    assert (site.folder / "conf").stat().st_mode & 0o777 == 0o640
    assert kx.read_log(site.folder / "run.ndjson").report().succeeded
    again = site.run("plan", "deploy.py", "-i", "hosts.toml", "--set", "port=8080", "--all")
    assert "= app/conf/conf: no change (check): here" in again.out


def test_apply_refuses_what_is_no_longer_planned(site: Program) -> None:
    """Exit status 2, the difference in words, and nothing was done."""
    assert site.run("plan", "deploy.py", "-i", "hosts.toml", "--save", "my.plan").code == 0
    site.file("conf", "port=2\n")
    done = site.run("apply", "my.plan")
    assert done.code == 2
    assert "no longer what was planned" in done.err
    assert "-port=1" in done.err
    assert "-port=2" in done.err
    assert (site.folder / "conf").read_text() == "port=2\n"
    site.file("deploy.py", DEPLOY.replace('"blind"', '"other"'))
    assert "the pipeline is another" in site.run("apply", "my.plan").err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("apply", "nothing.plan"), "nothing.plan: No such file or directory"),
        (("apply", "deploy.py"), "deploy.py is no plan"),
        (("plan", "deploy.py"), "name an inventory with -i"),
        (("plan", "deploy.py", "-i", "hosts.toml", "--limit", "role:x"), "matches no host"),
        (("plan", "deploy.py", "-i", "hosts.toml", "--save", "no/such/folder"), "no/such/folder: No such file"),
        (("rollback", "deploy.py", "nothing.ndjson", "-i", "hosts.toml"), "nothing.ndjson: No such file"),
        (("rehearse", "deploy.py"), "name an inventory with -i"),
    ],
)
def test_bad_input_is_told_and_nothing_is_done(site: Program, args: tuple[str, ...], words: str) -> None:
    """Exit status 2."""
    done = site.run(*args)
    assert done.code == 2
    assert words in done.err
    assert (site.folder / "conf").read_text() == "port=1\n"


def test_rollback_takes_a_run_back_by_its_log(site: Program) -> None:
    """Content and mode are as they were; what cannot be taken back is said."""
    (site.folder / "conf").chmod(0o600)
    assert site.run("run", "deploy.py", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    assert (site.folder / "conf").read_text() == "port=80\n"
    done = site.run("rollback", "deploy.py", "run.ndjson", "-i", "hosts.toml")
    assert (done.code, done.err) == (0, "")
    assert "blind: skipped (skip: cannot be taken back: it has no undo=)" in done.out
    assert (site.folder / "conf").read_text() == "port=1\n"
    assert (site.folder / "conf").stat().st_mode & 0o777 == 0o600


def test_a_rollback_is_not_taken_back(site: Program) -> None:
    """Its log is refused, and in a log that goes on with one the run before it is meant."""
    rollback = ("rollback", "deploy.py", "-i", "hosts.toml")
    assert site.run("run", "deploy.py", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    assert site.run(*rollback, "run.ndjson", "--log", "rb.ndjson").code == 0
    assert site.run("run", "deploy.py", "-i", "hosts.toml", "--log", "run.ndjson").code == 0
    done = site.run(*rollback, "rb.ndjson")
    assert done.code == 2
    assert "rb.ndjson: run " in done.err
    assert "is a rollback: give the log of the run that it took back, or --run of that" in done.err
    assert (site.folder / "conf").read_text() == "port=80\n"
    for _ in range(2):
        done = site.run(*rollback, "run.ndjson", "--log", "run.ndjson")
        assert done.code == 0
        assert (site.folder / "conf").read_text() == "port=1\n"
    runs = kx.read_log(site.folder / "run.ndjson").runs
    assert len(runs) == 4
    assert f"run.ndjson: run {runs[1]} is taken back: what came after it is a rollback" in done.err
    assert site.run(*rollback, "run.ndjson", "--run", runs[3]).code == 2


def test_a_run_that_failed_tells_what_it_took_back(site: Program) -> None:
    """In one line below the tally: how many steps, and which not and why."""
    text = DEPLOY.replace('"blind", "true"', '"blind", "true"), kx.command("boom", "exit 7"')
    site.file(
        "failing.py", text.replace('"true"), kx', '"true"), kx').replace("))\n", '), on_failure=kx.rollback("host"))\n')
    )
    done = site.run("run", "failing.py", "-i", "hosts.toml")
    assert done.code == 1
    line = "undone: 1 step; not undone: app/conf/{} on here: it has no undo=; app/conf/{} on here: it has no undo="
    assert line.format("boom", "blind") in done.out.split("\n")
    assert (site.folder / "conf").read_text() == "port=1\n"


def test_rehearse_runs_on_a_clone_and_tells_what_it_changed(site: Program) -> None:
    """The machine itself stays as it is."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root clones a machine with all its users")
    need_program("unshare")
    root = Path("/srv")
    site.file("hosts.toml", f"{ONE}\n[vars]\nroot = {str(root)!r}\nport = 80\n")
    done = site.run("rehearse", "deploy.py", "-i", "hosts.toml")
    assert (done.code, done.err) == (0, "")
    assert "changed on here:\n  + /srv/conf\n" in done.out
    assert not (root / "conf").exists()


def test_rehearse_clones_the_hosts_of_a_limit_and_no_others(site: Program) -> None:
    """Every clone has the names of all; of those that were left out nothing is said."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root clones a machine with all its users")
    need_program("unshare")
    deploy = (
        'import kxflow as kx\nd = kx.pipeline("d", kx.module("m", kx.task("t", kx.command("c", "cat /etc/hosts"))))\n'
    )
    site.file("deploy.py", deploy)
    site.file("hosts.toml", '[hosts."web[1:9]"]\naddress = "192.0.2.[1:9]"\n')
    done = site.run("rehearse", "deploy.py", "-i", "hosts.toml", "--limit", "web3 | web5", "--output")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if line.startswith("changed on")] == [
        "changed on web3:",
        "changed on web5:",
    ]
    assert "web3" in done.out
    assert not [name for name in ("web1", "web2", "web4", "web9") if name in done.out]


def test_apply_says_that_a_command_does_something_else_by_now(site: Program) -> None:
    """Two lines that read alike would be no difference."""
    assert site.run("plan", "deploy.py", "-i", "hosts.toml", "--save", "my.plan").code == 0
    site.file("deploy.py", DEPLOY.replace('"blind", "true"', '"blind", "echo other"'))
    done = site.run("apply", "my.plan")
    assert done.code == 2
    assert "here app/conf/blind: unknown (it has no check: it would run), and what it does is another" in done.err


def test_a_plan_that_could_not_ask_every_host_says_so_by_its_exit_status(site: Program) -> None:
    """Nobody listens there: 3, as of a run; the others are planned."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = f'[hosts.away]\naddress = "127.0.0.1"\nconnect = {{how = "ssh", port = {port}, accept_new = true}}\n'
    site.file("hosts.toml", f"{ONE}\n{away}\n[vars]\nroot = {str(site.folder)!r}\nport = 80\n")
    done = site.run("plan", "deploy.py", "-i", "hosts.toml")
    assert done.code == 3
    assert "unreachable: refused" in done.out
