"""Accounts on a copy of this machine."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.ensure import undo_of
from kxflow.flow.step import Step
from kxflow.resources import file, user
from kxflow.values.errors import InvalidError
from kxflow.values.state import CONTENT, from_record, to_record
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, refused, succeeds, undoing, with_env

LOOK = "getent passwd ann; getent group ann; getent shadow ann; id ann 2>&1; ls -ld /home/ann 2>&1"
HASH = kx.Secret("$6$saltsalt$" + "x" * 86)
OLD = "$6$oldsalt$" + "o" * 86


def test_user_expires_on_a_day_given_as_text() -> None:
    """As useradd and chage take it; both forms are one state."""
    assert user("ann", expires="2030-01-01").build == user("ann", expires=dt.date(2030, 1, 1)).build
    for wrong in ("2030-02-30", "01/01/2030", "20300101", "soon", "1969-12-31", ""):
        with pytest.raises(InvalidError, match=re.escape(f"expires={wrong!r} cannot be: give a day from 1970 on, as")):
            user("ann", expires=wrong)


def test_user_is_made_repaired_and_undone(box: Box) -> None:
    """A bare name: an account with a home, which undo takes away again with its group."""
    cycle(box, user("ann"), look=LOOK, drift="userdel ann; rm -r /home/ann")


def test_user_with_everything_is_made_repaired_and_undone(box: Box) -> None:
    """Every attribute comes about, is repaired where it drifts, and leaves nothing when undone."""
    step = user(
        "ann",
        uid=4321,
        group="users",
        groups=["sudo", "adm"],
        shell="/bin/bash",
        home="/srv/the home of ann's",
        comment='Ann "O\'Hara" $(touch /pwned) \\n é',
        password=HASH,
        locked=False,
        expires=dt.date(2035, 1, 31),
        create_home=True,
    )
    drift = "usermod -G adm -s /bin/sh -c x -g nogroup -p '!no' ann; chage -E -1 ann; rm -r /srv/the*"
    cycle(box, step, look=f"{LOOK}; ls -A /srv; ls /pwned 2>&1", drift=drift)


def test_user_keeps_what_was_not_asked_for(box: Box) -> None:
    """Attributes that are not given stay as they are, also where others change."""
    box.sh("useradd -m -u 4400 -G adm -c Ann -s /bin/sh -p '!' ann; chage -M 90 ann")
    before = box.sh("getent passwd ann; id ann; getent shadow ann")
    result = succeeds(box, user("ann", shell="/bin/bash"))
    assert result.change is not None
    assert result.change.diff == "-shell /bin/sh\n+shell /bin/bash"
    assert box.sh("getent passwd ann; id ann; getent shadow ann") == before.replace("/bin/sh", "/bin/bash")


def test_user_that_goes_comes_back_with_everything(box: Box) -> None:
    """Undo of absent brings entry, own group, memberships, password and its aging back."""
    box.sh(f"useradd -m -u 4500 -G adm,sudo -c 'Ann B' -s /bin/bash -p '{OLD}' ann")
    box.sh("chage -d 19000 -m 1 -M 90 -W 3 -I 30 -E 21000 ann; touch /home/ann/kept")
    cycle(box, user("ann", state="absent"), look=f"{LOOK}; ls /home/ann; id -Gn ann | tr ' ' '\\n' | sort")


def test_user_that_comes_back_has_its_subordinate_numbers(box: Box) -> None:
    """Files of its containers belong to them; those that a new account would get are others."""
    box.sh("touch /etc/subuid /etc/subgid; useradd -m ann; useradd -m bob; userdel -r bob")
    for flag, span in (("-v", "700000-700009"), ("-v", "800000-865535"), ("-w", "900000-900000")):
        box.sh(f"usermod {flag} {span} ann")
    look = f"{LOOK}; cat /etc/subuid /etc/subgid"
    before = box.sh(look)
    step = user("ann", state="absent")
    gone = succeeds(box, step)
    assert "ann" not in box.sh("cat /etc/subuid /etc/subgid")
    box.sh("useradd -m -u 5555 eve")
    succeeds(box, undoing(step, gone))
    box.sh("userdel -r eve 2>/dev/null")
    assert box.sh(look) == before


def test_user_that_comes_back_administers_its_groups(box: Box) -> None:
    """Those of which it was an administrator, its own too; the others of these stay."""
    box.sh("useradd ann; gpasswd -A ann,bin sudo; gpasswd -M ann sudo; gpasswd -A ann ann; gpasswd -A bin,ann adm")
    look = f"{LOOK}; sort /etc/gshadow | sed -n 's/bin,ann/ann,bin/; /ann/p'"
    cycle(box, user("ann", state="absent"), look=look)


def test_user_absent_with_its_home_cannot_be_undone(box: Box) -> None:
    """A home that went is not invented again."""
    box.sh("useradd -m ann; touch /home/ann/data")
    step = user("ann", state="absent", remove_home=True)
    result = succeeds(box, step)
    assert "No such file" in box.sh("ls /home/ann 2>&1", ok=False)
    with pytest.raises(AssertionError):
        undoing(step, result)
    holds(box, step)


def test_user_undone_leaves_a_home_that_holds_something(box: Box) -> None:
    """What somebody put into a new home is not lost with the account."""
    step = user("ann")
    result = succeeds(box, step)
    box.sh("echo work >/home/ann/thesis")
    succeeds(box, undoing(step, result))
    assert box.sh("getent passwd ann; cat /home/ann/thesis", ok=False) == "work\n"


@pytest.mark.parametrize("groups", [["adm", "sudo"], []])
def test_user_groups_are_exact(box: Box, groups: list[str]) -> None:
    """Without append, other groups go; undo brings them back."""
    box.sh("useradd -G audio,adm ann")
    cycle(box, user("ann", groups=groups), look="id -Gn ann | tr ' ' '\\n' | sort", drift="usermod -a -G video ann")


def test_user_groups_with_append_leave_others(box: Box) -> None:
    """With append, other groups stay, and undo takes back only what was added."""
    box.sh("useradd -G audio,adm ann")
    step = user("ann", groups=["sudo", "adm"], append=True)
    result = succeeds(box, step)
    assert sorted(box.sh("id -Gn ann").split()) == ["adm", "ann", "audio", "sudo"]
    box.sh("usermod -a -G video ann")
    holds(box, step)
    succeeds(box, undoing(step, result))
    assert sorted(box.sh("id -Gn ann").split()) == ["adm", "ann", "audio", "video"]


def test_user_own_group_counts_among_its_groups(box: Box) -> None:
    """An account's own group may be listed, and is no further one where it is not."""
    box.sh("useradd -G adm ann")
    holds(box, user("ann", groups=["adm"]))
    holds(box, user("ann", groups=["adm", "ann"]))


