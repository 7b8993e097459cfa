"""Swap files in a box, where the kernel takes them."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kxflow.resources import swap
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import (
    SHELLS,
    Box,
    cycle,
    ensured,
    fails,
    holds,
    refused,
    speaks,
    succeeds,
    with_env,
)

_LOCK = Path("/run/lock/kxflow-swap.lock")
LOOK = "cat /etc/fstab; grep /disk/ /proc/swaps | sed 's/ *file//'; stat -c '%a %u %g %s %n' /disk/*"


@pytest.fixture
def disk(box: Box) -> Iterator[Box]:
    """A box with a folder, /disk, on a file system of which the kernel takes swap files; none is in use afterwards.

    The kernel has one list of them for all boxes: one test at a time.
    """
    with _LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        box.sh("dd if=/dev/zero of=/disk/try bs=4096 count=10 2>&1; chmod 600 /disk/try; mkswap /disk/try")
        try:
            if "swapon" in box.sh("swapon /disk/try 2>&1", ok=False):
                pytest.skip("not run: this kernel takes no swap file here")
            box.sh("swapoff /disk/try; rm /disk/try")
            yield box
        finally:
            box.sh('for each in /disk/*; do swapoff "$each" 2>/dev/null || :; done')


@pytest.mark.parametrize(
    "drift",
    [
        "swapoff '/disk/a b'",
        "sed -i /disk/d /etc/fstab",
        "chmod 644 '/disk/a b'",
        "swapoff '/disk/a b'; rm '/disk/a b'",
        "swapoff '/disk/a b'; truncate -s 64k '/disk/a b'",
    ],
)
def test_swap_is_made_repaired_and_undone(disk: Box, drift: str) -> None:
    """The file, its mode, the kernel's use of it and fstab come about, are repaired from any drift, and go by undo."""
    cycle(disk, swap("/disk/a b", "128K"), look=LOOK, drift=drift)


def test_swap_is_told_to_fstab_and_to_nobody_else(disk: Box) -> None:
    """The line is one that `swapon -a` takes; other lines stay."""
    before = disk.sh("cat /etc/fstab")
    succeeds(disk, swap("/disk/a b", 128 * 1024, priority=5))
    assert disk.sh("cat /etc/fstab") == f"{before}/disk/a\\040b none swap sw,pri=5 0 0\n"
    disk.sh("swapoff '/disk/a b'; swapon -a")
    holds(disk, swap("/disk/a b", "128K", priority=5))


def test_swap_priority_and_size_are_changed_and_undone(disk: Box) -> None:
    """Another priority, and another size, which is another file; undo gives the old ones back."""
    succeeds(disk, swap("/disk/s", "128K"))
    cycle(disk, swap("/disk/s", "128K", priority=7), look=LOOK, drift="swapoff /disk/s; swapon -p 3 /disk/s")
    cycle(disk, swap("/disk/s", "256K"), look=LOOK)
    before = ensured(disk.one(swap("/disk/s", "128K", priority=7))).before
    assert before is not None
    assert before["priority"] == "default"


def test_swap_absent_comes_back_by_undo(disk: Box) -> None:
    """Not in use, not in fstab, not there; and all of that again."""
    succeeds(disk, swap("/disk/s", "128K"))
    cycle(disk, swap("/disk/s", state="absent"), look=LOOK)
    disk.sh("swapoff /disk/s; rm /disk/s")
    succeeds(disk, swap("/disk/s", state="absent"))
    assert "/disk/s" not in disk.sh("cat /etc/fstab")


def test_swap_without_fstab_leaves_it_alone(disk: Box) -> None:
    """Only now."""
    before = disk.sh("cat /etc/fstab")
    cycle(disk, swap("/disk/s", "128K", fstab=False), look=LOOK)
    assert disk.sh("cat /etc/fstab") == before


@pytest.mark.parametrize("name", ["it's", '"q"', "-x", "$(touch pwned)", "back\\slash", "tab\tbed", "\udcff", "é"])
def test_swap_path_is_taken_as_it_is(disk: Box, name: str) -> None:
    """Quotes, dollars, backslashes, blanks and bytes that are no UTF-8 in its path."""
    cycle(disk, swap(f"/disk/{name}", "128K"), look=f"{LOOK}; ls / | grep pwned", drift="sed -i /disk/d /etc/fstab")


