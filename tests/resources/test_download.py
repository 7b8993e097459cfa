"""A file that a host gets from the web by itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

import kxflow as kx
from kxflow.resources import download
from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box
from tests.resources.helpers_files import (
    HOSTILE,
    OWNER,
    cycle,
    fails,
    names,
    ran,
    skipped,
    succeeded,
    tree,
    undo,
    undone,
)

DATA = b"#!/bin/sh\necho tool \0\xff\n" * 3000
SHA256 = hashlib.sha256(DATA).hexdigest()


@define
class Web:
    """A server on loopback.

    Attributes:
        url: Of the file.
        asked: Path and headers of each request.
    """

    base: str
    asked: list[tuple[str, dict[str, str]]] = field(factory=list)

    @property
    def url(self) -> str:
        return f"{self.base}/tool"


@pytest.fixture
def web() -> Iterator[Web]:
    """Gives the file at `/tool`, leads there from `/moved`, and elsewhere from `/away`."""
    its = Web("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            its.asked.append((self.path, dict(self.headers)))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/tool")
            elif self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
            elif self.path.startswith("/tool"):
                self.send_response(200)
                self.send_header("Content-Length", str(len(DATA)))
                self.end_headers()
                self.wfile.write(DATA)
                return
            else:
                self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    its.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield its
    server.shutdown()
    thread.join()
    server.server_close()


def host_with(folder: Path, name: str | None = None, tool: str = "") -> kx.Cluster:
    """A host that has all programs of this one, but of those for the web only this one, or none."""
    for place in ("/bin", "/usr/bin"):
        for each in Path(place).iterdir():
            if each.name not in ("curl", "wget") and not (folder / each.name).exists():
                (folder / each.name).symlink_to(each)
    if name is not None:
        (folder / name).symlink_to(tool)
    return kx.Cluster([kx.Host("here", connect=kx.Via("/usr/bin/env", f"PATH={folder}", "no_proxy=127.0.0.1"))])


@pytest.fixture(params=["curl", "wget", "busybox wget"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> kx.Cluster:
    """A host with one of the programs."""
    tool, name = need_program(request.param.split()[0]), request.param.split()[-1]
    return host_with(tmp_path_factory.mktemp("bin"), name, tool)


def test_a_download_lives(tmp_path: Path, web: Web, cluster: kx.Cluster) -> None:
    """Asked for only where the digest is another; with each of the programs."""
    path = tmp_path / "tool"
    step = download(path, web.url, sha256=SHA256.upper(), mode=0o755, owner=OWNER)
    cycle(step, lambda: tree(tmp_path), drift=lambda: path.write_text("drift"), cluster=cluster)
    assert len(web.asked) == 3
    succeeded(step, cluster)
    assert path.read_bytes() == DATA
    before = len(web.asked)
    skipped(step, cluster)
    path.chmod(0o700)
    succeeded(step, cluster)
    assert len(web.asked) == before + 1


def test_another_file_than_was_promised_is_not_put_in_place(tmp_path: Path, web: Web, cluster: kx.Cluster) -> None:
    """The old one stays, no temporary one is left."""
    path = tmp_path / "tool"
    path.write_text("old")
    fails(download(path, web.url, sha256="0" * 64), "gives another file", SHA256, cluster=cluster)
    fails(download(path, f"{web.base}/no", sha256=SHA256), "cannot get", "/no", cluster=cluster)
    fails(download(path, "http://127.0.0.1:1/x", sha256=SHA256), "cannot get", cluster=cluster)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_a_redirect_within_the_web_is_followed_and_no_other(tmp_path: Path, web: Web) -> None:
    """A server must not make the host read its own files."""
    succeeded(download(tmp_path / "tool", f"{web.base}/moved", sha256=SHA256))
    digest = hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
    fails(download(tmp_path / "away", f"{web.base}/away", sha256=digest), "cannot get")
    assert [each.name for each in tmp_path.iterdir()] == ["tool"]


def test_headers_are_sent_and_a_secret_is_in_no_record_and_no_argv(tmp_path: Path, web: Web) -> None:
    """It goes to `curl` by a pipe."""
    headers: dict[str, str | kx.Secret] = {"Authorization": kx.Secret('Bearer "s3cret\\token'), "X-Plain": "a b"}
    fake = tmp_path / "bin"
    fake.mkdir()
    curl = need_program("curl")
    (fake / "curl").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\nexec {curl} "$@"\n')
    (fake / "curl").chmod(0o755)
    cluster = kx.Cluster([kx.Host("here", connect=kx.Via("env", f"PATH={fake}:/usr/bin:/bin"))])
    step = download(tmp_path / "tool", web.url, sha256=SHA256, headers=headers)
    report = ran(step, cluster=cluster)
    assert report.succeeded, report.first_fault
    assert web.asked[0][1]["Authorization"] == 'Bearer "s3cret\\token'
    assert web.asked[0][1]["X-Plain"] == "a b"
    assert "s3cret" not in repr(report.to_dicts())
    assert "-K" in (tmp_path / "argv").read_text()
    assert "s3cret" not in (tmp_path / "argv").read_text()


def test_without_the_programs_the_message_says_so(tmp_path: Path, web: Web) -> None:
    """Headers need curl: wget would show them to everybody. Nothing is left."""
    for each in ("none", "wget", "host"):
        (tmp_path / each).mkdir()
    target = tmp_path / "host" / "x"
    step = download(target, web.url, sha256=SHA256)
    fails(step, "no curl and no wget", cluster=host_with(tmp_path / "none"))
    step = download(target, web.url, sha256=SHA256, headers={"X": "y"})
    fails(step, "headers= need curl", cluster=host_with(tmp_path / "wget", "wget", need_program("wget")))
    assert not web.asked
    assert not list(target.parent.iterdir())


def test_links_are_followed_and_stay(tmp_path: Path, web: Web, cluster: kx.Cluster) -> None:
    """On the way, and at its end."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "tool").write_text("old")
    (tmp_path / "real" / "now").symlink_to("tool")
    (tmp_path / "link").symlink_to("real")
    before = tree(tmp_path / "real")
    step = download(tmp_path / "link" / "now", web.url, sha256=SHA256)
    first = succeeded(step, cluster)
    assert (tmp_path / "real" / "tool").read_bytes() == DATA
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real" / "now").is_symlink()) == (True, True)
    skipped(step, cluster)
    undone(step, first, cluster)
    assert tree(tmp_path / "real") == before


