"""The program that the demo brings to its hosts: a small HTTP service, and its client. Standard library only.

It works in the folder that it is started in: `etc/site.conf` says name and port, `etc/token` who may read, `release`
which release this is.
"""

from __future__ import annotations

import fcntl
import http.client
import http.server
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


def text(path: str) -> str:
    """A file's content, without the newline at its end."""
    return Path(path).read_text("utf-8").rstrip("\n")


def config() -> dict[str, str]:
    """Settings of this host."""
    return dict(line.split("=", 1) for line in text("etc/site.conf").splitlines())


class Site(http.server.BaseHTTPRequestHandler):
    """`/release` is for everybody, all else for who has the token."""

    config: dict[str, str]
    token: str
    release: str

    def do_GET(self) -> None:
        if self.path == "/release":
            self.answer(200, self.release)
        elif self.headers.get("Authorization") == f"Bearer {self.token}":
            self.answer(200, f"{self.config['name']} serves release {self.release}")
        else:
            self.answer(401, "who are you?")

    def answer(self, status: int, body: str) -> None:
        """One line of text."""
        data = f"{body}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def end_with(demo: str) -> None:
    """End when the process that holds this file locked is gone, however it went: its lock goes with it."""
    held = Path(demo).open("rb")  # noqa: SIM115 -- open as long as this process

    def wait() -> None:
        fcntl.flock(held, fcntl.LOCK_SH)
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def serve(demo: str = "") -> None:
    """Answer until ended. What it answers is read once, so a new release needs a restart."""
    if demo:
        end_with(demo)
    Site.config, Site.token, Site.release = config(), text("etc/token"), text("release")
    for _ in range(100):  # the one before may still be on its way out
        with suppress(OSError):
            http.server.ThreadingHTTPServer(("127.0.0.1", int(Site.config["port"])), Site).serve_forever()
        time.sleep(0.1)


def ask(address: str, path: str, token: str = "") -> str:
    """What a service answers.

    Raises:
        OSError: It does not.
        PermissionError: It wants another token.
    """
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        body = response.read().decode().strip()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise PermissionError(f"{address} says {response.status}: {body}")
    return body


def up() -> None:
    """Fail unless the service of this host answers with the release that lies here."""
    running = ask(f"127.0.0.1:{config()['port']}", "/release")
    if running != text("release"):
        raise ValueError(f"release {running} is running")


def verify(release: str, *addresses: str) -> None:
    """Fail unless every service greets who has the token with this release, and nobody else."""
    for address in addresses:
        greeting = ask(address, "/", text("etc/token"))
        if not greeting.endswith(f" serves release {release}"):
            raise ValueError(f"{address} says: {greeting}")
        sys.stdout.write(f"{address}: {greeting}\n")
        try:
            ask(address, "/")
        except PermissionError:
            continue
        raise ValueError(f"{address} lets in who has no token")


COMMANDS: Mapping[str, Callable[..., None]] = {"serve": serve, "up": up, "verify": verify}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.exit(f"{type(error).__name__}: {error}")
