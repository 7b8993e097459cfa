"""A record as one line of bytes, and back.

A line is a JSON object: `v` (version of the format), `seq`, `kind`, `at`, `prev`, what the kind adds, and at its
end `crc`: the CRC32C of every byte of the line before `,"crc"`, eight hex digits. So one damaged bit is seen in the
line itself, and a line that was taken out, put in or moved is seen by `seq` and `prev`, the hash of the line before.

Source: RFC 8259 for JSON, RFC 3720 appendix B.4 for CRC32C. The `crc32c` package (wheels for all platforms, its own
C fallback, typed) rather than google-crc32c, which without its C library warns and counts in Python.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from attrs import frozen
from crc32c import crc32c

from kxflow.journal import body
from kxflow.journal.errors import LogError
from kxflow.journal.record import Record
from kxflow.journal.tags import untext

VERSION: Final = 1
LIMIT: Final = 256 * 1024
_TAIL: Final = len(b',"crc":"00000000"}\n')

# What JSON leaves as it is and a terminal or a reader of lines would act upon: DEL, C1 controls, zero width and
# direction marks, line and paragraph separators. They stand in JSON strings only, so an escape is always right.
_RAW: Final = re.compile(b"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf")
_HARMLESS: Final = bytes(set(range(256)) - set(b"\x7f\xc2\xd8\xe2\xef"))

# How every line begins: thirty times as fast as reading all of it.
_PLACE: Final = re.compile(rb'\{"v":1,"seq":(\d{1,18}),"kind":"[a-z.]+","at":"[^"]*","prev":"([0-9a-f]{32})"')

Beside: TypeAlias = Callable[[str, int], bytes]


@frozen
class Line:
    """A record, encoded.

    Attributes:
        data: At most 256 KiB, its newline included.
        beside: Values too large for a line, by the SHA-256 (hex) that the line names.
    """

    data: bytes
    beside: Mapping[str, bytes]

    @property
    def hash(self) -> str:
        """What the next record names as `prev`."""
        return chain(self.data)


def chain(line: bytes) -> str:
    """What the record after this line names as `prev`."""
    return hashlib.sha256(line).hexdigest()[:32]


def nothing_beside(digest: str, size: int) -> bytes:
    """The reader of a log that is alone.

    Raises:
        LogError: Always: a value was to be beside the log.
    """
    raise LogError(f"a value of {size} bytes was kept beside it as {digest}", remedy="keep the .d folder with it")


def encode(record: Record) -> Line:
    r"""A record as one line, with what must lie beside it.

    >>> from kxflow.journal.record import Record, LogRepaired
    >>> repaired = LogRepaired(run="r1", offset=90, size=7, sha256="0" * 64, saved="run.ndjson.torn")
    >>> line = encode(Record(4, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "0" * 32, repaired))
    >>> line.data[:44], line.data[-19:]
    (b'{"v":1,"seq":4,"kind":"log.repaired","at":"2', b',"crc":"e0619930"}\n')
    >>> decode(line.data).body == repaired
    True

    Raises:
        UnencodableError: A value in it is not data.
        InvalidError: A value in it is nested deeper than 32.
    """
    kind, fields = body.fields(record.body)
    document = {
        "v": VERSION,
        "seq": record.seq,
        "kind": kind,
        "at": body.when(record.at),
        "prev": record.prev,
        **fields,
    }
    line = _dump(document)
    if len(line) + _TAIL <= LIMIT:
        return Line(_seal(line), {})
    return _spill(document, fields)


def _dump(value: Any) -> bytes:
    line = orjson.dumps(value)
    # Looking for first bytes this way takes a sixth of the pattern's time, and most lines hold none of them.
    return _RAW.sub(_escape, line) if line.translate(None, _HARMLESS) else line


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def _seal(line: bytes) -> bytes:
    head = line[:-1]
    return b'%b,"crc":"%08x"}\n' % (head, crc32c(head))


def _spill(document: dict[str, Any], fields: Iterable[str]) -> Line:
    """Move the largest fields out of the line, one after another, until it is short enough."""
    dumped = {name: _dump(document[name]) for name in fields}
    beside: dict[str, bytes] = {}
    room = LIMIT - _TAIL - len(_dump(document))
    for name in sorted(dumped, key=lambda each: -len(dumped[each])):
        if room >= 0:
            break
        digest = hashlib.sha256(dumped[name]).hexdigest()
        beside[digest] = dumped[name]
        document[name] = {"beside": [digest, len(dumped[name])]}
        room += len(dumped[name]) - len(_dump(document[name]))
    return Line(_seal(_dump(document)), beside)


def intact(line: bytes) -> bool:
    """Whether a line is whole: as long as may be, ended by its newline, its checksum right."""
    if not _TAIL < len(line) <= LIMIT:
        return False
    return line[-_TAIL:] == b',"crc":"%08x"}\n' % crc32c(line[:-_TAIL])


def decode(line: bytes, beside: Beside = nothing_beside) -> Record:
    """The record of a line.

    Args:
        line: With its newline.
        beside: Gives the bytes that were kept beside the log, from their digest and size.

    Raises:
        LogError: The line is damaged, of a newer version, or says what no record says.
    """
    if not intact(line):
        raise LogError("a record is damaged")
    try:
        document = orjson.loads(line)
        _check_version(document)
        fields = document
        if b'{"beside":[' in line:
            fields = {name: _fetch(each, beside) for name, each in document.items()}
        return Record(
            body.whole(fields["seq"]),
            dt.datetime.fromisoformat(fields["at"]),
            untext(fields["prev"]),
            body.read(fields["kind"], fields),
        )
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"a record says what none can: {type(error).__name__}: {str(error)[:200]}") from error


def place_of(line: bytes) -> tuple[int, str]:
    """The number of an intact line, and what it names as `prev`, without reading what it says.

    Raises:
        LogError: It is of a newer version, or has no place.
    """
    if (found := _PLACE.match(line)) is not None:
        return int(found[1]), found[2].decode()
    document = orjson.loads(line)
    _check_version(document)
    seq, prev = document.get("seq"), document.get("prev")
    if type(seq) is not int or type(prev) is not str:
        raise LogError("a record has no place")
    return seq, prev


def _check_version(document: Any) -> None:
    version = document.get("v")
    if version != VERSION:
        raise LogError(f"a record has version {version!r}, this is {VERSION}", remedy="use a newer kxflow")


def _fetch(value: Any, beside: Beside) -> Any:
    if not isinstance(value, dict) or value.keys() != {"beside"}:
        return value
    digest, size = value["beside"]
    data = beside(digest, size)
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        raise LogError(f"the value beside it, {digest}, is damaged")
    return orjson.loads(data)
