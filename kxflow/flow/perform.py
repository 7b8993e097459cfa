"""One step on one host, taken literally: decide, perform, try again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from kxflow.flow.decide import Decided, Do, decide, raised
from kxflow.flow.step import Step
from kxflow.values.context import HostContext, Runner
from kxflow.values.fault import Fault, Raised, attempt
from kxflow.values.result import Attempt, Performed, Position, Status, StepResult, settle


def blank(step: Step[Any], ctx: HostContext) -> StepResult:
    """The record of a step that nothing is known of yet, outside of any pipeline."""
    now = ctx.runner.now()
    return StepResult(
        run=ctx.run,
        pipeline="",
        module="",
        task="",
        step=step.name,
        host=ctx.host.name,
        position=Position(host=ctx.cluster.rank(ctx.host.name)),
        status=Status.NotRun,
        started_at=now,
        ended_at=now,
        tolerated=attached(step),
    )


def attached(step: Step[Any]) -> bool:
    """An error handler is attached to it: known when built."""
    return step.tolerant or step.tolerates_unreachable or bool(step.rescued_by)


def tolerates(step: Step[Any], status: Status) -> bool:
    """Whether the handlers attached to a step cover a fault; for no fault, whether there is a handler."""
    match status:
        case Status.Unreachable:
            return step.tolerates_unreachable
        case Status.Failed | Status.Cancelled:
            return step.tolerant or bool(step.rescued_by)
        case Status.Lost:
            return step.tolerant
        case _:
            return attached(step)


def marked(step: Step[Any], result: StepResult) -> StepResult:
    """The result with its flag `tolerated` as the step's handlers say."""
    tolerated = tolerates(step, result.status)
    return result if result.tolerated == tolerated else evolve(result, tolerated=tolerated)


def decided_result(place: StepResult, decided: Decided, runner: Runner) -> StepResult:
    """The record of what was decided without the host; it has times too."""
    now = runner.now()
    performed = Performed(
        status=decided.status,
        reason=decided.reason,
        error=decided.error,
        payload=decided.payload,
        has_value=decided.has_value,
        sensitive=decided.sensitive,
        started_at=now,
        ended_at=now,
    )
    ran = decided.status in (Status.Succeeded, Status.Failed)
    return settle(place, performed, digest=decided.digest, attempts=(performed.attempt,) if ran else ())


def judged(step: Step[Any], result: StepResult) -> StepResult:
    """A success that does not satisfy `until` is a failure."""
    until = None if step.attempts is None else step.attempts.until
    if until is None or result.status is not Status.Succeeded:
        return result
    fault = Fault("until", "the result does not satisfy until=", result.path, "raise times= or delay=")
    satisfied = attempt(lambda: bool(until(result)))
    if satisfied is True:
        return result
    if isinstance(satisfied, Raised):
        fault = raised(satisfied.error, result.path, "retry(until=…)", hidden=step.secret)
    last = evolve(result.attempts[-1], status=Status.Failed)
    return evolve(result, status=Status.Failed, reason=fault.code, error=fault, attempts=(*result.attempts[:-1], last))


def tries_left(step: Step[Any], result: StepResult) -> bool:
    """It failed in a way that another try may mend, and there is one."""
    if step.attempts is None or result.status is not Status.Failed or result.reason == "raised":
        return False
    return len(result.attempts) <= step.attempts.times


async def perform(
    step: Step[Any],
    ctx: HostContext,
    inputs: Mapping[str, Any],
    *,
    condition_inputs: Sequence[Mapping[str, Any]] = (),
    layer_failed: bool = False,
    place: StepResult | None = None,
) -> StepResult:
    """Do a step on the host of a context and give its record; trouble on the host is never raised."""
    at = place or blank(step, ctx)
    what = decide(step, ctx, inputs, condition_inputs, layer_failed=layer_failed, where=at.path)
    if isinstance(what, Decided):
        return marked(step, decided_result(at, what, ctx.runner))
    return marked(step, await _attempts(step, what, ctx.runner, at))


async def _attempts(step: Step[Any], what: Do, runner: Runner, at: StepResult) -> StepResult:
    tries: tuple[Attempt, ...] = ()
    while True:
        performed = await runner.perform(what.action)
        began = performed.status not in (Status.Unreachable, Status.NotRun)
        tries = (*tries, performed.attempt) if began else tries
        result = judged(step, settle(at, performed, digest=what.digest, attempts=tries))
        if not tries_left(step, result):
            return result
        tries = result.attempts
        if step.attempts is not None:
            await runner.pause(step.attempts.pause(len(tries)))
