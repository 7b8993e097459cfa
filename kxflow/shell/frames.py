"""From two streams of bytes, in any chunking, back to what happened to each op."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen, mutable

from kxflow.shell.endings import signal_name, why_not_become
from kxflow.shell.marks import Splitter
from kxflow.shell.program import Program
from kxflow.values.action import Command
from kxflow.values.host import Become
from kxflow.values.output import Collector, Output
from kxflow.values.redact import Redactor

DoneWhy: TypeAlias = Literal["end", "halt", "stop"]
KilledWhy: TypeAlias = Literal["kill", "timeout", "lease"]
StreamName: TypeAlias = Literal["stdout", "stderr"]

PREAMBLE_LIMIT: Final = 4096
# What is kept whole of a state that a probe prints.
STATE_LIMIT: Final = 1 << 20
# Live output that waits for its op's beginning on the other stream; it is a view, the records lose nothing.
_WAITING_LIMIT: Final = 1 << 20
_DONE: Final[dict[str, DoneWhy]] = {"end": "end", "halt": "halt", "stop": "stop"}
_KILLED: Final[dict[str, KilledWhy]] = {"kill": "kill", "timeout": "timeout", "lease": "lease"}


_PHASES: Final = {"check_failed": "c", "probe_failed": "c"}


@frozen
class Up:
    """The program runs; these bytes, bounded, came before it."""

    preamble: bytes


@frozen
class Began:
    """An op began: its check, or its run."""

    index: int


@frozen
class Chunk:
    """Live output of an op's run."""

    index: int
    stream: StreamName
    data: bytes


@frozen
class Ended:
    """An op's end was received on both streams.

    Attributes:
        how: `ran`, `held` (its check said done, or its probe that the state is as wanted), `unchanged` (the
            mark is not there that it awaits), `mark` (a mark could not be set or seen), `differs` (it is not, and
            nothing was to be done), `check_failed`, `probe_failed`, `verify_failed` (the wanted state did not come
            about), `value_failed`, `cwd`, or `become_…`: `password` (asked for, none given), `denied`, `missing`,
            `tty`, `timeout`. After a `become_…` no `Began` came.
        exit_code: Of what `how` names.
        signal: Its name, where the exit status says that one ended it.
        stdout, stderr: Of the run; of the check, where that failed. What `sudo` said for a `become_…`.
        value: All of the value's bytes, where the command gives one.
        overflow: More of them came than `capture` allows.
        before, after: What the probe printed before the run where that was not as wanted, and after it where that
            did not come about; None where it was too much to keep.
        detail: The content before the run, where it was asked for and small enough.
        unmasked: Stdout of the run with no secret masked; None where none was.
    """

    index: int
    how: str
    exit_code: int | None
    signal: str | None
    stdout: Output
    stderr: Output
    value: bytes | None
    overflow: bool
    before: bytes | None = None
    after: bytes | None = None
    detail: bytes | None = None
    unmasked: Output | None = field(default=None, repr=False)


def went_well(command: Command[Any], ended: Ended) -> bool:
    """It is as wanted: done, done already, or not needed."""
    return ended.how in ("held", "unchanged") or (ended.how == "ran" and ended.exit_code in command.ok_codes)


@frozen
class Escalating:
    """From this op on another user's program is being started; what follows says how that went."""

    index: int


@frozen
class Verified:
    """Whether a user's password is asked for on this connection; where it is, it was right."""

    become: Become
    password_needed: bool


@frozen
class Killed:
    """The host ended the op in progress and with it the program.

    Attributes:
        index: The op in progress, None between ops.
        why: `kill` as told, `timeout` by its own clock, `lease` because the connection was gone.
        confirmed: Nothing of its session is left.
    """

    index: int | None
    why: KilledWhy
    confirmed: bool


@frozen
class Done:
    """The program is over; `halt`: a failed op halted it; `stop`: as told."""

    why: DoneWhy


Event: TypeAlias = Up | Began | Chunk | Ended | Escalating | Verified | Killed | Done


