"""Waiting until a host is as far."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import wait_for
from kxflow.testing.fleet import until
from kxflow.testing.plugin import need_program
from kxflow.values.action import repeats
from tests.resources.helpers_services import ran

HERE = kx.Cluster([kx.Host("here")], connect=kx.Local())
soon = partial(wait_for, timeout=0.5, interval=0.05)


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


@contextmanager
def listening(family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """A port on loopback on which somebody listens."""
    with socket.socket(family) as sock:
        sock.bind(("::1" if family is socket.AF_INET6 else "127.0.0.1", 0))
        sock.listen()
        port: int = sock.getsockname()[1]
        yield port


def free_port() -> int:
    """A port on which nobody listens."""
    with listening() as port:
        return port


@contextmanager
def answering(status: Callable[[], int]) -> Iterator[str]:
    """A server on loopback; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status())
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def only(folder: Path, *names: str, busybox: bool = False) -> kx.Host:
    """This machine with just these programs, and those of everyday."""
    folder.mkdir()
    usual = "sh dd cat grep sed head tail sleep date setsid rm kill ps id env"
    for name in (*usual.split(), *names):
        own = busybox and name in names
        (folder / name).symlink_to(need_program("busybox" if own else name))
    return kx.Host("here", connect=kx.Via("env", f"PATH={folder}"))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_of_the_host_is_seen_by_who_listens(family: socket.AddressFamily) -> None:
    """Nobody is connected to; on both kinds of addresses."""
    with listening(family) as port:
        assert ran(HERE, soon(port=port)).reason == "check"
        assert failure(ran(HERE, soon(port=port, gone=True))).startswith(f"port {port}: somebody listens, after 1 s")
    assert failure(ran(HERE, soon(port=port))).startswith(f"port {port}: nobody listens, after 1 s")
    assert ran(HERE, soon(port=port, gone=True)).reason == "check"


def test_a_connection_to_a_port_is_no_listener() -> None:
    """A port that is the other end of a connection, or its own end, is not taken for one."""
    with listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert ran(HERE, soon(port=client.getsockname()[1])).status is kx.Status.Failed


@pytest.mark.parametrize("tools", [("curl",), ("nc",), ("bash", "timeout")], ids=lambda each: each[0])
def test_a_port_elsewhere_is_asked_with_what_is_there(tmp_path: Path, tools: tuple[str, ...]) -> None:
    """By one of three tools; without any it fails and names them."""
    if tools == ("nc",):  # any that has -z: this one stands for it
        script = '#!/bin/bash\n[ "$4" ] || exit 1\nexec 3<>/dev/tcp/$4/$5\n'
        host = only(tmp_path / "bin", "bash")
        (tmp_path / "bin/nc").write_text(script)
        (tmp_path / "bin/nc").chmod(0o755)
    else:
        host = only(tmp_path / "bin", *tools)
    cluster = kx.Cluster([host])
    with listening(socket.AF_INET6) as port:
        assert ran(cluster, soon(port=port, address="::1")).reason == "check"
    with listening() as port:
        assert ran(cluster, soon(port=port, address="127.0.0.1")).reason == "check"
    told = failure(ran(cluster, soon(port=port, address="127.0.0.1")))
    assert told.startswith(f"port {port} of 127.0.0.1: no answer, after 1 s")


def test_a_host_that_cannot_ask_says_so(tmp_path: Path) -> None:
    """It is not waited for in vain."""
    cluster = kx.Cluster([only(tmp_path / "bin")])
    assert "no curl, no nc -z, no bash" in failure(ran(cluster, soon(port=80, address="10.0.0.1")))
    assert "no curl, no wget" in failure(ran(cluster, soon(http="http://10.0.0.1/")))


