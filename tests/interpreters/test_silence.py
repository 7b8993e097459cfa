"""Law of silence: no secret of eight bytes or more is whole in any record, event, log line or console line."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow import Secret
from kxflow.interpreters import silence
from kxflow.testing.plugin import need_program
from kxflow.values.output import HEAD
from kxflow.values.redact import Redactor
from kxflow.values.result import Change
from tests.interpreters.fleet import FLEET, answering, one_task
from tests.values.spellings import SPELLINGS, secrets, spoken

TOKEN = Secret("hunter2 & <hunter>'s")


@attrs.frozen
class Seen:
    """Everything that a run showed.

    Attributes:
        report: Its report.
        surfaces: What a reader of logs, of a console, and of events sees, by name.
    """

    report: kx.Report
    surfaces: dict[str, bytes]

    def holding(self, *known: Secret) -> list[str]:
        """Surfaces that hold one of these secrets, and how."""
        return [
            f"{name}: {how}" for name, text in self.surfaces.items() for each in known for how in spoken(each, text)
        ]


def watched(pipeline: kx.Pipeline, cluster: kx.Cluster = FLEET, **options: Any) -> Seen:
    """Run a pipeline and keep every surface."""
    lines = io.StringIO()
    events: list[kx.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "run.ndjson")
        journal = kx.ndjson(log, sync=False)
        sinks: list[kx.Sink | kx.Journal] = [journal, kx.console(file=lines, color=False, verbose=True), events.append]
        report = kx.report_of(kx.run(pipeline, cluster, sinks=sinks, output=True, **options))
        logged = b"\n".join(path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file())
    told = "\n".join(repr(each) for each in events)
    outputs = b"\n\n".join(part for each in events for part in outputs_of(each))
    rows = "\n".join(repr(each) for each in report.to_dicts())
    surfaces = {
        "log": logged,
        "console": lines.getvalue().encode(),
        "events": told.encode("utf-8", "backslashreplace"),
        "outputs": outputs,
        "report": (rows + report._repr_html_()).encode("utf-8", "backslashreplace"),
    }
    return Seen(report, surfaces)


def outputs_of(event: kx.Event) -> Iterator[bytes]:
    """The bytes of hosts in an event."""
    if isinstance(event, kx.OutputChunk):
        yield event.data
    elif isinstance(event, kx.StepEnded):
        its = event.result
        yield from (its.stdout.data, its.stderr.data, its.stdout.sha256.encode(), its.stderr.sha256.encode())
        yield repr(its.value).encode("utf-8", "backslashreplace")


# In memory: every way to a record


def echoing(secret: Secret, reply: kx.Reply) -> Seen:
    """A run that knows a secret, on hosts that give one reply to everything."""
    steps = (
        kx.command("learn", "true", stdin=secret),
        kx.command("plain", "p"),
        kx.command("value", "v", value="cat"),
        kx.command("parsed", "q", parse=lambda text: {"said": [text, {text: text.encode("utf-8", "surrogateescape")}]}),
        kx.command("raises", "q", parse=lambda text: int(text + "x")),
    )
    hosts = answering(dict.fromkeys(["p", "v", "q"], reply))
    return watched(one_task(*(each.ignore_errors() for each in steps)), connector=hosts)


@cache
def quiet() -> Seen:
    """The same where hosts say nothing of it."""
    return echoing(TOKEN, kx.Reply(stdout=b"said", stderr=b"said", value=b"said"))


def telling(secret: Secret) -> bool:
    """It does not stand in a log by chance: as a row of zeros in the digits of a time, as a word of the format."""
    return len(set(secret.raw)) > 5 and not quiet().holding(secret)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(secret=secrets().filter(telling), data=st.data())
def test_no_surface_holds_a_secret_that_hosts_echo(secret: Secret, data: st.DataObject) -> None:
    """Random secrets in random spellings on stdout, on stderr, in values, in parsed values, with any end."""
    spell = SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))]
    around = data.draw(st.text("ab \n", max_size=10)).encode()
    said = around + spell(secret.raw) + around
    code = data.draw(st.sampled_from([0, 3, 137]))
    seen = echoing(secret, kx.Reply(exit_code=code, stdout=said, stderr=said, value=said))
    assert seen.holding(secret) == []
    assert all(each.stdout.size == len(said) for each in seen.report if each.step == "plain")


def leaking() -> dict[str, kx.Step[Any]]:
    """Steps whose own code puts a secret where it does not belong."""

    def raising(ctx: kx.HostContext) -> kx.Action[Any]:
        raise ValueError(f"bad token {TOKEN.reveal()!r}")

    def asking(ctx: kx.HostContext) -> bool:
        raise ValueError(TOKEN.reveal())

    def there() -> None:
        raise OSError(f"login refused for {TOKEN.reveal()}")

    made: dict[str, Callable[[kx.HostContext], kx.Action[Any]]] = {
        "raises": raising,
        "raises on the controller": lambda _: kx.on_controller(there),
        "fails with it": lambda _: kx.fail(f"no use for {TOKEN.reveal()}"),
        "skips with it": lambda _: kx.skip(f"has {TOKEN.reveal()}"),
        "has it in a command": lambda _: kx.shell(f"login {TOKEN.reveal()}"),
        "gives it as a value": lambda _: kx.value({"tokens": [TOKEN.reveal()]}),
        "gives it wrapped": lambda _: kx.value((TOKEN, f"as {TOKEN.reveal()}")),
        "has it in when": lambda _: kx.cmd("true"),
    }
    steps = {name: kx.step(function).named(name) for name, function in made.items()}
    steps["has it in when"] = steps["has it in when"].when(asking)
    return steps


@pytest.mark.parametrize("name", leaking())
def test_no_fault_reason_or_value_holds_a_secret(name: str) -> None:
    """What a user's own function says of a secret that the run knows is masked in the record."""
    learn = kx.command("learn", "true", env={"TOKEN": TOKEN})
    hosts = answering({f"login {TOKEN.reveal()}": 3})
    seen = watched(one_task(learn, leaking()[name].ignore_errors()), connector=hosts)
    assert seen.holding(TOKEN) == []
    assert b"*" * len(TOKEN.raw) in seen.surfaces["events"]


