"""Packages on Debian: real dpkg and apt-get in a box that knows of no package but those that a test makes."""

from __future__ import annotations

import fcntl
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import package
from kxflow.sinks import foreseen
from kxflow.testing.fleet import until
from kxflow.testing.plugin import need_program
from kxflow.values.result import KEPT
from tests.resources.conftest import Box
from tests.resources.debs import bare, deb, index
from tests.resources.helpers_services import before, cycle, done, ran, undone


@pytest.fixture
def debs(box: Box) -> Path:
    """The folder of packages of a bare box: `kxapp` 1.0 and 1:2.0, which needs `kxlib`."""
    folder = bare(box)
    deb(folder, "kxlib")
    deb(folder, "kxapp", "1.0", Depends="kxlib")
    deb(folder, "kxapp", "1:2.0", Depends="kxlib")
    deb(folder, "kxother")
    index(folder)
    return folder


def installed(box: Box) -> str:
    """All that dpkg knows of, sorted."""
    return box.sh("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n'")


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


def test_packages_come_are_repaired_and_go_with_what_came_along(box: Box, debs: Path) -> None:
    """Fresh, again, drifted, undone: the library that was needed goes, too."""
    first = cycle(
        box.cluster,
        package(["kxapp", "kxother"]),
        drift=lambda: box.sh("apt-get -qq -y remove kxapp"),
        seen=lambda: installed(box),
    )
    assert first.change is not None
    assert first.change.diff == "-kxapp absent\n-kxother absent\n+kxapp installed\n+kxother installed"


@pytest.mark.parametrize("shell", ["busybox", "mksh", "zsh", "bash"])
def test_every_shell_of_a_host_can_do_it(box: Box, debs: Path, shell: str) -> None:
    """The words are POSIX."""
    box.sh(f"ln -sf {need_program(shell)} /bin/sh")
    first = done(box.cluster, package(["kxapp=1.*", "kxother"]))
    assert ran(box.cluster, package(["kxapp=1.*", "kxother"])).status is kx.Status.Skipped
    assert undone(box.cluster, package(["kxapp=1.*", "kxother"]), before(first)).status.ok
    assert installed(box) == ""


def test_a_list_is_one_transaction(box: Box, debs: Path) -> None:
    """Apt-get ran once for both."""
    done(box.cluster, package(["kxapp", "kxother"]))
    *_, last = box.path("/var/log/apt/history.log").read_text().split("Start-Date")
    assert "kxapp:amd64 (1:2.0)" in last
    assert "kxother:amd64 (1.0)" in last


def test_a_pinned_version_holds_with_its_epoch_and_may_be_older(box: Box, debs: Path) -> None:
    """Newer, older, and back; `*` stands for any rest."""
    done(box.cluster, package("kxapp", version="1:2.0"))
    older = done(box.cluster, package("kxapp=1.0"))
    assert "kxapp 1.0 installed" in installed(box)
    assert ran(box.cluster, package("kxapp=1.*")).status is kx.Status.Skipped
    assert undone(box.cluster, package("kxapp=1.0"), before(older)).status is kx.Status.Succeeded
    assert "kxapp 1:2.0 installed" in installed(box)
    done(box.cluster, package("kxapp", version="1.*"))
    assert ran(box.cluster, package("kxapp")).status is kx.Status.Skipped


def test_latest_fetches_old_lists_and_upgrades(box: Box, debs: Path) -> None:
    """A newer version is seen where the lists are too old, and an undo brings the older one again."""
    done(box.cluster, package("kxapp", latest=True))
    assert ran(box.cluster, package("kxapp", latest=True)).status is kx.Status.Skipped
    deb(debs, "kxapp", "1:3.0", Depends="kxlib")
    index(debs)
    assert ran(box.cluster, package("kxapp", latest=True)).status is kx.Status.Skipped
    newer = done(box.cluster, package("kxapp", latest=True, update=0))
    assert newer.change is not None
    assert newer.change.before == "kxapp 1:2.0"
    assert "kxapp 1:3.0 installed" in installed(box)
    assert undone(box.cluster, package("kxapp", latest=True), before(newer)).status is kx.Status.Succeeded
    assert "kxapp 1:2.0 installed" in installed(box)


