"""Law 11 on a clone, for steps that meet: what a plan claims is what a run does, and what it cannot know it leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

import kxflow as kx
from kxflow import resources as r
from kxflow.flow.step import Step
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box
from tests.resources.crowded import COMES_TO, CONF
from tests.resources.debs import bare, deb, index
from tests.resources.test_service import SCRIPT

_BLOB: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcoIXkQ6ZL1VVPSUVWQ28+sBSzgw3dGgHYIY2mVyG4P"


def of(steps: Sequence[Step[Any]]) -> kx.Pipeline:
    """A pipeline where each goes on, whatever became of the one before."""
    named = [each.named(f"{number} {each.name}").ignore_errors() for number, each in enumerate(steps)]
    return kx.pipeline("p", kx.module("m", kx.task("t", *named)))


def foreseen(box: Box, *steps: Step[Any]) -> list[str]:
    """What the plan says of each, which is what the run does then."""
    plan = kx.plan(of(steps), box.cluster)
    report = kx.report_of(kx.run(of(steps), box.cluster))
    for each, result in zip(plan, report, strict=True):
        assert result.status in COMES_TO[each.effect], (str(each), result.status, str(result.error))
    return [each.effect.name for each in plan]


def reasons(box: Box, *steps: Step[Any]) -> list[str]:
    """Why the plan says that they would fail, which they do."""
    plan = kx.plan(of(steps), box.cluster)
    assert [each.effect for each in plan] == [kx.Effect.fail] * len(steps), [str(each) for each in plan]
    assert set(foreseen(box, *steps)) == {"fail"}
    return [each.reason for each in plan]


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages: `kxapp` brings a service, a group and a user; `kxtool` more; others nothing."""
    for each in ("dpkg-deb", "apt-get"):
        need_program(each)
    folder = tmp_path_factory.mktemp("debs")
    files = {"etc/init.d/kxapp": SCRIPT.replace("kxd", "kxapp")}
    script = "chmod 755 /etc/init.d/kxapp; groupadd -r kxappg; useradd -M kxappu"
    deb(folder, "kxapp", files=files, Postinst=script)
    tool = {"etc/init.d/kxtool": SCRIPT.replace("kxd", "kxtool"), "usr/share/kxtool/deep/y": "y"}
    script = "chmod 755 /etc/init.d/kxtool /usr/bin/crontab"
    deb(folder, "kxtool", files={**tool, "usr/bin/crontab": "#!/bin/sh"}, Postinst=script)
    for name in ("kxa", "kxb"):
        for version in ("1.0", "2.0"):
            deb(folder, name, version)
    index(folder)
    return folder


@pytest.fixture
def host(box: Box, debs: Path) -> Box:
    """A clone that gets packages from there only, and has a service, a user and groups."""
    bare(box)
    subprocess.run(["cp", "-r", f"{debs}/.", str(box.path("/srv/debs"))], check=True)
    box.sh(
        "groupadd -g 4200 oldg; groupadd -g 4201 club; useradd -m -u 4200 -g oldg -G club olda; useradd -M loner\n"
        "cat >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd; mkdir -p /srv/full; touch /srv/full/x",
        stdin=SCRIPT,
    )
    return box


def test_what_a_host_lacks_would_fail(host: Box) -> None:
    """Services, accounts, numbers, programs, zones, keys of the kernel: each with its reason."""
    host.sh("mv /usr/bin/crontab /usr/bin/crontab.away 2>/dev/null; rm -f /usr/sbin/mkswap /sbin/mkswap")
    steps = {
        "there is no service nope": r.service("nope", running=True),
        "there is no group nope": r.user("new", group="nope"),
        "there is no group never": r.user("new", groups=["club", "never"]),
        "there is no group 4999": r.user("new", group=4999),
        "4200 is the number of another user": r.user("new", uid=4200),
        "4201 is the number of another group": r.group("new", gid=4201),
        "there is a group club already: group='club' makes it the user's own": r.user("club"),
        "group oldg is some user's own": r.group("oldg", state="absent"),
        "there is no user nope": r.group("club", members=["olda", "nope"]),
        "there is no user ghost": r.authorized_key("ghost", _BLOB),
        "there is no crontab on this host": r.cron("tidy", "true", schedule="@daily"),
        "there is no mkswap on this host": r.swap("/srv/swap", 409600),
        "this kernel has no /proc/sys/net/no_such/key": r.sysctl("net.no_such.key", 1),
        "no time zone Mars/Base on this host: there is no /usr/share/zoneinfo/Mars/Base": r.timezone("Mars/Base"),
        "visudo does not take it": r.sudoers("bad", "this is no rule"),
        "there is no /dev/nope": r.mount("/srv/m", "/dev/nope", fstype="ext4"),
        "/srv/full is not empty: tree=True takes it away with all that is in it": r.directory(
            "/srv/full", state="absent"
        ),
        "there is no folder /srv/no": r.git("/srv/no/app", "/srv/app.git", "v1"),
    }
    for why, step in steps.items():
        assert reasons(host, step)[0].startswith(why)


