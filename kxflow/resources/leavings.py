"""What scripts of packages make besides the files of the package: told when it is made, taken back by an undo.

Of Debian's packages many make accounts and files of settings when they are installed, and leave them when they are
purged. What was not there before is written to stdout, where a record keeps it: accounts and groups with numbers below
1000, files of /etc, and folders. An undo takes back what nobody has changed since, of files only those that a script
names, and of folders those that are empty. It names the rest on stderr: `cannot be taken back: …`.

Told are, too, the packages that came with a transaction, are newer, or are gone, and which folders that a purge would
take were there before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from kxflow.resources.accounts import SBIN
from kxflow.resources.paths import sh
from kxflow.shell.preamble import dense
from kxflow.values.result import KEPT

_SAID: Final = re.compile(r"^kxflow: made (user|group|file|folder|other|package|newer|gone|older) (.+)$", re.MULTILINE)
_ORDER: Final = ("user", "group", "file", "other", "folder", "newer")
_PACKAGES: Final = ("package", "gone", "older")

NONE: Final = r"""
kx_there() { :; }
kx_tell_made() { :; }
kx_list() { :; }
kx_tell_came() { :; }
"""
"""Words of a package manager of which that is not seen: `kx_there`, what there is, and `kx_tell_made BEFORE`;
`kx_list`, the packages there are, and `kx_tell_came PACKAGES BEFORE`."""

DEBIAN: Final = r"""
kx_di=/var/lib/dpkg/info
kx_strays() {
  find /etc -xdev -type f ! -name '.pwd.lock' ! -name 'ld.so.cache' ! -path '/etc/*-' | sed 's/^/file /'
  { find /etc -xdev -type d; find /var -maxdepth 2 -type d; find /srv /opt -maxdepth 1 -type d; } 2>/dev/null |
    grep -vE '^/var/(tmp|run|lock|[a-z]*/(apt|dpkg))(/|$)' | sed 's/^/folder /'
}
kx_owned() { awk '/^\/etc\// { print "file " $0 }' $kx_di/*.list 2>/dev/null; }
kx_shared() {
  cat $kx_di/*.preinst $kx_di/*.postinst 2>/dev/null | grep -E 'adduser|addgroup|useradd|groupadd' | grep -qwF -e "$1"
}
kx_names() { cat $kx_di/*.preinst $kx_di/*.postinst $kx_di/*.config 2>/dev/null | grep -qF -e "$1"; }
kx_there() {
  awk -F: '$3 ~ /^[0-9]+$/ && $3 < 1000 { print "user " $1 }' /etc/passwd
  awk -F: '$3 ~ /^[0-9]+$/ && $3 < 1000 { print "group " $1 }' /etc/group
  kx_strays
}
kx_tell_made() {
  { printf '%s\n' "$1"; kx_owned; echo; kx_there; } |
    awk '!n && $0 == "" { n = 1; next } !n { seen[$0]; next } !($0 in seen)' |
    while IFS= read -r kx_x; do
      case $kx_x in
        file\ *)
          kx_y=${kx_x#file }
          if kx_names "$kx_y"; then kx_x="file $(kx_sha256 <"$kx_y") $kx_y"; else kx_x="other $kx_y"; fi ;;
      esac
      printf 'kxflow: made %s\n' "$kx_x"
    done
}
# apt leaves the own architecture out of names, dpkg not always: here it is.
kx_list() {
  kx_autos=$(apt-mark showauto) kx_arch=$(dpkg --print-architecture)
  dpkg-query -W -f '${db:Status-Status} ${binary:Package} ${Version}\n' 2>/dev/null |
    awk -v a=" $(echo $kx_autos) " -v n=":$kx_arch\$" '
    $1 == "not-installed" { next }
    { sub(n, "", $2) }
    { print ($1 == "config-files" ? "left" : "there"), $2, $3 (index(a, " " $2 " ") ? " auto" : "") }'
}
kx_tell_came() {
  kx_arch=$(dpkg --print-architecture)
  { printf '%s\n' "$1"; echo; kx_list; } | awk '
    !n && $0 == "" { n = 1; next }
    !n { was[$2] = $1; version[$2] = $3; auto[$2] = $4; next }
    { now[$2] = $1 }
    $1 == "there" && was[$2] != "there" { print "package " $2 (was[$2] == "left" ? " left" : "") }
    $1 == "there" && was[$2] == "there" && version[$2] != $3 { print "newer " $2 " " version[$2] }
    END { for (p in was) if (was[p] == "there" && now[p] != "there") print "gone " p " " version[p] " " auto[p] }' |
    while read -r kx_x kx_y kx_z; do
      printf 'kxflow: made %s\n' "$kx_x $kx_y${kx_z:+ $kx_z}"
      [ "$kx_x$kx_z" != package ] || kx_tell_older "$kx_y" "$2"
    done
}
# Folders that were there before, are of no other package, and a purge takes as far as its script tells.
kx_tell_older() {
  kx_o=$kx_di/$1
  [ -f "$kx_o.postrm" ] || kx_o=$kx_o:$kx_arch
  [ -f "$kx_o.postrm" ] || return 0
  {
    grep -oE '/[A-Za-z0-9._@+/-]+' "$kx_o.postrm" | sed 's,/*$,,'
    ! grep -q 'rm -' "$kx_o.postrm" || for kx_f in /etc /var/lib /var/log /var/cache /var/spool /srv /opt; do
      echo "$kx_f/${1%:*}"
    done
  } | sort -u | while read -r kx_f; do
    case "$kx_nl$2$kx_nl" in *"${kx_nl}folder $kx_f$kx_nl"*) ;; *) continue ;; esac
    grep -lxF -- "$kx_f" $kx_di/*.list | grep -qvFx "$kx_o.list" || printf 'kxflow: made older %s %s\n' "$1" "$kx_f"
  done
}
kx_nl='
'
"""
"""The same where that is seen, and `kx_shared ACCOUNT`: another package makes it, too."""

_TAKE_BACK: Final = r"""
kx_stays() { printf '%s%s\n' "$kx_kept" "$1" >&2; }
kx_account() {
  awk -F: -v n="$3" '$1 == n && $3 < 1000 { f = 1 } END { exit !f }' /etc/"$1" || return 0
  if kx_shared "$3"; then kx_stays "$2 $3, which another package uses"; return; fi
  "${2}del" "$3" >/dev/null 2>&1 || kx_stays "$2 $3"
}
kx_unmake() {
  while IFS= read -r kx_l; do
    kx_y=${kx_l#* }
    case $kx_l in
      user\ *) kx_account passwd user "$kx_y" ;;
      group\ *) kx_account group group "$kx_y" ;;
      folder\ *) [ ! -d "$kx_y" ] || rmdir -- "$kx_y" 2>/dev/null || kx_stays "$kx_y" ;;
      file\ *)
        kx_s=${kx_y%% *} kx_y=${kx_y#* }
        [ -f "$kx_y" ] || continue
        { [ "$(kx_sha256 <"$kx_y")" = "$kx_s" ] && rm -f -- "$kx_y"; } || kx_stays "$kx_y" ;;
      newer\ *)
        kx_s=${kx_y%% *} kx_y=${kx_y#* }
        kx_v=$(dpkg-query -W -f '${Version}' -- "$kx_s" 2>/dev/null) || continue
        [ "$kx_v" = "$kx_y" ] || kx_stays "$kx_s $kx_v, which was $kx_y before" ;;
      other\ *) [ ! -e "$kx_y" ] || kx_stays "$kx_y" ;;
    esac
  done <<kx_end
$1
kx_end
}
"""


def heard(said: str) -> tuple[str, ...]:
    """What was made, as it was told among all that was written: what can be taken back first stands first.

    >>> heard("kxflow: made folder /etc/a\\nkxflow: made folder /etc/a/b\\nUnpacking …\\nkxflow: made user ann")
    ('user ann', 'folder /etc/a/b', 'folder /etc/a')
    """
    found = [(kind, f"{kind} {name}") for kind, name in reversed(_SAID.findall(said))]
    return tuple(line for wanted in (*_ORDER, *_PACKAGES) for kind, line in found if kind == wanted)


def unpurged(made: Iterable[str]) -> tuple[str, ...]:
    """Packages that came, and are to be removed, not purged: a purge would take what was there before."""
    split = [each.split(" ") for each in made]
    its = [name for kind, name, *more in split if kind == "older" or (kind == "package" and more)]
    return tuple(dict.fromkeys(its))


def steering(made: tuple[str, ...]) -> str:
    """Shell variables that tell an undo of the packages that came, and are gone.

    `kx_came`: names; `kx_left`: those of them that are not to be purged; `kx_older`: lines `NAME FOLDER` of what a
    purge would take; `kx_lost`: lines `NAME VERSION`, and ` auto` where nobody had asked for it; `kx_new`: accounts
    that are no loss.
    """
    split = [each.partition(" ")[::2] for each in made]
    told = {
        "came": " ".join(rest.split(" ")[0] for kind, rest in split if kind == "package"),
        "left": " ".join(unpurged(made)),
        "older": "\n".join(rest for kind, rest in split if kind == "older"),
        "lost": "\n".join(rest for kind, rest in split if kind == "gone"),
        "new": " ".join(f"{kind}:{rest}" for kind, rest in split if kind in ("user", "group")),
    }
    return " ".join(f"kx_{name}={sh(value)}" for name, value in told.items())


def taking_back(made: Iterable[str]) -> str:
    """Shell text that takes back what was made, and names what it leaves."""
    lines = "\n".join(each for each in made if each.partition(" ")[0] in _ORDER)
    return f"{SBIN}kx_kept={sh(KEPT)}\n{dense(_TAKE_BACK).decode()}\nkx_unmake {sh(lines)}\n" if lines else ""
