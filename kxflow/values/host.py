"""Hosts and how they are reached, as frozen values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from kxflow.values.arguments import check_flag, is_number, is_whole, kind, mapping, members
from kxflow.values.errors import InvalidError
from kxflow.values.freeze import Vars, frozen_vars
from kxflow.values.secret import Secret

Method: TypeAlias = Literal["sudo", "su", "doas"]

_NAME: Final = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:-]{0,252}\Z")
_USER: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,63}\Z")
_ROLE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_METHODS: Final = ("sudo", "su", "doas")


def valid_name(name: str) -> bool:
    """Whether this can be a host's name or address: letters, digits, `._:-`, no leading dash."""
    return _NAME.match(name) is not None


def valid_user(user: str) -> bool:
    """Whether this can be a login name: letters, digits, `._-`, no leading dash."""
    return _USER.match(user) is not None


def valid_role(role: str) -> bool:
    """Whether this can be a role's name: letters, digits, `_.-`, first a letter, a digit or `_`."""
    return _ROLE.match(role) is not None


def check_user(_: object, attribute: Any, user: str | None) -> None:
    """Validator of fields that hold a login name.

    Raises:
        InvalidError: It is none.
    """
    if user is not None and (not isinstance(user, str) or not valid_user(user)):
        raise InvalidError(f"{attribute.name} {user!r} is no login name", "use letters, digits and ._-")


def _check_seconds(_: object, attribute: Any, value: float) -> None:
    if not is_number(value) or value <= 0:
        raise InvalidError(f"{attribute.name} is {value!r}", "give a positive number of seconds")


def _check_port(_: object, __: object, port: int) -> None:
    if not is_whole(port) or not 1 <= port <= 65535:
        raise InvalidError(f"port {port!r} is out of range", "give a whole number from 1 to 65535")


def _check_agent(_: object, __: object, agent: bool | str | None) -> None:
    if agent is not None and not isinstance(agent, bool | str):
        raise InvalidError(f"agent is {kind(agent)}", "write True, False or the path of its socket")


def _secret(value: str | bytes | Secret | None) -> Secret | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _file(value: Any, where: str) -> str:
    """A path as text.

    Raises:
        InvalidError: It is none, or empty.
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path:
        raise InvalidError(f"{where} cannot be {value!r}", "name a file")
    return path


def _files(value: Any, where: str) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str | os.PathLike) else members(value, where, "name one file or several")
    return tuple(_file(each, where) for each in several)


def _path(value: str | os.PathLike[str] | None) -> str | None:
    return None if value is None else os.path.expanduser(_file(value, "config"))  # noqa: PTH111 -- stays text


def _paths(value: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(os.path.expanduser(each) for each in _files(value, "key_files"))  # noqa: PTH111 -- stays text


def _known_hosts(
    value: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
) -> tuple[str, ...]:
    if value is None:
        return ("~/.ssh/known_hosts",)
    paths = () if value == "" else _files(value, "known_hosts")
    if not paths:
        raise InvalidError("known_hosts is empty", "host keys are always checked: name a file, or set accept_new=True")
    return paths


@frozen
class Become:
    """Another user to act as on the host, and how to become that user.

    Attributes:
        user: Login name on the host.
        password: What `sudo` or `su` asks for; it travels on stdin only, never in argv, file or environment.
        method: `sudo`, `su` or `doas`; `doas` cannot read a password without a terminal.

    Raises:
        InvalidError: The user is no login name, the method unknown, the password holds a newline or NUL (nobody can
            type one, and what is behind it would be taken for something else), or `doas` was given one.
    """

    user: str = field(default="root", validator=check_user)
    password: Secret | None = field(default=None, converter=_secret, kw_only=True)
    method: Method = field(default="sudo", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.method not in _METHODS:
            raise InvalidError(f"become method {self.method!r} is unknown", "use one of sudo, su, doas")
        if self.password is not None and any(each in self.password.raw for each in (b"\n", b"\r", b"\0")):
            raise InvalidError("the password of become holds a newline or NUL", "strip what was read from a file")
        if self.method == "doas" and self.password is not None:
            raise InvalidError("doas cannot read a password without a terminal", "allow it with `nopass`")


def as_become(value: str | Become | None) -> Become | None:
    """Converter: a user's name stands for becoming that user by sudo.

    Raises:
        InvalidError: It is no user to become.
    """
    if isinstance(value, str):
        return Become(value)
    if value is not None and not isinstance(value, Become):
        raise InvalidError(f"become is {kind(value)}", 'write become="root", or become=Become("app", password=…)')
    return value


def _jump(value: str | Host | Iterable[str | Host] | None) -> tuple[Host, ...]:
    if value is None:
        return ()
    remedy = 'write jump="ops@bastion:2222", or give hosts'
    hops: list[Host] = []
    for each in (value,) if isinstance(value, str | Host) else members(value, "jump", remedy):
        if isinstance(each, Host):
            hops.append(each)
        elif isinstance(each, str):
            hops.extend(_hop(part) for part in each.split(",") if part)
        else:
            raise InvalidError(f"jump holds {kind(each)}", remedy)
    return tuple(hops)


def _hop(text: str) -> Host:
    """One hop as OpenSSH's ProxyJump writes it: `[user@]host[:port]`, IPv6 in brackets."""
    found = re.fullmatch(r"(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?", text.strip())
    if found is None:
        raise InvalidError(f"jump {text!r} cannot be read", "write [user@]host[:port], commas between hops")
    user, six, name, port = found.groups()
    return Host(six or name, connect=Ssh(user=user, port=int(port or 22)))


