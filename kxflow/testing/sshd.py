"""A fleet of real OpenSSH servers on this machine, each with its own port, host key, configuration and home."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field

from kxflow.connectors.proctree import descendants, named
from kxflow.testing.fleet import (
    LOOPBACK,
    MARK,
    Fleet,
    Ground,
    Member,
    Roles,
    Variables,
    end,
    end_marked,
    folder,
    lay,
    me,
)
from kxflow.testing.missing import MissingError, program
from kxflow.values.cluster import Cluster
from kxflow.values.host import Ssh

Lines: TypeAlias = Sequence[str] | Callable[[int], Sequence[str]]

_START_SECONDS: Final = 20.0
_PORT_TRIES: Final = 5
_DEFAULTS: Final = (
    "PidFile none", "UsePAM no", "StrictModes no", "PermitRootLogin yes", "PubkeyAuthentication yes",
    "PasswordAuthentication yes", "KbdInteractiveAuthentication no", "MaxStartups 500:30:1000", "UseDNS no",
    "PrintMotd no", "X11Forwarding no", "LogLevel INFO", "Subsystem sftp internal-sftp",
)  # fmt: skip


@define(eq=False)
class Server:
    """One sshd.

    Attributes:
        folder: Where its configuration and its log are.
        mark: What its processes carry in their environment.
        lines: The caller's, for its configuration.
        authorized: File with the keys that it lets in.
        address: Where it listens; its port is found when it is first started.
        parted: Sessions whose listener was stopped.
    """

    member: Member
    folder: Path
    mark: str
    lines: tuple[str, ...]
    authorized: Path
    address: str = LOOPBACK
    port: int = 0
    child: subprocess.Popen[bytes] | None = None
    parted: set[int] = field(factory=set)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "sshd_config"

    def argv(self) -> list[str]:
        """What starts it."""
        return [program("sshd"), "-D", "-e", "-f", str(self.config)]

    def fixed(self) -> list[str]:
        """Lines of its configuration that the caller's do not replace."""
        return [f"HostKey {self.member.host_key}", f"AuthorizedKeysFile {self.authorized}"]

    def closing(self) -> list[str]:
        """Its last lines: another account keeps its own home."""
        return [f"Match User {me()}", f"  SetEnv HOME={self.member.home} {MARK}={self.mark}"]

    def listener(self) -> int | None:
        """The process that listens, while it does."""
        return self.child.pid if self.child is not None and self._runs() else None

    def launch(self) -> None:
        """Start it, without waiting."""
        if not self.port:
            self.port = _free_port(self.address)
        self.config.write_text("\n".join(self._config()) + "\n")
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _config(self) -> list[str]:
        """The caller's lines, then the usual ones that they do not replace.

        Of most keywords the first value holds, of `MaxStartups` the last.
        """
        given = {line.split(maxsplit=1)[0].lower() for line in self.lines if line.strip()}
        first_match = next(
            (i for i, line in enumerate(self.lines) if line.lower().startswith("match")), len(self.lines)
        )
        return [
            *self.lines[:first_match],
            f"Port {self.port}",
            f"ListenAddress {self.address}",
            *self.fixed(),
            *(line for line in _DEFAULTS if line.split()[0].lower() not in given),
            *self.lines[first_match:],
            *self.closing(),
        ]

    def await_port(self) -> None:
        """Wait until it listens; where its port was taken meanwhile, on another."""
        for _ in range(_PORT_TRIES):
            deadline = time.monotonic() + _START_SECONDS
            while self._runs():
                if self._listens():
                    return
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            if b"ddress already in use" not in self.log.read_bytes():
                break
            self.log.unlink()
            self.port = 0
            self.launch()
        said = self.log.read_text("utf-8", "replace").strip()[-500:]
        raise MissingError(f"sshd of {self.member.name} does not start", said)

    def _listens(self) -> bool:
        """By its log, where it tells: a connection to find out would count for `MaxStartups`."""
        if any(line.lower().startswith("loglevel") for line in self.lines):
            return _listens(self.address, self.port)
        return f"Server listening on {self.address} port {self.port}.".encode() in self.log.read_bytes()

    def _runs(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def sessions(self) -> set[int]:
        """The sshd processes of its sessions."""
        listener = self.listener()
        found = descendants(listener) if listener is not None else set()
        parted = {pid for each in self.parted for pid in {each} | descendants(each)}
        return {pid for pid in found | parted if named(pid).startswith("sshd")}

    def stop(self) -> None:
        """End the listener; its sessions go on."""
        self.parted = self.sessions()
        if self.child is not None:
            self.child.terminate()
            self.child.wait()

    def end(self) -> None:
        """End everything."""
        sessions = self.sessions()
        below = {pid for each in sessions for pid in descendants(each)}
        if self.child is not None and self._runs():
            self.child.kill()
            self.child.wait()
        for pid in sessions | below:
            end(pid)


class SshdFleet(Fleet):
    """Servers that run; made by `sshd_fleet`.

    Attributes:
        cluster: Its hosts, each with everything to log in as whoever runs this.
    """

    def __init__(self, ground: Ground, servers: dict[str, Server]) -> None:
        super().__init__(ground)
        self._servers = servers
        self.cluster: Cluster = ground.cluster({name: each.port for name, each in servers.items()}, me())

    def home(self, name: str) -> Path:
        """A host's home folder: HOME of its processes, for whoever runs this; they begin in the real one."""
        return self._servers[name].member.home

    def port(self, name: str) -> int:
        """Where a host listens, on 127.0.0.1."""
        return self._servers[name].port

    def log(self, name: str) -> str:
        """What a server has said."""
        return self._servers[name].log.read_text("utf-8", "replace")

    def login(self, user: str, **changes: Any) -> Cluster:
        """The same hosts with another login name, and what else of `Ssh` is to be another."""
        hosts = []
        for host in self.hosts:
            assert isinstance(host.connect, Ssh)  # noqa: S101 -- the fleet made it so
            hosts.append(evolve(host, connect=evolve(host.connect, user=user, **changes)))
        return evolve(self.cluster, hosts=hosts)

    def session_pids(self, name: str) -> set[int]:
        """The sshd processes of the sessions of a host, its listener not among them."""
        return self._servers[name].sessions()

    def kill_sessions(self, name: str, number: int = signal.SIGKILL) -> set[int]:
        """Send a signal to each of them; SIGSTOP freezes, SIGCONT thaws."""
        found = self.session_pids(name)
        for pid in found:
            end(pid, number)
        return found

    def stop(self, name: str) -> None:
        """End a host's listener: new connections are refused, those that are open stay."""
        self._servers[name].stop()

    def start(self, name: str) -> None:
        """It listens again, on the same port."""
        self._servers[name].log.unlink()
        self._servers[name].launch()
        self._servers[name].await_port()

    def __repr__(self) -> str:
        return f"SshdFleet({', '.join(self._servers)})"


@contextmanager
def sshd_fleet(
    n: int | None = None,
    *,
    names: Sequence[str] | None = None,
    roles: Roles | None = None,
    vars: Variables | None = None,  # noqa: A002 -- the field's word
    config: Lines = (),
) -> Iterator[SshdFleet]:
    """OpenSSH servers on loopback, as whoever runs this; as root they let every account in.

    Args:
        n: How many; 1, or as many as names.
        names: `host1`, `host2`, … where not given.
        roles: By index from 0 or by name: `{0: ["db"]}`, `{"host1": ["db"]}`, or a function of the index.
        vars: As `roles`.
        config: Lines for sshd_config(5) that hold over the usual ones: for all, or by index from 0.

    Raises:
        MissingError: There is no sshd, or it does not start; the text says what to do, or what it said.
        InvalidError: Roles or variables of a host that there is not.
    """
    program("sshd")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    with folder() as root:
        ground = lay(n, names=names, roles=roles, variables=vars, root=Path(root))
        authorized = ground.root / "authorized_keys"
        authorized.write_bytes(Path(f"{ground.key}.pub").read_bytes())
        servers = {each.name: _server(each, i, ground, authorized, config) for i, each in enumerate(ground.members)}
        try:
            for server in servers.values():
                server.launch()
            for server in servers.values():
                server.await_port()
            yield SshdFleet(ground, servers)
        finally:
            for server in servers.values():
                server.end()
            end_marked(ground.token)


def _server(member: Member, index: int, ground: Ground, authorized: Path, config: Lines) -> Server:
    lines = tuple(config(index) if callable(config) else config)
    return Server(member, member.home.parent, ground.mark(member.name), lines, authorized)


def _free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]
        return port


def _listens(address: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((address, port)) == 0
