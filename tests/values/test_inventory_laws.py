"""Laws of reading an inventory, over generated ones."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError, InventoryError
from kxflow.values.host import Become, Connect, Host, Local, Ssh, Via
from kxflow.values.inventory import Outside, read
from kxflow.values.secret import Secret

OUTSIDE = Outside("/f", {}, check=lambda _: None, read=lambda _: b"x")

names = st.from_regex(r"[A-Za-z0-9._:][A-Za-z0-9._:-]{0,8}", fullmatch=True).filter(
    lambda name: re.fullmatch(r"[^:]+:\d+", name) is None  # an address with a port
)
users = st.from_regex(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,8}", fullmatch=True)
roles = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
paths = st.from_regex(r"/[a-z]{1,5}(/[a-z]{1,5})?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
secrets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), min_size=1, max_size=9)
words = texts.filter(lambda text: "\0" not in text and "{" not in text)  # no placeholder
delays = st.floats(0.001, 1e6) | st.integers(1, 10**6)
scalars = (
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.times()
)
data = st.recursive(
    scalars, lambda more: st.lists(more, max_size=3) | st.dictionaries(texts, more, max_size=3), max_leaves=5
)
variables = st.dictionaries(texts, data, max_size=3)
becomes = st.builds(
    lambda user, method, password: Become(user, method=method, password=None if method == "doas" else password),
    users,
    st.sampled_from(["sudo", "su", "doas"]),
    st.none() | secrets,
)


def options(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Ssh]:
    """Ways by SSH, any of their settings given."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "user": users,
        "port": st.integers(1, 65535),
        "key_files": st.lists(paths, max_size=2),
        "passphrase": secrets,
        "password": secrets,
        "known_hosts": st.lists(paths, min_size=1, max_size=2),
        "accept_new": st.booleans(),
        "agent": st.booleans() | paths,
        "config": paths,
        "connect_timeout": delays,
        "login_timeout": delays,
        "keepalive": delays,
        **more,
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: Ssh(**given))


hops = st.builds(lambda name, address, connect: Host(name, address, connect=connect), names, names, options())
connects = (
    options(jump=st.lists(hops, max_size=2), become=becomes)
    | st.builds(Local, become=st.none() | becomes)
    | st.builds(
        lambda argv, become: Via(*argv, become=become),
        st.lists(words, min_size=1, max_size=3).filter(lambda argv: argv[0]),
        st.none() | becomes,
    )
)
hosts = st.builds(
    lambda name, address, roles, its, connect: Host(name, address, roles=roles, vars=its, connect=connect),
    names,
    st.none() | names,
    st.sets(roles, max_size=2),
    variables,
    st.none() | connects,
)
clusters = st.builds(
    lambda hosts, its, connect, by_role: Cluster(hosts, vars=its, connect=connect, role_vars=by_role),
    st.lists(hosts, min_size=1, max_size=4, unique_by=lambda host: host.name),
    variables,
    connects,
    st.dictionaries(roles, variables, max_size=3),
)


