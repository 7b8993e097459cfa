r"""Read an inventory: what `Cluster.load` does.

| file | format |
|---|---|
| `*.toml` | ours, below |
| `*.yml`, `*.yaml` | Ansible YAML |
| `*.ini`, `*.cfg`, no suffix (`hosts`) | Ansible INI |

Everything that is wrong is told at once, in one `InventoryError`: each `Problem` with file, line and remedy. An
inventory is data: reading it runs and renders nothing. It may have 4 MiB, 100 000 hosts, and values 32 deep. One that
every user of the machine may write, or could put another in place of, is refused; a group may write it, for it is shared
so, and a link is followed where both its ends are safe. Nothing is looked up in the working directory: a relative path is
relative to the inventory's folder, `~` is the home of whoever runs this.

# Our TOML

Variables stand in the file itself: where Ansible's folders `group_vars` or `host_vars` lie beside it, a warning says that
they are not read. Four tables, all optional but `hosts`:

`[vars]`
:   Variables of every host: any TOML data, dates too.

`[connect]`
:   How every host is reached, where it says nothing else.

`[roles.NAME]`
:   `vars` and `connect` of the hosts that have the role. A role later in the file wins over an earlier one.
    `hosts = ["web[1:3]", "db1"]` gives the role to hosts from here, as a group; `includes = ["web", "db"]` gives it to
    every host that has one of those. A role needs no table: being named in a host's `roles` is enough.

`[hosts]`
:   The hosts, in this order. `NAME = "ADDRESS"`, or a table with `address` (the name, where missing), `roles` (a text or
    a list), `vars` and `connect`. A NAME may hold ranges, `"web[01:20]"`, `"[a:c]-db[0:9:3]"`; an address beside
    it may hold a range of the same length, `"10.0.0.[1:20]"`.

Settings of `connect`, the same in all three places; a host's own win over its roles', and those over `[connect]`, field
by field:

| setting | value |
|---|---|
| `how` | `"ssh"` (the default), `"local"`, or `"via"` |
| `user`, `port` | login name; 1 to 65535 |
| `key_files` | a path or a list; each must be readable |
| `passphrase`, `password` | text, or better `{env = "NAME"}` or `{file = "path"}` |
| `known_hosts` | a path or a list; host keys are always checked |
| `accept_new` | true: take the key of a host that is not known yet |
| `agent` | true, false, or the path of its socket |
| `config` | an OpenSSH client configuration to read |
| `jump` | `"user@host:port"`, commas or a list for several hops, first hop first: the whole way. A hop that is the name of a host here is that host, with its address and settings. Or tables: `{address = "…"}` with `name` and any setting of ssh but `jump` |
| `connect_timeout`, `login_timeout`, `keepalive` | seconds |
| `become` | a user, `{user = "root", method = "sudo", password = …}`, `true` (root by sudo) or `false` |
| `prefix` | for `via`: the command that runs a program there; `{name}` and `{address}` are the host's |

`become` goes with every `how`, `prefix` with `via` only, all others with `ssh` only. Where a table chooses another `how`,
settings of the tables below it that do not belong to it are left out.

>>> text = '''
... [vars]
... domain = "example.org"
...
... [connect]
... user = "ops"
... become = "root"
...
... [roles.web.vars]
... port = 80
...
... [roles.site]
... includes = ["web", "db"]
...
... [hosts]
... db1 = {address = "10.0.0.21", roles = ["db"], vars = {port = 5432}}
... gate = "192.0.2.1"
...
... [hosts."web[01:03]"]
... address = "10.0.0.[11:13]"
... roles = ["web"]
... connect = {port = 2222, jump = "gate"}
...
... [hosts.box]
... connect = {how = "via", prefix = ["docker", "exec", "-i", "{name}"]}
... '''
>>> fleet = read(text.encode(), "hosts.toml", Outside("/etc/fleet"))
>>> fleet.names
('db1', 'gate', 'web01', 'web02', 'web03', 'box')
>>> web = fleet["web02"]
>>> web.address, sorted(web.roles), web.connect.user, web.connect.port, web.connect.jump[0].address
('10.0.0.12', ['site', 'web'], 'ops', 2222, '192.0.2.1')
>>> fleet.vars_of(web)["port"], fleet.vars_of(fleet["db1"])["port"], fleet["box"].connect.prefix[-1]
(80, 5432, 'box')
>>> read(b'[hosts]\nweb1 = {adress = "10.0.0.11"}\n', "hosts.toml", Outside("/etc/fleet"))
Traceback (most recent call last):
    ...
kxflow.values.errors.InventoryError: hosts.toml:2: unknown key 'adress' (did you mean 'address'?)

# Ansible

INI and YAML are read as Ansible reads them: groups, children, ranges, variables with their types, and the files of
`group_vars/` and `host_vars/` beside the inventory. Groups become roles, those above them too (`all` and `ungrouped` do
not); variables of `all` are the cluster's, those of a group the role's, in Ansible's order of precedence.

| variable | becomes |
|---|---|
| `ansible_host` | address |
| `ansible_user`, `_port`, `_password`, `_private_key_file`, `_timeout`, also `ansible_ssh_…` | those of `Ssh` |
| `ansible_connection` | `ssh`, `smart`, `paramiko`: `Ssh`; `local`: `Local`; `docker`, `podman`, `kubectl`, `lxc`, `lxd`, `chroot` and such: `Via` |
| `ansible_become` | become, with `ansible_become_user`, `_method`, `_password` |
| `ansible_ssh_common_args`, `_extra_args`, `_args` | jumps (`-J`, `ProxyJump`, `ssh -W %h:%p` as `ProxyCommand`), and every option that `Ssh` has a word for |

What would change how a host is reached and has no counterpart here is a problem; every other variable stays one.
Passwords become Secrets. Not as in Ansible: templates are not rendered (in a connection setting they are a problem,
except `{{ lookup('env', 'NAME') }}` for a password), nothing is decrypted, no inventory program or plugin is run, a host
that is listed twice in one group is a problem, and so is a key that comes twice.
"""  # noqa: E501 -- rows of a table

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.inventory.located import Findings, Place
from kxflow.values.inventory.outside import SIDE_DIRS, Outside, SideFiles, file_bytes, side_files

