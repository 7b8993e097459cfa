"""Ops that are asked by one program and done by another: what that is depends on the answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve, frozen

import kxflow as kx
from kxflow.connectors.choose import ChoosingConnector
from kxflow.flow.ensure import Content, Ensured, ensure, ensuring, undo_of
from kxflow.interpreters.batch import _weight
from kxflow.interpreters.ports import Link, LinkBrokenError, Process
from kxflow.interpreters.upload import UploadError, pieces
from kxflow.resources import fetch, file, sync
from kxflow.testing.plugin import need_program
from kxflow.values.action import Command, Upload
from kxflow.values.state import State

LOCAL = kx.Cluster([kx.Host("here")], connect=kx.Local())


def ran(*steps: kx.Step[Any], cluster: kx.Cluster = LOCAL, **options: Any) -> kx.Report:
    """The report of a run of these steps."""
    return kx.report_of(kx.run(kx.pipeline("p", kx.module("m", kx.task("t", *steps))), cluster, **options))


@frozen
class Thing:
    """A file that is one of these words; what to do depends on which it was."""

    path: Path
    choose: Callable[[State], Command[Any]]

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("thing", str(self.path))

    def probe(self, wanted: State) -> str:
        """The word."""
        return f'kx_say word "$(cat {self.path})"'

    def apply(self, wanted: State) -> kx.Action[Any] | str:
        """Not known yet."""
        never = kx.shell("exit 9")
        assert isinstance(never, Command)
        return evolve(never, chosen=self.choose)


def _command(text: str, path: Path) -> Command[Any]:
    made = ensuring(Thing(path, lambda _: made), {"word": "new"})
    return evolve(made, text=text, chosen=None)


def test_what_is_done_is_chosen_by_what_was_found(tmp_path: Path) -> None:
    """State and content, both; nothing is chosen where it is as wanted."""
    path = tmp_path / "thing"
    path.write_text("old")
    seen: list[State] = []

    def choose(found: State) -> Command[Any]:
        seen.append(found)
        return _command(f"printf new >{path}; echo from {found['word']}", path)

    step = ensure(Thing(path, choose), {"word": "new"}, content=Content(detail=f"cat {path}"))
    steps = [kx.command("before", "echo 1"), step, kx.command("after", "echo 2")]
    first, second = ran(*steps), ran(*steps)
    assert [each.status.name for each in first] == ["Succeeded"] * 3
    assert [each.status.name for each in second] == ["Succeeded", "Skipped", "Succeeded"]
    assert [str(each.stdout) for each in first] == ["1\n", "from old\n", "2\n"]
    assert seen == [{"word": "old", "content": "old"}]
    assert first.results[1].payload == Ensured(State({"word": "old", "content": "old"}), State({"word": "new"}))


def test_what_was_chosen_and_fails_is_a_failure_of_that_step(tmp_path: Path) -> None:
    """Those behind it never begin; a tolerated one lets them."""
    path = tmp_path / "thing"
    path.write_text("old")
    step = ensure(Thing(path, lambda _: _command("echo no >&2; exit 3", path)), {"word": "new"})
    its = ran(step, kx.command("after", "echo 2"))
    assert [(each.status.name, each.exit_code) for each in its] == [("Failed", 3), ("NotRun", None)]
    its = ran(step.ignore_errors(), kx.command("after", "echo 2"))
    assert [each.status.name for each in its] == ["Failed", "Succeeded"]
    its = ran(step.retry(2), kx.command("after", "echo 2"))
    assert len(its.results[0].attempts) == 3


def test_parts_of_one_step_are_asked_and_done_in_order(tmp_path: Path) -> None:
    """One record; a part that fails leaves out the rest."""
    one, two = (file(tmp_path / name, content=name * 20_000).action(kx.context("here")) for name in ("one", "two"))
    bad = file(tmp_path / "no" / "x", content="x" * 20_000).action(kx.context("here"))

    def made(name: str, *actions: kx.Action[Any]) -> kx.Step[Any]:
        return kx.Step(name=name, build=kx.both(*actions))

    assert ran(made("both", one, kx.shell(f"cat {tmp_path}/one"), two)).succeeded
    assert (tmp_path / "two").exists()
    (tmp_path / "two").unlink()
    its = ran(made("bad", one, bad, two).ignore_errors(), kx.command("after", "true"))
    assert [each.status.name for each in its] == ["Failed", "Succeeded"]
    assert not (tmp_path / "two").exists()


class BreakingConnector(ChoosingConnector):
    """Reaches hosts, and each link breaks once, when the given process is to be started."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    async def connect(self, host: kx.Host, cluster: kx.Cluster) -> Link:
        """A link that breaks."""
        link = await super().connect(host, cluster)
        spawn = link.spawn

        async def breaking(argv: Sequence[str]) -> Process:
            self.left -= 1
            if self.left == 0:
                raise LinkBrokenError
            return await spawn(argv)

        link.spawn = breaking  # type: ignore[method-assign]  # the seam that there is
        return link


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_connection_that_is_lost_in_between_is_made_again(tmp_path: Path, at: int) -> None:
    """Before it is asked, before it is done, and after: the result is as if nothing had been."""
    steps = [kx.command("a", "echo a"), file(tmp_path / "f", content="x" * 100_000), kx.command("b", "echo b")]
    report = ran(*steps, connector=BreakingConnector(at))
    assert report.succeeded, report.first_fault
    assert (tmp_path / "f").stat().st_size == 100_000


