"""Why a host could not be reached by SSH: what happened, told as one of a closed set of faults.

Source: the codes are those of the fault catalogue; text that a host sent is escaped and bounded.
"""

from __future__ import annotations

from typing import Final

import asyncssh
from attrs import define, field

from kxflow.interpreters.ports import ReachError
from kxflow.values.fault import Fault

_LIMIT: Final = 200
_THROTTLES: Final = (b"Exceeded MaxStartups", b"Not allowed at this time")
_TOO_MANY_TRIES: Final = "too many authentication failures"
_KEXINIT: Final = 20
_BUSY: Final = 12  # SSH_DISCONNECT_TOO_MANY_CONNECTIONS, RFC 4253 section 11.1


def shown(text: str | bytes, limit: int = _LIMIT) -> str:
    r"""A host's text, harmless: printable ASCII, everything else escaped, cut after `limit` characters.

    >>> shown(b"220 mail \x1b[31m")
    '220 mail \\x1b[31m'
    """
    plain = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    escaped = plain[: limit + 1].encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= limit else escaped[:limit] + "…"


def unreachable(code: str, what: str, where: str, remedy: str = "") -> ReachError:
    """The error that carries a fault."""
    return ReachError(Fault(code, what, where, remedy))


@define
class Seen:
    """What was seen of a log-in so far: where it stood when it failed.

    Attributes:
        head: First bytes that came, a few KB; empty by way of a jump host.
        wanted: Host key algorithms that were asked for.
        connected: The TCP connection, or the jump host's, was there.
        version: The server's version line was read.
        authenticating: Host key accepted, log-in begun.
        fault: The verdict on the host's key, where it was refused.
        methods: Ways to log in that the server left at the end.
        keys: How many keys were offered.
        password: The password was sent.
        banner: What the server said during log-in.
        expired: Its request for a new password.
        prompts: Questions that nobody was there to answer.
    """

    head: bytes = b""
    wanted: tuple[str, ...] = ()
    connected: bool = False
    version: str = ""
    authenticating: bool = False
    fault: Fault | None = None
    methods: tuple[str, ...] = ()
    keys: int = 0
    password: bool = False
    banner: str = ""
    expired: str = ""
    prompts: list[str] = field(factory=list)

    @property
    def phase(self) -> str:
        """In words."""
        if self.authenticating:
            return "logging in"
        return "exchanging keys" if self.version else "waiting for its greeting"


def explain(error: BaseException, seen: Seen, where: str) -> Fault:
    """The fault behind an exception of asyncssh's connect."""
    if isinstance(error, ReachError):
        return error.fault
    if seen.fault is not None:
        return seen.fault
    if isinstance(error, asyncssh.DisconnectError):
        return _disconnected(error, seen, where)
    if isinstance(error, OSError):
        return _too_slow(seen, where) if isinstance(error, TimeoutError) else _lost(seen, where)
    if isinstance(error, asyncssh.ChannelOpenError):
        return _refused_by_jump(error, where)
    return Fault("options", f"the SSH options cannot be used: {shown(str(error))}", where)


def _too_slow(seen: Seen, where: str) -> Fault:
    if seen.head and not seen.version:
        return _no_ssh(seen, where)
    what = f"no answer while {seen.phase}, within the log-in time"
    return Fault("login_timeout", what, where, "raise login_timeout=, or look at the host's load and DNS")


def _no_ssh(seen: Seen, where: str) -> Fault:
    return Fault("protocol", f"it answers {shown(seen.head)!r}, that is not SSH", where, "check address and port")


def _lost(seen: Seen, where: str) -> Fault:
    has = server_host_key_algorithms(seen.head)
    if has and not set(has) & set(seen.wanted):  # asyncssh does not look, and the server just hangs up
        return _no_algorithm(
            f"No matching host key algorithm: sent {','.join(seen.wanted)}, received {','.join(has)}", where
        )
    if seen.version:
        return Fault("handshake", f"the connection ended while {seen.phase}{_said(seen)}", where)
    if seen.head and not seen.head.startswith(_THROTTLES):
        return _no_ssh(seen, where)
    what = "the connection was dropped before the server's greeting"
    remedy = "sshd does so beyond MaxStartups or after many failures (PerSourcePenalties): lower connects="
    return Fault("throttled", what, where, remedy)


