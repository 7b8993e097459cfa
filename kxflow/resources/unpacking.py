"""What is in an archive, in a folder of the host."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.archives import Format, check_members, format_of
from kxflow.resources.paths import Account, PathLike, account, parent_of, remote_path, sh, sha256_text
from kxflow.resources.present import command
from kxflow.values.action import Command, Upload
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

LIMIT: Final = 10 << 30
AS_UNPACKED: Final = "as unpacked"

_TOOLS: Final[dict[Format, tuple[str, str, str]]] = {
    "tar": ("tar", "tar -t -f %s", "tar -x -o -f %s"),
    "tar.gz": ("tar", "tar -t -z -f %s", "tar -x -o -z -f %s"),
    "tar.bz2": ("tar", "tar -t -j -f %s", "tar -x -o -j -f %s"),
    "tar.xz": ("tar", "tar -t -J -f %s", "tar -x -o -J -f %s"),
    "zip": ("unzip", "unzip -Z1 %s 2>/dev/null", "unzip -q -o %s"),
}
"""By format: the tool, how it tells the names in an archive, how it unpacks one into the present folder."""

# The stamp: digest of the archive and how it was unpacked, digest of what was unpacked then (size, mode, time of each
# file), the names of those files. kx_seen prints that second digest as it is now.
_SEEN: Final = r"""
kx_seen() {
  kx_f='stat -c "%a %s %Y %n" --'
  stat -c %a / >/dev/null 2>&1 || kx_f='stat -f "%Lp %z %m %N" --'
  tail -n +3 "$1" | tr '\n' '\000' | xargs -0 sh -c "$kx_f"' "$@"' sh 2>/dev/null | kx_sha256
}
"""

# kx_away FILE: take away what this list names, as far as it is there and no link leads to it: a stamp may have
# been written by whoever may write in the folder.
_AWAY: Final = r"""
kx_away() {
  { find . ! -type d; sort -u "$1"; } | sort | uniq -d | tr '\n' '\000' | xargs -0 rm -f --
}
"""

# In the folder where it was unpacked: no devices, nothing that leads out, no name that a list of lines cannot hold.
_SAFE: Final = r"""
kx_nl='
'
kx_y=$(find . ! -type f ! -type d ! -type l | head -n 1)
[ -z "$kx_y" ] || kx_no "a member is neither file, folder nor link: $kx_y"
kx_y=$(find . -name "*$kx_nl*" | head -n 1)
[ -z "$kx_y" ] || kx_no 'a member has a line break in its name'
kx_y=$(find . -type f -links +1 -exec sh -c 'stat -c "%i %h" -- "$@" 2>/dev/null || stat -f "%i %l" -- "$@"' sh {} + |
  sort | uniq -c | while read -r kx_c kx_i kx_h; do [ "$kx_c" = "$kx_h" ] || echo x; done)
