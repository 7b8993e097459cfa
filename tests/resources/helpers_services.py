"""What the tests of packages, services and their like share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kxflow as kx
from kxflow.flow.ensure import undo_of
from kxflow.flow.step import Steps
from kxflow.values.state import State, from_record


def task_of(*steps: kx.Step[Any] | Steps, **options: Any) -> kx.Pipeline:
    """A pipeline of one task that keeps going."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, **options)), policy=kx.keep_going())


def results(cluster: kx.Cluster, *steps: kx.Step[Any] | Steps, **options: Any) -> list[kx.StepResult]:
    """What came of these steps."""
    return list(kx.report_of(kx.run(task_of(*steps), cluster, **options)))


def ran(cluster: kx.Cluster, step: kx.Step[Any]) -> kx.StepResult:
    """What came of one step."""
    (result,) = results(cluster, step)
    return result


def done(cluster: kx.Cluster, step: kx.Step[Any]) -> kx.StepResult:
    """What came of one step that had something to do, and did it."""
    result = ran(cluster, step)
    assert result.status is kx.Status.Succeeded, (str(result.error), str(result.stderr))
    assert result.change is not None
    return result


def before(result: kx.StepResult) -> State:
    """The state that was found."""
    assert result.change is not None
    return from_record(result.change.before)


def undone(cluster: kx.Cluster, step: kx.Step[Any], found: State) -> kx.StepResult:
    """What came of taking a step back to the state that it had found."""
    action = undo_of(step.action(kx.context(cluster.hosts[0])), found)
    assert action is not None

    @kx.step
    def undo(_: kx.HostContext) -> kx.Action[Any]:
        return action

    return ran(cluster, undo)


def cycle(
    cluster: kx.Cluster,
    step: kx.Step[Any],
    *,
    drift: Callable[[], object],
    seen: Callable[[], Any],
) -> kx.StepResult:
    """Fresh, again, drifted, undone; gives the result of the first run.

    Args:
        cluster: Of one host.
        step: Ensures something that is not so yet.
        drift: Spoils it.
        seen: What there is, by other means; the same state gives the same.
    """
    at_first = seen()
    first = done(cluster, step)
    wanted = seen()
    assert wanted != at_first
    assert ran(cluster, step).status is kx.Status.Skipped
    drift()
    assert seen() != wanted
    done(cluster, step)
    assert seen() == wanted
    assert undone(cluster, step, before(first)).status.ok
    assert seen() == at_first
    return first
