"""Processes of this machine, by session and descent: what a process has started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_ROUNDS = 5


def kill_tree(leader: int) -> None:
    """SIGKILL to a process that leads a session, to its descendants, and to everyone in its session.

    They are stopped first, all of them: else one that sees its child die goes on, and may end as if all were well.

    The leader must not have been waited for: until then its number cannot be another's. Descendants that have
    left the session (`setsid`) are found by their parents; a daemon that has let go of both stays alive.
    """
    stopped: set[int] = set()
    for _ in range(_ROUNDS):  # what is forked while we look is found by the next look
        found = members(leader) - stopped
        if not found:
            break
        for pid in found:
            _send(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped:
        _send(pid, signal.SIGKILL)


def members(leader: int) -> set[int]:
    """A process, its descendants, and everyone in the session that it leads."""
    table = list(_table())
    found = {leader} | {pid for pid, _, session in table if session == leader}
    grown = True
    while grown:
        more = {pid for pid, parent, _ in table if parent in found} - found
        found |= more
        grown = bool(more)
    return found - {os.getpid()}


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):  # gone, or another user's: its own guard sees the end of stdin
        return


def _table() -> Iterator[tuple[int, int, int]]:
    """Process, parent, session of everyone; by `ps` where there is no /proc (its session column is no number there)."""
    if not (_PROC / "self" / "stat").exists():
        yield from _by_ps()
        return
    for entry in os.scandir(_PROC):
        if not entry.name.isdecimal():
            continue
        try:
            stat = (_PROC / entry.name / "stat").read_bytes()
        except OSError:
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()  # the name before it may hold anything
        yield int(entry.name), int(fields[1]), int(fields[3])


def _by_ps() -> Iterator[tuple[int, int, int]]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, check=False, timeout=5)
    for line in listed.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isdigit() for word in words):
            yield int(words[0]), int(words[1]), int(words[2])


def descendants(pid: int) -> set[int]:
    """Everyone whose parent, or parent's parent, … is this process."""
    table = list(_table())
    found: set[int] = set()
    edge = {pid}
    while edge:
        edge = {each for each, parent, _ in table if parent in edge} - found
        found |= edge
    return found


def parents() -> dict[int, int]:
    """The parent of every process."""
    return {pid: its for pid, its, _ in _table()}


def named(pid: int) -> str:
    """The short name of a process, empty where it is gone or cannot be told."""
    try:
        return (_PROC / str(pid) / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
