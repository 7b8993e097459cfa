"""What resources need on a host, in the words of what their apply says where it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kxflow.flow.needs import Need
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import parent_of, sh

_PLACES: Final = ("/bin", "/opt", "/sbin", "/usr")
"""Where programs are."""
_MAKE: Final = "make it in an earlier step"


def any_of(*tests: str) -> str:
    """A test that holds where one of these does.

    >>> any_of("[ -e /a ]", "[ -e /b ]")
    '{ [ -e /a ]; } || { [ -e /b ]; }'
    """
    return " || ".join(f"{{ {each}; }}" for each in tests)


def room(path: str, *, follow: bool = True) -> Need:
    """The folder of a file that is to be made, or of what a link there leads to; what is there already is in one."""
    folder, where = parent_of(path), sh(path)
    real = f"kx_real {where}" if follow else f"real={where}"
    test = f'[ -e {where} ] || {{ {real}; kx_x=${{real%/*}}; kx_dir "${{kx_x:-/}}" 2>&1; }}'
    return Need(test, f"there is no folder {folder}: {_MAKE}", (folder,), says=True, place=path)


def text_file(path: str, *, create: bool) -> Iterator[Need]:
    """A file whose text can be edited, or, where it is made, a place for it."""
    where = sh(path)
    if create:
        yield room(path)
    else:
        yield Need(f"[ -e {where} ]", f"there is no file {path}: create=True makes it", (path,))
    no_nul = f"[ \"$(tr -dc '\\000' <{where} | wc -c)\" -eq 0 ]"
    yield Need(any_of(f"[ ! -f {where} ]", no_nul), f"{path} holds a NUL: it is no text", (path,), packed=False)


def program(name: str, package: str, *others: str) -> Need:
    """A program, and the package that has it; or one of several that would do."""
    names = (name, *others)
    test = SBIN + any_of(*(f"command -v {each} >/dev/null" for each in names))
    why = f"there is no {' and no '.join(names)} on this host: install the package {package} in an earlier step"
    return Need(test, why, _PLACES, tuple(("program", each) for each in names))


def known(base: str, name: str) -> str:
    """A test that holds where passwd or group has an entry, or cannot be asked."""
    return f"getent {base} {sh(name)} >/dev/null; [ $? -ne 2 ]"


def user(name: str) -> Need:
    """An account of this name or number."""
    return Need(known("passwd", name), f"there is no user {name}: {_MAKE}", ("/etc/passwd",), (("user", _who(name)),))


def group(name: str) -> Need:
    """A group of this name or number; an account may bring its own."""
    who = _who(name)
    things = (("group", who), ("own group", who)) if who else (("group", ""), ("user", ""))
    return Need(known("group", name), f"there is no group {name}: {_MAKE}", ("/etc/group",), things)


def free(base: str, number: str, name: str) -> Need:
    """A number of passwd or group that nobody else has."""
    what = {"passwd": "user", "group": "group"}[base]
    test = f'kx_e=$(getent {base} {sh(number)}) || exit 0\n[ "${{kx_e%%:*}}" = {sh(name)} ]'
    every = (("group", ""), ("user", ""))
    taken = frozenset({("uid" if what == "user" else "gid", number)})
    return Need(test, f"{number} is the number of another {what}", (f"/etc/{base}",), every, taken, packed=False)


def _who(name: str) -> str:
    return "" if name.isdecimal() else name


def insist(need: Need) -> str:
    """Shell text that ends with words where it is not so, before anything is made."""
    return f"( {need.test} ) || kx_no {sh(need.why)}\n"


def owners(wanted: Mapping[str, str]) -> Iterator[Need]:
    """Owner and group by their names, as `paths.rights` asks for them; a number needs no entry."""
    if owner := wanted.get("owner"):
        yield user(owner)
    if its_group := wanted.get("group"):
        yield group(its_group)
