"""From what the wire saw to what a result says."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from attrs import evolve, frozen

from kxflow.interpreters.converse import Over
from kxflow.shell import frames
from kxflow.values.action import Command, Probe
from kxflow.values.fault import Fault, Raised, attempt, words_of
from kxflow.values.output import Output
from kxflow.values.result import ABSENT, Change, Performed, Status
from kxflow.values.state import Ensured, State, change, found, predicted, read, state, to_record

NO_OUTPUT: Final = Output()
_REMEDIES: Final = {
    "become_password": "give a password: become=Become(user, password=…)",
    "become_denied": "check the password, and what sudoers allows this login",
    "become_missing": "install the program that method= names (sudo, doas or su), or choose another",
    "become_tty": "the host wants a terminal for it: take requiretty away",
    "become_timeout": "the host asks for something that nobody answers",
    "timed_out": "raise timeout=",
    "output_limit": "send the output to a file on the host",
    "cwd": "create the folder in an earlier step",
    "into": "what was here before is still here",
    "verify_failed": "look at what the step did; `verify=False` takes its word for it",
}
_HOWS: Final = {"into": "into", "probe_failed": "probe", "verify_failed": "verify"}
_CODES: Final = {"cancel": "cancelled"}


@frozen
class Span:
    """When something ran, by the controller's clocks."""

    started_at: dt.datetime
    ended_at: dt.datetime
    duration: float


NO_SPAN: Final = Span(dt.datetime.fromtimestamp(0, dt.UTC), dt.datetime.fromtimestamp(0, dt.UTC), 0.0)


def joined(outputs: Sequence[Output]) -> Output:
    """Several outputs as one; where bytes were dropped, the digest is that of the parts' digests."""
    if len(outputs) == 1:
        return outputs[0]
    whole = Output.of(b"".join(each.data for each in outputs))
    if all(each.complete for each in outputs):
        return whole
    marks = hashlib.sha256(" ".join(each.sha256 for each in outputs).encode()).hexdigest()
    return evolve(whole, size=sum(each.size for each in outputs), sha256=marks)


def withheld(output: Output) -> Output:
    """What a sensitive step's record keeps of an output: its size."""
    return Output(b"", b"", output.size, "")