@frozen(kw_only=True)
class Ssh:
    """Reach a host by SSH.

    Host keys are always checked; there is no way to switch that off.

    Attributes:
        user: Login name; the name of whoever runs this, where not given.
        port: TCP port, 1 to 65535.
        key_files: Private keys to log in with, paths on the controller; none given means the usual ones in
            `~/.ssh` and those of the agent.
        passphrase: Opens the key files.
        password: For password and keyboard-interactive login; tried once.
        known_hosts: One or more files with the keys of hosts; `~/.ssh/known_hosts` where not given.
        accept_new: Write the key of a host that is not in `known_hosts` there (the first file) and go on.
            A key that has *changed* is refused all the same.
        agent: Use the SSH agent. None: when `SSH_AUTH_SOCK` names one; a text is the path of its socket.
        config: An OpenSSH client configuration to read; none is read where not given.
        jump: Hosts to go through, first hop first: `"ops@bastion:2222"`, commas between hops, or `Host`s.
        become: User to become for every step that names none of its own.
        connect_timeout: Seconds for the TCP connection.
        login_timeout: Seconds for key exchange and login.
        keepalive: Seconds between keep-alive questions; three unanswered ones end the connection.

    Raises:
        InvalidError: A port, user or time that cannot be, an empty `known_hosts`.
    """

    user: str | None = field(default=None, validator=check_user)
    port: int = field(default=22, validator=_check_port)
    key_files: tuple[str, ...] = field(default=(), converter=_paths)
    passphrase: Secret | None = field(default=None, converter=_secret)
    password: Secret | None = field(default=None, converter=_secret)
    known_hosts: tuple[str, ...] = field(default=None, converter=_known_hosts)
    accept_new: bool = field(default=False, validator=check_flag)
    agent: bool | str | None = field(default=None, validator=_check_agent)
    config: str | None = field(default=None, converter=_path)
    jump: tuple[Host, ...] = field(default=(), converter=_jump)
    become: Become | None = field(default=None, converter=as_become)
    connect_timeout: float = field(default=10.0, validator=_check_seconds)
    login_timeout: float = field(default=20.0, validator=_check_seconds)
    keepalive: float = field(default=15.0, validator=_check_seconds)


@frozen(kw_only=True)
class Local:
    """Reach this machine itself, by subprocesses.

    Attributes:
        become: User to become for every step that names none of its own.
    """

    become: Become | None = field(default=None, converter=as_become)


