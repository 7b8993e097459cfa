"""What a user reads where a host is not ready for a resource: what is wrong, where, and what to do."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow import resources as r
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box, laid
from tests.resources.helpers_services import ran

_BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()
_TREE = Path(__file__).parent / "data"
_PLACE = "mkdir /srv/folder; echo x >/srv/file; mkfifo /srv/pipe; ln -s nowhere /srv/link; echo x >/srv/text"
_LATER = "make it in an earlier step"

# Each tool, its package, and what needs it.
TOOLS: dict[str, tuple[str, Callable[[], kx.Step[Any]]]] = {
    "crontab": ("cron or cronie", lambda: r.cron("a", "x", schedule="@daily")),
    "git": ("git", lambda: r.git("/srv/app", "/srv/app.git", "main")),
    "groupadd": ("passwd", lambda: r.group("web")),
    "hostname": ("hostname", lambda: r.hostname("other")),
    "mkswap": ("util-linux", lambda: r.swap("/srv/swap", "1M")),
    "modprobe": ("kmod", lambda: r.kernel_module("surely_not_there")),
    "mount": ("mount", lambda: r.mount("/srv/m", "tmpfs", fstype="tmpfs")),
    "sysctl": ("procps", lambda: r.sysctl("kernel.panic", 77)),
    "tar": ("tar", lambda: r.sync("/srv/tree", _TREE)),
    "useradd": ("passwd", lambda: r.user("ann")),
    "visudo": ("sudo", lambda: r.sudoers("a", "a ALL=(ALL) ALL")),
}
CASES: list[tuple[Callable[[], kx.Step[Any]], str]] = [
    (lambda: r.file("/srv/new", content="", owner="nobody2"), f"there is no user nobody2: {_LATER}; cannot set"),
    (
        lambda: r.file("/srv/new", content="", group="nobody2"),
        f"there is no group nobody2: {_LATER}; cannot set",
    ),
    (
        lambda: r.directory("/srv/new", owner="nobody2"),
        f"there is no user nobody2: {_LATER}",
    ),
    (
        lambda: r.sync("/srv/new2", _TREE, owner="nobody2"),
        f"there is no user nobody2: {_LATER}; cannot write below",
    ),
    (lambda: r.file("/srv/no/a", content=""), f"there is no folder /srv/no: {_LATER}"),
    (lambda: r.file("/srv/file/a", content=""), "/srv/file is there and no folder"),
    (lambda: r.directory("/srv/no/a"), "there is no folder /srv/no: parents=True makes it"),
    (lambda: r.directory("/srv/file/a"), "/srv/file is there and no folder"),
    (lambda: r.git("/srv/no/a", "/srv/app.git", "main"), f"there is no folder /srv/no: {_LATER}"),
    (lambda: r.git("/srv/file/a", "/srv/app.git", "main"), "/srv/file is there and no folder"),
    (lambda: r.sync("/srv/file/a", _TREE), "/srv/file is there and no folder"),
    (lambda: r.replace("/srv/no", "a", "b"), f"there is no file /srv/no: {_LATER}"),
    (lambda: r.replace("/srv/-f\nx", "a", "b"), rf"there is no file /srv/-f\nx: {_LATER}"),
    (lambda: r.file("/srv/-f\nx/y", content=""), rf"there is no folder /srv/-f\nx: {_LATER}"),
    (lambda: r.file("/srv/tight/f", content="x" * 100_000), "No space left on device; cannot write /srv/tight/f"),
    (lambda: r.mount("/srv/link", "tmpfs", fstype="tmpfs"), "/srv/link is a link that leads nowhere"),
    (lambda: r.user("ann", group="nobody2"), f"there is no group nobody2: {_LATER}"),
    (lambda: r.user("ann", groups=["adm", "nobody2"]), f"there is no group nobody2: {_LATER}"),
    (lambda: r.user("ann", groups=["nobody2"], append=True), f"there is no group nobody2: {_LATER}"),
    (lambda: r.user("ann", group=4999), f"there is no group 4999: {_LATER}"),
    (lambda: r.group("web", members=["nobody2"]), f"there is no user nobody2: {_LATER}"),
    (lambda: r.authorized_key("nobody2", f"ssh-ed25519 {_BLOB}"), f"there is no user nobody2: {_LATER}"),
    (
        lambda: r.sysctl("net.ipv4.nope", 0),
        "this kernel has no /proc/sys/net/ipv4/nope: mend the name, or load the module that",
    ),
    (
        lambda: r.swap("/srv/swap", "1M"),
        "the kernel does not swap to /srv/swap: it takes root, and a file system such as",
    ),
    (lambda: r.timezone("Mars/Base"), "no time zone Mars/Base on this host: there is no /usr/share/zoneinfo/Mars/Base"),
]


@pytest.fixture(scope="module")
def host() -> Iterator[Box]:
    """A clone where nothing that is done here succeeds; root only."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can clone a machine")
    for each in ("unshare", "useradd", "git"):
        need_program(each)
    with laid() as box:
        box.sh(_PLACE)
        box.sh("mkdir /srv/tight; mount -t tmpfs -o size=16k none /srv/tight")
        yield box


def said(host: Box, step: kx.Step[Any]) -> str:
    """What a step that fails says of it."""
    result = ran(host.cluster, step)
    assert result.status is kx.Status.Failed, result
    assert result.error is not None
    return result.error.what


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_is_missing_is_named_with_its_package(host: Box, tool: str) -> None:
    """Before anything is changed."""
    package, make = TOOLS[tool]
    move = "for x in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do [ ! -e $x/$1 ] || mv $x/$1 $x/$2; done"
    host.sh(move, tool, f"{tool}.away")
    try:
        words = said(host, make())
    finally:
        host.sh(move, f"{tool}.away", tool)
    wanted = f"there is no {tool} on this host: install the package {package} in an earlier step"
    assert words == f"{wanted} (exit status 1)"


@pytest.mark.parametrize(("make", "words"), CASES, ids=[words for _, words in CASES])
def test_what_is_in_the_way_is_named_with_what_to_do(host: Box, make: Callable[[], kx.Step[Any]], words: str) -> None:
    """Wrong types, missing folders, owners and groups."""
    assert words in said(host, make())
