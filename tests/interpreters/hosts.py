"""What the tests on real hosts share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.testing.accounts import Account, Sudo, account

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can make accounts")


def one(*steps: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """A pipeline of one task that keeps going."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, **options)), policy=kx.keep_going())


def giving(name: str, action: kx.Action[Any]) -> kx.Step[Any]:
    """A step that gives an action."""

    def give(_: kx.HostContext) -> kx.Action[Any]:
        return action

    made: kx.Step[Any] = kx.step(give)
    return made.named(name)


def ran(pipeline: kx.Pipeline, cluster: kx.Cluster, **options: Any) -> kx.Report:
    """The report of a run."""
    return kx.report_of(kx.run(pipeline, cluster, **options))


def told(report: kx.Report) -> list[tuple[str, str, str]]:
    """Status, reason and stdout of each result."""
    return [(each.status.name, each.reason, str(each.stdout)) for each in report]


def processes() -> Iterator[tuple[int, list[bytes], bytes]]:
    """Of every process that is no zombie: its number, the fields of its stat behind the name, its command line."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_bytes().rpartition(b") ")[2].split()
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if fields[0] != b"Z":
            yield int(entry.name), fields, line


def alive(mark: str) -> int:
    """How many processes have this in their command line."""
    return sum(mark.encode() in line for _, _, line in processes())


def groups(mark: str) -> set[int]:
    """The process groups of those that have this in their command line."""
    return {int(fields[2]) for _, fields, line in processes() if mark.encode() in line}


def owned(uid: int) -> list[int]:
    """Processes of a user, the server's own apart."""
    found = []
    for pid, _, line in processes():
        try:
            if not line.startswith(b"sshd: ") and Path("/proc", str(pid)).stat().st_uid == uid:
                found.append(pid)
        except OSError:
            continue
    return found


def unique(name: str) -> str:
    """A login name that no other worker of the same tests uses."""
    return f"{name}{os.getpid()}"


@contextmanager
def sudoer(
    name: str,
    *,
    password: str | None = None,
    sudo: Sudo | None = "nopasswd",
    pty: bool = False,
    log: Path | None = None,
) -> Iterator[Account]:
    """An account that may become anybody.

    Args:
        name: Login name.
        password: Its own.
        sudo: May become anybody, without or with its password; None gives no rule.
        pty: What it runs by sudo runs under a terminal of sudo's own, as is usual since sudo 1.9.14.
        log: Where sudo notes what it did.
    """
    with account(name, shell="bash", password=password, sudo=sudo) as user:
        rule = Path(f"/etc/sudoers.d/kxflow-{name}")  # removed with the account
        lines = [rule.read_text() if rule.exists() else "", f"Defaults:{name} {'' if pty else '!'}use_pty\n"]
        lines += [f"Defaults:{name} logfile={log}\n"] if log is not None else []
        beside = rule.with_suffix(".new")  # sudo reads no name with a dot
        beside.write_text("".join(lines))
        beside.chmod(0o440)
        beside.rename(rule)
        yield user


def statuses(report: kx.Report) -> dict[str, str]:
    """Names of statuses by host and step."""
    return {f"{each.host} {each.step}": each.status.name for each in report}
