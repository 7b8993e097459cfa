"""What earlier steps of a plan may bring: a later one is not said to fail for want of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from attrs import define, evolve, field, frozen

from kxflow.flow.needs import Need
from kxflow.interpreters.crossing import Key, link_of, paths_of, within
from kxflow.interpreters.names import Names
from kxflow.values.action import Probe
from kxflow.values.state import read

# Kinds that have to do with what they name, or with the paths that they name, and with nothing else.
_PLAIN: Final = frozenset(
    {
        "absent", "authorized_key", "block", "cron", "directory", "file", "git", "group", "hostname", "hosts_entry",
        "kernel_module", "line", "link", "mount", "replace", "sudoers", "swap", "sync", "sysctl", "systemd_unit",
        "timezone", "unpack", "user",
    }
)  # fmt: skip
_BROUGHT: Final = frozenset({"program", "service"})
"""Kinds of what a package brings by files of that name."""
_HOMES: Final = frozenset({"authorized_key", "user"})
"""Kinds that make a home, too."""
_LINKING: Final = frozenset({"git", "sync", "unpack"})
"""Kinds that may bring links, of which nobody here knows where they lead."""
_FILES: Final = frozenset(
    {"block", "cron", "file", "hosts_entry", "line", "replace", "sudoers", "swap", "sysctl", "systemd_unit"}
)
"""Kinds that have a file at their path, and so nothing below it."""


class Met(Enum):
    """Whether a need is met when its step comes."""

    yes = "it is, or an earlier step sees to it"
    unsure = "an earlier step may see to it, or may undo it"
    no = "it is not, and nothing earlier has to do with it"


@frozen
class _Step:
    """What an earlier step changes, or may change.

    Attributes:
        keys: Kind and name, of what it is about.
        paths: Where.
        homes: Names and paths of a home that it may make.
        goes: It takes the thing away.
        sure: It is known to do so.
    """

    keys: tuple[Key, ...]
    paths: tuple[str, ...]
    homes: tuple[str, ...]
    goes: bool
    sure: bool

    @property
    def puts_a_file(self) -> bool:
        """There is one at its path then."""
        return self.keys[0][0] in _FILES and not self.goes

    def has_to_do(self, need: Need) -> bool:
        """It may bring it, or be in its way."""
        kind = self.keys[0][0]
        return self._is_about(need) or any(each[0] == kind and not each[1] for each in need.things)

    def brings(self, need: Need) -> bool:
        """It is to bring just that."""
        return self.sure and not self.goes and self._is_about(need)

    def spoils(self, need: Need) -> bool:
        """What is so now may be so no more."""
        if not self.goes:
            return not need.taken.isdisjoint(self.keys)
        below = any(within(its, ours) for its in need.paths for ours in self.paths)
        return below or not set(need.things).isdisjoint(self.keys)

    def _is_about(self, need: Need) -> bool:
        return not set(need.things).isdisjoint(self.keys) or any(map(self._is_near, need.paths))

    def _is_near(self, path: str) -> bool:
        at_home = any(_near(home, path) if "/" in home else home in path.split("/") for home in self.homes)
        near = within if self.puts_a_file else _near
        return at_home or any(near(each, path) for each in self.paths)


def _upwards(path: str) -> Iterator[str]:
    """A path and the folders that it is in.

    >>> list(_upwards("/a/b"))
    ['/a/b', '/a', '/']
    """
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield path


def _near(one: str, other: str) -> bool:
    return within(one, other) or within(other, one)


@define
class Earlier:
    """What earlier steps of a plan change on one host, or may change."""

    _names: Names = field(factory=Names)
    _steps: list[_Step] = field(factory=list)
    _anything: bool = False
    _installs: bool = False
    _taken: frozenset[str] = frozenset()
    _gone: frozenset[str] = frozenset()

    def anything(self) -> None:
        """A step may change whatever it likes."""
        self._anything = True

    def take(self, paths: frozenset[str]) -> None:
        """A step takes these away with what it is about, or may do so; `/`: nobody knows what."""
        self._taken |= paths
        names = {path.rpartition("/")[2] for path in paths}
        self._gone |= names | {each.removesuffix(".service") for each in names}

    def takes(self, paths: Iterable[str]) -> bool:
        """One of these is gone then, or a folder that it is in."""
        above = {part for path in paths for part in _upwards(path)}
        return not self._taken.isdisjoint(above)

    def takes_need(self, need: Need) -> bool:
        """What is so by what a package had brought may be so no more."""
        if not need.packed or not self._taken:
            return False
        named = any(kind in _BROUGHT and name in self._gone for kind, name in need.things)
        return named or self.takes(need.paths)

    def note(self, probe: Probe, *, sure: bool, taken: frozenset[str] | None = None) -> None:
        """A step brings about a state, or may do so.

        Args:
            probe: Of the step.
            sure: It is known to do so.
            taken: Paths that go then; None: it is about what comes.
        """
        kind, name = probe.key
        if taken is not None:
            self.take(frozenset({"/"}) if self._installs or self._anything else taken)
            self._anything |= not sure
            return
        if kind not in _PLAIN:
            self._installs |= kind == "package" and sure
            self._anything |= not (kind == "package" and sure)
            return
        wanted = read(probe.wanted)
        if (made := link_of(probe)) is not None:
            self._names.link(*made)
        paths = self._names.every(paths_of(probe))
        below = (each for step in self._steps if step.keys[0][0] in _LINKING for each in step.paths)
        self._anything |= any(within(path, each) and path != each for each in below for path in paths)
        homes = tuple(filter(None, (name.split(" ")[0], wanted.get("home", "")))) if kind in _HOMES else ()
        number = {"user": "uid", "group": "gid"}.get(kind, "")
        more = [(number, wanted[number])] if number in wanted else []
        if kind == "user" and not {"group", "gid"} & wanted.keys():
            more.append(("own group", name))
        self._steps.append(_Step((probe.key, *more), paths, homes, not wanted, sure))

    def meet(self, need: Need, *, now: bool) -> Met:
        """What becomes of a need.

        Args:
            need: What a step cannot do without.
            now: The host has it.
        """
        need = evolve(need, paths=self._names.every((*need.paths, *self._folders(need))))
        spoiled = self.takes_need(need) or any(each.spoils(need) for each in self._steps)
        if now or (need.packed and self._installs) or any(each.brings(need) for each in self._steps):
            return Met.unsure if spoiled else Met.yes
        may = self._anything or self._installs or any(each.has_to_do(need) for each in self._steps)
        return Met.unsure if may else Met.no

    def in_the_way(self, need: Need) -> str:
        """The folder that is to be where the last step that has to do with it puts a file; empty where none does."""
        for folder in self._folders(need) if not self._anything else ():
            last = next((each for each in reversed(self._steps) if folder in each.paths), None)
            if last is not None and last.puts_a_file and last.sure:
                return folder
        return ""

    def _folders(self, need: Need) -> tuple[str, ...]:
        names = self._names.of(need.place) if need.place else ()
        return tuple(each.rpartition("/")[0] or "/" for each in names)

    def may_mend(self, probe: Probe | None) -> bool:
        """One of them may have to do with why a state cannot be seen."""
        paths = () if probe is None or probe.key[0] not in _PLAIN else paths_of(probe)
        if not paths:
            return self._anything or self._installs or bool(self._steps)
        return self.meet(Need("", "", paths), now=False) is not Met.no
