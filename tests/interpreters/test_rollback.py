"""Taking back: completed steps in reverse order, on the hosts that the policy names, each undo a result."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.resources import file
from tests.interpreters.fleet import FLEET, answering, on_host
from tests.interpreters.world import timeless

HERE = kx.Cluster([kx.Host("a")], connect=kx.Local())


def undoable(name: str) -> kx.Step[Any]:
    """A command that tells how to take it back."""
    return kx.command(name, name, undo=f"undo {name}")


def ran(pipeline: kx.Pipeline, replies: dict[str, Any], **options: Any) -> kx.Report:
    """The report of a run in memory."""
    return kx.report_of(kx.run(pipeline, FLEET, connector=answering(replies), **options))


def undone(its: kx.Report) -> list[tuple[str, str, str]]:
    """Host, step and status of what was taken back, in canonical order."""
    return [(each.host, each.step, each.status.name) for each in its if each.module == "@undo"]


def two(scope: Any, **options: Any) -> kx.Pipeline:
    """Two tasks; the second fails where it is told to."""
    tasks = [kx.task("t", undoable("a"), undoable("b")), kx.task("u", undoable("c"), kx.command("boom", "boom"))]
    return kx.pipeline("p", kx.module("m", *tasks), on_failure=kx.rollback(scope), **options)


def test_host_takes_back_on_the_host_that_failed_in_reverse_order() -> None:
    """Others keep what they have; each undo has its own address."""
    said: list[str] = []
    lock = threading.Lock()

    def note(host: kx.Host, command: Any) -> kx.Reply:
        with lock:
            said.append(f"{host.name} {command}")
        return kx.Reply(exit_code=int(host.name == "web2" and str(command) == "boom"))

    pipeline = two("host", policy=kx.keep_going())
    its = kx.report_of(kx.run(pipeline, FLEET, connector=kx.MemoryConnector(note)))
    assert undone(its) == [
        ("web2", "boom", "Skipped"),  # it failed, and has no undo=
        ("web2", "c", "Succeeded"),
        ("web2", "b", "Succeeded"),
        ("web2", "a", "Succeeded"),
    ]
    assert [line for line in said if "undo" in line] == ["web2 undo c", "web2 undo b", "web2 undo a"]
    assert its["p/@undo/m/u/c", "web2"].ok
    assert not its.succeeded
    assert its.first_fault is not None
    assert its.first_fault.step == "boom"


def test_wave_takes_back_on_the_hosts_of_the_wave_that_failed() -> None:
    """The wave before has ended well, and the one after has not begun."""
    task = kx.task("t", undoable("a"), kx.command("boom", "boom"), waves=kx.waves(1, 3, "100%"))
    pipeline = kx.pipeline("p", kx.module("m", task), on_failure=kx.rollback("wave"))
    done: list[str] = []

    async def pause(host: kx.Host, command: Any) -> None:
        """Let the failure come when the others of its wave have done the first step."""
        if str(command) == "a":
            done.append(host.name)
        while str(command) == "boom" and host.name == "web1" and len(done) < 3:
            await anyio.lowlevel.checkpoint()

    connector = evolve(answering({"boom": on_host("web1", 1)}), pause=pause)
    its = kx.report_of(kx.run(pipeline, FLEET, connector=connector))
    assert [(host, how) for host, step, how in undone(its) if step == "a"] == [
        ("web1", "Succeeded"),
        ("web2", "Succeeded"),
    ]


def test_run_takes_back_on_every_host() -> None:
    """All of it, by task and step last to first."""
    its = ran(two("run", policy=kx.keep_going()), {"boom": on_host("web1", 1)})
    assert {host for host, _, _ in undone(its)} == set(FLEET.names)
    assert [(step, how) for host, step, how in undone(its) if host == "db1"] == [
        ("boom", "Skipped"),  # it went well there, and has no undo=
        ("c", "Succeeded"),
        ("b", "Succeeded"),
        ("a", "Succeeded"),
    ]


def test_a_run_that_went_well_takes_nothing_back() -> None:
    """Neither does one that was tolerated."""
    assert undone(ran(two("run"), {})) == []
    tolerated = kx.pipeline(
        "p",
        kx.module("m", kx.task("t", undoable("a"), kx.command("boom", "boom").ignore_errors())),
        on_failure=kx.rollback("run"),
    )
    assert undone(ran(tolerated, {"boom": 1})) == []


def test_what_was_skipped_is_left_and_what_cannot_be_taken_back_says_so() -> None:
    """Undo is for what this run did."""
    steps = [undoable("held"), kx.command("blind", "blind"), undoable("a"), kx.command("boom", "boom")]
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps, on=kx.role("db"))), on_failure=kx.rollback("host"))
    its = ran(pipeline, {"held": kx.Reply(held=True), "boom": 1})
    assert undone(its) == [("db1", "boom", "Skipped"), ("db1", "a", "Succeeded"), ("db1", "blind", "Skipped")]
    for name in ("blind", "boom"):
        assert its[f"@undo/m/t/{name}", "db1"].reason == "skip: cannot be taken back: it has no undo="


def test_a_command_that_failed_half_way_is_taken_back(tmp_path: Path) -> None:
    """By its `undo=`; without one it is named, and one that never began is neither."""
    made = tmp_path / "half"
    undo = f"rm -f {made}"

    def after(step: kx.Step[Any]) -> tuple[list[tuple[str, str]], str]:
        steps = [file(tmp_path / "a", content="1"), step]
        text = io.StringIO()
        its = kx.report_of(
            kx.run(
                kx.pipeline("p", kx.module("m", kx.task("t", *steps)), on_failure=kx.rollback("host")),
                HERE,
                sinks=[kx.console(file=text)],
            )
        )
        told = next(line for line in text.getvalue().split("\n") if line.startswith("undone"))
        return [(name, how) for _, name, how in undone(its) if not name.startswith("file")], told

    half = f"echo x >{made}; false"
    assert after(kx.command("half", half, undo=undo)) == ([("half", "Succeeded")], "undone: 2 steps")
    assert not made.exists()
    slow = kx.command("half", f"echo x >{made}; sleep 20", undo=undo, timeout=1)
    assert after(slow) == ([("half", "Succeeded")], "undone: 2 steps")
    assert not made.exists()
    told = "undone: 1 step; not undone: m/t/half on a: it has no undo="
    assert after(kx.command("half", half)) == ([("half", "Skipped")], told)
    never = kx.command("half", half, undo="exit 1", check=kx.test("exit 9"))
    assert after(never) == ([], "undone: 1 step")


def test_a_step_that_was_lost_is_named_among_what_is_not_undone() -> None:
    """It may still be at it; where it went well it is taken back, and what came before it on either host."""
    task = kx.task("t", undoable("a"), undoable("b"), on=kx.role("web"))
    pipeline = kx.pipeline("p", kx.module("m", task), on_failure=kx.rollback("run"), policy=kx.keep_going())
    text = io.StringIO()
    its = ran(pipeline, {"b": on_host("web1", None)}, sinks=[kx.console(file=text)])
    assert its["p/m/t/b", "web1"].status is kx.Status.Lost
    assert its["@undo/m/t/b", "web1"].reason == "skip: cannot be taken back: its end is unknown"
    assert undone(its) == [
        ("web1", "b", "Skipped"),
        ("web2", "b", "Succeeded"),
        ("web3", "b", "Succeeded"),
        *((host, "a", "Succeeded") for host in ("web1", "web2", "web3")),
    ]
    assert "undone: 5 steps; not undone: m/t/b on web1: its end is unknown\n" in text.getvalue()


def test_a_host_whose_undo_fails_is_not_touched_any_further() -> None:
    """The order matters: what came before stays."""
    pipeline = kx.pipeline(
        "p",
        kx.module("m", kx.task("t", undoable("a"), undoable("b"), kx.command("boom", "boom"), on=kx.role("db"))),
        on_failure=kx.rollback("host"),
    )
    its = ran(pipeline, {"boom": 1, "undo b": 1})
    assert undone(its) == [("db1", "boom", "Skipped"), ("db1", "b", "Failed"), ("db1", "a", "NotRun")]


def test_serial_takes_back_the_same() -> None:
    """Law 1, with rollback."""
    for scope in ("host", "wave", "run"):
        pipeline = two(scope, policy=kx.keep_going())
        connector = answering({"boom": on_host("web2", 1)})
        oracle = kx.report_of(kx.serial(pipeline, FLEET, connector=connector))
        assert timeless(kx.report_of(kx.run(pipeline, FLEET, connector=connector))) == timeless(oracle)


def test_what_after_hooks_did_is_named_and_left(tmp_path: Path) -> None:
    """A resource, and a command that could be taken back; not a command that could not be anyway."""
    made = file(tmp_path / "made", content="x", name="made")
    hook = kx.task("h", file(tmp_path / "hook", content="x", name="hook"), undoable("echo"), kx.command("say", "echo"))
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", made), after=hook))
    its = kx.report_of(kx.run(pipeline, HERE))
    assert its.succeeded
    back = kx.report_of(kx.rollback(pipeline, HERE, its))
    left = "skip: cannot be taken back: what an after= hook does is left alone"
    assert [(each.step, each.status.name, each.reason) for each in back] == [
        ("echo", "Skipped", left),
        ("hook", "Skipped", left),
        ("made", "Succeeded", ""),
    ]
    assert [(tmp_path / name).exists() for name in ("made", "hook")] == [False, True]


def test_after_hooks_run_when_all_is_taken_back() -> None:
    """`after` is the last word."""
    order: list[str] = []

    def note(word: str) -> Callable[[kx.Host], kx.Reply]:
        def say(_: kx.Host) -> kx.Reply:
            order.append(word)
            return kx.Reply()

        return say

    hook = kx.task("z", kx.command("z", "note"), on=kx.role("db"))
    pipeline = kx.pipeline(
        "p",
        kx.module("m", kx.task("t", undoable("a"), kx.command("boom", "boom"), on=kx.role("db"))),
        after=hook,
        on_failure=kx.rollback("run"),
    )
    its = ran(pipeline, {"boom": 1, "note": note("hook"), "undo a": note("undo")})
    assert order == ["undo", "hook"]
    assert its["@undo/m/t/a", "db1"].ok


def test_a_bad_scope_is_refused() -> None:
    """When the policy is made."""
    with pytest.raises(kx.InvalidError, match='write "host", "wave" or "run"'):
        kx.rollback("cluster")  # type: ignore[call-overload]  # that is the mistake
    with pytest.raises(kx.InvalidError, match="on_failure"):
        kx.pipeline("p", on_failure="host")  # type: ignore[arg-type]  # that is the mistake


def test_a_run_is_taken_back_from_its_log(tmp_path: Path) -> None:
    """On request, later: the log holds what is needed, values between steps too."""
    path = tmp_path / "f"
    path.write_text("old\n")
    path.chmod(0o640)
    name = kx.command("name", "echo made", parse=str)

    @kx.step(name=kx.from_here(name))
    def put(ctx: kx.HostContext, name: str) -> kx.Step[Any]:
        return file(tmp_path / name, content="x\n")

    made = file(path, content="new\n", mode=0o600)
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", made, name, put, kx.command("c", "true"))))
    log = tmp_path / "log"
    assert kx.report_of(kx.run(pipeline, HERE, sinks=[kx.ndjson(log)])).succeeded
    assert (tmp_path / "made").exists()
    report = kx.read_log(log).report()
    its = kx.report_of(kx.rollback(pipeline, HERE, report))
    assert [(each.step, each.status.name) for each in its] == [
        ("c", "Skipped"),
        ("put", "Succeeded"),
        ("name", "Skipped"),
        (made.name, "Succeeded"),
    ]
    assert path.read_text() == "old\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "made").exists()


def test_a_step_that_is_another_by_now_is_not_taken_back(tmp_path: Path) -> None:
    """By the digest of its action."""
    path = tmp_path / "f"

    def of(content: str) -> kx.Pipeline:
        return kx.pipeline("p", kx.module("m", kx.task("t", file(path, content=content))))

    report = kx.report_of(kx.run(of("one\n"), HERE))
    its = kx.report_of(kx.rollback(of("two\n"), HERE, report))
    assert [(each.status.name, each.reason) for each in its] == [
        ("Skipped", "skip: cannot be taken back: the step is another by now")
    ]
    with pytest.raises(kx.InvalidError, match="not of 'other'"):
        kx.rollback(kx.pipeline("other"), HERE, report)


WISHES = st.lists(
    st.tuples(
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([None, "", "one\n", "two\n", "three", "\udcff\n"]),
        st.sampled_from([None, 0o600, 0o644]),
    ),
    max_size=5,
)


@settings(max_examples=25)
@given(present=WISHES, wanted=WISHES, before=st.integers(0, 5))
def test_undo_after_a_failure_restores_the_state_before(
    present: Any, wanted: Any, before: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law 12, on real files: content and mode."""
    root = tmp_path_factory.mktemp("law")

    def steps(drawn: Any) -> list[kx.Step[Any]]:
        return [
            file(root / name, state="absent", name=f"{i}")
            if content is None
            else file(root / name, content=content, mode=mode, name=f"{i}")
            for i, (name, content, mode) in enumerate(drawn)
        ]

    def tree() -> dict[str, tuple[bytes, int]]:
        return {each.name: (each.read_bytes(), each.stat().st_mode) for each in root.iterdir()}

    first = kx.pipeline("p", kx.module("m", kx.task("t", *steps(present))))
    assert kx.report_of(kx.run(first, HERE)).succeeded
    was = tree()
    doing = [*steps(wanted)]
    doing.insert(before, kx.command("boom", "exit 1"))
    second = kx.pipeline("p", kx.module("m", kx.task("t", *doing)), on_failure=kx.rollback("host"))
    its = kx.report_of(kx.run(second, HERE))
    assert not its.succeeded
    assert tree() == was


def test_the_report_of_a_rollback_is_refused() -> None:
    """It says what to give; nothing is done."""
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", undoable("a"))))
    back = kx.report_of(kx.rollback(pipeline, FLEET, ran(pipeline, {}), connector=answering({})))
    with pytest.raises(kx.InvalidError, match="a report of a rollback: give that of the run that it took back"):
        kx.rollback(pipeline, FLEET, back)
