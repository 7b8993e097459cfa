"""A symbolic link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import link
from tests.resources.helpers_files import HOSTILE, cycle, fails, give, names, skipped, succeeded, tree, undo, undone


def test_a_link_lives(tmp_path: Path) -> None:
    """Fresh, again, drifted and repaired, undone; what it leads to need not be there."""
    path = tmp_path / "a"

    def drift() -> None:
        path.unlink()
        path.symlink_to("elsewhere")

    step = link(path, "no/where")
    cycle(step, lambda: tree(tmp_path), drift=drift)
    succeeded(step)
    assert path.readlink() == Path("no/where")


def test_a_link_to_a_folder_is_replaced_and_the_folder_not_entered(tmp_path: Path) -> None:
    """The way in which `mv` would go wrong."""
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
    path = tmp_path / "current"
    path.symlink_to("one")
    step = link(path, "two")
    before = tree(tmp_path)
    result = succeeded(step)
    assert tree(tmp_path) == {**before, "current": ("link", "two", *before["current"][2:])}
    undone(step, result)
    assert tree(tmp_path) == before


def test_a_file_in_the_way_is_refused_unless_forced_and_then_undone(tmp_path: Path) -> None:
    """With its content, mode and owner; and what the link led to is not written to."""
    path, target = tmp_path / "a", tmp_path / "target"
    target.write_text("target")
    path.write_bytes(b"old \xff\0")
    path.chmod(0o640)
    give(path, 5, 6)
    fails(link(path, "target"), "force=True")
    assert path.read_bytes() == b"old \xff\0"

    def drift() -> None:
        path.unlink()
        path.write_text("drift")

    cycle(link(path, "target", force=True), lambda: tree(tmp_path), drift=drift)
    assert target.read_text() == "target"


def test_a_forced_file_that_is_large_is_not_undone(tmp_path: Path) -> None:
    """Its content was not kept."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 300_000)
    step = link(path, "target", force=True)
    assert undo(step, succeeded(step)) is None


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_in_the_way_is_always_refused(tmp_path: Path, force: bool) -> None:
    """Also an empty one."""
    (tmp_path / "a").mkdir()
    fails(link(tmp_path / "a", "x", force=force), "is a directory")
    assert (tmp_path / "a").is_dir()


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    """It is not made."""
    fails(link(tmp_path / "no" / "a", "x"), f"there is no folder {tmp_path}/no")


def test_absent_takes_a_link_away_and_nothing_else(tmp_path: Path) -> None:
    """Not what it leads to."""
    path, target = tmp_path / "a", tmp_path / "target"
    target.write_text("target")
    path.symlink_to("target")
    step = link(path, state="absent")
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.symlink_to("/etc"))
    path.unlink(missing_ok=True)
    assert target.read_text() == "target"
    fails(link(target, state="absent"), "is a file")
    assert target.exists()


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_and_targets_are_what_they_are(tmp_path: Path, name: bytes) -> None:
    """Byte for byte, in both places."""
    path = os.fsencode(tmp_path) + b"/" + name
    step = link(path, name)
    result = succeeded(step)
    skipped(step)
    assert os.listdir(os.fsencode(tmp_path)) == [name]  # noqa: PTH208 -- bytes
    assert os.readlink(path) == name  # noqa: PTH115 -- bytes
    undone(step, result)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: link("a", "b"), "absolute"),
        (lambda: link("/a"), "without a target"),
        (lambda: link("/a", ""), "target ''"),
        (lambda: link("/a", "b\0c"), "NUL"),
        (lambda: link("/a", "b", state="absent"), "absent, and with target"),
        (lambda: link("/a", "b", state=""), "state=''"),  # type: ignore[arg-type]  # the point
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word):
        make()
