"""Sequences of resources of all kinds, as hypothesis draws them: they touch one another, and hold together."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen, mutable
from frozendict import frozendict
from hypothesis import strategies as st

import kxflow as kx
from kxflow import resources as r
from kxflow.flow.step import Step, Steps
from tests.resources.conftest import Box
from tests.resources.debs import bare, deb, index
from tests.resources.test_service import SCRIPT

SITE: Final = "/srv/site"
_NAMES: Final = ("a.conf", "b c.conf", "$(d).conf")
_BLOB: Final = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()

_PLACE: Final = f"""
groupadd -g 4200 oldg; groupadd -g 4201 oldh; useradd -m -u 4200 -g oldg -G oldh -s /bin/sh olda
mkdir -p {SITE}/tree/sub '{SITE}/old tree'
cd {SITE}
printf 'a\\nport = 80\\nb\\n' >a.conf; printf 'x\\nmode old' >'b c.conf'; chmod 640 'b c.conf'; chown olda a.conf
echo kept >kept; echo 1 >tree/one; echo 2 >tree/sub/two; chmod 600 tree/one; echo x >'old tree/x'; ln -s a.conf now
mkdir -p /srv/more; cp /srv/debs/* /srv/more; mkdir -p /etc/systemd/system/kxo.service.d
cd /etc/systemd/system; printf '[Service]\\nExecStart=/bin/true\\n' | tee kxo.service >kxo.service.d/a.conf
cat >/etc/init.d/kxd; chmod 755 /etc/init.d/kxd; update-rc.d kxd defaults-disabled
"""

_LOOK: Final = """
cd /etc; for each in passwd group shadow gshadow subuid subgid; do sort $each; done
cat hosts fstab hostname timezone; readlink localtime; uname -n
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev} ${Conffiles}\\n'; apt-mark showauto
cut -d' ' -f5- /proc/self/mountinfo
git -C /srv/site/app log --format='%H %D' -1 2>&1; git -C /srv/site/app status --porcelain --ignored 2>&1
service kxd status >/dev/null && echo runs || echo stands
"""
_APART: Final = ("/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/log/", "/var/lib/kxflow")
"""What package managers and marks of ours keep for themselves; packages are compared by what `dpkg-query` says.

So does git, whose checkouts are compared by what `git` says.
"""
_BESIDE: Final = ("-", ".lock")
"""Ends of names in `/etc`: what the tools of accounts leave beside their files."""
_SORTED: Final = frozenset(f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"))
"""An account that comes again is a line at the end; their lines are compared in `seen`."""


@frozen
class Kit:
    """What is brought to a host, made once.

    Attributes:
        debs: A folder of packages with its index: `kxapp` 1.0 and 2.0, which needs `kxlib`; `kxconf`, `kxother`.
        repository: A bare git repository with the tags `v1` and `v2`.
        trees: Folders to be synced.
        archives: Archives to be unpacked.
        site: Where files are to be downloaded from.
        fetched: A folder for what is fetched.
    """

    debs: Path
    repository: Path
    trees: tuple[Path, ...]
    archives: tuple[Path, ...]
    site: str
    fetched: Path


WEB: Final[Mapping[str, bytes]] = frozendict({"/small": b"kept\n", "/big": b"\0\xff" * 20_000})
"""What can be downloaded, by path: the one is what is at its place from before."""


@contextmanager
def served() -> Iterator[str]:
    """Serve that on loopback; gives the start of its URLs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(WEB[self.path])))
            self.end_headers()
            self.wfile.write(WEB[self.path])

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_kit(folder: Path, site: str) -> Kit:
    """Make it, below a folder."""
    debs, trees, archives = folder / "debs", [], []
    debs.mkdir()
    deb(debs, "kxlib")
    deb(debs, "kxother")
    for version in ("1.0", "2.0"):
        deb(debs, "kxapp", version, Depends="kxlib")
    deb(debs, "kxconf", files={"etc/kxconf": "as packed"}, Conffiles="/etc/kxconf")
    index(debs)
    git = ["git", "-C", str(folder / "work"), "-c", "user.email=a@b", "-c", "user.name=a"]
    subprocess.run(["git", "init", "-q", str(folder / "work")], check=True, capture_output=True)
    for number in (1, 2):
        (folder / "work" / "f").write_text(f"{number}\n")
        for words in (["add", "f"], ["commit", "-qm", f"{number}"], ["tag", f"v{number}"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        tree = folder / f"tree{number}"
        (tree / "sub").mkdir(parents=True)
        (tree / "one").write_text(f"{number}\n")
        (tree / "sub" / f"only {number}").write_text("x" * 20_000 * number)
        (tree / "link").symlink_to("one")
        trees.append(tree)
        archive = folder / f"{number}.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            for member in ("one", f"dir/{number}"):
                info = tarfile.TarInfo(member)
                info.size = 2
                packed.addfile(info, io.BytesIO(f"{number}\n".encode()))
        archives.append(archive)
    subprocess.run(["git", "clone", "-q", "--bare", str(folder / "work"), str(folder / "app.git")], check=True)
    return Kit(debs, folder / "app.git", tuple(trees), tuple(archives), site, folder / "fetched")


def furnish(box: Box, kit: Kit) -> None:
    """Bring it to a box, where some of all that is drawn is there already."""
    bare(box)
    subprocess.run(["cp", "-r", f"{kit.debs}/.", str(box.path("/srv/debs"))], check=True)
    subprocess.run(["cp", "-r", str(kit.repository), str(box.path("/srv/app.git"))], check=True)
    box.sh(_PLACE, stdin=SCRIPT)


def seen(box: Box) -> str:
    """Accounts, packages, settings, mounts, services: by other means than resources."""
    return box.sh(_LOOK, ok=False)


def counts(path: str) -> bool:
    """A path belongs to what is to be the same again."""
    beside = path.startswith("/etc/") and path.endswith(_BESIDE)
    return not (path.startswith(_APART) or beside or path in _SORTED or "/.git/" in path)


@mutable
class World:
    """What there will be, as far as it matters to what is drawn next, and what was drawn already.

    Attributes:
        kit: What was brought.
        users, groups: That there are.
        taken: Things that a resource of the sequence has to do with: two that contradict never hold both.
    """

    kit: Kit
    users: set[str] = field(factory=lambda: {"olda"})
    groups: set[str] = field(factory=lambda: {"oldg", "oldh"})
    taken: set[str] = field(factory=set)

    def take(self, thing: str) -> bool:
        """It is new."""
        new = thing not in self.taken
        self.taken.add(thing)
        return new


Draw = Callable[[st.SearchStrategy[Any]], Any]


def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


def _group(draw: Draw, world: World) -> Step[Any] | None:
    name = draw(st.sampled_from(["g1", "g2", "oldh"]))
    if not world.take(f"group {name}"):
        return None
    if draw(st.integers(0, 3)) == 0:
        if f"{name} is used" in world.taken:
            return None
        world.groups.discard(name)
        return r.group(name, state="absent")
    world.groups.add(name)
    gid = draw(_maybe({"g1": 4301, "g2": 4302, "oldh": 4303}[name]))
    free = "user olda" not in world.taken and "olda" in world.users
    members = draw(_maybe([], ["bin"], ["bin", "olda"])) if free else None
    if members is not None:
        world.take("user olda")
        world.take("olda is used")
    return r.group(name, gid=gid, members=members)


def _user(draw: Draw, world: World) -> Step[Any] | None:
    name = draw(st.sampled_from(["u1", "u2", "olda"]))
    if not world.take(f"user {name}"):
        return None
    if draw(st.integers(0, 3)) == 0:
        if f"{name} is used" in world.taken:
            return None
        world.users.discard(name)
        return r.user(name, state="absent")
    world.users.add(name)
    groups = draw(st.none() | st.lists(st.sampled_from(sorted((world.groups | {"adm"}) - {"oldg"})), unique=True))
    for each in groups or ():
        world.take(f"{each} is used")
        world.take(f"group {each}")
    return r.user(
        name,
        uid=draw(_maybe({"u1": 4401, "u2": 4402, "olda": 4403}[name])),
        groups=groups,
        append=groups is not None and draw(st.booleans()),
        shell=draw(_maybe("/bin/sh", "/bin/bash")),
        comment=draw(_maybe("", "Ann O'Hara")),
        password=draw(_maybe(kx.Secret("$6$saltsalt$" + "x" * 86))),
        locked=draw(_maybe(True)),
    )


def _owner(draw: Draw, world: World) -> Any:
    owner = draw(_maybe(*sorted(world.users), 12345))
    if isinstance(owner, str):
        world.take(f"{owner} is used")
        world.take(f"user {owner}")
    return owner


def _file(draw: Draw, world: World) -> Step[Any] | None:
    path = f"{SITE}/{draw(st.sampled_from(_NAMES))}"
    how = draw(st.sampled_from(["absent", "content", "rights", "rights"]))
    if how == "absent":
        return r.file(path, state="absent") if world.take(path) and world.take(f"rights {path}") else None
    if not world.take(f"rights {path}"):
        return None
    content = draw(st.sampled_from(["a\nport = 80\nb\n", "", "new\n", "y" * 20_000])) if how == "content" else None
    if content is not None and not world.take(path):
        return None
    mode = draw(_maybe(0o600, 0o4755))
    return r.file(path, content=content, mode=mode, owner=_owner(draw, world))


def _edit(draw: Draw, world: World) -> Step[Any] | None:
    path = f"{SITE}/{draw(st.sampled_from(_NAMES))}"
    if path in world.taken and f"edited {path}" not in world.taken:
        return None
    world.take(path)
    world.take(f"edited {path}")
    how = draw(st.sampled_from(["line", "match", "gone", "block", "unblock", "replace"]))
    if how == "replace" and not world.taken & {f"line {path}", f"match {path}", f"block {path}"}:
        return None  # it makes no file
    if not world.take(f"{how.removeprefix('un')} {path}"):
        return None
    match how:
        case "line":
            return r.line(path, "new $x", after="^a", create=True)
        case "match":
            return r.line(path, "mode new", match="^mode", create=True)
        case "gone":
            return r.line(path, "b", state="absent")
        case "block":
            return r.block(path, draw(st.sampled_from(["one\ntwo", "three"])), before="^b", create=True)
        case "unblock":
            return r.block(path, state="absent")
        case _:
            return r.replace(path, r"\bport = \d+", f"port = {draw(st.sampled_from([80, 8080]))}")


def _directory(draw: Draw, world: World) -> Step[Any] | None:
    path = f"{SITE}/{draw(st.sampled_from(['tree', 'old tree', 'new/deep']))}"
    if not world.take(path):
        return None
    match draw(st.integers(0, 3)):
        case 0:
            return r.absent(path)
        case 1:
            its = draw(_maybe(0o640))
            return r.directory(path, mode=0o750, file_mode=its, owner=_owner(draw, world), recursive=True, parents=True)
        case _:
            return r.directory(path, mode=draw(_maybe(0o2750)), owner=_owner(draw, world), parents=True)


def _link(draw: Draw, world: World) -> Step[Any] | None:
    path = f"{SITE}/{draw(st.sampled_from(['now', 'then']))}"
    if not world.take(path):
        return None
    return r.link(path, draw(st.sampled_from(["tree", "$(x) 'y'"]))) if draw(st.booleans()) else r.absent(path)


def _package(draw: Draw, world: World) -> Step[Any] | None:
    name = draw(st.sampled_from(["kxapp", "kxlib", "kxother", "kxconf"]))
    if not world.take(f"package {'kxapp' if name == 'kxlib' else name}"):
        return None
    if name != "kxlib" and draw(st.integers(0, 2)) == 0:  # others may need that
        return r.package(name, state="absent", purge=draw(st.booleans()))
    if name == "kxapp":
        return r.package(name, version=draw(_maybe("1.0", "2.*")))
    if name == "kxother" and world.take("package kxconf"):
        return r.package(["kxother", "kxconf"])
    return r.package(name)


def _conffile(draw: Draw, world: World) -> Step[Any] | None:
    """A file of a package, that is there only if it is."""
    if not world.take("/etc/kxconf") or not world.take("package kxconf"):
        return None
    return r.line("/etc/kxconf", "added", create=True)


def _cron(draw: Draw, world: World) -> Step[Any] | None:
    label, user = draw(st.sampled_from(["one", "it's two"])), draw(st.sampled_from(sorted(world.users | {"root"})))
    if not world.take(f"cron {label}"):
        return None
    if draw(st.integers(0, 2)) == 0:
        return r.cron(label, state="absent", file="kx")
    world.take(f"user {user}")
    world.take(f"{user} is used")
    schedule = draw(st.sampled_from(["0 3 * * 1-5", "@daily"]))
    return r.cron(label, "echo 50\\% done", schedule=schedule, user=user, file="kx")


def _key(draw: Draw, world: World) -> Step[Any] | None:
    if not world.users:
        return None
    user = draw(st.sampled_from(sorted(world.users)))
    if not world.take(f"key {user}"):
        return None
    world.take(f"user {user}")
    world.take(f"{user} is used")
    its = draw(st.sampled_from(["ann@desk", "other"]))
    if draw(st.integers(0, 3)) == 0:
        return r.authorized_key(user, f"ssh-ed25519 {_BLOB} {its}", state="absent")
    return r.authorized_key(user, f"ssh-ed25519 {_BLOB} {its}", exclusive=draw(st.booleans()))


def _sysctl(draw: Draw, *, gone: bool) -> Step[Any]:
    if gone:
        return r.sysctl("net.ipv4.ip_forward", state="absent")
    return r.sysctl("net.ipv4.ip_forward", draw(st.sampled_from([0, 1])), runtime=False)


def _mount(draw: Draw, *, gone: bool) -> Step[Any]:
    if gone:
        return r.mount("/srv/my cache", state="absent")
    options = draw(st.sampled_from(["size=64k,nosuid", "size=128k"]))
    return r.mount("/srv/my cache", "tmpfs", fstype="tmpfs", options=options, mounted=draw(st.booleans()))


def _hosts(draw: Draw, *, gone: bool) -> Step[Any]:
    its = draw(st.sampled_from(["10.0.0.5", "10.0.0.6"]))
    return r.hosts_entry(its, "db.example.com", "db", state="absent" if gone else "present")


def _sudoers(draw: Draw, *, gone: bool) -> Step[Any]:
    return r.sudoers("kx", state="absent") if gone else r.sudoers("kx", "%sudo ALL=(root) NOPASSWD: /bin/true")


_SETTINGS: Final[dict[str, Callable[..., Step[Any]]]] = {
    "sudoers": _sudoers,
    "hosts": _hosts,
    "sysctl": _sysctl,
    "mount": _mount,
    "hostname": lambda draw, *, gone: r.hostname(draw(st.sampled_from(["web1", "web2"]))),
    "timezone": lambda draw, *, gone: r.timezone(draw(st.sampled_from(["Europe/Berlin", "Etc/UTC"]))),
    "service": lambda draw, *, gone: r.service("kxd", running=draw(st.booleans()), enabled=draw(_maybe(True, False))),
    "git": lambda draw, *, gone: r.git(f"{SITE}/app", "/srv/app.git", draw(st.sampled_from(["v1", "v2"]))),
}


def _setting(draw: Draw, world: World) -> Step[Any] | None:
    what = draw(st.sampled_from(sorted(_SETTINGS)))
    return _SETTINGS[what](draw, gone=draw(st.integers(0, 2)) == 0) if world.take(what) else None


def _tree(draw: Draw, world: World) -> Step[Any] | None:
    number = draw(st.sampled_from([0, 1]))
    if draw(st.booleans()):
        if not world.take(f"{SITE}/tree"):
            return None
        delete, owner = draw(st.booleans()), _owner(draw, world)
        return r.sync(f"{SITE}/tree", world.kit.trees[number], delete=delete, owner=owner)
    return r.unpack(f"{SITE}/opt", source=world.kit.archives[number]) if world.take(f"{SITE}/opt") else None


def _download(draw: Draw, world: World) -> Step[Any] | None:
    path = f"{SITE}/{draw(st.sampled_from(['kept', 'got it']))}"
    if not world.take(path):
        return None
    name = draw(st.sampled_from(sorted(WEB)))
    sha256 = hashlib.sha256(WEB[name]).hexdigest()
    return r.download(
        path, f"{world.kit.site}{name}", sha256=sha256, mode=draw(_maybe(0o640)), owner=_owner(draw, world)
    )


def _fetch(draw: Draw, world: World) -> Step[Any] | None:
    """What comes before it may change the file, what comes after it may not."""
    path = f"{SITE}/kept"
    if not world.take(f"fetch {path}"):
        return None
    world.take(path)
    return r.fetch(path, world.kit.fetched)


def _unit(draw: Draw, world: World) -> Step[Any] | None:
    """As a file: no systemd runs there to read it."""
    name = draw(st.sampled_from(["kxo.service", "kxn.service", "kxo.service.d/a.conf", "kxo.service.d/b.conf"]))
    if not world.take(f"unit {name}"):
        return None
    if draw(st.integers(0, 2)) == 0:
        return r.systemd_unit(name, state="absent")
    return r.systemd_unit(name, content=f"[Service]\nExecStart={draw(st.sampled_from(['/bin/true', '/bin/false']))}\n")


def _repository(draw: Draw, world: World) -> Step[Any] | None:
    if not world.take("repository"):
        return None
    if draw(st.integers(0, 2)) == 0:
        return r.apt_repository("kxmore", state="absent")
    kind = draw(st.sampled_from(["amd64", "all"]))
    return r.apt_repository("kxmore", uris="file:/srv/more", suites="./", architectures=kind, trusted=True)


KINDS: Final = (
    _group,
    _user,
    _file,
    _file,
    _edit,
    _edit,
    _directory,
    _link,
    _package,
    _conffile,
    _cron,
    _key,
    _setting,
    _setting,
    _tree,
    _download,
    _fetch,
    _unit,
    _repository,
)


def _some(draw: Draw, world: World, most: int) -> list[Step[Any]]:
    found: list[Step[Any]] = []
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=4, max_size=most)):
        made = kind(draw, world)
        if made is not None:
            found.append(made.named(f"{len(found)} {made.name}"))
    return found


def followed(draw: Draw, steps: list[Step[Any]]) -> list[Step[Any]]:
    """The same, and behind the last of them, or the last two, what is to follow a change of theirs."""
    if not steps:
        return steps
    own = steps[-draw(st.integers(1, 2)) :]
    log = kx.command("follow", f"echo followed >>{SITE}/followed", undo=f"rm -f {SITE}/followed")
    then: list[Step[Any] | Steps] = [log, r.file(f"{SITE}/follower", content="x", mode=0o600)]
    return [*steps[: -len(own)], *kx.on_change(*own, then=then).members]


class Case:
    """What a host has from before, and what it is to be like: each of them can hold at once, in that order."""

    def __init__(self, present: list[Step[Any]], wanted: list[Step[Any]]) -> None:
        self.present, self.wanted = present, wanted

    def __repr__(self) -> str:
        return f"Case({self.present}, {self.wanted})"


@st.composite
def cases(draw: st.DrawFn, kit: Kit, most: int = 12) -> Case:
    """A host's past and its future."""
    world = World(kit)
    present = _some(draw, world, most)
    return Case(present, _some(draw, World(kit, world.users, world.groups), most))
