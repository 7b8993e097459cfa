"""Services of the host: whether they run, and whether they start with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, Literal, TypeAlias, cast

from attrs import evolve, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step, command
from kxflow.resources.inits import INITS, InitName, words
from kxflow.resources.paths import sh
from kxflow.values.action import Command
from kxflow.values.arguments import check_flags
from kxflow.values.errors import InvalidError
from kxflow.values.output import Output
from kxflow.values.state import Ensured, State

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,254}")
_ASK: Final = {
    "masked": "kx_masked {name}; kx_say masked $is",
    "enabled": "kx_enabled {name} {wanted}; kx_say enabled $is",
    "running": "kx_running {name}; kx_say running $is",
}
_DO: Final = {
    ("masked", "no"): ("kx_masked {name}", "unmask"),
    ("enabled", "yes"): ("kx_enabled {name} yes", "enable"),
    ("enabled", "no"): ("kx_enabled {name} no", "disable"),
    ("running", "yes"): ("kx_running {name}", "start"),
    ("running", "no"): ("kx_running {name}", "stop"),
    ("masked", "yes"): ("kx_masked {name}", "mask"),
}

_Now: TypeAlias = Literal["restart", "reload"]
_STOOD: Final = "kxflow: it did not run"
_STANDS: Final = '[ "$is$dead" = no ]'


def _none(name: str) -> str:
    return f"there is no service {name}: install what brings it in an earlier step"


@frozen
class Service:
    """A service by its name, and what starts it; the host's own where None."""

    name: str
    init: InitName | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("service", self.name)

    def probe(self, wanted: State) -> str:
        """Whether it runs and starts with the host, as far as that is wanted; nothing where there is none."""
        name = sh(self.name)
        asked = "\n".join(_ASK[each].format(name=name, wanted=value) for each, value in wanted.items())
        return f"{words(self.init)}kx_there {name} || exit 0\n{asked}\n"

    def apply(self, wanted: State) -> Command[Any]:
        """First what lets it start, then whether it runs."""
        name = sh(self.name)
        lines = [f"kx_there {name} || kx_no {sh(_none(self.name))}"]
        for (attribute, value), (ask, action) in _DO.items():
            if wanted.get(attribute) == value:
                lines.append(f'{ask.format(name=name)}; [ "$is" = {value} ] || kx_go {action} {name}')
        return cast("Command[Any]", shell(words(self.init) + "\n".join(lines)))

    def needs(self, wanted: State) -> Iterator[Need]:
        """That it is there."""
        there = f"{words(self.init)}kx_there {sh(self.name)}"
        script = f"/etc/init.d/{self.name}"
        units = tuple(f"{each}/systemd" for each in ("/etc", "/lib", "/run", "/usr"))
        things = (("service", re.sub("@.*", "@", self.name).removesuffix(".service")),)
        if self.init in (None, "systemd"):
            yield Need(there, _none(self.name), (script, *units), things)
        if self.init is None:  # where systemd does not run, a unit is none
            yield Need(f"[ -d /run/systemd/system ] || {{ {there}; }}", _none(self.name), (script,), things)
        elif self.init != "systemd":
            yield Need(there, _none(self.name), (script,), things)

    def back(self, before: State) -> Command[Ensured] | None:
        """As it was, where that is something that can be brought about; where it was not there, nothing was done."""
        if not before:
            return ensuring(self, None)
        known = {name: value for name, value in before.items() if value in ("yes", "no")}
        return ensuring(self, known) if known else None


