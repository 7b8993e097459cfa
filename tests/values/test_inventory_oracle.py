"""Ansible inventories say here what Ansible itself says of them.

The expected data was recorded with `ansible-inventory -i FILE --list` of ansible-core 2.19.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kxflow.values.cluster import Cluster
from kxflow.values.freeze import freeze, jsonable
from kxflow.values.host import Host, Ssh

DATA = Path(__file__).parent / "inventories"
FILES = ["ranges.ini", "groups.ini", "nested.yml", "beside/hosts.ini"]
REACH = {"ansible_host", "ansible_port", "ansible_user"}


def expected_of(name: str) -> dict[str, Any]:
    """What Ansible said of a file."""
    path = DATA / name
    found: dict[str, Any] = json.loads(path.with_name(f"{path.stem}.expected.json").read_text())
    return found


def groups_of(host: str, said: dict[str, Any]) -> set[str]:
    """The groups of a host and all above them, from Ansible's lists of hosts and children."""
    names = {name for name, group in said.items() if name != "_meta" and host in group.get("hosts", ())}
    while (
        more := {name for name, group in said.items() if name != "_meta" and names & set(group.get("children", ()))}
        - names
    ):
        names |= more
    return names - {"all", "ungrouped"}


def ssh_of(cluster: Cluster, host: Host) -> Ssh:
    """How a host is reached, which is by SSH."""
    connect = cluster.connect_of(host)
    assert isinstance(connect, Ssh)
    return connect


@pytest.mark.parametrize("name", FILES)
def test_hosts_are_those_that_ansible_sees(name: str) -> None:
    """No host more, none less."""
    said = expected_of(name)
    listed = {host for key, group in said.items() if key != "_meta" for host in group.get("hosts", ())}
    assert set(Cluster.load(DATA / name).names) == listed


@pytest.mark.parametrize("name", FILES)
def test_roles_are_the_groups_and_all_above_them(name: str) -> None:
    """`all` and `ungrouped` are no roles."""
    said = expected_of(name)
    for host in Cluster.load(DATA / name):
        assert host.roles == groups_of(host.name, said), host.name


@pytest.mark.parametrize("name", FILES)
def test_variables_are_those_that_ansible_merges(name: str) -> None:
    """Every variable of every host, with its type; what became a connection setting is none any more."""
    said = expected_of(name)["_meta"]["hostvars"]
    cluster = Cluster.load(DATA / name)
    for host in cluster:
        wanted = {key: value for key, value in said.get(host.name, {}).items() if key not in REACH}
        assert jsonable(cluster.vars_of(host)) == freeze(wanted), host.name


@pytest.mark.parametrize("name", FILES)
def test_connections_are_what_ansible_would_use(name: str) -> None:
    """Address, port and user of every host."""
    said = expected_of(name)["_meta"]["hostvars"]
    cluster = Cluster.load(DATA / name)
    for host in cluster:
        wanted = said.get(host.name, {})
        ssh = ssh_of(cluster, host)
        assert host.address == wanted.get("ansible_host", host.name)
        assert ssh.port == wanted.get("ansible_port", 22)
        assert ssh.user == wanted.get("ansible_user")


def test_hosts_stand_in_the_order_of_first_appearance() -> None:
    """Not in the order of groups or names."""
    assert Cluster.load(DATA / "groups.ini").names == ("early", "web1", "web2", "db1", "edge1")
    assert Cluster.load(DATA / "nested.yml").names == ("lone", "web01", "web02", "web03", "web9.example.org", "db1")


def test_group_variables_are_role_variables_in_the_order_in_which_they_apply() -> None:
    """A parent before its child, a lower priority before a higher, then by name."""
    cluster = Cluster.load(DATA / "groups.ini")
    assert list(cluster.role_vars) == ["site", "prod", "edge", "db-main", "web"]
    assert cluster.vars == {"env": "all", "ntp": "192.0.2.1", "level_u": "all"}
    assert cluster.role_vars["web"] == {"port": 80, "level": "web", "level_a": "web"}
    assert cluster["web1"].vars.keys() == {"weight", "path", "flag"}


def test_a_host_carries_only_what_the_layers_cannot_say() -> None:
    """A file beside the inventory beats every group of the inventory itself, also of a group that comes later."""
    cluster = Cluster.load(DATA / "beside" / "hosts.ini")
    assert cluster.vars == {"b": "all-beside", "z": "all-beside"}
    assert cluster["web2"].vars == {"a": "db-beside", "b": "all-beside"}
