"""A file: content, mode and owner."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.resources import file
from kxflow.values.action import Command
from tests.resources.helpers_files import (
    GROUP,
    HOSTILE,
    LOCAL,
    OWNER,
    CountingConnector,
    cycle,
    fails,
    give,
    names,
    needs_root,
    one,
    ran,
    skipped,
    succeeded,
    tree,
    undo,
    undone,
)

BIG = b"line \0 of bytes \xff\n" * 10_000


@pytest.mark.parametrize(
    "content",
    ["hällo\n", "", "-n", b"\0\xff%s\\n'", BIG],
    ids=["text", "empty", "like an option", "bytes", "large"],
)
def test_file_with_content_mode_and_owner_lives(tmp_path: Path, content: str | bytes) -> None:
    """Fresh, again, drifted and repaired, undone."""
    path = tmp_path / "a"
    step = file(path, content=content, mode=0o4751, owner=OWNER, group=GROUP)
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.write_text("drift"))
    succeeded(step)
    raw = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == raw
    at = path.stat()
    assert (at.st_mode & 0o7777, at.st_gid) == (0o4751, GROUP)


@needs_root
def test_mode_and_owner_alone_leave_the_content(tmp_path: Path) -> None:
    """Only what is given is seen to; the file is not written anew."""
    path = tmp_path / "a"
    path.write_text("keep")
    inode = path.stat().st_ino
    step = file(path, mode="600", owner=3)
    result = cycle(step, lambda: tree(tmp_path), drift=lambda: path.chmod(0o644))
    assert result.change is not None
    assert result.change.diff == "-mode 644\n-uid 0\n+mode 600\n+uid 3"
    assert (path.read_text(), path.stat().st_ino) == ("keep", inode)


def test_a_source_travels_only_where_it_is_needed(tmp_path: Path) -> None:
    """The second run sends a question of a few kilobytes, not the file."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(BIG)
    step = file(target, source=source)
    counts = []
    for expected in (kx.Status.Succeeded, kx.Status.Skipped):
        connector = CountingConnector()
        result = ran(step, connector=connector).results[0]
        assert result.status is expected, result.error
        counts.append(connector.sent)
    assert target.read_bytes() == BIG
    assert counts[0] > len(BIG) > 30_000 > counts[1]


def test_a_source_that_changes_before_it_is_sent_fails_and_leaves_the_target(tmp_path: Path) -> None:
    """Nothing is put in place, nothing is left, and it is no doubt what became of it."""
    source, target = tmp_path / "source", tmp_path / "host" / "target"
    source.write_bytes(BIG)
    target.parent.mkdir()
    target.write_text("old")
    step = file(target, source=source)
    source.write_bytes(BIG[:-1] + b"!")
    assert fails(step, "was changed while it was sent").reason == "upload"
    source.write_bytes(b"short")
    fails(step, "was changed while it was sent")
    source.unlink()
    fails(step, "No such file")
    assert tree(tmp_path / "host").keys() == {"target"}
    assert target.read_text() == "old"


def test_an_upload_between_other_steps_keeps_order_and_results(tmp_path: Path) -> None:
    """Programs are cut around it; what comes back is as if they were not."""
    target = tmp_path / "big"
    steps = [
        kx.command("a", "echo a"),
        file(target, content=BIG),
        kx.command("b", f"wc -c <{target}"),
        file(tmp_path / "no" / "big", content=BIG).ignore_errors(),
        file(tmp_path / "other", content=BIG),
        kx.command("c", "echo c"),
    ]
    first, second = ran(*steps), ran(*steps)
    assert [each.status.name for each in first] == ["Succeeded"] * 3 + ["Failed"] + ["Succeeded"] * 2
    assert [each.status.name for each in second] == [
        "Succeeded",
        "Skipped",
        "Succeeded",
        "Failed",
        "Skipped",
        "Succeeded",
    ]
    assert [str(first.results[i].stdout).strip() for i in (0, 2, 5)] == ["a", str(len(BIG)), "c"]


