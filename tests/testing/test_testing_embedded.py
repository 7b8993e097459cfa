"""Fleets inside this process."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import asyncssh
import pytest
from attrs import evolve

from kxflow.connectors.ssh import SshConnector
from kxflow.interpreters.ports import Link, ReachError
from kxflow.testing import embedded_fleet as start
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeEmbeddedFleet
from kxflow.testing.processes import eventually, sh
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Ssh


def on(cluster: Cluster, use: Callable[[Link], Awaitable[Any]], name: str = "host1") -> Any:
    """Use a link to a host."""

    async def main() -> Any:
        connector = SshConnector()
        link = await connector.connect(cluster[name], cluster)
        try:
            return await use(link)
        finally:
            await link.aclose()
            await connector.aclose()

    return anyio.run(main)


def test_hosts_have_what_was_asked_for() -> None:
    """Names, roles, variables, by index or by name, and a port, key and home each."""
    with start(names=["web1", "db1"], roles={"db1": {"db"}}, vars=lambda i: {"rank": i}, user="ops") as fleet:
        web, db = fleet.hosts
        assert (web.name, sorted(web.roles), web.vars["rank"]) == ("web1", [], 0)
        assert (db.name, sorted(db.roles), db.vars["rank"]) == ("db1", ["db"], 1)
        assert fleet.port("web1") != fleet.port("db1")
        assert fleet.home("web1") != fleet.home("db1")
        assert isinstance(web.connect, Ssh)
        assert web.connect.user == "ops"
        assert len(fleet.known_hosts.read_text().splitlines()) == 2
        assert fleet.key.stat().st_mode & 0o777 == 0o600


def test_names_and_number_must_agree() -> None:
    """Two numbers that differ are a mistake."""
    with pytest.raises(InvalidError, match="2 hosts and 1 names"), start(2, names=["a"]):
        pass


def test_roles_and_variables_by_index_in_a_mapping() -> None:
    """A number names a host as its name does."""
    with start(2, roles={0: ["web"], 1: {"db"}}, vars={1: {"rank": 7}}) as fleet:
        told = [(each.name, sorted(each.roles), dict(each.vars)) for each in fleet.hosts]
        assert told == [("host1", ["web"], {}), ("host2", ["db"], {"rank": 7})]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"roles": {2: ["web"]}}, "roles of 2, and there is no such host: name one of host1, host2, or its index"),
        ({"roles": {-1: ["web"]}}, "roles of -1, and there is no such host"),
        ({"roles": {True: ["web"]}}, "roles of True, and there is no such host"),
        ({"vars": {"web": {"a": 1}}}, "vars of 'web', and there is no such host"),
        ({"roles": {"host1": ["web"], 0: ["db"]}}, "roles of host1 are given twice"),
    ],
)
def test_roles_and_variables_of_no_host_are_refused(options: dict[str, Any], words: str) -> None:
    """They would be lost in silence."""
    with pytest.raises(InvalidError, match=words), start(2, **options):
        pass


def test_process_runs_in_its_home_with_a_small_environment(embedded_fleet: MakeEmbeddedFleet) -> None:
    """HOME, USER, SHELL as on a real host; the environment of the tests is not passed on."""
    fleet = embedded_fleet(1, user="ops")
    os.environ["KX_LEAK"] = "leaked"
    try:
        done = on(fleet.cluster, lambda link: sh(link, 'pwd -P; echo "$HOME $USER $SHELL ${KX_LEAK-none}"'))
    finally:
        del os.environ["KX_LEAK"]
    home = fleet.home("host1")
    assert done.out.decode() == f"{home.resolve()}\n{home} ops /bin/sh none\n"


def test_drop_ends_stdin_and_nothing_else(embedded_fleet: MakeEmbeddedFleet) -> None:
    """After a cut the process finds its stdin ended, which is its lease, and goes on as it likes."""
    fleet = embedded_fleet(1)
    told = fleet.home("host1") / "told"

    async def use(link: Link) -> None:
        process = await link.spawn(("sh", "-c", "echo begun; cat >/dev/null; echo $$ >told; exec sleep 30"))
        await process.read_stdout()
        assert fleet.connections("host1") == 1
        await anyio.to_thread.run_sync(fleet.drop, "host1")
        await process.wait()
        await eventually(lambda: told.exists() and told.read_text().strip())

    on(fleet.cluster, use)
    assert int(told.read_text()) in fleet.processes("host1")
    assert fleet.connections("host1") == 0


def test_end_of_the_fleet_ends_daemons() -> None:
    """What was started on the hosts, and left every session, ends with them; the folder is gone."""
    with start(2) as fleet:
        done = on(fleet.cluster, lambda link: sh(link, "setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!"))
        pid = int(done.out)
        until(lambda: pid in fleet.processes("host1"), "the daemon runs")
        assert pid not in fleet.processes("host2")
        home = fleet.home("host1")
    with pytest.raises(ProcessLookupError):
        _signal_unless_zombie(pid)
    assert not home.exists()


def test_latency_is_that_of_a_round_trip(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A process that answers costs at least two: to be started, and to be asked."""
    fleet = embedded_fleet(1, latency=0.1)

    async def use(link: Link) -> float:
        process = await link.spawn(("sh", "-c", "read line; echo $line"))
        began = time.monotonic()
        await process.write(b"there\n")
        assert await process.read_stdout() == b"there\n"
        return time.monotonic() - began

    assert 0.1 <= on(fleet.cluster, use) < 0.4


