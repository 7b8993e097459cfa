"""OpenSSH's scp, one process for each host, side by side."""

from __future__ import annotations

import subprocess
from typing import Any

from benchmarks.contenders.common import Job, contend


def upload(job: Job) -> dict[str, Any]:
    """A file to every host.

    Raises:
        AssertionError: One failed.
    """
    options = ["-q", "-F", "none", "-i", job["key"], "-o", f"UserKnownHostsFile={job['known_hosts']}"]
    running = [
        subprocess.Popen(
            [
                "scp",
                *options,
                *("-P", str(seat["port"])),
                job["source"],
                f"{job['user']}@{seat['address']}:{job['target'].format(name=seat['name'])}",
            ]
        )
        for seat in job["hosts"]
    ]
    codes = [each.wait() for each in running]
    assert not any(codes), codes
    return {seat["name"]: "" for seat in job["hosts"]}


if __name__ == "__main__":
    contend({"upload": upload})
