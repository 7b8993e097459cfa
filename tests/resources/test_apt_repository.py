"""Repositories of apt: real signatures, real lists, in a box that knows of no other source."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import apt_repository, package
from kxflow.resources.armour import dearmoured
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box
from tests.resources.debs import REPOSITORY, bare, deb, index
from tests.resources.helpers_services import before, cycle, done, ran, undone

SOURCES = "/etc/apt/sources.list.d/tools.sources"
KEY = "/etc/apt/keyrings/tools.gpg"


@pytest.fixture
def signed(box: Box) -> Box:
    """A bare box without any source, and in it a repository that is signed by the key `one`; there is a key `two`."""
    need_program("gpg")
    folder = bare(box)
    box.path("/etc/apt/sources.list").write_text("")
    deb(folder, "kxtool")
    index(folder)
    make = "gpg --batch --passphrase '' --quick-gen-key {0}@localhost ed25519 sign never"
    box.sh(
        "exec 2>&1; export GNUPGHOME=/root/gpg; mkdir -m 700 /root/gpg;"
        f"{make.format('one')} && {make.format('two')} &&"
        f"gpg --batch -u one@localhost --clearsign -o {REPOSITORY}/InRelease {REPOSITORY}/Release &&"
        f"chmod -R a+rX {REPOSITORY}"
    )
    return box


def public(box: Box, who: str, *, armour: bool = True) -> bytes:
    """A public key of the box."""
    argv = ["env", "GNUPGHOME=/root/gpg", "gpg", "--export", *(["--armor"] if armour else []), f"{who}@localhost"]
    return subprocess.run([*box.way, *argv], check=True, capture_output=True).stdout


def tools(key: bytes | str | None, **options: Any) -> kx.Step[Any]:
    """The repository of the box."""
    return apt_repository("tools", uris=f"file:{REPOSITORY}", suites="./", key=key, **options)


def files(box: Box) -> tuple[str, bytes]:
    """Both files; empty where they are not there."""
    sources, key = box.path(SOURCES), box.path(KEY)
    return (sources.read_text() if sources.exists() else "", key.read_bytes() if key.exists() else b"")


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


def test_a_signed_repository_gives_packages_and_is_taken_back(signed: Box) -> None:
    """Fresh, again, drifted, undone; packages come from it at once."""
    step = tools(public(signed, "one").decode())
    first = cycle(signed.cluster, step, drift=lambda: signed.path(KEY).write_bytes(b""), seen=lambda: files(signed))
    assert first.change is not None
    assert "+Signed-By: /etc/apt/keyrings/tools.gpg" in first.change.diff
    done(signed.cluster, step)
    assert files(signed) == (
        f"Types: deb\nURIs: file:{REPOSITORY}\nSuites: ./\nSigned-By: {KEY}\n",
        public(signed, "one", armour=False),
    )
    assert {signed.path(each).stat().st_mode & 0o7777 for each in (SOURCES, KEY)} == {0o644}
    done(signed.cluster, package("kxtool", update=None))


@pytest.mark.parametrize("shell", ["busybox", "mksh", "bash"])
def test_every_shell_of_a_host_can_do_it(signed: Box, shell: str) -> None:
    """The words are POSIX; zsh is missing because apt's own scripts cannot stand it."""
    key = public(signed, "one")
    signed.sh(f"ln -sf {need_program(shell)} /bin/sh")
    first = done(signed.cluster, tools(key))
    assert ran(signed.cluster, tools(key)).status is kx.Status.Skipped
    assert undone(signed.cluster, tools(key), before(first)).status.ok
    assert files(signed) == ("", b"")


def test_it_is_taken_away_with_its_key_and_its_packages(signed: Box) -> None:
    """And an undo brings both files again."""
    key = public(signed, "one")
    done(signed.cluster, tools(key))
    there = files(signed)
    gone = done(signed.cluster, apt_repository("tools", state="absent"))
    assert files(signed) == ("", b"")
    assert "kxtool" not in signed.sh("apt-cache pkgnames")
    assert ran(signed.cluster, apt_repository("tools", state="absent")).status is kx.Status.Skipped
    assert undone(signed.cluster, apt_repository("tools", state="absent"), before(gone)).status.ok
    assert files(signed) == there


def test_another_key_is_not_trusted_and_leaves_all_as_it_was(signed: Box) -> None:
    """Neither where nothing was there, nor where a good one was."""
    assert "the public key is not" in failure(ran(signed.cluster, tools(public(signed, "two"))))
    assert files(signed) == ("", b"")
    done(signed.cluster, tools(public(signed, "one")))
    there = files(signed)
    told = failure(ran(signed.cluster, tools(public(signed, "two"))))
    assert "signature" in told or "GPG error" in told
    assert files(signed) == there


def test_a_changed_repository_comes_back_as_it_was(signed: Box) -> None:
    """Its sources and its key."""
    both = public(signed, "one") + public(signed, "two")
    done(signed.cluster, tools(public(signed, "one")))
    there = files(signed)
    changed = done(signed.cluster, tools(both, architectures="amd64"))
    assert files(signed)[1] == dearmoured(both)
    assert undone(signed.cluster, tools(both), before(changed)).status.ok
    assert files(signed) == there


