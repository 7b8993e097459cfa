"""The one place that names the containers.

A result travels on one of two tracks, and both carry the same frozen record, so none can be lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias, TypeVar

from returns.future import FutureResult
from returns.io import IOFailure, IOResult, IOSuccess
from returns.result import Failure, Result, Success
from returns.unsafe import unsafe_perform_io

from kxflow.values.errors import InvalidError
from kxflow.values.report import Report
from kxflow.values.result import Results, StepResult

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

FutureStep: TypeAlias = FutureResult[StepResult, StepResult]
FutureResults: TypeAlias = FutureResult[Results, Results]
Outcome: TypeAlias = IOResult[Report, Report]


def either(outcome: Result[A, B] | IOResult[A, B], on_success: Callable[[A], C], on_failure: Callable[[B], C]) -> C:
    """Consume a container, whichever track `outcome` is on: by `on_success`, or by `on_failure`.

    >>> either(Success(2), lambda n: n + 1, len)
    3
    """
    whole = outcome if isinstance(outcome, IOResult) else IOResult.from_result(outcome)
    return unsafe_perform_io(whole.map(on_success).lash(lambda problem: IOSuccess(on_failure(problem))).unwrap())


def track(result: StepResult) -> Result[StepResult, StepResult]:
    """Success for Succeeded, Skipped and tolerated; Failure else. Both carry the record."""
    return Success(result) if result.on_success_track else Failure(result)


def tracks(results: Iterable[StepResult]) -> Result[Results, Results]:
    """Success where every result is on the success track; both carry all of them."""
    every = tuple(results)
    return Success(every) if all(each.on_success_track for each in every) else Failure(every)


def future(work: Coroutine[Any, Any, Result[A, B]]) -> FutureResult[A, B]:
    """A container of work to come; awaited once."""
    return FutureResult(work)


async def record_of(step: FutureResult[A, A]) -> A:
    """Await a container whose two tracks carry the same, and give that."""
    return either(await step.awaitable(), _same, _same)


def outcome_of(report: Report) -> Outcome:
    """The report on its track."""
    return IOSuccess(report) if report.succeeded else IOFailure(report)


def report_of(outcome: Outcome) -> Report:
    """The report in the `outcome` of a run, whichever track it came on.

    Raises:
        InvalidError: It is no outcome.
    """
    found = either(outcome, _same, _same) if isinstance(outcome, IOResult | Result) else None
    if not isinstance(found, Report):
        raise InvalidError(
            f"{outcome!r:.200} is no outcome of a run", "give what kxflow.run(…) gives, or await arun(…)"
        )
    return found


def _same(value: A) -> A:
    return value
