"""What has to be so before a state can be brought about, as far as a host can be asked for it beforehand.

And what else goes where something is taken away.
"""

from __future__ import annotations

import posixpath
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.values.action import Command
from kxflow.values.state import read


@frozen
class Need:
    """One thing without which a resource's apply fails. A plan asks for it, and a run finds out by itself.

    Attributes:
        test: Shell text that ends with 0 where it is so, or where that cannot be told. It changes nothing.
        why: What the run would say where it is not so.
        says: What the test prints is that, where it prints something.
        paths: Where a change to the file system could bring it.
        things: Kinds and names of what brings it; without a name, whatever of that kind might: that is not known then.
        taken: Kinds and names of what is in its way, where an earlier step brings that.
        packed: A package may bring it, whatever that is called.
        place: Path of what is to be made: what that leads to has to be in a folder, and no file may be there.
    """

    test: str
    why: str
    paths: tuple[str, ...] = ()
    things: tuple[tuple[str, str], ...] = ()
    taken: frozenset[tuple[str, str]] = frozenset()
    packed: bool = True
    says: bool = False
    place: str = ""


@frozen
class Answered:
    """What a host said of what a command needs, and of where its paths lead.

    Attributes:
        lacks: What is not there.
        real: Of paths with a link in them: what they lead to. No link is in that; nothing need be there.
    """

    lacks: tuple[Need, ...] = ()
    real: Mapping[str, str] = field(factory=frozendict)


# `readlink -f` says nothing where a folder is missing, and not every host has it.
_WHERE: Final = r"""
kx_where() {
  kx_p=$2 kx_k=0
  while :; do
    kx_y=$kx_p
    while [ "$kx_y" ] && [ ! -h "$kx_y" ]; do kx_y=${kx_y%/*}; done
    [ "$kx_y" ] || break
    kx_k=$((kx_k+1))
    [ $kx_k -le 40 ] || return
    kx_x=$(readlink -- "$kx_y" && echo x) || return
    kx_x=${kx_x%?x}
    case $kx_x in /*) ;; *) kx_x=${kx_y%/*}/$kx_x ;; esac
    kx_p=$kx_x${kx_p#"$kx_y"}
  done
  [ $kx_k = 0 ] || kx_say "at $1" "$kx_p"
}
"""


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


def asking(command: Command[Any], needs: Sequence[Need], paths: Sequence[str]) -> Command[Any]:
    """A command that prints the number of each need that is not met, and where paths lead, and does nothing else."""
    lines = [_WHERE] if paths else []
    for n, each in enumerate(needs):
        if each.says:
            lines.append(f'kx_y=$({{\n{each.test}\n}} </dev/null 2>/dev/null) || kx_say {n} "$kx_y"\n')
        else:
            lines.append(f"(\n{each.test}\n) </dev/null >/dev/null 2>&1 || echo {n}\n")
    lines.extend(f"kx_where {n} {shlex.quote(each)} 2>/dev/null\n" for n, each in enumerate(paths))
    return looking(command, "".join(lines))


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


def answered(needs: Sequence[Need], paths: Sequence[str], printed: str) -> Answered:
    """What was printed: numbers of needs, each with the words of its test, and paths.

    >>> found = answered([Need("false", "one"), Need("true", "two")], ["/l/x"], "0\\nat 0 /srv//r/../y\\n")
    >>> found.lacks[0].why, dict(found.real)
    ('one', {'/l/x': '/srv/y'})
    """
    lacks: list[Need] = []
    real: dict[str, str] = {}
    for line in printed.split("\n"):
        number, _, value = line.removeprefix("at ").partition(" ")
        value = read(f"x {value}")["x"]  # as `kx_say` escapes it
        if not number.isdecimal():
            continue
        if line.startswith("at "):
            real[paths[int(number)]] = posixpath.normpath("/" + value.lstrip("/"))
        else:
            lacks.append(evolve(needs[int(number)], why=value or needs[int(number)].why))
    return Answered(tuple(lacks), frozendict(real))


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


__all__ = ["Answered", "Need", "answered", "asking", "looking", "needs_of", "taken", "takes_of"]
