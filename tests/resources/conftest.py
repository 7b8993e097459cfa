"""A host that a test may do anything to: a copy-on-write clone of this machine, gone afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from kxflow.testing.clone import clone_fleet
from kxflow.testing.plugin import embedded_fleet, need_program, sshd_fleet
from kxflow.values.cluster import Cluster
from kxflow.values.host import Via

__all__ = ["box", "embedded_fleet", "sshd_fleet"]


@frozen
class Box:
    """The host.

    Attributes:
        cluster: With it as its one host, `box`, reached as root.
        root: Its tree, as seen from here.
        way: What runs a command there.
    """

    cluster: Cluster
    root: Path
    way: tuple[str, ...]

    def sh(self, text: str, *words: str | bytes, ok: bool = True, stdin: str = "") -> str:
        """What shell text prints there; undecodable bytes as surrogate escapes."""
        argv = [*self.way, "sh", "-c", text, "sh", *words]
        done = subprocess.run(argv, check=False, capture_output=True, input=stdin.encode(), timeout=120)
        assert done.returncode == 0 or not ok, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "surrogateescape")

    def path(self, path: str) -> Path:
        """A path of it as seen from here; no link in it may be absolute."""
        return self.root / path.lstrip("/")


@contextmanager
def laid() -> Iterator[Box]:
    """A box that ends with the block."""
    with clone_fleet(names=["box"], via=True) as fleet:
        way = fleet.cluster.connect_of(fleet.hosts[0])
        assert isinstance(way, Via)
        yield Box(fleet.cluster, fleet.root("box"), way.prefix)


@pytest.fixture
def box() -> Iterator[Box]:
    """A clone of this machine; root only."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can clone a machine")
    need_program("unshare")
    with laid() as made:
        yield made