def _disconnected(error: asyncssh.DisconnectError, seen: Seen, where: str) -> Fault:
    reason = str(error.reason)
    if _TOO_MANY_TRIES in reason.lower():
        what = f"it refused after {seen.keys} keys: too many tries"
        return Fault("auth_tries", what, where, "name the one key with key_files= and set agent=False")
    if isinstance(error, asyncssh.ConnectionLost):
        return _lost(seen, where)
    if isinstance(error, asyncssh.PermissionDenied):
        return _denied(seen, reason, where)
    if error.code == _BUSY:
        return Fault("throttled", f"it is busy: {shown(reason)}", where)
    return _disagreed(error, seen, where) if seen.version else _no_ssh(seen, where)


def _disagreed(error: asyncssh.DisconnectError, seen: Seen, where: str) -> Fault:
    reason = str(error.reason)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        remedy = "compare with the certificate authority's list; see ssh-keygen -L"
        return Fault("hostcert", f"its key or certificate is refused: {shown(reason)}", where, remedy)
    if isinstance(error, asyncssh.KeyExchangeFailed) and reason.startswith("No matching"):
        return _no_algorithm(reason, where)
    code = "handshake" if isinstance(error, asyncssh.KeyExchangeFailed) else "protocol"
    return Fault(code, f"it ended the connection while {seen.phase}: {shown(reason)}", where)


def _no_algorithm(reason: str, where: str) -> Fault:
    remedy = "SHA-1, CBC and ssh-rsa signatures are not accepted: update the host's SSH server"
    return Fault("algorithms", shown(reason, 1000), where, remedy)


def server_host_key_algorithms(head: bytes) -> tuple[str, ...]:
    """What the server offers, from the first bytes it sends; empty where they do not hold it whole.

    Source: the second name list of SSH_MSG_KEXINIT, RFC 4253 section 7.1, in the first packet after the version line.
    """
    start = head.find(b"\n", head.find(b"SSH-")) + 1
    packet = head[start:]
    length = int.from_bytes(packet[:4], "big")
    if not start or len(packet) < 4 + length or packet[5:6] != bytes([_KEXINIT]):
        return ()
    rest = packet[22 : 4 + length]
    kex = int.from_bytes(rest[:4], "big")
    rest = rest[4 + kex :]
    return tuple(rest[4 : 4 + int.from_bytes(rest[:4], "big")].decode("ascii", "replace").split(","))


def _denied(seen: Seen, reason: str, where: str) -> Fault:
    if seen.expired:
        what = f"the password has expired: {shown(seen.expired)}"
        return Fault("expired", what, where, "log in by hand and change it")
    if seen.prompts:
        what = f"it asks {len(seen.prompts)} question(s) that nobody can answer: {shown(seen.prompts[0])}"
        return Fault("interactive", what, where, "use a key, or exempt this account from the second factor")
    if reason.startswith("Trivial"):
        return Fault("auth", "it lets in anybody, without a proof; that is refused", where, "require a key there")
    tried = [f"{seen.keys} key(s)"] + (["the password"] if seen.password else [])
    left = ", ".join(seen.methods) or "none"
    what = f"it refused {' and '.join(tried)}; it accepts: {shown(left)}{_said(seen)}"
    return Fault("auth", what, where, "check user=, key_files= and password=")


def _said(seen: Seen) -> str:
    return f"; it says: {shown(seen.banner)}" if seen.banner else ""


def _refused_by_jump(error: asyncssh.ChannelOpenError, where: str) -> Fault:
    reason = str(error.reason)
    said = f"the jump host could not connect on: {shown(reason)}"
    if reason == "SSH connection closed":  # asyncssh's words for our own connection to it
        return Fault("handshake", "the connection to the jump host ended", where)
    if "refused" in reason.lower():
        return Fault("refused", said, where)
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Fault("jump", said, where, "AllowTcpForwarding must be on there")
    return Fault("jump", said, where)
