"""What every resource must stand: planned, applied, applied again, taken back, on real hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kxflow.edge import plan, rollback, run
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.step import Step
from kxflow.values.cluster import Cluster
from kxflow.values.outcome import report_of
from kxflow.values.plan import Effect
from kxflow.values.report import Report
from kxflow.values.result import Status


def _nothing() -> object:
    return None


def check_resource(
    step: Step[Any], cluster: Cluster, *, see: Callable[[], object] = _nothing, undo: bool = True
) -> None:
    """Fail where a resource is none: it plans what it does, does it once, and takes it back.

    Args:
        step: What `ensure` gave; on these hosts its state is not there yet.
        cluster: Where; hosts that may be changed, such as `kx.Local()` with paths of a test, or `clone_fleet`.
        see: What there is, by other means than the resource's own; the same state gives equal values.
        undo: It can be taken back.

    Raises:
        AssertionError: It is none; the message says why.
    """
    pipeline = Pipeline("check", (Module("check", (Task("check", (step,)),)),))
    before = see()
    planned = plan(pipeline, cluster)
    _must(all(each.effect is Effect.change for each in planned), "the plan sees nothing to do at first", planned)
    _must(see() == before, "the probe changes something")

    first = report_of(run(pipeline, cluster))
    _all(first, Status.Succeeded, "it does not come about")
    for each, result in zip(planned, first, strict=True):
        _must(each.change == result.change, "it does not do what the plan said", (each.change, result.change))
    after = see()

    again = plan(pipeline, cluster)
    _must(all(each.effect is Effect.none for each in again), "the plan sees something to do the second time", again)
    _all(report_of(run(pipeline, cluster)), Status.Skipped, "a second run does something")
    _must(see() == after, "a second run changes something")
    if not undo:
        return

    _must(not planned.lasting, "the plan says that it cannot be taken back", planned.lasting)
    _all(report_of(rollback(pipeline, cluster, first)), Status.Succeeded, "it is not taken back")
    _must(see() == before, "taken back, it is not as before", (before, see()))
    _must(plan(pipeline, cluster) == planned, "taken back, the plan is another than at first")


def _all(report: Report, status: Status, what: str) -> None:
    wrong = [each for each in report if each.status is not status]
    _must(not wrong, what, [(each.host, each.status.name, each.reason, str(each.error or "")) for each in wrong])


def _must(holds: bool, what: str, told: object = "") -> None:
    if not holds:
        shown = [str(each) for each in told] if hasattr(told, "__iter__") and not isinstance(told, str) else told
        raise AssertionError(f"{what}: {shown}" if told != "" else what)