__all__ = ["Outside", "load", "read"]

_YAML: Final = (".yml", ".yaml")
_INI: Final = ("", ".ini", ".cfg")
_NONE: Final[SideFiles] = MappingProxyType({})
_FORMATS: Final = "name it *.toml (ours), *.yml (Ansible YAML), or *.ini (Ansible INI)"


def load(path: Path) -> Cluster:
    """Read an inventory from disk, with the files of variables beside it.

    Raises:
        InventoryError: Everything that is wrong with it, each with file and line.
    """
    findings = Findings(path.name)
    try:
        data = file_bytes(path)
    except InvalidError as error:
        findings.invalid(Place(path.name, 0), error)
        raise findings.error() from None
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 -- links stay: what lies beside the link is meant
    ours = path.suffix.lower() == ".toml"
    if ours and (beside := [name for name in SIDE_DIRS if (folder / name).is_dir()]):
        what = f"{path.name}: {beside[0]}/ beside it is not read; put variables into [vars], [roles.NAME.vars] or hosts"
        warnings.warn(what, stacklevel=3)  # where Cluster.load is called
    side = _NONE if ours else side_files(folder, findings)
    return _read(data, path.name, Outside(str(folder)), side, findings)


def read(data: bytes, file: str, outside: Outside, side: SideFiles = _NONE) -> Cluster:
    """Read an inventory from its bytes; the name of the file decides the format.

    Args:
        data: The content.
        file: Its name, for the format and for the problems.
        outside: What it may refer to.
        side: Files of variables beside it.

    Raises:
        InventoryError: Everything that is wrong with it, each with file and line.
    """
    return _read(data, file, outside, side, Findings(file))


def _read(data: bytes, file: str, outside: Outside, side: SideFiles, findings: Findings) -> Cluster:
    cluster = _parse(data, file, outside, side, findings)
    if cluster is None or findings:
        raise findings.error()
    return cluster


def _parse(data: bytes, file: str, outside: Outside, side: SideFiles, findings: Findings) -> Cluster | None:
    from kxflow.values.inventory import ansible, ansible_ini, ansible_yaml, toml

    suffix = Path(file).suffix.lower()
    if suffix in _INI:
        if data.startswith(b"#!"):
            remedy = "run it yourself and save what it says: ansible-inventory --list --yaml > hosts.yml"
            findings.add(Place(file, 1), "this is a program; kxflow runs no inventory programs", remedy)
            return None
        draft = ansible_ini.parse(data.removeprefix(b"\xef\xbb\xbf"), file, findings)
        return ansible.cluster(draft, side, outside)
    if suffix not in (".toml", *_YAML):
        findings.add(Place(file, 0), f"the suffix {suffix!r} says no format of an inventory", _FORMATS)
        return None
    text = ansible.decoded(data, file, findings)
    if text is None:
        return None
    if suffix in _YAML:
        return ansible.cluster(ansible_yaml.parse(text, file, findings), side, outside)
    return toml.parse(text, file, outside, findings)
