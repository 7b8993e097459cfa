"""When to go on and when to stop: pure functions from a tally to a verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Literal, NoReturn, TypeAlias

from attrs import field, frozen

from kxflow.flow.selectors import Selector, as_selector
from kxflow.values.arguments import is_whole
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host
from kxflow.values.tally import GO_ON, Tally, Verdict

Scope: TypeAlias = Literal["host", "wave", "run"]


class Policy:
    """A pure function from a tally to a verdict; `&` goes on while both do, `|` while one does.

    Policies are equal when they answer alike on every tally. `keep_going()` is the unit of `&`.
    """

    __slots__ = ()

    def __call__(self, tally: Tally) -> Verdict:
        raise TypeError("use fail_fast, keep_going, max_failures or quorum")

    def __and__(self, other: Policy) -> Policy:
        return Every(self, _policy(other, "&"))

    def __or__(self, other: Policy) -> Policy:
        return Some(self, _policy(other, "|"))

    def __bool__(self) -> NoReturn:
        raise TypeError("a policy has no truth value: combine with & and |")


def _policy(value: object, where: str) -> Policy:
    if not isinstance(value, Policy):
        raise InvalidError(f"{where} got {value!r}, which is no policy", "write keep_going(), with parentheses")
    return value


@frozen
class MaxFailures(Policy):
    """Stop when more hosts failed than a number or share of those selected."""

    most: int = 0
    percent: float | None = None
    cancel: bool = False

    def __call__(self, tally: Tally) -> Verdict:
        bound = self.most if self.percent is None else part_of(tally.total, self.percent)
        if tally.failed <= bound:
            return GO_ON
        allowed = f"{self.most}" if self.percent is None else f"{self.percent:g}%"
        return Verdict(True, self.cancel, f"{tally.failed} of {tally.total} hosts failed, allowed are {allowed}")


@frozen
class KeepGoing(Policy):
    """Never stop."""

    def __call__(self, tally: Tally) -> Verdict:
        del tally
        return GO_ON


@frozen
class Quorum(Policy):
    """Go on while enough hosts of a selection have no fault."""

    selector: Selector
    least: int

    def __call__(self, tally: Tally) -> Verdict:
        chosen = self.selector(tally.cluster)
        well = sum(each.name not in tally.faults for each in chosen)
        if well >= self.least:
            return GO_ON
        return Verdict(True, False, f"{well} hosts of {self.selector} are well, {self.least} are needed")


@frozen
class Every(Policy):
    """Go on while both go on."""

    one: Policy
    other: Policy

    def __call__(self, tally: Tally) -> Verdict:
        one, other = self.one(tally), self.other(tally)
        if one.stops and other.stops:
            return Verdict(True, one.cancel or other.cancel, one.reason)
        return one if one.stops else other


@frozen
class Some(Policy):
    """Go on while one of the two goes on."""

    one: Policy
    other: Policy

    def __call__(self, tally: Tally) -> Verdict:
        one, other = self.one(tally), self.other(tally)
        if one.stops and other.stops:
            return Verdict(True, one.cancel and other.cancel, f"{one.reason}; {other.reason}")
        return GO_ON


def fail_fast(*, cancel: bool = False) -> Policy:
    """Stop at the first host that fails; with `cancel`, end the steps in flight too."""
    return MaxFailures(0, cancel=cancel)


def keep_going() -> Policy:
    """Never stop: a host that failed is out, the others go on."""
    return KeepGoing()


def max_failures(most: int | str, *, cancel: bool = False) -> Policy:
    """Stop when more than `most` hosts failed: a number, or a share such as "10%" of the hosts selected.

    >>> max_failures("10%")
    MaxFailures(most=0, percent=10.0, cancel=False)

    Raises:
        InvalidError: Neither a number >= 0 nor a share from 0% to 100%.
    """
    if isinstance(most, int) and is_whole(most) and most >= 0:
        return MaxFailures(most, cancel=cancel)
    return MaxFailures(0, share(most), cancel)


def quorum(selector: Selector, least: int) -> Policy:
    """Go on while at least `least` hosts of those that `selector` takes have no fault.

    Raises:
        InvalidError: No selector, or `least` is no whole number >= 0.
    """
    if not is_whole(least) or least < 0:
        raise InvalidError(f"quorum of {least!r}", "give a whole number of hosts")
    return Quorum(as_selector(selector, "quorum()"), least)


@frozen
class Rollback:
    """What is taken back when a run fails.

    Attributes:
        scope: `host`: on each host with a fault, what was begun there. `wave`: on all hosts of the wave (or, with
            no waves, of the task) in which one failed. `run`: on every host.
    """

    scope: Scope

    def __attrs_post_init__(self) -> None:
        if self.scope not in ("host", "wave", "run"):
            raise InvalidError(f"rollback({self.scope!r})", 'write "host", "wave" or "run"')


def share(text: object) -> float:
    """Percentage of a text such as "25%".

    Raises:
        InvalidError: It is none from 0% to 100%.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text) if isinstance(text, str) else None
    if found is None or float(found[1]) > 100:
        raise InvalidError(f"{text!r} is neither a number of hosts nor a share", 'write 3 or "10%"')
    return float(found[1])


