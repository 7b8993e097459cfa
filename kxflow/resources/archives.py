"""Archives here, before they are sent: what they hold, and whether any of it leads outside."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import frozen

from kxflow.resources.paths import PathLike
from kxflow.values.errors import InvalidError

Format: TypeAlias = Literal["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"]

MEMBERS: Final = 1_000_000
_SUFFIXES: Final[dict[str, Format]] = {
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".zip": "zip",
}
_TARS: Final[dict[Format, Literal["r:", "r:gz", "r:bz2", "r:xz"]]] = {
    "tar": "r:",
    "tar.gz": "r:gz",
    "tar.bz2": "r:bz2",
    "tar.xz": "r:xz",
}


@frozen
class Member:
    """One thing in an archive.

    Attributes:
        kind: `f`ile, `d`irectory, symbolic `l`ink, `h`ard link, or something `o`ther.
        target: Of a link.
    """

    name: str
    kind: Literal["f", "d", "l", "h", "o"]
    size: int = 0
    target: str = ""


def format_of(path: PathLike, given: Format | None, where: str) -> Format:
    """The format of an archive, by what was given, or by its name.

    Raises:
        InvalidError: None that is known.
    """
    known = sorted(set(_SUFFIXES.values()))
    if given is not None:
        if given not in known:
            raise InvalidError(f"{where}: format {given!r}", f"known are {', '.join(known)}")
        return given
    name = os.fsdecode(path).lower()
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    raise InvalidError(f"{where}: the name {os.fsdecode(path)!r} tells no format", f"give format=: {', '.join(known)}")


def check_members(path: Path, kind: Format, strip: int, limit: int, where: str) -> None:
    """Refuse what must not be unpacked.

    Raises:
        InvalidError: It cannot be read; a member leads outside (a link also outside of the outermost `strip` folders,
            which are left out), is a device, or has a name that a list of lines cannot hold; there are too many, or
            too many bytes.
    """
    size = 0
    try:
        for count, member in enumerate(_zip(path) if kind == "zip" else _tar(path, _TARS[kind]), 1):
            why = _refused(member, strip)
            size += member.size
            if count > MEMBERS:
                why = f"it holds more than {MEMBERS} members"
            elif size > limit:
                why = f"it holds more than {limit} bytes: raise limit="
            if why:
                raise InvalidError(f"{where}: {path}: {why}", "look at it before you unpack it anywhere")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, InvalidError):
            raise
        raise InvalidError(f"{where}: {path} is no {kind} archive, or a broken one", str(error)) from None


def _tar(path: Path, mode: Literal["r:", "r:gz", "r:bz2", "r:xz"]) -> Iterator[Member]:
    with tarfile.open(path, mode, errorlevel=2) as opened:
        for each in opened:
            opened.members = []  # type: ignore[attr-defined]  # else it keeps them all
            if each.islnk():
                yield Member(each.name, "h", 0, each.linkname)
            elif each.issym():
                yield Member(each.name, "l", 0, each.linkname)
            elif each.isdir():
                yield Member(each.name, "d")
            else:
                yield Member(each.name, "f" if each.isreg() else "o", each.size)


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as opened:
        for each in opened.infolist():
            mode = each.external_attr >> 16
            if stat.S_ISLNK(mode):
                with opened.open(each) as link:
                    yield Member(each.filename, "l", 0, os.fsdecode(link.read(4096)))
            elif each.is_dir():
                yield Member(each.filename, "d")
            else:
                plain = stat.S_IFMT(mode) in (0, stat.S_IFREG)
                yield Member(each.filename, "f" if plain else "o", each.file_size)


def _refused(member: Member, strip: int) -> str:
    """Why it must not be unpacked; nothing where it may."""
    name = member.name
    if "\n" in name or "\0" in name:
        return f"a name with a line break: {name!r}"
    if name.startswith("/") or ".." in name.split("/"):
        return f"a member leads outside: {name!r}"
    if member.kind == "o":
        return f"a member is neither file, folder nor link: {name!r}"
    if member.kind == "h" and (member.target.startswith("/") or ".." in member.target.split("/")):
        return f"a hard link leads outside: {name!r}"
    if member.kind == "l" and not _stays(name, member.target, strip):
        return f"a link leads outside: {name!r}"
    return ""


def _stays(name: str, target: str, strip: int) -> bool:
    """`..` only at its beginning, and not more than it has folders above: so it cannot go around over other links."""
    if target.startswith("/"):
        return False
    above = len([each for each in name.split("/")[:-1] if each not in ("", ".")]) - strip
    parts = target.split("/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    return climbs <= above and ".." not in parts[climbs:]