def test_lists_are_fetched_when_they_are_too_old_and_never_where_nothing_is_to_come(box: Box, debs: Path) -> None:
    """By their age, by newer sources, and where a name is not to be found."""
    lists = box.path("/var/lib/apt/lists/partial")

    def updates(step: kx.Step[object]) -> bool:
        moment = lists.stat().st_mtime_ns if lists.exists() else 0
        ran(box.cluster, step)
        return lists.exists() and lists.stat().st_mtime_ns != moment

    assert not updates(package("kxlib", update=None))
    assert updates(package("kxlib"))
    assert not updates(package("kxlib", update=0))
    assert not updates(package("kxother"))
    assert not updates(package("kxother", state="absent", update=0))
    box.sh("touch -d '2 days ago' /var/lib/apt/lists/partial; touch -d '3 days ago' /etc/apt/sources.list*")
    assert updates(package("kxother"))
    box.sh("touch /etc/apt/sources.list; apt-get -qq -y remove kxother")
    assert updates(package("kxother"))
    deb(debs, "kxnew")
    index(debs)
    assert updates(package("kxnew"))
    assert "kxnew 1.0 installed" in installed(box)


def test_what_is_not_to_be_had_fails_in_the_words_of_apt(box: Box, debs: Path) -> None:
    """A name, a version, a name that looks like a pattern or like an order to remove."""
    assert failure(ran(box.cluster, package("nope"))) == "E: Unable to locate package nope (exit status 1)"
    assert "Version '9' for 'kxapp' was not found" in failure(ran(box.cluster, package("kxapp=9")))
    assert "Unable to locate package kx.pp" in failure(ran(box.cluster, package("kx.pp")))
    done(box.cluster, package("kxlib"))
    for name in ("kxlib-", "kxother+"):
        assert f"Unable to locate package {name}" in failure(ran(box.cluster, package(name)))
    assert installed(box) == "kxlib 1.0 installed\n"


def test_a_name_that_others_provide_stands_for_them(box: Box, debs: Path) -> None:
    """It comes by its one provider, counts as there, and goes with it."""
    deb(debs, "kxmail", Provides="kxmta (= 3), kx-virtual.x")
    index(debs)
    first = done(box.cluster, package("kxmta"))
    assert installed(box) == "kxmail 1.0 installed\n"
    assert ran(box.cluster, package(["kxmta", "kx-virtual.x"])).status is kx.Status.Skipped
    assert ran(box.cluster, package("kx-virtual")).status is kx.Status.Failed
    assert undone(box.cluster, package("kxmta"), before(first)).status is kx.Status.Succeeded
    assert installed(box) == ""
    done(box.cluster, package("kxmail"))
    done(box.cluster, package("kxmta", state="absent"))
    assert installed(box) == ""


def test_an_architecture_is_another_package(box: Box, debs: Path) -> None:
    """`name:arch` is there when that one is."""
    for architecture in ("amd64", "i386"):
        deb(debs, "kxarch", Architecture=architecture, Multi_Arch="same")
    box.sh("dpkg --add-architecture i386")
    index(debs)
    done(box.cluster, package("kxarch"))
    assert ran(box.cluster, package("kxarch:amd64")).status is kx.Status.Skipped
    cycle(
        box.cluster,
        package("kxarch:i386"),
        drift=lambda: box.sh("apt-get -qq -y remove kxarch:i386"),
        seen=lambda: box.sh("dpkg-query -W -f '${Package}:${Architecture} ${db:Status-Status}\n'"),
    )
    done(box.cluster, package("kxarch", state="absent"))


