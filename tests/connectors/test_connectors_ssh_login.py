"""Who we are: keys, passphrases, agents, passwords, certificates; and what is said where they are refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import asyncssh
import pytest
from attrs import evolve

from kxflow.connectors.ssh import SshConnector
from kxflow.interpreters.ports import ReachError
from kxflow.testing import account
from kxflow.testing.embedded import EmbeddedFleet
from kxflow.testing.embedded_server import LoopThread
from kxflow.testing.fleet import me
from kxflow.testing.plugin import MakeEmbeddedFleet, MakeSshdFleet, need_program
from kxflow.testing.processes import sh
from kxflow.testing.sshd import SshdFleet
from kxflow.values.cluster import Cluster
from kxflow.values.fault import Fault
from kxflow.values.host import Host, Ssh

Key = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """Makes private key files."""

    def make(name: str, kind: str = "ssh-ed25519", passphrase: str | None = None) -> Path:
        path = tmp_path / name
        path.touch(mode=0o600)
        made = asyncssh.generate_private_key(kind)
        path.write_bytes(made.export_private_key(passphrase=passphrase, rounds=50))
        path.with_name(f"{name}.pub").write_bytes(made.export_public_key())
        return path

    return make


def let_in(fleet: SshdFleet, path: Path) -> None:
    """Add a key to those that every account of the fleet accepts."""
    with (fleet.key.parent / "authorized_keys").open("ab") as file:
        file.write(path.with_name(f"{path.name}.pub").read_bytes())


def having(fleet: EmbeddedFleet | SshdFleet, **settings: Any) -> Cluster:
    """The fleet's first host with other settings."""
    host = fleet.hosts[0]
    assert isinstance(host.connect, Ssh)
    return Cluster([evolve(host, connect=evolve(host.connect, **settings))])


def out_of(cluster: Cluster, text: str = "echo in") -> bytes:
    """What a process on the first host writes."""

    async def main() -> bytes:
        connector = SshConnector()
        link = await connector.connect(cluster.hosts[0], cluster)
        try:
            return (await sh(link, text)).out
        finally:
            await link.aclose()
            await connector.aclose()

    done: bytes = anyio.run(main)
    return done


def fault_of(cluster: Cluster) -> Fault:
    """Why the first host does not let us in."""
    with pytest.raises(ReachError) as caught:
        out_of(cluster)
    return caught.value.fault


@contextmanager
def agent(tmp_path: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent with these keys; its socket."""
    path = str(tmp_path / "agent")
    with subprocess.Popen([need_program("ssh-agent"), "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:

            async def fill() -> None:
                with anyio.fail_after(5):
                    while True:
                        try:
                            async with asyncssh.SSHAgentClient(path) as client:
                                await client.add_keys([str(each) for each in keys])
                                return
                        except ValueError:  # not there yet
                            await anyio.lowlevel.checkpoint()

            anyio.run(fill)
            yield path
        finally:
            process.terminate()


@contextmanager
def server(tmp_path: Path, make: Callable[[], asyncssh.SSHServer], **options: Any) -> Iterator[Cluster]:
    """One SSH server that does as told."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    loop = LoopThread()
    loop.start()
    conns: list[asyncssh.SSHServerConnection] = []

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=make,
            server_host_keys=[host_key],
            acceptor=conns.append,
            encoding=None,
            **options,
        )

    async def close() -> None:
        listener.close()
        for each in conns:
            each.abort()
            await each.wait_closed()

    listener = loop.run(listen())
    known = tmp_path / "known_one"
    known.write_text(f"[127.0.0.1]:{listener.get_port()} {host_key.export_public_key().decode()}")
    connect = Ssh(
        user="me", port=listener.get_port(), known_hosts=known, agent=False, key_files=(), password="pass-word"
    )
    try:
        yield Cluster([Host("one", "127.0.0.1", connect=connect)])
    finally:
        loop.run(close())
        loop.stop()


# -- keys --


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_key_of_each_kind(kind: str, sshd_fleet: MakeSshdFleet, key: Key) -> None:
    """RSA keys sign with SHA-2."""
    fleet = sshd_fleet(1)
    path = key("id", kind)
    let_in(fleet, path)
    assert out_of(having(fleet, key_files=path)) == b"in\n"


