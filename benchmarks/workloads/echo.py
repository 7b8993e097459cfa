"""Commands that say something: what is measured is the way there and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from attrs import evolve

from benchmarks.case import ANSIBLE, EXECS, FABRIC, FLOOR, NORNIR, OURS, PSSH, PYINFRA, Case, Ready
from benchmarks.contenders.common import Job, Seat
from benchmarks.hosts import LATENCY, busy_login, far_away, job_on, seats
from benchmarks.measure import Contender
from kxflow.testing.fleet import Fleet
from kxflow.testing.sshd import sshd_fleet

LOGIN_SECONDS = 0.1


def commands(n: int, token: str) -> list[str]:
    """Each says the run, its place, and the port of the sshd that started it."""
    return [f'echo {token}-{i} "${{SSH_CONNECTION##* }}"' for i in range(n)]


def job_of(fleet: Fleet, n: int, those: Sequence[Seat] | None = None, **more: Any) -> Job:
    """A fresh job of so many commands."""
    job = job_on(fleet, "echo", those, **more)
    return {**job, "commands": commands(n, job["token"])}


def said(fleet: Fleet, n: int, found: Any, job: Job) -> str:
    """Every output of every host, in order, by the right host, from this run."""
    wanted = {seat["name"]: [f"{job['token']}-{i} {seat['port']}" for i in range(n)] for seat in seats(fleet)}
    if found == wanted:
        return ""
    wrong = [name for name, lines in wanted.items() if (found or {}).get(name) != lines]
    name = wrong[0] if wrong else "?"
    return f"{len(wrong)} of {len(wanted)} hosts are wrong; {name}: {(found or {}).get(name)!r}"[:400]


@contextmanager
def _near(count: int, n: int, login: float = 0, **more: Any) -> Iterator[Ready]:
    with sshd_fleet(count) as fleet:
        text = busy_login(login) if login else ""
        for host in fleet.hosts:
            (fleet.home(host.name) / ".bashrc").write_text(text, "utf-8")
        yield Ready(lambda: job_of(fleet, n, **more), partial(said, fleet, n))


@contextmanager
def _far(count: int, n: int, latency: float = LATENCY) -> Iterator[Ready]:
    with sshd_fleet(count) as fleet, far_away(fleet, latency) as those:
        yield Ready(lambda: job_of(fleet, n, those), partial(said, fleet, n))


@contextmanager
def _far_connect(count: int, latency: float = LATENCY) -> Iterator[Ready]:
    with sshd_fleet(count) as fleet, far_away(fleet, latency) as those:
        yield Ready(lambda: job_on(fleet, "connect", those), lambda found, _: "" if len(found) == count else "hosts?")


def echo20(quick: bool) -> list[Case]:
    """20 commands on many hosts; Ansible on 25 only, where it takes more than a minute already."""
    apart = evolve(FLOOR, name="floor, subshells", variant={"each": "( {} ) </dev/null"})
    quickest = [FLOOR, apart, OURS, EXECS, PSSH, PYINFRA]
    everyone = [*quickest, FABRIC, NORNIR]
    return [
        Case(
            workload="echo20",
            size=f"{count} hosts",
            number=count,
            ready=partial(_near, count, 20),
            contenders=[*everyone, ANSIBLE] if count <= 25 else everyone if count <= 100 else quickest,
        )
        for count in ((4,) if quick else (25, 100, 250))
    ]


def slow_login(quick: bool) -> list[Case]:
    """The same, where each login works for a tenth of a second."""
    count = 2 if quick else 25
    return [
        Case(
            workload="slow-login",
            size=f"{count} hosts",
            number=count,
            ready=partial(_near, count, 20, LOGIN_SECONDS),
            contenders=[FLOOR, OURS, EXECS, PSSH, FABRIC, PYINFRA],
        )
    ]


def steps(quick: bool) -> list[Case]:
    """A further step; `sh -c` of each command in a loop is what a process for each costs on the host."""
    loop = evolve(FLOOR, name="sh -c loop", variant={"each": "sh -c '{}' </dev/null"})
    count = 2 if quick else 10
    return [
        Case(
            workload="steps",
            size=f"{n} steps",
            number=n,
            ready=partial(_near, count, n),
            contenders=[loop, FLOOR, OURS],
            rounds=7,
        )
        for n in ((5, 10) if quick else (20, 40, 80, 160))
    ]


def hosts(quick: bool) -> list[Case]:
    """A further host: time and memory."""
    bounded = evolve(OURS, name="kxflow, 25 at a time", variant={"concurrency": 25})
    return [
        Case(
            workload="hosts",
            size=f"{count} hosts",
            number=count,
            ready=partial(_near, count, 10),
            contenders=[FLOOR, OURS, bounded],
        )
        for count in ((4, 8) if quick else (25, 50, 100, 200))
    ]


def record(quick: bool) -> list[Case]:
    """What a journal on disk and a console cost."""
    bare = evolve(OURS, name="kxflow, no sinks")
    recorded = evolve(OURS, name="kxflow, journal and console", variant={"record": True})
    count = 4 if quick else 50
    return [
        Case(
            workload="record",
            size=f"{count} hosts",
            number=count,
            ready=partial(_near, count, 20),
            contenders=[bare, recorded],
            rounds=9,
        )
    ]


def wan_echo20(quick: bool) -> list[Case]:
    """20 commands, a tenth of a second away; and twice as far, and a connection alone, to count round trips by."""
    count = 2 if quick else 10

    def case(size: str, ready: Any, contenders: Sequence[Contender]) -> Case:
        return Case(workload="wan", size=size, number=count, ready=ready, contenders=contenders)

    found = [case("echo20", partial(_far, count, 20), [FLOOR, OURS, EXECS, PSSH, FABRIC, PYINFRA])]
    if not quick:
        found += [
            case("echo20, 200 ms", partial(_far, count, 20, 2 * LATENCY), [FLOOR, OURS]),
            case("connect only", partial(_far_connect, count), [FLOOR]),
            case("connect only, 200 ms", partial(_far_connect, count, 2 * LATENCY), [FLOOR]),
        ]
    return found
