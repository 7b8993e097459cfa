"""Ansible's INI inventories: connections, and what is wrong with them. `test_inventory_oracle` has the rest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError, InventoryError
from kxflow.values.host import Become, Connect, Host, Local, Ssh, Via
from kxflow.values.inventory import Outside, read
from kxflow.values.secret import Secret


def _check(path: str) -> None:
    if "missing" in path:
        raise InvalidError(f"there is no file {path}", "check the path")


def _load(text: str, env: Mapping[str, str] | None = None) -> Cluster:
    return read(text.encode(), "hosts", Outside("/f", env or {}, check=_check))


def _way(text: str, env: Mapping[str, str] | None = None) -> Connect:
    """How the only host with these variables is reached."""
    fleet = _load(f"h1 {text}\n", env)
    return fleet.connect_of(fleet["h1"])


def _problems(text: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        _load(text)
    assert all(each.remedy for each in caught.value.problems)
    return [f"{each.where.removeprefix('hosts:')}: {each.what}" for each in caught.value.problems]


WAYS: list[tuple[str, Connect]] = [
    ("", Ssh()),
    ("ansible_connection=smart", Ssh()),
    ("ansible_connection=ansible.netcommon.libssh", Ssh()),
    ("ansible_connection=paramiko ansible_port=2222 ansible_user=ops", Ssh(user="ops", port=2222)),
    ("ansible_ssh_user=ops ansible_user=other ansible_ssh_port='22'", Ssh(user="ops")),
    ("ansible_user=123", Ssh(user="123")),
    ("ansible_ssh_private_key_file=keys/id", Ssh(key_files="/f/keys/id")),
    ("ansible_private_key_file=/k ansible_ssh_private_key_passphrase=open", Ssh(key_files="/k", passphrase="open")),
    ("ansible_password=hunter2", Ssh(password="hunter2")),
    ("ansible_ssh_pass='with blank'", Ssh(password="with blank")),
    ("ansible_password=0123", Ssh(password="0123")),
    ("ansible_password=1_000", Ssh(password="1_000")),
    ("ansible_password=1e5", Ssh(password="1e5")),
    ("ansible_password=\"{{ lookup('env', 'PW') }}\"", Ssh(password="from-env")),
    ('ansible_password=\'{{lookup("ansible.builtin.env","PW")}}\'', Ssh(password="from-env")),
    ("ansible_timeout=7", Ssh(connect_timeout=7)),
    ("ansible_become=yes", Ssh(become="root")),
    ("ansible_become=True ansible_become_user=deploy", Ssh(become="deploy")),
    ("ansible_become=1 ansible_become_method=ansible.builtin.su", Ssh(become=Become(method="su"))),
    ("ansible_become=on ansible_become_pass=pw", Ssh(become=Become(password="pw"))),
    ("ansible_become=no ansible_become_user=deploy", Ssh()),
    ("ansible_become_user=deploy", Ssh()),
    ("ansible_connection=local ansible_become=true", Local(become="root")),
    ("ansible_connection=docker", Via("docker", "exec", "-i", "h1")),
    ("ansible_connection=community.docker.docker_api ansible_host=c1", Via("docker", "exec", "-i", "c1")),
    ("ansible_connection=containers.podman.podman ansible_user=app", Via("podman", "exec", "-i", "-u", "app", "h1")),
    ("ansible_connection=kubectl", Via("kubectl", "exec", "-i", "h1", "--")),
    (
        (
            "ansible_connection=kubernetes.core.kubectl ansible_kubectl_pod=p ansible_kubectl_namespace=n "
            "ansible_kubectl_container=c ansible_become=yes"
        ),
        Via("kubectl", "exec", "-i", "-n", "n", "p", "-c", "c", "--", become="root"),
    ),
    ("ansible_connection=community.general.lxd", Via("lxc", "exec", "h1", "--")),
    ("ansible_connection=lxc", Via("lxc-attach", "--name", "h1", "--")),
    ("ansible_ssh_common_args='-J ops@gate:2200,inner'", Ssh(jump="ops@gate:2200,inner")),
    ("ansible_ssh_common_args='-o ProxyJump=gate -o ConnectTimeout=3'", Ssh(jump="gate", connect_timeout=3)),
    (
        "ansible_ssh_common_args='-o ControlMaster=auto' ansible_ssh_extra_args='-o ServerAliveInterval=9'",
        Ssh(keepalive=9),
    ),
    ("ansible_ssh_args='-p 23 -l joe' ansible_port=24", Ssh(user="joe", port=24)),
    ("ansible_ssh_extra_args='-i /two' ansible_private_key_file=/one", Ssh(key_files=["/one", "/two"])),
]


@pytest.mark.parametrize(("variables", "way"), WAYS)
def test_connection_variables_become_a_way(variables: str, way: Connect) -> None:
    """And are no variables any more."""
    assert _way(variables, {"PW": "from-env"}) == way
    left = _load(f"h1 {variables}", {"PW": "from-env"})["h1"].vars
    assert set(left) <= {"ansible_become_user", "ansible_become_method", "ansible_become_pass"}


def test_an_address_is_taken_over() -> None:
    """From the host or from its group; the port may stand behind the name."""
    fleet = _load("a ansible_host=10.0.0.1\nb:2222\n[2001:db8::1]:23\n[g]\nc\n[g:vars]\nansible_ssh_host=shared")
    assert [(host.name, host.address) for host in fleet] == [
        ("a", "10.0.0.1"),
        ("b", "b"),
        ("2001:db8::1", "2001:db8::1"),
        ("c", "shared"),
    ]
    assert [getattr(fleet.connect_of(host), "port", 0) for host in fleet] == [22, 2222, 23, 22]


def test_the_clusters_way_is_that_of_all_and_hosts_say_only_another() -> None:
    """Equal ways are not repeated."""
    fleet = _load("a\nb ansible_user=ops\nc ansible_user=root\n[all:vars]\nansible_user=ops\nansible_become=yes")
    assert fleet.connect == Ssh(user="ops", become="root")
    assert [host.connect for host in fleet] == [None, None, Ssh(user="root", become="root")]


def test_a_become_password_without_become_waits_as_a_secret() -> None:
    """A step may want it; it is never plain text."""
    fleet = _load(
        "a ansible_become_password=hunter2-x ansible_python_interpreter=/usr/bin/python3 ansible_distribution=Debian"
    )
    assert fleet["a"].vars == {
        "ansible_become_password": Secret("hunter2-x"),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_distribution": "Debian",
    }
    assert "hunter2" not in repr(fleet["a"])


def test_values_are_python_literals_or_text() -> None:
    """As Ansible reads them; in a :vars section to the end of the line."""
    fleet = _load(
        "a i=1 f=1.5 t=True n=None s=plain q='\"quoted\"' l=\"[1, 'x']\" d=\"{'k': (1, 2)}\" "
        "o=0644 v=1.2.3 b=yes e= c=1j\n"
        "[all:vars]\n x = a b  \n y=1 # one\n z='t' # text\n u = a=b\nset = {1}\nraw = b'x'\n"
    )
    assert dict(fleet["a"].vars) == {
        "i": 1, "f": 1.5, "t": True, "n": None, "s": "plain", "q": "quoted", "l": (1, "x"), "d": {"k": (1, 2)},
        "o": "0644", "v": "1.2.3", "b": "yes", "e": "", "c": "1j",
    }  # fmt: skip
    assert dict(fleet.vars) == {"x": "a b", "y": 1, "z": "t", "u": "a=b", "set": (1,), "raw": "x"}


def test_jumps_through_proxy_commands_are_understood() -> None:
    """The way it was written before there was ProxyJump."""
    way = _way("""ansible_ssh_common_args='-o ProxyCommand="ssh -q -W %h:%p -p 2200 -i /k ops@gate"'""")
    assert way == Ssh(jump=Host("gate", connect=Ssh(user="ops", port=2200, key_files="/k")))


CASES = [
    ("", "1: the inventory has no hosts"),
    ("# only a comment\n", "1: the inventory has no hosts"),
    ("[web]\n", "1: the inventory has no hosts"),
    ("a\n[web:hots]\nx", "2: section kind 'hots' is unknown"),
    ("a\n[we b]\n", "2: this section header cannot be read"),
    ("[web]\na\n[db\nb x=1 y\nc [d\n", "3: the [ of this section header is not closed"),
    ("a\n[db:vars\nport 5432\n[all:children]\ndb\n[db:vars]\nx=1", "2: the [ of this section header is not closed"),
    ("a\n[db # our own\nb", "2: the [ of this section header is not closed"),
    ("a\n[web:vars]\nx=1", "2: there is no group 'web'"),
    ("[prod:children]\nweb\n[wep]\na", "2: there is no group 'web'"),
    ("[prod:children]\nweb=1 x\n[web]\na", "2: here must be the name of one group"),
    ("[web]\na\n[web:vars]\nnothing", "4: in a :vars section there must be name=value"),
    ("[a:children]\nb\n[b:children]\na\n[c]\nx", "4: group 'a' is its own descendant here"),
    ("[a:children]\na\n[c]\nx", "2: group 'a' is its own descendant here"),
    ("[a:children]\nall\n[c]\nx", "2: group 'all' is its own descendant here"),
    ("".join(f"[g{i}:children]\ng{i + 1}\n" for i in range(40)) + "[g40]\na", "64: groups are nested deeper than 32"),
    (
        "".join(f"[g{i}:children]\ng{i - 1}\n" for i in range(40, 0, -1)) + "[g0]\na",
        "64: groups are nested deeper than 32",
    ),
    ("[ä]\na", "1: group 'ä' cannot be a role's name"),
    ("[web]\na\na", "3: host 'a' is listed twice in group 'web', first in line 2"),
    ("[web]\na[1:3]\na2 x=1", "3: host 'a2' is listed twice in group 'web', first in line 2"),
    ("[web]\na ansible_host=x\n[db]\na ansible_host=y", "4: ansible_host of host 'a' was given otherwise, in line 2"),
    ("-a", "1: host name '-a' cannot be one"),
    ("a b", "1: behind a host's name there must be name=value"),
    ("a x='1", "1: this line cannot be read: no closing quotation"),
    ("---\nall:\n  hosts:\n", "1: this looks like YAML"),
    ("a[1-3]", "1: the range in 'a[1-3]' cannot be read"),
    ("a[1:60000]\nb[1:60000]", "2: the inventory has more than 100000 hosts"),
    ("#!/usr/bin/env python3\nprint()", "1: this is a program; kxflow runs no inventory programs"),
    ("a:0", "1: ansible_port: port 0 is out of range"),
    ("a ansible_port=70000", "1: ansible_port: port 70000 is out of range"),
    ("a ansible_port=ssh", "1: ansible_port: 'ssh' is no whole number"),
    ('a ansible_port="{{ p }}"', "1: ansible_port: this is a template, and kxflow renders none"),
    ("a ansible_user=-x", "1: ansible_user: user '-x' is no login name"),
    ("a ansible_user=\"['x']\"", "1: ansible_user: this must be text"),
    ("a ansible_host=-x", "1: host address '-x' cannot be one"),
    ('a ansible_host="{{ ip }}"', "1: this is a template, and kxflow renders none"),
    ("a ansible_host=", "1: the address is empty"),
    ("a ansible_host=10.0.0.1:22", "1: the address '10.0.0.1:22' holds a port"),
    ("a ansible_ssh_private_key_file=missing", "1: ansible_ssh_private_key_file: there is no file /f/missing"),
    ("a ansible_connection=winrm", "1: ansible_connection 'winrm' is not taken over"),
    ("a ansible_become=perhaps", "1: ansible_become must be true or false"),
    ("a ansible_become=yes ansible_become_method=runas", "1: become method 'runas' is unknown"),
    ("a ansible_become=yes ansible_become_user='a b'", "1: user 'a b' is no login name"),
    ("a ansible_become=yes ansible_become_method=doas ansible_become_pass=x", "1: doas cannot read a password"),
    ("a ansible_password=", "1: ansible_password: the secret is empty"),
    ('a ansible_password="{{ vault_pw }}"', "1: ansible_password: this is a template, and kxflow renders none"),
    (
        "a ansible_password=\"{{ lookup('env','NOPE') }}\"",
        "1: ansible_password: the environment has no variable 'NOPE'",
    ),
    ("a ansible_become_exe=/x", "1: ansible_become_exe is not taken over"),
    ("a ansible_prot=22", "1: ansible_prot is no variable of Ansible's"),
    ("a\n[all:vars]\nansible_usr=x", "3: ansible_usr is no variable of Ansible's"),
    (
        "a\n[w]\na\n[w:vars]\nansible_becom=yes",
        "5: ansible_becom is no variable of Ansible's",
    ),
    ("a ansible_colour=red", "1: ansible_colour is no variable of Ansible's"),
    ("a ansible_host_key_checking=False", "1: ansible_host_key_checking: host keys are always checked"),
    ("a ansible_shell_type=powershell", "1: ansible_shell_type: powershell hosts cannot be reached"),
    ("a ansible_ssh_common_args='-o Foo=1'", "1: ansible_ssh_common_args: the ssh option 'foo' is not taken over"),
    ('a ansible_ssh_common_args="-o \'x"', "1: ansible_ssh_common_args: a quote is not closed"),
    ("a ansible_ssh_common_args=gate", "1: ansible_ssh_common_args: 'gate' is no option"),
    ("[web]\na\n[web:vars]\nansible_group_priority=high", "4: ansible_group_priority must be a whole number"),
    ("a x=" + "[" * 40 + "]" * 40, "1: this value is nested deeper than 32"),
    ("a x=" + "1" * 70000, "1: this line is longer than 64 KiB"),
    ("a" * 2000, "1: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'… is too long for a host"),
]


def test_a_slip_in_a_connection_variable_is_told_with_the_right_name() -> None:
    """It would be reached in another way than was written; variables of one's own have other names."""
    with pytest.raises(InventoryError) as caught:
        _load("a ansible_prot=22 ansible_colour=red")
    assert [each.remedy for each in caught.value.problems] == [
        "did you mean ansible_port? Names of your own begin otherwise",
        "Names of your own begin otherwise",
    ]


