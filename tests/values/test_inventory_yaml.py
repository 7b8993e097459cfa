"""Ansible's YAML inventories: what is wrong with them. `test_inventory_oracle` has what is right."""

from __future__ import annotations

import pytest

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError, InventoryError
from kxflow.values.host import Become, Ssh
from kxflow.values.inventory import Outside, read
from kxflow.values.inventory.outside import SideFiles


def _check(path: str) -> None:
    if "missing" in path:
        raise InvalidError(f"there is no file {path}", "check the path")


def _load(text: str, side: SideFiles | None = None) -> Cluster:
    return read(text.encode(), "hosts.yml", Outside("/f", {}, check=_check), side or {})


def _problems(text: str, side: SideFiles | None = None) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        _load(text, side)
    assert all(each.remedy for each in caught.value.problems)
    return [f"{each.where.removeprefix('hosts.yml:')}: {each.what}" for each in caught.value.problems]


def test_connection_variables_keep_their_text() -> None:
    """A password of digits is text, whatever YAML makes of it."""
    fleet = _load(
        "all:\n  hosts:\n    a:\n      ansible_password: 0o12\n      ansible_port: '2222'\n      ansible_user: ops\n"
        "      ansible_become: yes\n      ansible_become_password: 012345\n"
    )
    assert fleet["a"].connect == Ssh(password="0o12", port=2222, user="ops", become=Become(password="012345"))


def test_names_may_stand_without_a_mapping() -> None:
    """One host or child as a text, groups and hosts with nothing under them."""
    fleet = _load("web:\n  hosts: a\nprod:\n  children: web\nempty:\nall:\n  hosts:\n    b:\n    'c[1:2]': ~\n")
    assert [(host.name, sorted(host.roles)) for host in fleet] == [
        ("a", ["prod", "web"]),
        ("b", []),
        ("c1", []),
        ("c2", []),
    ]


def test_aliases_share_and_merge() -> None:
    """Of several merged mappings the first wins, and what is written beats all."""
    fleet = _load(
        "all:\n  vars:\n    base: &b {x: 1, y: 1}\n    more: &m {y: 2, z: 2}\n    all: {<<: [*b, *m], z: 3}\n"
        "    again: *b\n    quoted: {'<<': 1}\n  hosts: h\n"
    )
    assert fleet.vars["all"] == {"x": 1, "y": 1, "z": 3}
    assert fleet.vars["again"] == {"x": 1, "y": 1}
    assert fleet.vars["quoted"] == {"<<": 1}


def test_unsafe_text_is_text() -> None:
    """Nothing is rendered here anyway."""
    assert _load("all:\n  hosts: a\n  vars:\n    x: !unsafe '{{ y }}'\n    n: !!str 5\n").vars == {
        "x": "{{ y }}",
        "n": "5",
    }


BOMB = "all:\n  vars:\n    a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"    a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)

