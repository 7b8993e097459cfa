"""What a clone covers, read from the kernel's list of mounts, and the words that lead into one."""

from __future__ import annotations

import subprocess

import pytest

from kxflow.testing.clone_plan import Entrant, Plan, entering
from kxflow.testing.clone_points import Point, points

MACHINE = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:6 / /dev rw - devtmpfs devtmpfs rw
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw
26 22 0:24 / /run rw - tmpfs tmpfs rw
27 22 254:1 / /var rw,relatime shared:2 - xfs /dev/vdb rw
28 27 254:2 / /var/lib/my\040data rw - ext4 /dev/vdc rw
29 22 7:1 / /snap/core ro,nodev - squashfs /dev/loop1 ro
30 22 254:3 /etc/hosts /etc/hosts rw - ext4 /dev/vdd rw
31 22 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
32 22 0:41 / /mnt/a:b rw - ext4 /dev/vde rw
33 22 0:42 / /runtime rw - tmpfs tmpfs rw
34 22 0:43 / /home rw - ext4 /dev/old rw
35 34 0:44 / /home ro - ext4 /dev/new ro
36 22 0:45 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw
"""


def test_every_mount_of_files_is_covered_parents_first() -> None:
    """Those of the kernel, and where a clone has its own, are not; of several mounts on one place the last counts."""
    found = points(MACHINE.strip(), lambda path: path != "/etc/hosts")
    assert found == (
        Point("/"),
        Point("/root", source="/etc/skel"),
        Point("/etc/hosts", "file"),
        Point("/home", "bound"),
        Point("/mnt/a:b", "bound"),
        Point("/runtime"),
        Point("/snap/core", "bound"),
        Point("/var"),
        Point("/var/lib/my data"),
    )


def test_a_machine_without_skeleton_has_an_empty_home() -> None:
    """And one without a home of root has none."""
    assert points("", lambda path: path == "/root") == (Point("/"), Point("/root", source="../../empty"))
    assert points("", lambda path: False) == (Point("/"),)


@pytest.mark.parametrize("init", ["plain", "systemd", "openrc"])
def test_texts_are_shell_programs(init: str) -> None:
    """Whatever the names are; a base lies between the machine and the clone."""
    plan = Plan(folder="0", name="it's", points=points(MACHINE.strip(), lambda _: True), based=True, init=init)  # type: ignore[arg-type]  # the parameter is one
    for text in (plan.start(), plan.boot(), plan.see()):
        done = subprocess.run(["sh", "-n"], input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    assert "lowerdir=../base/layers/0/upper:seed:/:../../empty," in plan.boot()
    assert "'m/var/lib/my data'" in plan.boot()
    assert ("--cgroup" in plan.start()) is (init == "systemd")


def test_words_for_a_user_keep_to_the_entry_of_that_user() -> None:
    """Root stays root; others lose every right, in the order that the kernel needs; empty fields have their meaning."""
    root = Entrant.read("root:x:0:0:root:/root:/bin/bash")
    app = Entrant.read("app:x:107:33:,,,::")
    assert app == Entrant("app", 107, 33, "/", "/bin/sh")
    assert "setpriv" not in root.words
    assert app.words[:6] == ("setpriv", "--reuid=107", "--regid=33", "--init-groups", "env", "-i")
    assert "HOME=/" in app.words
    assert "--cgroup" not in entering("/pid", "/mark", app)
    assert "--cgroup" in entering("/pid", "/mark", app, group="/group")
