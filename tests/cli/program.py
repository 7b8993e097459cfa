"""The program `kxflow` as a process, as a call in this one, and files for it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from attrs import define, field, frozen
from click.testing import CliRunner

import kxflow as kx
from kxflow.cli import cli
from kxflow.testing.embedded import EmbeddedFleet

SCRIPT: Final = Path(sysconfig.get_path("scripts"), "kxflow")
LONG: Final = 60.0  # what never takes that long has hung

LOCAL: Final = """
[connect]
how = "local"

[hosts]
db1 = {roles = ["db"], vars = {port = 5432}}
web1 = {roles = ["web"]}
web2 = {roles = ["web"]}
"""
ONE: Final = """
[connect]
how = "local"

[hosts]
here = {}
"""


@frozen
class Done:
    """A program that has ended."""

    code: int
    out: str
    err: str


@define(eq=False)
class Running:
    """The program while it runs; what it writes is read all the time."""

    process: subprocess.Popen[bytes]
    _parts: dict[str, list[str]] = field(factory=lambda: {"out": [], "err": []})
    _wrote: threading.Condition = field(factory=threading.Condition)
    _readers: list[threading.Thread] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        for name, pipe in (("out", self.process.stdout), ("err", self.process.stderr)):
            if pipe is not None:
                reader = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
                reader.start()
                self._readers.append(reader)

    def _read(self, name: str, pipe: IO[bytes]) -> None:
        for line in pipe:
            with self._wrote:
                self._parts[name].append(line.decode("utf-8", "surrogateescape"))
                self._wrote.notify_all()
        pipe.close()

    def says(self, words: str, stream: str = "err") -> None:
        """Wait until it has written these words.

        Raises:
            TimeoutError: It does not.
        """
        with self._wrote:
            if not self._wrote.wait_for(lambda: words in "".join(self._parts[stream]), LONG):
                raise TimeoutError(f"it never said {words!r}, but {self._parts!r}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        code = self.process.wait(LONG)
        for each in self._readers:
            each.join(LONG)
        return Done(code, *("".join(self._parts[name]) for name in ("out", "err")))


@define(eq=False)
class Program:
    """Starts it in a folder, with an environment of its own."""

    folder: Path
    env: Mapping[str, str]
    started: list[subprocess.Popen[bytes]] = field(factory=list)

    def file(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def start(
        self,
        *args: str | Path,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        before: Callable[[], object] | None = None,
        argv: tuple[str | Path, ...] = (SCRIPT,),
    ) -> Running:
        """Start it; as the leader of a session, as a terminal's shell gives it a group."""

        def between_fork_and_exec() -> None:
            as_from_a_terminal()
            if before is not None:
                before()

        process = subprocess.Popen(
            [str(each) for each in (*argv, *args)],
            cwd=self.folder,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=between_fork_and_exec,  # noqa: PLW1509 -- it does nothing that could wait for a lock
        )
        self.started.append(process)
        return Running(process)

    def run(self, *args: str | Path, before: Callable[[], object] | None = None) -> Done:
        """Run it to its end."""
        return self.start(*args, before=before).end()

    def sh(self, text: str) -> Done:
        """Run a text by bash, where `kxflow` is this program."""
        return self.start("-c", text, argv=("bash",)).end()

    def close(self) -> None:
        """End what was started and still runs."""
        for each in self.started:
            if each.poll() is None:
                each.kill()
                each.wait()


def environment() -> dict[str, str]:
    """Little, and nothing in it that changes how Python writes to its streams."""
    names = ("HOME", "TMPDIR", "LANG", "PYTHONDONTWRITEBYTECODE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    path = os.pathsep.join((str(SCRIPT.parent), os.environ.get("PATH", os.defpath)))
    return {**kept, "PATH": path}


def call(*args: str | Path) -> Done:
    """Run it inside this process."""
    result = CliRunner().invoke(cli, [str(each) for each in args], prog_name="kxflow")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def inventory(fleet: EmbeddedFleet) -> str:
    """An inventory of a fleet's hosts, in TOML."""
    tables = ["[connect]", "agent = false"]
    tables += [f"key_files = [{json.dumps(str(fleet.key))}]", f"known_hosts = [{json.dumps(str(fleet.known_hosts))}]"]
    for each in fleet.hosts:
        user = each.connect.user if isinstance(each.connect, kx.Ssh) else None
        tables += [f"[hosts.{each.name}]", f"address = {json.dumps(each.address)}"]
        tables += [f"roles = {json.dumps(sorted(each.roles))}"]
        tables += [f"connect = {{port = {fleet.port(each.name)}, user = {json.dumps(user)}}}"]
    return "\n".join(tables) + "\n"


def as_from_a_terminal() -> None:
    """Heed signals, also where the tests themselves were told to ignore some: by `nohup`, or by `&` of a script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def file_size_limit(most: int) -> Callable[[], None]:
    """Let no file of a process grow beyond this: a disk that fills up."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