def test_a_host_that_cannot_be_reached_says_no_secret() -> None:
    """Passwords of connections, of jump hosts and of users to become are known before anything is sent."""
    hop = kx.Host("hop", connect=kx.Ssh(password="hop-password", passphrase="hop-passphrase"))
    way = kx.Ssh(
        password="ssh-password", passphrase="ssh-passphrase", become=kx.Become(password="sudo-password"), jump=hop
    )
    known = ["hop-password", "hop-passphrase", "ssh-password", "ssh-passphrase", "sudo-password"]
    refuse = kx.MemoryConnector(refuse=lambda host: kx.Fault("auth", f"refused: {known}", host.name, f"not {known[0]}"))
    cluster = kx.Cluster([kx.Host("web1", connect=way)])
    seen = watched(one_task(kx.command("c", "true")), cluster, connector=refuse)
    assert seen.report.results[0].status is kx.Status.Unreachable
    assert seen.holding(*map(Secret, known)) == []


def test_the_password_of_a_command_is_known() -> None:
    """`become=` with a password, in an action as by a transform."""
    step = kx.command("c", "echo", become=kx.Become(password="first-password")).ignore_errors()
    other = kx.command("d", "echo").become(password="second-password")
    seen = watched(one_task(step, other), connector=answering({"echo": "first-password second-password"}))
    assert seen.holding(Secret("first-password"), Secret("second-password")) == []
    assert "**************" in str(seen.report.results[-1].stdout)


