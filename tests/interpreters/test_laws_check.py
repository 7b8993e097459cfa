"""Law 6: a check that holds means Skipped, and the run part is never started; on real shells, by marks in files."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from tests.interpreters.doing import Doing
from tests.interpreters.drawn import Shape, pipelines, tasks_of
from tests.interpreters.hosts import giving, one, ran
from tests.interpreters.world import Turns, timeless
from tests.laws import laws

KINDS = st.tuples(
    st.sampled_from(["holds", "undone", "fails", "none"]),
    st.sampled_from(["", "value", "parse", "folder", "environment", "stdin", "tolerant", "rescue", "retry", "both"]),
)
CODES = {"holds": 0, "undone": 1, "fails": 5}


def make(name: str, kind: str, extra: str, folder: Path) -> kx.Step[Any]:
    """A step whose run leaves its name in a file, and so does its check."""
    options: dict[str, Any] = {}
    if kind != "none":
        options["check"] = f"echo {name} >> {folder}/checked; exit {CODES[kind]}"
    match extra:
        case "value":
            options["value"] = "echo v"
        case "parse":
            options["parse"] = str
        case "folder":
            options["cwd"] = str(folder)
        case "environment":
            options["env"] = {"X": "y"}
        case "stdin":
            options["stdin"] = b"x"
    action: kx.Action[Any] = kx.shell(f"echo {name} >> {folder}/ran", **options)
    step = giving(name, kx.both(action, action) if extra == "both" else action)
    match extra:
        case "tolerant":
            return step.ignore_errors()
        case "rescue":
            return step.rescue(kx.command(f"{name} rescue", "true"))
        case "retry":
            return step.retry(1)
    return step


@laws(30)
@given(kinds=st.lists(KINDS, min_size=1, max_size=6), fuse=st.booleans())
def test_a_check_that_holds_means_skipped_and_nothing_is_started(kinds: list[tuple[str, str]], fuse: bool) -> None:
    """Law 6, on shells, by marks in files: Skipped where it held, run where undone, neither where it failed."""
    fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = [make(f"s{i}", kind, extra, folder) for i, (kind, extra) in enumerate(kinds)]
        its = {each.step: each for each in ran(one(*steps), fleet, fuse=fuse)}
        ran_, checked = (
            Counter((folder / each).read_text().split() if (folder / each).exists() else [])
            for each in ("ran", "checked")
        )
    for i, (kind, extra) in enumerate(kinds):
        result = its[f"s{i}"]
        times = 2 if extra in ("both", "retry") else 1
        if result.status is kx.Status.NotRun:
            assert not ran_[f"s{i}"] + checked[f"s{i}"]
            continue
        match kind:
            case "holds":
                assert (result.status, result.reason) == (kx.Status.Skipped, "check")
                assert (ran_[f"s{i}"], checked[f"s{i}"]) == (0, 2 if extra == "both" else 1)
            case "fails":
                assert (result.status, result.reason) == (kx.Status.Failed, "check")
                assert (ran_[f"s{i}"], checked[f"s{i}"]) == (0, 2 if extra == "retry" else 1)
            case _:
                assert result.status is kx.Status.Succeeded
                assert ran_[f"s{i}"] == (times if extra == "both" else 1)
                assert checked[f"s{i}"] == (ran_[f"s{i}"] if kind == "undone" else 0)


# -- whatever pipelines can be drawn, on real shells --

HERE = kx.Cluster([kx.Host("db1", roles={"db"}), kx.Host("web1", roles={"web"})], connect=kx.Local())
PROGRAMS = {
    "act": """echo "$2 $3" >> ran
case $1 in
fail) bad=1 ;;
flaky) test -e "tried $*" || bad=1; : > "tried $*" ;;
esac
echo "$*"
exit "${bad:-0}"
""",
    "look": """echo "$2 $3" >> looked
test "$1" = held
""",
    "tell": 'echo "value $*"\n',
}
"""Programs that do as the hosts of memory do."""


def held(pipeline: kx.Pipeline) -> set[tuple[str, str]]:
    """Step and host of every check that holds."""
    found: set[tuple[str, str]] = set()

    def look(steps: Iterable[kx.Step[Any]]) -> None:
        for each in steps:
            if isinstance(each.build, Doing) and each.build.word == "held":
                found.update((each.name, host) for host in each.build.struck)
            look(each.rescued_by)

    for task in tasks_of(pipeline):
        look(task.steps)
    return found


def marks(folder: Path, name: str) -> set[tuple[str, str]]:
    """Step and host of every program of a kind that was started; they are forgotten."""
    path = folder / name
    lines = path.read_text().splitlines() if path.exists() else []
    for each in (*folder.glob("tried *"), path):
        each.unlink(missing_ok=True)
    return {(f"s{number}", host) for number, host in map(str.split, lines)}


def check_marks(pipeline: kx.Pipeline, results: Iterable[kx.StepResult], folder: Path) -> None:
    """Where a check held nothing was started; only there, and where it was asked, the reason is `check`."""
    assert not marks(folder, "ran") & held(pipeline)
    told = {(each.step, each.host) for each in results if each.reason == "check"}
    assert told == held(pipeline) & marks(folder, "looked")


def test_on_real_shells_the_interpreters_agree_and_a_check_that_holds_starts_nothing(tmp_path: Path) -> None:
    """Laws 1, 5 and 6: serial, fused and one at a time; what a check found done is Skipped, and left no mark."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)

    @laws(10)
    @given(pipeline=pipelines(Shape(cluster=HERE, policies=False, cwd=tmp_path)))
    def check(pipeline: kx.Pipeline) -> None:
        oracle = timeless(kx.report_of(kx.serial(pipeline, HERE, clock=Turns())))
        check_marks(pipeline, oracle, tmp_path)
        for fuse in (True, False):
            its = timeless(ran(pipeline, HERE, fuse=fuse, clock=Turns()))
            check_marks(pipeline, its, tmp_path)
            assert its == oracle

    check()
