"""The planning interpreter: it changes nothing, foresees what the run does, and says what it cannot know."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.resources import absent, block, directory, file, line, replace
from kxflow.sinks import foreseen
from kxflow.values.plan import compare
from kxflow.values.state import State

HERE = kx.Cluster([kx.Host("a"), kx.Host("b")], connect=kx.Local())


def one(*steps: kx.Step[Any], **options: Any) -> kx.Pipeline:
    """A pipeline of one task."""
    return kx.pipeline("p", kx.module("m", kx.task("t", *steps)), policy=kx.keep_going(), **options)


def told(plan: kx.Plan, host: str = "a") -> list[tuple[str, str]]:
    """Effect and reason of each step on a host."""
    return [(each.effect.value, each.reason) for each in plan if each.host == host]


def test_a_plan_changes_nothing_and_foresees_each_step(tmp_path: Path) -> None:
    """Would change, no change, unknown, would fail; with reasons."""
    (tmp_path / "held").touch()
    steps = [
        file(tmp_path / "new", content="x\n"),
        kx.command("held", "exit 9", check=f"test -e {tmp_path}/held"),
        kx.command("undone", f"touch {tmp_path}/bad", check="false"),
        kx.command("blind", f"touch {tmp_path}/bad"),
        kx.command("odd check", "true", check="exit 7"),
        kx.command("when", "true").when(lambda _: False),
        kx.step(_refusing),
    ]
    plan = kx.plan(one(*steps), HERE)
    assert told(plan) == [
        ("would change", ""),
        ("no change", "check"),
        ("would change", "its check says that it is not done"),
        ("unknown", "it has no check: it would run"),
        ("unknown", "its check ended with exit status 7, neither done nor undone"),
        ("no change", "when"),
        ("would fail", "not on this host"),
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["held"]
    assert plan.tally[kx.Effect.change] == 4
    assert [each.host for each in plan.changes] == ["a", "b", "a", "b"]


def _refusing(ctx: kx.HostContext) -> kx.Action[Any]:
    return kx.fail("not on this host")


def test_later_steps_see_what_earlier_ones_would_change(tmp_path: Path) -> None:
    """The second wish for the same file compares with the first, not with the disk."""
    path = tmp_path / "conf"
    path.write_text("old\n")
    same = file(path, content="new\n", name="again")
    back = file(path, content="old\n", name="back")
    plan = kx.plan(one(file(path, content="new\n"), same, back), HERE.only(kx.host("a")))
    assert [each.effect.value for each in plan] == ["would change", "no change", "would change"]
    diffs = [each.change.diff for each in plan if each.change is not None]
    assert diffs[0].endswith("-old\n+new")
    assert diffs[1].endswith("-new\n+old")


def test_a_step_that_depends_on_what_an_earlier_one_writes_is_unknown(tmp_path: Path) -> None:
    """A line of a file that gets other content, content of a file that gets another line; neither is a guess."""
    path, other = tmp_path / "conf", tmp_path / "other"
    path.write_text("old\n")
    other.write_text("new\n")
    steps = [
        file(path, content="old\nnew\n"),
        line(path, "new"),
        line(other, "x"),
        block(other, "y"),
        line(other, "new"),
        file(other, mode=0o600),
        file(other, content="new\n", name="content"),
        absent(path),
        absent(tmp_path / "gone"),
        line(tmp_path / "made", "x", create=True),
        file(tmp_path / "made", mode=0o644),
    ]
    plan = kx.plan(one(*steps), HERE.only(kx.host("a")))
    crossed = ("unknown", "it depends on what earlier steps change")
    changes = ("would change", "")
    assert told(plan) == [
        changes,
        crossed,
        changes,
        ("would change", f"the text that it finds is not shown: line {other} changes that before"),
        ("no change", "check"),
        changes,
        crossed,
        crossed,
        ("no change", "check"),
        changes,
        crossed,
    ]


def test_parts_of_a_file_that_look_for_each_other_are_unknown(tmp_path: Path) -> None:
    """What one adds another may take away, or the reverse; parts that are only added are each their own."""
    path = tmp_path / "conf"
    path.write_text("here\n")
    adds = line(path, "old db")
    for later in (replace(path, "old", "new"), line(path, match="old", state="absent"), line(path, "new", match="db$")):
        assert told(kx.plan(one(adds, later), HERE.only(kx.host("a"))))[1][0] == "unknown", later
    for later in (replace(path, "young", "new"), block(path, state="absent"), line(path, match="db2", state="absent")):
        assert told(kx.plan(one(adds, later), HERE.only(kx.host("a"))))[1] == ("no change", "check"), later
    gone = line(path, "here", state="absent")
    assert told(kx.plan(one(gone, line(path, "other")), HERE.only(kx.host("a"))))[1][0] == "would change"
    assert told(kx.plan(one(adds, line(path, "here")), HERE.only(kx.host("a"))))[1] == ("no change", "check")


def test_what_is_above_or_below_what_an_earlier_step_changes_is_unknown(tmp_path: Path) -> None:
    """A folder that is seen to with all that is in it, or taken away; not two files side by side."""
    folder = tmp_path / "f"
    folder.mkdir(mode=0o755)
    (folder / "x").write_text("1\n")
    changes = file(folder / "x", content="2\n")
    crossed = ("unknown", "it depends on what earlier steps change")
    on_a = HERE.only(kx.host("a"))
    assert told(kx.plan(one(changes, directory(folder, recursive=True, mode=0o755)), on_a))[1] == crossed
    assert told(kx.plan(one(changes, absent(folder)), on_a))[1] == crossed
    assert told(kx.plan(one(absent(folder), changes), on_a))[1] == crossed
    assert told(kx.plan(one(changes, directory(folder)), on_a))[1] == ("no change", "check")
    assert told(kx.plan(one(changes, file(folder / "xy", content="1\n")), on_a))[1] == ("would change", "")


def test_a_check_that_names_what_an_earlier_step_changes_is_no_prediction(tmp_path: Path) -> None:
    """Whatever it says now."""
    one_, two = tmp_path / "x.conf", tmp_path / "y.conf"
    one_.write_text("0\n")
    two.write_text("0\n")
    copy = kx.command("copy", f"cp {one_} {two}", check=f"cmp -s {one_} {two}")
    on_a = HERE.only(kx.host("a"))
    assert told(kx.plan(one(file(one_, content="1\n"), copy), on_a))[1] == (
        "unknown",
        f"its check names {one_}, which an earlier step changes",
    )
    assert told(kx.plan(one(file(one_, content="0\n"), copy), on_a))[1] == ("no change", "check")


def test_what_stands_behind_a_command_holds_if_that_leaves_it_alone(tmp_path: Path) -> None:
    """It is foreseen as the host is now, and says so; what the command names is unknown; the record has it, too."""
    for name in ("kept", "named", "held"):
        (tmp_path / name).write_text("x")
    steps = [
        file(tmp_path / "before", content="x"),
        kx.command("held", "exit 9", check=f"test -e {tmp_path}/held"),
        kx.command("look", "true", readonly=True),
        file(tmp_path / "free", content="x", name="free"),
        kx.command("blind", f"echo y >>{tmp_path}/kept; echo y >>{tmp_path}/named"),
        kx.command("unlike", f"echo y >{tmp_path}/named-not"),
        file(tmp_path / "kep", content="x", name="kep"),
        file(tmp_path / "named", content="x", name="named"),
        line(tmp_path / "named", "x", name="line"),
        directory(tmp_path, name="above"),
        directory(tmp_path, mode=tmp_path.stat().st_mode & 0o777, recursive=True, name="all below"),
        kx.command("asked", "true", check="true"),
        kx.command("when", "true").when(lambda _: False),
    ]
    pipeline = one(*steps)
    plan = kx.plan(pipeline, HERE)
    by_step = {each.step: each for each in plan if each.host == "a"}
    assert {name for name, each in by_step.items() if each.unless} == {"held", "kep", "above", "asked"}
    assert by_step["held"].unless == f"m/t/file {tmp_path}/before"
    assert by_step["asked"].unless == "m/t/blind"
    assert str(by_step["asked"]) == "a m/t/asked: no change (check; unless m/t/blind touches it)"
    named = "it depends on what earlier steps change: m/t/blind names it"
    assert {name: each.reason for name, each in by_step.items() if each.effect is kx.Effect.unknown} == {
        "blind": "it has no check: it would run",
        "unlike": "it has no check: it would run",
        "named": named,
        "line": named,
        "all below": named,
    }
    assert [(each.step, each.host) for each in plan.provisional] == [
        (step, host) for step in ("held", "kep", "above", "asked") for host in ("a", "b")
    ]
    plan.save(tmp_path / "plan")
    assert kx.Plan.load(tmp_path / "plan") == plan
    assert "    what is foreseen behind it (6 answers) holds if it touches none of that" in foreseen.lines(plan)
    assert "unless m/t/blind touches it" in plan._repr_html_()
    assert kx.plan(pipeline, HERE) == plan


def test_what_a_command_asks_behind_a_change_holds_if_that_leaves_it_alone(tmp_path: Path) -> None:
    """A check that does not spell the path, a value that is read, and what is made of that value; not a resource."""
    for name in ("out", "v"):
        (tmp_path / name).write_text("old")
    look = kx.command("look", "cat v", cwd=tmp_path, readonly=True, parse=str, value="cat out")

    @kx.step(text=kx.from_here(look))
    def out(ctx: kx.HostContext, text: str) -> kx.Step[Any]:
        return file(tmp_path / "out", content=text)

    steps = [
        kx.command("before", "cat v", cwd=tmp_path, readonly=True, value="cat out"),
        file(tmp_path / "v", content="new", name="v"),
        look,
        out,
        file(tmp_path / "other", content="x", name="other"),
        kx.command("check", "true", check="test -e v", cwd=tmp_path),
    ]
    plan = kx.plan(one(*steps), HERE.only(kx.host("a")))
    assert {each.step: each.unless for each in plan} == {
        "before": "", "v": "", "check": "m/t/v", "look": "m/t/v", "out": "m/t/v", "other": "",
    }  # fmt: skip


def test_a_value_that_is_read_of_what_an_earlier_step_changes_is_not_known(tmp_path: Path) -> None:
    """What is made of it is Unknown, not what it would be made of what is there now."""
    (tmp_path / "v").write_text("old")
    (tmp_path / "out").write_text("old")
    look = kx.command("look", f"cat {tmp_path}/v", readonly=True, parse=str)

    @kx.step(text=kx.from_here(look))
    def out(ctx: kx.HostContext, text: str) -> kx.Step[Any]:
        return file(tmp_path / "out", content=text)

    on_a = HERE.only(kx.host("a"))
    assert told(kx.plan(one(file(tmp_path / "v", content="new"), look, out), on_a))[1:] == [
        ("no change", f"read only; it names {tmp_path}/v, which an earlier step changes"),
        ("unknown", "needs p/m/t/look"),
    ]
    assert told(kx.plan(one(file(tmp_path / "v", content="old"), look, out), on_a))[2] == ("no change", "check")


def test_what_a_command_that_would_run_and_a_step_that_is_not_known_may_touch(tmp_path: Path) -> None:
    """Also one whose check says that it is not done, and in a later task; each host by itself."""
    (tmp_path / "there").write_text("x")
    name = kx.command("name", "echo x", parse=str, idempotent=False)

    @kx.step(name=kx.from_here(name))
    def later(ctx: kx.HostContext, name: str) -> kx.Action[Any]:
        return kx.shell(f"rm {name}")

    there = file(tmp_path / "there", content="x", name="there")
    undone = kx.command("undone", "true", check="false")
    for first, behind in (([undone], "m/t/undone"), ([name, later], "m/t/name"), ([undone.on(kx.host("b"))], "")):
        one_of = kx.task("t", *first, on=kx.host("a"))
        plan = kx.plan(kx.pipeline("p", kx.module("m", one_of, kx.task("u", there))), HERE)
        told = {each.host: each.unless for each in plan if each.step == "there"}
        assert told == {"a": behind, "b": "" if behind else "m/t/undone"}


def test_a_step_whose_input_is_not_known_yet_is_not_called(tmp_path: Path) -> None:
    """Unknown, and what it needs; with `example=` it is foreseen from that."""
    token = kx.command("token", "true", parse=str, check=f"test -e {tmp_path}/t", value=f"cat {tmp_path}/t")
    shown = kx.command(
        "shown", "true", parse=str, example="e", check=f"test -e {tmp_path}/t", value=f"cat {tmp_path}/t"
    )
    called: list[str] = []

    @kx.step(value=kx.from_here(token))
    def use(ctx: kx.HostContext, value: str) -> kx.Action[Any]:
        called.append(value)
        return kx.cmd("echo", value)

    @kx.step(value=kx.from_one(shown, kx.host("b")))
    def put(ctx: kx.HostContext, value: str) -> kx.Step[Any]:
        return file(tmp_path / "out", content=value)

    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", token, shown, use), kx.task("u", put)))
    plan = kx.plan(pipeline, HERE)
    by_step = {each.step: each for each in plan if each.host == "a"}
    assert (by_step["use"].effect.value, by_step["use"].reason) == ("unknown", "needs p/m/t/token")
    assert called == []
    change = by_step["put"].change
    assert change is not None
    assert "+e" in change.diff.split("\n")
    (tmp_path / "t").write_text("real")
    assert {each.effect.value for each in kx.plan(pipeline, HERE) if each.step == "token"} == {"no change"}
    assert called == ["real"] * 2


def test_read_only_steps_are_run_and_their_values_used(tmp_path: Path) -> None:
    """What changes nothing may be asked."""
    fact = kx.command("fact", "echo 7", parse=int, readonly=True)

    @kx.step(n=kx.from_here(fact))
    def put(ctx: kx.HostContext, n: int) -> kx.Step[Any]:
        return file(tmp_path / f"f{n}", content="x")

    plan = kx.plan(one(fact, put), HERE)
    assert told(plan) == [("no change", "read only"), ("would change", "")]
    change = plan.entries[-1].change
    assert change is not None
    assert change.before == ""


def test_unreachable_hosts_are_unknown_and_others_are_planned() -> None:
    """One sick host hides nothing of the others."""
    fault = kx.Fault("refused", "connection refused")
    connector = kx.MemoryConnector(lambda *_: kx.Reply(held=True), lambda host: fault if host.name == "b" else None)
    plan = kx.plan(one(kx.command("c", "c", check="c")), HERE, connector=connector)
    assert [str(each) for each in plan] == ["a m/t/c: no change (check)", "b m/t/c: unknown (unreachable: refused)"]


def test_a_state_that_cannot_be_seen_would_fail_with_the_probes_words(tmp_path: Path) -> None:
    """As it does in a run; unless something before it may be the cure."""
    (tmp_path / "f").write_text("x")
    blind = kx.ensure(_Blind(), {"a": "1"})
    plan = kx.plan(one(file(tmp_path / "f", content="x"), blind), HERE)
    assert told(plan)[1] == ("would fail", "no way to look")
    plan = kx.plan(one(file(tmp_path / "f", content="y"), blind), HERE)
    after = "its state cannot be seen, after what earlier steps change: no way to look"
    assert told(plan)[1] == ("unknown", after)


class _Blind:
    key = ("blind", "x")

    def probe(self, wanted: State) -> str:
        return "kx_no 'no way to look'"

    def apply(self, wanted: State) -> str:
        return "true"


def test_plan_works_inside_a_running_loop() -> None:
    """As in a notebook."""

    async def main() -> tuple[str, str]:
        pipeline = one(kx.command("c", "c", check="true"))
        return repr(kx.plan(pipeline, HERE)), repr(await kx.aplan(pipeline, HERE))

    inside, awaited = anyio.run(main)
    assert inside == awaited == "Plan(p: 2 no change)"


def test_apply_refuses_with_a_diff_when_anything_is_another(tmp_path: Path) -> None:
    """Pipeline, cluster, state of a host: each is told, and nothing was done."""
    path = tmp_path / "f"
    path.write_text("one\n")
    pipeline = one(file(path, content="two\n"))
    plan = kx.plan(pipeline, HERE)
    path.write_text("three\n")
    with pytest.raises(kx.PlanMovedError, match="a m/t/file") as caught:
        kx.apply(plan, pipeline, HERE)
    assert "-one" in str(caught.value)
    assert "-three" in str(caught.value)
    assert path.read_text() == "three\n"
    path.write_text("one\n")
    with pytest.raises(kx.PlanMovedError, match="the pipeline is another"):
        kx.apply(plan, one(file(path, content="two\n", name="other")), HERE)
    with pytest.raises(kx.PlanMovedError, match="the cluster is another"):
        kx.apply(plan, pipeline, HERE.override({"x": 1}))
    assert kx.report_of(kx.apply(plan, pipeline, HERE.only(kx.all_hosts))).succeeded
    assert path.read_text() == "two\n"


def test_a_plan_is_saved_and_read_back_equal_also_with_odd_bytes(tmp_path: Path) -> None:
    """Digest and all; a change by hand is noticed, and so is what is no plan."""
    path = tmp_path / "f"
    path.write_bytes(b"\xff\x00old\n")
    plan = kx.plan(one(file(path, content="new\n")), HERE)
    plan.save(tmp_path / "plan")
    assert (tmp_path / "plan").stat().st_mode & 0o777 == 0o600
    again = kx.Plan.load(tmp_path / "plan")
    assert again == plan
    assert again.digest == plan.digest
    saved = (tmp_path / "plan").read_text()
    (tmp_path / "plan").write_text(saved.replace("would change", "no change"))
    with pytest.raises(kx.InvalidError, match="was changed after it was made"):
        kx.Plan.load(tmp_path / "plan")
    for wrong in (b"", b"[]", b"{}", b'{"kxflow_plan": 99}', b"\xff"):
        (tmp_path / "plan").write_bytes(wrong)
        with pytest.raises(kx.InvalidError, match="plan"):
            kx.Plan.load(tmp_path / "plan")


def test_what_cannot_be_taken_back_is_said_before(tmp_path: Path) -> None:
    """By entry, and by the plan."""
    (tmp_path / "big").write_bytes(b"x" * 400_000)
    steps = [
        kx.command("no undo", "true", check="false"),
        kx.command("undo", "true", check="false", undo="true"),
        file(tmp_path / "big", content="small\n"),
        file(tmp_path / "new", content="small\n"),
        kx.command("held", "true", check="true"),
    ]
    plan = kx.plan(one(*steps), HERE.only(kx.host("a")))
    assert [each.undo for each in plan] == ["it has no undo=", "", "what was there was not kept", "", ""]
    assert [each.step for each in plan.lasting] == ["no undo", f"file {tmp_path}/big"]


def test_a_plan_is_shown_with_diffs_and_alike_hosts_together(tmp_path: Path) -> None:
    """No control byte of a host reaches the screen."""
    path = tmp_path / "f"
    path.write_bytes(b"\x1b[2Jold\n")
    plan = kx.plan(one(file(path, content="new\n"), kx.command("c", "c")), HERE)
    out = io.StringIO()
    foreseen.show(plan, out)
    shown = out.getvalue()
    assert f"~ m/t/file {path}: would change: a, b\n" in shown
    assert "    -\\x1b[2Jold\n    +new\n" in shown
    assert "? m/t/c: unknown (it has no check: it would run): a, b\n" in shown
    assert shown.endswith("p: 2 would change, 2 unknown on 2 hosts\n")
    assert "\x1b" not in shown
    coloured = io.StringIO()
    foreseen.show(plan, coloured, color=True)
    assert "\x1b[32m    +new" in coloured.getvalue()


def test_a_plan_in_a_notebook_has_coloured_diffs(tmp_path: Path) -> None:
    """Green for what comes, red for what goes; what a host or a file says is text, whatever it holds."""
    path = tmp_path / "f"
    path.write_bytes(b"\x1b[2J<script>old</script>\nkept\n")
    html = kx.plan(one(file(path, content="<b>new</b>\nkept\n")), HERE.only(kx.host("a")))._repr_html_()
    assert '<span style="color:red">-\\x1b[2J&lt;script&gt;old&lt;/script&gt;</span>\n' in html
    assert '<span style="color:green">+&lt;b&gt;new&lt;/b&gt;</span>\n' in html
    assert '<span style="color:teal">@@ -1,2 +1,2 @@</span>\n' in html
    assert "\n kept</pre>" in html
    assert "\x1b" not in html
    assert "<script>" not in html


def test_a_notebook_is_not_flooded(tmp_path: Path) -> None:
    """Of many diffs the first fifty, of a long one the first lines; how much is left out is said."""
    steps = [file(tmp_path / f"f{n}", content="x\n" * (1000 if n == 0 else 1)) for n in range(60)]
    html = kx.plan(one(*steps), HERE.only(kx.host("a")))._repr_html_()
    assert html.count("<pre>") == 50
    assert "more lines</pre>" in html
    assert html.endswith("<p>… and 10 more diffs</p>")


def test_how_many_hosts_are_changed_at_once_can_be_asked(tmp_path: Path) -> None:
    """By wave of a task or module, and by how many are at work side by side."""
    fleet = kx.Cluster([kx.Host(f"e{n}", roles={"etcd"} if n < 3 else {}) for n in range(5)], connect=kx.Local())
    etcd = [each.name for each in kx.role("etcd")(fleet)]
    step, held = file(tmp_path / "f", content="x"), kx.command("held", "true", check="true")

    def most(task: kx.Task, hosts: Iterable[str] = etcd, waves: Any = None) -> int:
        plan = kx.plan(kx.pipeline("p", kx.module("m", task, waves=waves)), fleet)
        again = tmp_path / "plan"
        plan.save(again)
        assert kx.Plan.load(again) == plan
        return plan.at_once(hosts)

    assert most(kx.task("t", step)) == 3
    assert most(kx.task("t", step), fleet.names) == 5
    assert most(kx.task("t", kx.command("blind", "true"), concurrency=2)) == 2
    assert most(kx.task("t", held)) == 0
    assert most(kx.task("t", step, concurrency=1)) == 1
    assert most(kx.task("t", step, waves=kx.waves(1, 2, "100%"))) == 1
    assert most(kx.task("t", step, waves=kx.waves(1, "100%"))) == 2
    assert most(kx.task("t", step), waves=kx.waves(1, 2, "100%")) == 1
    assert most(kx.task("t", step, on=kx.role("etcd")), waves=kx.waves(1, "100%")) == 2
    assert most(kx.task("t", step), ["e4"]) == 1
    assert most(kx.task("t", step), []) == 0


def test_apply_refuses_another_roll_out(tmp_path: Path) -> None:
    """One host at a time was planned, and all at once is something else."""
    step = file(tmp_path / "f", content="x")
    one_by_one = kx.pipeline("p", kx.module("m", kx.task("t", step, waves=kx.waves(1, "100%"))))
    at_once = kx.pipeline("p", kx.module("m", kx.task("t", step)))
    with pytest.raises(kx.PlanMovedError, match=r"- b m/t/file .*: wave 2, all at the same time\n  \+ .*: wave 1, all"):
        kx.apply(kx.plan(one_by_one, HERE), at_once, HERE)
    assert not (tmp_path / "f").exists()


def test_what_an_after_hook_does_is_said_to_stay(tmp_path: Path) -> None:
    """Rollbacks leave it alone; where it would do nothing there is nothing to say."""
    (tmp_path / "there").write_text("x")
    before = kx.task("b", file(tmp_path / "b", content="x"))
    after = kx.task("a", file(tmp_path / "a", content="x"), file(tmp_path / "there", content="x"))
    plan = kx.plan(kx.pipeline("p", kx.module("m", before=before, after=after)), HERE.only(kx.host("a")))
    assert [each.undo for each in plan] == ["", "what an after= hook does is left alone", ""]
    assert len(plan.lasting) == 1


def test_plans_have_no_truth_value() -> None:
    """Ask what it would change."""
    with pytest.raises(TypeError, match=r"plan\.changes"):
        bool(kx.plan(one(), HERE))


STATES = st.lists(
    st.tuples(
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([None, "one\n", "two\n", "three"]),
        st.sampled_from([None, 0o600, 0o644]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25)
@given(present=STATES, wanted=STATES)
@example(present=[("y", "one\n", None)], wanted=[("y", text, None) for text in (None, "one\n", None, "one\n")])
def test_plan_equals_apply(present: Any, wanted: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Law 11, on real files: what the plan predicts is what the run does, and then nothing is left to do (law 9)."""
    root = tmp_path_factory.mktemp("law")
    host = HERE.only(kx.host("a"))

    def steps(drawn: Any) -> list[kx.Step[Any]]:
        return [
            file(root / name, state="absent", name=f"{i}")
            if content is None
            else file(root / name, content=content, mode=mode, name=f"{i}")
            for i, (name, content, mode) in enumerate(drawn)
        ]

    assert kx.report_of(kx.run(one(*steps(present)), host)).succeeded
    pipeline = one(*steps(wanted))
    plan = kx.plan(pipeline, host)
    its = kx.report_of(kx.run(pipeline, host))
    asked: set[str] = set()
    for each, result in zip(plan, its, strict=True):
        if each.effect is not kx.Effect.unknown:
            assert (each.effect is kx.Effect.change) is (result.status is kx.Status.Succeeded)
        name = wanted[int(each.step)][0]
        if name not in asked:  # of what earlier steps make, a plan knows what they say of it, and no more
            assert each.change == result.change
        asked.add(name)
    last = {name: i for i, (name, _, _) in enumerate(wanted)}
    final = one(*[step for i, step in enumerate(steps(wanted)) if i in last.values()])
    assert not kx.plan(final, host).changes
    assert compare(kx.plan(final, host), kx.plan(final, host)) == ()