[ -z "$kx_y" ] || kx_no 'a member is a hard link to something outside'
kx_y=$(find . -type l -exec sh -c '
for kx_i; do
  kx_h=$(readlink -- "$kx_i")
  kx_d=${kx_i%/*}/
  while case $kx_h in ../* | ..) : ;; *) false ;; esac; do
    kx_d=${kx_d%/}
    case $kx_d in */*) kx_d=${kx_d%/*}/ ;; *) kx_h=/ ;; esac
    case $kx_h in ..) kx_h= ;; ../*) kx_h=${kx_h#../} ;; esac
  done
  case /$kx_h/ in //* | */../*) [ -z "$kx_h" ] || printf "%s\n" "$kx_i" ;; esac
done' sh {} + | head -n 1)
[ -z "$kx_y" ] || kx_no "a link leads outside: $kx_y"
find . -type f \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s -- {} +
"""


@frozen
class Unpacked:
    """What an archive holds, in a folder.

    Attributes:
        path: The folder.
        archive: Where it is on the host, or the file that is sent.
        kind: Its format.
        digest: Of the archive; None: that of what is at its path on the host.
        strip: So many folders that hold everything are left out.
        stamp: Name that tells what was unpacked from what else was, in the same folder.
        owner: Of everything, as `chown` takes it.
    """

    path: str
    archive: str | Upload
    kind: Format
    digest: str | None
    strip: int = 0
    stamp: str = "archive"
    owner: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Kind, path and, where that is not the usual one, stamp."""
        return ("unpack", self.path if self.stamp == "archive" else f"{self.path} {self.stamp}")

    @property
    def wanted(self) -> dict[str, str]:
        """The state that it is to be in."""
        return {"type": "directory", "archive": self._mark or f"that at {self.archive}", "files": AS_UNPACKED}

    @property
    def _mark(self) -> str:
        """What the stamp says of the archive, where that is known here."""
        return "" if self.digest is None else f"{self.digest}{self._how}"

    @property
    def _how(self) -> str:
        return (f" strip={self.strip}" if self.strip else "") + (f" owner={self.owner}" if self.owner else "")

    @property
    def _stamp(self) -> str:
        return f"{self.path}/.kxflow-{self.stamp}"

    def probe(self, wanted: State) -> str:
        """What the stamp says, and whether what was unpacked is as it was then."""
        where, stamp = sh(self.path), sh(self._stamp)
        told = 'kx_say archive "$kx_y"'
        if self.digest is None:
            archive = sh(str(self.archive))
            told = f"""\
[ -f {archive} ] || kx_no {sh(f"there is no archive {self.archive}")}
kx_a=$(kx_sha256 <{archive}) || exit 1
if [ "$kx_y" = "$kx_a"{sh(self._how)} ]; then kx_say archive {sh(f"that at {self.archive}")}
else kx_say archive "$kx_y"; fi"""
        return f"""\
{_SEEN}
[ -e {where} ] || {{ [ ! -h {where} ] || kx_no {sh(f"{self.path} is a link that leads nowhere")}; exit 0; }}
[ -d {where} ] || kx_no {sh(f"{self.path} is there and no directory")}
kx_say type directory
cd -- {where} || exit 1
kx_y=none kx_was=none
[ ! -f {stamp} ] || {{ read -r kx_y; read -r kx_was; }} <{stamp}
{told}
[ "$kx_was" != none ] || {{ kx_say files none; exit; }}
kx_y=$(kx_seen {stamp}) || exit 1
if [ "$kx_y" = "$kx_was" ]; then kx_say files {sh(AS_UNPACKED)}; else kx_say files changed; fi"""

    def needs(self, wanted: State) -> Iterator[Need]:
        """What unpacks it, an archive that is on the host, a folder to be in."""
        if not wanted:
            return
        tool = _TOOLS[self.kind][0]
        yield needs.program(tool, tool)
        if not isinstance(self.archive, Upload):
            archive = f"[ -f {sh(self.archive)} ]"
            yield Need(archive, f"there is no archive {self.archive}", (self.archive,))
        yield needs.room(self.path)

    def apply(self, wanted: State) -> Command[Any]:
        """Into a folder of its own, looked at there, and then in place; for undo: away with it."""
        if not wanted:
            return command(self._away())
        made = command(self._unpack())
        return evolve(made, upload=self.archive) if isinstance(self.archive, Upload) else made

    def _unpack(self) -> str:
        where, failed = sh(self.path), sh(f"cannot write below {self.path}")
        sent = isinstance(self.archive, Upload)
        archive = '"$kx_up"' if sent else sh(str(self.archive))
        tool, names, unpack = _TOOLS[self.kind]
        parent = parent_of(self.path)
        shown = "the archive" if sent else str(self.archive)
        digest = "" if self.digest is None else f'[ "$kx_a" = {self.digest} ] || kx_no {sh(f"{shown} is another file")}'
        return f"""\
{_SEEN}{_AWAY}
kx_need {tool} {tool}
[ -f {archive} ] || kx_no {sh(f"there is no archive {shown}")}
kx_a=$(kx_sha256 <{archive}) || exit 1
{digest}
[ ! -e {where} ] || [ -d {where} ] || kx_no {sh(f"{self.path} is there and no directory")}
kx_dir {sh(parent)} || exit 1
if [ -d {where} ]; then cd -- {where}; else cd -- {sh(parent)}; fi || exit 1
umask 022
kx_root=$(pwd -P && echo x)
kx_root=${{kx_root%?x}}
kx_s=$(mktemp -d -- "${{kx_root%/}}/.kx.XXXXXXXX" && echo x) || exit 1
kx_s=${{kx_s%?x}}
trap 'cd /; chmod -R u+rwX -- "$kx_s"; rm -rf -- "$kx_s"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
LC_ALL=C
export LC_ALL
kx_y=$({{ {names.replace("%s", archive)}; }} 2>&1 | grep -E '^/|(^|/)\\.\\.(/|$)|[Rr]emoving leading' | head -n 1)
[ -z "$kx_y" ] || kx_no "a member leads outside: $kx_y"
mkdir -- "$kx_s/new" && cd -- "$kx_s/new" && {unpack.replace("%s", archive)} || kx_no {sh(f"cannot unpack {shown}")}
{'rm -f -- "$kx_up"' if sent else ""}
{self._strip()}{_SAFE}
{"" if not self.owner else f"kx_chown -R -h -- {sh(self.owner)} . || kx_no {failed}"}
find . ! -type d | LC_ALL=C sort >"$kx_s/names"
{self._in_place()}
"""

    def _strip(self) -> str:
        told = sh(f"the archive does not hold everything in one folder, {self.strip} times")
        return (
            f"""\
kx_y=$(ls -A)
[ "$kx_y" ] && [ -d "./$kx_y" ] && [ ! -h "./$kx_y" ] && cd -- "./$kx_y" || kx_no {told}
"""
            * self.strip
        )

    def _in_place(self) -> str:
        """Folder by folder; links in the way are not followed. What the archive before had, and this one not, goes."""
        where, stamp, failed = sh(self.path), sh(self._stamp), sh(f"cannot write below {self.path}")
        return f"""\
kx_n=$(pwd -P && echo x)
kx_n=${{kx_n%?x}}
if [ ! -d {where} ]; then (umask 022; mkdir -- {where}) || exit 1; fi
cd -- {where} || exit 1
kx_to=$(pwd -P && echo x)
kx_to=${{kx_to%?x}}
(cd -- "$kx_n" && find . -type d) | LC_ALL=C sort | while IFS= read -r kx_i; do
  [ ! -h "$kx_i" ] || kx_no {sh(self.path)}": a link is where a folder is to be: $kx_i"
  [ ! -e "$kx_i" ] || [ -d "$kx_i" ] || kx_no {sh(self.path)}": a file is where a folder is to be: $kx_i"
done || exit 1
while IFS= read -r kx_i; do
  [ -h "$kx_i" ] || [ ! -d "$kx_i" ] || kx_no {sh(self.path)}": a folder is where a file is to be: $kx_i"
done <"$kx_s/names"
(cd -- "$kx_n" && find . -type d) | LC_ALL=C sort | while IFS= read -r kx_i; do
  if [ ! -d "$kx_i" ]; then
    mv -- "$kx_n/$kx_i" "$kx_i" || exit 1
  elif [ -d "$kx_n/$kx_i" ]; then
    (cd -- "$kx_n/$kx_i" && find . ! -name . -prune ! -type d -exec sh -c 'kx_x=$1; shift; mv -f -- "$@" "$kx_x/"' \\
      sh "$kx_to/$kx_i" {{}} +) || exit 1
  fi
done || kx_no {failed}
if [ -f {stamp} ]; then
  {{ tail -n +3 {stamp}; cat "$kx_s/names" "$kx_s/names"; }} | sort | uniq -u >"$kx_s/old" || kx_no {failed}
  kx_away "$kx_s/old" || kx_no {failed}
fi
{{ printf '%s\\n\\n' "$kx_a"{sh(self._how)}; cat "$kx_s/names"; }} >"$kx_s/stamp" || kx_no {failed}
kx_y=$(kx_seen "$kx_s/stamp") || exit 1
{{ printf '%s\\n' "$kx_a"{sh(self._how)} "$kx_y"; cat "$kx_s/names"; }} >"$kx_s/stamp" || kx_no {failed}
mv -f -- "$kx_s/stamp" {stamp} || kx_no {failed}
"""

    def _away(self) -> str:
        where, stamp = sh(self.path), sh(self._stamp)
        return f"""\
cd -- {where} || exit 1
LC_ALL=C
export LC_ALL
{_AWAY}
kx_s=$(mktemp) || exit 1
trap 'rm -f -- "$kx_s"' EXIT
tail -n +3 {stamp} >"$kx_s" && kx_away "$kx_s" && rm -f -- {stamp} || exit 1
find . -depth -type d ! -name . -exec rmdir -- {{}} + 2>/dev/null
cd / && rmdir -- {where}"""

    def back(self, before: State) -> Command[Ensured] | None:
        """Away with it where nothing was there before; else nothing knows what was."""
        return None if before else ensuring(self, None)


def unpack(
    path: PathLike,
    *,
    source: str | os.PathLike[str] | None = None,
    archive: PathLike | None = None,
    sha256: str | None = None,
    format: Format | None = None,  # noqa: A002 -- the field's word
    strip: int = 0,
    stamp: str = "archive",
    owner: Account | None = None,
    group: Account | None = None,
    limit: int = LIMIT,
    name: str | None = None,
) -> Step[Ensured]:
    """What an archive holds, in a folder of the host: `.tar`, `.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip`.

    >>> unpack("/opt/tool", archive="/var/cache/tool-1.2.tar.gz", strip=1)
    Step('unpack /opt/tool')

    It is unpacked beside its place, looked at, and then put in place file by file; what else is in the folder stays.
    Refused are members that lead outside of the folder, links that do, devices, names with a line break, and links on
    the host where a folder is to be. Members lose setuid and setgid.

    It goes by names: do not let it loose in a folder where others may swap things meanwhile.

    Probe: a stamp in the folder, `.kxflow-STAMP`, that tells which archive was unpacked there and what became of it: it
    is unpacked again where the archive is another, or one of its files has another size, mode or time. What the archive
    before had and this one has not is taken away.
    Undone: where the folder was not there before it is taken away; else nothing knows what was replaced.

    Args:
        path: The folder, absolute. Made where it is not there, but not what is above it.
        source: Archive here; it is sent where it is needed.
        archive: Archive on the host, absolute; in place of `source`.
        sha256: Of an archive on the host: then it is not looked at while the stamp says that, and need not be there.
        format: Where the name does not tell.
        strip: Leave out so many folders that hold everything: 1 for what unpacks to `tool-1.2/…`.
        stamp: Name of the stamp, where several archives are unpacked into one folder.
        owner: Of everything, name or number; else of whoever unpacks.
        group: As owner.
        limit: Bytes that an archive from here may have unpacked; 10 GiB where not given.
        name: Of the step.

    Raises:
        InvalidError: A path that cannot be, no archive or two, one that cannot be read or holds what is refused.
    """
    where = remote_path(path)
    told = f"unpack {where}"
    if (source is None) == (archive is None):
        raise InvalidError(f"{told}: source= or archive=", "give one: an archive here, or one on the host")
    if isinstance(strip, bool) or not isinstance(strip, int) or not 0 <= strip <= 32:
        raise InvalidError(f"{told}: strip={strip!r}", "give a small number of folders")
    if not isinstance(stamp, str) or not stamp.isascii() or not stamp.replace("-", "").replace("_", "").isalnum():
        raise InvalidError(f"{told}: stamp {stamp!r} cannot be one", "use letters, digits, - and _")
    pair = _owner(owner, group)
    if source is not None:
        if sha256 is not None:
            raise InvalidError(f"{told}: sha256= with source=", "that of an archive here is known")
        kind = format_of(source, format, told)
        upload = _sent(where, Path(source), kind, strip, limit, told)
        its = Unpacked(where, upload, kind, upload.sha256, strip, stamp, pair)
    else:
        at = remote_path(archive or "", "archive")
        digest = None if sha256 is None else sha256_text(sha256, told)
        its = Unpacked(where, at, format_of(at, format, told), digest, strip, stamp, pair)
    return ensure(its, its.wanted, name=name)


def _owner(owner: Account | None, group: Account | None) -> str:
    who, them = account(owner, "owner") or "", account(group, "group")
    return who if them is None else f"{who}:{them}"


def _sent(where: str, source: Path, kind: Format, strip: int, limit: int, told: str) -> Upload:
    try:
        with source.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            size = opened.tell()
    except OSError as error:
        raise InvalidError(f"{told}: {source}: {error.strerror}", "name an archive that can be read") from None
    check_members(source, kind, strip, limit, told)
    return Upload(str(source.absolute()), where, size, digest)
