"""What is known of a host: frozen values, for conditions and inputs."""

from __future__ import annotations

from attrs import field, frozen


@frozen(kw_only=True)
class Os:
    """The operating system.

    Source: os-release(5). Empty where the host does not say.

    Attributes:
        id: `debian`, `alpine`, `fedora`, …
        like: Ids of what it is derived from, closest first.
        version: As `12` or `3.19.1`.
        codename: As `bookworm`.
        name: For people, as `Debian GNU/Linux 12 (bookworm)`.
    """

    id: str = ""
    like: tuple[str, ...] = ()
    version: str = ""
    codename: str = ""
    name: str = ""

    def is_like(self, *ids: str) -> bool:
        """It is one of these, or derived from one."""
        return not {self.id, *self.like}.isdisjoint(ids)


@frozen(kw_only=True)
class Cpus:
    """Processors.

    Attributes:
        count: How many are online; 0 where not known.
        model: Of the first, for people.
    """

    count: int = 0
    model: str = ""


@frozen(kw_only=True)
class Memory:
    """Memory at that moment, in bytes; 0 where not known.

    Source: `/proc/meminfo`, which tells KiB.

    Attributes:
        total, available: Memory; what could be used without swapping.
        swap_total, swap_free: Swap.
    """

    total: int = 0
    available: int = 0
    swap_total: int = 0
    swap_free: int = 0


@frozen(kw_only=True)
class Disk:
    """A block device; loop devices and RAM disks are left out.

    Source: `/sys/block`.

    Attributes:
        name: As `sda`.
        size: Bytes.
        rotational: It has turning parts, or says so.
        removable: It can be taken out.
    """

    name: str
    size: int
    rotational: bool = False
    removable: bool = False


@frozen(kw_only=True)
class Mount:
    """A mounted file system at that moment.

    Source: `/proc/self/mounts`; sizes from `stat -f`, for file systems on this host only (a dead server is not waited
    for), and for at most 64.

    Attributes:
        path: Where it is mounted.
        device: What is mounted.
        type: As `ext4`.
        readonly: It cannot be written.
        size, free: Bytes, and those that others than root can still use; None where not asked.
    """

    path: str
    device: str
    type: str
    readonly: bool = False
    size: int | None = None
    free: int | None = None


@frozen(kw_only=True)
class Interface:
    """A network interface.

    Attributes:
        name: As `eth0`.
        mac: Lower case, with colons; empty where it has none.
        mtu: Bytes.
        up: It works, as far as it says: `lo` does.
        addresses: With prefix length, as `10.0.0.5/24` and `fe80::1/64`; none where the host has no `ip`.
    """

    name: str
    mac: str = ""
    mtu: int = 0
    up: bool = False
    addresses: tuple[str, ...] = ()


@frozen(kw_only=True)
class Facts:
    """What a host is, as it said at one moment. Times and loads, which change by themselves, are not in it.

    What comes from a host is bounded and checked: identifiers hold letters, digits and `._+~-` only, and are empty
    where the host says something else; texts for people are printable and have at most 256 characters.

    Attributes:
        os: Operating system.
        kernel: Release, as `6.1.0-18-amd64`.
        system: As `Linux`.
        arch: As `x86_64` or `aarch64`, in the kernel's words.
        hostname: As the host calls itself; not its name in the cluster.
        cpus: Processors.
        memory: Memory and swap.
        disks: Block devices, by name.
        mounts: Mounted file systems, in the order of mounting.
        interfaces: Network interfaces, by name.
        packages: Package manager: `apt`, `dnf`, `zypper`, `apk`, `pacman`, or empty.
        init: What starts services: `systemd`, `openrc`, `sysv`, or empty.
    """

    os: Os = field(factory=Os)
    kernel: str = ""
    system: str = ""
    arch: str = ""
    hostname: str = ""
    cpus: Cpus = field(factory=Cpus)
    memory: Memory = field(factory=Memory)
    disks: tuple[Disk, ...] = ()
    mounts: tuple[Mount, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    packages: str = ""
    init: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address without its prefix length; loopback and link-local ones are left out."""
        from ipaddress import ip_interface

        every = (ip_interface(each) for interface in self.interfaces for each in interface.addresses)
        return tuple(str(each.ip) for each in every if not (each.ip.is_loopback or each.ip.is_link_local))

    def mounted_at(self, path: str) -> Mount | None:
        """The file system that a path is on: the last mounted of the longest that lead to it."""
        found = [each for each in self.mounts if path == each.path or path.startswith(each.path.rstrip("/") + "/")]
        return max(enumerate(found), key=lambda pair: (len(pair[1].path), pair[0]))[1] if found else None
