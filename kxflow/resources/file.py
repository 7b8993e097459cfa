"""A file: its content, mode and owner."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from attrs import evolve, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, ensure
from kxflow.flow.step import Step
from kxflow.resources.paths import RIGHTS, Account, PathLike, ask_rights, own_words, remote_path, rights, sh
from kxflow.values.action import Command, Upload
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import CONTENT, Ensured, State, state

Presence: TypeAlias = Literal["present", "absent"]

TEXT_LIMIT: Final = 256 * 1024
INLINE: Final = 16 * 1024
"""Content up to that many bytes travels with the program; what is larger only where the host says that it is needed."""


WHOLE: Final[State] = state({"type": "file", "sha256": "", **dict.fromkeys(RIGHTS, "")})


@frozen
class File:
    """A file at a path; content is what it is to hold, where that is seen to."""

    path: str
    content: bytes | Secret | Upload | None = None
    backup: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("file", self.path)

    def probe(self, wanted: State) -> str:
        """Type, digest, mode and owner, as far as they are wanted."""
        where = sh(self.path)
        wanted = wanted or WHOLE  # what is taken away can be brought back
        digest = f'kx_say sha256 "$(kx_sha256 <{where})" || exit 1\n' if "sha256" in wanted else ""
        return f"""
[ -e {where} ] || [ -h {where} ] || exit 0
if [ -f {where} ]; then kx_say type file; elif [ -d {where} ]; then kx_say type directory; exit
else kx_say type other; exit; fi
{digest}kx_stat {where} || exit 1
{ask_rights(wanted)}"""

    def apply(self, wanted: State) -> Command[Any]:
        """The content by rename; mode and owner alone in place; nothing at all by removal."""
        where = sh(self.path)
        if not wanted:
            return _command(f"[ ! -d {where} ] || kx_no {sh(f'{self.path} is a directory')}\nrm -f -- {where}")
        keep = f"[ ! -f {where} ] || cp -p -- {where} {sh(self.path + '.orig')} || exit 1\n" if self.backup else ""
        content = self._content(wanted)
        if content is None:
            make = f"[ -e {where} ] || : | kx_put {where} '' '' '' || exit 1\n"
            return _command(f"{make}kx_own {where} {own_words(wanted)}")
        put = _command(f"{keep}kx_put {where} {own_words(wanted)}", sensitive=isinstance(content, Secret))
        if isinstance(content, Upload):
            return evolve(put, upload=content)
        return evolve(put, stdin=content if isinstance(content, Secret) else content or None)

    def _content(self, wanted: State) -> bytes | Secret | Upload | None:
        if CONTENT in wanted:
            return wanted[CONTENT].encode("utf-8", "surrogateescape")
        return self.content if "sha256" in wanted else None

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards the state that was found; None where its content was not kept."""
        from kxflow.flow.ensure import ensuring

        if "sha256" in before and CONTENT not in before:
            return None
        if before and before.get("type") != "file":
            return None
        return ensuring(self, before or None, content=self.shown(None))

    def shown(self, content: bytes | Secret | Upload | None) -> Content:
        """How to see what it holds, and what it is to hold."""
        text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else None
        detail = f"[ ! -f {sh(self.path)} ] || head -c {TEXT_LIMIT + 1} <{sh(self.path)}"
        return Content(detail=detail, wanted=text if text is not None and len(text) <= TEXT_LIMIT else None)


def _command(text: str, *, sensitive: bool = False) -> Command[Any]:
    return cast("Command[Any]", shell(text, sensitive=sensitive))


def file(
    path: PathLike,
    *,
    content: str | bytes | Secret | None = None,
    source: str | Path | None = None,
    mode: int | str | None = None,
    owner: Account | None = None,
    group: Account | None = None,
    backup: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    r"""A file with this content, mode and owner; what is not given is left as it is.

    The content is put in place whole: a reader sees the old file or the new one. A symbolic link is followed.

    >>> file("/etc/motd", content="hi\n", mode=0o644, owner="root")
    Step('file /etc/motd')

    States: `present`, `absent`. Probe: type, sha256, mode, owner, group of what is given here.

    Args:
        path: Absolute.
        content: Text (as UTF-8), bytes, or a `Secret`, which then is in no record.
        source: A file here whose content it is to have.
        mode: Permission bits: `0o644`; a new file gets that where not given.
        owner: Name or number.
        group: Name or number.
        backup: Keep the content before as `PATH.orig`.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, mode or owner that cannot be; content and source together; a source that cannot be read.
    """
    where = remote_path(path)
    if state not in ("present", "absent"):
        raise InvalidError(f"file {where}: state={state!r}", 'write "present" or "absent"')
    if content is not None and source is not None:
        raise InvalidError(f"file {where}: content= and source=", "give one of the two")
    data = _data(where, content, source)
    told = rights(mode, owner, group)
    if state == "absent":
        if data is not None or told:
            raise InvalidError(f"file {where}: absent, and with content, mode or owner", "give the path only")
        return ensure(File(where), None, name=name, content=File(where).shown(None))
    its = File(where, data, backup)
    wanted = {"type": "file", **({} if data is None else {"sha256": _sha256(data)}), **told}
    return ensure(its, wanted, name=name, content=None if isinstance(data, Secret) else its.shown(data))


def _data(
    where: str, content: str | bytes | Secret | None, source: str | Path | None
) -> bytes | Secret | Upload | None:
    if source is not None:
        try:
            return _of_source(where, Path(source))
        except OSError as error:
            raise InvalidError(f"file {where}: {source}: {error.strerror}", "name a file that can be read") from None
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    if isinstance(content, bytes) and len(content) > INLINE:
        return Upload(content, where, len(content), hashlib.sha256(content).hexdigest())
    return content


def _of_source(where: str, source: Path) -> bytes | Upload:
    with source.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        if size <= INLINE:
            return opened.read()
        return Upload(str(source.absolute()), where, size, hashlib.file_digest(opened, "sha256").hexdigest())


def _sha256(data: bytes | Secret | Upload) -> str:
    if isinstance(data, Upload):
        return data.sha256
    return hashlib.sha256(data if isinstance(data, bytes) else data.raw).hexdigest()
