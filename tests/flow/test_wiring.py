"""From an input to the one earlier place whose value it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.inputs import Input
from kxflow.flow.layout import lay_out
from kxflow.flow.wiring import Missing, Producer, Unwired, Values, Wiring, inputs_of, note
from kxflow.values.result import ABSENT
from tests.flow.drawn import step_of
from tests.laws import laws

FLEET = kx.Cluster([kx.Host("db1", roles={"db"}), kx.Host("web1", roles={"web"}), kx.Host("web2", roles={"web"})])
COUNT = kx.command("count", "nproc", parse=int)
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


def wired(wanted: Any, *, on: Any = kx.all_hosts) -> tuple[Wiring, Input]:
    """A producer's task, and a consumer's after it."""
    use = step_of(lambda ctx, value: kx.cmd("use"), "use", value=wanted)
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", COUNT, on=on), kx.task("u", use)))
    return Wiring(lay_out(pipeline, FLEET)), wanted


def gather(wanted: Any, values: dict[str, Any], *, host: str = "web1", on: Any = kx.all_hosts) -> object:
    """What a consumer on a host is given, where these hosts gave these values."""
    wiring, its = wired(wanted, on=on)
    plan = wiring.layout.tasks[1]
    there: Values = {(0, 0): values}
    return wiring.gather({"value": its}, plan, plan.slots[0], host, there)


def test_an_input_finds_its_producer() -> None:
    """The place, the path, and the hosts of the task."""
    wiring, wanted = wired(kx.from_all(COUNT))
    found = wiring.find(wanted, wiring.layout.tasks[1], wiring.layout.tasks[1].slots[0])
    assert isinstance(found, Producer)
    assert (found.place, found.path) == ((0, 0), "p/m/t/count")
    assert [host.name for host in found.hosts] == ["db1", "web1", "web2"]
    assert wiring.needed == {(0, 0)}


def test_what_nobody_asks_for_is_not_needed() -> None:
    """No value of it is kept."""
    assert Wiring(lay_out(kx.pipeline("p", kx.module("m", kx.task("t", COUNT))), FLEET)).needed == frozenset()


def test_a_selector_narrows_the_hosts_of_the_task() -> None:
    """It is asked of the whole cluster, and only hosts of the task count."""
    wiring, wanted = wired(kx.from_one(COUNT, kx.first(kx.all_hosts) | kx.host("web1")), on=kx.role("web"))
    found = wiring.find(wanted, wiring.layout.tasks[1], wiring.layout.tasks[1].slots[0])
    assert isinstance(found, Producer)
    assert [host.name for host in found.hosts] == ["web1"]


def test_from_here_is_the_value_of_this_host() -> None:
    """No other host's."""
    assert gather(kx.from_here(COUNT), {"web1": 4, "web2": 8}) == {"value": 4}
    assert gather(kx.from_here(COUNT), {"web2": 8}) == Missing("p/m/t/count gave no value on web1", "p/m/t/count")


def test_from_one_is_the_value_of_the_one_host() -> None:
    """On whatever host it is wanted."""
    assert gather(kx.from_one(COUNT, kx.host("db1")), {"db1": 4, "web1": 8}) == {"value": 4}
    assert gather(kx.from_one(COUNT, kx.host("db1")), {"web1": 8}) == Missing(
        "p/m/t/count gave no value on db1", "p/m/t/count"
    )
    assert gather(kx.from_one(COUNT), {}, on=~kx.all_hosts) == Missing(
        "p/m/t/count gave no value on no host", "p/m/t/count"
    )


def test_from_all_is_every_value_in_the_clusters_order() -> None:
    """By host name; one that is missing keeps the step from running, or is left out where that was said."""
    values = {"web2": 3, "db1": 1, "web1": 2}
    found: Any = gather(kx.from_all(COUNT), values)
    assert list(found["value"].items()) == [("db1", 1), ("web1", 2), ("web2", 3)]
    del values["web1"]
    assert gather(kx.from_all(COUNT), values) == Missing("p/m/t/count gave no value on web1", "p/m/t/count")
    omitted: Any = gather(kx.from_all(COUNT, missing="omit"), values)
    assert list(omitted["value"].items()) == [("db1", 1), ("web2", 3)]