def test_removal_leaves_others_alone_or_fails_and_names_them(box: Box, debs: Path) -> None:
    """What depends on it is removed only where that was said."""
    done(box.cluster, package("kxapp"))
    told = failure(ran(box.cluster, package("kxlib", state="absent")))
    assert told == "others need it and would be removed too: kxapp (exit status 1)"
    assert "kxapp 1:2.0 installed" in installed(box)
    done(box.cluster, package("kxlib", state="absent", may_remove=True))
    assert installed(box) == ""


def test_installing_removes_no_other_package_unless_it_may(box: Box, debs: Path) -> None:
    """One that conflicts with another fails."""
    deb(debs, "kxclash", Conflicts="kxother")
    index(debs)
    done(box.cluster, package("kxother"))
    assert "Packages need to be removed but remove is disabled." in failure(ran(box.cluster, package("kxclash")))
    done(box.cluster, package("kxclash", may_remove=True))
    assert installed(box) == "kxclash 1.0 installed\n"


def test_what_was_removed_comes_again_in_its_version(box: Box, debs: Path) -> None:
    """Undoing a removal installs what there was."""
    done(box.cluster, package("kxapp=1.0"))
    gone = done(box.cluster, package(["kxapp", "kxother"], state="absent"))
    assert ran(box.cluster, package(["kxapp", "kxother"], state="absent")).status is kx.Status.Skipped
    assert undone(box.cluster, package(["kxapp", "kxother"], state="absent"), before(gone)).status.ok
    assert installed(box) == "kxapp 1.0 installed\nkxlib 1.0 installed\n"


def test_an_undo_takes_nothing_that_was_idle_before(box: Box, debs: Path) -> None:
    """What nothing needed already before the step stays."""
    box.sh("apt-get -qq update; apt-get -qq -y install kxlib kxother; apt-mark auto kxother >/dev/null")
    first = done(box.cluster, package("kxapp"))
    assert undone(box.cluster, package("kxapp"), before(first)).status.ok
    assert installed(box) == "kxlib 1.0 installed\nkxother 1.0 installed\n"


def test_an_undo_takes_what_was_recommended_and_needs_the_package_itself(box: Box, debs: Path) -> None:
    """It came along; where somebody asked for it, or another recommends it, it is none of ours and is named."""
    deb(debs, "kxmta", Depends="kxbase")
    deb(debs, "kxbase", Recommends="kxmail")
    deb(debs, "kxmail", Depends="kxmta")
    deb(debs, "kxreader", Recommends="kxmail")
    index(debs)
    first = done(box.cluster, package("kxmta"))
    assert "kxmail 1.0 installed" in installed(box)
    assert undone(box.cluster, package("kxmta"), before(first)).status.ok
    assert installed(box) == ""
    told = "others need it and would be removed too: kxmail (exit status 1)"
    done(box.cluster, package("kxmta"))
    box.sh("apt-mark manual kxmail >/dev/null")
    assert failure(undone(box.cluster, package("kxmta"), before(first))) == told
    box.sh("apt-mark auto kxmail >/dev/null")
    done(box.cluster, package("kxreader"))
    assert failure(undone(box.cluster, package("kxmta"), before(first))) == told


def test_changed_configuration_is_kept_and_purged_only_when_asked(box: Box, debs: Path) -> None:
    """An upgrade does not ask about it; removal leaves it, purging does not."""
    for version in ("1.0", "2.0"):
        deb(debs, "kxconf", version, files={"etc/kxconf.conf": f"by package {version}"}, Conffiles="/etc/kxconf.conf")
    index(debs)
    done(box.cluster, package("kxconf=1.0"))
    box.path("/etc/kxconf.conf").write_text("mine\n")
    done(box.cluster, package("kxconf", latest=True))
    assert box.path("/etc/kxconf.conf").read_text() == "mine\n"
    done(box.cluster, package("kxconf", state="absent"))
    assert box.path("/etc/kxconf.conf").read_text() == "mine\n"
    assert ran(box.cluster, package("kxconf", state="absent")).status is kx.Status.Skipped
    purged = done(box.cluster, package("kxconf", state="absent", purge=True))
    assert purged.change is not None
    assert purged.change.diff == "-kxconf config-files\n+kxconf purged"
    assert not box.path("/etc/kxconf.conf").exists()
    assert ran(box.cluster, package("kxconf", state="absent", purge=True)).status is kx.Status.Skipped


