"""Paths that lead through links: what is at their end is seen to, and every link stays a link."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

import kxflow as kx
from kxflow.resources import (
    absent,
    block,
    cron,
    directory,
    fetch,
    file,
    git,
    hostname,
    hosts_entry,
    line,
    link,
    mount,
    replace,
    sudoers,
    sync,
    sysctl,
    unpack,
)
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box
from tests.resources.helpers_files import one, skipped, succeeded, tree, undone

Make = Callable[[Path, Path], kx.Step[Any]]


def packed(source: Path) -> Path:
    """An archive of a folder, beside it."""
    archive = source.with_suffix(".tar.gz")
    subprocess.run(["tar", "-czf", archive, "-C", source, "."], check=True)
    return archive


def repository(source: Path) -> str:
    """A repository with the tag `v1`, beside it."""
    need_program("git")
    path = source.with_suffix(".git")
    git_ = ["git", "-C", str(path), "-c", "user.email=a@b", "-c", "user.name=a"]
    subprocess.run(["git", "init", "-q", str(path)], check=True, capture_output=True)
    subprocess.run([*git_, "commit", "-q", "--allow-empty", "-m", "x"], check=True, capture_output=True)
    subprocess.run([*git_, "tag", "v1"], check=True, capture_output=True)
    return str(path)


THROUGH: Final[dict[str, Make]] = {
    "file": lambda path, _: file(path / "new", content="x\n", mode=0o600),
    "file changed": lambda path, _: file(path / "text", content="x\n", backup=True),
    "file large": lambda path, _: file(path / "text", content="x" * 70_000),
    "file absent": lambda path, _: file(path / "text", state="absent"),
    "directory": lambda path, _: directory(path / "a" / "b", parents=True, mode=0o700),
    "directory tree": lambda path, _: directory(path / "tree", mode=0o700, file_mode=0o600, recursive=True),
    "directory absent": lambda path, _: directory(path / "empty", state="absent"),
    "link": lambda path, _: link(path / "new", "text"),
    "link forced": lambda path, _: link(path / "text", "tree", force=True),
    "absent": lambda path, _: absent(path / "text"),
    "line": lambda path, _: line(path / "text", "new"),
    "block": lambda path, _: block(path / "text", "new"),
    "replace": lambda path, _: replace(path / "text", "old", "new"),
    "sync": lambda path, source: sync(path / "synced", source),
    "unpack": lambda path, source: unpack(path / "unpacked", source=packed(source)),
    "git": lambda path, source: git(path / "app", repository(source), "v1"),
}


def laid(root: Path) -> Path:
    """A folder with some things in it, that two links lead to; gives the path through both."""
    real = root / "real" / "deep"
    (real / "tree" / "sub").mkdir(parents=True)
    (real / "empty").mkdir()
    (real / "text").write_text("old\n")
    (real / "tree" / "f").write_text("x")
    (root / "one").symlink_to("real")
    (real / "two").symlink_to("../deep/.")
    return root / "one" / "deep" / "two"


def source_in(root: Path) -> Path:
    """A folder with a file."""
    source = root / "source"
    source.mkdir()
    (source / "f").write_text("x")
    return source


@pytest.mark.parametrize("what", THROUGH)
def test_folders_on_the_way_may_be_links(tmp_path: Path, what: str) -> None:
    """Fresh, again, undone: as if they were none."""
    (tmp_path / "host").mkdir()
    path, source = laid(tmp_path / "host"), source_in(tmp_path)
    step = THROUGH[what](path, source)
    before = tree(tmp_path / "host")
    first = succeeded(step)
    after = tree(tmp_path / "host")
    assert after != before
    assert [after[name] for name in ("one", "real/deep/two")] == [before[name] for name in ("one", "real/deep/two")]
    skipped(step)
    assert tree(tmp_path / "host") == after
    undone(step, first)
    assert {name: its for name, its in tree(tmp_path / "host").items() if ".orig-" not in name} == before


FOLLOWED: Final[dict[str, Callable[[Path], kx.Step[Any]]]] = {
    "file": lambda path: file(path, content="x\n"),
    "file large": lambda path: file(path, content="x" * 70_000),
    "file mode": lambda path: file(path, mode=0o600),
    "line": lambda path: line(path, "new"),
    "line absent": lambda path: line(path, "old", state="absent"),
    "block": lambda path: block(path, "new"),
    "replace": lambda path: replace(path, "old", "new"),
}


@pytest.mark.parametrize("what", FOLLOWED)
def test_a_link_to_a_file_is_followed_and_stays(tmp_path: Path, what: str) -> None:
    """However many there are; a relative one is from its own folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "text").write_text("old\n")
    (tmp_path / "real" / "text").chmod(0o640)
    (tmp_path / "real" / "inner").symlink_to("text")
    (tmp_path / "outer").symlink_to("real/inner")
    step = FOLLOWED[what](tmp_path / "outer")
    before = tree(tmp_path)
    first = succeeded(step)
    after = tree(tmp_path)
    assert [name for name in after if after[name] != before.get(name)] == ["real/text"]
    skipped(step)
    undone(step, first)
    assert tree(tmp_path) == before


