"""Ansible's INI inventories, line by line, as `ansible.plugins.inventory.ini` reads them; every problem is told."""

from __future__ import annotations

import re
import shlex
from typing import Final

from attrs import define, field

from kxflow.values.inventory.ansible_model import ALL, UNGROUPED, Draft, Group, Vars, literal, take_priority
from kxflow.values.inventory.located import Findings, Place, guess

LINE: Final = 64 * 1024
"""Bytes of a line: taking words and literals apart costs more than in proportion."""

_SECTION: Final = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?\Z")
_OPEN: Final = re.compile(r"\[([^\[\]#;=,\s]+)\s*(?:#.*)?\Z")
_GROUP: Final = re.compile(r"([^:\]\s]+)\s*(?:#.*)?\Z")
_NAME: Final = re.compile(r"[^\s=]+\Z")
_SORTS: Final = ("hosts", "children", "vars")


def parse(data: bytes, file: str, findings: Findings) -> Draft:
    """The draft of an INI inventory."""
    reader = _Reader(Draft(file, findings))
    for number, raw in enumerate(data.split(b"\n"), 1):
        reader.line(raw, Place(file, number))
        if findings.full:
            break
    reader.finish()
    return reader.draft


@define(eq=False)
class _Reader:
    draft: Draft
    group: Group | None = None
    sort: str = "hosts"
    foreign: bool = False
    declared: set[str] = field(factory=lambda: {ALL, UNGROUPED})
    pending: dict[str, Place] = field(factory=dict)

    def line(self, raw: bytes, place: Place) -> None:
        raw = raw.strip()
        if self.foreign or not raw or raw[:1] in (b"#", b";"):
            return  # a comment may be in any encoding
        if len(raw) > LINE:
            self._add(place, f"this line is longer than {LINE // 1024} KiB", "put long values into host_vars/")
            return
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self._add(place, "this line is not UTF-8", "save the file as UTF-8")
            return
        if found := _SECTION.match(text):
            self._section(found[1], found[2] or "hosts", place)
        elif found := _OPEN.match(text):
            self._open(found[1], place)
        elif text.startswith("[") and text.endswith("]"):
            self._add(place, "this section header cannot be read", "write [group], [group:vars] or [group:children]")
        elif self.sort == "hosts":
            self._hosts(text, place)
        elif self.sort == "vars":
            self._var(text, place)
        elif self.sort == "children":
            self._child(text, place)

    def finish(self) -> None:
        for name, place in self.pending.items():
            if name not in self.declared:
                known = sorted({*self.draft.groups} & self.declared)
                self._add(place, f"there is no group {name!r}", guess(name, known))
        for group in self.draft.groups.values():
            take_priority(group, self.draft.findings)

    def _section(self, name: str, sort: str, place: Place) -> None:
        self.sort = sort if sort in _SORTS else ""  # what stands under an unknown section is passed over
        if not self.sort:
            self._add(place, f"section kind {sort!r} is unknown", guess(sort, _SORTS))
            return
        self.group = self.draft.group(name, place)
        if sort == "vars":
            self.pending.setdefault(name, place)
        else:
            self.declared.add(name)

    def _open(self, name: str, place: Place) -> None:
        """A header without its end: what stands under it is passed over, and its group is not missed elsewhere."""
        self._add(place, "the [ of this section header is not closed", f"write [{name}]")
        self.sort = ""
        self.declared.add(name.partition(":")[0])

    def _hosts(self, text: str, place: Place) -> None:
        try:
            words = shlex.split(text, comments=True)
        except ValueError as error:
            self._add(place, f"this line cannot be read: {str(error).lower()}", "close the quotes")
            return
        pattern = words[0]
        if pattern == "---" or (len(words) == 1 and pattern.endswith(":")):
            self._add(place, "this looks like YAML", "name the file *.yml, or write one host in a line")
            self.foreign = True
            return
        variables: Vars = {}
        for word in words[1:]:
            key, equals, value = word.partition("=")
            if not equals or not _NAME.match(key):
                self._add(place, "behind a host's name there must be name=value", "put a value with blanks in quotes")
                continue
            variables[key] = literal(value, place, self.draft.findings)
        group = self.group or self.draft.group(UNGROUPED, place)
        self.draft.add_hosts(group, pattern, place, variables)

    def _var(self, text: str, place: Place) -> None:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not _NAME.match(key):
            self._add(place, "in a :vars section there must be name=value", "a name has letters, digits and _")
        elif self.group is not None:
            self.group.vars[key] = literal(value, place, self.draft.findings)

    def _child(self, text: str, place: Place) -> None:
        found = _GROUP.match(text)
        if found is None:
            self._add(place, "here must be the name of one group", "variables go to [group:vars]")
        elif self.group is not None:
            self.group.children.setdefault(found[1], place)
            self.pending.setdefault(found[1], place)
            self.draft.group(found[1], place)

    def _add(self, place: Place, what: str, remedy: str) -> None:
        self.draft.findings.add(place, what, remedy)
