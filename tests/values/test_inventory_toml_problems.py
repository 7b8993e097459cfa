"""Our TOML format: everything that can be wrong with it, with its line."""

from __future__ import annotations

import pytest

from kxflow.values.errors import InvalidError, InventoryError
from kxflow.values.inventory import Outside, read
from kxflow.values.inventory.located import DEPTH


def refuse(path: str) -> None:
    """A check of files without a disk."""
    if "missing" in path:
        raise InvalidError(f"there is no file {path}", "check the path")


def content(path: str) -> bytes:
    """Files without a disk."""
    refuse(path)
    return {"/f/empty": b"\n", "/f/two": b"a\nb\n"}[path]


def problems(text: str) -> list[str]:
    """Each as `line: what`, every one with its remedy checked to be there."""
    outside = Outside("/f", {"EMPTY": ""}, check=refuse, read=content)
    with pytest.raises(InventoryError) as caught:
        read(text.encode(), "hosts.toml", outside)
    assert all(each.remedy or "must be" in each.what for each in caught.value.problems)
    for each in caught.value.problems:
        assert each.where.startswith("hosts.toml")
    return [f"{each.where.removeprefix('hosts.toml:')}: {each.what}" for each in caught.value.problems]


CASES = [
    ("", "1: the inventory has no hosts"),
    ("[vars]\na = 1\n", "1: the inventory has no hosts"),
    ("[hosts]\n", "1: the inventory has no hosts"),
    ("hosts.a = 'x'\n[host]\n", "2: unknown key 'host'"),
    ("hosts = 1", "1: this must be a table, not a whole number"),
    ("hosts.a = 'x'\nvars = []", "2: this must be a table, not a list"),
    ("hosts.a = 'x'\nroles = true", "2: this must be a table, not true or false"),
    ("hosts.a = 'x'\nroles.web = 1", "2: this must be a table, not a whole number"),
    ("hosts.a = 'x'\nroles.web.var = {}", "2: unknown key 'var'"),
    ("hosts.a = 'x'\nroles.'w b' = {}", "2: role 'w b' cannot be a role's name"),
    ("hosts.a = 'x'\nroles.web.hosts = ['a', 'b']", "2: role 'web' names 'b', which is no host"),
    ("hosts.a = 'x'\nroles.web.hosts = ['a[1-2]']", "2: the range in 'a[1-2]' cannot be read"),
    ("hosts.a = 'x'\nroles.web.hosts = 1", "2: hosts: this must be a list of texts, not a whole number"),
    ("hosts.a.roles = 'web'\nroles.top.includes = ['wbe']", "2: no host has the role 'wbe'"),
    ("[hosts]\na = 1", "2: host 'a': this must be an address or a table, not a whole number"),
    ("[hosts]\na = ''", "2: the address is empty"),
    ("[hosts]\na = '-x'", "2: host address '-x' cannot be one"),
    ("[hosts]\na = '10.0.0.1:22'", "2: the address '10.0.0.1:22' holds a port"),
    ("[hosts]\n'web1:22' = {}", "2: the address 'web1:22' holds a port"),
    ("[hosts]\n-a = 'x'", "2: host name '-a' cannot be one"),
    ("[hosts]\n'a b' = 'x'", "2: host name 'a b' cannot be one"),
    ("[hosts]\n'a[1:x]' = 'x'", "2: the range in 'a[1:x]' goes from a letter to a number"),
    ("[hosts]\n'a[1:3]' = 'x'", "2: 3 hosts 'a[1:3]' and 1 addresses 'x' do not pair"),
    ("[hosts]\n'a[1:200000]' = {}", "2: 'a[1:200000]' stands for 200000 hosts"),
    ("[hosts.a]\naddress = 5", "2: address: this must be text, not a whole number"),
    ("[hosts.a]\nroles = ['x',\n'y',\n'z z']", "4: role 'z z' cannot be a role's name"),
    ("[hosts.a]\nroles = [1]", "2: roles: this must be text, not a whole number"),
    ("[hosts.a]\nvars = 1", "2: this must be a table, not a whole number"),
    ("[hosts.a]\nconnect = 'ssh'", "2: this must be a table, not text"),
    ("[hosts.a]\nport = 22", "2: unknown key 'port'"),
    ("[hosts.a]\nadress = 'x'", "2: unknown key 'adress'"),
    ("[hosts.a]\n[hosts.a]", "2: host 'a' is declared twice, first in line 1"),
    ("[hosts]\na = 'x'\nb = 'y'\na = 'z'", "4: host 'a' is declared twice, first in line 2"),
    ("[hosts]\na = 'x'\n[hosts.a]", "3: host 'a' is declared twice, first in line 2"),
    ("[hosts.'web[1:3]']\n[hosts.web2]", "2: host 'web2' is declared twice, first in line 1"),
    ("[hosts.a]\naddress = 'x'\naddress = 'y'", "3: 'hosts.a.address' is set twice, first in line 2"),
    ("[vars]\n[hosts.a]\n[vars]", "3: 'vars' is set twice, first in line 1"),
    ("[hosts.a]\nvars = {}\n[[hosts.a.vars]]", "3: 'hosts.a.vars' is set twice, first in line 2"),
    ("[hosts.a]\nx = 1.2.3", "2: this is not TOML: expected newline or end of document after a statement"),
    ("[hosts.a]\nvars = {a = web}", "2: this is not TOML: invalid value"),
    ("[hosts.a]\nvars = {a = 1, a = 2}", "2: this is not TOML: duplicate inline table key 'a'"),
    ("[hosts.a]\nvars = {}\nvars.a = 1", "3: this is not TOML: cannot"),
    ("[hosts.a]\naddress 'x'", "2: this is no `key = value`"),
    ("[hosts.a\naddress = 'x'", "1: this table header is not closed"),
    ("[hosts.a]\naddress = 'x", "2: this text is not closed"),
    ("[hosts.a]\naddress = '''x\n\n", "2: this text is not closed"),
    ("[hosts.a]\nroles = ['x'\n[hosts.b]\n", "2: the list that begins in line 2 is not closed, or lacks a comma"),
    ("[hosts.a]\nvars = {a = 1\n", "2: the table {…} that begins in line 2 is not closed, or lacks a comma"),
    ("[hosts.a]\nvars = {a 1}\n", "2: inside {…} there must be `key = value`"),
    ('[hosts.a]\n"\\q" = 1\n', "2: this key has an escape that is none"),
    ("[hosts.a]\n= 1\n", "2: a key is missing here, or needs quotes"),
    ("[hosts.a]\nvars.a = " + "9" * 5000, "2: this is not TOML: exceeds the limit"),
    ("[hosts.a]\nvars.a = " + "[" * 99 + "]" * 99, f"2: this value is nested deeper than {DEPTH}"),
    ("[hosts.a]\nvars." + "a." * 99 + "a = 1", f"2: this key has more than {DEPTH} parts"),
    ("[hosts.a]\nvars.a = 2026-13-45", "2: this is not TOML: "),
]

