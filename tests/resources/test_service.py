"""Services: SysV scripts in a box, the real systemd in a clone, and OpenRC by what its tools were seen to reply."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import reload_service, restart_service, service
from kxflow.testing.plugin import MakeCloneFleet, need_program
from kxflow.values.action import repeats
from tests.resources.conftest import Box
from tests.resources.helpers_services import before, cycle, done, ran, undone

SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides:          kxd
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: for a test
### END INIT INFO
daemon="--pidfile /run/kxd.pid --exec /usr/bin/sleep"
case $1 in
  start)
    [ ! -e /run/broken ] || { echo 'kxd is broken'; exit 1; }
    echo "starting as $$"
    start-stop-daemon --start --oknodo --background --make-pidfile $daemon -- infinity
    ;;
  stop) start-stop-daemon --stop --retry 5 --oknodo --remove-pidfile $daemon ;;
  restart) "$0" stop; "$0" start ;;
  reload) echo reloaded >>/run/kxd.log ;;
  status) [ ! -e /run/odd ] || exit 4; start-stop-daemon --status $daemon ;;
  *) exit 2 ;;
esac
"""

UNITS = r"""
cat >/etc/systemd/system/kxd.service <<'E'
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/usr/bin/touch /run/reloaded
[Install]
WantedBy=multi-user.target
E
cat >/etc/systemd/system/kxbad.service <<'E'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo it is broken; exit 3'
E
cat >/etc/systemd/system/kxtry@.service <<'E'
[Service]
ExecStart=/usr/bin/sleep infinity
E
"""


NONE = "there is no service nope: install what brings it in an earlier step (exit status 1)"


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


@pytest.fixture
def sysv(box: Box) -> Box:
    """A box with a SysV service `kxd`, and nothing else that starts services."""
    for each in ("start-stop-daemon", "service", "update-rc.d"):
        need_program(each)
    box.sh("cat >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd", stdin=SCRIPT)
    return box


def links(box: Box) -> str:
    """Runlevels in which `kxd` is started, and whether it runs."""
    runs = "service kxd status >/dev/null && echo runs || echo stands"
    return box.sh(f"cd /etc; ls -d rc*.d/S*kxd 2>/dev/null; {runs}")


def test_a_sysv_service_runs_and_is_enabled_and_is_put_back(sysv: Box) -> None:
    """Fresh, again, drifted, undone."""
    first = cycle(
        sysv.cluster,
        service("kxd", running=True, enabled=True),
        drift=lambda: sysv.sh("service kxd stop"),
        seen=lambda: links(sysv),
    )
    assert first.change is not None
    assert first.change.diff == "-enabled no\n-running no\n+enabled yes\n+running yes"


def test_a_sysv_service_is_stopped_and_disabled(sysv: Box) -> None:
    """The other way round; an attribute that is not given is left alone."""
    done(sysv.cluster, service("kxd", running=True, enabled=True))
    started = links(sysv)
    assert started.splitlines() == ["rc2.d/S01kxd", "rc3.d/S01kxd", "rc4.d/S01kxd", "rc5.d/S01kxd", "runs"]
    cycle(
        sysv.cluster,
        service("kxd", running=False, enabled=False),
        drift=lambda: sysv.sh("update-rc.d kxd enable"),
        seen=lambda: links(sysv),
    )
    done(sysv.cluster, service("kxd", running=False))
    assert links(sysv).splitlines()[:4] == started.splitlines()[:4]
    done(sysv.cluster, service("kxd", enabled=False))
    assert links(sysv) == "stands\n"


def test_restart_and_reload_do_it_each_time_and_say_so(sysv: Box) -> None:
    """They are one-shot: a second run succeeds again, and a flag tells."""
    done(sysv.cluster, service("kxd", running=True))
    pids = set()
    for _ in range(2):
        assert ran(sysv.cluster, restart_service("kxd")).status is kx.Status.Succeeded
        assert ran(sysv.cluster, reload_service("kxd")).status is kx.Status.Succeeded
        pids.add(sysv.sh("cat /run/kxd.pid"))
    assert len(pids) == 2
    assert sysv.sh("cat /run/kxd.log") == "reloaded\nreloaded\n"
    ctx = kx.context("box")
    assert repeats(restart_service("kxd").action(ctx))
    assert repeats(reload_service("kxd").action(ctx))
    assert not repeats(service("kxd", running=True).action(ctx))


@pytest.mark.parametrize("shell", ["busybox", "mksh", "zsh", "bash"])
def test_every_shell_of_a_host_can_do_it(sysv: Box, shell: str) -> None:
    """The words are POSIX."""
    sysv.sh(f"ln -sf {need_program(shell)} /bin/sh")
    step = service("kxd", running=True, enabled=True)
    first = done(sysv.cluster, step)
    assert ran(sysv.cluster, step).status is kx.Status.Skipped
    assert undone(sysv.cluster, step, before(first)).status.ok
    assert ran(sysv.cluster, service("kxd", running=False, enabled=False)).status is kx.Status.Skipped


