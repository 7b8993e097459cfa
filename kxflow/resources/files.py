"""A file: its content, mode and owner."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.absence import nothing
from kxflow.resources.paths import RIGHTS, Account, PathLike, ask_rights, own_words, remote_path, rights, sh
from kxflow.resources.present import command, shown
from kxflow.values.action import STDIN_LIMIT, Command, Upload
from kxflow.values.arguments import check_flags
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret, refuse_mask
from kxflow.values.state import CONTENT, Ensured, State, state

Presence: TypeAlias = Literal["present", "absent"]
Data: TypeAlias = bytes | Secret | Upload

INLINE: Final = 16 * 1024
"""Content up to that many bytes travels with the program; what is larger only where the host says that it is needed."""


WHOLE: Final[State] = state({"type": "file", "sha256": "", **dict.fromkeys(RIGHTS, "")})

_SETTLED_NS: Final = 2_000_000_000
_BACKUP: Final = "backup"


@frozen
class File:
    """A file at a path.

    Attributes:
        path: Where.
        content: What it is to hold, where that is seen to.
        backup: Other content that was there is kept beside it.
        drop: For undo: a part of the name of what a backup kept, which goes.
        follow: For undo: to take it away is to take what a link leads to; the link stays.
    """

    path: str
    content: Data | None = None
    backup: bool = False
    drop: str = ""
    follow: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("file", self.path)

    def probe(self, wanted: State) -> str:
        """Type, digest, mode and owner, as far as they are wanted; a link that leads nowhere is told as what it is.

        Where a backup would be made, that there is none yet: an undo takes away what was not there.
        """
        where = sh(self.path)
        wanted = wanted or WHOLE  # what is taken away can be brought back
        digest = f'kx_y=$(kx_sha256 <{where}) || exit 1\nkx_say sha256 "$kx_y"\n' if "sha256" in wanted else ""
        rights = f"kx_stat {where} || exit 1\n{ask_rights(wanted)}\n" if wanted.keys() - {"type", "sha256"} else ""
        link = "exit 0" if self.follow else f"{{ [ ! -h {where} ] || kx_say type link; exit 0; }}"
        return f"""\
[ -e {where} ] || {link}
[ ! -d {where} ] || kx_no {sh(f"{self.path} is a directory, not a file")}
[ -f {where} ] || kx_no {sh(f"{self.path} is a device, pipe or socket, not a file")}
kx_say type file
{digest}{rights}{self._kept(wanted)}"""

    def _kept(self, wanted: State) -> str:
        """Shell text that tells of the backup, where there is something to tell: nothing where all is as wanted."""
        if self.drop:
            kept = f'"$real".orig-{self.drop}'
            return f"kx_real {sh(self.path)}\n[ ! -f {kept} ] || kx_say {_BACKUP} there\n"
        if not (self.backup and wanted.get("sha256")):
            return ""
        kept = '"$real.orig-$(printf %.12s "$kx_y")"'
        none = f"[ -e {kept} ] || kx_say {_BACKUP} none"
        return f'kx_real {sh(self.path)}\n[ "$kx_y" = {wanted["sha256"]} ] || {none}\n'

    def apply(self, wanted: State) -> Command[Any]:
        """The content by rename; mode and owner alone in place. For undo: nothing, or a link that leads nowhere."""
        where = sh(self.path)
        if not wanted and self.follow:
            return command(f'kx_real {where}\nrm -f -- "$real"')
        if not wanted:
            return command(f"[ ! -d {where} ] || kx_no {sh(f'{self.path} is a directory')}\nrm -f -- {where}")
        if wanted["type"] == "link":
            return command(f'kx_real {where}\nrm -f -- "$real"')
        content = self._content(wanted)
        words = own_words(wanted)
        if content is None:
            return command(f"if [ -e {where} ]; then kx_own {where} {words}; else : | kx_put {where} {words}; fi")
        keep, last = (_KEEP % {"where": where, **wanted}, ' "$kx_keep"') if self.backup else ("", "")
        drop = f' && rm -f -- "$real".orig-{self.drop}' if self.drop else ""
        put = command(f"{keep}kx_put {where} {words}{last}{drop}", sensitive=isinstance(content, Secret))
        if isinstance(content, Upload):
            return evolve(put, upload=content)
        return evolve(put, stdin=content if isinstance(content, Secret) else content or None)

    def needs(self, wanted: State) -> Iterator[Need]:
        """A folder to be in, and its owner and group."""
        if wanted:
            yield needs.room(self.path)
            yield from needs.owners(wanted)

    def _content(self, wanted: State) -> Data | None:
        if CONTENT in wanted:
            return wanted[CONTENT].encode("utf-8", "surrogateescape")
        return self.content if "sha256" in wanted else None

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards the state that was found; None where its content was not kept."""
        if "sha256" in before and CONTENT not in before:
            return None
        its = evolve(self, backup=False, drop=before["sha256"][:12] if _BACKUP in before else "")
        found = {name: value for name, value in before.items() if name != _BACKUP}
        return ensuring(its, found or None, content=shown(self.path))

    def told(self, before: State | None, after: State) -> Ensured:
        """The backup that was made is a part of what is there afterwards."""
        if before is None or _BACKUP not in before or self.drop:
            return Ensured(before, after)
        return Ensured(before, after.set(_BACKUP, "made"))

    def again(self, before: State, after: State) -> Ensured:
        """What is told where an earlier step of a plan leaves the file so: that one's backup is of other content."""
        before, after = (State({k: v for k, v in each.items() if k != _BACKUP}) for each in (before, after))
        if self.backup and "sha256" in after and before.get("sha256") not in (None, after["sha256"]):
            content = {CONTENT: before[CONTENT]} if CONTENT in before else {}
            before = State({**{k: v for k, v in before.items() if k != CONTENT}, _BACKUP: "none", **content})
        return self.told(before, after)


