"""Nothing that a host wrote acts upon a terminal, or hides."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.sinks.escape import lines_of, visible


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_nothing_that_controls_or_hides_is_left(text: str) -> None:
    """What comes out can be encoded and printed, whatever went in."""
    shown = visible(text)
    assert shown.encode().decode() == shown
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


@given(st.text(st.characters(codec=None, exclude_categories=("C", "Z", "M")) | st.just(" ")))
def test_plain_text_stays_as_it_is(text: str) -> None:
    """Letters of any script, digits, signs and blanks are not touched."""
    blank = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}
    assert visible(text) == text or blank & set(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x7f\x80\x9b", r"\x7f\x80\x9b"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("zero\u200bwidth\ufeff\u2060", r"zero\u200bwidth\ufeff\u2060"),
        ("\U000e0041\ufe0f\u3164\u034f", r"\U000e0041\ufe0f\u3164\u034f"),
        ("\udcff\ud83d", r"\udcff\ud83d"),
        ("\ue000", r"\ue000"),
        ("Zürich 日本語 Ελλάδα é ✓ 🚀", "Zürich 日本語 Ελλάδα é ✓ 🚀"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_forms(text: str, shown: str) -> None:
    """The forms of the usual tricks."""
    assert visible(text) == shown


def test_every_code_point_is_safe() -> None:
    """All 1,114,112, one by one in one go: no line break of any kind, and as many as there were."""
    text = visible("".join(map(chr, range(0x110000))))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_lines_keep_their_breaks_and_columns() -> None:
    """Several lines stay several; tabs become blanks."""
    assert lines_of("a\tb\nc\x1b\td") == "a       b\nc\\x1b      d"
