"""The connector that reaches each host its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kxflow.connectors.local import LocalConnector
from kxflow.connectors.via import ViaConnector
from kxflow.interpreters.ports import Connector, Link
from kxflow.values.cluster import Cluster
from kxflow.values.host import Connect, Host, Local, Ssh, Via


def _ssh() -> Connector:
    from kxflow.connectors.ssh import SshConnector  # 0.25 s: only when an SSH host is met

    return SshConnector()


_MAKERS: Final[dict[type[Connect], Callable[[], Connector]]] = {Ssh: _ssh, Local: LocalConnector, Via: ViaConnector}


class ChoosingConnector:
    """By what `cluster.connect_of(host)` says; a kind's connector is made when first needed.

    Args:
        makers: Connector by kind, for those that are not to be the usual ones.
    """

    def __init__(self, makers: dict[type[Connect], Callable[[], Connector]] | None = None) -> None:
        self._makers = {**_MAKERS, **(makers or {})}
        self._made: dict[type[Connect], Connector] = {}

    async def connect(self, host: Host, cluster: Cluster) -> Link:
        """Reach a host its own way.

        Raises:
            ReachError: It could not be reached.
        """
        kind = type(cluster.connect_of(host))
        if kind not in self._made:
            self._made[kind] = self._makers[kind]()
        return await self._made[kind].connect(host, cluster)

    async def aclose(self) -> None:
        """Close those that were made."""
        for each in self._made.values():
            await each.aclose()
        self._made.clear()


def default_connector() -> Connector:
    """A fresh connector for SSH, local and `Via` hosts; one for each run.

    >>> type(default_connector()).__name__
    'ChoosingConnector'
    """
    return ChoosingConnector()
