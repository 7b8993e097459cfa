"""What resources of accounts share: names of users and groups, and how a host is asked for their entries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from kxflow.resources.paths import sh
from kxflow.values.errors import InvalidError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}[A-Za-z0-9_$-]?")
HIGHEST: Final = 2**32 - 2  # the last number means "none"

SBIN: Final = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
"""An ordinary user's login, and `su`, leave out where the tools for accounts and settings are."""


def login_name(name: object, what: str = "user") -> str:
    """A name that a user or group can have on every host.

    Raises:
        InvalidError: It cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidError(f"{what} {name!r} cannot be one", "use letters, digits and ._-, a letter first, at most 32")
    return name


def keep_root(name: str, what: str) -> None:
    """Refuse to take away what no system can do without.

    Raises:
        InvalidError: It is root.
    """
    if name == "root":
        raise InvalidError(f"{what} root: absent", "no system can do without it")


def number(value: object, what: str) -> str:
    """The number of a user or group, as text.

    Raises:
        InvalidError: No whole number that one can have.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST:
        raise InvalidError(f"{what}={value!r} cannot be", f"give a whole number from 0 to {HIGHEST}")
    return str(value)


def entry(base: str, name: str, missing: str = "exit 0") -> str:
    """Shell text that sets `$1`, `$2`, … to the fields of an entry of passwd(5), group(5) or shadow(5).

    Args:
        base: `passwd`, `group` or `shadow`.
        name: Shell word that gives the entry's name.
        missing: What to do where there is none.
    """
    return f"""\
kx_e=$(getent {base} {name})
case $? in
0) ;;
2) {missing} ;;
127) kx_no 'there is no getent on this host: install the package libc-bin or musl-utils' ;;
*) kx_no {sh(f"cannot look into {base} on this host")} ;;
esac
set -f; IFS=:
set -- $kx_e
unset IFS; set +f
"""


def administered(name: str, found: str) -> str:
    """Shell text that does something for each entry of gshadow(5) that can be read.

    Args:
        name: Shell word; only that group's entry, or every one where it is empty.
        found: What to do, with `$kx_x`, `$kx_y`, `$kx_z` as its name, its password and its administrators.
    """
    these = f'[ "$kx_x" = {name} ] || continue\n' if name else ""
    return f"""\
[ ! -r /etc/gshadow ] || while IFS=: read -r kx_x kx_y kx_z kx_k; do
{these}{found}
done </etc/gshadow
"""


def known(base: str, wanted: Iterable[str]) -> str:
    """Shell text that ends with words where there is no such account.

    Args:
        base: `passwd` or `group`.
        wanted: Names, or numbers.
    """
    kind = {"passwd": "user", "group": "group"}[base]
    return "".join(
        f"getent {base} {sh(each)} >/dev/null || kx_no {sh(f'there is no {kind} {each}: make it in an earlier step')}\n"
        for each in wanted
    )


def say_all(name: str, wanted: Iterable[str], have: str) -> str:
    """Shell text that says a list of names as it is wanted, where it has the same names in any order; else as it is.

    Args:
        name: Of the attribute.
        wanted: Names that are to be there.
        have: Shell word that gives those that are, blanks between them; `$kx_p` counts only where it is wanted.
    """
    told = tuple(wanted)
    text = ",".join(told)
    return f"""\
kx_h=" {have} " kx_k=yes kx_l=
for kx_g in {" ".join(map(sh, told))}; do case $kx_h in *" $kx_g "*) ;; *) kx_k= ;; esac; done
for kx_g in $kx_h; do
case {sh(f",{text},")} in *",$kx_g,"*) ;; *) [ "$kx_g" != "$kx_p" ] || continue; kx_k= ;; esac
kx_l=$kx_l,$kx_g
done
if [ "$kx_k" ]; then kx_say {name} {sh(text)}; else kx_say {name} "${{kx_l#,}}"; fi
"""


def say_some(name: str, among: Iterable[str], have: str) -> str:
    """Shell text that says which of some names are in a list; other arguments as for `say_all`."""
    return f"""\
kx_h=" {have} " kx_l=
for kx_g in {" ".join(map(sh, among))}; do case $kx_h in *" $kx_g "*) kx_l=$kx_l,$kx_g ;; esac; done
kx_say {name} "${{kx_l#,}}"
"""


def names(value: Iterable[str], what: str, each_is: str) -> tuple[str, ...]:
    """Names of accounts, each once, sorted.

    Raises:
        InvalidError: One that cannot be, or a text in place of a list.
    """
    if isinstance(value, str):
        raise InvalidError(f"{what}={value!r} is one text", f'give a list: ["{value[:20]}"]')
    return tuple(sorted({login_name(each, each_is) for each in value}))