def test_a_secret_that_a_step_made_is_masked_from_then_on() -> None:
    """In its own record, though it was not declared sensitive, and in later ones; the value is passed on."""
    token = kx.command("token", "make", parse=Secret)
    given: list[Secret] = []

    @kx.step(token=kx.from_one(token, kx.host("db1")))
    def join(ctx: kx.HostContext, token: Secret) -> kx.Action[kx.Output]:
        given.append(token)
        return kx.cmd("join", env={"TOKEN": token})

    made = Secret("made-on-the-way")
    pipeline = kx.pipeline(
        "p", kx.module("m", kx.task("make", token, on=kx.role("db")), kx.task("join", join, kx.command("echo", "echo")))
    )
    said = "made-on-the-way / bWFkZS1vbi10aGUtd2F5"
    seen = watched(pipeline, connector=answering({"make": "made-on-the-way", "join": said, "echo": said}))
    assert seen.holding(made) == []
    assert set(given) == {made}
    own = seen.report["make/token", "db1"]
    assert (str(own.stdout), own.value) == ("*" * 15, "Secret(***)")
    assert seen.report["join/echo", "web3"].stdout == kx.Output.of(b"*" * 15 + b" / " + b"*" * 20)


def test_a_plain_output_is_passed_on_whole() -> None:
    """A later step gets what the host wrote, not what the record shows."""
    show = kx.command("show", "show", env={"TOKEN": TOKEN})
    parsed = kx.command("parsed", "show", env={"TOKEN": TOKEN}, parse=str)
    given: list[str] = []

    @kx.step(output=kx.from_here(show), text=kx.from_here(parsed))
    def use(ctx: kx.HostContext, output: kx.Output, text: str) -> kx.Action[kx.Output]:
        given.extend((str(output), text))
        return kx.cmd("true")

    seen = watched(one_task(show, parsed, use), connector=answering({"show": TOKEN.reveal()}))
    assert seen.holding(TOKEN) == []
    assert set(given) == {TOKEN.reveal()}


def test_what_is_cut_off_leaves_no_beginning_of_a_secret() -> None:
    """Bytes are masked before head and tail are cut: a secret on the border does not leave most of itself."""
    said = b"." * (HEAD - len(TOKEN.raw) + 1) + TOKEN.raw + b"." * 100_000
    step = kx.command("c", "echo", env={"TOKEN": TOKEN})
    reply = kx.Reply(stdout=said, stderr=said)
    (result, *_) = watched(one_task(step), connector=answering({"echo": reply})).report
    for output in (result.stdout, result.stderr):
        assert output == kx.Output.of(said.replace(TOKEN.raw, b"*" * len(TOKEN.raw)))


def test_serial_is_as_silent_as_run() -> None:
    """The two interpreters mask the same, and learn the same."""
    token = kx.command("token", "make", parse=Secret)
    steps = (token, kx.command("learn", "echo", stdin=TOKEN), kx.command("raises", "echo", parse=int).ignore_errors())
    hosts = answering({"make": "made-on-the-way", "echo": f"made-on-the-way {TOKEN.reveal()}"})
    pipeline = one_task(*steps, leaking()["fails with it"])
    run, serial = (
        [(each.key, each.stdout, each.value, each.reason, each.error) for each in kx.report_of(outcome)]
        for outcome in (
            kx.run(pipeline, FLEET, connector=hosts),
            kx.serial(pipeline, FLEET, connector=hosts),
        )
    )
    assert run == serial
    assert not spoken(TOKEN, repr(serial).encode())


def test_short_secrets_are_not_masked() -> None:
    """Seven bytes stay: a mask in the middle of words would tell more than it hides."""
    step = kx.command("c", "echo", env={"PIN": Secret("1234567")})
    seen = watched(one_task(step), connector=answering({"echo": "PIN 1234567"}))
    assert {str(each.stdout) for each in seen.report} == {"PIN 1234567"}


def test_a_sensitive_step_keeps_nothing_all_the_same() -> None:
    """Masking replaces no `sensitive=`."""
    step = kx.command("c", "echo", env={"TOKEN": TOKEN}, sensitive=True)
    (result, *_) = watched(one_task(step), connector=answering({"echo": TOKEN.reveal()})).report
    assert (result.stdout.data, result.stdout.size, result.stdout.sha256) == (
        b"\n[\xe2\x80\xa6 20 bytes not kept \xe2\x80\xa6]\n",
        20,
        "",
    )


# Records, one by one


