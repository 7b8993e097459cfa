"""Ansible's YAML inventories: groups with `hosts`, `children` and `vars`, nested."""

from __future__ import annotations

from typing import Final

from kxflow.values.inventory import yaml_tree
from kxflow.values.inventory.ansible_model import Draft, Group, table_vars, take_priority
from kxflow.values.inventory.located import Entry, Findings, Node, Scalar, Table, guess, kind

_KEYS: Final = ("hosts", "children", "vars")


def parse(text: str, file: str, findings: Findings) -> Draft:
    """The draft of a YAML inventory."""
    draft = Draft(file, findings)
    root = yaml_tree.read(text, file, findings)
    if isinstance(root, Table):
        if any(entry.key == "plugin" for entry in root.entries):
            place = next(entry.place for entry in root.entries if entry.key == "plugin")
            remedy = "save what it gives: ansible-inventory --list --yaml > hosts.yml"
            findings.add(place, "this configures an inventory plugin; kxflow runs none", remedy)
            return draft
        for entry in root.entries:
            _group(entry, draft)
    elif root is not None and not (isinstance(root, Scalar) and root.value is None):
        findings.add(root.place, f"an inventory is a mapping of groups, not {kind(root)}", "begin with `all:`")
    for group in draft.groups.values():
        take_priority(group, findings)
    return draft


def _text_key(entry: Entry, draft: Draft, what: str) -> str | None:
    if isinstance(entry.key, str):
        return entry.key
    draft.findings.add(entry.place, f"the name of a {what} must be text", "put it in quotes")
    return None


def _entries(node: Node, draft: Draft) -> tuple[Entry, ...]:
    """Of what should be a mapping; nothing is an empty one, one name stands for itself."""
    if isinstance(node, Table):
        return node.entries
    if isinstance(node, Scalar) and node.value is None:
        return ()
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return (Entry(node.value, Scalar(None, node.place), node.place),)
    draft.findings.add(node.place, f"this must be a mapping, not {kind(node)}", "write `name:` lines, without dashes")
    return ()


def _group(entry: Entry, draft: Draft) -> str | None:
    name = _text_key(entry, draft, "group")
    if name is None:
        return None
    group = draft.group(name, entry.place)
    if isinstance(entry.node, Scalar) and entry.node.value is None:
        return name
    if not isinstance(entry.node, Table):
        what = f"group {name!r} must be a mapping, not {kind(entry.node)}"
        draft.findings.add(entry.place, what, "write hosts:, children: or vars: under it")
        return name
    for part in entry.node.entries:
        _part(part, group, draft)
    return name


def _part(part: Entry, group: Group, draft: Draft) -> None:
    if part.key == "vars":
        group.vars.update(table_vars(part.node, draft.findings))
    elif part.key == "children":
        for child in _entries(part.node, draft):
            if (lower := _group(child, draft)) is not None:
                group.children.setdefault(lower, child.place)
    elif part.key == "hosts":
        for host in _entries(part.node, draft):
            if (pattern := _text_key(host, draft, "host")) is not None:
                draft.add_hosts(group, pattern, host.place, table_vars(host.node, draft.findings))
    else:
        draft.findings.add(part.place, f"unknown key {part.key!r} in group {group.name!r}", guess(part.key, _KEYS))
