"""Selectors: an algebra of sets that keeps the cluster's order, and its text form."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.selectors import And, Named, Or, Role, Selector
from tests.flow.drawn import HOSTS, clusters, joined, selectors
from tests.laws import laws

FLEET = kx.Cluster(
    [
        kx.Host("db1", roles={"db"}),
        kx.Host("web1", roles={"web", "edge"}),
        kx.Host("web2", roles={"web"}),
        kx.Host("lb", roles={"edge"}),
    ]
)
ALGEBRA = laws(60)


def names(selector: Selector, cluster: kx.Cluster = FLEET) -> list[str]:
    """Names of the hosts it takes, in the order it gives them."""
    return [each.name for each in selector(cluster)]


def test_role_takes_the_hosts_with_that_role() -> None:
    """All of them, no other."""
    assert names(kx.role("edge")) == ["web1", "lb"]
    assert names(kx.role("nobody")) == []


def test_host_takes_the_host_of_that_name() -> None:
    """Exactly that one; letters count as they are."""
    assert names(kx.host("web1")) == ["web1"]
    assert names(kx.host("WEB1")) == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web*", ["web1", "web2"]),
        ("web[!2]", ["web1"]),
        ("?b", ["lb"]),
        ("?b*", ["db1", "lb"]),
        ("[dl]b*", ["db1", "lb"]),
        ("web", []),
        ("*", ["db1", "web1", "web2", "lb"]),
    ],
)
def test_host_takes_hosts_by_a_pattern(pattern: str, found: list[str]) -> None:
    """`*` any text, `?` one character, `[…]` one of a set; the whole name has to fit."""
    assert names(kx.host(pattern)) == found


def test_all_hosts_takes_every_host() -> None:
    """In the cluster's order; of an empty cluster none."""
    assert names(kx.all_hosts) == list(FLEET.names)
    assert names(kx.all_hosts, kx.Cluster()) == []


def test_where_asks_a_function_of_the_host() -> None:
    """It sees the host with all it has."""
    assert names(kx.where(lambda host: "web" in host.roles and host.name.endswith("2"))) == ["web2"]


def test_first_takes_the_first_in_the_clusters_order() -> None:
    """Not in the order of the words; none where there is none."""
    assert names(kx.first(kx.host("lb") | kx.host("web2"))) == ["web2"]
    assert names(kx.first(kx.role("nobody"))) == []


@ALGEBRA
@given(one=selectors(), other=selectors(), cluster=clusters())
def test_operators_are_those_of_sets(one: Selector, other: Selector, cluster: kx.Cluster) -> None:
    """`&` intersects, `|` unites, `~` is what is left of the cluster."""
    mine, its, every = one.holds(cluster), other.holds(cluster), frozenset(cluster.names)
    assert (one & other).holds(cluster) == mine & its
    assert (one | other).holds(cluster) == mine | its
    assert (~one).holds(cluster) == every - mine


@ALGEBRA
@given(one=selectors(), other=selectors(), third=selectors(), cluster=clusters())
def test_algebra_has_the_laws_of_sets(one: Selector, other: Selector, third: Selector, cluster: kx.Cluster) -> None:
    """De Morgan, distribution, association, commutation, units, and `~` undoes itself."""
    nobody = ~kx.all_hosts
    same = [
        (~(one & other), ~one | ~other),
        (one & (other | third), one & other | one & third),
        ((one & other) & third, one & (other & third)),
        ((one | other) | third, one | (other | third)),
        (one & other, other & one),
        (one | other, other | one),
        (one & kx.all_hosts, one),
        (one | nobody, one),
        (one & ~one, nobody),
        (~~one, one),
        (one | one, one),
    ]
    for left, right in same:
        assert left(cluster) == right(cluster), f"{left} is not {right}"


@ALGEBRA
@given(selector=selectors(), cluster=clusters())
def test_hosts_come_in_the_clusters_order_each_once(selector: Selector, cluster: kx.Cluster) -> None:
    """Whatever the words say first; and they are the cluster's own values."""
    found = selector(cluster)
    assert list(found) == [host for host in cluster.hosts if host in found]
    assert len({host.name for host in found}) == len(found)


@ALGEBRA
@given(selector=selectors(), cluster=clusters())
def test_first_is_the_head_of_what_it_is_given(selector: Selector, cluster: kx.Cluster) -> None:
    """At most one host, and no other than the first."""
    assert kx.first(selector)(cluster) == selector(cluster)[:1]


@ALGEBRA
@given(selector=selectors(), fleets=st.lists(clusters(), min_size=1, max_size=3))
@example(selector=(kx.role("web") | kx.host("lb")) & ~kx.host("web1"), fleets=[FLEET])
@example(selector=kx.host("all") | kx.host("first"), fleets=[kx.Cluster([kx.Host("all"), kx.Host("x")])])
def test_text_form_means_the_same_on_every_cluster(selector: Selector, fleets: list[kx.Cluster]) -> None:
    """`selector(str(s))` takes what `s` takes, and its text is settled."""
    text = str(selector)
    read = kx.selector(text)
    assert str(read) == text
    for cluster in fleets:
        assert read(cluster) == selector(cluster)


