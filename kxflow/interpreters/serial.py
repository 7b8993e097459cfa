"""The idea taken literally: a step over a context gives a future result, and every layer folds those of the one below.

No connection is shared between steps, no host waits for another, nothing is fused: slow, plain, and the oracle of the
concurrent interpreter (law: `run` equals it, times apart).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from kxflow.flow.layout import Layout, ModulePlan, Slot, TaskPlan
from kxflow.flow.perform import attached, perform
from kxflow.flow.policy import Waves, cut
from kxflow.flow.undo import taking_back
from kxflow.flow.wiring import Missing, Values, Wiring, note
from kxflow.interpreters import silence
from kxflow.values.context import HostContext
from kxflow.values.host import Host
from kxflow.values.outcome import FutureResults, FutureStep, future, record_of, track, tracks
from kxflow.values.redact import Redactor
from kxflow.values.report import Report
from kxflow.values.result import Results, Status, StepResult
from kxflow.values.tally import Tally


@frozen
class Scope:
    """What a fold carries from host to host and from task to task.

    Attributes:
        out: Why hosts are out.
        halted: Why nothing begins any more; empty while it may. One element, replaced.
    """

    out: dict[str, str]
    halted: list[str]

    @property
    def why(self) -> str:
        """Why nothing begins any more."""
        return self.halted[0] if self.halted else ""


class Serial:
    """Folds a layout over contexts, one host and one step at a time.

    Args:
        layout: The pipeline on its cluster.
        contexts: One for each host of the cluster, with a runner.
        redactor: Masks the secrets that their runners know; it learns those that steps produce.
    """

    def __init__(self, layout: Layout, contexts: Iterable[HostContext], redactor: Redactor | None = None) -> None:
        self._layout = layout
        self._redactor = Redactor() if redactor is None else redactor
        self._wiring = Wiring(layout)
        self._contexts = {ctx.host.name: ctx for ctx in contexts}
        self._values: Values = {}
        self._faults: dict[str, Status] = {}
        self._struck: set[str] = set()
        self._guarded: list[str] = []
        self._spoilt = 0

    async def report(self) -> Report:
        """The report of the whole pipeline."""
        return Report(await record_of(self.pipeline()))

    def pipeline(self) -> FutureResults:
        """Hooks and modules, folded."""

        async def fold() -> object:
            scope = Scope({}, [])
            results = list(await self._tasks(self._layout.before, scope))
            for module in self._layout.modules:
                if module.enabled:
                    results += await record_of(self.module(module, scope))
            results += await self._take_back(results)
            results += await self._after(self._layout.after, Scope({}, []), failed=bool(self._spoilt))
            return tracks(results)

        return future(fold())  # type: ignore[arg-type]  # the container's type is that of tracks()

    async def _take_back(self, results: list[StepResult]) -> Results:
        """Undo what was completed, where the pipeline says so and hosts have failed."""
        if not self._faults:
            return ()
        scope = Scope({}, [])
        undone: list[StepResult] = []
        for plan in taking_back(self._layout, results, self._values, self._faults, self._struck):
            undone += await record_of(self.task(plan, scope, hook=True))
        return tuple(undone)

    def module(self, module: ModulePlan, scope: Scope) -> FutureResults:
        """A module's tasks between its hooks, folded."""

        async def fold() -> object:
            if scope.why or self._guarded:
                return tracks(await self._tasks([*module], scope))
            spoilt = self._spoilt
            results = list(await self._tasks(module.before, scope))
            if module.waves is None:
                results += await self._tasks(module.tasks, scope)
            else:
                results += await self._waves(module, module.waves, scope)
            fresh, guarded = Scope({}, []), bool(self._guarded)
            results += await self._after(module.after, fresh, failed=self._spoilt > spoilt)
            for name, why in fresh.out.items():
                scope.out.setdefault(name, why)
            if not guarded:  # what stopped the run first is what later records name
                scope.halted.extend(fresh.halted)
            return tracks(results)

        return future(fold())  # type: ignore[arg-type]  # as above

    async def _tasks(self, plans: Sequence[TaskPlan], scope: Scope) -> Results:
        results: list[StepResult] = []
        for plan in plans:
            results += await record_of(self.task(plan, scope))
        return tuple(results)

    async def _after(self, plans: Sequence[TaskPlan], scope: Scope, *, failed: bool) -> Results:
        results: list[StepResult] = []
        for plan in plans:
            results += await record_of(self.task(plan, scope, layer_failed=failed, hook=True))
        return tuple(results)

    async def _waves(self, module: ModulePlan, waves: Waves, scope: Scope) -> Results:
        names = {host.name for plan in module.tasks for host in plan.hosts}
        hosts = [host for host in self._layout.cluster.hosts if host.name in names]
        faults: dict[int, dict[str, Status]] = {}
        results: list[StepResult] = []
        start = 0
        for end in waves.split(len(hosts)):
            chosen = {host.name for host in hosts[start:end]}
            for plan in module.tasks:
                mine = [host for host in plan.hosts if host.name in chosen]
                results += await self._hosts(plan, mine, scope, faults.setdefault(plan.order, {}))
            start = end
        return tuple(results)

    def task(self, plan: TaskPlan, scope: Scope, *, layer_failed: bool = False, hook: bool = False) -> FutureResults:
        """A task's steps on each of its hosts, folded; all of them, also when one failed."""

        async def fold() -> object:
            results = await self._hosts(plan, plan.hosts, scope, {}, layer_failed=layer_failed, hook=hook)
            return tracks(results)

        return future(fold())  # type: ignore[arg-type]  # as above

    async def _hosts(
        self,
        plan: TaskPlan,
        hosts: Sequence[Host],
        scope: Scope,
        faults: dict[str, Status],
        *,
        layer_failed: bool = False,
        hook: bool = False,
    ) -> Results:
        results: list[StepResult] = []
        for host in hosts:
            status: dict[int, StepResult] = {}
            for slot in plan.slots:
                why = scope.out.get(host.name) or scope.why or ("" if hook else "".join(self._guarded))
                result = await record_of(self.step(plan, slot, host, status, why, layer_failed=layer_failed))
                status[slot.index] = result
                results.append(result)
                self._judge(plan, result, scope, faults)
        for wave in cut(hosts, plan.waves):
            if any(host.name in faults for host in wave):
                self._struck.update(host.name for host in wave)
        return tuple(results)

    def step(
        self,
        plan: TaskPlan,
        slot: Slot,
        host: Host,
        before: dict[int, StepResult],
        why: str,
        *,
        layer_failed: bool,
    ) -> FutureStep:
        """One step on one host; NotRun where `why` says something."""

        async def do() -> object:
            ctx = self._contexts[host.name]
            place = self._place(plan, slot, ctx)
            if why:
                return track(evolve(place, reason=why))
            if slot.rescues is not None and before[slot.rescues].status not in (Status.Failed, Status.Cancelled):
                return track(evolve(place, status=Status.Skipped, reason="rescue"))
            sets: list[dict[str, object]] = []
            for wanted in (slot.step.inputs, *(each.inputs for each in slot.step.conditions)):
                given = self._wiring.gather(wanted, plan, slot, host.name, self._values)
                if isinstance(given, Missing):
                    return track(evolve(place, reason=given.reason))
                sets.append(given)
            where = ctx if slot.step.target is None else self._contexts[slot.step.target(ctx.cluster)[0].name]
            here = evolve(ctx, runner=where.runner)
            result = await perform(
                slot.step, here, sets[0], condition_inputs=sets[1:], layer_failed=layer_failed, place=place
            )
            return track(silence.result(self._redactor, result))

        return future(do())  # type: ignore[arg-type]  # the container's type is that of track()

    def _place(self, plan: TaskPlan, slot: Slot, ctx: HostContext) -> StepResult:
        now = ctx.runner.now()
        return StepResult(
            run=ctx.run,
            pipeline=plan.pipeline,
            module=plan.module,
            task=plan.name,
            step=slot.step.name,
            host=ctx.host.name,
            position=plan.position(slot, ctx.cluster.rank(ctx.host.name)),
            status=Status.NotRun,
            started_at=now,
            ended_at=now,
            tolerated=attached(slot.step),
        )

    def _judge(self, plan: TaskPlan, result: StepResult, scope: Scope, faults: dict[str, Status]) -> None:
        self._spoilt += result.spoils
        place = (plan.order, result.position.step)
        if place in self._wiring.needed:
            note(self._values, place, result)
        if result.status is Status.NotRun and result.reason.startswith("input:"):
            scope.out.setdefault(result.host, f"blocked: {result.path}")
        if not result.status.fault or result.tolerated:
            return
        scope.out.setdefault(result.host, f"blocked: {result.path}")
        faults.setdefault(result.host, result.status)
        self._faults.setdefault(result.host, result.status)
        cluster = self._layout.cluster
        verdict = plan.policy(Tally(plan.hosts, faults, cluster))
        if verdict.stops and not scope.halted:
            scope.halted.append(f"stopped: {plan.label}: {verdict.reason}")
        guard = self._layout.pipeline.guard
        told = guard(Tally(cluster.hosts, self._faults, cluster)) if guard is not None else None
        if told is not None and told.stops and not self._guarded:
            self._guarded.append(f"stopped: guard: {told.reason}")
