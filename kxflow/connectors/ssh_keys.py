"""What to log in with: private keys, certificates beside them, and the keys of an agent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import asyncssh
from attrs import define, field, frozen

from kxflow.connectors.recent import Recent
from kxflow.connectors.ssh_errors import shown, unreachable
from kxflow.connectors.ssh_target import Target
from kxflow.values.secret import Secret

_USUAL: Final = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")  # in ~/.ssh, as OpenSSH tries them
_UNREADABLE: Final = (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)
_AGENT_SECONDS: Final = 5.0


@frozen(eq=False)
class Loaded:
    """A private key that was read, with the certificates for it."""

    key: asyncssh.SSHKey
    certificates: tuple[asyncssh.SSHCertificate, ...] = ()

    def pairs(self) -> list[asyncssh.SSHKeyPair]:
        """Fresh ones: asyncssh notes the signature algorithm of a connection in them."""
        certified = [pair for each in self.certificates for pair in asyncssh.load_keypairs((self.key, each))[:1]]
        return [*certified, *asyncssh.load_keypairs(self.key)]


@define
class Keys:
    """Reads each key file once, also when many hosts are logged in to with it: opening one costs 0.1 s and more."""

    _read: Recent[Loaded] = field(factory=Recent, init=False)

    async def of(self, target: Target, agent: asyncssh.SSHAgentClient | None) -> list[asyncssh.SSHKeyPair]:
        """The keys to offer, in order: those of named files, the agent's; of the usual files, where none are named.

        Raises:
            ReachError: credential: a named file is missing, no key, or does not open; the agent does not answer.
        """
        agents = await self._agents(target, agent)
        if not target.ssh.key_files:
            return agents + await self._usual(target)
        pairs: list[asyncssh.SSHKeyPair] = []
        for path in target.ssh.key_files:
            pairs += await self._named(path, target, agents)
        offered = {pair.public_data for pair in pairs}
        return pairs + [pair for pair in agents if pair.public_data not in offered]

    async def _agents(self, target: Target, agent: asyncssh.SSHAgentClient | None) -> list[asyncssh.SSHKeyPair]:
        if agent is None:
            return []
        try:
            async with asyncio.timeout(_AGENT_SECONDS):
                return list(await agent.get_keys())
        except (ValueError, OSError, TimeoutError) as error:
            if target.ssh.agent in (None, False):
                return []
            raise agent_fault(target, str(error) or "no answer") from None

    async def _named(
        self, path: str, target: Target, agents: Sequence[asyncssh.SSHKeyPair]
    ) -> list[asyncssh.SSHKeyPair]:
        try:
            return (await self._load(path, target)).pairs()
        except OSError as error:
            why, remedy = f"cannot be read: {error.strerror}", "check key_files="
        except _UNREADABLE as error:
            held = [pair for pair in agents if pair.public_data == _public_beside(path)]
            if held and target.ssh.passphrase is None:
                return held
            why, remedy = _does_not_open(error, target.ssh.passphrase)
        raise unreachable("credential", f"key file {path} {why}", target.where, remedy)

    async def _usual(self, target: Target) -> list[asyncssh.SSHKeyPair]:
        pairs: list[asyncssh.SSHKeyPair] = []
        for name in _USUAL:
            try:
                pairs += (await self._load(os.path.expanduser(f"~/.ssh/{name}"), target)).pairs()  # noqa: PTH111, ASYNC240 -- looks up HOME, reads nothing
            except (OSError, *_UNREADABLE):
                continue
        return pairs

    async def _load(self, path: str, target: Target) -> Loaded:
        passphrase, cert_files = target.ssh.passphrase, target.cert_files
        read = partial(_read_key, path, passphrase, cert_files)
        return await self._read.of((path, passphrase, cert_files), partial(_stamp, path), read)


def _stamp(path: str) -> tuple[int, ...]:
    state = Path(path).stat()
    return (state.st_ino, state.st_size, state.st_mtime_ns)


def _read_key(path: str, passphrase: Secret | None, cert_files: Sequence[str]) -> Loaded:
    data = Path(path).read_bytes()
    try:
        key = asyncssh.import_private_key(data)  # one that is not encrypted opens with any passphrase
    except _UNREADABLE:
        if passphrase is None:
            raise
        key = asyncssh.import_private_key(data, passphrase.raw)
    found = []
    for each in (f"{path}-cert.pub", *cert_files):
        try:
            certificate = asyncssh.read_certificate(each)
        except (OSError, *_UNREADABLE):
            continue
        if certificate.key.public_data == key.public_data:
            found.append(certificate)
    return Loaded(key, tuple(found))


def _does_not_open(error: Exception, passphrase: Secret | None) -> tuple[str, str]:
    if "passphrase" in str(error).lower():
        if passphrase is None:
            return "has a passphrase, and none is given", "set passphrase=, or load it into an agent"
        return "does not open with the passphrase given", "check passphrase="
    return f"holds no private key: {shown(str(error))}", "check key_files="


def _public_beside(path: str) -> bytes | None:
    try:
        return asyncssh.read_public_key(f"{path}.pub").public_data
    except (OSError, *_UNREADABLE):
        return None


def agent_fault(target: Target, why: str) -> Exception:
    """The agent was asked for and does not answer."""
    what = f"the SSH agent cannot be used: {shown(why)}"
    return unreachable("credential", what, target.where, "start it and set SSH_AUTH_SOCK, or set agent=False")


def agent_path(target: Target) -> str | None:
    """The agent's socket, None where none is to be used.

    Raises:
        ReachError: credential: one is asked for and the environment names none.
    """
    wanted = target.ssh.agent
    if isinstance(wanted, str):
        return os.path.expanduser(wanted)  # noqa: PTH111 -- stays text
    if wanted is False:
        return None
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path and wanted is True:
        raise agent_fault(target, "SSH_AUTH_SOCK is not set")
    return path or None
