"""The keys of hosts: `known_hosts` files read, asked and added to. Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.

asyncssh reports an unknown and a changed key by one and the same text, so the look-up is done here; the reader
also remembers file and line of each key, which is what somebody needs who must remove one.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

Marker: TypeAlias = Literal["", "cert-authority", "revoked"]
Verdict: TypeAlias = Literal["known", "unknown", "changed", "revoked"]

_MARKERS: Final[Mapping[str, Marker]] = {"@cert-authority": "cert-authority", "@revoked": "revoked"}
_SSH_PORT: Final = 22


@frozen
class Entry:
    """One line of a `known_hosts` file.

    Attributes:
        patterns: Names it is for: plain, with `*`, `?` and `!`, or one hashed `|1|salt|hash`.
        algorithm: `ssh-ed25519`, …
        blob: The public key in SSH wire form.
        marker: Empty for a host's key.
        where: File and line: `~/.ssh/known_hosts:12`.
    """

    patterns: tuple[str, ...]
    algorithm: str
    blob: bytes = field(repr=False)
    marker: Marker = ""
    where: str = ""

    def names(self, name: str) -> bool:
        """Whether it is for a host of this name (`web1`, or `[web1]:2222` for another port than 22)."""
        matched = False
        for pattern in self.patterns:
            if pattern.startswith("!") and _matches(pattern[1:], name):
                return False
            matched = matched or _matches(pattern, name)
        return matched


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|"):
        return _hash_matches(pattern, name)
    if not any(sign in pattern for sign in "*?"):
        return pattern == name
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch("".join(parts), name) is not None


def _hash_matches(pattern: str, name: str) -> bool:
    try:
        _, kind, salt, digest = pattern.split("|")
        key, wanted = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except (ValueError, binascii.Error):
        return False
    return kind == "1" and hmac.compare_digest(hmac.digest(key, name.encode(), "sha1"), wanted)


def parse(text: str, path: str = "") -> Iterator[Entry]:
    r"""Its entries, in order; lines that cannot be read are passed over, as OpenSSH does.

    >>> [each.where for each in parse("web1 ssh-ed25519 AAAA\n# note\n", "known_hosts")]
    ['known_hosts:1']
    """
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker: Marker = ""
        if words[0].startswith("@"):
            if words[0] not in _MARKERS:
                continue
            marker = _MARKERS[words.pop(0)]
        if len(words) >= 3 and (blob := _blob(words[2])) is not None:
            names = tuple(name if name.startswith("|") else name.lower() for name in words[0].split(",") if name)
            yield Entry(names, words[1], blob, marker, f"{path}:{number}")


def _blob(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` shows it: `SHA256:` and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def name_of(address: str, port: int) -> str:
    """What a host is called in a `known_hosts` file: `web1`, or `[web1]:2222` for another port than 22."""
    return address.lower() if port == _SSH_PORT else f"[{address.lower()}]:{port}"


@frozen
class Known:
    """What the files say of one host.

    Attributes:
        keys: Entries with a key of it.
        authorities: Entries with a key that may sign the keys of it.
        revoked: Entries with a key that must not be accepted of it.
        exact: The keys are for its port; where they are only for its address, another key is unknown, not changed.
    """

    keys: tuple[Entry, ...] = ()
    authorities: tuple[Entry, ...] = ()
    revoked: tuple[Entry, ...] = ()
    exact: bool = True

    def judge(self, blob: bytes) -> Verdict:
        """What to think of a key that the host shows.

        A host of which only keys of another type are known has changed, too: OpenSSH calls that unknown, and with
        `accept-new` would let a stranger in who only has to offer another type.
        """
        if any(each.blob == blob for each in self.revoked):
            return "revoked"
        if any(each.blob == blob for each in self.keys):
            return "known"
        return "changed" if self.keys and self.exact else "unknown"


@frozen
class Book:
    """The entries of one or more files, ready to be asked."""

    exact: Mapping[str, tuple[Entry, ...]]
    others: tuple[Entry, ...]

    def of(self, address: str, port: int) -> Known:
        """What is known of a host at this address and port; of the address alone, where nothing is of the port."""
        found = self._named(name_of(address, port))
        if port == _SSH_PORT:
            return found
        general = self._named(address.lower())
        revoked = found.revoked + general.revoked
        if found.keys or found.authorities:
            return Known(found.keys, found.authorities, revoked)
        return Known(general.keys, general.authorities, revoked, exact=False)

    def _named(self, name: str) -> Known:
        entries = [*self.exact.get(name, ()), *(each for each in self.others if each.names(name))]
        kinds: dict[Marker, list[Entry]] = {"": [], "cert-authority": [], "revoked": []}
        for each in entries:
            kinds[each.marker].append(each)
        return Known(tuple(kinds[""]), tuple(kinds["cert-authority"]), tuple(kinds["revoked"]))


def book(entries: Iterable[Entry]) -> Book:
    """Entries, indexed by their plain names."""
    exact: dict[str, list[Entry]] = {}
    others: list[Entry] = []
    for each in entries:
        if any(sign in pattern for pattern in each.patterns for sign in "*?!|"):
            others.append(each)
            continue
        for name in each.patterns:
            exact.setdefault(name, []).append(each)
    return Book({name: tuple(those) for name, those in exact.items()}, tuple(others))


def read(paths: Sequence[str]) -> Book:
    """Files that are there, as one book.

    Raises:
        OSError: One is there and cannot be read.
    """
    return book(entry for path in paths for entry in _read_one(Path(path).expanduser()))


def _read_one(path: Path) -> Iterator[Entry]:
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return
    yield from parse(text, str(path))


def stamp(paths: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Changes when one of the files does."""
    found: list[tuple[int, ...]] = []
    for path in paths:
        try:
            state = Path(path).expanduser().stat()
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
        except FileNotFoundError:
            found.append(())
    return tuple(found)


def accept(paths: Sequence[str], address: str, port: int, algorithm: str, blob: bytes) -> Verdict:
    """Add the key of a host that is unknown to the first file; of any other, add nothing.

    The files are read again under a lock, so that of two that add at once the second sees the first.

    Returns:
        What the files said: `unknown` means it was added.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(paths[0]).expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # /dev/null would forget, and accept anybody again and again
            raise OSError(errno.EINVAL, f"{path} is no regular file")
        fcntl.flock(handle, fcntl.LOCK_EX)  # the lock goes with the handle
        verdict = read(paths).of(address, port).judge(blob)
        if verdict == "unknown":
            line = f"{name_of(address, port)} {algorithm} {base64.b64encode(blob).decode()}\n".encode()
            _append(handle, line)
        return verdict
    finally:
        os.close(handle)


def _append(handle: int, line: bytes) -> None:
    """One write: it is there whole or, after a short one, taken back."""
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    if os.write(handle, line) != len(line):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, "no space left for the key of a host")
    os.fsync(handle)
