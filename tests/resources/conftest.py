"""Throw-away places: a copy-on-write view of this machine that ends with the test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

import kxflow as kx
from kxflow.testing.fleet import end, until

_LAY: Final = """
set -e
mount -t tmpfs -o size=1g,mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
mkdir "$1/root/run/lock"
: >"$1/root/run/ready"
exec sleep infinity
"""


@frozen
class Box:
    """A copy of this machine where everything may be changed; one host, reached as root.

    Attributes:
        root: Its tree, as seen from here.
        way: What runs a command there.
        cluster: The one host `box`.
    """

    root: Path
    way: tuple[str, ...]
    cluster: kx.Cluster

    def sh(self, text: str, *, ok: bool = True, stdin: str = "") -> str:
        """What shell text prints there."""
        argv = [*self.way, "sh", "-c", text]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, input=stdin)
        assert done.returncode == 0 or not ok, done.stderr
        return done.stdout

    def path(self, path: str) -> Path:
        """A path of it as seen from here; no link in it may be absolute."""
        return self.root / path.lstrip("/")


@contextlib.contextmanager
def laid() -> Iterator[Box]:
    """A box that ends with the block."""
    pid = 0
    with tempfile.TemporaryDirectory(prefix="kxflow-box-") as folder:
        argv = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        lay = subprocess.Popen([*argv, "sh", "-c", _LAY, "lay", folder], stdin=subprocess.DEVNULL)
        try:
            until(lambda: lay.poll() is not None or bool(_child(lay.pid)), "the box")
            pid = _child(lay.pid)
            root = Path(f"/proc/{pid}/root{folder}/root")
            until(lambda: lay.poll() is not None or (root / "run/ready").exists(), "the box")
            assert lay.poll() is None
            way = ("nsenter", "-t", str(pid), "-m", "-p", "chroot", f"{folder}/root")
            yield Box(root, way, kx.Cluster([kx.Host("box")], connect=kx.Via(*way)))
        finally:
            end(lay.pid)  # its child ends with it, and all in there with that
            lay.wait()
            until(lambda: not Path(f"/proc/{pid}/root{folder}").exists(), "the end of the box")


def _child(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return 0
    return int(text[0]) if text else 0


@pytest.fixture
def box() -> Iterator[Box]:
    """A copy-on-write view of this machine."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can mount")
    with laid() as made:
        yield made
