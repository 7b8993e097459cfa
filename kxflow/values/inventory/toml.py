"""Our own inventory format, read from located TOML; `kxflow.values.inventory` documents it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve, field

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Connect, Host, Ssh
from kxflow.values.inventory import ranges, toml_tree
from kxflow.values.inventory.located import Entry, Findings, Items, Node, Place, Scalar, Table, guess
from kxflow.values.inventory.outside import Outside
from kxflow.values.inventory.schema import as_text, as_texts, host_or_problem, members, refused, table, variables
from kxflow.values.inventory.toml_connect import (
    Hop,
    Layer,
    Setting,
    build,
    has_placeholder,
    merged,
    over,
    read_layer,
)

_TOP: Final = ("vars", "connect", "roles", "hosts")
_TOP_HINTS: Final = {
    "defaults": "defaults of every host go into [vars] and [connect]",
    "groups": "groups are roles: [roles.NAME]",
    "all": "what holds for every host goes into [vars] and [connect]",
}
_HOST: Final = ("address", "roles", "vars", "connect")
_CONNECT_HINT: Final = "connection settings of a host go into its connect = {…}"
_HOST_HINTS: Final = {
    **dict.fromkeys(("user", "port", "key_files", "password", "how", "become", "jump", "known_hosts"), _CONNECT_HINT),
    **dict.fromkeys(("host", "ip", "hostname"), "did you mean 'address'?"),
    **dict.fromkeys(("groups", "group", "role", "tags"), "did you mean 'roles'?"),
}
_ROLE: Final = ("vars", "connect", "hosts", "includes")
_ROLE_HINTS: Final = {"children": "did you mean 'includes'?", "roles": "did you mean 'includes'?"}


@define
class _Host:
    entry: Entry
    address: str | None = None
    roles: set[str] = field(factory=set)
    vars: Mapping[str, Any] = field(factory=dict)
    layer: Layer | None = None


@define
class _Role:
    vars: Mapping[str, Any] | None = None
    layer: Layer | None = None
    hosts: Items | None = None
    includes: tuple[Node, ...] = ()


def parse(text: str, file: str, outside: Outside, findings: Findings) -> Cluster | None:
    """The cluster that a TOML inventory describes; None, and findings, where something is wrong."""
    main, extras = toml_tree.read(text, file, findings)
    draft = _Draft(outside, findings)
    draft.read(main)
    for extra in extras:  # said twice, so it is no part of the result; what is wrong in it is told all the same
        other = _Draft(outside, findings, layer=draft.layer, roles=dict(draft.roles))
        other.read(extra)
        other.connects()
    if not draft.hosts and not findings:
        findings.add(Place(file, 1), "the inventory has no hosts", 'add [hosts] with web1 = "10.0.0.11"')
    return draft.cluster()


class _Draft:
    """A document while it is read."""

    def __init__(
        self, outside: Outside, findings: Findings, *, layer: Layer | None = None, roles: dict[str, _Role] | None = None
    ) -> None:
        self.outside = outside
        self.findings = findings
        self.vars: Mapping[str, Any] = {}
        self.layer: Layer = layer or {}
        self.roles: dict[str, _Role] = roles or {}
        self.hosts: dict[str, _Host] = {}

    def read(self, document: Table) -> None:
        found = members(document, _TOP, self.findings, _TOP_HINTS)
        if "vars" in found:
            self.vars = variables(found["vars"].node, self.findings)
        if "connect" in found:
            self.layer = read_layer(found["connect"].node, self.outside, self.findings)
        for entry in table(found["roles"].node, self.findings) if "roles" in found else ():
            self._role(entry)
        for entry in table(found["hosts"].node, self.findings) if "hosts" in found else ():
            self._host(entry)
        self._membership()

    def _role(self, entry: Entry) -> None:
        self._role_name(entry.key, entry.place)
        found = members(entry.node, _ROLE, self.findings, _ROLE_HINTS)
        role = self.roles[entry.key] = _Role()
        if "vars" in found:
            role.vars = variables(found["vars"].node, self.findings)
        if "connect" in found:
            role.layer = read_layer(found["connect"].node, self.outside, self.findings)
        if "hosts" in found:
            role.hosts = self._items(found["hosts"])
        if "includes" in found and (items := self._items(found["includes"])) is not None:
            role.includes = items.nodes

    def _items(self, entry: Entry) -> Items | None:
        try:
            as_texts(entry.node)
        except InvalidError as error:
            self.findings.add(entry.place, f"{entry.key}: {error.what}", error.remedy)
            return None
        return entry.node if isinstance(entry.node, Items) else Items((entry.node,), entry.place)

    def _role_name(self, name: str, place: Place) -> None:
        try:
            Host("any", roles={name})
        except InvalidError as error:
            self.findings.invalid(place, error)

    def _host(self, entry: Entry) -> None:
        draft = _Host(entry)
        node = entry.node
        if isinstance(node, Scalar) and isinstance(node.value, str):
            draft.address = node.value
        elif isinstance(node, Table):
            self._host_table(node, draft)
        else:
            what = refused(node, "an address or a table", f'write {entry.key} = "10.0.0.11"')
            self.findings.add(entry.place, f"host {entry.key!r}: {what.what}", what.remedy)
        try:
            names, addresses = self._names(entry.key, draft.address)
        except InvalidError as error:
            self.findings.invalid(entry.place, error)
            return
        for name, address in zip(names, addresses, strict=True):
            self._add_host(name, evolve(draft, address=address, roles=set(draft.roles)))

    def _host_table(self, node: Table, draft: _Host) -> None:
        found = members(node, _HOST, self.findings, _HOST_HINTS)
        if "address" in found:
            try:
                draft.address = as_text(found["address"].node)
            except InvalidError as error:
                self.findings.add(found["address"].place, f"address: {error.what}", error.remedy)
        if "roles" in found and (items := self._items(found["roles"])) is not None:
            for each in items.nodes:
                self._role_name(as_text(each), each.place)
                draft.roles.add(as_text(each))
        if "vars" in found:
            draft.vars = variables(found["vars"].node, self.findings)
        if "connect" in found:
            draft.layer = read_layer(found["connect"].node, self.outside, self.findings)

    def _names(self, name: str, address: str | None) -> tuple[Sequence[str], Sequence[str | None]]:
        names = ranges.expand(name, ranges.HOSTS - len(self.hosts))
        if address is None:
            return names, [None] * len(names)
        # An IPv6 address has no brackets here: it stands alone.
        addresses = ranges.expand(address) if ranges.is_range(address) else (address,)
        if len(addresses) == len(names):
            return names, addresses
        raise InvalidError(
            f"{len(names)} hosts {name!r} and {len(addresses)} addresses {address!r} do not pair",
            "give the address a range of the same length: 10.0.0.[1:20]",
        )

    def _add_host(self, name: str, draft: _Host) -> None:
        if name in self.hosts:
            first = self.hosts[name].entry.place.line
            self.findings.add(
                draft.entry.place,
                f"host {name!r} is declared twice, first in line {first}",
                "give each its own name",
            )
            return
        if host_or_problem(draft.entry, self.findings, name, draft.address):
            self.hosts[name] = draft

    def _membership(self) -> None:
        """Roles that name their hosts, and roles that include others."""
        for name, role in self.roles.items():
            for node in role.hosts.nodes if role.hosts else ():
                self._join(name, node)
            for node in role.includes:
                self._known_role(as_text(node), node.place)
        above = self._above()
        for host in self.hosts.values():
            host.roles |= {upper for role in host.roles for upper in above.get(role, ())}

    def _join(self, role: str, node: Node) -> None:
        try:
            names = ranges.expand(as_text(node))
        except InvalidError as error:
            self.findings.invalid(node.place, error)
            return
        for name in names:
            if name in self.hosts:
                self.hosts[name].roles.add(role)
            else:
                self.findings.add(node.place, f"role {role!r} names {name!r}, which is no host", self._near(name))

    def _near(self, name: str) -> str:
        return guess(name, self.hosts) if len(self.hosts) < 50 else "declare it under [hosts]"

    def _known_role(self, name: str, place: Place) -> None:
        known = {*self.roles, *(role for host in self.hosts.values() for role in host.roles)}
        if name not in known:
            self.findings.add(place, f"no host has the role {name!r}", guess(name, sorted(known)))

    def _above(self) -> dict[str, set[str]]:
        """By role, every role that includes it, directly or not. A circle makes its roles equal; no harm in it."""
        direct: dict[str, set[str]] = {}
        for name, role in self.roles.items():
            for node in role.includes:
                direct.setdefault(as_text(node), set()).add(name)
        above: dict[str, set[str]] = {}
        for start in direct:
            todo, seen = [start], set[str]()
            while todo:
                for upper in direct.get(todo.pop(), ()):
                    if upper not in seen:
                        seen.add(upper)
                        todo.append(upper)
            above[start] = seen
        return above

    def _layers(self, host: _Host) -> Iterator[Layer]:
        yield self.layer
        for name, role in self.roles.items():
            if name in host.roles and role.layer is not None:
                yield role.layer
        if host.layer is not None:
            yield host.layer

    def connects(self) -> tuple[Connect, dict[str, Connect | None]]:
        """The way to every host: of the cluster, and by name of those that have one of their own."""
        how, settings = merged([self.layer], self.findings)
        common = self._connect(how, settings, "", "")
        own: dict[str, Connect | None] = {}
        for name, host in self.hosts.items():
            layers = list(self._layers(host))
            if len(layers) == 1 and not has_placeholder(settings) and not self._on_the_way(name, settings):
                own[name] = None
                continue
            own[name] = self._connect(*merged(layers, self.findings), name, host.address or name)
        return common, own

    def _on_the_way(self, name: str, settings: Mapping[str, Setting]) -> bool:
        return any(hop.named and hop.host.name == name for hop in self._hops(settings))

    def _connect(self, how: str, settings: Mapping[str, Setting], name: str, address: str) -> Connect:
        jump: list[Host] = []
        for hop in self._hops(settings):
            if hop.named and hop.host.name == name:
                break  # nobody is reached through himself: the hops before are the way to him
            jump.append(self._hop(hop))
        place = next((setting.place for setting in settings.values()), Place("", 0))
        try:
            return build(how, settings, name=name, address=address, jump=jump)
        except InvalidError as error:  # pragma: no cover -- every setting was checked by itself
            self.findings.invalid(place, error)
            return Ssh()

    def _hops(self, settings: Mapping[str, Setting]) -> tuple[Hop, ...]:
        return settings["jump"].value if "jump" in settings else ()

    def _hop(self, hop: Hop) -> Host:
        """A hop that is the name of a host here is that host; the list of hops is the whole way, its own adds none."""
        host = self.hosts.get(hop.host.name) if hop.named else None
        if host is None:
            return hop.host
        name = hop.host.name
        how, settings = merged(list(self._layers(host)), self.findings)
        own = build(how, {k: v for k, v in settings.items() if k != "jump"}, name=name, address=name, jump=())
        if not isinstance(own, Ssh):
            self.findings.add(
                hop.place, f"jump: host {name!r} is not reached by SSH", "name a host that is, or another address"
            )
            return hop.host
        return Host(name, host.address, connect=over(hop, own))

    def cluster(self) -> Cluster | None:
        common, own = self.connects()
        if self.findings:
            return None
        hosts = [
            Host(name, each.address, roles=each.roles, vars=each.vars, connect=own[name])
            for name, each in self.hosts.items()
        ]
        role_vars = {name: role.vars for name, role in self.roles.items() if role.vars is not None}
        return Cluster(hosts, vars=self.vars, connect=common, role_vars=role_vars)
