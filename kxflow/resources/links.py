"""A symbolic link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.absence import nothing
from kxflow.resources.files import Presence, check_presence
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.present import can_come_back, command, look, make_link, put_back, shown
from kxflow.values.action import Command, clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State


@frozen
class Link:
    """A symbolic link at a path.

    Attributes:
        force: A file that is in the way is replaced.
    """

    path: str
    force: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("link", self.path)

    def probe(self, wanted: State) -> str:
        """Type and target; of a file that is to be replaced, all that bringing it back needs."""
        where = sh(self.path)
        refused = f"[ -h {where} ] || [ ! -d {where} ] || kx_no {sh(f'{self.path} is a directory, not a link')}\n"
        if not self.force:
            told = sh(f"{self.path} is there and no link: force=True replaces a file")
            refused += f"[ -h {where} ] || [ ! -e {where} ] || kx_no {told}\n"
        return refused + look(self.path)

    def apply(self, wanted: State) -> Command[Any]:
        """The link by rename; for undo: nothing, or what was there before."""
        where = sh(self.path)
        if not wanted:
            told = sh(f"{self.path} is no link any more")
            return command(f"if [ -h {where} ]; then rm -f -- {where}; elif [ -e {where} ]; then kx_no {told}; fi")
        if wanted["type"] == "link":
            return command(make_link(self.path, wanted["target"]))
        return put_back(self.path, wanted)

    def needs(self, wanted: State) -> Iterator[Need]:
        """A folder to be in."""
        if wanted:
            yield needs.room(self.path, follow=False)

    def back(self, before: State) -> Command[Ensured] | None:
        """What was there: nothing, another link, or a file as far as its content is known."""
        if not before:
            return ensuring(self, None)
        if not can_come_back(before):
            return None
        return ensuring(Link(self.path, force=True), before, content=shown(self.path, follow=False))


def link(
    path: PathLike,
    target: PathLike | None = None,
    *,
    force: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A symbolic link at this path; what it leads to is not looked at, and need not be there.

    >>> link("/srv/app/current", "/srv/app/releases/7")
    Step('link /srv/app/current')

    States: `present`, `absent`. Probe: type and target. It is put in place by rename: a reader sees the old link or the
    new one. What is there and no link is refused: always where it is a directory, and a file unless `force` is given.
    Undone: a link or nothing is brought back, a file that was replaced where it had up to 256 KiB.

    Args:
        path: Absolute.
        target: What is written into it, as it is; relative to its folder where not absolute.
        force: Replace a file.
        state: Whether it is to be there; absent takes away a link, nothing else.
        name: Of the step.

    Raises:
        InvalidError: A path that cannot be, no target, or one together with `absent`.
    """
    where = remote_path(path)
    check_presence(state, f"link {where}")
    if state == "absent":
        if target is not None or force:
            raise InvalidError(f"link {where}: absent, and with target or force", "give the path only")
        return nothing(where, "link", name=name)
    if target is None:
        raise InvalidError(f"link {where} without a target", 'give what it leads to: link("/srv/now", "/srv/v7")')
    its = Link(where, force)
    content = shown(where, follow=False) if force else None
    return ensure(its, {"type": "link", "target": link_target(target)}, name=name, content=content)


def link_target(target: PathLike) -> str:
    """What a link may hold.

    Raises:
        InvalidError: Nothing, or a NUL.
    """
    text = os.fsdecode(target)
    clean_text(text, "target")
    if not text:
        raise InvalidError("target '' cannot be one", "give a path")
    return text