@mutable
class _Part:
    """What one op gave on one stream, by phase; the run, where none was named yet.

    Phases: `c`heck or probe, `d`etail, `r`un, probe `a`fter, `v`alue.
    """

    index: int
    phase: str = ""
    output: dict[str, Collector] = field(factory=dict)
    how: str = ""
    code: int = 0

    def take(self, phase: str) -> Output:
        collector = self.output.get(phase)
        return Output() if collector is None else collector.take()

    def whole(self, phase: str) -> bytes | None:
        """All that came, where it did and was not too much."""
        collector = self.output.get(phase)
        return None if collector is None or collector.overflowed else collector.whole()

    def unmasked(self, phase: str) -> Output | None:
        collector = self.output.get(phase)
        return None if collector is None else collector.unmasked()


@mutable
class _Stream:
    """How far one stream has come."""

    name: StreamName
    split: Splitter
    up: bool = False
    nested: bool = False  # another user's program has come up
    mute: bool = False  # nothing that follows counts
    last: int = -1  # the highest op that began or was given up
    part: _Part | None = None
    ended: dict[int, _Part] = field(factory=dict)
    noise: Collector = field(factory=Collector)  # what belongs to no op
    over: Done | Killed | None = None


@frozen
class _End:
    """In the order of stdout: an op's end, to be given when stderr has come so far."""

    index: int


