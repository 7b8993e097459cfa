"""The hosts that contenders work on, started here and ended with the case."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import kxflow as kx
from benchmarks.contenders.common import Job, Seat
from kxflow.testing.fleet import Fleet
from kxflow.testing.relay import Relay

LATENCY: Final = 0.1


def seats(fleet: Fleet) -> list[Seat]:
    """Where its hosts listen."""
    found: list[Seat] = []
    for host in fleet.hosts:
        way = fleet.cluster.connect_of(host)
        assert isinstance(way, kx.Ssh)
        found.append({"name": host.name, "address": str(host.address), "port": way.port})
    return found


def job_on(fleet: Fleet, kind: str, those: Sequence[Seat] | None = None, **more: Any) -> Job:
    """A job on these hosts, by default where they listen."""
    way = fleet.cluster.connect_of(fleet.hosts[0])
    assert isinstance(way, kx.Ssh)
    base: Job = {
        "kind": kind,
        "hosts": list(seats(fleet) if those is None else those),
        "user": str(way.user),
        "key": str(fleet.key),
        "known_hosts": str(fleet.known_hosts),
        "token": secrets.token_hex(8),
    }
    return {**base, **more}  # type: ignore[typeddict-item]  # keys of a job, by whoever makes it


@contextmanager
def far_away(fleet: Fleet, latency: float = LATENCY) -> Iterator[list[Seat]]:
    """Its hosts behind a relay each, one round trip of so many seconds away; their keys are known there, too.

    A relay takes connections at once: the round trip of TCP's own greeting is not in it.
    """
    those = seats(fleet)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    relays = [Relay(latency, seat["port"], seat["address"]) for seat in those]

    async def listen() -> list[int]:
        return [await each.listen() for each in relays]

    async def close() -> None:
        for each in relays:
            each.close()

    try:
        ports = asyncio.run_coroutine_threadsafe(listen(), loop).result()
        _know(fleet, those, ports)
        yield [{**seat, "address": "127.0.0.1", "port": port} for seat, port in zip(those, ports, strict=True)]
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _know(fleet: Fleet, those: Sequence[Seat], ports: Sequence[int]) -> None:
    lines = dict(line.split(" ", 1) for line in fleet.known_hosts.read_text("ascii").splitlines())
    with fleet.known_hosts.open("a", encoding="ascii") as file:
        for seat, port in zip(those, ports, strict=True):
            key = lines["[{address}]:{port}".format(**seat)]
            file.write(f"[127.0.0.1]:{port} {key}\n")


def busy_login(seconds: float) -> str:
    """A `.bashrc` that works for so long on an idle core of this machine, as pyenv, nvm and conda do."""
    import subprocess

    loop = "i=0; while [ $i -lt {n} ]; do i=$((i+1)); done"
    trial = 100_000
    begun = time.perf_counter()
    subprocess.run(["bash", "-c", loop.format(n=trial)], check=True)
    return loop.format(n=int(trial * seconds / (time.perf_counter() - begun))) + "\n"
