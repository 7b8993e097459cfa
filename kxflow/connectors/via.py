"""Reach a host by a command on this machine that runs what follows it there: docker, podman, kubectl, chroot."""

from __future__ import annotations

from kxflow.connectors.local import LocalLink
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, Via


class ViaConnector:
    """Puts the prefix of the host's `Via` before every command."""

    async def connect(self, host: Host, cluster: Cluster) -> LocalLink:
        """A link that starts the prefix with each command; whether it works shows at the first.

        Raises:
            InvalidError: The host is not reached by `Via`.
        """
        way = cluster.connect_of(host)
        if not isinstance(way, Via):
            raise InvalidError(f"host {host.name} has no prefix", 'give it connect=Via("docker", "exec", "-i", "web1")')
        return LocalLink(host.name, way.prefix)

    async def aclose(self) -> None:
        """Nothing is shared."""
