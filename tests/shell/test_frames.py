"""Two streams in any chunking give the same events, and never an end that was not received on both."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kxflow.shell import frames
from kxflow.values.action import Check, Command
from kxflow.values.output import HEAD, TAIL, Output
from tests.shell.strategies import NONCE, OTHER, Plan, Told, fed, mark, outputs, plans, program_of, runs

MANY = settings(deadline=None, max_examples=60)


@MANY
@given(told=runs(), plan=plans(), out_first=st.booleans())
def test_any_chunking_of_both_streams_gives_the_events_of_the_run(told: Told, plan: Plan, out_first: bool) -> None:
    """Events, their order and every byte of them are those that the host meant."""
    reader = frames.Reader(told.program)
    assert fed(reader, told.out, told.err, plan, out_first=out_first) == told.events
    assert reader.done
    assert reader.partial() == (None, Output(), Output())


@MANY
@given(told=runs(), plan=plans(), out_first=st.booleans(), data=st.data())
def test_streams_that_are_cut_give_a_beginning_of_the_events(
    told: Told, plan: Plan, out_first: bool, data: st.DataObject
) -> None:
    """Wherever each stream ends, nothing is invented; the op in progress is known with what it had written."""
    out = told.out[: data.draw(st.integers(0, len(told.out)))]
    err = told.err[: data.draw(st.integers(0, len(told.err)))]
    reader = frames.Reader(told.program)
    events = fed(reader, out, err, plan, out_first=out_first)
    assert events == told.events[: len(events)]
    index, stdout, stderr = reader.partial()
    begun = [each.index for each in events if isinstance(each, frames.Began)]
    ended = [each.index for each in events if isinstance(each, frames.Ended)]
    if not events:
        noise = told.events[0]
        assert isinstance(noise, frames.Up)
        assert index is None
        assert noise.preamble.startswith(stdout.data)
        assert noise.preamble.startswith(stderr.data)
        return
    if not begun or begun[-1] in ended:
        assert (index, stdout, stderr) == (None, Output(), Output())
        return
    assert index == begun[-1]
    whole = told.events[len(events)]
    assert isinstance(whole, frames.Ended)
    if whole.how == "ran":
        command = told.program.ops[index].command
        on = command.check is None or any(mark("p", index, each) in out + b"|" + err for each in "rv")
        if on:
            assert whole.stdout.data.startswith(stdout.data)
            assert whole.stderr.data.startswith(stderr.data)


@MANY
@given(told=runs(), plan=plans(), lag=st.booleans())
def test_an_end_counts_only_when_both_streams_have_said_it(told: Told, plan: Plan, lag: bool) -> None:
    """One stream alone, complete, ends no op; with the other the rest comes."""
    reader = frames.Reader(told.program)
    alone = fed(reader, told.out if lag else b"", b"" if lag else told.err, plan)
    assert not [each for each in alone if isinstance(each, frames.Ended | frames.Done | frames.Killed)]
    rest = reader.stderr(told.err) if lag else reader.stdout(told.out)
    assert alone + rest == told.events


@MANY
@given(told=runs(), plan=plans(), out_first=st.booleans())
def test_live_chunks_add_up_to_the_outputs_and_change_no_other_event(told: Told, plan: Plan, out_first: bool) -> None:
    """With `chunks` the runs' bytes come as they arrive, between the beginning and the end of their op on stdout."""
    reader = frames.Reader(told.program, chunks=True)
    events = fed(reader, told.out, told.err, plan, out_first=out_first)
    assert [each for each in events if not isinstance(each, frames.Chunk)] == told.events
    live: dict[tuple[int, str], bytes] = defaultdict(bytes)
    begun: set[int] = set()
    for each in events:
        if isinstance(each, frames.Began):
            begun.add(each.index)
        elif isinstance(each, frames.Chunk):
            assert each.index in begun
            live[each.index, each.stream] += each.data
    for each in told.events:
        if isinstance(each, frames.Ended) and each.how == "ran":
            assert live[each.index, "stdout"] == each.stdout.data
            assert live[each.index, "stderr"] == each.stderr.data


