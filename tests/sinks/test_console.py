"""The console: what people see of a run, on a terminal and elsewhere, whatever hosts send."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import os
import pty
import random
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest

from kxflow.sinks.console import Console, console
from kxflow.values.event import Event, OutputChunk, RunBegan, RunEnded, StepBegan, StepEnded, StepRetried, TaskShape
from kxflow.values.fault import Fault
from kxflow.values.output import Output
from kxflow.values.result import Attempt, Position, Status, StepResult

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)

# What rich writes on a terminal: colours and styles, cursor up, line cleared, cursor hidden and shown.
RICH: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*A|\x1b\[2K|\x1b\[\?25l|\x1b\[\?25h\r?|\r(?=\x1b\[)")
CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def result(host: str, place: int, step: str = "start", status: Status = Status.Succeeded, **more: Any) -> StepResult:
    """A result of the task web/join."""
    base: dict[str, Any] = {
        "run": "r1",
        "pipeline": "deploy",
        "module": "web",
        "task": "join",
        "step": step,
        "host": host,
        "position": Position(0, 0, 0 if step == "start" else 1, place),
        "status": status,
        "started_at": NOW,
        "ended_at": NOW,
    }
    return StepResult(**{**base, **more})


def began(hosts: Iterable[str], steps: int = 1) -> RunBegan:
    """The beginning of a run with one task."""
    names = tuple(hosts)
    shape = (TaskShape("web", "join", names, steps),)
    return RunBegan(run="r1", pipeline="deploy", at=NOW, fingerprint="f", hosts=names, shape=shape)


def ended(*faults: Fault) -> RunEnded:
    """The end of the run."""
    return RunEnded(run="r1", pipeline="deploy", at=NOW, faults=faults)


def step_began(host: str, place: int) -> StepBegan:
    """The beginning of a step."""
    where = Position(0, 0, 0, place)
    return StepBegan(
        run="r1", pipeline="deploy", module="web", task="join", step="start", host=host, position=where, at=NOW
    )


def failure(host: str, place: int, output: bytes = b"", **fault: str) -> StepResult:
    """A step that ended with 1."""
    told = {"code": "exit", "what": "`app start` ended with exit status 1", "where": host, **fault}
    return result(
        host,
        place,
        status=Status.Failed,
        reason="exit",
        exit_code=1,
        stderr=Output.of(output),
        error=Fault(**told),
    )


def shown(events: Iterable[Event], **options: Any) -> str:
    """What a console writes of a run; half a second passes at each look at the clock."""
    out = io.StringIO()
    ticks = itertools.count()
    sink = Console(out, clock=lambda: next(ticks) / 2, **options)
    for event in events:
        sink(event)
    sink.close()
    return out.getvalue()


def small_run() -> Iterator[Event]:
    """Three hosts and two steps; one fails at the first, one has nothing to do."""
    hosts = ("web1", "web2", "web3")
    yield began(hosts, 2)
    for place, host in enumerate(hosts):
        yield step_began(host, place)
    yield StepEnded(result("web1", 0))
    yield StepEnded(failure("web2", 1, b"reading config\nport\t80 is in use\n", remedy="free the port"))
    yield StepEnded(result("web2", 1, "verify", Status.NotRun, reason="blocked: deploy/web/join/start"))
    yield StepEnded(result("web3", 2, status=Status.Skipped, reason="check"))
    yield StepEnded(result("web3", 2, "verify", Status.Skipped, reason="check"))
    yield StepEnded(result("web1", 0, "verify"))
    yield ended()


SMALL: Final = """\
deploy: 1 task on 3 hosts
  ! web2 web/join/start: failed (exit): `app start` ended with exit status 1
  web/join: 3 hosts: 1 skipped, 1 ok, 1 failed, 4.0 s
deploy: failed: 2 succeeded, 2 skipped, 1 failed, 1 not run in 5.0 s

web2: web/join/start: failed (exit): `app start` ended with exit status 1
  | reading config
  | port    80 is in use
  to do: free the port