def test_an_undo_leaves_no_configuration_that_was_not_there(box: Box, debs: Path) -> None:
    """What was removed before and had left its own keeps that."""
    deb(debs, "kxconf", files={"etc/kxconf.conf": "by package"}, Conffiles="/etc/kxconf.conf")
    deb(debs, "kxneeds", Depends="kxconf")
    index(debs)
    for name in ("kxconf", "kxneeds"):
        first = done(box.cluster, package(name))
        assert undone(box.cluster, package(name), before(first)).status.ok
        assert installed(box) == ""
        assert not box.path("/etc/kxconf.conf").exists()
    done(box.cluster, package("kxconf"))
    done(box.cluster, package("kxconf", state="absent"))
    again = done(box.cluster, package("kxconf"))
    assert again.change is not None
    assert again.change.diff == "-kxconf config-files\n+kxconf installed"
    assert undone(box.cluster, package("kxconf"), before(again)).status.ok
    assert installed(box) == "kxconf 1.0 config-files\n"
    assert box.path("/etc/kxconf.conf").read_text() == "by package\n"


def test_an_undo_leaves_configuration_that_was_there_before_the_package(box: Box, debs: Path) -> None:
    """The package had kept it, and so does its removal; mode and owner, too."""
    conffiles = ["/etc/kxconf.conf", "/etc/kxconf.d/two words"]
    deb(debs, "kxconf", files={each.lstrip("/"): "by package" for each in conffiles}, Conffiles="\n".join(conffiles))
    index(debs)
    box.path("/etc/kxconf.d").mkdir()
    for each in conffiles:
        box.path(each).write_text("mine\n")
        box.path(each).chmod(0o640)
    look = "find /etc/kx* -printf '%p %m %U %s\n' | sort"
    there = box.sh(look)
    first = done(box.cluster, package("kxconf"))
    assert undone(box.cluster, package("kxconf"), before(first)).status.ok
    assert (installed(box), box.sh(look)) == ("", there)
    assert box.path(conffiles[1]).read_text() == "mine\n"


# Two of the files have names that do not stand in the script.
MAKES = """
getent group kxg >/dev/null || groupadd -r kxg
getent passwd kxd >/dev/null || useradd -r -d /var/lib/kxd -s /bin/false kxd
[ -e /etc/kxmade ] || echo made >/etc/kxmade
mkdir -p /etc/kxdir /var/lib/kxd
echo of >/etc/kxdir/"its own"
echo other >/etc/kxcomputed$((1 + 1))
"""


PLAIN = MAKES.replace("kxcomputed$((1 + 1))", "kxcomputed2").replace('"its own"', "own")


def accounts(box: Box) -> str:
    """All of them, and what is in /etc of this."""
    return box.sh(
        "cut -d: -f1,3 /etc/passwd /etc/group | sort; ls -ld /etc/kx* /var/lib/kx* 2>/dev/null | cut -c1-10,40-"
    )


def test_a_rollback_takes_what_scripts_of_a_package_made(box: Box, debs: Path, tmp_path: Path) -> None:
    """Accounts, groups, files and folders that were not there before; the plan says before what it cannot know."""
    deb(debs, "kxd", Postinst=PLAIN)
    index(debs)
    there = accounts(box)
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", package(["kxd", "kxother"]), package("kxlib"))))
    planned = kx.plan(pipeline, box.cluster)
    assert planned.lasting == ()
    for each in planned:
        assert each.leaves.startswith("what they made and their removal keeps, such as data")
    assert "    taken back, it leaves what they made" in "\n".join(foreseen.lines(planned))
    log = tmp_path / "log"
    first = kx.report_of(kx.run(pipeline, box.cluster, sinks=[kx.ndjson(log)]))
    assert first.succeeded
    assert "kxd" in accounts(box).replace(there, "")
    back = kx.report_of(kx.rollback(pipeline, box.cluster, kx.read_log(log).report()))
    assert back.succeeded, back.faulty
    assert [str(each.stderr) for each in back] == ["", ""]
    assert accounts(box) == there
    assert installed(box) == ""
    assert kx.plan(pipeline, box.cluster) == planned


