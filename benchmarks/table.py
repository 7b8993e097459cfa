"""What was measured, as text and as data."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.bench import Line, Outcome
from benchmarks.goals import Verdict

_PACKAGES = ("asyncssh", "pyinfra", "ansible-core", "parallel-ssh", "fabric", "nornir", "nornir-netmiko", "paramiko")


def seconds(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def megabytes(value: int) -> str:
    """Whole ones; nothing where it is not known."""
    return f"{value / 1e6:.0f}" if value else ""


def rows(outcome: Outcome) -> list[list[str]]:
    """One a contender: case, name, whole process, in process, ratios to the first, memory, runs."""
    first = outcome.lines[0] if outcome.lines else None
    return [_row(outcome, each, first) for each in outcome.lines]


def _row(outcome: Outcome, line: Line, first: Line | None) -> list[str]:
    if line.problem:
        return [outcome.case.label, line.contender, "wrong", "", "", "", "", str(len(line.samples))]
    base = first if first is not None and not first.problem else line
    return [
        outcome.case.label,
        line.contender,
        seconds(line.wall),
        seconds(line.seconds),
        f"{line.wall / base.wall:.2f}",
        f"{line.seconds / base.seconds:.2f}" if base.seconds else "",
        megabytes(line.rss),
        str(len(line.samples)),
    ]


HEAD = ["case", "contender", "whole s", "in process s", "ratio", "ratio in process", "peak MB", "runs"]


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table, its columns aligned in the source as well; a case is named once."""
    shown, before = [], ""
    for row in body:
        shown.append(["" if row[0] == before else row[0], *row[1:]])
        before = row[0]
    widths = [max(len(row[i]) for row in [head, *shown]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *shown]
    return "".join(f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |\n" for row in lines)


def table(outcomes: Sequence[Outcome]) -> str:
    """All of it."""
    return markdown(HEAD, [row for each in outcomes for row in rows(each)])


def verdicts(those: Sequence[Verdict]) -> str:
    """Goals, and how they stand."""
    head = ["goal", "case", "limit", "measured", ""]
    return markdown(head, [[each.goal, each.case, each.limit, each.measured, each.word] for each in those])


def data(outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> dict[str, Any]:
    """For JSON: every sample."""
    cases = [
        {
            "case": each.case.label,
            "workload": each.case.workload,
            "number": each.case.number,
            "absent": list(each.absent),
            "contenders": {
                line.contender: [
                    {"wall": s.wall, "seconds": s.seconds, "rss": s.rss, "problem": s.problem} for s in line.samples
                ]
                for line in each.lines
            },
        }
        for each in outcomes
    ]
    return {"about": dict(about), "cases": cases}


def machine(peers: Path) -> dict[str, Any]:
    """Where this was, with which versions; no names and no paths."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text("ascii"))
    return {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "processor": model.group(1) if model else platform.machine(),
        "memory": f"{int(memory.group(1)) / 1e6:.0f} GB" if memory else "",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ssh": _said(["ssh", "-V"]).split(",")[0],
        "kxflow": version("kxflow"),
        "versions": {"asyncssh": version("asyncssh"), **_installed(peers)},
    }


def told(about: Mapping[str, Any]) -> str:
    """The same as one paragraph."""
    versions = ", ".join(f"{name} {its}" for name, its in about["versions"].items())
    return (
        f"{about['date']}, {about['cores']} cores ({about['processor']}), {about['memory']}, {about['system']}, "
        f"Linux {about['kernel']}, Python {about['python']}, {about['ssh']}, kxflow {about['kxflow']}, {versions}.\n"
    )


def _said(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def _installed(peers: Path) -> dict[str, str]:
    found = {}
    for path in peers.glob("lib/python3*/site-packages/*.dist-info"):
        name, _, its = path.name.removesuffix(".dist-info").rpartition("-")
        if name.replace("_", "-") in _PACKAGES:
            found[name.replace("_", "-")] = its
    return dict(sorted(found.items()))