def test_wrong_key(sshd_fleet: MakeSshdFleet, key: Key) -> None:
    """The fault tells how many keys were tried, and what the server would accept."""
    fault = fault_of(having(sshd_fleet(1), key_files=key("stranger")))
    assert fault.code == "auth"
    assert "1 key(s)" in fault.what
    assert "publickey" in fault.what


def test_second_key_is_tried(sshd_fleet: MakeSshdFleet, key: Key) -> None:
    """Files are offered in their order."""
    fleet = sshd_fleet(1)
    assert out_of(having(fleet, key_files=(key("stranger"), fleet.key))) == b"in\n"


def test_passphrase(sshd_fleet: MakeSshdFleet, key: Key) -> None:
    """Right: in. Wrong, none, or none needed: told apart."""
    fleet = sshd_fleet(1)
    path = key("locked", passphrase="open sesame")
    let_in(fleet, path)
    assert out_of(having(fleet, key_files=path, passphrase="open sesame")) == b"in\n"
    assert out_of(having(fleet, passphrase="not needed")) == b"in\n"
    wrong = fault_of(having(fleet, key_files=path, passphrase="close sesame"))
    assert wrong.code == "credential"
    assert "does not open" in wrong.what
    assert "sesame" not in str(wrong)
    none = fault_of(having(fleet, key_files=path))
    assert none.code == "credential"
    assert "none is given" in none.what


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("no key at all", "no private key")])
def test_key_file_that_is_none(
    content: str | None, words: str, embedded_fleet: MakeEmbeddedFleet, tmp_path: Path
) -> None:
    """A named file that is missing, or holds something else, is a fault before anybody is asked."""
    fleet = embedded_fleet(1)
    path = tmp_path / "id"
    if content is not None:
        path.write_text(content)
    fault = fault_of(having(fleet, key_files=path))
    assert fault.code == "credential"
    assert words in fault.what
    assert str(path) in fault.what
    assert fleet.accepted("host1") == 0


