"""Policies as an algebra of verdicts, and roll-out in waves."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.policy import Policy, Waves
from kxflow.flow.selectors import Selector
from tests.flow.drawn import policies, selectors, tallies
from tests.laws import laws

LAWS = laws(60)
FLEET = kx.Cluster([*(kx.Host(f"web{i}", roles={"web"}) for i in range(1, 11)), kx.Host("db1", roles={"db"})])


def tally(*failed: str, total: int = 10) -> kx.Tally:
    """So many hosts selected, and these of them failed."""
    return kx.Tally(FLEET.hosts[:total], dict.fromkeys(failed, kx.Status.Failed), FLEET)


def stops(policy: Policy, its: kx.Tally) -> bool:
    """Whether it says stop."""
    return policy(its).stops


@LAWS
@given(policy=policies(), its=tallies())
def test_both_with_keep_going_changes_nothing(policy: Policy, its: kx.Tally) -> None:
    """`keep_going` is the unit of `&`, on either side: of the whole verdict."""
    assert (policy & kx.keep_going())(its) == policy(its)
    assert (kx.keep_going() & policy)(its) == policy(its)


@LAWS
@given(policy=policies(), its=tallies())
def test_either_with_keep_going_never_stops(policy: Policy, its: kx.Tally) -> None:
    """`keep_going` absorbs in `|`."""
    assert not stops(policy | kx.keep_going(), its)
    assert not stops(kx.keep_going() | policy, its)


@LAWS
@given(policy=policies(), its=tallies())
def test_fail_fast_absorbs_as_soon_as_one_host_failed(policy: Policy, its: kx.Tally) -> None:
    """In `&` the first failure stops, whatever stands on the other side."""
    if its.failed:
        assert stops(policy & kx.fail_fast(), its)
        assert stops(kx.fail_fast() & policy, its)


@LAWS
@given(one=policies(), other=policies(), third=policies(), its=tallies())
def test_joined_policies_are_an_algebra_of_stopping(one: Policy, other: Policy, third: Policy, its: kx.Tally) -> None:
    """`&` stops where one does, `|` where both do; order and grouping do not matter."""
    mine, its_own = stops(one, its), stops(other, its)
    assert stops(one & other, its) == stops(other & one, its) == (mine or its_own)
    assert stops(one | other, its) == stops(other | one, its) == (mine and its_own)
    assert stops((one & other) & third, its) == stops(one & (other & third), its)
    assert stops((one | other) | third, its) == stops(one | (other | third), its)
    assert stops(one & (other | third), its) == stops((one & other) | (one & third), its)


@LAWS
@given(policy=policies(), its=tallies())
def test_a_verdict_that_stops_says_why(policy: Policy, its: kx.Tally) -> None:
    """And one that goes on neither cancels nor gives a reason."""
    said = policy(its)
    assert bool(said.reason) == said.stops
    assert said.stops or not said.cancel


@LAWS
@given(policy=policies(), its=tallies())
def test_a_policy_is_a_pure_function(policy: Policy, its: kx.Tally) -> None:
    """Asked again it says the same, and the tally is as it was."""
    before = (its.hosts, dict(its.faults))
    assert policy(its) == policy(its)
    assert (its.hosts, dict(its.faults)) == before


def test_cancel_of_one_that_stops_cancels() -> None:
    """In `&` the one that stops decides; in `|` both have to want it."""
    soft, hard = kx.fail_fast(), kx.fail_fast(cancel=True)
    one = tally("web1")
    assert (soft & hard)(one).cancel
    assert (kx.max_failures(3, cancel=True) & soft)(one) == soft(one)
    assert not (soft | hard)(one).cancel
    assert (hard | hard)(one).cancel


def test_fail_fast_stops_at_the_first_failure() -> None:
    """Not before; and says how many."""
    assert not stops(kx.fail_fast(), tally())
    said = kx.fail_fast()(tally("web1"))
    assert said == kx.Verdict(True, False, "1 of 10 hosts failed, allowed are 0")
    assert kx.fail_fast(cancel=True)(tally("web1")).cancel


def test_keep_going_never_stops() -> None:
    """Not even where every host failed."""
    assert kx.keep_going()(tally(*FLEET.names)) == kx.Verdict()


def test_max_failures_allows_that_many() -> None:
    """The next one stops."""
    assert not stops(kx.max_failures(2), tally("web1", "web2"))
    assert kx.max_failures(2)(tally("web1", "web2", "web3")).reason == "3 of 10 hosts failed, allowed are 2"


@pytest.mark.parametrize(
    ("share", "total", "allowed"),
    [("10%", 10, 1), ("10%", 9, 0), ("25%", 10, 2), ("50%", 5, 2), ("100%", 10, 10), ("0%", 10, 0), ("12.5 %", 8, 1)],
)
def test_max_failures_by_share_is_of_the_hosts_selected(share: str, total: int, allowed: int) -> None:
    """So many may fail, one more stops; hosts of the cluster that were not selected do not count."""
    names = [each.name for each in FLEET.hosts[:total]]
    assert not stops(kx.max_failures(share), tally(*names[:allowed], total=total))
    if allowed < total:
        assert stops(kx.max_failures(share), tally(*names[: allowed + 1], total=total))


@laws(100)
@given(tenths=st.integers(1, 1000), total=st.integers(1, 5000), failed=st.integers(0, 5000))
@example(tenths=11, total=3000, failed=33)
@example(tenths=7, total=1000, failed=7)
def test_shares_are_exact(tenths: int, total: int, failed: int) -> None:
    """No rounding of floats moves the bound: it is `total × percent / 100`."""
    hosts = tuple(kx.Host(f"h{i}") for i in range(total))
    faults = dict.fromkeys((host.name for host in hosts[:failed]), kx.Status.Failed)
    its = kx.Tally(hosts, faults)
    policy = kx.max_failures(f"{tenths // 10}.{tenths % 10}%")
    assert stops(policy, its) == (len(faults) > Fraction(tenths, 1000) * total)


def test_quorum_goes_on_while_enough_are_well() -> None:
    """It asks about its own selection, of the whole cluster; which host failed matters, not how many."""
    policy = kx.quorum(kx.role("web"), 9)
    assert not stops(policy, tally("web1"))
    assert policy(tally("web1", "web2")).reason == "8 hosts of role:web are well, 9 are needed"
    assert not stops(kx.quorum(kx.role("db"), 1), tally(*FLEET.names[:10]))
    assert stops(kx.quorum(kx.role("db"), 1), tally("db1", total=11))


@LAWS
@given(selector=selectors(), least=st.integers(0, 4), its=tallies())
def test_quorum_counts_hosts_without_a_fault(selector: Selector, least: int, its: kx.Tally) -> None:
    """Those of the selection alone."""
    well = [host for host in selector(its.cluster) if host.name not in its.faults]
    assert stops(kx.quorum(selector, least), its) == (len(well) < least)


def test_a_quorum_that_can_never_be_stops_at_the_first_failure() -> None:
    """With fewer hosts than needed, the first failure stops: it is a stop, not an error."""
    assert stops(kx.quorum(kx.role("db"), 2), tally("web1"))


@LAWS
@given(policy=policies(), its=tallies())
def test_more_failures_never_make_a_policy_go_on(policy: Policy, its: kx.Tally) -> None:
    """Once it says stop, it says so on every tally that holds the same faults and more."""
    worse = kx.Tally(
        its.hosts, {**dict.fromkeys([h.name for h in its.hosts], kx.Status.Lost), **its.faults}, its.cluster
    )
    if stops(policy, its):
        assert stops(policy, worse)


SIZES = st.lists(
    st.one_of(st.integers(1, 60), st.sampled_from(["0.1%", "1%", "7.5%", "25%", "33.3%", "50%", "99.9%", "100%"])),
    min_size=1,
    max_size=5,
)


def rolled(sizes: list[int | str]) -> Waves | None:
    """The roll-out, where its sizes of one kind rise."""
    try:
        return kx.waves(*sizes)
    except kx.InvalidError:
        return None


@laws(200)
@given(sizes=SIZES, total=st.integers(0, 5000))
def test_waves_are_cumulative_rising_and_end_with_all(sizes: list[int | str], total: int) -> None:
    """The first has at least one host, each has more than the one before, the last one has all."""
    roll = rolled(sizes)
    if roll is None:
        return
    ends = roll.split(total)
    assert all(earlier < later for earlier, later in pairwise((0, *ends)))
    assert ends[-1:] == ((total,) if total else ())
    exact = [-(-Fraction(size[:-1]) * total // 100) if isinstance(size, str) else size for size in sizes]
    wanted = [min(max(number, 1), total) for number in exact]
    assert set(ends) == {number for number in accumulate([*wanted, total], max) if number}


@laws(200)
@given(tenths=st.integers(1, 1000), total=st.integers(1, 5000))
@example(tenths=11, total=3000)
@example(tenths=999, total=1)
def test_a_share_is_rounded_up_exactly_and_is_at_least_one_host(tenths: int, total: int) -> None:
    """1.1% of 3000 hosts are 33, though floats make it a little more."""
    ends = kx.waves(f"{tenths // 10}.{tenths % 10}%").split(total)
    assert ends[0] == max(1, -(-tenths * total // 1000))


@pytest.mark.parametrize(
    ("sizes", "total", "ends"),
    [
        ((1, "25%", "100%"), 10, (1, 3, 10)),
        ((1, "25%", "100%"), 1, (1,)),
        ((1, "25%", "100%"), 3, (1, 3)),
        ((5, "10%"), 20, (5, 20)),
        (("1%",), 10, (1, 10)),
        ((3, 100), 10, (3, 10)),
        (("50%", "100%"), 7, (4, 7)),
        ((1,), 0, ()),
    ],
)
def test_waves_of_a_fleet(sizes: tuple[int | str, ...], total: int, ends: tuple[int, ...]) -> None:
    """Numbers of hosts in all, wave by wave; what is left over is a last one."""
    assert kx.waves(*sizes).split(total) == ends


odd: Any = kx


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.max_failures(-1), '-1 is neither a number of hosts nor a share: write 3 or "10%"'),
        (lambda: odd.max_failures("ten"), "'ten' is neither"),
        (lambda: odd.max_failures("101%"), "'101%' is neither"),
        (lambda: odd.max_failures("-1%"), "'-1%' is neither"),
        (lambda: odd.max_failures(True), "True is neither"),
        (lambda: odd.max_failures(1.5), "1.5 is neither"),
        (lambda: odd.max_failures(None), "None is neither"),
        (lambda: odd.quorum("web", 1), "quorum() got 'web', which is no selector"),
        (lambda: odd.quorum(kx.all_hosts, -1), "quorum of -1: give a whole number of hosts"),
        (lambda: odd.quorum(kx.all_hosts, "50%"), "quorum of '50%'"),
        (lambda: odd.quorum(kx.all_hosts, True), "quorum of True"),
        (lambda: odd.keep_going() & odd.fail_fast, "& got <function fail_fast"),
        (lambda: odd.keep_going() | 3, "| got 3, which is no policy: write keep_going(), with parentheses"),
        (odd.waves, 'waves() needs sizes: for example waves(1, "25%", "100%")'),
        (lambda: odd.waves(0), "a wave of 0 hosts: give at least 1"),
        (lambda: odd.waves(-3), "a wave of -3 hosts"),
        (lambda: odd.waves("0%"), "a wave of 0% of the hosts: give at least 1, or more than 0%"),
        (lambda: odd.waves("0.0 %", "50%"), "a wave of 0.0 % of the hosts"),
        (lambda: odd.waves("some"), "'some' is neither"),
        (lambda: odd.waves("101%"), "'101%' is neither"),
        (lambda: odd.waves(2.5), "2.5 is neither"),
        (lambda: odd.waves(True), "True is neither"),
        (lambda: odd.waves([1, 2]), "[1, 2] is neither"),
        (lambda: odd.waves(3, 1), "waves(3, 1) do not rise: sizes are cumulative"),
        (lambda: odd.waves(3, 3), "do not rise"),
        (lambda: odd.waves("50%", 1, "25%"), "do not rise"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("policy", [kx.fail_fast(), kx.keep_going(), kx.fail_fast() & kx.keep_going()])
def test_a_policy_has_no_truth_value(policy: Policy) -> None:
    """`and` and `or` between policies would drop one of them in silence."""
    with pytest.raises(TypeError, match="combine with & and"):
        bool(policy)
