"""Values in a notebook: useful tables, and nothing in them that a host wrote is HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.testing.result_strategies import faults, runs, step_results
from kxflow.testing.sink_check import scenarios
from kxflow.values.fault import Fault
from kxflow.values.result import Results, StepResult
from tests.journal.logs import result

TAGS: Final = {"p", "b", "table", "thead", "tbody", "tr", "th", "td", "pre", "ul", "li"}
CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
EVIL: Final = "<script>alert(1)</script>&amp;'\"\x1b[2J\u202e\udcff<!--"


class Page(HTMLParser):
    """What a browser would see: tags, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        text.encode("utf-8")  # a notebook sends it so
        assert not CONTROL.search(text)
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert attrs == []
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)


def page(value: Any) -> Page:
    """The page of a value."""
    return Page(value._repr_html_())


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda each: each.name)
def test_a_report_is_safe_whatever_hosts_wrote(scenario: Any) -> None:
    """Every result has its row."""
    report = kx.fold(scenario.events)
    cells = page(report).cells
    assert cells[:6] == ["host", "step", "status", "reason", "seconds", "last output"]
    assert len(cells) == 6 * (1 + len(report))


@settings(deadline=None, max_examples=40)
@given(results=runs(), told=st.lists(faults(), max_size=2))
def test_any_report_is_safe(results: Results, told: list[Fault]) -> None:
    """Faults of the run itself are told above the table."""
    text = page(kx.Report(results, tuple(told))).text
    assert len(text) > 0


@settings(deadline=None, max_examples=40)
@given(one=step_results())
def test_any_result_is_safe(one: StepResult) -> None:
    """With its status and both of its outputs."""
    text = "".join(page(one).text)
    assert one.status.name in text
    assert ("stdout" in text) >= bool(one.stdout)


def test_a_report_shows_what_went_wrong_first() -> None:
    """A reader of a thousand rows begins at the top; rows beyond two hundred are counted."""
    many = [result(place) for place in range(300)]
    many[250] = evolve(many[250], status=kx.Status.Failed, reason="exit", stderr=kx.Output.of(b"a\nno space\n"))
    shown = page(kx.Report(many))
    assert shown.text[0] == "deploy failed: 299 Succeeded, 1 Failed"
    assert shown.cells[6:12] == ["web250", "web/join/join", "Failed", "exit", "0.00", "a\nno space"]
    assert shown.text[-1] == "… and 100 more"
    assert len(shown.cells) == 6 * 201


def test_a_result_shows_what_is_known_of_it() -> None:
    """And leaves out what is not."""
    fault = Fault("exit", "exit status 3", "deploy/web/join/join", "look at <the log>")
    one = evolve(result(0), status=kx.Status.Failed, exit_code=3, error=fault, stdout=kx.Output.of(b"<b>out</b>\n"))
    shown = page(one)
    assert shown.cells[:6] == ["", "", "exit code", "3", "error", str(fault)]
    assert "value" not in shown.cells
    assert shown.text[0] == "web0 deploy/web/join/join: Failed"
    assert shown.text[-2:] == ["stdout", "<b>out</b>\n"]


def test_a_cluster_shows_its_hosts_and_no_secret() -> None:
    """A row a host: address, roles, how it is reached, what holds for it."""
    cluster = kx.Cluster(
        [kx.Host("web1", "10.0.0.11", roles={"web"}, vars={"evil": EVIL}), kx.Host("here", connect=kx.Local())],
        vars={"password": kx.Secret("hunter2-hunter2")},
        connect=kx.Ssh(user="ops", port=2222, password=kx.Secret("hunter3-hunter3")),
    )
    shown = page(cluster)
    assert shown.cells[:5] == ["host", "address", "roles", "reached by", "variables"]
    assert shown.cells[5:9] == ["web1", "10.0.0.11", "web", "ssh ops@10.0.0.11:2222"]
    assert shown.cells[10:14] == ["here", "here", "", "local"]
    assert "<script>alert(1)</script>" in shown.cells[9]
    assert "hunter" not in cluster._repr_html_()


def test_a_pipeline_shows_its_layers_in_order_with_hooks_and_waves() -> None:
    """What is done where, as a tree."""
    step = kx.command("<i>restart</i>", "true")
    made = kx.pipeline(
        "deploy & <b>",
        kx.module(
            "web",
            kx.task("roll", step, on=kx.role("web"), waves=kx.waves(1, "25%", "100%")),
            before=kx.task("drain", step),
            after=kx.task("fill", step),
            waves=kx.waves(2),
        ),
        kx.module("nothing yet"),
        before=kx.task("lock", step),
        after=kx.task("unlock", step, step.named("tell")),
    )
    assert page(made).text == [
        "pipeline deploy & <b>",
        "@before",
        "lock on all: <i>restart</i>",
        "web in waves (2)",
        "@before/drain on all: <i>restart</i>",
        "roll on role:web in waves (1, 25%, 100%): <i>restart</i>",
        "@after/fill on all: <i>restart</i>",
        "nothing yet",
        "@after",
        "unlock on all: <i>restart</i>, tell",
    ]
