"""Run one contender once, in a process of its own, and see what it took."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.contenders.common import Job

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = Path(__file__).parent / ".peers"
_SECONDS: Final = 900.0


@frozen
class Contender:
    """A program that does a job.

    Attributes:
        name: In tables.
        module: Below `benchmarks.contenders`.
        package: What it needs; empty where it runs with what kxflow needs.
        variant: What it is told beside the job.
    """

    name: str
    module: str
    package: str = ""
    variant: Mapping[str, Any] = {}


@frozen
class Sample:
    """One run of one contender.

    Attributes:
        wall: Seconds of the whole process, from its start to its end.
        seconds: In the process, after imports: from the job to what was found.
        rss: Most memory of the process, in bytes; of one that starts others, of the first.
        problem: Why its work was wrong; empty where it was right.
        found: What it told.
    """

    wall: float
    seconds: float = 0.0
    rss: int = 0
    problem: str = ""
    found: Any = None


class Missing(LookupError):
    """A contender whose package is not installed."""


def python_of(contender: Contender, peers: Path) -> Path:
    """The interpreter that a contender runs in.

    Raises:
        Missing: Its package is not installed there.
    """
    if not contender.package:
        return Path(sys.executable)
    if not any(peers.glob(f"lib/python3*/site-packages/{contender.package}")):
        raise Missing(f"{contender.name} is not installed in {peers.name}")
    return peers / "bin" / "python"


# Where sources would be compiled for each process, a checkout starts later than what was installed: all get a cache.
_CACHE: Final = tempfile.TemporaryDirectory(prefix="kxbench-")


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**own, "PYTHONPYCACHEPREFIX": _CACHE.name}


def measure(contender: Contender, job: Job, python: Path) -> Sample:
    """Run it to its end; whatever it wrote to its output is shown where it failed."""
    with tempfile.TemporaryDirectory(prefix="kxbench-") as folder:
        here = Path(folder)
        given: Job = {**job, "folder": folder, "variant": {**job.get("variant", {}), **contender.variant}}
        (here / "job.json").write_text(json.dumps(given), "utf-8")
        argv = [
            str(python),
            "-m",
            f"benchmarks.contenders.{contender.module}",
            str(here / "job.json"),
            str(here / "said.json"),
        ]
        with (here / "output").open("wb") as output:
            wall, code = _timed(argv, output.fileno())
        if code != 0 or not (here / "said.json").exists():
            text = (here / "output").read_text("utf-8", "replace").strip()
            return Sample(wall, problem=f"exit status {code}: {text[-600:]}")
        said = json.loads((here / "said.json").read_text("utf-8"))
        return Sample(said.get("wall", wall), said["seconds"], said["rss"], "", said["found"])


def _timed(argv: list[str], output: int) -> tuple[float, int]:
    begun = time.perf_counter()
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=ROOT,
        env=_environment(),
        start_new_session=True,
    )
    handle = os.pidfd_open(child.pid)  # Popen.wait with a timeout looks only every 50 ms
    try:
        ended, _, _ = select.select([handle], [], [], _SECONDS)
        took = time.perf_counter() - begun
    finally:
        os.close(handle)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return took, child.returncode if ended else -signal.SIGKILL
