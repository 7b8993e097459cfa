"""Modules of the kernel: by one that has some, and by recorded replies, since that of this machine need not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kxflow.flow.step import Step
from kxflow.resources import kernel_module
from kxflow.testing.plugin import need_program
from kxflow.values.errors import InvalidError
from tests.resources.helpers_system import Box, cycle, fails, holds, refused, succeeds, with_env
from tests.resources.system import uml

PATH = "/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FILE = "/etc/modules-load.d/{}.conf"

# What the two programs of kmod say, of modules that are lines of /srv/loaded.
_LSMOD = """#!/bin/sh
echo 'Module                  Size  Used by'
sed 's/$/ 32768 0/' /srv/loaded
"""
_MODPROBE = """#!/bin/sh
if [ "$1" = -r ]; then
case $2 in
busy) echo "modprobe: FATAL: Module $2 is in use." >&2; exit 1 ;;
built_in) echo "modprobe: FATAL: Module $2 is builtin." >&2; exit 1 ;;
esac
sed -i "/^$2\\$/d" /srv/loaded
else
case $1 in
nope) echo "modprobe: FATAL: Module $1 not found in directory /lib/modules/6.1" >&2; exit 1 ;;
silent) exit 0 ;;
esac
echo "$1" >>/srv/loaded
fi
"""


@pytest.fixture
def kernel(box: Box) -> Box:
    """A box whose kernel has modules, as far as programs tell."""
    box.sh(
        f"mkdir -p /srv/bin; cat >/srv/bin/lsmod <<'END'\n{_LSMOD}END\ncat >/srv/bin/modprobe <<'END'\n{_MODPROBE}END\n"
    )
    box.sh("chmod 755 /srv/bin/*; echo busy >/srv/loaded; touch /srv/loaded")
    box.sh("mkdir -p /lib/modules/$(uname -r); echo kernel/fs/built-in.ko >/lib/modules/$(uname -r)/modules.builtin")
    return box


def module(name: str, **options: object) -> Step[object]:
    """A step that finds the recorded programs."""
    return with_env(kernel_module(name, **options), PATH=PATH)  # type: ignore[arg-type]  # options by name


@pytest.mark.parametrize("drift", ["sed -i /br_net/d /srv/loaded", "rm /etc/modules-load.d/br_netfilter.conf"])
def test_kernel_module_is_loaded_repaired_and_undone(kernel: Box, drift: str) -> None:
    """Loaded and in the file; undo takes it out of both."""
    look = f"cat /srv/loaded {FILE.format('br_netfilter')}"
    cycle(kernel, module("br_netfilter"), look=look, drift=drift)
    cycle(kernel, module("br-netfilter"), look=look, drift=drift)


def test_kernel_module_leaves_a_file_empty_that_was_so(kernel: Box) -> None:
    """Undo takes away what it made, and no file that was there: its mode and owner stay."""
    path = FILE.format("br_netfilter")
    kernel.sh(f": >{path}; chmod 600 {path}; chown 7:8 {path}")
    cycle(kernel, module("br_netfilter"), look=f"cat /srv/loaded; stat -c '%a %u %g %s' {path}")


def test_kernel_module_absent_comes_back_by_undo(kernel: Box) -> None:
    """Unloaded and out of the file, whose other lines stay."""
    kernel.sh(f"echo zram >>/srv/loaded; printf '# mine\\nzram\\nloop\\n' >{FILE.format('zram')}")
    look = f"sort /srv/loaded {FILE.format('zram')}"
    cycle(kernel, module("zram", state="absent"), look=look)


def test_kernel_module_halves_are_seen_to_alone(kernel: Box) -> None:
    """Only now, or only at the next start."""
    look = f"cat /srv/loaded {FILE.format('zram')}"
    cycle(kernel, module("zram", persistent=False), look=look, drift="sed -i /zram/d /srv/loaded")
    cycle(kernel, module("zram", loaded=False), look=look)


def test_kernel_module_that_is_built_in_counts_as_loaded(kernel: Box) -> None:
    """A part of the kernel is neither listed nor loaded; taking it away is a failure in the tool's words."""
    step = module("built_in")
    succeeds(kernel, step)
    assert kernel.sh("cat /srv/loaded") == "busy\n"
    holds(kernel, module("built-in"))
    fails(kernel, module("built_in", state="absent"), "Module built_in is builtin")
    assert kernel.sh(f"cat {FILE.format('built_in')}") == "built_in\n"


def test_kernel_module_that_the_kernel_has_is_seen_without_lsmod(box: Box) -> None:
    """Its folder in /sys is enough: this kernel has some."""
    name = box.sh("ls /sys/module | head -n 1").strip()
    holds(box, kernel_module(name, persistent=False))


def test_kernel_module_that_cannot_be_is_a_failure_and_not_kept(kernel: Box) -> None:
    """Not found, in use, or loaded only by its exit status: the file stays as it is."""
    fails(kernel, module("nope"), "Module nope not found in directory")
    fails(kernel, module("busy", state="absent"), "Module busy is in use")
    fails(kernel, module("silent"), "wanted loaded yes, found loaded no")
    assert kernel.sh("ls /etc/modules-load.d/nope.conf", ok=False) == ""


def test_kernel_module_by_a_kernel_that_has_modules(tmp_path: Path) -> None:
    """User-mode Linux: they are really loaded and taken out, and what is kept is read at the next start."""
    need_program("systemctl")  # what reads the file comes with it
    status, said = uml.runs(uml.unpacked(tmp_path), "tests.resources.system.on_uml")
    assert status == 0, said


def test_kernel_module_without_modprobe_is_a_failure(box: Box) -> None:
    """A host that cannot load any says so."""
    box.sh("rm -f $(command -v modprobe)")
    fails(box, kernel_module("surely_not_there"), "there is no modprobe on this host: install the package kmod")


def test_kernel_module_without_rights_is_told_so(kernel: Box) -> None:
    """A plain user changes no file."""
    kernel.sh(f"echo zram >{FILE.format('zram')}")
    look = f"cat {FILE.format('zram')}; ls /etc/modules-load.d"
    refused(kernel, module("loop2", loaded=False), "Permission denied", look=look)
    refused(kernel, module("zram", loaded=False, state="absent"), "Permission denied", look=look)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"called": "a b"}, "kernel module 'a b'"),
        ({"called": "-r"}, "kernel module '-r'"),
        ({"called": "../x"}, "kernel module"),
        ({"called": "$(id)"}, "kernel module"),
        ({"called": "a.ko"}, "kernel module"),
        ({"called": ""}, "kernel module ''"),
        ({"loaded": False, "persistent": False}, "neither loaded nor persistent"),
        ({"state": "gone"}, "state='gone'"),
    ],
)
def test_kernel_module_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    """A mistake is told when the step is built."""
    with pytest.raises(InvalidError, match=re.escape(words)):
        kernel_module(**{"called": "zram", **options})  # type: ignore[arg-type]  # wrong on purpose
