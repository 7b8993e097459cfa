"""Small helpers for tests of links: run one text by a shell there, and take everything it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from attrs import frozen

from kxflow.interpreters.ports import Exit, Link, Process
from kxflow.testing.fleet import until


async def eventually(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Ask again and again until it holds, in a thread: for what other processes and threads do.

    Raises:
        TimeoutError: It did not within the time.
    """
    await anyio.to_thread.run_sync(until, lambda: bool(holds()), "what was waited for", seconds)


@frozen
class Finished:
    """What a process gave, and how it ended."""

    out: bytes
    err: bytes
    exit: Exit


async def drain(read: Callable[[], Awaitable[bytes]]) -> bytes:
    """A stream to its end."""
    chunks = []
    while chunk := await read():
        chunks.append(chunk)
    return b"".join(chunks)


async def finish(process: Process) -> Finished:
    """Both streams to their end, side by side, and the end of the process."""
    streams: dict[str, bytes] = {}

    async def collect(name: str, read: Callable[[], Awaitable[bytes]]) -> None:
        streams[name] = await drain(read)

    async with anyio.create_task_group() as group:
        group.start_soon(collect, "out", process.read_stdout)
        group.start_soon(collect, "err", process.read_stderr)
    ended = await process.wait()
    await process.kill()
    return Finished(streams["out"], streams["err"], ended)


async def sh(link: Link, text: str, stdin: bytes = b"") -> Finished:
    """Run a text by `sh -c`, with this on its stdin and then its end."""
    process = await link.spawn(("sh", "-c", text))
    await process.write(stdin)
    await process.close_stdin()
    return await finish(process)
