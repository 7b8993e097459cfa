"""What needs no hosts: the engine itself, and how long it takes to be there."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve

from benchmarks.case import ANSIBLE, FABRIC, NORNIR, OURS, PSSH, PYINFRA, Case, Ready, alone
from benchmarks.contenders.common import Job
from benchmarks.measure import Contender

STEPS = 10


def _engine_job(count: int) -> Job:
    return {"kind": "engine", "hosts": [], "user": "", "key": "", "known_hosts": "", "count": count, "steps": STEPS}


def _all_results(count: int, found: Any, job: Job) -> str:
    del job
    return "" if found == {"results": count * STEPS} else f"{count * STEPS} results were wanted, {found}"


def engine(quick: bool) -> list[Case]:
    """Ten steps on very many hosts that answer from memory; nornir's tasks do nothing and are written nowhere.

    Its runner is called once a step; grouped, it is called once, and tasks call tasks past it.
    """
    bare = evolve(OURS, name="kxflow, no journal", variant={"bare": True})
    grouped = evolve(NORNIR, name="nornir, one grouped task", variant={"grouped": True})
    return [
        Case(
            workload="engine",
            size=f"{count} x {STEPS}",
            number=count,
            ready=alone(Ready(partial(_engine_job, count), partial(_all_results, count))),
            contenders=[NORNIR, grouped, OURS, bare],
            rounds=3 if count < 100_000 else 1,
        )
        for count in ((50, 100) if quick else (10_000, 40_000, 100_000))
    ]


def imports(quick: bool) -> list[Case]:
    """From nothing to being loaded, and to the first word of the command line."""
    job: Job = {"kind": "start", "hosts": [], "user": "", "key": "", "known_hosts": ""}
    ready = alone(Ready(lambda: job, lambda found, _: "" if found else "it said nothing"))
    nothing = Contender("python", "start", variant={"code": "pass"})
    ours = Contender("kxflow", "start", variant={"code": "import kxflow"})
    peers = [
        Contender(each.name, "start", each.package, {"code": f"import {name}"})
        for each, name in ((PYINFRA, "pyinfra.api"), (FABRIC, "fabric"), (PSSH, "pssh.clients"), (NORNIR, "nornir"))
    ]
    version = Contender("kxflow", "start", variant={"program": ["kxflow", "--version"]})
    theirs = [
        Contender(PYINFRA.name, "start", PYINFRA.package, {"program": ["pyinfra", "--version"]}),
        Contender(ANSIBLE.name, "start", ANSIBLE.package, {"program": ["ansible", "--version"]}),
    ]
    rounds = 2 if quick else 9
    return [
        Case(
            workload="import", size="import", number=1, ready=ready, contenders=[nothing, ours, *peers], rounds=rounds
        ),
        Case(
            workload="import",
            size="--version",
            number=1,
            ready=ready,
            contenders=[nothing, version, *theirs],
            rounds=rounds,
        ),
    ]