def test_a_secret_content_is_in_no_record(tmp_path: Path) -> None:
    """Neither it nor what it replaces; so there is no way back but to where nothing was."""
    path = tmp_path / "a"
    step = file(path, content=kx.Secret("s3cret-token"))
    report = ran(step)
    assert report.succeeded
    assert "s3cret-token" not in repr(report.to_dicts())
    assert path.read_text() == "s3cret-token"
    skipped(step)
    path.write_text("old-s3cret-token")
    report = ran(step)
    assert "s3cret-token" not in repr(report.to_dicts())
    assert undo(step, report.results[0]) is None


def test_a_large_file_is_not_kept_and_cannot_be_undone(tmp_path: Path) -> None:
    """Content of more than 256 KiB is not sent back for a diff."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * (256 * 1024 + 1))
    step = file(path, content="new")
    assert undo(step, succeeded(step)) is None
    path.write_bytes(b"x" * (256 * 1024))
    assert undo(step, succeeded(step)) is not None


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, name: bytes) -> None:
    """They are quoted, whatever they hold; nothing else is made or run."""
    path = os.fsencode(tmp_path) + b"/" + name
    step = file(path, content=name, mode=0o600)
    result = succeeded(step)
    skipped(step)
    assert os.listdir(os.fsencode(tmp_path)) == [name]  # noqa: PTH208 -- bytes
    assert Path(os.fsdecode(path)).read_bytes() == name
    back = undo(step, result)
    assert back is not None
    succeeded(back)
    assert not list(tmp_path.iterdir())


def test_a_link_is_followed_and_a_dangling_one_leads_to_the_new_file(tmp_path: Path) -> None:
    """The link stays; undo takes away what it leads to."""
    real = tmp_path / "real"
    (tmp_path / "link").symlink_to("middle")
    (tmp_path / "middle").symlink_to(real)
    step = file(tmp_path / "link", content="x")
    cycle(step, lambda: tree(tmp_path), drift=lambda: real.write_text("drift"))
    succeeded(step)
    assert (tmp_path / "link").readlink() == Path("middle")
    assert real.read_text() == "x"


def test_a_path_through_a_linked_folder_is_one(tmp_path: Path) -> None:
    """Only the last part is looked at."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    step = file(tmp_path / "way" / "a", content="x")
    cycle(step, lambda: tree(tmp_path), drift=(tmp_path / "folder" / "a").unlink)


