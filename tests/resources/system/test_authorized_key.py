"""Keys in the homes of users, some of whom are up to no good."""

from __future__ import annotations

import base64
import os
import re

import pytest

import kxflow as kx
from kxflow.resources import authorized_key, file, user
from kxflow.resources.ssh_key import read
from kxflow.values.errors import InvalidError
from kxflow.values.state import state
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, refused, succeeds, undoing


def key(seed: int, comment: str = "ann@desk", kind: str = "ssh-ed25519") -> str:
    """A public key that nobody has the other half of."""
    name = kind.encode()
    blob = len(name).to_bytes(4, "big") + name + (32).to_bytes(4, "big") + bytes([seed]) * 32
    return f"{kind} {base64.b64encode(blob).decode()} {comment}"


ONE, OTHER, THIRD = key(1), key(2, "$(touch /pwned) 'q' \"d\" \\n"), key(3)
LOOK = "cd /home/ann && ls -ldn . .ssh .ssh/* 2>&1 | cut -d' ' -f1,3,4; cat .ssh/authorized_keys; ls /pwned"


@pytest.fixture
def home(box: Box) -> Box:
    """A box with the user ann and her home."""
    box.sh("useradd -m -s /bin/sh ann")
    return box


def keys(box: Box, *lines: str) -> None:
    """Give ann a file of these lines."""
    box.sh("su ann -c 'mkdir -p -m 700 ~/.ssh && umask 077 && cat >~/.ssh/authorized_keys' <<'END'\n"
           + "".join(f"{line}\n" for line in lines) + "END\n")  # fmt: skip


def test_authorized_key_is_put_in_repaired_and_undone(home: Box) -> None:
    """Folder and file get her as their owner, and their modes; undo takes away what was not there."""
    drift = "cd /home/ann/.ssh; chmod 777 .; chmod 666 *; sed -i s/^/no-pty,/ authorized_keys"
    cycle(home, authorized_key("ann", ONE), look=LOOK, drift=drift)
    cycle(home, authorized_key("ann", [ONE, OTHER]), look=LOOK, drift="rm /home/ann/.ssh/authorized_keys")


def test_authorized_key_makes_a_missing_home(box: Box) -> None:
    """The home has her as its owner, and mode 700; undo takes it away while it is empty."""
    box.sh("useradd -M ann")
    cycle(box, authorized_key("ann", ONE), look=f"ls -d /home/ann; {LOOK}", drift="rm -r /home/ann")
    succeeds(box, authorized_key("ann", ONE))
    assert box.sh("stat -c %a:%U:%G /home/ann /home/ann/.ssh /home/ann/.ssh/authorized_keys").split() == [
        "700:ann:ann",
        "700:ann:ann",
        "600:ann:ann",
    ]


def test_authorized_key_leaves_other_lines_as_they_are(home: Box) -> None:
    """Comments, other keys and their order stay; only the line of this key changes, whatever stood around it."""
    keys(home, "# mine", "", OTHER, ONE, THIRD)
    before = home.sh("cat /home/ann/.ssh/authorized_keys")
    wanted = f'from="10.0.0.0/8",command="echo \\"a b\\"" {ONE}'
    step = authorized_key("ann", wanted)
    result = succeeds(home, step)
    assert home.sh("cat /home/ann/.ssh/authorized_keys") == before.replace(ONE, wanted)
    holds(home, step)
    succeeds(home, undoing(step, result))
    assert home.sh("cat /home/ann/.ssh/authorized_keys") == before


def test_authorized_key_exclusive_lets_nobody_else_in(home: Box) -> None:
    """Other keys go, comments stay; undo lets them in again."""
    keys(home, "# mine", OTHER, THIRD)
    step = authorized_key("ann", ONE, exclusive=True)
    cycle(home, step, look=LOOK, drift=f"echo '{THIRD}' >>/home/ann/.ssh/authorized_keys")
    succeeds(home, step)
    assert home.sh("cat /home/ann/.ssh/authorized_keys") == f"# mine\n{ONE}\n"


def test_authorized_key_absent_takes_only_that_key(home: Box) -> None:
    """Other lines stay, modes too; undo brings the line back."""
    keys(home, THIRD, ONE)
    home.sh("chmod 750 /home/ann/.ssh; chmod 644 /home/ann/.ssh/*")
    cycle(home, authorized_key("ann", ONE, state="absent"), look=LOOK)
    holds(home, authorized_key("ann", OTHER, state="absent"))


