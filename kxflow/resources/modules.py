"""A module of the kernel: loaded now, and at every start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs, table
from kxflow.resources.accounts import SBIN
from kxflow.resources.presence import Presence, is_wanted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

FOLDER: Final = "/etc/modules-load.d"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,54}")
# A name may be written with - or with _; the kernel has _.
_OURS: Final = '{ kx_k = $1; gsub("-", "_", kx_k) }\nNF == 1 && kx_k == ENVIRON["kx_name"]'

# Loaded, or a part of the kernel: of that not every one has a folder in /sys.
_LOADED: Final = """\
if [ -d "/sys/module/$kx_n" ]; then kx_l=yes
elif kx_l=$(lsmod 2>/dev/null); then
kx_l=$(printf '%s\\n' "$kx_l" | kx_name=$kx_n awk '$1 == ENVIRON["kx_name"] { print "yes" }')
elif [ -d /sys/module ]; then kx_l=
else kx_no 'cannot see which modules are loaded: no lsmod, no /sys'; fi
kx_f=/lib/modules/$(uname -r)/modules.builtin
if [ -z "$kx_l" ] && [ -e "$kx_f" ]; then
kx_l=$(kx_name=$kx_n awk -F/ '
{ kx_k = $NF; sub(/[.]ko.*/, "", kx_k); gsub("-", "_", kx_k) }
kx_k == ENVIRON["kx_name"] { print "yes" }' <"$kx_f")
fi
kx_l=${kx_l:-no}
"""


@frozen
class KernelModule:
    """A module, by the name that the kernel has for it.

    Attributes:
        called: The name.
        keep: A file of which nothing is left stays, empty.
    """

    called: str
    keep: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("kernel_module", self.called)

    @property
    def file(self) -> str:
        """What is read at every start."""
        return f"{FOLDER}/{self.called}.conf"

    @property
    def within(self) -> str:
        """The file that its line is a part of."""
        return self.file

    def needs(self, wanted: State) -> Iterator[Need]:
        """What loads it."""
        if "loaded" in wanted:
            yield needs.program("modprobe", "kmod")

    def probe(self, wanted: State) -> str:
        """What the kernel has, and the line of the file, or that the file is empty."""
        see = table.see(self.file, _OURS, {"kx_name": self.called})
        later = f'{see}[ "$kx_l" ] && kx_say persistent yes || kx_say persistent no\n'
        later += table.say_empty(self.file) if wanted.get("persistent") == "yes" else ""
        said = {"loaded": f'{_LOADED}kx_say loaded "$kx_l"\n', "persistent": later}
        return f"{SBIN}kx_n={self.called}\n" + "".join(said[name] for name in wanted)

    def apply(self, wanted: State) -> str:
        """First the kernel: what it has not is not asked for at the start either."""
        parts = [SBIN]
        if "loaded" in wanted:
            change = f"modprobe {'' if wanted['loaded'] == 'yes' else '-r '}{self.called}"
            change = f"{{ kx_need modprobe kmod; {change}; }}"
            parts.append(f'kx_n={self.called}\n{_LOADED}[ "$kx_l" = {wanted["loaded"]} ] || {change} || exit 1\n')
        if "persistent" in wanted:
            new = table.lines(self.called) if wanted["persistent"] == "yes" else ""
            parts.append(f"[ -d {FOLDER} ] || mkdir -- {FOLDER} || exit 1\n" if new else "")
            parts.append(
                table.put(self.file, table.exchange(_OURS), {"kx_name": self.called, "kx_new": new}, keep=self.keep)
            )
        return "".join(parts)

    def back(self, before: State) -> Command[Ensured]:
        """What was found; the file goes where nothing is left, or stays as empty as it was."""
        found = table.emptied(before)
        return ensuring(evolve(self, keep=found != before), found)


def kernel_module(
    called: str,
    *,
    loaded: bool = True,
    persistent: bool = True,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A module of the kernel is loaded, now and at every start.

    >>> kernel_module("br_netfilter")
    Step('kernel_module br_netfilter')

    States: `present`; `absent`: it is not loaded, nor asked for at the start. Probe: /sys/module, `lsmod` and the list
    of what is built in; the line in /etc/modules-load.d/NAME.conf. The host needs modprobe, Linux, and root. What is in
    use, or built in, is not taken away: modprobe says so.

    Args:
        called: Its name; - and _ are the same.
        loaded: See to what the kernel has.
        persistent: See to the file.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be; neither loaded nor persistent.
    """
    if not isinstance(called, str) or not _NAME.fullmatch(called):
        raise InvalidError(f"kernel module {called!r} cannot be one", "use letters, digits, _ and -")
    if state not in ("present", "absent"):
        raise InvalidError(f"kernel_module {called}: state={state!r}", 'write "present" or "absent"')
    if not (loaded or persistent):
        raise InvalidError(f"kernel_module {called}: neither loaded nor persistent", "leave one of them on")
    wanted = "yes" if is_wanted(state, f"kernel_module {called}") else "no"
    told = {**({"loaded": wanted} if loaded else {}), **({"persistent": wanted} if persistent else {})}
    return ensure(
        KernelModule(called.replace("-", "_")), told, name=f"kernel_module {called}" if name is None else name
    )
