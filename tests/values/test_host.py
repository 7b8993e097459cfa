"""Hosts and how they are reached."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.values.host import valid_name, valid_role, valid_user
from tests.laws import laws


def test_a_host_needs_no_more_than_a_name() -> None:
    """It is its address, too."""
    host = kx.Host("web1")
    assert (host.name, host.address, host.connect) == ("web1", "web1", None)
    assert not host.roles
    assert not host.vars


def test_a_host_keeps_what_it_is_given() -> None:
    """Roles as a set, variables frozen all the way down."""
    host = kx.Host("db1", "10.0.0.21", roles=["db", "db"], vars={"ports": [1, 2]}, connect=kx.Local())
    assert (host.address, host.vars["ports"], host.connect) == ("10.0.0.21", (1, 2), kx.Local())
    assert host.roles == {"db"}
    assert kx.Host("a", roles="web").roles == {"web"}
    assert hash(host) == hash(attrs.evolve(host))


def test_a_host_is_frozen() -> None:
    """Neither its fields nor its variables can be set, and what it was made of does not reach it."""
    vars_: dict[str, Any] = {"ports": [80]}
    host: Any = kx.Host("a", vars=vars_)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        host.name = "b"
    with pytest.raises(TypeError):
        host.vars["x"] = 1
    vars_["ports"].append(81)
    assert host.vars["ports"] == (80,)


@pytest.mark.parametrize("name", ["web1", "web-01.example.org", "10.0.0.1", "fe80::1", "_x", "A", "0", ".", "a" * 253])
def test_names_that_can_be(name: str) -> None:
    """Letters, digits and `._:-`."""
    assert kx.Host(name, name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "-oProxyCommand=x", "a b", "a\n", "a/b", "ä", "a;b", "$(x)", "a@b", "[::1]", "fe80::1%eth0", "a" * 254, "a\0"],
)
def test_names_that_cannot_be(name: str) -> None:
    """They would be an option, a path, a line or a word of a shell somewhere."""
    with pytest.raises(kx.InvalidError, match=r"host name .* cannot be one: use letters, digits and"):
        kx.Host(name)
    with pytest.raises(kx.InvalidError, match="address"):
        kx.Host("a", name)


@laws()
@given(text=st.text(max_size=8) | st.from_regex(r"[A-Za-z0-9._:@/ -]{0,6}\n?"))
def test_what_is_valid_starts_no_option_and_breaks_no_line(text: str) -> None:
    """Whatever is taken is plain ASCII without blanks, and has no leading dash."""
    for valid in (valid_name, valid_user, valid_role):
        if valid(text):
            assert text.isascii()
            assert text[0] != "-"
            assert not set(text) & set(" \n\t/@'\"$`;&|<>\0\\")


ODD: Any = kx


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ODD.Host(5), "host name 5 cannot be one"),
        (lambda: ODD.Host("a", 5), "host address 5 cannot be one"),
        (lambda: ODD.Host("a", ""), "the address is empty: leave it out where the name will do"),
        (lambda: ODD.Host("a", roles={"-x"}), "role '-x' cannot be a role's name: use letters, digits and _.-"),
        (lambda: ODD.Host("a", roles={"a b"}), "role 'a b' cannot be"),
        (lambda: ODD.Host("a", roles=[5]), "role 5 cannot be"),
        (lambda: ODD.Host("a", roles=[[]]), "role [] cannot be"),
        (lambda: ODD.Host("a", roles=5), 'roles is an int: give names: roles={"web"}'),
        (lambda: ODD.Host("a", vars=5), "variables cannot be an int: give a mapping"),
        (lambda: ODD.Host("a", vars=[("a", 1)]), "variables cannot be a list"),
        (lambda: ODD.Host("a", connect="ssh"), 'connect is a str: write connect=Ssh(user="ops"), Local()'),
        (lambda: ODD.Host("a", connect=kx.Ssh), "connect is a type"),
        (lambda: ODD.Ssh(user=""), "user '' is no login name: use letters, digits and ._-"),
        (lambda: ODD.Ssh(user="-l"), "user '-l' is no login name"),
        (lambda: ODD.Ssh(user="a b"), "user 'a b' is no login name"),
        (lambda: ODD.Ssh(user="root\n"), "is no login name"),
        (lambda: ODD.Ssh(user=0), "user 0 is no login name"),
        (lambda: ODD.Ssh(port=0), "port 0 is out of range: give a whole number from 1 to 65535"),
        (lambda: ODD.Ssh(port=65536), "port 65536 is out of range"),
        (lambda: ODD.Ssh(port="22"), "port '22' is out of range"),
        (lambda: ODD.Ssh(port=True), "port True is out of range"),
        (lambda: ODD.Ssh(port=22.0), "port 22.0 is out of range"),
        (lambda: ODD.Ssh(known_hosts=()), "known_hosts is empty: host keys are always checked: name a file"),
        (lambda: ODD.Ssh(known_hosts=""), "known_hosts is empty: host keys are always checked"),
        (lambda: ODD.Ssh(known_hosts=[""]), "known_hosts cannot be '': name a file"),
        (lambda: ODD.Ssh(known_hosts=[None]), "known_hosts cannot be None"),
        (lambda: ODD.Ssh(known_hosts=False), "known_hosts is a bool: name one file or several"),
        (lambda: ODD.Ssh(key_files=5), "key_files is an int"),
        (lambda: ODD.Ssh(key_files=[b"k"]), "key_files cannot be b'k'"),
        (lambda: ODD.Ssh(config=5), "config cannot be 5: name a file"),
        (lambda: ODD.Ssh(password=5), "an int cannot be a Secret: give text or bytes"),
        (lambda: ODD.Ssh(accept_new="no"), "accept_new='no': write True or False"),
        (lambda: ODD.Ssh(accept_new=None), "accept_new=None: write True or False"),
        (lambda: ODD.Ssh(agent=5), "agent is an int: write True, False or the path of its socket"),
        (lambda: ODD.Ssh(become=True), 'become is a bool: write become="root"'),
        (lambda: ODD.Ssh(jump=5), 'jump is an int: write jump="ops@bastion:2222", or give hosts'),
        (lambda: ODD.Ssh(jump=[5]), "jump holds an int"),
        (lambda: ODD.Ssh(jump="a:b:c"), "jump 'a:b:c' cannot be read: write [user@]host[:port]"),
        (lambda: ODD.Ssh(jump="a:99999"), "port 99999 is out of range"),
        (lambda: ODD.Ssh(jump="-oProxyCommand=x"), "host name '-oProxyCommand=x' cannot be one"),
        (lambda: ODD.Ssh(jump="-l@bastion"), "user '-l' is no login name"),
        (lambda: ODD.Ssh(connect_timeout=0), "connect_timeout is 0: give a positive number of seconds"),
        (lambda: ODD.Ssh(connect_timeout="5"), "connect_timeout is '5'"),
        (lambda: ODD.Ssh(login_timeout=math.inf), "login_timeout is inf"),
        (lambda: ODD.Ssh(login_timeout=math.nan), "login_timeout is nan"),
        (lambda: ODD.Ssh(keepalive=-1), "keepalive is -1"),
        (lambda: ODD.Ssh(keepalive=True), "keepalive is True"),
        (lambda: ODD.Local(become=5), "become is an int"),
        (ODD.Via, 'Via needs a command: for example Via("docker", "exec", "-i", "web1")'),
        (lambda: ODD.Via(""), "Via needs a command"),
        (lambda: ODD.Via("a", 5), "Via needs a command"),
        (lambda: ODD.Via(["docker", "exec"]), "Via needs a command"),
        (lambda: ODD.Via("a\0"), "Via needs a command"),
        (lambda: ODD.Via("a", become=5), "become is an int"),
        (lambda: ODD.Become("-x"), "user '-x' is no login name"),
        (lambda: ODD.Become(5), "user 5 is no login name"),
        (lambda: ODD.Become("a", method="pbrun"), "become method 'pbrun' is unknown: use one of sudo, su, doas"),
        (lambda: ODD.Become("a", password=5), "an int cannot be a Secret"),
        (lambda: ODD.Become("a", method="doas", password="x"), "doas cannot read a password without a terminal"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy


def test_ssh_has_strict_defaults() -> None:
    """Host keys are checked against the user's file, new ones refused; no configuration is read."""
    way = kx.Ssh()
    assert (way.port, way.known_hosts, way.accept_new, way.config) == (22, ("~/.ssh/known_hosts",), False, None)
    assert (way.user, way.key_files, way.password, way.agent, way.jump, way.become) == (None, (), None, None, (), None)
    assert way.connect_timeout > 0
    assert way.login_timeout > 0
    assert way.keepalive > 0


