"""What is in an archive, in a folder of the host."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import unpack
from kxflow.testing.plugin import need_program
from tests.resources.helpers_files import HOSTILE, fails, names, needs_root, skipped, succeeded, tree, undo, undone

FORMATS = pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "zip"])
WAYS = pytest.mark.parametrize("way", ["source", "archive"])


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A folder to pack: a program, links, a hard link, odd names."""
    root = tmp_path / "tool-1.0"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_text("#!")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "readme").symlink_to("../README")
    (root / "latest").symlink_to("bin/tool")
    (root / "README").write_text("read me")
    (root / ".hidden").write_text("")
    (root / "empty").mkdir()
    for each in HOSTILE:
        name = os.fsdecode(each.replace(b"\n", b" ").replace(b"\xff\xfe", b"plain"))  # not every unzip takes these
        (root / "-odd").mkdir(exist_ok=True)
        (root / "-odd" / name).write_text(name)
    return root


def pack(root: Path, suffix: str, name: str = "archive") -> Path:
    """An archive of a folder, by the tools of a host."""
    made = root.parent / f"{name}.{suffix}"
    made.unlink(missing_ok=True)
    words = [need_program("zip"), "-qry"] if suffix == "zip" else ["tar", "-caf"]
    subprocess.run([*words, str(made), root.name], cwd=root.parent, check=True)
    return made


def without_stamp(root: Path) -> dict[str, tuple[str, ...]]:
    """What is in a folder, but for the stamp of `unpack`."""
    return {name: each for name, each in tree(root).items() if ".kxflow-" not in name}


@FORMATS
@WAYS
def test_an_unpacked_archive_lives(tmp_path: Path, content: Path, suffix: str, way: str) -> None:
    """Fresh, again, drifted in several ways and repaired, undone; every format, from here and from there."""
    path = tmp_path / "host" / "opt"
    path.parent.mkdir()
    options: dict[str, Any] = {way: pack(content, suffix)}
    step = unpack(path, strip=1, **options)
    first = succeeded(step)
    assert without_stamp(path) == tree(content)
    skipped(step)
    for drift in (
        lambda: (path / "README").write_text("drift"),
        (path / "bin" / "tool").unlink,
        lambda: (path / "bin" / "tool").chmod(0o700),
        lambda: (path / "latest").rename(path / "bin" / "readme"),
    ):
        drift()
        succeeded(step)
        assert without_stamp(path) == tree(content)
        skipped(step)
    undone(step, first)
    assert not list(path.parent.iterdir())


def test_what_else_is_in_the_folder_stays(tmp_path: Path, content: Path) -> None:
    """Before and after; only what the archive has is put in its place."""
    path = tmp_path / "opt"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "theirs").write_text("theirs")
    (path / "README").write_text("old")
    path.chmod(0o700)
    step = unpack(path, source=pack(content, "tgz"), strip=1)
    result = succeeded(step)
    (path / "bin" / "new").write_text("theirs")
    skipped(step)
    assert (path / "bin" / "theirs").read_text() == "theirs"
    assert (path / "README").read_text() == "read me"
    assert path.stat().st_mode & 0o777 == 0o700
    assert undo(step, result) is None


@WAYS
def test_a_new_version_takes_what_only_the_old_one_had(tmp_path: Path, content: Path, way: str) -> None:
    """The stamp tells what that was."""
    path = tmp_path / "opt"

    def step() -> kx.Step[Any]:
        options: dict[str, Any] = {way: pack(content, "tgz")}
        return unpack(path, strip=1, **options)

    succeeded(step())
    (path / "theirs").write_text("")
    (content / "bin" / "tool").rename(content / "bin" / "tool2")
    succeeded(step())
    skipped(step())
    assert not (path / "bin" / "tool").exists()
    assert without_stamp(path).keys() == {*tree(content), "theirs"}


def test_a_stamp_that_somebody_wrote_takes_nothing_away_elsewhere(tmp_path: Path, content: Path) -> None:
    """Neither by a name that leads outside nor by a link; nor does undo."""
    path, outside = tmp_path / "opt", tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("theirs")
    first = unpack(path, source=pack(content, "tgz"), strip=1)
    result = succeeded(first)
    stamp = path / ".kxflow-archive"

    def tampered() -> None:
        (path / "way").unlink(missing_ok=True)
        (path / "way").symlink_to(outside)
        names = f"{outside}/victim\n" * 2 + "./../outside/victim\n" * 2 + "./way/victim\n" * 2
        stamp.write_text(stamp.read_text() + names)

    tampered()
    (content / "new").write_text("x")
    succeeded(unpack(path, source=pack(content, "tgz"), strip=1))
    assert (outside / "victim").exists()
    tampered()
    back = undo(first, result)
    assert back is not None
    fails(back, "not empty")
    assert (outside / "victim").exists()
    assert [each.name for each in path.iterdir()] == ["way"]


