"""What differs between a clone and what it was made from, read from the layers that it has written."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen
from frozendict import frozendict

Kind: TypeAlias = Literal["file", "folder", "link", "other", "gone"]
Snapshot: TypeAlias = "frozendict[str, Entry]"

_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque")  # a folder that hides the one below it
_LOGINS: Final = frozenset({"/var/log/lastlog", "/var/log/wtmp", "/var/log/btmp"})  # written by sshd and sudo
_CHUNK: Final = 1 << 20


@frozen
class Entry:
    """One path that is not as it was below.

    Attributes:
        kind: `file`, `folder`, `link`, `other` (a device, a socket, a pipe); `gone` where there is nothing any more.
        mode: Permission bits.
        uid, gid: Owner, by number.
        content: SHA-256 of a file, target of a link, number of a device, in hex.
        over: Below there is something at this path.
    """

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    content: str = ""
    over: bool = False


def _paths(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@frozen
class Changes:
    """What a run changed on a host, by absolute paths, sorted.

    A folder that was removed stands for all that was in it. Times do not count, nor do `/run`, `/tmp`, `/dev` and
    `/proc`.

    >>> print(Changes(added=["/etc/app.conf"], deleted=["/etc/motd"]))
    + /etc/app.conf
    - /etc/motd

    Attributes:
        added: They were not there.
        changed: They have another content, kind, mode or owner.
        deleted: They are not there any more.
    """

    added: tuple[str, ...] = field(default=(), converter=_paths)
    changed: tuple[str, ...] = field(default=(), converter=_paths)
    deleted: tuple[str, ...] = field(default=(), converter=_paths)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted)

    def __str__(self) -> str:
        signs = (("+", self.added), ("~", self.changed), ("-", self.deleted))
        return "\n".join(f"{sign} {path}" for sign, paths in signs for path in paths)

    def below(self, *folders: str) -> Changes:
        """Those at or below some paths.

        >>> Changes(added=["/etc/a", "/etcetera", "/var/b"]).below("/etc").added
        ('/etc/a',)
        """

        def those(paths: Iterable[str]) -> Iterator[str]:
            return (path for path in paths if any(f"{path}/".startswith(f"{each.rstrip('/')}/") for each in folders))

        return Changes(those(self.added), those(self.changed), those(self.deleted))


def difference(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Changes:
    """What came between two snapshots of one clone.

    >>> new = Entry("file", 0o644, content="abc")
    >>> difference({}, {"/etc/new": new, "/etc/motd": Entry("gone", over=True)})
    Changes(added=('/etc/new',), changed=(), deleted=('/etc/motd',))
    """
    added, changed, deleted = [], [], []
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one == other:
            continue
        was, remains = _there(one, other), _there(other, one)
        if was and remains:
            changed.append(path)
        elif remains:
            added.append(path)
        elif was:
            deleted.append(path)
    return Changes(added, changed, deleted)


def _there(its: Entry | None, otherwise: Entry | None) -> bool:
    """Whether there is something at a path; where a snapshot says nothing of it, it is as below."""
    if its is not None:
        return its.kind != "gone"
    return otherwise is not None and otherwise.over


def snapshot(layers: Iterable[tuple[str, Path, Path]]) -> Snapshot:
    """Every path at which a clone differs from what it was made from; equal ones are left out, also if written anew.

    Args:
        layers: Where in the clone, what was written, and what is below it.
    """
    found: dict[str, Entry] = {}
    for at, upper, lower in layers:
        _walk(at.rstrip("/"), upper, lower, found)
    return frozendict((path, found[path]) for path in sorted(found) if path not in _LOGINS)


def _walk(at: str, upper: Path, lower: Path | None, found: dict[str, Entry], *, hiding: bool = False) -> None:
    """One folder of a written layer; one that hides what is below does so at every depth."""
    hiding = hiding or _opaque(upper)
    names = {each.name for each in os.scandir(upper)}
    for name in names:
        path, below = f"{at}/{name}", None if lower is None else lower / name
        old, new = None if below is None else _read(below), _read(upper / name)
        if new is None or (new.kind == "gone" and old is None):
            continue
        if new != old:
            found[path] = evolve(new, over=old is not None)
        if new.kind == "folder":
            under = below if old is not None and old.kind == "folder" else None
            _walk(path, upper / name, under, found, hiding=hiding)
    if lower is not None and hiding:
        hidden = {each.name for each in os.scandir(lower)} - names
        found.update({f"{at}/{name}": Entry("gone", over=True) for name in hidden})


def _opaque(folder: Path) -> bool:
    for name in _OPAQUE:
        try:
            return os.getxattr(folder, name, follow_symlinks=False) == b"y"
        except OSError:
            continue
    return False


def _read(path: Path) -> Entry | None:
    """What is at a path; None where nothing is. A layer marks what it takes away by device 0."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    mode, content = status.st_mode, ""
    kind: Kind = "other"
    if stat.S_ISDIR(mode):
        kind = "folder"
    elif stat.S_ISLNK(mode):
        kind, content = "link", str(path.readlink())
    elif stat.S_ISREG(mode):
        kind, content = "file", _digest(path)
    elif stat.S_ISCHR(mode) and status.st_rdev == 0:
        return Entry("gone")
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        content = f"{status.st_rdev:x}"
    return Entry(kind, stat.S_IMODE(mode), status.st_uid, status.st_gid, content)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