def of_ended(command: Command[Any], ended: frames.Ended, span: Span, where: str) -> Performed:
    """What one command came to whose end was received."""
    status, reason, fault, payload = _judge(command, ended, where)
    if command.probe is not None and status.ok:  # also where it was there already: later steps may want to know
        payload = seen(command.probe, ended)
    hide = withheld if command.sensitive else _same
    return Performed(
        status=status,
        reason=reason,
        exit_code=ended.exit_code,
        signal=ended.signal,
        stdout=hide(ended.stdout),
        stderr=hide(ended.stderr),
        error=fault,
        payload=payload,
        has_value=command.gives_value and payload is not ABSENT,
        change=None if command.sensitive else _change(payload) or _found(command, ended, status),
        sensitive=command.sensitive,
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def _same(output: Output) -> Output:
    return output


def seen(probe: Probe, ended: frames.Ended) -> Ensured:
    """The states before and after, with their content where it is known."""
    after = predicted(read(probe.wanted), probe.content)
    if ended.how == "held":
        before: State | None = after
    else:
        before = None if ended.before is None else found(ended.before, ended.detail)
    tell = getattr(probe.resource, "told", None)
    return Ensured(before, after) if tell is None else tell(before, after)


def _found(command: Command[Any], ended: frames.Ended, status: Status) -> Change | None:
    """What a failed one tells: the state before, that it may be brought back."""
    probe = command.probe
    if probe is None or status is not Status.Failed or ended.how not in ("ran", "verify_failed"):
        return None
    before = seen(probe, ended).before
    return None if before is None else Change(to_record(before), "" if ended.after is None else _text(ended.after))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _change(payload: Any) -> Change | None:
    """What a record tells of it; nothing where nothing was changed."""
    if not isinstance(payload, Ensured) or payload.before is None or not payload.changed:
        return None
    return change(payload.before, payload.after)


def _judge(command: Command[Any], ended: frames.Ended, where: str) -> tuple[Status, str, Fault | None, Any]:
    if ended.how == "ran" and ended.exit_code not in command.ok_codes:
        if command.tells and not command.sensitive and (words := str(ended.stderr).strip().splitlines()):
            said = "; ".join(_short(each, 300) for each in words[-2:])
            return _failed("exit", f"{said} (exit status {ended.exit_code})", where)
        what = "the command" if command.sensitive else f"`{_short(str(command))}`"
        if ended.signal is not None:
            return _failed("signal", f"{what} was ended by signal {ended.signal}", where)
        return _failed("exit", f"{what} ended with exit status {ended.exit_code}", where)
    if ended.how == "unchanged":
        return Status.Skipped, "unchanged", None, ABSENT
    if ended.how not in ("ran", "held"):
        return _not_run(command, ended, where)
    value = _value(command, ended, where)
    if isinstance(value, Fault):
        return Status.Failed, value.code, value, ABSENT
    if ended.how == "held":
        return Status.Skipped, "check", None, value
    return Status.Succeeded, "", None, value


def _not_run(command: Command[Any], ended: frames.Ended, where: str) -> tuple[Status, str, Fault | None, Any]:
    """It could not begin, or what was asked before or after it did not go well."""
    if ended.how == "check_failed":
        told = f"its check ended with exit status {ended.exit_code}, neither done nor undone"
        if command.tells and not command.sensitive and (words := str(ended.stderr).strip().splitlines()):
            return _failed("check", f"{_short(words[-1])} (exit status {ended.exit_code})", where)
        return _failed("check", told, where, "mend it, or name the statuses that mean undone: test(…, undone=(…))")
    if ended.how == "value_failed":
        return _failed("value", f"its value= command ended with exit status {ended.exit_code}", where)
    if ended.how == "mark":
        words = str(ended.stderr).strip().splitlines() or ["no words"]
        return _failed("mark", f"what is pending cannot be noted: {_short(words[-1])}", where)
    if ended.how in _HOWS:
        return _failed(_HOWS[ended.how], _not_as_wanted(command, ended), where, _REMEDIES.get(ended.how, ""))
    return _failed(ended.how, _escalation(command, ended), where, _REMEDIES.get(ended.how, ""))


def _not_as_wanted(command: Command[Any], ended: frames.Ended) -> str:
    if ended.how == "into":
        return str(ended.stderr)
    if ended.how == "probe_failed":
        words = str(ended.stderr).strip().splitlines()
        code = f"its probe ended with exit status {ended.exit_code}"
        return f"{_short(words[-1], 300)} ({code})" if words else f"its state cannot be seen: {code}"
    if command.sensitive or command.probe is None or ended.after is None:
        return "the wanted state did not come about"
    got, wanted = ended.after.decode("utf-8", "backslashreplace").split("\n"), command.probe.wanted.split("\n")
    missing = "; ".join(line for line in wanted if line not in got)
    there = "; ".join(line for line in got if line not in wanted)
    told = f"the wanted state did not come about: wanted {missing or 'nothing more'}, found {there or 'nothing'}"
    return _short(told, 400)


def _escalation(command: Command[Any], ended: frames.Ended) -> str:
    if ended.how == "cwd":
        return f"the folder {command.cwd!r} cannot be entered"
    words = str(ended.stderr).strip().splitlines()
    return f"it could not act as another user ({ended.how})" + (f": {_short(words[-1])}" if words else "")


def _failed(code: str, what: str, where: str, remedy: str = "") -> tuple[Status, str, Fault, Any]:
    return Status.Failed, code, Fault(code, what, where, remedy), ABSENT


def _short(text: str, most: int = 120) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= most else line[: most - 1] + "…"


def _value(command: Command[Any], ended: frames.Ended, where: str) -> Any:
    """The typed value, absent where there is none, or the fault that kept it from coming."""
    if not command.gives_value:
        whole = ended.stdout if ended.unmasked is None else ended.unmasked
        return whole if ended.how == "ran" else ABSENT
    if ended.value is None:
        return ABSENT
    if ended.overflow:
        told = f"its output is over {command.capture} bytes, which a value may not be"
        return Fault("output_too_large", told, where, "raise capture=, or let the host cut it down")
    if command.parse is None:
        return Output.of(ended.value)
    value = attempt(partial(command.parse, ended.value.decode("utf-8", "surrogateescape").rstrip("\n")))
    if not isinstance(value, Raised):
        return value
    detail = type(value.error).__name__ if command.sensitive else _short(words_of(value.error))
    return Fault("parse", f"parse= raised {detail}", where, "look at the output; mend parse=")


def of_over(over: Over, span: Span, where: str, *, sensitive: bool = False) -> Performed:
    """What the step in progress came to when its program did not end by itself."""
    status, fault = _end_without_frame(over, where)
    hide = withheld if sensitive else _same
    return Performed(
        status=status,
        reason=fault.code,
        stdout=hide(over.stdout),
        stderr=hide(over.stderr),
        error=fault,
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def _end_without_frame(over: Over, where: str) -> tuple[Status, Fault]:
    killed = over.killed
    if over.broken is not None:
        return Status.Failed, Fault("upload", over.broken, where, "make the step again; nothing was put in place")
    if killed is not None:
        return _killed(over.why or ("timed_out" if killed.why == "timeout" else "connection"), killed, where)
    if over.why is not None:
        told = "it was to be ended, and the host did not answer: its end is unknown"
        code = _CODES.get(over.why, over.why)
        return Status.Lost, Fault(code, told, where, "look at the host before you run it again")
    if not over.began and over.whole and over.exit is not None and over.exit.received:
        said = [line for stream in (over.stderr, over.stdout) for line in str(stream).strip().splitlines()[-2:]]
        words = f": {'; '.join(_short(each, 300) for each in said)}" if said else ""
        told = f"what should start a shell ended with {over.exit.code} before it ran anything{words}"
        return Status.Unreachable, Fault("no_exec", told, where, "the account, or the prefix, must be able to run sh")
    code = "connection" if over.began or over.exit is not None else "shell_start"
    told = "the connection was cut: its end is unknown" if code == "connection" else "the login shell did not answer"
    return Status.Lost, Fault(code, told, where, "look at the host before you run it again")


def _killed(why: str, killed: frames.Killed, where: str) -> tuple[Status, Fault]:
    told = {
        "timed_out": "its time was up and it was ended",
        "cancel": "it was ended by us",
        "become_timeout": "acting as another user took too long and was ended",
        "output_limit": "it wrote more than 1 GiB and was ended",
    }.get(why, "the connection was lost and the host ended it")
    code = _CODES.get(why, why)
    if not killed.confirmed:
        return Status.Lost, Fault(code, f"{told}; its death is not confirmed", where, "look at the host")
    if why == "cancel":
        return Status.Cancelled, Fault(code, told, where)
    if why == "connection":
        return Status.Lost, Fault(code, told, where)
    remedy = _REMEDIES.get(why, "")
    return Status.Failed, Fault(code, told, where, remedy)


def ended_here(why: str, span: Span, where: str, *, sure: bool) -> Performed:
    """What a function on the controller came to that was ended; a thread can only be waited for no more."""
    late, code = why == "timed_out", _CODES.get(why, why)
    if sure:
        told = "its time was up and it was ended" if late else "it was ended by us"
        fault = Fault(code, told, where, _REMEDIES.get(why, ""))
    else:
        told = f"{'its time was up' if late else 'it was to be ended'}, and a thread cannot be: its end is unknown"
        fault = Fault(code, told, where, "make the function async: then it can be ended")
    status = Status.Failed if late else Status.Cancelled
    return Performed(
        status=status if sure else Status.Lost,
        reason=code,
        error=fault,
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def cancelled(stopped: Performed, where: str) -> Performed:
    """What a step came to that was ended by us between two of its parts: none of them is in progress."""
    fault = Fault("cancelled", "it was ended by us", where)
    return evolve(stopped, status=Status.Cancelled, reason=fault.code, error=fault)


def unreachable(fault: Fault, span: Span) -> Performed:
    """What a step came to whose host could not be reached: nothing began."""
    return Performed(
        status=Status.Unreachable,
        reason=fault.code,
        error=fault,
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def back(before: str, after: str, span: Span) -> Performed:
    """What a restart came to: the host is back."""
    was, now = state({"boot_id": before}), state({"boot_id": after})
    return Performed(
        status=Status.Succeeded,
        payload=None,
        change=change(was, now),
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def not_back(last: Performed, span: Span, where: str, *, late: bool) -> Performed:
    """What a restart came to that was not seen to its end: Failed where the host never went away."""
    within = f"within {span.duration:.0f} s" if late else "before it was no longer waited for"
    if last.status is Status.Succeeded and late:
        status, told = Status.Failed, f"it did not restart {within}: it is there, and its boot id is the same"
    else:
        status, told = Status.Lost, f"it did not come back {within}" + (f": {last.error.what}" if last.error else "")
    code = "reboot" if late else "cancel"
    return Performed(
        status=status,
        reason=code,
        error=Fault(code, told, where, "look at its console; raise timeout="),
        started_at=span.started_at,
        ended_at=span.ended_at,
        duration=span.duration,
    )


def merged(parts: Sequence[Performed]) -> Performed:
    """The one record of several parts that ran one after the other, the last of them decisive."""
    last = parts[-1]
    if len(parts) == 1:
        return last
    status = last.status
    if status is Status.Skipped and any(each.status is Status.Succeeded for each in parts):
        status = Status.Succeeded
    return evolve(
        last,
        status=status,
        reason="" if status is Status.Succeeded else last.reason,
        stdout=joined([each.stdout for each in parts]),
        stderr=joined([each.stderr for each in parts]),
        payload=last.payload,
        sensitive=any(each.sensitive for each in parts),
        started_at=parts[0].started_at,
        duration=sum(each.duration for each in parts),
    )
