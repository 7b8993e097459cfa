"""The same pipeline on fewer hosts, or on none yet."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from kxflow.flow.check import check
from kxflow.flow.inputs import Reach
from kxflow.flow.layers import Pipeline, Task
from kxflow.flow.layout import lay_out
from kxflow.flow.selectors import Selector
from kxflow.flow.wiring import Producer, Wiring, inputs_of
from kxflow.values.cluster import Cluster
from kxflow.values.errors import CompositionError, Problem


def limited(pipeline: Pipeline, cluster: Cluster, limit: Selector) -> Pipeline:
    """The pipeline on those of its hosts that `limit` takes; a task that keeps none of them is empty.

    The cluster stays whole. Were it cut instead, `first(…)` would name another host, `.on(…)` none, and a file that
    lists the fleet would list a part of it: a run on one host would break what the run on all has built.

    >>> from kxflow.flow.layers import module, pipeline, task
    >>> from kxflow.flow.selectors import all_hosts, first, host
    >>> from kxflow.values.host import Host
    >>> fleet = Cluster([Host("web1"), Host("web2")])
    >>> whole = pipeline("p", module("m", task("lead", on=first(all_hosts)), task("each")))
    >>> part = limited(whole, fleet, host("web2"))
    >>> [[each.name for each in its.hosts(fleet)] for its in part.modules[0].tasks]
    [[], ['web2']]

    Raises:
        CompositionError: The pipeline has problems, or wants a value of a host that is outside of the limit.
        InvalidError: The limit matches no host of the cluster.
    """
    if problems := check(pipeline, cluster):
        raise CompositionError(tuple(problems))
    cluster.only(limit)

    def narrow(task: Task) -> Task:
        cut = evolve(task, hosts=task.hosts & limit)
        return cut if cut.hosts(cluster) else evolve(cut, allow_empty=True)

    part = pipeline.each_task(narrow)
    if problems := [*check(part, cluster), *_partial(pipeline, part, cluster)]:
        hint = f"that is so because of the limit {limit}: widen it"
        raise CompositionError(tuple(evolve(each, remedy=hint) for each in problems))
    return part


def _partial(whole: Pipeline, part: Pipeline, cluster: Cluster) -> Iterator[Problem]:
    """Inputs that want a value of every host and would be given those of some; who wrote `omit` wants it so."""
    before, after = Wiring(lay_out(whole, cluster)), Wiring(lay_out(part, cluster))
    for whole_plan, plan in zip(before.layout.enabled, after.layout.enabled, strict=True):
        for slot in plan.slots if plan.hosts else ():
            for name, wanted in inputs_of(slot.step):
                if wanted.reach is not Reach.every or wanted.missing == "omit":
                    continue
                found, left = before.find(wanted, whole_plan, slot), after.find(wanted, plan, slot)
                if isinstance(found, Producer) and isinstance(left, Producer) and found.hosts != left.hosts:
                    lost = next(each.name for each in found.hosts if each not in left.hosts)
                    yield Problem(plan.path(slot), f"input {name!r} wants the value of {found.path} on {lost}, too")


def hostless(pipeline: Pipeline) -> Pipeline:
    """The pipeline without what only a cluster can answer: `check` with an empty one finds all other problems."""

    def free(task: Task) -> Task:
        return evolve(task, allow_empty=True)

    return pipeline.each_task(free)
