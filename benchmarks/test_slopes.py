"""What a further step, host and result costs, counted in operations: at n, 2n and 4n, so that a quadratic shows."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

import kxflow as kx
from benchmarks.counting import Counting, calls
from kxflow.connectors.choose import default_connector
from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op, Program
from kxflow.sinks.disk import Disk, fdatasync
from kxflow.testing.plugin import MakeSshdFleet
from kxflow.values.action import Command
from kxflow.values.event import Event

SIZES = (8, 16, 32)


def steps_of(n: int) -> list[kx.Step[kx.Output]]:
    """Commands of one length: their numbers have as many digits each."""
    return [kx.command(f"c{i:03}", f"echo out-{i:03}; echo err-{i:03} >&2") for i in range(n)]


def pipeline_of(*tasks: Sequence[kx.Step[kx.Output]]) -> kx.Pipeline:
    """A task for each list of steps."""
    return kx.pipeline("p", kx.module("m", *(kx.task(f"t{i}", *steps) for i, steps in enumerate(tasks))))


def fleet_of(n: int) -> kx.Cluster:
    """Hosts that are all this machine."""
    return kx.Cluster([kx.Host(f"h{i:03}") for i in range(n)], connect=kx.Local())


def counted(pipeline: kx.Pipeline, fleet: kx.Cluster) -> Counter[str]:
    """What a run did on the wire, with real shells."""
    connector = Counting(default_connector())
    report = kx.report_of(kx.run(pipeline, fleet, connector=connector))
    assert report.succeeded, report.first_fault
    return connector.seen


def flat(costs: Sequence[float], tolerance: float = 0.02) -> bool:
    """What each further one costs is the same from n to 2n as from 2n to 4n."""
    first, second = (costs[1] - costs[0]) / SIZES[0], (costs[2] - costs[1]) / SIZES[1]
    return abs(second - first) <= tolerance * max(abs(first), abs(second), 1e-9)


# The wire


def test_further_steps_cost_no_round_trip() -> None:
    """One connection, one process, one turn for each host, however many steps a task has."""
    found = [counted(pipeline_of(steps_of(n)), fleet_of(2)) for n in SIZES]
    for each in found:
        assert (each["connects"], each["spawns"], each["turns"]) == (2, 2, 2)
    assert len({each["writes"] for each in found}) == 1


def test_a_further_step_costs_the_same_bytes_and_frames() -> None:
    """Both are linear in the steps, and few."""
    found = [counted(pipeline_of(steps_of(n)), fleet_of(1)) for n in SIZES]
    for what, most in (("sent", 400), ("received", 250), ("marks", 8)):
        costs = [each[what] for each in found]
        assert flat(costs, 0.05), (what, costs)
        assert (costs[2] - costs[1]) / SIZES[1] <= most, (what, costs)


def test_further_hosts_share_nothing_on_the_wire() -> None:
    """Connections, processes, turns and bytes are as many times more as there are hosts."""
    found = [counted(pipeline_of(steps_of(3)), fleet_of(n)) for n in SIZES]
    for what in ("connects", "spawns", "turns", "sent", "received"):
        assert [each[what] / n for each, n in zip(found, SIZES, strict=True)] == [found[0][what] / SIZES[0]] * 3, what


def test_further_tasks_use_the_connection_again() -> None:
    """A task is one process more, down the same connection."""
    for n in SIZES:
        seen = counted(pipeline_of(*[steps_of(1)] * n), fleet_of(2))
        assert (seen["connects"], seen["spawns"], seen["turns"]) == (2, 2 * n, 2 * n)


def test_over_ssh_it_is_the_same(sshd_fleet: MakeSshdFleet) -> None:
    """A connection and a channel for each host, and one turn."""
    fleet = sshd_fleet(2)
    for n in SIZES[:2]:
        seen = counted(pipeline_of(steps_of(n)), fleet.cluster)
        assert (seen["connects"], seen["spawns"], seen["turns"]) == (2, 2, 2)


# Calls


def in_memory(steps: int, hosts: int) -> Callable[[], object]:
    """A run that answers from memory."""
    pipeline, fleet = pipeline_of(steps_of(steps)), kx.Cluster([kx.Host(f"h{i:03}") for i in range(hosts)])

    def act() -> None:
        assert kx.report_of(kx.run(pipeline, fleet, connector=kx.MemoryConnector())).succeeded

    return act


@pytest.mark.parametrize("grows", ["steps", "hosts"])
def test_a_further_result_costs_the_same_calls(grows: str) -> None:
    """The engine and the report are linear in steps and in hosts."""
    in_memory(2, 2)()  # what loads once
    costs = [calls(in_memory(n, 8) if grows == "steps" else in_memory(8, n)) for n in SIZES]
    assert flat(costs, 0.05), costs
    assert (costs[2] - costs[1]) / SIZES[1] / 8 <= 500, costs


def test_a_program_is_compiled_in_linear_calls() -> None:
    """A step's text does not depend on how many are before it."""
    costs = [calls(partial(_program, n)) for n in SIZES]
    assert flat(costs, 0.05), costs


