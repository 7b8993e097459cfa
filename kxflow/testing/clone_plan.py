"""What a clone is made of, as texts: which parts of this machine it covers, and the shell programs that bring it up.

All of it is a function of data; `clone_keeper` runs the texts. Paths in them are relative to the clone's own folder:
`seed` (files that differ from clone to clone), `layers/N/upper` (what is written), `m` (the tree, put together).
"""

from __future__ import annotations

from shlex import quote
from typing import Final, Literal, TypeAlias

from attrs import frozen

from kxflow.testing.clone_points import BONES, EMPTY, Point

Init: TypeAlias = Literal["plain", "systemd", "openrc"]

BASE: Final = "base"  # the folder of the clone whose changes all others stand on
INSIDE: Final = "/run/kxflow"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEMD: Final = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")

# What would reach beyond the clone: modules, clock, log and audit of the kernel, devices, and the machine's network.
_REACHING: Final = "audit_control audit_read mknod net_admin sys_module sys_rawio sys_time syslog"
_DROPPED: Final = ",".join(f"-{name}" for name in _REACHING.split())
_DEVICES: Final = "null zero full random urandom tty"
# Each start has another, as on a machine: who restarts a clone, and who waits for that, sees it.
_BOOT_ID: Final = (
    "cat /proc/sys/kernel/random/uuid >boot_id",
    "mount --bind boot_id m/proc/sys/kernel/random/boot_id",
    "mount -o remount,bind,ro m/proc/sys/kernel/random/boot_id",
)
_READ_ONLY: Final = "proc/sys proc/sysrq-trigger proc/irq proc/bus proc/fs"  # these are the machine's


@frozen(kw_only=True)
class Plan:
    """One clone.

    Attributes:
        folder: The name of its own folder, beside those of the others.
        name: Its host name.
        points: What it covers.
        based: It stands on the changes of the clone in `BASE`.
        init: What its first process is.
        personal: It is made without root, in a user namespace.
    """

    folder: str
    name: str
    points: tuple[Point, ...]
    based: bool = False
    init: Init = "plain"
    personal: bool = False

    @property
    def layers(self) -> tuple[tuple[int, Point], ...]:
        """Those points that can be written, with the numbers of their folders."""
        return tuple((i, each) for i, each in enumerate(self.points) if each.kind == "layer")

    def _lower(self, number: int, point: Point) -> str:
        """The layers below the clone's own, topmost first; two at least, as an overlay without an upper one needs."""
        base = [f"../{BASE}/layers/{number}/upper"] if self.based else []
        seed = {"/": ["seed"], "/etc": ["seed/etc"]}.get(point.path, [])
        bones = [f"{BONES}{point.path}"] if point.bony else []
        return ":".join((*base, *seed, *bones, point.source, EMPTY))

    def _overlay(self, number: int, point: Point) -> str:
        own = f"layers/{number}"
        options = f"lowerdir={self._lower(number, point)},upperdir={own}/upper,workdir={own}/work"
        # No index: what a killed host has left is taken again while the kernel may still be clearing it up.
        return f"{options},index=off" + (",userxattr" if self.personal else ",redirect_dir=off,metacopy=off")

    def start(self) -> str:
        """Begin: what makes the clone's namespaces and goes on there with `boot`.

        Its first process dies with this one, and this one with its parent.
        """
        spaces = "--mount --uts --ipc --pid"
        group = ""
        if self.init == "systemd":
            spaces += " --cgroup"
            group = f"mkdir -p ../../cgroup/{self.folder}/kxflow\necho $$ >../../cgroup/{self.folder}/cgroup.procs\n"
        rights = "" if self.personal else f"--bounding-set={_DROPPED} --inh-caps={_DROPPED}"
        return (
            f"set -e\n{group}exec setpriv --pdeathsig KILL {rights}"
            f" unshare {spaces} --fork --kill-child=KILL --propagation private sh ./boot\n"
        )

    def boot(self) -> str:
        """What the first process does: put the tree together, make it the root, and turn into init."""
        name = quote(self.name[:64])  # the kernel takes no more
        return "\n".join(
            (
                "set -eu",
                f"trap 'echo failed {self.folder}' EXIT",
                "read -r pid rest </proc/self/stat",  # its number outside, as long as this is the machine's /proc
                'echo "$pid" >pid',
                *self._mounts(),
                *_devices("" if self.personal else ",gid=5"),
                f"{{ echo {name} >/proc/sys/kernel/hostname; }} 2>/dev/null || hostname {name}",
                f"for each in {_READ_ONLY}; do",
                '  if [ -e "m/$each" ]; then mount --bind "m/$each" "m/$each"; mount -o remount,bind,ro "m/$each"; fi',
                "done",
                *_BOOT_ID,
                "cd m",
                "pivot_root . .",
                "umount -l .",
                "cd /",
                "trap - EXIT",
                f'echo "up {self.folder} $pid"',
                "exec >&2",
                self._first_process(),
                "",
            )
        )

    def _mounts(self) -> list[str]:
        lines = []
        for number, each in enumerate(self.points):
            where = quote(f"m{each.path.rstrip('/')}")
            layer = f"mount -t overlay -o {quote(self._overlay(number, each))} overlay {where}"
            bound = f"mount --bind {quote(each.path)} {where} && mount -o remount,bind,ro {where}"
            if each.kind == "layer":
                lines.append(layer if number == 0 or self.personal else f"{layer} || {{ {bound}; }} || :")
            elif each.kind == "bound":
                lines.append(f"{{ {bound}; }} || :")
        lines += [
            "mkdir -p m/proc m/sys m/dev m/run m/tmp",
            "mount -t proc proc m/proc",
            "mount --rbind /sys m/sys" if self.personal else "mount -t sysfs -o ro sysfs m/sys",
        ]
        if self.init == "systemd":
            lines.append("mount -t cgroup2 cgroup2 m/sys/fs/cgroup")
        return [*lines, "mount --bind run m/run", "mount --bind tmp m/tmp"]

    def _first_process(self) -> str:
        if self.init == "systemd":
            program = "systemd=" + "".join(f"; [ -x {each} ] && systemd={each}" for each in reversed(SYSTEMD))
            environment = f"PATH={PATH} container=kxflow LANG=C.UTF-8"
            arguments = "--system --unit=kxflow.target fstab=no systemd.firstboot=no"
            return f"{program}\nexec env -i {environment} $systemd {arguments}"
        # It must wait for children of others that have lost their parent: else ended processes are never gone.
        return f"exec env -i PATH={PATH} sh -c 'while :; do sleep 2147483647 & wait $!; done' init"

    def see(self) -> str:
        """Show what lies below the clone's own layers, read-only, in `lower/N`."""
        lines = ["set -e"]
        for number, each in self.layers:
            options = quote(f"lowerdir={self._lower(number, each)}{',userxattr' if self.personal else ''}")
            lines.append(f"mkdir -p lower/{number} && mount -t overlay -o {options} overlay lower/{number}")
        return "\n".join((*lines, ""))