def test_what_is_there_would_not_fail(host: Box) -> None:
    """The same kinds of steps where nothing is missing."""
    steps = [
        r.service("kxd", running=True),
        r.group("g1", gid=4301),
        r.user("u1", uid=4401, group="club", groups=["g1"]),
        r.user("club2", group=4201),
        r.user("olda", uid=4200, group="oldg", shell="/bin/bash"),
        r.group("club", members=["olda", "u1"]),
        r.authorized_key("u1", _BLOB),
        r.cron("tidy", "true", schedule="@daily", user="u1", file="kx"),
        r.sysctl("net.ipv4.ip_forward", 1, runtime=False),
        r.timezone("Europe/Berlin"),
        r.sudoers("fine", "%club ALL=(root) NOPASSWD: /bin/true"),
        r.mount("/srv/m", "tmpfs", fstype="tmpfs"),
        r.absent("/srv/full"),
        r.directory("/srv/gone", state="absent"),
    ]
    assert "fail" not in foreseen(host, *steps)


def test_what_a_package_may_bring_is_not_missing(host: Box) -> None:
    """Its service, group and user; and that it can be taken back is not denied."""
    steps = [
        r.package("kxapp"),
        r.service("kxapp", running=True),
        r.user("new", groups=["kxappg"]),
        r.file("/etc/kxapp", content="x", owner="kxappu"),
    ]
    plan = kx.plan(of(steps), host.cluster)
    assert [each.effect.name for each in plan] == ["change"] * 4
    assert plan.lasting == ()
    assert foreseen(host, *steps) == ["change"] * 4
    assert plan.entries[1].change is not None


def test_what_other_steps_bring_is_not_missing(host: Box) -> None:
    """Groups by users, and the reverse; folders, members, crontabs' users, programs by files."""
    host.sh("mv /usr/bin/crontab /srv/crontab 2>/dev/null || :")
    steps = [
        r.group("g1"),
        r.user("u1", group="g1"),
        r.user("u2"),
        r.user("u3", groups=["u2"]),
        r.group("g2", members=["u1"]),
        r.authorized_key("u1", _BLOB),
        r.file("/etc/u1", content="x", owner="u1", group="g1"),
        r.directory("/srv/new"),
        r.file("/srv/new/f", content="x"),
        r.user("olda", state="absent"),
        r.group("oldg", state="absent"),
    ]
    assert "fail" not in foreseen(host, *steps)


def test_what_comes_along_with_a_step_is_not_guessed(host: Box) -> None:
    """Folders above one that is made, and a folder of keys that waits for its user."""
    made = (r.directory("/srv/a/b/c", parents=True), r.directory("/srv/a/b"), r.file("/srv/a/f", content="x"))
    assert foreseen(host, *made) == ["change", "unknown", "change"]
    host.sh("mkdir -m 700 -p /home/late/.ssh")
    assert foreseen(host, r.user("late"), r.authorized_key("late", _BLOB)) == ["change", "unknown"]
    assert foreseen(host, r.user("later"), r.authorized_key("later", _BLOB)) == ["change", "change"]


def test_accounts_that_meet_are_not_guessed(host: Box) -> None:
    """Whoever goes takes his group along, who comes brings it, and members are a matter of both."""
    unknown = [
        (r.user("loner", state="absent"), r.group("loner", state="absent")),
        (r.user("new"), r.group("new")),
        (r.user("olda", groups=["club", "adm"]), r.group("adm", members=["olda"])),
        (r.group("club", members=[]), r.user("olda", groups=[])),
        (r.user("olda", groups=["club"]), r.group("club", members=["olda"])),
    ]
    for pair in unknown:
        assert foreseen(host, *pair)[1] == "unknown", pair
    known = [
        (r.group("g1"), r.user("u1", group="g1")),
        (r.group("g2"), r.user("u2", groups=["g2"])),
        (r.user("u1", shell="/bin/bash"), r.group("u2", gid=4444)),
        (r.group("g1", gid=4445), r.user("u2", shell="/bin/bash")),
        (r.user("u1", groups=["adm"]), r.group("g2", members=["olda"])),
    ]
    for pair in known:
        assert foreseen(host, *pair) == ["change", "change"], pair