def test_ssh_keeps_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file or several; `~` of keys and configuration is this user's; secrets are wrapped."""
    monkeypatch.setenv("HOME", "/home/ops")
    way = kx.Ssh(
        user="ops",
        key_files="~/.ssh/id",
        passphrase="one",
        password=kx.Secret("two"),
        known_hosts=Path("/etc/known"),
        config=Path("~/.ssh/config"),
        become="root",
    )
    assert (way.key_files, way.known_hosts, way.config) == (
        ("/home/ops/.ssh/id",),
        ("/etc/known",),
        "/home/ops/.ssh/config",
    )
    assert (way.passphrase, way.password, way.become) == (kx.Secret("one"), kx.Secret("two"), kx.Become("root"))
    assert kx.Ssh(known_hosts=["/a", Path("/b")]).known_hosts == ("/a", "/b")
    assert kx.Ssh(key_files=[Path("/a"), "/b"]).key_files == ("/a", "/b")
    assert kx.Ssh(agent="/run/agent").agent == "/run/agent"


@pytest.mark.parametrize(
    ("jump", "hops"),
    [
        ("bastion", [("bastion", None, 22)]),
        ("ops@bastion:2222", [("bastion", "ops", 2222)]),
        ("[fe80::1]:2222", [("fe80::1", None, 2222)]),
        ("a,ops@b", [("a", None, 22), ("b", "ops", 22)]),
        (["a", "ops@b:1"], [("a", None, 22), ("b", "ops", 1)]),
        (["a,b"], [("a", None, 22), ("b", None, 22)]),
        ("", []),
        ([], []),
        (None, []),
    ],
)
def test_jump_reads_hops_first_hop_first(jump: Any, hops: list[tuple[str, str | None, int]]) -> None:
    """As OpenSSH's ProxyJump writes them, or a list of them."""
    found = [
        (hop.address, hop.connect.user, hop.connect.port)
        for hop in kx.Ssh(jump=jump).jump
        if isinstance(hop.connect, kx.Ssh)
    ]
    assert found == hops


