"""Groups on a copy of this machine."""

from __future__ import annotations

import re

import pytest

from kxflow.flow.ensure import undo_of
from kxflow.resources import group
from kxflow.values.errors import InvalidError
from kxflow.values.state import from_record
from tests.resources.helpers_system import Box, cycle, fails, holds, refused, succeeds, undoing

LOOK = "getent group web"
HASH = "$6$salt$" + "x" * 86
GSHADOW = "getent group web; grep ^web: /etc/gshadow"


def test_group_is_made_repaired_and_undone(box: Box) -> None:
    """A bare name: a group, which undo takes away again."""
    cycle(box, group("web"), look=LOOK, drift="groupdel web")


def test_group_with_number_and_members_is_made_repaired_and_undone(box: Box) -> None:
    """Number and members come about and are repaired where they drift."""
    step = group("web", gid=4242, members=["www-data", "bin"])
    cycle(box, step, look=LOOK, drift="groupmod -g 4243 web; gpasswd -M daemon web")


def test_group_members_are_exact_in_any_order(box: Box) -> None:
    """The order in which the host lists them does not matter; others go, and come back by undo."""
    box.sh("groupadd web; gpasswd -M www-data,daemon,bin web")
    holds(box, group("web", members=["bin", "daemon", "www-data"]))
    cycle(box, group("web", members=["bin"]), look=LOOK)
    cycle(box, group("web", members=[]), look=LOOK, drift="gpasswd -a bin web")


def test_group_that_goes_comes_back_with_everything(box: Box) -> None:
    """Undo of absent brings number and members back."""
    box.sh("groupadd -g 4242 web; gpasswd -M www-data,bin web")
    cycle(box, group("web", state="absent"), look=LOOK)


def test_group_keeps_what_was_not_asked_for(box: Box) -> None:
    """Another number leaves the members alone; undo gives the old number back."""
    box.sh("groupadd web; gpasswd -M www-data,bin web")
    step = group("web", gid=4242)
    result = succeeds(box, step)
    assert box.sh(LOOK) == "web:x:4242:www-data,bin\n"
    box.sh("gpasswd -M daemon web")
    succeeds(box, undoing(step, result))
    assert re.fullmatch(r"web:x:1\d{3}:daemon\n", box.sh(LOOK))


def test_group_of_the_system_has_a_number_of_the_systems(box: Box) -> None:
    """`system` matters where it is made."""
    succeeds(box, group("web", system=True))
    assert int(box.sh(LOOK).split(":")[2]) < 1000


def test_group_that_cannot_be_done_is_a_failure_that_says_why(box: Box) -> None:
    """A member who is nobody, and a group that is somebody's own."""
    fails(box, group("web", members=["nosuch"]), "there is no user nosuch: make it in an earlier step")
    box.sh("useradd ann")
    fails(box, group("ann", state="absent"), "cannot remove the primary group of user 'ann'")


def test_group_without_rights_is_told_so(box: Box) -> None:
    """A plain user changes no group."""
    box.sh("groupadd web")
    look = "cat /etc/group /etc/gshadow"
    refused(box, group("db"), "groupadd: Permission denied", look=look)
    refused(box, group("web", gid=4242), "groupmod: Permission denied", look=look)
    refused(box, group("web", members=["bin"]), "gpasswd: Permission denied", look=look)
    refused(box, group("web", state="absent"), "groupdel: Permission denied", look=look)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"called": "a b"}, "group 'a b' cannot be one"),
        ({"called": "-g"}, "cannot be one"),
        ({"called": "$(id)"}, "cannot be one"),
        ({"gid": "7"}, "gid='7'"),
        ({"gid": -2}, "gid=-2"),
        ({"members": "ann"}, "is one text"),
        ({"members": ["a:b"]}, "user 'a:b'"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent", "gid": 7}, "absent, and with more"),
    ],
)
def test_group_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        group(**{"called": "web", **options})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("password", ["", "*", HASH])
def test_group_that_goes_comes_back_with_its_password_and_administrators(box: Box, password: str) -> None:
    """What gshadow(5) holds is kept for undo."""
    box.sh(f"groupadd web; gpasswd -M www-data,bin web; gpasswd -A bin,daemon web; groupmod -p '{password}' web")
    cycle(box, group("web", state="absent"), look=GSHADOW)


def test_group_password_is_in_no_record_and_not_undone_without_it(box: Box) -> None:
    """A log does not hold the hash: then undo says that it was not kept, and does nothing by halves."""
    box.sh(f"groupadd web; groupmod -p '{HASH}' web")
    step = group("web", state="absent")
    result = succeeds(box, step)
    assert HASH not in repr(result) + str(result.change)
    assert result.change is not None
    action = step.build
    assert undo_of(action, from_record(result.change.before)) is None  # type: ignore[arg-type]  # an action
    succeeds(box, undoing(step, result))
    assert HASH in box.sh("cat /etc/gshadow")
