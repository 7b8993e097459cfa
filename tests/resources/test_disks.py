"""Disks that take nothing: the target is untouched, and no temporary file is left."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import absent, block, directory, file, git, line, link, replace, sync, unpack
from tests.resources.conftest import Box
from tests.resources.helpers_files import fails, skipped, succeeded, undo

LARGE = "x" * 70_000

_SEE = "cd /mnt/disk && find . ! -name . -exec ls -ld --time-style=+ {} + && cat f && sha256sum f"


def _folder(tmp_path: Path, size: int) -> Path:
    source = tmp_path / f"source{size}"
    (source / "sub").mkdir(parents=True, exist_ok=True)
    (source / "sub" / "new").write_text("n" * size)
    (source / "f").write_text("other")
    return source


def _archive(tmp_path: Path, size: int) -> Path:
    archive = tmp_path / f"{size}.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", _folder(tmp_path, size), "."], check=True)
    return archive


CHANGES: dict[str, Callable[[Path], kx.Step[Any]]] = {
    "file inline": lambda _: file("/mnt/disk/f", content="new content"),
    "file upload": lambda _: file("/mnt/disk/f", content=LARGE),
    "file new": lambda _: file("/mnt/disk/new", content="new"),
    "file mode": lambda _: file("/mnt/disk/f", mode=0o600),
    "file absent": lambda _: file("/mnt/disk/f", state="absent"),
    "directory": lambda _: directory("/mnt/disk/new"),
    "directory mode": lambda _: directory("/mnt/disk/d", mode=0o700, file_mode=0o600, recursive=True),
    "link": lambda _: link("/mnt/disk/new", "f"),
    "link forced": lambda _: link("/mnt/disk/f", "d", force=True),
    "absent": lambda _: absent("/mnt/disk/d"),
    "line": lambda _: line("/mnt/disk/f", "new"),
    "block": lambda _: block("/mnt/disk/f", "new"),
    "replace": lambda _: replace("/mnt/disk/f", "old", "new"),
    "sync": lambda tmp_path: sync("/mnt/disk/d", _folder(tmp_path, 10), delete=True),
    "unpack": lambda tmp_path: unpack("/mnt/disk/d", source=_archive(tmp_path, 10)),
    "git": lambda _: git("/mnt/disk/new", "/srv/app.git", "v1"),
}


_REPOSITORY = """
git init -q /srv/work; cd /srv/work; git config user.email a@b; git config user.name a; head -c 50000 /dev/urandom >f
git add f; git commit -qm 1; git tag v1; git clone -q --bare . /srv/app.git
"""


def test_a_read_only_disk_fails_everything_and_stays_as_it_is(box: Box, tmp_path: Path) -> None:
    """Every change of every resource; what is as wanted is still seen to be."""
    box.sh(
        "mkdir -p /mnt/disk && mount -t tmpfs -o size=1m none /mnt/disk && cd /mnt/disk && printf 'old\\n' >f"
        " && mkdir d && printf x >d/x && mount -o remount,ro /mnt/disk"
    )
    box.sh(_REPOSITORY)
    before = box.sh(_SEE)
    for what, make in CHANGES.items():
        result = fails(make(tmp_path), "ead-only file system", cluster=box.cluster)
        assert result.reason == "exit", what
        assert box.sh(_SEE) == before, what
    skipped(file("/mnt/disk/f", content="old\n"), box.cluster)
    skipped(directory("/mnt/disk/d", mode=0o755), box.cluster)


FILLED: dict[str, Callable[[Path], kx.Step[Any]]] = {
    "file upload": lambda _: file("/mnt/disk/f", content=LARGE),
    "file inline": lambda _: file("/mnt/disk/f", content="x" * 16_000),
    "line": lambda _: line("/mnt/disk/f", "new"),
    "block": lambda _: block("/mnt/disk/f", "new"),
    "replace": lambda _: replace("/mnt/disk/f", "old", "new"),
    "sync": lambda tmp_path: sync("/mnt/disk/d", _folder(tmp_path, 70_000)),
    "unpack": lambda tmp_path: unpack("/mnt/disk/d", source=_archive(tmp_path, 70_000)),
    "unpack there": lambda _: unpack("/mnt/disk/d", archive="/opt/archives/70000.tar.gz"),
    "git": lambda _: git("/mnt/disk/new", "/srv/app.git", "v1"),
}


def test_a_full_disk_fails_what_writes_and_stays_as_it_is(box: Box, tmp_path: Path) -> None:
    """The old file is whole, and as much is free as before."""
    box.sh(
        "mkdir -p /mnt/disk && mount -t tmpfs -o size=64k none /mnt/disk && cd /mnt/disk && mkdir d"
        " && { printf 'old\\n'; head -c 30000 /dev/zero | tr '\\0' x; } >f && head -c 20000 /dev/zero >full"
    )
    box.sh("mkdir /opt/archives")
    shutil.copy(_archive(tmp_path, 70_000), box.path("/opt/archives"))
    box.sh(_REPOSITORY)
    before = box.sh(_SEE + " && df /mnt/disk")
    for what, make in FILLED.items():
        result = fails(make(tmp_path), cluster=box.cluster)
        assert result.reason == "exit", (what, result.error)
        assert box.sh(_SEE + " && df /mnt/disk") == before, what
    box.sh("rm /mnt/disk/full")
    succeeded(line("/mnt/disk/f", "new"), box.cluster)


def test_an_undo_on_a_disk_that_became_read_only_fails_and_says_so(box: Box) -> None:
    """It does not claim what it could not do."""
    box.sh("mkdir -p /mnt/disk && mount -t tmpfs -o size=1m none /mnt/disk && printf old >/mnt/disk/f")
    step = file("/mnt/disk/f", content="new")
    back = undo(step, succeeded(step, box.cluster), box.cluster)
    assert back is not None
    box.sh("mount -o remount,ro /mnt/disk")
    fails(back, "ead-only file system", cluster=box.cluster)
    assert box.sh("cat /mnt/disk/f") == "new"


@pytest.mark.parametrize("where", ["/etc/kxflow-test-only"])
def test_the_box_is_not_this_machine(box: Box, where: str) -> None:
    """What a test does there is not done here."""
    succeeded(file(where, content="x"), box.cluster)
    assert box.sh('cat "$1"', where) == "x"
    assert not Path(where).exists()