def test_an_output_that_was_cut_loses_its_digest_where_it_told_of_a_secret() -> None:
    """A secret that was learned afterwards is masked in what was kept; the digest of all bytes is left out then."""
    long = kx.Output.of(TOKEN.raw + b"." * 100_000)
    redactor = Redactor([TOKEN])
    clean = silence.output(redactor, long)
    assert clean == kx.Output(b"*" * len(TOKEN.raw) + long.head[len(TOKEN.raw) :], long.tail, long.size, "")
    assert silence.output(redactor, kx.Output.of(b"." * 100_000)) == kx.Output.of(b"." * 100_000)


def test_a_result_without_secrets_is_the_result_itself() -> None:
    """Nothing is copied where nothing is masked."""
    (result, *_) = kx.report_of(kx.run(one_task(kx.command("c", "echo")), FLEET, connector=answering({})))
    assert silence.result(Redactor(), result) is result
    assert silence.result(Redactor([TOKEN]), result) is result


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("pin 12345678", "pin ********"),
        (12345678, "********"),
        (0.12345678, "0.********"),
        (b"12345678", b"********"),
        (("12345678", (None, True, 7)), ("********", (None, True, 7))),
        ("\udcff12345678", "\udcff********"),
        ("\ud80012345678", "\\ud800********"),
        (10**5000, 10**5000),
        (1.5, 1.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_every_kind_are_masked(value: object, clean: object) -> None:
    """Text, bytes and numbers, wherever they stand."""
    assert silence.data(Redactor([Secret("12345678")]), value) == clean


def test_a_change_is_masked() -> None:
    """What a file held before and after."""
    (result, *_) = kx.report_of(kx.run(one_task(kx.command("c", "echo")), FLEET, connector=answering({})))
    told = f"password={TOKEN.reveal()}"
    changed = evolve(result, change=Change(told, told, f"-{told}\n+{told}"))
    assert not spoken(TOKEN, repr(silence.result(Redactor([TOKEN]), changed)).encode())


def test_secrets_in_structures_are_found() -> None:
    """A step may produce several: in lists, in mappings, in values with fields."""

    @attrs.frozen
    class Keys:
        public: str
        private: Secret

    one, two, three = Secret("secret-one"), Secret("secret-two"), Secret("secret-three")
    value = {"a": [one, ("x", {two})], "b": Keys("p", three), "c": 1, "d": None}
    assert set(silence.of_payload(value)) == {one, two, three}


# On a real shell

SHOUTING = r"""
printf '%s\n' "$TOKEN"; cat
printf %s "$TOKEN" | base64; printf 'x%s' "$TOKEN" | base64; printf 'xy%sz' "$TOKEN" | base64 -w 0
printf %s "$TOKEN" | od -An -tx1 | tr -d ' \n'
env | grep TOKEN; export -p | grep TOKEN; set -x; : "$TOKEN"; set +x
bash -c 'printf "%q\n" "$TOKEN"; declare -p TOKEN; set -x; : "$TOKEN"'
python3 -c 'import json, os, urllib.parse as u; t = os.environ["TOKEN"]; print(json.dumps(t), u.quote(t), [t])'
"$TOKEN"; cd "/$TOKEN"; eval "$TOKEN ("
"""


def test_real_shells_can_shout_a_secret_and_nothing_shows_it() -> None:
    """On a real shell: every tool at hand writes it, in its own spelling, on both streams; live output too."""
    for name in ("bash", "base64", "od"):
        need_program(name)
    fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
    for token in (TOKEN, Secret("$tr`ange\\ \"quotes\" 'and' %41/é*€\n2nd line"), Secret("0123456789abcdef" * 20)):
        step = kx.command(
            "shout", SHOUTING, env={"TOKEN": token}, stdin=Secret(token.reveal() + "!"), ok_codes=range(256)
        )
        seen = watched(one_task(step), fleet)
        (result,) = seen.report
        assert result.status is kx.Status.Succeeded
        assert seen.holding(token) == []
        for text in (result.stdout.data, seen.surfaces["outputs"]):
            assert len(re.findall(rb"([*#])\1{7,}", text)) > 8
