"""Rules of sudo: a file in /etc/sudoers.d, put there only if `visudo` takes it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, cast

from attrs import frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, ensure
from kxflow.flow.step import Step
from kxflow.resources.accounts import SBIN
from kxflow.resources.file import File, Presence
from kxflow.resources.paths import sh
from kxflow.resources.sight import sighted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State

FOLDER: Final = "/etc/sudoers.d"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_RIGHTS: Final = {"mode": "440", "uid": "0", "gid": "0"}  # sudo refuses any other

# The file to be tried has a dot in its name: sudo does not read it.
_PLACE: Final = """\
kx_c=$(mktemp -- @/.kx.XXXXXXXX) || exit 1
trap 'rm -f -- "$kx_c"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
cat >"$kx_c" || exit 1
visudo -c -f "$kx_c" >&2 || kx_no 'visudo does not take it'
""".replace("@", FOLDER)


@frozen
class Sudoers:
    """A file of rules, with this content."""

    called: str
    content: bytes | None = None

    @property
    def file(self) -> File:
        """What it is on the disk."""
        return File(f"{FOLDER}/{self.called}", self.content)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("sudoers", self.called)

    def probe(self, wanted: State) -> str:
        """As of a file."""
        return sighted(self.file.path) + self.file.probe(wanted)

    def apply(self, wanted: State) -> Command[Any]:
        """Tried first, then put in place whole."""
        if not wanted:
            return self.file.apply(wanted)
        put = f'(kx_put {sh(self.file.path)} 440 0 0 <"$kx_c")'
        return cast("Command[Any]", shell(f"{SBIN}{_PLACE}{put}", stdin=self.content))

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards what was found, right or wrong."""
        return self.file.back(before)

    @property
    def shown(self) -> Content:
        """How to see what it holds."""
        return self.file.shown(self.content)


def sudoers(
    called: str, content: str | None = None, *, state: Presence = "present", name: str | None = None
) -> Step[Ensured]:
    """A file of rules in /etc/sudoers.d, with owner root and mode 440.

    >>> sudoers("deploy", "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart app")
    Step('sudoers deploy')

    States: `present`, `absent`. Probe: type, sha256, mode, owner and group of the file. `visudo -c` looks at the new
    content before it takes the place of the old: what it does not take changes nothing. The host needs root.

    Args:
        called: Name of the file; sudo reads none whose name holds a dot or ends in `~`.
        content: The rules; a line break at the end is added where there is none.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name that sudo would not read, no content, a NUL in it; absent, and with content.
    """
    if not isinstance(called, str) or not _NAME.fullmatch(called):
        raise InvalidError(f"sudoers {called!r} would not be read", "use letters, digits, _ and -: no dot, no ~, no /")
    if state not in ("present", "absent"):
        raise InvalidError(f"sudoers {called}: state={state!r}", 'write "present" or "absent"')
    if (state == "present") == (content is None):
        raise InvalidError(
            f"sudoers {called}: {state}, and {'no' if content is None else 'with'} content", "as it says"
        )
    if content is None:
        return ensure(Sudoers(called), None, name=name, content=Sudoers(called).shown)
    if not isinstance(content, str) or not content.strip() or "\0" in content:
        raise InvalidError(f"sudoers {called}: this content cannot be", "give text with at least one rule, no NUL")
    data = (content if content.endswith("\n") else f"{content}\n").encode("utf-8", "surrogateescape")
    its = Sudoers(called, data)
    return ensure(
        its, {"type": "file", "sha256": hashlib.sha256(data).hexdigest(), **_RIGHTS}, name=name, content=its.shown
    )