WORDS = st.one_of(
    st.sampled_from(["u", "b", "p", "e", "s", "y", "n", "k", "d"]),
    st.sampled_from(["0", "1", "2", "3", "9", "-1", "007", "1e3", "9" * 30, "256", "\u0663"]),
    st.sampled_from(["c", "r", "v", "ran", "held", "become", "end", "halt", "stop", "kill", "lease", "timeout", "x"]),
    st.text(alphabet="abe019 \n\xff", max_size=4),
)
GARBAGE = st.lists(
    st.one_of(
        st.lists(WORDS, max_size=5).map(lambda words: mark(*words)),
        st.sampled_from([mark("b", i) for i in range(3)] + [mark("e", i, "ran", 0) for i in range(3)]),
        st.sampled_from([mark("s", 1), mark("n", 1, 1), mark("y", 1, 1), mark("u")]),
        outputs(2),
    ),
    max_size=25,
)
THREE: list[Command[Any]] = [Command(text="a"), Command(text="b"), Command(text="c", parse=str)]


@settings(deadline=None, max_examples=200)
@given(out=GARBAGE, err=GARBAGE, plan=plans())
def test_frames_out_of_order_repeated_or_senseless_never_raise_and_never_invent_an_end(
    out: list[bytes], err: list[bytes], plan: Plan
) -> None:
    """Each op ends at most once, in order, and only where both streams say so of it; it began before that."""
    events = fed(frames.Reader(program_of(THREE)), b"".join(out), b"".join(err), plan)
    assert events == fed(frames.Reader(program_of(THREE)), b"".join(out), b"".join(err), [])
    ended = [each for each in events if isinstance(each, frames.Ended)]
    indexes = [each.index for each in ended]
    assert indexes == sorted(set(indexes))
    begun: set[int] = set()
    for event in events:
        if isinstance(event, frames.Began):
            assert event.index not in begun
            begun.add(event.index)
        if isinstance(event, frames.Ended):
            assert event.index in begun or event.how.startswith("become")
    for each in ended:
        for stream in (out, err):
            said = b"".join(stream).replace(b" 007", b" 7").replace(b" 00", b" 0")
            assert f" e {each.index} ".encode() in said or f" n {each.index} ".encode() in said
    last = [each for each in events if isinstance(each, frames.Done | frames.Killed)]
    assert len(last) <= 1
    assert not last or events[-1] is last[0]


@given(noise=st.binary(max_size=3000), plan=plans())
def test_what_precedes_the_first_frame_is_trimmed_and_kept_as_a_bounded_note(noise: bytes, plan: Plan) -> None:
    """A talking `.bashrc` spoils nothing."""
    noise = noise.replace(b"\0", b"") * 4
    out = noise + mark("u") + mark("b", 0) + b"x" + mark("e", 0, "ran", 0) + mark("d", "end")
    err = noise + mark("u") + mark("b", 0) + mark("e", 0, "ran", 0) + mark("d", "end")
    events = fed(frames.Reader(program_of(THREE)), out, err, plan)
    assert events[0] == frames.Up(noise[: frames.PREAMBLE_LIMIT])
    assert isinstance(events[2], frames.Ended)
    assert events[2].stdout.data == b"x"


def test_what_a_cut_op_wrote_is_its_own_though_one_stream_is_ahead() -> None:
    """The op in progress is the first without a whole end; what a later one wrote is not taken for its output."""
    reader = frames.Reader(program_of(THREE))
    reader.stdout(mark("u") + mark("b", 0) + b"first" + mark("e", 0, "ran", 0) + mark("b", 1) + b"second")
    reader.stderr(mark("u") + mark("b", 0) + b"warning")
    assert reader.partial() == (0, Output.of(b"first"), Output.of(b"warning"))


def test_what_was_cut_in_its_check_is_what_the_check_wrote() -> None:
    """Before the run there is only the check."""
    reader = frames.Reader(program_of([Command(text="a", check=Check("c"))]))
    reader.stdout(mark("u") + mark("b", 0) + mark("p", 0, "c") + b"asking")
    assert reader.partial() == (0, Output.of(b"asking"), Output())
    reader.stdout(mark("p", 0, "r") + b"doing")
    assert reader.partial() == (0, Output.of(b"doing"), Output())


