"""Steps that are all about the same few things, as hypothesis draws them: they meet, contradict, and fail."""

from __future__ import annotations

import base64
from typing import Any, Final

from hypothesis import strategies as st

import kxflow as kx
from kxflow import resources as r
from kxflow.flow.step import Step
from tests.resources.drawn import SITE

CONF: Final = "/etc/sysctl.d/99-zz-kxflow.conf"
_KEYS: Final = tuple(
    f"ssh-ed25519 {base64.b64encode(bytes([0, 0, 0, 11]) + b'ssh-ed25519' + bytes([0, 0, 0, 32]) + each * 32).decode()}"
    for each in (b"k", b"l")
)
_USERS: Final = ("u1", "g1", "olda")
_GROUPS: Final = ("u1", "g1", "olda", "oldg", "oldh")
_RULE: Final = "%sudo ALL=(root) NOPASSWD: /bin/true"

Made = st.SearchStrategy[Step[Any]]


def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


def _some(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(names), unique=True, max_size=2)


@st.composite
def _user(draw: st.DrawFn) -> Step[Any]:
    name = draw(st.sampled_from(_USERS))
    if draw(st.integers(0, 3)) == 0:
        return r.user(name, state="absent")
    groups = draw(_some(_GROUPS))
    return r.user(
        name,
        uid=draw(_maybe(4200, 4401)),
        group=draw(_maybe(*_GROUPS)),
        groups=groups,
        append=groups is not None and draw(st.booleans()),
        comment=draw(_maybe("", "Ann")),
    )


@st.composite
def _group(draw: st.DrawFn) -> Step[Any]:
    name = draw(st.sampled_from(_GROUPS))
    if draw(st.integers(0, 2)) == 0:
        return r.group(name, state="absent")
    return r.group(name, gid=draw(_maybe(4200, 4301)), members=draw(_some((*_USERS, "bin"))))


@st.composite
def _package(draw: st.DrawFn) -> Step[Any]:
    """Of `kxlib` it is only known on the host that `kxapp` brings it."""
    names = draw(st.lists(st.sampled_from(["kxapp", "kxother", "kxconf"]), unique=True, min_size=1))
    match draw(st.integers(0, 3)):
        case 0:
            return r.package(names, state="absent", purge=draw(st.booleans()))
        case 1:
            return r.package("kxapp", version=draw(st.sampled_from(["1.0", "2.0", "1.*"])))
        case _:
            return r.package(names)


def _edits(path: str, *lines: str) -> Made:
    """Edits of a file by its lines."""

    @st.composite
    def made(draw: st.DrawFn) -> Step[Any]:
        text, create = draw(st.sampled_from(lines)), draw(st.booleans())
        word = draw(st.sampled_from(text.split()))
        match draw(st.integers(0, 6)):
            case 0:
                return r.line(path, text, create=create)
            case 1:
                return r.line(path, text, match=rf"\b{word}\b", create=create)
            case 2:
                return r.line(path, match=f"{word}$", state="absent")
            case 3:
                return r.line(path, text, state="absent")
            case 4:
                return r.block(path, draw(st.sampled_from(lines)), before=draw(_maybe("^[a-z]")), create=create)
            case 5:
                return r.replace(path, word, draw(st.sampled_from(["x", "y"])))
            case _:
                return draw(st.sampled_from([r.file(path, state="absent"), r.absent(path), r.file(path, mode=0o600)]))

    return made()


def _either(*steps: Step[Any]) -> Made:
    return st.sampled_from(steps)


