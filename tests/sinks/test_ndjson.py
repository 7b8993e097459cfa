# ruff: noqa: ASYNC240 -- looking at the file between two awaits is what these tests do
"""The journal: durable before anything depends on it, whole whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from attrs import evolve
from crc32c import crc32c
from jsonschema import Draft202012Validator

from kxflow.interpreters.ports import Journal, JournalError, Sent
from kxflow.journal.errors import LogError
from kxflow.journal.schema import schema
from kxflow.sinks.disk import Disk, fdatasync
from kxflow.sinks.ndjson import Ndjson, ndjson, read_log
from kxflow.testing.sink_check import check_sink
from kxflow.values.errors import InvalidError, UnencodableError
from kxflow.values.result import Position, StepResult
from tests.journal.logs import began, ended, result

pytestmark = pytest.mark.anyio


def sent(place: int) -> Sent:
    """The sending of the step at a place."""
    return Sent("web", "join", "join", f"web{place}", Position(0, 0, 0, place), "d")


async def record(journal: Journal, *places: int, run: str = "r1") -> None:
    """One whole run."""
    await journal.begin(began(run))
    for place in places:
        await journal.sent([sent(place)])
        await journal.ended([result(place, run)])
    await journal.finish(ended(run))
    await journal.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "run.ndjson"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("sync", [True, False])
def test_ndjson_is_a_sink(path: Path, backend: str, *, sync: bool) -> None:
    """It stands what every sink must; what is read back equals what was written, and meets the schema."""
    check_sink(lambda: ndjson(path, sync=sync), read=lambda sink: read_log(sink.path), backend=backend)
    validator = Draft202012Validator(schema())
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    for line in lines:
        validator.validate(json.loads(line))


async def test_result_is_on_disk_when_ended_returns(path: Path) -> None:
    """Both records are in the file, and synced, when the calls return."""
    synced: list[int] = []

    def sync(fd: int) -> None:
        fdatasync(fd)
        synced.append(os.fstat(fd).st_size)

    journal = ndjson(path, disk=Disk(sync=sync))
    await journal.begin(began())
    await journal.sent([sent(0)])
    assert synced[-1] == path.stat().st_size
    assert [each.host for each in read_log(path).sent] == ["web0"]
    await journal.ended([result(0)])
    assert synced[-1] == path.stat().st_size
    assert read_log(path).results == (result(0),)
    await journal.aclose()


async def test_second_run_follows_the_first(path: Path) -> None:
    """The same script, run again and again, keeps one log; the last run is read, the others by their id."""
    await record(ndjson(path), 0, run="a")
    journal = ndjson(path)
    await record(journal, 1, run="b")
    await record(journal, 2, run="c")
    log = read_log(path)
    assert (log.run, log.runs) == ("c", ("a", "b", "c"))
    assert [each.host for each in read_log(path, run="a")] == ["web0"]


async def test_calls_of_many_hosts_share_writes(path: Path) -> None:
    """While one write is on its way, what comes meanwhile is gathered: 100 hosts need few syncs, in their order."""
    syncs: list[int] = []
    journal = ndjson(path, disk=Disk(sync=syncs.append))

    async def host(place: int) -> None:
        await journal.sent([sent(place)])
        await journal.ended([result(place)])

    await journal.begin(began())
    async with anyio.create_task_group() as group:
        for place in range(100):
            group.start_soon(host, place)
    assert len(syncs) < 20
    await journal.finish(ended())
    await journal.aclose()
    assert read_log(path).results == tuple(map(result, range(100)))


async def test_slow_disk_does_not_block_the_loop(path: Path) -> None:
    """While the disk syncs, other tasks go on; a call that began is written even when its task is cancelled."""
    go, waiting = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        if read_log(path).sent:
            waiting.set()
            assert go.wait(10)

    journal = ndjson(path, disk=Disk(sync=sync))
    await journal.begin(began())
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(journal.sent, [sent(0)])
            assert await anyio.to_thread.run_sync(waiting.wait, 10)
            scope.cancel()
            go.set()
    await journal.finish(ended())
    await journal.aclose()
    assert [each.host for each in read_log(path).sent] == ["web0"]


async def test_value_that_is_no_data_stops_only_its_own_call(path: Path) -> None:
    """A bug in one caller is that caller's error: nothing of its call is written, the others' is."""
    journal = ndjson(path)
    await journal.begin(began())
    wrong = evolve(result(0), value=(object(),))
    with pytest.raises(UnencodableError):
        await journal.ended([result(1), wrong])
    await journal.ended([result(2)])
    await journal.finish(ended())
    await journal.aclose()
    assert [each.host for each in read_log(path)] == ["web2"]


class Failing:
    """A disk whose write or sync of this number fails; `short` takes half of it first, as a full disk does."""

    def __init__(self, kind: str, code: int, at: int) -> None:
        self._kind = kind
        self._error = OSError(code, os.strerror(code))
        self._left = at
        self._full = False

    @property
    def disk(self) -> Disk:
        """Its calls."""
        return Disk(write=self._write, sync=self._sync)

    def _now(self, kind: str) -> bool:
        self._left -= kind in self._kind
        return kind in self._kind and self._left == 0

    def _write(self, fd: int, data: bytes | memoryview) -> int:
        fails = self._now("write")
        if self._full or (fails and "short" not in self._kind):
            raise self._error
        self._full = fails
        return os.write(fd, data[: len(data) // 2] if fails else data)

    def _sync(self, fd: int) -> None:
        if self._now("sync"):
            raise self._error
        fdatasync(fd)


@pytest.mark.parametrize("after", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        ("write", errno.ENOSPC, "sink_full"),
        ("short write", errno.ENOSPC, "sink_full"),
        ("short write", errno.EDQUOT, "sink_full"),
        ("write", errno.EFBIG, "sink_full"),
        ("write", errno.EIO, "sink_io"),
        ("short write", errno.EIO, "sink_io"),
        ("write", errno.EROFS, "sink_io"),
        ("write", errno.ESTALE, "sink_io"),
        ("sync", errno.EIO, "sink_io"),
        ("sync", errno.ENOSPC, "sink_full"),
    ],
)
async def test_failing_disk_at_every_call(path: Path, kind: str, code: int, word: str, after: int) -> None:
    """Whichever write or sync fails: what was acknowledged is read back, no fragment stays, and failing is final."""
    journal = ndjson(path, disk=Failing(kind, code, after).disk)
    acknowledged: list[StepResult] = []

    async def one_run() -> None:
        await journal.begin(began())
        for place in range(3):
            await journal.sent([sent(place)])
            await journal.ended([result(place)])
            acknowledged.append(result(place))
        await journal.finish(ended())

    with pytest.raises(JournalError) as caught:
        await one_run()
    assert caught.value.fault.code == word
    assert str(path) in str(caught.value)
    if after > 1:
        for call in (journal.sent([sent(9)]), journal.ended([result(9)]), journal.finish(ended())):
            with pytest.raises(JournalError, match=str(caught.value.fault.what)):
                await call
    await journal.aclose()
    _check_left(path, acknowledged)
    await record(ndjson(path), 5, run="next")
    assert [each.host for each in read_log(path)] == ["web5"]


def _check_left(path: Path, acknowledged: list[StepResult]) -> None:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    if data:
        log = read_log(path)
        assert log.torn is None
        assert list(log.results[: len(acknowledged)]) == acknowledged
        assert 9 not in [each.position.host for each in log]


async def test_fragment_that_cannot_be_cut_off_is_told_and_repaired_later(path: Path) -> None:
    """Where even the roll-back fails the fault says so; the next run moves the fragment away and goes on."""

    def truncate(_: int, __: int) -> None:
        raise OSError(errno.EIO, "no")

    disk = evolve(Failing("short write", errno.ENOSPC, 3).disk, truncate=truncate)
    journal = ndjson(path, disk=disk)
    await journal.begin(began())
    await journal.ended([result(0)])
    with pytest.raises(JournalError, match="nor can the fragment"):
        await journal.ended([result(1)])
    await journal.aclose()
    before = read_log(path)
    assert before.torn is not None
    assert before.results == (result(0),)
    fragment = path.read_bytes()[before.torn.offset :]
    await record(ndjson(path), 2, run="next")
    log = read_log(path)
    assert [each.host for each in log] == ["web2"]
    assert [(each.offset, each.size, each.saved) for each in log.repaired] == [
        (before.torn.offset, len(fragment), "run.ndjson.torn")
    ]
    assert (path.parent / "run.ndjson.torn").read_bytes() == fragment
    assert read_log(path, run="r1").results == (result(0),)


async def test_log_cut_anywhere_takes_another_run(path: Path, tmp_path: Path) -> None:
    """Wherever a crash cut the file, the next run saves the fragment and writes behind the whole lines."""
    await record(ndjson(path), 0)
    data = path.read_bytes()
    for cut in [*range(0, len(data), 37), len(data) - 1]:
        each = tmp_path / f"{cut}.ndjson"
        each.write_bytes(data[:cut])
        whole = data[:cut].rfind(b"\n") + 1
        await record(ndjson(each, sync=False), 1, run="next")
        log = read_log(each)
        assert log.results == (result(1, "next"),)
        assert each.read_bytes()[:whole] == data[:whole]
        if cut != whole:
            assert (tmp_path / f"{cut}.ndjson.torn").read_bytes() == data[whole:cut]
            assert [(part.offset, part.size) for part in log.repaired] == [(whole, cut - whole)]


async def test_damaged_last_line_is_moved_away(path: Path) -> None:
    """After a power loss the last line may be whole and wrong: it is a fragment too."""
    await record(ndjson(path), 0)
    data = path.read_bytes()
    last = data.rfind(b"\n", 0, -1) + 1
    path.write_bytes(data[:last] + b"\0" * (len(data) - last - 1) + b"\n")
    await record(ndjson(path), 1, run="next")
    assert read_log(path).repaired[0].offset == last


@pytest.mark.parametrize(
    "text", [b"hello\n", b"my notes", b"a\nb\nc\n", b'{"a":1}\n', b'{"v":1,"seq":0}\n{"v":1,"seq":1}\n', b"x" * 900_000]
)
async def test_file_that_is_no_log_is_left_alone(path: Path, text: bytes) -> None:
    """Somebody's file is refused, and not a byte of it changes."""
    path.write_bytes(text)
    with pytest.raises(InvalidError, match="nothing can be written behind the log"):
        await ndjson(path).begin(began())
    assert path.read_bytes() == text
    assert sorted(path.parent.iterdir()) == [path]


