"""Through jump hosts, and by an SSH configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from kxflow.connectors.ssh import SshConnector
from kxflow.connectors.ssh_target import chain
from kxflow.interpreters.ports import ReachError
from kxflow.testing.embedded import EmbeddedFleet
from kxflow.testing.fleet import me
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet
from kxflow.testing.processes import eventually, sh
from kxflow.testing.sshd import SshdFleet
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.fault import Fault
from kxflow.values.host import Host, Local, Ssh


def ssh_of(host: Host) -> Ssh:
    """Its settings."""
    assert isinstance(host.connect, Ssh)
    return host.connect


def behind(fleet: EmbeddedFleet | SshdFleet, name: str, jump: Any, **settings: Any) -> Cluster:
    """A host of the fleet that is reached through others."""
    host = fleet.cluster[name]
    return Cluster([evolve(host, connect=evolve(ssh_of(host), jump=jump, **settings))])


def outs_of(cluster: Cluster, connector: SshConnector | None = None) -> list[bytes]:
    """What each host says, all at once."""
    outs: dict[str, bytes] = {}

    async def main() -> None:
        used = connector or SshConnector()

        async def one(host: Host) -> None:
            link = await used.connect(host, cluster)
            outs[host.name] = (await sh(link, "basename $(dirname $HOME)")).out
            await link.aclose()

        try:
            async with anyio.create_task_group() as group:
                for host in cluster:
                    group.start_soon(one, host)
        finally:
            await used.aclose()

    anyio.run(main)
    return [outs[name] for name in cluster.names]


def fault_of(cluster: Cluster) -> Fault:
    """Why the first host cannot be reached."""

    async def main() -> None:
        connector = SshConnector()
        try:
            await connector.connect(cluster.hosts[0], cluster)
        finally:
            await connector.aclose()

    with pytest.raises(ReachError) as caught:
        anyio.run(main)
    return caught.value.fault


def test_through_openssh(sshd_fleet: MakeSshdFleet) -> None:
    """The target's key files and known_hosts serve the jump host, too."""
    fleet = sshd_fleet(2)
    jump = f"{me()}@127.0.0.1:{fleet.port('host1')}"
    assert outs_of(behind(fleet, "host2", jump)) == [b"host2\n"]
    assert fleet.log("host2").count("Accepted publickey") == 1
    assert fleet.log("host1").count("Accepted publickey") == 1