CONNECT_CASES = [
    ("port = 0", "port: port 0 is out of range"),
    ("port = 65536", "port: port 65536 is out of range"),
    ("port = '22'", "port: this must be a whole number from 1 to 65535, not text"),
    ("port = true", "port: this must be a whole number from 1 to 65535, not true or false"),
    ("user = '-x'", "user: user '-x' is no login name"),
    ("user = 'a b'", "user: user 'a b' is no login name"),
    ("user = 1", "user: this must be text, not a whole number"),
    ("users = 'x'", "unknown key 'users'"),
    ("key_file = 'x'", "unknown key 'key_file'"),
    ("how = 'shh'", "how: 'shh' is no way to reach a host"),
    ("key_files = 'missing'", "key_files: there is no file /f/missing"),
    ("key_files = ''", "key_files: '' is no path"),
    ("key_files = {}", "key_files: this must be a list of texts, not a table"),
    ("config = 'missing'", "config: there is no file /f/missing"),
    ("known_hosts = []", "known_hosts: known_hosts is empty"),
    ("accept_new = 'yes'", "accept_new: this must be true or false, not text"),
    ("agent = 1", "agent: this must be true or false, not a whole number"),
    ("keepalive = 0", "keepalive: keepalive is 0"),
    ("connect_timeout = '5s'", "connect_timeout: this must be a number of seconds, not text"),
    ("login_timeout = nan", "login_timeout: login_timeout is nan"),
    ("password = 5", "password: this must be text, not a whole number"),
    ("password = ''", "password: the secret is empty"),
    ("password = 'a\\nb'", None),
    ('password = "a\\nb"', "password: the secret has more than one line"),
    ("password = {env = 'NOPE'}", "password: the environment has no variable 'NOPE'"),
    ("password = {env = 'EMPTY'}", "password: the secret is empty"),
    ("password = {file = 'missing'}", "password: there is no file /f/missing"),
    ("password = {file = 'empty'}", "password: the secret is empty"),
    ("passphrase = {file = 'two'}", "passphrase: the secret has more than one line"),
    ("password = {evn = 'X'}", "password: this names no place of a secret"),
    ("become = 1", "become: this must be text, not a whole number"),
    ("become = 'a b'", "become: user 'a b' is no login name"),
    ("become = {usr = 'x'}", "become: unknown key 'usr'"),
    ("become = {method = 'runas'}", "become: become method 'runas' is unknown"),
    ("become = {method = 'doas', password = 'x'}", "become: doas cannot read a password without a terminal"),
    ("jump = 'a:b'", "jump: jump 'a:b' cannot be read"),
    ("jump = 'gate:99999'", "jump: port 99999 is out of range"),
    ("jump = 1", "jump: this must be text or a table, not a whole number"),
    ("jump = {user = 'x'}", "jump: a hop needs an address"),
    ("jump = {address = 'x', jump = 'y'}", "jump: unknown key 'jump'"),
    ("jump = {address = 'x', port = 0}", "jump: port 0 is out of range"),
    ("jump = 'box'", "jump: host 'box' is not reached by SSH"),
    ("prefix = ['x']", "prefix means nothing to a host reached by 'ssh'"),
    ("how = 'local'\nport = 22", "port means nothing to a host reached by 'local'"),
    ("how = 'via'", 'how = "via" needs a prefix'),
    ("how = 'via'\nprefix = 'docker'", "prefix: this must be a list of texts, not text"),
    ("how = 'via'\nprefix = []", "prefix: Via needs a command"),
]