def test_authorized_key_absent_where_nobody_is_has_nothing_to_do(box: Box) -> None:
    """No user, no home, no key; a key for nobody is a failure."""
    holds(box, authorized_key("ann", ONE, state="absent"))
    box.sh("useradd -M ann")
    holds(box, authorized_key("ann", ONE, state="absent"))
    fails(box, authorized_key("bob", ONE), "there is no user bob")


def test_authorized_key_of_somebody_who_is_gone_has_nothing_to_be_undone(box: Box) -> None:
    """Else the undo of what was done before it on the host would not be reached."""
    steps = (file("/srv/first", content="x"), user("zed"), authorized_key("zed", ONE))
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", *steps)))
    first = kx.report_of(kx.run(pipeline, box.cluster))
    assert first.succeeded
    box.sh("userdel -r zed 2>/dev/null")
    back = kx.report_of(kx.rollback(pipeline, box.cluster, first))
    assert [each.status.name for each in back] == ["Skipped", "Skipped", "Succeeded"]
    box.sh("[ ! -e /srv/first ]")


@pytest.mark.parametrize(
    "trap",
    [
        "ln -s /root/.ssh .ssh",
        "ln -s /root/.ssh/authorized_keys .ssh/authorized_keys",
        "ln -s /etc/shadow .ssh/authorized_keys",
        "ln -s /etc/cron.d/evil .ssh/authorized_keys",
        "ln -s /root/sub .ssh",
        "ln -s ../../../../root/.ssh .ssh",
    ],
)
def test_authorized_key_does_not_follow_a_users_links(home: Box, trap: str) -> None:
    """Root neither reads nor writes through links in a hostile user's home: it fails, and nothing outside changes."""
    home.sh("mkdir -p -m 700 /root/.ssh /root/sub; echo secret >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/*")
    into = "" if trap.endswith(" .ssh") else "mkdir .ssh; "
    home.sh(f"su ann -c 'cd; {into}{trap}'")
    look = "ls -lAR /root/.ssh /root/sub /etc/cron.d; cat /root/.ssh/authorized_keys; ls -l /etc/shadow"
    before = home.sh(look)
    for step in (authorized_key("ann", ONE), authorized_key("ann", ONE, exclusive=True)):
        result = fails(home, step)
        assert "secret" not in f"{result!r} {result.stdout} {result.stderr}"
    assert home.sh(look) == before


def test_authorized_key_cannot_be_raced_into_a_link(home: Box) -> None:
    """A user who swaps folder and link all the time gains nothing."""
    home.sh("mkdir -p -m 700 /root/.ssh; echo secret >/root/.ssh/authorized_keys")
    look = "stat -c %U:%a:%n /root/.ssh /root/.ssh/*; cat /root/.ssh/authorized_keys"
    before = home.sh(look)
    home.sh("""setsid setpriv --reuid=ann --regid=ann --clear-groups sh -c '
        cd /home/ann
        while :; do mkdir .ssh; mv .ssh x; ln -s /root/.ssh .ssh; rm .ssh; mv x .ssh; rm -rf .ssh; done
    ' >/dev/null 2>&1 </dev/null &""")
    for _ in range(8):
        home.one(authorized_key("ann", ONE))
        home.one(authorized_key("ann", ONE, state="absent"))
    assert home.sh(look) == before


def test_authorized_key_follows_a_link_that_she_could_follow(home: Box) -> None:
    """A file that is a link within her home is written where it leads."""
    home.sh(f"su ann -c 'cd; mkdir -m 700 .ssh dots; echo \"{THIRD}\" >dots/keys; chmod 600 dots/keys; "
            "ln -s ../dots/keys .ssh/authorized_keys'")  # fmt: skip
    cycle(
        home, authorized_key("ann", ONE), look="cd /home/ann; readlink .ssh/authorized_keys; cat dots/keys; ls -A dots"
    )


def test_authorized_key_of_a_home_that_is_roots_is_put_in(box: Box) -> None:
    """Where the user may not make the folder, root does; the folder is the user's."""
    box.sh("useradd -M -d '/srv/a b' ann; mkdir '/srv/a b'")
    look = "ls -ldn '/srv/a b/.ssh' '/srv/a b/.ssh/authorized_keys' 2>&1 | cut -d' ' -f1,3,4"
    cycle(box, authorized_key("ann", ONE), look=look)


def test_authorized_key_in_a_home_that_others_may_write_is_a_failure(box: Box) -> None:
    """Where somebody else could be in the way, root makes no folder."""
    box.sh("useradd -M -d /srv/ann ann; mkdir -m 775 /srv/ann")
    fails(box, authorized_key("ann", ONE), "Permission denied")
    assert box.sh("ls -A /srv/ann") == ""


