"""Rules of sudo on a copy of this machine."""

from __future__ import annotations

import re

import pytest

from kxflow.resources import sudoers
from kxflow.testing.plugin import need_program
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, refused, succeeds, undoing

RULE = "deploy ALL=(root) NOPASSWD: /bin/true"
FILE = "/etc/sudoers.d/deploy"
LOOK = f"stat -c %a:%u:%g {FILE} 2>&1; cat {FILE}; ls -A /etc/sudoers.d | grep kx[.]; ls /pwned"

pytestmark = pytest.mark.usefixtures("visudo")


@pytest.fixture(scope="module")
def visudo() -> None:
    """It is there."""
    need_program("visudo")


def test_sudoers_is_put_in_repaired_and_undone(box: Box) -> None:
    """Content, owner and mode come about, are repaired where they drift, and go by undo."""
    cycle(box, sudoers("deploy", RULE), look=LOOK, drift=f"chmod 777 {FILE}; chown 1:1 {FILE}; echo '# x' >>{FILE}")
    cycle(box, sudoers("deploy", RULE), look=LOOK, drift=f"rm {FILE}")


def test_sudoers_that_goes_comes_back(box: Box) -> None:
    """Undo of absent brings content and mode back."""
    box.sh(f"printf '# mine\\n{RULE}' >{FILE}; chmod 400 {FILE}")
    cycle(box, sudoers("deploy", state="absent"), look=LOOK)


def test_sudoers_shows_its_lines_in_the_change(box: Box) -> None:
    """The diff is of rules, not of digests."""
    succeeds(box, sudoers("deploy", RULE))
    result = succeeds(box, sudoers("deploy", RULE.replace("true", "false")))
    assert result.change is not None
    assert f"-{RULE}\n+{RULE.replace('true', 'false')}" in result.change.diff


@pytest.mark.parametrize("content", ["deploy ALL=(root NOPASSWD: /bin/true", "nonsense", "%admin ALL=(ALL) AL\nx"])
def test_sudoers_that_visudo_refuses_changes_nothing(box: Box, content: str) -> None:
    """A mistake locks nobody out: the old file stays, and nothing is left beside it."""
    succeeds(box, sudoers("deploy", RULE))
    before = box.sh(LOOK, ok=False)
    fails(box, sudoers("deploy", content), "visudo does not take it", "syntax error")
    assert box.sh(LOOK, ok=False) == before
    holds(box, sudoers("deploy", RULE))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("deploy ALL=(root NOPASSWD: /bin/true", "line 1: syntax error: deploy ALL=(root NOPASSWD: /bin/true"),
        (f"# fine\n\n{RULE}\nnonsense\n{RULE}", "line 4: syntax error: nonsense"),
    ],
)
def test_sudoers_says_which_line_is_wrong(box: Box, content: str, words: str) -> None:
    """In the error itself, where visudo's own last line is a caret below a column."""
    result = fails(box, sudoers("deploy", content))
    assert result.error is not None
    assert result.error.what == f"{words}; visudo does not take it (exit status 1)"


def test_sudoers_says_which_line_is_wrong_where_visudo_is_old(box: Box) -> None:
    """Before 1.9.6 it wrote of a place in another way."""
    box.sh("printf '#!/bin/sh\\necho \">>> $3: syntax error near line 2 <<<\" >&2; exit 1\\n' >/usr/sbin/visudo")
    fails(box, sudoers("deploy", f"{RULE}\nnonsense"), "line 2: syntax error: nonsense; visudo does not take it")


def test_sudoers_undo_gives_back_what_was_wrong_as_well(box: Box) -> None:
    """Undo is the state before, whatever visudo thinks of it."""
    box.sh(f"echo nonsense >{FILE}; chmod 640 {FILE}")
    cycle(box, sudoers("deploy", RULE), look=LOOK)


