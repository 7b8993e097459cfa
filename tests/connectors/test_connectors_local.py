"""The connectors that start subprocesses, on both event loops."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from kxflow.connectors import ChoosingConnector, default_connector
from kxflow.connectors.local import LocalConnector
from kxflow.connectors.memory import MemoryConnector
from kxflow.connectors.via import ViaConnector
from kxflow.interpreters.ports import Exit, Link, LinkBrokenError, ReachError, Reply
from kxflow.testing import check_connector
from kxflow.testing.fleet import until
from kxflow.testing.processes import finish, sh
from kxflow.values.action import Command
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, Local, Via

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def on(backend: str, use: Callable[[Link], Awaitable[Any]]) -> Any:
    """Use a link to this machine."""

    async def main() -> Any:
        cluster = Cluster([Host("here", connect=Local())])
        link = await LocalConnector().connect(cluster["here"], cluster)
        try:
            return await use(link)
        finally:
            await link.aclose()

    return anyio.run(main, backend=backend)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@BACKENDS
def test_local_keeps_the_contract(backend: str) -> None:
    """The local connector passes the public check."""
    cluster = Cluster([Host("here", connect=Local())])
    anyio.run(partial(check_connector, LocalConnector, host=cluster["here"], cluster=cluster), backend=backend)


@BACKENDS
def test_via_keeps_the_contract(backend: str) -> None:
    """A prefix that runs what follows it passes the public check."""
    cluster = Cluster([Host("box", connect=Via("env", "KX=1"))])
    anyio.run(partial(check_connector, ViaConnector, host=cluster["box"], cluster=cluster), backend=backend)


@BACKENDS
def test_memory_keeps_what_concerns_it_of_the_contract(backend: str) -> None:
    """A connector that answers without processes, here with what a shell would say, passes the rest of the check."""
    cluster = Cluster([Host("imagined")])

    def answer(_: Host, command: Command[Any]) -> Reply:
        done = subprocess.run(
            ["sh", "-c", str(command.text)], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return Reply(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    check = partial(check_connector, host=cluster["imagined"], cluster=cluster, interactive=False)
    anyio.run(check, lambda: MemoryConnector(answer), backend=backend)


@BACKENDS
def test_default_connector_goes_by_the_host(backend: str) -> None:
    """One connector reaches local and `Via` hosts, each its own way, without loading asyncssh."""
    cluster = Cluster([Host("here", connect=Local()), Host("box", connect=Via("env", "KX=box"))])

    async def main() -> list[bytes]:
        connector = default_connector()
        outs = []
        for host in cluster:
            link = await connector.connect(host, cluster)
            outs.append((await sh(link, 'echo "${KX-none}"')).out)
            await link.aclose()
        await connector.aclose()
        return outs

    assert anyio.run(main, backend=backend) == [b"none\n", b"box\n"]


def test_makers_replace_a_connector() -> None:
    """A test can give another connector for a kind of host."""
    cluster = Cluster([Host("box", connect=Via("never-run"))])

    async def main() -> bytes:
        connector = ChoosingConnector({Via: LocalConnector})
        link = await connector.connect(cluster["box"], cluster)
        return (await sh(link, "echo here")).out

    assert anyio.run(main) == b"here\n"


@BACKENDS
def test_kill_ends_the_whole_tree(backend: str) -> None:
    """Children, grandchildren and those that made a session of their own end with the process."""

    async def use(link: Link) -> list[int]:
        text = "sleep 60 & echo $!; setsid sh -c 'echo $$; sleep 60 & echo $!; wait' & sleep 0.1; echo $$; wait"
        process = await link.spawn(("sh", "-c", text))
        data = b""
        while data.count(b"\n") < 4:
            data += await process.read_stdout()
        await process.kill()
        assert await process.wait() == Exit(None, "KILL")
        return [int(word) for word in data.split()]

    pids = on(backend, use)
    assert len(set(pids)) == 4
    until(lambda: not any(map(alive, pids)), "all are gone")


@BACKENDS
def test_kill_after_the_end_leaves_a_daemon_alone(backend: str) -> None:
    """What a process left behind properly is not ended with it."""

    async def use(link: Link) -> int:
        process = await link.spawn(("sh", "-c", "sleep 60 >/dev/null 2>&1 </dev/null & echo $!"))
        done = await finish(process)
        assert done.exit == Exit(0)
        return int(done.out)

    pid = on(backend, use)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@BACKENDS
def test_end_is_told_while_a_background_child_holds_stdout(backend: str) -> None:
    """`wait()` does not wait for the end of the streams, and `kill()` gives them up."""

    async def use(link: Link) -> Exit:
        process = await link.spawn(("sh", "-c", "sleep 60 & echo $!; exit 4"))
        pid = int(await process.read_stdout())
        with anyio.fail_after(5):
            ended = await process.wait()
            await process.kill()
            assert await process.read_stdout() == b""
        os.kill(pid, signal.SIGKILL)
        return ended

    assert on(backend, use) == Exit(4)


@BACKENDS
def test_signal_is_told_by_its_name(backend: str) -> None:
    """A process that a signal ended has no exit code, and the signal's name."""

    async def use(link: Link) -> Exit:
        return (await sh(link, "kill -TERM $$")).exit

    assert on(backend, use) == Exit(None, "TERM")


