"""The concurrent interpreter: modules and tasks in order, hosts side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio
from attrs import frozen

from kxflow.flow.layout import AFTER, Layout, ModulePlan, TaskPlan
from kxflow.flow.policy import Waves, cut
from kxflow.flow.undo import taking_back
from kxflow.flow.wiring import Wiring
from kxflow.interpreters.brake import Brake
from kxflow.interpreters.clock import Clock
from kxflow.interpreters.collect import Deliver, Ear
from kxflow.interpreters.host import HostDrive, Post
from kxflow.interpreters.lane import Lane, Wires
from kxflow.interpreters.ports import Connector, Journal, JournalError, Sent
from kxflow.interpreters.runner import LaneRunner
from kxflow.values.context import HostContext
from kxflow.values.event import OutputChunk, StepBegan, StepRetried
from kxflow.values.fault import Fault
from kxflow.values.host import Host
from kxflow.values.redact import Redactor
from kxflow.values.result import UNDO, Status, StepResult
from kxflow.values.tally import Tally, Verdict


@frozen(kw_only=True)
class Options:
    """Bounds and switches of a run.

    Attributes:
        concurrency: Most hosts at work at a time.
        connects: Most hosts being connected to at a time.
        open_connections: Most connections that stay open while idle.
        fuse: Steps go out as one program, as far as they can.
        chunks: Live output is told as events.
        verify: Resources are asked again after they acted, as they say; False: none is.
    """

    concurrency: int = 50
    connects: int = 20
    open_connections: int = 256
    fuse: bool = True
    chunks: bool = False
    verify: bool = True


class TaskRun:
    """One task while it runs: its brake and its tally.

    Attributes:
        out: Why hosts are out, by name; shared with the tasks around it.
    """

    def __init__(self, plan: TaskPlan, out: dict[str, str], layer_failed: bool) -> None:
        self.plan = plan
        self.brake = Brake()
        self.out = out
        self.layer_failed = layer_failed
        self.faults: dict[str, Status] = {}


class Engine:
    """Runs a layout. Every result is given to `deliver` as an event; nothing is kept but what later steps need."""

    def __init__(
        self,
        layout: Layout,
        run: str,
        connector: Connector,
        clock: Clock,
        journals: Sequence[Journal],
        deliver: Deliver,
        options: Options,
    ) -> None:
        self._layout = layout
        self._run = run
        self._options = options
        self._wiring = Wiring(layout)
        redactor = Redactor()
        self.ear = Ear(layout, self._wiring, run, clock, journals, deliver, redactor)
        self.ear.on_journal_fault = lambda what: self._stop_all(f"journal: {what}")
        self._wires = Wires(
            connector,
            clock,
            layout.cluster,
            anyio.Semaphore(options.connects),
            options.chunks,
            redactor,
            options.verify,
        )
        self._lanes: dict[str, Lane] = {}
        self._faults: dict[str, Status] = {}
        self._struck: set[str] = set()
        self._now: TaskRun | None = None
        self._halted = ""
        self._aborted = ""
        self._last_use = self._uses()

    def _uses(self) -> dict[str, int]:
        uses: dict[str, int] = {}
        for plan in self._layout.enabled:
            for host in plan.hosts:
                uses[host.name] = plan.order
            for slot in plan.slots:
                if slot.step.target is not None:
                    uses.update((host.name, plan.order) for host in slot.step.target(self._layout.cluster))
        return uses

    # Stopping

    def interrupt(self, reason: str) -> None:
        """Let steps in flight end and begin no other; hooks named `after` still run. Again: end everything now."""
        if not self._halted:
            self.ear.faults.append(
                Fault("interrupted", f"the run was interrupted: {reason}", self._layout.pipeline.name)
            )
            self._stop_all(f"interrupted: {reason}")
        else:
            self.abort(reason)

    def abort(self, reason: str) -> None:
        """End steps in flight now and begin no other, not even in hooks."""
        self._aborted = self._aborted or f"interrupted: {reason}"
        self._halted = self._halted or self._aborted
        if self._now is not None:
            self._now.brake.stop(self._aborted, cancel=True)

    def _stop_all(self, reason: str, *, cancel: bool = False, rescues: bool = True) -> None:
        self._halted = self._halted or reason
        if self._now is not None and not self._now.plan.hook.startswith((AFTER, UNDO)):
            self._now.brake.stop(reason, cancel=cancel, rescues=rescues)

    # Layers

    async def run(self) -> None:
        """Everything, to the end; where a journal cannot begin, nothing is sent to any host."""
        try:
            await self.ear.begin()
        except JournalError as error:
            self._halted = self._aborted = f"journal: {error}"
        try:
            async with anyio.create_task_group() as telling:
                telling.start_soon(self.ear.pump)
                try:
                    await self._pipeline()
                finally:
                    self.ear.end()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await self._close_all()
            await self.ear.finish()

    async def _pipeline(self) -> None:
        layout = self._layout
        out: dict[str, str] = {}
        halted = await self._tasks(layout.before, out, "")
        for module in layout.modules:
            if module.enabled:
                halted = await self._module(module, out, halted)
        await self._take_back()
        await self._after(layout.after, {}, failed=bool(self.ear.spoilt))

    async def _take_back(self) -> None:
        """Undo what was completed, where the pipeline says so and hosts have failed; not where the run was stopped."""
        results, self.ear.kept = self.ear.kept, None
        if not results or not self._faults or self._aborted or self.ear.faults:
            return
        out: dict[str, str] = {}
        for plan in taking_back(self._layout, results, self.ear.values, self._faults, self._struck):
            await self._task(TaskRun(plan, out, False), self._aborted, hook=True)

    async def _module(self, module: ModulePlan, out: dict[str, str], halted: str) -> str:
        """The module's tasks between its hooks; gives why the pipeline stops, where it does."""
        halted = halted or self._halted
        if halted:  # its `before` does not begin, so neither does its `after`
            return await self._tasks([*module], out, halted)
        spoilt = self.ear.spoilt
        halted = await self._tasks(module.before, out, "")
        if module.waves is None:
            halted = await self._tasks(module.tasks, out, halted)
        else:
            halted = await self._in_waves(module, module.waves, out, halted)
        fresh: dict[str, str] = {}
        told = await self._after(module.after, fresh, failed=self.ear.spoilt > spoilt)
        for name, why in fresh.items():
            out.setdefault(name, why)
        return halted or told

    async def _tasks(self, plans: Sequence[TaskPlan], out: dict[str, str], halted: str) -> str:
        for plan in plans:
            halted = await self._task(TaskRun(plan, out, False), halted)
        return halted

    async def _after(self, plans: Sequence[TaskPlan], out: dict[str, str], *, failed: bool) -> str:
        """Hooks that run like `finally`: only an abort keeps them from it."""
        told = ""
        for plan in plans:
            told = await self._task(TaskRun(plan, out, failed), told or self._aborted, hook=True)
        return told

    async def _in_waves(self, module: ModulePlan, waves: Waves, out: dict[str, str], halted: str) -> str:
        """All tasks for the hosts of the first wave, then for those of the next."""
        names = {host.name for plan in module.tasks for host in plan.hosts}
        hosts = [host for host in self._layout.cluster.hosts if host.name in names]
        runs = [TaskRun(plan, out, False) for plan in module.tasks]
        for wave in cut(hosts, waves):
            chosen = {host.name for host in wave}
            for its in runs:
                mine = [host for host in its.plan.hosts if host.name in chosen]
                halted = await self._hosts(its, mine, halted or self._halted)
        return halted

    async def _task(self, its: TaskRun, halted: str, *, hook: bool = False) -> str:
        """A task on its hosts, wave after wave; gives why what follows stops, where it does."""
        plan = its.plan
        for wave in cut(plan.hosts, plan.waves):
            halted = await self._hosts(its, wave, halted or ("" if hook else self._halted))
        return halted

    async def _hosts(self, its: TaskRun, hosts: Sequence[Host], halted: str) -> str:
        """Some hosts of a task, side by side."""
        if halted:
            its.brake.stop(halted)
        self._now = its
        bound = min(self._options.concurrency, its.plan.concurrency or len(hosts), len(hosts))
        waiting = iter(hosts)
        async with anyio.create_task_group() as workers:
            for _ in range(bound):
                workers.start_soon(self._work, its, waiting)
        self._now = None
        if any(host.name in its.faults for host in hosts):
            self._struck.update(host.name for host in hosts)
        return halted or its.brake.reason

    async def _work(self, its: TaskRun, waiting: Iterator[Host]) -> None:
        for host in waiting:
            await self._host(its, host)

    async def _host(self, its: TaskRun, host: Host) -> None:
        listener = _Listener(self, its)
        lane = self.lane(host.name)
        ctx = HostContext(host, self._layout.cluster, self._run, LaneRunner(lane, its.brake))
        post = Post(
            plan=its.plan,
            wiring=self._wiring,
            values=self.ear.values,
            lane_of=self.lane,
            blank=self.ear.blank,
            layer_failed=its.layer_failed,
            fuse=self._options.fuse,
        )
        with lane.held():
            await HostDrive(post, ctx, its.brake, listener).run(its.out.get(host.name, ""))
        if self._last_use.get(host.name, -1) <= its.plan.order and not lane.busy:
            self._lanes.pop(host.name, None)
            await lane.aclose()
        elif len(self._lanes) > self._options.open_connections:
            await self._close_idle()

    # Connections

    def lane(self, name: str) -> Lane:
        """The way to a host; the longest unused ones come first."""
        found = self._lanes.pop(name, None) or Lane(self._layout.cluster[name], self._wires)
        self._lanes[name] = found
        return found

    async def _close_idle(self) -> None:
        """Close the longest unused connections beyond the bound; ways that nothing is known of are made again."""
        opened = [lane for lane in self._lanes.values() if lane.open]
        idle = [lane for lane in opened if not lane.busy]
        for lane in idle[: max(0, len(opened) - self._options.open_connections)]:
            if not lane.busy:  # while another was closed, it may have come into use for a step with `.on`
                await lane.aclose()
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.spare}

    async def _close_all(self) -> None:
        lanes, self._lanes = self._lanes, {}
        async with anyio.create_task_group() as closing:
            for lane in lanes.values():
                closing.start_soon(lane.aclose)

    # Policies

    def judge(self, its: TaskRun, result: StepResult) -> None:
        """Take a result into the tallies and stop where a policy says so."""
        if not result.status.fault or result.tolerated:
            if result.status is Status.NotRun and result.reason.startswith("input:"):
                its.out.setdefault(result.host, f"blocked: {result.path}")
            return
        its.out.setdefault(result.host, f"blocked: {result.path}")
        its.faults.setdefault(result.host, result.status)
        self._faults.setdefault(result.host, result.status)
        cluster = self._layout.cluster
        verdict = its.plan.policy(Tally(its.plan.hosts, its.faults, cluster))
        if verdict.stops:
            its.brake.stop(f"stopped: {its.plan.label}: {verdict.reason}", cancel=verdict.cancel, rescues=False)
        guard = self._layout.pipeline.guard
        told = guard(Tally(cluster.hosts, self._faults, cluster)) if guard is not None else Verdict()
        if told.stops:
            self._stop_all(f"stopped: guard: {told.reason}", cancel=told.cancel, rescues=False)


class _Listener:
    """What the driver of one host in one task reports to."""

    def __init__(self, engine: Engine, its: TaskRun) -> None:
        self._engine = engine
        self._its = its

    async def sent(self, steps: Sequence[Sent]) -> None:
        await self._engine.ear.sent(steps)

    async def ended(self, results: Sequence[StepResult]) -> None:
        for result in results:
            self._engine.ear.keep(self._its.plan, result)
            self._engine.judge(self._its, result)
        await self._engine.ear.ended(results)

    async def tell(self, event: StepBegan | OutputChunk | StepRetried) -> None:
        await self._engine.ear.tell(event)
