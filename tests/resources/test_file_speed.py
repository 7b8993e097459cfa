"""Large files over SSH: about as quick as scp, in flat memory, and not at all where they are there."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import kxflow as kx
from kxflow.resources import file
from kxflow.testing.plugin import MakeSshdFleet, need_program
from tests.resources.helpers_files import CountingConnector, ran

MEGABYTES = int(os.environ.get("KXFLOW_SPEED_MB", "64"))
ROUNDS = 3


def _seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def test_a_large_file_goes_at_half_of_scps_speed_in_flat_memory_and_only_once(
    tmp_path: Path, sshd_fleet: MakeSshdFleet
) -> None:
    """The medians of rounds taken in turns; what both spend on logging in is part of it."""
    scp = need_program("scp")
    fleet = sshd_fleet(1)
    way = fleet.hosts[0].connect
    assert isinstance(way, kx.Ssh)
    source, theirs, ours = tmp_path / "source", tmp_path / "scp", tmp_path / "kxflow"
    source.write_bytes(os.urandom(1 << 20) * MEGABYTES)
    options = ["-q", "-P", str(way.port), "-i", str(fleet.key), "-o", f"UserKnownHostsFile={fleet.known_hosts}"]
    step = file(ours, source=source)

    def by_scp() -> None:
        subprocess.run([scp, *options, str(source), f"{way.user}@127.0.0.1:{theirs}"], check=True)

    def by_kxflow() -> None:
        ours.unlink(missing_ok=True)
        report = ran(step, cluster=fleet.cluster)
        assert report.succeeded, report.first_fault

    by_kxflow()  # all that loads once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds = [(_seconds(by_scp), _seconds(by_kxflow)) for _ in range(ROUNDS)]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scp_takes, kxflow_takes = (statistics.median(each) for each in zip(*rounds, strict=True))
    assert ours.read_bytes() == source.read_bytes()
    assert kxflow_takes <= 2 * scp_takes + 0.25, rounds
    assert grown < 8 * 1024
    connector = CountingConnector()
    again = ran(step, cluster=fleet.cluster, connector=connector).results[0]
    assert again.status is kx.Status.Skipped
    assert connector.sent < 20_000
