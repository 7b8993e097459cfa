"""A fleet as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.errors import InvalidError, UnknownHostError
from kxflow.values.freeze import Vars, frozen_vars, shown
from kxflow.values.host import Connect, Host, Ssh, check_connect, hosts_tuple, role_vars

if TYPE_CHECKING:
    from pathlib import Path


@frozen(repr=False)
class Cluster:
    """Hosts in their order, with what they share.

    A variable is looked up in the overrides (`--set`), the host, its roles (a later role in `role_vars` wins),
    then here.

    >>> fleet = Cluster([Host("web1", roles={"web"}), Host("db1")], vars={"domain": "example.org"})
    >>> fleet.vars_of(fleet["web1"])["domain"]
    'example.org'

    Attributes:
        hosts: In the order given; results come in this order.
        vars: Variables of every host, lowest precedence.
        connect: How hosts are reached that say nothing of their own.
        role_vars: Variables by role; a role that comes later wins.
        overrides: Variables over all others.

    Raises:
        InvalidError: Two hosts with one name, or something that is no host.
    """

    hosts: tuple[Host, ...] = field(default=(), converter=hosts_tuple)
    vars: Vars = field(factory=dict, converter=frozen_vars, kw_only=True)
    connect: Connect = field(factory=Ssh, validator=check_connect, kw_only=True)
    role_vars: Mapping[str, Vars] = field(factory=dict, converter=role_vars, kw_only=True)
    overrides: Vars = field(factory=dict, converter=frozen_vars, kw_only=True)
    _ranks: frozendict[str, int] = field(factory=frozendict, kw_only=True, repr=False, eq=False)
    _by_name: frozendict[str, Host] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_name", frozendict({host.name: host for host in self.hosts}))
        places = [self._ranks.get(name, -1) for name in self._by_name]
        if any(later <= earlier for earlier, later in pairwise([-1, *places])):  # no part of the fleet they are of
            object.__setattr__(self, "_ranks", frozendict({name: i for i, name in enumerate(self._by_name)}))

    @staticmethod
    def load(path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> Cluster:
        """Read an inventory: our TOML (`*.toml`), or Ansible INI or YAML.

        Raises:
            InventoryError: Everything that is wrong with it, each with file and line.
        """
        from pathlib import Path

        from kxflow.values.inventory import load

        return load(Path(path)).override(overrides or {})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hosts, in order."""
        return tuple(self._by_name)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that a host has, sorted."""
        return tuple(sorted({role for host in self.hosts for role in host.roles}))

    def vars_of(self, host: Host) -> Vars:
        """Every variable that holds for a host, precedence applied."""
        merged: dict[str, Any] = dict(self.vars)
        for role, its in self.role_vars.items():
            if role in host.roles:
                merged.update(its)
        merged.update(host.vars)
        merged.update(self.overrides)
        return frozendict(merged)

    def connect_of(self, host: Host) -> Connect:
        """How a host is reached: its own way, or the cluster's."""
        return host.connect or self.connect

    def rank(self, host: str) -> int:
        """A host's place in the whole cluster, also in a part of it that `only` gave.

        Raises:
            UnknownHostError: This cluster does not hold it.
        """
        return self._ranks[self[host].name]

    def only(self, select: Callable[[Cluster], Iterable[Host]]) -> Cluster:
        """The part that a selector gives, ranks kept so that reports of parts add up.

        Raises:
            InvalidError: The selector matches no host.
        """
        chosen = {host.name for host in select(self)}
        if not chosen:
            raise InvalidError(f"{select} matches no host", f"roles here: {', '.join(self.roles) or 'none'}")
        return evolve(self, hosts=[host for host in self.hosts if host.name in chosen])

    def override(self, values: Mapping[str, Any]) -> Cluster:
        """The same fleet with variables set over all others."""
        return evolve(self, overrides={**self.overrides, **values}) if values else self

    def __getitem__(self, name: str) -> Host:
        try:
            return self._by_name[name]
        except KeyError:
            import difflib

            near = tuple(difflib.get_close_matches(str(name), self._by_name, n=2))
            raise UnknownHostError(name, near) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    def __repr__(self) -> str:
        few = ", ".join(self.names[:6]) + (", …" if len(self) > 6 else "")
        return f"Cluster({len(self)} hosts: {few})"

    def _repr_html_(self) -> str:
        from kxflow.values.markup import table, title

        columns = ("host", "address", "roles", "reached by", "variables")
        rows = ((each.name, each.address, *self._told(each)) for each in self.hosts)
        return title(repr(self)) + table(columns, rows, total=len(self))

    def _told(self, host: Host) -> tuple[str, str, str]:
        way = self.connect_of(host)
        user = f"{way.user}@" if isinstance(way, Ssh) and way.user else ""
        how = f"ssh {user}{host.address}:{way.port}" if isinstance(way, Ssh) else type(way).__name__.lower()
        variables = ", ".join(f"{name}={shown(value)}" for name, value in self.vars_of(host).items())
        return ", ".join(sorted(host.roles)), how, variables
