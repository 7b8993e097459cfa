"""File systems mounted in a box, and its fstab."""

from __future__ import annotations

import re

import pytest

from kxflow.resources import mount
from kxflow.resources.fstab import mangled, unmangled
from kxflow.values.errors import InvalidError
from kxflow.values.state import state
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, refused, succeeds, undoing

LOOK = """cat /etc/fstab
grep -F /srv/cache /proc/self/mountinfo | sed 's/^[0-9]* [0-9]* [0-9:]* //; s/,inode64//'
ls -d /srv/cache 2>/dev/null"""
NASTY = ["a b", "it's", '"q"', "-x", "$(touch pwned)", "back\\slash", "tab\tbed", "a\nb", "\udcff", "é"]


def seen(box: Box, path: str) -> str:
    """Type and options of what is mounted at a path."""
    return box.sh(f"findmnt -no FSTYPE,OPTIONS '{path}'", ok=False)


@pytest.mark.parametrize(
    "drift",
    [
        "umount /srv/cache",
        "umount /srv/cache; rmdir /srv/cache",
        "sed -i /cache/d /etc/fstab",
        "sed -i s/64k/65k/ /etc/fstab",
        "mount -o remount,suid,ro -t tmpfs tmpfs /srv/cache",
        "umount /srv/cache; mount -t tmpfs -o size=64k,nosuid other /srv/cache",
        "umount /srv/cache; mount --bind /etc /srv/cache",
    ],
)
def test_mount_is_made_repaired_and_undone(box: Box, drift: str) -> None:
    """Mount point, fstab and what is mounted come about, are repaired from any drift, and go by undo."""
    step = mount("/srv/cache", "tmpfs", fstype="tmpfs", options="size=64k,nosuid")
    cycle(box, step, look=LOOK, drift=drift)
    succeeds(box, step)
    assert box.sh("tail -n 1 /etc/fstab") == "tmpfs /srv/cache tmpfs size=64k,nosuid 0 0\n"
    assert "nosuid" in seen(box, "/srv/cache")


def test_mount_of_a_folder_elsewhere_is_made_repaired_and_undone(box: Box) -> None:
    """A bind mount, read-only: its source is told by what it shows."""
    box.sh("mkdir /srv/data /srv/other; echo x >/srv/data/f")
    step = mount("/srv/cache", "/srv/data", options=["bind", "ro"])
    cycle(box, step, look=LOOK, drift="mount -o remount,bind,rw /srv/cache")
    cycle(box, step, look=LOOK, drift="umount /srv/cache; mount --bind /srv/other /srv/cache")
    succeeds(box, step)
    assert box.sh("cat /srv/cache/f; tail -n 1 /etc/fstab") == "x\n/srv/data /srv/cache none bind,ro 0 0\n"


def test_mount_of_a_file_is_made_and_undone(box: Box) -> None:
    """A file may be a mount point as well."""
    box.sh("mkdir -p /srv/cache; echo a >/srv/cache/a; echo b >/srv/cache/b")
    step = mount("/srv/cache/a", "/srv/cache/b", options="bind")
    cycle(box, step, look=f"{LOOK}; cat /srv/cache/a", drift="umount /srv/cache/a")


def test_mount_options_are_changed_in_place(box: Box) -> None:
    """Other options: what is in the file system stays, and undo gives the old ones back."""
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="size=64k"))
    box.sh("echo kept >/srv/cache/f")
    look = "cat /srv/cache/f; tail -n 1 /etc/fstab; findmnt -no VFS-OPTIONS /srv/cache"
    cycle(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="ro,noexec,noatime"), look=look)
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="size=128k"))
    assert "size=128k" in seen(box, "/srv/cache")
    assert box.sh("cat /srv/cache/f") == "kept\n"


