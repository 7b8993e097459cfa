"""Parameters of the kernel that are a box's own."""

from __future__ import annotations

import re

import pytest

from kxflow.resources import sysctl
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, fails, holds, refused, speaks, succeeds, undoing

FORWARD = "net.ipv4.ip_forward"
LIVE = "/proc/sys/net/ipv4/ip_forward"
FILE = "/etc/sysctl.d/99-zz-kxflow.conf"
LOOK = f"cat {LIVE} {FILE} /proc/sys/net/ipv4/tcp_rmem /proc/sys/kernel/domainname"


def test_sysctl_is_set_kept_repaired_and_undone(box: Box) -> None:
    """The kernel has it, the file has it; either drift is repaired; undo takes both back, and the file away."""
    cycle(box, sysctl(FORWARD, 1), look=LOOK, drift=f"echo 0 >{LIVE}")
    cycle(box, sysctl(FORWARD, 1), look=LOOK, drift=f"rm {FILE}")
    cycle(box, sysctl(FORWARD, 1), look=LOOK, drift=f"sed -i s/1/0/ {FILE}")


def test_sysctl_leaves_a_file_empty_that_was_so(box: Box) -> None:
    """Undo takes away what it made, and no file that was there: its mode and owner stay."""
    box.sh(f"mkdir -p /etc/sysctl.d; : >{FILE}; chmod 600 {FILE}; chown 7:8 {FILE}")
    cycle(box, sysctl(FORWARD, 1), look=f"{LOOK}; stat -c '%a %u %g %s' {FILE}", drift=f"echo 0 >{LIVE}")


def test_sysctl_of_several_numbers_is_alike_whatever_the_blanks(box: Box) -> None:
    """The kernel puts tabs between them."""
    cycle(box, sysctl("net.ipv4.tcp_rmem", " 4096  100000\t6000000 "), look=LOOK)
    succeeds(box, sysctl("net.ipv4.tcp_rmem", "4096 100000 6000000"))
    holds(box, sysctl("net.ipv4.tcp_rmem", "4096\t100000\t6000000"))
    assert box.sh(f"cat {FILE}") == "net.ipv4.tcp_rmem = 4096 100000 6000000\n"


def test_sysctl_text_is_taken_as_it_is(box: Box) -> None:
    """Quotes, dollars and equals signs arrive as they are given."""
    cycle(box, sysctl("kernel.domainname", 'it\'s="q" $(touch /pwned) \\n'), look=f"{LOOK}; ls /pwned")


def test_sysctl_keeps_the_other_lines_of_the_file(box: Box) -> None:
    """Other keys and comments stay; lines of any form about this key become one, in the place of the first."""
    box.sh("printf '%s\\n' '# mine' 'vm.swappiness=1' '-net/ipv4/ip_forward=0' '; x' ' net.ipv4.ip_forward = 0' "
           "'#net.ipv4.ip_forward=0' >'/etc/sysctl.d/my own.conf'")  # fmt: skip
    step = sysctl(FORWARD, 1, file="/etc/sysctl.d/my own.conf")
    result = succeeds(box, step)
    kept = "# mine\nvm.swappiness=1\nnet.ipv4.ip_forward = {}\n; x\n#net.ipv4.ip_forward=0\n"
    assert box.sh("cat '/etc/sysctl.d/my own.conf'") == kept.format(1)
    holds(box, step)
    succeeds(box, undoing(step, result))
    assert box.sh("cat '/etc/sysctl.d/my own.conf'") == kept.format(0)


def test_sysctl_with_a_dot_in_a_part_is_written_as_the_tool_reads_it(box: Box) -> None:
    """The name of an interface may hold a dot: in the file, dot and slash change places."""
    step = sysctl("net/ipv4/conf/eth0.7/forwarding", 1, runtime=False)
    cycle(box, step, look=LOOK, drift=f"sed -i s/1/0/ {FILE}")
    succeeds(box, step)
    assert "/proc/sys/net/ipv4/conf/eth0.7/forwarding" in box.sh(f"sysctl -p {FILE} 2>&1", ok=False)
    holds(box, sysctl("net.ipv4.conf.eth0/7.forwarding", 1, runtime=False))
    fails(box, sysctl("net/ipv4/conf/eth0.7/forwarding", 2), "/proc/sys/net/ipv4/conf/eth0.7/forwarding")


