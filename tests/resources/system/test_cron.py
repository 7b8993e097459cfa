"""Entries of cron, in files and in the crontabs of users."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.resources import cron
from kxflow.resources.schedule import FIELDS, schedule
from kxflow.testing.plugin import need_program
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, fails, holds, laid_box, may_lay, refused, succeeds, with_env

FILE = "/etc/cron.d/app"
NASTY = 'it\'s "q" $(touch /pwned) `x` \\n %s \udcff é & # *'


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The package of cron, where this machine has none installed; None where it has."""
    if shutil.which("crontab"):
        return None
    folder = tmp_path_factory.mktemp("cron")
    subprocess.run(["apt-get", "-qq", "download", "cron"], cwd=folder, capture_output=True, check=False, timeout=60)
    found = sorted(folder.glob("cron_*.deb"))
    if not found:
        need_program("crontab")
    return found[0]


@pytest.fixture
def cron_box(package: Path | None) -> Iterator[Box]:
    """A box with cron."""
    if not may_lay():
        pytest.skip("not run: only root can mount")
    with laid_box() as box:
        if package is not None:
            shutil.copy(package, box.root / "disk" / "cron.deb")
            box.sh("dpkg-deb -x /disk/cron.deb /disk/cron; cp /disk/cron/usr/bin/crontab /usr/bin; groupadd -r crontab")
            box.sh("cd /var/spool; mkdir -p cron/crontabs; chgrp crontab /usr/bin/crontab cron/crontabs")
            box.sh("chmod 2755 /usr/bin/crontab; chmod 1730 /var/spool/cron/crontabs")
        box.sh("useradd -m -s /bin/sh ann")
        yield box


def test_cron_file_gets_an_entry_and_loses_it_by_undo(box: Box) -> None:
    """A file that holds nothing else comes and goes with it."""
    step = cron("tidy up", "/usr/bin/tidy --all", schedule="15 3 * * *", file="app")
    cycle(box, step, look=f"ls -l {FILE} | cut -c1-10; cat {FILE}", drift=f"sed -i s/15/16/ {FILE}")
    succeeds(box, step)
    assert box.sh(f"cat {FILE}; stat -c %a {FILE}") == ("# kxflow: tidy up\n15 3 * * * root /usr/bin/tidy --all\n644\n")


def test_cron_file_keeps_what_is_not_of_the_entry(box: Box) -> None:
    """Variables, comments and other entries stay, and the entry stays in its place; undo gives its old line back."""
    box.sh(f"printf '%s\\n' PATH=/x '# kxflow: tidy up' '1 1 * * * ann old' '' '# kxflow: b' '2 2 * * * b b' >{FILE}")
    before = box.sh(f"cat {FILE}")
    step = cron("tidy up", "new", schedule="@daily", user="ann", file="app")
    cycle(box, step, look=f"cat {FILE}")
    succeeds(box, step)
    assert box.sh(f"cat {FILE}") == before.replace("1 1 * * * ann old", "@daily ann new")
    cycle(box, cron("b", state="absent", file="app"), look=f"cat {FILE}")


def test_cron_leaves_a_place_empty_that_was_so(box: Box) -> None:
    """Undo takes away what it made, and no file that was there: its mode and owner stay."""
    box.sh(f"mkdir -p /etc/cron.d; : >{FILE}; chmod 600 {FILE}; chown 7:8 {FILE}")
    step = cron("tidy up", "/usr/bin/tidy --all", schedule="15 3 * * *", file="app")
    cycle(box, step, look=f"stat -c '%a %u %g %s' {FILE}; cat {FILE}", drift=f"sed -i s/15/16/ {FILE}")


def test_crontab_stays_empty_that_was_so(cron_box: Box) -> None:
    """A table that holds nothing is another thing than none."""
    cron_box.sh("crontab -u ann - </dev/null")
    step = cron("tidy up", "x", schedule="@daily", user="ann")
    cycle(cron_box, step, look="crontab -u ann -l 2>&1; ls /var/spool/cron/crontabs")