@pytest.mark.parametrize(("text", "wanted"), CASES)
def test_each_mistake_is_told_with_its_line(text: str, wanted: str) -> None:
    """One mistake, one problem, with a remedy."""
    found = _problems(text)
    assert found[0].startswith(wanted)
    assert len(found) == 1


def test_all_problems_come_at_once() -> None:
    """In the order of the file, one of a group's variable once for all its hosts."""
    found = _problems(
        "a ansible_port=0\n[web]\nw[1:50]\nw7\n[web:vars]\nansible_user=-x\n[web:wars]\njunk\n[x:children]\ny\n"
        "[db]\nd ansible_private_key_file=missing ansible_become=maybe\n"
    )
    assert [each.partition(":")[0] for each in found] == ["1", "4", "6", "7", "10", "12", "12"]


def test_a_line_that_is_not_utf8_is_told_unless_it_is_a_comment() -> None:
    """Old inventories have names in comments."""
    with pytest.raises(InventoryError) as caught:
        read(b"# M\xfcller\na\n; \xff\nb x=\xff\nc x=\xfe\n", "hosts", Outside("/f"))
    assert [each.where for each in caught.value.problems] == ["hosts:4", "hosts:5"]


def test_no_problem_shows_a_password() -> None:
    """A line that cannot be read may hold one."""
    for text in (
        "a ansible_password='hunter2 x",
        "a ansible_become=1 ansible_become_pass=\"{{ 'hunter2' }}\"",
        "a hunter2",
    ):
        assert "hunter2" not in " ".join(_problems(text))
