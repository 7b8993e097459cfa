"""All of the system's settings together: nothing to do the second time, and nothing left of them when undone."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

import kxflow as kx
from kxflow import resources
from kxflow.flow.step import Step
from kxflow.testing.plugin import need_program
from tests.resources.helpers_system import SHELLS, Box, speaks, undoing

HASH = kx.Secret("$6$saltsalt$" + "x" * 86)
_BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()
LOOK = """
find /etc /srv -xdev ! -name '*[-+]' ! -name 'kxflow-*' ! -name '*.lock' -printf '%p %m %U %G %l\\n' | sort
cd /etc; cat passwd group shadow gshadow hosts fstab hostname timezone
uname -n; cat /proc/sys/net/ipv4/ip_forward; cut -d' ' -f5- /proc/self/mountinfo; ls -A /home/ann
"""


def steps() -> list[Step[Any]]:
    """One of each."""
    r = resources
    return [
        r.group("web", gid=4242, members=["bin"]),
        r.user("ann", uid=4243, groups=["adm", "audio"], shell="/bin/sh", password=HASH, expires=dt.date(2040, 1, 1)),
        r.authorized_key("ann", f"ssh-ed25519 {_BLOB} ann@desk"),
        r.sudoers("ann", "ann ALL=(root) NOPASSWD: /bin/true"),
        r.cron("tidy", "tidy --all", schedule="0 3 * * 1-5", user="ann", file="tidy"),
        r.sysctl("net.ipv4.ip_forward", 1),
        r.hosts_entry("10.0.0.5", "db.example.com", "db"),
        r.hostname("web1"),
        r.timezone("Europe/Berlin"),
        r.git("/srv/app", "/srv/app.git", "v1"),
        r.mount("/srv/my cache", "tmpfs", fstype="tmpfs", options="size=64k,nosuid"),
        r.kernel_module("zram", loaded=False),
    ]


@pytest.fixture
def place(box: Box) -> Box:
    """A box with a repository."""
    for each in ("git", "visudo"):
        need_program(each)
    box.sh("""cd /srv; git init -q work; cd work; git config user.email a@b; git config user.name a
        echo 1 >f; git add f; git commit -qm 1; git tag v1; git clone -q --bare . /srv/app.git 2>&1""")
    return box


@pytest.mark.parametrize("shell", SHELLS)
def test_system_settings_hold_the_second_time_and_leave_nothing_when_undone(place: Box, shell: str) -> None:
    """Laws 9 and 12, whatever the host's `sh` is: one of each kind, fused into one program."""
    speaks(place, shell)
    before = place.sh(LOOK, ok=False)
    first = place.run(*steps())
    assert [each.status.name for each in first] == ["Succeeded"] * len(first), [each.error for each in first]
    assert all(each.change is not None for each in first)
    between = place.sh(LOOK, ok=False)
    second = place.run(*steps())
    assert [each.status.name for each in second] == ["Skipped"] * len(second)
    assert place.sh(LOOK, ok=False) == between
    undone = place.run(*(undoing(step, result) for step, result in reversed(list(zip(steps(), first, strict=True)))))
    assert [each.status.name for each in undone] == ["Succeeded"] * len(undone), [each.error for each in undone]
    assert place.sh(LOOK, ok=False) == before


def test_system_settings_say_nothing_of_a_password(place: Box) -> None:
    """Law 14: the hash is in no text of a result, whatever else is told."""
    for result in place.run(*steps()):
        assert HASH.reveal() not in f"{result!r}{result.change!r}{result.payload!r}{result.stdout!r}{result.stderr!r}"


def test_resources_load_when_asked_for() -> None:
    """What is listed is there, and a name that is not says so."""
    assert resources.__all__ == sorted(resources.__all__)
    assert all(callable(getattr(resources, name)) for name in resources.__all__)
    assert set(resources.__all__) <= set(dir(resources))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        resources.nothing  # noqa: B018 -- that is the test