@BACKENDS
def test_write_says_when_the_link_is_closed(backend: str) -> None:
    """Bytes for a process that we ended go nowhere; those for one on a closed link are an error."""

    async def use(link: Link) -> None:
        process = await link.spawn(("sh", "-c", "cat"))
        await process.kill()
        await process.write(b"late")
        await link.aclose()
        with pytest.raises(LinkBrokenError):
            await process.write(b"later")

    on(backend, use)


@BACKENDS
def test_cancelled_reader_and_writer_leave_the_process_usable(backend: str) -> None:
    """A read or a write that is given up takes nothing away and can be asked for again."""

    async def use(link: Link) -> bytes:
        process = await link.spawn(("sh", "-c", "cat"))
        with anyio.move_on_after(0.05):
            await process.read_stdout()
        await process.write(b"still here")
        await process.close_stdin()
        return (await finish(process)).out

    assert on(backend, use) == b"still here"


@BACKENDS
@pytest.mark.parametrize(
    ("prefix", "words"), [(("no-such-program-kx",), "no-such-program-kx"), (("/etc/passwd",), "/etc/passwd")]
)
def test_prefix_that_cannot_start_is_a_fault(backend: str, prefix: tuple[str, ...], words: str) -> None:
    """A missing program says so, with its name."""
    cluster = Cluster([Host("box", connect=Via(*prefix))])

    async def main() -> None:
        link = await ViaConnector().connect(cluster["box"], cluster)
        await link.spawn(("sh", "-c", "true"))

    with pytest.raises(ReachError) as caught:
        anyio.run(main, backend=backend)
    assert caught.value.fault.code == "no_exec"
    assert words in caught.value.fault.what
    assert caught.value.fault.where == "box"


def test_nul_in_a_word_is_refused() -> None:
    """A NUL cannot be passed to a process, and is refused before one is made."""

    async def use(link: Link) -> None:
        await link.spawn(("sh", "-c", "echo a\0b"))

    with pytest.raises(InvalidError, match="NUL"):
        on("asyncio", use)


def test_via_refuses_a_host_without_a_prefix() -> None:
    """The `via` connector says what a host lacks."""
    cluster = Cluster([Host("here", connect=Local())])
    with pytest.raises(InvalidError, match="no prefix"):
        anyio.run(ViaConnector().connect, cluster["here"], cluster)


@BACKENDS
def test_large_output_waits_for_the_reader(backend: str) -> None:
    """A process that writes more than is read is made to wait: nothing piles up here."""

    async def use(link: Link) -> int:
        process = await link.spawn(("sh", "-c", "head -c 8000000 /dev/zero; echo done >&2"))
        with anyio.move_on_after(0.2) as scope:
            await process.read_stderr()
        assert scope.cancelled_caught, "all was taken though nobody read"
        return len((await finish(process)).out)

    assert on(backend, use) == 8_000_000
