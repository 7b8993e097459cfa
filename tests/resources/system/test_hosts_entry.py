"""Names and addresses in the /etc/hosts of a copy of this machine."""

from __future__ import annotations

import re

import pytest

from kxflow.flow.step import Step
from kxflow.resources import hosts_entry
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured
from tests.resources.helpers_system import Box, cycle, fails, holds, refused, succeeds, undoing

LOOK = "cat /etc/hosts; stat -c %a:%u /etc/hosts"
START = "127.0.0.1 localhost\n::1 localhost # six\n"


@pytest.fixture
def hosts(box: Box) -> Box:
    """A box with a short file."""
    box.sh(f"printf '%s' '{START}' >/etc/hosts; chmod 644 /etc/hosts")
    return box


def test_hosts_entry_is_put_in_repaired_and_undone(hosts: Box) -> None:
    """One line, canonical name first; a wrong address is repaired; undo leaves the file as it was."""
    step = hosts_entry("10.0.0.5", "db.example.com", "db")
    cycle(hosts, step, look=LOOK, drift="sed -i s/0.5/0.6/ /etc/hosts")
    cycle(hosts, step, look=LOOK, drift="sed -i '/db/d' /etc/hosts")
    succeeds(hosts, step)
    assert hosts.sh("cat /etc/hosts; getent hosts db") == (
        f"{START}10.0.0.5 db.example.com db\n10.0.0.5        db.example.com db\n"
    )


def test_hosts_entry_gives_a_name_one_address(hosts: Box) -> None:
    """A name that had another address loses that, and others on the same line keep theirs; undo gives it back."""
    hosts.sh("printf '%s\\n' '10.0.0.9\tOld  DB # note' '10.0.0.8 db' >>/etc/hosts")
    before = hosts.sh(LOOK)
    step = hosts_entry("10.0.0.5", "db")
    result = succeeds(hosts, step)
    assert hosts.sh("cat /etc/hosts") == f"{START}10.0.0.5 db\n10.0.0.9 Old # note\n"
    holds(hosts, step)
    succeeds(hosts, undoing(step, result))
    assert hosts.sh(LOOK) == before


def test_hosts_entry_in_a_longer_line_is_left_there(hosts: Box) -> None:
    """Where the names have the address already, in order, nothing is done, whoever else is on the line."""
    hosts.sh("echo '10.0.0.5\tother db.example.com db more # x' >>/etc/hosts")
    holds(hosts, hosts_entry("10.0.0.5", "db.example.com", "db"))
    succeeds(hosts, hosts_entry("10.0.0.5", "db", "db.example.com"))
    assert hosts.sh("tail -n 2 /etc/hosts") == "10.0.0.5 db db.example.com\n10.0.0.5 other more # x\n"


def test_hosts_entry_families_do_not_disturb_each_other(hosts: Box) -> None:
    """A name may have an IPv4 and an IPv6 address."""
    four, six = hosts_entry("10.0.0.5", "db"), hosts_entry("FD00:0::5", "db")
    succeeds(hosts, four)
    cycle(hosts, six, look=LOOK, drift="echo fe80::1 db >>/etc/hosts")
    succeeds(hosts, six)
    holds(hosts, four)
    assert hosts.sh("cat /etc/hosts") == f"{START}10.0.0.5 db\nfd00::5 db\n"


def test_hosts_entry_absent_takes_the_names_only(hosts: Box) -> None:
    """Other names of the line stay; undo gives these their address back."""
    hosts.sh("echo '10.0.0.5 db' >>/etc/hosts")
    cycle(hosts, hosts_entry("10.0.0.5", "db", state="absent"), look=LOOK)
    hosts.sh("echo '10.0.0.6 web other' >>/etc/hosts")
    succeeds(hosts, hosts_entry("10.0.0.6", "web", state="absent"))
    assert hosts.sh("tail -n 1 /etc/hosts") == "10.0.0.6 other\n"


