"""Settings of a system whose `/etc` takes nothing: read-only, or full. They fail, and every file is as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

import kxflow as kx
from kxflow.resources import (
    apt_repository,
    cron,
    group,
    hostname,
    hosts_entry,
    kernel_module,
    mount,
    service,
    sudoers,
    sysctl,
    systemd_unit,
    timezone,
    user,
)
from tests.resources.conftest import Box
from tests.resources.helpers_files import fails, succeeded
from tests.resources.test_service import SCRIPT

Make = Callable[[], kx.Step[Any]]
LONG: Final = "x" * 3000
WRITES: Final[dict[str, Make]] = {
    "cron": lambda: cron("tidy", f"true {LONG[:900]}", schedule="@daily", user="root", file="kx"),
    "cron changed": lambda: cron("kept", "true", schedule="@daily", user="root", file="kept"),
    "group": lambda: group("web"),
    "group changed": lambda: group("kxg", members=["bin"]),
    "hostname": lambda: hostname("web1"),
    "hosts_entry": lambda: hosts_entry("10.0.0.5", "db"),
    "kernel_module": lambda: kernel_module("zram", loaded=False),
    "mount": lambda: mount("/srv/x", "tmpfs", fstype="tmpfs", mounted=False),
    "sudoers": lambda: sudoers("kx", f"# {LONG}\n%sudo ALL=(root) /bin/true"),
    "sysctl": lambda: sysctl("vm.swappiness", 10, runtime=False),
    "systemd_unit": lambda: systemd_unit("kx.service", content=f"# {LONG}\n[Service]\nExecStart=/bin/true\n"),
    "user": lambda: user("ann"),
    "user changed": lambda: user("kxu", comment="Ann"),
}
LINKS: Final[dict[str, Make]] = {  # they take no room
    "service": lambda: service("kxd", enabled=True),
    "timezone": lambda: timezone("Europe/Berlin"),
    "user absent": lambda: user("kxu", state="absent"),
    "group absent": lambda: group("kxg", state="absent"),
    "sudoers absent": lambda: sudoers("kept", state="absent"),
    "cron absent": lambda: cron("kept", state="absent", file="kept"),
}

_SEE: Final = """
cd /etc; find . ! -name '*-' -printf '%p %y %m %U %G %l\\n' | sort
find . -type f ! -name '*-' ! -name full -exec sha256sum {} + | sort; uname -n; id kxu 2>&1; getent group kxg
"""


@pytest.fixture
def etc(box: Box) -> Box:
    """A box whose `/etc` is a file system of its own, with room for some more."""
    box.sh("cat >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd; update-rc.d kxd defaults-disabled", stdin=SCRIPT)
    box.sh("useradd -u 4321 kxu; groupadd kxg")
    for step in (
        cron("kept", "false", schedule="@daily", user="root", file="kept"),
        sudoers("kept", "%sudo ALL=(root) /bin/false"),
        timezone("Etc/UTC"),
    ):
        result = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", kx.task("t", step))), box.cluster)).results[0]
        assert result.ok, result.error
    box.sh(
        "cp -a /etc /srv/etc; mount -t tmpfs -o size=64m,mode=755 etc /etc; cp -a /srv/etc/. /etc; rm -f /etc/*.lock"
    )
    return box


def test_a_read_only_etc_fails_everything(etc: Box) -> None:
    """In the words of the tools; what is as wanted is still seen to be."""
    etc.sh("mount -o remount,ro /etc")
    before = etc.sh(_SEE)
    for what, make in (WRITES | LINKS).items():
        fails(make(), cluster=etc.cluster)
        assert etc.sh(_SEE) == before, what


def test_a_full_etc_fails_what_writes(etc: Box) -> None:
    """As much is free as before; with room, all of it comes about."""
    etc.sh("cat /dev/zero >/etc/full", ok=False)
    before = etc.sh(_SEE)
    for what, make in WRITES.items():
        fails(make(), cluster=etc.cluster)
        assert etc.sh(_SEE) == before, what
    etc.sh("rm /etc/full")
    for make in WRITES.values():
        succeeded(make(), etc.cluster)


def test_apt_repository_on_a_read_only_etc_leaves_it(etc: Box) -> None:
    """Neither sources nor key."""
    etc.sh("mount -o remount,ro /etc")
    before = etc.sh(_SEE)
    fails(apt_repository("kx", uris="file:/srv/debs", suites="./", key=None, trusted=True), cluster=etc.cluster)
    assert etc.sh(_SEE) == before