def _devices(group: str) -> list[str]:
    return [
        "mount -t tmpfs -o mode=755,size=256m dev m/dev",
        f'for each in {_DEVICES}; do : >"m/dev/$each"; mount --bind "/dev/$each" "m/dev/$each"; done',
        "mkdir m/dev/pts",
        "mkdir -m 1777 m/dev/shm",
        f"mount -t devpts -o newinstance,ptmxmode=0666,mode=0620{group} devpts m/dev/pts",
        "ln -s pts/ptmx m/dev/ptmx",
        "ln -s /proc/self/fd m/dev/fd",
        "ln -s fd/0 m/dev/stdin",
        "ln -s fd/1 m/dev/stdout",
        "ln -s fd/2 m/dev/stderr",
    ]


TARGET: Final = """\
[Unit]
Description=A clone that is up
Requires=sysinit.target
Wants=dbus.socket
After=sysinit.target dbus.socket
AllowIsolate=yes
"""


# Its words: file with the number of the clone's first process; file of a control group to join, or nothing; the rest.
_ENTER: Final = (
    'read -r pid <"$0" || exit 255; [ -z "$1" ] || echo $$ >"$1"; shift; '
    f'exec setpriv --bounding-set={_DROPPED} --inh-caps={_DROPPED} nsenter --target "$pid" "$@"'
)
_ENTER_OWN: Final = 'read -r pid <"$0" || exit 255; exec nsenter --target "$pid" --user --preserve-credentials "$@"'
# Only a child is in the clone; who waits for it is this shell. Left to itself nsenter stops when its child is stopped,
# and stays so: what is ended after that, as everything is when a clone is shut down, would never be gone.
_OUTSIDE: Final = ("--no-fork", "sh", "-c", '"$@"; exit $?', "sh")
# A number may have become another's: whoever has no such mark is no clone of this fleet, and least of all this machine.
_BEGIN: Final = '[ -e "$0" ] || { echo "this clone is gone" >&2; exit 255; }; cd "$HOME" 2>/dev/null || :; exec "$@"'


@frozen
class Entrant:
    """A user of a clone, as its `/etc/passwd` has it."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @staticmethod
    def read(line: str) -> Entrant:
        """From a line of passwd(5)."""
        name, _, uid, gid, _, home, shell = line.split(":")
        return Entrant(name, int(uid), int(gid), home or "/", shell or "/bin/sh")

    @property
    def words(self) -> tuple[str, ...]:
        """What becomes that user, with the small environment of a login."""
        become = ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups") if self.uid else ()
        names = {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell, "PATH": PATH}
        return (*become, "env", "-i", *(f"{name}={value}" for name, value in names.items()))


def entering(pid: str, mark: str, user: Entrant, *, group: str = "", personal: bool = False) -> tuple[str, ...]:
    """The words to put before a command so that it runs in a clone, as after a login there.

    Args:
        pid: File with the number of the clone's first process.
        mark: A file that only this clone has.
        user: Who runs it.
        group: File by which a process joins the clone's control group; empty where it has none.
        personal: The clone was made without root.
    """
    spaces = ("--mount", "--uts", "--ipc", "--pid", *(("--cgroup",) if group else ()))
    enter = ("sh", "-c", _ENTER_OWN, pid) if personal else ("sh", "-c", _ENTER, pid, group)
    return (*enter, *spaces, *_OUTSIDE, *user.words, "sh", "-c", _BEGIN, mark)
