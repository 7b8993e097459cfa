"""dnf, zypper and pacman, by stand-ins that reply as dnf 4.14, zypper 1.14 and pacman 6.0 were seen to do.

What there is: `kxapp` 1.0-1 and 1:2.0-1 (with pacman 2.0-1), which needs `kxlib`; `kxother`; `kxmail`, which provides
`kxmta`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import kxflow as kx
from kxflow.resources import package
from kxflow.resources.managers import ManagerName
from kxflow.testing.plugin import need_program
from tests.resources.helpers_services import before, cycle, done, ran, undone

# The world that all tools share: versions that can be had, oldest first, and what is installed, by name.
WORLD = r"""#!/bin/sh
S=${0%/*}/../state tool=${0##*/}
printf '%s\n' "$tool $*" >>"$S/asked"
newest() { tail -n 1 "$S/avail/$1" 2>/dev/null; }
provider() { [ "$1" = kxmta ] && echo kxmail; }
have() { [ -e "$S/have/$1" ]; }
add() { # name version
  [ "$1" != kxapp ] || have kxlib || newest kxlib >"$S/have/kxlib"
  echo "$2" >"$S/have/$1"
}
needed() { [ "$1" = kxlib ] && have kxapp; }
drop() { # name sweep
  [ "$1" != kxlib ] || rm -f "$S/have/kxapp"
  rm -f "$S/have/$1"
  [ "$1$2" != kxappsweep ] || rm -f "$S/have/kxlib"
}
plain() { n=${1%.noarch}; }
# Which version is meant by a word: sets n and v.
meant() { # word separator
  plain "$1"
  v=$(newest "$n")
  [ -z "$v" ] || return 0
  p=$(provider "$n") && n=$p && v=$(newest "$p") && return 0
  for x in $(ls "$S/avail"); do
    case $1 in "$x$2"*) ;; *) continue ;; esac
    n=$x
    while read -r y; do
      case $y in ${1#"$x$2"} | ${1#"$x$2"}-*) v=$y; return 0 ;; esac
    done <"$S/avail/$x"
  done
  return 1
}
"""
RPM = r"""
case $* in
  -e*)
    echo 'error: Failed dependencies:' >&2
    for n in "$@"; do
      ! needed "$n" || { echo "	$n is needed by (installed) kxapp-$(cat "$S/have/kxapp").noarch" >&2; exit 1; }
    done
    exit 0
    ;;
  *--whatprovides*)
    for n in "$@"; do :; done
    p=$(provider "$n") && have "$p" && { echo "$p"; exit 0; }
    echo "no package provides $n"
    exit 1
    ;;
esac
for n in "$@"; do :; done
plain "$n"
have "$n" || { echo "package $n is not installed"; exit 1; }
echo "$n noarch $(cat "$S/have/$n")"
"""
DNF = r"""
refresh= sweep=sweep words=
for x in "$@"; do
  case $x in
    --refresh) cp -r "$S/upstream/." "$S/avail" ;;
    --noautoremove) sweep= ;;
    -*) ;;
    *) words="$words $x" ;;
  esac
done
set -f
set -- $words
act=$1
shift
echo "Unable to detect release version (use '--releasever' to specify release version)" >&2
case $act in
  check-update)
    plain "$1"
    [ "$(newest "$n")" = "$(cat "$S/have/$n")" ] && exit 0
    printf '\n%s.noarch                             %s                              kx\n' "$n" "$(newest "$n")"
    exit 100
    ;;
  install)
    for w in "$@"; do
      meant "$w" - || { echo "Error: Unable to find a match: $w" >&2; exit 1; }
      add "$n" "$v"
    done
    ;;
  upgrade) for n in "$@"; do add "$n" "$(newest "$n")"; done ;;
  remove) for n in "$@"; do plain "$n"; drop "$n" $sweep; done ;;
esac
"""
ZYPPER = r"""
sweep= words=
for x in "$@"; do
  case $x in --clean-deps) sweep=sweep ;; -*) ;; *) words="$words $x" ;; esac
