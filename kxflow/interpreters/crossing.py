"""Where steps of a plan meet in the file system: what one finds may be another once an earlier one has changed it."""

from __future__ import annotations

import re
from typing import Final

from attrs import define, field, frozen

from kxflow.values.action import Probe
from kxflow.values.state import Ensured

Key = tuple[str, str]

# Kinds that have to do with all that is below their path.
_TREES: Final = frozenset({"absent", "git", "sync", "unpack"})


@frozen
class _Touched:
    """What an earlier step changes, or may change.

    Attributes:
        part: Of a file; else all that is there.
        below: What is below its path as well.
        adds: It takes nothing away that another may have put there.
    """

    path: str
    part: bool
    below: bool
    adds: bool


@define
class Crossings:
    """What the steps of a plan touch, host by host."""

    _touched: dict[str, dict[Key, _Touched]] = field(factory=dict)
    _loose: dict[str, dict[str, str]] = field(factory=dict)

    def crossed(self, probe: Probe, ensured: Ensured, host: str) -> bool:
        """An earlier step has to do with the same path, or with one above or below; this one is noted."""
        path = _path(probe)
        if not path.startswith("/"):
            return False
        earlier = self._touched.setdefault(host, {})
        its = _Touched(path, _is_part(probe.key, path, ensured), _below(probe, ensured), _adds(probe, ensured))
        made = probe.key == ("file", path) and not ensured.before  # rights of a file that an earlier step may make
        others = [other for key, other in earlier.items() if key != probe.key]
        crossed = any(_meet(other, its, made=made, changes=ensured.changed) for other in others)
        if crossed or ensured.changed:
            earlier[probe.key] = its
        return crossed

    def named(self, text: str, host: str) -> str:
        """A path that earlier steps change and that a text names; empty where it names none."""
        return next((each.path for each in self._touched.get(host, {}).values() if each.path in text), "")

    def loosen(self, path: str, text: str | None, host: str) -> None:
        """A step is to be run of which nobody can tell what it touches, but by what its text names; None: it is not."""
        if text is not None:
            self._loose.setdefault(host, {})[path] = text

    def loose(self, host: str) -> str:
        """The path of the first such step on a host; empty where there is none."""
        return next(iter(self._loose.get(host, ())), "")

    def naming(self, probe: Probe, ensured: Ensured, host: str) -> str:
        """The path of a step of which that cannot be told, and whose text names what this one has to do with."""
        path = _path(probe)
        if not path.startswith("/"):
            return ""
        below = "" if _below(probe, ensured) else r"|/\w"
        named = re.compile(rf"(?<![\w.-]){re.escape(path)}(?![\w.-]{below})")
        return next((step for step, text in self._loose.get(host, {}).items() if named.search(text)), "")


def _path(probe: Probe) -> str:
    """The file or folder that a resource has to do with; else its name, which begins with no slash."""
    return str(getattr(probe.resource, "within", probe.key[1]))


def _is_part(key: Key, path: str, ensured: Ensured) -> bool:
    return bool(ensured.after) and (path != key[1] or "sha256" not in ensured.after)


def _below(probe: Probe, ensured: Ensured) -> bool:
    return probe.key[0] in _TREES or not ensured.after or bool(getattr(probe.resource, "recursive", False))


def _adds(probe: Probe, ensured: Ensured) -> bool:
    its = probe.resource
    stays = getattr(its, "present", True) and getattr(its, "text", "") is not None
    return bool(ensured.after) and stays and probe.key[0] != "replace"


def _meet(earlier: _Touched, later: _Touched, *, made: bool, changes: bool) -> bool:
    if earlier.path == later.path:
        if made or not (earlier.part and later.part):
            return True
        # Two parts of one file: where one takes something away, that may be what the other puts there or looks for.
        return not changes and not (earlier.adds and later.adds)
    if earlier.path.startswith(f"{later.path.rstrip('/')}/"):
        return later.below
    return later.path.startswith(f"{earlier.path.rstrip('/')}/") and earlier.below