def test_user_password_is_restored_and_in_no_record(box: Box, tmp_path: Path) -> None:
    """The hash that was there comes back by undo; neither it nor the new one is in a result, a log, or an argv."""
    box.sh(f"useradd -s /bin/sh -p '{OLD}' ann")
    step = user("ann", password=HASH, shell="/bin/bash")
    (result,) = box.run(step, sinks=[kx.ndjson(tmp_path / "run.ndjson")])
    its = ensured(result)
    assert its.before is not None
    assert isinstance(its.before[CONTENT], kx.Secret)
    told = f"{result!r} {its!r} {result.change!r} {result.stdout!r} {result.stderr!r} {step.build!r}"
    told += (tmp_path / "run.ndjson").read_text("utf-8")
    assert HASH.reveal() not in told
    assert OLD not in told
    assert result.change is not None
    assert result.change.diff == "-shell /bin/sh\n-password other\n+shell /bin/bash\n+password given"
    succeeds(box, undoing(step, result))
    assert box.sh("getent shadow ann").split(":")[1] == OLD


def test_user_password_that_a_record_lost_is_not_undone(box: Box) -> None:
    """From a state without the hash there is no way back, and no wrong one is taken."""
    box.sh(f"useradd -p '{OLD}' ann")
    step = user("ann", password=HASH)
    its = ensured(succeeds(box, step))
    assert its.before is not None
    assert undo_of(step.build, from_record(to_record(its.before))) is None  # type: ignore[arg-type]  # an action