def part_of(total: int, percent: float) -> Fraction:
    """A share of a number of hosts, exactly: of 3000 hosts, floats make 1.1% a little more than 33."""
    return Fraction(repr(percent)) * total / 100


@frozen
class Waves:
    """A roll-out: how many hosts there are in all after each wave.

    Attributes:
        sizes: Cumulative: numbers of hosts, or shares of them in percent.
    """

    sizes: tuple[int | float, ...] = field()
    shares: tuple[bool, ...]

    def split(self, total: int) -> tuple[int, ...]:
        """Where each wave ends, as numbers of hosts; rising, the last is `total`.

        >>> waves(1, "25%", "100%").split(10)
        (1, 3, 10)
        """
        ends: list[int] = []
        for size, is_share in zip(self.sizes, self.shares, strict=True):
            end = ceil(part_of(total, size)) if is_share else int(size)
            end = min(max(end, 1), total)
            if end > (ends[-1] if ends else 0):
                ends.append(end)
        if total and (not ends or ends[-1] < total):
            ends.append(total)
        return tuple(ends)


def waves(*sizes: int | str) -> Waves:
    """Roll out in waves: cumulative sizes, shares rounded up, at least one host; what is left forms a last wave.

    The next wave starts when the one before ended well.

    Raises:
        InvalidError: No size, or one that is neither a number >= 1 nor a share > 0%; or sizes of one kind do not rise.
    """
    if not sizes:
        raise InvalidError("waves() needs sizes", 'for example waves(1, "25%", "100%")')
    numbers: list[int | float] = []
    for size in sizes:
        numbers.append(int(size) if is_whole(size) else share(size))
        if numbers[-1] <= 0:
            kind_of = "hosts" if is_whole(size) else "of the hosts"
            raise InvalidError(f"a wave of {size} {kind_of}", "give at least 1, or more than 0%")
    shares = tuple(isinstance(size, str) for size in sizes)
    for kind in (True, False):
        alike = [number for number, its in zip(numbers, shares, strict=True) if its is kind]
        if any(later <= earlier for earlier, later in pairwise(alike)):
            raise InvalidError(f"waves{sizes} do not rise", "sizes are cumulative: each larger than the one before")
    return Waves(tuple(numbers), shares)


def cut(hosts: Sequence[Host], roll_out: Waves | None) -> list[Sequence[Host]]:
    """Hosts wave by wave; one wave where there is no roll-out."""
    if roll_out is None:
        return [hosts]
    ends = roll_out.split(len(hosts))
    return [hosts[start:end] for start, end in zip((0, *ends), ends, strict=False)]
