"""Taken back: what followed a change follows its undo, and no mark stays for what was undone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import kxflow as kx
from kxflow.flow.step import Steps
from kxflow.resources import file, reload_service, restart_service, service
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box
from tests.resources.test_on_change import CONF, log, marks, note

RUNNING = "/srv/running"


def load(name: str = "load", **options: Any) -> kx.Step[Any]:
    """A daemon of which all that is to be known is what configuration it runs with; none stops it."""
    return kx.command(name, f"cat {CONF} >{RUNNING} 2>/dev/null || : >{RUNNING}; echo {name} >>/srv/log", **options)


def conf(content: str = "new", name: str = "conf") -> kx.Step[Any]:
    """Its configuration."""
    return file(CONF, content=content, name=name)


def boom() -> kx.Step[Any]:
    """A step that fails."""
    return kx.command("boom", "exit 3")


def site(*steps: kx.Step[Any] | Steps) -> kx.Pipeline:
    """A pipeline that is taken back where it fails."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps)), on_failure=kx.rollback("host"))


def old(box: Box) -> None:
    """The daemon runs with an old configuration."""
    box.path(CONF).write_text("old")
    box.path(RUNNING).write_text("old")


def seen(box: Box) -> tuple[str, str]:
    """The configuration, and what the daemon has of it."""
    path = box.path(CONF)
    return (path.read_text() if path.exists() else "", box.path(RUNNING).read_text())


def ran(box: Box, *steps: kx.Step[Any] | Steps, **options: Any) -> kx.Report:
    """What came of them."""
    return kx.report_of(kx.run(site(*steps), box.cluster, **options))


def undone(report: kx.Report) -> list[str]:
    """Each step of the undo, with what came of it."""
    return [f"{each.step}: {each.status.name} {each.reason}".strip() for each in report if each.module == "@undo"]


def test_what_follows_runs_again_once_its_change_is_taken_back(box: Box) -> None:
    """The daemon has the configuration that is there, and nothing is pending; the record says what was done."""
    old(box)
    text = io.StringIO()
    report = ran(box, kx.on_change(conf(), then=load()), boom(), sinks=[kx.console(file=text)])
    assert undone(report) == [
        "boom: Skipped skip: cannot be taken back: it has no undo=",
        "conf: Succeeded",
        "load: Succeeded",
    ]
    assert (seen(box), log(box), marks(box)) == (("old", "old"), ["load", "load"], [])
    assert "undone: 2 steps; not undone: m/t/boom on box: it has no undo=\n" in text.getvalue()
    oracle = kx.report_of(kx.serial(site(kx.on_change(conf(), then=load()), boom()), box.cluster))
    assert undone(oracle) == undone(report)
    assert seen(box) == ("old", "old")


def test_what_never_ran_runs_with_what_was_there_and_no_mark_stays(box: Box) -> None:
    """A later one of the steps failed; an earlier run may have left something pending, so it is not left out."""
    old(box)
    report = ran(box, kx.on_change(conf(), boom(), then=[load(), note("last")]))
    assert undone(report)[1:] == ["conf: Succeeded", "load, last: Succeeded"]
    assert (seen(box), log(box), marks(box)) == (("old", "old"), ["load", "last"], [])
    box.path(RUNNING).write_text("older")
    assert ran(box, kx.on_change(conf("old"), then=load()))["load", "box"].reason == "unchanged"


