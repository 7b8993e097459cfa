"""Asking a host what it is: one program, and a pure parser of what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_interface
from typing import Final, TypeVar

from kxflow.flow.actions import shell
from kxflow.flow.step import Step, check_name
from kxflow.resources.host_facts import Cpus, Disk, Facts, Interface, Memory, Mount, Os
from kxflow.shell.preamble import dense

T = TypeVar("T")

MOST: Final = 1024
TEXT_LIMIT: Final = 256
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~@:-]{0,127}")
_MAC: Final = re.compile(r"([0-9a-f]{2}:){5,19}[0-9a-f]{2}")

# Every part begins with a line `@part`; what the host has not, is empty. Only builtins, where that is enough.
_PROGRAM: Final = r"""
export LC_ALL=C
kx_at() { printf '\n@%s\n' "$1"; }
kx_line() { kx_r=; { IFS= read -r kx_r <"$1"; } 2>/dev/null; printf '%s' "$kx_r"; }
exec 2>/dev/null
kx_at os
head -c 16384 /etc/os-release || head -c 16384 /usr/lib/os-release
kx_at uname
uname -s -n -r -m
kx_at cpus
getconf _NPROCESSORS_ONLN || nproc || grep -c '^processor' /proc/cpuinfo
kx_at model
sed -n '/^\(model name\|Hardware\|cpu model\|Model\)[[:blank:]]*:/{s/^[^:]*: *//p;q;}' /proc/cpuinfo | head -c 1024
kx_at memory
head -c 16384 /proc/meminfo
kx_at disks
for kx_d in /sys/block/*; do
  case ${kx_d##*/} in '*' | loop* | ram*) continue ;; esac
  printf '%s ' "${kx_d##*/}"; kx_line "$kx_d/size"; printf ' '
  kx_line "$kx_d/queue/rotational"; printf ' '; kx_line "$kx_d/removable"; echo
done
kx_at mounts
head -c 262144 /proc/self/mounts
kx_at sizes
kx_k=0
while read -r kx_x kx_d kx_t kx_o; do
  case $kx_t in
    ext[234] | xfs | btrfs | zfs | f2fs | bcachefs | jfs | reiserfs | vfat | exfat | ntfs* | iso9660) ;;
    squashfs | erofs | overlay | tmpfs | ramfs | rootfs) ;;
    *) continue ;;
  esac
  [ $kx_k -lt 64 ] || break
  kx_k=$((kx_k+1))
  kx_p=$kx_d
  case $kx_d in *\\*) kx_p=$(printf '%b.' "$(printf '%s\n' "$kx_d" | sed 's/\\/\\0/g')") kx_p=${kx_p%.} ;; esac
  kx_s=$(stat -f -c '%S %b %a' -- "$kx_p") && printf '%s %s\n' "$kx_d" "$kx_s"
done </proc/self/mounts
kx_at interfaces
for kx_d in /sys/class/net/*; do
  [ -e "$kx_d/mtu" ] || continue
  printf '%s ' "${kx_d##*/}"; kx_line "$kx_d/mtu"; printf ' '
  kx_line "$kx_d/operstate"; printf ' '; kx_line "$kx_d/address"; echo
