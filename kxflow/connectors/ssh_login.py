"""One log-in: who is there, and who we are. asyncssh asks, this answers, and notes what it saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncssh
from attrs import frozen

from kxflow.connectors import hostkeys
from kxflow.connectors.ssh_errors import Seen, shown
from kxflow.connectors.ssh_target import Target
from kxflow.values.fault import Fault

# Nothing with SHA-1, CBC or chacha20-poly1305 (Terrapin, CVE-2023-48795); in the order of preference.
KEX: Final = (
    "mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256",
)  # fmt: skip
CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURES: Final = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256")


def offered(kind: str, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted algorithms that this build of asyncssh has: asking for another raises."""
    from asyncssh import kex

    have = {"kex": kex.get_kex_algs}[kind]()
    return [each for each in wanted if each.encode() in have]


@frozen
class Identity:
    """What the key of a host must be.

    Attributes:
        known: What the `known_hosts` files say.
        pinned: Its key, where it was met before in this run.
        files: The files, for messages.
    """

    known: hostkeys.Known
    pinned: bytes | None = None
    files: tuple[str, ...] = ()

    def algorithms(self) -> list[str]:
        """Host key algorithms to ask for: those of the keys that are known first, then the others."""
        keys = [each.algorithm for each in self.known.keys]
        first = [alg for key in keys for alg in (_RSA if key == "ssh-rsa" else (key,))]
        certified = [f"{alg.removesuffix('@openssh.com')}-cert-v01@openssh.com" for alg in SIGNATURES]
        wanted = [*(certified if self.known.authorities else ()), *first, *SIGNATURES]
        return [alg for alg in dict.fromkeys(wanted) if alg in (*SIGNATURES, *certified)]

    def revoked(self) -> list[asyncssh.SSHKey]:
        """Keys that asyncssh must refuse, also inside a certificate."""
        return [key for each in self.known.revoked if (key := _key(each)) is not None]


def _key(entry: hostkeys.Entry) -> asyncssh.SSHKey | None:
    try:
        return asyncssh.public_key.decode_ssh_public_key(entry.blob)
    except asyncssh.KeyImportError:
        return None