@pytest.mark.parametrize(
    "drift",
    [
        "sed -i '/tidy --all/d' FILE",
        "sed -i '/kxflow/d' FILE",
        "cat FILE FILE >/tmp/f; cat /tmp/f >FILE",
        "rm FILE",
        "printf '# kxflow: tidy up\\n# kxflow: other\\n1 1 1 1 1 x y\\n' >FILE",
        "printf '15 3 * * * root /usr/bin/tidy --all\\n# kxflow: tidy up' >FILE",
    ],
)
def test_cron_file_is_repaired_from_any_drift(box: Box, drift: str) -> None:
    """Half an entry, a double one or none: then the label stands once, with its line below, and others are kept."""
    step = cron("tidy up", "/usr/bin/tidy --all", schedule="15 3 * * *", file="app")
    succeeds(box, step)
    box.sh(drift.replace("FILE", FILE))
    other = "1 1 1 1 1 x y" in box.sh(f"cat {FILE}", ok=False)
    succeeds(box, step)
    holds(box, step)
    text = box.sh(f"cat {FILE}")
    assert text.count("# kxflow: tidy up\n15 3 * * * root /usr/bin/tidy --all\n") == 1
    assert text.count("# kxflow: tidy up") == 1
    assert ("# kxflow: other\n1 1 1 1 1 x y\n" in text) == other


def test_cron_job_and_label_are_taken_as_they_are(box: Box) -> None:
    """Quotes, dollars, percent signs and bytes that are no UTF-8 arrive as they are given, and are found again."""
    step = cron("it's \\1 & $(touch /pwned) [x]*", NASTY, schedule="* * * * *", file="app")
    cycle(box, step, look=f"cat {FILE}; ls /pwned", drift=f"sed -i s/é/e/ {FILE}")
    succeeds(box, step)
    assert f"* * * * * root {NASTY}\n" in box.sh(f"cat {FILE}")


def test_cron_file_without_rights_or_room_is_a_failure(box: Box) -> None:
    """A plain user, a read-only and a full disk: the file stays as it is."""
    step = cron("tidy up", "x" * 5000, schedule="@daily", file="app")
    box.sh(f"mkdir -p /etc/cron.d; mount -t tmpfs -o size=4k,mode=755 t /etc/cron.d; echo '# mine' >{FILE}")
    look = f"ls -lA /etc/cron.d; cat {FILE}"
    before = box.sh(look)
    refused(box, step, "Permission denied", look=look)
    fails(box, step, "No space left")
    assert box.sh(look) == before
    box.sh("mount -o remount,ro /etc/cron.d")
    fails(box, step, "Read-only file system")
    box.sh("mount -o remount,rw /etc/cron.d; chmod 700 /etc/cron.d")
    refused(box, cron("tidy up", state="absent", file="app"), "cannot see whether there is", look=look)


def test_crontab_of_a_user_gets_an_entry_and_loses_it_by_undo(cron_box: Box) -> None:
    """A user's table comes and goes with it, what is in it stays, and cron itself takes what was written."""
    look = "crontab -u ann -l 2>&1"
    step = cron("tidy up", NASTY, schedule="*/5 0-6 1,15 jan,feb mon-fri", user="ann")
    cycle(cron_box, step, look=look, drift="crontab -u ann -r")
    cron_box.sh("printf '# mine\\n1 1 * * * x' >/tmp/t; echo >>/tmp/t; crontab -u ann /tmp/t")
    cycle(cron_box, step, look=look, drift="crontab -u ann -l | sed s/15/16/ >/tmp/t; crontab -u ann /tmp/t")
    succeeds(cron_box, step)
    cycle(cron_box, cron("tidy up", state="absent", user="ann"), look=look)


def test_crontab_of_oneself_needs_no_rights(cron_box: Box) -> None:
    """A plain user sees to her own table, not to another's."""
    uid = int(cron_box.sh("id -u ann"))
    step = cron("tidy up", "x", schedule="@hourly")
    succeeds(cron_box, step, uid=uid)
    holds(cron_box, step, uid=uid)
    assert cron_box.sh("crontab -u ann -l") == "# kxflow: tidy up\n@hourly x\n"
    result = fails(cron_box, cron("tidy up", "x", schedule="@hourly", user="root"), "privileged", uid=uid)
    assert result.reason == "probe"
    fails(cron_box, cron("tidy up", state="absent", user="root"), "privileged", uid=uid)


