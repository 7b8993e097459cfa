"""Our TOML format: what it says becomes the cluster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pytest

from kxflow.values.cluster import Cluster
from kxflow.values.host import Become, Host, Local, Ssh, Via
from kxflow.values.inventory import Outside, read
from kxflow.values.secret import Secret

FILES = {"/etc/fleet/keys/id": b"", "/etc/fleet/pw": b"from-file\n", "/etc/fleet/ssh_config": b""}


def outside(env: Mapping[str, str] | None = None) -> Outside:
    """A machine without a disk."""
    return Outside("/etc/fleet", env or {}, check=lambda _: None, read=FILES.__getitem__)


def load(text: str, env: Mapping[str, str] | None = None) -> Cluster:
    """The cluster of a text."""
    return read(text.encode(), "hosts.toml", outside(env))


def ssh(cluster: Cluster, name: str) -> Ssh:
    """How a host is reached, which is by SSH."""
    connect = cluster.connect_of(cluster[name])
    assert isinstance(connect, Ssh)
    return connect


def test_hosts_keep_the_order_of_the_file() -> None:
    """Short form, inline tables and tables of their own, mixed."""
    fleet = load('[hosts]\nb = "10.0.0.2"\na = {address = "10.0.0.1"}\n[hosts.c]\n[hosts."d.example.org"]\n')
    assert [(host.name, host.address) for host in fleet] == [
        ("b", "10.0.0.2"),
        ("a", "10.0.0.1"),
        ("c", "c"),
        ("d.example.org", "d.example.org"),
    ]
    assert fleet.connect == Ssh()
    assert all(host.connect is None for host in fleet)


def test_an_ipv6_address_is_an_address() -> None:
    """Without brackets, as the values hold it."""
    assert load('[hosts]\nsix = "2001:db8::1"')["six"].address == "2001:db8::1"


def test_variables_by_layer() -> None:
    """Host over later role over earlier role over all; dates and nested data stay what they are."""
    fleet = load("""
        hosts.web1 = {roles = ["web", "eu"], vars = {d = 4}}
        [vars]
        a = 1
        b = 1
        c = 1
        d = 1
        since = 2026-01-02
        at = 2026-01-02T03:04:05Z
        [[vars.listen]]
        port = 80
        [roles.eu.vars]
        b = 2
        c = 2
        [roles.web.vars]
        c = 3
        d = 3
        [roles.none.vars]
    """)
    found = fleet.vars_of(fleet["web1"])
    assert (found["a"], found["b"], found["c"], found["d"]) == (1, 2, 3, 4)
    assert found["since"] == dt.date(2026, 1, 2)
    assert found["at"] == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert found["listen"] == ({"port": 80},)
    assert list(fleet.role_vars) == ["eu", "web", "none"]
    hash((fleet.vars, fleet.role_vars, *(host.vars for host in fleet)))


def test_roles_from_the_role_side_are_groups() -> None:
    """`hosts` takes ranges, `includes` goes through several levels."""
    fleet = load("""
        [hosts."web[1:3]"]
        [hosts.db1]
        roles = "db"
        [roles.web]
        hosts = ["web[1:2]"]
        [roles.prod]
        includes = ["web", "db"]
        [roles.site]
        includes = "prod"
    """)
    assert [sorted(host.roles) for host in fleet] == [
        ["prod", "site", "web"],
        ["prod", "site", "web"],
        [],
        ["db", "prod", "site"],
    ]


def test_roles_that_include_each_other_are_equal() -> None:
    """A circle ends."""
    fleet = load('hosts.a.roles = "x"\nroles.x.includes = ["y"]\nroles.y.includes = ["x", "x"]')
    assert fleet["a"].roles == {"x", "y"}


def test_ranges_in_names_and_addresses_go_together() -> None:
    """One address per name; everything else is shared."""
    fleet = load('[hosts."web[08:10]"]\naddress = "10.0.0.[8:10]"\nroles = ["web"]\nvars = {w = 1}')
    assert [(host.name, host.address) for host in fleet] == [
        ("web08", "10.0.0.8"),
        ("web09", "10.0.0.9"),
        ("web10", "10.0.0.10"),
    ]
    assert all(host.roles == {"web"} and host.vars == {"w": 1} for host in fleet)


def test_every_ssh_setting_is_taken_over() -> None:
    """Relative paths are relative to the inventory's folder."""
    fleet = load(
        """
        [hosts.web1]
        [connect]
        user = "ops"
        port = 2222
        key_files = ["keys/id", "/abs/id"]
        passphrase = {env = "PHRASE"}
        password = {file = "pw"}
        known_hosts = ["known", "~/.ssh/known_hosts"]
        accept_new = true
        agent = "run/agent.sock"
        config = "ssh_config"
        jump = "ops@gate:2200,[2001:db8::1]"
        connect_timeout = 3
        login_timeout = 4.5
        keepalive = 5
        become = {user = "deploy", method = "su", password = "plain-text"}
        """,
        {"PHRASE": "open sesame"},
    )
    assert fleet.connect == Ssh(
        user="ops",
        port=2222,
        key_files=("/etc/fleet/keys/id", "/abs/id"),
        passphrase=Secret("open sesame"),
        password=Secret("from-file"),
        known_hosts=("/etc/fleet/known", "~/.ssh/known_hosts"),
        accept_new=True,
        agent="/etc/fleet/run/agent.sock",
        config="/etc/fleet/ssh_config",
        jump="ops@gate:2200,[2001:db8::1]",
        connect_timeout=3,
        login_timeout=4.5,
        keepalive=5,
        become=Become("deploy", method="su", password="plain-text"),
    )


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the path of a key."""
    monkeypatch.setenv("HOME", "/home/me")
    assert ssh(load('hosts.a = "a"\nconnect.key_files = "~/.ssh/id"'), "a").key_files == ("/home/me/.ssh/id",)


def test_connection_settings_lie_over_each_other_field_by_field() -> None:
    """Host over role over default; `agent = false` and `become = false` take something away."""
    fleet = load("""
        [connect]
        user = "ops"
        port = 1000
        keepalive = 5
        become = true
        [roles.web.connect]
        port = 2000
        become = "deploy"
        [roles.eu.connect]
        port = 3000
        [hosts]
        plain = "10.0.0.1"
        a = {roles = ["eu", "web"]}
        b = {roles = ["web"], connect = {user = "root", become = false}}
    """)
    assert fleet["plain"].connect is None
    assert fleet.connect == Ssh(user="ops", port=1000, keepalive=5, become="root")
    assert fleet["a"].connect == Ssh(user="ops", port=3000, keepalive=5, become="deploy")
    assert fleet["b"].connect == Ssh(user="root", port=2000, keepalive=5)


def test_another_way_leaves_the_settings_below_it_out() -> None:
    """`local` and `via` beside a fleet reached by SSH; `{name}` and `{address}` are the host's."""
    fleet = load("""
        [connect]
        user = "ops"
        become = "root"
        [roles.box.connect]
        how = "via"
        prefix = ["docker", "exec", "-i", "{name}", "{{.ID}}-{address}"]
        [hosts]
        me = {connect = {how = "local"}}
        "box[1:2]" = {roles = ["box"], address = "c[1:2]"}
        back = {roles = ["box"], connect = {how = "ssh", port = 23}}
    """)
    assert fleet["me"].connect == Local(become="root")
    assert fleet["box2"].connect == Via("docker", "exec", "-i", "box2", "{{.ID}}-c2", become="root")
    assert fleet["back"].connect == Ssh(user="ops", port=23, become="root")


