"""A YAML text as located data: events in, no object built by a tag, size and depth bounded.

Works on the events of PyYAML's parser, so nothing recurses over what the file says, and an alias shares the node of
its anchor instead of repeating it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NoReturn

import yaml
from attrs import define, field

from kxflow.values.inventory.located import DEPTH, Entry, Findings, Items, Node, Place, Scalar, Table

NODES: Final = 500_000
"""Values that a file may say, each alias counted as all that it stands for."""

_CORE: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset({"str", "int", "float", "bool", "null", "timestamp"})
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "<<"
_LONGEST: Final = 4300  # of a number; Python's own bound for decimal ones. To the base of 60, 4 MiB take hours.
_QUOTE: Final = "put it in quotes where it is text"


class _BadError(Exception):
    """The text ends here: what follows cannot be understood."""

    def __init__(self, line: int, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.line, self.what, self.remedy = line, what, remedy


@define(eq=False)
class _Open:
    """A list or mapping that is being read."""

    place: Place
    anchor: str | None
    mapping: bool
    nodes: list[Node] = field(factory=list)
    size: int = 1
    depth: int = 1


@define(eq=False)
class _Known:
    """What an anchor stands for."""

    node: Node
    size: int
    depth: int


def read(text: str, file: str, findings: Findings) -> Node | None:
    """The one document of a text; None where it has none, or where it cannot be understood."""
    builder = _Builder(file, findings)
    try:
        return builder.build(_events(text))
    except _BadError as error:
        findings.add(Place(file, error.line), error.what, error.remedy)
    return None


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        line = mark.line + 1 if mark is not None else 1
        raise _BadError(line, f"this is not YAML: {what}", "check indentation, colons and quotes") from None
    except (yaml.YAMLError, ValueError) as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        reason = getattr(error, "reason", "a character that cannot be")
        raise _BadError(line, f"this is not YAML: {reason}", "remove or escape that character") from None


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 0 if mark is None else mark.line + 1


class _Builder:
    def __init__(self, file: str, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Known | None] = {}
        self.root: Node | None = None
        self.documents = 0
        self.scalars = _Scalars()

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        self._bad(event, "a second document begins", "keep one document in a file")
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self._begin(event)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._end()
                case _:
                    pass
        return self.root

    def _place(self, event: yaml.Event) -> Place:
        return Place(self.file, _line(event))

    def _bad(self, event: yaml.Event, what: str, remedy: str) -> NoReturn:
        raise _BadError(_line(event), what, remedy)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        known = self.anchors.get(name)
        if known is None:
            what = "refers to itself" if name in self.anchors else "has no anchor before it"
            self._bad(event, f"the alias *{name} {what}", f"write &{name} before it, at another value")
        self._put(event, known.node, known.size, known.depth)

    def _begin(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._check_tag(event, {"map"} if mapping else {"seq"})
        if len(self.stack) >= DEPTH:
            self._bad(event, f"this is nested deeper than {DEPTH}", "flatten it")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(self._place(event), event.anchor, mapping))

    def _end(self) -> None:
        done = self.stack.pop()
        node = self._table(done) if done.mapping else Items(tuple(done.nodes), done.place)
        self._keep(done.anchor, node, done.size, done.depth)
        self._hand_up(node, done.size, done.depth, done.place.line)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event, _SCALARS)
        value = self._value(event)
        texts = isinstance(value, str) and not self.scalars.is_merge(event)
        node = Scalar(value, self._place(event), "" if texts else event.value)
        self._keep(event.anchor, node, 1, 1)
        self._put(event, node, 1, 1)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        try:
            return self.scalars.value(event)
        except (ValueError, OverflowError, IndexError, AttributeError):  # as the constructors fail on `!!int ""`
            self.findings.add(self._place(event), "this number or date cannot be", _QUOTE)
            return event.value

    def _check_tag(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, allowed: set[str] | frozenset[str]
    ) -> None:
        """A tag asks for an object to be made: only the plain kinds are, others are a problem."""
        tag = event.tag
        if tag in (None, "!", "!unsafe") or tag.removeprefix(_CORE) in allowed:
            return  # `!unsafe` says that text is no template; here no text is one
        shown = tag.replace(_CORE, "!!", 1)
        if tag in ("!vault", "!vault-encrypted"):
            what, remedy = "a value encrypted by Ansible Vault", "give it here as \"{{ lookup('env', 'NAME') }}\""
        else:
            what, remedy = f"the tag {shown!r}", "remove it; only plain data is read"
        self.findings.add(self._place(event), f"{what} is not taken over", remedy)

    def _keep(self, anchor: str | None, node: Node, size: int, depth: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = _Known(node, size, depth)

    def _put(self, event: yaml.Event, node: Node, size: int, depth: int) -> None:
        self._hand_up(node, size, depth, _line(event))

    def _hand_up(self, node: Node, size: int, depth: int, line: int) -> None:
        if not self.stack:
            self.root = node
            return
        above = self.stack[-1]
        above.nodes.append(node)
        above.size += size
        above.depth = max(above.depth, depth + 1)
        if above.size > NODES:
            raise _BadError(line, f"the file says more than {NODES} values, its aliases counted", "use fewer aliases")
        if len(self.stack) - 1 + above.depth > DEPTH:
            raise _BadError(line, f"this is nested deeper than {DEPTH}", "flatten it")

    def _table(self, done: _Open) -> Table:
        entries: dict[Any, Entry] = {}
        merges: list[Entry] = []
        for key, node in zip(done.nodes[::2], done.nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.findings.add(key.place, "a list or mapping cannot be a key here", "write text before the colon")
            elif key.value == _MERGE and key.raw == _MERGE:
                merges.extend(self._merged(node))
            elif key.value in entries:
                first = entries[key.value].place.line
                self.findings.add(
                    key.place, f"key {key.value!r} comes twice, first in line {first}", "keep one of them"
                )
            else:
                entries[key.value] = Entry(key.value, node, key.place)
        for entry in merges:
            entries.setdefault(entry.key, entry)
        return Table(tuple(entries.values()), done.place)

    def _merged(self, node: Node) -> Iterator[Entry]:
        """What `<<: *anchor` brings in; of several the first wins."""
        for each in node.nodes if isinstance(node, Items) else (node,):
            if isinstance(each, Table):
                yield from each.entries
            else:
                self.findings.add(each.place, "only mappings can be merged by <<", "refer to one: <<: *name")


class _Scalars(yaml.SafeLoader):
    """Only to resolve and construct scalars, as the safe loader does: YAML 1.1, as Ansible reads it."""

    def __init__(self) -> None:
        super().__init__("")

    def is_merge(self, event: yaml.ScalarEvent) -> bool:
        """Whether it is `<<` without quotes."""
        return bool(event.value == _MERGE and event.implicit[0])

    def value(self, event: yaml.ScalarEvent) -> Any:
        """The value of one scalar.

        Raises:
            ValueError: It looks like a number or date that cannot be.
        """
        tag = event.tag
        if tag in (None, "!"):
            tag = self.resolve(  # type: ignore[no-untyped-call]  # the stubs leave it out
                yaml.ScalarNode, event.value, event.implicit
            )
        kind = tag.removeprefix(_CORE)
        if kind not in _SCALARS or kind == "str":
            return event.value
        if kind == "bool" and event.value.lower() not in self.bool_values:
            raise ValueError(event.value)
        if kind in ("int", "float") and len(event.value) > _LONGEST:
            raise ValueError("a number of too many digits")
        return getattr(self, f"construct_yaml_{kind}")(yaml.ScalarNode(tag, event.value))
