"""What resources share that change a part of a text file: where lines are, and how a new file is put together."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from kxflow.resources.paths import sh
from kxflow.resources.posix_regex import MARK, MARKING, Ere, literal, to_ere
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret, refuse_mask

Pattern = str | re.Pattern[str]

# kx_splice FILE FIRST NEXT SCRIPT: the lines before FIRST, what kx_text prints, the lines from NEXT on as SCRIPT leaves
# them. A last line without its newline gets one where something comes behind it.
SPLICE: Final = """\
kx_splice() {
  kx_e=$(tail -c 1 "$1"; echo x)
  sed "$2,\\$d" "$1" || return 1
  case $kx_e in ?x) [ "$2" -le "$kx_last" ] || [ "$kx_e" = "$kx_nl"x ] || echo ;; esac
  kx_text && sed -n "$4$3,\\$p" "$1"
}
"""


@frozen
class Place:
    """Where something new goes: behind the last line that matches one, or before the first that matches another.

    Where no line matches, and where neither is given, it goes to the end.
    """

    after: Ere | None = None
    before: Ere | None = None

    def find(self, path: str) -> str:
        """Shell text that sets kx_n to the number of the line before which it goes."""
        text = "kx_n=$((kx_last + 1))\n"
        if self.after is not None:
            found = f"kx_y=$({grep(self.after, path, '-n')} | tail -n 1)\n"
            return f'{text}{found}[ -z "$kx_y" ] || kx_n=$((${{kx_y%%:*}} + 1))\n'
        if self.before is not None:
            found = f"kx_y=$({grep(self.before, path, '-n')} | head -n 1)\n"
            return f'{text}{found}[ -z "$kx_y" ] || kx_n=${{kx_y%%:*}}\n'
        return text


def place(after: Pattern | None, before: Pattern | None, where: str) -> Place:
    """Converter of `after=` and `before=`.

    Raises:
        InvalidError: Both are given, or one is no expression for the host.
    """
    if after is not None and before is not None:
        raise InvalidError(f"{where}: after= and before=", "give one of the two")
    return Place(
        None if after is None else to_ere(after, f"{where}: after"),
        None if before is None else to_ere(before, f"{where}: before"),
    )


def grep(ere: Ere, path: str, flags: str, *more: str) -> str:
    """Shell text that prints the lines that match an expression, or one of these whole lines; marks stay in them."""
    lines = [_line_of(each, marked=ere.marked) for each in more]
    words = " ".join(f"-e {sh(each)}" for each in (ere.text, *lines))
    if ere.marked:
        return f"sed {sh(MARKING)} <{sh(path)} | grep {flags} -E {words}"
    return f"grep {flags} -E {words} -- {sh(path)}"


def _line_of(text: str, *, marked: bool) -> str:
    """An expression that matches just this line."""
    if not marked:
        return f"^{literal(text)}$"
    return "^" + "".join(f"{MARK}*{literal(each)}" for each in text) + f"{MARK}*$"


def opening(path: str, missing: str) -> str:
    """Shell text with which an edit begins: the file is there and text, a new one beside it is open.

    `missing` is what to do where no file is there; it ends the program.
    """
    where = sh(path)
    return f"""\
LC_ALL=C
export LC_ALL
kx_nl='
'
if [ ! -e {where} ]; then
{missing}
fi
[ -f {where} ] || kx_no {sh(f"{path} is there and no file")}
[ "$(tr -dc '\\000' <{where} | wc -c)" -eq 0 ] || kx_no {sh(f"{path} holds a NUL: it is no text")}
kx_last=$(sed -n '$=' {where})
kx_last=${{kx_last:-0}}
kx_open {where}
"""


def closing(path: str) -> str:
    """Shell text with which it ends: the new file in the place of the old one, mode and owner kept."""
    return f"kx_put {sh(path)} '' '' ''"


def seeing(path: str, missing: str) -> str:
    """Shell text with which a probe of a part of a file begins; `missing` is what it prints where there is no file."""
    where = sh(path)
    return f"""\
LC_ALL=C
export LC_ALL
if [ ! -e {where} ]; then
{missing}
exit 0
fi
[ ! -d {where} ] || kx_no {sh(f"{path} is a directory, not a file")}
[ -f {where} ] || kx_no {sh(f"{path} is a device, pipe or socket, not a file")}
[ -r {where} ] || kx_no {sh(f"{path} cannot be read")}
"""


def no_file(path: str, *, create: bool) -> str:
    """What an edit does where there is no file: put what it has to say there, or refuse."""
    if create:
        return f"kx_text | kx_put {sh(path)} '' '' ''\nexit"
    return f"kx_no {sh(f'there is no file {path}: create=True makes it')}"


def step_name(kind: str, path: str, what: str) -> str:
    """A name that tells parts of one file apart."""
    text = f"{kind} {path} {what}".rstrip()
    return (text if text.isprintable() else ascii(text)[1:-1])[:200].rstrip()


def line_text(text: str | Secret, where: str) -> str | Secret:
    """A line that a file can hold.

    Raises:
        InvalidError: Empty, with a line break or NUL, or no text.
    """
    shown = text.reveal() if isinstance(text, Secret) else text
    if not isinstance(shown, str):
        raise InvalidError(f"{where} is a {type(text).__name__}", "give text")
    refuse_mask(shown, where)
    if not shown or "\n" in shown or "\0" in shown:
        told = "a secret" if isinstance(text, Secret) else repr(shown)
        raise InvalidError(f"{where} {told} is no line", "give one line, not empty; block() is for several")
    return text