_KEEP: Final = """\
kx_real %(where)s
kx_keep=
if [ -f "$real" ]; then
  kx_y=$(kx_sha256 <"$real") || exit 1
  [ "$kx_y" = %(sha256)s ] || kx_keep=$real.orig-$(printf %%.12s "$kx_y")
fi
"""


def restored(path: str, before: State) -> Command[Ensured] | None:
    """The action that gives a file the content it had, or takes it away; None where that was not kept.

    It is for those that edit what a link leads to: the link was there, and stays.
    """
    if not before:
        return ensuring(File(path, follow=True), None, content=shown(path))
    if CONTENT not in before:
        return None
    content = before[CONTENT]
    wanted = {"type": "file", "sha256": _sha256(content.encode("utf-8", "surrogateescape")), CONTENT: content}
    return ensuring(File(path), wanted, content=shown(path))


def file(
    path: PathLike,
    *,
    content: str | bytes | Secret | None = None,
    source: str | os.PathLike[str] | None = None,
    template: str | os.PathLike[str] | None = None,
    vars: Mapping[str, Any] | None = None,  # noqa: A002 -- the field's word
    mode: int | str | None = None,
    owner: Account | None = None,
    group: Account | None = None,
    backup: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    r"""A file with this content, mode and owner; what is not given is left as it is.

    The content is put in place whole: a reader sees the old file or the new one. So it is a new file: mode and owner
    are kept, other hard links keep the old content, access lists and extended attributes are those of a new file.

    >>> file("/etc/motd", content="hi\n", mode=0o644, owner="root")
    Step('file /etc/motd')

    States: `present`, `absent`. Probe: type, sha256, mode, owner, group of what is given here. A symbolic link is
    followed; where it leads to nothing, the file is made there. A folder, device, pipe or socket is refused, and so is
    a file in a folder that is not there. Absent takes a link away, not what it leads to.
    Undone: content of up to 256 KiB that was no secret is brought back, and mode and owner with it; the backup that
    was made goes.

    Args:
        path: Absolute.
        content: Text (as UTF-8), bytes, or a `Secret`, which then is in no record.
        source: A file here whose content it is to have.
        template: A Jinja2 template, rendered here: a file, or text that holds a line break, `{{`, `{%` or `{#`. A
            variable that is not defined is an error. It needs `kxflow[templates]`.
        vars: For the template. Where it looks at one that is a `Secret`, the content is one.
        mode: Permission bits: `0o644`; a new file gets that where not given.
        owner: Name or number.
        group: Name or number.
        backup: Keep the file before as `PATH.orig-DIGEST`, with twelve digits of its content's sha256: none that was
            kept before is lost, and none is kept twice. Of a change of mode or owner alone nothing is kept.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, mode or owner that cannot be; more than one of content, source and template; a source that
            cannot be read, a template that cannot be rendered.
    """
    where = remote_path(path)
    check_presence(state, f"file {where}")
    check_flags(f"file {where}", backup=backup)
    if sum(each is not None for each in (content, source, template)) > 1:
        raise InvalidError(f"file {where}: more than one of content, source and template", "give one of them")
    if vars is not None and template is None:
        raise InvalidError(f"file {where}: vars= without template=", "give the template too")
    told = rights(mode, owner, group)
    if state == "absent":
        if content is not None or source is not None or template is not None or told:
            raise InvalidError(f"file {where}: absent, and with content, mode or owner", "give the path only")
        return nothing(where, "file", name=name)
    if template is not None:
        content = _rendered(where, template, vars)
    data = _of_source(where, source) if source is not None else _data(where, content)
    its = File(where, data, backup)
    wanted = {"type": "file", **({} if data is None else {"sha256": _sha256(data)}), **told}
    if data is None or isinstance(data, Secret):
        return ensure(its, wanted, name=name)
    return ensure(its, wanted, name=name, content=shown(where, data if isinstance(data, bytes) else None))


def check_presence(value: object, where: str) -> None:
    """Refuse what is no `Presence`.

    Raises:
        InvalidError: It is none.
    """
    if value not in ("present", "absent"):
        raise InvalidError(f"{where}: state={value!r}", 'write "present" or "absent"')


def _rendered(where: str, template: str | os.PathLike[str], variables: Mapping[str, Any] | None) -> str | Secret:
    from kxflow.resources.templates import render

    try:
        return render(template, variables)
    except InvalidError as error:
        raise InvalidError(f"file {where}: {error.what}", error.remedy) from None


def _data(where: str, content: str | bytes | Secret | None) -> Data | None:
    if content is None:
        return None
    if isinstance(content, Secret):
        if len(content.raw) > STDIN_LIMIT:
            raise InvalidError(f"file {where}: a Secret of over {STDIN_LIMIT} bytes", "encrypt it, and bring the key")
        return content
    data = to_content(content, f"file {where}: content")
    if len(data) > INLINE:
        return Upload(data, where, len(data), hashlib.sha256(data).hexdigest())
    return data


def to_content(content: str | bytes, where: str) -> bytes:
    """What a file is to hold, as bytes.

    Raises:
        InvalidError: Neither text nor bytes, text that no bytes stand for, a secret that was formatted into it.
    """
    if not isinstance(content, str | bytes):
        raise InvalidError(f"{where} is a {type(content).__name__}", "give text, bytes or a Secret")
    refuse_mask(content, where)
    try:
        return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    except UnicodeEncodeError:
        raise InvalidError(f"{where} holds surrogates that stand for no byte", "give bytes") from None


def _of_source(where: str, source: str | os.PathLike[str]) -> bytes | Upload:
    path = Path(source)
    try:
        if path.exists() and not path.is_file():
            raise InvalidError(f"file {where}: {path} is no file", "name a file; sync() brings folders")
        with path.open("rb") as opened:
            stat = os.fstat(opened.fileno())
            size = stat.st_size
            if size <= INLINE:
                return opened.read(INLINE + 1)
            return Upload(str(path.absolute()), where, size, _digest(path.absolute(), stat))
    except OSError as error:
        raise InvalidError(f"file {where}: {path}: {error.strerror}", "name a file that can be read") from None


def _digest(path: Path, now: os.stat_result) -> str:
    """The digest of a file: a step that is built for each host would take it again for each.

    It is remembered by what changes with every write, the time of the last change of the inode among it, which nobody
    can set back; not of a file that was changed just now, since one more write may fall into the same tick of a clock.
    """
    state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    settled = time.time_ns() - now.st_ctime_ns > _SETTLED_NS
    return _known_digest(path, state) if settled else _digest_now(path)


def _digest_now(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _known_digest(path: Path, state: tuple[int, ...]) -> str:
    del state
    return _digest_now(path)


def _sha256(data: Data) -> str:
    if isinstance(data, Upload):
        return data.sha256
    return hashlib.sha256(data if isinstance(data, bytes) else data.raw).hexdigest()
