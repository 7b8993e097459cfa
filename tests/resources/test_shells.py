"""Law 9 for the resources of the file system, whatever the host's `sh` is, and with busybox' tools instead of GNU's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import absent, block, directory, fetch, file, line, link, replace, sync, unpack
from kxflow.testing.plugin import need_program
from kxflow.values.action import Command, digest
from tests.resources.helpers_files import GROUP, HOSTILE, OWNER, ran, tree, undo

SHELLS = ["dash", "bash", "ksh", "mksh", "zsh", "busybox"]


def host_with(folder: Path, shell: str) -> kx.Cluster:
    """A host whose `sh` is this one; with busybox all tools are its own."""
    program = need_program(shell)
    folder.mkdir()
    path = f"{folder}:/usr/bin:/bin"
    if shell == "busybox":
        path = str(folder)
        for each in subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split():
            (folder / each).symlink_to(program)
    else:
        (folder / "sh").symlink_to(program)
    return kx.Cluster([kx.Host("here", connect=kx.Via("/usr/bin/env", "-i", f"PATH={path}", f"HOME={folder}"))])


def every_resource(root: Path, source: Path, archive: Path) -> list[kx.Step[Any]]:
    """Each of them, with something to do; below a folder with a hostile name."""
    return [
        directory(root / "d" / "e", mode=0o2750, owner=OWNER, parents=True),
        directory(root / "tree", mode=0o711, file_mode=0o640, owner=OWNER, group=GROUP, recursive=True),
        file(root / "small", content=b"\0\xff%s\\n'", mode=0o4751, owner=OWNER),
        file(root / "large", content="large\n" * 10_000),
        file(root / "secret", content=kx.Secret("s3cret-word")),
        link(root / "link", "$(x) 'y'\n"),
        absent(root / "gone"),
        absent(root / "old tree"),
        line(root / "text", "10.0.0.5 db", match=r"\bdb\b"),
        line(root / "text", "new $x `q`", after="^a", create=True),
        line(root / "text", kx.Secret("password=s3cret"), name="secret line"),
        line(root / "text", match=r"^\s*$", state="absent"),
        block(root / "text", "x\n'y'\n\\z", marker="m", before="^b"),
        replace(root / "text", r"\bport(\s*=\s*)\d+", r"port\g<1>8080"),
        sync(root / "synced", source, owner=OWNER),
        sync(root / "mirror", source, delete=True, exclude=["*.pyc"]),
        unpack(root / "opt", source=archive),
        fetch(root / "large", source.parent / "fetched"),
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_resource_does_its_work_once_and_can_be_undone(tmp_path: Path, shell: str) -> None:
    """All in one task: first Succeeded, then Skipped, then back to where it began, in reverse."""
    root, source = tmp_path / "a 'b' $(c)\n-d", tmp_path / "source"
    for name in map(os.fsdecode, HOSTILE):
        (source / name).mkdir(parents=True)
        (source / name / name).write_text(name, "utf-8", "surrogateescape")
        (source / name / f"l{name}").symlink_to(name)
    archive = tmp_path / "archive.tar.gz"
    packed = ["--", "two words", "-rf", "back\\slash\\n"]
    subprocess.run(["tar", "--no-unquote", "-czf", archive, "-C", source, *packed], check=True)
    (root / "tree" / "sub").mkdir(parents=True)
    (root / "tree" / "sub" / "x").write_text("")
    (root / "tree" / "link").symlink_to("/etc")
    (root / "old tree").mkdir()
    (root / "gone").write_text("old")
    (root / "text").write_text("a\n\nx db\ny db\nb\nport = 80")
    cluster = host_with(tmp_path / "bin", shell)
    before = tree(root)
    steps = every_resource(root, source, archive)
    first = ran(*steps, cluster=cluster)
    assert [each.status.name for each in first] == ["Succeeded"] * len(steps), str(
        first.first_fault and first.first_fault.error
    )
    after = tree(root)
    second = ran(*steps, cluster=cluster)
    assert [each.status.name for each in second] == ["Skipped"] * len(steps), second.first_fault
    assert tree(root) == after
    backs = [undo(step, result, cluster) for step, result in zip(steps, first, strict=True)]
    assert [step.name for step, back in zip(steps, backs, strict=True) if back is None] == [
        "secret line",
        f"fetch {ascii(str(root))[1:-1]}/large",
    ]
    undos = [back.named(f"undo {number}") for number, back in enumerate(backs) if back is not None]
    last = ran(*reversed(undos), cluster=cluster)
    assert all(each.ok for each in last), last.first_fault
    assert tree(root) == before


def test_resources_are_values(tmp_path: Path) -> None:
    """Equal where they say the same, and hashable, as what they ensure is."""
    (tmp_path / "source").mkdir()
    archive = tmp_path / "archive.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "source"], check=True)
    one, two = (every_resource(tmp_path, tmp_path / "source", archive) for _ in range(2))
    ctx = kx.context("here")
    for step, other in zip(one, two, strict=True):
        action, again = step.action(ctx), other.action(ctx)
        assert isinstance(action, Command)
        assert isinstance(again, Command)
        assert action.probe is not None
        assert again.probe is not None
        assert action.probe.resource == again.probe.resource
        assert hash(action.probe.resource) == hash(again.probe.resource)
        assert digest(action) == digest(again)