done
set -f
set -- $words
act=$1
shift
case $act in
  refresh) cp -r "$S/upstream/." "$S/avail"; mkdir -p "$S/raw" ;;
  info)
    plain "$1"
    now=$(cat "$S/have/$n")
    status=up-to-date
    [ "$now" = "$(newest "$n")" ] || status="out-of-date (version $now installed)"
    printf '\n\nInformation for package %s:\n------\nVersion        : %s\n' "$n" "$(newest "$n")"
    printf 'Status         : %s\n' "$status"
    ;;
  install)
    for w in "$@"; do meant "$w" = || { echo "No provider of '$w' found." >&2; exit 104; }; add "$n" "$v"; done
    printf '\nThe following NEW package is going to be installed:\n  %s\n' "$n"
    ;;
  remove) for n in "$@"; do plain "$n"; drop "$n" $sweep; done ;;
esac
"""
PACMAN = r"""
for w in "$@"; do :; done
case $* in
  -Q\ *)
    have "$w" && { echo "$w $(cat "$S/have/$w")"; exit 0; }
    p=$(provider "$w") && have "$p" && { echo "$p $(cat "$S/have/$p")"; exit 0; }
    echo "error: package '$w' was not found" >&2
    exit 1
    ;;
  -Qu*) [ "$(cat "$S/have/$w")" != "$(newest "$w")" ] && echo "$w $(cat "$S/have/$w") -> $(newest "$w")"; exit ;;
  *--print\ *)
    v=$(newest "$w")
    [ "$v" ] || { echo "error: target not found: $w" >&2; exit 1; }
    echo "$w=$v"
    exit
    ;;
esac
[ ! -e "$S/db.lck" ] || {
  echo 'error: failed to init transaction (unable to lock database)' >&2
  echo 'error: could not lock database: File exists' >&2
  echo "  if you're sure a package manager is not already" >&2
  echo '  running, you can remove /var/lib/pacman/db.lck' >&2
  exit 1
}
shift 2
act=$1
shift
[ "$1" != -- ] || shift
case $act in
  -Sy) cp -r "$S/upstream/." "$S/avail"; echo ':: Synchronizing package databases...' ;;
  -S) for w in "$@"; do meant "$w" = || { echo "error: target not found: $w" >&2; exit 1; }; add "$n" "$v"; done ;;
  -R*)
    for n in "$@"; do
      case $act in
        *c*) ;;
        *)
          needed "$n" && {
            echo 'error: failed to prepare transaction (could not satisfy dependencies)' >&2
            echo ":: removing $n breaks dependency '$n' required by kxapp"
            exit 1
          }
          ;;
      esac
      case $act in -Rs*) drop "$n" sweep ;; *) drop "$n" ;; esac
    done
    ;;
esac
"""
TOOLS: dict[ManagerName, dict[str, str]] = {
    "dnf": {"rpm": RPM, "dnf": DNF},
    "zypper": {"rpm": RPM, "zypper": ZYPPER},
    "pacman": {"pacman": PACMAN},
}


USUAL = "sh dd cat ls grep sleep tr mkdir rm head tail sed env id mktemp find touch cp date printf"


class Host:
    """A host with one package manager, and none of this machine's."""

    def __init__(self, folder: Path, manager: ManagerName) -> None:
        self.folder, self.manager = folder, manager
        self.newest = "2.0-1" if manager == "pacman" else "1:2.0-1"
        for name in ("bin", "state/have", "state/avail", "state/upstream"):
            (folder / name).mkdir(parents=True)
        for name in USUAL.split():
            (folder / "bin" / name).symlink_to(need_program(name))
        for name, text in TOOLS[manager].items():
            (folder / "bin" / name).write_text(WORLD + text)
            (folder / "bin" / name).chmod(0o755)
        for name, version in (("kxlib", "1.0-1"), ("kxapp", "1.0-1"), ("kxother", "1.0-1"), ("kxmail", "1.0-1")):
            self.offer(name, version)
        self.refresh()
        self.cluster = kx.Cluster([kx.Host("here", connect=kx.Via("env", f"PATH={folder}/bin"))])

    def offer(self, name: str, version: str) -> None:
        """Put a version upstream; the host does not know of it yet."""
        with (self.folder / "state/upstream" / name).open("a") as file:
            file.write(f"{version}\n")

    def refresh(self) -> None:
        """It knows now."""
        for each in (self.folder / "state/upstream").iterdir():
            (self.folder / "state/avail" / each.name).write_text(each.read_text())

    def have(self) -> dict[str, str]:
        """What is installed."""
        return {each.name: each.read_text().strip() for each in sorted((self.folder / "state/have").iterdir())}

    def asked(self) -> str:
        """What the tools were told."""
        return (self.folder / "state/asked").read_text()