def test_hosts_entry_absent_leaves_an_empty_file(hosts: Box) -> None:
    """The file is the host's: it stays where its last line goes."""
    hosts.sh("echo '10.0.0.5 db' >/etc/hosts")
    cycle(hosts, hosts_entry("10.0.0.5", "db", state="absent"), look=LOOK)
    succeeds(hosts, hosts_entry("10.0.0.5", "db", state="absent"))
    assert hosts.sh(LOOK) == "644:0\n"


def test_hosts_entry_leaves_comments_and_bytes_alone(hosts: Box) -> None:
    """What is no line of a name of ours stays, byte by byte; a comment counts as nothing."""
    hosts.sh("printf '# 10.0.0.9 db\\n#db\\n\\n\\377 x\\n10.0.0.7 \\t w # db' >>/etc/hosts")
    before = hosts.sh("cat /etc/hosts")
    succeeds(hosts, hosts_entry("10.0.0.5", "db"))
    assert hosts.sh("cat /etc/hosts") == f"{before}\n10.0.0.5 db\n"


@pytest.mark.parametrize(
    "step",
    [
        hosts_entry("10.2.2.2", "y", state="absent"),
        hosts_entry("10.2.2.3", "q", "w"),
        hosts_entry("10.2.2.9", "q"),
        hosts_entry("10.2.2.9", "new"),
    ],
    ids=lambda step: step.name,
)
def test_hosts_entry_undone_leaves_each_line_as_it_was(hosts: Box, step: Step[Ensured]) -> None:
    """Blanks, order of names, comments, and which line they are in: all is as before."""
    hosts.sh("printf '%s\\n' '10.2.2.2 x y z # comment' '10.2.2.3   q' '10.2.2.4\t# none' >>/etc/hosts")
    cycle(hosts, step, look=LOOK)


def test_hosts_entry_undone_takes_a_file_away_that_it_made(hosts: Box) -> None:
    """Where there was no file there is none again; absent, it makes none."""
    hosts.sh("rm /etc/hosts")
    holds(hosts, hosts_entry("10.2.2.2", "y", state="absent"))
    cycle(hosts, hosts_entry("10.2.2.2", "y"), look="ls /etc/hosts 2>&1 || :")


def test_hosts_entry_that_cannot_be_written_leaves_the_file(hosts: Box) -> None:
    """A plain user, a read-only file system, and a file that is a mount of its own: it stays as it is."""
    step = hosts_entry("10.0.0.5", "db")
    refused(hosts, step, "Permission denied", look=LOOK)
    before = hosts.sh(LOOK)
    hosts.sh("mount --bind /etc/hosts /etc/hosts")
    fails(hosts, step, "busy")
    assert hosts.sh(f"{LOOK}; ls -A /etc | grep kx", ok=False) == before
    hosts.sh("umount /etc/hosts; mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    fails(hosts, step, "Read-only file system")
    assert hosts.sh(LOOK) == before


@pytest.mark.parametrize(
    ("address", "names", "words"),
    [
        ("10.0.0", ["db"], "address '10.0.0'"),
        ("10.0.0.256", ["db"], "address"),
        ("db", ["db"], "address 'db'"),
        ("10.0.0.5\n", ["db"], "address"),
        ("10.0.0.5", [], "no name"),
        ("10.0.0.5", ["db", "DB"], "a name twice"),
        ("10.0.0.5", ["d b"], "host name 'd b'"),
        ("10.0.0.5", ["-db"], "host name"),
        ("10.0.0.5", ["db."], "host name"),
        ("10.0.0.5", ["db#"], "host name"),
        ("10.0.0.5", ["$(id)"], "host name"),
        ("10.0.0.5", ["a" * 254], "host name"),
    ],
)
def test_hosts_entry_that_cannot_be_is_refused(address: str, names: list[str], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        hosts_entry(address, *names)
    with pytest.raises(InvalidError, match="state='gone'"):
        hosts_entry("10.0.0.5", "db", state="gone")  # type: ignore[arg-type]  # wrong on purpose
