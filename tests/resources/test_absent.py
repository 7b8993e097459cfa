"""A path where nothing is to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kxflow as kx
from kxflow.resources import absent, file, link
from tests.resources.conftest import Box
from tests.resources.helpers_files import HOSTILE, cycle, fails, give, names, one, ran, skipped, succeeded, tree, undo


def test_a_file_goes_and_comes_back(tmp_path: Path) -> None:
    """With its content, mode and owner."""
    path = tmp_path / "a"
    path.write_bytes(b"old \0\xff")
    path.chmod(0o600)
    give(path, 5, 6)
    cycle(absent(path), lambda: tree(tmp_path), drift=lambda: path.write_text("drift"))


def test_a_link_goes_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Also where that is a folder, or nothing."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").touch()
    path = tmp_path / "a"
    path.symlink_to("folder")
    cycle(absent(path), lambda: tree(tmp_path), drift=lambda: path.symlink_to("nowhere"))
    assert (tmp_path / "folder" / "x").exists()


def test_what_a_link_leads_to_is_in_no_record(tmp_path: Path) -> None:
    """It stays: it is neither in the diff nor kept for undo."""
    (tmp_path / "real").write_text("s3cret\n")
    for step in (
        absent(tmp_path / "link"),
        link(tmp_path / "link", "other", force=True),
        file(tmp_path / "link", state="absent"),
    ):
        (tmp_path / "link").symlink_to("real")
        report = ran(step)
        assert "s3cret" not in repr([*report.to_dicts(), report.results[0].payload])
        back = undo(step, report.results[0])
        assert back is not None
        succeeded(back)
        assert (tmp_path / "link").readlink() == Path("real")
        (tmp_path / "link").unlink()


def test_a_tree_goes_and_cannot_come_back(tmp_path: Path) -> None:
    """With all that is in it; links in it are not followed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").touch()
    path = tmp_path / "a"
    for each in HOSTILE:
        below = path / os.fsdecode(each)
        below.mkdir(parents=True)
        (below / "link").symlink_to("../../outside")
    step = absent(path)
    result = succeeded(step)
    assert undo(step, result) is None
    skipped(step)
    assert list(tree(tmp_path)) == ["outside", "outside/x"]


def test_without_tree_only_an_empty_folder_goes(tmp_path: Path) -> None:
    """That one comes back."""
    path = tmp_path / "a"
    path.mkdir(0o700)
    (path / "x").touch()
    fails(absent(path, tree=False), "is not empty", "tree=True")
    (path / "x").unlink()
    cycle(absent(path, tree=False), lambda: tree(tmp_path), drift=path.mkdir)


def test_other_things_go_and_cannot_come_back(tmp_path: Path) -> None:
    """A pipe, a device, a socket."""
    path = tmp_path / "a"
    os.mkfifo(path)
    step = absent(path)
    assert undo(step, succeeded(step)) is None
    assert not path.exists()


def test_a_folder_above_that_is_not_there_is_as_wanted(tmp_path: Path) -> None:
    """Nothing is below it either."""
    skipped(absent(tmp_path / "no" / "such" / "path"))


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, name: bytes) -> None:
    """Nothing else goes."""
    (tmp_path / "other").touch()
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).mkdir()
    Path(os.fsdecode(path + b"/x")).touch()
    step = absent(path)
    succeeded(step)
    skipped(step)
    assert [each.name for each in tmp_path.iterdir()] == ["other"]


def test_a_file_system_that_is_mounted_below_is_refused(box: Box) -> None:
    """Whatever the path looks like, also by a link above; nothing of the tree goes."""
    at = "/srv/a/two words\\and more/x"
    box.sh('mkdir -p "$1" && mount -t tmpfs none "$1" && touch "$1/kept" /srv/a/kept && ln -s srv /way', at)
    for path in (at, "/srv/a", "/way/a"):
        result = one(absent(path), box.cluster)
        assert result.status is kx.Status.Failed
        assert "mounted" in str(result.error)
    assert box.sh('ls /srv/a/kept "$1/kept"', at).count("kept") == 2
    box.sh('umount "$1"', at)
    succeeded(absent("/way/a"), box.cluster)
    assert box.sh("ls /srv") == ""


@pytest.mark.parametrize("path", ["/etc", "/usr/lib", "/home", "/var/lib", "//usr//bin"])
def test_what_a_system_stands_on_is_refused_when_built(path: str) -> None:
    """A typing error is not to cost a machine."""
    with pytest.raises(kx.InvalidError, match="a system stands on it"):
        absent(path)


@pytest.mark.parametrize("path", ["", "/", "/.", "/srv/..", "relative", "/srv/", "/a\0b"])
def test_paths_that_cannot_be_are_refused_when_built(path: str) -> None:
    """An empty variable in a path must not become another path."""
    with pytest.raises(kx.InvalidError):
        absent(path)
