"""The same pipeline on fewer hosts, or on none yet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

import kxflow as kx
from kxflow.flow.layout import lay_out
from kxflow.flow.narrow import hostless, limited
from kxflow.flow.selectors import Selector
from tests.flow.drawn import clusters, selectors, step_of
from tests.laws import laws

FLEET = kx.Cluster(
    [kx.Host("db1", roles={"db"}), kx.Host("db2", roles={"db"}), kx.Host("web1", roles={"web"}), kx.Host("web2")]
)
A = kx.command("a", "true")
COUNT = kx.command("count", "nproc", parse=int)


def takes(wanted: Any) -> kx.Step[Any]:
    """A step that takes an input."""
    return step_of(lambda ctx, value: kx.cmd("use"), "use", value=wanted)


def hosts(pipeline: kx.Pipeline, cluster: kx.Cluster = FLEET) -> dict[str, list[str]]:
    """Names of the hosts of each task."""
    return {plan.label: [host.name for host in plan.hosts] for plan in lay_out(pipeline, cluster).tasks}


def test_limited_keeps_of_each_task_the_hosts_that_are_taken() -> None:
    """Hooks too; a task that keeps none of them is empty and no problem."""
    whole = kx.pipeline(
        "p",
        kx.module("m", kx.task("db", A, on=kx.role("db")), kx.task("all", A), before=kx.task("probe", A)),
        after=kx.task("end", A),
    )
    part = limited(whole, FLEET, kx.role("web") | kx.host("web2"))
    assert hosts(part) == {
        "m/@before/probe": ["web1", "web2"],
        "m/db": [],
        "m/all": ["web1", "web2"],
        "@after/end": ["web1", "web2"],
    }
    assert kx.check(part, FLEET) == []
    assert hosts(whole)["m/db"] == ["db1", "db2"]


def test_limited_leaves_the_cluster_whole() -> None:
    """`first` and `.on` name the hosts that they name in a whole run."""
    whole = kx.pipeline(
        "p", kx.module("m", kx.task("lead", A, on=kx.first(kx.all_hosts)), kx.task("each", A.on(kx.host("db1"))))
    )
    part = limited(whole, FLEET, kx.host("web1"))
    assert hosts(part) == {"m/lead": [], "m/each": ["web1"]}


@laws(60)
@given(on=selectors(), limit=selectors(), cluster=clusters(least=1))
def test_limited_hosts_are_those_of_both(on: Selector, limit: Selector, cluster: kx.Cluster) -> None:
    """Whatever the selectors; a limit of no host at all is refused."""
    whole = kx.pipeline("p", kx.module("m", kx.task("t", A, on=on, allow_empty=True)))
    taken = [host.name for host in cluster.hosts if host in on(cluster) and host in limit(cluster)]
    if limit(cluster):
        assert hosts(limited(whole, cluster, limit), cluster) == {"m/t": taken}
    else:
        with pytest.raises(kx.InvalidError, match="matches no host"):
            limited(whole, cluster, limit)


def test_limited_to_everything_changes_no_host() -> None:
    """It is the whole."""
    whole = kx.pipeline("p", kx.module("m", kx.task("t", COUNT), kx.task("u", takes(kx.from_all(COUNT)))))
    assert hosts(limited(whole, FLEET, kx.all_hosts)) == hosts(whole)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (kx.from_one(COUNT, kx.host("db1")), "from_one of input 'value' matches 0 hosts"),
        (kx.from_all(COUNT), "input 'value' wants the value of p/m/t/count on db1, too"),
    ],
)
def test_limited_refuses_to_leave_out_a_host_whose_value_is_wanted(wanted: Any, words: str) -> None:
    """A file that lists the fleet would list a part of it; the message says that it is because of the limit."""
    whole = kx.pipeline("p", kx.module("m", kx.task("t", COUNT), kx.task("u", takes(wanted))))
    with pytest.raises(kx.CompositionError) as caught:
        limited(whole, FLEET, kx.role("web"))
    (problem,) = caught.value.problems
    assert (problem.where, problem.remedy) == (
        "p/m/u/use",
        "that is so because of the limit role:web: widen it",
    )
    assert words in problem.what


def test_limited_leaves_out_values_where_that_was_said_or_nobody_wants_them() -> None:
    """`omit` takes what there is; an empty consumer takes nothing; a limit around all producers cuts nothing."""
    count = kx.task("t", COUNT, on=kx.role("db"))
    some = kx.task("u", takes(kx.from_all(COUNT, missing="omit")))
    whole = kx.pipeline("p", kx.module("m", count, some))
    assert hosts(limited(whole, FLEET, kx.host("db1") | kx.host("web1")))["m/u"] == ["db1", "web1"]
    all_of_them = kx.task("u", takes(kx.from_all(COUNT)), on=kx.role("web"))
    whole = kx.pipeline("p", kx.module("m", count, all_of_them))
    assert hosts(limited(whole, FLEET, kx.host("db1")))["m/u"] == []
    assert hosts(limited(whole, FLEET, kx.role("db") | kx.role("web")))["m/u"] == ["web1"]


def test_limited_tells_problems_of_the_whole_as_they_are() -> None:
    """They are not because of the limit."""
    whole = kx.pipeline("p", kx.module("m", kx.task("t", A, A)))
    with pytest.raises(kx.CompositionError, match=r"2 steps have this path \(give each its own name"):
        limited(whole, FLEET, kx.all_hosts)


def test_hostless_has_the_problems_that_need_no_cluster() -> None:
    """An empty cluster answers no selector: that alone is excused."""
    good = kx.pipeline(
        "p", kx.module("m", kx.task("t", COUNT.on(kx.host("db1"))), kx.task("u", takes(kx.from_one(COUNT))))
    )
    assert kx.check(good, kx.Cluster()) != []
    assert kx.check(hostless(good), kx.Cluster()) == []
    bad = kx.pipeline("p", kx.module("m", kx.task("t", takes(kx.from_here(COUNT)), A, A, COUNT)))
    assert [each.where for each in kx.check(hostless(bad), kx.Cluster())] == ["p/m/t/a", "p/m/t/use"]
    assert good.modules[0].tasks[0] == kx.task("t", COUNT.on(kx.host("db1")))
