"""Unit files of systemd, and that systemd has read them."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, cast

from attrs import frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.values.action import Command, clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.state import CONTENT, Ensured, State

FOLDER: Final = "/etc/systemd/system"
LIMIT: Final = 64 * 1024
_KINDS: Final = "service|socket|timer|path|mount|automount|swap|target|slice"
_UNIT: Final = rf"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{{0,200}}\.({_KINDS})"
_NAME: Final = re.compile(rf"({_UNIT})(\.d/[A-Za-z0-9_][A-Za-z0-9_.-]{{0,100}}\.conf)?")

# What is not to be read any more, or was read before it was changed, needs a reload.
_LOADED: Final = """
loaded=yes
if [ -d /run/systemd/system ]; then
kx_x=$(LC_ALL=C systemctl show -p LoadState -p NeedDaemonReload -- "$unit") || exit 1
case $kx_x in
*NeedDaemonReload=yes*) loaded=stale;;
*LoadState=loaded*) ;;
*) loaded=${kx_x#*LoadState=}; loaded=${loaded%%
*};;
esac
fi
kx_say loaded "$loaded"
"""
_RELOAD: Final = "[ ! -d /run/systemd/system ] || systemctl daemon-reload"


@frozen
class SystemdUnit:
    """A unit file, or a drop-in of one, by its name below `/etc/systemd/system`."""

    name: str
    content: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("systemd_unit", self.name)

    @property
    def path(self) -> str:
        """Of the file."""
        return f"{FOLDER}/{self.name}"

    @property
    def within(self) -> str:
        """The file that it is."""
        return self.path

    @property
    def unit(self) -> str:
        """A unit that is read from it; of a template, one of those that it could make."""
        return self.name.partition(".d/")[0].replace("@.", "@kxflow.")

    @property
    def wanted(self) -> dict[str, str]:
        """Digest and mode of the file, and that systemd has read it."""
        return {"sha256": hashlib.sha256(self.content.encode()).hexdigest(), "mode": "644", "loaded": "yes"}

    def probe(self, wanted: State) -> str:
        """Digest, mode, and what systemd says; a link (as of a masked unit) is no such file."""
        where = sh(self.path)
        return (
            f"unit={sh(self.unit)}\n[ ! -h {where} ] || {{ kx_say sha256 link; exit; }}\n[ -f {where} ] || exit 0\n"
            f'kx_x=$(kx_sha256 <{where}) || exit 1\nkx_say sha256 "$kx_x"\nkx_stat {where} || exit 1\n'
            f'kx_say mode "$mode"\n{_LOADED.strip()}\n'
        )

    def apply(self, wanted: State) -> Command[Any]:
        """The file, then a reload."""
        where = sh(self.path)
        if not wanted:
            return _command(f"rm -f -- {where} && {_RELOAD}")
        folder = sh(self.path.rpartition("/")[0])
        put = f"[ ! -h {where} ] || rm -f -- {where}\n[ -d {folder} ] || mkdir -p -- {folder} || exit 1\n"
        return _command(f"{put}kx_put {where} 644 '' '' || exit 1\n{_RELOAD}", stdin=self.content or None)

    def back(self, before: State) -> Command[Ensured] | None:
        """As it was; None where it was a link, or its content was not kept."""
        if not before:
            return ensuring(self, None, content=self.shown)
        if CONTENT not in before or before.get("sha256") == "link":
            return None
        its = SystemdUnit(self.name, before[CONTENT])
        return ensuring(its, its.wanted, content=its.shown)

    @property
    def shown(self) -> Content:
        """How to see its content."""
        where = sh(self.path)
        return Content(detail=f"[ ! -f {where} ] || head -c {LIMIT + 1} <{where}", wanted=self.content or None)


def _command(text: str, **options: Any) -> Command[Any]:
    return cast("Command[Any]", shell(text, **options))


def systemd_unit(
    unit: str, *, content: str | None = None, state: Presence = "present", name: str | None = None
) -> Step[Ensured]:
    r"""A unit file of systemd, or a drop-in of one, that systemd has read.

    >>> systemd_unit("app.service", content="[Service]\nExecStart=/srv/app/run\n")
    Step('systemd_unit app.service')
    >>> systemd_unit("nginx.service.d/limits.conf", content="[Service]\nLimitNOFILE=65536\n")
    Step('systemd_unit nginx.service.d/limits.conf')

    It is written below `/etc/systemd/system`, then systemd reads all units anew; also where an earlier run wrote it and
    died before that. A file that systemd cannot use is Failed. Whether the unit runs is another matter: see `service`.

    States: `present`, `absent`. Probe: digest and mode of the file, `systemctl show`. A link in its place, as of a
    masked unit, is replaced, and that cannot be taken back.

    Args:
        unit: Name of the file: with its suffix, or `UNIT.d/NAME.conf`.
        content: All of it.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be, no content, or content and absent.
    """
    what = f"systemd_unit {unit!r}"
    if not isinstance(unit, str) or not _NAME.fullmatch(unit):
        raise InvalidError(f"{what} cannot be one", "write it with its suffix, as app.service")
    present = is_wanted(state, what)
    if (content is None) == present:
        raise InvalidError(f"{what}: state and content do not fit", 'give content=, or state="absent" without')
    if not present:
        its = SystemdUnit(unit)
        return ensure(its, None, name=name, content=its.shown)
    text = str(content)
    clean_text(text, f"{what}: content")
    if not text.strip() or len(text.encode()) > LIMIT:
        raise InvalidError(f"{what}: content of {len(text.encode())} bytes", f"give 1 to {LIMIT} bytes")
    its = SystemdUnit(unit, text)
    return ensure(its, its.wanted, name=name, content=its.shown)
