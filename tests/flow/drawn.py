"""Clusters, selectors, tallies, policies and actions as hypothesis draws them for the tests of flow."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.policy import Policy
from kxflow.flow.selectors import Selector

HOSTS = ("web1", "web2", "web10", "db1", "db2", "lb", "all", "first", "cache-1", "10.0.0.1", "fe80::1")
ROLES = ("web", "db", "lb", "all", "x.y-z", "_1")
PATTERNS = ("*", "web*", "web?", "db[12]", "[!w]*", "*-*", "nobody", "web[", "*::*", "[a-c]*", "[[]", "w[[e]b1")


def clusters(least: int = 0) -> st.SearchStrategy[kx.Cluster]:
    """Fleets of hosts with any roles, in any order."""
    roles = st.frozensets(st.sampled_from(ROLES), max_size=3)
    hosts = st.builds(lambda name, its: kx.Host(name, roles=its), st.sampled_from(HOSTS), roles)
    return st.lists(hosts, min_size=least, max_size=8, unique_by=lambda host: host.name).map(kx.Cluster)


def selectors() -> st.SearchStrategy[Selector]:
    """Whatever `role`, `host`, `all_hosts`, `first`, `&`, `|` and `~` make."""
    leaves = st.one_of(
        st.just(kx.all_hosts),
        st.sampled_from(ROLES).map(kx.role),
        st.sampled_from((*HOSTS, *PATTERNS)).map(kx.host),
    )

    def deeper(inner: st.SearchStrategy[Selector]) -> st.SearchStrategy[Selector]:
        pairs = st.tuples(inner, inner)
        both = st.builds(lambda pair, join: join(*pair), pairs, st.sampled_from([operator.and_, operator.or_]))
        return st.one_of(both, inner.map(operator.invert), inner.map(kx.first))

    return st.recursive(leaves, deeper, max_leaves=12)


def tallies() -> st.SearchStrategy[kx.Tally]:
    """How the hosts of a task may stand; those with a fault are among those selected."""
    statuses = st.sampled_from([each for each in kx.Status if each.fault])

    def tally(cluster: kx.Cluster, picked: list[bool], faults: list[tuple[bool, kx.Status]]) -> kx.Tally:
        chosen = tuple(host for host, taken in zip(cluster.hosts, picked, strict=False) if taken)
        told = {host.name: status for host, (bad, status) in zip(chosen, faults, strict=False) if bad}
        return kx.Tally(chosen, told, cluster)

    picks = st.lists(st.booleans(), min_size=8, max_size=8)
    return st.builds(tally, clusters(), picks, st.lists(st.tuples(st.booleans(), statuses), min_size=8, max_size=8))


def policies() -> st.SearchStrategy[Policy]:
    """Every policy, and what `&` and `|` make of them."""
    leaves = st.one_of(
        st.just(kx.keep_going()),
        st.booleans().map(lambda cancel: kx.fail_fast(cancel=cancel)),
        st.integers(0, 8).map(kx.max_failures),
        st.sampled_from(["0%", "10%", "12.5%", "50%", "99.9%", "100%"]).map(kx.max_failures),
        st.builds(kx.quorum, selectors(), st.integers(0, 4)),
    )
    joins = st.sampled_from([operator.and_, operator.or_])
    return st.recursive(
        leaves, lambda inner: st.builds(lambda join, one, other: join(one, other), joins, inner, inner), max_leaves=4
    )


def words() -> st.SearchStrategy[str]:
    """Text that a shell can hold, surrogates that stand for bytes among it."""
    letters = st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("\udc80\udcff'\"$`\\\n *")
    return st.text(letters, max_size=12)


def commands() -> st.SearchStrategy[kx.Action[Any]]:
    """Commands with all sorts of options, made twice alike where drawn alike."""
    texts = words().filter(lambda text: bool(text.strip()))
    codes = st.frozensets(st.integers(1, 255), min_size=1, max_size=3)
    secrets = st.binary(min_size=1, max_size=8).filter(lambda raw: b"\0" not in raw).map(kx.Secret)
    optional = {
        "check": texts | st.builds(kx.test, texts, codes),
        "undo": texts,
        "value": texts,
        "env": st.dictionaries(st.sampled_from(["A", "LANG", "TOKEN"]), words() | secrets, max_size=3),
        "cwd": texts,
        "stdin": st.binary(max_size=8) | words() | secrets,
        "become": st.sampled_from(["root", "app", kx.Become("app", method="su")]),
        "timeout": st.integers(1, 9) | st.floats(0.5, 9),
        "ok_codes": codes,
        "sensitive": st.booleans(),
        "capture": st.integers(1, 99),
        "idempotent": st.booleans(),
        "detached": st.booleans(),
        "parse": st.sampled_from([str.upper, len, int]),
    }
    options = st.fixed_dictionaries({}, optional=optional)
    argv = st.lists(words(), max_size=3).map(lambda rest: ["prog", *rest])
    return st.one_of(
        st.builds(lambda text, given: kx.shell(text, **given), texts, options),
        st.builds(lambda all_words, given: kx.cmd(*all_words, **given), argv, options),
    )


def step_of(function: Callable[..., Any], name: str = "made", **inputs: Any) -> kx.Step[Any]:
    """A step of a function, under a name, without a checker's eye on it."""
    step: Any = kx.step
    made: kx.Step[Any] = (step(**inputs) if inputs else step)(function).named(name)
    return made


def joined(parts: list[Selector]) -> Selector:
    """All of them with `|` between, the way a loop would write it."""
    return functools.reduce(operator.or_, parts)
