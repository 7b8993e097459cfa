"""Pipelines as hypothesis draws them: everything that a pipeline can hold, and valid as they are drawn.

Nothing is filtered: an input is drawn among the steps that `check` lets it come from.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, field, frozen, mutable
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.policy import Waves
from kxflow.flow.selectors import Selector
from tests.interpreters.doing import KINDS, WORDS, Doing, mark
from tests.interpreters.world import FLEET

T = TypeVar("T")

EXTRAS = ("when", "retry", "until", "rescue", "tolerant", "tolerant", "unreachable", "sensitive")
CROSS = ("on", "when all")
STRUCK = ("", "", "web1", "web1", "db1", "web0 web2", "db1 web1", "db1 web0 web1 web2")
WAVES = (kx.waves(1), kx.waves(2, "100%"), kx.waves("25%", "50%"))


_POLICIES = (
    *(kx.max_failures(most) for most in (0, 1, 2)),
    *(kx.max_failures(most) for most in ("25%", "40%")),
    kx.fail_fast(cancel=True),
    kx.keep_going(),
    *(kx.quorum(chosen, least) for chosen in (kx.all_hosts, kx.role("web")) for least in (1, 2, 3)),
)
POLICIES = st.sampled_from(_POLICIES) | st.builds(
    lambda join, one, other: join(one, other),
    st.sampled_from((operator.and_, operator.or_)),
    st.sampled_from(_POLICIES),
    st.sampled_from(_POLICIES),
)


@frozen(kw_only=True)
class Shape:
    """What may be drawn.

    Attributes:
        cluster: The fleet.
        policies: Others than `keep_going`, and a guard.
        cross: What ties hosts together: inputs of other hosts, `.on`, waves, a `when` or a selector that asks the
            whole cluster, `kx.failed`.
        inputs: Values of earlier steps.
        kinds: Of steps.
        extras: What may be attached to a step.
        cwd: Where the program `act` lies, for real shells.
    """

    cluster: kx.Cluster = FLEET
    policies: bool = True
    cross: bool = True
    inputs: bool = True
    kinds: tuple[str, ...] = tuple(KINDS)
    extras: tuple[str, ...] = EXTRAS
    cwd: Path | None = None


FUSED = Shape(
    cross=False, inputs=False, kinds=("shell", "argv", "check", "both", "no"), extras=("tolerant", "rescue", "retry")
)
"""Long programs: hardly anything in them has to be answered before the next step."""


@frozen
class Source:
    """A step whose value later ones may take.

    Attributes:
        hosts: Where it runs.
        order: Number of its task.
        sure: It cannot be skipped without a value, as far as `check` knows.
    """

    step: kx.Step[Any]
    hosts: frozenset[str]
    order: int
    sure: bool


def pipelines(shape: Shape = Shape()) -> st.SearchStrategy[kx.Pipeline]:
    """Pipelines that `check` finds nothing wrong with."""
    return st.composite(lambda draw: Draft.begin(draw, shape).pipeline())()


def step_lists(shape: Shape = Shape()) -> st.SearchStrategy[tuple[kx.Step[Any], ...]]:
    """Steps of one task on all hosts, as they may stand there."""
    hosts = frozenset(shape.cluster.names)
    return st.composite(lambda draw: Draft.begin(draw, shape).steps(hosts))()


def tasks_of(pipeline: kx.Pipeline, *, after: bool = True) -> list[kx.Task]:
    """All tasks of a pipeline; those of `after` too, or without them."""
    inside = [task for each in pipeline.modules for task in (*each.before, *each.tasks)]
    behind = [*pipeline.after, *(task for each in pipeline.modules for task in each.after)]
    return [*pipeline.before, *inside, *(behind if after else ())]


@functools.cache
def _below(bound: int) -> st.SearchStrategy[int]:
    """A whole number; made once, for hypothesis looks at every strategy that it meets."""
    return st.integers(0, bound - 1)


@mutable
class Draft:
    """A pipeline while it is drawn, in the order in which it runs."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    shape: Shape
    sources: list[Source] = field(factory=list)
    order: int = 0
    count: int = 0
    finally_: bool = False
    kinds: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    most: int = 3

    @classmethod
    def begin(cls, draw: Callable[[st.SearchStrategy[Any]], Any], shape: Shape) -> Draft:
        """Nothing yet but how long its tasks are, of which few kinds its steps, and what is said of them.

        Only few kinds at a time, so that these meet.
        """
        its = cls(draw, shape)
        its.kinds = tuple(its.one_of(shape.kinds) for _ in range(4))
        its.said = tuple(its.one_of((*shape.extras, *(CROSS if shape.cross else ()))) for _ in range(3))
        its.most = its.one_of((2, 3, 6))
        return its

    def one_of(self, choices: Sequence[T]) -> T:
        """One of these."""
        place: int = self.draw(_below(len(choices)))
        return choices[place]

    def maybe(self, among: int = 2) -> bool:
        """Once in so many."""
        return self.draw(_below(among)) == among - 1  # type: ignore[no-any-return]  # two whole numbers

    # -- layers --

    def pipeline(self) -> kx.Pipeline:
        """All of it."""
        free = self.shape.policies
        before = self.hooks("b")
        modules = [self.module(f"m{i}") for i in range(self.one_of((1, 1, 2, 3)))]
        return kx.pipeline(
            "p",
            *modules,
            before=before,
            after=self.hooks("a", last=True),
            policy=self.draw(POLICIES) if free and self.maybe() else kx.keep_going(),
            guard=self.draw(POLICIES) if free and self.maybe() else None,
        )

    def module(self, name: str) -> kx.Module:
        """A module between its hooks; where it is not enabled, nobody takes values of it."""
        when, enabled = self.when()
        known = list(self.sources)
        waves = self.waves()
        before = self.hooks("b")
        tasks = [self.task(f"t{i}") for i in range(self.one_of((1, 2, 2, 3)))]
        after = self.hooks("a", last=True)
        if not enabled:
            self.sources = known
        return kx.module(name, *tasks, when=when, waves=waves, before=before, after=after)

    def when(self) -> tuple[Any, bool]:
        """Whether a module runs: as it is said, and the answer."""
        if not self.maybe(4):
            return True, True
        size = len(self.shape.cluster)
        said: list[tuple[Any, bool]] = [(False, False), (lambda _: True, True)]
        if self.shape.cross:
            said += [(lambda cluster: len(cluster) > 1, size > 1), (lambda cluster: "web9" in cluster.names, False)]
        return self.one_of(said)

    def waves(self) -> Waves | None:
        """A roll-out, now and then."""
        return self.one_of(WAVES) if self.shape.cross and self.maybe(4) else None

    def hooks(self, name: str, *, last: bool = False) -> tuple[kx.Task, ...]:
        """One task, or none; `last` for those that may ask whether what was before them failed."""
        if not self.maybe():
            return ()
        self.finally_ = last
        made = self.task(name)
        self.finally_ = False
        return (made,)

    def task(self, name: str) -> kx.Task:
        """A task; at times on no host."""
        cluster = self.shape.cluster
        plain = [kx.all_hosts, kx.all_hosts, kx.role("web"), ~kx.host(cluster.names[-1]), kx.host("nobody")]
        on: Selector = self.one_of([*plain, *([kx.first(kx.all_hosts)] if self.shape.cross else [])])
        hosts = frozenset(each.name for each in on(cluster))
        made = kx.task(
            name,
            *self.steps(hosts),
            on=on,
            concurrency=self.one_of((None, None, 1, 2)),
            policy=self.draw(POLICIES) if self.shape.policies and self.maybe(3) else None,
            waves=self.waves(),
            allow_empty=not self.shape.cross or not hosts,
        )
        self.order += 1
        return made

    def steps(self, hosts: frozenset[str]) -> tuple[kx.Step[Any], ...]:
        """Steps in order."""
        return tuple(self.step(hosts) for _ in range(self.one_of(range(self.most + 1))))

    # -- steps --

    def step(self, hosts: frozenset[str], *, rescues: bool = False) -> kx.Step[Any]:
        """A step that may take values of those before it, with what is attached to it."""
        number = self.count
        self.count += 1
        kind = self.one_of(self.kinds)
        word = self.one_of(("held", *WORDS) if "check" in kind else WORDS)
        doing = Doing(kind, number, word, self.struck(), self.shape.cwd)
        made = evolve(kx.step(**self.inputs(hosts))(doing), name=f"s{number}")
        for _ in range(self.one_of((0, 0, 1, 2, 3))):
            made = self.attach(made, self.one_of(self.extras()), hosts)
        sure = not rescues and not made.conditions and kind not in ("check", "skip")
        if hosts:
            self.sources.append(Source(made, hosts, self.order, sure))
        return made

    def struck(self) -> tuple[str, ...]:
        """Hosts on which something is otherwise."""
        return tuple(self.one_of(STRUCK).split())

    def extras(self) -> list[str]:
        """What may be attached here."""
        asks = ("failed",) if self.finally_ and self.shape.cross else ()
        return [*self.said, *asks]

    def inputs(self, hosts: frozenset[str]) -> dict[str, Any]:
        """Values of earlier steps, by parameter: at most two."""
        found: list[Any] = []
        earlier = [each for each in self.sources if each.order < self.order and self.shape.cross]
        for each in self.sources:
            if each.sure and each.hosts >= hosts:
                found += [kx.from_here(each.step)] * 2
        for each in earlier:
            found.append(kx.from_all(each.step, missing="omit"))
            if each.sure:
                found.append(kx.from_all(each.step))
                found += [kx.from_one(each.step, kx.host(name)) for name in sorted(each.hosts)[:2]]
                found += [kx.from_one(each.step)] if len(each.hosts) == 1 else []
        if not found or not self.shape.inputs:
            return {}
        chosen = [self.one_of(found) for _ in range(self.one_of((0, 0, 1, 1, 2)))]
        return {f"i{place}": each for place, each in enumerate(chosen)}

    def attach(self, step: kx.Step[Any], extra: str, hosts: frozenset[str]) -> kx.Step[Any]:
        """The step with one thing more said of it."""
        match extra:
            case "when":
                struck = self.struck()
                return step.when(lambda ctx: ctx.host.name not in struck)
            case "when all":
                return step.when(lambda ctx, **given: mark(given) % 3 > 0, **self.inputs(hosts))
            case "failed":
                return step.when(kx.failed)
            case "retry":
                return step.retry(self.one_of((1, 2)), delay=self.one_of((0, 3)))
            case "until":
                struck = self.struck()
                return step.retry(1, until=lambda result: result.host not in struck)
            case "rescue":
                return step.rescue(*(self.step(hosts, rescues=True) for _ in range(self.one_of((1, 1, 2)))))
            case "tolerant":
                return step.ignore_errors()
            case "unreachable":
                return step.ignore_unreachable()
            case "on":
                return step.on(kx.host(self.one_of(self.shape.cluster.names)))
            case _:
                return step.sensitive()
