"""A file of a host, brought here."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.flow.ensure import Ensured
from kxflow.resources import fetch, file
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeSshdFleet
from kxflow.values.action import Command, Into, digest
from kxflow.values.state import State
from tests.resources.helpers_files import HOSTILE, fails, names, one, ran, skipped, succeeded, tree, undo


def here(dest: Path, path: Path, host: str = "here") -> Path:
    """Where a file of a host comes to."""
    return dest / host / str(path)[1:]


def test_a_file_is_brought_once_and_again_when_it_is_another(tmp_path: Path) -> None:
    """What is here already is not sent again; the value says where it is, also then."""
    path, dest = tmp_path / "file", tmp_path / "dest"
    step = fetch(path, dest)
    for data in (b"one \0\xff\n", b"", b"x" * 3_000_000):
        path.write_bytes(data)
        result = succeeded(step)
        assert here(dest, path).read_bytes() == data
        again = skipped(step)
        for each in (result, again):
            assert isinstance(each.payload, Ensured)
            assert each.payload.after == {
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": str(len(data)),
                "path": str(here(dest, path)),
            }
    assert here(dest, path).stat().st_mode & 0o777 == 0o600
    assert undo(step, result) is None


def test_a_copy_that_was_changed_or_removed_here_is_brought_again(tmp_path: Path) -> None:
    """It is compared by digest."""
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_text("text")
    step = fetch(path, dest)
    succeeded(step)
    here(dest, path).write_text("tex!")
    assert isinstance(change := succeeded(step).change, object)
    assert change is not None
    assert change.diff.count("\n") == 1
    here(dest, path).unlink()
    succeeded(step)
    assert here(dest, path).read_text() == "text"


def test_hosts_have_folders_of_their_own(tmp_path: Path) -> None:
    """And what comes is a value for later steps."""
    (tmp_path / "file").write_text("text")
    cluster = kx.Cluster([kx.Host("one"), kx.Host("two")], connect=kx.Local())
    fetched = fetch(tmp_path / "file", tmp_path / "dest")

    @kx.step(copies=kx.from_all(fetched))
    def tell(ctx: kx.HostContext, copies: Mapping[str, Ensured]) -> kx.Action[Any]:
        return kx.value(sorted(each.after["path"] for each in copies.values()))

    steps = [kx.task("fetch", fetched), kx.task("tell", tell, on=kx.first(kx.all_hosts))]
    for _ in range(2):
        report = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", *steps)), cluster))
        expected = [str(here(tmp_path / "dest", tmp_path / "file", host)) for host in ("one", "two")]
        assert report.succeeded
        assert list(report.results[-1].value) == expected


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, name: bytes) -> None:
    """Byte for byte, below the folder of the host."""
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(name)
    succeeded(fetch(path, tmp_path / "dest"))
    found = [each for each in tree(tmp_path / "dest").values() if each[0] == "file"]
    assert [each[:3] for each in found] == [("file", name.decode("latin-1"), "600")]
    assert here(tmp_path / "dest", Path(os.fsdecode(path))).is_file()


def test_a_link_there_is_followed_and_one_here_is_not(tmp_path: Path) -> None:
    """A link in a folder here would lead out of it; one in the place of the file is replaced."""
    path, dest, outside = tmp_path / "file", tmp_path / "dest", tmp_path / "outside"
    path.write_text("text")
    (tmp_path / "link").symlink_to("file")
    succeeded(fetch(tmp_path / "link", dest))
    copy = here(dest, tmp_path / "link")
    copy.unlink()
    outside.write_text("theirs")
    copy.symlink_to(outside)
    succeeded(fetch(tmp_path / "link", dest))
    assert (copy.read_text(), copy.is_symlink(), outside.read_text()) == ("text", False, "theirs")
    above = dest / "here" / tmp_path.parts[1]
    above.rename(tmp_path / "moved")
    above.symlink_to(tmp_path / "moved")
    path.write_text("new text")
    result = fails(fetch(path, dest), str(here(dest, path)))
    assert result.reason == "into"
    assert not list((tmp_path / "moved").rglob("file"))


def test_a_file_that_changes_meanwhile_is_noticed_and_what_was_here_stays(tmp_path: Path) -> None:
    """The bytes must have the digest that the host told; one that only grows is brought as it was."""
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_bytes(b"old")
    succeeded(fetch(path, dest))
    path.write_bytes(b"x" * 100_000)

    def meddled(meddle: Callable[[], Any]) -> kx.Step[Any]:
        action = fetch(path, dest).action(kx.context("here"))
        assert isinstance(action, Command)

        def choose(found: State) -> Command[Any]:
            meddle()
            assert action.chosen is not None
            return action.chosen(found)

        return kx.Step(name="meddled", build=evolve(action, chosen=choose))

    for meddle in (lambda: path.write_bytes(b"y" * 100_000), lambda: path.write_bytes(b"x"), path.unlink):
        path.write_bytes(b"x" * 100_000)
        result = fails(meddled(meddle))
        assert result.stdout.size == 0
        assert result.reason in ("into", "exit")
        assert here(dest, path).read_bytes() == b"old"
    path.write_bytes(b"log\n")

    def grow() -> None:
        with path.open("ab") as opened:
            opened.write(b"more\n")

    succeeded(meddled(grow))
    assert here(dest, path).read_bytes() == b"log\n"
    assert not list(dest.rglob(".kx*"))


def test_what_cannot_be_brought_is_told(tmp_path: Path) -> None:
    """Not there, no file, too large; a place here that is none."""
    dest = tmp_path / "dest"
    fails(fetch(tmp_path / "no", dest), f"there is no file {tmp_path}/no")
    fails(fetch(tmp_path, dest), "is no file")
    (tmp_path / "file").write_bytes(b"x" * 11)
    fails(fetch(tmp_path / "file", dest, limit=10), "more than 10 bytes", "limit=")
    succeeded(fetch(tmp_path / "file", dest, limit=11))
    (tmp_path / "file").write_bytes(b"y")
    here(dest, tmp_path / "file").unlink()
    here(dest, tmp_path / "file").mkdir()
    assert fails(fetch(tmp_path / "file", dest)).reason == "into"
    fails(fetch(tmp_path / "file", tmp_path / "file"), "File exists")
    assert not list(dest.rglob(".kx*"))


_FULL = """
import resource, sys
import kxflow as kx
from kxflow.resources import fetch, file

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as a disk that is full by then
its = kx.pipeline("p", kx.module("m", kx.task("t", fetch(sys.argv[1], sys.argv[2]))))
(result,) = kx.report_of(kx.run(its, kx.Cluster([kx.Host("here")], connect=kx.Local())))
print(result.status.name, result.reason, result.error)
"""


def test_a_disk_here_that_takes_no_more_leaves_what_was_here(tmp_path: Path) -> None:
    """The step fails, what came before is whole, and no temporary file is left."""
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_bytes(b"small")
    succeeded(fetch(path, dest))
    path.write_bytes(b"x" * 300_000)
    done = subprocess.run([sys.executable, "-c", _FULL, path, dest], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Failed into ")
    assert "File too large" in done.stdout
    assert here(dest, path).read_bytes() == b"small"
    assert not list(dest.rglob(".kx*"))


def test_a_host_that_says_nonsense_gets_nothing_written(tmp_path: Path) -> None:
    """Neither its size nor its digest is believed unless it looks like one."""
    action = fetch("/x", tmp_path, limit=100).action(kx.context("here"))
    assert isinstance(action, Command)
    assert action.chosen is not None
    good = {"size": "5", "sha256": "0" * 64}
    for bad in ({}, {**good, "size": "101"}, {**good, "size": "-1"}, {**good, "size": "٥"}, {**good, "sha256": "$(x)"}):
        made = action.chosen(State(bad))
        assert made.into is None
        assert made.text is not None
        assert made.text.startswith("kx_no")
    assert action.chosen(State(good)).into == Into(str(tmp_path), ("here", "x"), 5, "0" * 64)


def test_a_host_that_sends_more_than_it_said_is_cut_off(tmp_path: Path) -> None:
    """It cannot fill the disk: a megabyte more, and the program is ended."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    action = fetch(path, tmp_path / "dest").action(kx.context("here"))
    assert isinstance(action, Command)

    def choose(found: State) -> Command[Any]:
        assert action.chosen is not None
        return evolve(action.chosen(found), text="head -c 50000000 /dev/zero; sleep 60")

    step: kx.Step[Any] = kx.Step(name="flood", build=evolve(action, chosen=choose))
    result = fails(step)
    assert (result.reason, result.stdout.size) == ("output_limit", 0)
    assert not [each for each in (tmp_path / "dest").rglob("*") if each.is_file()]


