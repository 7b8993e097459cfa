"""Fleets of real OpenSSH servers, and accounts to log in to."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from kxflow.connectors.ssh import SshConnector
from kxflow.interpreters.ports import Link, ReachError
from kxflow.testing import account
from kxflow.testing.fleet import until
from kxflow.testing.missing import MissingError, program
from kxflow.testing.plugin import MakeSshdFleet, need_program
from kxflow.testing.processes import sh
from kxflow.testing.sshd import sshd_fleet as start
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError


def on(cluster: Cluster, use: Callable[[Link], Awaitable[Any]], name: str = "host1") -> Any:
    """Use a link to a host."""

    async def main() -> Any:
        connector = SshConnector(tries={})
        link = await connector.connect(cluster[name], cluster)
        try:
            return await use(link)
        finally:
            await link.aclose()
            await connector.aclose()

    return anyio.run(main)


def test_each_host_has_its_own_home(sshd_fleet: MakeSshdFleet) -> None:
    """HOME is the fleet's, so that its files do not meet those of whoever runs this; its `.bashrc` is read there."""
    fleet = sshd_fleet(2)
    for host in fleet.hosts:
        done = on(fleet.cluster, lambda link: sh(link, 'echo "$HOME"'), host.name)
        assert done.out.decode() == f"{fleet.home(host.name)}\n"


def test_configuration_lines_hold_over_the_usual_ones(sshd_fleet: MakeSshdFleet) -> None:
    """Also those that stand in a Match block, and by index."""
    lines = [["SetEnv KX_ONE=1", "PubkeyAuthentication yes"], ["Match all", "  PubkeyAuthentication no"]]
    fleet = sshd_fleet(2, config=lambda i: lines[i])
    assert on(fleet.cluster, lambda link: sh(link, "echo in")).out == b"in\n"
    with pytest.raises(ReachError) as caught:
        on(fleet.cluster, lambda link: sh(link, "echo in"), "host2")
    assert caught.value.fault.code == "auth"


def test_sessions_are_found_and_killed(sshd_fleet: MakeSshdFleet) -> None:
    """Those of one host, not of the other, and not its listener."""
    fleet = sshd_fleet(2)

    async def use(link: Link) -> bytes:
        process = await link.spawn(("sh", "-c", "echo begun; cat"))
        await process.read_stdout()
        assert fleet.session_pids("host1")
        assert not fleet.session_pids("host2")
        fleet.kill_sessions("host1")
        return await process.read_stdout()

    assert on(fleet.cluster, use) == b""
    until(lambda: not fleet.session_pids("host1"), "the sessions are gone")
    assert on(fleet.cluster, lambda link: sh(link, "echo again")).out == b"again\n"


def test_stopped_listener_keeps_its_sessions(sshd_fleet: MakeSshdFleet) -> None:
    """New connections are refused, the open one works on; then it listens again."""
    fleet = sshd_fleet(1)

    async def use(link: Link) -> bytes:
        await anyio.to_thread.run_sync(fleet.stop, "host1")
        with pytest.raises(ReachError) as caught:
            await SshConnector(tries={}).connect(fleet.hosts[0], fleet.cluster)
        assert caught.value.fault.code == "refused"
        assert fleet.session_pids("host1")
        return (await sh(link, "echo still")).out

    assert on(fleet.cluster, use) == b"still\n"
    fleet.start("host1")
    assert on(fleet.cluster, lambda link: sh(link, "echo again")).out == b"again\n"


def test_end_of_the_fleet_ends_what_it_started() -> None:
    """Servers, sessions, and processes that left them."""
    need_program("sshd")
    with start(1) as fleet:
        done = on(fleet.cluster, lambda link: sh(link, "setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!"))
        pid = int(done.out)
        assert Path(f"/proc/{pid}").exists()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in _state(pid), "the daemon is gone")


def test_server_that_does_not_start_says_why() -> None:
    """What sshd says about its configuration is in the error."""
    need_program("sshd")
    with pytest.raises(MissingError, match="NoSuchOption"), start(1, config=["NoSuchOption yes"]):
        pass


def test_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that somebody knows what to install."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingError, match="openssh-server"):
        program("sshd")


def test_account_lives_as_long_as_the_test(sshd_fleet: MakeSshdFleet) -> None:
    """Its shell, its own home, its key and its processes; afterwards nothing is left of it."""
    need_program("useradd")
    fleet = sshd_fleet(1)
    with account("kx-account", shell="bash") as who:
        text = "id -un; echo $HOME; setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!"
        out = on(fleet.login(who.name), lambda link: sh(link, text)).out.split()
        assert out[:2] == [b"kx-account", str(who.home).encode()]
        assert pwd.getpwnam(who.name).pw_shell.endswith("/bash")
        with pytest.raises(InvalidError, match="kx-account"), account("kx-account"):
            pass
    with pytest.raises(KeyError):
        pwd.getpwnam("kx-account")
    assert not who.home.exists()
    until(lambda: "Z" in _state(int(out[2])), "its processes are gone")


@pytest.mark.parametrize(("rule", "password", "works"), [("nopasswd", None, True), ("password", "sudo-word", False)])
def test_account_with_a_rule_for_sudo(rule: Any, password: str | None, works: bool) -> None:
    """With and without its password, as `sudo -n` finds; the rule goes with the account."""
    need_program("sudo")
    need_program("useradd")
    name = f"kx-sudo-{rule}"
    with account(name, password=password, sudo=rule):
        argv = ["su", name, "-s", "/bin/sh", "-c", "sudo -n id -u"]
        done = subprocess.run(argv, capture_output=True, check=False)
        assert (done.stdout == b"0\n") is works
        asked = ["su", name, "-s", "/bin/sh", "-c", "sudo -S -p '' id -u"]
        done = subprocess.run(asked, input=b"sudo-word\n", capture_output=True, check=False)
        assert done.stdout == b"0\n"
    assert not Path(f"/etc/sudoers.d/kxflow-{name}").exists()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
