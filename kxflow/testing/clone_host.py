"""One clone of this machine: what lies ready for it, and what can be done with it while it runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import stat
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from kxflow.testing.changes import Snapshot, snapshot
from kxflow.testing.clone_keeper import Keeper
from kxflow.testing.clone_plan import BASE, INSIDE, TARGET, Entrant, Plan, entering
from kxflow.testing.clone_points import Point, lay_bones, personal_points, points
from kxflow.testing.fleet import until
from kxflow.testing.missing import MissingError
from kxflow.values.errors import InvalidError

_SECONDS: Final = 600.0
_BOOT_SECONDS: Final = 90.0
_LOCKS: Final = ("passwd.lock", "shadow.lock", "group.lock", "gshadow.lock", "subuid.lock", "subgid.lock")


@define(eq=False)
class Clone:
    """A host.

    Attributes:
        hosts: Names and addresses of all of its fleet, as lines of hosts(5).
        pid: Its first process, as seen from here.
        mark: A name in its `/run/kxflow`, by which it is told from all others.
    """

    plan: Plan
    keeper: Keeper
    hosts: str
    pid: int = 0
    mark: str = field(factory=lambda: secrets.token_hex(16))
    _handle: int = -1
    _shown: bool = False

    @property
    def folder(self) -> Path:
        """Its own, as seen from here."""
        return self.keeper.stage / "hosts" / self.plan.folder

    @property
    def inside(self) -> Path:
        """Its `/run/kxflow`, as seen from here."""
        return self.folder / "run" / Path(INSIDE).name

    @property
    def log(self) -> Path:
        """What was said when it was brought up."""
        return self.keeper.log(self.plan.folder)

    @property
    def root(self) -> Path:
        """Its tree, as seen from here.

        Raises:
            InvalidError: It is down; the number of its first process may be another's by now.
        """
        if not self.alive:
            raise InvalidError(f"{self.plan.name} is down", "`start` brings it up again")
        return Path(f"/proc/{self.pid}/root")

    def furnish(self) -> None:
        """Make its folder, with everything that it is brought up from."""
        self.folder.mkdir(mode=0o755)
        self._lay_layers()
        for number, each in self.plan.layers:
            _folder_like(Path(each.path), self.folder / f"layers/{number}/upper")
            (self.folder / f"layers/{number}/work").mkdir()
        for name, text in (("start", self.plan.start()), ("boot", self.plan.boot()), ("see", self.plan.see())):
            (self.folder / name).write_text(text, "utf-8")
        (self.folder / "m").mkdir()
        self._seed(self.folder / "seed")

    def _lay_layers(self) -> None:
        """A folder for what it writes. That of the base stays in memory, since no layer may lie below another."""
        layers = self.folder / "layers"
        if self.keeper.disk is None or self.plan.folder == BASE:
            layers.mkdir()
        else:
            (self.keeper.disk / self.plan.folder).mkdir()
            layers.symlink_to(self.keeper.disk / self.plan.folder)

    def _seed(self, seed: Path) -> None:
        """The files that differ from those of the machine."""
        _folder_like(Path("/etc"), seed / "etc")
        (seed / "etc/hostname").write_text(f"{self.plan.name}\n", "utf-8")
        known = Path("/etc/hosts")
        (seed / "etc/hosts").write_text((known.read_text("utf-8") if known.exists() else "") + self.hosts, "utf-8")
        if Path("/etc/machine-id").exists():
            (seed / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n", "utf-8")
        for name in _LOCKS if not self.plan.personal else ():
            # Of somebody who adds an account to the machine just now: removed, in the way of overlays.
            os.mknod(seed / "etc" / name, stat.S_IFCHR)
        for each in self.plan.points:
            target = seed / each.path.lstrip("/")
            if each.kind == "file" and not target.exists():
                _folder_like(Path(each.path).parent, target.parent)
                shutil.copy2(each.path, target)

    def refresh(self) -> None:
        """Empty its `/run` and `/tmp`, as when a machine starts."""
        for name, mode in (("run", 0o755), ("tmp", 0o1777)):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            _folder(self.folder / name, mode)
        for name, mode in (("lock", 0o1777), ("sshd", 0o755), ("user", 0o755), ("kxflow", 0o755)):
            _folder(self.folder / "run" / name, mode)
        (self.inside / self.mark).touch()
        if self.plan.init == "openrc":  # as after its boot, with no service started
            _folder(self.folder / "run/openrc", 0o755)
            (self.folder / "run/openrc/softlevel").write_text("default", "ascii")
        if self.plan.init == "systemd":
            units = self.folder / "run/systemd/system"
            units.mkdir(parents=True)
            (units / "kxflow.target").write_text(TARGET, "ascii")

    def began(self, pid: int) -> None:
        """It was brought up, and this is its first process."""
        if self._handle >= 0:
            os.close(self._handle)
        self.pid, self._handle = pid, os.pidfd_open(pid)

    def settle(self) -> None:
        """Wait until its services are up.

        Raises:
            MissingError: They do not come up, or are not installed.
        """
        if self.plan.init == "openrc" and self.run(("sh", "-c", "command -v rc-service")).returncode:
            raise MissingError("openrc is not installed in the clones", 'prepare="apt-get install -y openrc" does it')
        if self.plan.init == "systemd":
            with contextlib.suppress(TimeoutError):
                until(lambda: not self.alive or self._booted(), "systemd is up", _BOOT_SECONDS)
            if not self.alive or not self._booted():
                said = self.log.read_text("utf-8", "replace").strip()[-500:]
                raise MissingError(f"systemd does not come up on {self.plan.name}", said)

    def _booted(self) -> bool:
        return self.run(("systemctl", "is-system-running", "--wait")).stdout.strip() in (b"running", b"degraded")

    def prefix(self, user: str = "root") -> tuple[str, ...]:
        """The words to put before a command so that a user runs it here.

        Raises:
            InvalidError: There is no such user.
        """
        group = str(self.keeper.stage / "cgroup" / self.plan.folder / "kxflow/cgroup.procs")
        pid, mark = str(self.folder / "pid"), f"{INSIDE}/{self.mark}"
        group = group if self.plan.init == "systemd" else ""
        return entering(pid, mark, self._user(user), group=group, personal=self.plan.personal)

    def _user(self, name: str) -> Entrant:
        for line in (self.root / "etc/passwd").read_text("utf-8", "replace").splitlines():
            if line.startswith(f"{name}:"):
                return Entrant.read(line)
        raise InvalidError(
            f"no user {name!r} on {self.plan.name}", f'clone_fleet(accounts=[Login("{name}")]) makes one'
        )

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", user: str = "root", seconds: float = _SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command here, to its end."""
        words = [*self.prefix(user), *argv]
        return subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=seconds)

    @property
    def alive(self) -> bool:
        """Its first process runs."""
        return self._handle >= 0 and not select.select([self._handle], [], [], 0)[0]

    def kill(self) -> None:
        """End everything here at once, as when power is lost; what was written stays."""
        if self.alive:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            select.select([self._handle], [], [], _BOOT_SECONDS)

    def processes(self) -> set[int]:
        """Everyone here, by the numbers that they have outside."""
        return _in_namespace(self.pid) if self.alive else set()

    def snapshot(self) -> Snapshot:
        """What differs from what it was made from."""
        if not self._shown:
            self.keeper.see(self.plan.folder)
            self._shown = True
        layers = [
            (each.path, self.folder / f"layers/{number}/upper", self.folder / f"lower/{number}")
            for number, each in self.plan.layers
        ]
        return snapshot(layers)

    def close(self) -> None:
        """Let go of its first process."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def bring_up(clones: Collection[Clone]) -> None:
    """All of them, side by side.

    Raises:
        MissingError: One does not come up.
    """
    for each in clones:
        each.refresh()
    by_folder = {each.plan.folder: each for each in clones}
    if by_folder:
        for name, pid in next(iter(clones)).keeper.up(tuple(by_folder)).items():
            by_folder[name].began(pid)
    for each in clones:
        each.settle()


def survey(keeper: Keeper) -> tuple[Point, ...]:
    """What a clone of this machine covers; without root, with what has to lie ready for that."""
    mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    if not keeper.personal:
        return points(mounts)
    for name in ("top", "skeleton"):
        (keeper.stage / name).mkdir()
    covered = personal_points(mounts, keeper.stage / "top")
    lay_bones(keeper.stage / "skeleton", covered)
    return covered


def hosts_lines(addresses: Mapping[str, str]) -> str:
    """Lines of hosts(5), by name."""
    return "\n" + "".join(f"{address} {name}\n" for name, address in addresses.items())


def _folder(path: Path, mode: int) -> None:
    path.mkdir()
    path.chmod(mode)  # past the umask


def _folder_like(model: Path, path: Path) -> None:
    """Make a folder, and those above it, with the owner and mode that one of this machine has."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    its = model.stat()
    _folder(path, stat.S_IMODE(its.st_mode))
    if os.geteuid() == 0:
        os.chown(path, its.st_uid, its.st_gid)


def _in_namespace(pid: int) -> set[int]:
    found = set()
    wanted = Path(f"/proc/{pid}/ns/pid").readlink()
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdecimal() and Path(entry.path, "ns/pid").readlink() == wanted:
                found.add(int(entry.name))
        except OSError:  # gone
            continue
    return found
