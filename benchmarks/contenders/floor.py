"""The least that could do the work: bare asyncssh, one connection and one hand-written script per host."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh

from benchmarks.contenders.common import Job, Seat, contend, text_of


async def on_each(job: Job, act: Callable[[asyncssh.SSHClientConnection, Seat], Awaitable[Any]]) -> dict[str, Any]:
    """Log in everywhere at once, do something, and hang up."""
    known = asyncssh.read_known_hosts(job["known_hosts"])
    keys = asyncssh.load_keypairs([job["key"]])

    async def one(seat: Seat) -> tuple[str, Any]:
        connection = asyncssh.connect(
            seat["address"],
            seat["port"],
            config=None,
            username=job["user"],
            client_keys=keys,
            known_hosts=known,
            agent_path=None,
        )
        async with connection as opened:
            return seat["name"], await act(opened, seat)

    return dict(await asyncio.gather(*map(one, job["hosts"])))


async def script(connection: asyncssh.SSHClientConnection, text: str) -> bytes:
    """Run a script by the host's `sh`, sent on its stdin; what it said.

    Raises:
        AssertionError: It failed.
    """
    done = await connection.run("exec sh -s", input=text.encode(), encoding=None)
    assert done.exit_status == 0, done.stderr
    return bytes(done.stdout or b"")  # type: ignore[arg-type]  # no encoding, so bytes


def echo(job: Job) -> dict[str, list[str]]:
    """All commands as they are, one a line; or as the variant says, each by a process of its own."""
    each = job.get("variant", {}).get("each", "{}")
    lines = [each.format(text) for text in job["commands"]]

    async def act(connection: asyncssh.SSHClientConnection, seat: Seat) -> list[str]:
        del seat
        return text_of(await script(connection, "\n".join(lines) + "\n")).split("\n")

    return asyncio.run(on_each(job, act))


_CONFIG4 = """\
set -e
getent passwd kxbench >/dev/null || useradd -m -s /bin/sh kxbench
[ -f /opt/kxbench-file ] || : >/opt/kxbench-file
cd /opt
[ "$(stat -c '%U %a' kxbench-file)" = 'kxbench 640' ] || { chown kxbench kxbench-file; chmod 640 kxbench-file; }
if [ "$(sha256sum </opt/kxbench-copy 2>/dev/null)" != 'DIGEST  -' ];then
echo CONTENT | base64 -d >/opt/kxbench-copy.new; mv /opt/kxbench-copy.new /opt/kxbench-copy
fi
[ "$(stat -c '%U %a' kxbench-copy)" = 'root 644' ] || { chown root kxbench-copy; chmod 644 kxbench-copy; }
echo TOKEN
"""


def config4(job: Job) -> dict[str, Any]:
    """What is not so yet is made so."""
    content = Path(job["source"]).read_bytes()
    text = (
        _CONFIG4.replace("DIGEST", hashlib.sha256(content).hexdigest())
        .replace("CONTENT", base64.b64encode(content).decode())
        .replace("TOKEN", job["token"])
    )

    async def act(connection: asyncssh.SSHClientConnection, seat: Seat) -> str:
        del seat
        return text_of(await script(connection, text))

    return asyncio.run(on_each(job, act))


def output(job: Job) -> dict[str, Any]:
    """Read to the end; only counted and digested."""

    async def act(connection: asyncssh.SSHClientConnection, seat: Seat) -> list[Any]:
        del seat
        size, digest = 0, hashlib.sha256()
        process = await connection.create_process(job["commands"][0], encoding=None, stdin=asyncssh.DEVNULL)
        while data := await process.stdout.read(1 << 16):
            size += len(data)
            digest.update(data)
        return [size, digest.hexdigest()]

    return asyncio.run(on_each(job, act))


def connect(job: Job) -> dict[str, str]:
    """Log in, and out."""

    async def act(connection: asyncssh.SSHClientConnection, seat: Seat) -> str:
        del connection, seat
        return ""

    return asyncio.run(on_each(job, act))


if __name__ == "__main__":
    contend({"echo": echo, "config4": config4, "output": output, "connect": connect})
