"""Fleets and hosts of the imagination that the tests of the interpreters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kxflow as kx
from kxflow.values.action import Command

FLEET = kx.Cluster(
    [
        kx.Host("db1", roles={"db"}),
        kx.Host("web1", roles={"web"}),
        kx.Host("web2", roles={"web"}),
        kx.Host("web3", roles={"web"}),
    ]
)

Said = kx.Reply | str | int | None


def answering(replies: Mapping[str, Said | Callable[[kx.Host], Said]]) -> kx.MemoryConnector:
    """Hosts that give these replies to commands by their text; any other succeeds with its text as output."""

    def answer(host: kx.Host, command: Command[Any]) -> Said:
        reply = replies.get(str(command), str(command))
        return reply(host) if callable(reply) else reply

    return kx.MemoryConnector(answer)


def on_host(name: str, there: Said, elsewhere: Said = 0) -> Callable[[kx.Host], Said]:
    """One reply on one host, another on all others."""
    return lambda host: there if host.name == name else elsewhere


def report(
    pipeline: kx.Pipeline, connector: kx.MemoryConnector | None = None, cluster: kx.Cluster = FLEET, **options: Any
) -> kx.Report:
    """The report of a run in memory."""
    return kx.report_of(kx.run(pipeline, cluster, connector=connector or answering({}), **options))


def one_task(*steps: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """A pipeline of one task."""
    policy = options.pop("policy", kx.keep_going())
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, **options)), policy=policy)


def statuses(its: kx.Report, step: str) -> dict[str, str]:
    """Status names of one step by host."""
    return {each.host: each.status.name for each in its if each.step == step}
