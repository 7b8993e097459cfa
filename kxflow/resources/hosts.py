"""Names and addresses in /etc/hosts."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from attrs import frozen

from kxflow.flow.edits import Edit, lines_of
from kxflow.flow.ensure import Content, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import table
from kxflow.resources.files import restored
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.present import content_of
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

FILE: Final = "/etc/hosts"
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?")

# Of each line of the family: the address, the names that this is about, and the others. Names are alike in any case.
_PARTS: Final = """\
BEGIN { n = split(tolower(ENVIRON["kx_names"]), w); for (i = 1; i <= n; i++) named[w[i]] = 1 }
{
  text = $0; note = ""; mine = ""; others = ""
  if (i = index(text, "#")) { note = " " substr(text, i); text = substr(text, 1, i - 1) }
  n = split(text, f)
  if (n > 1 && (index(f[1], ":") > 0) == (ENVIRON["kx_family"] == 6))
    for (i = 2; i <= n; i++) if (tolower(f[i]) in named) mine = mine " " f[i]; else others = others " " f[i]
}
"""
_SEE: Final = _PARTS + 'mine != "" { print f[1] mine }'
_NEW: Final = 'printf "%s", ENVIRON["kx_new"]'
_EXCHANGE: Final = f"""{_PARTS}\
mine != "" {{ if (!done) {{ {_NEW}; done = 1 }} if (others != "") print f[1] others note; next }}
{{ print }}
END {{ if (!done) {_NEW} }}"""


@frozen
class HostsEntry:
    """Some names, and the address of one family that they have."""

    names: tuple[str, ...]
    family: int

    @property
    def key(self) -> tuple[str, str]:
        """Kind, and the names."""
        return ("hosts_entry", f"{' '.join(self.names)} (IPv{self.family})")

    @property
    def within(self) -> str:
        """The file that it is a part of."""
        return FILE

    def edit(self, before: State | None, after: State) -> Edit:
        """The lines that have one of the names; of those there, only address and names were told."""
        takes = lines_of(before, "entry")
        return Edit(self._looks, lines_of(after, "entry"), takes, told=bool(takes))

    def _looks(self, line: str) -> bool:
        names = line.partition("#")[0].lower().split()[1:]
        return not {each.lower() for each in self.names}.isdisjoint(names)

    @property
    def _given(self) -> dict[str, str]:
        return {"kx_names": " ".join(self.names), "kx_family": str(self.family)}

    def probe(self, wanted: State) -> str:
        """The lines that have one of the names; of the names in them, these only. Nothing only where no file is.

        A state that is empty would have no content, and an undo would take the file for one that was made.
        """
        say = 'kx_say entry "${kx_l%?}"\n'
        return table.see(FILE, _SEE, self._given) + (f"[ ! -e {FILE} ] || {say}" if wanted["entry"] else say)

    def apply(self, wanted: State) -> str:
        """The names taken out of the lines that have them, and the lines that are wanted put in."""
        new = table.lines(*wanted["entry"].split("\n")) if wanted["entry"] else ""
        return table.put(FILE, _EXCHANGE, {**self._given, "kx_new": new})

    def back(self, before: State) -> Command[Ensured]:
        """The whole file as it was; where it was not kept, the addresses of these names."""
        whole = restored(FILE, before)
        return ensuring(self, {"entry": before["entry"]}) if whole is None else whole


def hosts_entry(address: str, *names: str, state: Presence = "present", name: str | None = None) -> Step[Ensured]:
    """Names with this address in /etc/hosts, in one line, and with no other address of its family.

    >>> hosts_entry("10.0.0.5", "db.example.com", "db")
    Step('hosts_entry 10.0.0.5 db.example.com db')

    States: `present`; `absent`: the names have no address of this family there. Probe: the lines of the family that
    have one of the names. Other names stay where they are.
    Undone: the whole file is given the content that it had; where that was more than 256 KiB, these names get their
    addresses back, in lines of their own.

    Args:
        address: IPv4 or IPv6.
        names: The first is the canonical one.
        state: Whether they are to be there.
        name: Of the step.

    Raises:
        InvalidError: An address or name that cannot be, no name, a name twice.
    """
    told = _address(address)
    if not names or len({each.lower() for each in map(_name, names)}) < len(names):
        raise InvalidError(f"hosts_entry {address}: {'a name twice' if names else 'no name'}", "give each name once")
    if state not in ("present", "absent"):
        raise InvalidError(f"hosts_entry {address}: state={state!r}", 'write "present" or "absent"')
    line = " ".join((str(told), *names))
    its = HostsEntry(names, told.version)
    wanted = {"entry": line if is_wanted(state, f"hosts_entry {address}") else ""}
    seen = Content(detail=content_of(FILE))
    return ensure(its, wanted, name=f"hosts_entry {line}"[:200] if name is None else name, content=seen)


def _address(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text if isinstance(text, str) else "")
    except ValueError:
        raise InvalidError(f"address {text!r} cannot be one", 'write it as "10.0.0.5" or "fd00::5"') from None


def _name(text: object) -> str:
    if not isinstance(text, str) or len(text) > 253 or not all(map(_LABEL.fullmatch, text.split("."))):
        raise InvalidError(f"host name {text!r} cannot be one", "use letters, digits and -, and dots between")
    return text
