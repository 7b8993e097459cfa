"""What each kind of record adds to its line, and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from kxflow.journal.record import Body, LogRepaired, StepSent
from kxflow.journal.tags import number, octets, pack, text, unnumber, unpack, unpack_octets, untext
from kxflow.values.event import RunBegan, RunEnded, StepEnded, TaskShape
from kxflow.values.fault import Fault
from kxflow.values.output import HEAD, Output
from kxflow.values.result import Attempt, Change, Position, Status, StepResult

Fields: TypeAlias = Mapping[str, Any]

_STATUS: Final = {each.value: each for each in Status}
_EMPTY: Final = Output()


def fields(body: Body) -> tuple[str, dict[str, Any]]:
    """Kind of a record and what it adds to its line; every text and number in it is safe in JSON."""
    if isinstance(body, StepEnded):
        return "step.end", _result(body.result)
    if isinstance(body, StepSent):
        return "step.sent", _sent(body)
    if isinstance(body, RunBegan):
        return "run.begin", _began(body)
    if isinstance(body, RunEnded):
        return "run.end", _ended(body)
    return "log.repaired", _repaired(body)


def read(kind: str, line: Fields) -> Body:
    """What `fields` was given.

    Raises:
        ValueError, TypeError, LookupError: It says what no record of this kind says.
    """
    return _READ[kind](line)


def _result(result: StepResult) -> dict[str, Any]:
    return {
        "run": text(result.run),
        "pipeline": text(result.pipeline),
        "module": text(result.module),
        "task": text(result.task),
        "step": text(result.step),
        "host": text(result.host),
        "position": list(result.position),
        "status": result.status._value_,
        "reason": text(result.reason),
        "exit_code": None if result.exit_code is None else number(result.exit_code),
        "signal": None if result.signal is None else text(result.signal),
        "stdout": _output(result.stdout),
        "stderr": _output(result.stderr),
        "error": None if result.error is None else _fault(result.error),
        "value": pack(result.value),
        "change": None if result.change is None else _change(result.change),
        "attempts": [_attempt(each) for each in result.attempts],
        "started_at": when(result.started_at),
        "ended_at": when(result.ended_at),
        "duration": number(result.duration),
        "digest": text(result.digest),
        "tolerated": result.tolerated,
    }


def _read_result(line: Fields) -> StepEnded:
    return StepEnded(
        StepResult(
            run=untext(line["run"]),
            pipeline=untext(line["pipeline"]),
            module=untext(line["module"]),
            task=untext(line["task"]),
            step=untext(line["step"]),
            host=untext(line["host"]),
            position=_position(line["position"]),
            status=_STATUS[line["status"]],
            reason=untext(line["reason"]),
            exit_code=_optional(unnumber, line["exit_code"]),
            signal=_optional(untext, line["signal"]),
            stdout=_read_output(line["stdout"]),
            stderr=_read_output(line["stderr"]),
            error=_optional(_read_fault, line["error"]),
            value=unpack(line["value"]),
            change=_optional(_read_change, line["change"]),
            attempts=tuple(map(_read_attempt, line["attempts"])),
            started_at=_time(line["started_at"]),
            ended_at=_time(line["ended_at"]),
            duration=unnumber(line["duration"]),
            digest=untext(line["digest"]),
            tolerated=_boolean(line["tolerated"]),
        )
    )


def _output(output: Output) -> dict[str, Any] | None:
    """An output: null where nothing came; `data` where all was kept, else `head` and `tail`.

    Head and tail of what was kept whole are one text here: the border between them may cut a character.
    """
    if not output.head and output == _EMPTY:
        return None
    named: dict[str, Any] = {"size": number(output.size), "sha256": text(output.sha256)}
    if not output.complete:
        return {"head": octets(output.head), "tail": octets(output.tail), **named}
    data = output.head + output.tail
    if len(output.head) != min(len(data), HEAD):
        named["split"] = len(output.head)
    return {"data": octets(data), **named}


def _read_output(value: Fields | None) -> Output:
    if value is None:
        return _EMPTY
    size, sha256 = unnumber(value["size"]), untext(value["sha256"])
    if "data" not in value:
        return Output(unpack_octets(value["head"]), unpack_octets(value["tail"]), size, sha256)
    data = unpack_octets(value["data"])
    split = whole(value.get("split", HEAD))
    return Output(data[:split], data[split:], size, sha256)


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "code": text(fault.code),
        "what": text(fault.what),
        "where": text(fault.where),
        "remedy": text(fault.remedy),
    }


def _read_fault(value: Fields) -> Fault:
    return Fault(*(untext(value[name]) for name in ("code", "what", "where", "remedy")))


def _change(change: Change) -> dict[str, Any]:
    return {"before": text(change.before), "after": text(change.after), "diff": text(change.diff)}


def _read_change(value: Fields) -> Change:
    return Change(*(untext(value[name]) for name in ("before", "after", "diff")))


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "status": attempt.status._value_,
        "exit_code": None if attempt.exit_code is None else number(attempt.exit_code),
        "started_at": when(attempt.started_at),
        "ended_at": when(attempt.ended_at),
        "duration": number(attempt.duration),
    }


def _read_attempt(value: Fields) -> Attempt:
    return Attempt(
        _STATUS[value["status"]],
        _optional(unnumber, value["exit_code"]),
        _time(value["started_at"]),
        _time(value["ended_at"]),
        unnumber(value["duration"]),
    )


def _sent(sent: StepSent) -> dict[str, Any]:
    return {
        "run": text(sent.run),
        "module": text(sent.module),
        "task": text(sent.task),
        "step": text(sent.step),
        "host": text(sent.host),
        "position": list(sent.position),
        "digest": text(sent.digest),
        "attempt": sent.attempt,
    }


def _read_sent(line: Fields) -> StepSent:
    return StepSent(
        run=untext(line["run"]),
        module=untext(line["module"]),
        task=untext(line["task"]),
        step=untext(line["step"]),
        host=untext(line["host"]),
        position=_position(line["position"]),
        digest=untext(line["digest"]),
        attempt=whole(line["attempt"]),
    )


def _began(event: RunBegan) -> dict[str, Any]:
    return {
        "run": text(event.run),
        "pipeline": text(event.pipeline),
        "began_at": when(event.at),
        "fingerprint": text(event.fingerprint),
        "hosts": [text(host) for host in event.hosts],
        "shape": [
            {
                "module": text(each.module),
                "task": text(each.task),
                "hosts": [text(host) for host in each.hosts],
                "steps": each.steps,
            }
            for each in event.shape
        ],
    }


def _read_began(line: Fields) -> RunBegan:
    return RunBegan(
        run=untext(line["run"]),
        pipeline=untext(line["pipeline"]),
        at=_time(line["began_at"]),
        fingerprint=untext(line["fingerprint"]),
        hosts=tuple(map(untext, line["hosts"])),
        shape=tuple(map(_read_task, line["shape"])),
    )


def _read_task(value: Fields) -> TaskShape:
    hosts = tuple(map(untext, value["hosts"]))
    return TaskShape(untext(value["module"]), untext(value["task"]), hosts, whole(value["steps"]))


def _ended(event: RunEnded) -> dict[str, Any]:
    return {
        "run": text(event.run),
        "pipeline": text(event.pipeline),
        "ended_at": when(event.at),
        "faults": [_fault(each) for each in event.faults],
    }


def _read_ended(line: Fields) -> RunEnded:
    return RunEnded(
        run=untext(line["run"]),
        pipeline=untext(line["pipeline"]),
        at=_time(line["ended_at"]),
        faults=tuple(map(_read_fault, line["faults"])),
    )


def _repaired(body: LogRepaired) -> dict[str, Any]:
    return {
        "run": text(body.run),
        "offset": body.offset,
        "size": body.size,
        "sha256": body.sha256,
        "saved": text(body.saved),
    }


def _read_repaired(line: Fields) -> LogRepaired:
    return LogRepaired(
        run=untext(line["run"]),
        offset=whole(line["offset"]),
        size=whole(line["size"]),
        sha256=untext(line["sha256"]),
        saved=untext(line["saved"]),
    )


def when(value: dt.datetime) -> dt.datetime | str:
    """A time field. UTC is left to orjson, four times as fast; it rounds other offsets to whole minutes."""
    return value if value.tzinfo is dt.UTC else value.isoformat()


def _optional(reader: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else reader(value)


def _time(value: str) -> dt.datetime:
    return dt.datetime.fromisoformat(value)


def whole(value: Any) -> int:
    """A count.

    Raises:
        TypeError: It is none.
    """
    if type(value) is not int:
        raise TypeError(f"no whole number: {value!r}")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"neither true nor false: {value!r}")
    return value


def _position(value: Any) -> Position:
    module, task, step, host = value
    return Position(whole(module), whole(task), whole(step), whole(host))


_READ: Final[Mapping[str, Callable[[Fields], Body]]] = {
    "run.begin": _read_began,
    "step.sent": _read_sent,
    "step.end": _read_result,
    "run.end": _read_ended,
    "log.repaired": _read_repaired,
}
