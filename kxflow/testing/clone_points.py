"""Which parts of this machine a clone covers, each by a mount of its own: read from the kernel's list of mounts.

Without root a clone is made in a user namespace, and there two more things hold: nothing can be laid over a folder
that has mounts below it, and what belongs to root here belongs to nobody there, so that it can be neither changed nor
put into. A skeleton lies between for that: folders of our own, and copies of the files that are written in place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

Kind: TypeAlias = Literal["layer", "bound", "file"]

FRESH: Final = ("/proc", "/sys", "/dev", "/run", "/tmp", "/root")  # noqa: S108 -- what a clone has its own of
EMPTY: Final = "../../empty"
TOP: Final = "../../top"
BONES: Final = "../../skeleton"
_HOME: Final = "/root"
_SKEL: Final = "/etc/skel"
_BONY: Final = ("/etc", "/usr", "/var", "/opt", "/srv")
# Where programs write in place, what others have written; small files there are copied, but not the lists of packages.
_WRITTEN: Final = (
    "/etc",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/log",
    "/var/spool",
)
_READ: Final = ("/var/cache/apt/archives", "/var/lib/apt/lists", "/var/lib/dpkg/info")
_COPIED: Final = 1 << 20
_KERNEL_FILES: Final = frozenset(
    """
    autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc
    pstore rpc_pipefs securityfs selinuxfs sysfs tracefs
    """.split()  # noqa: SIM905 -- read as a table
)


@frozen
class Point:
    """A place of the machine's tree that needs a mount of its own, since what lies there is one.

    Attributes:
        path: Where, in the clone as on the machine.
        kind: `layer` can be written in the clone; `bound` is shown as it is, read-only; `file` is one file, copied.
        bony: The skeleton has folders and files for it.
        source: What the layer lies on.
    """

    path: str
    kind: Kind = "layer"
    bony: bool = False
    source: str = field(kw_only=True)

    @source.default
    def _same(self) -> str:
        return self.path


def _mounts(mountinfo: str) -> Iterator[tuple[str, str, str]]:
    """Place, options and kind of every mount."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        yield _unescaped(before.split()[4]), before.split()[5], after.split()[0]


def points(mountinfo: str, is_folder: Callable[[str], bool] = os.path.isdir) -> tuple[Point, ...]:
    """What a clone of this machine covers, parents first: its root, the home of root, and every mount of files.

    Args:
        mountinfo: As `/proc/self/mountinfo` gives it.
        is_folder: Whether a path on the machine is a folder.
    """
    found = {}
    for path, options, kind in _mounts(mountinfo):
        if path == "/" or _below(path, FRESH) or kind in _KERNEL_FILES:
            continue
        plain = "ro" not in options.split(",") and not _odd(path)
        found[path] = Point(path, "file" if not is_folder(path) else "layer" if plain else "bound")
    return (Point("/"), *_home(is_folder), *(found[path] for path in sorted(found)))


def _home(is_folder: Callable[[str], bool]) -> tuple[Point, ...]:
    return (Point(_HOME, source=_SKEL if is_folder(_SKEL) else EMPTY),) if is_folder(_HOME) else ()


def _odd(path: str) -> bool:
    """An overlay's options give these signs a meaning."""
    return bool(set(path) & set(':,\\"'))


def personal_points(mountinfo: str, top: Path, root: Path = Path("/")) -> tuple[Point, ...]:
    """What a clone covers that is made without root: every folder with no mount below it, as far up as can be.

    Args:
        mountinfo: As `/proc/self/mountinfo` gives it.
        top: An empty folder for what lies above them: folders, links, and small files.
        root: Where the machine's tree is.
    """
    mounts = {path for path, _, _ in _mounts(mountinfo)}
    return (Point("/", source=TOP), Point(_HOME, source=_SKEL), *_descend("/", mounts, top, root))


def _descend(folder: str, mounts: set[str], top: Path, root: Path) -> Iterator[Point]:
    for each in sorted(os.scandir(root / folder.lstrip("/")), key=lambda entry: entry.name):
        path = f"{folder.rstrip('/')}/{each.name}"
        target = top / path.lstrip("/")
        if each.is_symlink():
            target.symlink_to(os.readlink(each.path))  # noqa: PTH115 -- as it is written
        elif not each.is_dir():
            if each.is_file() and os.access(each.path, os.R_OK) and each.stat().st_size <= _COPIED:
                shutil.copy(each.path, target)
        elif not _odd(path):
            target.mkdir()
            if path in FRESH:
                continue
            if not any(mount.startswith(f"{path}/") for mount in mounts):
                yield Point(path, bony=_below(path, _BONY))
            elif os.access(each.path, os.R_OK | os.X_OK):
                yield from _descend(path, mounts, top, root)


def lay_bones(bones: Path, covered: Sequence[Point], root: Path = Path("/")) -> None:
    """Make the skeleton.

    Args:
        bones: An empty folder for it.
        covered: What the clones cover.
        root: Where the machine's tree is.
    """
    for point in covered:
        if not point.bony:
            continue
        (bones / point.path.lstrip("/")).mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder, folders, files in os.walk(root / point.path.lstrip("/")):
            target = bones / Path(folder).relative_to(root)
            for name in folders:  # also those that cannot be read: they are empty then
                if not os.path.islink(f"{folder}/{name}"):  # noqa: PTH114 -- this is done 20 000 times
                    _bone(f"{folder}/{name}", f"{target}/{name}")
            inside = f"/{target.relative_to(bones)}"
            if _below(inside, _WRITTEN):
                for name in files:
                    _copy(Path(folder, name), target / name, whole=not _below(inside, _READ))
    _adapt(bones)


def _bone(model: str, path: str) -> None:
    os.mkdir(path)  # noqa: PTH102 -- as above
    os.chmod(path, stat.S_IMODE(os.stat(model).st_mode) | stat.S_IRWXU)  # noqa: PTH101, PTH116 -- as above
    if not os.access(model, os.R_OK | os.X_OK):
        with contextlib.suppress(OSError):  # a file system without such attributes
            os.setxattr(path, "user.overlay.opaque", b"y")  # what cannot be read is not looked for


def _copy(source: Path, target: Path, *, whole: bool) -> None:
    """One file that may be written in place; an empty one for what is not to be read, such as a lock."""
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode):
        return
    if not os.access(source, os.R_OK):
        target.touch(mode=stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
    elif whole and status.st_size <= _COPIED:
        shutil.copy(source, target)


def _adapt(bones: Path) -> None:
    """What programs of root's need where root is nobody else's: passwords that nobody has, no other user for apt."""
    for known, hidden, rest in (("passwd", "shadow", ":*:19000:0:99999:7:::"), ("group", "gshadow", ":*::")):
        if (bones / "etc" / known).exists():
            names = [line.split(":")[0] for line in (bones / "etc" / known).read_text("utf-8", "replace").splitlines()]
            (bones / "etc" / hidden).write_text("".join(f"{name}{rest}\n" for name in names if name), "utf-8")
    if (bones / "etc/apt/apt.conf.d").is_dir():
        (bones / "etc/apt/apt.conf.d/99kxflow").write_text('APT::Sandbox::User "root";\n', "ascii")


def _below(path: str, places: Sequence[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in places)


def _unescaped(path: str) -> str:
    """The kernel writes blanks and backslashes in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
