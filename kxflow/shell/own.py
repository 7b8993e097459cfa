"""The process that is a step's own: what it is given, what it runs, and what is not heard of its end."""

from __future__ import annotations

import re
from typing import Any, Final

from kxflow.shell.quote import escaped, quote
from kxflow.values.action import Command

# Characters of a part of a text that goes through the environment; one is up to four bytes.
_PART: Final = 30_000


def uses(command: Command[Any]) -> int:
    """Processes that it may take: its check or probe, its run, its value."""
    return 1 + command.asks_first + (command.value is not None)


def exports(command: Command[Any]) -> bytes:
    """Its environment."""
    words = [
        name.encode() + b"=" + quote(value if isinstance(value, str) else value.raw)
        for name, value in command.env.items()
    ]
    return b"export " + b" ".join(words)


def evaluated(text: str | bytes) -> bytes:
    """Shell text as an argument: a mistake in it hurts nobody else, and is told with its own lines by most shells."""
    return b"eval " + quote(text + "\n" if isinstance(text, str) else text + b"\n")


def run(command: Command[Any]) -> bytes:
    """The process of its run."""
    data = command.stdin
    fed = b"kx_b %s|" % escaped(data if isinstance(data, bytes) else data.raw) if data else b""
    return _quiet(fed + _subshell(command, _program(command)))


def ask(command: Command[Any], text: str) -> bytes:
    """The process of its check or value, which has no stdin."""
    return _quiet(_subshell(command, _body(command, text)))


def _quiet(body: bytes) -> bytes:
    """What M says of it is not heard, and dash says it with its next word only; the step's stderr is fd 9 (`kx_in`)."""
    return b"{ %s;kx_e $?;} 9>&2 2>/dev/null" % body


# The process of a probe.
PROBE: Final = _quiet(b"kx_was=$(kx_ask)")


def _subshell(command: Command[Any], body: bytes) -> bytes:
    """Nothing of ours in it, its environment, no lease."""
    prologue = b"kx_in"
    if command.env:
        finds = "PATH" in command.env and (b"kx_ss" in body or b"kx_sh" in body)
        prologue += b";kx_sh=$(command -v sh) kx_ss=$(command -v setsid)" if finds else b""
        prologue += b";" + (exports(command) if uses(command) == 1 else b"kx_v")
    return b"(%s;%s)" % (prologue, body)


def _program(command: Command[Any]) -> bytes:
    apart = b'"${kx_ss:-setsid}" ' if command.detached else b""
    if command.argv is None:
        text = command.text or ""
        return _own_shell(text, apart) if apart else _body(command, text)
    return evaluated(b"exec " + apart + b" ".join(quote(word) for word in command.argv))


# The pid of a shell as text may ask for it. In a subshell that is the pid of M: who asks needs a shell of his own.
_PID: Final = re.compile(r"\$\$|\$\{#?\$")


def _body(command: Command[Any], text: str) -> bytes:
    """Text of a user's. What a resource runs is ours, knows words of ours, and does not ask for its pid."""
    return _own_shell(text) if command.probe is None and _PID.search(text) else evaluated(text)


def _own_shell(text: str, before: bytes = b"") -> bytes:
    """Text in a shell of its own, which finds it in its environment: arguments show to everyone.

    One string there may have 128 KiB. `kx_sh`: where PATH is to be another for the text.
    """
    parts = [quote(text[at : at + _PART]) for at in range(0, len(text), _PART)] or [b"''"]
    names = [b"kx_t%d" % number for number in range(len(parts))]
    given = b" ".join(b"%s=%s" % pair for pair in zip(names, parts, strict=True))
    every = b" ".join(names)
    whole = b"".join(b"$" + name for name in names)
    return b'%s;export %s;exec %s"${kx_sh:-sh}" -c \'eval "unset %s\n%s\n"\'' % (given, every, before, every, whole)
