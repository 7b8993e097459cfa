"""What an Ansible inventory says, while it is read: groups, hosts, variables, each with its place."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from kxflow.values.errors import InvalidError
from kxflow.values.host import Host
from kxflow.values.inventory import ranges
from kxflow.values.inventory.located import DEPTH, Findings, Node, Place, Scalar, Table, plain

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
PRIORITY: Final = "ansible_group_priority"

_REACH: Final = ("ansible_host", "ansible_port", "ansible_user", "ansible_connection")
"""Variables for which it must not depend on the order of groups which one holds."""

_BRACKETED: Final = re.compile(r"\[(.+)\]:([0-9]+)\Z")
_WITH_PORT: Final = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])+):([0-9]+)\Z")


@frozen(eq=False)
class Var:
    """One variable; `raw` is its text where its value is not one."""

    value: Any
    place: Place
    raw: str = ""

    @property
    def text(self) -> str:
        """The value as text, as it was written."""
        return self.value if isinstance(self.value, str) else self.raw or str(self.value)


Vars = dict[str, Var]


@define(eq=False)
class Group:
    """A group: its own hosts and children by name, with the place of each."""

    name: str
    place: Place
    hosts: dict[str, Place] = field(factory=dict)
    children: dict[str, Place] = field(factory=dict)
    vars: Vars = field(factory=dict)
    priority: int = 1


@define(eq=False)
class Draft:
    """An inventory while it is read."""

    file: str
    findings: Findings
    groups: dict[str, Group] = field(factory=dict)
    hosts: dict[str, Vars] = field(factory=dict)

    def group(self, name: str, place: Place) -> Group:
        """The group of a name; made, and its name checked, where it is new."""
        if name not in self.groups:
            try:
                Host("any", roles={name})
            except InvalidError:
                remedy = "groups become roles: use letters, digits and _.-"
                self.findings.add(place, f"group {name!r} cannot be a role's name", remedy)
            self.groups[name] = Group(name, place)
        return self.groups[name]

    def add_hosts(self, group: Group, pattern: str, place: Place, variables: Vars) -> None:
        """Put the hosts of a pattern into a group, each with its variables.

        A host may be in many groups, once in each: that one is listed twice in a group is nearly always a slip.
        """
        name, port = host_and_port(pattern)
        own = {"ansible_port": Var(port, place, str(port)), **variables} if port is not None else variables
        try:
            names = ranges.expand(name)
        except InvalidError as error:
            self.findings.invalid(place, error)
            return
        if len(self.hosts) + len(names) > ranges.HOSTS:
            self.findings.add(place, f"the inventory has more than {ranges.HOSTS} hosts", "split it")
            return
        for each in names:
            self._add_host(group, each, place, own)

    def _add_host(self, group: Group, name: str, place: Place, variables: Vars) -> None:
        if name in group.hosts:
            first = group.hosts[name]
            what = f"host {name!r} is listed twice in group {group.name!r}, first in line {first.line}"
            self.findings.add(place, what, "list it once, with all its variables")
            return
        group.hosts[name] = place
        if name not in self.hosts:
            self._check_name(name, place)
        known = self.hosts.setdefault(name, {})
        for key in _REACH:
            if key in known and key in variables and known[key].value != variables[key].value:
                what = f"{key} of host {name!r} was given otherwise, in line {known[key].place.line}"
                self.findings.add(place, what, "give it once")
        known.update(variables)

    def _check_name(self, name: str, place: Place) -> None:
        try:
            Host(name)
        except InvalidError as error:
            self.findings.invalid(place, error)


def host_and_port(text: str) -> tuple[str, int | None]:
    """A host pattern and the port behind it: `web1:2222`, `[2001:db8::1]:22`.

    >>> host_and_port("web[1:3]:2222"), host_and_port("2001:db8::1")
    (('web[1:3]', 2222), ('2001:db8::1', None))
    """
    for form in (_BRACKETED, _WITH_PORT):
        if (found := form.match(text)) and len(found[2]) < 10:
            return found[1], int(found[2])
    return text, None


def literal(text: str, place: Place, findings: Findings) -> Var:
    """A value of an INI inventory: a Python literal where it is one, else text; as Ansible reads it.

    >>> found = Findings("hosts")
    >>> [literal(text, Place("hosts", 1), found).value for text in ("80", "[1, 'a']", "yes", "1.2.3.4", "'x'")]
    [80, [1, 'a'], 'yes', '1.2.3.4', 'x']
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return Var(text, place)
    if _deeper(value, DEPTH):
        findings.add(place, f"this value is nested deeper than {DEPTH}", "flatten it")
        return Var(text, place)
    return Var(_data(value), place, "" if isinstance(value, str) else text)


def _deeper(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple | set) and (depth <= 0 or any(_deeper(each, depth - 1) for each in value))


def _data(value: Any) -> Any:
    """What `literal_eval` knows and data does not: sets and tuples are lists, the rest is text."""
    if isinstance(value, list | tuple | set):
        return [_data(each) for each in value]
    if isinstance(value, dict):
        return {_data(key) if not isinstance(key, tuple) else key: _data(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "..." if value is ... else str(value) if isinstance(value, complex) else value


def table_vars(node: Node, findings: Findings) -> Vars:
    """The variables of a YAML mapping; nothing at all is an empty one."""
    if isinstance(node, Scalar) and node.value is None:
        return {}
    if not isinstance(node, Table):
        findings.add(node.place, "variables must be a mapping", "write `name: value` lines")
        return {}
    found: Vars = {}
    for entry in node.entries:
        raw = entry.node.raw if isinstance(entry.node, Scalar) else ""
        found[str(entry.key)] = Var(plain(entry.node), entry.place, raw)
    return found


def take_priority(group: Group, findings: Findings) -> None:
    """Move `ansible_group_priority` out of the variables."""
    given = group.vars.pop(PRIORITY, None)
    if given is None:
        return
    try:
        group.priority = int(given.value)
    except (TypeError, ValueError, OverflowError):
        findings.add(given.place, f"{PRIORITY} must be a whole number", "a higher one wins at the same depth")


def values(variables: Mapping[str, Var]) -> dict[str, Any]:
    """The data alone."""
    return {name: var.value for name, var in variables.items()}
