"""The time zone of a box."""

from __future__ import annotations

from pathlib import Path

import pytest

from kxflow.resources import timezone
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, fails, refused, succeeds, undoing

LOOK = "readlink /etc/localtime; cat /etc/timezone; date +%Z; ls -A /etc | grep localtime"


@pytest.fixture
def zoned(box: Box) -> Box:
    """A box in Tokyo."""
    if not Path("/usr/share/zoneinfo/Asia/Tokyo").exists():
        pytest.skip("not run: no tzdata here")
    box.sh("ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime; echo Asia/Tokyo >/etc/timezone")
    return box


@pytest.mark.parametrize(
    "drift",
    [
        "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime",
        "echo Etc/UTC >/etc/timezone",
        "rm /etc/localtime /etc/timezone",
        "cp --remove-destination /usr/share/zoneinfo/Etc/UTC /etc/localtime",
    ],
)
def test_timezone_is_set_repaired_and_undone(zoned: Box, drift: str) -> None:
    """Link and file lead to it; undo leads them back."""
    cycle(zoned, timezone("Europe/Berlin"), look=LOOK, drift=drift)


def test_timezone_where_there_was_none_is_undone(zoned: Box) -> None:
    """A host without link and file has none again."""
    zoned.sh("rm /etc/localtime /etc/timezone")
    cycle(zoned, timezone("America/Argentina/Buenos_Aires"), look=LOOK)


def test_timezone_that_was_copied_cannot_be_undone(zoned: Box) -> None:
    """A copy is replaced by a link; what it held is not known."""
    zoned.sh("cp --remove-destination /usr/share/zoneinfo/Etc/UTC /etc/localtime")
    step = timezone("Europe/Berlin")
    result = succeeds(zoned, step)
    assert zoned.sh("date +%Z").strip() in ("CET", "CEST")
    with pytest.raises(AssertionError):
        undoing(step, result)


def test_timezone_that_the_host_has_not_is_a_failure(zoned: Box) -> None:
    """A misspelled one, a folder of zones, and a disk that is read-only change nothing."""
    before = zoned.sh(LOOK)
    fails(zoned, timezone("Europe/Berlln"), "no time zone Europe/Berlln on this host")
    fails(zoned, timezone("Europe"), "no time zone Europe on this host")
    zoned.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    fails(zoned, timezone("Europe/Berlin"), "Read-only file system")
    assert zoned.sh(LOOK) == before


def test_timezone_without_rights_is_told_so(zoned: Box) -> None:
    """A plain user moves no host."""
    refused(zoned, timezone("Europe/Berlin"), "Permission denied", look=LOOK)


@pytest.mark.parametrize("zone", ["", "../x", "/etc/passwd", "a b", "Europe/", "$(id)", "a\n", "Europe//Berlin", 1])
def test_timezone_that_cannot_be_is_refused(zone: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match="cannot be one"):
        timezone(zone)