def test_usual_keys_are_used_where_none_are_named(
    embedded_fleet: MakeEmbeddedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in `~/.ssh`; one that is locked is passed over."""
    fleet = embedded_fleet(1)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    locked = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="locked", rounds=50)
    (tmp_path / ".ssh" / "id_ed25519").write_bytes(locked)
    (tmp_path / ".ssh" / "id_ecdsa").write_bytes(fleet.key.read_bytes())
    assert out_of(having(fleet, key_files=())) == b"in\n"


def test_configuration_in_the_home_is_not_read(
    embedded_fleet: MakeEmbeddedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a configuration that was asked for counts."""
    fleet = embedded_fleet(1)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Port 1\n  ProxyCommand touch /dev/null/x\n")
    assert out_of(fleet.cluster) == b"in\n"


def test_certificate_beside_the_key(sshd_fleet: MakeSshdFleet, key: Key) -> None:
    """A key that only its certificate lets in."""
    authority, path = key("ca"), key("id")
    fleet = sshd_fleet(1, config=[f"TrustedUserCAKeys {authority}.pub"])
    certificate = asyncssh.read_private_key(authority).generate_user_certificate(
        asyncssh.read_public_key(f"{path}.pub"), "me", principals=[me()]
    )
    assert fault_of(having(fleet, key_files=path)).code == "auth"
    certificate.write_certificate(f"{path}-cert.pub")
    assert out_of(having(fleet, key_files=path)) == b"in\n"


# -- the agent --


def test_agent(sshd_fleet: MakeSshdFleet, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, by the environment on request, by the environment by default; not when it is switched off."""
    fleet = sshd_fleet(1)
    path = key("held")
    let_in(fleet, path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with agent(tmp_path, path) as socket:
        assert out_of(having(fleet, key_files=(), agent=socket)) == b"in\n"
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        assert fault_of(having(fleet, key_files=(), agent=True)).code == "credential"
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        assert out_of(having(fleet, key_files=(), agent=True)) == b"in\n"
        assert out_of(having(fleet, key_files=(), agent=None)) == b"in\n"
        assert fault_of(having(fleet, key_files=(), agent=False)).code == "auth"


def test_locked_key_that_the_agent_holds(sshd_fleet: MakeSshdFleet, key: Key, tmp_path: Path) -> None:
    """A named file with a passphrase is no fault where the agent has the same key open."""
    fleet = sshd_fleet(1)
    path = key("id")
    let_in(fleet, path)
    with agent(tmp_path, path) as socket:
        locked = asyncssh.read_private_key(path).export_private_key(passphrase="locked", rounds=50)
        path.write_bytes(locked)
        assert out_of(having(fleet, key_files=path, agent=socket)) == b"in\n"


def test_dead_agent(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault when it was asked for; passed over when the environment just happens to name it."""
    fleet = embedded_fleet(1)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    assert out_of(having(fleet, agent=None)) == b"in\n"
    for wanted in (True, str(tmp_path / "nobody")):
        fault = fault_of(having(fleet, agent=wanted))
        assert fault.code == "credential"
        assert "agent" in fault.what


def test_agent_with_too_many_keys(sshd_fleet: MakeSshdFleet, key: Key, tmp_path: Path) -> None:
    """A server that gives up after some tries: the fault tells how many keys were offered."""
    fleet = sshd_fleet(1, config=["MaxAuthTries 3"])
    with agent(tmp_path, *(key(f"key{i}") for i in range(6))) as socket:
        fault = fault_of(having(fleet, key_files=(), agent=socket))
    assert fault.code == "auth_tries"
    assert "keys" in fault.what


# -- passwords --


def test_password(sshd_fleet: MakeSshdFleet) -> None:
    """Right: in. Wrong: refused after one try, the password not told."""
    need_program("useradd")
    fleet = sshd_fleet(1)
    with account("kx-password", password="right horse") as who:
        login = partial(fleet.login, who.name, key_files=())
        assert out_of(login(password="right horse"), "id -un") == b"kx-password\n"
        fault = fault_of(login(password="wrong horse"))
        assert fault.code == "auth"
        assert "the password" in fault.what
        assert "horse" not in str(fault)
        assert fleet.log("host1").count("Failed password") == 1
        assert out_of(fleet.login(who.name, password="wrong horse")) == b"in\n", "a named key goes before the password"


class _Asks(asyncssh.SSHServer):
    """Asks for a password, or whatever else, by keyboard-interactive."""

    def __init__(self, prompts: list[tuple[str, bool]]) -> None:
        self._prompts = prompts

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "en", self._prompts

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return list(responses) == ["pass-word"]

    def session_requested(self) -> Any:
        return _Echo()


class _Echo(asyncssh.SSHServerSession[bytes]):
    """Says `in` to every command."""

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self._chan.write(b"in\n")
        self._chan.exit(0)


def test_password_by_keyboard_interactive(tmp_path: Path) -> None:
    """A server that asks for the password as a question."""
    with server(tmp_path, lambda: _Asks([("Password: ", False)])) as cluster:
        assert out_of(cluster) == b"in\n"


def test_second_factor_is_a_fault_of_its_own(tmp_path: Path) -> None:
    """A question that nobody can answer is told, harmless."""
    with server(tmp_path, lambda: _Asks([("Code\x1b[2J: ", False)])) as cluster:
        fault = fault_of(cluster)
    assert fault.code == "interactive"
    assert r"Code\x1b" in fault.what


class _Expired(asyncssh.SSHServer):
    """Accepts the password and wants another."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        raise asyncssh.PasswordChangeRequired("Your password has expired")


def test_expired_password(tmp_path: Path) -> None:
    """What the server says about it is told."""
    with server(tmp_path, _Expired, kbdint_auth=False) as cluster:
        fault = fault_of(cluster)
    assert fault.code == "expired"
    assert "has expired" in fault.what


class _Anybody(asyncssh.SSHServer):
    """Lets in everybody without a question."""

    def begin_auth(self, username: str) -> bool:
        return False


def test_server_that_lets_in_anybody_is_refused(tmp_path: Path) -> None:
    """Without a proof of who we are the session could be a stranger's."""
    with server(tmp_path, _Anybody) as cluster:
        assert fault_of(cluster).code == "auth"


class _NoExec(_Asks):
    """Gives sessions, and refuses every command."""

    def session_requested(self) -> Any:
        return asyncssh.SSHServerSession()


def test_host_that_starts_no_process(tmp_path: Path) -> None:
    """Logged in, and the exec request is refused."""
    with server(tmp_path, lambda: _NoExec([("Password: ", False)])) as cluster:
        fault = fault_of(cluster)
    assert fault.code == "no_exec"