@laws(300)
@given(text=st.text(max_size=30) | st.text("abrole:hst1*?[]!-,&|~() \t\nfirst", max_size=40))
@example(text="first(role:web")
@example(text="\ud800")
@example(text="[[a]&&b--c]")
@example(text="role:web:db")
def test_any_text_is_a_selector_or_an_invalid_error(text: str) -> None:
    """And what could be read can be asked of any cluster."""
    try:
        read = kx.selector(text)
    except kx.InvalidError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(read(FLEET)) <= set(FLEET.hosts)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("role:db", kx.role("db")),
        ("web1", kx.host("web1")),
        ("host:web1", kx.host("web1")),
        ("host:all", kx.host("all")),
        ("all", kx.all_hosts),
        ("first(role:web)", kx.first(kx.role("web"))),
        ("  role:db&~host:db1 ", kx.role("db") & ~kx.host("db1")),
        ("a | b & c", kx.host("a") | (kx.host("b") & kx.host("c"))),
        ("(a | b) & c", (kx.host("a") | kx.host("b")) & kx.host("c")),
        ("~a & b", ~kx.host("a") & kx.host("b")),
        ("~(a & b)", ~(kx.host("a") & kx.host("b"))),
        ("a & (b & c)", kx.host("a") & kx.host("b") & kx.host("c")),
        ("fe80::1", kx.host("fe80::1")),
    ],
)
def test_text_form_binds_not_closest_then_and_then_or(text: str, same: Selector) -> None:
    """Blanks do not matter; a bare word is a host."""
    assert kx.selector(text) == same


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["a host or role is missing", "at 'the end'"]),
        ("role:", ["role '' cannot be a role's name", "at 'role:'"]),
        ("host:", ["host '' cannot be a name or pattern"]),
        ("role:db &", ["a host or role is missing", "the end"]),
        ("& role:db", ["a host or role is missing", "at '& role:db'"]),
        ("(role:db", ["a closing parenthesis is missing"]),
        ("role:db)", ["& or | is missing", "at ')'"]),
        ("web1 web2", ["& or | is missing", "at 'web2'"]),
        ("web1,web2", ["'web1,web2' cannot be a name or pattern", "web1 | web2"]),
        ("role:web*", ["role 'web*' cannot be a role's name"]),
        ("~" * 500 + "a", ["nested too deeply"]),
        ("(" * 500 + "a" + ")" * 500, ["nested too deeply"]),
        ("first(" * 500 + "a" + ")" * 500, ["nested too deeply"]),
    ],
)
def test_text_that_cannot_be_read_says_from_where_on(text: str, words: list[str]) -> None:
    """And shows what could be meant."""
    with pytest.raises(kx.InvalidError) as caught:
        kx.selector(text)
    for word in [*words, "for example: role:db & ~host:db1"]:
        assert word in str(caught.value)


def test_hundreds_of_hosts_by_name_are_no_nesting() -> None:
    """A list of the hosts that failed last time is one level, as text and in code."""
    fleet = kx.Cluster([kx.Host(f"n{i}") for i in range(3000)])
    text = " | ".join(fleet.names)
    read, made = kx.selector(text), joined([kx.host(name) for name in fleet.names])
    assert read == made
    assert len(read(fleet)) == 3000
    assert str(made) == " | ".join(f"host:{name}" for name in fleet.names)


def test_the_same_operator_makes_one_level() -> None:
    """Grouping leaves no trace, so equal selections are equal values."""
    a, b, c = map(kx.host, "abc")
    assert (a & b) & c == a & (b & c) == And((Named("a"), Named("b"), Named("c")))
    assert (a | b) | c == a | (b | c) == Or((Named("a"), Named("b"), Named("c")))
    assert len({a | b, b | a, a | b}) == 2


def test_a_selector_has_no_truth_value() -> None:
    """`and` and `or` between selectors would drop one of them in silence."""
    with pytest.raises(TypeError, match=r"combine with & \| ~"):
        bool(kx.role("db") and kx.host("db1"))


def test_where_is_told_by_the_functions_name() -> None:
    """It has no text form that can be read back."""

    def big(host: kx.Host) -> bool:
        return bool(host.vars["cores"] > 8)

    assert str(~kx.where(big) & Role("db")) == "~where(big) & role:db"
    with pytest.raises(kx.InvalidError):
        kx.selector(str(kx.where(big)))


odd: Any = kx


async def slow(host: kx.Host) -> bool:
    """A question that has no answer at once."""
    return bool(host)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.role(5), "role 5 cannot be a role's name: use letters, digits and _.-"),
        (lambda: odd.role("a b"), "role 'a b' cannot be"),
        (lambda: odd.role(""), "role '' cannot be"),
        (lambda: odd.role("-x"), "role '-x' cannot be"),
        (lambda: odd.host(5), "host 5 cannot be a name or pattern"),
        (lambda: odd.host("a & b"), "host 'a & b' cannot be"),
        (lambda: odd.host(""), "host '' cannot be"),
        (lambda: odd.where("web"), "where() is a str: give a function of a host"),
        (lambda: odd.where(slow), "where() is async"),
        (lambda: odd.where(lambda: True), "where() cannot be called with an argument"),
        (lambda: odd.first("role:db"), "first() got 'role:db', which is no selector: write role("),
        (lambda: odd.all_hosts & "role:db", "& got 'role:db', which is no selector"),
        (lambda: odd.all_hosts | odd.role, "| got <function role"),
        (lambda: odd.selector(None), "a selector's text is a NoneType"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy


@laws()
@given(name=st.sampled_from(HOSTS))
def test_every_name_of_a_host_can_be_selected(name: str) -> None:
    """Whatever a host may be called, `host(…)` and the text form take it."""
    fleet = kx.Cluster([kx.Host("other"), kx.Host(name)])
    assert names(kx.host(name), fleet) == names(kx.selector(f"host:{name}"), fleet) == [name]
