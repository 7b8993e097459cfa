"""Sinks, journals, connectors and stores that users write: no class to inherit from, only methods to have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import kxflow as kx
from kxflow.interpreters.ports import Exit, Link, Process, Sent
from kxflow.services.store import TaskRecord, TaskStatus
from kxflow.testing import check_connector, check_sink


def shout(event: kx.Event) -> None:
    """A function is a sink."""


class Counting:
    """So is an object that can be called; it may have `close`."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, event: kx.Event, /) -> int:
        """What it gives is not looked at."""
        self.seen += 1
        return self.seen

    def close(self) -> None:
        """Called once, at the end."""


class Remembering:
    """A journal: it is awaited."""

    async def begin(self, event: kx.RunBegan) -> None:
        """The run begins."""

    async def sent(self, steps: Sequence[Sent]) -> None:
        """These are about to be sent."""

    async def ended(self, results: Sequence[kx.StepResult]) -> None:
        """These ended."""

    async def finish(self, event: kx.RunEnded) -> None:
        """The run is over."""

    async def aclose(self) -> None:
        """Nothing to give up."""


class Nowhere:
    """A process that is none."""

    async def write(self, data: bytes) -> None:
        """Drop it."""

    async def close_stdin(self) -> None:
        """Nothing to close."""

    async def read_stdout(self) -> bytes:
        """The end."""
        return b""

    async def read_stderr(self) -> bytes:
        """The end."""
        return b""

    async def wait(self) -> Exit:
        """At once."""
        return Exit(0)

    async def kill(self) -> None:
        """Nothing to end."""


class Line:
    """A link."""

    alive = True

    async def spawn(self, argv: Sequence[str]) -> Process:
        """A process."""
        return Nowhere()

    async def aclose(self) -> None:
        """Nothing to close."""


class Dialling:
    """A connector."""

    async def connect(self, host: kx.Host, cluster: kx.Cluster) -> Link:
        """A link to a host."""
        return Line()

    async def aclose(self) -> None:
        """Nothing to give up."""


class Forgetting:
    """A store."""

    async def create(self, record: TaskRecord) -> None:
        """Take a record."""

    async def update_status(
        self, task_id: str, status: TaskStatus, *, at: dt.datetime, error: str | None = None
    ) -> None:
        """Set the status."""

    async def append_logs(self, task_id: str, logs: Sequence[kx.StepLog]) -> None:
        """Add logs."""

    async def get(self, task_id: str) -> TaskRecord:
        """None is kept."""
        raise LookupError(task_id)

    async def logs(self, task_id: str) -> tuple[kx.StepLog, ...]:
        """None is kept."""
        return ()


a_function: kx.Sink = shout
an_object: kx.Sink = Counting()
seen: list[kx.Event] = []
a_bound_method: kx.Sink = seen.append
a_journal: kx.Journal = Remembering()
a_connector: kx.Connector = Dialling()
a_store: kx.Store = Forgetting()
ours: tuple[kx.Sink, kx.Journal, kx.Connector, kx.Store] = (
    kx.tee(kx.memory(), shout),
    kx.ndjson("run.ndjson"),
    kx.MemoryConnector(),
    kx.MemoryStore(),
)


async def use() -> None:
    """They go where ours go."""
    whole = kx.pipeline("p")
    fleet = kx.Cluster([kx.Host("web1")])
    await kx.arun(whole, fleet, sinks=[shout, Counting(), Remembering()], connector=Dialling())
    async with kx.stream(whole, fleet) as events:
        await kx.record_run(events, Forgetting())
    await check_connector(Dialling, host=fleet["web1"], cluster=fleet)
    check_sink(Counting, read=lambda _: [])
