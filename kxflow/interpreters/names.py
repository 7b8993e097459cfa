"""What paths of a plan lead to on one host: by links that are there, and by those that its steps make."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field


@define
class Names:
    """Other names of paths. A step may take a link away, so what a path leads to now never counts alone."""

    _real: dict[str, str] = field(factory=dict)
    _made: dict[str, str] = field(factory=dict)

    def learn(self, real: Mapping[str, str]) -> None:
        """What the host says that paths lead to."""
        self._real.update(real)

    def link(self, path: str, target: str) -> None:
        """A step makes a link, or may make it."""
        self._made[path] = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))

    def of(self, path: str) -> tuple[str, ...]:
        """All names that a path is known to have.

        >>> names = Names({"/srv/now": "/srv/old"}, {"/srv/now": "/srv/new"})
        >>> names.of("/srv/now/f")
        ('/srv/now/f', '/srv/new/f', '/srv/old/f')
        """
        found = [path]
        for each in found:  # grows meanwhile
            if len(found) > _MOST:
                break
            found += [other for other in self._next(each) if other not in found]
        return tuple(found)

    def every(self, paths: Iterable[str]) -> tuple[str, ...]:
        """All names of all of them."""
        return tuple(dict.fromkeys(name for path in paths for name in self.of(path)))

    def _next(self, path: str) -> Iterator[str]:
        """Where a link in it leads, from the last one on."""
        link = path
        while link:
            for target in (links[link] for links in (self._made, self._real) if link in links):
                yield f"{target.rstrip('/')}{path[len(link) :]}" or "/"
            link = link.rpartition("/")[0]


_MOST: Final = 40
"""As many links as a system follows: a link may lead to itself."""
