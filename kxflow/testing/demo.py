"""What `kxflow demo` runs: a small site on a fleet of SSH hosts, deployed twice. A good place to copy from.

Every step that changes a host says with `check=` how to see that nothing is left to do, so the second run of the same
pipeline skips all of them.
"""

from __future__ import annotations

import fcntl
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import kxflow as kx
from kxflow.testing.embedded import EmbeddedFleet, embedded_fleet

FIRST: Final = "1.0"
RELEASE: Final = "1.1"
PROGRAM: Final = Path(__file__).with_name("demo_service.py").read_text("utf-8")


def file(path: str, content: str | kx.Secret) -> kx.Action[kx.Output]:
    """A file with this content, whole or as it was; content travels as environment, which a Secret may, too."""
    return kx.shell(
        'umask 077; mkdir -p "${FILE%/*}" && printf %s "$CONTENT" > "$FILE.new" && mv "$FILE.new" "$FILE"',
        check='test "$(cat "$FILE" 2>/dev/null; echo .)" = "$CONTENT."',
        env={"FILE": f"./{path}", "CONTENT": content},
    )


# Configuration: a function of the host it is for


@kx.step
def configure(ctx: kx.HostContext) -> kx.Action[kx.Output]:
    """Settings by role."""
    settings = {"name": ctx.host.name, "port": ctx.vars["port"]}
    if "db" in ctx.host.roles:
        settings["clients"] = " ".join(each.name for each in kx.role("web")(ctx.cluster))
    return file("etc/site.conf", "".join(f"{key}={value}\n" for key, value in settings.items()))


@kx.step
def install(_: kx.HostContext) -> kx.Action[kx.Output]:
    """The program itself."""
    return file("site.py", PROGRAM)


# A secret: made on one host, a typed value on the others

make_token = kx.command(
    "make token",
    "umask 077; mkdir -p etc && head -c 16 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' > etc/token",
    check="test -s etc/token",
    value="cat etc/token",
    parse=kx.Secret,
    sensitive=True,
)


@kx.step(token=kx.from_one(make_token))
def take_token(_: kx.HostContext, token: kx.Secret) -> kx.Action[kx.Output]:
    """The token of the host that made it."""
    return file("etc/token", token)


# The service: started, waited for, and started anew for a new release


@kx.step
def serve(ctx: kx.HostContext) -> kx.Action[kx.Output]:
    """The service, with the release that lies there; one that runs with another release is ended first."""
    return kx.shell(
        """
        test ! -s run.pid || kill "$(cat run.pid)"
        nohup "$PYTHON" site.py serve "$DEMO" </dev/null >>site.log 2>&1 &
        echo $! > run.pid
        """,
        check='"$PYTHON" site.py up 2>/dev/null',
        env={"PYTHON": ctx.vars["python"], "DEMO": ctx.vars.get("demo", "")},
        timeout=30,
    )


@kx.step
def answers(ctx: kx.HostContext) -> kx.Action[kx.Output]:
    """It answers over HTTP, with the release that lies there."""
    up = '"$PYTHON" site.py up'
    return kx.shell(up, check=f"{up} 2>/dev/null", env={"PYTHON": ctx.vars["python"]}, timeout=30)


first_release = kx.command("first release", f"printf {FIRST} > release", check="test -s release")


@kx.step
def new_release(_: kx.HostContext) -> kx.Action[kx.Output]:
    """The change that is rolled out."""
    return file("release", RELEASE)


running = kx.steps(serve.detached(), answers.retry(50, delay=0.1))


@kx.step
def verify(ctx: kx.HostContext) -> kx.Action[kx.Output]:
    """From the host that made the token: every service greets who has it, and nobody else. A check asks again."""
    ask = '"$PYTHON" site.py verify "$RELEASE" $SITES'
    sites = [f"{each.address}:{ctx.cluster.vars_of(each)['port']}" for each in kx.role("web")(ctx.cluster)]
    return kx.shell(
        f'{ask} && printf %s "$RELEASE" > verified',
        check=f'test "$(cat verified 2>/dev/null)" = "$RELEASE" && {ask} >/dev/null 2>&1',
        env={"PYTHON": ctx.vars["python"], "RELEASE": RELEASE, "SITES": " ".join(sites)},
        timeout=60,
    )


# Put together

web, db = kx.role("web"), kx.role("db")

