"""The SSH connector against its contract, on embedded hosts and on OpenSSH, and under strain."""

from __future__ import annotations

import hashlib
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from kxflow.connectors.ssh import SshConnector
from kxflow.connectors.ssh_link import SshLink
from kxflow.interpreters.ports import Exit, LinkBrokenError, ReachError
from kxflow.testing import check_connector
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet
from kxflow.testing.processes import drain, eventually, finish, sh
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, Ssh

MakeFleet = Callable[..., Any]
BOTH = pytest.mark.parametrize("kind", ["embedded_fleet", "sshd_fleet"])


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest) -> MakeFleet:
    """Fleets of either kind."""
    made: MakeFleet = request.getfixturevalue(kind)
    return made


def on(cluster: Cluster, use: Callable[[SshLink], Awaitable[Any]], *, name: str | None = None) -> Any:
    """Use a link to a host."""

    async def main() -> Any:
        connector = SshConnector()
        link = await connector.connect(cluster[name or cluster.names[0]], cluster)
        try:
            return await use(link)
        finally:
            await link.aclose()
            await connector.aclose()

    return anyio.run(main)


@BOTH
def test_ssh_keeps_the_contract(make: MakeFleet) -> None:
    """The SSH connector passes the public check."""
    fleet = make(1)
    anyio.run(partial(check_connector, SshConnector, host=fleet.hosts[0], cluster=fleet.cluster))


def test_ssh_keeps_the_contract_far_away(embedded_fleet: MakeEmbeddedFleet) -> None:
    """The same with 10 ms of round trip."""
    fleet = embedded_fleet(1, latency=0.01)
    anyio.run(partial(check_connector, SshConnector, host=fleet.hosts[0], cluster=fleet.cluster))


def test_one_session_at_a_time_is_enough(sshd_fleet: MakeSshdFleet) -> None:
    """`MaxSessions 1` on OpenSSH: the public check, and 20 processes that follow each other at once."""
    fleet = sshd_fleet(1, config=["MaxSessions 1"])
    anyio.run(partial(check_connector, SshConnector, host=fleet.hosts[0], cluster=fleet.cluster, parallel=False))

    async def use(link: SshLink) -> list[bytes]:
        return [(await sh(link, f"echo {i}")).out for i in range(20)]

    assert on(fleet.cluster, use) == [b"%d\n" % i for i in range(20)]


