"""A pipeline laid out: every place that will have a result, in canonical order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.layout import Layout, lay_out
from kxflow.values.event import TaskShape
from tests.flow.drawn import clusters, step_of
from tests.laws import laws

FLEET = kx.Cluster([kx.Host("db1", roles={"db"}), kx.Host("web1", roles={"web"}), kx.Host("web2", roles={"web"})])


def command(name: str) -> kx.Step[kx.Output]:
    """A step of that name."""
    return kx.command(name, f"do {name}")


WHOLE = kx.pipeline(
    "p",
    kx.module(
        "db",
        kx.task("install", command("a"), command("b"), on=kx.role("db")),
        before=kx.task("probe", command("c")),
        after=kx.task("report", command("d")),
    ),
    kx.module("off", kx.task("t", command("e")), when=False),
    kx.module("web", kx.task("t", command("f"), on=kx.role("web"), policy=kx.keep_going())),
    before=kx.task("lock", command("g")),
    after=kx.task("unlock", command("h")),
    policy=kx.max_failures(1),
)


def paths(layout: Layout) -> list[str]:
    """Path of every slot, tasks in the order of the layout."""
    return [plan.path(slot) for plan in layout.tasks for slot in plan.slots]


def test_tasks_stand_in_the_order_in_which_they_run() -> None:
    """Hooks around the layer that they belong to; those of the pipeline are modules of their own."""
    assert paths(lay_out(WHOLE, FLEET)) == [
        "p/@before/lock/g",
        "p/db/@before/probe/c",
        "p/db/install/a",
        "p/db/install/b",
        "p/db/@after/report/d",
        "p/off/t/e",
        "p/web/t/f",
        "p/@after/unlock/h",
    ]


def test_positions_count_modules_tasks_steps_and_hosts() -> None:
    """Hooks count as places of their own; a module that does not run keeps its number."""
    layout = lay_out(WHOLE, FLEET)
    found = [tuple(plan.position(slot, 2)) for plan in layout.tasks for slot in plan.slots]
    assert found == [
        (0, 0, 0, 2),
        (1, 0, 0, 2),
        (1, 1, 0, 2),
        (1, 1, 1, 2),
        (1, 2, 0, 2),
        (2, 0, 0, 2),
        (3, 0, 0, 2),
        (4, 0, 0, 2),
    ]
    assert found == sorted(found)
    assert [plan.order for plan in layout.tasks] == list(range(7))


def test_hosts_are_those_of_the_selector_in_the_clusters_order() -> None:
    """And the policy is the task's own, or the pipeline's."""
    plans = {plan.label: plan for plan in lay_out(WHOLE, FLEET).tasks}
    assert [host.name for host in plans["web/t"].hosts] == ["web1", "web2"]
    assert [host.name for host in plans["db/@before/probe"].hosts] == ["db1", "web1", "web2"]
    assert plans["web/t"].policy == kx.keep_going()
    assert plans["db/install"].policy == kx.max_failures(1)


def test_hooks_know_what_they_are() -> None:
    """Those of modules and those of the pipeline alike."""
    hooks = {plan.label: plan.hook for plan in lay_out(WHOLE, FLEET).tasks}
    assert hooks == {
        "@before/lock": "@before",
        "db/@before/probe": "@before",
        "db/install": "",
        "db/@after/report": "@after",
        "off/t": "",
        "web/t": "",
        "@after/unlock": "@after",
    }


def test_a_module_that_is_off_has_places_and_no_results() -> None:
    """It is in the layout, and not among what is to run."""
    layout = lay_out(WHOLE, FLEET)
    assert [plan.label for plan in layout.tasks if plan not in layout.enabled] == ["off/t"]
    assert layout.shape[2] == TaskShape("db", "install", ("db1",), 2)
    assert "off" not in {each.module for each in layout.shape}


def test_when_of_a_module_is_asked_about_the_cluster() -> None:
    """A pure function of it, or the answer itself."""
    for when, on in ((lambda cluster: len(cluster) > 2, True), (lambda cluster: False, False), (True, True)):
        made = kx.module("m", kx.task("t", command("a")), when=when)
        assert lay_out(kx.pipeline("p", made), FLEET).modules[0].enabled is on


def test_rescue_steps_stand_behind_the_rescued() -> None:
    """Each has its own place, rescues of rescues too."""
    last = command("last")
    task = kx.task("t", command("a").rescue(command("r1").rescue(last), command("r2")), command("b"))
    slots = lay_out(kx.pipeline("p", kx.module("m", task)), FLEET).tasks[0].slots
    assert [(slot.step.name, slot.rescues) for slot in slots] == [
        ("a", None),
        ("r1", 0),
        ("last", 1),
        ("r2", 0),
        ("b", None),
    ]
    assert [slot.index for slot in slots] == [0, 1, 2, 3, 4]


@laws(50)
@given(cluster=clusters(), sizes=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3))
def test_places_are_hosts_times_steps_each_once(cluster: kx.Cluster, sizes: list[list[int]]) -> None:
    """Law 3, of the layout: the sum over tasks of selected hosts times steps, and no address twice."""
    modules = [
        kx.module(
            f"m{m}",
            *(kx.task(f"t{t}", *(command(f"s{s}") for s in range(count)), on=kx.role("web") | kx.first(kx.all_hosts))
              for t, count in enumerate(counts)),
        )
        for m, counts in enumerate(sizes)
    ]  # fmt: skip
    layout = lay_out(kx.pipeline("p", *modules), cluster)
    keys = [
        (plan.position(slot, cluster.rank(host.name)), host.name)
        for plan in layout.tasks
        for slot in plan.slots
        for host in plan.hosts
    ]
    selected = len((kx.role("web") | kx.first(kx.all_hosts))(cluster))
    assert len(set(keys)) == len(keys) == selected * sum(map(sum, sizes))


def test_equal_pipelines_have_equal_fingerprints() -> None:
    """Made twice, on other hosts, transformed where it changes no action: the same; a change of what is done: not."""

    def made(text: str = "true", name: str = "s", **options: Any) -> str:
        task = kx.task("t", kx.command(name, text, **options), step_of(lambda ctx: kx.cmd("x"), "fn"))
        return lay_out(kx.pipeline("p", kx.module("m", task)), FLEET).fingerprint

    assert made() == made()
    assert len(made()) == 32
    others = [made("false"), made(name="other"), made(cwd="/x"), made(env={"A": "b"})]
    assert len({made(), *others}) == 5
    assert made(env={"A": kx.Secret("one")}) == made(env={"A": kx.Secret("other")})
