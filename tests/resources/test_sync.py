"""A folder on the host that holds what a folder here holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.resources import sync, trees
from kxflow.resources.parcels import Parcel
from kxflow.resources.trees import Entry, Modes
from kxflow.values.action import Command
from tests.resources.helpers_files import (
    HOSTILE,
    cycle,
    fails,
    give,
    needs_root,
    skipped,
    succeeded,
    tree,
    undo,
    undone,
)

BOTH = pytest.mark.parametrize("delete", [False, True], ids=["keep", "delete"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with hostile names at every depth, odd modes, links that lead anywhere."""
    root = tmp_path / "source"
    for number, name in enumerate(map(os.fsdecode, HOSTILE)):
        (root / name / name).mkdir(parents=True)
        (root / name / name / name).write_bytes(bytes([number]) * number * 700)
        (root / name / f"l{name}").symlink_to(name + "\\")
        (root / name / f".{name}").write_text(name, "utf-8", "surrogateescape")
    (root / "run").write_text("#!")
    (root / "run").chmod(0o4751)
    (root / "empty").mkdir(0o700)
    (root / "way out").symlink_to("../../..")
    (root / ("n" * 200)).write_text("long name")
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where it is to be; its parent is there."""
    (tmp_path / "host").mkdir()
    return tmp_path / "host" / "target"


def content(target: Path) -> dict[str, tuple[str, ...]]:
    """What is in it."""
    return tree(target)


@BOTH
def test_a_synced_folder_lives(source: Path, target: Path, delete: bool) -> None:
    """Fresh, again, drifted and repaired, undone, as far as no content is lost."""

    def drift() -> None:
        (target / "run").chmod(0o600)
        (target / "empty").rmdir()
        (target / "way out").unlink()
        (target / "way out").symlink_to("/etc")
        (target / "-rf").chmod(0o500)

    step = sync(target, source, delete=delete)
    cycle(step, lambda: tree(target.parent), drift=drift)
    succeeded(step)
    assert content(target) == content(source)
    assert not list(target.parent.glob(".kx*"))


@BOTH
def test_content_that_differs_is_brought_and_not_undone(source: Path, target: Path, delete: bool) -> None:
    """What was there is not kept."""
    step = sync(target, source, delete=delete)
    succeeded(step)
    (target / "run").write_text("drift")
    (target / "two words" / "two words" / "two words").unlink()
    result = succeeded(step)
    assert content(target) == content(source)
    assert undo(step, result) is None
    assert result.change is not None
    assert result.change.diff.count("\n+f ") == 2


@BOTH
def test_what_is_only_there_stays_or_goes(source: Path, target: Path, delete: bool) -> None:
    """Files, links and folders of others."""
    succeeded(sync(target, source, delete=delete))
    (target / "other" / "deep").mkdir(parents=True)
    (target / "other" / "deep" / "x").write_text("theirs")
    (target / "empty" / "link").symlink_to("x")
    step = sync(target, source, delete=delete)
    if delete:
        succeeded(step)
        assert content(target) == content(source)
    else:
        skipped(step)
        assert (target / "other" / "deep" / "x").read_text() == "theirs"


def test_only_what_differs_travels(source: Path, target: Path) -> None:
    """Of a megabyte and one changed byte, the file with that byte."""
    (source / "large").write_bytes(b"x" * 1_000_000)
    step = sync(target, source)
    succeeded(step)
    (target / "run").write_text("drift")
    action = step.action(kx.context("here"))
    assert isinstance(action, Command)
    assert action.chosen is not None
    assert action.probe is not None
    sent: list[int] = []

    def watched(before: Any) -> Command[Any]:
        made = action.chosen(before) if action.chosen is not None else None
        assert made is not None
        assert made.upload is not None
        assert isinstance(made.upload.source, Parcel)
        assert [each.name for each in made.upload.source.files] == ["./run"]
        sent.append(made.upload.size)
        return made

    succeeded(evolve(step, build=evolve(action, chosen=watched)))
    assert sent == [5 * 512]
    assert content(target) == content(source)


@BOTH
def test_links_on_the_host_are_replaced_and_never_followed(source: Path, target: Path, delete: bool) -> None:
    """Where a folder, a file or a link is to be; nothing outside of the target is touched."""
    step = sync(target, source, delete=delete)
    succeeded(step)
    outside = target.parent / "outside"
    shutil.copytree(source, outside, symlinks=True)
    before = tree(outside)
    shutil.rmtree(target / "two words")
    (target / "two words").symlink_to(outside / "two words")
    (target / "run").unlink()
    (target / "run").symlink_to(outside / "run")
    (target / "way out").unlink()
    (target / "way out").symlink_to(outside)
    succeeded(step)
    assert content(target) == content(source)
    assert tree(outside) == before


def test_files_where_folders_are_to_be_are_replaced_and_the_other_way_only_with_delete(
    source: Path, target: Path
) -> None:
    """A folder may hold what nobody has elsewhere."""
    target.mkdir()
    (target / "empty").write_text("file")
    (target / "run").mkdir()
    (target / "run" / "kept").write_text("precious")
    fails(sync(target, source), "./run is a folder", "delete=True")
    assert (target / "run" / "kept").read_text() == "precious"
    assert (target / "empty").read_text() == "file"
    succeeded(sync(target, source, delete=True))
    assert content(target) == content(source)


@BOTH
def test_other_things_on_the_host_are_refused(source: Path, target: Path, delete: bool) -> None:
    """A pipe where a file is to be."""
    target.mkdir()
    os.mkfifo(target / "run")
    fails(sync(target, source, delete=delete), "./run is neither file, folder nor link")
    assert [each.name for each in target.iterdir()] == ["run"]


def test_what_is_excluded_is_neither_brought_nor_taken_away(source: Path, target: Path) -> None:
    """By name wherever it is, by path where there is a slash."""
    (source / "a" / "b").mkdir(parents=True)
    for each in ("x.pyc", "a/x.pyc", "a/b/keep", "a/b/x.py"):
        (source / each).write_text(each)
    target.mkdir()
    (target / "a").mkdir()
    (target / "a" / "theirs.pyc").write_text("theirs")
    step = sync(target, source, delete=True, exclude=["*.pyc", "a/*/keep"])
    succeeded(step)
    skipped(step)
    assert sorted(each.name for each in (target / "a").rglob("*")) == ["b", "theirs.pyc", "x.py"]
    assert not (target / "x.pyc").exists()


@needs_root
@BOTH
def test_modes_and_owners_that_are_given_hold_for_everything(source: Path, target: Path, delete: bool) -> None:
    """Names and numbers; also for links, and for files with setuid."""
    step = sync(target, source, delete=delete, mode=0o750, file_mode=0o4640, owner="games", group=60)

    def drift() -> None:
        os.lchown(target / "way out", 0, 0)
        os.chown(target / "run", 0, 0)

    cycle(step, lambda: tree(target.parent), drift=drift)
    succeeded(step)
    kinds = {each[:1] + each[-3:] if each[0] == "file" else each for each in content(target).values()}
    links = {each for each in kinds if each[0] == "link"}
    assert kinds - links == {("file", "4640", "5", "60"), ("directory", "750", "5", "60")}
    assert {each[-2:] for each in links} == {("5", "60")}


@needs_root
@needs_root
@BOTH
def test_owners_without_a_name_are_given_back(source: Path, target: Path, delete: bool) -> None:
    """Of files, links and folders, whatever their names hold."""
    target.mkdir()
    for name in ("UNKNOWN=5", "a=b:UNKNOWN=5"):
        (source / name).write_text("x")
    succeeded(sync(target, source, owner="root", group="root"))
    for path in target.rglob("*"):
        give(path, 54321, 54322)
    before = tree(target)
    step = sync(target, source, owner="games", group="games", delete=delete)
    result = succeeded(step)
    skipped(step)
    undone(step, result)
    assert tree(target) == before


def test_group_alone_is_seen_to(source: Path, target: Path) -> None:
    """The owner is whoever unpacks."""
    step = sync(target, source, delete=True, group="games")
    succeeded(step)
    skipped(step)
    assert {each[-1] for each in content(target).values()} == {"60"}


def test_a_file_that_changes_before_it_is_sent_fails_and_leaves_the_target(source: Path, target: Path) -> None:
    """Nothing is put in place, nothing is left."""
    step = sync(target, source)
    succeeded(step)
    (source / "run").write_text("#?")
    before = content(target)
    step = sync(target, source)
    (source / "run").write_text("!!")
    assert fails(step, "was changed while it was sent").reason == "upload"
    (source / "run").unlink()
    (source / "run").symlink_to("/etc/passwd")
    fails(step)
    assert content(target) == before
    assert not list(target.parent.rglob(".kx*"))


def test_a_target_that_cannot_be_is_refused(source: Path, target: Path) -> None:
    """No parent, a file, a link that leads nowhere."""
    fails(sync(target / "no" / "deep", source), f"there is no folder {target}/no")
    target.write_text("file")
    fails(sync(target, source), "no directory")
    target.unlink()
    target.symlink_to("nowhere")
    fails(sync(target, source), "leads nowhere")


def test_a_target_that_is_a_link_to_a_folder_is_that_folder(source: Path, target: Path) -> None:
    """Only what is in it is never followed."""
    (target.parent / "real").mkdir()
    target.symlink_to("real")
    succeeded(sync(target, source, delete=True))
    assert target.is_symlink()
    assert content(target.parent / "real") == content(source)


def test_undo_of_a_new_folder_leaves_what_others_put_there(source: Path, target: Path) -> None:
    """It says that the folder is not empty."""
    step = sync(target, source)
    result = succeeded(step)
    (target / "theirs").write_text("x")
    back = undo(step, result)
    assert back is not None
    fails(back, "not empty")
    assert [each.name for each in target.iterdir()] == ["theirs"]


def test_undo_does_not_follow_a_link_that_came_meanwhile(source: Path, target: Path) -> None:
    """It goes by names that nobody has looked at again."""
    step = sync(target, source)
    result = succeeded(step)
    outside = target.parent / "outside"
    (target / "two words").rename(outside)
    (target / "two words").symlink_to(outside)
    before = tree(outside)
    back = undo(step, result)
    assert back is not None
    fails(back, "two words is a link by now")
    assert tree(outside) == before


def test_a_thousand_files_go_out_in_one_stream(tmp_path: Path) -> None:
    """And are looked at in a second, whatever the shell."""
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in range(20):
        (source / f"{folder}").mkdir(parents=True)
        for each in range(50):
            (source / f"{folder}" / f"file {each}").write_text(f"{folder} {each}")
    step = sync(target, source, delete=True)
    succeeded(step)
    assert skipped(step).duration < 5
    assert content(target) == content(source)


def test_a_list_that_makes_no_sense_is_refused(source: Path, target: Path) -> None:
    """A host may print anything: nothing is done then."""
    action = sync(target, source).action(kx.context("here"))
    assert isinstance(action, Command)
    assert action.chosen is not None
    for listing in ("x", "q - ./a", "f d ./a\n!\n"):
        made = action.chosen({"type": "directory", "sha256": "x", "content": listing})  # type: ignore[arg-type]  # a mapping does
        assert made.upload is None
        assert made.text is not None
        assert made.text.startswith("kx_no")


ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(["f", "d", "l", "o"]),
        st.sampled_from(["644", "4755:app", "-:0:0", ""]),
        st.sampled_from(["-", "ab" * 32]),
        st.lists(
            st.text("ab\\n\n /\udcff'", min_size=1).map(lambda t: t.replace("/", "_")), min_size=1, max_size=3
        ).map(lambda parts: "./" + "/".join(parts)),
    ).map(lambda each: evolve(each, target="a // b\n\\" if each.kind == "l" else "")),
    unique_by=lambda each: each.name,
)


@given(entries=ENTRIES)
def test_a_list_is_read_as_it_was_written(entries: list[Entry]) -> None:
    """Whatever the names hold."""
    assert trees.read(trees.write(entries)) == {each.name: each for each in entries}
    assert trees.write(reversed(entries)) == trees.write(entries)


def test_the_tar_is_what_tar_makes_of_it(source: Path, tmp_path: Path) -> None:
    """Size as announced, every name and byte, in pieces of bounded size."""
    files = tuple(each for each in trees.scan(source, Modes(), ()) if each.kind == "f")
    parcel = Parcel(str(source), files)
    pieces = list(parcel.pieces())
    assert sum(map(len, pieces)) == parcel.size
    assert max(map(len, pieces)) < 3 << 20
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-x", "-f", "-", "-C", tmp_path / "out"], input=b"".join(pieces), check=True)
    for each in files:
        folder, _, name = each.name.rpartition("/")
        made = tmp_path / "out" / str(parcel.folders.index(folder)) / name
        assert made.read_bytes() == (source / each.name).read_bytes()


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.sampled_from(["a", "b", ".."]), max_size=4))
def test_a_path_with_dots_is_refused(parts: list[str]) -> None:
    """It would lead elsewhere."""
    path = "/" + "/".join(["x", *parts])
    if ".." in parts:
        with pytest.raises(kx.InvalidError):
            sync(path, ".", exclude=["*"])
    else:
        assert sync(path, ".", exclude=["*"]).name == f"sync {path}"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda root: sync("a", root), "absolute"),
        (lambda root: sync("/a", root / "no"), "no folder here"),
        (lambda root: sync("/a", root / "run"), "no folder here"),
        (lambda root: sync("/etc", root, delete=True), "a system stands on"),
        (lambda root: sync("/a", root, exclude=["[x]"]), "cannot be one"),
        (lambda root: sync("/a", root, exclude=["/x"]), "cannot be one"),
        (lambda root: sync("/a", root, exclude=[""]), "cannot be one"),
        (lambda root: sync("/a", root, mode=755), "0o755"),
        (lambda root: sync("/a", root, owner="a:b"), "owner"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(source: Path, make: Callable[[Path], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word):
        make(source)


def test_what_cannot_be_sent_is_refused_when_built(source: Path) -> None:
    """A pipe here; one that is excluded is no matter."""
    os.mkfifo(source / "pipe")
    with pytest.raises(kx.InvalidError, match="neither file, folder nor link"):
        sync("/a", source)
    sync("/a", source, exclude="pipe")


def test_undone_brings_folders_and_links_back(source: Path, target: Path) -> None:
    """With `delete`, as far as no content went."""
    step = sync(target, source, delete=True)
    succeeded(step)
    (target / "theirs" / "deep").mkdir(parents=True, mode=0o711)
    (target / "theirs" / "link").symlink_to("x")
    before = content(target)
    result = succeeded(step)
    assert content(target) == content(source)
    undone(step, result)
    assert content(target) == before