def test_a_rollback_names_what_it_finds_and_has_to_leave(box: Box, debs: Path) -> None:
    """What was there before is nobody's; what was changed since, and what another package uses, too."""
    deb(debs, "kxd", Postinst=MAKES + "useradd -r kxuser\nuseradd -r kxbusy\n")
    deb(debs, "kxuses", Postinst="getent passwd kxuser || useradd -r kxuser")
    index(debs)
    box.sh("groupadd -r kxg; mkdir /etc/kxdir; echo mine >/etc/kxmade")
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", package("kxd"))))
    first = kx.report_of(kx.run(pipeline, box.cluster))
    assert first.succeeded
    done(box.cluster, package("kxuses"))
    box.sh("echo data >/var/lib/kxd/data; useradd -r later; useradd -m human")
    box.sh("setsid su -s /bin/sh kxbusy -c 'sleep 60' >/dev/null 2>&1 & :")
    until(lambda: "kxbusy" in box.sh("ps -eo user,args"), "a process of its")
    text = io.StringIO()
    back = kx.report_of(kx.rollback(pipeline, box.cluster, first, sinks=[kx.console(file=text)]))
    assert back.succeeded, back.faulty
    (result,) = back
    assert sorted(str(result.stderr).splitlines()) == [
        "cannot be taken back: /etc/kxcomputed2",
        "cannot be taken back: /etc/kxdir/its own",
        "cannot be taken back: /var/lib/kxd",
        "cannot be taken back: group kxbusy",
        "cannot be taken back: group kxuser, which another package uses",
        "cannot be taken back: user kxbusy",
        "cannot be taken back: user kxuser, which another package uses",
    ]
    assert "undone: 1 step; not undone: m/t/package kxd on box: " in text.getvalue()
    assert text.getvalue().endswith("; and 2 more\n")
    box.sh("getent passwd later && getent passwd human && getent group kxg && ! getent passwd kxd")
    assert box.path("/etc/kxmade").read_text() == "mine\n"


def there_and_back(box: Box, *steps: kx.Step[Any], between: str = ":") -> list[str]:
    """What the rollback of a run of these steps names that it leaves."""
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    first = kx.report_of(kx.run(pipeline, box.cluster))
    assert first.succeeded, first.faulty
    box.sh(between)
    back = kx.report_of(kx.rollback(pipeline, box.cluster, first))
    assert back.succeeded, back.faulty
    told = (line for each in back for line in str(each.stderr).splitlines())
    return sorted(line.removeprefix(KEPT) for line in told if line.startswith(KEPT))


def apt(box: Box, line: str) -> None:
    """Have apt-get do something."""
    box.sh(f"apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq -y {line}")


def test_a_rollback_removes_what_came_and_nothing_else(box: Box, debs: Path) -> None:
    """Also what another recommends, or what was idle before; what others need by now, or is newer, is named."""
    deb(debs, "kxwants", Recommends="kxlog, kxlib")
    deb(debs, "kxlog", Architecture="amd64", Multi_Arch="same")  # of which dpkg tells the architecture, too
    deb(debs, "kxshared")
    deb(debs, "kxbase", "1.0")
    deb(debs, "kxnew", Depends="kxlog, kxlib, kxshared, kxbase (>= 2), kxidle")
    deb(debs, "kxlater", Depends="kxshared")
    deb(debs, "kxidle")
    index(debs)
    apt(box, "install --no-install-recommends kxwants kxidle kxbase")
    box.sh("apt-mark auto kxidle >/dev/null")
    deb(debs, "kxbase", "2.0")
    index(debs)
    there = installed(box)
    assert there_and_back(box, package("kxnew", update=0)) == ["kxbase 2.0, which was 1.0 before"]
    assert installed(box) == there.replace("kxbase 1.0", "kxbase 2.0")
    there = installed(box)
    later = "apt-get -qq -y install kxlater; apt-mark manual kxlib >/dev/null"
    assert there_and_back(box, package("kxnew"), between=later) == [
        "kxlib, which is wanted for itself by now",
        "kxshared, which kxlater needs by now",
    ]
    box.sh("apt-get -qq -y purge kxlater kxshared kxlib")
    assert installed(box) == there


