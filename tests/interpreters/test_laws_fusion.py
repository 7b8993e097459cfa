"""Law 5 on whatever pipelines can be drawn: steps that go out together are the steps one at a time."""

from __future__ import annotations

from itertools import takewhile

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from tests.interpreters.drawn import EXTRAS, FUSED, Shape, pipelines
from tests.interpreters.world import World, ran, timeless, worlds
from tests.laws import laws

GOING = Shape(policies=False)
LONG = evolve(FUSED, policies=False)
STRICT = tuple(each for each in EXTRAS if each != "tolerant")
"""Of what is attached to a step, only `ignore_errors` lets a host go on behind a connection that was lost."""


def both(pipeline: kx.Pipeline, world: World, concurrency: int) -> list[tuple[kx.StepResult, kx.StepResult]]:
    """Every address with what it came to in a program with others, and by itself."""
    fused, single = (timeless(ran(pipeline, world, concurrency=concurrency, fuse=fuse)) for fuse in (True, False))
    assert [each.key for each in fused] == [each.key for each in single]
    return list(zip(fused, single, strict=True))


@laws(150)
@given(
    pipeline=pipelines(GOING) | pipelines(evolve(FUSED, policies=False)), world=worlds(), concurrency=st.integers(1, 5)
)
def test_where_no_connection_is_lost_fused_equals_one_at_a_time(
    pipeline: kx.Pipeline, world: World, concurrency: int
) -> None:
    """Law 5: nothing in the records tells how they travelled."""
    for fused, single in both(pipeline, world, concurrency):
        assert fused == single


@laws(60)
@given(pipeline=pipelines(), world=worlds())
def test_under_every_policy_fused_equals_one_at_a_time(pipeline: kx.Pipeline, world: World) -> None:
    """Law 5: where the order in which hosts come is fixed, also what policies and guards stop is the same."""
    for fused, single in both(pipeline, world, 1):
        assert fused == single


@laws(100)
@given(pipeline=pipelines(Shape(extras=STRICT)), world=worlds(lost=True))
def test_where_connections_are_lost_fused_may_say_lost_for_not_run_and_never_the_reverse(
    pipeline: kx.Pipeline, world: World
) -> None:
    """Law 5: cut anywhere, under every policy; what did not begin by itself may have begun in a program."""
    for fused, single in both(pipeline, world, 1):
        if fused != single:
            assert (fused.status, single.status) == (kx.Status.Lost, kx.Status.NotRun)


@laws(100)
@given(pipeline=pipelines(Shape(policies=False, cross=False)), world=worlds(lost=True))
def test_up_to_the_first_loss_on_a_host_they_are_the_same_and_a_loss_is_never_hidden(
    pipeline: kx.Pipeline, world: World
) -> None:
    """Law 5, with losses that are tolerated: behind one, the fused host may know less, and says so."""
    pairs = both(pipeline, world, 5)
    for host in {fused.host for fused, _ in pairs}:
        mine = [pair for pair in pairs if pair[0].host == host]
        alike = list(takewhile(lambda pair: pair[0] == pair[1], mine))
        lost = any(single.status is kx.Status.Lost for _, single in alike)
        assert lost or len(alike) == len(mine)
        if len(alike) < len(mine):
            fused, single = mine[len(alike)]
            assert fused.status is kx.Status.Lost
            assert single.status is not kx.Status.Lost
