"""Lines of a text file between two marker lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from attrs import evolve, field, frozen

from kxflow.flow.edits import Edit, every_line, lines_of
from kxflow.flow.ensure import Content, Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.editing import SPLICE, Pattern, Place, closing, no_file, opening, place, seeing, step_name
from kxflow.resources.files import Presence, check_presence, restored, to_content
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.present import command, content_of
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import Ensured, State

Comment: TypeAlias = str | tuple[str, str]

BLOCK: Final = "block"
"""The attribute: the lines between the markers, of a secret their digest, or that there is no block."""
_NONE: Final = "none"


@frozen
class Block:
    """A block of lines in a file.

    Attributes:
        text: The lines, a newline after each; None: no block, no markers.
        begin, end: The markers.
        place: Where it goes if it is not there.
        create: A file is made where none is.
    """

    path: str
    text: str | Secret | None = field(repr=False)
    begin: str
    end: str
    place: Place = Place()
    create: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind, path and first marker."""
        return ("block", f"{self.path} {self.begin}")

    @property
    def within(self) -> str:
        """The file that it is a part of."""
        return self.path

    @property
    def wanted(self) -> dict[str, str]:
        """The state that it is to be in."""
        if self.text is None:
            return {BLOCK: _NONE}
        if isinstance(self.text, Secret):
            import hashlib

            return {BLOCK: hashlib.sha256(self.text.raw).hexdigest()}
        return {BLOCK: self.text}

    def probe(self, wanted: State) -> str:
        """What is between the markers."""
        missing = f"kx_say {BLOCK} {_NONE}" if self.text is None else ""
        say = f"kx_say_all {BLOCK}"
        if isinstance(self.text, Secret):
            say = f'{{ kx_y=$(kx_sha256) || exit 1; kx_say {BLOCK} "$kx_y"; }}'
        return f"""\
{seeing(self.path, missing)}{self._find()}
if [ "$kx_b" ]; then
  {{ [ $((kx_b + 1)) -eq "$kx_f" ] || sed -n "$((kx_b + 1)),$((kx_f - 1))p" {sh(self.path)}; }} | {say}
else
  kx_say {BLOCK} {_NONE}
fi"""

    def _find(self) -> str:
        """Sets kx_b and kx_f to the numbers of the lines of the markers; one without the other is refused."""
        broken = sh(f"{self.path}: its markers {self.begin!r} and {self.end!r} are not one pair: mend the file")
        return f"""\
kx_y=$(grep -n -xF -e {sh(self.begin)} -e {sh(self.end)} -- {sh(self.path)}) || [ $? -eq 1 ] || exit 2
kx_b= kx_f=
case $kx_y in
'') ;;
*:{sh(self.begin)}"
"*:{sh(self.end)})
  kx_b=${{kx_y%%:*}}
  kx_y=${{kx_y#*
}}
  kx_f=${{kx_y%%:*}}
  case $kx_y in *"
"*) kx_no {broken} ;; esac
  ;;
*) kx_no {broken} ;;
esac"""

    def apply(self, wanted: State) -> Command[Any]:
        """What is between the markers is replaced; where there are none, both are put in their place."""
        path, failed = sh(self.path), sh(f"cannot write {self.path}")
        text = '"$KX_BLOCK"' if isinstance(self.text, Secret) else sh(self.text or "")
        if self.text is None:
            return command(f"""\
kx_text() {{ :; }}
{SPLICE}{opening(self.path, "exit 0")}{self._find()}
kx_splice {path} "$kx_b" $((kx_f + 1)) '' >"$kx_up" || kx_no {failed}
{closing(self.path)}""")
        made = command(
            f"""\
kx_text() {{ printf '%s\\n' {sh(self.begin)}; printf %s {text}; printf '%s\\n' {sh(self.end)}; }}
{SPLICE}{opening(self.path, no_file(self.path, create=self.create))}{self._find()}
if [ "$kx_b" ]; then
  kx_splice {path} "$kx_b" $((kx_f + 1)) '' >"$kx_up" || kx_no {failed}
else
  {self.place.find(self.path)}
  kx_splice {path} "$kx_n" "$kx_n" '' >"$kx_up" || kx_no {failed}
fi
{closing(self.path)}""",
            sensitive=isinstance(self.text, Secret),
        )
        return evolve(made, env={"KX_BLOCK": self.text}) if isinstance(self.text, Secret) else made

    def needs(self, wanted: State) -> Iterator[Need]:
        """A file that is text."""
        if self.text is not None:
            yield from needs.text_file(self.path, create=self.create)

    def edit(self, before: State | None, after: State) -> Edit:
        """Markers, and what is between them."""
        there = {} if not before or before.get(BLOCK) == _NONE else before
        inside = lines_of(State(there), BLOCK)
        if isinstance(self.text, Secret) or before is None or inside is None:
            return Edit(every_line)
        puts = () if self.text is None else (self.begin, *(lines_of(after, BLOCK) or ()), self.end)
        takes = (self.begin, *inside, self.end) if there else ()
        return Edit({self.begin, self.end, *puts, *takes}.__contains__, puts, takes, told=self.place != Place())

    def back(self, before: State) -> Command[Ensured] | None:
        """The whole file as it was; None where it was not kept."""
        return restored(self.path, before)


