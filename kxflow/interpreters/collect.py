"""The caller who collects: journals, values that later steps need, tallies, and the stream of events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio
from attrs import evolve

from kxflow.flow.layout import Layout, Slot, TaskPlan
from kxflow.flow.perform import attached
from kxflow.flow.wiring import Values, Wiring, note
from kxflow.interpreters import silence
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.ports import Journal, JournalError, Sent
from kxflow.values.event import Event, OutputChunk, RunBegan, RunEnded, StepBegan, StepEnded, StepRetried
from kxflow.values.fault import Fault
from kxflow.values.redact import Redactor
from kxflow.values.result import Status, StepResult

Deliver: TypeAlias = Callable[[Event], Awaitable[None]]


class Ear:
    """What a run hears: every result of every host passes here once.

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
        self._deliver = deliver
        self._redactor = redactor
        self.on_journal_fault: Callable[[str], None] = lambda _: None

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
            self._journal_failed(error)
            await self._deliver(event)
            raise
        await self._deliver(event)

    async def sent(self, steps: Sequence[Sent]) -> None:
        """Make it durable that these are about to be sent.

        Raises:
            JournalError: It could not be, so they must not be sent.
        """
        try:
            for journal in self._journals:
                await journal.sent(steps)
        except JournalError as error:
            self._journal_failed(error)
            raise

    async def ended(self, results: Sequence[StepResult]) -> None:
        """Mask what is secret in results, make them durable, hand them on."""
        results = [silence.result(self._redactor, each) for each in results]
        try:
            for journal in self._journals:
                await journal.ended(results)
        except JournalError as error:
            self._journal_failed(error)
        for result in results:
            self.spoilt += result.spoils
            if self.kept is not None:
                self.kept.append(result)
            await self._deliver(StepEnded(result))

    def keep(self, plan: TaskPlan, result: StepResult) -> None:
        """Keep the value of a result, where a later step needs it."""
        place = (plan.order, result.position.step)
        if place in self._wiring.needed:
            note(self.values, place, result)

    async def tell(self, event: StepBegan | OutputChunk | StepRetried) -> None:
        """Hand an event on."""
        await self._deliver(event)

    async def finish(self) -> None:
        """Tell that the run is over; journals are told first, so that what they say of it is in the event."""
        event = RunEnded(
            run=self._run, pipeline=self._layout.pipeline.name, at=self._clock.now(), faults=tuple(self.faults)
        )
        with anyio.CancelScope(shield=True):
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