def lasting(*steps: kx.Step[Any]) -> list[bool]:
    """Whether the plan says of each that it could not be taken back; which is what a rollback says then."""
    pipeline, host = one(*steps), HERE.only(kx.host("a"))
    plan = kx.plan(pipeline, host)
    report = kx.report_of(kx.run(pipeline, host))
    back = {each.step: each for each in kx.report_of(kx.rollback(pipeline, host, report))}
    for each in plan:
        stays = each.step in back and "cannot be taken back" in back[each.step].reason
        assert bool(each.undo) == stays, (str(each), each.undo, back.get(each.step))
    return [bool(each.undo) for each in plan]


def test_what_can_be_taken_back_is_not_denied(tmp_path: Path) -> None:
    """Of what earlier steps leave, where a run keeps the content; and what comes to the rescue."""
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "big").write_text("a\n" * 200_000)

    def thrice(name: str) -> list[kx.Step[Any]]:
        path = tmp_path / name
        return [line(path, "b", name="1"), line(path, "c", name="2"), line(path, "b", state="absent", name="3")]

    assert lasting(*thrice("f")) == [False] * 3
    assert (tmp_path / "f").read_text() == "a\n"
    assert lasting(*thrice("big")) == [True] * 3
    assert lasting(file(tmp_path / "new", content="a\n"), *thrice("new")) == [False] * 4
    assert lasting(line(tmp_path / "none", "x").rescue(file(tmp_path / "g", content="2"))) == [False] * 2
    assert lasting(line(tmp_path / "none", "x").rescue(kx.command("c", "true"))) == [False, True]
