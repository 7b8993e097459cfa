"""A file of a host, brought here."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.flow.ensure import ensuring
from kxflow.flow.step import Step, check_name
from kxflow.resources.editing import step_name
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.present import command
from kxflow.values.action import Command, Into
from kxflow.values.context import HostContext
from kxflow.values.errors import InvalidError
from kxflow.values.state import GONE, Ensured, State

LIMIT: Final = 1 << 30
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NOT_HERE: Final = "not here"


@frozen
class Fetched:
    """The copy here of a file on a host. What the host prints is what is wanted; what is here is compared with that.

    Attributes:
        path: On the host.
        folder: Here, of all hosts.
        parts: Where it is in that: host, then the path on the host.
        limit: Bytes that it may have.
        here: Its state here when the step was made.
    """

    path: str
    folder: str
    parts: tuple[str, ...]
    limit: int
    here: State = field(default=GONE)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("fetch", self.path)

    @property
    def wanted(self) -> dict[str, str]:
        """The state here, as the host would print it."""
        return {"sha256": self.here.get("sha256", _NOT_HERE), "size": self.here.get("size", "0")}

    def probe(self, wanted: State) -> str:
        """Size, and the digest of just so many bytes: a log may grow meanwhile."""
        where = sh(self.path)
        return f"""\
[ -e {where} ] || kx_no {sh(f"there is no file {self.path}")}
[ -f {where} ] || kx_no {sh(f"{self.path} is no file")}
kx_stat {where} || exit 1
[ "$size" -le {self.limit} ] || kx_no {sh(f"{self.path} has more than {self.limit} bytes: raise limit=")}
kx_f=$size
kx_y=$(head -c "$kx_f" <{where} | kx_sha256) || exit 1
kx_say sha256 "$kx_y"
kx_say size "$kx_f"
"""

    def apply(self, wanted: State) -> Command[Any]:
        """What depends on what is there."""
        where = os.path.join(self.folder, *self.parts)  # noqa: PTH118 -- text with surrogate escapes
        never = command(f"kx_no {sh(f'{self.path}: it is not known what to bring to {where}')}")
        return evolve(never, chosen=self.choose)

    def choose(self, found: State) -> Command[Any]:
        """Its bytes, and where they go."""
        size, digest = found.get("size", ""), found.get("sha256", "")
        if not (size.isascii() and size.isdecimal() and int(size) <= self.limit and _SHA256.fullmatch(digest)):
            return command(f"kx_no {sh(f'{self.path}: what the host says of it makes no sense')}")
        into = Into(self.folder, self.parts, int(size), digest)
        return evolve(command(f"head -c {size} <{sh(self.path)}"), into=into)

    def told(self, found: State | None, here: State) -> Ensured:
        """What was here before, and what is here now, with its path."""
        path = os.path.join(self.folder, *self.parts)  # noqa: PTH118 -- text with surrogate escapes
        before = GONE if here["sha256"] == _NOT_HERE else State({**here, "path": path})
        seen = {name: value for name, value in (found or GONE).items() if name in ("sha256", "size")}
        return Ensured(before, State({**seen, "path": path}))

    def back(self, before: State) -> None:
        """On the host nothing was changed; what is here is not taken away."""


def fetch(
    path: PathLike, dest: str | os.PathLike[str], *, limit: int = LIMIT, name: str | None = None
) -> Step[Ensured]:
    """A file of the host, brought here: `/var/log/app.log` of `web1` to `DEST/web1/var/log/app.log`.

    >>> fetch("/var/log/app.log", "logs")
    Step('fetch /var/log/app.log')

    Probe: size and sha256 there, compared with those here: where they are equal nothing is sent. The bytes go to a new
    file in pieces, and are put in place once they are all there and have that digest; where the file was changed
    meanwhile, the step fails and what was here stays. Of a file that only grows comes what it held when it was asked. A
    link there is followed; no link here is. Files here have mode 600, and new folders below DEST 700.
    Its value's `after["path"]` says where it is. Undone: nothing is, it changes nothing on the host.

    Args:
        path: Absolute, on the host.
        dest: Folder here; made where it is not there.
        limit: Bytes that it may have at most; 1 GiB where not given.
        name: Of the step.

    Raises:
        InvalidError: A path, folder or limit that cannot be.
    """
    where = remote_path(path)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise InvalidError(f"fetch {where}: limit={limit!r}", "give a number of bytes")
    if not isinstance(dest, str | os.PathLike) or not os.fspath(dest):
        raise InvalidError(f"fetch {where}: dest={dest!r}", 'name a folder here; "." is the one that this runs in')
    folder = str(Path(dest).absolute())

    def build(ctx: HostContext) -> Command[Ensured]:
        if ctx.host.name in (".", ".."):
            raise InvalidError(f"fetch {where}: a host named {ctx.host.name!r}", "its name is to be a folder's here")
        its = Fetched(where, folder, (ctx.host.name, *where.split("/")[1:]), limit)
        its = evolve(its, here=_state(Path(folder, *its.parts)))
        return ensuring(its, its.wanted, here=True)

    return Step(
        name=check_name(step_name("fetch", where, "") if name is None else name, "step", slash=True), build=build
    )


def _state(path: Path) -> State:
    """The file that is here; whatever else is counts as nothing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return GONE
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return GONE
    with os.fdopen(handle, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return frozendict({"sha256": digest, "size": str(opened.tell())})
