"""The process that keeps clones: their folders lie in its mount namespace, and they die with it.

It does what lines on its input ask for. When that ends, which is also when whoever started it is killed, it ends
every clone and removes the folder of the fleet.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from kxflow.testing.missing import MissingError, program

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 20.0
_TOOLS: Final = ("unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root")

# Arguments: folder of the fleet; options of the tmpfs for what clones write; name of a control group, empty where none
# is needed; a folder elsewhere that is theirs too, or nothing.
_PROGRAM: Final = r"""
set -u
folder=${1:?} stage=$1/stage running=
mount -t tmpfs -o "$2" kxflow "$stage" || exit 1
mkdir "$stage/empty" "$stage/hosts" || exit 1
if [ -n "$3" ]; then
  mkdir "$stage/groups" && mount -t cgroup2 cgroup2 "$stage/groups" && mkdir "$stage/groups/$3" || exit 1
  ln -s "groups/$3" "$stage/cgroup"
fi
unshare --mount --uts --ipc --pid --fork --propagation private true || exit 1
echo ready
while read -r word id; do
  [ "$word" != end ] || break
  cd "$stage/hosts/$id" || exit 1
  case $word in
    up)
      sh ./start </dev/null 2>>"$folder/logs/$id" &
      running="$running $id:$!" ;;
    see)
      if sh ./see </dev/null 2>>"$folder/logs/$id"; then echo "seen $id"; else echo "failed $id"; fi ;;
  esac
done

child_of() { read -r _ _ _ its _ 2>/dev/null <"/proc/$2/stat" && [ "$its" = "$1" ]; }
for each in $running; do
  id=${each%:*} pid=${each##*:} first=
  child_of $$ "$pid" || continue
  read -r first 2>/dev/null <"$stage/hosts/$id/pid"
  # The first process of a clone, not its parent outside: that one ends when nothing is left in the clone.
  if [ -n "$first" ] && child_of "$pid" "$first"; then kill -KILL "$first"; else kill -KILL "$pid"; fi
done
wait
cd /
# Who had come in from outside is not in a clone, but in its group.
if [ -n "$3" ]; then echo 1 2>/dev/null >"$stage/groups/$3/cgroup.kill"; fi
tries=50
while [ -n "$3" ] && [ $tries -gt 0 ]; do
  find "$stage/groups/$3" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$stage/groups/$3" ] || break
  tries=$((tries - 1))
  sleep 0.05
done
umount -l "$stage" 2>/dev/null
rm -rf "$folder" ${4:+"$4"}
"""


class Keeper:
    """Clones of one fleet, from outside.

    Args:
        folder: The fleet's; it is removed at the end.
        space: Most bytes that the clones write to memory, all together.
        disk: A folder for most of what they write; it is removed, too. In memory, where None.
        group: Name of a control group for the clones; empty where they need none.
        personal: Make them without root, in a user namespace.
    """

    def __init__(
        self, folder: Path, *, space: int, disk: Path | None = None, group: str = "", personal: bool = False
    ) -> None:
        for tool in _TOOLS:
            program(tool)
        self.personal, self.disk = personal, disk
        self._folder, self._lock, self._rest = folder, threading.Lock(), b""
        (folder / "stage").mkdir(mode=0o755)
        (folder / "logs").mkdir()
        arguments = ("kxflow-keeper", str(folder), f"mode=755,size={space}", group, str(disk or ""))
        spaces = ("--user", "--map-root-user", "--mount") if personal else ("--mount",)
        with self.log("keeper").open("wb") as log:
            self._child = subprocess.Popen(
                ["unshare", *spaces, "--propagation", "private", "sh", "-c", _PROGRAM, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever holds the fleet
            )

    @property
    def stage(self) -> Path:
        """The folder of the clones' folders, as seen from here."""
        return Path(f"/proc/{self._child.pid}/root{self._folder}/stage")

    def log(self, name: str) -> Path:
        """File with what was said when a clone was brought up."""
        return self._folder / "logs" / name

    def ready(self) -> None:
        """Wait until it runs.

        Raises:
            MissingError: It does not; the text says what the machine refused.
        """
        if "ready" not in self._told({"ready"}):
            who = "without root" if self.personal else "by root"
            raise MissingError(f"no clone of this machine can be made {who}", self._said("keeper") or "no reason given")

    def up(self, names: Sequence[str]) -> dict[str, int]:
        """Bring clones up, side by side; the first process of each.

        Raises:
            MissingError: One does not come up; the text says what it said.
        """
        with self._lock:
            self._ask(f"up {name}" for name in names)
            told = self._told({f"up {name}" for name in names})
        missing = [name for name in names if f"up {name}" not in told]
        if missing:
            raise MissingError("a clone does not come up", self._said(missing[0]))
        return {name: int(told[f"up {name}"]) for name in names}

    def see(self, name: str) -> None:
        """Show what lies below a clone's own layers, in its folder `lower`.

        Raises:
            MissingError: That cannot be.
        """
        with self._lock:
            self._ask([f"see {name}"])
            told = self._told({f"seen {name}"})
        if f"seen {name}" not in told:
            raise MissingError("what a clone stands on cannot be shown", self._said(name))

    def end(self) -> None:
        """End every clone, and everything in them; remove the folder."""
        self._ask(["end ."])  # the end of its input alone may not come: a child forked from us has that pipe, too
        with contextlib.suppress(BrokenPipeError):
            assert self._child.stdin is not None  # noqa: S101 -- a pipe, see above
            self._child.stdin.close()
        try:
            self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()  # the clones die with it
            self._child.wait()
        assert self._child.stdout is not None  # noqa: S101 -- as above
        self._child.stdout.close()

    def _ask(self, lines: Iterable[str]) -> None:
        assert self._child.stdin is not None  # noqa: S101 -- as above
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self._child.stdin.flush()

    def _told(self, wanted: set[str]) -> dict[str, str]:
        """Read until all of it was told, something failed, or it is too late; by its first two words what followed."""
        assert self._child.stdout is not None  # noqa: S101 -- as above
        found: dict[str, str] = {}
        deadline = time.monotonic() + _START_SECONDS
        while not wanted <= found.keys() and not any(key.startswith("failed ") for key in found):
            if not select.select([self._child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            chunk = os.read(self._child.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                words = line.decode().split()
                found[" ".join(words[:2])] = " ".join(words[2:])
        return found

    def _said(self, name: str) -> str:
        return self.log(name).read_text("utf-8", "replace").strip()[-500:]
