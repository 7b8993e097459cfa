"""Clones that are made without root: in a user namespace, on a skeleton of folders and files of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kxflow.testing import account
from kxflow.testing.clone_points import Point, lay_bones, personal_points
from kxflow.testing.fleet import until
from kxflow.testing.missing import MissingError
from kxflow.testing.plugin import need_program

TREE = ("etc/apt/apt.conf.d", "usr/share/doc", "var/lib/data/deep", "var/log", "home/me", "run/x", "root", "proc")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The tree of a machine."""
    root = tmp_path / "machine"
    for folder in TREE:
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:5:5::/:\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/shadow").write_text("root:a-hash:1::::::\n")
    (root / "usr/share/doc/text").write_text("text")
    (root / "var/log/log").write_text("log")
    (root / "var/lib/one").write_text("one")
    (root / "note").write_text("note")
    (root / "big").write_bytes(bytes((1 << 20) + 1))
    return root


def mount(path: str) -> str:
    """A line of mountinfo."""
    return f"30 22 254:1 / {path} rw - ext4 /dev/vdb rw"


def test_folders_without_mounts_are_covered_whole(machine: Path, tmp_path: Path) -> None:
    """Above the others lie folders, links and small files, copied."""
    top = tmp_path / "top"
    top.mkdir()
    found = personal_points("\n".join(map(mount, ("/", "/var/lib/data", "/home/me", "/proc"))), top, machine)
    assert found == (
        Point("/", source="../../top"),
        Point("/root", source="/etc/skel"),
        Point("/etc", bony=True),
        Point("/home/me"),
        Point("/usr", bony=True),
        Point("/var/lib/data", bony=True),
        Point("/var/log", bony=True),
    )
    assert {str(path.relative_to(top)) for path in top.rglob("*")} == {
        *("bin", "etc", "home", "home/me", "note", "proc", "root", "run", "usr", "var"),
        *("var/lib", "var/lib/data", "var/lib/one", "var/log"),
    }
    assert (top / "bin").readlink() == Path("usr/bin")


def test_a_skeleton_has_all_folders_and_what_is_written_in_place(machine: Path, tmp_path: Path) -> None:
    """No files of `/usr`, no password of anybody, and no other user for apt."""
    (machine / "usr/share/doc").chmod(0o2750)
    bones = tmp_path / "bones"
    bones.mkdir()
    lay_bones(
        bones, [Point("/usr", bony=True), Point("/etc", bony=True), Point("/var", bony=True), Point("/home")], machine
    )
    files = {str(path.relative_to(bones)) for path in bones.rglob("*") if path.is_file()}
    assert files == {
        *("etc/apt/apt.conf.d/99kxflow", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "var/log/log"),
    }
    assert (bones / "etc/shadow").read_text() == "root:*:19000:0:99999:7:::\napp:*:19000:0:99999:7:::\n"
    assert (bones / "var/lib/data/deep").is_dir()
    assert (bones / "usr/share/doc").stat().st_mode & 0o7777 == 0o2750
    assert not (bones / "home").exists()


SCRIPT = """
import json, os, sys
import kxflow as kx
from kxflow.testing import Login, clone_fleet
from kxflow.testing.missing import MissingError

refused = {}
for what in ({"accounts": [Login("app")]}, {"init": "systemd"}):
    try:
        with clone_fleet(1, **what):
            pass
    except MissingError as error:
        refused.update(dict.fromkeys(what, error.what))
try:
    with clone_fleet(2, prepare="echo yes >/etc/prepared") as fleet:
        text = sys.stdin.read()
        done = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", kx.task("t",
            kx.command("do", text), on=kx.host("host1")))), fleet.cluster))
        [result] = done.results
        told = {
            "said": str(result.stdout), "also": str(result.stderr), "status": result.status.name,
            "added": fleet.changed("host1").added, "changed": fleet.changed("host1").changed,
            "deleted": fleet.changed("host1").deleted, "other": str(fleet.changed("host2")),
            "own": os.getpid() in fleet.processes("host1"), "processes": len(fleet.processes("host1")),
            "names": [fleet.sh(name, "hostname").stdout.decode() for name in fleet.cluster.names],
            "folder": str(fleet.key.parent), "refused": refused,
        }
        fleet.kill("host1")
        fleet.start("host1")
        told["kept"] = fleet.sh("host1", "cat /etc/prepared; ls /etc/kx-new /tmp").stdout.decode()
except MissingError as error:
    told = {"missing": str(error)}
print(json.dumps(told))
"""
DO = """
    set -e
    id -un; cat /etc/prepared
    echo 192.0.2.1 somewhere >>/etc/hosts
    rm /etc/issue
    mkdir /kx-top /usr/lib/kx && touch /etc/kx-new
    cd /tmp && mkdir -p p/DEBIAN p/usr/bin && printf '#!/bin/sh\\necho hello\\n' >p/usr/bin/kx-hello
    chmod 755 p/usr/bin/kx-hello
    printf '%s\\n' 'Package: kx-hello' 'Version: 1' 'Architecture: all' 'Maintainer: k <k@example.org>' \\
        'Description: hello' >p/DEBIAN/control
    dpkg-deb --build --root-owner-group p kx-hello.deb >/dev/null && dpkg -i kx-hello.deb >/dev/null && kx-hello
"""


def as_somebody(uid: int, gid: int) -> dict[str, Any]:
    """Run the script as an account that can do no more than others, but for reading, as Python may lie in our home."""
    read = "+dac_read_search"
    words = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups", f"--inh-caps={read}"]
    words += [f"--ambient-caps={read}", "env", "-i", f"PATH={os.environ['PATH']}", "HOME=/", f"PYTHONPATH={Path.cwd()}"]
    done = subprocess.run(
        [*words, sys.executable, "-c", SCRIPT], input=DO.encode(), capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_without_root_a_clone_is_root_s_own() -> None:
    """Files are changed, removed and installed; accounts and systemd are refused with a reason; nothing is left."""
    for tool in ("useradd", "setpriv", "dpkg-deb"):
        need_program(tool)
    issue = Path("/etc/issue").read_bytes()
    try:
        with account("kx-personal") as who:
            told = as_somebody(who.uid, who.uid)
            until(lambda: not [p for p in Path("/proc").glob("[0-9]*") if _of(p, who.uid)], "its processes are gone")
    except MissingError as error:
        pytest.skip(f"not run: {error}")
    if "missing" in told:
        assert "CI" not in os.environ, told["missing"]
        pytest.skip(f"not run: {told['missing']}")
    assert told["status"] == "Succeeded", told["also"]
    assert told["said"] == "root\nyes\nhello\n"
    assert {"/kx-top", "/usr/lib/kx", "/etc/kx-new", "/usr/bin/kx-hello"} <= set(told["added"])
    assert {"/etc/hosts", "/var/lib/dpkg/status"} <= set(told["changed"])
    assert told["deleted"] == ["/etc/issue"]
    assert told["other"] == ""
    assert told["names"] == ["host1\n", "host2\n"]
    assert told["kept"] == "yes\n/etc/kx-new\n\n/tmp:\n"
    assert told["own"] is False
    assert told["processes"] >= 2
    assert told["refused"] == {
        "accounts": "only root can make clones with accounts",
        "init": "only root can make clones with systemd",
    }
    assert not Path(told["folder"]).exists()
    assert Path("/etc/issue").read_bytes() == issue
    assert not Path("/kx-top").exists()


def _of(process: Path, uid: int) -> bool:
    try:
        return process.stat().st_uid == uid
    except OSError:
        return False
