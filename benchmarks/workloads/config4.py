"""The four operations of pyinfra's own comparison: an account, a file with owner and mode, a 2 KiB copy, a command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import ANSIBLE, FLOOR, OURS, PYINFRA, Case, Ready
from benchmarks.contenders.common import Job, Seat
from benchmarks.hosts import far_away, job_on
from kxflow.testing.clone import CloneFleet, clone_fleet

_UNDO = "userdel -rf kxbench; rm -f /opt/kxbench-*"
_SEE = (
    "getent passwd kxbench | cut -d: -f7; stat -c '%U %a' /opt/kxbench-file /opt/kxbench-copy; "
    "sha256sum </opt/kxbench-copy; ls /opt | grep -c kxbench"
)


def _right(fleet: CloneFleet, digest: str, found: Any, job: Job) -> str:
    """The hosts are as wanted, seen past SSH, and the command was run on each."""
    wanted = f"/bin/sh\nkxbench 640\nroot 644\n{digest}  -\n2\n"
    for host in fleet.hosts:
        seen = fleet.sh(host.name, _SEE).stdout.decode()
        if seen != wanted:
            return f"{host.name} is not as wanted: {seen!r}"
        if (found or {}).get(host.name) != job["token"]:
            return f"{host.name} said {(found or {}).get(host.name)!r}"
    return ""


@contextmanager
def _ready(count: int, *, fresh: bool, far: bool = False) -> Iterator[Ready]:
    import hashlib

    with tempfile.TemporaryDirectory(prefix="kxbench-") as folder, clone_fleet(count) as fleet:
        source = Path(folder, "copy")
        source.write_bytes(os.urandom(2048))
        digest = hashlib.sha256(source.read_bytes()).hexdigest()

        def undo() -> None:
            for host in fleet.hosts:
                fleet.sh(host.name, _UNDO)

        def made(those: Sequence[Seat] | None = None) -> Ready:
            return Ready(
                lambda: job_on(fleet, "config4", those, source=str(source)),
                partial(_right, fleet, digest),
                undo if fresh else lambda: None,
            )

        if far:
            with far_away(fleet) as those:
                yield made(those)
        else:
            yield made()


def _cases(count: int, sizes: Sequence[tuple[str, bool]], *, far: bool = False) -> list[Case]:
    if os.geteuid() != 0:
        return []
    return [
        Case(
            workload="wan" if far else "config4",
            size=f"config4, {size}" if far else f"{size}, {count} hosts",
            number=count,
            ready=partial(_ready, count, fresh=fresh, far=far),
            contenders=[FLOOR, OURS, PYINFRA] if far or count > 25 else [FLOOR, OURS, PYINFRA, ANSIBLE],
        )
        for size, fresh in sizes
    ]


def config4(quick: bool) -> list[Case]:
    """On hosts that have nothing of it yet, and again; only root can make clones with accounts."""
    both = (("first run", True), ("second run", False))
    if quick:
        return _cases(2, both)
    return [*_cases(25, both), *_cases(100, both[1:])]


def wan_config4(quick: bool) -> list[Case]:
    """The second run, a tenth of a second away."""
    return _cases(2 if quick else 10, (("second run", False),), far=True)
