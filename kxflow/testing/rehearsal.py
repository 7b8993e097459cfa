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
from kxflow.flow.layout import Layout
from kxflow.testing.accounts import Login
from kxflow.testing.changes import Changes
from kxflow.testing.clone import CloneFleet, clone_fleet
from kxflow.testing.fleet import me
from kxflow.values.cluster import Cluster
from kxflow.values.host import Become, Host, Ssh, Via
from kxflow.values.outcome import report_of
from kxflow.values.report import Report
from kxflow.values.secret import Secret

Rehearsed: TypeAlias = tuple[Report, Mapping[str, Changes]]


def rehearse(pipeline: Pipeline, cluster: Cluster, *, prepare: str = "", **options: Any) -> Rehearsed:
    """Run a pipeline on clones of this machine instead of the hosts of a cluster.

    Each host that a step is done on has a clone, with its name, address, roles and variables; the user who would log in
    there by SSH exists, may use sudo, with the cluster's password where it gives one, and starts the steps. Where this
    does not run as root, the clones have no other user than root, who then starts all of them. Selectors, and steps
    that read of other hosts, see the cluster whole.

    Args:
        pipeline: What is to be tried out.
        cluster: The hosts that it is meant for; none of them is touched.
        prepare: A text for a shell, run once as root: what the hosts have and this machine has not.
        options: Those of `run`, such as `sinks=`.

    Returns:
        The report, and what was changed on each host, by name; on one without a clone that is nothing.

    Raises:
        CompositionError: The pipeline does not fit together, or not to this cluster.
        InvalidError: An option that cannot be, or `prepare` failed.
        MissingError: No clones can be made here.
    """
    used = _used(checked(pipeline, cluster))
    with clone_fleet(
        names=[each.name for each in used], accounts=_logins(cluster, used), prepare=prepare, via=True
    ) as its:
        report = report_of(run(pipeline, _replaced(cluster, used, its), **options))
        changed = {each.name: its.changed(each.name) for each in used}
        return report, frozendict({name: changed.get(name, Changes()) for name in cluster.names})


_ROOT: Final = "root"
_NOWHERE: Final = Via("sh", "-c", 'echo "no step was to be done here: it has no clone" >&2; exit 255')
"""Whom no clone stands for is not reached at all, whatever happens: least of all the host itself."""


def _used(layout: Layout) -> tuple[Host, ...]:
    """Hosts that a step is done on: those of its task, and the one that `.on(…)` takes for them."""
    names: set[str] = set()
    for plan in layout.enabled:
        for slot in plan.slots if plan.hosts else ():
            target = slot.step.target
            names.update(each.name for each in (plan.hosts if target is None else target(layout.cluster)))
    return tuple(each for each in layout.cluster.hosts if each.name in names)


def _user(cluster: Cluster, host: Host) -> str:
    """Who logs in there; without SSH it is whoever runs this, which is root."""
    way = cluster.connect_of(host)
    return (way.user or me()) if isinstance(way, Ssh) and _many_users() else _ROOT


def _many_users() -> bool:
    return os.geteuid() == 0


def _replaced(cluster: Cluster, used: tuple[Host, ...], fleet: CloneFleet) -> Cluster:
    """The same cluster, reached where the clones are, or not at all."""
    ways: dict[str, Ssh | Via] = dict.fromkeys(cluster.names, _NOWHERE)
    for host in used:
        become = cluster.connect_of(host).become if _many_users() else None
        ways[host.name] = fleet.way(host.name, _user(cluster, host), become=become)
    return evolve(cluster, hosts=[evolve(each, connect=ways[each.name]) for each in cluster.hosts])


def _logins(cluster: Cluster, used: tuple[Host, ...]) -> tuple[Login, ...]:
    """Who logs in, with the password that sudo asks for where all hosts give one; whom `su` asks for theirs."""
    if not _many_users():
        return ()
    by_user: dict[str, list[Become | None]] = {}
    asked: dict[str, Secret] = {}
    for host in used:
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
