"""The capability of a context: one action on one host, whatever kind of action it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import evolve

from kxflow.flow.decide import raised as fault_of
from kxflow.interpreters import verdicts
from kxflow.interpreters.brake import Brake, in_flight
from kxflow.interpreters.controller import call
from kxflow.interpreters.lane import Lane
from kxflow.interpreters.ports import ReachError
from kxflow.interpreters.verdicts import Span
from kxflow.shell import frames
from kxflow.shell.program import Op
from kxflow.values.action import (
    DEFAULT_TIMEOUT,
    Action,
    Both,
    Command,
    Fail,
    OnController,
    Reboot,
    Skip,
    Value,
    function_name,
)
from kxflow.values.fault import Fault, Raised
from kxflow.values.result import Performed, Status


def wire_commands(action: Action[Any]) -> tuple[Command[Any], ...] | None:
    """The commands of an action that the host can do without an answer in between; None for all others."""
    match action:
        case Command():
            return (action,)
        case Both(parts):
            commands = tuple(part for part in parts if isinstance(part, Command))
            asks = any(part.gives_value for part in commands[:-1])  # only here it can be told whether that went well
            return None if asks or len(commands) < len(parts) else commands
        case _:
            return None


async def _nothing() -> None:
    pass


class LaneRunner:
    """Performs actions over one lane, one at a time.

    Attributes:
        lane: The way to the host.
        brake: Stops it.
        began: Awaited whenever a command or a function begins.
    """

    def __init__(self, lane: Lane, brake: Brake, began: Callable[[], Awaitable[None]] = _nothing) -> None:
        self.lane = lane
        self.brake = brake
        self.began = began
        self._clock = lane.wires.clock

    async def perform(self, action: Action[Any]) -> Performed:
        """Do it and give back what came of it; trouble on the host is never raised."""
        match action:
            case OnController():
                return evolve(await self._here(action), sensitive=action.sensitive)
            case Skip() | Fail() | Value():
                return self._known(action)
            case Reboot():
                return await self._reboot(action)
            case Both(parts) if wire_commands(action) is None:
                return await self._parts(parts)
            case _:
                commands = wire_commands(action)
                if commands is None:
                    raise TypeError(f"nothing knows how to perform {action!r}")
                return await self._commands(commands)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await self._clock.sleep(seconds)

    def now(self) -> dt.datetime:
        """UTC."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return self._clock.monotonic()

    def stopwatch(self) -> Callable[[], Span]:
        """A function that gives the time since now."""
        began, wall = self.monotonic(), self.now()
        return lambda: Span(wall, self.now(), self.monotonic() - began)

    async def _parts(self, parts: Sequence[Action[Any]]) -> Performed:
        done: list[Performed] = []
        begun = False
        with in_flight(self.brake) as brake:
            rest = LaneRunner(self.lane, brake, self.began)
            for part in parts:
                done.append(await (rest if begun else self).perform(part))
                if not done[-1].status.ok:
                    break
                begun = begun or not isinstance(part, Skip | Fail | Value)
        if begun and done[-1].status is Status.NotRun:
            done[-1] = verdicts.cancelled(done[-1], self.lane.host.name)
        return verdicts.merged(done)

    def _known(self, action: Action[Any]) -> Performed:
        span = self.stopwatch()()
        blank = Performed(status=Status.Succeeded, started_at=span.started_at, ended_at=span.ended_at)
        match action:
            case Skip(reason):
                return evolve(blank, status=Status.Skipped, reason=f"skip: {reason}")
            case Fail(reason):
                fault = Fault("fail", reason, self.lane.host.name)
                return evolve(blank, status=Status.Failed, reason=f"fail: {reason}", error=fault)
            case Value(value, sensitive):
                return evolve(blank, payload=value, has_value=True, sensitive=sensitive)
            case _:
                raise TypeError(f"{action!r} is not known beforehand")

    async def _reboot(self, action: Reboot[Any]) -> Performed:
        """Order it, then ask on new connections until the answer is another."""
        watch = self.stopwatch()
        ordered = await self._commands((action.command,))
        before = str(ordered.stdout).strip()
        gone = ordered.status is Status.Lost and ordered.reason == "connection"  # it went before it could say so
        if not before or not (ordered.status is Status.Succeeded or gone):
            return ordered
        asking = LaneRunner(self.lane, Brake())  # a stop is no reason to let go of a host that is on its way
        last = ordered
        while True:
            await self.lane.aclose()
            late = watch().duration > action.timeout
            if late or self.brake.cancelled:
                return verdicts.not_back(last, watch(), self.lane.host.name, late=late)
            await self.pause(action.interval)
            last = await asking.perform(action.ask)
            after = str(last.stdout).strip()
            if last.status is Status.Succeeded and after and after != before:
                return verdicts.back(before, after, watch())

    async def _here(self, action: OnController[Any]) -> Performed:
        """Call a function on the controller."""
        watch = self.stopwatch()
        if self.brake.stopped:
            return _stopped(watch())
        await self.began()
        called = await call(action.function, self.brake, action.timeout or DEFAULT_TIMEOUT)
        span = watch()
        where = self.lane.host.name
        if called.ended:
            return verdicts.ended_here(called.ended, span, where, sure=called.sure)
        blank = Performed(
            status=Status.Succeeded,
            started_at=span.started_at,
            ended_at=span.ended_at,
            duration=span.duration,
        )
        if isinstance(called.gave, Raised):
            error = fault_of(called.gave.error, where, function_name(action.function), hidden=action.sensitive)
            return evolve(blank, status=Status.Failed, reason="raised", error=error)
        return evolve(blank, payload=called.gave, has_value=True)

    async def _commands(self, commands: Sequence[Command[Any]]) -> Performed:
        ops = [Op(index=i, command=each, group=0) for i, each in enumerate(commands)]
        gatherer = Gatherer(self, commands)
        watch = self.stopwatch()
        try:
            over = await self.lane.run(ops, self.brake, gatherer.take)
        except ReachError as error:
            return verdicts.unreachable(error.fault, watch())
        return gatherer.result(over, watch())


def _stopped(span: Span) -> Performed:
    """What an action came to that did not begin."""
    return Performed(status=Status.NotRun, reason="stopped", started_at=span.started_at, ended_at=span.ended_at)


class Gatherer:
    """Collects the events of the ops of one step into what the step came to."""

    def __init__(self, runner: LaneRunner, commands: Sequence[Command[Any]]) -> None:
        self._commands = commands
        self._runner = runner
        self._watch = runner.stopwatch()
        self._ended: list[Performed] = []

    async def take(self, event: frames.Event) -> None:
        """Take the next event of the wire."""
        match event:
            case frames.Began():
                await self._runner.began()
                self._watch = self._runner.stopwatch()
            case frames.Ended():
                command = self._commands[event.index]
                where = self._runner.lane.host.name
                self._ended.append(verdicts.of_ended(command, event, self._watch(), where))
            case _:
                pass

    def result(self, over: Any, span: Span) -> Performed:
        """What it all came to."""
        parts = self._ended
        whole = len(parts) == len(self._commands) or (parts and not parts[-1].status.ok)
        if not whole:
            if over.done is not None and over.done.why == "stop":
                return _stopped(span)
            hidden = any(each.sensitive for each in self._commands)
            cut = verdicts.of_over(over, span, self._runner.lane.host.name, sensitive=hidden)
            parts = [*parts, cut]
        return verdicts.merged(parts)