@pytest.mark.parametrize("name", ["plain", "a b", "a'b", 'a"b', "a\nb", "-a", "$(touch pwned)", "a\\b", b"\xff\xfe"])
def test_a_file_is_waited_for_whatever_its_name(tmp_path: Path, name: str | bytes) -> None:
    """It comes while the step waits; a link that leads nowhere is there."""
    path = tmp_path / (name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
    assert ran(HERE, soon(file=path)).status is kx.Status.Failed
    path.symlink_to("/nowhere")
    assert ran(HERE, soon(file=path)).reason == "check"
    assert not (tmp_path / "pwned").exists()


def test_what_comes_about_while_it_waits_ends_the_waiting(tmp_path: Path) -> None:
    """It is asked again and again: Succeeded."""
    asked = tmp_path / "asked"
    results: list[kx.StepResult] = []
    step = wait_for(command=f"echo x >>{asked}; echo not yet; test -e {tmp_path}/go", timeout=60, interval=0.02)
    worker = threading.Thread(target=lambda: results.append(ran(HERE, step)))
    worker.start()
    until(lambda: asked.exists() and asked.stat().st_size > 6, "the third question")
    assert not results
    (tmp_path / "go").touch()
    worker.join(20)
    assert results[0].status is kx.Status.Succeeded


def test_a_command_fails_with_what_it_said_last(tmp_path: Path) -> None:
    """Its exit status and its last line; what leaves the shell leaves only its own."""
    assert failure(ran(HERE, soon(command="echo one; echo two >&2; exit 7"))).startswith(
        "exit status 7: two, after 1 s"
    )
    assert failure(ran(HERE, soon(command="false"))).startswith("exit status 1, after 1 s")
    assert ran(HERE, soon(command="exit 0")).reason == "check"
    assert ran(HERE, soon(command="exit 5", gone=True)).reason == "check"
    assert ran(HERE, soon(command="cat; head -c 2000000 /dev/zero | tr '\\0' x; true")).reason == "check"


@pytest.mark.parametrize(("tool", "busybox"), [("curl", False), ("wget", False), ("wget", True)])
def test_an_answer_over_http_is_waited_for(tmp_path: Path, tool: str, busybox: bool) -> None:
    """One of the wanted statuses; a redirection is an answer of its own."""
    cluster = kx.Cluster([only(tmp_path / "bin", tool, busybox=busybox)])
    status = [503]
    with answering(lambda: status[0]) as url:
        assert failure(ran(cluster, soon(http=url))).startswith(f"{url}: 503, after 1 s")
        status[0] = 200
        assert ran(cluster, soon(http=url)).reason == "check"
        assert ran(cluster, soon(http=url, status=(204, 301))).status is kx.Status.Failed
        if not busybox:
            status[0] = 301
            assert ran(cluster, soon(http=url, status=(204, 301))).reason == "check"
    assert f"{url}: no answer: " in failure(ran(cluster, soon(http=url)))
    assert ran(cluster, soon(http=url, gone=True)).reason == "check"


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "zsh", "busybox"])
def test_every_shell_of_a_host_can_wait(tmp_path: Path, shell: str) -> None:
    """The words are POSIX."""
    tool = tmp_path / "bin"
    tool.mkdir()
    (tool / "sh").symlink_to(need_program(shell))
    cluster = kx.Cluster([kx.Host("here", connect=kx.Via("env", f"PATH={tool}:/usr/sbin:/usr/bin:/sbin:/bin"))])
    with listening() as port:
        assert ran(cluster, soon(port=port)).reason == "check"
    assert failure(ran(cluster, soon(port=port))).startswith(f"port {port}: nobody")
    assert failure(ran(cluster, soon(command="echo so; exit 3"))).startswith("exit status 3: so, after 1 s")


def test_a_plan_asks_once_and_does_not_wait() -> None:
    """It changes nothing, whether it is so or not."""
    steps = [wait_for(port=free_port(), timeout=1000), wait_for(command="true")]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    plan = kx.plan(pipeline, HERE)
    assert [each.effect.value for each in plan] == ["no change", "no change"]
    assert all(repeats(each.action(kx.context("a"))) for each in steps)


def test_a_name_says_what_is_waited_for() -> None:
    """As the call does."""
    assert [
        each.name
        for each in (
            wait_for(port=80),
            wait_for(port=80, address="::1", gone=True),
            wait_for(file="/a\n"),
            wait_for(command=" x  y "),
            wait_for(http="https://a/b", name="up"),
        )
    ] == ["wait for port 80", "wait for no port 80 of ::1", "wait for /a\\n", "wait for `x  y`", "up"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"port": 1, "file": "/a"},
        {"port": 0},
        {"port": 65536},
        {"port": True},
        {"port": "80"},
        {"address": "a", "file": "/a"},
        {"port": 1, "address": "-x"},
        {"port": 1, "address": "a b"},
        {"port": 1, "address": "$(x)"},
        {"file": "relative"},
        {"command": " "},
        {"command": "a\0b"},
        {"http": "ftp://a"},
        {"http": "http://a b"},
        {"http": "http://user:pw@a/"},
        {"http": "http://a", "status": ()},
        {"http": "http://a", "status": 99},
        {"port": 1, "timeout": 0},
        {"port": 1, "interval": -1},
    ],
)
def test_what_cannot_be_waited_for_is_refused_at_once(wrong: dict[str, Any]) -> None:
    """No host is asked."""
    with pytest.raises(kx.InvalidError):
        wait_for(**wrong)
