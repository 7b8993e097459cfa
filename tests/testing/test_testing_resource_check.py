"""`check_resource`: what stands every test passes, and each kind of wrong one is told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from attrs import field, frozen

import kxflow as kx
from kxflow.flow.ensure import State
from kxflow.resources import absent, file, line
from kxflow.testing import check_resource

HERE: Final = kx.Cluster([kx.Host("a")], connect=kx.Local())


@frozen
class Word:
    """A file of one word; each field says what it does wrong."""

    path: str = field(converter=str)
    blind: bool = False
    clumsy: bool = False
    restless: bool = False
    stuck: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("word", self.path)

    def probe(self, wanted: State) -> str:
        """The word."""
        spoil = f"echo >>{self.path}.seen; " if self.clumsy else ""
        told = "kx_say word x" if self.blind else f"[ ! -e {self.path} ] || kx_say word $(cat {self.path})"
        return spoil + told

    def apply(self, wanted: State) -> str:
        """Write it, or take it away."""
        if not wanted:
            return "exit 3" if self.stuck else f"rm {self.path}"
        return f"echo {wanted['word']} >{self.path}" + (f"; echo >>{self.path}.log" if self.restless else "")


def files(folder: Path) -> dict[str, str]:
    """All in it."""
    return {each.name: each.read_text() for each in folder.iterdir()}


@pytest.mark.parametrize("kind", ["own", "file", "line", "absent"])
def test_what_is_a_resource_passes(tmp_path: Path, kind: str) -> None:
    """One's own and those of the library; then all is as before."""
    (tmp_path / "there").write_text("old\n")
    steps: dict[str, kx.Step[Any]] = {
        "own": kx.ensure(Word(tmp_path / "f"), {"word": "x"}),
        "file": file(tmp_path / "there", content="new\n"),
        "line": line(tmp_path / "there", "new"),
        "absent": absent(tmp_path / "there"),
    }
    check_resource(steps[kind], HERE, see=lambda: files(tmp_path))
    assert files(tmp_path) == {"there": "old\n"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"blind": True}, "the plan sees nothing to do at first"),
        ({"clumsy": True}, "the probe changes something"),
        ({"stuck": True}, "it is not taken back: .*exit"),
        ({"restless": True}, "taken back, it is not as before"),
    ],
    ids=str,
)
def test_what_is_none_is_told(tmp_path: Path, wrong: dict[str, bool], words: str) -> None:
    """And what is wrong with it."""
    step = kx.ensure(Word(tmp_path / "f", **wrong), {"word": "x"})
    with pytest.raises(AssertionError, match=words):
        check_resource(step, HERE, see=lambda: files(tmp_path))


def test_commands_are_no_resources(tmp_path: Path) -> None:
    """A plan does not know of them; one that repeats itself is seen, too."""
    with pytest.raises(AssertionError, match=r"the plan sees nothing to do at first: .*it has no check"):
        check_resource(kx.command("c", "true"), HERE)
    with pytest.raises(AssertionError, match="the plan sees something to do the second time"):
        check_resource(kx.command("c", "true", check="false"), HERE)
    done = kx.command("c", f"touch {tmp_path}/f", check=f"test -e {tmp_path}/f")
    with pytest.raises(AssertionError, match="the plan says that it cannot be taken back"):
        check_resource(done, HERE)
    (tmp_path / "f").unlink()
    check_resource(done, HERE, undo=False)
