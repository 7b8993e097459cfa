"""Values as HTML, for notebooks: nothing that a host or a user wrote is markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults, step_results
from kxflow.values.fault import Fault
from kxflow.values.markup import escaped, preformatted, table, title, tree
from tests.laws import laws
from tests.values.made import RECORDS, many, placed, result

EVIL = "<script>alert('x\"')</script>&amp;"
TAGS = {"p", "b", "table", "thead", "tbody", "tr", "th", "td", "pre", "ul", "li"}


class Reader(HTMLParser):
    """Reads what a browser would see: tags, which must nest, and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not attrs
        self.seen.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def read(markup: str) -> Reader:
    """What a browser sees of it."""
    reader = Reader()
    reader.feed(markup)
    reader.close()
    assert reader.open == []
    assert set(reader.seen) <= TAGS
    return reader


def html(value: Any) -> str:
    """What a notebook is given."""
    return str(value._repr_html_())


@RECORDS
@given(
    results=st.lists(step_results(), max_size=2),
    wrong=st.lists(faults(), max_size=2),
)
def test_no_result_can_bring_markup_in(results: list[kx.StepResult], wrong: list[Fault]) -> None:
    """Of a report and of each of its results: our tags alone, well nested, without attributes."""
    report = kx.Report(placed(results), tuple(wrong))
    read(html(report))
    for each in results:
        read(html(each))


HOSTILE = result(
    kx.Status.Failed,
    **dict.fromkeys(("run", "pipeline", "module", "task", "step", "host", "reason", "value"), EVIL),
    stdout=kx.Output.of(EVIL.encode()),
    stderr=kx.Output.of(EVIL.encode()),
    error=Fault("exit", EVIL, EVIL, EVIL),
)
# Such names cannot be given to the builders; inventories and other programs make values too.
EVIL_TASK = evolve(kx.task("t", evolve(kx.command("s", "x"), name=EVIL), on=kx.where(lambda host: True)), name=EVIL)
EVIL_MODULE = evolve(kx.module("m", EVIL_TASK, before=EVIL_TASK, after=EVIL_TASK), name=EVIL)
EVIL_PIPELINE = evolve(kx.pipeline("p", EVIL_MODULE, before=EVIL_TASK, after=EVIL_TASK), name=EVIL)
EVIL_CLUSTER = kx.Cluster([kx.Host("web1", vars={"a": EVIL, "b": [EVIL]})], vars={EVIL: 1})


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        kx.Report([HOSTILE], (Fault("sink", EVIL, EVIL, EVIL),)),
        EVIL_TASK,
        EVIL_MODULE,
        EVIL_PIPELINE,
        EVIL_CLUSTER,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_script_is_never_raw(value: Any) -> None:
    """Wherever it stands; a browser shows it as it was written."""
    shown = html(value)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "<script>alert('x" in read(shown).text


def test_a_result_tells_what_there_is() -> None:
    """Its line, its numbers, error, value and both outputs; what is empty is left out."""
    its = result(
        kx.Status.Failed,
        exit_code=3,
        value={"a": 1},
        error=Fault("exit", "it failed"),
        stdout=kx.Output.of(b"out\n"),
        stderr=kx.Output.of(b"err\n"),
    )
    seen = read(html(its)).text
    for word in ("web1 deploy/web/join/start: Failed", "exit code3", "errorit failed", "{'a': 1}", "out", "err"):
        assert word in seen
    bare = html(result())
    assert "none received" in bare
    assert "error" not in bare
    assert "<pre>" not in bare
    assert "&lt;int&gt;" in html(result(value=10**5000))


def test_a_report_shows_faults_first_and_says_how_many_are_left_out() -> None:
    """At most two hundred rows; the summary line counts all."""
    bad = result(kx.Status.Failed, host="zz", position=kx.Position(9), stderr=kx.Output.of(b"1\n2\n3\nlast\n"))
    seen = read(html(kx.Report([*many(300), bad], (Fault("sink", "no space", "run.ndjson"),))))
    assert seen.text.startswith("deploy failed: 300 Succeeded, 1 Failedrun.ndjson: no space")
    assert seen.text.index("zz") < seen.text.index("h0")
    assert "2\n3\nlast" in seen.text
    assert seen.seen.count("tr") == 201
    assert seen.text.endswith("… and 101 more")


def test_a_cluster_shows_its_hosts() -> None:
    """How each is reached, and every variable that holds for it; no secret."""
    fleet = kx.Cluster(
        [
            kx.Host("web1", "10.0.0.1", roles={"web", "edge"}, connect=kx.Ssh(user="ops", port=2222)),
            kx.Host("box", connect=kx.Via("docker", "exec")),
            kx.Host("me", connect=kx.Local()),
        ],
        vars={"port": 80, "token": kx.Secret("hunter2-hunter2"), "big": 10**5000},
    )
    shown = html(fleet)
    for word in ("web1", "10.0.0.1", "edge, web", "ssh ops@10.0.0.1:2222", "via", "local", "port=80", "big=<int>"):
        assert word in read(shown).text
    assert "hunter2" not in shown


def test_a_pipeline_shows_modules_tasks_steps_and_hooks() -> None:
    """In the order in which they run."""
    step = kx.command("install", "x")
    task = kx.task("join", step, on=kx.role("web"))
    lock = kx.task("lock", step)
    whole = kx.pipeline("deploy", kx.module("web", task, before=lock), before=lock, after=kx.task("free", step))
    seen = read(html(whole)).text
    words = ["pipeline deploy", "@before", "lock on all", "web", "@before/lock on all", "join on role:web: install"]
    at = 0
    for word in (*words, "@after", "free on all"):
        at = seen.index(word, at) + len(word)
    assert seen.count("lock on all: install") == 2
    assert "module web" in read(html(whole.modules[0])).text
    assert read(html(task)).text == "task joinon role:webinstall"


@laws()
@given(rows=st.lists(st.tuples(st.text(), st.integers()), max_size=5), most=st.integers(0, 4))
def test_a_table_has_a_row_for_each_up_to_the_bound(rows: list[tuple[str, int]], most: int) -> None:
    """And says how many are left out."""
    seen = read(table(("a", "b"), rows, total=len(rows), most=most))
    assert seen.seen.count("tr") == 1 + min(len(rows), most)
    assert seen.text.endswith(f"… and {len(rows) - most} more") == (len(rows) > most)


@pytest.mark.parametrize(
    "make", [title, escaped, lambda said: preformatted(said, said), lambda said: tree(said, [(said, [said])])]
)
def test_the_pieces_escape_what_they_are_given(make: Any) -> None:
    """Quotes, too."""
    shown = make(EVIL)
    assert "<script" not in shown
    assert '"' not in shown
    assert EVIL in read(shown).text


def test_an_empty_block_is_nothing() -> None:
    """There is no name of what is not there."""
    assert preformatted("stdout", "") == ""
