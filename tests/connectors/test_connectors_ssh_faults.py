"""Every way not to reach a host has its own fault, which says what, where and what to do."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncssh
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kxflow.connectors.hostkeys import fingerprint
from kxflow.connectors.ssh import SshConnector
from kxflow.connectors.ssh_errors import shown
from kxflow.interpreters.ports import ReachError
from kxflow.testing.embedded import EmbeddedFleet
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet
from kxflow.testing.processes import sh
from kxflow.testing.sshd import SshdFleet
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Host, Ssh


async def nap(seconds: float) -> None:
    """Wait between tries, but not for long."""
    await asyncio.sleep(min(seconds, 0.01))


def alone(**settings: Any) -> Cluster:
    """One host of which nothing is known."""
    address = settings.pop("address", "127.0.0.1")
    return Cluster([Host("web1", address, connect=Ssh(known_hosts=os.devnull, agent=False, **settings))])


def fault_of(cluster: Cluster, connector: SshConnector | None = None) -> Fault:
    """Why the first host cannot be reached."""

    async def main() -> None:
        used = connector or SshConnector(sleep=nap)
        link = await used.connect(cluster.hosts[0], cluster)
        await link.aclose()
        await used.aclose()

    with pytest.raises(ReachError) as caught:
        anyio.run(main)
    fault = caught.value.fault
    assert "web1" in fault.where or "host1" in fault.where
    assert str(fault).isprintable()
    assert len(str(fault)) < 3000
    return fault


def works(cluster: Cluster, connector: SshConnector | None = None) -> None:
    """The first host is reached and runs a process."""

    async def main() -> bytes:
        used = connector or SshConnector(sleep=nap)
        link = await used.connect(cluster.hosts[0], cluster)
        out = (await sh(link, "echo in")).out
        await link.aclose()
        await used.aclose()
        return out

    assert anyio.run(main) == b"in\n"


def changed(fleet: EmbeddedFleet | SshdFleet, **settings: Any) -> Cluster:
    """The fleet's first host with other settings."""
    host = fleet.hosts[0]
    assert isinstance(host.connect, Ssh)
    return Cluster([evolve(host, connect=evolve(host.connect, **settings))])