def test_a_service_that_fails_says_why(sysv: Box) -> None:
    """What its script said is kept; the target state did not come about."""
    sysv.sh("touch /run/broken")
    result = ran(sysv.cluster, service("kxd", running=True))
    assert "kxd cannot start: exit status 1 (exit status 1)" in failure(result)
    assert "kxd is broken" in str(result.stderr)
    sysv.sh("touch /run/odd")
    assert "its status ends with 4" in failure(ran(sysv.cluster, service("kxd", running=True)))
    assert ran(sysv.cluster, service("kxd", enabled=False)).status is kx.Status.Skipped


def test_a_script_that_ends_before_its_daemon_has_begun_is_waited_for(sysv: Box) -> None:
    """What the script starts is up a moment later."""
    late = SCRIPT.replace("start-stop-daemon --start", "(sleep 0.3; start-stop-daemon --start").replace(
        "-- infinity", "-- infinity) &"
    )
    sysv.sh("cat >/etc/init.d/kxd", stdin=late)
    done(sysv.cluster, service("kxd", running=True))


@pytest.mark.parametrize("step", [partial(service, running=False), partial(service, enabled=True), restart_service])
def test_a_service_that_is_not_there_fails_and_says_so(sysv: Box, step: Callable[[str], kx.Step[Any]]) -> None:
    """Also where it is to be stopped: the name may be wrong."""
    assert failure(ran(sysv.cluster, step("nope"))) == NONE


def test_only_systemd_can_mask(sysv: Box) -> None:
    """Elsewhere it fails before anything is done."""
    assert "only systemd can mask" in failure(ran(sysv.cluster, service("kxd", masked=True)))


def test_a_host_without_anything_that_starts_services_fails(sysv: Box) -> None:
    """It names what it looked for."""
    sysv.sh("mv /etc/init.d /etc/init.gone")
    assert "no systemd, openrc, sysv" in failure(ran(sysv.cluster, service("kxd", running=True)))


@pytest.fixture
def openrc(box: Box) -> Box:
    """A box with stand-ins for OpenRC's tools, that reply as version 0.45 was seen to do."""
    for name, text in OPENRC.items():
        box.sh(f"cat >/usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}", stdin=text)
    box.sh(
        "mkdir -p /run/openrc /etc/runlevels/default /etc/runlevels/boot; touch /run/openrc/softlevel;"
        "printf '#!/sbin/openrc-run\n' >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd"
    )
    return box


OPENRC = {
    "rc-service": r"""#!/bin/sh
[ -x "/etc/init.d/$1" ] || { echo " * rc-service: service \`$1' does not exist" >&2; exit 1; }
echo "$@" >>/run/asked
case $2 in
  status)
    [ -e "/run/started-$1" ] && { echo ' * status: started'; exit 0; }
    echo ' * status: stopped'
    exit 3
    ;;
  start)
    [ ! -e /run/broken ] || { echo " * Failed to start $1"; echo " * ERROR: $1 failed to start" >&2; exit 1; }
    [ ! -e "/run/started-$1" ] || echo " * WARNING: $1 has already been started" >&2
    echo " * Starting $1 ... [ ok ]"
    : >"/run/started-$1"
    ;;
  stop) echo " * Stopping $1 ... [ ok ]"; rm -f "/run/started-$1" ;;
esac
""",
    "rc-update": r"""#!/bin/sh
quiet=
[ "$1" != -q ] || { quiet=1; shift; }
say() { [ "$quiet" ] || echo " * $1"; }
link=/etc/runlevels/$3/$2
case $1 in
  add)
    [ -e "/etc/init.d/$2" ] || { echo " * rc-update: service \`$2' does not exist" >&2; exit 1; }
    [ ! -h "$link" ] || { say "rc-update: $2 already installed in runlevel \`$3'; skipping"; exit 0; }
    ln -s "/etc/init.d/$2" "$link"
    say "service $2 added to runlevel $3"
    ;;
  del)
    [ -h "$link" ] || { echo " * rc-update: service \`$2' is not in the runlevel \`$3'" >&2; exit 1; }
    rm "$link"
    say "service $2 removed from runlevel $3"
    ;;
esac
""",
}


