"""What every connector must do, as one check: for ours, and for those that users write."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import anyio

from kxflow.interpreters.ports import Connector, Exit, Link, LinkBrokenError, Process
from kxflow.values.cluster import Cluster
from kxflow.values.host import Host

_Check: TypeAlias = Callable[[Link], Awaitable[None]]

_SECONDS: Final = 30.0
_AT_ONCE: Final = 3.0  # "within two seconds", and some for a busy machine
_EVERY_BYTE: Final = bytes(range(256)) * 4096  # 1 MiB: NUL, newlines, invalid UTF-8


async def check_connector(
    make: Callable[[], Connector], *, host: Host, cluster: Cluster, parallel: bool = True, interactive: bool = True
) -> None:
    """Check a connector against its contract (`kxflow.interpreters.ports`).

    Only `sh -c …` is asked of the host, with echo, printf, cat, head, sleep and exit.

    Args:
        make: Gives a fresh connector.
        host: A host that it reaches.
        cluster: The cluster of that host.
        parallel: Two processes may run side by side on one link; False where the host allows only one at a time.
        interactive: Processes live: they read stdin while they run and can be ended. False for a connector that has
            the whole answer before the process begins, as `memory` does.

    Raises:
        AssertionError: It does not; the text says what it did instead.
    """
    checks: list[_Check] = [_exact_bytes, _exit_codes, _flood_on_stderr, _reads_no_stdin, _wait_without_reading]
    checks.append(_side_by_side if parallel and interactive else _one_after_another)
    if interactive:
        checks += [_stdin_until_its_end, _megabyte_both_ways, _kill]
    connector = make()
    try:
        for check in checks:
            async with _link(connector, host, cluster) as link:
                await _in_time(check, link)
        await _in_time(_closed if interactive else _closed_idle, await connector.connect(host, cluster))
        await _two_links(connector, host, cluster)
    finally:
        with anyio.CancelScope(shield=True):
            await connector.aclose()


@asynccontextmanager
async def _link(connector: Connector, host: Host, cluster: Cluster) -> AsyncIterator[Link]:
    link = await connector.connect(host, cluster)
    try:
        _check(link.alive, "a link that was just opened is not alive")
        yield link
        _check(link.alive, "a link is not alive after its processes have ended")
    finally:
        with anyio.CancelScope(shield=True):
            await link.aclose()


async def _in_time(check: _Check, link: Link) -> None:
    with anyio.move_on_after(_SECONDS) as scope:
        await check(link)
    _check(not scope.cancelled_caught, f"{check.__name__.strip('_')}: no end within {_SECONDS:g} s")


def _check(holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(message)


async def _drain(read: Callable[[], Awaitable[bytes]]) -> bytes:
    chunks = []
    while chunk := await read():
        _check(len(chunk) <= 1 << 16, f"a read gave {len(chunk)} bytes, more than 64 KiB")
        chunks.append(chunk)
    _check(await read() == b"", "a read after the end of a stream gave bytes")
    return b"".join(chunks)


async def _finish(process: Process) -> tuple[bytes, bytes, Exit]:
    """Both streams to their end, side by side, and how it ended."""
    streams: dict[str, bytes] = {}

    async def collect(name: str, read: Callable[[], Awaitable[bytes]]) -> None:
        streams[name] = await _drain(read)

    async with anyio.create_task_group() as group:
        group.start_soon(collect, "out", process.read_stdout)
        group.start_soon(collect, "err", process.read_stderr)
    ended = await process.wait()
    _check(await process.wait() == ended, "wait() gave two different ends")
    await process.kill()  # no error when it is gone
    return streams["out"], streams["err"], ended


async def _run(link: Link, text: str, stdin: bytes | None = None) -> tuple[bytes, bytes, Exit]:
    process = await link.spawn(("sh", "-c", text))
    if stdin is not None:
        await process.write(stdin)
    await process.close_stdin()
    return await _finish(process)


async def _exact_bytes(link: Link) -> None:
    out, err, ended = await _run(link, r"printf 'a\000b\377\n'; printf 'c\200\r\n' >&2")
    _check(out == b"a\0b\xff\n", f"stdout is {out!r}, not exact")
    _check(err == b"c\x80\r\n", f"stderr is {err!r}, not exact")
    _check(ended == Exit(0), f"a success ended as {ended}")


async def _exit_codes(link: Link) -> None:
    for code in (0, 3, 255):
        _, _, ended = await _run(link, f"exit {code}")
        _check(ended == Exit(code), f"`exit {code}` ended as {ended}")


async def _stdin_until_its_end(link: Link) -> None:
    process = await link.spawn(("sh", "-c", "cat; echo over"))
    await process.write(b"one\n")
    first = await process.read_stdout()
    _check(first == b"one\n", f"stdin is not passed on before its end: {first!r} came back")
    await process.write(b"two\n")
    await process.close_stdin()
    await process.close_stdin()
    out, _, ended = await _finish(process)
    _check(out == b"two\nover\n", f"after the end of stdin came {out!r}")
    _check(ended == Exit(0), f"it ended as {ended}")


async def _megabyte_both_ways(link: Link) -> None:
    process = await link.spawn(("sh", "-c", "cat"))

    async def feed() -> None:
        await process.write(_EVERY_BYTE)
        await process.close_stdin()

    async with anyio.create_task_group() as group:
        group.start_soon(feed)
        out, _, ended = await _finish(process)
    _check(len(out) == len(_EVERY_BYTE), f"of {len(_EVERY_BYTE)} bytes through cat {len(out)} came back")
    same = hashlib.sha256(out).digest() == hashlib.sha256(_EVERY_BYTE).digest()
    _check(same, "bytes through cat came back changed")
    _check(ended == Exit(0), f"cat ended as {ended}")


async def _flood_on_stderr(link: Link) -> None:
    out, err, ended = await _run(link, "head -c 4194304 /dev/zero >&2; echo done")
    _check(out == b"done\n", f"stdout after a flood on stderr is {out!r}")
    _check(len(err) == 4 << 20, f"of 4194304 bytes on stderr {len(err)} came")
    _check(ended == Exit(0), f"it ended as {ended}")


async def _reads_no_stdin(link: Link) -> None:
    out, _, ended = await _run(link, "exec <&-; echo deaf", stdin=_EVERY_BYTE)
    _check(out == b"deaf\n", f"a process that does not read its stdin gave {out!r}")
    _check(ended == Exit(0), f"a process that does not read its stdin ended as {ended}")


async def _wait_without_reading(link: Link) -> None:
    process = await link.spawn(("sh", "-c", "echo unread; exit 7"))
    ended = await process.wait()
    _check(ended == Exit(7), f"wait() before any read gave {ended}")
    out, _, _ = await _finish(process)
    _check(out == b"unread\n", f"what was written before the end is gone: {out!r}")


async def _kill(link: Link) -> None:
    process = await link.spawn(("sh", "-c", "echo begun; cat >/dev/null; sleep 1; sleep 60"))
    await process.read_stdout()
    with anyio.move_on_after(_AT_ONCE) as scope:
        await process.kill()
        ended = await process.wait()
    _check(not scope.cancelled_caught, f"kill() and wait() took more than {_AT_ONCE:g} s")
    _check(ended.code != 0, f"a killed process ended as {ended}")
    _check(await _drain(process.read_stdout) == b"", "a killed process still gives bytes")
    await process.kill()
    await process.close_stdin()
    await process.write(b"for nobody")  # no error: the link is there, the process is not


async def _side_by_side(link: Link) -> None:
    one = await link.spawn(("sh", "-c", "read line; echo one $line"))
    two = await link.spawn(("sh", "-c", "read line; echo two $line"))
    await two.write(b"b\n")
    out, _, _ = await _finish(two)
    _check(out == b"two b\n", f"the second of two processes gave {out!r}")
    await one.write(b"a\n")
    out, _, _ = await _finish(one)
    _check(out == b"one a\n", f"the first of two processes gave {out!r}")


async def _one_after_another(link: Link) -> None:
    for name in ("one", "two", "three"):
        out, _, _ = await _run(link, f"echo {name}")
        _check(out == f"{name}\n".encode(), f"process {name} gave {out!r}")


async def _closed(link: Link) -> None:
    process = await link.spawn(("sh", "-c", "echo begun; sleep 60"))
    await process.read_stdout()
    with anyio.move_on_after(_AT_ONCE) as scope:
        await link.aclose()
        ended = await process.wait()
        rest = await _drain(process.read_stdout)
    _check(not scope.cancelled_caught, f"aclose() of a link and wait() took more than {_AT_ONCE:g} s")
    _check(ended.code != 0, f"a process on a closed link ended as {ended}")
    _check(rest == b"", f"a process on a closed link gave {rest!r}")
    await _raises_broken(process.write(b"late"), "write to a process on a closed link")
    await _closed_idle(link)


async def _closed_idle(link: Link) -> None:
    await link.aclose()
    _check(not link.alive, "a closed link says that it is alive")
    await link.aclose()
    await _raises_broken(link.spawn(("sh", "-c", "echo late")), "spawn on a closed link")


async def _raises_broken(work: Awaitable[object], what: str) -> None:
    try:
        await work
    except LinkBrokenError:
        return
    raise AssertionError(f"{what} did not raise LinkBrokenError")


async def _two_links(connector: Connector, host: Host, cluster: Cluster) -> None:
    async with _link(connector, host, cluster) as one, _link(connector, host, cluster) as two:
        await _in_time(_exit_codes, two)
        await _in_time(_exit_codes, one)
