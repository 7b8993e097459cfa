"""Text in the lines of a file, replaced wherever it matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from kxflow.flow.edits import Edit, lines_of
from kxflow.flow.ensure import Content, Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.editing import Pattern, closing, opening, seeing, step_name
from kxflow.resources.files import restored
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.posix_regex import MARKING, Ere, replacement, to_ere
from kxflow.resources.present import command, content_of
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.secret import refuse_mask
from kxflow.values.state import Ensured, State

PENDING: Final = "pending"
"""The attribute: the lines that replacing would still change, of many the first twenty."""
_DELIMITER: Final = "\x02"


@frozen
class Replacement:
    """An expression in a file, and what stands in its place.

    Attributes:
        ere: The expression.
        text: The right side of a `s` command.
    """

    path: str
    ere: Ere
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """Kind, path and expression."""
        return ("replace", f"{self.path} {self.ere.text}")

    @property
    def within(self) -> str:
        """The file that it is a part of."""
        return self.path

    @property
    def _endless(self) -> str:
        return f"{self.path}: what it would be replaced by would be replaced again, without an end"

    @property
    def _sed(self) -> str:
        """A `sed` that replaces, from stdin to stdout."""
        its = f"s{_DELIMITER}{self.ere.text}{_DELIMITER}{self.text}{_DELIMITER}g"
        if not self.ere.marked:
            return f"sed -E -e {sh(its)}"
        return f"{{ sed {sh(MARKING)} | sed -E -e {sh(its)} | tr -d '\\001'; }}"

    def probe(self, wanted: State) -> str:
        """Whether replacing would change something, by digests; and then what."""
        path = sh(self.path)
        return f"""\
{seeing(self.path, f"kx_no {sh(f'there is no file {self.path}: make it in an earlier step')}")}
kx_new() {{ {self._sed} <{path}; }}
kx_y=$(kx_new | kx_sha256) && kx_z=$(kx_sha256 <{path}) || exit 1
if [ "$kx_y" = "$kx_z" ]; then kx_say {PENDING} ''; exit; fi
kx_y=$(kx_new | diff -U 0 -- {path} - 2>/dev/null | sed -n '3,$s/^-//p' | head -n 20)
printf '%s\\n' "${{kx_y:-something}}" | kx_say_all {PENDING}"""

    def apply(self, wanted: State) -> Command[Any]:
        """A new file in the place of the old one."""
        path, failed = sh(self.path), sh(f"cannot write {self.path}")
        return command(f"""\
{opening(self.path, f"kx_no {sh(f'there is no file {self.path}: make it in an earlier step')}")}
kx_y=$({self._sed} <{path} >"$kx_up" && sed -n '$=' <"$kx_up") || kx_no {failed}
[ "${{kx_y:-0}}" -eq "$kx_last" ] || kx_no {failed}
kx_y=$({self._sed} <"$kx_up" | kx_sha256) && kx_z=$(kx_sha256 <"$kx_up") || kx_no {failed}
[ "$kx_y" = "$kx_z" ] || kx_no {sh(self._endless)}
{closing(self.path)}""")

    def needs(self, wanted: State) -> Iterator[Need]:
        """A file that is text; and that replacing comes to an end."""
        yield from needs.text_file(self.path, create=False)
        once = f"{self._sed} <{sh(self.path)}"
        again = f'[ "$({once} | {self._sed} | kx_sha256)" = "$({once} | kx_sha256)" ]'
        yield Need(f"LC_ALL=C\nexport LC_ALL\n{again}", self._endless, (self.path,), packed=False)

    def edit(self, before: State | None, after: State) -> Edit:
        """What comes of a line that matches, only the host can tell."""
        del after
        return Edit(self.ere.may_match, None, lines_of(before, PENDING, 20))

    def back(self, before: State) -> Command[Ensured] | None:
        """The whole file as it was; None where it was not kept."""
        return restored(self.path, before)


def replace(path: PathLike, match: Pattern, text: str, *, name: str | None = None) -> Step[Ensured]:
    r"""Text in a file's lines: wherever an expression matches, this stands instead.

    It is as wanted when replacing changes nothing any more. So an expression that also matches what it is replaced by,
    and makes something else of it, is refused on the host: `replace(path, "a", "aa")`.

    >>> replace("/etc/app.conf", r"^(port\s*=\s*)\d+$", r"\g<1>8080")
    Step('replace /etc/app.conf ^(port\\s*=\\s*)\\d+$')

    Probe: whether replacing would change something; in what it changes, the lines as they are now. A file that is not
    there is a failure. The file is replaced whole, its mode and owner are kept; a link is followed.
    Undone: the whole file is given the content that it had, where that was at most 256 KiB.

    Args:
        path: Absolute.
        match: A regular expression; see `kxflow.resources.posix_regex` for what the host understands of Python's. It is
            matched within lines. Where it could match more or less at one place, it is the longest.
        text: What stands instead; `\1`, `\g<1>` and `\g<name>` are groups, `\\` is a backslash.
        name: Of the step.

    Raises:
        InvalidError: An expression that the host does not understand, that matches where nothing is, or is not greedy;
            a text with a line break, or with a group that is not there.
    """
    where = remote_path(path)
    told = f"replace {where}"
    ere = to_ere(match, f"{told}: match")
    shown = match if isinstance(match, str) else match.pattern
    if ere.empty:
        raise InvalidError(f"{told}: {shown!r} also matches where nothing is", "say what is to be replaced")
    if ere.lazy:
        raise InvalidError(f"{told}: {shown!r} is to match as little as it can", "the host matches as much as it can")
    if not isinstance(text, str):
        raise InvalidError(f"{told}: text is a {type(text).__name__}", "give text")
    refuse_mask(text, f"{told}: text")
    its = Replacement(where, ere, replacement(text, ere, f"{told}: text"))
    return ensure(
        its,
        {PENDING: ""},
        name=step_name("replace", where, shown) if name is None else name,
        content=Content(detail=content_of(where)),
    )
