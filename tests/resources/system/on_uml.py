"""What `kernel_module` does to a kernel that has modules; run there, as root, by `test_kernel_module`."""

from __future__ import annotations

from pathlib import Path

from kxflow.resources import kernel_module
from tests.resources.helpers_system import Box, cycle, fails, holds, succeeds

FOLDER = "/etc/modules-load.d"
LOADED = "lsmod | awk 'NR > 1 { print $1 }' | sort"


def main() -> None:
    """Loaded, repaired and undone; taken away; what cannot be; after the next start. All of it is slow there."""
    box = Box(1)
    step, look = kernel_module("crc-ccitt"), f"{LOADED}; cat {FOLDER}/crc_ccitt.conf"
    cycle(box, step, look=look, drift="modprobe -r crc-ccitt")
    succeeds(box, kernel_module("crc_ccitt", loaded=False))
    assert "crc_ccitt" not in box.sh(LOADED).split()
    box.sh("/lib/systemd/systemd-modules-load")  # as it does at every start
    assert "crc_ccitt" in box.sh(LOADED).split()
    holds(box, step)
    succeeds(box, kernel_module("crc_ccitt", state="absent"))
    assert "crc_ccitt" not in box.sh(look, ok=False).split()

    release = Path("/proc/sys/kernel/osrelease").read_text().strip()
    built_in = Path(f"/lib/modules/{release}/modules.builtin").read_text().split()[0].rpartition("/")[2]
    before = box.sh(f"{LOADED}; ls {FOLDER}")
    fails(box, kernel_module("surely_not_there"), "Module surely_not_there not found in directory")
    fails(box, kernel_module("overlay", state="absent"), "Module overlay is in use")
    fails(box, kernel_module(built_in.removesuffix(".ko"), state="absent"), "is builtin")
    holds(box, kernel_module(built_in.removesuffix(".ko"), persistent=False))
    assert box.sh(f"{LOADED}; ls {FOLDER}") == before


if __name__ == "__main__":
    main()
