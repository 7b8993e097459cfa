"""Packages of pacman. It gives the newest version only, and an architecture is no part of a name.

The variables are those of `kxflow.resources.apt`.
"""

from __future__ import annotations

from typing import Final

ASK: Final = r"""
export LC_ALL=C
# Asked for a name that no package has, it tells of one that provides it.
kx_pr() {
  kx_h=
  for kx_n in "$@"; do
    case $kx_n in *:*) kx_no "$kx_n: pacman knows of no architectures" ;; esac
    kx_x=$(pacman -Q -- "$kx_n" 2>/dev/null) && kx_h="$kx_h$kx_n $kx_x
"
  done
}
kx_pv() {
  is= owner=
  while read -r kx_x kx_y kx_z; do
    [ "$kx_x" = "$1" ] || continue
    owner=$kx_y is=$kx_z
    [ "$kx_y" = "$1" ] || is=provided
  done <<kx_end
$kx_h
kx_end
}
"""

GET: Final = r"""
kx_tmp=$(mktemp) || kx_no 'no place for a temporary file'
trap 'rm -f -- "$kx_tmp"' EXIT
# It does not wait for others.
kx_pacman() {
  kx_i=0
  while ! pacman --noconfirm --noprogressbar "$@" </dev/null 2>"$kx_tmp"; do
    if [ $kx_i -ge $kx_wait ] || ! grep -q 'unable to lock database' "$kx_tmp"; then
      cat "$kx_tmp" >&2
      sed -n '/^error/{p;q;}' "$kx_tmp" >&2
      return 1
    fi
    sleep 1
    kx_i=$((kx_i+1))
  done
}
# A refresh that finds nothing new leaves no trace but this.
kx_refresh() {
  [ "$kx_age" ] || return 0
  [ "$kx_age" != 0 ] && [ "$(find /var/lib/pacman/sync -prune -mmin -$kx_age 2>/dev/null)" ] && return
  kx_pacman -Sy >&2 && touch -c /var/lib/pacman/sync
}
"""

LATEST: Final = r"""
kx_pl() {
  case $is in '' | provided) return ;; esac
  kx_refresh 2>/dev/null
  pacman -Qu -- "$1" >/dev/null 2>&1 || is=latest
}
"""

CHANGE: Final = r"""
kx_pg() {
  kx_refresh || :
  want=
  for kx_n in $get; do
    want="$want ${kx_n%%=*}"
    case $kx_n in *=*) ;; *) continue ;; esac
    kx_x=$(pacman -S --print --print-format %n=%v -- "${kx_n%%=*}" 2>"$kx_tmp" | grep -F "${kx_n%%=*}=")
    case $kx_x in
      '') cat "$kx_tmp" >&2; return 1 ;;
      ${kx_n}) ;;
      *) kx_no "${kx_n%%=*} is to be had in version ${kx_x#*=} only" ;;
    esac
  done
  kx_pacman -S -- $want
}
kx_pd() {
  real=
  for kx_n in $drop; do
    kx_pv "$kx_n"
    real="$real $owner"
  done
  [ "${real# }" ] || return 0
  kx_pacman -R${kx_sweep:+s}${kx_purge:+n}${kx_may:+c} -- $real
}
"""
