"""A throw-away copy of this machine, and the proofs that every resource of accounts and system settings passes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from attrs import evolve, field, frozen

import kxflow as kx
from kxflow.flow.ensure import undo_of
from kxflow.flow.step import Step
from kxflow.testing.fleet import end, until
from kxflow.testing.plugin import need_program
from kxflow.values.action import Command
from kxflow.values.state import Ensured

_LAY: Final = """
set -e
mount -t tmpfs -o size=512m,mode=755 kxbox "$1/box"
cd "$1/box"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
for each in tmp run dev; do mount -t tmpfs -o mode=755 tmpfs $each; done
chmod 1777 tmp
mkdir run/lock dev/pts dev/shm
for each in null zero full random urandom tty; do : >dev/$each; mount --bind /dev/$each dev/$each; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
mkdir disk
mount --bind "$1/disk" disk  # no layer of an overlay: a kernel swaps to no such file
for each in passwd group shadow gshadow subuid subgid hosts fstab; do touch etc/$each; done  # ours from here on
rm -f etc/*.lock
pivot_root . mnt
umount -l mnt
: >run/ready
exec sleep infinity
"""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY: Final = 65534


@frozen
class Box:
    """A copy of this machine where everything may be changed; its names, network and processes are its own.

    Attributes:
        pid: Its first process, as seen from here; `/disk` is a folder of the machine's own file system.
        env: Variables that every program there is started with.
    """

    pid: int
    env: dict[str, str] = field(factory=dict)

    @property
    def root(self) -> Path:
        """Its tree, as seen from here."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def way(self) -> tuple[str, ...]:
        """What runs a command there, as root."""
        return self.as_user(0)

    def as_user(self, uid: int) -> tuple[str, ...]:
        """What runs a command there as a user, with no more groups than its own number."""
        enter = ("nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w")
        drop = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
        words = {"PATH": _PATH, "HOME": "/root" if uid == 0 else "/", **self.env}
        return (*enter, *drop, "env", "-i", *(f"{name}={value}" for name, value in words.items()))

    @property
    def cluster(self) -> kx.Cluster:
        """The one host `box`, reached as root."""
        return self.seen_by(0)

    def seen_by(self, uid: int) -> kx.Cluster:
        """The one host `box`, reached as that user."""
        return kx.Cluster([kx.Host("box")], connect=kx.Via(*self.as_user(uid)))

    def sh(self, text: str, *, ok: bool = True, uid: int = 0) -> str:
        """What shell text prints there; undecodable bytes as surrogate escapes."""
        done = subprocess.run([*self.as_user(uid), "sh", "-c", text], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0 or not ok, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "surrogateescape")

    def run(self, *steps: Step[Any], uid: int = 0, sinks: Sequence[Any] = ()) -> tuple[kx.StepResult, ...]:
        """What comes of steps there, in one task."""
        its = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
        return tuple(kx.report_of(kx.run(its, self.seen_by(uid), sinks=sinks)))

    def one(self, step: Step[Any], *, uid: int = 0) -> kx.StepResult:
        """What comes of one step there."""
        return self.run(step, uid=uid)[0]


SHELLS: Final = ("dash", "bash", "busybox", "zsh")


def speaks(box: Box, shell: str) -> None:
    """The box's `sh` is that shell; with busybox, its `awk` is that one's as well."""
    path = need_program(shell)
    awk = f"ln -sf {path} /usr/bin/awk" if shell == "busybox" else ":"
    box.sh(f"ln -sf {path} /usr/bin/sh; {awk}")


@contextmanager
def laid_box() -> Iterator[Box]:
    """A box that ends with the block, and everything in it."""
    with tempfile.TemporaryDirectory(prefix="kxflow-box-") as folder:
        for name in ("box", "disk"):
            Path(folder, name).mkdir()
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        argv = ["unshare", *spaces, "--propagation", "private", "--fork", "--kill-child", "sh", "-c", _LAY, "lay"]
        log = Path(folder, "log")
        with log.open("wb") as said:
            lay = subprocess.Popen([*argv, folder], stdin=subprocess.DEVNULL, stderr=said)
        try:
            until(lambda: lay.poll() is not None or _child(lay.pid) > 0, "the box")
            pid = _child(lay.pid)
            until(lambda: lay.poll() is not None or Path(f"/proc/{pid}/root/run/ready").exists(), "the box")
            assert lay.poll() is None, log.read_text()
            yield Box(pid)
        finally:
            for each in (_child(lay.pid), lay.pid):
                if each:
                    end(each)
            lay.wait()


def _child(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return 0
    return int(text[0]) if text else 0


def may_lay() -> bool:
    """Only root can mount."""
    return os.geteuid() == 0


def ensured(result: kx.StepResult) -> Ensured:
    """The states before and after, of a result that is ok."""
    assert result.ok, result.error
    assert isinstance(result.payload, Ensured)
    return result.payload


def undoing(step: Step[Any], result: kx.StepResult) -> Step[Any]:
    """The step that takes a done one back."""
    action = undo_of(step.build, ensured(result).before)  # type: ignore[arg-type]  # a resource's build is an action
    assert action is not None
    return Step(name=f"undo {step.name}"[:200], build=action)


def succeeds(box: Box, step: Step[Any], *, uid: int = 0) -> kx.StepResult:
    """It does something, and says what."""
    result = box.one(step, uid=uid)
    assert result.status is kx.Status.Succeeded, (result.error, str(result.stderr))
    assert result.change is not None
    assert result.change.before != result.change.after
    return result


def holds(box: Box, step: Step[Any], *, uid: int = 0) -> None:
    """There is nothing to do."""
    result = box.one(step, uid=uid)
    assert (result.status, result.reason) == (kx.Status.Skipped, "check"), (result.error, str(result.stderr))


def fails(box: Box, step: Step[Any], *words: str, uid: int = 0) -> kx.StepResult:
    """It fails, and the error or what the tool said holds these words."""
    result = box.one(step, uid=uid)
    assert result.status is kx.Status.Failed, (result.status, result.reason)
    assert result.error is not None
    said = f"{result.error.what}\n{result.stderr}"
    assert not [each for each in words if each not in said], said
    return result


def cycle(box: Box, step: Step[Any], *, look: str, drift: str = "") -> None:
    """Fresh: done; again: nothing to do; drifted: repaired; undone: as before, and nothing to undo is left.

    Args:
        box: Where.
        step: Ensures the state.
        look: Shell text that prints everything that the step is about.
        drift: Shell text that spoils the state.
    """
    before = box.sh(look, ok=False)
    first = succeeds(box, step)
    wanted = box.sh(look, ok=False)
    assert wanted != before
    holds(box, step)
    assert box.sh(look, ok=False) == wanted
    if drift:
        box.sh(drift)
        assert box.sh(look, ok=False) != wanted
        succeeds(box, step)
        assert box.sh(look, ok=False) == wanted
    undo = undoing(step, first)
    succeeds(box, undo)
    assert box.sh(look, ok=False) == before
    holds(box, undo)


def refused(box: Box, step: Step[Any], *words: str, look: str) -> kx.StepResult:
    """A user without rights is told so, in the tool's words; nothing changes."""
    before = box.sh(look, ok=False)
    result = fails(box, step, *words, uid=NOBODY)
    assert box.sh(look, ok=False) == before
    return result


def with_env(step: Step[Any], **env: str) -> Step[Any]:
    """The same step with variables for its programs."""
    command = cast("Command[Any]", step.build)
    return evolve(step, build=evolve(command, env={**command.env, **env}))