def test_packages_are_each_their_own(host: Box) -> None:
    """Whatever other names stand beside them."""
    assert foreseen(host, r.package(["kxa", "kxb"]), r.package("kxa"), r.package(["kxb", "kxapp"])) == [
        "change",
        "none",
        "change",
    ]
    assert foreseen(host, r.package("kxa", state="absent"), r.package(["kxa", "kxb"])) == ["change", "change"]
    one, two = (r.package("kxa", version=each) for each in ("1.0", "2.0"))
    versions = (one, r.package("kxa"), r.package("kxa=1.*"), two)
    assert foreseen(host, *versions) == ["change", "none", "none", "change"]
    gone = (r.package("kxb", state="absent", purge=True), r.package("kxb", state="absent"), r.package("kxb"))
    assert foreseen(host, *gone) == ["change", "none", "change"]
    assert foreseen(host, r.package("kxb", version="1.0"), r.package("kxb", latest=True))[1] == "unknown"
    assert foreseen(host, r.package("kxa"), r.package("kxa", version="2.0")) == ["none", "none"]


_RULE: Final = "%club ALL=(root) NOPASSWD: /bin/true"
_SUDO: Final = r.sudoers("kx", _RULE)
_KERNEL: Final = r.sysctl("net.ipv4.ip_forward", 1, runtime=False)
_DAILY: Final = r.cron("a", "true", schedule="@daily", file="kx")
_MOUNT: Final = r.mount("/srv/m", "tmpfs", fstype="tmpfs", mounted=False)
_KEYS: Final = "/home/olda/.ssh/authorized_keys"
PAIRS: Final[dict[str, tuple[Step[Any], Step[Any]]]] = {
    "sudoers, line": (_SUDO, r.line("/etc/sudoers.d/kx", _RULE, create=True)),
    "sudoers, absent": (_SUDO, r.absent("/etc/sudoers.d/kx")),
    "absent, sudoers": (r.absent("/etc/sudoers.d"), _SUDO),
    "sysctl, line": (_KERNEL, r.line(CONF, "net.ipv4.ip_forward = 1", create=True)),
    "sysctl, no line": (_KERNEL, r.line(CONF, match="ip_forward", state="absent")),
    "line, sysctl": (r.line(CONF, "net.ipv4.ip_forward=1", create=True), _KERNEL),
    "sysctl, replace": (_KERNEL, r.replace(CONF, "= 1", "= 0")),
    "cron, line": (_DAILY, r.line("/etc/cron.d/kx", "@daily root true", create=True)),
    "no line, cron": (
        r.line("/etc/cron.d/old", match="old", state="absent"),
        r.cron("old", "old", schedule="@daily", file="old"),
    ),
    "cron, absent": (_DAILY, r.file("/etc/cron.d/kx", state="absent")),
    "hosts_entry, line": (r.hosts_entry("10.0.0.5", "db"), r.line("/etc/hosts", "10.0.0.5 db")),
    "hosts_entry, kept line": (r.hosts_entry("10.0.0.6", "old"), r.line("/etc/hosts", "10.0.0.7 old")),
    "line, hosts_entry": (r.line("/etc/hosts", "10.0.0.5 db"), r.hosts_entry("10.0.0.5", "db")),
    "hosts_entry, hosts_entry": (r.hosts_entry("10.0.0.5", "db", "old"), r.hosts_entry("10.0.0.7", "old")),
    "mount, line": (_MOUNT, r.line("/etc/fstab", "tmpfs /srv/m tmpfs defaults 0 0")),
    "mount, no line": (_MOUNT, r.line("/etc/fstab", match="/srv/m", state="absent")),
    "mount, file": (r.mount("/srv/full", "tmpfs", fstype="tmpfs"), r.file("/srv/full/x")),
    "key, line": (r.authorized_key("olda", _BLOB), r.line(_KEYS, _BLOB, create=True)),
    "key, mode": (r.authorized_key("olda", _BLOB), r.directory("/home/olda/.ssh", mode=0o700)),
    "no line, other key": (
        r.line(_KEYS, match="old", state="absent"),
        r.authorized_key("olda", f"{_BLOB[:-4]}AAAA", state="absent"),
    ),
    "line, line": (r.line("/etc/motd", "x y", create=True), r.line("/etc/motd", "x y", match="^x", create=True)),
    "no line, no line": (r.line("/srv/text", match="o", state="absent"), r.line("/srv/text", "one", state="absent")),
    "match, line": (r.line("/srv/text", "two", match="^one"), r.line("/srv/text", "one")),
    "block, line": (r.block("/srv/text", "new"), r.line("/srv/text", "between")),
}
_KNOWN: Final = {"no line, other key"}
"""Pairs where the second is known all the same: it has to do with other lines."""


