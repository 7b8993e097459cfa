"""What a resource cannot be is told where it is made, before any host is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from kxflow import resources as r
from kxflow.values.errors import InvalidError

TEXT: Any = "yes"  # where True or False belongs

CASES: list[tuple[Callable[[], object], str]] = [
    (lambda: r.service("a", running=TEXT), "service a: running='yes'"),
    (lambda: r.service("a", enabled=TEXT), "service a: enabled='yes'"),
    (lambda: r.service("a", masked=TEXT), "service a: masked='yes'"),
    (lambda: r.file("/a", content="", backup=TEXT), "file /a: backup='yes'"),
    (lambda: r.mount("/a", "/dev/b", passno=9), "passno=9"),
    (lambda: r.mount("/a", "/dev/b", passno=3), "passno=3"),
    (lambda: r.package("A", manager="apt"), "package A: no package of Debian's"),
    (lambda: r.package("a_b", manager="apt"), "package a_b: no package of Debian's"),
    (lambda: r.package("r", manager="apt"), "package r: no package of Debian's"),
    (lambda: r.fetch("/a", ""), "fetch /a: dest=''"),
    (lambda: r.sysctl("vm.swappiness", "6\n1"), r"value='6\n1'"),
    (lambda: r.user("root", state="absent"), "user root: absent"),
    (lambda: r.group("root", state="absent"), "group root: absent"),
]
NAMELESS: dict[str, Callable[[], object]] = {
    "block": lambda: r.block("/a", "b", name=""),
    "fetch": lambda: r.fetch("/a", "b", name=""),
    "file": lambda: r.file("/a", content="", name=""),
    "hostname": lambda: r.hostname("a", name=""),
    "hosts_entry": lambda: r.hosts_entry("10.0.0.5", "a", name=""),
    "kernel_module": lambda: r.kernel_module("a", name=""),
    "line": lambda: r.line("/a", "b", name=""),
    "replace": lambda: r.replace("/a", "b", "c", name=""),
    "restart_service": lambda: r.restart_service("a", name=""),
    "timezone": lambda: r.timezone("Europe/Berlin", name=""),
    "wait_for": lambda: r.wait_for(port=22, name=""),
}


@pytest.mark.parametrize(("make", "words"), CASES, ids=[words for _, words in CASES])
def test_what_cannot_be_is_refused_when_it_is_made(make: Callable[[], object], words: str) -> None:
    """It says what was wrong."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        make()


@pytest.mark.parametrize("kind", NAMELESS)
def test_an_empty_name_is_no_name_that_was_left_out(kind: str) -> None:
    """Else a name that was meant to come from somewhere gets lost unseen."""
    with pytest.raises(InvalidError, match="step name ''"):
        NAMELESS[kind]()


def test_what_can_be_is_taken() -> None:
    """Names that other managers have, values with tabs and a line break at their end, groups and users that go."""
    for step in (
        r.package("R"),
        r.package("g++", manager="apt"),
        r.package("libc6:amd64", manager="apt"),
        r.sysctl("net.ipv4.tcp_rmem", "4096\t131072\t6291456\n"),
        r.mount("/a", "/dev/b", dump=1, passno=2),
        r.user("ann", state="absent"),
        r.group("web", state="absent"),
        r.user("root", shell="/bin/sh"),
    ):
        assert step.name