def test_refuse_lets_nobody_in(embedded_fleet: MakeEmbeddedFleet) -> None:
    """One host of two."""
    fleet = embedded_fleet(2, refuse=["host1"])
    assert on(fleet.cluster, lambda link: sh(link, "echo in"), "host2").out == b"in\n"
    with pytest.raises(ReachError) as caught:
        on(fleet.cluster, lambda link: sh(link, "echo in"))
    assert caught.value.fault.code == "auth"


def test_password_lets_in(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Beside the key."""
    fleet = embedded_fleet(1, password="pass-word")
    host = fleet.hosts[0]
    assert isinstance(host.connect, Ssh)
    way = evolve(host.connect, key_files=(), password="pass-word")
    cluster = Cluster([evolve(host, connect=way)])
    assert on(cluster, lambda link: sh(link, "echo in")).out == b"in\n"


def test_stop_and_start(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A host that is stopped refuses new connections and keeps those it has; started again it has its old port."""
    fleet = embedded_fleet(1)
    port = fleet.port("host1")

    async def use(link: Link) -> bytes:
        await anyio.to_thread.run_sync(fleet.stop, "host1")
        with pytest.raises(ReachError):
            await SshConnector(tries={}).connect(fleet.hosts[0], fleet.cluster)
        out = (await sh(link, "echo still")).out
        await anyio.to_thread.run_sync(fleet.start, "host1")
        return out

    assert on(fleet.cluster, use) == b"still\n"
    assert fleet.port("host1") == port
    assert on(fleet.cluster, lambda link: sh(link, "echo again")).out == b"again\n"


def test_fleet_works_inside_a_running_loop() -> None:
    """As in a notebook: the servers have a loop of their own."""

    async def main() -> bytes:
        with start(1) as fleet:
            connector = SshConnector()
            link = await connector.connect(fleet.hosts[0], fleet.cluster)
            out = (await sh(link, "echo in")).out
            await link.aclose()
            await connector.aclose()
            return out

    assert anyio.run(main) == b"in\n"


def test_openssh_s_own_client_logs_in(embedded_fleet: MakeEmbeddedFleet) -> None:
    """The hosts are SSH hosts to others, too."""
    import subprocess

    from kxflow.testing.plugin import need_program

    fleet = embedded_fleet(1)
    options = [f"UserKnownHostsFile={fleet.known_hosts}", "BatchMode=yes", "IdentitiesOnly=yes"]
    argv = [need_program("ssh"), "-F", "none", "-i", str(fleet.key), "-p", str(fleet.port("host1"))]
    argv += [word for each in options for word in ("-o", each)]
    done = subprocess.run([*argv, "127.0.0.1", "cat; exit 7"], input=b"a\0\xff", capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"a\0\xff", 7), done.stderr


def test_thirty_hosts_side_by_side(embedded_fleet: MakeEmbeddedFleet) -> None:
    """All of them log in and run at once."""
    fleet = embedded_fleet(30)
    outs: dict[str, bytes] = {}

    async def main() -> None:
        connector = SshConnector()

        async def one(name: str) -> None:
            link = await connector.connect(fleet.cluster[name], fleet.cluster)
            outs[name] = (await sh(link, "basename $(dirname $HOME)")).out
            await link.aclose()

        async with anyio.create_task_group() as group:
            for name in fleet.cluster.names:
                group.start_soon(one, name)
        await connector.aclose()

    anyio.run(main)
    assert outs == {name: f"{name}\n".encode() for name in fleet.cluster.names}


def test_asyncssh_is_the_stranger_here(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Its own stream API finds what a real server gives: exact bytes, and the exit status."""
    fleet = embedded_fleet(1)

    async def main() -> tuple[bytes | None, int | None]:
        async with asyncssh.connect(
            "127.0.0.1",
            fleet.port("host1"),
            username="me",
            client_keys=[str(fleet.key)],
            known_hosts=str(fleet.known_hosts),
            agent_path=None,
        ) as conn:
            done = await conn.run("head -c 300000 /dev/zero; exit 9", encoding=None)
            assert isinstance(done.stdout, bytes)
            return done.stdout, done.exit_status

    out, status = anyio.run(main)
    assert (out, status) == (bytes(300_000), 9)


def _signal_unless_zombie(pid: int) -> None:
    """Raise ProcessLookupError where a process has ended, also when nobody has waited for it."""
    from pathlib import Path

    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    if state in "ZX":
        raise ProcessLookupError(pid)
