"""The time zone of a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources.paths import sh
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

LINK: Final = "/etc/localtime"
FILE: Final = "/etc/timezone"
DATA: Final = "/usr/share/zoneinfo"
COPIED: Final = "a file"
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")

_LOCALTIME: Final = f"""\
if [ -h {LINK} ]; then
kx_l=$(readlink -- {LINK}) || exit 1
kx_say localtime "${{kx_l##*/zoneinfo/}}"
elif [ -e {LINK} ]; then kx_say localtime {sh(COPIED)}
else kx_say localtime ''; fi
"""
_TIMEZONE: Final = f"""\
kx_l=
if [ -e {FILE} ]; then kx_l=$(cat {FILE}) || exit 1; fi
kx_say timezone "$kx_l"
"""


@frozen
class Timezone:
    """The one time zone of a host."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one on a host."""
        return ("timezone", LINK)

    def probe(self, wanted: State) -> str:
        """Where the link leads, and what the file holds."""
        said = {"localtime": _LOCALTIME, "timezone": _TIMEZONE}
        return "".join(said[name] for name in wanted)

    def apply(self, wanted: State) -> str:
        """A new link takes the place of the old; the host must know the zone."""
        zone, told = wanted["localtime"], wanted["timezone"]
        put = f"printf '%s\\n' {sh(told)} | kx_put {FILE} '' '' ''" if told else f"rm -f -- {FILE}"
        if not zone:
            return f"rm -f -- {LINK} && {put}"
        there = sh(f"{DATA}/{zone}")
        return f"""\
[ -d {DATA} ] || kx_no 'there is no {DATA} on this host: install the package tzdata in an earlier step'
[ -f {there} ] || kx_no {sh(_unknown(zone))}
kx_t=$(mktemp -d -- {LINK}.XXXXXXXX) || exit 1
trap 'rm -rf -- "$kx_t"' EXIT
ln -s -- {there} "$kx_t/localtime" && mv -f -- "$kx_t/localtime" /etc/ || exit 1
({put})
"""

    def needs(self, wanted: State) -> Iterator[Need]:
        """That the host knows the zone."""
        if zone := wanted["localtime"]:
            yield Need(f"[ -f {sh(f'{DATA}/{zone}')} ]", _unknown(zone), (f"{DATA}/{zone}",))

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards what was found; None where that was no link."""
        return None if before.get("localtime") == COPIED else ensuring(self, before)


def _unknown(zone: str) -> str:
    return f"no time zone {zone} on this host: there is no {DATA}/{zone}"


def timezone(zone: str, *, name: str | None = None) -> Step[Ensured]:
    """The host is in this time zone: /etc/localtime leads to it, and /etc/timezone tells it.

    >>> timezone("Europe/Berlin")
    Step('timezone Europe/Berlin')

    Probe: the link and the file. The host must have the zone in /usr/share/zoneinfo (package tzdata). Where
    /etc/localtime was a copy instead of a link, it cannot be undone. What runs goes on with the zone that it has read.

    Args:
        zone: As in the tz database.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be.
    """
    if not isinstance(zone, str) or not _ZONE.fullmatch(zone):
        raise InvalidError(f"time zone {zone!r} cannot be one", 'write it as "Europe/Berlin"')
    return ensure(Timezone(), {"localtime": zone, "timezone": zone}, name=f"timezone {zone}" if name is None else name)
