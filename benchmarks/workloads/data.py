"""Much data: from hosts, and to them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import ANSIBLE, FABRIC, FLOOR, OURS, PSSH, PYINFRA, SCP, Case, Ready
from benchmarks.contenders.common import Job
from benchmarks.hosts import job_on
from kxflow.testing.sshd import sshd_fleet

_MEGABYTE = 10**6


def _much(size: int) -> str:
    """So many bytes, and no line end: a client that reads lines has to take that."""
    return f"head -c {size} /dev/zero | tr '\\0' x"


def _digest(size: int) -> str:
    its, block = hashlib.sha256(), b"x" * _MEGABYTE
    for _ in range(size // _MEGABYTE):
        its.update(block)
    return its.hexdigest()


def _all_of_it(count: int, size: int, digest: str, found: Any, job: Job) -> str:
    del job
    if len(found or {}) != count:
        return f"{len(found or {})} of {count} hosts"
    wrong = {name: each for name, each in found.items() if each[0] != size or each[1] not in ("", digest)}
    return f"other bytes came: {wrong}"[:300] if wrong else ""


@contextmanager
def _talkers(count: int, size: int) -> Iterator[Ready]:
    with sshd_fleet(count) as fleet:
        check = partial(_all_of_it, count, size, _digest(size))
        yield Ready(lambda: job_on(fleet, "output", commands=[_much(size)]), check)


def output(quick: bool) -> list[Case]:
    """Much of it from many, and very much from one; who keeps it all in memory, or reads by lines, takes no part."""
    sizes = ((2, _MEGABYTE), (1, 10 * _MEGABYTE)) if quick else ((25, 10 * _MEGABYTE), (1, 1000 * _MEGABYTE))
    return [
        Case(
            workload="output",
            size=f"{count} x {size // _MEGABYTE} MB",
            number=size,
            ready=partial(_talkers, count, size),
            contenders=[FLOOR, OURS],
            rounds=3,
        )
        for count, size in sizes
    ]


@contextmanager
def _takers(count: int, size: int) -> Iterator[Ready]:
    with sshd_fleet(count) as fleet, tempfile.TemporaryDirectory(prefix="kxbench-") as folder:
        source, targets = Path(folder, "source"), Path(folder, "hosts")
        block = os.urandom(_MEGABYTE)
        source.write_bytes(block * (size // _MEGABYTE))
        digest = hashlib.sha256(source.read_bytes()).digest()

        def clean() -> None:
            shutil.rmtree(targets, ignore_errors=True)
            targets.mkdir()

        def right(found: Any, job: Job) -> str:
            del found, job
            for host in fleet.hosts:
                with (targets / host.name).open("rb") as file:
                    if hashlib.file_digest(file, "sha256").digest() != digest:
                        return f"another file is on {host.name}"
            return ""

        target = str(targets / "{name}")
        yield Ready(lambda: job_on(fleet, "upload", source=str(source), target=target), right, clean)


def upload(quick: bool) -> list[Case]:
    """A file to some hosts: a small and a large one."""
    everyone = [SCP, OURS, PSSH, FABRIC, PYINFRA]
    count = 2 if quick else 10
    return [
        Case(
            workload="upload",
            size=f"{size} MB, {count} hosts",
            number=size,
            ready=partial(_takers, count, size * _MEGABYTE),
            contenders=[*everyone, ANSIBLE] if size == 1 else everyone,
            rounds=5 if size == 1 else 3,
        )
        for size in ((1, 8) if quick else (1, 200))
    ]
