"""Each law of the interpreters in one worked example: small enough to be read, and to be checked by hand."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

from attrs import evolve

import kxflow as kx
from kxflow.values.action import Command

CLUSTER = kx.Cluster([kx.Host("db1", roles={"db"}), kx.Host("web1", roles={"web"}), kx.Host("web2", roles={"web"})])


def answer(host: kx.Host, command: Command[Any]) -> kx.Reply:
    """`fail` fails, `fail web1` on web1 only, `held` is done already; all else succeeds with its own text."""
    text = str(command)
    if text == "held":
        return kx.Reply(held=True)
    return kx.Reply(exit_code=int(text in ("fail", f"fail {host.name}")), stdout=text.encode())


def deploy(*steps: kx.Step[Any], policy: Any = None) -> kx.Pipeline:
    """A migration on the database, then steps on the web hosts."""
    migrate = kx.task("migrate", kx.command("migrate", "migrate"), on=kx.role("db"))
    serve = kx.task(
        "serve", *(steps or (kx.command("install", "install"), kx.command("start", "fail web1"))), on=kx.role("web")
    )
    return kx.pipeline("deploy", kx.module("all", migrate, serve), policy=kx.keep_going() if policy is None else policy)


def run(pipeline: kx.Pipeline, cluster: kx.Cluster = CLUSTER, **options: Any) -> kx.Report:
    """Its report, on hosts of memory."""
    return kx.report_of(kx.run(pipeline, cluster, connector=kx.MemoryConnector(answer), run_id="r", **options))


def timeless(report: kx.Report) -> list[kx.StepResult]:
    """Its results without their times."""
    then = dt.datetime.fromtimestamp(0, dt.UTC)
    return [
        evolve(
            each,
            started_at=then,
            ended_at=then,
            duration=0.0,
            attempts=tuple(evolve(one, started_at=then, ended_at=then, duration=0.0) for one in each.attempts),
        )
        for each in report
    ]


def lines(report: kx.Report) -> list[str]:
    """One line a result."""
    return [f"{each.task}/{each.step} {each.host} {each.status.name}" for each in report]


EXPECTED = [
    "migrate/migrate db1 Succeeded",
    "serve/install web1 Succeeded",
    "serve/install web2 Succeeded",
    "serve/start web1 Failed",
    "serve/start web2 Succeeded",
]


def test_law_1_stream_run_and_serial_say_the_same() -> None:
    """Folding the stream gives the report of the run, and that of the serial interpreter."""

    async def fold() -> kx.Report:
        stream = kx.stream(deploy(), CLUSTER, connector=kx.MemoryConnector(answer), run_id="r")
        return kx.fold([event async for event in stream])

    oracle = kx.report_of(kx.serial(deploy(), CLUSTER, connector=kx.MemoryConnector(answer), run_id="r"))
    assert lines(run(deploy())) == EXPECTED
    assert timeless(asyncio.run(fold())) == timeless(run(deploy())) == timeless(oracle)


def test_law_2_order_does_not_depend_on_timing() -> None:
    """web1 is the slowest of all, and its results stand where they stand."""

    async def main(name: str) -> kx.Report:
        opened = asyncio.Event()

        async def pause(host: kx.Host, command: Any) -> None:
            if host.name == name:
                await opened.wait()
            elif str(command).startswith("fail"):
                opened.set()

        connector = kx.MemoryConnector(answer, pause=pause)
        return kx.report_of(await kx.arun(deploy(), CLUSTER, connector=connector, run_id="r"))

    first, second = asyncio.run(main("web1")), asyncio.run(main("web2"))
    assert lines(first) == lines(second) == EXPECTED
    assert timeless(first) == timeless(second)


def test_law_3_every_step_on_every_selected_host_has_one_result() -> None:
    """One step on one host and three on two are seven, though one fails everywhere; a disabled module has none."""
    steps = [kx.command("a", "fail"), kx.command("b", "b"), kx.command("c", "c")]
    off = kx.module("off", kx.task("t", kx.command("x", "x")), when=lambda _: False)
    pipeline = kx.pipeline("p", *deploy(*steps).modules, off, policy=kx.keep_going())
    its = run(pipeline)
    assert len(its) == len({each.key for each in its}) == 1 + 2 * 3
    assert lines(its)[1:] == [
        "serve/a web1 Failed", "serve/a web2 Failed", "serve/b web1 NotRun", "serve/b web2 NotRun",
        "serve/c web1 NotRun", "serve/c web2 NotRun",
    ]  # fmt: skip


def test_law_4_spliced_steps_are_steps() -> None:
    """`steps(a, steps(b, c))` is `a, b, c`, and `steps()` is nothing."""
    a, b, c = (kx.command(name, name) for name in ("a", "b", "c"))
    flat = run(deploy(a, b, c))
    assert timeless(run(deploy(kx.steps(a, kx.steps(b, c))))) == timeless(flat)  # type: ignore[arg-type]  # splices stand for steps
    assert timeless(run(deploy(kx.steps(), a, kx.steps(), kx.steps(b, c)))) == timeless(flat)  # type: ignore[arg-type]  # as above


def test_law_4_a_task_is_its_first_steps_and_then_the_rest() -> None:
    """What `b` comes to is the same with `c` behind it; and `c` runs where `b` did not stop it."""
    b, c = kx.command("b", "fail web1"), kx.command("c", "c")
    short, long = timeless(run(deploy(b))), timeless(run(deploy(b, c)))
    assert short == long[: len(short)]
    assert lines(run(deploy(b, c)))[-2:] == ["serve/c web1 NotRun", "serve/c web2 Succeeded"]


def test_law_5_fused_steps_are_the_steps_one_by_one() -> None:
    """On a real shell: one program or three, the same records; a failure ends both at the same place."""
    here = kx.Cluster([kx.Host("here")], connect=kx.Local())
    steps = [kx.command("a", "echo a"), kx.command("b", "echo b >&2; exit 3"), kx.command("c", "echo c")]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    fused, single = (kx.report_of(kx.run(pipeline, here, fuse=fuse, run_id="r")) for fuse in (True, False))
    assert [each.status.name for each in fused] == ["Succeeded", "Failed", "NotRun"]
    assert timeless(fused) == timeless(single)


def test_law_5_where_a_connection_is_lost_fused_may_say_lost_for_not_run() -> None:
    """Lost in the middle of `b`: one by one, `c` was never sent; in one program it may have begun."""
    steps = [kx.command(name, name) for name in ("a", "b", "c")]
    hosts = kx.MemoryConnector(lambda host, command: None if str(command) == "b" else 0)
    here = kx.Cluster([kx.Host("here")])
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    fused, single = (kx.report_of(kx.run(pipeline, here, connector=hosts, fuse=fuse)) for fuse in (True, False))
    assert [each.status.name for each in fused] == ["Succeeded", "Lost", "Lost"]
    assert [each.status.name for each in single] == ["Succeeded", "Lost", "NotRun"]


def test_law_6_a_check_that_holds_starts_nothing(tmp_path: Path) -> None:
    """Asked whether the file is there: the first time no, then yes; and made once."""
    here = kx.Cluster([kx.Host("here")], connect=kx.Local())
    make = kx.command("make", "touch made; echo made", check="test -e made", cwd=tmp_path)
    its = kx.report_of(kx.run(kx.pipeline("p", kx.module("m", kx.task("t", make, make.named("again")))), here))
    assert [(each.status.name, str(each.stdout)) for each in its] == [
        ("Succeeded", "made\n"), ("Skipped", "")
    ]  # fmt: skip


def test_law_7_a_stop_is_obeyed() -> None:
    """One host at a time: web1 fails, so web2 does not begin; the host that failed goes no further."""
    its = run(deploy(policy=kx.fail_fast()), concurrency=1)
    assert lines(its) == [
        "migrate/migrate db1 Succeeded", "serve/install web1 Succeeded", "serve/install web2 NotRun",
        "serve/start web1 Failed", "serve/start web2 NotRun",
    ]  # fmt: skip
    assert its["install", "web2"].reason == "stopped: all/serve: 1 of 2 hosts failed, allowed are 0"


def test_law_8_tolerance_changes_what_follows_and_the_flag() -> None:
    """The record of the failing step is the same but for `tolerated`; the step behind it runs."""
    bad, after = kx.command("bad", "fail"), kx.command("after", "after")
    strict, easy = run(deploy(bad, after)), run(deploy(bad.ignore_errors(), after))
    one, other = timeless(strict)[1], timeless(easy)[1]
    assert (one.tolerated, other.tolerated) == (False, True)
    assert evolve(other, tolerated=False) == one
    assert [each.status.name for each in strict if each.step == "after"] == ["NotRun", "NotRun"]
    assert [each.status.name for each in easy if each.step == "after"] == ["Succeeded", "Succeeded"]


def test_law_8_a_rescue_changes_what_follows_and_the_flag() -> None:
    """The record of the failing step is the same but for `tolerated`; it is mended, and the step behind it runs."""
    bad, after = kx.command("bad", "fail web1"), kx.command("after", "after")
    strict, easy = run(deploy(bad, after)), run(deploy(bad.rescue(kx.command("mend", "mend")), after))
    one, other = timeless(strict)[1], timeless(easy)[1]
    assert evolve(other, tolerated=False) == one
    assert lines(easy)[1:] == [
        "serve/bad web1 Failed", "serve/bad web2 Succeeded", "serve/mend web1 Succeeded", "serve/mend web2 Skipped",
        "serve/after web1 Succeeded", "serve/after web2 Succeeded",
    ]  # fmt: skip


def test_law_13_reports_of_parts_of_the_hosts_add_up() -> None:
    """The database here, the web hosts there: added in either order they are the whole."""
    migrate, serve = (evolve(each, allow_empty=True) for each in deploy().modules[0].tasks)
    pipeline = kx.pipeline("deploy", kx.module("all", migrate, serve), policy=kx.keep_going())
    parts = [run(pipeline, CLUSTER.only(kx.role(name))) for name in ("db", "web")]
    assert [len(each) for each in parts] == [1, 4]
    whole = timeless(run(pipeline))
    assert timeless(parts[0] + parts[1]) == timeless(parts[1] + parts[0]) == whole