def test_a_connection_that_is_cut_leaves_what_was_here(tmp_path: Path, sshd_fleet: MakeSshdFleet) -> None:
    """Lost, and no temporary file is left."""
    fleet = sshd_fleet(1)
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_bytes(b"old")
    step = fetch(path, dest)
    assert one(step, fleet.cluster).ok
    path.write_bytes(b"new")
    action = step.action(kx.context(fleet.hosts[0], fleet.cluster))
    assert isinstance(action, Command)
    begun: list[int] = []

    def choose(found: State) -> Command[Any]:
        assert action.chosen is not None
        return evolve(action.chosen(found), text=f"printf n; kill -9 {' '.join(map(str, begun))}; sleep 60")

    def watch(found: State) -> Command[Any]:
        until(lambda: bool(fleet.session_pids("host1")), "a session")
        begun.extend(fleet.session_pids("host1"))
        return choose(found)

    result = one(kx.Step(name="cut", build=evolve(action, chosen=watch)), fleet.cluster)
    assert result.status is kx.Status.Lost
    assert result.stdout.size == 0
    assert here(dest, path, "host1").read_bytes() == b"old"
    assert not list(dest.rglob(".kx*"))


def test_memory_stays_flat_while_a_large_file_comes(tmp_path: Path, sshd_fleet: MakeSshdFleet) -> None:
    """64 MB over SSH, byte for byte."""
    fleet = sshd_fleet(1)
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_bytes(os.urandom(1 << 20) * 4)
    assert ran(fetch(path, dest), cluster=fleet.cluster).succeeded
    path.write_bytes(os.urandom(1 << 20) * 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ran(fetch(path, dest), cluster=fleet.cluster).succeeded
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    with path.open("rb") as one_file, here(dest, path, "host1").open("rb") as other:
        assert hashlib.file_digest(one_file, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()
    assert grown < 16 * 1024


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: fetch("a", "dest"), "absolute"),
        (lambda: fetch("/a/../b", "dest"), "no . and .."),
        (lambda: fetch("/a", "dest", limit=-1), "limit=-1"),
        (lambda: fetch("/a", "dest").action(kx.context("..")), "a host named"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """Also a host whose name would lead out of the folder."""
    with pytest.raises(kx.InvalidError, match=word):
        make()


def test_what_is_here_is_no_part_of_the_step(tmp_path: Path) -> None:
    """It is the same step once it was done, and another where it goes elsewhere; there is nothing to take back."""
    path, dest = tmp_path / "file", tmp_path / "dest"
    path.write_text("text")
    host = kx.Cluster([kx.Host("here")], connect=kx.Local())
    step = fetch(path, dest)
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", step)))
    ctx = kx.context("here")
    before = digest(step.action(ctx))
    plan = kx.plan(pipeline, host)
    assert [(each.effect.value, each.undo, each.digest) for each in plan] == [("would change", "", before)]
    report = kx.report_of(kx.apply(plan, pipeline, host))
    assert [each.digest for each in report] == [before]
    assert digest(step.action(ctx)) == before
    assert digest(fetch(path, tmp_path / "other").action(ctx)) != before
    assert digest(fetch(path, dest, limit=9).action(ctx)) != before
    (undone,) = kx.report_of(kx.rollback(pipeline, host, report))
    assert (undone.status, undone.reason) == (kx.Status.Skipped, "skip: nothing to take back")
    assert here(dest, path).read_text() == "text"


def test_a_plan_does_not_take_a_fetch_for_a_change_of_the_host(tmp_path: Path) -> None:
    """What comes after it finds what is there; a change before it decides what is brought."""
    path = tmp_path / "file"
    path.write_text("text")
    host = kx.Cluster([kx.Host("here")], connect=kx.Local())
    its, change = fetch(path, tmp_path / "dest"), file(path, content="other")
    for steps, effects in (((its, change), ["change", "change"]), ((change, its), ["change", "unknown"])):
        plan = kx.plan(kx.pipeline("p", kx.module("m", kx.task("t", *steps))), host)
        assert [each.effect.name for each in plan] == effects
