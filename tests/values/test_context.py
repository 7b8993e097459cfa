"""A context: the environment of a step, and nothing else."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

import kxflow as kx
from kxflow.values.context import NoRunner

FLEET = kx.Cluster([kx.Host("web1", roles={"web"}, vars={"port": 80}), kx.Host("db1")], vars={"domain": "example.org"})


def test_a_context_is_made_of_a_name() -> None:
    """Of a host of the cluster, or of a new one alone."""
    ctx = kx.context("web1", FLEET)
    assert (ctx.host, ctx.cluster, ctx.run) == (FLEET["web1"], FLEET, "-")
    alone = kx.context("new")
    assert (alone.host, alone.cluster) == (kx.Host("new"), kx.Cluster([kx.Host("new")]))


def test_a_context_is_made_of_a_host() -> None:
    """Around it the cluster, or none but it."""
    assert kx.context(FLEET["db1"], FLEET).host is FLEET["db1"]
    assert kx.context(kx.Host("x", roles={"web"})).cluster.names == ("x",)


def test_variables_have_their_precedence_applied() -> None:
    """Those given lie over all others."""
    assert dict(kx.context("web1", FLEET).vars) == {"domain": "example.org", "port": 80}
    assert kx.context("web1", FLEET, vars={"port": 81}, run="r1").vars["port"] == 81
    assert kx.context("web1", FLEET, run="r1").run == "r1"


@pytest.mark.parametrize("host", ["web2", kx.Host("web2")])
def test_a_host_that_the_cluster_does_not_hold_is_refused(host: Any) -> None:
    """By its name, with near ones."""
    with pytest.raises(kx.UnknownHostError, match="no host 'web2' in the cluster: did you mean 'web1'"):
        kx.context(host, FLEET)


@pytest.mark.parametrize("cluster", [None, FLEET])
def test_something_that_is_no_host_is_refused(cluster: Any) -> None:
    """It says what can be given."""
    make: Any = kx.context
    with pytest.raises(kx.InvalidError, match="a context of an int: give a host, or a name"):
        make(5, cluster)


def test_a_context_has_no_state() -> None:
    """Host, cluster, run and the one capability; frozen, and equal whoever performs."""
    ctx: Any = kx.context("web1", FLEET)
    assert [each.name for each in attrs.fields(kx.HostContext)] == ["host", "cluster", "run", "runner"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ctx.run = "other"
    assert ctx == kx.context("web1", FLEET, runner=NoRunner())
    assert hash(ctx) == hash(kx.context("web1", FLEET))
    assert "runner" not in repr(ctx)


def test_a_context_without_a_runner_performs_nothing() -> None:
    """It says how to get one; only the pure half of a step can be tried with it."""
    ctx = kx.context("web1")

    async def work() -> None:
        await ctx.runner.pause(5)
        await ctx.runner.perform(kx.cmd("reboot"))

    with pytest.raises(kx.InvalidError, match=r"nothing performs reboot: give kx.context\(…, runner=…\) or use kx.run"):
        anyio.run(work)
    assert ctx.runner.monotonic() == 0.0
    assert ctx.runner.now().timestamp() == 0.0
    assert repr(ctx.runner) == "NoRunner()"
