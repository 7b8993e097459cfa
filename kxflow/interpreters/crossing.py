"""Where steps of a plan meet: what one finds may be another once an earlier one has changed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import define, evolve, field, frozen

from kxflow.flow.edits import NOTHING, RIGHTS, UNKNOWN, Edit, no_line
from kxflow.interpreters.names import Names
from kxflow.values.action import Probe
from kxflow.values.state import GONE, Ensured, State, read

Key = tuple[str, str]

ACCOUNTS: Final = ("user", "group")
HALFWAY: Final = frozenset({*ACCOUNTS, "authorized_key", "git", "mount", "swap", "sync", "unpack"})
"""Kinds that may have made something when they fail."""
# Kinds that have to do with all that is below their path.
_TREES: Final = frozenset({"absent", "git", "mount", "sync", "unpack"})
# Kinds that have to do with the path that is their name, beside the file that they are a part of.
_NAMED: Final = _TREES | {"swap"}
# Kinds that leave mode and owner of a folder that is there.
_FOLDERS: Final = frozenset({"git", "unpack"})
# Kinds that see to a link itself, not to what it leads to.
_UNFOLLOWED: Final = frozenset({"absent", "link"})
_KEYS: Final = "/.ssh/authorized_keys"
"""Whose home it is in, nobody knows here."""


@frozen
class _Touched:
    """What an earlier step changes, or may change.

    Attributes:
        kind: Of the step.
        edit: What it does to the file; None: it sees to all that is there.
        below: What is below its path as well.
    """

    kind: str
    path: str
    edit: Edit | None
    below: bool


@define
class Crossings:
    """What the steps of a plan touch, host by host."""

    _touched: dict[str, dict[Key, tuple[_Touched, ...]]] = field(factory=dict)
    _accounts: dict[str, dict[Key, Ensured]] = field(factory=dict)
    _failed: dict[str, set[Key]] = field(factory=dict)
    _unsure: dict[str, set[Key]] = field(factory=dict)
    _loose: dict[str, dict[str, str]] = field(factory=dict)
    _first: dict[str, str] = field(factory=dict)
    _names: dict[str, Names] = field(factory=dict)

    def names(self, host: str) -> Names:
        """What paths lead to there."""
        return self._names.setdefault(host, Names())

    def crossed(self, probe: Probe, ensured: Ensured, host: str) -> bool:
        """An earlier step has to do with the same path, one above or below, or the same account; this one is noted."""
        met = self._tangled(probe.key, ensured, host) if probe.key[0] in ACCOUNTS else self._met(probe, ensured, host)
        return met or probe.key in self._unsure.get(host, ())

    def doubt(self, key: Key, host: str) -> None:
        """What becomes of a thing is not known: nor is what a later step finds of it."""
        self._unsure.setdefault(host, set()).add(key)

    def not_seen(self, probe: Probe, host: str) -> None:
        """What a step finds cannot be told: it may change all that it has to do with."""
        self.doubt(probe.key, host)
        kind = probe.key[0]
        paths = self.names(host).every(paths_of(probe))
        every = tuple(_Touched(kind, path, None, below=kind in _TREES) for path in paths)
        self._touched.setdefault(host, {})[probe.key] = every

    def before(self, probe: Probe, host: str) -> str:
        """The step before that changes, or may change, the text of a file that this one has to do with; empty: none."""
        its = getattr(probe.resource, "within", None)
        paths = self.names(host).every(paths_of(probe) if its is None else (its,))
        for key, touched in reversed(self._touched.get(host, {}).items()):
            for each in touched if key != probe.key else ():
                if _changes_text(each.edit) and any(_alike(each.path, path) for path in paths):
                    return f"{each.kind} {each.path}"
        return ""

    def _met(self, probe: Probe, ensured: Ensured, host: str) -> bool:
        earlier = self._touched.setdefault(host, {})
        ours = tuple(self._touches(probe, ensured, host))
        made = probe.key[0] == "file" and not ensured.before  # rights of a file that an earlier step may make
        others = [other for key, touched in earlier.items() if key != probe.key for other in touched]
        crossed = any(_meet(other, its, made=made) for other in others for its in ours) or self._other_user(probe, host)
        if (crossed or ensured.changed) and not probe.here:
            earlier[probe.key] = tuple(map(_unsure, ours)) if crossed else ours
        return crossed

    def _touches(self, probe: Probe, ensured: Ensured, host: str) -> Iterator[_Touched]:
        """What it has to do with, by all names; a link that stands at its own path is replaced, and not followed."""
        for each in _touches(probe, ensured):
            parent, slash, name = each.path.rpartition("/")
            aside = probe.key[0] in _UNFOLLOWED and each.path == probe.key[1]
            names = self.names(host)
            paths = [f"{at}{slash}{name}" for at in names.of(parent)] if aside else names.of(each.path)
            yield from (evolve(each, path=path) for path in paths)

    def failed(self, probe: Probe, host: str) -> None:
        """A step would fail: what it is about may then be there half-way."""
        if probe.key[0] in ACCOUNTS:
            self._failed.setdefault(host, set()).add(probe.key)
        elif probe.key[0] in HALFWAY:
            self.not_seen(probe, host)

    def _other_user(self, probe: Probe, host: str) -> bool:
        """Keys are seen to as the user: an earlier step may make another of him, to whom the folder is not his own."""
        was = self._accounts.get(host, {}).get(("user", probe.key[1].split(" ")[0]))
        return probe.key[0] == "authorized_key" and was is not None and bool(was.before)

    def _tangled(self, key: Key, ensured: Ensured, host: str) -> bool:
        earlier = self._accounts.setdefault(host, {})
        failed = {name for _, name in self._failed.get(host, ())}
        tangled = bool(failed & {key[1], *_groups(ensured), *_members(ensured), ensured.after.get("group", "")})
        tangled = tangled or any(_account_met(other, was, key, ensured) for other, was in earlier.items())
        if tangled or ensured.changed:
            earlier[key] = ensured
        return tangled

    def named(self, text: str, host: str) -> str:
        """A path that earlier steps change and that a text names; empty where it names none."""
        every = (each.path for touched in self._touched.get(host, {}).values() for each in touched)
        return next((path for path in every if path in text), "")

    def loosen(self, path: str, text: str | None, host: str) -> None:
        """A step is to be run of which nobody can tell what it touches, but by what its text names; None: it is not."""
        if text is not None:
            self._loose.setdefault(host, {})[path] = text

    def loose(self, host: str) -> str:
        """The path of the first such step on a host; empty where there is none."""
        return next(iter(self._loose.get(host, ())), "")

    def acts(self, path: str, host: str) -> None:
        """A step would change something on a host, or may."""
        self._first.setdefault(host, path)

    def first(self, host: str) -> str:
        """The path of the first such step; empty where there is none."""
        return self._first.get(host, "")

    def naming(self, probe: Probe, ensured: Ensured, host: str) -> str:
        """The path of a step of which that cannot be told, and whose text names what this one has to do with."""
        below = "" if probe.key[0] in _TREES or _below(probe, ensured) else r"|/\w"
        paths = self.names(host).every(paths_of(probe))
        named = [re.compile(rf"(?<![\w.-]){re.escape(path)}(?![\w.-]{below})") for path in paths]
        every = self._loose.get(host, {}).items()
        return next((step for step, text in every if any(each.search(text) for each in named)), "")


def paths_of(probe: Probe) -> tuple[str, ...]:
    """Where a thing is, or what it is a part of; none where it is not in the file system."""
    kind, name = probe.key
    its = getattr(probe.resource, "within", None)
    named = (name,) if its is None or kind in _NAMED else ()
    return tuple(path for path in (its, *named) if path is not None and path.startswith("/"))


def link_of(probe: Probe) -> tuple[str, str] | None:
    """Path and target of a link that is to be there; None where none is."""
    wanted = read(probe.wanted)
    return (probe.key[1], wanted["target"]) if probe.key[0] == "link" and "target" in wanted else None


def within(path: str, folder: str) -> bool:
    """It is this folder, or below it.

    >>> within("/srv/app", "/srv"), within("/srv", "/srv"), within("/srv2", "/srv")
    (True, True, False)
    """
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _touches(probe: Probe, ensured: Ensured) -> Iterator[_Touched]:
    kind = probe.key[0]
    part = getattr(probe.resource, "within", None)
    below = kind in _TREES or _below(probe, ensured)
    for path in paths_of(probe):
        its = _edit(probe, ensured, part=path == part)
        yield _Touched(kind, path, its, path != part and below)
        yield from (_Touched(kind, each, None, below=False) for each in _made_above(path, ensured))
        if kind == "authorized_key" and its is not None:  # the mode of its folder, too
            yield _Touched(kind, path.rpartition("/")[0], evolve(its, looks=no_line), below=False)


def _below(probe: Probe, ensured: Ensured) -> bool:
    recursive = bool(getattr(probe.resource, "recursive", False))
    return not ensured.after or recursive or probe.key[0] == "link"


def _made_above(path: str, ensured: Ensured) -> Iterator[str]:
    """Folders above that are made with it, from the highest that is not there."""
    top = (ensured.before or GONE).get("missing", "")
    while top and path != top and within(path, top):
        path = path.rpartition("/")[0]
        yield path


def _edit(probe: Probe, ensured: Ensured, *, part: bool) -> Edit | None:
    """What is done to a file; None where that is all of it."""
    if "sha256" in {**(ensured.before or {}), **ensured.after}:
        return None
    tell = getattr(probe.resource, "edit", None)
    if part and tell is not None:
        made: Edit = tell(ensured.before, ensured.after)
        return made
    if part:
        return UNKNOWN
    if not ensured.after:
        return None
    kept = bool(ensured.before) and probe.key[0] in _FOLDERS
    return RIGHTS if probe.key[0] in ("directory", "file") else NOTHING if kept else None


def _changes_text(edit: Edit | None) -> bool:
    return edit is None or edit.puts != () or edit.takes != ()


def _unsure(touched: _Touched) -> _Touched:
    """What it takes away was seen before an earlier step changed it."""
    if touched.edit is None or touched.edit.looks is no_line:
        return touched
    return evolve(touched, edit=evolve(touched.edit, takes=None))


def _alike(path: str, other: str) -> bool:
    return path == other or (path.endswith(_KEYS) and other.endswith(_KEYS))


def _meet(earlier: _Touched, later: _Touched, *, made: bool) -> bool:
    if _alike(earlier.path, later.path):
        one, other = earlier.edit, later.edit
        return made or one is None or other is None or _edits_meet(one, other, alike=earlier.kind == later.kind)
    if within(earlier.path, later.path):
        return later.below
    return within(later.path, earlier.path) and earlier.below


def _edits_meet(earlier: Edit, later: Edit, *, alike: bool) -> bool:
    """One changes lines that the other looks at, or mode and owner where only these matter to the other."""
    if earlier.rights and later.rights and later.puts == later.takes:
        return True
    if earlier.puts == earlier.takes == ():
        return False
    if later.rows and not alike:
        return True
    if earlier.puts is None or earlier.takes is None or (earlier.told and not alike):
        return later.looks is not no_line
    return any(map(later.looks, (*earlier.puts, *earlier.takes)))


def _account_met(earlier: Key, was: Ensured, later: Key, its: Ensured) -> bool:
    """A user and a group: one may bring the other, take it away, or change who is in it."""
    match earlier[0], later[0]:
        case "user", "group":
            if _brings(earlier[1], was) == later[1]:
                return True
            members = later[1] in _groups(was) or (not was.after and earlier[1] in _members(its))
            return "members" in its.after and members
        case "group", "user":
            if _brings(later[1], its) == earlier[1]:
                return bool(its.after)
            moved = bool(its.before) and "gid" in its.after and "gid" in was.after
            return moved or (bool({"groups", "among"} & its.after.keys()) and later[1] in _members(was))
        case _:
            return False


def _brings(login: str, its: Ensured) -> str:
    """The group that comes or goes with a user, which has his name; empty where none does."""
    comes = not its.before and not {"group", "gid"} & its.after.keys()
    return login if comes or not its.after else ""


def _groups(its: Ensured) -> set[str]:
    names = [each.get(name, "") for each in (its.before or GONE, its.after) for name in ("groups", "among")]
    return {each for text in names for each in text.split(",")}


def _members(its: Ensured) -> set[str]:
    told: list[State] = [its.before or GONE, its.after]
    return {name for each in told for name in each.get("members", "").split(",")}