def test_more_processes_than_sessions_queue(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Beyond `MaxSessions` a process waits for one of the same link to end."""
    fleet = embedded_fleet(1, max_sessions=2)

    async def use(link: SshLink) -> set[bytes]:
        outs: set[bytes] = set()

        async def one(i: int) -> None:
            outs.add((await sh(link, f"sleep 0.05; echo {i}")).out)

        async with anyio.create_task_group() as group:
            for i in range(8):
                group.start_soon(one, i)
        return outs

    assert on(fleet.cluster, use) == {b"%d\n" % i for i in range(8)}


def test_no_session_at_all_is_a_fault(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A host that never gives one is named, after a bounded wait."""
    fleet = embedded_fleet(1, max_sessions=0)
    waits: list[float] = []

    async def main() -> None:
        now = 0.0

        async def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds
            waits.append(seconds)

        link = await SshConnector().connect(fleet.hosts[0], fleet.cluster)
        quick = SshLink(link._conn, "host1", sleep=sleep, clock=lambda: now)
        try:
            await quick.spawn(("sh", "-c", "true"))
        finally:
            await link.aclose()

    with pytest.raises(ReachError) as caught:
        anyio.run(main)
    assert caught.value.fault.code == "no_exec"
    assert 9 < sum(waits) < 13


@BOTH
def test_fifty_megabytes_leave_memory_flat(make: MakeFleet) -> None:
    """50 MB of stdout pass with a slow reader, exact, and the process does not grow by more than a few MB."""
    fleet = make(1)

    async def use(link: SshLink) -> tuple[str, int, Exit]:
        process = await link.spawn(("sh", "-c", "yes 0123456789abcde | head -c 50000000"))
        digest, size = hashlib.sha256(), 0
        before = 0
        while chunk := await process.read_stdout():
            digest.update(chunk)
            size += len(chunk)
            if not before and size > 5_000_000:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert size == 50_000_000
        return digest.hexdigest(), grown, await process.wait()

    digest, grown, ended = on(fleet.cluster, use)
    assert digest == hashlib.sha256(b"0123456789abcde\n" * (50_000_000 // 16)).hexdigest()
    assert grown < 16_000  # KiB
    assert ended == Exit(0)


@BOTH
def test_unread_output_makes_the_host_wait(make: MakeFleet) -> None:
    """What nobody reads is not taken: not more than the window and the buffer are held here."""
    fleet = make(1)

    async def use(link: SshLink) -> int:
        process = await link.spawn(("sh", "-c", "head -c 20000000 /dev/zero; echo done >&2"))
        with anyio.move_on_after(0.5) as scope:
            await process.read_stderr()
        assert scope.cancelled_caught, "all was taken though nobody read"
        return len((await finish(process)).out)

    assert on(fleet.cluster, use) == 20_000_000


@BOTH
def test_megabytes_of_stdin_wait_for_the_process(make: MakeFleet) -> None:
    """8 MB of stdin arrive whole at a process that is in no hurry."""
    fleet = make(1)
    data = bytes(range(256)) * 32768

    async def use(link: SshLink) -> bytes:
        return (await sh(link, "sleep 0.2; sha256sum", data)).out

    assert on(fleet.cluster, use).split()[0].decode() == hashlib.sha256(data).hexdigest()


@BOTH
def test_end_is_told_while_a_background_child_holds_stdout(make: MakeFleet) -> None:
    """The exit status comes at once, the stream stays open, and `kill()` gives the session up."""
    fleet = make(1)

    async def use(link: SshLink) -> Exit:
        process = await link.spawn(("sh", "-c", "sleep 30 & echo $!; exit 4"))
        await process.read_stdout()
        with anyio.fail_after(5):
            ended = await process.wait()
            await process.kill()
            assert await drain(process.read_stdout) == b""
        return ended

    assert on(fleet.cluster, use) == Exit(4)


@BOTH
def test_signal_is_told_by_its_name(make: MakeFleet) -> None:
    """A process that a signal ended has no exit code, and the signal's name."""
    fleet = make(1)

    async def use(link: SshLink) -> Exit:
        return (await sh(link, "kill -KILL $$")).exit

    ended = on(fleet.cluster, use)
    # The login shell may stay in front of ours, and then tells of the signal by its own exit status.
    assert ended in (Exit(None, "KILL"), Exit(128 + signal.SIGKILL))


def test_cut_connection_ends_streams_and_process(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A connection that is reset mid-read gives the end of both streams and an end that was not received."""
    fleet = embedded_fleet(1)

    async def use(link: SshLink) -> tuple[bytes, Exit]:
        process = await link.spawn(("sh", "-c", "echo begun; sleep 30"))
        first = await process.read_stdout()
        await anyio.to_thread.run_sync(fleet.drop, "host1")
        with anyio.fail_after(5):
            done = await finish(process)
            assert not link.alive
            with pytest.raises(LinkBrokenError):
                await process.write(b"late")
            with pytest.raises(LinkBrokenError):
                await link.spawn(("sh", "-c", "true"))
        return first + done.out, done.exit

    assert on(fleet.cluster, use) == (b"begun\n", Exit(None, received=False))


def test_what_came_before_a_cut_is_not_lost(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Bytes that had arrived, more than the reader has taken, are still there after the cut."""
    fleet = embedded_fleet(1)

    async def use(link: SshLink) -> int:
        process = await link.spawn(("sh", "-c", "head -c 3500000 /dev/zero; sleep 30"))
        session = process._session
        chan: Any = session.chan
        await eventually(lambda: len(session.out) + sum(len(data) for data, _ in chan._recv_buf) == 3_500_000)
        assert session.paused, "nothing waits in asyncssh: the test shows nothing"
        await anyio.to_thread.run_sync(fleet.drop, "host1")
        return len((await finish(process)).out)

    assert on(fleet.cluster, use) == 3_500_000


def test_killed_server_session_is_an_end_not_received(sshd_fleet: MakeSshdFleet) -> None:
    """SIGKILL to the session's sshd: the streams end, the exit was not received."""
    fleet = sshd_fleet(1)

    async def use(link: SshLink) -> Exit:
        process = await link.spawn(("sh", "-c", "echo begun; cat >/dev/null"))
        await process.read_stdout()
        assert await anyio.to_thread.run_sync(fleet.kill_sessions, "host1")
        with anyio.fail_after(5):
            return (await finish(process)).exit

    assert on(fleet.cluster, use) == Exit(None, received=False)


def test_keepalive_finds_a_frozen_server(sshd_fleet: MakeSshdFleet) -> None:
    """A server that answers nothing any more is given up after three questions; closing does not wait for it."""
    fleet = sshd_fleet(1)
    cluster = fleet.login(_user(fleet.hosts[0]), keepalive=0.3)
    took: list[float] = []

    async def use(link: SshLink) -> Exit:
        process = await link.spawn(("sh", "-c", "echo begun; sleep 30"))
        await process.read_stdout()
        frozen = await anyio.to_thread.run_sync(fleet.kill_sessions, "host1", signal.SIGSTOP)
        assert frozen
        began = time.monotonic()
        with anyio.fail_after(10):
            done = await finish(process)
        took.append(time.monotonic() - began)
        return done.exit

    assert on(cluster, use) == Exit(None, received=False)
    assert 0.6 < took[0] < 4


def test_closing_does_not_wait_for_a_frozen_server(sshd_fleet: MakeSshdFleet) -> None:
    """`kill()` and `aclose()` come back within two seconds though nobody answers."""
    fleet = sshd_fleet(1)

    async def use(link: SshLink) -> float:
        process = await link.spawn(("sh", "-c", "echo begun; sleep 30"))
        await process.read_stdout()
        await anyio.to_thread.run_sync(fleet.kill_sessions, "host1", signal.SIGSTOP)
        began = time.monotonic()
        await process.kill()
        assert (await process.wait()).received is False
        await link.aclose()
        return time.monotonic() - began

    assert on(fleet.cluster, use) < 2


def test_twenty_log_in_where_two_may(sshd_fleet: MakeSshdFleet) -> None:
    """With `MaxStartups 2:100:2`, and both places taken at first, 20 log-ins at once are tried until all are in."""
    fleet = sshd_fleet(1, config=["MaxStartups 2:100:2"])
    host = fleet.hosts[0]
    outs: list[bytes] = []
    waits: list[float] = []
    idle = ExitStack()
    for _ in range(2):
        taken = idle.enter_context(socket.create_connection(("127.0.0.1", fleet.port("host1"))))
        assert taken.recv(4) == b"SSH-"

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 20:
            idle.close()
        await anyio.sleep(seconds)

    async def main() -> None:
        connector = SshConnector(sleep=sleep)

        async def one() -> None:
            link = await connector.connect(host, fleet.cluster)
            outs.append((await sh(link, "echo in")).out)
            await link.aclose()

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
        await connector.aclose()

    with idle:
        anyio.run(main)
    assert outs == [b"in\n"] * 20
    assert len(waits) >= 20


def test_cancelled_spawn_holds_no_session(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A spawn that is given up while the server is asked leaves no half-open session behind."""
    fleet = embedded_fleet(1, latency=0.1, max_sessions=1)

    async def use(link: SshLink) -> bytes:
        with anyio.move_on_after(0.05) as scope:
            await link.spawn(("sh", "-c", "cat"))
        assert scope.cancelled_caught
        with anyio.fail_after(5):
            return (await sh(link, "echo free")).out

    assert on(fleet.cluster, use) == b"free\n"


def test_cancelled_connect_leaves_no_connection(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A log-in that is given up half way is closed."""
    fleet = embedded_fleet(1, latency=0.1)

    async def main() -> None:
        with anyio.move_on_after(0.25) as scope:
            await SshConnector().connect(fleet.hosts[0], fleet.cluster)
        assert scope.cancelled_caught
        await eventually(lambda: fleet.connections("host1") == 0)

    anyio.run(main)


@pytest.mark.parametrize("shell", ["sh", "bash", "rbash", "zsh", "ksh", "tcsh", "fish"])
def test_bootstrap_survives_each_login_shell(shell: str, sshd_fleet: MakeSshdFleet) -> None:
    """The constant first line brings a program of any bytes to `sh`, whatever the account's shell."""
    from kxflow.testing import account
    from kxflow.testing.plugin import need_program

    need_program(shell)
    need_program("useradd")
    fleet = sshd_fleet(1)
    body = "printf '%s\\n' \"it's\" '\\!' 'a\\' \"$0\" 'é\n\tb'; printf '\\377' # '\" ! `\n".encode()
    argv = ("sh", "-c", f'eval "`dd bs=1 count={len(body)} 2>/dev/null`"')

    async def use(link: SshLink) -> bytes:
        process = await link.spawn(argv)
        await process.write(body)
        return (await finish(process)).out

    with account(f"kxsh-{shell}", shell=shell) as who:
        assert on(fleet.login(who.name), use) == "it's\n\\!\na\\\nsh\né\n\tb\n".encode() + b"\xff"


def test_nothing_is_left_open(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """Connections that worked, were refused or cancelled leave no file descriptor behind."""
    fleet = embedded_fleet(2)
    host = fleet.hosts[0]
    assert isinstance(host.connect, Ssh)
    stranger = Cluster([evolve(host, connect=evolve(host.connect, known_hosts=tmp_path / "none"))])

    async def use(link: SshLink) -> None:
        process = await link.spawn(("sh", "-c", "cat"))
        await process.write(b"x" * 100_000)
        with pytest.raises(ReachError):
            await SshConnector().connect(stranger.hosts[0], stranger)
        with anyio.move_on_after(0.003):
            await (await SshConnector().connect(fleet.hosts[1], fleet.cluster)).aclose()  # rarely it is that quick
        await process.kill()

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    on(fleet.cluster, use)
    before = files()
    for _ in range(3):
        on(fleet.cluster, use)
        until(lambda: not any(map(fleet.connections, fleet.cluster.names)), "the server has seen the end")
        until(lambda: not fleet.processes("host1"), "the process has seen the end of its stdin")
        until(lambda: files() <= before, "nothing more is open than before")


def test_log_of_asyncssh_is_silent(embedded_fleet: MakeEmbeddedFleet, caplog: pytest.LogCaptureFixture) -> None:
    """Also where a program shows the log of every library."""
    fleet = embedded_fleet(1)
    caplog.set_level(logging.DEBUG)
    on(fleet.cluster, lambda link: sh(link, "true"))
    assert not [each for each in caplog.records if each.name.startswith("asyncssh")]


def test_nul_in_a_word_is_refused(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A NUL would end the whole connection, and is refused before it is sent."""
    fleet = embedded_fleet(1)

    async def use(link: SshLink) -> bytes:
        with pytest.raises(InvalidError, match="NUL"):
            await link.spawn(("sh", "-c", "echo a\0b"))
        return (await sh(link, "echo on")).out

    assert on(fleet.cluster, use) == b"on\n"


def test_trio_is_told_that_ssh_needs_asyncio(embedded_fleet: MakeEmbeddedFleet) -> None:
    """On trio the fault says what to do."""
    fleet = embedded_fleet(1)
    with pytest.raises(ReachError, match="asyncio"):
        anyio.run(SshConnector().connect, fleet.hosts[0], fleet.cluster, backend="trio")


def test_asyncssh_loads_only_when_an_ssh_host_is_met() -> None:
    """Choosing a connector, and the pytest plugin, do without it."""
    import subprocess

    code = (
        "import sys, kxflow.connectors, kxflow.testing, kxflow.testing.plugin\n"
        "kxflow.connectors.default_connector()\n"
        "assert 'asyncssh' not in sys.modules, 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def _user(host: Host) -> str:
    user = getattr(host.connect, "user", None)
    assert isinstance(user, str)
    return user
