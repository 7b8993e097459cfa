"""The caller who collects: journals, values that later steps need, tallies, and the stream of events."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import anyio
from attrs import evolve

from kxflow.flow.layout import Layout, Slot, TaskPlan
from kxflow.flow.perform import attached
from kxflow.flow.wiring import Values, Wiring, note
from kxflow.interpreters import silence
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.ports import Journal, JournalError, Sent
from kxflow.values.event import Event, RunBegan, RunEnded, StepEnded
from kxflow.values.fault import Fault
from kxflow.values.redact import Redactor
from kxflow.values.result import Status, StepResult

Deliver: TypeAlias = Callable[[Event], Awaitable[None]]


# Most events that wait to be recorded and handed on: who brings more waits, and so does a host.
_MOST: Final = 128


class Ear:
    """What a run hears: every result of every host passes here once.

    Hosts leave what they have to tell in a queue and go on; `pump` records the results in it, all that are there at
    once, and then hands the events on in their order. So a result is durable before it is handed on, and before
    another program of its host is sent, but no host waits for the disk between two steps.

    Attributes:
        values: What later steps need, by place and host.
        faults: Of the run itself.
        kept: Every result so far, where a failed run takes back what it did; else None.
        spoilt: How many results so far keep the run from success.
    """

    def __init__(
        self,
        layout: Layout,
        wiring: Wiring,
        run: str,
        clock: Clock,
        journals: Sequence[Journal],
        deliver: Deliver,
        redactor: Redactor,
    ) -> None:
        self.values: Values = {}
        self.faults: list[Fault] = []
        self.kept: list[StepResult] | None = None if layout.pipeline.on_failure is None else []
        self.spoilt = 0
        self._layout = layout
        self._wiring = wiring
        self._run = run
        self._clock = clock
        self._journals = tuple(journals)
        self._begun: list[Journal] = []
        self._unfit: JournalError | None = None
        self._deliver = deliver
        self._redactor = redactor
        self.on_journal_fault: Callable[[str], None] = lambda _: None
        self._queue: deque[Event] = deque()
        self._told = self._recorded = 0
        self._come: anyio.Event | None = None
        self._gone: anyio.Event | None = None
        self._over = False

    def blank(self, plan: TaskPlan, slot: Slot, host: str) -> StepResult:
        """The record of a slot on a host that nothing is known of yet: NotRun, now."""
        now = self._clock.now()
        return StepResult(
            run=self._run,
            pipeline=plan.pipeline,
            module=plan.module,
            task=plan.name,
            step=slot.step.name,
            host=host,
            position=plan.position(slot, self._layout.cluster.rank(host)),
            status=Status.NotRun,
            started_at=now,
            ended_at=now,
            tolerated=attached(slot.step),
        )

    async def begin(self) -> None:
        """Tell that the run begins.

        Raises:
            JournalError: A journal cannot be written: nothing was sent to any host.
            InvalidError: What a journal was to write to is refused: a link, a pipe, a file that is no log.
        """
        event = RunBegan(
            run=self._run,
            pipeline=self._layout.pipeline.name,
            at=self._clock.now(),
            fingerprint=self._layout.fingerprint,
            hosts=self._layout.cluster.names,
            shape=self._layout.shape,
        )
        try:
            for journal in self._journals:
                await journal.begin(event)
                self._begun.append(journal)
        except JournalError as error:
            self._unfit = error
            self._journal_failed(error)
            await self._deliver(event)
            raise
        await self._deliver(event)

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Make it durable that these are about to be sent.

        Raises:
            JournalError: It could not be, so they must not be sent.
        """
        if self._unfit is not None:
            raise self._unfit
        if self._begun:
            await self._until_recorded(self._told)  # what these build on comes first
        try:
            for journal in self._begun:
                await journal.sent(steps)
        except JournalError as error:
            self._journal_failed(error)
            raise

    async def ended(self, results: Sequence[StepResult]) -> None:
        """Mask what is secret in results; they will be made durable and handed on."""
        for each in results:
            result = silence.result(self._redactor, each)
            self.spoilt += result.spoils
            if self.kept is not None:
                self.kept.append(result)
            await self.tell(StepEnded(result))

    def keep(self, plan: TaskPlan, result: StepResult) -> None:
        """Keep the value of a result, where a later step needs it."""
        place = (plan.order, result.position.step)
        if place in self._wiring.needed:
            note(self.values, place, result)

    async def tell(self, event: Event) -> None:
        """Hand an event on, behind those that were told before."""
        while len(self._queue) >= _MOST:
            await self._until_gone()
        self._queue.append(event)
        self._told += 1
        self._wake()

    def end(self) -> None:
        """Nothing more will be told: `pump` may end."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if self._come is not None:
            self._come.set()
            self._come = None

    async def pump(self) -> None:
        """Record results and hand events on, until the run is over and none is left."""
        while self._queue or not self._over:
            if self._queue:
                await self._pass_on()
            else:
                self._come = anyio.Event()
                await self._come.wait()

    async def _pass_on(self) -> None:
        """All that is in the queue."""
        events = list(self._queue)
        with anyio.CancelScope(shield=True):
            await self._record(events)
        self._recorded += len(events)
        self._tell_gone()
        for event in events:
            self._queue.popleft()
            await self._deliver(event)
        self._tell_gone()

    async def _record(self, events: Iterable[Event]) -> None:
        results = [each.result for each in events if isinstance(each, StepEnded)]
        try:
            for journal in self._begun if results else ():
                await journal.ended(results)
        except JournalError as error:
            self._journal_failed(error)

    async def _until_recorded(self, count: int) -> None:
        while self._recorded < count:
            await self._until_gone()

    async def _until_gone(self) -> None:
        """Some of the queue has been recorded, or handed on."""
        self._gone = self._gone or anyio.Event()
        await self._gone.wait()

    def _tell_gone(self) -> None:
        if self._gone is not None:
            self._gone.set()
            self._gone = None

    async def finish(self) -> None:
        """Tell that the run is over; journals are told first, so that what they say of it is in the event."""
        event = RunEnded(
            run=self._run, pipeline=self._layout.pipeline.name, at=self._clock.now(), faults=tuple(self.faults)
        )
        with anyio.CancelScope(shield=True):
            unrecorded = self._told - self._recorded  # of a run that was left
            await self._record(list(self._queue)[len(self._queue) - unrecorded :])
            for journal in self._begun:
                try:
                    await journal.finish(event)
                except JournalError as error:
                    self._journal_failed(error)
                await journal.aclose()
            await self._deliver(evolve(event, faults=tuple(self.faults)))

    def _journal_failed(self, error: JournalError) -> None:
        if error.fault not in self.faults:
            self.faults.append(error.fault)
        self.on_journal_fault(str(error))
