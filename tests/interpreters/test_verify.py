"""Asking a resource again after it acted: as it says itself, or for a whole run not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve, field, frozen

import kxflow as kx
from kxflow.flow.ensure import State, undo_of
from kxflow.resources import file
from kxflow.values.action import Command
from kxflow.values.state import Ensured

HERE: Final = kx.Cluster([kx.Host("a")], connect=kx.Local())


@frozen
class Counted:
    """A file of one word, whose probe leaves a trace; `idle`: applying does nothing."""

    folder: str = field(converter=str)
    idle: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and folder."""
        return ("counted", self.folder)

    def probe(self, wanted: State) -> str:
        """The word."""
        return f"cd {self.folder}; echo asked >>asked; [ ! -e word ] || kx_say word $(cat word)"

    def apply(self, wanted: State) -> str:
        """Write it, or take it away."""
        if self.idle:
            return "true"
        return f"echo {wanted['word']} >{self.folder}/word" if wanted else f"rm {self.folder}/word"


def asked(folder: Path) -> int:
    """How often, since it was last looked at."""
    path = folder / "asked"
    times = len(path.read_text().split())
    path.unlink()
    return times


def ran(*steps: kx.Step[Any], **options: Any) -> list[kx.StepResult]:
    """Their results."""
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    return list(kx.report_of(kx.run(pipeline, HERE, **options)))


@pytest.mark.parametrize(("verify", "times"), [(None, 2), (True, 2), (False, 1)])
def test_a_run_asks_again_unless_told_not_to(tmp_path: Path, verify: bool | None, times: int) -> None:
    """Where there was something to do; else once is enough."""
    step = kx.ensure(Counted(tmp_path), {"word": "x"})
    (result,) = ran(step, verify=verify)
    assert result.status is kx.Status.Succeeded
    assert isinstance(result.payload, Ensured)
    assert (dict(result.payload.before or {}), dict(result.payload.after)) == ({}, {"word": "x"})
    assert asked(tmp_path) == times
    assert ran(step, verify=verify)[0].status is kx.Status.Skipped
    assert asked(tmp_path) == 1


def test_a_run_that_does_not_ask_again_believes_what_was_said(tmp_path: Path) -> None:
    """The next one finds it out."""
    step = kx.ensure(Counted(tmp_path, idle=True), {"word": "x"})
    assert ran(step)[0].reason == "verify"
    assert ran(step, verify=False)[0].status is kx.Status.Succeeded
    assert ran(step, verify=False)[0].status is kx.Status.Succeeded


@pytest.mark.parametrize("verify", [None, True, False])
def test_a_resource_may_say_it_itself(tmp_path: Path, verify: bool | None) -> None:
    """No run asks it again, nor is it asked when it is taken back."""
    step = kx.ensure(Counted(tmp_path), {"word": "x"}, verify=False)
    (result,) = ran(step, verify=verify)
    assert asked(tmp_path) == 1
    assert isinstance(result.payload, Ensured)
    back = undo_of(step.action(kx.context("a", HERE)), result.payload.before)
    assert back is not None
    assert ran(kx.Step(name="back", build=back), verify=verify)[0].status is kx.Status.Succeeded
    assert asked(tmp_path) == 1
    assert not (tmp_path / "word").exists()


WRONG: Final[dict[str, Callable[[kx.Step[Any]], kx.Step[Any]]]] = {
    "alone": lambda step: step,
    "with others": lambda step: step,
    "elsewhere": lambda step: step.on(kx.host("a")),
    "on the controller's word": lambda step: kx.Step(name=step.name, build=lambda _: step),
}


@pytest.mark.parametrize("size", [10, 40_000], ids=["inline", "behind it"])
@pytest.mark.parametrize("way", WRONG)
@pytest.mark.parametrize("fuse", [True, False])
def test_it_holds_for_every_way_to_a_host(tmp_path: Path, way: str, size: int, fuse: bool) -> None:
    """Content that travels behind a program, a step on behalf of another host, one that is built there."""
    plain = file(tmp_path / "f", content="x" * size)
    action = plain.action(kx.context("a", HERE))
    assert isinstance(action, Command)
    step = WRONG[way](evolve(plain, build=evolve(action, text="cat >/dev/null", upload=action.upload)))
    steps = [kx.command("before", "true"), step] if way == "with others" else [step]
    assert ran(*steps, fuse=fuse)[-1].reason == "verify"
    assert ran(*steps, fuse=fuse, verify=False)[-1].status is kx.Status.Succeeded


def test_what_is_no_answer_is_refused(tmp_path: Path) -> None:
    """Before a host is touched."""
    with pytest.raises(kx.InvalidError, match=r"verify='no' cannot be: give True, False or None"):
        ran(kx.command("c", "true"), verify="no")
