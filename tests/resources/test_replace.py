"""Text in the lines of a file, replaced wherever it matches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import replace
from tests.resources.helpers_files import HOSTILE, cycle, fails, names, skipped, succeeded, tree, undone


def test_a_replacement_lives(tmp_path: Path) -> None:
    """Everywhere; mode and all else stay; the change tells the lines that were another."""
    path = tmp_path / "f"
    path.write_text("port = 80\nport=81; port=8080\nsport=5\nkeep")
    path.chmod(0o600)

    def drift() -> None:
        path.write_text(path.read_text() + "\nport=1")

    step = replace(path, r"\bport(\s*=\s*)\d+", r"port\g<1>8080")
    result = cycle(step, lambda: tree(tmp_path), drift=drift, exact=False)
    assert result.change is not None
    assert result.change.diff == "-pending port = 80\\nport=81; port=8080\\n\n+pending "
    succeeded(step)
    assert path.read_text() == "port = 8080\nport=8080; port=8080\nsport=5\nkeep"


@pytest.mark.parametrize(
    ("before", "match", "text", "after"),
    [
        ("aXbX\nX", "X", "y", "ayby\ny"),
        ("a.b", r"\.", "&", "a&b"),
        ("a/b|c", r"[/|]", "\\\\", "a\\b\\c"),
        ("foo food foo", r"\bfoo\b", "bar", "bar food bar"),
        ("foo-foo", r"\bfoo\b|-\bfoo", "x", "xx"),
        ("-foo-", r"-\b|\bfoo\b|\b-", "x", "xxx"),
        ("aaa", "a{2}", "b", "ba"),
        ("key: 'v'", r"(?P<k>\w+): '(.)'", r'\g<k>="\2"', 'key="v"'),
        ("Port PORT", re.compile("port", re.IGNORECASE), "22", "22 22"),
        ("café\n", "é", "e", "cafe\n"),
        ("x  y\n", r"\s+", "", "xy\n"),
        ("ab", "a|ab", "x", "x"),
    ],
)
def test_what_matches_is_replaced(tmp_path: Path, before: str, match: str, text: str, after: str) -> None:
    """As Python would, but for alternatives: there the longest wins."""
    path = tmp_path / "f"
    path.write_text(before)
    step = replace(path, match, text)
    result = succeeded(step)
    assert path.read_text() == after
    skipped(step)
    undone(step, result)
    assert path.read_text() == before


def test_a_replacement_without_an_end_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    """It would grow with every run."""
    path = tmp_path / "f"
    path.write_text("a\n")
    fails(replace(path, "a", "aa"), "without an end")
    assert path.read_text() == "a\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_match_that_is_replaced_by_itself_is_as_wanted(tmp_path: Path) -> None:
    """It still matches, and nothing changes."""
    path = tmp_path / "f"
    path.write_text("level=debug\n")
    step = replace(path, r"^level=.*", "level=info")
    succeeded(step)
    skipped(step)


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    """Nothing there, a folder, a NUL."""
    path = tmp_path / "f"
    fails(replace(path, "a", "b"), f"there is no file {path}")
    fails(replace(tmp_path, "a", "b"), "is a directory")
    path.write_bytes(b"a\0a\n")
    fails(replace(path, "a", "b"), "holds a NUL")
    assert path.read_bytes() == b"a\0a\n"


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_names_and_texts_are_what_they_are(tmp_path: Path, name: bytes) -> None:
    """Also as what stands instead, where that is one line."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_text("x @ y\n")
    text = os.fsdecode(name).replace("\n", " ")
    step = replace(path, "@", text.replace("\\", "\\\\"))
    result = succeeded(step)
    skipped(step)
    assert path.read_bytes() == b"x " + os.fsencode(text) + b" y\n"
    undone(step, result)
    assert path.read_text() == "x @ y\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: replace("f", "x", "y"), "absolute"),
        (lambda: replace("/f", "x*", "y"), "where nothing is"),
        (lambda: replace("/f", "^", "y"), "where nothing is"),
        (lambda: replace("/f", "x+?", "y"), "as little as it can"),
        (lambda: replace("/f", "(", "y"), "no regular expression"),
        (lambda: replace("/f", "x", "a\nb"), "line break"),
        (lambda: replace("/f", "x", r"\1"), "no group 1"),
        (lambda: replace("/f", "x", r"\q"), "means nothing"),
        (lambda: replace("/f", "x", None), "text is a NoneType"),  # type: ignore[arg-type]  # the point
        (lambda: replace("/f", "x", f"{kx.Secret('password')}"), "Secret as text"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do."""
    with pytest.raises(kx.InvalidError, match=word):
        make()