def test_one_that_cannot_be_reached_leaves_all_as_it_was(signed: Box) -> None:
    """It says what apt says."""
    step = apt_repository("tools", uris="file:/nowhere", suites="stable", components="main", trusted=True)
    assert "/nowhere" in failure(ran(signed.cluster, step))
    assert files(signed) == ("", b"")


def test_lists_that_were_not_fetched_are_fetched_by_the_next_run(signed: Box) -> None:
    """As after a run that died when the files were in place."""
    key = public(signed, "one")
    done(signed.cluster, tools(key))
    signed.sh("rm -rf /var/lib/apt/lists/*")
    again = done(signed.cluster, tools(key))
    assert again.change is not None
    assert again.change.diff == "-fetched no\n+fetched yes"
    assert "kxtool" in signed.sh("apt-cache pkgnames")


def test_an_unsigned_repository_is_used_only_where_that_was_said(signed: Box) -> None:
    """And has no key then; one that was there is taken away."""
    done(signed.cluster, tools(public(signed, "one")))
    signed.sh(f"rm {REPOSITORY}/InRelease")
    assert failure(ran(signed.cluster, tools(public(signed, "one"), architectures="amd64")))
    done(signed.cluster, tools(None, trusted=True))
    assert files(signed)[1] == b""
    assert "Trusted: yes" in files(signed)[0]
    assert ran(signed.cluster, tools(None, trusted=True)).status is kx.Status.Skipped


def test_what_cannot_be_written_leaves_all_as_it_was(signed: Box) -> None:
    """A disk that is full when the second file is written."""
    signed.sh("mount -t tmpfs -o ro tmpfs /etc/apt/sources.list.d")
    assert failure(ran(signed.cluster, tools(public(signed, "one"))))
    assert files(signed) == ("", b"")


ARMOURED = """-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: a header

mAAAAAA=
-----END PGP PUBLIC KEY BLOCK-----
"""


def test_a_key_is_taken_out_of_its_armour_and_looked_at() -> None:
    """With and without headers and checksum; several blocks are several keys; what is no public key is refused."""
    assert dearmoured(ARMOURED.encode()) == b"\x98\0\0\0\0"
    assert dearmoured(ARMOURED.replace("\n", "\r\n").encode()) == b"\x98\0\0\0\0"
    assert dearmoured(f"words before\n{ARMOURED}{ARMOURED}".encode()) == b"\x98\0\0\0\0" * 2
    assert dearmoured(b"\x99\1\2") == b"\x99\1\2"
    assert dearmoured(b"\xc6\1\2") == b"\xc6\1\2"
    for wrong in (
        b"",
        b"hello",
        b"\x95\1\2",
        ARMOURED.replace("PUBLIC", "PRIVATE").encode(),
        ARMOURED.replace("mAAAAAA=", "mAAA*AAA").encode(),
        ARMOURED.replace("mAAAAAA=", "mAAAAAA=\n=AAAA").encode(),
        ARMOURED.replace("mAAAAAA=", "lAAAAAA=").encode(),
    ):
        with pytest.raises(kx.InvalidError):
            dearmoured(wrong)


def test_the_checksum_of_a_real_key_holds(signed: Box) -> None:
    """What gpg wrote is what gpg gives without the armour; a damaged one is refused."""
    text = public(signed, "one")
    assert dearmoured(text) == public(signed, "one", armour=False)
    assert b"\n=" in text
    head, _, rest = text.partition(b"\n\n")
    with pytest.raises(kx.InvalidError, match="checksum"):
        dearmoured(head + b"\n\n" + rest[:20] + (b"A" if rest[20:21] != b"A" else b"B") + rest[21:])


def test_contradictions_are_refused_at_once(tmp_path: Path) -> None:
    """Each says what to write."""
    good: dict[str, Any] = {"uris": "https://a", "suites": "s", "components": "c", "key": b"\x99\1"}
    cases: list[Callable[[], kx.Step[Any]]] = [
        *(
            (lambda name=name: apt_repository(name, **good))
            for name in ("", "a b", "../a", ".a", "a/b", "-a", "a\nb", "$(x)", "é")
        ),
        *(
            (lambda field=field: apt_repository("a", **{**good, **field}))
            for field in (
                {"uris": ()},
                {"uris": "https://a b"},
                {"uris": "https://a\nTrusted: yes"},
                {"suites": ""},
                {"components": ()},
                {"suites": "s/"},
                {"key": None},
                {"key": "no key"},
                {"trusted": True},
                {"key_file": tmp_path / "key"},
                {"key": None, "key_file": tmp_path / "nothing"},
                {"state": "absent"},
                {"state": "gone"},
            )
        ),
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"^apt_repository"):
            wrong()
    (tmp_path / "key").write_bytes(b"\x99\1")
    assert apt_repository("a", **{**good, "key": None, "key_file": tmp_path / "key"}).name == "apt_repository a"
