"""A fleet of clones of this machine: pipelines really install and delete things there, and nothing of it lasts."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from kxflow.connectors.proctree import parents
from kxflow.testing.accounts import Login
from kxflow.testing.changes import Changes, Snapshot, difference
from kxflow.testing.clone_base import lay_base
from kxflow.testing.clone_host import Clone, bring_up, hosts_lines, survey
from kxflow.testing.clone_keeper import Keeper
from kxflow.testing.clone_plan import SYSTEMD, Init, Plan
from kxflow.testing.clone_points import Point
from kxflow.testing.clone_sshd import CloneServer
from kxflow.testing.fleet import Fleet, Ground, Roles, Variables, end, folder, lay
from kxflow.testing.missing import MissingError, program
from kxflow.testing.sshd import Lines
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Ssh, Via

_SPACE: Final = 4 << 30


class CloneFleet(Fleet):
    """Clones that run; made by `clone_fleet`.

    Attributes:
        cluster: Its hosts, each with everything to log in as root.
    """

    def __init__(
        self, ground: Ground, clones: dict[str, Clone], servers: dict[str, CloneServer], at: dict[str, str]
    ) -> None:
        super().__init__(ground)
        self._clones, self._servers = clones, servers
        self._before = {name: each.snapshot() for name, each in clones.items() if each.plan.init != "plain"}
        ways = {name: Via(*each.prefix()) for name, each in clones.items()}
        ports = {name: each.port for name, each in servers.items()}
        self.cluster: Cluster = (
            ground.cluster(ports, "root", at)
            if servers
            else Cluster([each.host(at[each.name], ways[each.name]) for each in ground.members])
        )

    def root(self, name: str) -> Path:
        """A host's tree, to be read and written from here; only its absolute links lead out of it."""
        return self._clones[name].root

    def home(self, name: str) -> Path:
        """A host's home folder of root, as seen from here."""
        return self.root(name) / "root"

    def port(self, name: str) -> int:
        """Where a host listens, at its address.

        Raises:
            InvalidError: It does not: it is reached without SSH.
        """
        return self._server(name).port

    def log(self, name: str) -> str:
        """What was said when a host was brought up, and what its sshd has said."""
        files = [self._clones[name].log, *(each.log for each in self._servers.values() if each.member.name == name)]
        return "".join(each.read_text("utf-8", "replace") for each in files if each.exists())

    def login(self, user: str, **changes: Any) -> Cluster:
        """The same hosts with another login name, and what else of `Ssh` (or of `Via`) is to be another.

        Raises:
            InvalidError: A host that is reached without SSH has no such user.
        """
        hosts = [evolve(host, connect=self.way(host.name, user, **changes)) for host in self.hosts]
        return evolve(self.cluster, hosts=hosts)

    def way(self, name: str, user: str = "root", **changes: Any) -> Ssh | Via:
        """How one host is reached, by whom, and what else of `Ssh` (or of `Via`) is to be another.

        Raises:
            InvalidError: It is reached without SSH and has no such user, or is down.
        """
        known = self.cluster.connect_of(self.cluster[name])
        if isinstance(known, Ssh):
            return evolve(known, user=user, **changes)
        return Via(*self._clones[name].prefix(user), **changes)

    def sh(self, name: str, text: str, *, user: str = "root", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a text by a shell on a host, past its sshd, to its end; to look around and to prepare.

        Raises:
            InvalidError: There is no such user.
        """
        return self._clones[name].run(("sh", "-c", text), stdin, user)

    def snapshot(self, name: str) -> Snapshot:
        """Every path of a host that differs from what it was made from, with content, mode and owner.

        Two of them are equal where the trees are, times apart.
        """
        return self._clones[name].snapshot()

    def changed(self, name: str) -> Changes:
        """What was added, changed and deleted on a host since it was brought up."""
        return difference(self._before.get(name, {}), self.snapshot(name))

    def processes(self, name: str) -> set[int]:
        """What runs on a host, by the numbers that it has outside."""
        return self._clones[name].processes()

    def alive(self, name: str) -> bool:
        """A host runs."""
        return self._clones[name].alive

    def session_pids(self, name: str) -> set[int]:
        """The sshd processes of the sessions of a host; without SSH, what was started on it from outside."""
        if name in self._servers:
            return self._servers[name].sessions()
        clone = self._clones[name]
        inside, above = clone.processes(), parents()
        return {pid for pid in inside if above.get(pid) not in inside and pid != clone.pid}

    def kill_sessions(self, name: str, number: int = signal.SIGKILL) -> set[int]:
        """Send a signal to each of them; SIGSTOP freezes, SIGCONT thaws."""
        found = self.session_pids(name)
        for pid in found:
            end(pid, number)
        return found

    def stop(self, name: str) -> None:
        """End a host's listener: new connections are refused, those that are open stay.

        Raises:
            InvalidError: It is reached without SSH.
        """
        self._server(name).stop()

    def kill(self, name: str) -> None:
        """End a host at once with everything on it, as when power is lost; its disk stays as it is."""
        self._clones[name].kill()
        if name in self._servers:
            self._servers[name].end()

    def start(self, name: str) -> None:
        """Bring a host up again that was killed, or has gone down itself; it listens again, on the same port."""
        clone, server = self._clones[name], self._servers.get(name)
        if not clone.alive:
            if server is not None:
                server.end()
            bring_up([clone])
        if server is not None:
            server.log.unlink(missing_ok=True)
            server.lay_out()
            server.launch()
            server.await_port()

    def _server(self, name: str) -> CloneServer:
        if name in self._clones and name not in self._servers:
            raise InvalidError(f"{name} has no listener", "start the fleet without via=True, where sshd is installed")
        return self._servers[name]

    def __repr__(self) -> str:
        return f"CloneFleet({', '.join(self._clones)})"


@contextmanager
def clone_fleet(
    n: int | None = None,
    *,
    names: Sequence[str] | None = None,
    roles: Roles | None = None,
    vars: Variables | None = None,  # noqa: A002 -- the field's word
    accounts: Iterable[Login] = (),
    prepare: str = "",
    via: bool = False,
    init: Init = "plain",
    config: Lines = (),
    space: int | None = None,
    disk: Path | None = None,
) -> Iterator[CloneFleet]:
    """Copy-on-write clones of this machine: what is done to them is real, and gone with them.

    Each has its own files, processes, host name, boot id, `/dev`, and empty `/tmp`, `/run` and home of root. Kernel,
    clock and network are the machine's: a clone sees its addresses and packages come from where they always do, but
    cannot change any of it; `/proc/sys` and `/sys` are read-only. A service that listens on all addresses is in the way
    of one that does so in another clone or here; every host has an address of its own to listen on, in 127.0.0.0/8.

    The machine's own files should stay as they are meanwhile: a clone may see a change to them, or not.

    Without root, and where the kernel gives user namespaces to everybody, a clone has only one user, its root: files
    and packages are as above, but for those that belong to other users; accounts, sshd and systemd need root here.

    Args:
        n: How many; 1, or as many as names.
        names: `host1`, `host2`, … where not given.
        roles: By index from 0 or by name: `{0: ["db"]}`, `{"host1": ["db"]}`, or a function of the index.
        vars: As `roles`.
        accounts: Accounts that every clone has.
        prepare: A text for a shell, run once as root; what it changes, all clones have from the start.
        via: Reach them by `Via`, a command on this machine, with no sshd; so it is where none is installed.
        init: What starts services: `plain` is none, a first process that only waits, and SysV scripts work; `systemd`
            is the real one, with its basic services and a cgroup of its own; `openrc` is up with no service started.
        config: Lines for sshd_config(5) that hold over the usual ones: for all, or by index from 0.
        space: Most bytes that the clones write, all together; they are in memory. Half of it, and 4 GiB at most, where
            not given.
        disk: A folder on disk for what they write to theirs, if that is more; on no overlay.

    Raises:
        MissingError: A program is not installed, or the kernel refuses; the text says what.
        InvalidError: `prepare` failed, and the text says how; an account cannot be made; roles or variables of a host
            that there is not.
    """
    those, personal = tuple(accounts), os.geteuid() != 0
    _may(init, prepare, those)
    clones: dict[str, Clone] = {}
    servers: dict[str, CloneServer] = {}
    with folder() as root, _elsewhere(disk) as place:
        ground = lay(n, names=names, roles=roles, variables=vars, root=Path(root))
        group = f"kxflow-{ground.token}" if init == "systemd" else ""
        keeper = Keeper(ground.root, space=space or _half(), disk=place, group=group, personal=personal)
        try:
            keeper.ready()
            at = dict(zip((each.name for each in ground.members), _addresses(), strict=False))
            hosts = hosts_lines(at)
            covered = survey(keeper)
            based = lay_base(keeper, covered, hosts, prepare, those)
            clones.update(_clones(keeper, covered, hosts, names=tuple(at), based=based, init=init))
            bring_up(clones.values())
            if not via and not personal and _installed("sshd"):
                servers.update(_serve(ground, clones, at, config))
            yield CloneFleet(ground, clones, servers, at)
        finally:
            keeper.end()
            for server in servers.values():
                server.end()
            for clone in clones.values():
                clone.close()


def _may(init: Init, prepare: str, accounts: tuple[Login, ...]) -> None:
    """Whether it can be tried at all."""
    if sys.platform != "linux":
        raise MissingError("clones need Linux", "run this in a virtual machine, or use embedded_fleet")
    if os.geteuid() != 0 and (accounts or init == "systemd"):
        what = "accounts" if accounts else "systemd"
        raise MissingError(f"only root can make clones with {what}", "run this as root, or leave them out")
    if init == "systemd" and not prepare and not any(map(os.path.exists, SYSTEMD)):
        raise MissingError("systemd is not installed", "apt install systemd, here or by prepare=")


@contextmanager
def _elsewhere(disk: Path | None) -> Iterator[Path | None]:
    """A folder of our own in one that was given."""
    if disk is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="kxflow-fleet-", dir=disk, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _half() -> int:
    return min(_SPACE, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def _installed(name: str) -> bool:
    try:
        program(name)
    except MissingError:
        return False
    return True


def _addresses() -> Iterator[str]:
    """Addresses of loopback that most likely no other fleet has."""
    first, second = 1 + secrets.randbelow(254), secrets.randbelow(256)
    return (f"127.{first}.{(second + i // 250) % 256}.{i % 250 + 1}" for i in count())


def _clones(
    keeper: Keeper, covered: tuple[Point, ...], hosts: str, *, names: Sequence[str], based: bool, init: Init
) -> dict[str, Clone]:
    """Their folders, by name."""
    plan = Plan(folder="", name="", points=covered, based=based, init=init, personal=keeper.personal)
    clones = {name: Clone(evolve(plan, folder=str(i), name=name), keeper, hosts) for i, name in enumerate(names)}
    for each in clones.values():
        each.furnish()
    return clones


def _serve(ground: Ground, clones: dict[str, Clone], at: dict[str, str], config: Lines) -> dict[str, CloneServer]:
    """Their servers, which listen."""
    authorized = Path(f"{ground.key}.pub")
    servers = {}
    for i, each in enumerate(ground.members):
        lines = tuple(config(i) if callable(config) else config)
        clone = clones[each.name]
        servers[each.name] = CloneServer(each, clone.inside, "", lines, authorized, at[each.name], clone=clone)
    for server in servers.values():
        server.lay_out()
        server.launch()
    for server in servers.values():
        server.await_port()
    return servers
