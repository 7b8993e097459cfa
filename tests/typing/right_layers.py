"""Layers, and what a run gives back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import assert_type

from returns.future import FutureResult
from returns.io import IOResult

import kxflow as kx
from kxflow import Report, StepResult

hello = kx.command("hello", "echo hello")
web = kx.role("web") & ~kx.host("web1") | kx.first(kx.where(lambda host: host.name.startswith("db")))
some = kx.task(
    "some", hello, kx.steps(hello.named("again"), kx.steps()), on=web, waves=kx.waves(1, "50%"), concurrency=3
)
part = kx.module(
    "part", some.retry(1).ignore_errors(), when=lambda cluster: len(cluster) > 1, before=[some], after=some
)
whole = kx.pipeline("whole", part, policy=kx.max_failures("10%") & kx.quorum(web, 2) | kx.fail_fast(cancel=True))
fleet = kx.Cluster([kx.Host("web1", vars={"port": 80}, connect=kx.Ssh(user="ops", become="root", jump="bastion"))])

assert_type(some, kx.Task)
assert_type(part, kx.Module)
assert_type(whole.only("part"), kx.Pipeline)
assert_type(fleet["web1"], kx.Host)


def run() -> None:
    """A run blocks, and both tracks carry the report."""
    outcome = kx.run(whole, fleet, sinks=[kx.ndjson("run.ndjson"), kx.console()], concurrency=10, fuse=False)
    assert_type(outcome, IOResult[Report, Report])
    report = kx.report_of(outcome)
    assert_type(report, Report)
    assert_type(report["some/hello", "web1"], StepResult)
    assert_type(report.by_host(), Mapping[str, tuple[StepResult, ...]])
    assert_type(report.first_fault, StepResult | None)
    assert_type(kx.either(outcome, lambda good: 0, lambda bad: len(bad.faulty)), int)
    assert_type(report + Report.empty, Report)


async def follow() -> None:
    """A stream is an iterator of events and a context manager; a step that is called gives a container."""
    assert_type(await kx.arun(whole, fleet), IOResult[Report, Report])
    async with kx.stream(whole, fleet, output=True) as events:
        stream: AsyncIterator[kx.Event] = events
        async for event in stream:
            match event:
                case kx.StepEnded(result):
                    assert_type(result, StepResult)
                case kx.OutputChunk():
                    assert_type(event.data, bytes)
                case _:
                    pass
    assert_type(hello(kx.context("web1")), FutureResult[StepResult, StepResult])