@pytest.mark.parametrize(
    ("field", "options", "after"),
    [
        (f"!{OLD}", {}, f"!{HASH.reveal()}"),
        (f"!{OLD}", {"locked": False}, HASH.reveal()),
        (OLD, {"locked": True}, f"!{HASH.reveal()}"),
        ("!", {}, HASH.reveal()),
        ("*", {}, HASH.reveal()),
        ("", {}, HASH.reveal()),
        (f"!{HASH.reveal()}", {"locked": False}, HASH.reveal()),
    ],
)
def test_user_password_minds_a_lock(box: Box, field: str, options: dict[str, bool], after: str) -> None:
    """A locked account stays locked under its new password, unless that is asked for; undo gives all of it back."""
    box.sh(f"useradd ann; usermod -p '{field}' ann")
    step = user("ann", password=HASH, **options)  # type: ignore[arg-type]  # options by name
    result = succeeds(box, step)
    assert box.sh("getent shadow ann").split(":")[1] == after
    holds(box, step)
    succeeds(box, undoing(step, result))
    assert box.sh("getent shadow ann").split(":")[1] == field


def test_user_password_that_is_there_is_not_set_again(box: Box) -> None:
    """The day of its last change stays, where only something else is changed."""
    box.sh(f"useradd -p '{HASH.reveal()}' ann; chage -d 19000 ann")
    succeeds(box, user("ann", password=HASH, shell="/bin/bash"))
    assert box.sh("getent shadow ann").split(":")[2] == "19000"


def test_user_lock_and_expiry_are_seen_to_alone(box: Box) -> None:
    """Each comes about and is undone without a password being given."""
    box.sh(f"useradd -p '{OLD}' ann")
    cycle(box, user("ann", locked=True, expires=dt.date(2030, 1, 2)), look="getent shadow ann", drift="usermod -U ann")
    assert box.one(user("ann", locked=False, expires="never")).status is kx.Status.Skipped


def test_user_unlocked_without_password_is_a_failure(box: Box) -> None:
    """An account that has no password is not opened to everybody."""
    box.sh("useradd ann")
    fails(box, user("ann", locked=False), "passwordless")


def test_user_home_is_made_only_where_asked(box: Box) -> None:
    """A home comes with a new account, not with a system's, nor later unless asked for."""
    succeeds(box, user("ann", create_home=False))
    succeeds(box, user("sys1", system=True))
    assert box.sh("ls -d /home/ann /home/sys1 2>/dev/null", ok=False) == ""
    assert int(box.sh("id -u sys1")) < 1000
    holds(box, user("ann"))
    cycle(
        box, user("ann", create_home=True), look="ls -ldn /home/ann 2>&1; ls -A /home/ann 2>&1", drift="rm -r /home/ann"
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (user("ann", shell="/bin/bash"), "usermod: Permission denied"),
        (user("ann", password=HASH), "only root sees the passwords of this host"),
        (user("ann", state="absent"), "only root sees the passwords of this host"),
        (user("bob"), "useradd: Permission denied"),
    ],
    ids=["shell", "password", "absent", "new"],
)
def test_user_without_rights_is_told_so(box: Box, step: Step[object], words: str) -> None:
    """A plain user changes no account, and is not told that all is well."""
    box.sh("useradd -s /bin/sh ann")
    refused(box, step, words, look="cat /etc/passwd /etc/shadow /etc/group")


def test_user_in_a_group_that_is_not_there_is_a_failure(box: Box) -> None:
    """It says what to do, and nobody is made."""
    fails(box, user("ann", groups=["nosuch"]), "there is no group nosuch: make it in an earlier step")
    assert box.sh("getent passwd ann", ok=False) == ""


