"""A path where nothing is to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.present import can_come_back, command, look, put_back, shown
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

Kind: TypeAlias = Literal["absent", "file", "link", "directory"]

# What is directly below / and no system can do without, and what is such below that.
KEPT: Final = frozenset(
    f"/{each}"
    for each in (
        "bin", "boot", "dev", "etc", "etc/ssh", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt",
        "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "usr/bin", "usr/lib", "usr/local", "usr/sbin",
        "usr/share", "var", "var/lib", "var/log", "var/tmp",
    )
)  # fmt: skip

# What is mounted below would be emptied too. The table has blanks and backslashes in octal.
_NO_MOUNTS: Final = r"""
kx_y=$(cd -- %(where)s && pwd -P && echo x) || exit 1
kx_y=${kx_y%%?x}
[ ! -r /proc/self/mountinfo ] || while read -r _ _ _ _ kx_x _; do
  case $kx_x in *\\*)
    kx_x=$(printf '%%s' "$kx_x" | sed 's/\\/&0/g')
    kx_x=$(printf '%%bx' "$kx_x")
    kx_x=${kx_x%%x}
  ;; esac
  case $kx_x in "$kx_y" | "$kx_y"/*) kx_no %(refusal)s ;; esac
done </proc/self/mountinfo
"""


@frozen
class Absent:
    """Nothing at a path.

    Attributes:
        path: Absolute.
        kind: What it may be that is taken away; `absent` is anything.
        tree: A folder goes with all that is in it.
    """

    path: str
    kind: Kind = "absent"
    tree: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return (self.kind, self.path)

    def probe(self, wanted: State) -> str:
        """All of what is there: what is taken away can be brought back."""
        return look(self.path)

    def apply(self, wanted: State) -> Command[Any]:
        """Away with it; or, for undo, back with it."""
        if wanted:
            return put_back(self.path, wanted)
        where = sh(self.path)
        return command(
            f"if [ -h {where} ]; then\n{self._away('link')}\nelif [ -d {where} ]; then\n{self._away('directory')}\n"
            f"else\n{self._away('file')}\nfi"
        )

    def _away(self, kind: Kind) -> str:
        where = sh(self.path)
        if not self._takes(kind):
            return f"kx_no {sh(f'{self.path} is a {kind}')}"
        if kind != "directory":
            return f"rm -f -- {where}"
        if self.tree:
            return _NO_MOUNTS % {"where": where, "refusal": sh(self._mounted)} + f"rm -rf -- {where}"
        return f'[ -z "$(ls -A {where} | head -n 1)" ] || kx_no {sh(self._full)}\nrmdir -- {where}'

    def _takes(self, kind: Kind) -> bool:
        return self.kind in ("absent", kind) or (self.kind == "file" and kind == "link")

    @property
    def _mounted(self) -> str:
        return f"{self.path}: a file system is mounted on it or below"

    @property
    def _full(self) -> str:
        return f"{self.path} is not empty: tree=True takes it away with all that is in it"

    def needs(self, wanted: State) -> Iterator[Need]:
        """That what is there is what it may take away."""
        if wanted:
            return
        where, its = sh(self.path), (self.path,)
        is_link, is_folder = f"[ -h {where} ]", f"[ -d {where} ]"
        if not self._takes("link"):
            yield Need(f"! {is_link}", f"{self.path} is a link", its, packed=False)
        if not self._takes("file"):
            yield Need(f"{is_link} || {is_folder} || [ ! -e {where} ]", f"{self.path} is a file", its, packed=False)
        if not self._takes("directory"):
            yield Need(f"{is_link} || [ ! -d {where} ]", f"{self.path} is a directory", its, packed=False)
        elif self.tree:
            asked = _NO_MOUNTS % {"where": where, "refusal": "''"}
            yield Need(
                f"{is_link} || [ ! -d {where} ] && exit\n{asked}", self._mounted, its, (("mount", ""),), packed=False
            )
        else:
            yield Need(
                f'{is_link} || [ ! -d {where} ] || [ -z "$(ls -A {where} | head -n 1)" ]', self._full, its, packed=False
            )

    def back(self, before: State) -> Command[Ensured] | None:
        """A file as far as its content is known, a link, an empty folder; not a tree."""
        if not before:
            return ensuring(self, None)
        return ensuring(self, before, content=shown(self.path, follow=False)) if can_come_back(before) else None


def nothing(path: str, kind: Kind, *, name: str | None, tree: bool = False) -> Step[Ensured]:
    """A step that sees to it that there is nothing of a kind at a path."""
    return ensure(Absent(path, kind, tree), None, name=name, content=shown(path, follow=False))


def absent(path: PathLike, *, tree: bool = True, name: str | None = None) -> Step[Ensured]:
    """Nothing at this path: a file, a link (not what it leads to), or a folder with all that is in it.

    >>> absent("/etc/cron.d/old")
    Step('absent /etc/cron.d/old')

    Probe: what is there; nothing where nothing is. A file system that is mounted there or below is refused, and so are
    the folders that a system stands on.
    Undone: a file of up to 256 KiB, a link, an empty folder. A folder that holds something, a larger file, a device
    cannot be.

    Args:
        path: Absolute.
        tree: False refuses a folder that holds something.
        name: Of the step.

    Raises:
        InvalidError: A path that cannot be, or that no system can do without.
    """
    where = remote_path(path)
    if tree and where in KEPT:
        raise InvalidError(f"absent {where}: a system stands on it", "name what is below it")
    return nothing(where, "absent", name=name, tree=tree)