def test_an_openrc_service_runs_and_is_enabled_and_is_put_back(openrc: Box) -> None:
    """Fresh, again, drifted, undone; whatever runlevel it is in, it is disabled in all."""

    def seen() -> str:
        return openrc.sh("ls -d /run/started* /etc/runlevels/*/kxd 2>/dev/null; :")

    cycle(
        openrc.cluster,
        service("kxd", running=True, enabled=True),
        drift=lambda: openrc.sh("rm /run/started-kxd; mv /etc/runlevels/default/kxd /etc/runlevels/boot"),
        seen=lambda: seen().replace("boot", "default"),
    )
    openrc.sh("for x in boot default; do ln -s /etc/init.d/kxd /etc/runlevels/$x; done")
    done(openrc.cluster, service("kxd", running=False, enabled=False, init="openrc").named("off"))
    assert seen() == ""


def test_openrc_says_what_failed(openrc: Box) -> None:
    """A start that fails, a service that is not there; a restart reaches the script."""
    openrc.sh("touch /run/broken")
    result = ran(openrc.cluster, service("kxd", running=True))
    assert "kxd cannot start: exit status 1 (exit status 1)" in failure(result)
    assert "ERROR: kxd failed to start" in str(result.stderr)
    assert failure(ran(openrc.cluster, reload_service("nope"))) == NONE
    assert ran(openrc.cluster, restart_service("kxd")).status is kx.Status.Succeeded
    assert openrc.sh("tail -n 1 /run/asked") == "kxd restart\n"


def test_a_systemd_service_runs_and_is_enabled_and_is_put_back(clone_fleet: MakeCloneFleet) -> None:
    """The real systemd: fresh, again, drifted, undone; masked, restarted, reloaded, an instance of a template."""
    fleet = clone_fleet(1, via=True, init="systemd", prepare=UNITS)

    def sh(text: str) -> str:
        return str(ran(fleet.cluster, kx.command("sh", text, ok_codes=range(256))).stdout)

    states = "systemctl show -p ActiveState -p UnitFileState -- "
    cycle(
        fleet.cluster,
        service("kxd", running=True, enabled=True),
        drift=lambda: sh("systemctl disable kxd; systemctl kill -s KILL kxd; systemctl stop kxd"),
        seen=lambda: sh(f"{states} kxd"),
    )
    done(fleet.cluster, service("kxd", running=True))
    pid = sh("systemctl show -p MainPID kxd")
    assert ran(fleet.cluster, restart_service("kxd")).status is kx.Status.Succeeded
    assert sh("systemctl show -p MainPID kxd") != pid
    assert ran(fleet.cluster, reload_service("kxd.service")).status is kx.Status.Succeeded
    assert sh("ls /run/reloaded") == "/run/reloaded\n"
    assert ran(fleet.cluster, service("kxtry@a:b", running=True, enabled=False)).status is kx.Status.Succeeded
    masking = cycle(
        fleet.cluster,
        service("kxtry@x", masked=True),
        drift=lambda: sh("systemctl unmask kxtry@x"),
        seen=lambda: sh(f"{states} kxtry@x"),
    )
    assert before(masking) == {"masked": "no"}


def test_systemd_says_what_failed(clone_fleet: MakeCloneFleet) -> None:
    """With the last lines of its log; one that cannot be enabled is not taken for one that is."""
    fleet = clone_fleet(1, via=True, init="systemd", prepare=UNITS)
    result = ran(fleet.cluster, service("kxbad", running=True))
    assert "Job for kxbad.service failed because the control process exited" in failure(result)
    assert "it is broken" in str(result.stderr)
    assert "Job for kxbad.service failed" in failure(ran(fleet.cluster, restart_service("kxbad")))
    assert ran(fleet.cluster, service("kxbad", running=False, enabled=False)).status is kx.Status.Skipped
    assert "wanted enabled yes, found enabled static" in failure(ran(fleet.cluster, service("kxbad", enabled=True)))
    assert failure(ran(fleet.cluster, service("nope", running=False))) == NONE
    assert failure(ran(fleet.cluster, reload_service("nope"))) == NONE
    assert "its probe ended with exit status" in failure(ran(fleet.cluster, service("kxtry@", running=True)))


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", "a/b", "a;touch pwned", "$(touch pwned)", "a'b", "a\nb", "é", "a*"]
)
def test_a_name_that_cannot_be_is_refused_at_once(name: str) -> None:
    """No host is asked."""
    for make in (partial(service, running=True), restart_service, reload_service):
        with pytest.raises(kx.InvalidError, match="cannot be one"):
            make(name)


def test_contradictions_are_refused_at_once() -> None:
    """Each says what to write."""
    cases: list[Callable[[], kx.Step[Any]]] = [
        lambda: service("a"),
        lambda: service("a", masked=True, running=True),
        lambda: service("a", masked=True, enabled=True),
        lambda: service("a", running=True, init="upstart"),  # type: ignore[arg-type]  # what a user may write
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"^service a"):
            wrong()