@pytest.mark.parametrize("shell", SHELLS)
def test_swap_goes_in_every_shell(disk: Box, shell: str) -> None:
    """Whatever the host's `sh` is."""
    speaks(disk, shell)
    cycle(
        disk, swap("/disk/a b", "128K", priority=3), look=LOOK, drift="swapoff '/disk/a b'; sed -i /disk/d /etc/fstab"
    )


def test_swap_that_is_somebodys_data_is_neither_written_over_nor_removed(box: Box) -> None:
    """Only what has the kernel's mark is a swap file."""
    box.sh("echo data >/disk/s; chmod 600 /disk/s")
    fails(box, swap("/disk/s", "128K"), "/disk/s is there, and is no swap file")
    fails(box, swap("/disk/s", state="absent"), "/disk/s is there, and is no swap file")
    fails(box, swap("/disk", "128K"), "/disk is no file")
    assert box.sh("cat /disk/s; cat /etc/fstab | grep -c disk", ok=False) == "data\n0\n"


def test_swap_that_the_kernel_does_not_take_is_a_failure(box: Box) -> None:
    """A file system that cannot have one: the file goes again, and fstab stays as it is."""
    before = box.sh("cat /etc/fstab")
    fails(box, swap("/dev/shm/s", "128K"), "swapon failed")  # noqa: S108 -- of the box
    assert box.sh("cat /etc/fstab; ls -A /dev/shm") == before


def test_swap_where_swapon_is_not_permitted_is_a_failure(box: Box) -> None:
    """Recorded reply of a container: the words are told, nothing is left."""
    box.sh("""mkdir /srv/bin; cat >/srv/bin/swapon <<'END'
#!/bin/sh
echo "swapon: $2: swapon failed: Operation not permitted" >&2
exit 255
END
chmod 755 /srv/bin/swapon""")
    step = with_env(swap("/disk/s", "128K"), PATH="/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    fails(box, step, "swapon: /disk/s: swapon failed: Operation not permitted")
    assert "/disk/s" not in box.sh("cat /etc/fstab; ls /disk")


def test_swap_on_a_full_or_read_only_disk_leaves_nothing(box: Box) -> None:
    """No half of a file, and no line in fstab."""
    box.sh("mkdir /srv/full; mount -t tmpfs -o size=64k t /srv/full")
    before = box.sh("cat /etc/fstab")
    fails(box, swap("/srv/full/s", "1M"), "No space left")
    box.sh("mount -o remount,ro /srv/full")
    fails(box, swap("/srv/full/s", "128K"), "Read-only file system")
    assert box.sh("cat /etc/fstab; ls -A /srv/full") == before


def test_swap_without_rights_is_told_so(box: Box) -> None:
    """A plain user makes none and removes none."""
    box.sh("dd if=/dev/zero of=/disk/s bs=4096 count=10 2>&1; chmod 600 /disk/s; mkswap /disk/s; chmod 755 /disk")
    look = "cat /etc/fstab; stat -c '%a %s %n' /disk/*"
    refused(box, swap("/disk/t", "128K"), "Permission denied", look=look)
    refused(box, swap("/disk/s", "128K"), "cannot read /disk/s", look=look)
    refused(box, swap("/disk/s", state="absent"), "cannot read /disk/s", look=look)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "swap"}, "path 'swap'"),
        ({"size": None}, "size None"),
        ({"size": 0}, "size 0"),
        ({"size": 36864}, "size 36864"),
        ({"size": 1_000_001}, "size 1000001"),
        ({"size": "2X"}, "size '2X'"),
        ({"size": "-2G"}, "size '-2G'"),
        ({"size": True}, "size True"),
        ({"size": 1.5}, "size 1.5"),
        ({"priority": -1}, "priority=-1"),
        ({"priority": 32768}, "priority=32768"),
        ({"priority": True}, "priority=True"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent"}, "absent, and with more"),
    ],
)
def test_swap_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        swap(**{"path": "/swapfile", "size": "2G", **options})  # type: ignore[arg-type]  # wrong on purpose


def test_swap_size_reads_in_units_of_1024() -> None:
    """However it is written."""
    sizes = ["1G", "1GiB", "1 G".replace(" ", ""), 1 << 30, "1024M", "1048576K"]
    assert len({swap("/s", each).build for each in sizes}) == 1  # type: ignore[arg-type]  # mixed on purpose