class Login(asyncssh.SSHClient):
    """What asyncssh asks while it logs in.

    Args:
        target: Whom to log in to.
        identity: What its key must be.
        pairs: Keys to offer, in order.
        seen: Told of everything.
        lost: Called when the connection is gone.
    """

    def __init__(
        self,
        target: Target,
        identity: Identity,
        pairs: Sequence[asyncssh.SSHKeyPair],
        seen: Seen,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._target, self._identity, self._seen = target, identity, seen
        self._pairs = list(pairs)
        self._password = target.ssh.password
        self._conn: asyncssh.SSHClientConnection | None = None
        self._shown: bytes | None = None
        self.lost = lost
        self.fresh = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._conn = conn

    def connection_lost(self, exc: Exception | None) -> None:
        if self._conn is not None:
            self._seen.version = self._seen.version or str(self._conn.get_extra_info("server_version") or "")
        self.lost()

    def begin_auth(self, username: str) -> None:
        self._seen.authenticating = True

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self._seen.banner = (self._seen.banner + msg)[:1000]

    # -- who is there --

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        blob, pinned = key.public_data, self._shown or self._identity.pinned  # also when keys are exchanged anew
        if pinned is not None and blob != pinned:
            self._seen.fault = self._changed(blob, [hostkeys.fingerprint(pinned)], "earlier in this run")
            return False
        verdict = self._identity.known.judge(blob)
        self.fresh = self.fresh or (verdict == "unknown" and pinned is None)
        if verdict == "revoked":
            what = f"its key {hostkeys.fingerprint(blob)} is revoked by {self._identity.known.revoked[0].where}"
            self._seen.fault = Fault("hostcert", what, self._target.where, "replace the key of that host")
        elif verdict == "changed":
            self._seen.fault = changed(self._target, self._identity.known, blob)
        elif self.fresh and not self._target.ssh.accept_new:
            self._seen.fault = self._unknown(key)
        self._shown = blob
        return self._seen.fault is None

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return any(each.blob == key.public_data for each in self._identity.known.authorities)

    def _unknown(self, key: asyncssh.SSHKey) -> Fault:
        name = self._target.alias or hostkeys.name_of(self._target.address, self._target.ssh.port)
        file = self._target.ssh.known_hosts[0]
        what = f"its key is not in {', '.join(self._target.ssh.known_hosts)}: {hostkeys.fingerprint(key.public_data)}"
        line = f"{name} {key.export_public_key().decode().strip()}"
        remedy = (
            f"compare the fingerprint with the host's, then add to {file} the line `{line}`, or set accept_new=True"
        )
        return Fault("hostkey_unknown", what, self._target.where, remedy)

    def _changed(self, blob: bytes, old: list[str], where: str) -> Fault:
        return _changed_fault(
            self._target, blob, f"{' or '.join(old)} {where}", "another machine answers: find out why"
        )

    # -- who we are --

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        self._note_methods()
        if not self._pairs:
            return None
        self._seen.keys += 1
        return self._pairs.pop(0)

    def password_auth_requested(self) -> str | None:
        self._note_methods()
        return self._take_password()

    def _take_password(self) -> str | None:
        secret, self._password = self._password, None  # once: a second wrong one may lock the account
        if secret is None:
            return None
        self._seen.password = True
        return secret.reveal()

    def password_change_requested(self, prompt: str, lang: str) -> Any:
        self._seen.expired = prompt or "no text"
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        self._note_methods()
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        if not prompts:
            return []
        asked, echo = prompts[0]
        if "assw" not in asked or len(prompts) > 1:  # another factor
            self._seen.prompts += [text for text, _ in prompts][:4]
            return None
        answer = None if echo else self._take_password()
        return None if answer is None else [answer]

    def _note_methods(self) -> None:
        """What the server would accept; asyncssh drops from its list what was tried."""
        if self._conn is not None:
            left = [shown(each, 40) for each in self._conn.get_server_auth_methods()]
            self._seen.methods = tuple(dict.fromkeys((*self._seen.methods, *left)))


def changed(target: Target, known: hostkeys.Known, blob: bytes) -> Fault:
    """The key of a host is another than its files say."""
    old = " or ".join(f"{hostkeys.fingerprint(each.blob)} ({each.where})" for each in known.keys[:4])
    remedy = f"if it was set up anew, remove {known.keys[0].where}; if not, somebody may be listening"
    return _changed_fault(target, blob, old, remedy)


def _changed_fault(target: Target, blob: bytes, old: str, remedy: str) -> Fault:
    what = f"ITS KEY HAS CHANGED: it shows {hostkeys.fingerprint(blob)}, known is {old}"
    return Fault("hostkey_changed", what, target.where, remedy)


def settings(target: Target, identity: Identity) -> dict[str, Any]:
    """Everything that asyncssh is told; what is not named here would come from its defaults or the user's files."""
    ssh = target.ssh
    by_password = ["password", "keyboard-interactive"]
    first_password = ssh.password is not None and not ssh.key_files
    return {
        "config": None,
        "known_hosts": lambda *_: ([], [], identity.revoked()),  # never None: that would check nothing
        "host_key_alias": target.alias,
        "server_host_key_algs": identity.algorithms(),
        "kex_algs": offered("kex", KEX),
        "encryption_algs": list(CIPHERS),
        "mac_algs": list(MACS),
        "signature_algs": list(SIGNATURES),
        "compression_algs": None,
        "preferred_auth": [*by_password, "publickey"] if first_password else ["publickey", *by_password],
        "disable_trivial_auth": True,
        "client_keys": None,
        "agent_path": None,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "host_based_auth": False,
        "gss_host": None,
        "gss_kex": False,
        "gss_auth": False,
        "username": ssh.user if ssh.user is not None else (),
        "utf8_decode_errors": "backslashreplace",
        "connect_timeout": None,  # the road has its own, and the log-in another
        "login_timeout": 0,
        "keepalive_interval": ssh.keepalive,
        "keepalive_count_max": 3,
    }
