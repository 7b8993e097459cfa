"""A line of a text file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import block, line
from tests.resources.helpers_files import (
    HOSTILE,
    LOCAL,
    cycle,
    fails,
    names,
    one,
    ran,
    skipped,
    succeeded,
    tree,
    undo,
    undone,
)

HOSTS = "127.0.0.1 localhost\n10.0.0.9 db\n10.0.0.8 old db\n10.0.0.7 mydb\n"


def test_the_example_of_the_documentation_lives(tmp_path: Path) -> None:
    """The first line that matches becomes the line, the others go, what does not match stays."""
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    path.chmod(0o640)
    step = line(path, "10.0.0.5 db", match=r"\bdb$")
    result = cycle(
        step, lambda: tree(tmp_path), drift=lambda: path.write_text("x db\n" + path.read_text() + "y db"), exact=False
    )
    assert result.change is not None
    assert result.change.diff == "-line 10.0.0.9 db\\n10.0.0.8 old db\\n\n+line 10.0.0.5 db"
    succeeded(step)
    assert path.read_text() == "127.0.0.1 localhost\n10.0.0.5 db\n10.0.0.7 mydb\n"


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        ("a\nb\n", {}, "a\nb\nnew\n"),
        ("a\nb", {}, "a\nb\nnew\n"),
        ("", {}, "new\n"),
        ("\n", {}, "\nnew\n"),
        ("a\nb\na\nc\n", {"after": "^a"}, "a\nb\na\nnew\nc\n"),
        ("a\nb", {"after": "^b"}, "a\nb\nnew\n"),
        ("a\nb\na\nc\n", {"before": "^a"}, "new\na\nb\na\nc\n"),
        ("a\nb", {"before": "^b"}, "a\nnew\nb"),
        ("a\n", {"after": "^x"}, "a\nnew\n"),
        ("a\n", {"before": r"\bx\b"}, "a\nnew\n"),
        ("a\nnew x\nb\n", {"match": "^new"}, "a\nnew\nb\n"),
        ("new 1\nnew 2\nb\nnew 3", {"match": "^new"}, "new\nb\n"),
        ("a\nnew 1", {"match": "^new"}, "a\nnew\n"),
        ("a\nnew\nnew\n", {"match": "^new"}, "a\nnew\n"),
        ("old\nnew\n", {"match": "^old"}, "new\n"),
        ("b", {"match": re.compile("^NEW", re.IGNORECASE), "before": "^b"}, "new\nb"),
    ],
)
def test_a_line_goes_where_it_was_said(tmp_path: Path, before: str, options: dict[str, Any], after: str) -> None:
    """Also in a file without a newline at its end; and undo gives every byte back."""
    path = tmp_path / "f"
    path.write_text(before)
    step = line(path, "new", **options)
    result = succeeded(step)
    assert path.read_text() == after
    skipped(step)
    undone(step, result)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("before", "text", "options", "after"),
    [
        ("a\nold\nb\nold\n", "old", {}, "a\nb\n"),
        ("a\nold 1\nold", None, {"match": "^old"}, "a\n"),
        ("old", "old", {}, ""),
        ("\na\n  \nb\n\n", None, {"match": r"^\s*$"}, "a\nb\n"),
        ("a\nx\ny 1\n", "x", {"match": "^y"}, "a\n"),
    ],
)
def test_absent_takes_every_such_line_away(
    tmp_path: Path, before: str, text: str | None, options: dict[str, Any], after: str
) -> None:
    """Those that are the line, and those that match."""
    path = tmp_path / "f"
    path.write_text(before)
    step = line(path, text, state="absent", **options)
    result = succeeded(step)
    assert path.read_text() == after
    skipped(step)
    undone(step, result)
    assert path.read_text() == before


def test_a_line_that_is_there_is_left_where_it_is(tmp_path: Path) -> None:
    """`after` and `before` are for new ones."""
    path = tmp_path / "f"
    path.write_text("new\na\n")
    skipped(line(path, "new", after="^a"))


def test_a_file_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    """Absent has nothing to do there."""
    path = tmp_path / "f"
    fails(line(path, "new"), f"there is no file {path}", "create=True")
    skipped(line(path, "new", state="absent"))
    cycle(line(path, "new", create=True), lambda: tree(tmp_path), drift=lambda: path.write_text("x\n"), exact=False)
    fails(line(tmp_path / "no" / "f", "new", create=True), "there is no folder")


@pytest.mark.parametrize("text", [*map(os.fsdecode, HOSTILE), "&\\1\\", "  indented\t", "%s%n", "é\x02\x7f", "."])
@pytest.mark.parametrize("match", [None, r"^\bnever\b"], ids=["", "marked"])
def test_hostile_text_is_text(tmp_path: Path, text: str, match: str | None) -> None:
    """Every byte of it arrives; several lines are refused when built."""
    path = tmp_path / "f"
    path.write_text("a\nxyz\n")
    if "\n" in text:
        with pytest.raises(kx.InvalidError, match="is no line"):
            line(path, text)
        return
    step = line(path, text, match=match)
    result = succeeded(step)
    skipped(step)
    assert path.read_bytes() == b"a\nxyz\n" + os.fsencode(text) + b"\n"
    undone(step, result)
    assert path.read_text() == "a\nxyz\n"
    succeeded(step)
    succeeded(line(path, text, match=match, state="absent"))
    assert path.read_text() == "a\nxyz\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_paths_are_paths(tmp_path: Path, name: bytes) -> None:
    """They are quoted, whatever they hold."""
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_text("a db\nb\n")
    step = line(path, "new db", match=r"\bdb$", after="b")
    result = succeeded(step)
    skipped(step)
    assert Path(os.fsdecode(path)).read_text() == "new db\nb\n"
    undone(step, result)
    assert os.listdir(os.fsencode(tmp_path)) == [name]  # noqa: PTH208 -- bytes


def test_a_secret_line_is_in_no_record_and_not_undone(tmp_path: Path) -> None:
    """It takes the place of one that matches; again it is there already."""
    path = tmp_path / "f"
    path.write_text("a\npassword=old-s3cret\n")
    for match in (r"^password=", r"\bpassword="):
        step = line(path, kx.Secret("password=new-s3cret"), match=match)
        report = ran(step)
        assert report.succeeded
        assert "s3cret" not in repr(report.to_dicts())
        assert path.read_text() == "a\npassword=new-s3cret\n"
        assert undo(step, report.results[0]) is None
        skipped(step)
        path.write_text("a\npassword=new-s3cret\npassword=x-s3cret")
    away = line(path, kx.Secret("password=new-s3cret"), state="absent")
    assert one(away).status is kx.Status.Succeeded
    skipped(away)
    assert path.read_text() == "a\npassword=x-s3cret"


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    """The file that it leads to is changed."""
    (tmp_path / "real").write_text("a\n")
    (tmp_path / "link").symlink_to("real")
    succeeded(line(tmp_path / "link", "new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "a\nnew\n"


def test_a_link_that_leads_to_nothing_stays_when_undone(tmp_path: Path) -> None:
    """What was made where it leads goes; where a step failed and did nothing, so does its undo."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/x")
    (tmp_path / "lost").symlink_to("nowhere/x")
    there = tree(tmp_path)
    for step in (line(tmp_path / "link", "new", create=True), block(tmp_path / "link", "new", create=True)):
        done = succeeded(step)
        assert (tmp_path / "real" / "x").exists()
        undone(step, done)
        assert tree(tmp_path) == there
    for name in ("link", "lost"):
        fails(step := line(tmp_path / name, "new", create=name == "lost"))
        back = kx.rollback(once(step), LOCAL, kx.report_of(kx.run(once(step), LOCAL)))
        assert [each.status for each in kx.report_of(back)] == [kx.Status.Skipped]
    assert tree(tmp_path) == there