def _program(n: int, nonce: str = "0" * 32) -> Program:
    ctx = kx.context("h")
    actions = [step.action(ctx) for step in steps_of(n)]
    ops = [Op(command=each, index=i, group=i) for i, each in enumerate(actions) if isinstance(each, Command)]
    return compile_program(ops, nonce=nonce)


@pytest.mark.parametrize("chunk", [1 << 16, 7])
def test_frames_are_read_in_linear_calls(chunk: int) -> None:
    """Whether the streams come whole or in small pieces."""
    costs = [_calls_to_read(n, chunk) for n in SIZES]
    assert flat(costs, 0.05), costs


def _calls_to_read(n: int, chunk: int) -> int:
    nonce = secrets.token_hex(16)
    words = ["u", *(word for i in range(n) for word in (f"b {i}", f"e {i} ran 0")), "d end"]
    data = b"".join(b"\0" + f"{nonce} {word}".encode() + b"\0output\n" for word in words)
    reader = frames.Reader(_program(n, nonce))

    def act() -> None:
        for start in range(0, len(data), chunk):
            reader.stdout(data[start : start + chunk])
            reader.stderr(data[start : start + chunk])

    count = calls(act)
    assert reader.done
    return count


# Events and records


def test_a_further_result_is_two_events() -> None:
    """That a step began and that it ended; and the beginning and the end of the run."""
    seen: list[Event] = []
    for n in SIZES:
        seen.clear()
        pipeline, fleet = pipeline_of(steps_of(n)), kx.Cluster([kx.Host("a"), kx.Host("b")])
        kx.run(pipeline, fleet, connector=kx.MemoryConnector(), sinks=[seen.append])
        assert len(seen) == 2 + 2 * n * 2


def _disk(seen: Counter[str]) -> Disk:
    """Counts what is written, and how often the disk is waited for."""

    def write(fd: int, data: bytes | memoryview) -> int:
        seen["bytes"] += len(data)
        seen["lines"] += bytes(data).count(b"\n")
        return os.write(fd, data)

    def sync(fd: int) -> None:
        seen["syncs"] += 1
        fdatasync(fd)

    return Disk(write=write, sync=sync)


def test_a_further_result_costs_the_same_of_the_log(tmp_path: Path) -> None:
    """Two records, of the same length each; and no more syncs than there are records."""
    found: list[Counter[str]] = []
    for n in SIZES:
        pipeline, fleet = pipeline_of(steps_of(n)), kx.Cluster([kx.Host("a")])
        found.append(Counter())
        log = kx.ndjson(tmp_path / f"{n}.ndjson", disk=_disk(found[-1]))
        assert kx.report_of(kx.run(pipeline, fleet, connector=kx.MemoryConnector(), sinks=[log])).succeeded
    assert [each["lines"] for each in found] == [2 + 2 * n for n in SIZES]
    assert flat([each["bytes"] for each in found], 0.05)
    assert all(each["syncs"] <= each["lines"] for each in found)