@pytest.mark.parametrize("which", PAIRS)
def test_files_that_several_kinds_write_are_not_guessed(which: str, box: Box) -> None:
    """Where one has to do with what the other writes; what it claims is so."""
    box.sh(
        "groupadd club; useradd -m olda; mkdir -p /srv/full /home/olda/.ssh; touch /srv/full/x /etc/motd\n"
        "printf '# kxflow: old\\n@daily root old\\n' >/etc/cron.d/old; echo '10.0.0.7 old' >>/etc/hosts\n"
        f"cd /home/olda; echo '{_BLOB} old' >.ssh/authorized_keys; chown -R olda: .ssh; chmod 755 .ssh\n"
        "printf 'one\\n# BEGIN kxflow\\nbetween\\n# END kxflow\\n' >/srv/text"
    )
    if which.startswith("key,"):
        box.sh("rm /home/olda/.ssh/authorized_keys")
    effects = foreseen(box, *PAIRS[which])
    assert effects[0] == "change", effects
    assert (effects[1] == "unknown") is (which not in _KNOWN), effects


def test_parts_of_a_file_that_have_nothing_in_common_are_known(box: Box) -> None:
    """Other keys, other names, other labels, other lines: the usual way to write such files."""
    box.sh("useradd -m olda; printf 'Port 22\\n#Root yes\\n' >/srv/conf; echo '10.0.0.7 old' >>/etc/hosts")
    box.sh("mkdir -p /etc/sysctl.d; printf 'net.ipv4.ip_forward = 0\\nnet.ipv4.tcp_syncookies = 0\\n' >" + CONF)
    box.sh("printf 'tmpfs /srv/a tmpfs ro 0 0\\ntmpfs /srv/b tmpfs ro 0 0\\n' >>/etc/fstab")
    steps = [
        r.line("/srv/conf", "Port 2222", match="^#?Port"),
        r.line("/srv/conf", "Root no", match="^#?Root"),
        r.line("/srv/conf", "UseDNS no"),
        r.block("/srv/conf", "Match all"),
        r.sysctl("net.ipv4.ip_forward", 1, runtime=False),
        r.sysctl("net.ipv4.tcp_syncookies", 1, runtime=False),
        r.cron("one", "true", schedule="@daily", file="kx"),
        r.cron("two", "true", schedule="@daily", file="kx"),
        r.line("/etc/hosts", "10.0.0.9 cache"),
        r.hosts_entry("10.0.0.5", "db"),
        r.hosts_entry("10.0.0.8", "old"),
        r.mount("/srv/a", "tmpfs", fstype="tmpfs", mounted=False),
        r.mount("/srv/b", "tmpfs", fstype="tmpfs", mounted=False),
        r.authorized_key("olda", f"{_BLOB} a"),
        r.authorized_key("olda", f"{_BLOB[:-4]}AAAA b"),
    ]
    assert foreseen(box, *steps) == ["change"] * len(steps)
    assert foreseen(box, *steps) == ["none"] * len(steps)


def test_what_goes_with_a_package_is_not_claimed(host: Box) -> None:
    """Its service, its programs, its folders and files; what others have stays known."""
    gone = r.package("kxtool", state="absent", purge=True)
    theirs = [
        r.service("kxtool", running=True),
        r.cron("tidy", "true", schedule="@daily"),
        r.file("/usr/share/kxtool/deep/x", content="x"),
        r.file("/usr/share/kxtool/version", content="1.0\n"),
        r.directory("/usr/share/kxtool"),
    ]
    others = [
        r.file("/usr/share/x", content="x"),
        r.service("kxd", running=True),
        r.user("new"),
        r.directory("/srv/full"),
    ]
    nope = r.service("nope", running=True)
    host.sh("mv /usr/bin/crontab /srv/crontab 2>/dev/null; apt-get update -qq; apt-get install -qq -y kxtool")
    host.sh("service kxtool start")
    unknown = ["unknown"] * len(theirs)
    assert foreseen(host, gone, nope, *others, *theirs) == ["change", "fail", *["change"] * 3, "none", *unknown]
    assert foreseen(host, r.package("kxtool"), gone, theirs[0])[-1] == "unknown"


def test_what_a_removed_home_held_is_said_to_be_lost(host: Box) -> None:
    """Also of an account that an earlier step makes; a service that is not there loses nothing."""
    gone = r.user("new", state="absent", remove_home=True)
    steps = (r.user("new"), gone, r.service("nope", running=True))
    plan = kx.plan(of(steps), host.cluster)
    assert [each.undo for each in plan] == ["", "what was there was not kept", ""]
    report = kx.report_of(kx.run(of(steps), host.cluster))
    assert [each.reason for each in kx.report_of(kx.rollback(of(steps), host.cluster, report))] == [
        "check",
        "skip: cannot be taken back: what was there was not kept",
        "check",
    ]
