"""What the laws run on: hosts of memory that do as a command's words say, at a pace and with faults that are drawn."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from attrs import evolve, field, frozen
from hypothesis import strategies as st

import kxflow as kx
from kxflow.interpreters.ports import Link
from kxflow.values.action import Command
from kxflow.values.fault import Fault

HOSTS = ("db1", "web0", "web1", "web2")
FLEET = kx.Cluster([kx.Host(name, roles={name.rstrip("0123456789")}) for name in HOSTS])
START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@frozen
class World:
    """What the hosts do by themselves, whatever the pipeline is.

    Attributes:
        refused: Hosts that cannot be reached.
        lost: Steps by number and the hosts on whose behalf they are done: the connection is lost in the middle of it.
        pace: How many turns of the event loop things take, used one after the other, by host; no real time passes.
    """

    refused: frozenset[str] = frozenset()
    lost: frozenset[tuple[int, str]] = frozenset()
    pace: tuple[int, ...] = (0,)


def worlds(*, refused: bool = True, lost: bool = False) -> st.SearchStrategy[World]:
    """Hosts that are slow and quick, that cannot be reached, whose connections are lost at any step."""
    gone = st.sampled_from([frozenset[str]()] * 3 + [frozenset({"web1"})] * refused)
    steps, hosts = st.sets(st.integers(0, 6), max_size=3), st.sampled_from([HOSTS[1:2], HOSTS[1:], HOSTS])
    cuts = st.builds(lambda numbers, names: frozenset(itertools.product(numbers, names)), steps, hosts)
    return st.builds(World, gone, cuts if lost else st.just(frozenset()), paces())


def paces() -> st.SearchStrategy[tuple[int, ...]]:
    """How many turns of the event loop things take."""
    return st.lists(st.sampled_from([0, 0, 1, 2, 5, 12]), min_size=1, max_size=12).map(tuple)


class Turns:
    """A clock on which a second is a turn of the event loop."""

    def __init__(self) -> None:
        self._turns = 0

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self._turns)

    def monotonic(self) -> float:
        return float(self._turns)

    async def sleep(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self._turns += 1
            await anyio.lowlevel.checkpoint()


@frozen
class Order:
    """The words of a command: `sh act ok 3 web1 …` is step 3, done well, on behalf of web1.

    Attributes:
        word: What is to come of it: `ok`, `fail`, `flaky` (fails when first done), `held` (its check holds).
        step: Number of the step.
        host: On whose behalf.
    """

    word: str
    step: int
    host: str

    @classmethod
    def of(cls, command: Command[Any]) -> Order:
        """The words of a command."""
        words = command.text.split() if command.text is not None else [str(word) for word in command.argv or ()]
        return cls(words[2], int(words[3]), words[4])


@frozen
class Hosts:
    """Hosts of a world during one run.

    Attributes:
        world: What they do by themselves.
        heard: Told when a command begins and when it ends.
    """

    world: World = World()
    heard: Callable[[str, Order], object] = field(default=lambda what, order: None)
    _done: Counter[str] = field(factory=Counter, init=False)
    _paced: Counter[str] = field(factory=Counter, init=False)
    _links: list[Link] = field(factory=list, init=False)

    def answer(self, host: kx.Host, command: Command[Any]) -> kx.Reply | None:
        """As the words say; each answer tells which host gave it."""
        order, text = Order.of(command), str(command)
        self.heard("end", order)
        if (order.step, order.host) in self.world.lost:
            return None
        self._done[text] += 1
        bad = order.word == "fail" or (order.word == "flaky" and self._done[text] == 1)
        value = None if command.value is None else f"value {host.name} {text}".encode()
        if order.word == "held" and command.check is not None:
            return kx.Reply(held=True, value=value)
        return kx.Reply(exit_code=3 if bad else 0, stdout=f"{host.name} {text}".encode(), stderr=b"e", value=value)

    async def wait(self, host: str) -> None:
        """As long as it takes there this time."""
        turn = self._paced[host] * len(HOSTS) + (HOSTS.index(host) if host in HOSTS else 0)
        self._paced[host] += 1
        for _ in range(self.world.pace[turn % len(self.world.pace)]):
            await anyio.lowlevel.checkpoint()

    async def pause(self, host: kx.Host, command: Command[Any]) -> None:
        """A command begins."""
        self.heard("begin", Order.of(command))
        await self.wait(host.name)

    def refuse(self, host: kx.Host) -> Fault | None:
        """Whether it can be reached."""
        return Fault("refused", "nobody listens", host.name) if host.name in self.world.refused else None

    async def connect(self, host: kx.Host, cluster: kx.Cluster) -> Link:
        """As `MemoryConnector`, in its own time."""
        await self.wait(host.name)
        link = await kx.MemoryConnector(self.answer, self.refuse, self.pause).connect(host, cluster)
        self._links.append(link)
        return link

    async def aclose(self) -> None:
        """The run is over: it has closed every connection that it opened."""
        assert not any(link.alive for link in self._links)


def ran(pipeline: kx.Pipeline, world: World | None = None, cluster: kx.Cluster = FLEET, **options: Any) -> kx.Report:
    """The report of a run; on the cluster's own connections where there is no world."""
    connector = None if world is None else Hosts(world)
    return asyncio.run(_ran(pipeline, cluster, {"connector": connector, "clock": Turns(), **options}))


async def _ran(pipeline: kx.Pipeline, cluster: kx.Cluster, options: Any) -> kx.Report:
    return kx.report_of(await kx.arun(pipeline, cluster, **options))


def folded(pipeline: kx.Pipeline, world: World, cluster: kx.Cluster = FLEET, **options: Any) -> kx.Report:
    """The fold of the stream of a run."""
    events = partial(kx.stream, pipeline, cluster, connector=Hosts(world), clock=Turns(), **options)

    async def fold() -> kx.Report:
        return kx.fold([event async for event in events()])

    return asyncio.run(fold())


def oracle(pipeline: kx.Pipeline, world: World | None = None, cluster: kx.Cluster = FLEET) -> kx.Report:
    """What the serial interpreter says."""
    connector = None if world is None else Hosts(world)
    return kx.report_of(kx.serial(pipeline, cluster, connector=connector, clock=Turns()))


def timeless(report: kx.Report) -> list[kx.StepResult]:
    """Results without what differs from run to run."""
    return [
        evolve(
            each,
            run="r",
            started_at=START,
            ended_at=START,
            duration=0.0,
            attempts=tuple(evolve(one, started_at=START, ended_at=START, duration=0.0) for one in each.attempts),
        )
        for each in report
    ]