def test_user_whom_the_host_cannot_look_up_is_a_failure(box: Box) -> None:
    """A broken look-up does not mean that nobody is there."""
    box.sh("useradd ann; mkdir /srv/bin; printf '#!/bin/sh\\nexit 3\\n' >/srv/bin/getent; chmod 755 /srv/bin/getent")
    step = with_env(user("ann", state="absent"), PATH="/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert fails(box, step, "cannot look into passwd").reason == "probe"


def test_user_in_use_is_not_removed(box: Box) -> None:
    """Who has processes stays, and the tool says why."""
    box.sh("useradd ann; setsid setpriv --reuid=ann --regid=ann --clear-groups sleep 60 >/dev/null 2>&1 </dev/null &")
    fails(box, user("ann", state="absent"), "currently used by process")


def test_user_files_that_cannot_be_written_stay_whole(box: Box) -> None:
    """With /etc read-only it is a failure, and the entry is as before."""
    box.sh("useradd -s /bin/sh ann; mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    before = box.sh("cat /etc/passwd")
    fails(box, user("ann", shell="/bin/bash"), "cannot lock /etc/passwd")
    assert box.sh("cat /etc/passwd") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"login": "a b"}, "user 'a b' cannot be one"),
        ({"login": "-x"}, "cannot be one"),
        ({"login": "a:b"}, "cannot be one"),
        ({"login": "a\n"}, "cannot be one"),
        ({"login": "$(id)"}, "cannot be one"),
        ({"login": "x" * 33}, "cannot be one"),
        ({"login": "0"}, "cannot be one"),
        ({"uid": -1}, "uid=-1"),
        ({"uid": True}, "uid=True"),
        ({"uid": 2**32}, "uid="),
        ({"groups": "sudo"}, "is one text"),
        ({"groups": ["a,b"]}, "group 'a,b'"),
        ({"append": True}, "append= without groups="),
        ({"shell": "bash"}, "shell 'bash'"),
        ({"home": "/a:b"}, "home '/a:b'"),
        ({"comment": "a\nb"}, "comment"),
        ({"password": kx.Secret("hunter2hunter2")}, "the password is no hash"),
        ({"password": "$6$abc$def"}, "the password is no Secret"),
        ({"expires": "2030"}, "expires='2030'"),
        ({"expires": dt.date(1969, 1, 1)}, "expires="),
        ({"remove_home": True}, "remove_home= and present"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent", "uid": 7}, "absent, and with more"),
        ({"state": "absent", "system": True}, "absent, and with more"),
    ],
)
def test_user_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built, without a password in the message."""
    with pytest.raises(InvalidError, match=re.escape(words)) as caught:
        user(**{"login": "ann", **options})  # type: ignore[arg-type]  # wrong on purpose
    assert "hunter2" not in str(caught.value)


def test_user_state_reads_by_name() -> None:
    """The order of groups does not matter, and a date is a number of days."""
    one = user("ann", groups=["b", "a", "b"], expires=dt.datetime(1970, 1, 3, 5, tzinfo=dt.UTC))
    other = user("ann", groups=("a", "b"), expires=dt.date(1970, 1, 3))
    assert one.build == other.build


def test_user_that_gets_another_number_leaves_a_plan_in_doubt_about_its_files(box: Box) -> None:
    """Those outside of its home are nobody's then; a user who is new has none."""
    box.sh("useradd -m -u 4600 ann; touch /srv/f; chown ann /srv/f")
    of_ann = file("/srv/f", owner="ann")

    def effects(*steps: Step[Any]) -> list[kx.Effect]:
        plan = kx.plan(kx.pipeline("p", kx.module("m", kx.task("t", *steps))), box.cluster)
        return [each.effect for each in plan]

    assert effects(user("ann", comment="x"), of_ann) == [kx.Effect.change, kx.Effect.none]
    assert effects(user("ann", uid=4601), of_ann) == [kx.Effect.change, kx.Effect.unknown]
    assert effects(user("ann", state="absent"), of_ann) == [kx.Effect.change, kx.Effect.unknown]
    assert effects(user("bob", uid=4602), file("/srv/f", owner="bob")) == [kx.Effect.change] * 2