def test_links_in_a_circle_fail(tmp_path: Path) -> None:
    """They lead nowhere."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    fails(file(tmp_path / "one", content="x"), "too many symbolic links")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("content", ["small", BIG], ids=["inline", "upload"])
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (os.mkfifo, "device, pipe or socket"),
        (_socket, "device, pipe or socket"),
        (lambda path: path.symlink_to("/dev/null"), "device, pipe or socket"),
    ],
    ids=["directory", "fifo", "socket", "device"],
)
def test_what_is_there_and_no_file_is_refused(
    tmp_path: Path, make: Callable[[Path], Any], word: str, content: str | bytes
) -> None:
    """It stays as it is, and the message says what it is."""
    path = tmp_path / "a"
    make(path)
    kind = path.lstat().st_mode
    fails(file(path, content=content), word, str(path))
    assert path.lstat().st_mode == kind
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["small", BIG], ids=["inline", "upload"])
def test_a_missing_parent_is_named(tmp_path: Path, content: str | bytes) -> None:
    """It is not made."""
    fails(file(tmp_path / "no" / "a", content=content), f"there is no folder {tmp_path}/no")
    assert not list(tmp_path.iterdir())


def test_absent_takes_a_file_or_a_link_away_and_nothing_else(tmp_path: Path) -> None:
    """What a link leads to stays; undo brings back a file, and a link as a link."""
    path = tmp_path / "a"
    path.write_bytes(b"old \xff")
    path.chmod(0o640)
    step = file(path, state="absent")
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.symlink_to("/etc/passwd"))
    path.unlink(missing_ok=True)
    path.mkdir()
    fails(step, "is a directory")
    assert path.is_dir()
    assert Path("/etc/passwd").exists()


def test_backup_keeps_each_content_once_and_none_is_lost(tmp_path: Path) -> None:
    """By its digest: what was kept before is never written over."""
    path = tmp_path / "a"

    def kept(text: str) -> Path:
        return tmp_path / f"a.orig-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    succeeded(file(path, content="one", backup=True))
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    path.chmod(0o640)
    for text, before in (("two", "one"), ("one", "two"), ("two", "one"), ("three", "two")):
        succeeded(file(path, content=text, backup=True))
        assert kept(before).read_text() == before
    assert {each.name for each in tmp_path.iterdir()} == {"a", kept("one").name, kept("two").name}
    assert kept("one").stat().st_mode & 0o777 == 0o640
    path.write_text("in place")  # the kept one is not the same file
    assert kept("two").read_text() == "two"


def test_an_undo_takes_the_backup_along_that_its_step_made(tmp_path: Path) -> None:
    """Not one that was there before; through a link; of mode and owner alone none is made."""
    path = tmp_path / "a"
    path.write_text("one")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to("a")
    here = tree(tmp_path)
    step = file(link, content="two", backup=True)
    first = succeeded(step)
    skipped(step)
    assert first.change is not None
    assert "-backup none\n" in first.change.diff
    assert "+backup made" in first.change.diff
    backup = tmp_path / f"a.orig-{hashlib.sha256(b'one').hexdigest()[:12]}"
    assert backup.read_text() == "one"
    undone(step, first)
    assert tree(tmp_path) == here

    backup.write_text("kept by another")
    step = file(path, content="two", mode=0o600, backup=True)
    undone(step, succeeded(step))
    assert backup.read_text() == "kept by another"
    assert path.read_text() == "one"
    backup.unlink()
    step = file(path, content="one", mode=0o600, backup=True)
    undone(step, succeeded(step))
    assert tree(tmp_path) == here


def test_a_backup_goes_by_a_rollback_from_the_log(tmp_path: Path) -> None:
    """Several of one file, last to first; also where its content was brought back by other means."""
    path, log = tmp_path / "a", tmp_path / "log"
    path.write_text("one")
    steps = [file(path, content=text, backup=True, name=text) for text in ("two", "three")]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    assert kx.report_of(kx.run(pipeline, LOCAL, sinks=[kx.ndjson(log)])).succeeded
    assert len([*tmp_path.glob("a.orig-*")]) == 2
    assert kx.report_of(kx.rollback(pipeline, LOCAL, kx.read_log(log).report())).succeeded
    assert (path.read_text(), [*tmp_path.glob("a.orig-*")]) == ("one", [])
    report = kx.report_of(kx.run(pipeline, LOCAL))
    path.write_text("one")
    assert kx.report_of(kx.rollback(pipeline, LOCAL, report)).succeeded
    assert (path.read_text(), [*tmp_path.glob("a.orig-*")]) == ("one", [])


def test_backup_does_not_follow_a_link_that_waits_there(tmp_path: Path) -> None:
    """Somebody else's link is no place to write to; the file stays as it was."""
    path = tmp_path / "a"
    path.write_text("old")
    trap = tmp_path / f"a.orig-{hashlib.sha256(b'old').hexdigest()[:12]}"
    trap.symlink_to(tmp_path / "victim")
    fails(file(path, content="new", backup=True), "is a link")
    assert path.read_text() == "old"
    assert {each.name for each in tmp_path.iterdir()} == {"a", trap.name}


@needs_root
def test_mode_and_owner_of_the_old_file_are_kept(tmp_path: Path) -> None:
    """Also an owner that has no name here, and in a folder that hands on its group."""
    path = tmp_path / "a"
    tmp_path.chmod(0o2755)
    os.chown(tmp_path, 0, 77)
    for uid, gid in ((54321, 54322), (0, 0)):
        path.write_text("old")
        path.chmod(0o4640)
        os.chown(path, uid, gid)
        path.chmod(0o4640)
        succeeded(file(path, content=f"new {uid}"))
        at = path.stat()
        assert (at.st_uid, at.st_gid, at.st_mode & 0o7777) == (uid, gid, 0o4640)