@pytest.fixture(params=["dnf", "zypper", "pacman"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host with one of them."""
    return Host(tmp_path / "host", request.param)


@pytest.fixture(params=["dnf", "zypper"])
def rpm_host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host whose packages are of the RPM kind, with a newer version upstream."""
    made = Host(tmp_path / "host", request.param)
    made.offer("kxapp", made.newest)
    made.refresh()
    return made


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


def test_packages_come_are_repaired_and_go_with_what_came_along(host: Host) -> None:
    """Fresh, again, drifted, undone."""
    first = cycle(
        host.cluster,
        package(["kxapp", "kxother"]),
        drift=(host.folder / "state/have/kxother").unlink,
        seen=host.have,
    )
    assert first.change is not None
    assert first.change.diff == "-kxapp absent\n-kxother absent\n+kxapp installed\n+kxother installed"
    done(host.cluster, package(["kxapp", "kxother"]))
    assert [*host.have()] == ["kxapp", "kxlib", "kxother"]


def test_what_was_removed_comes_again(host: Host) -> None:
    """What came along for it stays where it is only removed."""
    done(host.cluster, package("kxapp"))
    there = host.have()
    gone = done(host.cluster, package("kxapp", state="absent"))
    assert [*host.have()] == ["kxlib"]
    assert ran(host.cluster, package("kxapp", state="absent")).status is kx.Status.Skipped
    assert undone(host.cluster, package("kxapp", state="absent"), before(gone)).status.ok
    assert host.have() == there


def test_latest_knows_of_what_is_upstream(host: Host) -> None:
    """After a refresh."""
    done(host.cluster, package("kxapp"))
    assert ran(host.cluster, package("kxapp", latest=True, update=None)).status is kx.Status.Skipped
    host.offer("kxapp", host.newest)
    assert ran(host.cluster, package("kxapp", latest=True, update=None)).status is kx.Status.Skipped
    newer = done(host.cluster, package("kxapp", latest=True, update=0))
    assert host.have()["kxapp"] == host.newest
    assert before(newer) == {"kxapp": "1.0-1"}
    assert ran(host.cluster, package("kxapp", latest=True, update=0)).status is kx.Status.Skipped


def test_a_pinned_version_may_be_older_with_rpm(rpm_host: Host) -> None:
    """Forth and back."""
    done(rpm_host.cluster, package("kxapp"))
    older = done(rpm_host.cluster, package("kxapp=1.0-1"))
    assert rpm_host.have()["kxapp"] == "1.0-1"
    assert ran(rpm_host.cluster, package("kxapp=1.*")).status is kx.Status.Skipped
    assert undone(rpm_host.cluster, package("kxapp=1.0-1"), before(older)).status.ok
    assert rpm_host.have()["kxapp"] == rpm_host.newest


def test_pacman_has_the_newest_version_only(tmp_path: Path) -> None:
    """A pin of another fails before anything is changed; so does an undo of an upgrade."""
    host = Host(tmp_path / "host", "pacman")
    done(host.cluster, package("kxapp=1.0-1"))
    host.offer("kxapp", "2.0-1")
    newer = done(host.cluster, package("kxapp=2.0-1", update=0))
    assert "kxapp is to be had in version 2.0-1 only" in failure(ran(host.cluster, package("kxapp=1.0-1")))
    assert undone(host.cluster, package("kxapp=2.0-1"), before(newer)).status is kx.Status.Failed
    assert host.have()["kxapp"] == "2.0-1"
    assert "knows of no architectures" in failure(ran(host.cluster, package("kxapp:any")))


def test_an_architecture_is_named_as_rpm_does(rpm_host: Host) -> None:
    """`NAME:ARCHITECTURE` here, `NAME.ARCHITECTURE` there."""
    done(rpm_host.cluster, package("kxapp:noarch"))
    assert ran(rpm_host.cluster, package("kxapp:noarch")).status is kx.Status.Skipped
    assert "kxapp.noarch" in rpm_host.asked()


def test_a_name_that_others_provide_stands_for_them(host: Host) -> None:
    """It comes, counts as there, and goes with its provider."""
    first = done(host.cluster, package("kxmta"))
    assert [*host.have()] == ["kxmail"]
    assert ran(host.cluster, package("kxmta")).status is kx.Status.Skipped
    assert undone(host.cluster, package("kxmta"), before(first)).status is kx.Status.Succeeded
    assert host.have() == {}


def test_what_is_not_to_be_had_fails_in_the_words_of_the_tool(host: Host) -> None:
    """A name, and a version."""
    told = {
        "dnf": "Unable to find a match: {}",
        "zypper": "No provider of '{}' found.",
        "pacman": "target not found: {}",
    }
    assert told[host.manager].format("nope") in failure(ran(host.cluster, package("nope")))
    assert ran(host.cluster, package("kxapp=9")).status is kx.Status.Failed
    assert host.have() == {}


def test_removal_leaves_others_alone_or_fails(host: Host) -> None:
    """What depends on it is removed only where that was said."""
    done(host.cluster, package("kxapp"))
    there = host.have()
    told = failure(ran(host.cluster, package("kxlib", state="absent")))
    assert ("kxapp-1.0-1.noarch" if host.manager != "pacman" else "could not satisfy dependencies") in told
    assert host.have() == there
    done(host.cluster, package("kxlib", state="absent", may_remove=True))
    assert host.have() == {}


def test_pacman_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    """Its lock is a file that another one made."""
    host = Host(tmp_path / "host", "pacman")
    (host.folder / "state/db.lck").touch()
    assert "unable to lock database" in failure(ran(host.cluster, package("kxlib", lock=1)))
    assert host.asked().count("-S -- kxlib") == 2


def test_recommended_packages_come_as_it_was_said(rpm_host: Host) -> None:
    """In the words of the tool."""
    done(rpm_host.cluster, package("kxlib", recommends=False))
    done(rpm_host.cluster, package("kxother", recommends=True))
    words = {"dnf": ("weak_deps=False", "weak_deps=True"), "zypper": ("--no-recommends", "--recommends")}
    assert all(each in rpm_host.asked() for each in words[rpm_host.manager])


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "zsh", "busybox"])
def test_every_shell_of_a_host_can_do_it(host: Host, shell: str) -> None:
    """The words are POSIX."""
    (host.folder / "bin/sh").unlink()
    (host.folder / "bin/sh").symlink_to(need_program(shell))
    step = package(["kxapp", "kxmta"])
    first = done(host.cluster, step)
    assert ran(host.cluster, step).status is kx.Status.Skipped
    assert undone(host.cluster, step, before(first)).status.ok
    assert host.have() == {}


def test_a_host_without_any_of_them_says_so(tmp_path: Path) -> None:
    """It names those that are known; one that was named is not looked for."""
    host = Host(tmp_path / "host", "pacman")
    (host.folder / "bin/pacman").unlink()
    told = failure(ran(host.cluster, package("a")))
    assert "no package manager here that is known: apt, dnf, zypper, pacman" in told
