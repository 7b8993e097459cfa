"""Clones of this machine: what is done to them is real, stays in them, and ends with them."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import kxflow as kx
from kxflow.connectors.choose import default_connector
from kxflow.testing import Changes, CloneFleet, Login, check_connector
from kxflow.testing import clone_fleet as start
from kxflow.testing.fleet import until
from kxflow.testing.missing import MissingError
from kxflow.testing.plugin import MakeCloneFleet, need_program

BY_SSH_AND_VIA = pytest.mark.parametrize("via", [False, True], ids=["ssh", "via"])
OPS = Login("kx-ops", password="ops-pass-word", sudo="password", shell="/bin/bash")
FREE = Login("kx-free", sudo="nopasswd")


@pytest.fixture(autouse=True)
def _untouched() -> Iterator[None]:
    """No test changes what is mounted on this machine, or its name."""
    before = Path("/proc/self/mountinfo").read_text(), socket.gethostname()
    yield
    assert (Path("/proc/self/mountinfo").read_text(), socket.gethostname()) == before


def one(*steps: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """A pipeline of one task that keeps going."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, **options)), policy=kx.keep_going())


def ran(pipeline: kx.Pipeline, cluster: kx.Cluster) -> list[tuple[str, str, str]]:
    """Host, status and stdout of each result."""
    return [(r.host, r.status.name, str(r.stdout)) for r in kx.report_of(kx.run(pipeline, cluster))]


