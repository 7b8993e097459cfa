"""A record comes back from its line as it was."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import orjson
import pytest
from attrs import evolve
from crc32c import crc32c
from frozendict import frozendict
from hypothesis import example, given, settings
from jsonschema import Draft202012Validator

from kxflow.journal.codec import LIMIT, VERSION, Line, decode, encode, intact
from kxflow.journal.errors import LogError
from kxflow.journal.record import Record
from kxflow.journal.schema import schema
from kxflow.journal.tags import pack, unpack
from kxflow.testing.result_strategies import data, records
from kxflow.values.errors import InvalidError, UnencodableError
from kxflow.values.event import RunBegan, StepEnded, TaskShape
from kxflow.values.freeze import jsonable
from kxflow.values.output import Output
from kxflow.values.result import Status, StepResult

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
VALIDATOR = Draft202012Validator(schema())


def result(**fields: Any) -> StepResult:
    """A plain result, but for these fields."""
    base: dict[str, Any] = {
        "run": "r1",
        "pipeline": "deploy",
        "module": "web",
        "task": "join",
        "step": "join",
        "host": "web1",
        "status": Status.Succeeded,
        "started_at": NOW,
        "ended_at": NOW,
    }
    return StepResult(**{**base, **fields})


def record(**fields: Any) -> Record:
    """The record of a plain result, but for these fields."""
    return Record(0, NOW, "0" * 32, StepEnded(result(**fields)))


def back(line: Line) -> Record:
    """What is read from a line and what lies beside it."""
    return decode(line.data, lambda digest, _: line.beside[digest])


def assert_same(one: Record, other: Record) -> None:
    """Equal by repr, for NaN is not equal to itself; outputs by value, for their repr is short."""
    assert repr(one) == repr(other)
    if isinstance(one.body, StepEnded) and isinstance(other.body, StepEnded):
        assert (one.body.result.stdout, one.body.result.stderr) == (other.body.result.stdout, other.body.result.stderr)


def sealed(document: dict[str, Any]) -> bytes:
    """A line with a right checksum, whatever it says."""
    head = orjson.dumps({key: each for key, each in document.items() if key != "crc"})[:-1]
    return b'%b,"crc":"%08x"}\n' % (head, crc32c(head))


@settings(max_examples=400)
@given(records())
def test_record_comes_back_as_it_was(each: Record) -> None:
    """Every field of every kind of record survives, NaN by its repr; the line meets the schema, and is one line."""
    line = encode(each)
    assert_same(back(line), each)
    assert len(line.data) <= LIMIT
    assert len(line.data.decode().splitlines()) == 1
    VALIDATOR.validate(json.loads(line.data))


@given(records())
def test_line_holds_nothing_a_terminal_acts_upon(each: Record) -> None:
    """No C0, DEL, C1, direction mark or separator stands raw in a line, so `cat` of a log is safe."""
    text = encode(each).data.decode()[:-1]
    assert not re.search("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", text)


@given(data())
def test_two_json_readers_agree_on_a_value(value: object) -> None:
    """What orjson writes the standard library reads as the same data, and so do we."""
    packed = pack(value)
    text = orjson.dumps(packed)
    assert json.loads(text) == orjson.loads(text)
    assert repr(unpack(json.loads(text))) == repr(value)


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (float("nan"), {"f64": "nan"}),
        (float("-inf"), {"f64": "-inf"}),
        (2**53 - 1, 2**53 - 1),
        (2**53, {"int": "9007199254740992"}),
        (-(2**70), {"int": "-1180591620717411303424"}),
        (b"\xff\x00", {"b64": "/wA="}),
        (b"ok", {"b64": "b2s="}),
        ("a\udcff\\", {"esc": "a\\udcff\\\\"}),
        (frozendict(f64="nan"), {"map": {"f64": "nan"}}),
        (frozendict(map=frozendict(map=1)), {"map": {"map": {"map": {"map": 1}}}}),
        (frozendict(f64="nan", more=1), {"f64": "nan", "more": 1}),
        (frozendict(beside=("00", 1)), {"map": {"beside": ["00", 1]}}),
        (frozendict({1: "a"}), {"pairs": [[1, "a"]]}),
        (frozendict({"\ud800": 0}), {"pairs": [[{"esc": "\\ud800"}, 0]]}),
        ((True, None, -0.0, 1e22), [True, None, -0.0, 1e22]),
    ],
)
def test_tags_have_their_stated_form(value: object, packed: object) -> None:
    """The forms that the table in `tags` states."""
    assert repr(pack(value)) == repr(packed)
    assert repr(unpack(json.loads(orjson.dumps(packed)))) == repr(value)


def test_number_longer_than_python_prints_comes_back() -> None:
    """Beyond 4300 digits Python refuses decimal; such a number is written in hexadecimal."""
    value = -(2**20_000) + 1
    assert decode(encode(record(value=value)).data).body == StepEnded(result(value=value))


def test_value_may_be_32_deep_and_no_deeper() -> None:
    """What `jsonable` lets through the codec takes, at its worst form too; one more is refused."""
    deep: Any = 1
    for _ in range(50):
        deep = {"map": deep, "\udcff": 1}
    value = jsonable(deep)
    assert back(encode(record(value=value))).body == StepEnded(result(value=value))
    with pytest.raises(InvalidError, match="deeper than 32"):
        encode(record(value=(value,)))


def test_value_that_is_no_data_is_refused() -> None:
    """A type that JSON has no word for raises, and does not become text in silence."""
    with pytest.raises(UnencodableError, match="a object is not data"):
        encode(record(value=(object(),)))


def test_text_output_is_text_in_the_line() -> None:
    """A reader of the log with jq finds the output as text, also where head and tail meet within a character."""
    long = ("é" * 20_000).encode()
    line = json.loads(encode(record(stdout=Output.of(b"x" + long), stderr=Output.of(b"\xff"))).data)
    assert line["stdout"]["data"] == "x" + "é" * 20_000
    assert line["stderr"]["data"] == {"b64": "/w=="}


def test_large_field_lies_beside_the_line() -> None:
    """A value of 8 MiB and two outputs at their worst leave a line within the limit, and come back."""
    noise = Output.of(b"\x00" * 200_000)
    each = record(value="v" * 8_000_000, stdout=noise, stderr=noise)
    line = encode(each)
    assert len(line.data) <= LIMIT
    assert max(map(len, line.beside.values())) == 8_000_002
    assert back(line) == each
    VALIDATOR.validate(json.loads(line.data))
    with pytest.raises(LogError, match="kept beside it"):
        decode(line.data)
    with pytest.raises(LogError, match="is damaged"):
        decode(line.data, lambda digest, _: line.beside[digest][:-1] + b" ")


def test_run_of_ten_thousand_hosts_has_a_line() -> None:
    """The beginning of a run over a large fleet fits as well."""
    hosts = tuple(f"host-{n:05}.example.org" for n in range(10_000))
    began = RunBegan(
        run="r1", pipeline="p", at=NOW, fingerprint="f", hosts=hosts, shape=(TaskShape("m", "t", hosts, 3),) * 5
    )
    line = encode(Record(0, NOW, "0" * 32, began))
    assert len(line.data) <= LIMIT
    assert back(line).body == began


@given(records())
@example(record())
@settings(max_examples=20)
def test_every_flipped_bit_of_a_line_is_seen(each: Record) -> None:
    """CRC32C finds one wrong bit anywhere, also in the checksum and in the newline."""
    line = encode(each).data
    data = bytearray(line if len(line) <= 4096 else encode(record()).data)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        assert not intact(bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    assert intact(bytes(data))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"v": VERSION + 1}, "version 2"),
        ({"kind": "step.dance"}, "says what none can"),
        ({"status": "Fine"}, "says what none can"),
        ({"position": [1]}, "says what none can"),
        ({"stdout": 7}, "says what none can"),
        ({"value": {"f64": "1.5"}}, "says what none can"),
        ({"value": {"beside": ["00" * 32, 5]}}, "kept beside it"),
        ({"value": json.loads("[" * 200 + "]" * 200)}, "says what none can"),
        ({"at": "yesterday"}, "says what none can"),
        ({"seq": "0"}, "says what none can"),
        ({"host": ["web1"]}, "says what none can"),
    ],
)
def test_well_sealed_nonsense_is_an_error(change: dict[str, Any], what: str) -> None:
    """A line that somebody wrote, with a right checksum, gives an error of ours and nothing else."""
    document = orjson.loads(encode(record()).data)
    with pytest.raises(LogError, match=what):
        decode(sealed({**document, **change}))


def test_line_without_a_field_is_an_error() -> None:
    """Each field is needed."""
    document = orjson.loads(encode(record()).data)
    for name in document.keys() - {"crc"}:
        with pytest.raises(LogError):
            decode(sealed({key: each for key, each in document.items() if key != name}))


def test_time_with_an_odd_offset_comes_back() -> None:
    """Times that are not in UTC keep their offset to the second."""
    odd = NOW.astimezone(dt.timezone(dt.timedelta(hours=2, seconds=3)))
    each = evolve(record(started_at=odd, ended_at=NOW.replace(tzinfo=None)), at=odd)
    assert repr(decode(encode(each).data)) == repr(each)


def test_schema_is_a_schema() -> None:
    """The shipped file is valid itself, and refuses a line with one field too many."""
    Draft202012Validator.check_schema(schema())
    line = json.loads(encode(record()).data)
    assert VALIDATOR.is_valid(line)
    assert not VALIDATOR.is_valid({**line, "more": 1})
    assert not VALIDATOR.is_valid({**line, "status": "Fine"})