LOOPED: Final[dict[str, Callable[[Path], kx.Step[Any]]]] = {
    **FOLLOWED,
    "directory": directory,
    "sync": lambda path: sync(path, path.parent / "s"),
}


@pytest.mark.parametrize("what", LOOPED)
def test_a_link_to_itself_fails_and_stays(tmp_path: Path, what: str) -> None:
    """It leads to nothing that could be seen to, and nothing is put in its place."""
    (tmp_path / "s").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = tree(tmp_path)
    result = one(LOOPED[what](tmp_path / "loop"))
    if what == "line absent":
        assert result.status is kx.Status.Skipped
    else:
        assert result.status is kx.Status.Failed, result
    assert tree(tmp_path) == before


def test_fetch_follows_links_on_the_host(tmp_path: Path) -> None:
    """On the way, and at its end; here the file is one."""
    path = laid(tmp_path)
    (path / "now").symlink_to("text")
    result = one(fetch(path / "now", tmp_path / "got"))
    assert result.ok, result.error
    (got,) = [each for each in (tmp_path / "got").rglob("*") if not each.is_dir()]
    assert (got.is_symlink(), got.read_text()) == (False, "old\n")


SETTINGS: Final[dict[str, Callable[[], kx.Step[Any]]]] = {
    "/etc/hosts": lambda: hosts_entry("10.0.0.5", "db"),
    "/etc/hostname": lambda: hostname("web1"),
    "/etc/cron.d/kx": lambda: cron("tidy", "true", schedule="@daily", user="root", file="kx"),
    "/etc/fstab": lambda: mount("/srv/x", "tmpfs", fstype="tmpfs", mounted=False),
    "/etc/sysctl.d/60-kx.conf": lambda: sysctl("vm.swappiness", 10, runtime=False, file="/etc/sysctl.d/60-kx.conf"),
    "/etc/sudoers.d/kx": lambda: sudoers("kx", "%sudo ALL=(root) /bin/true"),
}


@pytest.mark.parametrize("path", SETTINGS)
def test_a_file_of_the_system_may_be_a_link(box: Box, path: str) -> None:
    """As where another tool keeps them; the link stays, and what it leads to is seen to and given back."""
    box.sh(
        'mkdir -p /srv/kept "${1%/*}"; cd /srv/kept; cat -- "$1" >real 2>/dev/null || echo "# kept" >real;'
        ' chmod 440 real; ln -s real inner; ln -sf /srv/kept/inner "$1"',
        path,
    )
    look = 'cat /srv/kept/real; ls -lR --time-style=+ /srv/kept; readlink -- "$1"'
    before = box.sh(look, path)
    step = SETTINGS[path]()
    first = succeeded(step, box.cluster)
    after = box.sh(look, path)
    assert after != before
    assert after.endswith("/srv/kept/inner\n")
    skipped(step, box.cluster)
    undone(step, first, box.cluster)
    assert box.sh(look, path) == before
