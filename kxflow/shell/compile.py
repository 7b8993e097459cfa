"""From ops to the text of a program: one POSIX `sh` program, sent once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from attrs import evolve, frozen

from kxflow.shell import own
from kxflow.shell.library import LIBRARY, MARKS
from kxflow.shell.preamble import PREAMBLE
from kxflow.shell.program import Op, Program
from kxflow.shell.quote import quote
from kxflow.values.action import DEFAULT_TIMEOUT, Pending, Probe
from kxflow.values.host import Become

STOP: Final = b"stop\n"
KILL: Final = b"kill\n"

# Nested programs say by their exit status how they ended; sudo, su and doas pass it on.
# And 76: it ended, and what follows of its last group is left out; 74 and 75: it ended so while a stop was told.
NESTED_END, NESTED_HALT, NESTED_STOP = 77, 78, 79

# What the login shell sees, the same for every program: how one is read from stdin. First comes its length, which
# `read` takes byte by byte, and nothing of what follows; where none comes a password was tried. No sign in it means
# anything to another shell inside single quotes: no quote, newline, backslash or exclamation mark. It is read in one
# full block where dd can do that, else piece by piece; a large one in few, as a string that grows is copied each time.
# `echo x` guards trailing newlines, which a program has none of; LC_ALL=C makes ${#...} count bytes; `set +a` keeps it
# out of environments.
_LINE: Final = (
    "set +a;IFS= read -r kx_z||exit 0;kx_p=;kx_l=${LC_ALL-};kx_e=${LC_ALL+x};LC_ALL=C;"
    "[ $kx_z -gt 4194304 ]||kx_p=$(dd iflag=fullblock bs=$kx_z count=1 2>/dev/null);kx_z=$((kx_z-${#kx_p}));"
    'while [ $kx_z -gt 0 ];do kx_b="bs=$kx_z count=1";[ $kx_z -gt 4194304 ]&&kx_b="bs=4194304 count=1";'
    "kx_c=$(dd iflag=fullblock $kx_b 2>/dev/null||dd $kx_b 2>/dev/null;echo x);kx_c=${kx_c%x};"
    '[ "$kx_c" ]||exit 125;kx_p=$kx_p$kx_c;kx_z=$((kx_z-${#kx_c}));done;eval "$kx_p"'
)
# The shell's options are taken as `sh -c` has them, whatever SHELLOPTS in the environment of a bash says.
_OPENING: Final = (
    b'set +aefuvx;[ "${BASH_VERSION-}" ]&&set +o pipefail\n'
    b'if [ "$kx_e" ];then LC_ALL=$kx_l;else unset LC_ALL;fi;unset kx_p kx_b kx_c kx_z kx_l kx_e kx_n kx_pw\n'
)


# Another user's program leads a session of its own, so that its guard has to do with its own processes only: those
# around it are another user's. Whoever leads a process group already (under a terminal of sudo's, or by su) does so.
_APART: Final = (
    b"{ IFS= read -r kx_i </proc/self/stat; } 2>/dev/null;set -- ${kx_i##*\\) };"
    b'if [ "$3" ]&&[ "$3" != $$ ]&&command -v setsid >/dev/null 2>&1;then exec setsid sh -c %s;fi;set --\n%s\n'
)


def bootstrap(body: bytes, *, apart: bool = False) -> tuple[str, bytes]:
    """The constant line that a login shell sees, and what to write to its stdin.

    Args:
        body: The program.
        apart: It leads a session of its own.
    """
    told = _measured(body)
    return _LINE, _measured(_APART % (quote(_LINE), _LINE.encode())) + told if apart else told


def _measured(body: bytes) -> bytes:
    """As the line reads it."""
    text = body.rstrip(b"\n")
    return b"%d\n%b" % (len(text), text)


def compile(  # noqa: A001 -- the field's word; the builtin is not used here
    ops: Sequence[Op],
    *,
    nonce: str,
    connect_become: Become | None = None,
    verified: frozenset[Become] = frozenset(),
) -> Program:
    """The program of some ops.

    Args:
        ops: In order; indexes count from 0.
            One that takes an upload is the only one.
        nonce: 128 bits, hex, made anew for each program.
        connect_become: User to act as where a command names none.
        verified: Users of whom it is known on this connection that their password is asked for and right.
    """
    decided = tuple(op if op.command.become else _as(op, connect_become) for op in ops)
    own = [op for op in decided if op.command.become is None]
    line, data = bootstrap(_whole(_steps(decided, nonce, verified), nonce, (0, 0, 0), words=_words(own)))
    return Program(decided, ("sh", "-c", line), data, nonce)


def _as(op: Op, become: Become | None) -> Op:
    """Whoever the connection acts as is now known by name, for marks of what is pending too."""
    if become is None:
        return op
    pending = tuple(_by_name(each, become.user) for each in op.command.pending)
    return evolve(op, command=evolve(op.command, become=become, pending=pending))


def _by_name(pending: Pending, name: str) -> Pending:
    return evolve(pending, users=tuple(user or name for user in pending.users))


def _whole(
    steps: Iterable[bytes], nonce: str, codes: tuple[int, int, int], left: int | None = None, *, words: bytes
) -> bytes:
    """A program; `left`: the group of which more may follow behind it; `words`: of resources and marks."""
    own = b"kx_n=%s kx_c0=%d kx_c1=%d kx_c2=%d kx_cq=%s\n" % (
        nonce.encode(),
        *codes,
        b"" if left is None else b"%d" % left,
    )
    return _OPENING + own + PREAMBLE + b"\n" + words + b"\n".join(steps) + b"\nkx_done\n"


def _words(ops: Sequence[Op]) -> bytes:
    """Words that these ops need."""
    library = LIBRARY + b"\n" if any(op.command.probe is not None for op in ops) else b""
    return library + (MARKS + b"\n" if any(op.command.pending for op in ops) else b"")


@frozen
class _Run:
    """Neighbouring ops of one user.

    Attributes:
        later: The group whose further part the first of them is; None where a step begins with it.
    """

    become: Become | None
    ops: list[Op]
    later: int | None


def _runs(ops: Sequence[Op]) -> Iterable[_Run]:
    """Ops by user. Further parts of a step that began as another user are a run of their own: they may be left out."""
    before: int | None = None
    for become, neighbours in groupby(ops, key=lambda op: op.command.become):
        for group, parts in groupby(neighbours, key=lambda op: op.group if op.group == before else None):
            run = list(parts)
            yield _Run(become, run, group)
        before = run[-1].group


def _steps(ops: Sequence[Op], nonce: str, verified: frozenset[Become]) -> Iterable[bytes]:
    for run in _runs(ops):
        groups = [run.later, *(op.group for op in run.ops)]
        text = [_take(op) for op in run.ops if uploads(op)]
        text += [_op(op, later=op.group == before) for op, before in zip(run.ops, groups, strict=False)]
        if run.become is None:
            yield from text
        else:
            codes = (NESTED_END, NESTED_HALT, NESTED_STOP)
            nested = _whole(text, nonce, codes, run.ops[-1].group, words=_words(run.ops))
            yield _become(run, nested, run.become in verified)


def uploads(op: Op) -> bool:
    """It takes a file from the stream behind its program; only asked for, it does not."""
    command = op.command
    return command.upload is not None and command.probe is not None and not command.probe.dry


def _take(op: Op) -> bytes:
    """First of all: the file that comes behind the program."""
    upload = op.command.upload
    return b"" if upload is None else b"kx_take %d %d %s" % (op.index, upload.size, quote(upload.target))


def _become(run: _Run, nested: bytes, known: bool) -> bytes:
    """A nested program as another user."""
    become = run.become or Become()
    line, data = bootstrap(nested, apart=True)
    user = quote(become.user)
    inner = quote(line)
    secret = become.password
    give = b"" if secret is None else b"kx_pw=%s\n" % quote(secret.raw)
    match become.method:
        case "sudo":
            base = b" -H -u " + user + b" -- sh -c " + inner
            trial = b"sudo -n -k" + base
            act = b"if [ \"$kx_need\" ];then sudo -S -k -p ''%b;else sudo -n%b;fi" % (base, base)
        case "doas":
            trial = act = b"doas -n -u " + user + b" sh -c " + inner
        case "su":
            trial = act = b"su " + user + b" -c " + quote(b"sh -c " + inner)
    return b"""\