def out(fleet: CloneFleet, name: str, text: str, user: str = "root") -> str:
    """What a text that succeeds says there."""
    done = fleet.sh(name, text, user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def exists(pid: int) -> bool:
    """A process is there, and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # gone before, or while it was read
        return False


def package(fleet: CloneFleet, name: str) -> None:
    """Put a Debian package with one program into a host's /tmp."""
    text = """
        mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin && cd /tmp
        printf '#!/bin/sh\\necho hello from kx\\n' >p/usr/bin/kx-hello && chmod 755 p/usr/bin/kx-hello
        printf '%s\\n' 'Package: kx-hello' 'Version: 1' 'Architecture: all' 'Maintainer: kx <kx@example.org>' \\
            'Description: says hello' >p/DEBIAN/control
        dpkg-deb --build --root-owner-group p kx-hello.deb
    """
    out(fleet, name, text)


@BY_SSH_AND_VIA
def test_what_a_pipeline_does_stays_in_its_clone(clone_fleet: MakeCloneFleet, via: bool) -> None:
    """An account, a package, a cron file, a deleted file: there, not on the other clone, and not on this machine."""
    need_program("apt-get")
    fleet = clone_fleet(2, via=via)
    package(fleet, "host1")
    issue = Path("/etc/issue").read_bytes()
    pipeline = one(
        kx.command("account", "useradd --create-home kx-new && id -un kx-new"),
        kx.command("package", "apt-get install -y /tmp/kx-hello.deb >/dev/null 2>&1 && kx-hello"),
        kx.command("cron", "echo '* * * * * root true' > /etc/cron.d/kx-new && rm /etc/issue && echo done"),
        on=kx.host("host1"),
    )
    see = one(kx.command("see", "id kx-new; ls /usr/bin/kx-hello /etc/cron.d/kx-new; test -e /etc/issue && echo there"))
    assert [said for _, _, said in ran(pipeline, fleet.cluster)] == ["kx-new\n", "hello from kx\n", "done\n"]
    assert [said for _, _, said in ran(see, fleet.cluster)][1] == "there\n"
    with pytest.raises(KeyError):
        pwd.getpwnam("kx-new")
    assert not Path("/usr/bin/kx-hello").exists()
    assert not Path("/etc/cron.d/kx-new").exists()
    assert Path("/etc/issue").read_bytes() == issue

    changes = fleet.changed("host1")
    assert {"/etc/cron.d/kx-new", "/home/kx-new", "/usr/bin/kx-hello"} <= set(changes.added)
    assert {"/etc/passwd", "/etc/shadow", "/var/lib/dpkg/status"} <= set(changes.changed)
    assert changes.deleted == ("/etc/issue",)
    assert not fleet.changed("host2")


def test_each_clone_has_its_own_name_processes_and_places(clone_fleet: MakeCloneFleet) -> None:
    """As machines have; the names of all are known to each."""
    fleet = clone_fleet(names=["web1", "db1"], roles={"db1": {"db"}}, vars=lambda i: {"rank": i})
    assert [(h.name, sorted(h.roles), h.vars["rank"]) for h in fleet.hosts] == [("web1", [], 0), ("db1", ["db"], 1)]
    for host in fleet.hosts:
        assert out(fleet, host.name, "hostname; cat /etc/hostname") == f"{host.name}\n{host.name}\n"
        assert out(fleet, host.name, "getent hosts db1").split() == [fleet.cluster["db1"].address, "db1"]
        assert out(fleet, host.name, "stat -c %a /tmp /run/sshd /root; ls -A /tmp") == "1777\n755\n700\n"
        assert out(fleet, host.name, "readlink /proc/self; tr '\\0' ' ' </proc/1/cmdline").split()[1] == "sh"
    assert fleet.cluster["web1"].address != fleet.cluster["db1"].address
    assert out(fleet, "web1", "cat /etc/machine-id") != out(fleet, "db1", "cat /etc/machine-id")
    assert not fleet.processes("web1") & fleet.processes("db1")
    assert os.getpid() not in fleet.processes("web1")
    fleet.sh("web1", "setsid sleep 4711 >/dev/null 2>&1 </dev/null &")
    assert "4711" in out(fleet, "web1", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "4711" not in out(fleet, "db1", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert not any(fleet.changed(name) for name in fleet.cluster.names)


def test_devices_work(clone_fleet: MakeCloneFleet) -> None:
    """The few that programs need, and terminals."""
    fleet = clone_fleet(1, via=True)
    text = """
        set -e
        echo gone >/dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c
        test -c /dev/ptmx; test -d /dev/pts; df /dev/shm >/dev/null; echo via stderr >/dev/stderr; ls /dev
    """
    done = fleet.sh("host1", text)
    assert done.stderr == b"via stderr\n"
    zeros, random, *names = done.stdout.decode().split("\n")
    assert (zeros.split(), random) == (["00"] * 3, "8")
    assert " ".join(names) == "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "
    need_program("script")
    assert out(fleet, "host1", "script -qec tty /dev/null </dev/null").strip() == "/dev/pts/0"


@pytest.mark.parametrize(
    "text",
    [
        'date -s "$(date)"',
        "echo 1 >/proc/sys/vm/drop_caches",
        "touch /sys/kernel",
        "mknod /root/disk b 254 0",
        "ip link set lo mtu 65536",
        "read -r _ set <<E\n$(grep CapBnd /proc/self/status)\nE\n[ $((0x$set & 0x244a031000)) != 0 ]",
    ],
)
@BY_SSH_AND_VIA
def test_what_is_the_machine_s_cannot_be_changed(shared: dict[bool, CloneFleet], text: str, via: bool) -> None:
    """Clock, kernel settings, devices and network, not even by root, however it came in."""
    [(_, status, _)] = ran(one(kx.command("try", text)), shared[via].cluster)
    assert status == "Failed"


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[bool, CloneFleet]]:
    """One clone by SSH and one by `Via`, for tests that leave nothing behind in them."""
    try:
        with start(1, accounts=[OPS, FREE]) as by_ssh, start(1, accounts=[OPS, FREE], via=True) as by_via:
            yield {False: by_ssh, True: by_via}
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not run: {error}")


@BY_SSH_AND_VIA
def test_both_ways_in_keep_the_contract_of_connectors(shared: dict[bool, CloneFleet], via: bool) -> None:
    """Exact bytes, exit codes, kill, and the rest."""
    cluster = shared[via].cluster
    assert isinstance(cluster.connect_of(cluster.hosts[0]), kx.Via if via else kx.Ssh)
    anyio.run(partial(check_connector, default_connector, host=cluster.hosts[0], cluster=cluster))


@BY_SSH_AND_VIA
def test_a_login_has_its_home_and_a_small_environment(shared: dict[bool, CloneFleet], via: bool) -> None:
    """Nothing of the environment of whoever runs the tests comes along."""
    os.environ["KX_LEAK"] = "leaked"
    try:
        see = one(kx.command("see", 'pwd; echo "$HOME $USER $SHELL ${KX_LEAK-none}"; id -Gn'))
        [(_, _, said)] = ran(see, shared[via].login("kx-ops"))
        assert said == "/home/kx-ops\n/home/kx-ops kx-ops /bin/bash none\nkx-ops\n"
        [(_, _, said)] = ran(see, shared[via].cluster)
        assert said.startswith("/root\n/root root ")
    finally:
        del os.environ["KX_LEAK"]


@BY_SSH_AND_VIA
def test_accounts_use_sudo_with_and_without_password(shared: dict[bool, CloneFleet], via: bool) -> None:
    """As their rules say; a wrong password is refused; this machine has neither account nor rule."""
    need_program("sudo")
    who = one(kx.command("who", "id -un"))
    free = shared[via].login("kx-free", become=kx.Become("root"))
    ops = shared[via].login("kx-ops", become=kx.Become("root", password="ops-pass-word"))
    assert ran(who, free) == [("host1", "Succeeded", "root\n")]
    assert ran(who, ops) == [("host1", "Succeeded", "root\n")]
    if via:  # PAM takes two seconds over it
        wrong = shared[via].login("kx-ops", become=kx.Become("root", password="wrong-pass-word"))
        assert ran(who, wrong)[0][1] == "Failed"
    assert shared[via].sh("host1", "sudo -n true", user="kx-ops").returncode != 0
    assert not Path("/etc/sudoers.d/kxflow-kx-free").exists()
    with pytest.raises(KeyError):
        pwd.getpwnam("kx-ops")


def test_an_unknown_user_is_told(shared: dict[bool, CloneFleet]) -> None:
    """By `Via` there is no login to refuse."""
    with pytest.raises(kx.InvalidError, match="no user 'nobody-here'"):
        shared[True].login("nobody-here")


def test_ended_orphans_are_gone(clone_fleet: MakeCloneFleet) -> None:
    """The first process waits for them, so that whether a process runs can be told by its number."""
    fleet = clone_fleet(1, via=True)
    pid = out(fleet, "host1", "sh -c 'sleep 0.05 >/dev/null 2>&1 & echo $!'").strip()
    until(lambda: fleet.sh("host1", f"kill -0 {pid}").returncode != 0, "the orphan is gone")


def test_killing_everybody_leaves_a_host_that_works(clone_fleet: MakeCloneFleet) -> None:
    """As on a machine, whose init survives it."""
    fleet = clone_fleet(1, via=True)
    fleet.sh("host1", "kill -9 -1")
    assert out(fleet, "host1", "echo alive") == "alive\n"


def test_every_start_has_a_boot_id_of_its_own(clone_fleet: MakeCloneFleet) -> None:
    """Neither that of the machine nor of another clone; as long as it is up it stays."""
    fleet = clone_fleet(2, via=True)

    def boot_id(name: str) -> str:
        return out(fleet, name, "cat /proc/sys/kernel/random/boot_id")

    first = [Path("/proc/sys/kernel/random/boot_id").read_text(), boot_id("host1"), boot_id("host2")]
    assert len(set(first)) == 3
    assert boot_id("host1") == first[1]
    fleet.kill("host1")
    fleet.start("host1")
    assert boot_id("host1") not in first
    assert boot_id("host2") == first[2]


@BY_SSH_AND_VIA
def test_a_killed_host_starts_again_with_its_disk(clone_fleet: MakeCloneFleet, via: bool) -> None:
    """Processes and /tmp are gone, files stay, and it is reached as before; one that reboots itself is down, too."""
    fleet = clone_fleet(2, via=via)
    out(fleet, "host1", "echo kept >/etc/kept; echo lost >/tmp/lost; setsid sleep 60 >/dev/null 2>&1 </dev/null &")
    before = fleet.processes("host1")
    fleet.kill("host1")
    assert not fleet.alive("host1")
    assert not any(map(exists, before))
    assert [status for _, status, _ in ran(one(kx.command("see", "true")), fleet.cluster)] == [
        "Unreachable",
        "Succeeded",
    ]
    with pytest.raises(kx.InvalidError, match="host1 is down"):
        fleet.root("host1")
    fleet.start("host1")
    see = one(kx.command("see", "cat /etc/kept; ls -A /tmp"))
    assert ran(see, fleet.cluster)[0] == ("host1", "Succeeded", "kept\n")
    assert fleet.changed("host1").added == ("/etc/kept",)
    fleet.sh("host2", "reboot -f")
    until(lambda: not fleet.alive("host2"), "it is down")
    fleet.start("host2")
    assert out(fleet, "host2", "hostname") == "host2\n"


def test_sessions_and_listener_as_with_the_other_fleets(clone_fleet: MakeCloneFleet) -> None:
    """Killed, stopped, started; the port stays."""
    fleet = clone_fleet(2)
    port = fleet.port("host1")

    async def main() -> None:
        connector = default_connector()
        link = await connector.connect(fleet.hosts[0], fleet.cluster)
        process = await link.spawn(("sh", "-c", "echo begun; cat"))
        assert await process.read_stdout() == b"begun\n"
        assert fleet.session_pids("host1") <= fleet.processes("host1")
        assert not fleet.session_pids("host2")
        await anyio.to_thread.run_sync(fleet.stop, "host1")
        assert fleet.kill_sessions("host1")
        assert await process.read_stdout() == b""
        await connector.aclose()

    anyio.run(main)
    see = one(kx.command("see", "hostname"))
    assert [status for _, status, _ in ran(see, fleet.cluster)] == ["Unreachable", "Succeeded"]
    fleet.start("host1")
    assert [said for _, _, said in ran(see, fleet.cluster)] == ["host1\n", "host2\n"]
    assert fleet.port("host1") == port
    assert "Accepted publickey for root" in fleet.log("host1")


def test_without_ssh_there_is_no_listener_and_sessions_are_what_was_started(clone_fleet: MakeCloneFleet) -> None:
    """What came in from outside is found and killed, what the host itself started is not."""
    fleet = clone_fleet(1, via=True)
    with pytest.raises(kx.InvalidError, match="host1 has no listener"):
        fleet.stop("host1")
    way = fleet.way("host1")
    assert isinstance(way, kx.Via)
    with subprocess.Popen([*way.prefix, "sh", "-c", "echo begun; exec sleep 60"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert len(fleet.session_pids("host1")) == 1
        fleet.kill_sessions("host1")
        assert child.wait() != 0
    assert fleet.alive("host1")


def test_what_was_stopped_and_then_killed_has_ended_outside_too(clone_fleet: MakeCloneFleet) -> None:
    """As everything is when a host shuts down: whoever waits for it from outside is not left stopped."""
    fleet = clone_fleet(1, via=True)
    way = fleet.way("host1")
    assert isinstance(way, kx.Via)
    with subprocess.Popen([*way.prefix, "sh", "-c", "echo $$; exec sleep 60"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        out(
            fleet,
            "host1",
            f"kill -STOP {pid}; while ! grep -q '^State:.T' /proc/{pid}/status; do :; done; kill -9 {pid}",
        )
        try:
            assert child.wait(10) == 128 + signal.SIGKILL
        finally:
            child.kill()


def test_prepared_changes_are_in_all_clones_and_count_for_none(clone_fleet: MakeCloneFleet) -> None:
    """They are made once."""
    fleet = clone_fleet(2, via=True, prepare="echo $$ >/etc/prepared; rm /etc/issue; hostname", accounts=[FREE])
    seen = {
        out(fleet, name, "cat /etc/prepared; ls -d /home/kx-free; ls /etc/issue || :") for name in ("host1", "host2")
    }
    assert len(seen) == 1
    assert seen.pop().endswith("/home/kx-free\n")
    assert not fleet.changed("host1")
    out(fleet, "host1", "rm /etc/prepared; rm -r /home/kx-free")
    assert fleet.changed("host1").deleted == ("/etc/prepared", "/home/kx-free")


def test_a_text_that_cannot_prepare_says_why(clone_fleet: MakeCloneFleet) -> None:
    """With its exit status and its last words."""
    with pytest.raises(kx.InvalidError, match=r"prepare= ended with 3: no such luck"):
        clone_fleet(1, via=True, prepare="echo no such luck >&2; exit 3")


def test_space_is_bounded(clone_fleet: MakeCloneFleet) -> None:
    """What the clones write is in memory, so there is a limit for all of them together."""
    fleet = clone_fleet(2, via=True, space=16 << 20)
    assert fleet.sh("host1", "head -c 10000000 /dev/zero >/srv/a").returncode == 0
    done = fleet.sh("host2", "head -c 10000000 /dev/zero >/srv/a")
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_clones_may_write_to_a_folder(clone_fleet: MakeCloneFleet, tmp_path: Path, place: str) -> None:
    """Also on the machine's own file system; it is empty again afterwards. An overlay takes none, and that is told."""
    clone_fleet(1, via=True)  # or there is nothing to try
    disk = tmp_path if place == "disk" else Path("/dev/shm", f"kx-disk-{os.getpid()}")  # noqa: S108 -- a tmpfs
    disk.mkdir(exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", disk], capture_output=True, check=True).stdout
    try:
        with start(2, via=True, disk=disk, prepare="echo prepared >/etc/kx-base") as fleet:
            out(fleet, "host1", "echo written >>/etc/kx-base; rm /etc/issue")
            assert [path.read_text() for path in disk.rglob("kx-base")] == ["prepared\nwritten\n"]
            assert fleet.changed("host1") == Changes(changed=["/etc/kx-base"], deleted=["/etc/issue"])
            assert not fleet.changed("host2")
    except MissingError:
        assert kind == b"overlayfs\n"
    assert list(disk.iterdir()) == []
    disk.rmdir()


def test_twenty_five_are_up_in_no_time(clone_fleet: MakeCloneFleet) -> None:
    """Side by side, a small part of a second each."""
    began = time.monotonic()
    fleet = clone_fleet(25)
    assert time.monotonic() - began < 20
    assert {said for _, _, said in ran(one(kx.command("name", "hostname")), fleet.cluster)} == {
        f"host{i}\n" for i in range(1, 26)
    }


# Ends

HOLD = """
import os, signal, sys, time
from kxflow.testing import clone_fleet
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
with clone_fleet(2, init=sys.argv[1]) as fleet:
    fleet.sh("host1", "setsid sleep 600 >/dev/null 2>&1 </dev/null & trap '' TERM HUP INT; echo $! >/etc/x")
    pids = [pid for name in fleet.cluster.names for pid in fleet.processes(name)]
    print(*pids, fleet.key.parent, fleet._ground.token, flush=True)
    if sys.argv[2] == "raise":
        raise LookupError("on purpose")
    time.sleep(600)
"""


def _groups(token: str) -> list[Path]:
    """Control groups of a fleet that are there."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line)
    return [path for mount in mounts if (path := Path(mount[4], f"kxflow-{token}")).exists()]


@pytest.mark.parametrize(
    ("init", "way"),
    [("plain", "raise"), ("plain", "SIGINT"), ("plain", "SIGKILL"), ("systemd", "SIGKILL"), ("plain", "fork")],
)
def test_nothing_is_left_whatever_ends_the_holder(clone_fleet: MakeCloneFleet, init: str, way: str) -> None:
    """No process, no folder, no control group; not even after SIGKILL."""
    if init == "systemd":
        need_program("systemd")
    clone_fleet(1, via=True)  # or there is nothing to try
    text = HOLD if way != "fork" else HOLD.replace("time.sleep(600)", "os.fork() or time.sleep(600)")
    with subprocess.Popen(
        [sys.executable, "-c", text, init, "raise" if way == "raise" else "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as holder:
        assert holder.stdout is not None
        *pids, folder, token = holder.stdout.readline().decode().split()
        assert len(pids) >= 4
        assert _groups(token) or init == "plain"
        if way.startswith("SIG"):
            os.kill(holder.pid, signal.Signals[way])
        holder.wait(30)
        until(lambda: not any(exists(int(pid)) for pid in pids), "the clones are gone")
        until(lambda: not Path(folder).exists(), "the folder is gone")
        until(lambda: not _holding(folder), "the keeper is gone")
        until(lambda: not _groups(token), "the group is gone")
        if way == "fork":
            os.killpg(holder.pid, signal.SIGKILL)  # the child that was forked


def test_clones_die_with_their_keeper(clone_fleet: MakeCloneFleet) -> None:
    """Should it be killed itself, nobody is left to end them."""
    fleet = clone_fleet(2, via=True)
    pids = [pid for name in fleet.cluster.names for pid in fleet.processes(name)]
    os.kill(int(_holding(str(fleet.key.parent))[0]), signal.SIGKILL)
    until(lambda: not any(map(exists, pids)), "the clones are gone")


def _holding(folder: str) -> list[str]:
    """Processes that name a folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if folder.encode() in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


def test_a_way_into_a_clone_that_is_gone_leads_nowhere(tmp_path: Path) -> None:
    """Least of all to this machine, also where the number of its first process is another's by now."""
    flag = tmp_path / "flag"
    try:
        with start(1, via=True) as fleet:
            cluster, way = fleet.cluster, fleet.way("host1")
    except MissingError as error:
        pytest.skip(f"not run: {error}")
    report = kx.report_of(kx.run(one(kx.command("touch", f"touch {flag}")), cluster))
    assert not report.succeeded
    assert isinstance(way, kx.Via)
    pid = tmp_path / "pid"
    pid.write_text(f"{os.getpid()}\n")
    words = [str(pid) if word.endswith("/pid") else word for word in way.prefix]
    done = subprocess.run([*words, "touch", str(flag)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (255, b"this clone is gone\n")
    assert not flag.exists()


# Services


def test_systemd_runs_services(clone_fleet: MakeCloneFleet) -> None:
    """The real one: units are started, enabled, stopped, and fail."""
    need_program("systemd")
    fleet = clone_fleet(2, init="systemd")
    assert not fleet.changed("host1")
    unit = "[Service]\nExecStart=/bin/sleep 4712\n[Install]\nWantedBy=multi-user.target\n"
    pipeline = one(
        kx.command("unit", "cat >/etc/systemd/system/kx-nap.service && systemctl daemon-reload", stdin=unit),
        kx.command("start", "systemctl enable --now kx-nap 2>/dev/null && systemctl is-active kx-nap"),
        kx.command("group", "grep ^0: /proc/$(systemctl show -P MainPID kx-nap)/cgroup"),
        kx.command("stop", "systemctl stop kx-nap; systemctl is-active kx-nap", ok_codes=(3,)),
        kx.command("fails", "systemctl start no-such-thing"),
        kx.command("state", "systemctl is-system-running; systemctl is-enabled kx-nap"),
        on=kx.host("host1"),
    )
    told = [(status, said) for _, status, said in ran(pipeline, fleet.cluster)]
    assert told[:4] == [
        ("Succeeded", ""),
        ("Succeeded", "active\n"),
        ("Succeeded", "0::/system.slice/kx-nap.service\n"),
        ("Succeeded", "inactive\n"),
    ]
    assert told[4][0] == "Failed"
    assert out(fleet, "host1", "systemctl is-enabled kx-nap") == "enabled\n"
    assert fleet.sh("host2", "systemctl cat kx-nap").returncode != 0
    assert fleet.changed("host1").below("/etc").added == (
        "/etc/systemd/system/kx-nap.service",
        "/etc/systemd/system/multi-user.target.wants/kx-nap.service",
    )


def test_sysv_scripts_run_in_a_plain_clone(clone_fleet: MakeCloneFleet) -> None:
    """`service` starts and stops what `/etc/init.d` has, and it ends with the clone."""
    need_program("service")
    fleet = clone_fleet(1, via=True)
    script = r"""#!/bin/sh
        case $1 in
        start) setsid sleep 4713 >/dev/null 2>&1 </dev/null & echo $! >/run/kx-nap.pid ;;
        stop) kill "$(cat /run/kx-nap.pid)" && rm /run/kx-nap.pid ;;
        status) kill -0 "$(cat /run/kx-nap.pid)" ;;
        esac
    """
    fleet.sh("host1", "cat >/etc/init.d/kx-nap && chmod 755 /etc/init.d/kx-nap", stdin=script.encode())
    out(fleet, "host1", "service kx-nap start && service kx-nap status")
    assert re.search(rb"4713", fleet.sh("host1", "cat /proc/[0-9]*/cmdline").stdout)
    out(fleet, "host1", "service kx-nap stop")
    assert fleet.sh("host1", "service kx-nap status").returncode != 0


def test_openrc_is_up_without_a_boot(clone_fleet: MakeCloneFleet) -> None:
    """What tells its programs that the machine was booted by it is there; where it is not installed, that is told."""
    with pytest.raises(MissingError, match="openrc is not installed"), start(1, via=True, init="openrc"):
        pass
    stand_in = "printf '#!/bin/sh\\n' >/usr/bin/rc-service && chmod 755 /usr/bin/rc-service"
    fleet = clone_fleet(1, via=True, init="openrc", prepare=stand_in)
    assert out(fleet, "host1", "cat /run/openrc/softlevel") == "default"


def test_a_machine_that_refuses_says_what() -> None:
    """As in a container, where root may not mount."""
    text = "from kxflow.testing import clone_fleet\nwith clone_fleet(1): pass"
    words = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", text]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert b"MissingError: no clone of this machine can be made by root: unshare: unshare failed" in done.stderr