def test_what_failed_runs_again_and_where_it_fails_again_the_mark_stays(box: Box) -> None:
    """The rest is taken back all the same; the next run does what is left."""
    old(box)
    broken = kx.command("load", f"cat {CONF} >{RUNNING}; grep -q old {CONF}")
    report = ran(box, note("first", undo="echo back >>/srv/log"), kx.on_change(conf(), then=broken))
    assert undone(report) == ["conf: Succeeded", "load: Succeeded", "first: Succeeded"]
    assert (seen(box), marks(box)) == (("old", "old"), [])
    text = io.StringIO()
    never = kx.command("load", "exit 1")
    first = note("first", undo="echo back >>/srv/log")
    log(box)
    report = ran(box, first, kx.on_change(conf(), then=[never, note("last")]), sinks=[kx.console(file=text)])
    assert undone(report) == ["conf: Succeeded", "load, last: Failed exit", "first: Succeeded"]
    assert log(box) == ["first", "back"]
    assert "not undone: m/t/load, last on box: failed: `exit 1` ended with exit status 1" in text.getvalue()
    assert len(marks(box)) == 1
    assert ran(box, kx.on_change(conf("old"), then=[load(), note("last")])).succeeded
    assert (log(box), marks(box)) == (["load", "last"], [])


def test_from_the_log_of_an_earlier_run(box: Box, tmp_path: Path) -> None:
    """As by policy; what follows may take values of earlier steps, and may be left out by a `when`."""
    old(box)
    word = kx.command("word", "echo made", parse=str)

    @kx.step(word=kx.from_here(word))
    def again(ctx: kx.HostContext, word: str) -> kx.Action[Any]:
        return kx.shell(f"echo {word} >>/srv/log")

    never = note("never").when(lambda ctx: ctx.host.name == "other")
    pipeline = site(word, kx.on_change(conf(), then=[load(), again, never]))
    path = tmp_path / "log"
    assert kx.report_of(kx.run(pipeline, box.cluster, sinks=[kx.ndjson(path)])).succeeded
    assert seen(box) == ("new", "new")
    log(box)
    report = kx.report_of(kx.rollback(pipeline, box.cluster, kx.read_log(path).report()))
    assert undone(report) == [
        "conf: Succeeded",
        "load, again: Succeeded",
        "word: Skipped skip: cannot be taken back: it has no undo=",
    ]
    assert (seen(box), log(box), marks(box)) == (("old", "old"), ["load", "made"], [])


def test_what_was_not_changed_or_cannot_be_taken_back_is_followed_by_nothing(box: Box) -> None:
    """Where nothing was undone, nothing is done again; a mark of what stays as it is stays, too."""
    old(box)
    same = kx.on_change(conf("old"), then=load())
    assert undone(ran(box, same, boom())) == ["boom: Skipped skip: cannot be taken back: it has no undo="]
    assert (seen(box), log(box)) == (("old", "old"), [])
    blind = kx.command("blind", f"echo new >{CONF}")
    report = ran(box, kx.on_change(blind, boom(), then=load()))
    assert [each.split(":")[0] for each in undone(report)] == ["boom", "blind"]
    assert len(marks(box)) == 1


def test_what_can_be_taken_back_itself_is_and_is_not_done_again(box: Box) -> None:
    """A resource and a command with an `undo=`; the mark goes all the same."""
    old(box)
    there = file("/srv/there", content="x", name="there")
    made = kx.command("made", "touch /srv/made", undo="rm /srv/made")
    for then in ([load(), there, made], [there, made], [made, there]):
        report = ran(box, kx.on_change(conf(), then=then), boom())
        assert not box.path("/srv/there").exists()
        assert not box.path("/srv/made").exists()
        assert all("Failed" not in each for each in undone(report))
        assert seen(box)[0] == "old"
        assert marks(box) == []
    assert seen(box)[1] == "old"


def test_one_inside_another_is_done_again_in_order(box: Box) -> None:
    """On both sides of `then`; every mark is gone."""
    old(box)
    inner = kx.on_change(conf(), then=note("reload"))
    report = ran(box, kx.on_change(inner, then=load()), boom())
    assert undone(report)[1:] == ["conf: Succeeded", "reload, load: Succeeded"]
    assert (seen(box), log(box), marks(box)) == (("old", "old"), ["reload", "load"] * 2, [])
    unit = file("/srv/unit", content="x", name="unit")
    report = ran(box, kx.on_change(conf(), then=kx.on_change(unit, then=load())), boom())
    assert undone(report)[1:] == ["unit: Succeeded", "conf: Succeeded", "load: Succeeded"]
    assert (seen(box), log(box), marks(box)) == (("old", "old"), ["load"] * 2, [])


