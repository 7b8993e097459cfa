"""Containers by a real podman, in a copy of this machine that has a network and rights of its own.

The image is made there, of busybox; cgroups are left out, since those of this machine are no business of a test.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.ensure import undo_of
from kxflow.flow.step import Step
from kxflow.resources import container
from kxflow.testing.plugin import need_program
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, laid_box, may_lay, succeeds

IMAGE = "localhost/kx:1"
SERVE = ("sh", "-c", "trap 'exit 0' TERM; echo serving $GREETING; while :; do sleep 0.1; done")
OPTIONS = ["--cgroups=disabled"]
LOOK = "podman ps -a --format '{{.Names}} {{.Image}}'; podman ps --format '{{.Names}} runs'"

_INSTALL = """
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends podman busybox-static
mkdir -p /etc/containers
echo '[storage]' >/etc/containers/storage.conf
for each in 'driver = "vfs"' 'runroot = "/run/kx"' 'graphroot = "/var/lib/kx"'; do
  echo "$each" >>/etc/containers/storage.conf
done
"""
_IMAGES = """
mount -t tmpfs cgroup /sys/fs/cgroup  # podman wants a file system there
mkdir -p /srv/image/bin /srv/image/tmp
cp /bin/busybox /srv/image/bin
for each in sh sleep echo; do ln -s busybox /srv/image/bin/$each; done
for number in 1 2; do tar -C /srv/image -c . | podman import -q - localhost/kx:$number; done
"""


@pytest.fixture(scope="module")
def pods() -> Iterator[Box]:
    """A box with podman; one for all tests, each with containers of its own."""
    if not may_lay():
        pytest.skip("not run: only root can mount")
    with laid_box() as box:
        way = [word for word in box.way if word != "-n"]  # by the network of this machine
        done = subprocess.run([*way, "sh", "-ec", _INSTALL], capture_output=True, check=False, timeout=300)
        if done.returncode:
            need_program("podman")  # without a network there is none to be had
        box.sh(f"set -e\n{_IMAGES}")
        yield box


def pod(name: str, **options: Any) -> Step[Any]:
    """A container that serves."""
    given: dict[str, Any] = {"image": IMAGE, "command": SERVE, "network": "none", "options": OPTIONS, **options}
    return container(name, **given, tool="podman")


def test_a_container_comes_is_repaired_and_goes(pods: Box) -> None:
    """Fresh, again, removed by somebody and repaired, undone."""
    cycle(pods, pod("web"), look=LOOK, drift="podman rm -f web")


def test_it_is_what_it_was_told_to_be(pods: Box) -> None:
    """Variables and volumes reach it, and where there is no docker podman is found."""
    pods.sh("mkdir /srv/data; echo data >/srv/data/file")
    command = [
        "sh",
        "-c",
        "trap 'exit 0' TERM; read line </data/file; echo $line $GREETING; while :; do sleep 0.1; done",
    ]
    secret = kx.Secret("hunter2-hunter2")
    step = pod("told", command=command, volumes=["/srv/data:/data:ro"], env={"GREETING": secret}, restart="no")
    result = pods.one(step)
    assert result.status is kx.Status.Succeeded, result
    assert pods.sh("sleep 0.3; podman logs told") == "data hunter2-hunter2\n"
    assert "hunter2" not in pods.sh("cat /proc/*/cmdline | tr '\\0' ' '")
    holds(pods, step)
    succeeds(pods, container("told", state="absent", tool="podman"))
    holds(pods, container("told", state="absent", tool="podman"))


def test_another_image_makes_it_anew_and_one_that_ends_leaves_the_old(pods: Box) -> None:
    """The old one is kept aside until the new one runs."""
    succeeds(pods, pod("app"))
    number = pods.sh("podman inspect -f '{{.Id}}' app")
    fails(pods, pod("app", command=["sh", "-c", "echo the last words; exit 3"], restart="no"), "the one before is back")
    assert pods.sh("podman inspect -f '{{.Id}} {{.State.Running}}' app") == f"{number.strip()} true\n"
    changed = succeeds(pods, pod("app", image="localhost/kx:2"))
    assert pods.sh("podman inspect -f '{{.ImageName}} {{.State.Running}}' app") == "localhost/kx:2 true\n"
    assert pods.sh("podman ps -a --format '{{.Names}}' | grep app") == "app\n"
    action = pod("app", image="localhost/kx:2").action(kx.context("box"))
    assert undo_of(action, ensured(changed).before) is None
    succeeds(pods, container("app", state="absent", tool="podman"))


def test_it_is_stopped_and_started_without_being_made_anew(pods: Box) -> None:
    """Only made, then run, then stopped: one container all the time."""
    succeeds(pods, pod("job", running=False))
    number = pods.sh("podman inspect -f '{{.Id}}' job")
    cycle(pods, pod("job"), look="podman ps --format '{{.Names}}'", drift="podman stop job")
    assert pods.sh("podman inspect -f '{{.Id}}' job") == number
    holds(pods, pod("job", running=False))


def test_an_image_that_is_nowhere_changes_nothing(pods: Box) -> None:
    """It is pulled first, and podman says why it cannot be."""
    before = pods.sh(LOOK)
    fails(pods, pod("none", image="localhost:1/none:1"), "localhost:1/none:1 cannot be pulled")
    assert pods.sh(LOOK) == before
