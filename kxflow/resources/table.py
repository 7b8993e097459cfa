"""Files of settings that are made of lines: how to see the lines of one thing, and how to put others in their place.

All other lines stay as they are, byte by byte, and where they are. The file is replaced whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from frozendict import frozendict

from kxflow.resources.paths import sh
from kxflow.resources.sight import sighted
from kxflow.values.state import State

EMPTY: Final = "file"
"""The attribute of a file that is there and empty."""


def see(path: str, program: str, variables: Mapping[str, str]) -> str:
    """Shell text that sets `kx_l` to what an `awk` program prints of a file; nothing where there is none.

    Args:
        path: The file.
        program: It finds its variables in ENVIRON, where nothing is taken for an escape.
        variables: By name.
    """
    return f"{sighted(path)}kx_l=\nif [ -e {sh(path)} ]; then {_run(path, program, variables)}fi\n"


def put(path: str, program: str, variables: Mapping[str, str], *, keep: bool = True) -> str:
    """Shell text that puts a file in place as an `awk` program prints it; it keeps its owner and mode.

    Args:
        path: The file; where there is none, the program sees an empty one.
        program: As for `see`.
        variables: By name.
        keep: A file of which nothing is left stays, empty.
    """
    where = sh(path)
    give = f"printf %s \"$kx_l\" | kx_put {where} '' '' ''"
    if not keep:
        give = f'if [ -z "$kx_l" ]; then kx_real {where}; rm -f -- "$real"; else {give}; fi'
    return f"kx_f=/dev/null\n[ ! -e {where} ] || kx_f={where}\n{_run('', program, variables)}{give} || exit 1\n"


def say_empty(path: str) -> str:
    """Shell text that tells of a file that is there and empty: an undo leaves it so, and takes any other away."""
    return f"[ ! -f {sh(path)} ] || [ -s {sh(path)} ] || kx_say {EMPTY} empty\n"


def emptied(before: State) -> State:
    """A state without what `say_empty` told."""
    return frozendict({name: value for name, value in before.items() if name != EMPTY})


def _run(path: str, program: str, variables: Mapping[str, str]) -> str:
    given = "".join(f"{name}={sh(value)} " for name, value in variables.items())
    source = sh(path) if path else '"$kx_f"'
    return f"kx_l=$(LC_ALL=C {given}awk {sh(program)} <{source} && echo x) || exit 1\nkx_l=${{kx_l%x}}\n"


def exchange(condition: str) -> str:
    r"""An `awk` program: the lines that meet a condition go, and those in `kx_new` come where the first of them was.

    `kx_new` holds whole lines, each with its line break; where none of the file's lines meets the condition, they come
    at the end.

    >>> exchange("$1 == ENVIRON[\"kx_key\"]").count("kx_new")
    2
    """
    new = 'printf "%s", ENVIRON["kx_new"]'
    return f"{condition} {{ if (!kx_d) {{ {new}; kx_d = 1 }} next }}\n{{ print }}\nEND {{ if (!kx_d) {new} }}"


def lines(*texts: str) -> str:
    r"""Texts as whole lines.

    >>> lines("a", "b")
    'a\nb\n'
    """
    return "".join(f"{text}\n" for text in texts)