site = kx.pipeline(
    "site",
    kx.module("base", kx.task("files", configure, install)),
    kx.module("token", kx.task("make", make_token, on=db), kx.task("take", take_token, on=web)),
    kx.module("service", kx.task("start", first_release, running, on=web)),
    kx.module("release", kx.task("roll out", new_release, running, on=web, waves=kx.waves(1, "50%", "100%"))),
    kx.module("check", kx.task("over HTTP", verify, on=db)),
)

stop = kx.command(
    "stop",
    'kill "$(cat run.pid)"; rm run.pid',
    check="test ! -s run.pid",
)

teardown = kx.pipeline("teardown", kx.module("service", kx.task("stop", stop, on=web)), policy=kx.keep_going())


# The fleet, and the show


def fleet_options(hosts: int, demo: str) -> dict[str, Any]:
    """What `embedded_fleet` is to be asked for: one `db1`, all others `web`, a free port for each.

    Services end with the process that holds the file `demo` locked.
    """
    names = ["db1", *(f"web{number}" for number in range(1, hosts))]
    ports = free_ports(hosts)
    return {
        "names": names,
        "roles": lambda index: {"web"} if index else {"db"},
        "vars": lambda index: {"port": ports[index], "python": sys.executable, "demo": demo},
    }


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on, below those that connections are given of themselves."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20_000, 30_000), 1_000):
        with socket.socket() as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def rehearse(
    hosts: int,
    log: str | None,
    *,
    keep: bool,
    say: Callable[[str], object],
    on_signal: Callable[[str, bool], object] | None = None,
) -> kx.Report:
    """Run the site on a fresh fleet, and again; then take it down.

    Args:
        hosts: How many, at least 2.
        log: File for both runs; in a temporary folder, where None.
        keep: Leave all running until a signal comes.
        say: Shows a line.
        on_signal: As `kx.run` takes it.

    Returns:
        The report of the second run, or of the first where that failed.
    """
    journal = log or str(Path(tempfile.mkdtemp(prefix="kxflow-demo-")) / "run.ndjson")
    with (
        _ended_by_signals(),
        _held() as demo,
        embedded_fleet(hosts, **fleet_options(hosts, demo)) as fleet,
        _site_down_after(fleet),
    ):
        say(f"{hosts} SSH hosts on loopback: {', '.join(fleet.cluster.names)}\n\nThe first run:")
        report = _run(fleet, journal, on_signal)
        if report.succeeded:
            say("\nThe second run, of the same pipeline:")
            report = _run(fleet, journal, on_signal)
            idle = all(each.status is kx.Status.Skipped for each in report.results)
            say("Nothing was left to do: every step was skipped." if idle else "Something was left to do.")
        program = "kxflow" if shutil.which("kxflow") else sys.argv[0]
        say(f"\nThe log is {journal}\nLook at it: {program} show {journal}")
        if keep and report.succeeded:
            _look_around(fleet, say)
    return report


def _run(fleet: EmbeddedFleet, journal: str, on_signal: Callable[[str, bool], object] | None) -> kx.Report:
    outcome = kx.run(site, fleet.cluster, sinks=[kx.ndjson(journal), kx.console()], on_signal=on_signal)
    return kx.report_of(outcome)


@contextmanager
def _held() -> Iterator[str]:
    """A file that is locked while this process lives: a demo that is killed cannot take its services down."""
    with tempfile.NamedTemporaryFile(prefix="kxflow-demo-") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.name


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Between the runs, too, a signal takes everything down: it raises, as Ctrl-C does."""
    here = threading.current_thread() is threading.main_thread()
    free = [each for each in (signal.SIGTERM, signal.SIGHUP) if here and signal.getsignal(each) is signal.SIG_DFL]
    for each in free:
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each in free:
            signal.signal(each, signal.SIG_DFL)


@contextmanager
def _site_down_after(fleet: EmbeddedFleet) -> Iterator[None]:
    try:
        yield
    finally:
        kx.run(teardown, fleet.cluster)


def _look_around(fleet: EmbeddedFleet, say: Callable[[str], object]) -> None:
    """Tell how to reach what runs, and wait for a signal."""
    one = fleet.cluster["web1"]
    way = f"-i {fleet.key} -o UserKnownHostsFile={fleet.known_hosts} -p {fleet.port(one.name)}"
    say(f"\nIt goes on until Ctrl-C:\n  curl http://127.0.0.1:{one.vars['port']}/release\n  ssh {way} 127.0.0.1 ls")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
