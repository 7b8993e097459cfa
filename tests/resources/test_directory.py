"""A folder: its mode and owner, and those below it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import directory
from kxflow.resources.directories import BELOW, LISTED, TOO_MUCH
from kxflow.values.state import Ensured
from tests.resources.helpers_files import (
    GROUP,
    HOSTILE,
    OWNER,
    cycle,
    fails,
    give,
    names,
    needs_root,
    skipped,
    succeeded,
    tree,
    undo,
    undone,
)


def test_a_directory_with_mode_and_owner_lives(tmp_path: Path) -> None:
    """Fresh, again, drifted and repaired, undone; setgid does not stay by accident."""
    path = tmp_path / "a"
    step = directory(path, mode=0o750, owner=OWNER, group=GROUP)
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.chmod(0o2700))
    succeeded(step)
    at = path.stat()
    assert (at.st_mode & 0o7777, at.st_gid) == (0o750, GROUP)


def test_what_is_not_given_is_left_as_it_is(tmp_path: Path) -> None:
    """A new folder gets mode 755, an old one keeps its own."""
    path = tmp_path / "a"
    old = os.umask(0o077)
    try:
        succeeded(directory(path))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o7777 == 0o755
    path.chmod(0o1700)
    skipped(directory(path))
    succeeded(directory(path.parent / "b", owner=OWNER))
    assert path.stat().st_mode & 0o7777 == 0o1700


def test_parents_are_made_and_undone_as_far_as_they_were_not_there(tmp_path: Path) -> None:
    """What was there before stays."""
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "b" / "c" / "d"
    step = directory(path, mode=0o700, parents=True)
    cycle(step, lambda: tree(tmp_path), drift=path.rmdir)
    succeeded(step)
    assert [(tmp_path / "old" / each).stat().st_mode & 0o777 for each in ("b", "b/c", "b/c/d")] == [0o755, 0o755, 0o700]


def test_a_missing_parent_is_an_error_without_parents(tmp_path: Path) -> None:
    """The message says what makes it."""
    fails(directory(tmp_path / "no" / "a"), f"there is no folder {tmp_path}/no", "parents=True")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "fifo"])
def test_what_is_there_and_no_directory_is_refused(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    """It stays as it is."""
    make(tmp_path / "a")
    before = (tmp_path / "a").lstat().st_mode
    fails(directory(tmp_path / "a", mode=0o700), "no directory")
    assert (tmp_path / "a").lstat().st_mode == before


def test_a_link_to_a_directory_is_followed_and_a_dangling_one_refused(tmp_path: Path) -> None:
    """The link stays."""
    (tmp_path / "real").mkdir()
    (tmp_path / "a").symlink_to("real")
    succeeded(directory(tmp_path / "a", mode=0o711))
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o711
    assert (tmp_path / "a").is_symlink()
    (tmp_path / "real").rmdir()
    fails(directory(tmp_path / "a"), "leads nowhere")


def test_absent_takes_an_empty_directory_away_and_no_other(tmp_path: Path) -> None:
    """Undo makes it again, with its mode and owner."""
    path = tmp_path / "a"
    path.mkdir(mode=0o711)
    give(path, 5, 6)
    step = directory(path, state="absent")
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.mkdir(0o700))
    path.mkdir(exist_ok=True)
    (path / "x").touch()
    fails(step, "is not empty")
    (path / "x").unlink()
    path.rmdir()
    path.touch()
    fails(step, "is a file")
    path.unlink()
    path.symlink_to("/etc")
    fails(step, "is a link")
    assert path.is_symlink()


def test_undo_leaves_a_directory_that_holds_something_by_now(tmp_path: Path) -> None:
    """It fails, and says so."""
    step = directory(tmp_path / "a")
    result = succeeded(step)
    (tmp_path / "a" / "x").touch()
    back = undo(step, result)
    assert back is not None
    fails(back, "not empty")
    assert (tmp_path / "a" / "x").exists()


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, name: bytes) -> None:
    """They are quoted, whatever they hold, as the folder and below it."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    succeeded(directory(path, mode=0o700))
    (path / path.name).mkdir()
    (path / path.name / path.name).touch()
    step = directory(path, mode=0o711, file_mode=0o600, recursive=True)
    before = tree(tmp_path)
    result = succeeded(step)
    skipped(step)
    assert {each[1] for each in tree(tmp_path).values() if each[0] == "directory"} == {"711"}
    undone(step, result)
    assert tree(tmp_path) == before


@needs_root
def test_recursive_sees_to_what_is_below_and_undoes_all_of_it(tmp_path: Path) -> None:
    """Modes by kind, owners of everything, also of links themselves; not of what they lead to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("")
    path = tmp_path / "a"
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "file").write_text("x")
    (path / "deep" / "er" / "run").write_text("x")
    (path / "link").symlink_to(outside)
    step = directory(path, mode=0o2750, file_mode=0o640, owner="games", group=60, recursive=True)

    def drift() -> None:
        (path / "deep").chmod(0o4700)
        (path / "deep" / "er" / "run").chmod(0o6755)
        os.chown(path / "deep" / "file", 5, 6)
        os.lchown(path / "link", 7, 8)

    result = cycle(step, lambda: tree(tmp_path), drift=drift)
    assert result.change is not None
    assert "- 0 0 ./link//" in result.change.diff
    succeeded(step)
    assert tree(tmp_path)["outside/x"] == ("file", "", "644", "0", "0")
    assert tree(tmp_path)["a/deep/er"][1:] == ("2750", "5", "60")


def test_recursive_needs_one_find_where_all_is_well(tmp_path: Path) -> None:
    """What is there and as wanted is not listed."""
    for each in range(50):
        (tmp_path / f"{each}").touch(0o644)
    result = skipped(directory(tmp_path, file_mode=0o644, recursive=True))
    assert isinstance(result.payload, Ensured)
    assert result.payload.after[BELOW] == ""


def test_more_than_can_be_told_below_is_repaired_and_not_undone(tmp_path: Path) -> None:
    """The list of what differs is bounded."""
    name = "n" * 250
    for each in range(LISTED // 250):
        (tmp_path / f"{each}-{name}"[:250]).touch(0o600)
    step = directory(tmp_path, file_mode=0o644, recursive=True)
    result = succeeded(step)
    assert isinstance(result.payload, Ensured)
    assert result.payload.before is not None
    assert result.payload.before[BELOW] == TOO_MUCH
    assert undo(step, result) is None
    skipped(step)


def test_an_owner_that_is_not_known_differs_and_cannot_be_given(tmp_path: Path) -> None:
    """The probe does not fail: the account may be made by an earlier step."""
    fails(directory(tmp_path, owner="no-such-user", recursive=True), "no-such-user")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: directory("a"), "absolute"),
        (lambda: directory("/a", file_mode=0o644), "without recursive"),
        (lambda: directory("/a", recursive=True), "nothing to see to"),
        (lambda: directory("/a", mode=755), "0o755"),
        (lambda: directory("/a", state="absent", mode=0o755), "absent, and with"),
        (lambda: directory("/a", state="no"), "state='no'"),  # type: ignore[arg-type]  # the point
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word):
        make()
