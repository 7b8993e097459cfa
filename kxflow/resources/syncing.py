"""A folder on the host that holds what a folder here holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from attrs import evolve, field, frozen

from kxflow.flow.ensure import Content, Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs, trees
from kxflow.resources.absence import KEPT
from kxflow.resources.parcels import Parcel
from kxflow.resources.paths import Account, PathLike, account, mode_text, parent_of, remote_path, sh, word_chunks
from kxflow.resources.present import TEXT_LIMIT, command
from kxflow.resources.tree_plans import Plan, plan_of
from kxflow.resources.trees import Entry, Modes
from kxflow.values.action import Command, Probe, Upload
from kxflow.values.errors import InvalidError
from kxflow.values.state import CONTENT, Ensured, State

LISTED: Final = 32 * 1024 * 1024
"""Bytes of the list of what is on a host that are taken; of more, everything is sent."""


@frozen
class Sync:
    """A folder that is to be like one here.

    Attributes:
        path: On the host.
        source: Here.
        entries: What is in it, and how it is to be on the host.
        delete: What is there and not here is taken away.
        exclude: What is passed over, on both sides.
    """

    path: str
    source: str
    entries: tuple[Entry, ...] = field(repr=False)
    modes: Modes = Modes()
    delete: bool = False
    exclude: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("sync", self.path)

    @property
    def listing(self) -> str:
        """What is here, as the host lists it."""
        return trees.write(self.entries)

    def probe(self, wanted: State) -> str:
        """Type, and a digest of the list of all that is there; without `delete`, of what is here too."""
        return f"""\
{self._enter()}kx_say type directory
kx_y=$(kx_all | kx_sha256) || exit 1
kx_say sha256 "$kx_y"
"""

    def _enter(self) -> str:
        where = sh(self.path)
        return f"""\
[ -e {where} ] || {{ [ ! -h {where} ] || kx_no {sh(f"{self.path} is a link that leads nowhere")}; exit 0; }}
[ -d {where} ] || kx_no {sh(f"{self.path} is there and no directory")}
LC_ALL=C
export LC_ALL
cd -- {where} || exit 1
{self.modes.formats}{trees.LIST}
{self._all()}
"""

    def _all(self) -> str:
        """A function that prints the list; one that is not complete holds a line that no list has."""
        if self.delete:
            return f"kx_all() {{ kx_only='! -name .'; kx_list . -xdev {trees.find_words(self.exclude)}; }}"
        lists = "".join(
            f"kx_list {some} -prune 2>/dev/null\n" for some in word_chunks(each.name for each in self.entries)
        )
        return f"kx_all() {{\nkx_only=\n{{\n{lists}:\n}} | grep -vx '!' | sort -t ' ' -k 3\n}}"

    @property
    def content(self) -> Content:
        """How to see the list; it is asked for where the digests differ, and decides what is sent."""
        listing = self.listing
        return Content(
            detail=f"{self._enter()}kx_all", wanted=listing if len(listing) <= TEXT_LIMIT else None, keep=LISTED
        )

    def needs(self, wanted: State) -> Iterator[Need]:
        """A folder to be in."""
        if wanted:
            yield needs.room(self.path)

    def apply(self, wanted: State) -> Command[Any]:
        """What depends on what is there; for undo: back to a list, as far as no content is needed for that."""
        if not wanted:
            text = self._text(plan_of(self._here, {}, wipe=True))
            return command(f"{self._unlinked}{text}cd /\nrmdir -- {sh(self.path)}")
        if CONTENT in wanted:
            return command(self._unlinked + self._text(plan_of(self._here, trees.read(wanted[CONTENT]), wipe=True)))
        never = command(f"kx_no {sh(f'{self.path}: it is not known what to send')}")
        return evolve(never, chosen=self.choose)

    @property
    def _unlinked(self) -> str:
        """Undo goes by names of which nobody has seen what they are now: no link must lead it elsewhere."""
        folders = [f"{self.path}/{each.name[2:]}" for each in self.entries if each.kind == "d"]
        return "".join(f"[ ! -h {sh(each)} ] || kx_no {sh(f'{each} is a link by now')}\n" for each in folders)

    @property
    def _here(self) -> dict[str, Entry]:
        return {each.name: each for each in self.entries}

    def choose(self, before: State) -> Command[Any]:
        """What is to be done and sent, from what was found."""
        plan = self._plan(before)
        if plan.refused:
            return self._failed(plan.refused)
        made = evolve(command(self._text(plan)), probe=self._asked)
        if not plan.files:
            return made
        parcel = Parcel(self.source, plan.files)
        return evolve(made, upload=Upload(parcel, self.path, parcel.size))

    def refuses(self, before: State) -> str:
        """Why it cannot be brought about from what was found; empty where it can."""
        return self._plan(before).refused

    def _plan(self, before: State) -> Plan:
        listing = before.get(CONTENT, "")
        if "\n!\n" in f"\n{listing}":
            return Plan(refused=f"not all can be read below {self.path}")
        try:
            plan = plan_of(trees.read(listing), self._here, wipe=self.delete)
        except (ValueError, LookupError):
            return Plan(refused=f"{self.path}: its list cannot be read")
        return evolve(plan, refused=f"{self.path}: {plan.refused}") if plan.refused else plan

    def _failed(self, what: str) -> Command[Any]:
        return evolve(command(f"kx_no {sh(what)}"), probe=self._asked)

    @property
    def _asked(self) -> Probe:
        """The probe of the second program; what is there was listed by the first."""
        return evolve(cast("Probe", ensuring(self, self.wanted, content=self.content).probe), detail=None)

    @property
    def wanted(self) -> dict[str, str]:
        """The state that it is to be in."""
        return {"type": "directory", "sha256": trees.digest(self.listing)}

    def _text(self, plan: Plan) -> str:
        """Shell text of a plan: what is in the way goes first, then all is made, then what is too much goes."""
        where, failed = sh(self.path), sh(f"cannot write below {self.path}")
        parent = parent_of(self.path)
        steps: list[str] = [
            f"""\
