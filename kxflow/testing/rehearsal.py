"""A pipeline tried out on clones of this machine, one for each host that it is meant for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import evolve
from frozendict import frozendict

from kxflow.edge import run
from kxflow.flow.check import checked
from kxflow.flow.layers import Pipeline
from kxflow.testing.accounts import Login
from kxflow.testing.changes import Changes
from kxflow.testing.clone import CloneFleet, clone_fleet
from kxflow.testing.fleet import me
from kxflow.values.cluster import Cluster
from kxflow.values.host import Become, Host, Ssh
from kxflow.values.outcome import report_of
from kxflow.values.report import Report
from kxflow.values.secret import Secret

Rehearsed: TypeAlias = tuple[Report, Mapping[str, Changes]]


def rehearse(pipeline: Pipeline, cluster: Cluster, *, prepare: str = "", **options: Any) -> Rehearsed:
    """Run a pipeline on clones of this machine instead of the hosts of a cluster.

    Each host has a clone, with its name, address, roles and variables; the user who would log in there by SSH exists,
    may use sudo, with the cluster's password where it gives one, and starts the steps. Where this does not run as
    root, the clones have no other user than root, who then starts all of them.

    Args:
        pipeline: What is to be tried out.
        cluster: The hosts that it is meant for; none of them is touched.
        prepare: A text for a shell, run once as root: what the hosts have and this machine has not.
        options: Those of `run`, such as `sinks=`.

    Returns:
        The report, and what was changed on each host, by name.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster.
        InvalidError: An option that cannot be, or `prepare` failed.
        MissingError: No clones can be made here.
    """
    checked(pipeline, cluster)
    with clone_fleet(names=cluster.names, accounts=_logins(cluster), prepare=prepare, via=True) as fleet:
        report = report_of(run(pipeline, _replaced(cluster, fleet), **options))
        return report, frozendict({name: fleet.changed(name) for name in cluster.names})


_ROOT: Final = "root"


def _user(cluster: Cluster, host: Host) -> str:
    """Who logs in there; without SSH it is whoever runs this, which is root."""
    way = cluster.connect_of(host)
    return (way.user or me()) if isinstance(way, Ssh) and _many_users() else _ROOT


def _many_users() -> bool:
    return os.geteuid() == 0


def _replaced(cluster: Cluster, fleet: CloneFleet) -> Cluster:
    """The same cluster, reached where the clones are."""
    hosts = []
    for host in cluster.hosts:
        become = cluster.connect_of(host).become if _many_users() else None
        hosts.append(evolve(host, connect=fleet.way(host.name, _user(cluster, host), become=become)))
    return evolve(cluster, hosts=hosts)


def _logins(cluster: Cluster) -> tuple[Login, ...]:
    """Who logs in, with the password that sudo asks for where all hosts give one; whom `su` asks for theirs."""
    if not _many_users():
        return ()
    by_user: dict[str, list[Become | None]] = {}
    asked: dict[str, Secret] = {}
    for host in cluster.hosts:
        become = cluster.connect_of(host).become
        by_user.setdefault(_user(cluster, host), []).append(become)
        if become is not None and become.method == "su" and become.password is not None:
            asked[become.user] = become.password
    logins = [_login(user, becomes) for user, becomes in by_user.items() if user != _ROOT]
    return (*logins, *(Login(user, password=password) for user, password in asked.items()))


def _login(user: str, becomes: list[Become | None]) -> Login:
    given = [each.password for each in becomes if each is not None and each.method == "sudo" and each.password]
    if len(given) < len(becomes):
        return Login(user, sudo="nopasswd")
    return Login(user, sudo="password", password=given[0])