_SYSCTL: Final = _either(
    *(r.sysctl("net.ipv4.ip_forward", value, runtime=False) for value in (0, 1)),
    r.sysctl("net.ipv4.tcp_syncookies", 1, runtime=False),
    r.sysctl("net.ipv4.ip_forward", state="absent"),
) | _edits(CONF, "net.ipv4.ip_forward = 1", "net.ipv4.ip_forward=0", "# none")
_SUDO: Final = _either(r.sudoers("kx", _RULE), r.sudoers("kx", "no rule"), r.sudoers("kx", state="absent")) | _edits(
    "/etc/sudoers.d/kx", _RULE, "# none"
)
_CRON: Final = _either(
    *(r.cron(label, "true", schedule="@daily", file="kx") for label in ("one", "two")),
    r.cron("one", "false", schedule="@daily", file="kx"),
    r.cron("one", state="absent", file="kx"),
    r.cron("one", "true", schedule="@daily", user="olda"),
) | _edits("/etc/cron.d/kx", "# kxflow: one", "@daily root true", "# kxflow: two")
_HOSTS: Final = _either(
    *(r.hosts_entry(f"10.0.0.{number}", "db", *more) for number in (5, 6) for more in ((), ("cache",))),
    r.hosts_entry("10.0.0.7", "cache"),
    r.hosts_entry("10.0.0.5", "db", state="absent"),
) | _edits("/etc/hosts", "10.0.0.5 db", "10.0.0.7 cache", "10.0.0.6 db cache")
_FSTAB: Final = _either(
    *(r.mount(f"/srv/{name}", "tmpfs", fstype="tmpfs", mounted=False) for name in "ab"),
    r.mount("/srv/a", "tmpfs", fstype="tmpfs", options="ro", mounted=False),
    r.mount("/srv/a", state="absent", mounted=False),
    r.mount("/srv/b", "/dev/nope", fstype="ext4"),
) | _edits("/etc/fstab", "tmpfs /srv/a tmpfs defaults 0 0", "tmpfs /srv/b tmpfs ro 0 0")
_KEY: Final = _either(
    *(r.authorized_key("olda", key, exclusive=only) for key in _KEYS for only in (False, True)),
    r.authorized_key("olda", _KEYS[0], state="absent"),
    r.authorized_key("u1", _KEYS[0]),
    r.directory("/home/olda/.ssh", mode=0o755, owner="olda"),
    r.directory("/home/olda/.ssh", mode=0o700, owner="olda"),
    r.absent("/home/olda/.ssh"),
) | _edits("/home/olda/.ssh/authorized_keys", _KEYS[0], f"{_KEYS[1]} two")
_FILES: Final = _either(
    *(r.directory(f"{SITE}/{name}", parents=parents) for name in ("d", "d/e") for parents in (False, True)),
    *(r.file(f"{SITE}/{name}", content="a\nmode one\n") for name in ("a.conf", "d/f", "d/e/f")),
    *(r.directory(f"{SITE}/{name}", state="absent") for name in ("d", "tree", "a.conf")),
    *(r.link(f"{SITE}/{name}", state="absent") for name in ("now", "a.conf", "d")),
    *(r.link(f"{SITE}/{name}", "a.conf") for name in ("now", "d/now")),
    *(r.absent(f"{SITE}/{name}", tree=tree) for name in ("d", "tree/sub") for tree in (False, True)),
    r.file(f"{SITE}/a.conf", owner="u1"),
    r.file(f"{SITE}/b", content="x", owner="olda", group="g1"),
    r.service("kxd", running=True),
    r.service("nope", enabled=True),
    r.timezone("Mars/Base"),
)
_TEXTS: Final = _edits(f"{SITE}/a.conf", "a", "mode one", "mode two", "b") | _edits(f"{SITE}/d/f", "a", "mode one")

POOLS: Final[dict[str, Made]] = {
    "accounts": _user() | _group(),
    "packages": _package(),
    "sysctl": _SYSCTL,
    "sudoers": _SUDO,
    "cron": _CRON,
    "hosts": _HOSTS,
    "fstab": _FSTAB,
    "keys": _KEY | _user(),
    "files": _FILES,
    "texts": _TEXTS | _FILES,
    "all": st.one_of(_user(), _group(), _SYSCTL, _CRON, _KEY, _FILES, _TEXTS),
}


@st.composite
def crowds(draw: st.DrawFn, pool: str) -> list[Step[Any]]:
    """A few steps of one pool; each goes on whatever becomes of the one before."""
    steps = draw(st.lists(POOLS[pool], min_size=2, max_size=6))
    return [each.named(f"{number} {each.name}"[:150]).ignore_errors() for number, each in enumerate(steps)]


COMES_TO: Final = {
    kx.Effect.fail: {kx.Status.Failed},
    kx.Effect.change: {kx.Status.Succeeded},
    kx.Effect.none: {kx.Status.Skipped},
    kx.Effect.unknown: set(kx.Status),
}
"""What a step comes to that a plan says something of."""
