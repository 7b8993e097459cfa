"""What the fleets share: names, keys, folders, the cluster, and ending what was started on them."""

from __future__ import annotations

import getpass
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncssh
from attrs import evolve, field, frozen

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Connect, Host, Ssh

Roles: TypeAlias = Callable[[int], Iterable[str]] | Mapping[str, Iterable[str]] | Mapping[int, Iterable[str]]
Variables: TypeAlias = (
    Callable[[int], Mapping[str, Any]] | Mapping[str, Mapping[str, Any]] | Mapping[int, Mapping[str, Any]]
)

MARK: Final = "KXFLOW_FLEET"
LOOPBACK: Final = "127.0.0.1"


@frozen
class Member:
    """One host of a fleet, before it runs.

    Attributes:
        home: Its own home folder.
        host_key: File with its private host key.
    """

    name: str
    roles: frozenset[str]
    vars: Mapping[str, Any]
    home: Path
    host_key: Path

    def host(self, address: str, way: Connect) -> Host:
        """The host, once it is known where it is and how it is reached."""
        return Host(self.name, address, roles=self.roles, vars=self.vars, connect=way)


@frozen
class Ground:
    """A folder with everything that a fleet needs on disk.

    Attributes:
        root: The folder; others may enter it, so that accounts on this machine can use what is theirs.
        key: File with the private key that every host lets in.
        token: A mark in the environment of every process of this fleet.
    """

    root: Path
    members: tuple[Member, ...]
    key: Path
    token: str = field(factory=lambda: secrets.token_hex(16))

    @property
    def known_hosts(self) -> Path:
        """File with the keys of the hosts, once `cluster` has written it."""
        return self.root / "known_hosts"

    def mark(self, name: str) -> str:
        """Value of the mark on one host."""
        return f"{self.token}/{name}"

    def cluster(self, ports: Mapping[str, int], user: str, addresses: Mapping[str, str] | None = None) -> Cluster:
        """The hosts as a cluster, their keys in `known_hosts`; all at 127.0.0.1 where no addresses are given."""
        at = dict.fromkeys(ports, LOOPBACK) if addresses is None else addresses
        lines = []
        for each in self.members:
            public = Path(f"{each.host_key}.pub").read_text("ascii").split()
            lines.append(f"[{at[each.name]}]:{ports[each.name]} {public[0]} {public[1]}\n")
        self.known_hosts.write_text("".join(lines), "ascii")
        way = Ssh(user=user, key_files=(self.key,), known_hosts=(self.known_hosts,), agent=False)
        ways = {each.name: evolve(way, port=ports[each.name]) for each in self.members}
        return Cluster([each.host(at[each.name], ways[each.name]) for each in self.members], connect=way)


def lay(
    n: int | None,
    *,
    names: Sequence[str] | None,
    roles: Roles | None,
    variables: Variables | None,
    root: Path,
) -> Ground:
    """Make folders and keys for a fleet.

    Args:
        n: How many hosts; as many as names, where not given.
        names: Their names; `host1`, `host2`, … where not given.
        roles: By index from 0 or by name: a mapping, or a function of the index.
        variables: As roles.
        root: An empty folder.

    Raises:
        InvalidError: As many names as hosts are needed; roles or variables of a host that there is not.
    """
    if names is None:
        names = [f"host{i}" for i in range(1, (1 if n is None else n) + 1)]
    if n is not None and n != len(names):
        raise InvalidError(f"{n} hosts and {len(names)} names", "give one of the two, or as many names as hosts")
    its_roles, its_vars = _by_name(roles, "roles", names), _by_name(variables, "vars", names)
    root.chmod(0o755)
    _key_pair(root / "key")
    members = tuple(_member(each, its_roles.get(each) or (), its_vars.get(each) or {}, root) for each in names)
    return Ground(root, members, root / "key")


def _by_name(given: Roles | Variables | None, what: str, names: Sequence[str]) -> dict[str, Any]:
    """What each host is given, whichever way it was said."""
    if given is None:
        return {}
    if callable(given):
        return {name: given(i) for i, name in enumerate(names)}
    found: dict[str, Any] = {}
    for key, value in given.items():
        name: str | None = None
        if isinstance(key, str):
            name = key if key in names else None
        elif not isinstance(key, bool) and 0 <= key < len(names):
            name = names[key]
        if name is None:
            remedy = f"name one of {', '.join(names)}, or its index from 0 to {len(names) - 1}"
            raise InvalidError(f"{what} of {key!r}, and there is no such host", remedy)
        if name in found:
            raise InvalidError(f"{what} of {name} are given twice", "give them by its name or by its index")
        found[name] = value
    return found


def _member(name: str, roles: Iterable[str], variables: Mapping[str, Any], root: Path) -> Member:
    home = root / "hosts" / name / "home"
    home.mkdir(parents=True)
    host_key = root / "hosts" / name / "host_key"
    _key_pair(host_key)
    return Member(name, frozenset((roles,) if isinstance(roles, str) else roles), variables, home, host_key)


def _key_pair(path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="kxflow test fleet")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.export_private_key())
    Path(f"{path}.pub").write_bytes(key.export_public_key())


def folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for a fleet; what a daemon still writes while it is removed is no error."""
    return tempfile.TemporaryDirectory(prefix="kxflow-fleet-", ignore_cleanup_errors=True)


def me() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an unnamed user, as in some containers
        return "kxflow"


def marked(mark: str) -> set[int]:
    """Processes whose environment carries this mark, or a longer one; found where there is a /proc, else none.

    One that was given a clean environment (`sudo`, `env -i`) is not found.
    """
    found: set[int] = set()
    if not Path("/proc/self/environ").exists():
        return found
    wanted = f"{MARK}={mark}".encode()
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            environment = Path("/proc", entry.name, "environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        if any(line == wanted or line.startswith(wanted + b"/") for line in environment.split(b"\0")):
            found.add(int(entry.name))
    return found


def end_marked(mark: str, *, rounds: int = 5) -> None:
    """SIGKILL to every process that carries the mark, until none is left."""
    for _ in range(rounds):
        found = marked(mark)
        if not found:
            return
        for pid in found:
            end(pid)


def end(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; no error where nobody is there any more."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def until(holds: Callable[[], bool], what: str, seconds: float = 10.0, pause: float = 0.01) -> None:
    """Ask again and again until it holds: for what other processes do.

    Raises:
        TimeoutError: It did not within the time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


class Fleet:
    """What every fleet that lies on a ground tells of it.

    Attributes:
        cluster: Its hosts, each with everything to log in.
    """

    cluster: Cluster

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @property
    def hosts(self) -> tuple[Host, ...]:
        """In order."""
        return self.cluster.hosts

    @property
    def key(self) -> Path:
        """File with the private key that every host lets in."""
        return self._ground.key

    @property
    def known_hosts(self) -> Path:
        """File with the keys of the hosts."""
        return self._ground.known_hosts
