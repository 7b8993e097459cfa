"""Unit files, by the real systemd in a clone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.ensure import undo_of
from kxflow.resources import service, systemd_unit
from kxflow.testing.plugin import MakeCloneFleet
from tests.resources.conftest import Box
from tests.resources.helpers_services import before, cycle, done, ran, undone

PATH = "/etc/systemd/system/kxd.service"


def unit(seconds: int = 100) -> kx.Step[Any]:
    """A service that sleeps so long."""
    return systemd_unit("kxd.service", content=f"[Service]\nExecStart=/usr/bin/sleep {seconds}\n")


def test_a_unit_is_written_read_and_taken_back(clone_fleet: MakeCloneFleet) -> None:
    """Fresh, again, drifted, undone; changed, not yet read, broken, a drop-in, a template, a masked one."""
    fleet = clone_fleet(1, via=True, init="systemd")

    def sh(text: str) -> str:
        return str(ran(fleet.cluster, kx.command("sh", text, ok_codes=range(256))).stdout)

    def known(name: str = "kxd.service") -> str:
        return sh(f"systemctl show -p LoadState -p NeedDaemonReload -p ExecStart -p LimitNOFILE {name}; cat {PATH}")

    first = cycle(fleet.cluster, unit(), drift=lambda: sh(f"echo '#' >>{PATH}"), seen=known)
    assert first.change is not None
    assert "+ExecStart=/usr/bin/sleep 100" in first.change.diff

    done(fleet.cluster, unit())
    done(fleet.cluster, service("kxd", running=True))
    changed = done(fleet.cluster, unit(200))
    assert "sleep 200" in sh("systemctl show -p ExecStart kxd")
    assert undone(fleet.cluster, unit(200), before(changed)).status is kx.Status.Succeeded
    assert "sleep 100" in sh("systemctl show -p ExecStart kxd")

    sh(f"sed -i s/100/300/ {PATH}; touch -d '1 minute' {PATH}")
    unread = done(fleet.cluster, unit(300))
    assert unread.change is not None
    assert unread.change.diff == "-loaded stale\n+loaded yes"

    broken = ran(fleet.cluster, systemd_unit("kxbad.service", content="[Service]\nType=no\n"))
    assert broken.error is not None
    assert "found loaded bad-setting" in broken.error.what

    drop = systemd_unit("kxd.service.d/limit.conf", content="[Service]\nLimitNOFILE=7777\n")
    limited = f"rm {PATH}.d/limit.conf"
    cycle(fleet.cluster, drop, drift=lambda: sh(limited), seen=lambda: known() + sh(f"cat {PATH}.d/*"))
    done(fleet.cluster, systemd_unit("kxt@.service", content="[Service]\nExecStart=/usr/bin/sleep 1%i\n"))
    done(fleet.cluster, service("kxt@9", running=True))

    sh("systemctl mask kxm.service")
    masked = done(fleet.cluster, systemd_unit("kxm.service", content="[Service]\nExecStart=/bin/true\n"))
    assert before(masked)["sha256"] == "link"
    assert sh("ls -l /dev/null").startswith("c")
    action = systemd_unit("kxm.service", content="x").action(kx.context("a"))
    assert undo_of(action, before(masked)) is None

    gone = done(fleet.cluster, systemd_unit("kxm.service", state="absent"))
    assert "not-found" in sh("systemctl show -p LoadState kxm.service")
    assert undone(fleet.cluster, systemd_unit("kxm.service", state="absent"), before(gone)).status.ok
    assert "LoadState=loaded" in sh("systemctl show -p LoadState kxm.service")


def test_without_a_running_systemd_the_file_is_enough(box: Box) -> None:
    """As in an image that is being made."""
    cycle(
        box.cluster,
        unit(),
        drift=lambda: box.path(PATH).chmod(0o600),
        seen=lambda: box.sh(f"cat {PATH}; stat -c %a {PATH}; :", ok=False),
    )


@pytest.mark.parametrize(
    "name",
    ["", "a", "a.b", "-a.service", "../a.service", "a/b.service", "a b.service", "a.service\n", "$(x).service",
     "a.service.d/x", "a.service.d/../x.conf", "é.service", "a.device"],
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused_at_once(name: str) -> None:
    """No host is asked."""
    with pytest.raises(kx.InvalidError, match="cannot be one"):
        systemd_unit(name, content="[Unit]\n")


def test_contradictions_are_refused_at_once() -> None:
    """Each says what to write."""
    cases: list[Callable[[], kx.Step[Any]]] = [
        lambda: systemd_unit("a.service"),
        lambda: systemd_unit("a.service", content="x", state="absent"),
        lambda: systemd_unit("a.service", content=" "),
        lambda: systemd_unit("a.service", content="x" * 70_000),
        lambda: systemd_unit("a.service", content="x", state="gone"),  # type: ignore[arg-type]  # what a user may write
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"^systemd_unit"):
            wrong()