def test_a_rollback_brings_back_what_was_removed_besides(box: Box, debs: Path) -> None:
    """In its version, and as wanted as it was; what is not to be had any more is named."""
    deb(debs, "kxneeds", Depends="kxlib")
    deb(debs, "kxrival", Conflicts="kxlib")
    index(debs)
    apt(box, "install kxneeds kxother")
    look = "apt-mark showauto"
    there, auto = installed(box), box.sh(look)
    assert auto == "kxlib\n"
    for step in (package("kxlib", state="absent", may_remove=True), package("kxrival", may_remove=True)):
        assert there_and_back(box, step) == []
        assert (installed(box), box.sh(look)) == (there, auto)
    gone = kx.pipeline("p", kx.module("m", kx.task("t", package("kxlib", state="absent", may_remove=True))))
    assert [each.leaves for each in kx.plan(gone, box.cluster)] == [
        "what else is removed for it away, where that is not apt's or no longer to be had"
    ]
    (debs / "kxneeds_1.0_all.deb").unlink()
    index(debs)
    box.sh("apt-get -qq update")
    assert there_and_back(box, package("kxlib", state="absent", may_remove=True)) == [
        "kxneeds 1.0, which is not to be had any more"
    ]


def test_a_rollback_keeps_what_a_purge_would_take_of_before(box: Box, debs: Path) -> None:
    """Accounts come again line by line; where it would take folders the package is removed, not purged, and named."""
    purge = '[ "$1" != purge ] || {{ userdel {0} 2>/dev/null; groupdel {0} 2>/dev/null; {1}; }}; :'
    deb(debs, "kxold", Postinst="getent passwd kxold || useradd -r kxold", Postrm=purge.format("kxold", ":"))
    deb(debs, "kxdata", Postinst="mkdir -p /var/log/kxdata", Postrm=purge.format("none", "rm -rf /var/log/kxdata"))
    deb(debs, "kxfresh", Postinst="useradd -r kxfresh", Postrm=purge.format("kxfresh", "rm -rf /var/log/kxfresh"))
    index(debs)
    box.sh("groupadd -r kxg; useradd -r -u 444 -G kxg -c 'A b' kxold; echo kxold:secret | chpasswd -c SHA256")
    look = "for f in passwd group shadow gshadow; do sort /etc/$f; done; ls /var/log"
    there = box.sh(look)
    assert there_and_back(box, package(["kxold", "kxfresh", "kxdata"])) == []
    assert (box.sh(look), installed(box)) == (there, "")
    box.sh("mkdir /var/log/kxdata; echo keep >/var/log/kxdata/keep")
    assert there_and_back(box, package(["kxfresh", "kxdata"])) == [
        "configuration of kxdata: its purge would take /var/log/kxdata, which was there before"
    ]
    assert box.sh("cat /var/log/kxdata/keep") == "keep\n"
    assert installed(box) == "kxdata 1.0 config-files\n"


def test_what_scripts_made_goes_where_the_installation_failed(box: Box, debs: Path) -> None:
    """It is told whatever came of it."""
    deb(debs, "kxbad", Postinst=f"{PLAIN}exit 3")
    index(debs)
    there = accounts(box)
    step = package("kxbad")
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", step)), on_failure=kx.rollback("host"))
    report = kx.report_of(kx.run(pipeline, box.cluster))
    assert report["p/m/t/package kxbad", "box"].status is kx.Status.Failed
    assert report["@undo/m/t/package kxbad", "box"].ok
    assert accounts(box) == there