if [ ! -e {where} ]; then
  kx_dir {sh(parent)} || exit 1
  (umask 022; mkdir -- {where}) || exit 1
fi
cd -- {where} || exit 1
"""
        ]

        def each(words: str, names: Iterable[str]) -> None:
            steps.extend(f"{words} {some} || kx_no {failed}\n" for some in word_chunks(names))

        each("rm -f --", plan.clear)
        each("rm -rf --", plan.wipe)
        each("umask 077; mkdir --", plan.folders)
        for link in plan.links:
            target, name = sh(link.target), sh(link.name)
            steps.append(f"kx_link {target} {name} || kx_no {failed}\n")
        if plan.links:
            steps.insert(1, _LINK)
        if plan.files:
            steps.append(self._unpack(plan))
        self._own(plan, each)
        each("rm -f --", plan.gone)
        each("rmdir --", plan.empty)
        return "".join(steps)

    def _unpack(self, plan: Plan) -> str:
        """The parcel into a folder of its own, then file by file by rename, those of one folder at a time."""
        failed = sh(f"cannot write below {self.path}")
        numbers = {name: number for number, name in enumerate(Parcel(self.source, plan.files).folders)}
        inside: dict[str, list[str]] = {}
        for entry in plan.files:
            folder, _, name = entry.name.rpartition("/")
            inside.setdefault(folder, []).append(name)
        moves = [
            f"kx_in_place {numbers[folder]} {sh(folder)} {some}\n"
            for folder, names in inside.items()
            for some in word_chunks(names)
        ]
        return _UNPACK % {"failed": failed} + self._own_staged(plan, numbers, failed) + "".join(moves)

    def _own_staged(self, plan: Plan, numbers: dict[str, int], failed: str) -> str:
        """Owners of the files, before they are seen; `chown` takes setuid away."""
        owners: dict[str, list[str]] = {}
        special: list[str] = []
        for entry in plan.files:
            who = self.modes.pair(entry)
            if not who:
                return ""
            folder, _, name = entry.name.rpartition("/")
            place = f"./{numbers[folder]}/{name}"
            owners.setdefault(who, []).append(place)
            mode = entry.mode.partition(":")[0]
            if len(mode) > 3:
                special.append(f"chmod -- {mode} {sh(place)} || kx_no {failed}\n")
        lines = [
            f"kx_chown -- {sh(who)} {some} || kx_no {failed}\n"
            for who, names in owners.items()
            for some in word_chunks(names)
        ]
        return "".join(('cd -- "$kx_s" || exit 1\n', *lines, *special, 'cd -- "$kx_root" || exit 1\n'))

    def _own(self, plan: Plan, each: Callable[[str, Iterable[str]], None]) -> None:
        """Owners first: `chown` takes setuid away. Modes of the innermost folders first."""
        owners: dict[str, list[str]] = {}
        modes: dict[str, list[str]] = {}
        for entry in (*plan.rights, *plan.links):
            if who := self.modes.pair(entry):
                owners.setdefault(who, []).append(entry.name)
        for entry in reversed(plan.rights):
            modes.setdefault(entry.mode.partition(":")[0], []).append(entry.name)
        for who, names in owners.items():
            each(f"kx_chown -h -- {sh(who)}", names)
        for mode, names in modes.items():
            each(f"chmod -- 00{mode}", names)

    def back(self, before: State) -> Command[Ensured] | None:
        """To the list that was found; None where that is not known, or needs content that is not there any more."""
        if not before:
            return ensuring(self, None)
        if CONTENT not in before:
            return None
        plan = plan_of(self._here, trees.read(before[CONTENT]), wipe=True)
        return None if plan.files or plan.refused else ensuring(self, before, content=self.content)

    def told(self, before: State | None, after: State) -> Ensured:
        """Lists that are longer than a diff may be are left out."""
        return Ensured(None if before is None else _short(before), _short(after))


# umask: busybox keeps modes only as root, whatever -p says; nobody else can enter the folder.
_UNPACK: Final = """\
kx_need tar tar
kx_root=$(pwd -P && echo x)
kx_root=${kx_root%%?x}
kx_s=$(mktemp -d -- "$kx_root/.kx.XXXXXXXX" && echo x) || exit 1
kx_s=${kx_s%%?x}
trap 'cd /; rm -rf -- "$kx_s"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
umask 0
tar -x -p -m -o -f "$kx_up" -C "$kx_s" && rm -f -- "$kx_up" || kx_no %(failed)s
kx_in_place() {
  kx_to=$kx_root/$2
  cd -- "$kx_s/$1" || exit 1
  shift 2
  mv -f -- "$@" "$kx_to/" || kx_no %(failed)s
  cd -- "$kx_root" || exit 1
}
"""

_LINK: Final = """\
kx_link() {
  kx_s=$(mktemp -d ./.kx.XXXXXXXX) || return 1
  ln -s -- "$1" "$kx_s/l" && if [ -h "$2" ] && [ -d "$2" ]; then rm -f -- "$2"; fi && mv -f -- "$kx_s/l" "$2"
  kx_r=$?
  rm -rf -- "$kx_s"
  return $kx_r
}
"""


def _short(its: State) -> State:
    if len(its.get(CONTENT, "")) <= TEXT_LIMIT:
        return its
    return State({name: value for name, value in its.items() if name != CONTENT})


def sync(
    path: PathLike,
    source: str | os.PathLike[str],
    *,
    delete: bool = False,
    exclude: Iterable[str] = (),
    mode: int | str | None = None,
    file_mode: int | str | None = None,
    owner: Account | None = None,
    group: Account | None = None,
    name: str | None = None,
) -> Step[Ensured]:
    """A folder on the host that holds what a folder here holds: its files, folders and links.

    Only what differs travels, all of it in one stream: the host tells its list by one digest, and the list itself only
    where that differs. Each file is put in place whole.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as site:
    ...     sync("/srv/site", site, exclude=["*.pyc"])
    Step('sync /srv/site')

    Probe: of everything its kind, mode, sha256 and target, as one digest. Links are brought as links, and no link on
    the host is followed: where a folder or a file is to be and a link is, that is replaced. Files are replaced where
    folders are to be; folders where files are to be only with `delete`. Devices, pipes and sockets are refused. It
    goes by names: do not let it loose in a folder where others may swap things meanwhile. The host needs `tar`.
    Undone: what was new is taken away, modes, owners and links are as before; not where content was replaced or taken
    away, nor where the list of what was there had more than 256 KiB.

    Args:
        path: Absolute, on the host. Made where it is not there, but not what is above it.
        source: Folder here. It is looked at when the step is made: where a file is another when it is sent, the step
            fails and nothing is put in place.
        delete: Take away what is there and not here, on the same file system. Without, that is not looked at.
        exclude: Patterns with `*` and `?`, of names, or of paths below the folder where they hold a `/`. What they name
            is neither brought nor taken away.
        mode: Permission bits of all folders; those of here where not given.
        file_mode: Permission bits of all files; those of here where not given.
        owner: Of everything, name or number; not seen to where not given.
        group: As owner.
        name: Of the step.

    Raises:
        InvalidError: A path, mode, owner or pattern that cannot be; a folder that cannot be read; `delete` in a folder
            that a system stands on.
    """
    where = remote_path(path)
    told = f"sync {where}"
    if delete and where in KEPT:
        raise InvalidError(f"{told}: delete=True in a folder that a system stands on", "name what is below it")
    root = Path(source)
    if not root.is_dir():
        raise InvalidError(f"{told}: {root} is no folder here", "name one; file() brings files")
    patterns = tuple(_pattern(each, told) for each in ((exclude,) if isinstance(exclude, str) else exclude))
    modes = Modes(mode_text(mode), mode_text(file_mode), account(owner, "owner"), account(group, "group"))
    try:
        entries = trees.scan(root, modes, patterns)
    except InvalidError as error:
        raise InvalidError(f"{told}: {error.what}", error.remedy) from None
    its = Sync(where, str(root.absolute()), entries, modes, delete, patterns)
    return ensure(its, its.wanted, name=name, content=its.content)


def _pattern(text: str, where: str) -> str:
    if not isinstance(text, str) or not text or text != text.strip("/") or any(each in text for each in "[]\\\0"):
        raise InvalidError(f"{where}: exclude {text!r} cannot be one", "write names or paths with * and ?, no / around")
    return text
