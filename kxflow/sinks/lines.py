"""What programs write, as it comes: `host | line`, for one command on many hosts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final, TextIO

from kxflow.sinks.escape import visible
from kxflow.sinks.out import Out
from kxflow.sinks.progress import WORDS
from kxflow.sinks.wording import clipped, count, missed, run_fault
from kxflow.values.event import Event, OutputChunk, RunEnded, StepEnded
from kxflow.values.result import Status, StepResult

LONGEST: Final = 64 * 1024


class Lines:
    """A sink that shows live output line by line, and in the end how many hosts did well.

    Needs a run with `output=True`, and to be its `reader`, so that nothing is left out. Each line comes whole and
    escaped, stdout to `out`, stderr and all of our own words to `err`; a line without an end is cut at 64 KiB.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._files = {"stdout": Out(out or sys.stdout), "stderr": Out(err or sys.stderr)}
        self._pending: dict[tuple[str, str], bytes] = {}
        self._counts: Counter[Status] = Counter()

    def __call__(self, event: Event, /) -> None:
        """Show it."""
        if isinstance(event, OutputChunk):
            self._chunk(event)
        elif isinstance(event, StepEnded):
            self._ended(event.result)
        elif isinstance(event, RunEnded):
            for fault in event.faults:
                self._say(run_fault(fault))
            words = ", ".join(f"{self._counts[each]} {WORDS[each]}" for each in Status if self._counts[each])
            self._say(f"{count(self._counts.total(), 'host')}: {words}")

    def _chunk(self, event: OutputChunk) -> None:
        key = (event.host, event.stream)
        if event.missed:
            self._lines(*key, filter(None, [self._pending.pop(key, b"")]))
            self._say(missed(event))
        *lines, rest = (self._pending.pop(key, b"") + event.data).split(b"\n")
        if len(rest) > LONGEST:
            lines, rest = [*lines, rest], b""
        self._lines(*key, lines)
        if rest:
            self._pending[key] = rest

    def _ended(self, result: StepResult) -> None:
        self._counts[result.status] += 1
        for stream in self._files:
            if rest := self._pending.pop((result.host, stream), b""):
                self._lines(result.host, stream, [rest])
        if not result.ok:
            self._say(clipped(f"{result.host}: {WORDS[result.status]}: {_why(result)}"))

    def _lines(self, host: str, stream: str, lines: Iterable[bytes]) -> None:
        """Lines of one chunk, with one write: they are many, and the host waits."""
        texts = (visible(each.decode("utf-8", "backslashreplace").expandtabs()) for each in lines)
        if text := "".join(f"{host} | {each}\n" for each in texts):
            self._files[stream].write(text)
            self._files[stream].flush()

    def _say(self, text: str) -> None:
        self._files["stderr"].write(text + "\n")
        self._files["stderr"].flush()


def _why(result: StepResult) -> str:
    """Why it is not well; the command itself, the same for all, is not repeated."""
    if result.reason == "exit":
        return f"exit status {result.exit_code}"
    if result.error is None:
        return result.reason
    return f"{result.error.what} ({result.error.remedy})" if result.error.remedy else result.error.what
