"""The same pipeline on fewer hosts, or on none yet."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from kxflow.flow.check import check
from kxflow.flow.layers import Module, Pipeline, Task
from kxflow.flow.selectors import Selector
from kxflow.values.cluster import Cluster
from kxflow.values.errors import CompositionError


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

    part = each_task(pipeline, narrow)
    if problems := check(part, cluster):
        hint = f"that is so because of the limit {limit}: widen it"
        raise CompositionError(tuple(evolve(each, remedy=hint) for each in problems))
    return part


def hostless(pipeline: Pipeline) -> Pipeline:
    """The pipeline without what only a cluster can answer: `check` with an empty one finds all other problems."""

    def free(task: Task) -> Task:
        return evolve(task.each(lambda step: evolve(step, target=None)), allow_empty=True)

    return each_task(pipeline, free)


def each_task(pipeline: Pipeline, change: Callable[[Task], Task]) -> Pipeline:
    """The pipeline with every task changed, those of hooks too."""

    def all_of(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        return tuple(map(change, tasks))

    def inside(its: Module) -> Module:
        return evolve(its, tasks=all_of(its.tasks), before=all_of(its.before), after=all_of(its.after))

    modules = tuple(map(inside, pipeline.modules))
    return evolve(pipeline, modules=modules, before=all_of(pipeline.before), after=all_of(pipeline.after))
