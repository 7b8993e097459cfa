"""A plan for the eyes: what would change, alike hosts together, with diffs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

from kxflow.sinks.escape import visible
from kxflow.sinks.wording import clipped, count
from kxflow.values.plan import Effect, Plan, Planned

_MARKS: Final = {Effect.fail: "!", Effect.change: "~", Effect.none: "=", Effect.unknown: "?"}
_TONES: Final = {"+": "green", "-": "red", "@": "cyan", "!": "bold red", "~": "yellow", "?": "magenta"}
_NAMED: Final = 8
_DIFF_LINES: Final = 60


def show(plan: Plan, file: TextIO, *, color: bool | None = None, every: bool = False) -> None:
    """Write a plan: a line for each step but those that would change nothing, its hosts, its diff; a tally.

    Args:
        plan: What to show. Bytes from hosts are written out, so that none acts on a terminal.
        file: Where to.
        color: Colours; on a terminal, where not given.
        every: Also steps that would change nothing.
    """
    from rich.console import Console
    from rich.text import Text

    screen = Console(
        file=file,
        force_terminal=color or None,
        no_color=None if color is None else not color,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )
    for line in lines(plan, every=every):
        screen.print(Text(line, style=_TONES.get(line.lstrip()[:1], "")))


def lines(plan: Plan, *, every: bool = False) -> Iterator[str]:
    """The lines of a plan, safe to show."""
    behind = Counter(each.unless for each in plan.provisional)
    for first, hosts in _alike(plan.entries):
        if first.effect is Effect.none and not every:
            continue
        why = f" ({clipped(first.reason)})" if first.reason else ""
        yield f"{_MARKS[first.effect]} {clipped(first.path)}: {first.effect.value}{why}: {_hosts(hosts)}"
        if first.change is not None:
            yield from _diff(first.change.diff)
        if first.undo:
            yield f"    cannot be taken back: {clipped(first.undo)}"
        if first.leaves:
            yield f"    taken back, it leaves {clipped(first.leaves)}"
        if number := behind.pop(first.path, 0):
            yield f"    what is foreseen behind it ({count(number, 'answer')}) holds if it touches none of that"
    yield tally(plan)


def tally(plan: Plan) -> str:
    """The last line: how many steps would do what, on how many hosts."""
    told = ", ".join(f"{number} {effect.value}" for effect, number in plan.tally.items() if number)
    return f"{clipped(plan.pipeline)}: {told or 'nothing to do'} on {count(len(plan.by_host()), 'host')}"


def _alike(entries: Iterable[Planned]) -> Iterator[tuple[Planned, Sequence[str]]]:
    """Entries of one step that foresee the same, with their hosts, in the order of the first."""
    groups: dict[object, tuple[Planned, list[str]]] = {}
    for each in entries:
        diff = "" if each.change is None else each.change.diff
        key = (each.path, each.effect, each.reason, each.undo, each.leaves, diff)
        groups.setdefault(key, (each, []))[1].append(each.host)
    yield from groups.values()


def _hosts(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(visible, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def _diff(text: str) -> Iterator[str]:
    every = text.split("\n") if text else []
    for line in every[:_DIFF_LINES]:
        yield f"    {clipped(line.expandtabs())}"
    if len(every) > _DIFF_LINES:
        yield f"    … and {count(len(every) - _DIFF_LINES, 'more line')}"
