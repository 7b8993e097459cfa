"""What has to be so before a state can be brought about, as far as a host can be asked for it beforehand.

And what else goes where something is taken away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen
from frozendict import frozendict

from kxflow.values.action import Command
from kxflow.values.state import read


@frozen
class Need:
    """One thing without which a resource's apply fails. A plan asks for it, and a run finds out by itself.

    Attributes:
        test: Shell text that ends with 0 where it is so, or where that cannot be told. It changes nothing.
        why: What the run would say where it is not so.
        paths: Where a change to the file system could bring it.
        things: Kinds and names of what brings it; without a name, whatever of that kind might: that is not known then.
        taken: Kinds and names of what is in its way, where an earlier step brings that.
        packed: A package may bring it, whatever that is called.
    """

    test: str
    why: str
    paths: tuple[str, ...] = ()
    things: tuple[tuple[str, str], ...] = ()
    taken: frozenset[tuple[str, str]] = frozenset()
    packed: bool = True


def needs_of(command: Command[Any]) -> tuple[Need, ...]:
    """Those of the state that a command ensures: what its resource's `needs` says, where it has one."""
    probe = command.probe
    tell = None if probe is None else getattr(probe.resource, "needs", None)
    return () if tell is None or probe is None else tuple(tell(read(probe.wanted)))


def takes_of(command: Command[Any]) -> str:
    """Shell text that prints what a command takes away with the thing: its resource's `takes`, where it has one."""
    probe = command.probe
    tell = None if probe is None else getattr(probe.resource, "takes", None)
    return "" if tell is None or probe is None else str(tell(read(probe.wanted)))


def asking(command: Command[Any], needs: Sequence[Need]) -> Command[Any]:
    """A command that prints the number of each need that is not met, and does nothing else."""
    tests = (f"(\n{each.test}\n) </dev/null >/dev/null 2>&1 || echo {n}\n" for n, each in enumerate(needs))
    return looking(command, "".join(tests))


def looking(command: Command[Any], text: str) -> Command[Any]:
    """A command that prints something, and does nothing else, in the place of another."""
    return evolve(
        command,
        text=text,
        argv=None,
        probe=None,
        undo=None,
        value=None,
        parse=None,
        env=frozendict(),
        stdin=None,
        upload=None,
        chosen=None,
        into=None,
        ok_codes=frozenset({0, 1}),
        detached=False,
        readonly=True,
        pending=(),
    )


def unmet(needs: Sequence[Need], printed: str) -> tuple[Need, ...]:
    """Those whose numbers were printed.

    >>> unmet([Need("false", "one"), Need("true", "two")], "0\\n")[0].why
    'one'
    """
    numbers = [int(each) for each in printed.split() if each.isdecimal()]
    return tuple(needs[number] for number in numbers if number < len(needs))


def taken(printed: str) -> frozenset[str]:
    r"""Paths that go, by what `takes` printed: `f PATH`, `d ENTRIES PATH` for folders, which go empty, and `.` last.

    Where the end is missing, that is everything.

    >>> sorted(taken("d 9 /usr\nd 1 /usr/app\nf /usr/app/x\n.\n"))
    ['/usr/app', '/usr/app/x']
    """
    *lines, end = printed.split("\n")[:-1] or [""]
    if end != ".":
        return frozenset({"/"})
    gone = {each[2:] for each in lines if each.startswith("f ")}
    folders = [each[2:].partition(" ") for each in lines if each.startswith("d ")]
    inside = Counter(each.rpartition("/")[0] for each in gone)
    for count, _, path in sorted(folders, key=lambda each: -each[2].count("/")):
        if int(count) <= inside[path]:
            gone.add(path)
            inside[path.rpartition("/")[0]] += 1
    return frozenset(gone)


__all__ = ["Need", "asking", "looking", "needs_of", "taken", "takes_of", "unmet"]
