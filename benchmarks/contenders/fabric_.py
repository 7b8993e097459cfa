"""Fabric: a connection and one exec request for each command, on paramiko; hosts side by side by threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fabric import Config, Connection

from benchmarks.contenders.common import Job, Seat, contend, text_of


def on_each(job: Job, act: Callable[[Any, Seat], Any]) -> dict[str, Any]:
    """A thread and a connection for each host."""
    quiet = Config(overrides={"run": {"hide": True, "in_stream": False}}, lazy=True)

    def one(seat: Seat) -> tuple[str, Any]:
        keys = {"key_filename": job["key"], "look_for_keys": False, "allow_agent": False}
        with Connection(seat["address"], job["user"], seat["port"], config=quiet, connect_kwargs=keys) as connection:
            return seat["name"], act(connection, seat)

    with ThreadPoolExecutor(len(job["hosts"])) as pool:
        return dict(pool.map(one, job["hosts"]))


def echo(job: Job) -> dict[str, list[str]]:
    """One after the other."""
    return on_each(job, lambda connection, _: [text_of(connection.run(each).stdout) for each in job["commands"]])


def upload(job: Job) -> dict[str, Any]:
    """By SFTP."""
    return on_each(
        job, lambda connection, seat: str(connection.put(job["source"], job["target"].format(name=seat["name"])).remote)
    )


if __name__ == "__main__":
    contend({"echo": echo, "upload": upload})