async def test_damage_before_the_end_is_named(path: Path) -> None:
    """The error names the byte when the log is read."""
    await record(ndjson(path), 0, 1)
    data = bytearray(path.read_bytes())
    data[-len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogError, match=r"run.ndjson: a record is damaged at byte \d+"):
        read_log(path)


def _changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"deploy"', b'"deplay"'), *lines[3:]]


def _of_a_newer_version(lines: list[bytes]) -> list[bytes]:
    head = lines[2].replace(b'"v":1', b'"v":2')[: -len(b',"crc":"00000000"}\n')]
    return [*lines[:2], b'%b,"crc":"%08x"}\n' % (head, crc32c(head)), *lines[3:]]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_changed, "a record is damaged at byte {}"),
        (lambda lines: [*lines[:2], *lines[3:]], "record 3 stands where 2 belongs: .* at byte {}"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "record 3 stands where 2 belongs: .* at byte {}"),
        (lambda lines: [*lines[:2], b"x" * 600_000 + b"\n", *lines[2:]], "a record is damaged at byte {}"),
        (_of_a_newer_version, "a record has version 2, this is 1 at byte {}"),
    ],
)
async def test_nothing_is_written_behind_damage(
    path: Path, damage: Callable[[list[bytes]], list[bytes]], what: str
) -> None:
    """However far from the end: nobody could read it. The error names the byte, and what to do."""
    await record(ndjson(path), 0, 1, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    data = b"".join(damage(lines))
    path.write_bytes(data)
    place = len(b"".join(lines[:2]))
    with pytest.raises(InvalidError, match=what.format(place)) as caught:
        await ndjson(path).begin(began())
    assert f"`head -c {place} LOG` gives what is whole before it" in str(caught.value)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]
    path.write_bytes(data[:place])
    await record(ndjson(path), 5, run="next")
    assert read_log(path).runs == ("r1", "next")


