"""What is in a folder, as a list that a host and this side write alike."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen

from kxflow.resources.paths import sh
from kxflow.values.errors import InvalidError

Kind: TypeAlias = Literal["f", "d", "l", "o"]
_KINDS: Final[dict[str, Kind]] = {"f": "f", "d": "d", "l": "l", "o": "o"}

TEMPS: Final = ".kx.????????"
"""Names, directly in a folder, of what is being put in place there."""

# kx_list START… WORDS is a `find` that prints what it finds, sorted; kx_only holds tests for all that is told of. (They
# are said three times: busybox forgets `-exec … +` in parentheses.) For each thing there is one line of its kind (`f`,
# `d`, `l` or `o`) with its digest, or of a link what it leads to, and one of its mode (`m`) and owner. Names in it
# never hold `//`, so what follows is told from them. All names go through the tools as arguments, many at a time (loops
# in a shell are quadratic where they shift arguments: 80 s for 20,000 files); only those with a backslash or a line
# break, and links, one by one. kx_gnu and kx_bsd hold formats of `stat` for mode and owner of what is no link, kx_gnu_l
# and kx_bsd_l for those of links, where that is asked for. GNU's says UNKNOWN for a number that has no name, where
# BSD's says the number; so that is asked for as well, and kx_who leaves one of the two.
LIST: Final = r"""
kx_who='
/^m /{
s/^\(m [^ ]*:\)UNKNOWN=/\1/
s/^\(m [^ ]*:\)UNKNOWN=/\1/
s/^\(m [^ =]*\)=[0-9]*/\1/
s/^\(m [^ =]*\)=[0-9]*/\1/
}'
kx_nl='
'
kx_odd=$(printf '*[\\\\\r\n]*')
kx_esc='
kx_nl="
"
kx_esc() {
  kx_e=$1 kx_z=
  while :; do
    case $kx_e in *\\*) kx_z=$kx_z${kx_e%%\\*}"\\\\" kx_e=${kx_e#*\\} ;; *) break ;; esac
  done
  kx_e=$kx_z$kx_e kx_z=
  while :; do
    case $kx_e in *"$kx_nl"*) kx_z=$kx_z${kx_e%%"$kx_nl"*}"\\n" kx_e=${kx_e#*"$kx_nl"} ;; *) break ;; esac
  done
  kx_e=$kx_z$kx_e
}
'
kx_each=$kx_esc'
kx_stat=$1 kx_hash=$2 kx_form=$3 kx_link=$4
shift 4
for kx_i; do
  kx_esc "$kx_i"
  kx_n=$kx_e kx_f=$kx_form
  if [ -h "$kx_i" ]; then
    kx_h=$(readlink -- "$kx_i" && echo x) || exit 1
    kx_esc "${kx_h%?x}"
    printf "l - %s// %s\\n" "$kx_n" "$kx_e"
    kx_f=$kx_link
  elif [ -d "$kx_i" ]; then printf "d - %s\\n" "$kx_n"
  elif [ -f "$kx_i" ]; then
    kx_h=$($kx_hash "$kx_i") || exit 1
    kx_h=${kx_h#\\}
    printf "f %s %s\\n" "${kx_h%% *}" "$kx_n"
  else
    printf "o - %s\\n" "$kx_n"
    kx_f=
  fi
  [ "$kx_f" ] || continue
  kx_h=$($kx_stat "$kx_f" "$kx_i") || exit 1
  printf "m %s %s\\n" "$kx_h" "$kx_n"
done
'
kx_list() {
  if command -v sha256sum >/dev/null 2>&1; then kx_hash=sha256sum
  elif command -v shasum >/dev/null 2>&1; then kx_hash='shasum -a 256'
  elif command -v sha256 >/dev/null 2>&1; then kx_hash='sha256 -r'
  elif command -v openssl >/dev/null 2>&1; then kx_hash='openssl dgst -sha256 -r'
  else kx_no 'no sha256sum, shasum, sha256 or openssl on this host'
  fi
  if stat -c %a / >/dev/null 2>&1; then
    kx_stat='stat -c' kx_form=$kx_gnu kx_link=$kx_gnu_l kx_name=%n
  else
    kx_stat='stat -f' kx_form=$kx_bsd kx_link=$kx_bsd_l kx_name=%N
  fi
  { find "$@" $kx_only \( -path "$kx_odd" -o -type l -o ! -type f ! -type d \) \
      -exec sh -c "$kx_each" sh "$kx_stat" "$kx_hash" "$kx_form" "$kx_link" {} + \
    -o $kx_only -type f -exec $kx_hash {} + -exec $kx_stat "m $kx_form $kx_name" {} + \
    -o $kx_only -type d -exec $kx_stat "d - $kx_name${kx_nl}m $kx_form $kx_name" {} + \
  || echo '!'; } |
    sed "s/^\\([0-9a-f]\\{64\\}\\) [ *]*/f \\1 /$kx_who" | sort -t ' ' -k 3
}
"""


@frozen
class Entry:
    """One thing in a folder.

    Attributes:
        kind: `f`ile, `d`irectory, `l`ink, or something `o`ther.
        mode: Permission bits, and owner and group where they are seen to, by `:`. Of a link `-` and these, or nothing.
        digest: sha256 of a file, `-` for what is none.
        name: Its path in the folder; begins with `./`.
        target: Of a link.
        size: Of a file, where that is known.
    """

    kind: Kind
    mode: str
    digest: str
    name: str
    target: str = ""
    size: int = field(default=0, eq=False)

    @property
    def lines(self) -> Iterator[str]:
        """As the host prints them."""
        name = _escaped(self.name)
        yield f"{self.kind} {self.digest} {name}" + (f"// {_escaped(self.target)}" if self.kind == "l" else "")
        if self.mode:
            yield f"m {self.mode} {name}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(text: str) -> str:
    return "\\".join(part.replace("\\n", "\n") for part in text.split("\\\\"))


def write(entries: Iterable[Entry]) -> str:
    """The list of a folder: sorted by name, and what has one name by itself."""
    lines = [line.encode(*BYTES) for each in entries for line in each.lines]
    lines.sort(key=lambda line: (line.split(b" ", 2)[2], line))
    return b"".join(line + b"\n" for line in lines).decode(*BYTES)


BYTES: Final = ("utf-8", "surrogateescape")


def digest(listing: str) -> str:
    """What a host prints of a list: its sha256."""
    return hashlib.sha256(listing.encode(*BYTES)).hexdigest()


def read(listing: str) -> dict[str, Entry]:
    """The things of a list, by name.

    Raises:
        ValueError, LookupError: It is none.
    """
    found: dict[str, Entry] = {}
    modes: dict[str, str] = {}
    for line in listing.split("\n"):
        if not line:
            continue
        kind, its, rest = line.split(" ", 2)
        name, _, target = rest.partition("// ")
        if kind == "m":
            modes[_unescaped(name)] = its
        else:
            found[_unescaped(name)] = Entry(_KINDS[kind], "", its, _unescaped(name), _unescaped(target))
    return {name: evolve(each, mode=modes.get(name, "")) for name, each in found.items()}


@frozen
class Modes:
    """What the things of a folder are to have, beside what they are.

    Attributes:
        folder, file: Permission bits; those of here where None.
        owner, group: Name or number; not seen to where None.
    """

    folder: str | None = None
    file: str | None = None
    owner: str | None = None
    group: str | None = None

    @property
    def who(self) -> str:
        """What follows a mode in a list."""
        return "".join(f":{each}" for each in (self.owner, self.group) if each is not None)

    @property
    def formats(self) -> str:
        """What `LIST` needs to know of it."""
        gnu = bsd = ""
        for its, number, name, bsd_name in ((self.owner, "u", "U", "Su"), (self.group, "g", "G", "Sg")):
            if its is not None:
                gnu += f":%{number}" if its.isdecimal() else f":%{name}=%{number}"
                bsd += f":%{number}" if its.isdecimal() else f":%{bsd_name}"
        links = (f"-{gnu}", f"-{bsd}") if gnu else ("", "")
        return f"kx_gnu=%a{gnu} kx_bsd=%Lp{bsd} kx_gnu_l={links[0]} kx_bsd_l={links[1]}\n"

    def pair(self, entry: Entry) -> str:
        """Owner and group as `chown` takes them, from what is in a list."""
        parts = entry.mode.split(":")[1:]
        if self.owner is None:
            parts.insert(0, "")
        return ":".join(parts).rstrip(":") if any(parts) else ""


def scan(root: Path, modes: Modes, exclude: tuple[str, ...]) -> tuple[Entry, ...]:
    """All that is in a folder here, links not followed.

    Raises:
        InvalidError: Something in it is neither file, folder nor link, or cannot be read.
    """
    found: list[Entry] = []
    waiting = ["."]
    while waiting:
        folder = waiting.pop()
        try:
            inside = sorted(os.scandir(os.path.join(root, folder)), key=lambda each: each.name)  # noqa: PTH118
            for each in inside:
                name = f"{folder}/{each.name}"
                if excluded(name, exclude):
                    continue
                found.append(_entry(each, name, modes))
                if found[-1].kind == "d":
                    waiting.append(name)
        except OSError as error:
            raise InvalidError(f"{error.filename}: {error.strerror}", "make it readable, or exclude it") from None
    return tuple(found)


def _entry(its: os.DirEntry[str], name: str, modes: Modes) -> Entry:
    at = its.stat(follow_symlinks=False)
    bits = f"{stat.S_IMODE(at.st_mode):o}"
    if stat.S_ISLNK(at.st_mode):
        return Entry("l", f"-{modes.who}" if modes.who else "", "-", name, os.readlink(its.path))  # noqa: PTH115 -- as below
    if stat.S_ISDIR(at.st_mode):
        return Entry("d", (modes.folder or bits) + modes.who, "-", name)
    if not stat.S_ISREG(at.st_mode):
        raise InvalidError(f"{its.path} is neither file, folder nor link", "exclude it")
    with open(its.path, "rb") as opened:  # noqa: PTH123 -- text with surrogate escapes
        its_digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return Entry("f", (modes.file or bits) + modes.who, its_digest, name, size=opened.tell())


def excluded(name: str, patterns: Iterable[str]) -> bool:
    """A pattern with `/` is for a path in the folder, any other for a name wherever it is; `*` also stands for `/`."""
    if name.count("/") == 1 and fnmatchcase(name[2:], TEMPS):
        return True
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name[2:] if "/" in each else last, each) for each in patterns)


def find_words(patterns: Iterable[str]) -> str:
    """What `find .` is told so that it passes over what is excluded."""
    tests = [f"-path {sh(f'./{TEMPS}')}"]
    tests += [f"-path {sh(f'./{each}')}" if "/" in each else f"-name {sh(each)}" for each in patterns]
    return rf"\( {' -o '.join(tests)} \) -prune -o"
