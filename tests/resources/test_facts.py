"""Facts: real hosts, samples of others, and hosts that lie."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.resources import Facts, facts
from kxflow.resources.fact_probe import PROGRAM, parse_facts
from kxflow.resources.host_facts import Interface, Mount, Os
from kxflow.testing.plugin import need_program
from kxflow.values.action import repeats
from kxflow.values.freeze import jsonable
from tests.resources.helpers_services import ran, results

HERE = kx.Cluster([kx.Host("here")], connect=kx.Local())
SAMPLES = Path(__file__).parent / "data/facts"


def asked(cluster: kx.Cluster = HERE) -> Facts:
    """The facts of a host."""
    result = ran(cluster, facts())
    assert result.status is kx.Status.Succeeded, str(result.error)
    assert isinstance(result.payload, Facts)
    return result.payload


def test_this_machine_is_told_as_python_sees_it() -> None:
    """What can be known by other means is the same."""
    its = asked()
    assert (its.system, its.hostname, its.kernel, its.arch) == (
        platform.system(),
        socket.gethostname(),
        platform.release(),
        platform.machine(),
    )
    assert its.cpus.count == os.cpu_count()
    assert its.cpus.model
    assert its.os.id == platform.freedesktop_os_release()["ID"]
    page = os.sysconf("SC_PAGE_SIZE")
    assert its.memory.total == os.sysconf("SC_PHYS_PAGES") * page
    assert 0 < its.memory.available <= its.memory.total
    root = its.mounted_at("/")
    assert root is not None
    assert root.size == shutil.disk_usage("/").total
    assert {each.name for each in its.interfaces} == {each for _, each in socket.if_nameindex()}
    assert "127.0.0.1/8" in next(each.addresses for each in its.interfaces if each.name == "lo")
    assert all(each.size > 0 for each in its.disks)


def test_facts_are_the_same_when_asked_again_and_say_that_they_only_read() -> None:
    """Free space and memory apart, which change by themselves."""

    def still(its: Facts) -> Facts:
        memory = attrs.evolve(its.memory, available=0, swap_free=0)
        return attrs.evolve(its, memory=memory, mounts=tuple(attrs.evolve(each, free=None) for each in its.mounts))

    assert still(asked()) == still(asked())
    assert repeats(facts().action(kx.context("a")))


@pytest.mark.parametrize("shell", ["dash", "bash", "ksh", "mksh", "zsh", "busybox"])
def test_every_shell_says_the_same(shell: str) -> None:
    """The program is POSIX; of a BusyBox all tools are its own."""
    need_program(shell)
    argv = ["busybox", "sh"] if shell == "busybox" else [shell]
    said = parse_facts(subprocess.run([*argv, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout)
    its = asked()
    for name in ("os", "system", "kernel", "arch", "hostname", "cpus", "disks", "interfaces", "packages", "init"):
        assert getattr(said, name) == getattr(its, name)
    assert [(each.path, each.size) for each in said.mounts] == [(each.path, each.size) for each in its.mounts]


def test_a_host_with_nothing_but_busybox_tells_as_much(tmp_path: Path) -> None:
    """Its own tools only, on the path."""
    busybox = need_program("busybox")
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (tmp_path / name).symlink_to(busybox)
    argv = [str(tmp_path / "sh"), "-c", PROGRAM]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)})
    assert told.stderr == ""
    said, its = parse_facts(told.stdout), asked()
    for name in ("os", "kernel", "cpus", "disks", "interfaces"):
        assert getattr(said, name) == getattr(its, name)


def test_a_host_that_has_next_to_nothing_gives_facts_all_the_same(tmp_path: Path) -> None:
    """No tool at all but the shell's own words: what cannot be known is empty."""
    argv = [need_program("dash"), "-c", PROGRAM]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)})
    its = parse_facts(told.stdout)
    assert (its.os, its.kernel, its.cpus.count) == (Os(), "", 0)
    assert {each.name for each in its.interfaces} == {each for _, each in socket.if_nameindex()}


def test_facts_decide_what_later_steps_do() -> None:
    """As a typed value for conditions and inputs, and as data in the record."""
    found = facts()

    @kx.step(its=kx.from_here(found))
    def tell(ctx: kx.HostContext, its: Facts) -> kx.Action[kx.Output]:
        return kx.cmd("echo", its.os.id, its.system)

    def odd(ctx: kx.HostContext, its: Facts) -> bool:
        return its.os.is_like("plan9")

    first, second, third = results(
        HERE, found, tell, kx.command("only plan9", "exit 1").when(odd, its=kx.from_here(found))
    )
    assert str(second.stdout) == f"{asked().os.id} Linux\n"
    assert third.reason == "when"
    assert first.value["os"]["id"] == asked().os.id