CASES = [
    ("", "1: the inventory has no hosts"),
    ("---\n", "1: the inventory has no hosts"),
    ("all:\n", "1: the inventory has no hosts"),
    ("- a\n", "1: an inventory is a mapping of groups, not a list"),
    ("just text", "1: an inventory is a mapping of groups, not text"),
    ("plugin: aws_ec2\n", "1: this configures an inventory plugin; kxflow runs none"),
    ("all:\n  hosts: a\n  host: b\n", "3: unknown key 'host' in group 'all'"),
    ("all:\n  hosts:\n    - a\n", "3: this must be a mapping, not a list"),
    ("all:\n  hosts: {a: 1}\n", "2: variables must be a mapping"),
    ("all:\n  hosts: a\n  vars: x\n", "3: variables must be a mapping"),
    ("all:\n  hosts: a\nweb: 1\n", "3: group 'web' must be a mapping, not a whole number"),
    ("all:\n  hosts: {a: , 10: }\n", "2: the name of a host must be text"),
    ("all:\n  hosts: a\n1:\n", "3: the name of a group must be text"),
    ("all:\n  hosts: a\n'w b':\n", "3: group 'w b' cannot be a role's name"),
    ("all:\n  hosts:\n    a:\n    b:\n    a:\n", "5: key 'a' comes twice, first in line 3"),
    ("all:\n  hosts:\n    a:\n      x: 1\n      y: 1\n      x: 2\n", "6: key 'x' comes twice, first in line 4"),
    ("all:\n  hosts:\n    a[1:3]:\n    a2:\n", "4: host 'a2' is listed twice in group 'all', first in line 3"),
    ("all:\n  hosts:\n    a[x]:\n", "3: the range in 'a[x]' cannot be read"),
    ("all:\n  hosts:\n    a b:\n", "3: host name 'a b' cannot be one"),
    ("all:\n  hosts:\n    a:\n      ansible_port: 0\n", "4: ansible_port: port 0 is out of range"),
    (
        "all:\n  hosts:\n    a:\n      ansible_private_key_file: missing\n",
        "4: ansible_private_key_file: there is no file",
    ),
    (
        "a:\n  children:\n    b:\n      children:\n        a:\n      hosts: x\n",
        "5: group 'a' is its own descendant here",
    ),
    (
        "all:\n  hosts: a\n  vars:\n    x: !!python/object:os.system []\n",
        "4: the tag '!!python/object:os.system' is not",
    ),
    ("all:\n  hosts: a\n  vars:\n    x: !custom 1\n", "4: the tag '!custom' is not taken over"),
    ("all:\n  hosts: a\n  vars:\n    x: !!binary aGk=\n", "4: the tag '!!binary' is not taken over"),
    (
        "all:\n  hosts: a\n  vars:\n    x: !vault |\n      $ANSIBLE_VAULT\n",
        "4: a value encrypted by Ansible Vault is not",
    ),
    ("all:\n  hosts: a\n  vars:\n    x: !!int abc\n", "4: this number or date cannot be"),
    ("all:\n  hosts: a\n  vars:\n    x: 2024-13-01\n", "4: this number or date cannot be"),
    ("all:\n  hosts: a\n  vars: {? [1] : 2}\n", "3: a list or mapping cannot be a key here"),
    ("all:\n  hosts: a\n  vars: {<<: 1}\n", "3: only mappings can be merged by <<"),
    ("all:\n  hosts: a\n  vars: {x: *nope}\n", "3: the alias *nope has no anchor before it"),
    ("all:\n  hosts: a\n  vars: &v\n    x: *v\n", "4: the alias *v refers to itself"),
    (BOMB + "  hosts: a\n", "8: the file says more than 500000 values, its aliases counted"),
    ("all:\n  hosts: a\n  vars: {x: " + "[" * 40 + "]" * 40 + "}\n", "3: this is nested deeper than 32"),
    ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20, "2: this is nested deeper than 32"),
    ("all:\n  hosts: a\n---\nall:\n", "3: a second document begins"),
    ("all:\n  hosts: 'a\n", "3: this is not YAML: found unexpected end of stream"),
    ("all:\n\thosts: a\n", "2: this is not YAML: found character that cannot start any token"),
    ("all:\n  hosts: a\n  b\n", "4: this is not YAML: could not find expected ':'"),
]


@pytest.mark.parametrize(("text", "wanted"), CASES)
def test_each_mistake_is_told_with_its_line(text: str, wanted: str) -> None:
    """One mistake, one problem, with a remedy."""
    found = _problems(text)
    assert found[0].startswith(wanted)
    assert len(found) == 1


def test_all_problems_come_at_once() -> None:
    """Those of files beside the inventory after its own, with their own names."""
    side = {
        ("group_vars", "all"): (("group_vars/all.yml", b"ansible_user: -x\n"),),
        ("group_vars", "web"): (
            ("group_vars/web/1.yml", b"- 1\n"),
            ("group_vars/web/2.yml", b"a: 1\nb: \xff\n"),
            ("group_vars/web/3.yml", b"$ANSIBLE_VAULT;1.1;AES256\n61"),
        ),
        ("host_vars", "a"): (("host_vars/a", b"x: 1\nx: 2\nansible_port: 0\n"),),
    }
    found = _problems("web:\n  hosts: {a: {}, b: {ansible_become: maybe}}\n  wars: {}\n", side)
    assert [each.rpartition(": ")[0] or each for each in found][:2] == ["2", "3"]
    assert [each.partition(" ")[0] for each in found[2:]] == [
        "group_vars/all.yml:1:",
        "group_vars/web/1.yml:1:",
        "group_vars/web/2.yml:2:",
        "group_vars/web/3.yml:1:",
        "host_vars/a:2:",
        "host_vars/a:3:",
    ]


def test_numbers_of_endless_digits_are_told_at_once() -> None:
    """To the base of 60, as YAML 1.1 has it, a number of a megabyte would take hours to read."""
    for number in ("1" + ":59" * 300_000, "9" * 5000, "1" + ":59" * 3000 + ".5"):
        assert _problems(f"all:\n  hosts: a\n  vars:\n    x: {number}\n") == ["4: this number or date cannot be"]
