"""Sinks, journals, connectors and stores that are none."""

from __future__ import annotations

from collections.abc import Sequence

import kxflow as kx
from kxflow.interpreters.ports import Sent


def takes_nothing() -> None:
    """A sink takes an event."""


def takes_a_result(result: kx.StepResult) -> None:
    """Events are more than results."""


class Halfway:
    """A journal that cannot be given up."""

    async def begin(self, event: kx.RunBegan) -> None: ...
    async def sent(self, steps: Sequence[Sent]) -> None: ...
    async def ended(self, results: Sequence[kx.StepResult]) -> None: ...
    async def finish(self, event: kx.RunEnded) -> None: ...


class NotAwaited:
    """A connector that does not wait."""

    def connect(self, host: kx.Host, cluster: kx.Cluster) -> str:
        return host.name

    async def aclose(self) -> None: ...


one: kx.Sink = takes_nothing  # E: assignment
two: kx.Sink = takes_a_result  # E: assignment
three: kx.Journal = Halfway()  # E: assignment
four: kx.Connector = NotAwaited()  # E: assignment
five: kx.Store = Halfway()  # E: assignment
six: kx.Sink = kx.ndjson("run.ndjson")  # E: assignment

whole = kx.pipeline("p")
fleet = kx.Cluster([kx.Host("web1")])
kx.run(whole, fleet, sinks=[takes_nothing])  # E: list-item
kx.run(whole, fleet, sinks=kx.console())  # E: arg-type
kx.run(whole, fleet, connector=NotAwaited())  # E: arg-type
kx.run(whole, fleet, forks=5)  # E: call-arg
kx.run(fleet, whole)  # E: arg-type
