"""What the tests of resources in the file system share."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.connectors.choose import ChoosingConnector
from kxflow.flow.ensure import Ensured, undo_of
from kxflow.interpreters.ports import Link, Process

ROOT = os.geteuid() == 0
OWNER = "games" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
"""An owner that a test may give to a file: another one, where that can be."""
GROUP = 54321 if ROOT else os.getegid()
needs_root = pytest.mark.skipif(not ROOT, reason="not run: only root gives files away")

LOCAL = kx.Cluster([kx.Host("here")], connect=kx.Local())

HOSTILE = [
    b"two words",
    b'it\'s "quoted"',
    b"new\nline\n",
    b"-rf",
    b"$(touch pwned)`touch pwned`",
    b"back\\slash\\n",
    b"\xff\xfe",
    b"*?[a]{b,c}~",
    b"a;b&c|d>e #f",
]
"""Names that a shell or a tool could take for something else."""


def give(path: Path, uid: int, gid: int) -> None:
    """Make it somebody else's, where that can be; `chown` takes setuid away, this does not."""
    if ROOT:
        mode = path.lstat().st_mode
        os.lchown(path, uid, gid)
        if not path.is_symlink():
            path.chmod(mode & 0o7777)


def names(name: bytes) -> str:
    """How a hostile name is shown in the name of a test."""
    return ascii(name)[2:-1]


def ran(*steps: kx.Step[Any], cluster: kx.Cluster = LOCAL, **options: Any) -> kx.Report:
    """The report of a run of these steps, whatever happens."""
    task = kx.task("t", *steps)
    return kx.report_of(kx.run(kx.pipeline("p", kx.module("m", task)), cluster, **options))


def one(step: kx.Step[Any], cluster: kx.Cluster = LOCAL) -> kx.StepResult:
    """The result of one step on one host."""
    return ran(step, cluster=cluster).results[0]


def succeeded(step: kx.Step[Any], cluster: kx.Cluster = LOCAL) -> kx.StepResult:
    """The result of a step that has to change something."""
    result = one(step, cluster)
    assert result.status is kx.Status.Succeeded, result.error
    assert result.change is not None
    return result


def skipped(step: kx.Step[Any], cluster: kx.Cluster = LOCAL) -> kx.StepResult:
    """The result of a step that must find nothing to do."""
    result = one(step, cluster)
    assert result.status is kx.Status.Skipped, (result.error, result.change)
    assert result.change is None
    return result


def fails(step: kx.Step[Any], *words: str, cluster: kx.Cluster = LOCAL) -> kx.StepResult:
    """The result of a step that fails, and says why."""
    result = one(step, cluster)
    assert result.status is kx.Status.Failed, result
    for word in words:
        assert word in str(result.error), result.error
    return result


def undo(step: kx.Step[Any], result: kx.StepResult, cluster: kx.Cluster = LOCAL) -> kx.Step[Any] | None:
    """The step that takes back what a step did."""
    done = result.payload
    assert isinstance(done, Ensured)
    ctx = kx.context(cluster.hosts[0], cluster)
    action = undo_of(step.action(ctx), done.before)
    return None if action is None else kx.Step(name="undo", build=action)


def undone(step: kx.Step[Any], result: kx.StepResult, cluster: kx.Cluster = LOCAL) -> kx.StepResult:
    """The result of taking it back, which must be possible and do something."""
    back = undo(step, result, cluster)
    assert back is not None, "it cannot be undone"
    return succeeded(back, cluster)


def cycle(
    step: kx.Step[Any],
    see: Callable[[], Any],
    *,
    drift: Callable[[], Any],
    cluster: kx.Cluster = LOCAL,
    back: bool = True,
    exact: bool = True,
) -> kx.StepResult:
    """A resource's life: fresh, again, drifted and repaired, undone, and again.

    Args:
        step: The resource.
        see: What is there, all of it, comparable.
        drift: Spoils it.
        cluster: Where.
        back: It can be undone; then all is as before.
        exact: What is repaired is as it was after the first run; else only the resource itself is.
    """
    before = see()
    first = succeeded(step, cluster)
    wanted = see()
    assert wanted != before
    skipped(step, cluster)
    assert see() == wanted
    drift()
    drifted = see()
    assert drifted != wanted
    again = succeeded(step, cluster)
    assert see() == wanted or not exact
    wanted = see()
    skipped(step, cluster)
    if back:
        undone(step, again, cluster)
        assert see() == drifted
        succeeded(step, cluster)
        assert see() == wanted
        undone(step, first, cluster)
        assert see() == before
    return first


def tree(root: Path) -> dict[str, tuple[str, ...]]:
    """All that is below a folder: by path its kind, mode, owner and content; times apart."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(root.rglob("*")):
        its = path.lstat()
        who = (f"{its.st_mode & 0o7777:o}", str(its.st_uid), str(its.st_gid))
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()), *who[1:])
        elif path.is_dir():
            found[name] = ("directory", *who)
        else:
            found[name] = ("file", path.read_bytes().decode("latin-1"), *who)
    return found


class CountingConnector(ChoosingConnector):
    """Reaches hosts as a run does, and counts the bytes that go out.

    Attributes:
        sent: So far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    async def connect(self, host: kx.Host, cluster: kx.Cluster) -> Link:
        """A link that counts."""
        link = await super().connect(host, cluster)
        spawn = link.spawn

        async def counting(argv: Sequence[str]) -> Process:
            process = await spawn(argv)
            write = process.write

            async def counted(data: bytes) -> None:
                self.sent += len(data)
                await write(data)

            process.write = counted  # type: ignore[method-assign]  # the seam that there is
            return process

        link.spawn = counting  # type: ignore[method-assign]  # as above
        return link