def test_an_archive_on_the_host_may_go_when_its_digest_is_given(tmp_path: Path, content: Path) -> None:
    """Then the stamp is enough; another file than that is refused."""
    path, archive = tmp_path / "opt", pack(content, "tar.xz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    step = unpack(path, archive=archive, sha256=digest)
    fails(unpack(path, archive=archive, sha256="0" * 64), "is another file")
    assert not path.exists()
    succeeded(step)
    archive.unlink()
    skipped(step)
    fails(unpack(path, archive=archive), "there is no archive")
    (path / "tool-1.0" / "README").unlink()
    fails(step, "there is no archive")


def test_two_archives_share_a_folder_by_their_stamps(tmp_path: Path, content: Path) -> None:
    """Neither takes away what is the other's."""
    path = tmp_path / "opt"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    one = unpack(path, source=pack(content, "tgz", "one"), stamp="one")
    two = unpack(path, source=pack(tmp_path / "other", "tgz", "two"), stamp="two")
    for step in (one, two):
        succeeded(step)
    for step in (one, two):
        skipped(step)
    assert {each.name for each in path.iterdir()} == {"tool-1.0", "other", ".kxflow-one", ".kxflow-two"}


@needs_root
def test_owner_and_group_hold_for_everything(tmp_path: Path, content: Path) -> None:
    """Of links too."""
    path = tmp_path / "opt"
    step = unpack(path, source=pack(content, "tar"), owner="games", group=60)
    succeeded(step)
    skipped(step)
    assert {each[-2:] for each in without_stamp(path).values()} == {("5", "60")}


def test_setuid_and_setgid_go(tmp_path: Path, content: Path) -> None:
    """An archive is not to give rights."""
    (content / "bin" / "tool").chmod(0o6755)
    succeeded(unpack(tmp_path / "other", source=pack(content, "tar")))
    assert (tmp_path / "other" / "tool-1.0" / "bin" / "tool").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, content: Path, name: bytes) -> None:
    """Of the folder, and of an archive on the host."""
    base = os.fsencode(tmp_path)
    archive = base + b"/a" + name + b".tar.gz"
    pack(content, "tar.gz").rename(os.fsdecode(archive))
    step = unpack(base + b"/" + name, archive=archive)
    result = succeeded(step)
    skipped(step)
    assert without_stamp(Path(os.fsdecode(base + b"/" + name)))["tool-1.0/README"][1] == "read me"
    undone(step, result)
    assert {os.fsencode(each.name) for each in tmp_path.iterdir()} == {b"a" + name + b".tar.gz", b"tool-1.0"}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """A member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 4 if kind == tarfile.REGTYPE else 0
    return info


SYM, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
EVIL = {
    "dots": [member("../evil")],
    "dots inside": [member("a/../../evil")],
    "absolute": [member("/tmp/kxflow-evil")],  # noqa: S108 -- it must not come about
    "link to /": [member("a", SYM, "/etc")],
    "link up": [member("a/b", SYM, "../../x")],
    "link around": [member("a", SYM, "."), member("b", SYM, "a/../..")],
    "through a link": [member("a", SYM, ".."), member("a/evil")],
    "pipe": [member("f", tarfile.FIFOTYPE)],
    "device": [member("c", tarfile.CHRTYPE)],
    "hard link up": [member("h", HARD, "../../../../../../../../etc/passwd")],
    "hard link to /": [member("h", HARD, "/etc/passwd")],
    "line break": [member("a\nb")],
}


@pytest.mark.parametrize("what", EVIL)
@pytest.mark.parametrize("host", ["gnu", "busybox"])
def test_what_leads_outside_is_refused_there_and_nothing_is_left(tmp_path: Path, what: str, host: str) -> None:
    """No member, no link, no device; and when it comes from here, before it is sent."""
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as made:
        for each in EVIL[what]:
            made.addfile(each, io.BytesIO(b"evil"[: each.size]))
    (tmp_path / "bin").mkdir()
    if host == "busybox":
        (tmp_path / "bin" / "tar").symlink_to(need_program("busybox"))
    cluster = kx.Cluster([kx.Host("here", connect=kx.Via("env", f"PATH={tmp_path}/bin:/usr/bin:/bin"))])
    (tmp_path / "host").mkdir()
    before = tree(tmp_path)
    with pytest.raises(kx.InvalidError, match=r"leads outside|neither file|line break"):
        unpack(tmp_path / "host" / "opt", source=archive)
    fails(unpack(tmp_path / "host" / "opt", archive=archive), cluster=cluster)
    assert tree(tmp_path) == before
    assert not Path("/tmp/kxflow-evil").exists()  # noqa: S108 -- it must not come about


def test_a_link_that_only_leads_outside_when_folders_are_left_out_is_refused(tmp_path: Path) -> None:
    """What is inside of `a/` is not inside of what `strip=1` leaves."""
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(member("a/b", SYM, "../x"))
        made.addfile(member("a/c", SYM, "b"))
    with pytest.raises(kx.InvalidError, match="leads outside"):
        unpack(tmp_path / "opt", source=archive, strip=1)
    fails(unpack(tmp_path / "opt", archive=archive, strip=1), "a link leads outside")
    succeeded(unpack(tmp_path / "opt", archive=archive))


def test_an_evil_zip_is_refused(tmp_path: Path) -> None:
    """By name, and by what a link in it leads to."""
    for name, mode, data in (("../x", 0o100644, b""), ("a", 0o120777, b"/etc"), ("f", 0o010644, b"")):
        archive = tmp_path / "evil.zip"
        with zipfile.ZipFile(archive, "w") as made:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, data)
        with pytest.raises(kx.InvalidError, match=r"leads outside|neither file"):
            unpack(tmp_path / "opt", source=archive)
        if stat.S_ISLNK(mode):
            fails(unpack(tmp_path / "opt", archive=archive), "a link leads outside")
    assert {each.name for each in tmp_path.iterdir()} == {"evil.zip"}


def test_links_on_the_host_are_not_followed(tmp_path: Path, content: Path) -> None:
    """Where a folder is to be, a link is refused; where a file is to be, it is replaced."""
    path, outside = tmp_path / "opt", tmp_path / "outside"
    step = unpack(path, source=pack(content, "tgz"), strip=1)
    path.mkdir()
    outside.mkdir()
    (outside / "victim").write_text("theirs")
    (path / "bin").symlink_to(outside)
    fails(step, "a link is where a folder is to be: ./bin")
    assert [each.name for each in outside.iterdir()] == ["victim"]
    (path / "bin").unlink()
    (path / "README").symlink_to(outside / "victim")
    succeeded(step)
    assert (outside / "victim").read_text() == "theirs"
    assert not (path / "README").is_symlink()


def test_folders_and_files_in_each_others_place_are_refused(tmp_path: Path, content: Path) -> None:
    """Nothing is put in place then."""
    path = tmp_path / "opt"
    step = unpack(path, source=pack(content, "tgz"), strip=1)
    path.mkdir()
    (path / "bin").write_text("file")
    fails(step, "a file is where a folder is to be: ./bin")
    (path / "bin").unlink()
    (path / "README").mkdir()
    fails(step, "a folder is where a file is to be: ./README")
    assert [each.name for each in path.iterdir()] == ["README"]


def test_a_broken_archive_leaves_everything_as_it_was(tmp_path: Path, content: Path) -> None:
    """Here it is refused when built, there it fails."""
    archive = pack(content, "tgz")
    archive.write_bytes(archive.read_bytes()[:-60])
    path = tmp_path / "opt"
    with pytest.raises(kx.InvalidError, match="or a broken one"):
        unpack(path, source=archive)
    fails(unpack(path, archive=archive), "cannot unpack")
    archive.write_bytes(b"no archive at all")
    with pytest.raises(kx.InvalidError, match="or a broken one"):
        unpack(path, source=archive)
    fails(unpack(path, archive=archive), "cannot unpack")
    assert {each.name for each in tmp_path.iterdir()} == {"archive.tgz", "tool-1.0"}


def test_strip_needs_one_folder_around_everything(tmp_path: Path, content: Path) -> None:
    """Else something would be lost."""
    archive = tmp_path / "two.tar"
    subprocess.run(["tar", "-cf", archive, "-C", content, "."], check=True)
    fails(unpack(tmp_path / "opt", archive=archive, strip=1), "in one folder")
    succeeded(unpack(tmp_path / "opt", archive=archive))
    skipped(unpack(tmp_path / "opt", archive=archive))


def test_more_than_the_limit_is_refused_when_built(tmp_path: Path) -> None:
    """A few bytes here may be a full disk there."""
    archive = tmp_path / "bomb.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        info = tarfile.TarInfo("zeros")
        info.size = 2_000_000
        made.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(kx.InvalidError, match="more than 1000000 bytes: raise limit="):
        unpack("/opt/x", source=archive, limit=1_000_000)
    unpack("/opt/x", source=archive, limit=2_000_000)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: unpack("x", archive="/a.tar"), "absolute"),
        (lambda: unpack("/x"), "source= or archive="),
        (lambda: unpack("/x", source="a.tar", archive="/a.tar"), "source= or archive="),
        (lambda: unpack("/x", archive="a.tar"), "absolute"),
        (lambda: unpack("/x", archive="/a.rar"), "tells no format"),
        (lambda: unpack("/x", archive="/a", format="rar"), "format 'rar'"),  # type: ignore[arg-type]  # the point
        (lambda: unpack("/x", source="/no/such.tar"), "No such file"),
        (lambda: unpack("/x", source="/no/such.tar", sha256="0" * 64), "is known"),
        (lambda: unpack("/x", archive="/a.tar", sha256="0"), "sha256 '0'"),
        (lambda: unpack("/x", archive="/a.tar", strip=-1), "strip=-1"),
        (lambda: unpack("/x", archive="/a.tar", stamp="../x"), "stamp"),
        (lambda: unpack("/x", archive="/a.tar", owner="a b"), "owner"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word):
        make()
