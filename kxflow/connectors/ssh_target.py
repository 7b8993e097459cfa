"""Where to log in, and how: a host's settings and an SSH configuration become a chain of log-ins, last the host."""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from kxflow.connectors import ssh_config
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, Ssh

_DEFAULT: Final = Ssh()
_HOPS: Final = 8


@frozen
class Target:
    """One log-in.

    Attributes:
        name: Of the host, for messages.
        address: DNS name or IP address to connect to.
        ssh: Settings, without jumps.
        alias: Name in `known_hosts` instead of address and port; from an SSH configuration only.
        cert_files: Certificates beside the keys; from an SSH configuration only.
        behind: The host that is reached through this one; empty for the host itself.
    """

    name: str
    address: str
    ssh: Ssh
    alias: str | None = None
    cert_files: tuple[str, ...] = ()
    behind: str = field(default="", eq=False)  # hosts behind the same jump host share its connection

    @property
    def where(self) -> str:
        """For messages."""
        place = self.address if self.ssh.port == _DEFAULT.port else f"{self.address} port {self.ssh.port}"
        name = self.name if self.name == place else f"{self.name} ({place})"
        return f"{name}, on the way to {self.behind}" if self.behind else name


def reads(ssh: Ssh) -> bool:
    """Whether `chain` reads an SSH configuration; without one it is a matter of microseconds."""
    return ssh.config is not None or bool(ssh.jump)


def chain(host: Host, ssh: Ssh) -> tuple[Target, ...]:
    """The log-ins one after the other: jump hosts, then the host.

    A jump host takes what it does not say itself from the host behind it: key files and their passphrase, agent,
    `known_hosts`, `accept_new`, configuration and times. Never its password, and, as with OpenSSH, not its user.

    Raises:
        InvalidError: A jump host that is not reached by SSH, too many of them, or an SSH configuration that is refused.
    """
    return _chain(host.name, host.address, ssh, behind="", depth=0)


def _chain(name: str, address: str, ssh: Ssh, *, behind: str, depth: int) -> tuple[Target, ...]:
    if depth > _HOPS:
        raise InvalidError(f"more than {_HOPS} jump hosts on the way to {behind}", "does one jump through itself?")
    target, hops = _configured(name, address, ssh, behind)
    before: tuple[Target, ...] = ()
    for hop in hops:
        own = _inherit(hop, ssh)
        before += _chain(hop.name, hop.address, own, behind=behind or name, depth=depth + 1)
    return (*before, target)


def _configured(name: str, address: str, ssh: Ssh, behind: str) -> tuple[Target, tuple[Host, ...]]:
    if ssh.config is None:
        return Target(name, address, evolve(ssh, jump=()), behind=behind), ssh.jump
    said = ssh_config.read(ssh.config, address, user=ssh.user)
    settled = evolve(
        ssh,
        user=said.user,
        port=said.port if said.port is not None and ssh.port == _DEFAULT.port else ssh.port,
        key_files=ssh.key_files or said.key_files,
        known_hosts=said.known_hosts
        if said.known_hosts and ssh.known_hosts == _DEFAULT.known_hosts
        else ssh.known_hosts,
        agent=ssh.agent if ssh.agent is not None or said.agent is None else (said.agent or False),
        jump=(),
    )
    hops = ssh.jump or (Ssh(jump=said.jump).jump if said.jump else ())
    return Target(name, said.address or address, settled, said.alias, said.cert_files, behind), hops


def _inherit(hop: Host, ssh: Ssh) -> Ssh:
    own = hop.connect or Ssh()
    if not isinstance(own, Ssh):
        raise InvalidError(f"jump host {hop.name} is not reached by SSH", "give it connect=Ssh(…)")
    return evolve(
        own,
        key_files=own.key_files or ssh.key_files,
        passphrase=own.passphrase or ssh.passphrase,
        agent=ssh.agent if own.agent is None else own.agent,
        known_hosts=ssh.known_hosts if own.known_hosts == _DEFAULT.known_hosts else own.known_hosts,
        accept_new=own.accept_new or ssh.accept_new,
        config=own.config or ssh.config,
        connect_timeout=_first(own.connect_timeout, ssh.connect_timeout, _DEFAULT.connect_timeout),
        login_timeout=_first(own.login_timeout, ssh.login_timeout, _DEFAULT.login_timeout),
        keepalive=_first(own.keepalive, ssh.keepalive, _DEFAULT.keepalive),
    )


def _first(own: float, other: float, default: float) -> float:
    return other if own == default else own
