"""Package managers, as shell words that a probe and an apply of packages are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from kxflow.resources import apt, leavings, pacman, rpm
from kxflow.shell.preamble import dense

ManagerName: TypeAlias = Literal["apt", "dnf", "zypper", "pacman"]


def _dense(text: str) -> str:
    return f"{dense(text).decode()}\n" if text else ""


@frozen(kw_only=True)
class Manager:
    """One package manager.

    Attributes:
        here: Shell test: it is what this host uses.
        get: What `latest` and `change` need both.
        ask: Defines `kx_pr NAME…` (look at these) and `kx_pv NAME` (sets `is`: the installed version, another word
            where the package is in no good state, nothing where it is not there).
        latest: Defines `kx_pl NAME` (sets `is` to `latest` where nothing newer is to be had).
        change: Defines `kx_pg` (install `$get`: NAME or NAME=VERSION) and `kx_pd` (remove `$drop`).
        strays: Defines how to see what scripts of its packages make, as `leavings` has it.
    """

    here: str
    ask: str = field(converter=_dense)
    get: str = field(default="", converter=_dense)
    latest: str = field(converter=_dense)
    change: str = field(converter=_dense)
    strays: str = field(default=leavings.NONE, converter=_dense)


MANAGERS: Final[Mapping[ManagerName, Manager]] = {
    "apt": Manager(
        here="[ -f /var/lib/dpkg/status ] && command -v apt-get >/dev/null 2>&1",
        ask=apt.ASK,
        get=apt.GET,
        latest=apt.LATEST,
        change=apt.CHANGE,
        strays=leavings.DEBIAN,
    ),
    "dnf": Manager(
        here="command -v dnf >/dev/null 2>&1 && command -v rpm >/dev/null 2>&1",
        ask=rpm.ASK,
        get=rpm.DNF,
        latest=rpm.DNF_LATEST,
        change=rpm.DNF_CHANGE,
    ),
    "zypper": Manager(
        here="command -v zypper >/dev/null 2>&1 && command -v rpm >/dev/null 2>&1",
        ask=rpm.ASK,
        get=rpm.ZYPPER,
        latest=rpm.ZYPPER_LATEST,
        change=rpm.ZYPPER_CHANGE,
    ),
    "pacman": Manager(
        here="command -v pacman >/dev/null 2>&1",
        ask=pacman.ASK,
        get=pacman.GET,
        latest=pacman.LATEST,
        change=pacman.CHANGE,
    ),
}


def words(manager: ManagerName | None, *, latest: bool, change: bool) -> str:
    """The words of a manager, or of the one that the host uses."""

    def its(one: Manager) -> str:
        return "".join(
            (
                one.ask,
                one.get if latest or change else "",
                one.latest if latest else "",
                one.change + one.strays if change else "",
            )
        )

    if manager is not None:
        return its(MANAGERS[manager])
    branches = "el".join(f"if {each.here}; then\n{its(each)}" for each in MANAGERS.values())
    return f"{branches}else kx_no 'no package manager here that is known: {', '.join(MANAGERS)}'; fi\n"
