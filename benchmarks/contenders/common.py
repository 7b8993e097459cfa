"""What every contender is: a program that takes a job as JSON, does it, and tells what it found.

Standard library only: contenders run in the environments of their packages.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NotRequired, TypeAlias, TypedDict


class Seat(TypedDict):
    """A host: where it listens, and what it calls itself."""

    name: str
    address: str
    port: int


class Job(TypedDict):
    """What to do, and where.

    Attributes:
        kind: Which work; the other keys that are there depend on it.
        hosts: In order.
        user, key, known_hosts: How to log in; the key of each host is in the file.
        commands: Texts for a shell, to be run one after the other, each its own step.
        token: Says something that no other run says.
        folder: A place for files of this run, on this machine.
        source, target: A file here, and where it is to be on each host, as a text with `{name}`.
        count, steps: How many hosts that are only imagined, and steps on each.
        variant: What else a contender is told, by name.
    """

    kind: str
    hosts: list[Seat]
    user: str
    key: str
    known_hosts: str
    commands: NotRequired[list[str]]
    token: NotRequired[str]
    folder: NotRequired[str]
    source: NotRequired[str]
    target: NotRequired[str]
    count: NotRequired[int]
    steps: NotRequired[int]
    variant: NotRequired[dict[str, Any]]


Work: TypeAlias = Callable[[Job], Any]


def contend(works: Mapping[str, Work], late: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
    """Do the job that the first argument names, and write what was found, and what it took, to the second.

    Args:
        works: By kind of job.
        late: Modules by kind that the package would load when it is used, "" for other kinds. The time in process
            begins after imports: else it would be that of who imports late.
    """
    job: Job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    for name in late.get(job["kind"], late.get("", ())):
        importlib.import_module(name)
    begun = time.perf_counter()
    found = works[job["kind"]](job)
    seconds = time.perf_counter() - begun
    said = {"seconds": seconds, "rss": peak(), "found": found}
    Path(sys.argv[2]).write_text(json.dumps(said), "utf-8")


def peak() -> int:
    """Most memory that this process ever held, in bytes; of this program alone, not of what it was forked from."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def text_of(data: bytes | str | None) -> str:
    """An output without the end of its last line."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data or ""
    return text.rstrip("\n")