def once(step: kx.Step[Any]) -> kx.Pipeline:
    """A pipeline of one step."""
    return kx.pipeline("p", kx.module("m", kx.task("t", step)))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """A NUL, a folder, a pipe: they stay as they are."""
    path = tmp_path / "f"
    path.write_bytes(b"a\0b\n")
    fails(line(path, "new"), "holds a NUL")
    assert path.read_bytes() == b"a\0b\n"
    fails(line(tmp_path, "new"), "is a directory")
    os.mkfifo(tmp_path / "pipe")
    fails(line(tmp_path / "pipe", "new"), "device, pipe or socket")
    assert {each.name for each in tmp_path.iterdir()} == {"f", "pipe"}


def test_bytes_beyond_ascii_and_carriage_returns_stay(tmp_path: Path) -> None:
    """Lines are bytes up to a newline."""
    path = tmp_path / "f"
    path.write_bytes(b"\xff\xfe db\r\nb\xc3\xa9 db\n")
    succeeded(line(path, "new db", match=r"\bdb$"))
    assert path.read_bytes() == b"\xff\xfe db\r\nnew db\n"


def test_many_lines_are_no_matter(tmp_path: Path) -> None:
    """The probe tells of twenty, all of them go."""
    path = tmp_path / "f"
    path.write_text("".join(f"old {i}\nkeep {i}\n" for i in range(3000)))
    result = succeeded(line(path, "old", match="^old"))
    assert path.read_text() == "old\n" + "".join(f"keep {i}\n" for i in range(3000))
    assert result.change is not None
    assert result.change.diff.count("old") == 21


def test_several_lines_of_one_file_have_names_of_their_own() -> None:
    """A task may hold them side by side."""
    steps = [line("/f", "a"), line("/f", "b"), line("/f", "b", match="^x"), line("/f", match="^y", state="absent")]
    assert [each.name for each in steps] == ["line /f a", "line /f b", "line /f b", "line /f ^y"]
    assert line("/f", kx.Secret("password")).name == "line /f"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: line("f", "x"), "absolute"),
        (lambda: line("/f"), "no line"),
        (lambda: line("/f", ""), "is no line"),
        (lambda: line("/f", "a\nb"), "is no line"),
        (lambda: line("/f", kx.Secret("a\nb-secret")), r"a secret is no line"),
        (lambda: line("/f", f"{kx.Secret('password')}"), "Secret as text"),
        (lambda: line("/f", 5), "text is a int"),  # type: ignore[arg-type]  # the point
        (lambda: line("/f", "x\x01", match=r"\bx"), "together with"),
        (lambda: line("/f", "x", match="("), "no regular expression"),
        (lambda: line("/f", "x", match="(?=x)"), "no counterpart"),
        (lambda: line("/f", "x", after="a", before="b"), "after= and before="),
        (lambda: line("/f", state="absent"), "no line"),
        (lambda: line("/f", "x", state="absent", create=True), "absent, and with"),
        (lambda: line("/f", "x", state="?"), r"state='\?'"),  # type: ignore[arg-type]  # the point
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do, and no secret."""
    with pytest.raises(kx.InvalidError, match=word) as caught:
        make()
    assert "b-secret" not in str(caught.value)