def test_mount_options_that_say_yes_are_seen(box: Box) -> None:
    """`suid`, `dev` and `exec` are told by what is not there."""
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="nosuid,noexec"))
    step = mount("/srv/cache", "tmpfs", fstype="tmpfs", options="suid,exec")
    result = succeeds(box, step)
    box.sh("mount -o remount,nosuid tmpfs /srv/cache")
    succeeds(box, step)
    assert "nosuid" not in seen(box, "/srv/cache")
    assert "noexec" not in seen(box, "/srv/cache")
    assert result.change is not None
    assert "-mounted tmpfs tmpfs nosuid,noexec" not in result.change.diff


def test_mount_absent_comes_back_by_undo(box: Box) -> None:
    """Unmounted and out of fstab, and by undo mounted again, from fstab or as the kernel had it."""
    step = mount("/srv/cache", state="absent")
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="size=64k,nosuid"))
    cycle(box, step, look=LOOK)
    box.sh("sed -i /cache/d /etc/fstab")
    cycle(box, step, look=LOOK)
    box.sh(
        "umount /srv/cache; mkdir /srv/data; echo '/srv/data /srv/cache none bind 0 0' >>/etc/fstab; mount /srv/cache"
    )
    cycle(box, step, look=LOOK)
    box.sh("sed -i /cache/d /etc/fstab")
    result = succeeds(box, step)
    with pytest.raises(AssertionError):  # of a folder that was shown there nobody knows any more which it was
        undoing(step, result)
    holds(box, step)


def test_mount_absent_takes_what_is_stacked(box: Box) -> None:
    """Several mounts on one path: all of them go."""
    box.sh("mkdir /srv/cache; for i in 1 2 3; do mount -t tmpfs t /srv/cache; done")
    succeeds(box, mount("/srv/cache", state="absent"))
    assert seen(box, "/srv/cache") == ""


def test_mount_halves_are_seen_to_alone(box: Box) -> None:
    """Only now, or only at the next start."""
    now = mount("/srv/cache", "tmpfs", fstype="tmpfs", fstab=False)
    cycle(box, now, look=LOOK, drift="umount /srv/cache")
    later = mount("/srv/cache", "tmpfs", fstype="tmpfs", mounted=False)
    cycle(box, later, look=LOOK)
    succeeds(box, later)
    assert seen(box, "/srv/cache") == ""
    holds(box, mount("/srv/cache", state="absent", fstab=False))


def test_mount_keeps_the_other_lines_of_fstab(box: Box) -> None:
    """Comments and other lines stay; several lines about this path become one, in the place of the first."""
    box.sh("printf '%s\\n' '# mine' 'a /srv/cache x y' '#b /srv/cache x y 0 0' 'c /srv/cach ext4 d 0 2' "
           "'d\t/srv/cache\tz' >/etc/fstab")  # fmt: skip
    step = mount("/srv/cache", "tmpfs", fstype="tmpfs", mounted=False, dump=1, passno=2)
    result = succeeds(box, step)
    assert box.sh("cat /etc/fstab") == (
        "# mine\ntmpfs /srv/cache tmpfs defaults 1 2\n#b /srv/cache x y 0 0\nc /srv/cach ext4 d 0 2\n"
    )
    assert ensured(result).before == state({"fstab": "a x y 0 0\nd z defaults 0 0"})
    holds(box, step)


@pytest.mark.parametrize("name", NASTY)
def test_mount_paths_are_taken_as_they_are(box: Box, name: str) -> None:
    """Blanks, quotes, dollars, line breaks and bytes that are no UTF-8, in the mount point and in the source."""
    (box.root / "srv" / f"from {name}").mkdir()
    step = mount(f"/srv/{name}", f"/srv/from {name}", options="bind")
    drift = (
        'awk \'{ print $5 }\' /proc/self/mountinfo | grep ^/srv/ | while read -r p; do umount "$(printf %b "$p")"; done'
    )
    cycle(box, step, look="cat /etc/fstab; grep -c srv /proc/self/mountinfo; ls -A /srv", drift=drift)
    succeeds(box, step)
    assert "pwned" not in box.sh("ls -A / /tmp")


