"""What can be seen to fail already is not said to change: the plan says why, and a run fails with just that."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.ensure import Need
from kxflow.resources import absent, block, directory, file, line, link, replace, unpack
from kxflow.sinks import foreseen
from kxflow.values.state import State
from tests.interpreters.test_plan import HERE, one, told

ON_A = HERE.only(kx.host("a"))
Make = Callable[[Path], kx.Step[Any]]

FAILS: dict[str, tuple[Make, str]] = {
    "line of no file": (lambda at: line(at / "gone", "x"), "there is no file {at}/gone: create=True makes it"),
    "block of no file": (lambda at: block(at / "gone", "x"), "there is no file {at}/gone: create=True makes it"),
    "replace in no file": (lambda at: replace(at / "gone", "a", "b"), "there is no file {at}/gone"),
    "replace in no file with a newline": (
        lambda at: replace(at / "go\nne", "a", "b"),
        r"there is no file {at}/go\nne: make it in an earlier step",
    ),
    "file in no folder with a newline": (
        lambda at: file(at / "go\nne" / "x", content="x"),
        r"there is no folder {at}/go\nne: make it in an earlier step",
    ),
    "line of no file with a newline": (
        lambda at: line(at / "go\nne", "x"),
        r"there is no file {at}/go\nne: create=True makes it",
    ),
    "replace without an end": (
        lambda at: replace(at / "text", "a", "aa"),
        "{at}/text: what it would be replaced by would be replaced again, without an end",
    ),
    "line of a file with a NUL": (lambda at: line(at / "nul", "x"), "{at}/nul holds a NUL: it is no text"),
    "line of a folder": (lambda at: line(at / "full", "x"), "{at}/full is a directory, not a file"),
    "line in no folder": (
        lambda at: line(at / "no" / "x", "x", create=True),
        "there is no folder {at}/no: make it in an earlier step",
    ),
    "file in no folder": (
        lambda at: file(at / "no" / "x", content="x"),
        "there is no folder {at}/no: make it in an earlier step",
    ),
    "file where a folder is": (lambda at: file(at / "full", content="x"), "{at}/full is a directory, not a file"),
    "file of nobody": (
        lambda at: file(at / "x", content="x", owner="nobody-has-it"),
        "there is no user nobody-has-it: make it",
    ),
    "file of no group": (
        lambda at: file(at / "text", group="nobody-has-it"),
        "there is no group nobody-has-it: make it",
    ),
    "large file in no folder": (
        lambda at: file(at / "no" / "x", content="x" * 100_000),
        "there is no folder {at}/no: make it in an earlier step",
    ),
    "directory in no folder": (
        lambda at: directory(at / "no" / "x"),
        "there is no folder {at}/no: parents=True makes it",
    ),
    "link in no folder": (
        lambda at: link(at / "no" / "x", "y"),
        "there is no folder {at}/no: make it in an earlier step",
    ),
    "link where a file is": (lambda at: link(at / "text", "y"), "{at}/text is there and no link: force=True replaces"),
    "no link where a file is": (lambda at: link(at / "text", state="absent"), "{at}/text is a file"),
    "no link where a folder is": (lambda at: link(at / "full", state="absent"), "{at}/full is a directory"),
    "no file where a folder is": (lambda at: file(at / "full", state="absent"), "{at}/full is a directory"),
    "no folder where it is full": (lambda at: directory(at / "full", state="absent"), "{at}/full is not empty"),
    "no folder where a file is": (lambda at: directory(at / "text", state="absent"), "{at}/text is a file"),
    "nothing where it is full": (lambda at: absent(at / "full", tree=False), "{at}/full is not empty"),
    "no archive": (lambda at: unpack(at / "x", archive=at / "no.tar"), "there is no archive {at}/no.tar"),
}


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A folder with a text, a file with a NUL, and a folder that is not empty."""
    (tmp_path / "text").write_text("a\n")
    (tmp_path / "nul").write_bytes(b"a\0b\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    return tmp_path


@pytest.mark.parametrize("what", FAILS)
def test_what_would_fail_is_said_and_fails(what: str, at: Path) -> None:
    """With the reason; and the run fails with it, and nothing is changed."""
    make, why = FAILS[what]
    pipeline = one(make(at))
    before = sorted(at.rglob("*"))
    plan = kx.plan(pipeline, ON_A)
    (effect, reason) = told(plan)[0]
    assert (effect, reason[: len(why.format(at=at))]) == ("would fail", why.format(at=at))
    assert plan.failing == plan.entries
    assert (plan.changes, plan.unknown, plan.lasting) == ((), (), ())
    (result,) = kx.report_of(kx.run(pipeline, ON_A))
    assert result.status is kx.Status.Failed
    assert result.error is not None
    assert why.format(at=at)[:40] in result.error.what
    assert sorted(at.rglob("*")) == before


def test_what_an_earlier_step_brings_is_not_missing(at: Path) -> None:
    """A folder, its parents, a file, a link's folder, an owner; whatever a command may do; and they do come."""
    brought = [
        directory(at / "new"),
        file(at / "new" / "f", content="x\n"),
        line(at / "new" / "f", "y"),
        directory(at / "deep" / "er", parents=True),
        file(at / "deep" / "g", content="x\n"),
        line(at / "made", "x", create=True),
        block(at / "made", "b"),
        absent(at / "full" / "x"),
        directory(at / "full", state="absent"),
    ]
    plan = kx.plan(one(*brought), ON_A)
    assert plan.failing == ()
    assert kx.report_of(kx.run(one(*brought), ON_A)).succeeded
    cure = kx.command("cure", f"mkdir -p {at}/cured; echo x >{at}/cured/f")
    steps = [
        cure,
        file(at / "cured" / "g", content="x"),
        line(at / "cured" / "f", "y"),
        replace(at / "cured/f", "x", "z"),
    ]
    plan = kx.plan(one(*steps), ON_A)
    assert plan.failing == ()
    assert kx.report_of(kx.run(one(*steps), ON_A)).succeeded


def test_what_has_to_do_with_something_else_is_no_cure(at: Path) -> None:
    """A change elsewhere brings nothing; a step that fails itself neither."""
    steps = [
        file(at / "other", content="x"),
        line(at / "text", "b"),
        file(at / "no" / "x", content="x").ignore_errors(),
        line(at / "no" / "x", "y").ignore_errors(),
    ]
    plan = kx.plan(one(*steps), ON_A)
    assert [each.effect.name for each in plan] == ["change", "change", "fail", "fail"]
    report = kx.report_of(kx.run(one(*steps), ON_A))
    assert [each.status.name for each in report] == ["Succeeded", "Succeeded", "Failed", "Failed"]


def test_a_host_is_out_after_what_would_fail(at: Path) -> None:
    """What would change after it does not: that is said, with its diff; tolerated faults and hooks go on."""
    bad = line(at / "gone", "x", name="bad")
    new = file(at / "new", content="x\n", name="new")
    hook = kx.task("h", file(at / "hook", content="x", name="hook"))
    same, other = file(at / "text", content="a\n"), link(at / "full", "y", name="other")
    layers = kx.module("m", kx.task("t", bad, new, same), kx.task("u", other), after=[hook])
    pipeline = kx.pipeline("p", layers, policy=kx.keep_going())
    plan = kx.plan(pipeline, ON_A)
    assert told(plan) == [
        ("would fail", f"there is no file {at}/gone: create=True makes it"),
        ("unknown", "m/t/bad would fail before it"),
        ("no change", "check"),
        ("would fail", f"{at}/full is a directory, not a link"),
        ("would change", ""),
    ]
    change = plan.entries[1].change
    assert change is not None
    assert "+x" in change.diff
    assert plan.at_once(["a"]) == 1
    report = kx.report_of(kx.run(pipeline, ON_A))
    assert [each.status.name for each in report] == ["Failed", "NotRun", "NotRun", "NotRun", "Succeeded"]
    plan = kx.plan(one(bad.ignore_errors(), new), ON_A)
    assert [each.effect.name for each in plan] == ["fail", "change"]


def test_a_rescue_of_what_would_fail_is_needed(at: Path) -> None:
    """It would run, so it may bring what comes after it."""
    bad = line(at / "no" / "x", "x", name="bad").rescue(kx.command("mend", f"mkdir {at}/no"))
    after = file(at / "no" / "f", content="x", name="after")
    plan = kx.plan(one(bad, after), ON_A)
    assert told(plan) == [
        ("would fail", f"there is no file {at}/no/x: create=True makes it"),
        ("unknown", "it would run: what it rescues would fail"),
        ("unknown", "it depends on what earlier steps change"),
    ]
    assert plan.entries[1] in plan.lasting
    assert [each.status.name for each in kx.report_of(kx.run(one(bad, after), ON_A))] == [
        "Failed",
        "Succeeded",
        "Succeeded",
    ]


def test_a_step_that_refuses_or_whose_check_fails_would_fail() -> None:
    """What is known here, and what the host says; a check may be another after a change."""

    @kx.step
    def raises(ctx: kx.HostContext) -> kx.Action[Any]:
        raise ValueError("no such thing")

    odd = kx.command("odd", "true", check="exit 7")
    tolerated = [each.ignore_errors() for each in (raises, kx.step(lambda ctx: kx.fail("not here")).named("no"), odd)]
    plan = kx.plan(one(*tolerated, kx.command("any", "true"), odd.named("later")), ON_A)
    assert told(plan) == [
        ("would fail", "step 'raises' raised ValueError: no such thing"),
        ("would fail", "not here"),
        ("would fail", "its check ended with exit status 7, neither done nor undone"),
        ("unknown", "it has no check: it would run"),
        ("unknown", "its check ended with exit status 7, neither done nor undone"),
    ]


def test_one_part_of_a_step_that_would_fail_fails_it(at: Path) -> None:
    """The others may come before it."""

    @kx.step
    def two(ctx: kx.HostContext) -> kx.Action[Any]:
        parts = (file(at / "new", content="x").action(ctx), line(at / "gone", "x").action(ctx))
        return kx.both(*parts)

    assert told(kx.plan(one(two), ON_A))[0][0] == "would fail"
    (result,) = kx.report_of(kx.run(one(two), ON_A))
    assert result.status is kx.Status.Failed


def test_what_would_fail_is_shown_saved_and_compared(at: Path) -> None:
    """On the console, in a notebook, in a file; and `apply` notices when it is mended."""
    pipeline = one(line(at / "gone", "x", name="<bad>"), file(at / "new", content="x"))
    plan = kx.plan(pipeline, HERE)
    assert repr(plan) == "Plan(p: 2 would fail, 2 unknown)"
    out = io.StringIO()
    foreseen.show(plan, out)
    assert out.getvalue().startswith(
        f"! m/t/<bad>: would fail (there is no file {at}/gone: create=True makes it): a, b\n"
    )
    assert out.getvalue().endswith("p: 2 would fail, 2 unknown on 2 hosts\n")
    html = plan._repr_html_()
    assert "m/t/&lt;bad&gt;</td><td>would fail</td>" in html
    assert html.index("<td>would fail") < html.index("<td>unknown")
    plan.save(at / "plan")
    again = kx.Plan.load(at / "plan")
    assert (again, again.digest, again.failing) == (plan, plan.digest, plan.failing)
    report = kx.report_of(kx.apply(again, pipeline, HERE))
    assert {each.step for each in report.faulty} == {"<bad>"}
    (at / "gone").touch()
    with pytest.raises(kx.PlanMovedError, match="would fail"):
        kx.apply(again, pipeline, HERE)


def test_a_resource_of_ones_own_says_what_it_needs(at: Path) -> None:
    """By `needs`; an earlier step that names the path, or the thing, may bring it."""
    steps = [file(at / "key", content="x", mode=0o600), kx.ensure(_Door(str(at / "key")), {"open": "yes"})]
    assert told(kx.plan(one(steps[1]), ON_A)) == [("would fail", "there is no key")]
    assert [each.effect.name for each in kx.plan(one(*steps), ON_A)] == ["change", "change"]


class _Door:
    key = ("door", "front")

    def __init__(self, path: str) -> None:
        self._path = path

    def needs(self, wanted: State) -> list[Need]:
        return [Need(f"[ -e {self._path} ]", "there is no key", (self._path,))]

    def probe(self, wanted: State) -> str:
        return "kx_say open no"

    def apply(self, wanted: State) -> str:
        return "exit 1"


def test_a_folder_of_nobody_is_not_made(at: Path) -> None:
    """Nor its parents: what is to be in it would fail, and does."""
    for parents in (False, True):
        folder = directory(at / "new" / "er" if parents else at / "new", owner="nobody-has-it", parents=parents)
        pipeline = one(folder.ignore_errors(), file(at / "new" / "b", content="x"))
        assert [each.effect.name for each in kx.plan(pipeline, ON_A)] == ["fail", "fail"]
        report = kx.report_of(kx.run(pipeline, ON_A))
        assert [each.status.name for each in report] == ["Failed", "Failed"]
        assert report.results[0].error is not None
        assert "there is no user nobody-has-it: make it" in report.results[0].error.what
        assert not (at / "new").exists()


def test_what_a_step_that_would_fail_may_leave_is_not_denied(at: Path) -> None:
    """Something may be unpacked when it fails: what comes after it is not known."""
    half = unpack(at / "new", archive=at / "no.tar").ignore_errors()
    plan = kx.plan(one(half, file(at / "new" / "b", content="x")), ON_A)
    assert [each.effect.name for each in plan] == ["fail", "unknown"]
    assert plan.entries[1].reason == "it depends on what earlier steps change"