def text(value: str) -> str:
    """A TOML string; JSON's escapes are TOML's, save for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml(value: Any) -> str:
    """Data as an inline TOML value."""
    match value:
        case str():
            found = text(value)
        case Secret():
            found = text(value.reveal())
        case bool():
            found = str(value).lower()
        case Mapping():
            found = "{" + ", ".join(f"{text(key)} = {toml(each)}" for key, each in value.items()) + "}"
        case tuple():
            found = "[" + ", ".join(map(toml, value)) + "]"
        case dt.date() | dt.time():
            found = value.isoformat()
        case _:
            found = repr(value)
    return found


def become_table(value: Become | None) -> dict[str, Any]:
    """Settings of become, under its key; none where there is none."""
    if value is None:
        return {}
    password = {} if value.password is None else {"password": value.password}
    return {"become": {"user": value.user, "method": value.method, **password}}


def connect_table(value: Connect) -> dict[str, Any]:
    """Every setting of a way, spelled out."""
    become = become_table(value.become) or {"become": False}
    if isinstance(value, Local):
        return {"how": "local", **become}
    if isinstance(value, Via):
        return {"how": "via", "prefix": value.prefix, **become}
    plain = ("port", "key_files", "known_hosts", "accept_new", "connect_timeout", "login_timeout", "keepalive")
    maybe = ("user", "passphrase", "password", "agent", "config")
    found: dict[str, Any] = {name: getattr(value, name) for name in plain}
    found |= {name: getattr(value, name) for name in maybe if getattr(value, name) is not None}
    jump = []
    for hop in value.jump:
        assert isinstance(hop.connect, Ssh)
        table = {key: each for key, each in connect_table(hop.connect).items() if key not in ("how", "become", "jump")}
        jump.append({"name": hop.name, "address": hop.address, **table})
    return {"how": "ssh", **found, "jump": tuple(jump), **become}


def host_table(host: Host) -> dict[str, Any]:
    """A host as its table."""
    way = {} if host.connect is None else {"connect": connect_table(host.connect)}
    return {"address": host.address, "roles": tuple(sorted(host.roles)), "vars": host.vars, **way}


def inventory(cluster: Cluster) -> str:
    """A cluster in our format."""
    lines = [f"vars = {toml(cluster.vars)}", f"connect = {toml(connect_table(cluster.connect))}"]
    lines += [f"[roles.{text(role)}]\nvars = {toml(its)}" for role, its in cluster.role_vars.items()]
    for host in cluster:
        lines.append(f"[hosts.{text(host.name)}]")
        lines += [f"{key} = {toml(value)}" for key, value in host_table(host).items()]
    return "\n".join(lines) + "\n"


def unsaid(own: Connect | None, default: Connect) -> bool:
    """A host's way by SSH that cannot be said over this default: there is no word for taking a setting away."""
    maybe = ("user", "passphrase", "password", "agent", "config")
    return (
        isinstance(own, Ssh)
        and isinstance(default, Ssh)
        and any(getattr(own, name) is None and getattr(default, name) is not None for name in maybe)
    )


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(cluster=clusters)
def test_a_cluster_written_as_toml_is_read_back_equal(cluster: Cluster) -> None:
    """Hosts and their order, variables of every kind, roles, every connection setting."""
    if any(unsaid(host.connect, cluster.connect) for host in cluster):
        cluster = Cluster(cluster.hosts, vars=cluster.vars, role_vars=cluster.role_vars)
    again = read(inventory(cluster).encode(), "hosts.toml", OUTSIDE)
    assert again == cluster
    assert list(again.role_vars) == list(cluster.role_vars)
    assert again.names == cluster.names
    hash((again.vars, again.role_vars, again.hosts))


FILES = ["hosts.toml", "hosts.yml", "hosts"]
PIECES = [
    "[", "]", "[[", "]]", "{", "}", "=", ":", ",", ".", "\n", "\n", "\n  ", " ", "#", '"', "'", '"""', "'''", "\\", "|",
    "- ", "&a ", "*a", "<<: ", "!!int ", "!x ", "? ", "---\n", "%", "hosts", "all", "web", "vars", "children", "roles",
    "connect", "[hosts]\n", "[web]\n", "[web:vars]\n", "[web:children]\n", "all:\n  hosts:\n    ", "a = ", "web1",
    "web[1:3]", "[a:c]", "ansible_host=", "ansible_port=", "ansible_become=yes", "ansible_ssh_common_args=", "-J ",
    "-o ProxyCommand=", "jump = ", "port = ", "22", "0x_", "1e999", "2024-02-31", "07:61", "true", "~", "{{ x }}",
    "\0", "\x85", "\u2028", "\ufeff", "é",
]  # fmt: skip
soups = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map(
    lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass")
)


@settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=200) | soups, file=st.sampled_from(FILES), side=st.binary(max_size=60) | soups)
@example(content=b"a = " + b"[" * 5000, file="hosts.toml", side=b"")
@example(content=b"a." * 5000 + b"a = 1", file="hosts.toml", side=b"")
@example(content=b"[" * 5000, file="hosts.yml", side=b"{" * 5000)
@example(content=b"- " * 5000, file="hosts.yml", side=b"")
@example(content=b"web a=" + b"[" * 5000, file="hosts", side=b"")
@example(content=b"web a=" + b"1+" * 5000 + b"1", file="hosts", side=b"")
@example(content=b"web a=" + b"-" * 5000 + b"1", file="hosts", side=b"")
@example(content=b"web a=" + b"9" * 5000, file="hosts", side=b"a: " + b"9" * 5000)
@example(content=b'all: {vars: {a: "\\UFFFFFFFF"}}', file="hosts.yml", side=b"")
@example(content=b'all: {vars: {a: !!int "", b: !!timestamp x, c: !!bool z, d: !!float .}}', file="hosts.yml", side=b"")
def test_any_bytes_give_a_cluster_or_an_inventory_error(content: bytes, file: str, side: bytes) -> None:
    """Nothing else is raised, every problem has a place, and what is read can be hashed."""
    beside = {("group_vars", "all"): (("group_vars/all", side),), ("host_vars", "web1"): (("host_vars/web1", side),)}
    try:
        cluster = read(content, file, OUTSIDE, beside)
    except InventoryError as error:
        problems = error.problems
        cluster = None
    if cluster is None:
        assert problems
        assert all(each.where and each.what for each in problems)
    else:
        assert cluster.hosts
        hash((cluster.vars, cluster.role_vars, cluster.hosts))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    cluster=clusters,
    noise=st.lists(st.sampled_from(["# [x]\n", "\n", "  # a = '''\n", "\t\n"]), min_size=1),
    seed=st.randoms(),
)
def test_lines_are_those_of_the_text(cluster: Cluster, noise: list[str], seed: Any) -> None:
    """A wrong key put at any line of any sound inventory is found at that line."""
    source = inventory(Cluster(cluster.hosts, vars=cluster.vars)).split("\n")
    at = seed.choice([i for i, line in enumerate(source) if line.startswith("[hosts.")])
    source[at] = "".join(noise) + source[at] + "\nwrong = 1"
    whole = "\n".join(source)
    wanted = whole[: whole.index("\nwrong = 1") + 1].count("\n") + 1
    with pytest.raises(InventoryError) as caught:
        read(whole.encode(), "hosts.toml", OUTSIDE)
    assert [each.where for each in caught.value.problems] == [f"hosts.toml:{wanted}"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("hosts.toml", 'hosts.a = "x"\nconnect.key_files = "\\u001b[2J\\u202e\\n"'),
        ("hosts.toml", 'hosts.a = "x"\nconnect.password = {env = "\\u001b[2J"}'),
        ("hosts.toml", 'hosts.a = "x"\nconnect.how = "\\u001b[2J"'),
        ("hosts.toml", 'hosts.a = "x"\n"\\u001b[2J" = 1'),
        ("hosts.yml", 'all: {hosts: {a: {ansible_private_key_file: "\\e[2J"}}}'),
        ("hosts.yml", 'all: {hosts: {"a\\e[2J": }}'),
        ("hosts", "a ansible_private_key_file=\x1b[2J\u202e\x9b"),
        ("hosts", "a\x1b[2J"),
        ("h\x1b[2J.ini", "a b"),
    ],
)
def test_no_problem_moves_the_cursor(file: str, text: str) -> None:
    """What an inventory holds is shown in one line, and no terminal obeys it."""

    def missing(path: str) -> None:
        raise InvalidError(f"there is no file {path}", f"make {path}")

    with pytest.raises(InventoryError) as caught:
        read(text.encode(), file, Outside("/f", {}, check=missing))
    for problem in caught.value.problems:
        assert str(problem).isprintable()
        assert "[2J" in str(problem)


def lines_run(text: str, file: str) -> int:
    """How many lines of the inventory's own code it takes to read a text: work without a clock."""
    count = 0

    def line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if "/inventory/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        read(text.encode(), file, OUTSIDE)
    except InventoryError:
        return count
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("hosts", "[g{i}]\nh{i} x=1 ansible_user=u{i}\n"),
        ("hosts", "[g{i}]\nh\n"),
        ("hosts", "[g{i}:children]\nh\n[h]\n"),
        ("hosts.toml", "[hosts.h{i}]\naddress = 'a'\nroles = ['r{i}']\n"),
        ("hosts.toml", "[roles.r{i}]\nhosts = ['h']\nconnect.user = 'u{i}'\n"),
        ("hosts.toml", "[hosts.h]\n"),
        ("hosts.yml", "g{i}: {{hosts: {{h{i}: {{x: 1}}}}}}\n"),
        ("hosts.yml", "g{i}: {{children: {{h: }}}}\n"),
    ],
)
def test_work_grows_with_the_text(file: str, unit: str) -> None:
    """Four times as long a text takes four times the work, not sixteen times: hosts and groups of all shapes."""
    few, many = (lines_run("".join(unit.format(i=i) for i in range(n)), file) for n in (100, 400))
    assert few > 400
    assert many < 5 * few