@pytest.mark.parametrize(("text", "wanted"), CASES)
def test_each_mistake_is_told_with_its_line(text: str, wanted: str) -> None:
    """It is the first, and mostly the only problem."""
    assert problems(text)[0].startswith(wanted)


@pytest.mark.parametrize(("setting", "wanted"), CONNECT_CASES)
@pytest.mark.parametrize("table", ["connect", "roles.web.connect", "hosts.web1.connect"])
def test_each_bad_setting_is_told_in_every_layer(setting: str, wanted: str | None, table: str) -> None:
    """Once, however many hosts it holds for, at its own line."""
    text = (
        "[hosts]\nweb2 = {roles = ['web']}\nbox = {connect = {how = 'via', prefix = ['x']}}\n"
        f"[hosts.web1]\nroles = ['web']\n[{table}]\n{setting}\n"
    )
    if wanted is None:  # a literal string holds a backslash and an n, which is a fine password
        assert read(text.encode(), "hosts.toml", Outside("/f")).names
        return
    found = problems(text)
    assert len(found) == 1
    line, _, what = found[0].partition(": ")
    assert what.startswith(wanted)
    assert line == ("8" if "\n" in setting and not wanted.startswith("how") else "7")


def test_all_problems_come_at_once() -> None:
    """Syntax, duplicates and values in one error, in the order of the file."""
    text = """
[connect]
user = "-ops"
port = 70000

[hosts.web1]
address = "10.0.0.11"
roles = ["web",
   "bad role"]

[hosts.web1]
connect = {port = 0, key_files = ["missing1",
   "missing2"]}
adress = 2

[hosts.db1]
address = "10.0.0.11
foo = 1

[hosts.db2]
x = 12 13
d = 2020-13-45

[hosts.db3]
roles = ["x"

[hosts.db4]
adr = 1

[hosts]
db4 = ""
"""
    found = problems(text)
    assert [each.partition(":")[0] for each in found] == [
        "3", "4", "9", "11", "12", "12", "13", "14", "17", "18", "21", "22", "25", "28", "31", "31",
    ]  # fmt: skip
    assert found[5] == "12: key_files: there is no file /f/missing1"
    assert found[6] == "13: key_files: there is no file /f/missing2"


def test_a_setting_of_the_defaults_is_told_once_for_many_hosts() -> None:
    """Not once for each."""
    assert problems("connect.user = '-x'\nhosts = {'a[1:50]' = {connect = {port = 1}}}") == [
        "1: user: user '-x' is no login name"
    ]


def test_no_more_than_a_thousand_problems_are_told() -> None:
    """And long words are cut."""
    found = problems("[hosts.a]\n" + "".join(f"k{i} = 1\n" for i in range(1500)) + "x" * 9000 + " = 1")
    assert len(found) == 1001
    assert found[-1] == "hosts.toml: more than 1000 problems"
    assert len(problems("[hosts.a]\n" + "x" * 9000 + " = 1")[0]) < 600


def test_many_mistakes_end_with_a_hint_that_more_may_follow() -> None:
    """The rounds over a file are bounded."""
    text = "[hosts.a]\n" + "".join(f"vars.v{i} = 1 2\n" for i in range(80))
    found = problems(text)
    assert 60 <= len(found) <= 70
    assert found[-1].endswith("more may be wrong")


def test_quoted_keys_dotted_keys_and_long_strings_do_not_move_lines() -> None:
    """What looks like a header inside of a string or a list is none."""
    text = '''# [hosts.a]
[hosts."x.y"]      # a comment with "quotes'
vars."a # b".'[c]' = """
[hosts.zzz]
"" \\""" '
""""
roles = [ # [
  "]", # "
  'a',
]
  address . more = 1
'''
    assert problems(text)[-1] == "11: address: this must be text, not a table"
    assert problems(text)[0] == "8: role ']' cannot be a role's name"


def test_a_file_that_is_not_utf8_is_told_with_its_line() -> None:
    """And nothing else of it."""
    with pytest.raises(InventoryError) as caught:
        read(b"[hosts]\na = '\xff'\n", "hosts.toml", Outside("/f"))
    (problem,) = caught.value.problems
    assert str(problem) == "hosts.toml:2: this line is not UTF-8 (save the file as UTF-8)"