def test_sysctl_halves_are_seen_to_alone(box: Box) -> None:
    """Only now, or only at the next start."""
    cycle(box, sysctl(FORWARD, 1, persistent=False), look=f"cat {LIVE}; ls {FILE}", drift=f"echo 0 >{LIVE}")
    cycle(box, sysctl(FORWARD, 1, runtime=False), look=LOOK)
    assert box.sh(f"cat {LIVE}") == "0\n"


def test_sysctl_absent_takes_the_line_and_leaves_the_kernel(box: Box) -> None:
    """What is set now stays; undo brings the line back."""
    succeeds(box, sysctl(FORWARD, 1))
    cycle(box, sysctl(FORWARD, state="absent"), look=LOOK)
    succeeds(box, sysctl(FORWARD, state="absent"))
    assert box.sh(f"cat {LIVE}; ls {FILE}", ok=False) == "1\n"


def test_sysctl_that_the_kernel_does_not_take_is_not_kept(box: Box) -> None:
    """An unknown key, a value out of bounds, and a /proc/sys that is read-only: the file stays as it is."""
    fails(box, sysctl("net.ipv4.ip_forwart", 1), "this kernel has no /proc/sys/net/ipv4/ip_forwart")
    fails(box, sysctl("net.ipv4.tcp_rmem", "many"), "Invalid argument")
    box.sh("mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys")
    fails(box, sysctl(FORWARD, 1), f'permission denied on key "{FORWARD}"')
    assert box.sh(f"ls {FILE}", ok=False) == ""


@pytest.mark.parametrize("shell", ["dash", "zsh"])
def test_sysctl_that_cannot_be_kept_is_taken_back(box: Box, shell: str) -> None:
    """Where the file cannot be written, the kernel has its old value again; zsh ends a pipeline in its own process."""
    speaks(box, shell)
    box.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    fails(box, sysctl(FORWARD, 1), "Read-only file system")
    assert box.sh(f"cat {LIVE}; ls {FILE}", ok=False) == "0\n"


def test_sysctl_without_rights_is_told_so(box: Box) -> None:
    """A plain user sets nothing."""
    refused(box, sysctl(FORWARD, 1), "permission denied", look=LOOK)
    refused(box, sysctl(FORWARD, 1, runtime=False), "Permission denied", look=LOOK)
    succeeds(box, sysctl(FORWARD, 1))
    refused(box, sysctl(FORWARD, state="absent"), "Permission denied", look=LOOK)


def test_sysctl_file_that_cannot_be_read_is_not_written_over(box: Box) -> None:
    """Whoever may write the folder, and not read the file, does not put a file of one line in its place."""
    box.sh("mkdir -m 777 /srv/conf; echo 'vm.swappiness = 1' >/srv/conf/x.conf; chmod 600 /srv/conf/x.conf")
    step = sysctl(FORWARD, 1, runtime=False, file="/srv/conf/x.conf")
    refused(box, step, "Permission denied", look="ls -lA /srv/conf; cat /srv/conf/x.conf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": "ip_forward"}, "cannot be a key"),
        ({"key": "net..ip"}, "cannot be a key"),
        ({"key": "net/../../etc/passwd"}, "cannot be a key"),
        ({"key": "/net/ipv4"}, "cannot be a key"),
        ({"key": "-net.ipv4"}, "cannot be a key"),
        ({"key": "net.ipv4 x.y"}, "cannot be a key"),
        ({"key": "net.ipv4=1.x"}, "cannot be a key"),
        ({"key": "net.$(id)"}, "cannot be a key"),
        ({"key": "a//b.c"}, "cannot be a key"),
        ({"value": None}, "value=None"),
        ({"value": True}, "1 for on, 0 for off"),
        ({"value": " "}, "value=' '"),
        ({"value": "a\0b"}, "value="),
        ({"file": "x.conf"}, "file 'x.conf'"),
        ({"runtime": False, "persistent": False}, "neither runtime nor persistent"),
        ({"state": "gone"}, "state='gone'"),
        ({"state": "absent"}, "absent, and with more"),
    ],
)
def test_sysctl_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        sysctl(**{"key": FORWARD, "value": 1, **options})  # type: ignore[arg-type]  # wrong on purpose