@pytest.mark.parametrize("options", ["size=1m,ro", "size=64k"])
def test_a_disk_that_takes_nothing_leaves_the_file(box: Box, web: Web, options: str) -> None:
    """Read-only or full: the old one is whole, and nothing else is there."""
    box.sh(
        "mkdir -p /mnt/disk && mount -t tmpfs -o size=1m none /mnt/disk && echo old >/mnt/disk/f"
        f" && mount -o remount,{options} /mnt/disk"
    )
    fails(download("/mnt/disk/f", web.url, sha256=SHA256), cluster=box.cluster)
    assert box.sh("cd /mnt/disk; ls -A; cat f") == "f\nold\n"


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_are_names(tmp_path: Path, web: Web, name: bytes) -> None:
    """Of the file, and in the URL."""
    step = download(str(tmp_path).encode() + b"/" + name, f"{web.url}?$(touch%20pwned)`id`'\"", sha256=SHA256)
    result = succeeded(step)
    skipped(step)
    assert len(list(tmp_path.iterdir())) == 1
    back = undo(step, result)
    assert back is not None
    succeeded(back)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: download("x", "http://a/", sha256=SHA256), "absolute"),
        (lambda: download("/x", "ftp://a/", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "file:///etc/passwd", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "http:///x", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "-K http://a/", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "http://a/b c", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "http://[a/", sha256=SHA256), "no URL of the web"),
        (lambda: download("/x", "http://u:password@a/", sha256=SHA256), "with a user"),
        (lambda: download("/x", f"http://a/{kx.Secret('password')}", sha256=SHA256), "Secret as text"),
        (lambda: download("/x", "http://a/", sha256="abc"), "sha256 'abc'"),
        (lambda: download("/x", "http://a/", sha256=SHA256, headers={"a b": "c"}), "header 'a b'"),
        (lambda: download("/x", "http://a/", sha256=SHA256, headers={"a": "c\r\nd: e"}), "line break"),
        (lambda: download("/x", "http://a/", sha256=SHA256, mode=755), "0o755"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word) as caught:
        make()
    assert "u:password" not in str(caught.value)
