"""The sshd of a clone: started from outside, it listens inside."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import Final

from attrs import define

from kxflow.connectors.proctree import parents
from kxflow.testing.clone_host import Clone
from kxflow.testing.clone_plan import INSIDE
from kxflow.testing.fleet import end
from kxflow.testing.missing import program
from kxflow.testing.sshd import Server

_STOP_SECONDS: Final = 10.0


@define(eq=False, kw_only=True)
class CloneServer(Server):
    """The sshd of a clone."""

    clone: Clone

    @property
    def log(self) -> Path:
        return self.member.home.parent / "log"

    def argv(self) -> list[str]:
        return [*self.clone.prefix(), program("sshd"), "-D", "-e", "-f", f"{INSIDE}/sshd_config"]

    def fixed(self) -> list[str]:
        return [f"HostKey {INSIDE}/host_key", f"AuthorizedKeysFile {INSIDE}/authorized_keys"]

    def closing(self) -> list[str]:
        return []

    def listener(self) -> int | None:
        outside = super().listener()  # it has gone in, and waits for the one that listens
        return next((pid for pid, its in parents().items() if its == outside), None) if outside is not None else None

    def lay_out(self) -> None:
        """Its keys, where the clone finds them."""
        self.folder = self.clone.inside
        for name, source, mode in (
            ("host_key", self.member.host_key, 0o600),
            ("authorized_keys", self.authorized, 0o644),
        ):
            (self.folder / name).write_bytes(source.read_bytes())
            (self.folder / name).chmod(mode)

    def stop(self) -> None:
        listener = self.listener()
        self.parted = self.sessions()
        if listener is not None and self.child is not None:
            end(listener, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(_STOP_SECONDS)
        self.end()

    def end(self) -> None:
        """End the one outside, which waits for the one inside."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
