"""Bare asyncssh, one exec request for each command: what most tools do, done as quickly as it can be."""

from __future__ import annotations

import asyncio

import asyncssh

from benchmarks.contenders.common import Job, Seat, contend, text_of
from benchmarks.contenders.floor import on_each


def echo(job: Job) -> dict[str, list[str]]:
    """One after the other down one connection."""

    async def act(connection: asyncssh.SSHClientConnection, seat: Seat) -> list[str]:
        del seat
        return [text_of((await connection.run(each, check=True)).stdout) for each in job["commands"]]

    return asyncio.run(on_each(job, act))


if __name__ == "__main__":
    contend({"echo": echo})
