"""Laws 9, 11 and 12 on clones of this machine: sequences of resources of all kinds, and what they really do there.

Few cases, and always the same ones, so that they are quick and steady; to look for more, raise `CASES` and `ROUNDS`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import unified_diff
from typing import Any, Final

import pytest
from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.step import Step
from kxflow.testing.changes import Entry
from kxflow.testing.clone import CloneFleet, clone_fleet
from kxflow.testing.plugin import need_program
from kxflow.values.host import Via
from tests.resources.conftest import Box
from tests.resources.crowded import COMES_TO, POOLS, crowds
from tests.resources.drawn import Kit, cases, counts, followed, furnish, make_kit, seen, served

CASES: Final = 6
ROUNDS: Final = 20
"""Crowds of steps on one clone: each finds what the one before it left."""
STEADY: Final = settings(
    deadline=None,
    derandomize=True,
    max_examples=CASES,
    phases=[Phase.generate],  # a case takes two seconds: to make one smaller would take minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """What is brought to every clone; root only."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can clone a machine")
    for each in ("unshare", "curl", "apt-get", "dpkg-deb", "useradd", "git", "visudo", "service", "start-stop-daemon"):
        need_program(each)
    with served() as site:
        yield make_kit(tmp_path_factory.mktemp("kit"), site)


@frozen
class State:
    """What there is on a host: its tree, times apart, and what can be asked for, by other means than resources."""

    tree: Mapping[str, Entry]
    told: str

    def __sub__(self, other: State) -> list[Any]:
        """What is there and not in the other, and the other way round."""
        paths = sorted(self.tree.keys() | other.tree.keys())
        pairs = [(path, other.tree.get(path), self.tree.get(path)) for path in paths]
        texts = unified_diff(other.told.split("\n"), self.told.split("\n"), n=0, lineterm="")
        return [*(each for each in pairs if each[1] != each[2]), *texts]


@frozen
class Place:
    """A clone that holds some of all that is drawn."""

    fleet: CloneFleet
    box: Box

    def run(self, pipeline: kx.Pipeline) -> kx.Report:
        """What comes of it."""
        return kx.report_of(kx.run(pipeline, self.fleet.cluster))

    def plan(self, pipeline: kx.Pipeline) -> kx.Plan:
        """What would come of it."""
        return kx.plan(pipeline, self.fleet.cluster)

    def state(self) -> State:
        """What there is."""
        tree = self.fleet.snapshot("box")
        return State({path: each for path, each in tree.items() if counts(path)}, seen(self.box))


@contextmanager
def place(kit: Kit, present: Iterable[Step[Any]]) -> Iterator[Place]:
    """A new clone, where resources have seen to what is present."""
    shutil.rmtree(kit.fetched, ignore_errors=True)
    with clone_fleet(names=["box"], via=True) as fleet:
        way = fleet.cluster.connect_of(fleet.hosts[0])
        assert isinstance(way, Via)
        made = Place(fleet, Box(fleet.cluster, fleet.root("box"), way.prefix))
        furnish(made.box, kit)
        first = made.run(of(present))
        assert first.succeeded, faults(first)
        yield made


def of(steps: Iterable[Step[Any]], **options: Any) -> kx.Pipeline:
    """A pipeline of one task."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps)), **options)


def faults(report: kx.Report) -> list[tuple[str, str]]:
    """What went wrong."""
    return [(each.path, str(each.error)) for each in report.faulty]


def names(report: kx.Report, status: kx.Status) -> set[str]:
    """Steps that came to that."""
    return {each.step for each in report if each.status is status}


@STEADY
@given(data=st.data())
def test_a_second_run_changes_nothing_and_a_plan_is_what_is_applied(kit: Kit, data: st.DataObject) -> None:
    """Laws 9 and 11: what would change has changed, to just that; then there is nothing to do, and nothing is done."""
    case = data.draw(cases(kit))
    wanted = followed(data.draw, case.wanted)
    with place(kit, case.present) as here:
        pipeline = of(wanted)
        before = here.state()
        plan = here.plan(pipeline)
        report = here.run(pipeline)
        after = here.state()
        assert report.succeeded, faults(report)
        for each, result in zip(plan, report, strict=True):
            if each.effect is kx.Effect.unknown:
                assert "what earlier steps change" in each.reason
                continue
            assert (each.effect is kx.Effect.change) is (result.status is kx.Status.Succeeded), each
            # Files that several of them see to, keys of a user who is new: what earlier ones did is in what is found.
            if ".conf" not in each.step and "authorized_key" not in each.step:
                assert each.change == result.change
        assert plan.changes or after - before == []
        again = here.run(pipeline)
        assert names(again, kx.Status.Skipped) == {step.name for step in wanted}, [each.change for each in again]
        assert here.plan(pipeline).tally[kx.Effect.none] == len(wanted)
        assert here.state() - after == []


@pytest.mark.parametrize("pool", POOLS)
def test_a_plan_claims_nothing_that_a_run_does_not_do(kit: Kit, pool: str) -> None:
    """Law 11 where steps are about the same few things: what it cannot know it says, and all else comes to that."""
    with place(kit, []) as here:

        @settings(STEADY, max_examples=ROUNDS)
        @given(steps=crowds(pool))
        def one_after_the_other(steps: list[Step[Any]]) -> None:
            pipeline = of(steps)
            for each, result in zip(here.plan(pipeline), here.run(pipeline), strict=True):
                assert result.status in COMES_TO[each.effect], (str(each), result.status, str(result.error), steps)

        one_after_the_other()


@STEADY
@given(data=st.data())
def test_undo_after_a_failure_restores_the_state_before(kit: Kit, data: st.DataObject) -> None:
    """Law 12: files, their mode and owner, accounts, packages, settings; what cannot be undone was said before."""
    case = data.draw(cases(kit))
    with place(kit, case.present) as here:
        before = here.state()
        lasting = {each.step for each in here.plan(of(case.wanted)).lasting}
        steps = [each for each in case.wanted if each.name not in lasting]
        boom = kx.command("boom", "exit 7", undo=":")
        report = here.run(of([*steps, boom], on_failure=kx.rollback("host")))
        assert {each.step for each in report.faulty} == {"boom"}, faults(report)
        assert [each.step for each in report if "cannot" in each.reason] == []
        assert here.state() - before == []


@STEADY
@given(data=st.data())
def test_undo_restores_the_state_before_wherever_it_failed(kit: Kit, data: st.DataObject) -> None:
    """Law 12: in any order, so that resources contradict one another, or miss what they need, somewhere."""
    case, chance = data.draw(cases(kit)), data.draw(st.randoms(use_true_random=False))
    chance.shuffle(case.wanted)
    with place(kit, case.present) as here:
        before = here.state()
        report = here.run(of([*case.wanted, kx.command("boom", "exit 7")], on_failure=kx.rollback("host")))
        assert {each.module for each in report.faulty} == {"m"}, faults(report)
        kept = [each.reason for each in report if "cannot be taken back" in each.reason]
        assert kept or here.state() - before == []
