"""Rules of sudo: a file in /etc/sudoers.d, put there only if `visudo` takes it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from attrs import evolve, frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import ask_rights, own_words, sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.sight import sighted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import CONTENT, Ensured, State
from kxflow.values.state import state as as_state

FOLDER: Final = "/etc/sudoers.d"
LIMIT: Final = 64 * 1024
RIGHTS: Final = {"mode": "440", "uid": "0", "gid": "0"}  # sudo refuses any other
WHOLE: Final[State] = as_state({"sha256": "", **RIGHTS})
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

# The first complaint names a line: `PATH:LINE:COLUMN: WORDS`, of older ones `>>> PATH: WORDS near line LINE <<<`.
_WHY: Final = """\
kx_l=$(printf '%s\\n' "$kx_e" | sed -n \
-e 's/^\\/[^:]*:\\([0-9][0-9]*\\)\\(:[0-9][0-9]*\\)*: */\\1 /p' \
-e 's/^>>> [^:]*: \\(.*\\) near line \\([0-9][0-9]*\\) <<<$/\\2 \\1/p' | head -n 1)
[ -z "$kx_l" ] || printf '%s: %s\\n' "line ${kx_l%% *}: ${kx_l#* }" "$(sed -n "${kx_l%% *}p" "$kx_c")" >&2
kx_no 'visudo does not take it'
"""
# The file to be tried has a dot in its name: sudo does not read it.
_TRY: Final = f"""\
kx_need visudo sudo
kx_dir {FOLDER} || exit 1
kx_c=$(mktemp -- {FOLDER}/.kx.XXXXXXXX) || exit 1
trap 'rm -f -- "$kx_c"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
cat >"$kx_c" || exit 1
kx_e=$(LC_ALL=C visudo -c -f "$kx_c" 2>&1) || {{
printf '%s\\n' "$kx_e" >&2
{_WHY}}}
"""


@frozen
class Sudoers:
    """A file of rules.

    Attributes:
        called: Its name.
        content: What it is to hold.
        tried: `visudo` has to take it.
    """

    called: str
    content: bytes | None = None
    tried: bool = True

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{FOLDER}/{self.called}"

    @property
    def within(self) -> str:
        """The file that it is."""
        return self.path

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("sudoers", self.called)

    def probe(self, wanted: State) -> str:
        """Digest, mode and owner."""
        where = sh(self.path)
        return f"""\
{sighted(self.path)}[ -e {where} ] || [ -h {where} ] || exit 0
[ -f {where} ] || kx_no {sh(f"{self.path} is no file")}
kx_e=$(kx_sha256 <{where}) || exit 1
kx_say sha256 "$kx_e"
kx_stat {where} || exit 1
{ask_rights(wanted or WHOLE)}"""

    def apply(self, wanted: State) -> Command[Any]:
        """Tried first, then put in place whole."""
        if not wanted:
            return cast("Command[Any]", shell(f"exec rm -f -- {sh(self.path)}"))
        put = f"kx_put {sh(self.path)} {own_words(wanted)}"
        text = f'{SBIN}{_TRY}({put} <"$kx_c")' if self.tried else put
        return cast("Command[Any]", shell(text, stdin=self.content))

    def needs(self, wanted: State) -> Iterator[Need]:
        """What tries the rules, a folder for them, and that they are taken."""
        if not (wanted and self.tried):
            return
        yield needs.program("visudo", "sudo")
        yield Need(f"[ -d {FOLDER} ]", f"there is no folder {FOLDER}: it comes with sudo", (FOLDER,))
        rules = (self.content or b"").decode("utf-8", "surrogateescape")
        taken = f"command -v visudo >/dev/null || exit 0\nprintf %s {sh(rules)} | visudo -c -f -"
        yield Need(SBIN + taken, "visudo does not take it", packed=False)

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards what was found, right or wrong; None where its content was not kept."""
        if before and CONTENT not in before:
            return None
        content = before[CONTENT].encode("utf-8", "surrogateescape") if before else None
        wanted = {name: value for name, value in before.items() if name != CONTENT}
        its = evolve(self, content=content, tried=False)
        return ensuring(its, wanted or None, content=its.shown)

    @property
    def shown(self) -> Content:
        """How to see what it holds, and what it is to hold."""
        wanted = None if self.content is None else self.content.decode("utf-8", "surrogateescape")
        return Content(detail=f"[ ! -f {sh(self.path)} ] || cat -- {sh(self.path)}", wanted=wanted)


def sudoers(
    called: str, content: str | None = None, *, state: Presence = "present", name: str | None = None
) -> Step[Ensured]:
    """A file of rules in /etc/sudoers.d, with owner root and mode 440.

    >>> sudoers("deploy", "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart app")
    Step('sudoers deploy')

    States: `present`, `absent`. Probe: sha256, mode, owner and group of the file. `visudo -c` looks at the new content
    before it takes the place of the old: what it does not take changes nothing. The host needs visudo, and root.

    Args:
        called: Name of the file; sudo reads none whose name holds a dot or ends in `~`.
        content: The rules; a line break at the end is added where there is none.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name that sudo would not read, no content, a NUL in it, over 64 KiB; absent, and with content.
    """
    if not isinstance(called, str) or not _NAME.fullmatch(called):
        raise InvalidError(f"sudoers {called!r} would not be read", "use letters, digits, _ and -: no dot, no ~, no /")
    if not is_wanted(state, f"sudoers {called}"):
        if content is not None:
            raise InvalidError(f"sudoers {called}: absent, and with content", "give the name only")
        return ensure(Sudoers(called), None, name=name, content=Sudoers(called).shown)
    if not isinstance(content, str) or not content.strip() or "\0" in content or len(content) > LIMIT:
        raise InvalidError(f"sudoers {called}: this content cannot be", "give text with at least one rule, no NUL")
    data = (content if content.endswith("\n") else f"{content}\n").encode("utf-8", "surrogateescape")
    its = Sudoers(called, data)
    return ensure(its, {"sha256": hashlib.sha256(data).hexdigest(), **RIGHTS}, name=name, content=its.shown)