1 not run: blocked: deploy/web/join/start
"""


def test_plain_output_is_this() -> None:
    """Without a terminal: plain lines, each when it is known, then what went wrong and what to do."""
    assert shown(small_run()) == SMALL


def test_success_is_three_lines() -> None:
    """A run without trouble says little."""
    hosts = [f"web{n}" for n in range(3)]
    events: list[Event] = [began(hosts), *(StepEnded(result(host, place)) for place, host in enumerate(hosts)), ended()]
    assert shown(events) == (
        "deploy: 1 task on 3 hosts\n  web/join: 3 hosts: 3 ok, 1.0 s\ndeploy: succeeded: 3 succeeded in 2.0 s\n"
    )


def test_verbose_tells_steps_tries_and_output() -> None:
    """Each step, each failed try, and live output by whole lines behind the host's name."""
    where: dict[str, Any] = {
        "module": "web",
        "task": "join",
        "step": "start",
        "host": "web1",
        "position": Position(0, 0, 0, 0),
    }
    attempt = Attempt(Status.Failed, 1, NOW, NOW, 1.0)
    events: list[Event] = [
        began(["web1"]),
        OutputChunk(**where, stream="stdout", data=b"caf\xc3"),
        OutputChunk(**where, stream="stdout", data=b"\xa9\nhalf \x1b[1m"),
        StepRetried(**where, attempt=attempt, delay=2.0),
        StepEnded(result("web1", 0, attempts=(attempt,), duration=1.0)),
        ended(),
    ]
    assert shown(events, verbose=True).splitlines()[1:5] == [
        "  web1 | café",
        "  web1 web/join/start: failed, again in 2.0 s",
        r"  web1 | half \x1b[1m",
        "  web1 web/join/start: succeeded, 1.0 s",
    ]
    assert "café" not in shown(events)


def test_fault_of_the_run_is_told_and_is_no_success() -> None:
    """Interrupted, or a sink that could not write."""
    text = shown([began(["web1"]), StepEnded(result("web1", 0)), ended(Fault("interrupted", "SIGINT came", "run"))])
    assert "deploy: failed: 1 succeeded" in text
    assert "run: SIGINT came" in text


def test_tolerated_fault_is_marked_and_no_failure() -> None:
    """What was ignored is told, and the run succeeded all the same."""
    one = result("web1", 0, status=Status.Failed, reason="exit", tolerated=True)
    text = shown([began(["web1"]), StepEnded(one), ended()])
    assert "web1 web/join/start: failed (exit) (ignored)" in text
    assert "web/join: 1 host: 1 ignored" in text
    assert "deploy: succeeded" in text


def test_what_a_run_took_back_is_one_line() -> None:
    """How many steps, and which not and why; what there was nothing to undo of is not told."""
    hosts = ("web1", "web2", "web3", "web4", "web5")

    def undo(step: str, place: int, status: Status = Status.Succeeded, **more: Any) -> StepEnded:
        return StepEnded(result(hosts[place], place, step, status, module="@undo", task="web/join", **more))

    events: list[Event] = [
        began(hosts),
        StepEnded(failure("web1", 0)),
        *(undo("start", place) for place in range(3)),
        undo("start", 3, Status.Skipped, reason="check"),
        undo("start", 4, Status.Skipped, reason="skip: nothing to take back"),
        *(
            undo("bl\x1bind", place, Status.Skipped, reason="skip: cannot be taken back: it has no undo=")
            for place in range(4)
        ),
        undo("last", 4, Status.Failed, error=Fault("exit", "disk full")),
        undo("first", 4, Status.NotRun, reason="blocked: deploy/@undo/web/join/last"),
        ended(),
    ]
    line = (
        "undone: 3 steps; not undone: web/join/bl\\x1bind on web1, web2, web3 and 1 more: it has no undo=; "
        "web/join/last on web5: failed: disk full; "
        "web/join/first on web5: not run: blocked: deploy/@undo/web/join/last\n"
    )
    assert line in shown(events)
    assert "undone" not in shown(small_run())
    many = [undo(f"s{n}", 0, Status.Skipped, reason="skip: cannot be taken back: it has no undo=") for n in range(300)]
    told = next(line for line in shown([began(hosts), *many, ended()]).split("\n") if line.startswith("undone"))
    assert told.startswith("undone: 0 steps; not undone: web/join/s0 on web1: it has no undo=; ")
    assert told.endswith("; and 295 more")


@pytest.mark.parametrize("color", [True, None])
def test_what_a_run_took_back_is_told_with_colours_as_without(color: bool | None) -> None:
    """A terminal shows it, too."""
    events: list[Event] = [began(["web1"]), StepEnded(result("web1", 0, module="@undo")), ended()]
    assert "undone: 1 step\n" in RICH.sub("", shown(events, color=color))


def test_run_without_its_end_is_told_as_such() -> None:
    """Closed before the run told its end: what is known is shown, and it is called no success."""
    assert "deploy: ended before its end: 1 succeeded" in shown([began(["web1", "web2"]), StepEnded(result("web1", 0))])