@pytest.mark.parametrize("name", ["debian", "alpine", "fedora"])
def test_samples_of_other_systems_are_read(name: str) -> None:
    """What hosts of that kind say, and what it means."""
    expected = json.loads((SAMPLES / f"{name}.json").read_text())
    said = parse_facts((SAMPLES / f"{name}.txt").read_text())
    assert json.loads(json.dumps(_plain(jsonable(said)))) == expected


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return {key: _plain(each) for key, each in value.items()} if hasattr(value, "items") else value


def test_the_file_system_of_a_path_is_the_deepest_that_leads_to_it() -> None:
    """The last of those mounted over each other; not one whose name only begins alike."""
    its = Facts(
        mounts=tuple(
            Mount(path=path, device=device, type="ext4")
            for path, device in (("/", "a"), ("/srv", "b"), ("/srv", "c"), ("/srv/data", "d"))
        )
    )

    def at(path: str) -> str | None:
        found = its.mounted_at(path)
        return None if found is None else found.device

    assert [at(each) for each in ("/etc", "/srv", "/srv/x", "/srv/data/y", "/srvx")] == ["a", "c", "c", "d", "a"]
    assert Facts().mounted_at("/") is None


def test_addresses_leave_out_what_nobody_else_can_reach() -> None:
    """No loopback, no link-local; without the length of the prefix."""
    its = parse_facts((SAMPLES / "debian.txt").read_text())
    assert its.addresses == ("192.0.2.10", "2001:db8::10")
    assert Facts(interfaces=(Interface(name="a"),)).addresses == ()


HOSTILE = """
@os
ID="$(touch pwned)"
VERSION_ID='1;reboot'
ID_LIKE="debian `id` a/b"
PRETTY_NAME="\x1b[2Jcleared\u202e\x00 and on \u2028and on"
@uname
Linux -rf\x07 ../../etc x86_64
@cpus
99999999999999999999999999
@model
one
two
@memory
MemTotal: -5 kB
MemAvailable: 0x10 kB
SwapTotal: \u0665 kB
@disks
../sda 5 0 0
sdb -1 0 0
sdc
@mounts
dev relative ext4 rw 0 0
dev /a\\012b ext4 rw 0 0
dev /ok $(x) rw 0 0
short /x
@sizes
/ok 1 2
/ok a b c
@interfaces
a;b 1500 up 00:11:22:33:44:55
eth0 x up zz:11:22:33:44:55
eth0
@addresses
1: eth0 inet 999.1.1.1/8
1: eth0 inet $(id)
1: eth0 inet 10.0.0.1/8 more
@os
ID=second
@packages
apt; rm -rf /
@init
systemd
"""


def test_a_host_that_lies_gets_nothing_past_the_parser() -> None:
    """No identifier with signs of a shell, no number that is none, no control character."""
    its = parse_facts(HOSTILE)
    assert its.os == Os(like=("debian",), name="[2Jcleared and on and on")
    assert (its.system, its.hostname, its.kernel, its.arch) == ("Linux", "", "", "x86_64")
    assert (its.cpus.count, its.cpus.model) == (0, "one")
    assert set(attrs.astuple(its.memory)) == {0}
    assert its.disks == ()
    assert its.mounts == (Mount(path="/ok", device="dev", type=""),)
    assert {each.name: each.addresses for each in its.interfaces} == {"eth0": ("10.0.0.1/8",)}
    assert [each.mac for each in its.interfaces] == ["", ""]
    assert (its.packages, its.init) == ("", "systemd")


def test_what_a_host_says_is_bounded() -> None:
    """Long texts are cut, long lists end."""
    many = "\n".join(f"eth{i} 1500 up 00:11:22:33:44:55" for i in range(5000))
    its = parse_facts(f"@model\n{'x' * 10_000}\n@interfaces\n{many}\n@uname\n{'a' * 300} b c d\n")
    assert len(its.cpus.model) == 256
    assert len(its.interfaces) == 1024
    assert (its.system, its.hostname) == ("", "b")


PARTS = re.findall(r"^kx_at (\w+)$", PROGRAM, re.MULTILINE)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PARTS),
            st.text(max_size=40)
            | st.lists(st.sampled_from(["/", "rw", "inet", "1", "a", "x/y", '"', "=", "ID", "\\040", "\\777"])).map(
                " ".join
            ),
        ),
        max_size=12,
    )
)
def test_whatever_a_host_says_is_read_without_an_error(parts: list[tuple[str, str]]) -> None:
    """The parser is total, and what it gives can be recorded and holds nothing that cannot be printed."""
    its = parse_facts("\n".join(f"@{name}\n{text}" for name, text in parts))
    texts = re.findall(r"'((?:[^'\\]|\\.)*)'", repr(its))
    assert all(each.isprintable() for each in texts)
    json.dumps(_plain(jsonable(its)))