def test_killed_names_the_op_in_progress_and_none_between_ops() -> None:
    """Also where it was killed between its two end frames."""
    for out, err, index in [
        (mark("b", 1), mark("b", 1), 1),
        (mark("b", 1) + mark("e", 1, "ran", 0), mark("b", 1), 1),
        (mark("b", 1) + mark("e", 1, "ran", 0), mark("b", 1) + mark("e", 1, "ran", 0), None),
        (b"", b"", None),
    ]:
        reader = frames.Reader(program_of(THREE))
        ending = mark("k", "timeout", 1)
        events = [*reader.stdout(mark("u") + out + ending), *reader.stderr(mark("u") + err + ending)]
        assert events[-1] == frames.Killed(index, "timeout", True)
        assert (index is None) == (reader.partial()[0] is None)


def _peak(reader: frames.Reader, block: bytes, times: int, *, err: bool = False) -> int:
    feed = reader.stderr if err else reader.stdout
    feed(block)
    tracemalloc.start()
    for _ in range(times):
        feed(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_is_bounded_whatever_a_host_writes() -> None:
    """Before the first frame, in an op, of a value, between ops, live and unread: megabytes in, some 100 KB held."""
    block = (b"x" * 63 + b"\n") * 1024
    lead = b"\0" + NONCE.encode() + b" "
    bound = 4 * (HEAD + 2 * TAIL) + 4 * len(block)
    assert _peak(frames.Reader(program_of(THREE)), block, 100) < bound
    assert _peak(frames.Reader(program_of(THREE)), (lead + b"z" * 200) * 300, 100) < bound
    for phase in (b"", mark("p", 0, "c"), mark("p", 0, "v")):
        reader = frames.Reader(program_of(THREE))
        reader.stdout(mark("u") + mark("b", 0) + phase)
        assert _peak(reader, block, 100) < bound
        assert _peak(reader, block, 100, err=True) < bound
    reader = frames.Reader(program_of([Command(text="a", parse=str, capture=1 << 20)]))
    reader.stdout(mark("u") + mark("b", 0))
    assert _peak(reader, block, 100) < bound + (3 << 20)
    reader = frames.Reader(program_of(THREE))
    reader.stdout(mark("u") + mark("b", 0) + mark("e", 0, "ran", 0))
    assert _peak(reader, block, 100) < bound
    reader = frames.Reader(program_of(THREE), chunks=True)
    reader.stderr(mark("u") + mark("b", 2))
    assert _peak(reader, block, 100, err=True) < bound + (2 << 20)


def test_a_large_output_keeps_head_and_tail_and_the_digest_of_all() -> None:
    """In chunks of any size."""
    data = bytes(range(256)) * 1000
    data = data.replace(b"\0", b"-")
    for size in (1, 1000, 65536, len(data)):
        reader = frames.Reader(program_of(THREE))
        reader.stderr(mark("u") + mark("b", 0) + mark("e", 0, "ran", 0))
        reader.stdout(mark("u") + mark("b", 0))
        for start in range(0, len(data), size):
            reader.stdout(data[start : start + size])
        (ended,) = reader.stdout(mark("e", 0, "ran", 0))
        assert isinstance(ended, frames.Ended)
        assert ended.stdout == Output.of(data)
        assert not ended.stdout.complete


def test_a_signal_is_named_and_a_frame_of_another_nonce_is_output() -> None:
    """A program within the program, or one that knows how frames look, ends nothing."""
    reader = frames.Reader(program_of(THREE))
    foreign = f"\0{OTHER} e 0 ran 0\0".encode()
    reader.stdout(mark("u") + mark("b", 0) + foreign + mark("e", 0, "ran", 143))
    (ended,) = reader.stderr(mark("u") + mark("b", 0) + foreign + mark("e", 0, "ran", 143))
    assert ended == frames.Ended(0, "ran", 143, "TERM", Output.of(foreign), Output.of(foreign), None, False)
