"""A fleet: order, precedence of variables, parts, and what it says of a host that it does not hold."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from tests.laws import laws

FLEET = kx.Cluster(
    [kx.Host("web2", roles={"web"}), kx.Host("db1", roles={"db", "old"}), kx.Host("web1", roles={"web"})]
)


def test_hosts_keep_the_order_given() -> None:
    """They are not sorted; names, members and length follow."""
    assert FLEET.names == ("web2", "db1", "web1")
    assert [host.name for host in FLEET] == [host.name for host in FLEET.hosts] == list(FLEET.names)
    assert len(FLEET) == 3
    assert kx.Cluster(iter(FLEET.hosts)) == FLEET


def test_roles_are_all_that_a_host_has() -> None:
    """Sorted, each once."""
    assert FLEET.roles == ("db", "old", "web")


def test_a_host_is_found_by_name() -> None:
    """Its membership is asked by name."""
    assert FLEET["db1"] is FLEET.hosts[1]
    assert "db1" in FLEET
    assert "db2" not in FLEET
    assert 5 not in FLEET


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("web3", "no host 'web3' in the cluster: did you mean 'web2' or 'web1'?"),
        ("db-1", "no host 'db-1' in the cluster: did you mean 'db1'?"),
        ("cache", "no host 'cache' in the cluster: `cluster.names` lists all."),
        (0, "no host 0 in the cluster"),
    ],
)
def test_an_unknown_host_is_told_with_near_names(name: Any, words: str) -> None:
    """It is ours and a LookupError."""
    for ask in (lambda: FLEET[name], lambda: FLEET.rank(name)):
        with pytest.raises(kx.UnknownHostError) as caught:
            ask()
        assert str(caught.value).startswith(words)
        assert isinstance(caught.value, LookupError)
        assert isinstance(caught.value, kx.KxflowError)


def test_variables_are_looked_up_from_the_nearest_on() -> None:
    """Overrides over host over roles, the later over the earlier, over cluster."""
    fleet = kx.Cluster(
        [kx.Host("a", roles={"one", "two"}, vars={"host": "host", "over": "host"}), kx.Host("b")],
        vars=dict.fromkeys(["cluster", "one", "two", "host", "over"], "cluster"),
        role_vars={
            "one": dict.fromkeys(["one", "two", "host"], "one"),
            "two": dict.fromkeys(["two", "host", "over"], "two"),
            "three": {"cluster": "three"},
        },
        overrides={"over": "set"},
    )
    assert dict(fleet.vars_of(fleet["a"])) == {
        "cluster": "cluster",
        "one": "one",
        "two": "two",
        "host": "host",
        "over": "set",
    }
    assert dict(fleet.vars_of(fleet["b"])) == {
        **dict.fromkeys(["cluster", "one", "two", "host"], "cluster"),
        "over": "set",
    }


LEVEL = st.dictionaries(st.sampled_from("vwxyz"), st.integers(), max_size=4)


@laws(60)
@given(
    cluster=LEVEL,
    roles=st.dictionaries(st.sampled_from(["r1", "r2", "r3"]), LEVEL),
    mine=st.frozensets(st.sampled_from(["r1", "r2", "r3"])),
    host=LEVEL,
    overrides=LEVEL,
)
def test_variables_are_the_levels_laid_over_each_other(
    cluster: Any, roles: Any, mine: Any, host: Any, overrides: Any
) -> None:
    """Whatever each level says; roles in the order of `role_vars`, not of the host's."""
    fleet = kx.Cluster([kx.Host("a", roles=mine, vars=host)], vars=cluster, role_vars=roles, overrides=overrides)
    expected = dict(cluster)
    for role, its in roles.items():
        expected |= its if role in mine else {}
    expected |= host
    expected |= overrides
    assert fleet.vars_of(fleet["a"]) == expected
    assert kx.context("a", fleet).vars == expected


def test_override_adds_to_what_was_set() -> None:
    """The later wins; the fleet itself is as it was."""
    fleet = kx.Cluster([kx.Host("a")], vars={"x": 1})
    made = fleet.override({"x": 2, "y": [1]}).override({"x": 3})
    assert dict(made.vars_of(made["a"])) == {"x": 3, "y": (1,)}
    assert dict(fleet.vars_of(fleet["a"])) == {"x": 1}
    assert fleet.override({}) is fleet


