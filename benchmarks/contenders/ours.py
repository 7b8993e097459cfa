"""The library itself, as its README shows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import kxflow as kx
from benchmarks.contenders.common import Job, contend, text_of


def cluster(job: Job) -> kx.Cluster:
    """The hosts, their keys checked."""
    way = {"user": job["user"], "key_files": (job["key"],), "known_hosts": (job["known_hosts"],), "agent": False}
    hosts = [
        kx.Host(seat["name"], seat["address"], connect=kx.Ssh(port=seat["port"], **way))  # type: ignore[arg-type]  # by name
        for seat in job["hosts"]
    ]
    return kx.Cluster(hosts)


def run(job: Job, *steps: kx.Step[Any], **options: Any) -> kx.Report:
    """One task of these steps on all hosts.

    Raises:
        AssertionError: It did not succeed.
    """
    given = {name: value for name, value in job.get("variant", {}).items() if name in ("concurrency", "connects")}
    pipeline = kx.pipeline("bench", kx.module("m", kx.task("t", *steps)))
    report = kx.report_of(kx.run(pipeline, cluster(job), **{**given, **options}))
    if not report.succeeded:
        raise AssertionError(str(report.first_fault))
    return report


def echo(job: Job) -> dict[str, list[str]]:
    """Each command a step; recorded where the job says so."""
    steps = [kx.command(f"c{i}", text) for i, text in enumerate(job["commands"])]
    options: dict[str, Any] = {}
    if job.get("variant", {}).get("record"):
        log = Path(job["folder"], "run.ndjson")
        options["sinks"] = [kx.ndjson(log), kx.console()]
    found: dict[str, list[str]] = {seat["name"]: [] for seat in job["hosts"]}
    for result in run(job, *steps, **options):
        found[result.host].append(text_of(str(result.stdout)))
    return found


def config4(job: Job) -> dict[str, Any]:
    """Four resources."""
    from kxflow.resources import file, user

    content = Path(job["source"]).read_bytes()
    report = run(
        job,
        user("kxbench", shell="/bin/sh"),
        file("/opt/kxbench-file", owner="kxbench", mode=0o640),
        file("/opt/kxbench-copy", content=content, owner="root", mode=0o644),
        kx.command("say", f"echo {job['token']}"),
    )
    return {result.host: text_of(str(result.stdout)) for result in report if result.step == "say"}


def output(job: Job) -> dict[str, Any]:
    """One command that says much; what is kept of it, and the digest of all of it."""
    report = run(job, kx.command("much", job["commands"][0]))
    return {result.host: [result.stdout.size, result.stdout.sha256] for result in report}


def upload(job: Job) -> dict[str, Any]:
    """A file to every host."""
    from kxflow.resources import file

    @kx.step
    def put(ctx: kx.HostContext) -> kx.Step[Any]:
        return file(job["target"].format(name=ctx.host.name), source=job["source"])

    return {result.host: result.status.name for result in run(job, put)}


def engine(job: Job) -> dict[str, int]:
    """Hosts that answer from memory, the stream of events read, all of it recorded."""
    from kxflow.values.event import StepEnded

    hosts = kx.Cluster([kx.Host(f"h{i}") for i in range(job["count"])])
    steps = [kx.command(f"c{i}", "true") for i in range(job["steps"])]
    pipeline = kx.pipeline("bench", kx.module("m", kx.task("t", *steps)))
    sinks = [] if job.get("variant", {}).get("bare") else [kx.ndjson(Path(job["folder"], "run.ndjson"))]

    async def read() -> int:
        results = 0
        async with kx.stream(pipeline, hosts, connector=kx.MemoryConnector(), sinks=sinks) as events:
            async for event in events:
                if isinstance(event, StepEnded):
                    results += event.result.status is kx.Status.Succeeded
        return results

    return {"results": asyncio.run(read())}


if __name__ == "__main__":
    over_ssh = ["kxflow.edge", "kxflow.connectors.ssh"]
    contend(
        {"echo": echo, "config4": config4, "output": output, "upload": upload, "engine": engine},
        {
            "config4": [*over_ssh, "kxflow.resources"],
            "upload": [*over_ssh, "kxflow.resources"],
            "engine": ["kxflow.edge", "kxflow.sinks.ndjson"],
            "": over_ssh,
        },
    )