def test_a_prefix_with_a_name_is_each_hosts_own_also_as_a_default() -> None:
    """The cluster's way cannot serve."""
    fleet = load('connect = {how = "via", prefix = ["lxc", "exec", "{name}", "--"]}\nhosts = {a = "x", b = "y"}')
    assert fleet["b"].connect == Via("lxc", "exec", "b", "--")


def test_a_hop_that_is_a_host_here_is_that_host() -> None:
    """With its address and settings, under what the hop says itself; other hops are taken as written."""
    fleet = load("""
        [connect]
        user = "ops"
        jump = ["gate", "admin@inner:2022", "else.example.org"]
        [hosts]
        gate = {address = "192.0.2.1", connect = {port = 2200, key_files = ["keys/id"]}}
        inner = "10.9.9.9"
        web1 = "10.0.0.11"
    """)
    gate, inner, other = ssh(fleet, "web1").jump
    assert gate == Host("gate", "192.0.2.1", connect=Ssh(user="ops", port=2200, key_files=("/etc/fleet/keys/id",)))
    assert inner == Host("inner", "10.9.9.9", connect=Ssh(user="admin", port=2022))
    assert other == Host("else.example.org", connect=Ssh())


def test_nobody_is_reached_through_himself() -> None:
    """The hops before a host are the way to it, where it is a hop itself."""
    fleet = load('connect.jump = ["outer", "inner"]\nhosts = {outer = "o", inner = "i", web = "w"}')
    assert [[hop.name for hop in ssh(fleet, name).jump] for name in ("outer", "inner", "web")] == [
        [],
        ["outer"],
        ["outer", "inner"],
    ]


def test_a_hop_may_be_a_table() -> None:
    """With any setting of ssh; then it is no host of the inventory, also where it has the name of one."""
    fleet = load("""
        [hosts]
        gate = "10.0.0.1"
        [hosts.web1.connect]
        jump = [{address = "192.0.2.1", name = "gate", user = "ops", password = "secret"}, {address = "192.0.2.2"}]
    """)
    assert ssh(fleet, "web1").jump == (
        Host("gate", "192.0.2.1", connect=Ssh(user="ops", password="secret")),
        Host("192.0.2.2", connect=Ssh()),
    )


def test_secrets_never_show() -> None:
    """Neither in the repr of what was read, nor in a problem about them."""
    fleet = load(
        'hosts.a.connect = {password = "hunter2-hunter2", become = {password = {env = "PW"}}}', {"PW": "pw-pw-pw"}
    )
    assert "hunter2" not in repr(fleet["a"])
    assert "pw-pw-pw" not in repr(fleet["a"])


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    """Lines are counted the same."""
    assert read(b"\xef\xbb\xbf[hosts]\r\na = 'x'\r\n", "hosts.toml", outside()).names == ("a",)


def test_the_public_door_reads_a_file(tmp_path: object) -> None:
    """`Cluster.load` gives overrides the last word."""
    path = str(tmp_path) + "/hosts.toml"
    with open(path, "w") as file:  # noqa: PTH123 -- a str path is part of the test
        file.write('[hosts]\na = "x"\n[vars]\nv = 1')
    fleet = Cluster.load(path, overrides={"v": 2})
    assert fleet.vars_of(fleet["a"])["v"] == 2
