"""From what an Ansible inventory says to a cluster: groups become roles, Ansible's precedence is kept."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Connect, Host
from kxflow.values.inventory import yaml_tree
from kxflow.values.inventory.ansible_connect import (
    ADDRESS,
    KEPT,
    KEPT_SECRETS,
    SETTINGS,
    Reach,
    check_unsupported,
    kept_secret,
)
from kxflow.values.inventory.ansible_model import ALL, UNGROUPED, Draft, Vars, table_vars
from kxflow.values.inventory.located import DEPTH, Findings, Place
from kxflow.values.inventory.outside import Outside, SideFiles

_VAULT = b"$ANSIBLE_VAULT"


def read_side(side: SideFiles, kind: str, name: str, findings: Findings) -> Vars:
    """The variables of a group or host from the files beside the inventory; a later file wins."""
    found: Vars = {}
    for shown, data in side.get((kind, name), ()):
        if data.startswith(_VAULT):
            remedy = "decrypt it, or take the secret from the environment"
            findings.add(Place(shown, 1), "a file encrypted by Ansible Vault is not taken over", remedy)
            continue
        text = decoded(data, shown, findings)
        node = None if text is None else yaml_tree.read(text, shown, findings)
        if node is not None:
            found.update(table_vars(node, findings))
    return found


def decoded(data: bytes, file: str, findings: Findings) -> str | None:
    """The text of a file; None where it is not UTF-8, which is reported with the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.add(Place(file, line), "this line is not UTF-8", "save the file as UTF-8")
        return None


def cluster(draft: Draft, side: SideFiles, outside: Outside) -> Cluster | None:
    """The cluster; None, and findings, where something is wrong."""
    if not draft.hosts and not draft.findings:
        draft.findings.add(Place(draft.file, 1), "the inventory has no hosts", "name one in a line: web1")
    _cut_circles(draft)
    return _Fleet(draft, side, outside).cluster()


def _cut_circles(draft: Draft) -> None:
    """Report groups that are their own descendants or nested too deep, and cut the link: what follows walks all."""
    height: dict[str, int] = {}
    for start in draft.groups:
        path = [] if start in height else [(start, iter(tuple(draft.groups[start].children)))]
        while path:
            name, left = path[-1]
            child = next(left, None)
            if child is None:
                height[name] = 1 + max((height[each] for each in draft.groups[name].children), default=0)
                path.pop()
            elif child == ALL or any(child == above for above, _ in path):
                _cut(draft, name, child, f"group {child!r} is its own descendant here")
            elif len(path) + height.get(child, 1) > DEPTH:
                _cut(draft, name, child, f"groups are nested deeper than {DEPTH} here")
            elif child not in height:
                path.append((child, iter(tuple(draft.groups[child].children))))


def _cut(draft: Draft, group: str, child: str, what: str) -> None:
    draft.findings.add(draft.groups[group].children.pop(child), what, "take this link away")