def test_authorized_key_in_a_folder_that_is_anothers_is_a_failure(home: Box) -> None:
    """What root left there cannot be changed by her, and is not given away."""
    home.sh("mkdir -m 755 /home/ann/.ssh")
    fails(home, authorized_key("ann", ONE), "not permitted")
    assert home.sh("stat -c %U /home/ann/.ssh; ls -A /home/ann/.ssh") == "root\n"


def test_authorized_key_for_root_and_for_oneself_is_put_in(home: Box) -> None:
    """Root's own home is root's business, and a user's own hers."""
    home.sh("rm -rf /root/.ssh")
    cycle(home, authorized_key("root", ONE), look="ls -ldn /root/.ssh /root/.ssh/* 2>&1 | cut -d' ' -f1,3,4")
    uid = int(home.sh("id -u ann"))
    succeeds(home, authorized_key("ann", ONE), uid=uid)
    holds(home, authorized_key("ann", ONE))


def test_authorized_key_without_rights_is_told_so(home: Box) -> None:
    """A plain user puts no key in another's home, nor takes one away."""
    succeeds(home, authorized_key("ann", ONE))
    home.sh("chmod 755 /home/ann")
    for step in (authorized_key("ann", OTHER), authorized_key("ann", ONE, state="absent")):
        refused(home, step, look=LOOK)


def test_authorized_key_without_setpriv_becomes_the_user_by_su(home: Box) -> None:
    """Where setpriv does not know the flags, su does it, whatever her login shell is."""
    home.sh("usermod -s /usr/sbin/nologin ann; mkdir /srv/bin; printf '#!/bin/sh\\nexit 1\\n' >/srv/bin/setpriv; "
            "chmod 755 /srv/bin/setpriv")  # fmt: skip
    box = Box(home.pid, {"PATH": "/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    cycle(box, authorized_key("ann", ONE), look=LOOK)


def test_authorized_key_on_a_full_disk_leaves_the_file(home: Box) -> None:
    """The old file stays whole, and no temporary one is left."""
    home.sh("cd /home/ann; mkdir .ssh; mount -t tmpfs -o size=8k,uid=$(id -u ann),mode=700 t .ssh")
    home.sh("dd if=/dev/zero of=/home/ann/.ssh/x bs=4k count=1")
    keys(home, THIRD, *["# a comment"] * 300)
    before = home.sh("cd /home/ann/.ssh; ls -lA; cat authorized_keys")
    fails(home, authorized_key("ann", OTHER), "No space left")
    assert home.sh("cd /home/ann/.ssh; ls -lA; cat authorized_keys") == before


def test_authorized_key_tells_lines_and_modes(home: Box) -> None:
    """The change names what went and what came."""
    result = succeeds(home, authorized_key("ann", ONE))
    assert ensured(result).before == state({"folder": "none", "file": "none", "keys": ""})
    assert result.change is not None
    assert result.change.after == f"folder 700\nfile 600\nkeys {ONE}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "cannot be one"),
        ("ssh-ed25519", "cannot be one"),
        (ONE.split()[1], "cannot be one"),
        (ONE[:40], "cannot be one"),
        (ONE.replace("ssh-ed25519", "ssh-rsa"), "cannot be one"),
        (ONE.replace("AAAA", "AAA!"), "cannot be one"),
        (f"{ONE}\n{OTHER}", "line breaks"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "no public key"),
        (f'command="a {ONE}', "cannot be one"),
    ],
)
def test_authorized_key_that_is_none_is_refused(line: str, words: str) -> None:
    """What was cut, mixed up, or is a private key is found when the step is built; a private key is not shown."""
    with pytest.raises(InvalidError, match=re.escape(words)) as caught:
        authorized_key("ann", line)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"login": "a b"}, "user 'a b'"),
        ({"key": []}, "no key"),
        ({"key": [ONE, f"no-pty {ONE}"]}, "a key twice"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent", "exclusive": True}, "absent and exclusive"),
    ],
)
def test_authorized_key_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        authorized_key(**{"login": "ann", "key": ONE, **options})  # type: ignore[arg-type]  # wrong on purpose


def test_ssh_key_fingerprint_is_that_of_ssh_keygen(box: Box) -> None:
    """It is the one that people know, whatever the options in front of the key."""
    box.sh("ssh-keygen -q -t ed25519 -N '' -C 'a comment' -f /tmp/k")
    line = box.sh("cat /tmp/k.pub").strip()
    told = box.sh("ssh-keygen -l -f /tmp/k.pub").split()[1]
    assert read(line).fingerprint == told
    assert read(f'no-pty,command="echo \\"ssh-ed25519 AAAA\\" x" {line}').fingerprint == told
    assert os.linesep not in read(f" {line}\n").line
