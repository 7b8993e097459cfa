"""A line of a text file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, field, frozen

from kxflow.flow.edits import Edit, lines_of
from kxflow.flow.ensure import Content, Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.editing import (
    SPLICE,
    Pattern,
    Place,
    closing,
    grep,
    line_text,
    no_file,
    opening,
    place,
    seeing,
    step_name,
)
from kxflow.resources.files import Presence, check_presence, restored
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.posix_regex import MARK, Ere, to_ere
from kxflow.resources.present import command, content_of
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import Ensured, State

LINE: Final = "line"
"""The attribute: the lines that are the wanted one or match. Of a secret only whether that is so."""
_SAME: Final = "as wanted"


@frozen
class Line:
    """A line of a file.

    Attributes:
        text: The line; with `match` alone, none.
        match: Lines that it takes the place of.
        place: Where it goes if there is none.
        present: It is to be there; else it is not, nor is one that matches.
        create: A file is made where none is.
    """

    path: str
    text: str | Secret | None = field(repr=False)
    match: Ere | None = None
    place: Place = Place()
    present: bool = True
    create: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind, path and what marks the line out among others."""
        its = self.match.text if self.match is not None else self.text if isinstance(self.text, str) else "a secret"
        return ("line", f"{self.path} {its}")

    @property
    def within(self) -> str:
        """The file that it is a part of."""
        return self.path

    @property
    def wanted(self) -> dict[str, str]:
        """The state that it is to be in."""
        if not self.present:
            return {LINE: ""}
        return {LINE: _SAME if isinstance(self.text, Secret) else self.text or ""}

    def probe(self, wanted: State) -> str:
        """The lines in question; of many the first twenty."""
        missing = "" if self.present else f"kx_say {LINE} ''"
        say = f'kx_say {LINE} "$kx_y"'
        if isinstance(self.text, Secret):
            say = f'[ "$kx_y" = "$KX_LINE" ] && kx_say {LINE} {sh(_SAME)} || kx_say {LINE} another'
        return f"""\
{seeing(self.path, missing)}{self._found()}
kx_y=$(kx_found) || [ $? -eq 1 ] || exit 2
[ "$kx_y" ] || {{ kx_say {LINE} ''; exit; }}
case $kx_y in
*"
"*) printf '%s\\n' "$kx_y" | cut -d: -f2- | head -n 20 | kx_say_all {LINE} ;;
*) kx_y=${{kx_y#*:}}
  if [ -z "$kx_y" ]; then echo | kx_say_all {LINE}; else {say}; fi ;;
esac"""

    def _found(self) -> str:
        """A function that prints number and text of each line in question."""
        path = sh(self.path)
        if isinstance(self.text, Secret):
            # it must not be seen among the arguments of a process
            same = f"printf '%s\\n' \"$KX_LINE\" | grep -n -xF -f - -- {path}"
            if self.match is not None:
                same = f"{{ {grep(self.match, self.path, '-n')}; {same}; }} | sort -t : -k 1,1n -u"
        elif self.match is None:
            same = f"grep -n -xF -e {sh(self.text or '')} -- {path}"
        else:
            same = grep(self.match, self.path, "-n", *([] if self.text is None else [self.text]))
        clean = " | tr -d '\\001'" if self.match is not None and self.match.marked else ""
        return f"kx_found() {{ {same}{clean}; }}"

    def apply(self, wanted: State) -> Command[Any]:
        """The first line in question becomes the wanted one, the others go; where none is, it is put in its place."""
        text = '"$KX_LINE"' if isinstance(self.text, Secret) else sh(self.text or "")
        begin = f"""\
kx_text() {{ printf '%s\\n' {text}; }}
{SPLICE}{self._found()}
{opening(self.path, no_file(self.path, create=self.create) if self.present else "exit 0")}
set -- $(kx_found | cut -d : -f 1)
kx_n=$1 kx_y=
"""
        failed = sh(f"cannot write {self.path}")
        if not self.present:
            body = f"""\
for kx_i; do kx_y=$kx_y${{kx_i}}d$kx_nl; done
sed "$kx_y" {sh(self.path)} >"$kx_up" || kx_no {failed}
"""
        else:
            body = f"""\
if [ "$kx_n" ]; then
  shift
  for kx_i; do kx_y=$kx_y${{kx_i}}d$kx_nl; done
  kx_splice {sh(self.path)} "$kx_n" $((kx_n + 1)) "$kx_y" >"$kx_up" || kx_no {failed}
else
  {self.place.find(self.path)}
  kx_splice {sh(self.path)} "$kx_n" "$kx_n" '' >"$kx_up" || kx_no {failed}
fi
"""
        made = command(begin + body + closing(self.path), sensitive=isinstance(self.text, Secret))
        return evolve(made, env={"KX_LINE": self.text}) if isinstance(self.text, Secret) else made

    def needs(self, wanted: State) -> Iterator[Need]:
        """A file that is text."""
        if self.present:
            yield from needs.text_file(self.path, create=self.create)

    def edit(self, before: State | None, after: State) -> Edit:
        """One line for those in question, of which the probe told the first twenty."""
        del after
        exact = self.match is None and self.present  # a line that is there stays
        puts = None if isinstance(self.text, Secret) else (self.text,) if self.present and self.text else ()
        anywhere = self.place != Place()  # between other lines, too
        return Edit(self._looks, puts, () if exact else lines_of(before, LINE, 20), told=anywhere)

    def _looks(self, line: str) -> bool:
        return (
            isinstance(self.text, Secret)
            or line == self.text
            or (self.match is not None and self.match.may_match(line))
        )

    def back(self, before: State) -> Command[Ensured] | None:
        """The whole file as it was; None where it was not kept."""
        return restored(self.path, before)


