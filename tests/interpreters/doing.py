"""What a drawn step does: a pure function of host and inputs, as a value whose repr tells all."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

import kxflow as kx

WORDS: Final = ("ok", "ok", "fail", "fail", "flaky")


def mark(given: object) -> int:
    """A number that stands for values."""
    return zlib.crc32(repr(given).encode())


@frozen
class Doing:
    """A function of a step.

    Attributes:
        kind: Of action; a key of `KINDS`.
        number: Of the step.
        word: What comes of its command on the hosts that are struck; it goes well on others.
        struck: Hosts.
        cwd: Where the programs `act`, `look` and `tell` lie, for real shells.
    """

    kind: str
    number: int
    word: str
    struck: tuple[str, ...]
    cwd: Path | None = None

    def __call__(self, ctx: kx.HostContext, **given: Any) -> kx.Action[Any]:
        """The action on a host; its words tell of the inputs."""
        name = ctx.host.name
        made = KINDS[self.kind]
        return made(Part(self, name, name in self.struck, mark(sorted(given.items()))))


@frozen
class Part:
    """A function of a step on one host, with what it was given."""

    doing: Doing
    host: str
    struck: bool
    values: int

    def text(self, program: str = "act", word: str | None = None) -> str:
        """Words of a command."""
        here = self.doing.word if self.struck else "ok"
        return f"sh {program} {word or here} {self.doing.number} {self.host} {self.values}"

    def act(self, word: str | None = None, **options: Any) -> kx.Action[Any]:
        """A command."""
        return kx.shell(self.text(word=word), cwd=self.doing.cwd, **options)

    def controller(self) -> Callable[[], Awaitable[str]]:
        """Work beside the host."""
        bad = self.struck and self.doing.word == "fail"

        async def work() -> str:
            if bad:
                raise RuntimeError(self.host)
            return f"here {self.host} {self.values}"

        return work


def _picky(text: str) -> str:
    if " odd " in text:
        raise ValueError(text)
    return text


def _odd(part: Part) -> kx.Action[Any]:
    if part.struck:
        raise RuntimeError(part.host)
    return part.act()


KINDS: Final[Mapping[str, Callable[[Part], kx.Action[Any]]]] = {
    "shell": lambda it: it.act(),
    "argv": lambda it: kx.cmd(*it.text().split(), cwd=it.doing.cwd),
    "parse": lambda it: it.act(parse=str),
    "picky": lambda it: it.act("odd" if it.struck else "ok", parse=_picky),
    "value=": lambda it: it.act(value=it.text("tell"), parse=str),
    "check": lambda it: it.act(check=it.text("look")),
    "check value=": lambda it: it.act(check=it.text("look"), value=it.text("tell")),
    "both": lambda it: kx.both(it.act("ok"), it.act()),
    "mixed": lambda it: kx.both(it.act(), kx.value(f"mixed {it.host} {it.values}")),
    "parts": lambda it: kx.both(it.act("ok"), kx.value(0), it.act(parse=str)),
    "here": lambda it: kx.on_controller(it.controller()),
    "value": lambda it: kx.value(f"value {it.host} {it.values}"),
    "skip": lambda it: kx.skip("no need") if it.struck else it.act(),
    "no": lambda it: kx.fail("cannot") if it.struck else it.act(),
    "odd": _odd,
}