def test_a_state_that_is_too_long_to_keep_is_not_taken_for_nothing(tmp_path: Path) -> None:
    """What was before is not known then, and undo does not take the thing away."""
    path = tmp_path / "thing"
    path.write_text("x" * 1_100_000)
    step = ensure(Thing(path, lambda _: _command(f"printf new >{path}", path)), {"word": "new"})
    plain = evolve(step, build=_command(f"printf new >{path}", path))
    result = ran(plain).results[0]
    assert result.status is kx.Status.Succeeded
    assert isinstance(result.payload, Ensured)
    assert result.payload.before is None
    assert result.change is None
    assert undo_of(plain.action(kx.context("here")), result.payload.before) is None


@pytest.mark.anyio
@pytest.mark.parametrize("sizes", [[3, 3], [5], [7], []])
async def test_bytes_that_are_made_are_as_many_as_were_announced(sizes: list[int]) -> None:
    """More and fewer break the upload off."""

    @frozen
    class Made:
        def pieces(self) -> Iterator[bytes]:
            yield from (bytes(size) for size in sizes)

    sent: list[bytes] = []

    async def send() -> None:
        async for each in pieces(Upload(Made(), "/x", 6)):
            sent.append(each)  # noqa: PERF401 -- what was sent before it broke off counts

    if sum(sizes) == 6:
        await send()
        assert len(b"".join(sent)) == 6
    else:
        with pytest.raises(UploadError, match="was changed while it was sent"):
            await send()
        assert len(b"".join(sent)) < 6  # else the host would take it for whole


def test_a_probe_counts_for_the_size_of_a_program() -> None:
    """A long question is sent like a long command."""
    step = sync("/srv/x", Path(__file__).parent)
    action = step.action(kx.context("here"))
    assert isinstance(action, Command)
    assert action.probe is not None
    assert _weight(action) > len(action.probe.text) + len(action.probe.detail or "")


def test_what_is_only_asked_is_not_done(tmp_path: Path) -> None:
    """Neither an upload nor what would be chosen; one program asks for all of them."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "x").write_text("x")
    (tmp_path / "there").write_text("there")
    steps = [
        file(tmp_path / "large", content="x" * 100_000),
        sync(tmp_path / "synced", tmp_path / "source"),
        fetch(tmp_path / "there", tmp_path / "dest"),
    ]

    def only_asked(step: kx.Step[Any]) -> kx.Step[Any]:
        action = step.action(kx.context("here"))
        assert isinstance(action, Command)
        assert action.probe is not None
        return kx.Step(name=step.name, build=evolve(action, probe=evolve(action.probe, dry=True))).ignore_errors()

    its = ran(*map(only_asked, steps))
    assert not [each for each in its if each.ok]
    assert {each.name for each in tmp_path.iterdir()} == {"source", "there"}


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root becomes others without a password")
def test_files_travel_to_and_from_another_user_too(tmp_path: Path) -> None:
    """By the nested program of sudo; what is made there is that user's."""
    need_program("sudo")
    source = tmp_path / "source"
    source.mkdir()
    (source / "x").write_text("x" * 50_000)
    with TemporaryDirectory() as folder:
        host = Path(folder)
        os.chown(host, 5, 60)
        steps = [
            kx.command("me", "id -un"),
            file(host / "large", content="y" * 100_000).become("games"),
            sync(host / "synced", source).become("games"),
            fetch(host / "large", tmp_path / "dest").become("games"),
            kx.command("who", "id -un", become="games"),
        ]
        first, second = ran(*steps), ran(*steps)
        assert first.succeeded, first.first_fault
        assert [each.status.name for each in second] == ["Succeeded", "Skipped", "Skipped", "Skipped", "Succeeded"]
        assert [each.stat().st_uid for each in (host / "large", host / "synced" / "x")] == [5, 5]
        assert next((tmp_path / "dest").rglob("large")).stat().st_size == 100_000
        assert not list(host.rglob(".kx*"))