@define(eq=False)
class _Fleet:
    draft: Draft
    side: SideFiles
    outside: Outside
    depth: dict[str, int] = field(init=False)
    above: dict[str, frozenset[str]] = field(init=False)
    order: list[str] = field(init=False)
    rank: dict[str, int] = field(init=False)
    file_vars: dict[str, Vars] = field(init=False)
    side_vars: dict[str, Vars] = field(init=False)
    _merged: dict[frozenset[str], Vars] = field(factory=dict)
    _ours: dict[frozenset[str], Vars] = field(factory=dict)
    _reached: dict[Any, Connect] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        groups = self.draft.groups
        for name in (ALL, UNGROUPED):
            self.draft.group(name, Place(self.draft.file, 0))
        self._lineage()
        self.order = sorted(groups, key=lambda name: (self.depth[name], groups[name].priority, name))
        self.rank = {name: place for place, name in enumerate(self.order)}
        self.file_vars = {name: group.vars for name, group in groups.items()}
        self.side_vars = {name: read_side(self.side, "group_vars", name, self.draft.findings) for name in groups}

    def _lineage(self) -> None:
        """Depth (the longest way down from `all`) and ancestors of every group, parents before children."""
        groups = self.draft.groups
        parents: dict[str, set[str]] = {name: set() for name in groups}
        for name, group in groups.items():
            for child in group.children:
                parents[child].add(name)
        self.depth, self.above = {ALL: 0}, {ALL: frozenset()}
        ready = [name for name in groups if not parents[name] - {ALL} and name != ALL]
        waiting = {name: len(parents[name] - {ALL}) for name in groups}
        while ready:
            name = ready.pop()
            ups = parents[name] | {ALL}
            self.depth[name] = 1 + max(self.depth[up] for up in ups)
            self.above[name] = frozenset(ups).union(*(self.above[up] for up in ups))
            for child in groups[name].children:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)

    def cluster(self) -> Cluster | None:
        findings = self.draft.findings
        for variables in (*self.file_vars.values(), *self.side_vars.values()):
            check_unsupported(variables, findings)
        connect = self._connect(self._settings(self._of_group(ALL)), "")
        built = [self._host(name, groups, connect) for name, groups in self._memberships().items()]
        common = self._plain(self._of_group(ALL))
        role_vars = {name: self._plain(self._of_group(name)) for name in self.order if name not in (ALL, UNGROUPED)}
        if findings:
            return None
        hosts = [host for host in built if host is not None]
        spoken = {name: its for name, its in role_vars.items() if its}
        return Cluster(hosts, vars=common, connect=connect, role_vars=spoken)

    def _memberships(self) -> dict[str, frozenset[str]]:
        """By host, its groups and their ancestors; `ungrouped` where it has none."""
        found: dict[str, set[str]] = {name: set() for name in self.draft.hosts}
        for name, group in self.draft.groups.items():
            for host in group.hosts:
                found[host] |= {name, *self.above[name]}
        for groups in found.values():
            if groups - {ALL, UNGROUPED}:
                groups.discard(UNGROUPED)
            else:
                groups.add(UNGROUPED)
            groups.add(ALL)
        shared: dict[frozenset[str], frozenset[str]] = {}
        return {host: shared.setdefault(key, key) for host, groups in found.items() if (key := frozenset(groups))}

    def _in_order(self, groups: frozenset[str]) -> list[str]:
        """These groups as they apply: sorted by themselves, for every host may have a set of its own."""
        return sorted(groups, key=self.rank.__getitem__)

    def _of_group(self, name: str) -> Vars:
        return {**self.file_vars[name], **self.side_vars[name]}

    def _group_level(self, groups: frozenset[str]) -> Vars:
        """What Ansible makes of the variables of these groups: first all of the inventory file, then all beside it."""
        if groups not in self._merged:
            merged: Vars = {}
            ordered = self._in_order(groups)
            for source in (self.file_vars, self.side_vars):
                for name in ordered:
                    merged.update(source[name])
            self._merged[groups] = merged
        return self._merged[groups]

    def _layered(self, groups: frozenset[str]) -> Vars:
        """What `Cluster.vars_of` will make of them, where the host says nothing itself."""
        if groups not in self._ours:
            ours = self._of_group(ALL)
            for name in self._in_order(groups - {ALL, UNGROUPED}):
                ours.update(self._of_group(name))
            self._ours[groups] = ours
        return self._ours[groups]

    def _host(self, name: str, groups: frozenset[str], connect: Connect) -> Host | None:
        findings = self.draft.findings
        own = {**self.draft.hosts[name], **read_side(self.side, "host_vars", name, findings)}
        check_unsupported(own, findings)
        level, ours = self._group_level(groups), self._layered(groups)
        # Where our order of layers gives another value than Ansible's, the host says the right one itself.
        fixes = {key: var for key, var in level.items() if ours.get(key) is not var}
        address, its_connect = self._reach(name, {**level, **own})
        variables = self._plain({**fixes, **own})
        try:
            return Host(
                name,
                address,
                roles=groups - {ALL, UNGROUPED},
                vars=variables,
                connect=None if its_connect == connect else its_connect,
            )
        except InvalidError:
            return None  # reported where the name stands

    def _reach(self, name: str, variables: Vars) -> tuple[str | None, Connect]:
        settings = self._settings(variables)
        address = Reach(settings, self.outside, self.draft.findings).address()
        way = {key: var for key, var in settings.items() if key not in ADDRESS}  # most hosts share one, save for it
        return address, self._connect(way, address or name)

    def _connect(self, settings: Vars, target: str) -> Connect:
        reach = Reach(settings, self.outside, self.draft.findings)
        key = (target if reach.names_target() else "", *sorted((name, id(var)) for name, var in settings.items()))
        if key not in self._reached:
            self._reached[key] = reach.connect(target or "?")
        return self._reached[key]

    def _settings(self, variables: Vars) -> Vars:
        return {name: variables[name] for name in variables.keys() & SETTINGS}

    def _plain(self, variables: Vars) -> dict[str, Any]:
        """Variables as data: settings of the connection left out, passwords that stay as Secrets."""
        found: dict[str, Any] = {}
        for name, var in variables.items():
            if name in KEPT_SECRETS:
                found[name] = kept_secret(name, var, self.outside, self.draft.findings)
            elif name not in SETTINGS or name in KEPT:
                found[name] = var.value
        return found