def block(
    path: PathLike,
    text: str | Secret | None = None,
    *,
    marker: str = "kxflow",
    comment: Comment = "#",
    after: Pattern | None = None,
    before: Pattern | None = None,
    create: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    r"""Lines of a text file, between the markers `# BEGIN kxflow` and `# END kxflow`; what is outside is not touched.

    >>> block("/etc/hosts", "10.0.0.5 db\n10.0.0.6 cache\n", marker="cluster")
    Step('block /etc/hosts cluster')

    States: `present`; `absent`: neither the lines nor the markers are there. Probe: what is between the markers. A file
    with one marker and not the other, or with more than one pair, is refused. The file is replaced whole, its mode and
    owner are kept; a link is followed. A file with a NUL is refused.
    Undone: the whole file is given the content that it had, where that was at most 256 KiB and the text no secret.

    Args:
        path: Absolute.
        text: The lines; the last gets its newline where it has none. A `Secret` is in no record.
        marker: Tells blocks of one file apart.
        comment: What begins a comment in this file, or a pair of what begins and ends one: `("<!--", "-->")`.
        after: A new block goes behind the last line that matches this; to the end where none does.
        before: Or before the first one that matches this.
        create: Make the file where there is none, with mode 644; else that is a failure.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: No text where it is to be there, text that holds a marker, an expression that the host does not
            understand.
    """
    where = remote_path(path)
    told = f"block {where}"
    check_presence(state, told)
    begin, end = _markers(comment, marker, told)
    if state == "absent":
        if text is not None or after is not None or before is not None or create:
            raise InvalidError(f"{told}: absent, and with text, after, before or create", "give path and marker only")
        lines = None
    elif text is None:
        raise InvalidError(f"{told}: no text", "give the lines")
    else:
        lines = _lines(text, (begin, end), told)
    its = Block(where, lines, begin, end, place(after, before, told), create)
    content = None if isinstance(lines, Secret) else Content(detail=content_of(where))
    return ensure(its, its.wanted, name=step_name("block", where, marker) if name is None else name, content=content)


def _markers(comment: Comment, marker: str, where: str) -> tuple[str, str]:
    opens, closes = (comment, "") if isinstance(comment, str) else comment
    for each in (opens, marker, closes):
        if not isinstance(each, str) or "\n" in each or "\0" in each:
            raise InvalidError(f"{where}: marker {each!r} is no line", "give short text without line breaks")
    if not marker.strip():
        raise InvalidError(f"{where}: an empty marker", "name the block")
    begin, end = (" ".join(each for each in (opens, word, marker, closes) if each) for word in ("BEGIN", "END"))
    return begin, end


def _lines(text: str | Secret, markers: tuple[str, str], where: str) -> str | Secret:
    data = text.raw if isinstance(text, Secret) else to_content(text, f"{where}: text")
    if data and not data.endswith(b"\n"):
        data += b"\n"
    if b"\0" in data:
        raise InvalidError(f"{where}: text with a NUL", "a text file has none")
    if any(each.encode("utf-8", "surrogateescape") in data.split(b"\n") for each in markers):
        raise InvalidError(f"{where}: text that holds its own marker", "choose another marker=")
    return Secret(data) if isinstance(text, Secret) else data.decode("utf-8", "surrogateescape")