def test_mount_point_through_a_link_is_followed(box: Box) -> None:
    """The kernel knows the place itself, fstab the path that was given."""
    box.sh("mkdir -p /srv/real/cache; ln -s real /srv/link")
    step = mount("/srv/link/cache", "tmpfs", fstype="tmpfs")
    look = "cat /etc/fstab; grep -c srv/real/cache /proc/self/mountinfo; readlink /srv/link"
    cycle(box, step, look=look, drift="umount /srv/real/cache")


def test_mount_that_fails_changes_nothing(box: Box) -> None:
    """No such device, type or folder: fstab stays as it is, and no mount point is left."""
    before = box.sh("cat /etc/fstab; ls -A /srv")
    fails(box, mount("/srv/cache", "/dev/nope", fstype="ext4"), "special device /dev/nope does not exist")
    fails(box, mount("/srv/cache", "none", fstype="nope"), "mount: /srv/cache")
    fails(box, mount("/srv/cache", "/srv/nope", options="bind"), "special device /srv/nope does not exist")
    fails(box, mount("/srv/cache", "UUID=12345678-1234-1234-1234-123456789abc", fstype="ext4"), "can't find UUID")
    assert box.sh("cat /etc/fstab; ls -A /srv") == before


def test_mount_that_is_in_use_is_not_taken_away(box: Box) -> None:
    """The kernel says that it is busy, and fstab keeps its line."""
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs"))
    box.sh("cd /srv/cache; setsid sleep 60 >/dev/null 2>&1 </dev/null &")
    before = box.sh(LOOK)
    fails(box, mount("/srv/cache", state="absent"), "target is busy")
    assert box.sh(LOOK) == before


def test_mount_with_a_fstab_that_cannot_be_written_is_a_failure(box: Box) -> None:
    """A read-only /etc: the line stays as it is."""
    box.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    before = box.sh("cat /etc/fstab")
    fails(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", mounted=False), "Read-only file system")
    assert box.sh("cat /etc/fstab; ls -A /etc | grep kx", ok=False) == before


def test_mount_without_rights_is_told_so(box: Box) -> None:
    """A plain user mounts nothing, and changes no line."""
    succeeds(box, mount("/srv/cache", "tmpfs", fstype="tmpfs"))
    refused(box, mount("/srv/cache", state="absent"), "must be superuser", look=LOOK)
    refused(box, mount("/srv/cache", "tmpfs", fstype="tmpfs", options="noexec"), "must be superuser", look=LOOK)
    refused(box, mount("/mnt", "tmpfs", fstype="tmpfs"), "must be superuser", look=LOOK)
    refused(box, mount("/mnt", "tmpfs", fstype="tmpfs", mounted=False), "Permission denied", look=LOOK)


@pytest.mark.parametrize("name", NASTY)
def test_fstab_field_reads_back(name: str) -> None:
    """What is written is one field, and says the same."""
    assert unmangled(mangled(name)) == name
    assert not re.search(r"\s", mangled(name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "cache"}, "path 'cache'"),
        ({"path": "/"}, "path '/'"),
        ({"source": None}, "source None"),
        ({"source": ""}, "source ''"),
        ({"source": "-o"}, "source '-o'"),
        ({"source": "#x"}, "source '#x'"),
        ({"source": "a\0"}, "NUL"),
        ({"fstype": "a b"}, "type 'a b'"),
        ({"fstype": "swap"}, "for swap there is swap()"),
        ({"fstype": "-t"}, "type '-t'"),
        ({"options": ""}, "options ''"),
        ({"options": "ro, nosuid"}, "options 'ro, nosuid'"),
        ({"options": ["a,b"]}, "options ['a,b']"),
        ({"options": []}, "options []"),
        ({"options": 7}, "options 7"),
        ({"dump": -1}, "dump=-1"),
        ({"passno": True}, "passno=True"),
        ({"mounted": False, "fstab": False}, "neither mounted nor fstab"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent"}, "absent, and with a source"),
    ],
)
def test_mount_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        mount(**{"path": "/srv/cache", "source": "tmpfs", **options})  # type: ignore[arg-type]  # wrong on purpose