@needs_root
def test_an_owner_without_a_name_is_given_back(tmp_path: Path) -> None:
    """Its number is told, in a form that can be given again."""
    path = tmp_path / "f"
    path.write_text("x")
    give(path, 54321, 54322)
    step = file(path, content="y", owner=OWNER, group=OWNER)
    result = succeeded(step)
    assert result.change is not None
    assert "-owner 54321\n-group 54322\n" in result.change.diff
    undone(step, result)
    assert (path.stat().st_uid, path.stat().st_gid) == (54321, 54322)


def test_an_owner_that_is_not_there_fails_and_changes_nothing(tmp_path: Path) -> None:
    """The old file stays, no temporary one is left."""
    path = tmp_path / "a"
    path.write_text("old")
    fails(file(path, content="new", owner="no-such-user"), "cannot set owner and mode")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_content_may_differ_by_host(tmp_path: Path) -> None:
    """A step function returns the resource."""

    @kx.step
    def motd(ctx: kx.HostContext) -> kx.Step[Any]:
        return file(tmp_path / "motd", content=f"I am {ctx.host.name}\n")

    assert one(motd).ok
    assert (tmp_path / "motd").read_text() == "I am here\n"


def test_a_state_that_does_not_come_about_is_a_failure(tmp_path: Path) -> None:
    """Whatever the exit codes said: here the apply is another file's."""
    step = file(tmp_path / "a", content="x")
    action = step.action(kx.context("here", LOCAL))
    assert isinstance(action, Command)
    wrong = evolve(action, text="true")
    assert fails(evolve(step, build=wrong), "did not come about").reason == "verify"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: file("relative", content=""), "absolute"),
        (lambda: file("/etc/", content=""), "no / at the end"),
        (lambda: file("/etc/../shadow", content=""), "no . and .."),
        (lambda: file("/a\0b", content=""), "NUL"),
        (lambda: file(b"/a\xff/./b", content=""), "no . and .."),
        (lambda: file("/\ud800", content=""), "cannot be one"),
        (lambda: file("/x", content="a", source="b"), "more than one"),
        (lambda: file("/x", content="a", template="{{ b }}"), "more than one"),
        (lambda: file("/x", vars={}), "without template"),
        (lambda: file("/x", content="a", mode=644), "0o644"),
        (lambda: file("/x", content="a", mode="9"), "octal"),
        (lambda: file("/x", content="a", mode=True), "octal"),
        (lambda: file("/x", content="a", owner="a b"), "owner"),
        (lambda: file("/x", content="a", owner="-x"), "owner"),
        (lambda: file("/x", content="a", group=":"), "group"),
        (lambda: file("/x", content=12), "content is a int"),  # type: ignore[arg-type]  # the point
        (lambda: file("/x", content=f"{kx.Secret('12345678')}"), "Secret as text"),
        (lambda: file("/x", content="\ud800"), "surrogates"),
        (lambda: file("/x", source="/no/such"), "No such file"),
        (lambda: file("/x", source="/etc"), "is no file"),
        (lambda: file("/x", source="/dev/null"), "is no file"),
        (lambda: file("/x", state="gone"), "state='gone'"),  # type: ignore[arg-type]  # the point
        (lambda: file("/x", state="absent", content=""), "absent, and with content"),
        (lambda: file("/x", state="absent", mode=0o600), "absent, and with content"),
        (lambda: file("/x", name="a\nb"), "name"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do, before a host is touched."""
    with pytest.raises(kx.InvalidError, match=word):
        make()


def test_the_name_reads_like_the_call() -> None:
    """Unprintable paths are escaped in it."""
    assert file("/etc/motd").name == "file /etc/motd"
    assert file("/etc//motd").name == "file /etc/motd"
    assert file("/a\nb").name == "file /a\\nb"
    assert file("/a", name="mine").name == "mine"