def test_sudoers_content_is_taken_as_it_is(box: Box) -> None:
    """Quotes, dollars, backslashes and bytes that are no UTF-8 arrive as they are given."""
    content = f'# it\'s "q" $(touch /pwned) \\n %s \udcff é\n{RULE}'
    its = ensured(succeeds(box, sudoers("deploy", content)))
    assert its.after["mode"] == "440"
    assert box.sh(f"cat {FILE}; ls /pwned", ok=False) == f"{content}\n"


def test_sudoers_follows_a_link(box: Box) -> None:
    """A file that is a link is written where it leads, and checked before."""
    box.sh(f"mkdir /srv/rules; touch /srv/rules/r; ln -s ../../srv/rules/r {FILE}")
    step = sudoers("deploy", RULE)
    result = succeeds(box, step)
    assert box.sh(f"readlink {FILE}; cat /srv/rules/r") == f"../../srv/rules/r\n{RULE}\n"
    succeeds(box, undoing(step, result))
    assert box.sh(f"readlink {FILE}; cat /srv/rules/r; stat -c %a /srv/rules/r") == "../../srv/rules/r\n644\n"


def test_sudoers_without_rights_is_told_so(box: Box) -> None:
    """A plain user changes no rule, and is not told that one is gone which he cannot see."""
    succeeds(box, sudoers("deploy", RULE))
    refused(box, sudoers("other", RULE), "Permission denied", look=LOOK)
    refused(box, sudoers("deploy", f"{RULE}x"), "Permission denied", look=LOOK)
    refused(box, sudoers("deploy", state="absent"), "Permission denied", look=LOOK)
    box.sh("chmod 700 /etc/sudoers.d")
    refused(box, sudoers("deploy", state="absent"), "cannot see whether there is /etc/sudoers.d/deploy", look=LOOK)


def test_sudoers_on_a_full_or_read_only_disk_leaves_the_file(box: Box) -> None:
    """The old file stays whole, and nothing is left beside it."""
    big = "\n".join((RULE, *("# a comment" for _ in range(500))))
    box.sh(f"mount -t tmpfs -o size=8k t /etc/sudoers.d; echo '{RULE}' >{FILE}; chmod 440 {FILE}")
    look = f"ls -lA /etc/sudoers.d; cat {FILE}"
    before = box.sh(look)
    fails(box, sudoers("deploy", big), "No space left")
    assert box.sh(look) == before
    box.sh("mount -o remount,ro /etc/sudoers.d")
    fails(box, sudoers("deploy", big), "Read-only file system")
    assert box.sh(look) == before
    fails(box, sudoers("deploy", state="absent"), "Read-only file system")


def test_sudoers_without_visudo_is_a_failure(box: Box) -> None:
    """What cannot be checked is not put in place."""
    box.sh("rm /usr/sbin/visudo")
    fails(box, sudoers("deploy", RULE), "there is no visudo on this host: install the package sudo")
    assert "No such file" in box.sh(f"ls {FILE} 2>&1", ok=False)


@pytest.mark.parametrize(
    ("called", "content", "state", "words"),
    [
        ("10.deploy", RULE, "present", "would not be read"),
        ("deploy~", RULE, "present", "would not be read"),
        ("../x", RULE, "present", "would not be read"),
        ("-x", RULE, "present", "would not be read"),
        ("a b", RULE, "present", "would not be read"),
        ("", RULE, "present", "would not be read"),
        ("a\n", RULE, "present", "would not be read"),
        ("deploy", None, "present", "this content cannot be"),
        ("deploy", " \n", "present", "this content cannot be"),
        ("deploy", "a\0b", "present", "this content cannot be"),
        ("deploy", "#" * 70_000, "present", "this content cannot be"),
        ("deploy", RULE, "absent", "absent, and with content"),
        ("deploy", RULE, "gone", "state='gone'"),
    ],
)
def test_sudoers_that_cannot_be_is_refused(called: str, content: str | None, state: str, words: str) -> None:
    """A mistake is told when the step is built: sudo itself would skip such a file in silence."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        sudoers(called, content, state=state)  # type: ignore[arg-type]  # wrong on purpose
