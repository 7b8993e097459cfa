"""Python's regular expressions on a host: what is translated means the same, what is not is refused."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kxflow as kx
from kxflow.resources.posix_regex import MARKING, Ere, literal, replacement, to_ere
from kxflow.testing.plugin import need_program

GNU: Sequence[str] = ()
BUSYBOX: Sequence[str] = ("busybox",)


def piped(argv: Sequence[str | bytes], data: bytes) -> bytes:
    """What a program makes of this; grep's 1 is no failure."""
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
    done = subprocess.run(argv, check=False, input=data, capture_output=True, env=env)
    assert done.returncode < 2, done.stderr
    return done.stdout


def matching(tools: Sequence[str], ere: Ere, lines: Sequence[str]) -> list[str]:
    """The lines that a host finds."""
    data = "".join(f"{line}\n" for line in lines).encode()
    if ere.marked:
        data = piped([*tools, "sed", MARKING], data)
    found = piped([*tools, "grep", "-E", "-e", ere.text.encode("utf-8", "surrogateescape")], data)
    return found.replace(b"\x01", b"").decode().split("\n")[:-1]


SETS = st.lists(
    st.sampled_from(["a", "b-d", "0-3", r"\]", r"\\", r"\-", r"\^", r"\[", ".", r"\t", r"\w", r"\d", r"\s", "x", " "]),
    min_size=1,
    max_size=3,
)
CHARS = st.sampled_from(
    [*"abcx12 -_&/\"'#:,", r"\.", r"\\", r"\[", r"\]", r"\{", r"\}", r"\$", r"\^", r"\(", r"\|", "]"]
)
ATOMS = st.one_of(
    CHARS,
    CHARS,
    st.sampled_from([".", r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\b"]),
    st.builds(lambda negated, parts: f"[{negated}{''.join(parts)}]", st.sampled_from(["", "^"]), SETS),
)
SIGNS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}"])


def _group(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    opened = st.sampled_from(["(", "(?:"])
    alone = st.builds(lambda begin, one: f"{begin}{one})", opened, inner)
    several = st.builds(lambda begin, one, two: f"{begin}{one}|{two})", opened, inner, st.one_of(inner, st.just("")))
    return _sequences(st.one_of(ATOMS, alone, several))


def _sequences(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.builds(lambda atom, sign: atom if atom == r"\b" else atom + sign, atoms, SIGNS)
    return st.builds("".join, st.lists(repeated, min_size=1, max_size=3))


PATTERNS = st.builds(
    lambda begin, body, end: begin + body + end,
    st.sampled_from(["", "", "^"]),
    st.recursive(_sequences(ATOMS), _group, max_leaves=3),
    st.sampled_from(["", "", "$"]),
)
LINES = st.lists(st.text("aabbcxx12 -._\\[]{}$^&/\"'\t()|#", max_size=7), min_size=1, max_size=60)


@pytest.mark.parametrize("tools", [GNU, BUSYBOX], ids=["gnu", "busybox"])
@settings(max_examples=60, deadline=None)
@given(pattern=PATTERNS, lines=LINES)
def test_a_translated_expression_finds_the_lines_that_python_finds(
    tools: Sequence[str], pattern: str, lines: list[str]
) -> None:
    """Whatever it is made of; what is refused has no meaning on the host."""
    if tools:
        need_program(*tools)
    try:
        ere = to_ere(pattern)
    except kx.InvalidError:
        return
    found = re.compile(pattern, re.ASCII)
    assert matching(tools, ere, lines) == [line for line in lines if found.search(line)]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\bdb$", ["10.0.0.5 db", "db", "x-db"], ["10.0.0.5 mydb", "db ", "dbx", "10.0.0.5 _db"]),
        (
            r"^\s*PermitRootLogin\b.*$",
            ["PermitRootLogin no", "\tPermitRootLogin"],
            ["#PermitRootLogin", "PermitRootLogins"],
        ),
        (r"(?i)^#?\s*port\b", ["#  PORT 22", "Port"], ["ports", "x port"]),
        (r"caf[éè]s?", ["café", "cafès"], ["cafe", "caf"]),
        (r"(?P<a>x{2,3})(?:y|)z", ["xxz", "axxxyz"], ["xyz", "xxyyz"]),
        (r"[]^a-]", ["]", "^", "a", "-"], ["b", "\\"]),
        (r"[\^\-\\\]]", ["]", "^", "\\", "-"], ["b", "a"]),
        (r"\x41é\u00fc\t", ["Aéü\t"], ["Aéü "]),
        (r"\Aa\Z", ["a"], ["aa", "ba"]),
        (r"a|^b$", ["xa", "b"], ["xb", "bx"]),
        (r"foo\b|\bbar", ["foo", "foo-", "-bar", "barx"], ["food", "xbar"]),
    ],
)
def test_usual_expressions_mean_what_they_mean_in_python(pattern: str, yes: list[str], no: list[str]) -> None:
    """Worked examples."""
    assert [line for line in [*yes, *no] if re.search(pattern, line, re.ASCII)] == yes
    assert matching(GNU, to_ere(pattern), [*yes, *no]) == yes


def test_flags_of_a_compiled_pattern_count() -> None:
    """Case does not matter, where that was said."""
    ere = to_ere(re.compile("[a-c]x", re.IGNORECASE))
    assert matching(GNU, ere, ["AX", "bx", "dx"]) == ["AX", "bx"]


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("(", "no regular expression"),
        ("a(?=b)", r"\(\?=b"),
        ("(?<!a)b", r"\(\?<!"),
        (r"(a)\1", r"\\1"),
        (r"(?P<n>a)(?P=n)", r"\?P="),
        (r"\Bx", r"\\B"),
        (r"a\nb", r"\\n"),
        ("a\nb", "character"),
        ("(?x) a b", "verbose"),
        ("a*+", "possessive"),
        ("(?>a)", r"\(\?>"),
        ("(?i:a)b", r"\(\?i"),
        (r"a{300}", "repetitions"),
        (r"(?:\b)*x", "repeated place"),
        ("a^b", r"\^ behind"),
        ("a$b", r"\$ before"),
        ("x|", "matches everything"),
        ("", "matches everything"),
        ("()", "empty group"),
        ("[^é]", "negated set"),
        ("[à-é]", "range beyond"),
        (r"[^\s\S]", "empty set"),
        (r"\N{DIGIT ONE}", r"\\N"),
        (b"x", "is a bytes"),
    ],
)
def test_what_has_no_counterpart_is_refused(pattern: str, word: str) -> None:
    """The message says what it is."""
    with pytest.raises(kx.InvalidError, match=word):
        to_ere(pattern)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\n\0\r\x01"), min_size=1, max_size=12))
def test_a_literal_matches_itself_only(text: str) -> None:
    """Whatever it holds."""
    found = piped(["grep", "-xE", "-e", literal(text).encode()], f"{text}\nx{text}\n{text}x\n".encode())
    assert found.decode().split("\n")[:-1] == [text]


def test_a_replacement_names_groups_as_python_does() -> None:
    """By number and name, also where the host counts others in between."""
    ere = to_ere(r"(?:a|b)(x)(?P<n>y|)")
    assert replacement(r"&/\\\1\g<n>\g<2>\g<0>", ere, "text") == r"\&/\\\2\3\3&"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("\\2", "no group 2"),
        ("\\n", "means nothing"),
        ("\\", "means nothing"),
        ("a\nb", "line break"),
        ("\\g<x>", "no group x"),
        ("\\0", "means nothing"),
    ],
)
def test_a_replacement_that_cannot_be_is_refused(text: str, word: str) -> None:
    """The message says what it is."""
    with pytest.raises(kx.InvalidError, match=word):
        replacement(text, to_ere("(a)"), "text")
