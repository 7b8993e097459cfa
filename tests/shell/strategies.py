"""Runs of programs, made up: what a host writes on both streams, and the events that stand for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen
from hypothesis import strategies as st

from kxflow.shell import frames
from kxflow.shell.endings import signal_name, why_not_become
from kxflow.shell.program import Op, Program
from kxflow.values.action import Check, Command
from kxflow.values.host import Become
from kxflow.values.output import Output

NONCE: Final = "0123456789abcdef0123456789abcdef"
OTHER: Final = "0123456789abcdef0123456789abcdee"
_LEAD: Final = b"\0" + NONCE.encode()

Plan: TypeAlias = list[tuple[bool, int]]


def mark(*words: object) -> bytes:
    """A frame."""
    return b"\0" + " ".join([NONCE, *map(str, words)]).encode() + b"\0"


def imitations() -> st.SearchStrategy[bytes]:
    """Bytes that are nearly a frame: another nonce, the right one cut short or not followed by a blank, loose NULs."""
    return st.one_of(
        st.just(b"\0"),
        st.just(b"\0\0"),
        st.integers(1, len(_LEAD)).map(lambda most: _LEAD[:most]),
        st.just(_LEAD + b"\n"),
        st.sampled_from(["u", "b 0", "e 0 ran 0", "d end", "k kill 1"]).map(lambda t: f"\0{OTHER} {t}\0".encode()),
        st.just(mark("e", 0, "ran", 0)[1:]),
        st.just(NONCE.encode() + b" e 0 ran 0\0"),
    )


def outputs(most: int = 3) -> st.SearchStrategy[bytes]:
    """What programs write; never a frame of ours."""
    parts = st.lists(st.one_of(st.binary(max_size=30), imitations()), max_size=most)
    return parts.map(b"".join).filter(lambda data: _LEAD + b" " not in data)


@frozen
class Turn:
    """What one op came to.

    Attributes:
        how: As `frames.Ended.how`, or `become` for another user's program that did not come about.
        code: Of what `how` names.
        out, err: By phase.
        held: Its check held, though its value then failed.
    """

    how: str
    code: int
    out: dict[str, bytes]
    err: dict[str, bytes]
    held: bool = False


@define
class Told:
    """What is written and what it means.

    Attributes:
        out, err: The streams.
        events: In the order of stdout.
    """

    program: Program
    out: bytes = b""
    err: bytes = b""
    events: list[frames.Event] = field(factory=list)

    def both(self, *words: object) -> None:
        """A frame on both streams."""
        self.out += mark(*words)
        self.err += mark(*words)

    def say(self, turn: Turn, phase: str) -> None:
        """What an op writes in a phase."""
        self.out += turn.out[phase]
        self.err += turn.err[phase]


def commands() -> st.SearchStrategy[Command[Any]]:
    """With and without a check, a value, a parser, another user."""
    return st.builds(
        Command,
        text=st.just("x"),
        check=st.none() | st.just(Check("c")),
        value=st.none() | st.just("v"),
        parse=st.none() | st.just(str),
        become=st.none() | st.just(Become("other")),
        capture=st.sampled_from([5, 1000]),
        ok_codes=st.just(frozenset({0, 3})),
    )


@st.composite
def turns(draw: st.DrawFn, command: Command[Any]) -> Turn:
    """Something that can come of a command."""
    hows = ["ran", "cwd"]
    if command.check is not None:
        hows += ["held", "check_failed"]
    if command.value is not None:
        hows.append("value_failed")
    if command.become is not None:
        hows.append("become")
    how = draw(st.sampled_from(hows))
    phases = {"held": "cv", "check_failed": "c", "value_failed": "crv", "cwd": "r", "become": "r"}.get(how, "crv")
    out, err = ({phase: draw(outputs()) if phase in phases else b"" for phase in "crv"} for _ in range(2))
    codes = st.sampled_from([0]) if how == "held" else st.sampled_from([0, 1, 2, 3, 125, 137, 255])
    held = how == "value_failed" and command.check is not None and draw(st.booleans())
    return Turn(how, draw(codes), out, err, held)


def program_of(commands_: Sequence[Command[Any]]) -> Program:
    """A program whose body does not matter."""
    return Program(tuple(Op(index=i, command=c, group=i) for i, c in enumerate(commands_)), ("sh",), b"", NONCE)


def tell(commands_: Sequence[Command[Any]], its: Sequence[Turn], last: Sequence[object], noise: bytes) -> Told:
    """Write a run down, as a host would, and what its events are."""
    told = Told(program_of(commands_))
    told.out = told.err = noise
    told.both("u")
    told.events.append(frames.Up(noise))
    for index, (command, turn) in enumerate(zip(commands_, its, strict=True)):
        _one(told, index, command, turn)
    told.both(*last)
    told.out += b"\0 what follows counts for nothing" + mark("b", 0)
    if last[0] == "d":
        told.events.append(frames.Done(str(last[1])))  # type: ignore[arg-type]  # one of the three
    else:
        told.events.append(frames.Killed(None, str(last[1]), last[2] == 1))  # type: ignore[arg-type]  # as above
    return told


def _one(told: Told, index: int, command: Command[Any], turn: Turn) -> None:
    if turn.how == "become":
        told.both("s", index)
        told.say(turn, "r")
        told.both("n", index, turn.code)
        told.events += [frames.Escalating(index), _ended(index, command, turn)]
        return
    told.both("b", index)
    told.events += [frames.Began(index), _ended(index, command, turn)]
    if turn.how == "cwd":
        told.err += turn.err["r"]
    elif command.check is not None:
        told.both("p", index, "c")
        told.say(turn, "c")
    ran = turn.how in ("ran", "value_failed") and not turn.held
    if ran:
        if command.check is not None:
            told.both("p", index, "r")
        told.say(turn, "r")
    well = turn.how in ("held", "value_failed") or (turn.how == "ran" and turn.code in command.ok_codes)
    if command.value is not None and well:
        told.both("p", index, "v")
        told.say(turn, "v")
    told.both("e", index, turn.how, turn.code)


def _ended(index: int, command: Command[Any], turn: Turn) -> frames.Ended:
    how, code = turn.how, turn.code
    out, err = turn.out["r"], turn.err["r"]
    match how:
        case "check_failed":
            out, err = turn.out["c"], turn.err["c"]
        case "value_failed":
            out, err = (b"" if turn.held else out), turn.err["v"]
        case "held":
            out = err = b""
        case "cwd":
            out = b""
    value: bytes | None = None
    if command.value is not None and (how == "held" or (how == "ran" and code in command.ok_codes)):
        value = turn.out["v"]
    elif command.value is None and command.parse is not None and how == "ran" and code in command.ok_codes:
        value = turn.out["r"]
    return frames.Ended(
        index,
        why_not_become(code, str(Output.of(err)), command.become) if how == "become" else how,
        code,
        signal_name(code) if how == "ran" else None,
        Output.of(out),
        Output.of(err),
        None if value is None else value[: command.capture],
        value is not None and len(value) > command.capture,
    )


@st.composite
def runs(draw: st.DrawFn, most: int = 4) -> Told:
    """A whole run to its last frame."""
    chosen = draw(st.lists(commands(), max_size=most))
    its = [draw(turns(each)) for each in chosen]
    last = draw(
        st.sampled_from(
            [("d", "end"), ("d", "halt"), ("d", "stop"), ("k", "kill", 1), ("k", "timeout", 0), ("k", "lease", 1)]
        )
    )
    return tell(chosen, its, last, draw(outputs(2)))


def plans() -> st.SearchStrategy[Plan]:
    """In which pieces, and in which order of the two streams, bytes arrive."""
    sizes = st.one_of(st.just(1), st.integers(1, 5), st.integers(1, 60))
    return st.lists(st.tuples(st.booleans(), sizes), max_size=40)


def fed(reader: frames.Reader, out: bytes, err: bytes, plan: Plan, *, out_first: bool = True) -> list[frames.Event]:
    """The events of these streams, in these pieces; what the plan leaves comes whole."""
    events: list[frames.Event] = []
    for of_out, size in plan:
        if of_out:
            events += reader.stdout(out[:size])
            out = out[size:]
        else:
            events += reader.stderr(err[:size])
            err = err[size:]
    rest: Iterable[Any] = ((reader.stdout, out), (reader.stderr, err))
    for feed, data in rest if out_first else reversed(tuple(rest)):
        events += feed(data)
    return events