if kx_may %s;then
kx_ni=%d kx_ng=%d kx_nq=%s kx_nm=%s kx_ok=%s kx_nu=%s
%skx_np=%s
kx_try() { %s; }
kx_run() { %s; }
kx_become
unset kx_pw kx_np
fi""" % (
        b"" if run.later is None else b"%d" % run.later,
        run.ops[0].index,
        run.ops[-1].group,
        b"" if run.later is None else b"%d" % run.later,
        become.method.encode(),
        b"1" if known else b"",
        b"".join(b"%d" % op.command.upload.size for op in run.ops if op.command.upload is not None and uploads(op)),
        give,
        quote(data),
        trial,
        act,
    )


def _op(op: Op, *, later: bool) -> bytes:
    """One op; `later` parts of a step are left out when a part before them failed, and are not stopped."""
    command = op.command
    timeout = max(1, int(-(-(command.timeout or DEFAULT_TIMEOUT) // 1)))
    tick = min(60, max(1, timeout // 10))
    part = b" %d" % op.group if later else b""
    begin = b"kx_a %d %d %d %d%s" % (op.index, timeout, tick, timeout + 2, part)
    at_once = command.asks_first and command.cwd is None and not command.awaits
    body = (b"" if at_once else b"kx_flush\n") + _awaited(op, _in_folder(op, _asked(op)))
    alone = own.uses(command) == 1
    environment = b"" if alone or not command.env else b"kx_v(){ %s; }\n" % own.exports(command)
    forget = b"" if alone or not command.env else b"unset -f kx_v\n"
    return b"if %s;then\n%s%s\n%sfi" % (begin, environment, body, forget)


def _fail(op: Op) -> bytes:
    return b"kx_f %d %s" % (op.group, b"1" if op.go_on else b"''")


def _awaited(op: Op, inner: bytes) -> bytes:
    """Only where it is marked that something was changed."""
    awaits = op.command.awaits
    if not awaits:
        return inner
    asked = b"&&".join(b"kx_marked %s" % _mark(each) for each in awaits)
    return b"%s\ncase $? in\n0) %s;;\n1) kx_hold e %d unchanged 0;;\n*) kx_hold e %d mark 1;%s;;\nesac" % (
        asked,
        inner,
        op.index,
        op.index,
        _fail(op),
    )


def _mark(pending: Pending) -> bytes:
    users = b"".join(b" " + quote(user or "") for user in pending.users)
    return b"%s %s%s" % (quote(pending.mark), b"1" if pending.shared else b"''", users)


def _in_folder(op: Op, inner: bytes) -> bytes:
    folder = op.command.cwd
    if folder is None:
        return inner
    there = quote("./-" if folder == "-" else folder)
    return b"if %s;then\n%s\nkx_back;else kx_hold e %d cwd 1;%s;fi" % (
        own.evaluated(b"cd -- " + there),
        inner,
        op.index,
        _fail(op),
    )


def _asked(op: Op) -> bytes:
    """Check, then run; the value after either."""
    command = op.command
    if command.probe is not None:
        return _probed(op, command.probe)
    run = _run(op)
    check = command.check
    if check is None:
        return run
    undone = b"|".join(b"%d" % code for code in sorted(check.undone))
    return (
        b"kx_w p %d c\n%s\ncase $kx_r in\n0) %s;;\n%s) kx_w p %d r\n%s;;\n"
        b"*) kx_hold e %d check_failed $kx_r;%s;;\nesac"
        % (
            op.index,
            own.ask(command, check.text),
            _value(op, b"held", b"0"),
            undone,
            op.index,
            run,
            op.index,
            _fail(op),
        )
    )


def _probed(op: Op, probe: Probe) -> bytes:
    """Ask for the state; where it is another than wanted, bring it about and ask again.

    The state travels only where it is another: kx_want holds the wanted one, kx_was what was found.
    """
    command, index = op.command, op.index
    ask = b"kx_ask(){ kx_in;%s%s; }" % (b"kx_v;" if command.env else b"", own.evaluated(probe.text))
    detail = b"" if probe.detail is None else b"kx_w p %d d\n%s\n" % (index, own.ask(command, probe.detail))
    act = b"kx_hold e %d differs 0;%s" % (index, _fail(op)) if probe.dry else b"kx_w p %d r\n%s" % (index, _run(op))
    return (
        b'kx_w p %d c\n%s\nkx_want=%s\n%s\nif [ $kx_r != 0 ];then\nkx_p "$kx_was"\n'
        b"kx_hold e %d probe_failed $kx_r;%s\n"
        b'elif [ "$kx_was" = "$kx_want" ];then\n%s\nelse\nkx_p "$kx_was"\n%s%s\nfi\nunset -f kx_ask'
        % (
            index,
            ask,
            quote(probe.wanted),
            own.PROBE,
            index,
            _fail(op),
            _value(op, b"held", b"0"),
            detail,
            act,
        )
    )


def _verified(op: Op) -> bytes:
    """The end of an op that went well, if the wanted state came about."""
    probe = op.command.probe
    end = _value(op, b"ran", b"$kx_r")
    if probe is None or not probe.verify:
        return end
    return (
        b"kx_k=$kx_r;kx_w p %d a\n%s\n"
        b'if [ $kx_r = 0 ]&&[ "$kx_was" = "$kx_want" ];then kx_r=$kx_k;%s;'
        b'else kx_p "$kx_was";kx_hold e %d verify_failed $kx_r;%s;fi' % (op.index, own.PROBE, end, op.index, _fail(op))
    )


def _run(op: Op) -> bytes:
    command = op.command
    well = b"|".join(b"%d" % code for code in sorted(command.ok_codes))
    act = b"%s\ncase $kx_r in\n%s) %s;;\n*) kx_hold e %d ran $kx_r;%s;;\nesac" % (
        own.run(command),
        well,
        _verified(op),
        op.index,
        _fail(op),
    )
    sets = b"&&".join(b"kx_mark %s" % _mark(each) for each in command.pending if each.role == "sets")
    return b"if %s;then\n%s\nelse kx_hold e %d mark 1;%s;fi" % (sets, act, op.index, _fail(op)) if sets else act


def _value(op: Op, how: bytes, code: bytes) -> bytes:
    """The end of an op that went well: its value, where it has one."""
    clear = b"".join(b"kx_unmark %s;" % _mark(each) for each in op.command.pending if each.role == "clears")
    if op.command.value is None:
        return clear + b"kx_hold e %d %s %s" % (op.index, how, code)
    ask = own.ask(op.command, op.command.value)
    return (
        b"kx_k=%s;kx_w p %d v\n%s\ncase $kx_r in\n0) %skx_hold e %d %s $kx_k;;\n"
        b"*) kx_hold e %d value_failed $kx_r;%s;;\nesac"
        % (code, op.index, ask, clear, op.index, how, op.index, _fail(op))
    )
