"""A host that answers commands itself, and a brake that is pulled at the very moment of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from kxflow.interpreters.answer import ask
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.ports import Process, Reply
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.action import Command
from kxflow.values.redact import Redactor


@define(eq=False)
class _Link:
    """Pulls the brake while it answers."""

    brake: Brake
    alive: bool = True

    async def answer(self, command: Command[Any], /) -> Reply | None:
        self.brake.stop("enough", cancel=True)
        return Reply(stdout=b"done\n")

    async def spawn(self, argv: Any) -> Process:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


@pytest.mark.anyio
async def test_a_reply_that_came_counts_though_it_was_no_longer_waited_for() -> None:
    """The first op has ended, the second does not begin; nothing was killed."""
    brake, seen = Brake(), []

    async def take(event: frames.Event) -> None:
        seen.append(event)

    ops = [Op(command=Command(text="true"), index=i, group=i) for i in range(2)]
    over = await ask(_Link(brake), ops, brake, take, Redactor(), set())
    assert [type(each).__name__ for each in seen] == ["Began", "Ended", "Done"]
    assert over.done == frames.Done("stop")
    assert over.killed is None