def test_ten_thousand_hosts_are_no_flood() -> None:
    """Ten thousand equal faults: 20 lines while they happen, one paragraph at the end."""
    hosts = [f"web{n}" for n in range(10_000)]
    events: list[Event] = [
        began(hosts),
        *(StepEnded(failure(host, n, b"no route\n")) for n, host in enumerate(hosts)),
        ended(),
    ]
    text = shown(events)
    assert text.count("\n") < 40
    assert "further faults of web/join come in the summary" in text
    assert "web0, web1, web2 and 9997 more: web/join/start" in text
    assert "10000 failed" in text


def test_ten_thousand_different_faults_are_no_flood() -> None:
    """Each another message: thirty are shown, the rest is counted, memory stays small."""
    hosts = [f"web{n}" for n in range(10_000)]
    events: list[Event] = [
        began(hosts),
        *(StepEnded(failure(host, n, b"%d\n" % n)) for n, host in enumerate(hosts)),
        ended(),
    ]
    text = shown(events)
    assert text.count("\n") < 200
    assert "… and 9970 faults more" in text


def hostile(number: int, seed: int) -> Iterator[bytes]:
    """Bytes that try to be control sequences, markup, or anything."""
    source = random.Random(seed)  # noqa: S311 -- the same noise each time
    parts = (
        *(b"\x1b[2J", b"\x1b]0;x\x07", b"\x9b1m", b"\xc2\x9b31m", b"\x1bP", b"\r", b"\n", b"\t", b"\0", b"\x7f"),
        *(b"[bold]", b"[/]", b"[link=x]", b":boom:", b"{x}", b"%s", b"\\", b"\xff", b"ok", "é\u202e\u2028".encode()),
    )
    for _ in range(number):
        yield b"".join(source.choice((*parts, source.randbytes(3))) for _ in range(source.randrange(8)))


def test_live_output_that_was_left_out_is_told_where_it_is_missing() -> None:
    """What was begun before is no part of what comes after; a long line is whole."""
    where: dict[str, Any] = {"module": "web", "task": "join", "step": "start", "host": "a", "position": Position()}
    events: list[Event] = [
        began("a"),
        OutputChunk(**where, stream="stdout", data=b"half"),
        OutputChunk(**where, stream="stdout", data=b"rest\n" + b"x" * 5000 + b"\n", missed=1234),
        StepEnded(result("a", 0)),
        ended(),
    ]
    text = shown(events, verbose=True)
    told = "  a: 1234 bytes of stdout left out: it came faster than it is shown\n"
    assert f"  a | half\n{told}  a | rest\n  a | {'x' * 5000}\n" in text


def hostile_runs(number: int, seed: int, **options: Any) -> Iterator[str]:
    """Runs whose hosts, reasons, faults and outputs are all hostile."""
    for texts in _eights(number, seed):
        host, step, reason, what, where, remedy, out, err = (each.decode("utf-8", "surrogateescape") for each in texts)
        one = result(
            host,
            0,
            step,
            Status.Failed,
            reason=reason,
            error=Fault("x", what, where, remedy),
            stdout=Output.of(out.encode("utf-8", "surrogateescape")),
            stderr=Output.of(err.encode("utf-8", "surrogateescape")),
        )
        two = result(host, 1, step, Status.NotRun, reason=reason)
        chunk = OutputChunk(
            module=what,
            task=where,
            step=step,
            host=host,
            position=Position(),
            stream="stdout",
            data=texts[6],
        )
        events: list[Event] = [
            began([host, "b"]),
            chunk,
            StepEnded(one),
            StepEnded(two),
            ended(Fault("x", what, where, remedy)),
        ]
        yield shown(events, verbose=True, **options)


def _eights(number: int, seed: int) -> Iterator[tuple[bytes, ...]]:
    source = hostile(number, seed)
    while len(texts := tuple(itertools.islice(source, 8))) == 8:
        yield texts


def test_hostile_text_leaves_no_control_byte_without_a_terminal() -> None:
    """10,000 hostile texts: not one control byte but newlines."""
    for text in hostile_runs(10_000, 1):
        assert not CONTROL.search(text), text


def test_hostile_text_leaves_only_richs_sequences_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left after taking rich's own colours and cursor moves away holds no control byte; markup is text."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for text in hostile_runs(800, 2, color=True):
        rest = RICH.sub("", text)
        assert not CONTROL.search(rest), rest


def test_markup_of_a_host_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rich's markup nor its emoji names mean anything in a host's text."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    events: list[Event] = [began(["web1"]), StepEnded(failure("web1", 0, b"[bold red]hi[/] :boom:\n")), ended()]
    assert "[bold red]hi[/] :boom:" in shown(events, color=True)


