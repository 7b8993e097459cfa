"""What a host calls itself, now and after the next start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.ensure import Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import sh
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

FILE: Final = "/etc/hostname"
LIMIT: Final = 64  # of Linux
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

_STATIC: Final = f"""\
kx_l=
if [ -e {FILE} ]; then
while IFS= read -r kx_i || [ "$kx_i" ]; do
case $kx_i in '' | '#'*) ;; *) kx_l=$kx_i; break ;; esac
done <{FILE} || exit 1
fi
kx_say static "$kx_l"
"""
_RUNNING: Final = 'kx_say running "$(uname -n)"\n'


@frozen
class Hostname:
    """The one name of a host."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one on a host."""
        return ("hostname", FILE)

    def probe(self, wanted: State) -> str:
        """The first line of the file that is no comment, and the kernel's."""
        said = {"static": _STATIC, "running": _RUNNING}
        return "".join(said[name] for name in wanted)

    def needs(self, wanted: State) -> Iterator[Need]:
        """What sets it."""
        yield needs.program("hostname", "hostname")

    def apply(self, wanted: State) -> str:
        """Both, or none: in a container the kernel's is often not to be set, and elsewhere the file."""
        static = wanted["static"]
        keep = f"printf '%s\\n' {sh(static)} | kx_put {FILE} '' '' ''" if static else f"rm -f -- {FILE}"
        return f"""\
{SBIN}kx_need hostname hostname
kx_b=$(uname -n)
hostname {sh(wanted["running"])} || exit 1
({keep}) || {{ hostname "$kx_b"; exit 1; }}
"""


def hostname(called: str, *, name: str | None = None) -> Step[Ensured]:
    """The host has this name, now and after the next start.

    >>> hostname("web1.example.com")
    Step('hostname web1.example.com')

    Probe: /etc/hostname, and `uname -n`. The host needs hostname, and root. That the name has an address is seen to by
    `hosts_entry`.

    Args:
        called: One name, or several with dots between.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be, or is longer than the kernel takes.
    """
    if not isinstance(called, str) or len(called) > LIMIT or not all(map(_LABEL.fullmatch, called.split("."))):
        raise InvalidError(
            f"hostname {called!r} cannot be one", f"letters, digits and -, dots between, at most {LIMIT}"
        )
    return ensure(
        Hostname(), {"static": called, "running": called}, name=f"hostname {called}" if name is None else name
    )
