"""How long a program takes to be there: started by this one, several times; the time in process is the median's."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.contenders.common import Job

TIMES = 5


def main() -> None:
    """As `contend`, but what counts is the time of the programs that it starts."""
    import json

    job: Job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    variant = job.get("variant", {})
    if "code" in variant:
        argv = [sys.executable, "-c", str(variant["code"])]
    else:
        program, *words = variant["program"]
        argv = [str(Path(sys.executable).parent / program), *words]
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begun)
    its = statistics.median(took)
    said = {"wall": its, "seconds": its, "rss": 0, "found": True}
    Path(sys.argv[2]).write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    main()
