"""What a policy sees, and what it says."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen
from frozendict import frozendict

from kxflow.values.cluster import Cluster
from kxflow.values.host import Host
from kxflow.values.result import Status


@frozen
class Tally:
    """How the hosts of a task (or of a whole run, for a `guard`) stand.

    Attributes:
        hosts: Those selected; percentages are of their number.
        faults: The first untolerated fault of each host that has one; may be a view that grows.
        cluster: The fleet, for policies that go by roles.
    """

    hosts: tuple[Host, ...]
    faults: Mapping[str, Status] = frozendict()
    cluster: Cluster = field(factory=Cluster, repr=False)

    @property
    def failed(self) -> int:
        """Number of hosts with an untolerated fault."""
        return len(self.faults)

    @property
    def total(self) -> int:
        """Number of hosts selected."""
        return len(self.hosts)


@frozen
class Verdict:
    """Go on, or stop and why.

    Attributes:
        stops: No host begins another step.
        cancel: Steps in flight are ended too.
        reason: What made it stop.
    """

    stops: bool = False
    cancel: bool = False
    reason: str = ""


GO_ON = Verdict()