def test_through_two(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A chain, first hop first."""
    fleet = embedded_fleet(3)
    hops = [fleet.cluster["host1"], fleet.cluster["host2"]]
    assert outs_of(behind(fleet, "host3", hops)) == [b"host3\n"]
    assert [fleet.accepted(name) for name in ("host1", "host2", "host3")] == [1, 1, 1]


def test_hosts_share_a_jump_host(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Eight hosts behind one: one connection to it."""
    fleet = embedded_fleet(9)
    hosts = [behind(fleet, name, fleet.cluster["host1"]).hosts[0] for name in fleet.cluster.names[1:]]
    assert outs_of(Cluster(hosts)) == [b"host%d\n" % i for i in range(2, 10)]
    assert fleet.accepted("host1") == 1


def test_jump_host_that_died_is_dialled_again(embedded_fleet: MakeEmbeddedFleet) -> None:
    """After a cut the next connection makes a new one."""
    fleet = embedded_fleet(2)
    cluster = behind(fleet, "host2", fleet.cluster["host1"])

    async def main() -> bytes:
        connector = SshConnector()
        link = await connector.connect(cluster.hosts[0], cluster)
        await anyio.to_thread.run_sync(fleet.drop, "host1")
        await eventually(lambda: not link.alive)
        await link.aclose()
        link = await connector.connect(cluster.hosts[0], cluster)
        out = (await sh(link, "echo again")).out
        await link.aclose()
        await connector.aclose()
        assert fleet.accepted("host1") == 2
        return out

    assert anyio.run(main) == b"again\n"


def test_fault_of_a_jump_host_names_both(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """An unknown key of the jump host, and one of the host behind it."""
    fleet = embedded_fleet(2)
    jump = fleet.cluster["host1"]
    stranger = evolve(jump, connect=evolve(ssh_of(jump), known_hosts=tmp_path / "none"))
    fault = fault_of(behind(fleet, "host2", stranger))
    assert fault.code == "hostkey_unknown"
    assert "host1" in fault.where
    assert "host2" in fault.where
    fault = fault_of(behind(fleet, "host2", jump, known_hosts=tmp_path / "none"))
    assert fault.code == "hostkey_unknown"
    assert fault.where.startswith("host2")
    assert "host1" not in fault.where


def test_key_of_the_jump_host_does_not_speak_for_the_host_behind(
    embedded_fleet: MakeEmbeddedFleet, tmp_path: Path
) -> None:
    """The look-up that asyncssh brings would also go by the jump host's address, and accept its key."""
    fleet = embedded_fleet(2)
    known = tmp_path / "known_hosts"
    key = (fleet.home("host2").parent / "host_key.pub").read_text()
    known.write_text(f"127.0.0.1 {key}[127.0.0.1]:{fleet.port('host2')} {key}")
    host = Host("inner", "localhost", connect=evolve(ssh_of(fleet.cluster["host2"]), known_hosts=known))
    cluster = Cluster([evolve(host, connect=evolve(ssh_of(host), jump=fleet.cluster["host1"]))])
    assert fault_of(cluster).code == "hostkey_unknown"


def test_jump_host_that_does_not_forward(sshd_fleet: MakeSshdFleet) -> None:
    """The fault says what to switch on there."""
    fleet = sshd_fleet(2, config=lambda i: ["AllowTcpForwarding no"] if i == 0 else [])
    fault = fault_of(behind(fleet, "host2", fleet.cluster["host1"]))
    assert fault.code == "jump"
    assert "AllowTcpForwarding" in fault.remedy


def test_refused_behind_a_jump_host(sshd_fleet: MakeSshdFleet) -> None:
    """A closed port there is told as such."""
    fleet = sshd_fleet(2)
    fleet.stop("host2")
    assert fault_of(behind(fleet, "host2", fleet.cluster["host1"])).code == "refused"


def test_chain_inherits_what_a_hop_does_not_say() -> None:
    """Key files, known_hosts and the like; never the password, nor the user."""
    ssh = Ssh(
        user="deploy", key_files="k", password="secret-word", known_hosts="kh", accept_new=True, jump="ops@b:2222,c"
    )
    first, second, last = chain(Host("web1", "10.0.0.1"), ssh)
    assert (first.address, first.ssh.user, first.ssh.port) == ("b", "ops", 2222)
    assert (second.address, second.ssh.user, second.ssh.port) == ("c", None, 22)
    assert (last.address, last.ssh.user) == ("10.0.0.1", "deploy")
    for hop in (first, second):
        assert hop.ssh.key_files == ("k",)
        assert hop.ssh.known_hosts == ("kh",)
        assert hop.ssh.accept_new
        assert hop.ssh.password is None
        assert "web1" in hop.where


def test_chain_refuses_what_is_no_ssh_host() -> None:
    """A local jump host makes no sense, and neither does one without end."""
    with pytest.raises(InvalidError, match="not reached by SSH"):
        chain(Host("web1"), Ssh(jump=Host("b", connect=Local())))
    hop = Ssh()
    for _ in range(20):
        hop = Ssh(jump=Host("b", connect=hop))
    with pytest.raises(InvalidError, match="more than"):
        chain(Host("web1"), hop)


def test_ssh_configuration(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """HostName, User, Port, IdentityFile, UserKnownHostsFile and ProxyJump, for the hop as well."""
    fleet = embedded_fleet(2)
    config = tmp_path / "config"
    config.write_text(
        f"Host bastion\n  HostName 127.0.0.1\n  Port {fleet.port('host1')}\n"
        f"Host inner\n  HostName 127.0.0.1\n  Port {fleet.port('host2')}\n  ProxyJump bastion\n"
        f"Host *\n  IdentityFile {fleet.key}\n  UserKnownHostsFile {fleet.known_hosts}\n  User {me()}\n"
    )
    cluster = Cluster([Host("inner", connect=Ssh(config=config, agent=False))])
    assert outs_of(cluster) == [b"host2\n"]
    assert fleet.accepted("host1") == 1


@pytest.mark.parametrize("line", ["StrictHostKeyChecking no", "UserKnownHostsFile none", "ProxyCommand nc %h %p"])
def test_ssh_configuration_that_is_refused(line: str, embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """What would switch the check off, or run a command, lets nobody in; the fault names file and line."""
    fleet = embedded_fleet(1)
    config = tmp_path / "config"
    config.write_text(f"Host 127.*\n  {line}\n")
    host = fleet.hosts[0]
    fault = fault_of(Cluster([evolve(host, connect=evolve(ssh_of(host), config=config))]))
    assert fault.code == "config"
    assert f"{config}:2" in fault.what
    assert fleet.accepted("host1") == 0
