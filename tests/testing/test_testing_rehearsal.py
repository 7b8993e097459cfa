"""A pipeline tried out on clones before it meets its hosts."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow import narrow
from kxflow.testing import Changes, clone_fleet, rehearse
from kxflow.testing.missing import MissingError
from kxflow.testing.plugin import need_program

USER = "kx-deploy"


@pytest.fixture(autouse=True)
def _possible() -> Iterator[None]:
    """Clones can be made here."""
    try:
        with clone_fleet(1, via=True):
            pass
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not run: {error}")
    yield
    with pytest.raises(KeyError):
        pwd.getpwnam(USER)


def cluster(**ways: Any) -> kx.Cluster:
    """Hosts that nobody can reach: TEST-NET-1."""
    hosts = [
        kx.Host("web1", "192.0.2.1", roles={"web"}, vars={"port": 8001}),
        kx.Host("db1", "192.0.2.2", roles={"db"}),
    ]
    return kx.Cluster(hosts, connect=kx.Ssh(**ways), role_vars={"db": {"port": 5432}}, vars={"domain": "example.org"})


@kx.step
def configure(ctx: kx.HostContext) -> kx.Action[Any]:
    """A file of what is known about a host."""
    text = f"{ctx.host.name}.{ctx.vars['domain']} {ctx.host.address}:{ctx.vars['port']}\n"
    return kx.shell("cat >/etc/kx.conf", stdin=text.encode(), check="test -e /etc/kx.conf")


def pipeline(*steps: kx.Step[Any], on: Any = kx.all_hosts) -> kx.Pipeline:
    """One task."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps, on=on)), policy=kx.keep_going())


def test_the_same_hosts_with_all_that_is_known_of_them() -> None:
    """Names, addresses, roles, variables at every level; one clone each; what each was changed in comes back."""
    show = kx.command("show", "hostname; cat /etc/kx.conf")
    report, changes = rehearse(pipeline(configure, show), cluster(user="root"))
    assert report.succeeded
    assert [str(each.stdout) for each in report if each.step == "show"] == [
        "web1\nweb1.example.org 192.0.2.1:8001\n",
        "db1\ndb1.example.org 192.0.2.2:5432\n",
    ]
    assert changes == {name: Changes(added=["/etc/kx.conf"]) for name in ("web1", "db1")}
    assert not Path("/etc/kx.conf").exists()


def test_hosts_that_a_task_leaves_out_are_unchanged() -> None:
    """Selectors work as on the real cluster."""
    report, changes = rehearse(pipeline(configure, on=kx.role("db")), cluster(user="root"))
    assert [each.host for each in report] == ["db1"]
    assert not changes["web1"]
    assert changes["db1"]


def test_only_hosts_that_a_limit_leaves_are_cloned() -> None:
    """The others are neither made nor reached; selectors see them all the same."""

    @kx.step
    def told(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell("cat /etc/hosts; echo knows $ALL", env={"ALL": ",".join(ctx.cluster.names)})

    part = narrow.limited(pipeline(told), cluster(), kx.host("db1"))
    report, changes = rehearse(part, cluster(user="root"))
    assert report.succeeded
    (result,) = report
    assert result.host == "db1"
    names = {word for line in str(result.stdout).splitlines() for word in line.split()[1:]}
    assert {"db1", "web1,db1"} <= names
    assert "web1" not in names
    assert set(changes) == {"web1", "db1"}


def test_a_host_that_steps_are_done_on_for_others_is_cloned() -> None:
    """The limit takes the host on whose behalf it is done, as with a run."""
    there = configure.on(kx.host("db1"))
    part = narrow.limited(pipeline(there), cluster(), kx.host("web1"))
    report, changes = rehearse(part, cluster(user="root"))
    assert [(each.host, each.status.name) for each in report] == [("web1", "Succeeded")]
    assert changes == {"web1": Changes(), "db1": Changes(added=["/etc/kx.conf"])}


def test_a_value_of_another_host_comes_from_its_clone() -> None:
    """Whoever makes what others take is there, too."""
    name = kx.command("name", "uname -n", value="uname -n", parse=str.strip)

    @kx.step(its=kx.from_one(name))
    def take(ctx: kx.HostContext, its: str) -> kx.Action[Any]:
        return kx.shell("echo $IT >/etc/kx.name", env={"IT": its})

    tasks = (kx.task("make", name, on=kx.role("db")), kx.task("take", take, on=kx.role("web")))
    report, changes = rehearse(kx.pipeline("p", kx.module("m", *tasks)), cluster(user="root"))
    assert report.succeeded
    assert changes == {"web1": Changes(added=["/etc/kx.name"]), "db1": Changes()}


@pytest.mark.parametrize(
    ("become", "works"),
    [
        (None, False),
        ("root", True),
        (kx.Become("root", password="a-pass-word"), True),
        (kx.Become("root", password="a-pass-word", method="su"), True),
    ],
)
def test_steps_begin_as_the_user_who_would_log_in(become: Any, works: bool) -> None:
    """Who becomes root by sudo, with and without password, or by su; without that nothing of root's is changed."""
    need_program("sudo")
    who = kx.command("who", "id -un; echo $HOME")
    report, changes = rehearse(pipeline(who, configure), cluster(user=USER, become=become))
    assert str(report.results[0].stdout) == ("root\n/root\n" if become else f"{USER}\n/home/{USER}\n")
    assert report.succeeded is works
    assert changes["web1"].below("/etc").added == (("/etc/kx.conf",) if works else ())


def test_what_the_hosts_have_is_prepared() -> None:
    """It is there for the steps and no change of theirs; a check that holds skips."""
    report, changes = rehearse(pipeline(configure), cluster(user="root"), prepare="echo old >/etc/kx.conf")
    assert {each.status for each in report} == {kx.Status.Skipped}
    assert not any(changes.values())


def test_a_failure_is_in_the_report_with_what_was_changed_before() -> None:
    """As with `run`, whose options are taken."""
    told: list[Any] = []
    bad = kx.command("bad", "echo half >/etc/kx.half; exit 7")
    report, changes = rehearse(pipeline(bad, configure), cluster(user="root"), sinks=[told.append], run_id="r1")
    assert not report.succeeded
    assert [(each.host, each.status.name, each.exit_code) for each in report][:2] == [
        ("web1", "Failed", 7),
        ("db1", "Failed", 7),
    ]
    assert changes["web1"] == Changes(added=["/etc/kx.half"])
    assert {each.run for each in report} == {"r1"}
    assert isinstance(told[-1], kx.RunEnded)


def test_a_pipeline_that_does_not_fit_is_refused_before_any_clone_is_made() -> None:
    """With every composition error."""
    with pytest.raises(kx.CompositionError):
        rehearse(pipeline(configure, on=kx.role("cache")), cluster(), prepare="exit 1")