def test_crontab_of_nobody_is_a_failure(cron_box: Box) -> None:
    """A user who is not there has no table, and it is not said that all is well."""
    fails(cron_box, cron("tidy up", "x", schedule="@hourly", user="nosuch"), "nosuch")
    fails(cron_box, cron("tidy up", state="absent", user="nosuch"), "nosuch")


@pytest.mark.parametrize("none", ["no crontab for ann", "crontab: can't open 'ann': No such file or directory"])
def test_crontab_of_other_programs_is_understood(box: Box, none: str) -> None:
    """Recorded replies: other words for "there is no table", and lines of the program's own in front."""
    head = "# DO NOT EDIT THIS FILE - edit the master\\n# (/tmp/x installed on Mon)\\n# (Cron version V5.0)\\n"
    box.sh(f"""mkdir /srv/bin; cat >/srv/bin/crontab <<'END'
#!/bin/sh
case "$3" in
-l) [ -e /srv/tab ] || {{ echo "{none}" >&2; exit 1; }}; printf '{head}'; cat /srv/tab ;;
-r) rm /srv/tab ;;
*) cat >/srv/tab ;;
esac
END
chmod 755 /srv/bin/crontab""")
    step = with_env(cron("a", "x", schedule="@daily", user="ann"), PATH="/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    cycle(box, step, look="cat /srv/tab", drift="sed -i s/daily/hourly/ /srv/tab")


def test_crontab_without_cron_is_a_failure_and_nothing_to_take_away(box: Box) -> None:
    """Where there is no cron there are no entries; one cannot be put in."""
    if shutil.which("crontab"):
        box.sh("rm $(command -v crontab)")
    holds(box, cron("a", state="absent", user="root"))
    fails(
        box,
        cron("a", "x", schedule="@daily", user="root"),
        "there is no crontab on this host: install the package cron or cronie",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("", "has 0 fields"),
        ("@never", "has 1 fields"),
        ("60 * * * *", "minute '60'"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * 32 * *", "day of month '32'"),
        ("* * * 13 *", "month '13'"),
        ("* * * foo *", "month 'foo'"),
        ("* * * * 8", "day of week '8'"),
        ("* * * * jan", "day of week 'jan'"),
        ("5-1 * * * *", "minute '5-1'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("1,,2 * * * *", "minute '1,,2'"),
        ("1- * * * *", "minute '1-'"),
        ("-1 * * * *", "minute '-1'"),
        ("* * * * \u0661", "day of week"),
        (5, "is no text"),
    ],
)
def test_schedule_that_cannot_be_is_refused(text: str, words: str) -> None:
    """The field that is wrong is named, when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        schedule(text)


FIELD = st.sampled_from(FIELDS).flatmap(
    lambda its: st.tuples(
        st.just(its),
        st.lists(
            st.tuples(
                st.integers(its.lowest, its.highest), st.integers(its.lowest, its.highest), st.integers(1, 7)
            ).map(lambda three: f"{min(three[:2])}-{max(three[:2])}/{three[2]}" if three[2] < 5 else f"{three[0]}"),
            min_size=1,
            max_size=4,
        ).map(",".join),
    )
)


@given(FIELD)
def test_schedule_takes_every_list_of_ranges(field: tuple[object, str]) -> None:
    """What is within the bounds is taken as it is, in its own place."""
    its, text = field
    words = ["*"] * len(FIELDS)
    words[[each is its for each in FIELDS].index(True)] = text
    assert schedule("  ".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": ""}, "label ''"),
        ({"label": "a\nb"}, "label"),
        ({"label": " a"}, "label ' a'"),
        ({"job": None}, "this job cannot be"),
        ({"job": "a\nb"}, "this job cannot be"),
        ({"job": "a\0b"}, "NUL"),
        ({"schedule": None}, "no schedule"),
        ({"schedule": "x"}, "has 1 fields"),
        ({"user": "a b"}, "user 'a b'"),
        ({"file": "a.b"}, "would not be read"),
        ({"file": "../x"}, "would not be read"),
        ({"file": "-x"}, "would not be read"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent"}, "absent, and with a job"),
    ],
)
def test_cron_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built: cron itself would skip such a thing in silence."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        cron(**{"label": "a", "job": "x", "schedule": "@daily", **options})  # type: ignore[arg-type]  # wrong on purpose
