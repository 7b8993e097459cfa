"""The reader of the wire masks secrets in whatever chunks they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kxflow.shell import frames
from kxflow.shell.compile import compile as compile_program
from kxflow.shell.program import Op
from kxflow.values.action import Command
from kxflow.values.output import Output
from kxflow.values.redact import Redactor
from kxflow.values.secret import Secret
from tests.values.spellings import SPELLINGS, secrets, spoken

NONCE = "0123456789abcdef0123456789abcdef"
QUIET = st.text("ab \n", max_size=30).map(str.encode)


def frame(words: str) -> bytes:
    """A frame as a program writes it."""
    return f"\0{NONCE} {words}\0".encode()


def feed(reader: frames.Reader, out: bytes, err: bytes, sizes: list[int]) -> list[frames.Event]:
    """Both streams in chunks of these sizes, in turns."""
    events: list[frames.Event] = []
    rests = [(reader.stdout, out), (reader.stderr, err)]
    turn = 0
    while any(rest for _, rest in rests):
        size = sizes[turn % len(sizes)] if sizes else 1 << 20
        take, rest = rests[turn % 2]
        if rest:
            events += take(rest[:size])
            rests[turn % 2] = (take, rest[size:])
        turn += 1
    return events


def reader(command: Command[object], known: Secret, *, ops: int = 1) -> frames.Reader:
    """A reader of a program that does a command, which knows a secret."""
    program = compile_program([Op(index=place, command=command, group=place) for place in range(ops)], nonce=NONCE)
    return frames.Reader(program, chunks=True, redactor=Redactor([known]))


@given(
    secret=secrets(most=20).filter(lambda each: b"\0" not in each.raw),
    name=st.sampled_from(sorted(SPELLINGS)),
    around=st.tuples(QUIET, QUIET),
    sizes=st.lists(st.integers(1, 60), max_size=5),
)
def test_records_and_live_output_are_masked_in_any_chunking(
    secret: Secret, name: str, around: tuple[bytes, bytes], sizes: list[int]
) -> None:
    """Stdout and stderr of a run: masked in its record and live; live output is the record, and lags no end."""
    said = around[0] + SPELLINGS[name](secret.raw) + around[1]
    body = frame("u") + frame("b 0") + frame("p 0 r") + said + frame("e 0 ran 0") + frame("d end")
    events = feed(reader(Command(text="x"), secret), body, body, sizes)
    (ended,) = [each for each in events if isinstance(each, frames.Ended)]
    for stream, output in (("stdout", ended.stdout), ("stderr", ended.stderr)):
        live = b"".join(each.data for each in events if isinstance(each, frames.Chunk) and each.stream == stream)
        assert spoken(secret, live) == []
        assert output == Output.of(live)
        assert output.size == len(said)
    assert ended.unmasked == Output.of(said)
    assert all(events.index(each) < events.index(ended) for each in events if isinstance(each, frames.Chunk))


@given(sizes=st.lists(st.integers(1, 60), max_size=5))
def test_a_value_stays_whole(sizes: list[int]) -> None:
    """What becomes a value is not masked: a later step needs it."""
    secret = Secret("hunter2-hunter2")
    body = frame("u") + frame("b 0") + frame("p 0 r") + b"made" + frame("p 0 v") + secret.raw + frame("e 0 ran 0")
    events = feed(reader(Command(text="x", value="y"), secret), body, body, sizes)
    (ended,) = [each for each in events if isinstance(each, frames.Ended)]
    assert ended.value == secret.raw
    assert str(ended.stdout) == "made"
    assert ended.unmasked is None


def test_what_lies_between_is_masked_too() -> None:
    """What came before the program, what sudo said, what a failed check said, and what was cut."""
    secret = Secret("hunter2-hunter2")
    noisy = reader(Command(text="x"), secret)
    (up,) = feed(noisy, b"motd hunter2-hunter2\n" + frame("u"), b"", [7])
    assert up == frames.Up(b"motd ***************\n")

    refused = reader(Command(text="x"), secret)
    said = frame("u") + frame("s 0") + b"sudo: hunter2-hunter2 is wrong" + frame("n 0 1")
    (ended,) = [each for each in feed(refused, said, said, [5]) if isinstance(each, frames.Ended)]
    assert str(ended.stderr) == "sudo: *************** is wrong"

    checked = reader(Command(text="x"), secret)
    said = frame("u") + frame("b 0") + frame("p 0 c") + b"hunter2-hunter2?" + frame("e 0 check_failed 2")
    (ended,) = [each for each in feed(checked, said, said, [5]) if isinstance(each, frames.Ended)]
    assert str(ended.stdout) == str(ended.stderr) == "***************?"

    cut = reader(Command(text="x"), secret)
    feed(cut, frame("u") + frame("b 0") + frame("p 0 r") + b"hunter2-hunter2 hunter2-", b"", [4])
    assert str(cut.partial()[1]) == "*************** hunter2-"


def test_a_secret_is_not_looked_for_across_two_steps() -> None:
    """The end of one output and the beginning of the next are not one text."""
    secret = Secret("hunter2-hunter2")
    both = reader(Command(text="x"), secret, ops=2)
    first = frame("u") + frame("b 0") + frame("p 0 r") + b"hunter2-" + frame("e 0 ran 0")
    body = first + frame("b 1") + frame("p 1 r") + b"hunter2" + frame("e 1 ran 0") + frame("d end")
    ends = [each for each in feed(both, body, body, [9]) if isinstance(each, frames.Ended)]
    assert [str(each.stdout) for each in ends] == ["hunter2-", "hunter2"]