def test_jump_takes_hosts() -> None:
    """One or several, as they are."""
    one, other = kx.Host("a", connect=kx.Ssh(port=1)), kx.Host("b")
    assert kx.Ssh(jump=one).jump == (one,)
    assert kx.Ssh(jump=[one, other]).jump == (one, other)


def test_become_is_by_sudo_unless_told() -> None:
    """A name stands for it, wherever a user is taken."""
    assert kx.Become() == kx.Become("root", method="sudo")
    assert kx.Local(become="app").become == kx.Become("app")
    assert kx.Via("chroot", "/mnt", become=kx.Become("app", method="su")).become == kx.Become("app", method="su")
    assert kx.Become("a", password="pw").password == kx.Secret("pw")


def test_no_password_shows_in_a_repr() -> None:
    """Of whatever holds one."""
    way = kx.Ssh(password="hunter2-hunter2", passphrase="hunter2-hunter2", become=kx.Become(password="hunter2-hunter2"))
    for value in (way, kx.Host("a", connect=way), kx.Cluster([kx.Host("a", connect=way)], connect=way)):
        assert "hunter2" not in repr(value)
        assert "hunter2" not in str(attrs.asdict(value))


def test_via_keeps_its_prefix() -> None:
    """Words as they are."""
    assert kx.Via("kubectl", "exec", "-i", "my pod", "--").prefix == ("kubectl", "exec", "-i", "my pod", "--")
