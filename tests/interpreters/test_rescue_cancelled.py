"""A step that a policy's stop cancelled is rescued all the same; where the user ends the run, it is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import kxflow as kx
from kxflow.testing.plugin import MakeEmbeddedFleet


def pipeline(folder: Path, *mend: kx.Step[kx.Output], bad: str = "exit 1") -> kx.Pipeline:
    """While host2 is at work on what would be mended, host1 fails."""

    def on_host1(ctx: kx.HostContext) -> bool:
        return ctx.host.name == "host1"

    fails = kx.command("fails", f"until test -e {folder}/began; do sleep 0.02; done; {bad}").when(on_host1)
    work = kx.command("work", f"trap '' TERM; echo at work; touch {folder}/began; sleep 60 & sleep 60")
    steps = [fails, work.rescue(*mend), kx.command("next", f"touch {folder}/next")]
    task = kx.task("t", *steps, policy=kx.fail_fast(cancel=True))
    return kx.pipeline("p", kx.module("m", task, after=kx.task("after", kx.command("last", "true"))))


def on_host2(report: kx.Report) -> dict[str, str]:
    """Status of each step there."""
    return {each.step: each.status.name for each in report if each.host == "host2"}


@pytest.mark.parametrize("fuse", [True, False])
def test_a_cancelled_step_is_rescued_and_nothing_else_begins(
    embedded_fleet: MakeEmbeddedFleet, tmp_path: Path, fuse: bool
) -> None:
    """Its rescue steps run, and those of a rescue step, though the task has stopped: else nobody would clean up."""
    sure = kx.command("sure", "exit 3").rescue(kx.command("own", "true"))
    its = pipeline(tmp_path, kx.command("mend", f"touch {tmp_path}/mended"), sure)
    report = kx.report_of(kx.run(its, embedded_fleet(2).cluster, fuse=fuse))
    assert on_host2(report) == {
        "fails": "Skipped",
        "work": "Cancelled",
        "mend": "Succeeded",
        "sure": "Failed",
        "own": "Succeeded",
        "next": "NotRun",
        "last": "Succeeded",
    }
    cancelled, after = (each for each in report if (each.host, each.step) in (("host2", "work"), ("host2", "next")))
    assert cancelled.tolerated
    assert str(cancelled.stdout) == "at work\n"
    assert after.reason.startswith("stopped: m/t: ")
    assert (tmp_path / "mended").exists()
    assert not (tmp_path / "next").exists()


def test_a_rescue_that_fails_then_puts_the_host_out(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """What rescues it further is not run, and the record names the fault."""
    its = pipeline(tmp_path, kx.command("mend", "exit 4"), kx.command("more", "true"))
    report = kx.report_of(kx.run(its, embedded_fleet(2).cluster))
    assert on_host2(report)["mend"] == "Failed"
    reasons = {each.step: each.reason for each in report if each.host == "host2" and each.status is kx.Status.NotRun}
    assert reasons == {"more": "blocked: p/m/t/mend", "next": "blocked: p/m/t/mend"}


def test_where_the_user_ends_the_run_nothing_is_rescued(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """Told once, steps in flight end by themselves; told twice, they are cancelled, and nothing more begins."""
    its = pipeline(tmp_path, kx.command("mend", f"touch {tmp_path}/mended"), bad="sleep 60")

    async def main() -> kx.Report:
        events = kx.stream(its, embedded_fleet(2).cluster)
        kept = []
        async with events:
            async for event in events:
                kept.append(event)
                if isinstance(event, kx.StepBegan) and (event.host, event.step) == ("host2", "work"):
                    events.stop("enough")
                    events.stop("now")
        return kx.fold(kept)

    report = asyncio.run(main())
    assert on_host2(report) == {
        "fails": "Skipped",
        "work": "Cancelled",
        "mend": "NotRun",
        "next": "NotRun",
        "last": "NotRun",
    }
    assert not (tmp_path / "mended").exists()


def test_a_rescue_in_progress_is_ended_with_the_run(embedded_fleet: MakeEmbeddedFleet, tmp_path: Path) -> None:
    """It is a step as any other for the user."""
    its = pipeline(tmp_path, kx.command("mend", "sleep 60"), kx.command("more", "true"))

    async def main() -> kx.Report:
        events = kx.stream(its, embedded_fleet(2).cluster)
        kept = []
        async with events:
            async for event in events:
                kept.append(event)
                if isinstance(event, kx.StepBegan) and event.step == "mend":
                    events.stop("enough")
                    events.stop("now")
        return kx.fold(kept)

    found = on_host2(asyncio.run(main()))
    assert (found["mend"], found["more"], found["next"]) == ("Cancelled", "NotRun", "NotRun")