def test_a_package_that_is_half_there_is_seen_through(box: Box, debs: Path) -> None:
    """One whose script failed is no installed one; the next run mends it."""
    deb(debs, "kxhalf", Postinst="echo not let >&2; test -e /srv/let")
    index(debs)
    words = failure(ran(box.cluster, package("kxhalf")))
    assert "dpkg returned an error code" in words
    assert "kxhalf: installed kxhalf package post-installation script" in words
    assert ": not let (" in words
    assert installed(box) == "kxhalf 1.0 half-configured\n"
    box.path("/srv/let").touch()
    mended = done(box.cluster, package("kxhalf"))
    assert mended.change is not None
    assert mended.change.before == "kxhalf half-configured"
    assert installed(box) == "kxhalf 1.0 installed\n"


def test_a_dpkg_that_was_cut_off_is_seen_through_first(box: Box, debs: Path) -> None:
    """Apt-get alone would refuse to do anything."""
    box.sh("apt-get -qq update; apt-get -qq -y install kxlib")
    box.sh("cp /var/lib/dpkg/status /var/lib/dpkg/updates/0000")
    assert "dpkg was interrupted" in box.sh("apt-get -y install kxother 2>&1", ok=False)
    done(box.cluster, package("kxother"))


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"])
def test_it_waits_for_others_who_hold_the_lock_but_not_for_ever(box: Box, debs: Path, lock: str) -> None:
    """Within the bound it goes on when they are done; then it fails."""
    results: list[kx.StepResult] = []

    def work() -> None:
        results.append(ran(box.cluster, package("kxlib", lock=60)))

    box.path(lock).parent.mkdir(exist_ok=True)
    with box.path(lock).open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert "lock" in failure(ran(box.cluster, package("kxlib", lock=0)))
        worker = threading.Thread(target=work)
        worker.start()
        until(lambda: "apt-get" in box.sh("ps -eo args"), "apt-get waits")
        assert not results
    worker.join(30)
    assert results[0].status is kx.Status.Succeeded, str(results[0].stderr)


def test_what_cannot_be_done_leaves_all_as_it_was(box: Box, debs: Path) -> None:
    """Without rights, and on a disk that cannot be written."""
    nobody = package("kxlib").become("nobody")
    assert failure(ran(box.cluster, nobody))
    box.sh("apt-get -qq update; mount -t tmpfs -o ro tmpfs /var/cache/apt/archives; touch /var/lib/apt/lists/partial")
    assert failure(ran(box.cluster, package("kxlib")))
    assert installed(box) == ""


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "-y", "./x.deb", "a;touch pwned", "$(touch pwned)", "a'b", 'a"b', "a\nb", "a\\b", "a*", "ä",
     "content", "a:", "a= 1", "a=-1", "a=1 2", "a=*", "a=$(x)", "\udcff"],
)  # fmt: skip
def test_a_name_or_version_that_cannot_be_is_refused_at_once(name: str) -> None:
    """No host is asked."""
    with pytest.raises(kx.InvalidError):
        package(name)


def test_contradictions_are_refused_at_once() -> None:
    """Each says what to write."""
    cases: list[Callable[[], kx.Step[Any]]] = [
        lambda: package([]),
        lambda: package(["a", "a"]),
        lambda: package(["a", "b"], version="1"),
        lambda: package("a", state="absent", version="1"),
        lambda: package("a", state="absent", latest=True),
        lambda: package("a=1", latest=True),
        lambda: package("a", purge=True),
        lambda: package("a", state="gone"),  # type: ignore[arg-type]  # what a user may write
        lambda: package("a", manager="brew"),  # type: ignore[arg-type]  # as above
        lambda: package("a", update=-1),
        lambda: package("a", lock=-1),
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"^package"):
            wrong()