def service(
    unit: str,
    *,
    running: bool | None = None,
    enabled: bool | None = None,
    masked: bool | None = None,
    init: InitName | None = None,
    name: str | None = None,
) -> Step[Ensured]:
    """A service that runs or does not, and that starts with the host or does not; what is not given is left as it is.

    >>> service("cron", running=True, enabled=True)
    Step('service cron')

    What the host has is used: systemd, OpenRC, or SysV scripts. A service that is not there is no state that can be
    brought about: the step fails and says so. One that is on its way (systemd's `activating`) neither runs nor is
    stopped. To restart or reload is nothing that a state says: see `restart_service` and `on_change`.

    States: by attribute, `yes` and `no`. Probe: `systemctl show`, `rc-service NAME status`, `service NAME status`.

    Args:
        unit: Its name; systemd takes one without a suffix for a `.service`.
        running: It runs, or does not.
        enabled: It starts with the host, or does not. One that cannot be enabled (`static`) fails.
        masked: Nobody can start it, or somebody can; systemd only.
        init: What starts services; what the host has, where not given.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be, nothing wanted, or something that is neither True nor False.
    """
    its = Service(_checked(unit, init), init)
    asked = (("masked", masked), ("enabled", enabled), ("running", running))
    given = {attribute: value for attribute, value in asked if value is not None}
    check_flags(f"service {unit}", **given)
    wanted = {attribute: "yes" if value else "no" for attribute, value in given.items()}
    if not wanted:
        raise InvalidError(f"service {unit}: nothing wanted", "say running=, enabled= or masked=")
    if masked and (running or enabled):
        raise InvalidError(f"service {unit}: masked, and running or enabled", "what is masked can be neither")
    return ensure(its, wanted, name=name)


def _checked(unit: str, init: InitName | None) -> str:
    if not isinstance(unit, str) or not _NAME.fullmatch(unit):
        raise InvalidError(f"service {unit!r} cannot be one", "use letters, digits and _.:@-")
    if init is not None and init not in INITS:
        raise InvalidError(f"service {unit}: init={init!r}", f"known are {', '.join(INITS)}")
    return unit


def _now(action: _Now, unit: str, init: InitName | None, name: str | None) -> Step[Output]:
    where = sh(_checked(unit, init))
    tell = f"(kx_running {where}; {_STANDS}) 2>/dev/null && echo {sh(_STOOD)}\n" if action == "restart" else ""
    text = f"{words(init)}kx_there {where} || kx_no {sh(_none(unit))}\n{tell}kx_go {action} {where}\n"
    made = command(f"{action} {unit}" if name is None else name, text, one_shot=True)
    return evolve(made, build=evolve(cast("Command[Output]", made.build), again=partial(_again, action, unit, init)))


def _again(action: _Now, unit: str, init: InitName | None, failed: bool, said: str) -> Command[Any]:
    """For undo: what did not run before is stopped; what is gone, or was stopped by an undo, needs nothing."""
    where = sh(unit)
    stood = _STOOD in said
    idle = f'[ "${{load:-}}" = not-found ] || {_STANDS}'
    if stood or action == "reload":
        idle = '[ "$is" = no ]'
    elif failed:
        idle = '[ "${load:-}" = not-found ]'
    gone = f"{words(init)}if kx_there {where}; then kx_running {where}; {idle}; fi"
    text = f"{words(init)}kx_there {where} && kx_go {'stop' if stood else action} {where}"
    return cast("Command[Any]", shell(text, check=gone, one_shot=True))


def restart_service(unit: str, *, init: InitName | None = None, name: str | None = None) -> Step[Output]:
    """Restart a service, each time that this runs: it is one-shot. For use as `then=` of `on_change`.

    A rollback that is to do it again behind an undo restarts it only where it runs, or came to a bad end: one that the
    undo stopped or took away is left alone, and one that did not run before this is stopped.

    >>> restart_service("cron")
    Step('restart cron')

    Args:
        unit: Its name.
        init: What starts services; what the host has, where not given.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be.
    """
    return _now("restart", unit, init, name)


def reload_service(unit: str, *, init: InitName | None = None, name: str | None = None) -> Step[Output]:
    """Let a service read its configuration again, each time that this runs: it is one-shot.

    A rollback that is to do it again behind an undo does so only where it is there and runs.

    >>> reload_service("cron")
    Step('reload cron')

    Args:
        unit: Its name; one that does not run fails.
        init: What starts services; what the host has, where not given.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be.
    """
    return _now("reload", unit, init, name)