@frozen(init=False)
class Via:
    """Reach a host by a command on this machine that runs what follows it there.

    >>> Via("docker", "exec", "-i", "web1")
    Via(prefix=('docker', 'exec', '-i', 'web1'), become=None)

    Attributes:
        prefix: The argv to put before a shell's; it must pass stdin, stdout and stderr through.
        become: User to become for every step that names none of its own.

    Raises:
        InvalidError: No prefix.
    """

    prefix: tuple[str, ...]
    become: Become | None

    def __init__(self, *prefix: str, become: str | Become | None = None) -> None:
        if not prefix or not prefix[0] or not all(isinstance(word, str) and "\0" not in word for word in prefix):
            raise InvalidError("Via needs a command", 'for example Via("docker", "exec", "-i", "web1")')
        self.__attrs_init__(prefix, as_become(become))


Connect: TypeAlias = Ssh | Local | Via


def check_connect(_: object, __: object, way: Connect | None) -> None:
    """Validator of fields that say how a host is reached.

    Raises:
        InvalidError: It is no way to reach one.
    """
    if way is not None and not isinstance(way, Ssh | Local | Via):
        raise InvalidError(f"connect is {kind(way)}", 'write connect=Ssh(user="ops"), Local() or Via("docker", …)')


def _roles(value: str | Iterable[str]) -> frozenset[str]:
    roles = (value,) if isinstance(value, str) else members(value, "roles", 'give names: roles={"web"}')
    for role in roles:
        if not isinstance(role, str) or not valid_role(role):
            raise InvalidError(f"role {role!r} cannot be a role's name", "use letters, digits and _.-")
    return frozenset(roles)


def _address(value: str | None) -> str:
    if value == "":
        raise InvalidError("the address is empty", "leave it out where the name will do")
    return "" if value is None else value


@frozen
class Host:
    """One machine.

    >>> Host("db1", "10.0.0.21", roles={"db"}, vars={"port": 5432}).vars["port"]
    5432

    Attributes:
        name: Unique in its cluster; letters, digits and `._:-`.
        address: DNS name or IP address; the name where not given.
        roles: What it is in the cluster; selectors go by them.
        vars: Variables of this host, over those of its roles and of the cluster.
        connect: How it is reached; the cluster's way where None.

    Raises:
        InvalidError: A name, address or role that cannot be one.
    """

    name: str
    address: str = field(default=None, converter=_address)
    roles: frozenset[str] = field(default=(), converter=_roles, kw_only=True)
    vars: Vars = field(factory=dict, converter=frozen_vars, kw_only=True)
    connect: Connect | None = field(default=None, validator=check_connect, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.address:
            object.__setattr__(self, "address", self.name)  # None was given: the name stands for it
        for what, text in (("name", self.name), ("address", self.address)):
            if not isinstance(text, str) or not valid_name(text):
                raise InvalidError(
                    f"host {what} {text!r} cannot be one", "use letters, digits and ._:-, no leading dash"
                )


def hosts_tuple(value: Iterable[Host]) -> tuple[Host, ...]:
    """Converter: hosts in their order.

    Raises:
        InvalidError: Something in it is no host, or two share a name.
    """
    hosts: tuple[Host, ...] = members(value, "hosts", "give a list of them, also of one")
    seen: set[str] = set()
    for each in hosts:
        if not isinstance(each, Host):
            raise InvalidError(f"{each!r} is not a Host", 'write Host("web1", "10.0.0.11")')
        if each.name in seen:
            raise InvalidError(f"two hosts are named {each.name!r}", "give each its own name")
        seen.add(each.name)
    return hosts


def role_vars(value: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Vars]:
    """Converter: variables by role, in the order in which they apply.

    Raises:
        InvalidError: It is no mapping of roles to variables.
    """
    its = mapping(value, "role_vars", 'give variables by role: {"web": {"port": 80}}')
    return frozen_vars({role: frozen_vars(each) for role, each in its.items()})
