"""Typed values from earlier steps: on this host, on one host, on all."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import field, frozen

from kxflow.flow.selectors import Selector, as_selector
from kxflow.values.errors import InvalidError

if TYPE_CHECKING:
    from kxflow.flow.step import Step

T = TypeVar("T")


class Origin:
    """Which definition a step came from: kept by transforms, different for every definition."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Origin()"


class Reach(Enum):
    """From which hosts an input comes."""

    here = "this host"
    one = "one host"
    every = "all hosts"


@frozen
class Input:
    """The value that an earlier step produced.

    Attributes:
        origin: Of the step that produces it.
        step: Name of that step, for messages.
        reach: From which hosts.
        selector: Which hosts of the step's task; all of them where None.
        missing: What to do where a host gave no value: `error` or `omit`; for all hosts only.
        in_task: `module/task` of the step, where it stands in several places.
    """

    origin: Origin = field(repr=False)
    step: str
    reach: Reach
    selector: Selector | None = None
    missing: Literal["error", "omit"] = "error"
    in_task: str | None = None


def _input(step: Step[Any], reach: Reach, **options: Any) -> Input:
    from kxflow.flow.step import Step as StepType

    if not isinstance(step, StepType):
        raise InvalidError(f"an input from {step!r}", "name the step itself, as made by command() or @step")
    in_task = options.get("in_task")
    if in_task is not None and (not isinstance(in_task, str) or "/" not in in_task):
        raise InvalidError(f"in_task={in_task!r}", 'write "module/task"')
    return Input(step.origin, step.name, reach, **options)


def from_here(step: Step[T], *, in_task: str | None = None) -> T:
    """The value that `step` produced on the same host, earlier in the task or in an earlier one.

    Typed as the value itself, so that a checker compares it with the parameter that takes it.

    Args:
        step: An earlier step.
        in_task: `module/task` of the step, where it stands in several places.

    Raises:
        InvalidError: It is no step, or `in_task` no path.
    """
    return cast(T, _input(step, Reach.here, in_task=in_task))


def from_one(step: Step[T], sel: Selector | None = None, *, in_task: str | None = None) -> T:
    """The value that `step` produced on the one host of its task, or on the one that `sel` takes of them.

    Args:
        step: A step of an earlier task.
        sel: Takes one of its hosts.
        in_task: `module/task` of the step, where it stands in several places.

    Raises:
        InvalidError: It is no step, `in_task` no path, or `sel` no selector.
    """
    chosen = None if sel is None else as_selector(sel, "from_one()")
    return cast(T, _input(step, Reach.one, selector=chosen, in_task=in_task))


def from_all(
    step: Step[T], *, missing: Literal["error", "omit"] = "error", in_task: str | None = None
) -> Mapping[str, T]:
    """The values that `step` produced on all hosts of its task, by host name, in the cluster's order.

    Args:
        step: An earlier step.
        missing: Where a host gave none: `error` keeps this step from running, `omit` leaves the host out.
        in_task: `module/task` of the step, where it stands in several places.

    Raises:
        InvalidError: It is no step, `missing` is neither of the two, or `in_task` no path.
    """
    if missing not in ("error", "omit"):
        raise InvalidError(f"missing={missing!r}", 'write "error" or "omit"')
    return cast("Mapping[str, T]", _input(step, Reach.every, missing=missing, in_task=in_task))
