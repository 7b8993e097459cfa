"""The environment of a step, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

from kxflow.values.action import Action
from kxflow.values.arguments import kind
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.freeze import Vars
from kxflow.values.host import Host
from kxflow.values.result import Performed


class Runner(Protocol):
    """The one capability of a context: perform an action on this host. Time is part of it."""

    async def perform(self, action: Action[Any]) -> Performed:
        """Do it and give back what came of it; trouble on the host is never raised."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def now(self) -> dt.datetime:
        """Wall clock, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class NoRunner:
    """The runner of a context that is only looked at."""

    async def perform(self, action: Action[Any]) -> Performed:
        """Refuse.

        Raises:
            InvalidError: Always.
        """
        raise InvalidError(f"nothing performs {action}", "give kx.context(…, runner=…) or use kx.run")

    async def pause(self, seconds: float) -> None:
        """Let no time pass."""

    def now(self) -> dt.datetime:
        """The epoch."""
        return dt.datetime.fromtimestamp(0, dt.UTC)

    def monotonic(self) -> float:
        """Zero."""
        return 0.0

    def __repr__(self) -> str:
        return "NoRunner()"


@frozen
class HostContext:
    """Where a step is: the host, its cluster, the run, and the capability to act. No state, no callbacks.

    Attributes:
        host: The host that the step is for.
        cluster: The fleet that it belongs to.
        run: Id of the run.
        runner: Performs an action on this host.
    """

    host: Host
    cluster: Cluster
    run: str = "-"
    runner: Runner = field(factory=NoRunner, repr=False, eq=False)

    @property
    def vars(self) -> Vars:
        """Every variable that holds for this host, precedence applied."""
        return self.cluster.vars_of(self.host)


def context(
    host: Host | str,
    cluster: Cluster | None = None,
    *,
    vars: Mapping[str, Any] | None = None,  # noqa: A002 -- the field's word
    run: str = "-",
    runner: Runner | None = None,
) -> HostContext:
    """A context to try a step with.

    >>> context("web1", vars={"port": 80}).vars["port"]
    80

    Args:
        host: A host, or a name: of a host of the cluster, or of a new one.
        cluster: The fleet around it; only this host, where not given.
        vars: Variables over all others.
        run: Id of the run.
        runner: Performs actions; where none is given, only the pure half of a step can be tried.

    Raises:
        UnknownHostError: The cluster does not hold that host.
        InvalidError: It is neither a host nor a name.
    """
    if isinstance(host, str):
        host = cluster[host] if cluster is not None else Host(host)
    if not isinstance(host, Host):
        raise InvalidError(f"a context of {kind(host)}", 'give a host, or a name: context("web1")')
    fleet = Cluster([host]) if cluster is None else cluster
    fleet.rank(host.name)
    return HostContext(host, fleet.override(vars or {}), run, runner or NoRunner())
