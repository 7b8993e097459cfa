"""What is at a path, whatever it is, and how to bring that back."""

from __future__ import annotations

from typing import Any, Final, cast

from attrs import evolve

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content
from kxflow.resources.paths import own_words, sh
from kxflow.values.action import Command
from kxflow.values.state import CONTENT, State

TEXT_LIMIT: Final = 256 * 1024
"""Content up to that many bytes is shown in diffs, and can be brought back."""

MOVE: Final = """\
kx_onto() {
  if [ ! -d "$2" ]; then mv -f -- "$1" "$2"
  else mv -fT -- "$1" "$2" 2>/dev/null || mv -fh -- "$1" "$2" 2>/dev/null || { rm -f -- "$2" && mv -f -- "$1" "$2"; }
  fi
}
"""
"""`kx_onto NEW OLD`: rename, also where the old one is a link to a folder: plain `mv` would go in there."""


def look(path: str) -> str:
    """Shell text that prints all of what is at a path, a link not followed; then it ends the probe."""
    where = sh(path)
    return f"""\
if [ -h {where} ]; then
  kx_x=$(readlink -- {where} && echo x) || exit 1
  kx_y=${{kx_x%?x}}
  kx_say type link
  kx_say target "$kx_y"
  exit
fi
[ -e {where} ] || exit 0
kx_stat {where} || exit 1
if [ -f {where} ]; then
  kx_y=$(kx_sha256 2>/dev/null <{where}) || kx_y=unknown
  kx_say type file
  kx_say sha256 "$kx_y"
elif [ -d {where} ]; then
  kx_say type directory
  [ -z "$(ls -A {where} | head -n 1)" ] || kx_say holds something
else
  kx_say type other
fi
kx_say mode "$mode"
kx_say uid "$uid"
kx_say gid "$gid"
exit
"""


def content_of(path: str, *, follow: bool = True) -> str:
    """Shell text that prints what a file holds, one byte more than is kept where that is too much.

    Args:
        path: Of the file.
        follow: Where it is a link, what that leads to; else nothing.
    """
    link = "" if follow else f"[ -h {sh(path)} ] || "
    return f"{link}[ ! -f {sh(path)} ] || head -c {TEXT_LIMIT + 1} <{sh(path)}"


def shown(path: str, wanted: bytes | None = None, *, follow: bool = True) -> Content:
    """How to see what a file holds, and what it is to hold where that is text."""
    text = None
    if wanted is not None and len(wanted) <= TEXT_LIMIT and b"\0" not in wanted:
        text = wanted.decode("utf-8", "surrogateescape")
        text = text if text.isascii() or _is_utf8(wanted) else None
    return Content(detail=content_of(path, follow=follow), wanted=text)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def can_come_back(before: State) -> bool:
    """All that it takes to bring it back is known."""
    match before.get("type"):
        case "link":
            return True
        case "file":
            return CONTENT in before
        case "directory":
            return "holds" not in before
        case _:
            return False


def put_back(path: str, before: State) -> Command[Any]:
    """What `look` saw, where nothing but a link stands in the way."""
    where, clear = sh(path), f"[ ! -h {sh(path)} ] || rm -f -- {sh(path)} || exit 1\n"
    match before["type"]:
        case "link":
            return command(make_link(path, before["target"]))
        case "directory":
            return command(f"{clear}(umask 077; mkdir -- {where}) && kx_own {where} {own_words(before)}")
        case _:
            content = before[CONTENT].encode("utf-8", "surrogateescape")
            return evolve(command(f"{clear}kx_put {where} {own_words(before)}"), stdin=content or None)


def make_link(path: str, target: str) -> str:
    """Shell text that makes a symbolic link, in the place of whatever is no folder."""
    where = sh(path)
    return f"""{MOVE}
real={where}
[ -h {where} ] || [ ! -d {where} ] || kx_no {sh(f"{path} is a folder")}
kx_beside || exit 1
kx_sweep
rm -f -- "$kx_t"
ln -s -- {sh(target)} "$kx_t" && kx_onto "$kx_t" {where} || kx_no {sh(f"cannot put {path} in place")}
trap - EXIT
"""


def command(text: str, *, sensitive: bool = False) -> Command[Any]:
    """A command of shell text."""
    return cast("Command[Any]", shell(text, sensitive=sensitive))
