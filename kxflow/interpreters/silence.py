"""What a run knows of secrets, and how its records keep silent about them.

A run knows those that it sends to a host (in `env=`, `stdin=`, a password of `become`, `Ssh` and its jump hosts) and
those that steps produced, from then on. Bytes of hosts are masked where they come in, by the reader of the wire;
records once more as a whole, where a result is handed on: there are words of ours in them, and words that a host or a
user's function put there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import attrs
from attrs import evolve
from frozendict import frozendict

from kxflow.values.action import Command
from kxflow.values.fault import Fault
from kxflow.values.host import Become, Connect, Ssh
from kxflow.values.output import Output
from kxflow.values.redact import Redactor
from kxflow.values.result import ABSENT, Change, StepResult
from kxflow.values.secret import Secret

DEPTH: Final = 8


def of_connect(connect: Connect) -> Iterator[Secret]:
    """Secrets that reaching a host takes, those of the hosts on the way too."""
    yield from _of_become(connect.become)
    if isinstance(connect, Ssh):
        yield from (each for each in (connect.password, connect.passphrase) if each is not None)
        for hop in connect.jump:
            if hop.connect is not None:
                yield from of_connect(hop.connect)


def of_command(command: Command[Any]) -> Iterator[Secret]:
    """Secrets that a command carries."""
    yield from (each for each in command.env.values() if isinstance(each, Secret))
    if isinstance(command.stdin, Secret):
        yield command.stdin
    yield from _of_become(command.become)


def _of_become(become: Become | None) -> Iterator[Secret]:
    if become is not None and become.password is not None:
        yield become.password


def of_payload(value: object, depth: int = DEPTH) -> Iterator[Secret]:
    """Secrets in what a step produced: itself, in lists and mappings, in fields of attrs classes."""
    if isinstance(value, Secret):
        yield value
    elif value is ABSENT or depth <= 0 or isinstance(value, str | bytes | int | float | Output | None):
        return
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from of_payload(each, depth - 1)
    elif isinstance(value, list | tuple | AbstractSet):
        for each in value:
            yield from of_payload(each, depth - 1)
    elif attrs.has(kind := type(value)):
        for its in attrs.fields(kind):
            yield from of_payload(getattr(value, its.name), depth - 1)


def text(redactor: Redactor, said: str) -> str:
    """A text with every secret masked; undecodable bytes may stand in it as surrogate escapes."""
    if not said:
        return said
    try:
        data, odd = said.encode("utf-8", "surrogateescape"), "surrogateescape"
    except UnicodeEncodeError:
        data, odd = said.encode("utf-8", "backslashreplace"), "strict"
    clean = redactor.redact(data)
    return said if clean is data else clean.decode("utf-8", odd)


def data(redactor: Redactor, value: Any) -> Any:
    """The value of a record with every secret masked; numbers become text where their digits are one."""
    match value:
        case None | bool():
            return value
        case str():
            return text(redactor, value)
        case bytes():
            return redactor.redact(value)
        case int() if value.bit_length() > 10_000:  # Python refuses to write those in decimal; no secret is so long
            return value
        case int() | float():
            said = repr(value)
            return value if (clean := text(redactor, said)) is said else clean
        case Mapping():
            return frozendict({data(redactor, key): data(redactor, each) for key, each in value.items()})
        case tuple():
            return tuple([data(redactor, each) for each in value])
    return value


def output(redactor: Redactor, its: Output) -> Output:
    """An output with every secret masked in what was kept of it.

    Where bytes were dropped, the digest of them all would tell of a secret among those that were kept: it is left out.
    """
    if not its.size:
        return its
    if not its.complete:
        head, tail = redactor.redact(its.head), redactor.redact(its.tail)
        same = head is its.head and tail is its.tail
        return its if same else Output(head, tail, its.size, "")
    kept = its.head + its.tail
    clean = redactor.redact(kept)
    if clean is kept:
        return its
    border = len(its.head)
    return Output(clean[:border], clean[border:], its.size, hashlib.sha256(clean).hexdigest())


def fault(redactor: Redactor, its: Fault) -> Fault:
    """A fault with every secret masked."""
    return Fault(its.code, text(redactor, its.what), its.where, text(redactor, its.remedy))


def result(redactor: Redactor, its: StepResult) -> StepResult:
    """A result whose record holds no secret that is known by now, its own value among them; the payload stays whole."""
    redactor.learn(of_payload(its.payload))
    if not redactor.knows:
        return its
    clean: dict[str, Any] = {
        "reason": text(redactor, its.reason),
        "stdout": output(redactor, its.stdout),
        "stderr": output(redactor, its.stderr),
        "error": None if its.error is None else fault(redactor, its.error),
        "value": data(redactor, its.value),
        "change": None if its.change is None else _change(redactor, its.change),
    }
    changed = {name: each for name, each in clean.items() if each != getattr(its, name)}
    return evolve(its, **changed) if changed else its


def _change(redactor: Redactor, its: Change) -> Change:
    return Change(text(redactor, its.before), text(redactor, its.after), text(redactor, its.diff))