done
kx_at addresses
ip -o addr | head -c 262144
kx_at packages
if [ -f /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then echo apt
elif command -v dnf >/dev/null; then echo dnf
elif command -v zypper >/dev/null; then echo zypper
elif command -v apk >/dev/null; then echo apk
elif command -v pacman >/dev/null; then echo pacman
fi
kx_at init
if [ -d /run/systemd/system ]; then echo systemd
elif [ -e /run/openrc/softlevel ]; then echo openrc
elif [ -d /etc/init.d ]; then echo sysv
fi
:
"""
PROGRAM: Final = dense(_PROGRAM).decode()


def facts(*, name: str = "facts") -> Step[Facts]:
    """Ask a host what it is; the value is for inputs and conditions of later steps. It changes nothing, and says so.

    >>> facts()
    Step('facts')

    Args:
        name: Of the step.

    Raises:
        InvalidError: A name that cannot be.
    """
    action = shell(PROGRAM, parse=parse_facts, readonly=True, idempotent=True, timeout=60, capture=1 << 20)
    return Step(name=check_name(name, "step", slash=True), build=action)


def parse_facts(text: str) -> Facts:
    """What a host said, as facts; total: what is odd is left out."""
    parts = _parts(text)
    system, hostname, kernel, arch = (*(_word(each) for each in parts("uname", "").split()[:4]), "", "", "", "")[:4]
    return Facts(
        os=_os(parts("os", "")),
        kernel=kernel,
        system=system,
        arch=arch,
        hostname=hostname,
        cpus=Cpus(count=_number(parts("cpus", "")), model=_text(parts("model", ""))),
        memory=_memory(parts("memory", "")),
        disks=tuple(sorted(_each(parts("disks", ""), _disk), key=lambda each: each.name)),
        mounts=tuple(_mounts(parts("mounts", ""), parts("sizes", ""))),
        interfaces=tuple(_interfaces(parts("interfaces", ""), parts("addresses", ""))),
        packages=_word(parts("packages", "")),
        init=_word(parts("init", "")),
    )


def _parts(text: str) -> Callable[[str, str], str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("@") and line[1:] not in found:
            lines = found[line[1:]] = []
        else:
            lines.append(line)
    return lambda name, default: "\n".join(found[name]).strip("\n") if name in found else default


def _word(text: str) -> str:
    """An identifier; nothing where it is none."""
    word = text.strip()
    return word if _WORD.fullmatch(word) else ""


def _text(text: str) -> str:
    """A short text for people."""
    line = text.strip().split("\n", 1)[0]
    return "".join(each for each in line if each.isprintable())[:TEXT_LIMIT].strip()


def _number(text: str) -> int:
    word = text.strip()
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= 18 else 0


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.split("\n")[:MOST]:
        if fields := line.split():
            yield fields


def _each(text: str, read: Callable[[list[str]], T | None]) -> list[T]:
    return [found for fields in _lines(text) if (found := read(fields)) is not None]


def _os(text: str) -> Os:
    given: dict[str, str] = {}
    for line in text.split("\n")[:MOST]:
        name, sign, value = line.strip().partition("=")
        if sign:
            given[name] = _unquoted(value)
    return Os(
        id=_word(given.get("ID", "")),
        like=tuple(word for each in given.get("ID_LIKE", "").split()[:16] if (word := _word(each))),
        version=_word(given.get("VERSION_ID", "")),
        codename=_word(given.get("VERSION_CODENAME", "")),
        name=_text(given.get("PRETTY_NAME", "") or given.get("NAME", "")),
    )


def _unquoted(value: str) -> str:
    """A value of os-release: bare, in single quotes, or in double quotes with backslashes."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        inner = value[1:-1]
        return inner if value[0] == "'" else re.sub(r"\\([\\\"$`])", r"\1", inner)
    return value


def _memory(text: str) -> Memory:
    given = {fields[0].rstrip(":"): _number(fields[1]) * 1024 for fields in _lines(text) if len(fields) >= 2}
    return Memory(
        total=given.get("MemTotal", 0),
        available=given.get("MemAvailable", given.get("MemFree", 0)),
        swap_total=given.get("SwapTotal", 0),
        swap_free=given.get("SwapFree", 0),
    )


def _disk(fields: list[str]) -> Disk | None:
    """Sizes of `/sys/block` are in sectors of 512 bytes, whatever the device has."""
    name, size = _word(fields[0]), _number(fields[1]) if len(fields) > 1 else 0
    if not name or not size:
        return None
    flags = [each == "1" for each in fields[2:4]]
    return Disk(name=name, size=size * 512, rotational=flags[:1] == [True], removable=flags[1:] == [True])


def _mounts(text: str, sizes: str) -> Iterator[Mount]:
    measured: dict[str, tuple[int, int]] = {}
    for fields in _lines(sizes):
        if len(fields) == 4:
            block, blocks, left = map(_number, fields[1:])
            if block and blocks:
                measured[fields[0]] = (block * blocks, block * left)
    for fields in _lines(text):
        if len(fields) < 4:
            continue
        device, path = _unescaped(fields[0]), _unescaped(fields[1])
        if path.startswith("/") and len(path) <= 4096 and (path + device).isprintable():
            size, free = measured.get(fields[1]) or (None, None)
            yield Mount(
                path=path,
                device=device[:4096],
                type=_word(fields[2]),
                readonly="ro" in fields[3].split(","),
                size=size,
                free=free,
            )


def _unescaped(text: str) -> str:
    """A field of `/proc/mounts`: blanks and backslashes are in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8) & 0xFF), text)


def _interfaces(text: str, addresses: str) -> Iterator[Interface]:
    of = _addresses(addresses)
    for fields in sorted(_lines(text)):
        name = _word(fields[0])
        if not name:
            continue
        mac = fields[3].lower() if len(fields) > 3 else ""
        state = fields[2] if len(fields) > 2 else ""
        yield Interface(
            name=name,
            mac=mac if _MAC.fullmatch(mac) and set(mac) != {"0", ":"} else "",
            mtu=_number(fields[1]) if len(fields) > 1 else 0,
            up=state == "up" or (name == "lo" and state != "down"),
            addresses=tuple(of.get(name, ())),
        )


def _addresses(text: str) -> Mapping[str, list[str]]:
    """Lines of `ip -o addr`: number, name, family, address, more."""
    found: dict[str, list[str]] = {}
    for fields in _lines(text):
        if len(fields) >= 4 and fields[2] in ("inet", "inet6"):
            try:
                address = str(ip_interface(fields[3]))
            except ValueError:
                continue
            found.setdefault(fields[1].partition("@")[0], []).append(address)
    return found
