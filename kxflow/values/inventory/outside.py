"""What an inventory refers to outside itself: files, the environment. Only this module touches the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field, frozen

from kxflow.values.errors import InvalidError
from kxflow.values.inventory.located import Findings, Place

SIZE: Final = 4 * 1024 * 1024
"""Bytes that an inventory may have, and each file of variables beside it."""
SECRET_SIZE: Final = 64 * 1024
SIDE_FILES: Final = 10_000
SIDE_SIZE: Final = 64 * 1024 * 1024
"""Bytes of all files of variables together."""
SIDE_DIRS: Final = ("group_vars", "host_vars")
_SUFFIXES: Final = ("", ".yml", ".yaml", ".json")

SideFiles: TypeAlias = Mapping[tuple[str, str], tuple[tuple[str, bytes], ...]]
"""By kind (`group_vars`, `host_vars`) and name: files as (name to show, content), in the order in which they apply."""


def file_bytes(path: str | Path, limit: int = SIZE) -> bytes:
    """A regular file, whole.

    Raises:
        InvalidError: It is missing, no regular file, not readable, larger than `limit` bytes, or any user of this
            machine may write it or put another file in its place.
    """
    shown = str(path)
    try:
        # Not to hang on a pipe that nobody writes.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise InvalidError(*_unopened(error, shown)) from None
    try:
        _check_kind(os.fstat(handle), shown)
        _check_folders(path, shown)
    except InvalidError:
        os.close(handle)
        raise
    with open(handle, "rb") as stream:  # noqa: PTH123 -- a descriptor, looked at before it is read
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InvalidError(f"{shown} is larger than {limit // 1024} KiB", "split it, or write ranges: web[001:500]")
    return data


def _check_kind(about: os.stat_result, shown: str) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise InvalidError(f"{shown} is a directory", "name a file in it")
    if not stat.S_ISREG(about.st_mode):
        raise InvalidError(f"{shown} is not a regular file", "write its content to a file and name that")
    if about.st_mode & stat.S_IWOTH:
        raise InvalidError(
            f"{shown} can be written by every user of this machine",
            "whoever writes it decides what runs on your hosts: `chmod o-w` it, then check what it says",
        )


def _check_folders(path: str | Path, shown: str) -> None:
    """Where every user may write the folder of a file, or of what it is a link to, the file may be anybody's.

    In a folder like /tmp, where nobody can replace what is another's, it counts who made it.
    """
    for place in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):  # noqa: PTH100 -- links stay here
        folder = os.path.dirname(place)  # noqa: PTH120 -- text
        mode = os.stat(folder).st_mode  # noqa: PTH116 -- text
        if not mode & stat.S_IWOTH:
            continue
        if not mode & stat.S_ISVTX:
            remedy = "whoever can put a file there decides what runs on your hosts: `chmod o-w` it"
            raise InvalidError(f"{shown} is in a folder that every user of this machine can write: {folder}", remedy)
        if os.lstat(place).st_uid not in (0, os.geteuid()):
            remedy = "look at what it says, and copy it into a folder of your own"
            raise InvalidError(f"{shown} is another user's file in {folder}, where every user can put one", remedy)


def _unopened(error: OSError | ValueError, shown: str) -> tuple[str, str]:
    match error:
        case FileNotFoundError():
            return f"there is no file {shown}", "check the path"
        case PermissionError():
            return f"{shown} cannot be read: permission denied", "check its owner and mode"
        case OSError():
            return f"{shown} cannot be read: {error.strerror or type(error).__name__}", "check the path"
        case _:
            return f"{shown!r} cannot be a path", "check the path"


def check_readable(path: str) -> None:
    """Make sure that a file can be read, without reading it.

    Raises:
        InvalidError: It is missing, no regular file, or not readable.
    """
    try:
        about = os.stat(path)  # noqa: PTH116 -- text, as the values hold it
    except (OSError, ValueError) as error:
        raise InvalidError(*_unopened(error, path)) from None
    if not stat.S_ISREG(about.st_mode):
        raise InvalidError(f"{path} is not a file", "name a file")
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise InvalidError(*_unopened(PermissionError(), path))


@frozen
class Outside:
    """What an inventory may ask about the machine that it is read on.

    Attributes:
        folder: What relative paths are relative to: the folder of the inventory, never the working directory.
        env: Variables of the environment, for `{env = "NAME"}`.
        check: Raises InvalidError where a file that will be needed later cannot be read.
        read: Content of a small file, for `{file = "path"}`; raises InvalidError.
    """

    folder: str
    env: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    check: Callable[[str], None] = check_readable
    read: Callable[[str], bytes] = lambda path: file_bytes(path, SECRET_SIZE)

    def path(self, text: str) -> str:
        """A path as the inventory writes it, made absolute; `~` is expanded.

        Raises:
            InvalidError: Nothing, or a NUL byte in it.
        """
        if not text or "\0" in text:
            raise InvalidError(f"{text!r} is no path", "name a file")
        return os.path.normpath(os.path.join(self.folder, os.path.expanduser(text)))  # noqa: PTH111, PTH118 -- text


def side_files(folder: Path, findings: Findings) -> SideFiles:
    """The files of `group_vars/` and `host_vars/` beside an inventory, as Ansible finds them.

    For a name the first that exists of `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json`; of a directory `NAME` every
    such file below it, sorted; hidden files and backups (`…~`) are left out.
    """
    found: dict[tuple[str, str], tuple[tuple[str, bytes], ...]] = {}
    left, room = SIDE_FILES, SIDE_SIZE
    for directory in SIDE_DIRS:
        top = folder / directory
        for name, paths in _by_name(top, findings).items():
            left -= len(paths)
            if left < 0:
                findings.add(Place(directory, 0), f"more than {SIDE_FILES} files", "keep variables in fewer files")
                return found
            shown = [(str(path.relative_to(folder)), path) for path in paths]
            contents = tuple(_contents(shown, findings))
            room -= sum(len(data) for _, data in contents)
            if room < 0:
                findings.add(Place(directory, 0), f"more than {SIDE_SIZE >> 20} MiB", "keep large data elsewhere")
                return found
            found[directory, name] = contents
    return found


def _contents(paths: list[tuple[str, Path]], findings: Findings) -> Iterator[tuple[str, bytes]]:
    for shown, path in paths:
        try:
            yield shown, file_bytes(path)
        except InvalidError as error:
            findings.invalid(Place(shown, 0), error)


def _by_name(top: Path, findings: Findings) -> dict[str, list[Path]]:
    try:
        children = sorted(top.iterdir()) if top.is_dir() else []
    except OSError as error:
        findings.invalid(Place(top.name, 0), InvalidError(*_unopened(error, str(top))))
        return {}
    ranked: dict[str, tuple[int, Path]] = {}
    for child in filter(_counts, children):
        suffix = "" if child.is_dir() else child.suffix
        if suffix not in _SUFFIXES:
            suffix = ""  # `web.example.org` is a host's name, without suffix
        name, rank = child.name.removesuffix(suffix), _SUFFIXES.index(suffix)
        if name not in ranked or rank < ranked[name][0]:
            ranked[name] = (rank, child)
    return {name: _below(path) if path.is_dir() else [path] for name, (_, path) in ranked.items()}


def _counts(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith("~")


def _below(top: Path, depth: int = 8) -> list[Path]:
    found: list[Path] = []
    for child in sorted(top.iterdir()):
        if not _counts(child):
            continue
        if child.is_dir():
            if depth and not child.is_symlink():
                found.extend(_below(child, depth - 1))
        elif child.suffix in _SUFFIXES:
            found.append(child)
    return found