@pytest.mark.parametrize("missing", ["error", "omit"])
def test_from_all_of_no_hosts_is_empty(missing: Any) -> None:
    """Nobody failed to give a value."""
    assert gather(kx.from_all(COUNT, missing=missing), {}, on=~kx.all_hosts) == {"value": {}}
    assert gather(kx.from_all(COUNT, missing="omit"), {}) == {"value": {}}


def test_none_is_a_value() -> None:
    """It is not the same as none given."""
    assert gather(kx.from_here(COUNT), {"web1": None}) == {"value": None}


def test_a_value_that_a_tolerated_fault_kept_from_coming_is_told_apart() -> None:
    """By its word: the step that wanted it is not run, and that is tolerated as well."""
    missing = gather(kx.from_here(COUNT), {"web1": ABSENT})
    assert missing == Missing("p/m/t/count gave no value on web1", "p/m/t/count", tolerated=True)
    assert isinstance(missing, Missing)
    assert missing.reason == "tolerated: p/m/t/count gave no value on web1"
    some = gather(kx.from_all(COUNT), {"db1": ABSENT, "web1": 1})
    assert isinstance(some, Missing)
    assert some.reason == "input: p/m/t/count gave no value on db1"
    assert gather(kx.from_all(COUNT, missing="omit"), {"db1": ABSENT, "web1": 1}) == {"value": {"web1": 1}}


def result(status: kx.Status, payload: Any = ABSENT, **fields: Any) -> kx.StepResult:
    """A result on web1."""
    return kx.StepResult(
        run="r",
        pipeline="p",
        module="m",
        task="t",
        step="count",
        host="web1",
        status=status,
        started_at=EPOCH,
        ended_at=EPOCH,
        payload=payload,
        **fields,
    )


@pytest.mark.parametrize(
    ("its", "kept"),
    [
        (result(kx.Status.Succeeded, 4), {"web1": 4}),
        (result(kx.Status.Skipped, 4), {"web1": 4}),
        (result(kx.Status.Succeeded, None), {"web1": None}),
        (result(kx.Status.Skipped), {}),
        (result(kx.Status.Failed, 4), {}),
        (result(kx.Status.Failed, tolerated=True), {"web1": ABSENT}),
        (result(kx.Status.Failed, 4, tolerated=True), {"web1": 4}),
        (result(kx.Status.Lost), {}),
        (result(kx.Status.NotRun, reason="blocked: p/m/t/a"), {}),
        (result(kx.Status.NotRun, reason="blocked: p/m/t/a", tolerated=True), {}),
        (result(kx.Status.NotRun, reason="tolerated: p/m/t/a gave no value on db1"), {"web1": ABSENT}),
    ],
)
def test_note_keeps_what_later_steps_need(its: kx.StepResult, kept: dict[str, Any]) -> None:
    """Values of the success track, and marks of tolerated faults."""
    values: Values = {}
    note(values, (0, 0), its)
    assert values.get((0, 0), {}) == kept


def test_inputs_of_conditions_belong_to_the_step() -> None:
    """After its own."""
    step = step_of(lambda ctx, a: kx.cmd("x"), a=kx.from_here(COUNT)).when(lambda ctx, b: b, b=kx.from_all(COUNT))
    assert [name for name, _ in inputs_of(step)] == ["a", "b"]


@laws(60)
@given(places=st.lists(st.booleans(), min_size=1, max_size=5), consumer=st.integers(0, 5))
def test_an_input_resolves_to_the_one_earlier_place_or_says_why_not(places: list[bool], consumer: int) -> None:
    """Over all arrangements of producers around a consumer: none, one, several before it; some behind it."""
    tasks = [kx.task(f"t{i}", COUNT if there else kx.command("x", "x")) for i, there in enumerate(places)]
    use = kx.task("use", step_of(lambda ctx, value: kx.cmd("use"), "use", value=kx.from_here(COUNT)))
    cut = min(consumer, len(tasks))
    wiring = Wiring(lay_out(kx.pipeline("p", kx.module("m", *tasks[:cut], use, *tasks[cut:])), FLEET))
    plan = next(each for each in wiring.layout.tasks if each.name == "use")
    found = wiring.find(use.steps[0].inputs["value"], plan, plan.slots[0])
    before, behind = sum(places[:cut]), sum(places[cut:])
    if before == 1:
        assert isinstance(found, Producer)
        assert found.path == f"p/m/t{places.index(True)}/count"
    else:
        assert isinstance(found, Unwired)
        word = "stands at" if before else "comes later" if behind else "stands nowhere"
        assert word in found.what
        assert found.remedy
