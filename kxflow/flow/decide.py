"""The pure half of doing a step: ask its conditions, build its action, and see what is decided without the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import frozen

from kxflow.flow.step import Failed, Step
from kxflow.values.action import Action, Fail, Skip, Value, digest, function_name, is_sensitive
from kxflow.values.context import HostContext
from kxflow.values.errors import InvalidError
from kxflow.values.fault import Fault, Raised, attempt, words_of
from kxflow.values.result import ABSENT, Status


@frozen(kw_only=True)
class Decided:
    """What came of a step without asking the host."""

    status: Status
    reason: str = ""
    error: Fault | None = None
    payload: Any = ABSENT
    has_value: bool = False
    sensitive: bool = False
    digest: str = ""


@frozen
class Do:
    """An action that the host has to perform."""

    action: Action[Any]
    digest: str

    @property
    def sensitive(self) -> bool:
        """No output of it may be kept."""
        return is_sensitive(self.action)


def raised(error: BaseException, where: str, what: str, *, hidden: bool = False) -> Fault:
    """The fault of a user's function that raised; no locals, no values of secrets.

    Args:
        error: What it raised.
        where: Path for messages.
        what: Which function.
        hidden: Its words may quote what is to be kept out of records: only its class is told.
    """
    if isinstance(error, InvalidError) and not hidden:  # ours: it says itself what was wrong there, and what to do
        told = error.what if error.what.startswith(what) else f"{what}: {error.what}"
        return Fault("raised", told[:500], where, error.remedy)
    said = type(error).__name__ if hidden else words_of(error)
    remedy = "mend the function: it must give its answer, not raise"
    return Fault("raised", f"{what} raised {said[:500]}", where, remedy)


def decide(
    step: Step[Any],
    ctx: HostContext,
    inputs: Mapping[str, Any],
    condition_inputs: Sequence[Mapping[str, Any]] = (),
    *,
    layer_failed: bool = False,
    where: str = "",
) -> Decided | Do:
    """What a step comes to on a host, as far as that is known without it.

    Args:
        step: The step; its rescue and retries are the caller's business.
        ctx: The host.
        inputs: Values of its declared inputs.
        condition_inputs: Values of the inputs of each of its conditions, in order; none given means none declared.
        layer_failed: What `kx.failed` answers.
        where: Path for messages.
    """
    given = condition_inputs or ({},) * len(step.conditions)
    for condition, values in zip(step.conditions, given, strict=True):
        holds = attempt(partial(_holds, condition.function, ctx, values, layer_failed=layer_failed))
        if isinstance(holds, Raised):
            name = function_name(condition.function)
            fault = raised(holds.error, where, f"when({name})", hidden=step.secret)
            return Decided(status=Status.Failed, reason="raised", error=fault)
        if not holds:
            return Decided(status=Status.Skipped, reason="when")
    made = attempt(partial(_made, step, ctx, inputs))
    if isinstance(made, Raised):
        fault = raised(made.error, where, f"step {step.name!r}", hidden=step.secret)
        return Decided(status=Status.Failed, reason="raised", error=fault)
    action, mark = made
    return known(action, mark, where) or Do(action, mark)


def alike(step: Step[Any]) -> Do | None:
    """What is to be done on every host alike; None where a function, a condition or an input has a say in it."""
    action = None if step.conditions else attempt(lambda: step.constant)
    if action is None or isinstance(action, Raised):
        return None
    mark = digest(action)
    return Do(action, mark) if known(action, mark, "") is None else None


def _holds(asked: Callable[..., Any], ctx: HostContext, values: Mapping[str, Any], *, layer_failed: bool) -> bool:
    return bool(layer_failed if isinstance(asked, Failed) else asked(ctx, **values))


def _made(step: Step[Any], ctx: HostContext, inputs: Mapping[str, Any]) -> tuple[Action[Any], str]:
    action = step.action(ctx, **inputs)
    return action, digest(action)


def known(action: Action[Any], mark: str, where: str) -> Decided | None:
    """What an action comes to that needs no host; None for all others."""
    match action:
        case Skip(reason):
            return Decided(status=Status.Skipped, reason=f"skip: {reason}", digest=mark)
        case Fail(reason):
            fault = Fault("fail", reason, where)
            return Decided(status=Status.Failed, reason=f"fail: {reason}", error=fault, digest=mark)
        case Value(value, sensitive):
            return Decided(status=Status.Succeeded, payload=value, has_value=True, sensitive=sensitive, digest=mark)
        case _:
            return None
