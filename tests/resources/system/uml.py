"""A machine with a kernel of its own: User-mode Linux, a Linux that is a process of this one.

Its tree is this machine's, read-only, below a layer in its own memory; modules are loaded into it for real, and all of
it ends with the process. It comes from Debian's packages, that are unpacked and not installed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kxflow.testing.plugin import need_program

_PACKAGES = ("user-mode-linux", "kmod")
# Its first process; nothing of the machine is written to but the folder, which is told by the kernel's command line.
_INIT = r"""#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
go() {
  mount -t proc proc /proc && read -r line </proc/cmdline || return
  folder=${line##*kxfolder=}
  folder=${folder%% *}
  kernel=$(uname -r)
  modules=$folder/tree/usr/lib/uml/modules/$kernel
  "$folder/insmod" "$modules/kernel/fs/overlayfs/overlay.ko" &&
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root &&
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root && cd /mnt/root || return
  mount -t proc proc proc && mount -t sysfs sysfs sys && mount -t devtmpfs devtmpfs dev && mount -t tmpfs tmpfs run &&
    mkdir -p disk lib/modules dev/pts && mount -t hostfs -o "$folder/out" out disk && mount -t devpts devpts dev/pts &&
    ln -s /proc/self/fd dev/fd && ln -s "$modules" "lib/modules/$kernel" && cp "$folder/tree/bin/kmod" usr/bin || return
  for each in lsmod modprobe; do ln -sf /usr/bin/kmod "usr/sbin/$each"; done
  ip link set lo up 2>/dev/null
  exec chroot . sh /disk/main
}
go
echo 'this machine does not come up' >&2
echo o >/proc/sysrq-trigger
sleep 9
"""
_MAIN = """\
cd /
{ timeout 90 %s; echo $? >/disk/status; } >/disk/said 2>&1
sync
echo o >/proc/sysrq-trigger
sleep 9
"""


def unpacked(folder: Path) -> Path:
    """A folder with what is needed; without it the test is skipped and says so, and in CI it fails."""
    if platform.machine() != "x86_64":
        pytest.skip("not run: User-mode Linux is for x86_64")
    need_program("dpkg-deb")
    argv = ["apt-get", "-qq", "download", *_PACKAGES]
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, timeout=300)
    found = sorted(folder.glob("*.deb"))
    if done.returncode or len(found) != len(_PACKAGES):
        need_program("linux.uml")
    for each in found:
        subprocess.run(["dpkg-deb", "-x", str(each), str(folder / "tree")], check=True)
    return folder


def runs(folder: Path, module: str) -> tuple[int, str]:
    """A module of Python, run as root on such a machine: its exit status, and what it said.

    Args:
        folder: As `unpacked` gave it.
        module: Its dotted name.
    """
    here = Path(__file__).parents[3]
    out = folder / "out"
    out.mkdir()
    words = f"env PYTHONPATH={here} PYTHONDONTWRITEBYTECODE=1"
    (out / "main").write_text(_MAIN % f"{words} {sys.executable} -m {module}")
    (folder / "insmod").symlink_to("tree/bin/kmod")
    (folder / "init").write_text(_INIT)
    (folder / "init").chmod(0o755)
    kernel = ["rootfstype=hostfs", "ro", f"init={folder}/init", f"kxfolder={folder}", "mem=1G", "quiet"]
    consoles = ["con0=null,fd:1", "con=null"]
    argv = [str(folder / "tree/usr/bin/linux.uml"), *kernel, *consoles]
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], "TMPDIR": "/dev/shm"}  # noqa: S108 -- its memory is there
    booted = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120, env=home)
    if not (out / "status").exists():
        return 255, (booted.stdout + booted.stderr).decode("utf-8", "replace")
    return int((out / "status").read_text()), (out / "said").read_text("utf-8", "replace")