async def test_log_is_private(path: Path) -> None:
    """The file is ours alone, and so is what lies beside it; nobody else may write to one that was there."""
    journal = ndjson(path)
    await journal.begin(began())
    await journal.ended([evolve(result(0), value="x" * 300_000)])
    await journal.aclose()
    beside = path.parent / "run.ndjson.d"
    (value,) = beside.iterdir()
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, beside, value)] == [0o600, 0o700, 0o600]
    path.chmod(0o666)
    await record(ndjson(path), 1, run="next")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def _of_another(path: Path) -> None:
    path.write_bytes(b"")
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("elsewhere"), "is a symbolic link"),
        (os.mkfifo, "is no plain file"),
        (lambda path: path.mkdir(), "is a folder"),
        (_of_another, "belongs to user 12345"),
    ],
)
async def test_what_is_no_plain_file_of_ours_is_refused(path: Path, make: Callable[[Path], object], what: str) -> None:
    """A link, a pipe, a folder, another's file: an error before anything runs; nothing is followed or waited for."""
    if os.geteuid() and "belongs" in what:
        pytest.skip("only root can give a file away")
    make(path)
    with pytest.raises(InvalidError, match=what):
        await ndjson(path).begin(began())
    assert not (path.parent / "elsewhere").exists()


async def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A log in no folder, and one under a file."""
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "x.ndjson", tmp_path / "file" / "x.ndjson"):
        with pytest.raises(InvalidError, match="is in no folder that exists"):
            await ndjson(path).begin(began())


async def test_two_runs_cannot_write_one_log(path: Path) -> None:
    """The second is refused at once, also through the same journal; the first goes on undisturbed."""
    first = ndjson(path)
    await first.begin(began())
    for second in (ndjson(path), first):
        with pytest.raises(JournalError) as caught:
            await second.begin(began("other"))
        assert caught.value.fault.code == "sink_locked"
    await first.finish(ended())
    await first.aclose()
    await record(ndjson(path), 0, run="other")
    assert read_log(path).runs == ("r1", "other")


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced", "written to"])
async def test_log_that_others_touch_stops_the_run(path: Path, how: str) -> None:
    """Removed, rotated, replaced, or written to by somebody else: nothing is written into the void."""
    journal = ndjson(path)
    await journal.begin(began())
    if how == "written to":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        path.rename(path.parent / "old") if how != "removed" else path.unlink()
    if how == "replaced":
        path.write_bytes(b"")
    with pytest.raises(JournalError) as caught:
        await journal.sent([sent(0)])
    assert caught.value.fault.code == "sink_replaced"
    await journal.aclose()


async def test_journal_that_has_not_begun_says_so(path: Path) -> None:
    """A call out of order is an error with a remedy; closing is none, also twice."""
    journal = ndjson(path)
    with pytest.raises(JournalError, match="call begin first"):
        await journal.sent([sent(0)])
    await journal.aclose()
    await journal.aclose()
    assert not path.exists()
    assert repr(journal) == f"ndjson({str(path)!r})"


async def test_value_beside_the_log_is_checked(path: Path) -> None:
    """A value that is gone, has changed, or leads elsewhere is an error, never another value."""
    journal = ndjson(path)
    await journal.begin(began())
    large = evolve(result(0), value="x" * 300_000)
    await journal.ended([large])
    await journal.aclose()
    assert read_log(path).results == (large,)
    (value,) = (path.parent / "run.ndjson.d").iterdir()
    right = value.read_bytes()
    for wrong in (right[:-2] + b'y"', right + b" "):
        value.write_bytes(wrong)
        with pytest.raises(LogError, match=r"is damaged|has changed"):
            read_log(path)
    value.unlink()
    value.symlink_to("/etc/hostname")
    with pytest.raises(LogError, match="beside it is gone"):
        read_log(path)


async def test_full_disk_while_a_value_is_kept_leaves_no_half(path: Path) -> None:
    """A value beside the log is whole or not there, and its record is not written before it."""
    journal = ndjson(path, disk=Failing("short write", errno.ENOSPC, 2).disk)
    await journal.begin(began())
    with pytest.raises(JournalError, match="cannot grow"):
        await journal.ended([evolve(result(0), value="x" * 300_000)])
    await journal.aclose()
    assert list((path.parent / "run.ndjson.d").iterdir()) == []
    assert read_log(path).results == ()


def test_read_log_of_a_pipe_does_not_wait(tmp_path: Path) -> None:
    """A pipe is refused and not waited for; a file that is not there is the system's own error."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LogError, match="is no plain file"):
        read_log(pipe)
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "none")


def test_line_longer_than_any_record_is_damage(tmp_path: Path) -> None:
    """A file without newlines is not read into memory whole."""
    path = tmp_path / "long"
    path.write_bytes(b'{"v":1' * 200_000)
    with pytest.raises(LogError, match="is damaged at byte 0"):
        read_log(path)


async def test_time_in_the_records_is_the_clocks(path: Path) -> None:
    """The clock is an argument; a clock that jumps changes nothing but the times."""
    times = iter(began().at.replace(year=year) for year in (2026, 1970, 2200, 2026, 1999))
    await record(Ndjson(path, sync=False, disk=Disk(), now=lambda: next(times)), 0)
    years = [json.loads(line)["at"][:4] for line in path.read_bytes().splitlines()]
    assert years == ["2026", "1970", "2200", "2026"]
    assert read_log(path).complete


@pytest.mark.parametrize("wrong", [5, None, "", b"run.ndjson"])
def test_what_names_no_file_is_refused_when_the_journal_is_made(wrong: Any) -> None:
    """It says what to give."""
    with pytest.raises(InvalidError, match=r'names no file: give a path: ndjson\("run.ndjson"\)'):
        ndjson(wrong)