class Reader:
    """Takes the streams of one program in any chunking and gives its events, in one order.

    The order is that of stdout; only live `Chunk`s of stderr come between as they arrive. Memory is bounded whatever
    a host writes: 64 KiB for each stream and phase of the op in progress, and a value up to its command's `capture`.
    What the redactor knows is masked in every output and chunk, not in values.
    """

    def __init__(self, program: Program, *, chunks: bool = False, redactor: Redactor | None = None) -> None:
        self._program = program
        self._chunks = chunks
        self._redactor = redactor
        self._out = _Stream("stdout", Splitter(program.nonce), noise=Collector(redactor=redactor))
        self._err = _Stream("stderr", Splitter(program.nonce), noise=Collector(redactor=redactor))
        self._queue: deque[Event | _End] = deque()
        self._early: list[Chunk] = []
        self._waiting = 0
        self._begun = self._over_with = -1
        self._cut: int | None = None
        self._done = False

    def stdout(self, data: bytes) -> list[Event]:
        """The next bytes of stdout."""
        return self._feed(self._out, data)

    def stderr(self, data: bytes) -> list[Event]:
        """The next bytes of stderr."""
        return self._feed(self._err, data)

    @property
    def done(self) -> bool:
        """The last frame was seen on both streams."""
        return self._done

    def partial(self) -> tuple[int | None, Output, Output]:
        """The op that began last, where its end was not given, and what it wrote so far: its run, or its check.

        Where the program did not even come up: no op, and what was said instead of it.
        """
        if not self._out.up:
            return None, self._out.noise.take(), self._err.noise.take()
        index = self._begun
        if index <= self._over_with:
            return None, Output(), Output()
        here, there = self._of(self._out, index), self._of(self._err, index)
        asking = self._command(index).asks_first and not {here.phase, there.phase} & {"d", "r", "a", "v"}
        phase = "c" if asking else "r"
        return index, here.take(phase), there.take(phase)

    def _of(self, stream: _Stream, index: int) -> _Part:
        """What an op gave on a stream: one stream may be at a later op already, or still at an earlier one."""
        part = stream.ended.get(index) or stream.part
        return part if part is not None and part.index == index else _Part(index)

    def _feed(self, stream: _Stream, data: bytes) -> list[Event]:
        events: list[Event] = []
        for piece in stream.split.feed(data):
            if stream.mute:
                break
            if isinstance(piece, bytes):
                self._data(stream, piece, events)
            else:
                self._settle(stream, events)
                self._mark(stream, piece.words)
            self._flush(events)
        return events

    # -- what comes in --

    def _data(self, stream: _Stream, data: bytes, events: list[Event]) -> None:
        part = stream.part
        if part is None or part.how:
            stream.noise.add(data)
            return
        phase = part.phase or "r"
        collector = part.output.get(phase)
        if collector is None:
            collector = part.output[phase] = Collector(self._whole(stream, part.index, phase), self._redactor)
        self._show(stream, part, collector.add(data), events)

    def _settle(self, stream: _Stream, events: list[Event]) -> None:
        """A phase is over: what was held back of its output, because a secret might have begun there, is shown."""
        part = stream.part
        collector = None if part is None else part.output.get(part.phase or "r")
        if part is not None and collector is not None:
            self._show(stream, part, collector.rest(), events)

    def _show(self, stream: _Stream, part: _Part, data: bytes, events: list[Event]) -> None:
        if data and self._chunks and (part.phase or "r") == "r":
            self._live(Chunk(part.index, stream.name, data), events)

    def _whole(self, stream: _Stream, index: int, phase: str) -> int:
        """How many bytes to keep whole: those that become a value."""
        command = self._command(index)
        if stream is self._err:
            return 0
        if command.probe is not None and phase in ("c", "d", "a"):
            return command.probe.keep if phase == "d" else STATE_LIMIT
        if not command.gives_value:
            return 0
        return command.capture if phase == _source(command) else 0

    def _live(self, chunk: Chunk, events: list[Event]) -> None:
        late = chunk.index > self._begun
        if not late and (chunk.stream == "stderr" or not self._queue):
            events.append(chunk)
        elif self._waiting + len(chunk.data) <= _WAITING_LIMIT:
            self._waiting += len(chunk.data)
            (self._early if chunk.stream == "stderr" else self._queue).append(chunk)

    def _command(self, index: int) -> Command[object]:
        return self._program.ops[index].command

    def _index(self, text: str) -> int:
        """The op that a frame names; -1 where it names none."""
        number = int(text) if text.isdecimal() and len(text) < 8 else -1
        return number if number < len(self._program.ops) else -1

    def _mark(self, stream: _Stream, words: tuple[str, ...]) -> None:  # noqa: C901, PLR0912 -- one case a frame
        match words:
            case ["u"]:
                self._arrive(stream)
            case ["b", which] if self._index(which) > stream.last:
                self._begin(stream, self._index(which))
            case ["p", which, "c" | "d" | "r" | "a" | "v" as phase]:
                part = stream.part
                if part is not None and part.index == self._index(which):
                    part.phase = phase
                    if phase == "d":  # it was asked, also where nothing comes: an empty file
                        part.output.setdefault(phase, Collector(self._whole(stream, part.index, phase)))
            case ["e", which, how, code] if code.isdecimal():
                part = stream.part
                if part is not None and part.index == self._index(which) and not part.how:
                    self._end(stream, part, how, int(code))
            case ["s", which] if self._index(which) > stream.last:
                stream.noise, stream.nested = Collector(redactor=self._redactor), False
                self._told(stream, Escalating(self._index(which)))
            case ["y", which, "0" | "1" as needed] if self._index(which) > stream.last:
                become = self._command(self._index(which)).become
                if become is not None:
                    self._told(stream, Verified(become, needed == "1"))
            case ["n", which, code] if self._index(which) > stream.last or stream.nested:
                self._not_nested(stream, self._index(which), int(code) if code.isdecimal() else 1)
            case ["k", why, sure] if why in _KILLED:
                self._over(stream, Killed(None, _KILLED[why], sure == "1"))
            case ["d", why] if why in _DONE:
                self._over(stream, Done(_DONE[why]))
            case _:
                pass

    def _arrive(self, stream: _Stream) -> None:
        """The first is the program's own; later ones are of nested programs: what sudo said before is dropped."""
        if stream.up:
            stream.nested = True
        else:
            stream.up = True
            self._told(stream, Up(stream.noise.take().data[:PREAMBLE_LIMIT]))
        stream.noise = Collector(redactor=self._redactor)

    def _begin(self, stream: _Stream, index: int) -> None:
        stream.last = index
        stream.part = _Part(index)
        self._told(stream, Began(index))

    def _told(self, stream: _Stream, event: Event) -> None:
        if stream is self._out:
            self._queue.append(event)

    def _end(self, stream: _Stream, part: _Part, how: str, code: int) -> None:
        part.how, part.code = how, code
        stream.ended[part.index] = part
        if stream is self._out:
            self._queue.append(_End(part.index))

    def _not_nested(self, stream: _Stream, index: int, code: int) -> None:
        """Another user's program did not come about. Where it did and broke, the streams count as cut here."""
        if stream.nested:
            stream.mute = True
            return
        stream.last = index
        stream.part = part = _Part(index, output={"r": stream.noise})
        stream.noise = Collector()
        self._end(stream, part, "become", code)

    def _over(self, stream: _Stream, event: Done | Killed) -> None:
        stream.over, stream.mute = event, True

    # -- what goes out --

    def _flush(self, events: list[Event]) -> None:
        """Give what is complete, in the order of stdout; an end waits until stderr has come so far."""
        while self._queue:
            item = self._queue[0]
            if isinstance(item, _End):
                if item.index in self._err.ended:
                    events.append(self._outcome(item.index))
                elif self._err.over is None:
                    return
                else:
                    self._cut = item.index  # killed between its two end frames
                self._queue.popleft()
                continue
            self._queue.popleft()
            events.append(item)
            if isinstance(item, Chunk):
                self._waiting -= len(item.data)
            if isinstance(item, Began):
                self._catch_up(item.index, events)
        if not self._done and self._out.over is not None and self._err.over is not None:
            self._done = True
            events.append(self._last(self._out.over))

    def _catch_up(self, index: int, events: list[Event]) -> None:
        """An op begins: its stderr that came before that is given now."""
        self._begun = index
        early, self._early = self._early, []
        for chunk in early:
            if chunk.index <= index:
                self._waiting -= len(chunk.data)
                events.append(chunk)
            else:
                self._early.append(chunk)

    def _last(self, over: Done | Killed) -> Event:
        if isinstance(over, Done):
            return over
        part = self._out.part
        index = part.index if part is not None and not part.how else self._cut
        return Killed(index, over.why, over.confirmed)

    def _outcome(self, index: int) -> Ended:
        self._over_with = index
        out, err = self._out.ended.pop(index), self._err.ended.pop(index)
        command = self._command(index)
        how, phase = out.how, _PHASES.get(out.how, "r")
        stderr = err.take("v" if how == "value_failed" else phase)
        if how == "become":
            how = why_not_become(out.code, str(stderr), command.become)
        value, overflow = _value(command, out)
        quiet = how in ("held", "differs", "unchanged")
        seen = command.probe is not None
        return Ended(
            index,
            how,
            out.code,
            signal_name(out.code) if how == "ran" else None,
            Output() if quiet else out.take(phase),
            Output() if quiet else stderr,
            value,
            overflow,
            before=_printed(out, "c") if seen and how not in ("held", "unchanged", "mark") else None,
            after=out.whole("a") if seen else None,
            detail=out.whole("d") if seen else None,
            unmasked=None if quiet else out.unmasked(phase),
        )


def _printed(out: _Part, phase: str) -> bytes | None:
    """What a probe printed: nothing at all means that the thing is not there, too much that nobody knows."""
    return out.whole(phase) if phase in out.output else b""


def _source(command: Command[object]) -> str:
    """The phase whose stdout is the value."""
    return "r" if command.value is None else "v"


def _value(command: Command[object], out: _Part) -> tuple[bytes | None, bool]:
    """The value's bytes, None where this end gives none; and whether more came than was to be kept."""
    source = _source(command)
    well = (out.how == "ran" and out.code in command.ok_codes) or (out.how == "held" and source == "v")
    if not command.gives_value or not well:
        return None, False
    collector = out.output.get(source) or Collector(command.capture)
    return collector.whole(), collector.overflowed