def test_stream_that_cannot_say_it_gets_escapes() -> None:
    r"""An ASCII stream gets `\xe9` instead of an error."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    sink = console(file=out)
    for event in (began(["web1"]), StepEnded(failure("web1", 0, "é".encode())), ended()):
        sink(event)
    out.flush()
    assert b"  | \\xe9\n" in raw.getvalue()


class Gone(io.StringIO):
    """A stream that breaks after some lines."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        """Write it, a few times."""
        if self.getvalue().count("\n") >= 2:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "x"), OSError(5, "x"), ValueError("I/O operation on closed file")]
)
@pytest.mark.parametrize("color", [None, True])
def test_stream_that_is_gone_does_not_hurt(error: Exception, *, color: bool | None) -> None:
    """Once nobody reads the console is quiet, and the next run is shown again where somebody does."""
    out = Gone(error)
    sink = console(file=out, color=color)
    for event in small_run():
        sink(event)
    sink.close()
    assert "deploy: 1 task on 3 hosts" in out.getvalue()
    closed = io.StringIO()
    closed.close()
    sink = console(file=closed)
    for event in small_run():
        sink(event)
    sink.close()


_CHILD: Final = """
import kxflow.sinks.console as module
from tests.sinks.test_console import small_run
sink = module.console()
for event in small_run():
    sink(event)
    print("printed by the user's own code", flush=True) if {chatty} else None
sink.close()
"""


def child(*, chatty: bool = False) -> list[str]:
    """The argv of a process that shows the small run on its stdout."""
    return [sys.executable, "-c", _CHILD.format(chatty=chatty)]


def environment(**more: str) -> dict[str, str]:
    """Ours, with a terminal's type, and none of what steers colours."""
    steering = {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"}
    kept = {name: value for name, value in os.environ.items() if name not in steering}
    return {**kept, "PYTHONPATH": os.getcwd(), "TERM": "xterm-256color", **more}  # noqa: PTH109 -- the tree under test


def on_a_terminal(argv: list[str], **more: str) -> str:
    """What a process writes to a terminal of its own, 80 columns wide."""
    master, slave = pty.openpty()
    with subprocess.Popen(argv, stdout=slave, stderr=slave, stdin=slave, env=environment(**more)) as process:
        os.close(slave)
        data = b""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and select.select([master], [], [], 30)[0]:
            with contextlib.suppress(OSError):  # EIO: the other side is closed
                if chunk := os.read(master, 65_536):
                    data += chunk
                    continue
            break
        assert process.wait(10) == 0, data
    os.close(master)
    return data.decode()


def test_terminal_shows_progress_and_a_table() -> None:
    """A row with hosts done and failed while it goes on, the table at the end, and the cursor given back."""
    text = on_a_terminal(child(), COLUMNS="120")
    rest = RICH.sub("", text.replace("\r\n", "\n"))
    assert not CONTROL.search(rest)
    assert re.search(r"web/join .*━.* 0/3 .*1 failed", rest)
    assert "│ web2" in rest
    assert "port    80 is in use" in rest
    assert "→ free the port" in rest
    assert "deploy: failed: 2 succeeded, 2 skipped, 1 failed, 1 not run" in rest
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "\x1b[31m" in text


def test_no_color_on_a_terminal() -> None:
    """`NO_COLOR` takes the colours away, and leaves the progress."""
    text = on_a_terminal(child(), NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7][0-9;]*m", text)
    assert "\x1b[?25l" in text
    assert "deploy: failed" in text


def test_dumb_terminal_gets_plain_lines() -> None:
    """A terminal that can do nothing gets the plain form."""
    text = on_a_terminal(child(), TERM="dumb")
    assert not CONTROL.search(text.replace("\r\n", "\n"))
    assert "web/join: 3 hosts: 1 skipped, 1 ok, 1 failed" in text


def test_print_of_the_users_code_stands_above_the_progress() -> None:
    """What a function on the controller prints is not lost in the live rows."""
    assert on_a_terminal(child(chatty=True)).count("printed by the user's own code") == len(list(small_run()))


def test_closed_pipe_does_not_hurt_the_run() -> None:
    """`| head -1`: the run goes on, nothing is printed to stderr, and the exit status is 0."""
    with subprocess.Popen(child(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_import_of_the_console_does_not_load_rich() -> None:
    """Only a terminal needs rich."""
    code = "import sys, kxflow.sinks.console; assert not [each for each in sys.modules if each.split('.')[0] == 'rich']"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=30)
