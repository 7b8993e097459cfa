"""Lines of a text file between two marker lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import block
from tests.resources.helpers_files import HOSTILE, cycle, fails, names, ran, skipped, succeeded, tree, undo, undone


def test_a_block_lives(tmp_path: Path) -> None:
    """What is outside is not touched; the diff tells the lines."""
    path = tmp_path / "f"
    path.write_text("before\nafter")
    path.chmod(0o600)

    def drift() -> None:
        path.write_text(path.read_text().replace("two", "2") + "more\n")

    step = block(path, "one\n\ntwo", marker="m")
    result = cycle(step, lambda: tree(tmp_path), drift=drift, exact=False)
    assert result.change is not None
    assert result.change.diff == "-block none\n+block one\\n\\ntwo\\n"
    succeeded(step)
    assert path.read_text() == "before\nafter\n# BEGIN m\none\n\ntwo\n# END m\n"


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        ("", {}, "# BEGIN kxflow\nx\n# END kxflow\n"),
        ("a", {}, "a\n# BEGIN kxflow\nx\n# END kxflow\n"),
        ("a\nb\n", {"after": "^a"}, "a\n# BEGIN kxflow\nx\n# END kxflow\nb\n"),
        ("a\nb", {"before": r"\ba\b"}, "# BEGIN kxflow\nx\n# END kxflow\na\nb"),
        ("a\n# BEGIN kxflow\n# END kxflow\nb", {"after": "b"}, "a\n# BEGIN kxflow\nx\n# END kxflow\nb"),
        ("# BEGIN kxflow\n1\n2\n# END kxflow", {}, "# BEGIN kxflow\nx\n# END kxflow\n"),
        (
            "# BEGIN kxflow\n1\n# END kxflow\n",
            {"marker": "m", "comment": ";"},
            "# BEGIN kxflow\n1\n# END kxflow\n; BEGIN m\nx\n; END m\n",
        ),
        ("a\n", {"comment": ("<!--", "-->")}, "a\n<!-- BEGIN kxflow -->\nx\n<!-- END kxflow -->\n"),
        ("a\n", {"comment": "", "marker": "m"}, "a\nBEGIN m\nx\nEND m\n"),
    ],
)
def test_a_block_goes_where_it_was_said(tmp_path: Path, before: str, options: dict[str, Any], after: str) -> None:
    """And undo gives every byte back."""
    path = tmp_path / "f"
    path.write_text(before)
    step = block(path, "x", **options)
    result = succeeded(step)
    assert path.read_text() == after
    skipped(step)
    undone(step, result)
    assert path.read_text() == before


def test_absent_takes_lines_and_markers_away(tmp_path: Path) -> None:
    """Other blocks stay; where there is no file there is nothing to do."""
    path = tmp_path / "f"
    text = "a\n# BEGIN other\n1\n# END other\n# BEGIN m\n1\n2\n# END m\nb"
    path.write_text(text)
    step = block(path, marker="m", state="absent")
    cycle(step, path.read_text, drift=lambda: path.write_text("# BEGIN m\n# END m\n"), exact=False)
    path.write_text(text)
    succeeded(step)
    assert path.read_text() == "a\n# BEGIN other\n1\n# END other\nb"
    path.unlink()
    skipped(step)


def test_an_empty_block_is_one(tmp_path: Path) -> None:
    """Markers with nothing between them."""
    path = tmp_path / "f"
    cycle(block(path, "", create=True), lambda: tree(tmp_path), drift=lambda: path.write_text("x\n"), exact=False)


def test_a_file_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    """With mode 644."""
    path = tmp_path / "f"
    fails(block(path, "x"), f"there is no file {path}")
    succeeded(block(path, "x", create=True))
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "text",
    [
        "# BEGIN m\n1\n",
        "1\n# END m\n",
        "# END m\n# BEGIN m\n",
        "# BEGIN m\n# BEGIN m\n# END m\n",
        "# BEGIN m\n# END m\n# BEGIN m\n# END m\n",
        "# BEGIN m\n# END m\n# END m\n",
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_markers_that_are_not_one_pair_are_refused(tmp_path: Path, text: str, state: str) -> None:
    """The file stays as it is."""
    path = tmp_path / "f"
    path.write_text(text)
    step = block(path, "x", marker="m") if state == "present" else block(path, marker="m", state="absent")
    fails(step, "are not one pair", "# BEGIN m")
    assert path.read_text() == text


@pytest.mark.parametrize("text", [os.fsdecode(each) for each in HOSTILE])
def test_hostile_text_and_markers_are_text(tmp_path: Path, text: str) -> None:
    """Every byte arrives."""
    path = tmp_path / "f"
    path.write_text("a\n")
    if "\n" in text:
        with pytest.raises(kx.InvalidError, match="marker"):
            block(path, "x", marker=text)
    marker = text.replace("\n", " ")
    step = block(path, text, marker=marker)
    result = succeeded(step)
    skipped(step)
    body = os.fsencode(text if text.endswith("\n") else f"{text}\n")
    raw = os.fsencode(marker)
    assert path.read_bytes() == b"a\n# BEGIN " + raw + b"\n" + body + b"# END " + raw + b"\n"
    succeeded(block(path, "other", marker=marker))
    undone(step, result)
    assert path.read_text() == "a\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", HOSTILE, ids=names)
def test_hostile_paths_are_paths(tmp_path: Path, name: bytes) -> None:
    """They are quoted, whatever they hold."""
    path = os.fsencode(tmp_path) + b"/" + name
    step = block(path, "x", create=True)
    result = succeeded(step)
    skipped(step)
    undone(step, result)
    assert not list(tmp_path.iterdir())


def test_a_secret_block_is_in_no_record_and_not_undone(tmp_path: Path) -> None:
    """What it replaces is not either."""
    path = tmp_path / "f"
    path.write_text("# BEGIN kxflow\nold-s3cret\n# END kxflow\n")
    step = block(path, kx.Secret("new-s3cret\nsecond"))
    report = ran(step)
    assert report.succeeded
    assert "s3cret" not in repr(report.to_dicts())
    assert path.read_text() == "# BEGIN kxflow\nnew-s3cret\nsecond\n# END kxflow\n"
    assert undo(step, report.results[0]) is None
    skipped(step)


def test_a_large_block_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    """Thousands of lines."""
    path = tmp_path / "f"
    path.write_text("a\n")
    text = "".join(f"line {i} \\ of a block\n" for i in range(5000))
    step = block(path, text)
    assert succeeded(step).duration < 5
    assert skipped(step).duration < 5
    assert path.read_text() == f"a\n# BEGIN kxflow\n{text}# END kxflow\n"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: block("f", "x"), "absolute"),
        (lambda: block("/f"), "no text"),
        (lambda: block("/f", "x", marker=" "), "empty marker"),
        (lambda: block("/f", "x", marker="a\nb"), "is no line"),
        (lambda: block("/f", "x", comment=("a", "b\n")), "is no line"),
        (lambda: block("/f", "a\n# END kxflow\n"), "its own marker"),
        (lambda: block("/f", kx.Secret("a-secret\n# END kxflow\n")), "its own marker"),
        (lambda: block("/f", "a\0b"), "NUL"),
        (lambda: block("/f", f"{kx.Secret('password')}"), "Secret as text"),
        (lambda: block("/f", "x", after="("), "no regular expression"),
        (lambda: block("/f", "x", state="absent"), "absent, and with"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_built(make: Callable[[], Any], word: str) -> None:
    """The message says what and what to do, and no secret."""
    with pytest.raises(kx.InvalidError, match=word) as caught:
        make()
    assert "a-secret" not in str(caught.value)