def test_an_undo_that_fails_leaves_the_mark(box: Box) -> None:
    """What follows is not done, as the host is left alone; the next run does it."""
    half = kx.command("half", "true", undo="exit 1")
    report = ran(box, kx.on_change(half, then=note("after")), boom())
    assert [each.split()[1] for each in undone(report)] == ["Skipped", "Failed", "NotRun"]
    assert len(marks(box)) == 1


def test_a_plan_says_that_it_is_done_again(box: Box) -> None:
    """It cannot be taken back by itself."""
    old(box)
    its = kx.plan(site(kx.on_change(conf(), then=load())), box.cluster)
    assert [(each.step, each.undo) for each in its] == [
        ("conf", ""),
        ("load", "it has no undo=; it is done again once what it follows is taken back"),
    ]


def script(box: Box, name: str) -> str:
    """A SysV script of a daemon that is no more than a file in /srv."""
    for each in ("service", "update-rc.d"):
        need_program(each)
    del box
    up = f"/srv/{name}.up"
    return f"""#!/bin/sh
### BEGIN INIT INFO
# Provides: {name}
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: for a test
### END INIT INFO
case $1 in
start | restart) cp {CONF} {up}; ! grep -q bad {CONF} || {{ rm {up}; exit 1; }} ;;
stop) rm -f {up} ;;
status) [ -e {up} ] || exit 3 ;;
esac
"""


def back_of(box: Box, *steps: kx.Step[Any] | Steps) -> list[str]:
    """What came of the rollback of a run that succeeded; no mark stays."""
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    first = kx.report_of(kx.run(pipeline, box.cluster))
    assert first.succeeded, first.faulty
    told = undone(kx.report_of(kx.rollback(pipeline, box.cluster, first)))
    assert marks(box) == []
    return told


def test_a_service_that_goes_with_the_undo_needs_no_restart(box: Box) -> None:
    """It was not there before, so there is nothing to be done again, and nothing is pending."""
    old(box)
    unit = file("/etc/init.d/kxd", content=script(box, "kxd"), mode=0o755, name="unit")
    runs = service("kxd", running=True, enabled=True, init="sysv", name="runs")
    then = restart_service("kxd", init="sysv", name="restart")
    expected = ["runs: Succeeded", "unit: Succeeded", "restart: Skipped check"]
    assert back_of(box, kx.on_change(unit, runs, then=then)) == expected
    assert back_of(box, kx.on_change(unit, then=then), runs)[1:] == expected[1:]
    assert not box.path("/etc/init.d/kxd").exists()


def test_a_service_that_stood_before_stands_again_and_one_that_ran_runs(box: Box) -> None:
    """Whoever had started it; where its restart failed, it runs again with what is restored."""
    old(box)
    box.sh("cat >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd", stdin=script(box, "kxd"))
    up = box.path("/srv/kxd.up")
    runs = service("kxd", running=True, enabled=True, init="sysv", name="runs")
    then = restart_service("kxd", init="sysv", name="restart")
    follows = kx.on_change(conf(), then=then)
    for steps in ((follows,), (follows, runs), (kx.on_change(conf(), runs, then=then),), (runs, follows)):
        told = back_of(box, *steps)
        assert not any("Failed" in each for each in told)
        assert not up.exists(), steps
    box.sh("service kxd start")
    assert back_of(box, runs, follows)[0:2] == ["conf: Succeeded", "restart: Succeeded"]
    assert up.read_text() == "old"
    report = ran(box, kx.on_change(conf("bad"), then=then))
    assert undone(report) == ["conf: Succeeded", "restart: Succeeded"]
    assert (up.read_text(), marks(box)) == ("old", [])
    again = reload_service("kxd", init="sysv", name="reload")
    box.sh("service kxd stop")
    assert undone(ran(box, kx.on_change(conf(), boom(), then=again)))[1:] == [
        "conf: Succeeded",
        "reload: Skipped check",
    ]
    assert marks(box) == []
