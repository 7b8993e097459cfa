"""The name of a box."""

from __future__ import annotations

import pytest

from kxflow.resources import hostname
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, fails, refused, speaks, with_env

LOOK = "uname -n; cat /etc/hostname"


@pytest.fixture
def named(box: Box) -> Box:
    """A box that is called old."""
    box.sh("hostname old; echo old >/etc/hostname")
    return box


@pytest.mark.parametrize("drift", ["hostname other", "echo other >/etc/hostname", "rm /etc/hostname"])
def test_hostname_is_set_repaired_and_undone(named: Box, drift: str) -> None:
    """Both the kernel and the file have it; undo gives both the old one."""
    cycle(named, hostname("web-1.example.com"), look=LOOK, drift=drift)


def test_hostname_undone_takes_a_file_away_that_was_not_there(named: Box) -> None:
    """A host without the file has none again."""
    named.sh("rm /etc/hostname")
    cycle(named, hostname("web1"), look=LOOK)


def test_hostname_in_a_file_with_comments_is_seen(named: Box) -> None:
    """The first line that is no comment counts."""
    named.sh("hostname web1; printf '# the name\\n\\nweb1' >/etc/hostname")
    before = named.sh(LOOK)
    named.one(hostname("web1"))
    assert named.sh(LOOK) == before


@pytest.mark.parametrize("shell", ["dash", "zsh"])
def test_hostname_is_all_or_nothing(named: Box, shell: str) -> None:
    """Where the kernel or the file does not take it, both keep the old one; zsh ends a pipeline in its own process."""
    speaks(named, shell)
    before = named.sh(LOOK)
    named.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    fails(named, hostname("web1"), "Read-only file system")
    assert named.sh(LOOK) == before
    named.sh("umount /etc; mkdir /srv/bin; printf '#!/bin/sh\\necho no >&2; exit 1\\n' >/srv/bin/hostname; "
             "chmod 755 /srv/bin/hostname")  # fmt: skip
    fails(named, with_env(hostname("web1"), PATH="/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "no")
    assert named.sh(LOOK) == before


def test_hostname_without_rights_is_told_so(named: Box) -> None:
    """A plain user renames no host."""
    refused(named, hostname("web1"), "you must be root", look=LOOK)


@pytest.mark.parametrize("called", ["", "a b", "-a", "a-", "a..b", ".a", "a_b", "a.", "a\n", "$(id)", "a" * 65, 7])
def test_hostname_that_cannot_be_is_refused(called: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match="cannot be one"):
        hostname(called)
