"""Law 11 for the texts of files: a diff that a plan shows is the one that comes, and what it cannot know it names."""

from __future__ import annotations

from typing import Any

import kxflow as kx
from kxflow import resources as r
from kxflow.flow.step import Step
from tests.resources.conftest import Box
from tests.resources.test_foreseen import of


def shown(box: Box, *steps: Step[Any]) -> list[str]:
    """Reasons of a plan; a change that it shows without one is that of the run, and else it is a part of that."""
    plan = kx.plan(of(steps), box.cluster)
    report = kx.report_of(kx.run(of(steps), box.cluster))
    assert report.succeeded
    for each, result in zip(plan, report, strict=True):
        assert each.effect is kx.Effect.change, str(each)
        if not each.reason:
            assert each.change == result.change, str(each)
        elif each.change is not None:
            assert result.change is not None
            assert result.change.before.startswith(each.change.before), str(each)
            assert set(each.change.diff.split("\n")) <= set(result.change.diff.split("\n")), str(each)
    return [each.reason for each in plan]


def test_the_text_between_two_edits_is_not_shown(box: Box) -> None:
    """What the first finds is known; of the others only what they change themselves."""
    box.sh("printf 'a\\nb\\n' >/srv/f; printf '\\n' >>/etc/hosts; mkdir /srv/m")
    before = "the text that it finds is not shown: {} changes that before"
    edits = [r.line("/srv/f", "one"), r.block("/srv/f", "two"), r.replace("/srv/f", "b", "B")]
    assert shown(box, *edits) == ["", before.format("line /srv/f"), before.format("block /srv/f")]
    hosts = [r.hosts_entry("10.0.0.9", "db9"), r.line("/etc/hosts", "# last")]
    assert shown(box, *hosts) == ["", before.format("hosts_entry /etc/hosts")]
    mounts = [r.mount("/srv/m", "tmpfs", fstype="tmpfs", mounted=False), r.line("/etc/fstab", "# last")]
    assert shown(box, *mounts) == ["", before.format("mount /etc/fstab")]
    crons = [r.cron(each, "true", schedule="@daily", file="kx") for each in ("one", "two")]
    assert shown(box, *crons) == ["", ""]
    made = [r.line("/srv/new", "one", create=True), r.line("/srv/new", "two", create=True)]
    assert shown(box, *made) == ["", before.format("line /srv/new")]


def test_backups_one_after_the_other_are_shown_as_they_come(box: Box) -> None:
    """What the first made is not there before the second."""
    box.sh("echo old >/srv/f")
    for path in ("/srv/f", "/srv/new"):
        steps = [r.file(path, content=f"{path} {n}\n", backup=True) for n in range(3)]
        assert shown(box, *steps) == ["", "", ""]


def test_what_an_earlier_step_puts_into_a_file_is_named(box: Box) -> None:
    """Not what is missing now."""
    steps = [r.file("/srv/f", content="hi\n"), r.line("/srv/f", "added"), r.replace("/srv/f", "h(i)", r"H\1")]
    plan = kx.plan(of(steps), box.cluster)
    assert [each.effect.name for each in plan] == ["change", "unknown", "unknown"]
    assert plan.entries[2].reason == "it depends on what line /srv/f puts there"
    assert kx.report_of(kx.run(of(steps), box.cluster)).succeeded
    assert box.path("/srv/f").read_text() == "Hi\nadded\n"
