"""Law 11 where one thing has several paths, or a file stands where a folder is to be: links are names, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from kxflow import resources as r
from kxflow.flow.step import Step
from tests.resources.conftest import Box
from tests.resources.test_foreseen import foreseen, reasons
from tests.resources.test_service import SCRIPT

_LAID: Final = """\
mkdir -p /srv/real /srv/old /srv/new; cd /srv; touch there
ln -s real/x l; ln -s real/w m; ln -s real way
ln -s ../srv/way/y far; ln -s old now; ln -s nowhere/x off; ln -s there/x into
echo same >new/f
"""
MEET: Final[dict[str, tuple[Step[Any], ...]]] = {
    "a link to nothing, then by its name": (r.line("/srv/l", "b", create=True), r.line("/srv/real/x", "c")),
    "by its name, then a link to it": (r.line("/srv/real/w", "b", create=True), r.line("/srv/m", "b")),
    "a folder that is a link": (r.file("/srv/way/z", content="a"), r.file("/srv/real/z", content="a")),
    "links on the way of links": (r.file("/srv/far", content="a"), r.file("/srv/real/y", content="a")),
    "a link that a step makes": (
        r.link("/srv/made", "real/m"),
        r.line("/srv/made", "b", create=True),
        r.line("/srv/real/m", "c"),
    ),
    "a link that leads elsewhere then": (r.link("/srv/now", "new"), r.file("/srv/now/f", content="same\n")),
    "a folder that it leads to is made": (r.directory("/srv/nowhere"), r.file("/srv/off", content="a")),
}
_APART: Final = {"a link to nothing, then by its name", "a folder that it leads to is made"}
"""Where the last step is known all the same: it has to do with another line, or there is nothing yet."""


def test_one_thing_by_two_names_is_not_guessed(box: Box) -> None:
    """By links that are there, on the way too, and by those that a step makes: nothing false is claimed."""
    box.sh(_LAID)
    for which, steps in MEET.items():
        effects = foreseen(box, *steps)
        assert "fail" not in effects, (which, effects)
        assert (effects[-1] == "unknown") is (which not in _APART), (which, effects)


def test_links_that_come_with_a_folder_may_lead_anywhere(box: Box, tmp_path: Path) -> None:
    """So nothing that comes after a write below it is said to fail."""
    (tmp_path / "away").symlink_to("../real/z")
    box.sh("mkdir -p /srv/real")
    steps = (r.sync("/srv/app", tmp_path), r.line("/srv/app/away", "a", create=True), r.line("/srv/real/z", "c"))
    assert foreseen(box, *steps)[1:] == ["unknown", "unknown"]


def test_the_folder_that_a_link_leads_to_is_what_counts(box: Box) -> None:
    """Not the one that it is in; in the words of the run."""
    box.sh(_LAID)
    steps = [
        r.file("/srv/off", content="a"),
        r.line("/srv/off", "a", create=True),
        r.block("/srv/off", "a", create=True),
        r.sysctl("net.ipv4.ip_forward", 1, runtime=False, file="/srv/off"),
    ]
    for step in steps:
        assert reasons(box, step) == ["there is no folder /srv/nowhere: make it in an earlier step"]
    assert reasons(box, r.file("/srv/into", content="a")) == ["/srv/there is there and no folder"]


def test_nothing_is_below_a_file(box: Box) -> None:
    """Of a step before, or one that is there."""
    box.sh("touch /srv/there")
    steps = [
        r.file("/srv/f", content="a"),
        r.file("/srv/f/g", content="b"),
        r.line("/srv/f/h", "b", create=True),
        r.file("/srv/f/h/i", content="b"),
        r.file("/srv/there/g", content="b"),
        r.link("/srv/f/l", "x"),
    ]
    assert foreseen(box, *steps) == ["change", *["fail"] * 5]
    mended = [r.absent("/srv/there"), r.directory("/srv/there"), r.file("/srv/there/g", content="b")]
    assert foreseen(box, *mended)[2] != "fail"


def test_what_is_in_a_folder_that_cannot_be_brought_there_is_said(box: Box, tmp_path: Path) -> None:
    """A pipe where a file is to be, or that is to go; unless a step before takes it away."""
    (tmp_path / "ff").write_text("a")
    box.sh("mkdir -p /srv/app /srv/other; mkfifo /srv/app/ff /srv/other/gg")
    assert reasons(box, r.sync("/srv/app", tmp_path)) == ["/srv/app: ./ff is neither file, folder nor link"]
    gone = r.sync("/srv/other", tmp_path, delete=True)
    assert reasons(box, gone) == ["/srv/other: ./gg is neither file, folder nor link"]
    assert foreseen(box, r.sync("/srv/other", tmp_path)) == ["change"]
    assert foreseen(box, r.absent("/srv/app/ff"), r.sync("/srv/app", tmp_path)) == ["change", "unknown"]


def test_a_unit_is_no_service_where_systemd_does_not_run(box: Box) -> None:
    """A script is."""
    unit = r.systemd_unit("x.service", content="[Service]\nExecStart=/bin/true\n")
    assert foreseen(box, unit, r.service("x", enabled=True)) == ["change", "fail"]
    script = r.file("/etc/init.d/kxy", content=SCRIPT.replace("kxd", "kxy"), mode=0o755)
    assert foreseen(box, script, r.service("kxy", running=True)) == ["change", "change"]