def line(
    path: PathLike,
    text: str | Secret | None = None,
    *,
    match: Pattern | None = None,
    after: Pattern | None = None,
    before: Pattern | None = None,
    create: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    r"""A line of a text file: this one, in the place of those that match.

    With `match`, just one line is left of those that match or are the line; without, a line that is there is enough.

    >>> line("/etc/hosts", "10.0.0.5 db", match=r"\bdb$")
    Step('line /etc/hosts 10.0.0.5 db')

    States: `present`; `absent`: neither the line nor one that matches is there. Probe: the lines in question. The file
    is replaced whole, its mode and owner are kept; a link is followed. Lines end with `\n`: of a file with `\r\n` the
    `\r` belongs to the line. A file with a NUL is refused.
    Undone: the whole file is given the content that it had, where that was at most 256 KiB and the line no secret.

    Args:
        path: Absolute.
        text: The line. A `Secret` is in no record.
        match: A regular expression; see `kxflow.resources.posix_regex` for what the host understands of Python's.
        after: A new line goes behind the last one that matches this; to the end where none does.
        before: Or before the first one that matches this.
        create: Make the file where there is none, with mode 644; else that is a failure.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: No text where it is to be there, neither text nor match where not; several lines; an expression
            that the host does not understand.
    """
    where = remote_path(path)
    told = f"line {where}"
    check_presence(state, told)
    present = state == "present"
    if text is None and (present or match is None):
        raise InvalidError(f"{told}: no line", "give its text" if present else "give text or match=")
    if not present and (after is not None or before is not None or create):
        raise InvalidError(f"{told}: absent, and with after, before or create", "give text or match only")
    content = None if text is None else line_text(text, f"{told}: text")
    ere = None if match is None else to_ere(match, f"{told}: match")
    if ere is not None and ere.marked and isinstance(content, str) and MARK in content:
        raise InvalidError(f"{told}: a byte of 1 together with \\b", "the host needs that byte to say where words end")
    its = Line(where, content, ere, place(after, before, told), present, create)
    secret = isinstance(text, Secret)
    shown = text if isinstance(text, str) else match if isinstance(match, str) else getattr(match, "pattern", "")
    return ensure(
        its,
        its.wanted,
        name=step_name("line", where, shown) if name is None else name,
        content=None if secret else Content(detail=content_of(where)),
    )