@contextmanager
def listener(serve: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A TCP server that does as told with each connection, and how many there were."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def accept() -> None:
            held = []
            for number in range(100):
                try:
                    conn, _ = server.accept()
                except OSError:
                    break
                if over.is_set():
                    conn.close()
                    break
                held.append(conn)
                serve(conn, number)
            for each in held:
                each.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield port
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join(5)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_refused_is_tried_three_times() -> None:
    """A closed port; between the tries the connector waits longer and longer."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    fault = fault_of(alone(port=free_port()), SshConnector(sleep=sleep, rng=lambda: 0.5))
    assert fault.code == "refused"
    assert len(waits) == 2
    assert waits[0] < waits[1]


def test_host_that_comes_back_is_reached(embedded_fleet: MakeEmbeddedFleet) -> None:
    """A server that listens again at the third try."""
    fleet = embedded_fleet(1)
    fleet.stop("host1")
    tries: list[float] = []

    async def sleep(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 2:
            await anyio.to_thread.run_sync(fleet.start, "host1")

    works(fleet.cluster, SshConnector(sleep=sleep))
    assert len(tries) == 2


def test_unknown_name() -> None:
    """A name that DNS does not know."""
    fault = fault_of(alone(address="web1.invalid"))
    assert fault.code == "dns"
    assert "web1.invalid" in fault.what


def test_silent_port_times_out_while_connecting() -> None:
    """A full accept queue answers no SYN: the connection's own time limit, not the log-in's."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for each in fill:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        fault = fault_of(alone(port=port, connect_timeout=0.3))
        for each in fill:
            each.close()
    assert fault.code == "connect_timeout"


def test_accepted_and_then_silent() -> None:
    """TCP is there, the greeting is not: the log-in's time limit."""
    with listener(lambda *_: None) as port:
        fault = fault_of(alone(port=port, login_timeout=0.2))
    assert fault.code == "login_timeout"
    assert "greeting" in fault.what


def test_silent_after_its_greeting() -> None:
    """The phase is told."""
    with listener(lambda conn, _: conn.sendall(b"SSH-2.0-x\r\n")) as port:
        fault = fault_of(alone(port=port, login_timeout=0.2))
    assert fault.code == "login_timeout"
    assert "keys" in fault.what


@pytest.mark.parametrize("stays", [True, False])
def test_something_that_is_not_ssh(stays: bool) -> None:
    """A mail server, whether it waits or hangs up: its words are shown, harmless."""

    def serve(conn: socket.socket, _: int) -> None:
        conn.sendall(b"220 mail \x1b[31m\xff ESMTP\r\n")
        if not stays:
            conn.close()

    with listener(serve) as port:
        fault = fault_of(alone(port=port, login_timeout=0.3))
    assert fault.code == "protocol"
    assert r"\x1b" in fault.what
    assert "\x1b" not in str(fault)


def test_endless_greeting() -> None:
    """Garbage without an end is cut off."""

    def serve(conn: socket.socket, _: int) -> None:
        try:
            conn.sendall(b"x" * 1_000_000)
        except OSError:
            return

    with listener(serve) as port:
        assert fault_of(alone(port=port, login_timeout=5)).code == "protocol"


def test_dropped_before_the_greeting_is_tried_six_times() -> None:
    """As beyond MaxStartups."""
    count: list[int] = []

    def serve(conn: socket.socket, number: int) -> None:
        count.append(number)
        conn.close()

    with listener(serve) as port:
        fault = fault_of(alone(port=port))
        assert fault.code == "throttled"
    assert len(count) >= 6


def test_words_of_maxstartups_are_known() -> None:
    """OpenSSH says so in clear before it hangs up."""

    def serve(conn: socket.socket, _: int) -> None:
        conn.sendall(b"Exceeded MaxStartups\r\n")
        conn.close()

    with listener(serve) as port:
        assert fault_of(alone(port=port)).code == "throttled"


def test_dropped_after_the_greeting() -> None:
    """A connection that ends during the key exchange is tried once more."""
    count: list[int] = []

    def serve(conn: socket.socket, number: int) -> None:
        count.append(number)
        conn.sendall(b"SSH-2.0-x\r\n")
        conn.recv(10)
        conn.close()

    with listener(serve) as port:
        fault = fault_of(alone(port=port))
    assert fault.code == "handshake"
    assert len([each for each in count if each < 2]) == 2


def test_no_common_algorithm(sshd_fleet: MakeSshdFleet) -> None:
    """A server with only what is not accepted: both lists are told."""
    fleet = sshd_fleet(1, config=["Ciphers aes128-cbc"])
    fault = fault_of(fleet.cluster)
    assert fault.code == "algorithms"
    assert "aes128-cbc" in fault.what
    assert "aes128-gcm" in fault.what


@pytest.mark.parametrize(
    "lines", [["Ciphers chacha20-poly1305@openssh.com"], ["KexAlgorithms diffie-hellman-group14-sha1"]]
)
def test_weak_algorithms_are_not_accepted(lines: list[str], sshd_fleet: MakeSshdFleet) -> None:
    """Neither the cipher of the Terrapin attack nor SHA-1."""
    assert fault_of(sshd_fleet(1, config=lines).cluster).code == "algorithms"


def test_rsa_host_key_by_sha1_is_not_accepted(sshd_fleet: MakeSshdFleet) -> None:
    """`ssh-rsa` signatures are refused, `rsa-sha2-512` ones are good."""
    fleet = sshd_fleet(1, config=["HostKeyAlgorithms ssh-ed25519"])
    works(fleet.cluster)
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    path = fleet.known_hosts.parent / "rsa"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    for algorithm, accepted in (("ssh-rsa", False), ("rsa-sha2-512", True)):
        other = sshd_fleet(1, config=[f"HostKey {path}", f"HostKeyAlgorithms {algorithm}"])
        known = other.known_hosts.parent / "known_rsa"
        known.write_text(f"[127.0.0.1]:{other.port('host1')} {key.export_public_key().decode()}")
        cluster = changed(other, known_hosts=known)
        if accepted:
            works(cluster)
        else:
            assert fault_of(cluster).code == "algorithms"


# -- host keys --


def test_unknown_key_says_its_fingerprint_and_how_to_add_it(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """The line that the fault shows is the one to add."""
    fleet = embedded_fleet(1)
    known = tmp_path / "known_hosts"
    cluster = changed(fleet, known_hosts=known)
    fault = fault_of(cluster)
    assert fault.code == "hostkey_unknown"
    assert "SHA256:" in fault.what
    assert not known.exists()
    found = re.search(r"the line `(.+?)`", fault.remedy)
    assert found
    known.write_text(found[1] + "\n")
    works(cluster)


def test_changed_key_shows_both(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """Old and new fingerprint, and the line to remove; `accept_new` does not help."""
    fleet = embedded_fleet(1)
    other = asyncssh.generate_private_key("ssh-ed25519")
    known = tmp_path / "known_hosts"
    line = f"# ours\n[127.0.0.1]:{fleet.port('host1')} {other.export_public_key().decode()}"
    known.write_text(line)
    for accept_new in (False, True):
        fault = fault_of(changed(fleet, known_hosts=known, accept_new=accept_new))
        assert fault.code == "hostkey_changed"
        assert fingerprint(other.public_data) in fault.what
        assert fault.what.count("SHA256:") == 2
        assert f"{known}:2" in fault.remedy
    assert known.read_text() == line


def test_key_of_another_type_has_changed(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """A known host that suddenly has only another type of key is not new."""
    fleet = embedded_fleet(1)
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{fleet.port('host1')} {other.export_public_key().decode()}")
    assert fault_of(changed(fleet, known_hosts=known, accept_new=True)).code == "hostkey_changed"


def test_accept_new_then_strict(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """The key is written once, and from then on it is known."""
    fleet = embedded_fleet(1)
    known = tmp_path / "new" / "known_hosts"
    works(changed(fleet, known_hosts=known, accept_new=True))
    works(changed(fleet, known_hosts=known, accept_new=True))
    works(changed(fleet, known_hosts=known))
    assert len(known.read_text().splitlines()) == 1


def test_accept_new_that_cannot_write_lets_nobody_in(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """A key that cannot be remembered is not accepted."""
    fleet = embedded_fleet(1)
    assert fault_of(changed(fleet, known_hosts=tmp_path, accept_new=True)).code == "credential"
    assert fault_of(changed(fleet, known_hosts=os.devnull, accept_new=True)).code == "hostkey_unknown"


def test_revoked_key(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """A revoked key is refused though another line accepts it."""
    fleet = embedded_fleet(1)
    known = tmp_path / "known_hosts"
    lines = fleet.known_hosts.read_text()
    known.write_text(f"{lines}@revoked * {lines.split(' ', 1)[1]}")
    assert fault_of(changed(fleet, known_hosts=known)).code == "hostcert"


def test_key_is_pinned_for_the_run(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """Another key at the second connection is refused, even when the file was changed to accept it."""
    fleet = embedded_fleet(2)
    known = tmp_path / "known_hosts"
    known.write_text(fleet.known_hosts.read_text())
    one, two = (host.connect for host in fleet.hosts)
    assert isinstance(one, Ssh)
    assert isinstance(two, Ssh)
    cluster = Cluster([Host("host1", "127.0.0.1", connect=evolve(one, known_hosts=known))])

    async def main() -> None:
        connector = SshConnector(sleep=nap)
        link = await connector.connect(cluster.hosts[0], cluster)
        await link.aclose()
        pins = connector._pins
        for place in pins:
            pins[place] = b"another"
        await connector.connect(cluster.hosts[0], cluster)

    with pytest.raises(ReachError) as caught:
        anyio.run(main)
    assert caught.value.fault.code == "hostkey_changed"
    assert "in this run" in caught.value.fault.what


def _certified(fleet: SshdFleet, tmp_path: Path, *, principal: str, valid_before: str = "+1h") -> Cluster:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    host_key = Path(str(fleet.home("host1").parent / "host_key.pub"))
    certificate = authority.generate_host_certificate(
        asyncssh.read_public_key(host_key), "host", principals=[principal], valid_before=valid_before,
        valid_after="-2d",
    )  # fmt: skip
    certificate.write_certificate(host_key.with_name("host_key-cert.pub"))
    known = tmp_path / "known_hosts"
    known.write_text(f"@cert-authority [127.0.0.1]:* {authority.export_public_key().decode()}")
    fleet.stop("host1")
    server = fleet._servers["host1"]
    server.lines = (f"HostCertificate {host_key.with_name('host_key-cert.pub')}",)
    fleet.start("host1")
    return changed(fleet, known_hosts=known)


def test_host_certificate(sshd_fleet: MakeSshdFleet, tmp_path: Path) -> None:
    """A host whose key is signed by a known authority is known."""
    works(_certified(sshd_fleet(1), tmp_path, principal="127.0.0.1"))


@pytest.mark.parametrize(("principal", "until"), [("another", "+1h"), ("127.0.0.1", "-1d")])
def test_host_certificate_that_does_not_hold(
    principal: str, until: str, sshd_fleet: MakeSshdFleet, tmp_path: Path
) -> None:
    """For another name, or expired."""
    fault = fault_of(_certified(sshd_fleet(1), tmp_path, principal=principal, valid_before=until))
    assert fault.code == "hostcert"


# -- text of hosts --


@given(st.one_of(st.text(), st.binary()), st.integers(1, 50))
def test_shown_is_harmless_and_bounded(text: str | bytes, limit: int) -> None:
    """Whatever a host sends, what is shown is printable ASCII of bounded length."""
    out = shown(text, limit)
    assert len(out) <= limit + 1
    assert out.rstrip("…").isascii()
    assert out.isprintable()