def test_a_host_is_reached_its_own_way_or_the_clusters() -> None:
    """SSH where nothing was said."""
    fleet = kx.Cluster([kx.Host("a", connect=kx.Local()), kx.Host("b")], connect=kx.Via("docker"))
    assert [fleet.connect_of(host) for host in fleet] == [kx.Local(), kx.Via("docker")]
    assert kx.Cluster([kx.Host("a")]).connect == kx.Ssh()


def test_only_keeps_order_ranks_and_everything_else() -> None:
    """So that reports of parts add up; also of a part of a part, and with variables set."""
    fleet = evolve(FLEET, vars={"x": 1}, role_vars={"web": {"y": 2}}, connect=kx.Local())
    part = fleet.only(kx.role("web"))
    assert part.names == ("web2", "web1")
    assert [part.rank(name) for name in part.names] == [0, 2]
    assert (part.vars, part.role_vars, part.connect) == (fleet.vars, fleet.role_vars, fleet.connect)
    last = part.override({"z": 3}).only(kx.host("web1"))
    assert (last.names, last.rank("web1")) == (("web1",), 2)
    assert FLEET.only(lambda cluster: [cluster["db1"]]).names == ("db1",)


def test_ranks_are_places_in_the_fleet() -> None:
    """Of a whole one they count up."""
    assert [FLEET.rank(name) for name in FLEET.names] == [0, 1, 2]


def test_a_fleet_with_other_hosts_has_places_of_its_own() -> None:
    """A host that was added, or another order: the old ranks are no longer those."""
    more = evolve(FLEET, hosts=(*FLEET.hosts, kx.Host("new")))
    assert [more.rank(name) for name in more.names] == [0, 1, 2, 3]
    turned = evolve(FLEET, hosts=FLEET.hosts[::-1])
    assert [turned.rank(name) for name in turned.names] == [0, 1, 2]
    other = evolve(FLEET.only(kx.role("web")), hosts=[kx.Host("x"), kx.Host("web1")])
    assert [other.rank(name) for name in other.names] == [0, 1]


def test_only_of_no_host_is_refused() -> None:
    """With the selector's text, and the roles that there are."""
    with pytest.raises(kx.InvalidError, match="role:cache matches no host: roles here: db, old, web"):
        FLEET.only(kx.role("cache"))
    with pytest.raises(kx.InvalidError, match="roles here: none"):
        kx.Cluster().only(kx.all_hosts)


def test_clusters_are_equal_as_their_fields_are() -> None:
    """Order counts; where they were cut from does not."""
    assert kx.Cluster(FLEET.hosts) == FLEET
    assert hash(kx.Cluster(FLEET.hosts)) == hash(FLEET)
    assert kx.Cluster(FLEET.hosts[::-1]) != FLEET
    assert FLEET.only(kx.role("web")) == kx.Cluster([FLEET["web2"], FLEET["web1"]])


def test_the_repr_is_short() -> None:
    """How many hosts, and the first names."""
    assert repr(FLEET) == "Cluster(3 hosts: web2, db1, web1)"
    assert repr(kx.Cluster([kx.Host(f"n{i}") for i in range(99)])) == "Cluster(99 hosts: n0, n1, n2, n3, n4, n5, …)"


ODD: Any = kx.Cluster


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ODD(5), "hosts is an int: give a list of them, also of one"),
        (lambda: ODD(None), "hosts is a NoneType"),
        (lambda: ODD(kx.Host("a")), "hosts is a Host: give a list of them, also of one"),
        (lambda: ODD("web1"), "hosts is a str"),
        (lambda: ODD(["web1"]), "'web1' is not a Host: write Host("),
        (lambda: ODD([kx.Host("a"), kx.Host("b"), kx.Host("a")]), "two hosts are named 'a': give each its own name"),
        (lambda: ODD(vars=5), "variables cannot be an int"),
        (lambda: ODD(overrides=[1]), "variables cannot be a list"),
        (lambda: ODD(role_vars=5), "role_vars is an int: give variables by role"),
        (lambda: ODD(role_vars={"a": 5}), "variables cannot be an int"),
        (lambda: ODD(connect="ssh"), "connect is a str: write connect=Ssh("),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy
