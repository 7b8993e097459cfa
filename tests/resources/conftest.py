"""A host that a test may do anything to: this machine as it is, copied on write, gone afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from kxflow.testing.plugin import embedded_fleet, need_program, sshd_fleet
from kxflow.values.cluster import Cluster
from kxflow.values.host import Host, Via

__all__ = ["box", "embedded_fleet", "sshd_fleet"]

_START = """
set -e
cd "$1"
mount -t tmpfs none .
cd "$1"
mkdir upper work root
mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work root
for each in dev sys; do mount --rbind /$each root/$each; done
mount -t proc none root/proc
mount -t tmpfs none root/run
exec chroot root sh -c 'sleep infinity & echo up; wait'
"""


@frozen
class Box:
    """The host.

    Attributes:
        cluster: With it as its one host, `box`, reached as root.
    """

    cluster: Cluster
    prefix: tuple[str, ...]

    def sh(self, text: str, *words: str | bytes) -> str:
        """What shell text prints there; it must end well."""
        argv = [*self.prefix, "sh", "-c", text, "sh", *words]
        done = subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A copy of this machine in a mount and a pid namespace of its own; root only."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can make namespaces")
    for program in ("unshare", "nsenter"):
        need_program(program)
    words = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
    with subprocess.Popen(
        [*words, "sh", "-c", _START, "sh", str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"up\n"
            children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text("ascii").split()
            prefix = ("nsenter", "-t", children[0], "-m", "-p", "-r", "-w")
            yield Box(Cluster([Host("box", connect=Via(*prefix))]), prefix)
        finally:
            holder.kill()
