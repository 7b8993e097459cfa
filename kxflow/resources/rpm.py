"""Packages of the RPM kind: what rpm knows of them, and what dnf and zypper do with them.

The variables are those of `kxflow.resources.apt`. Others are removed for none of them unless they may be.
"""

from __future__ import annotations

from typing import Final

ASK: Final = r"""
export LC_ALL=C
# rpm writes name.architecture.
kx_rpm() { case $1 in *:*) kx_q=${1%:*}.${1##*:} ;; *) kx_q=$1 ;; esac; }
kx_pr() {
  kx_h= kx_w=
  for kx_n in "$@"; do
    kx_rpm "$kx_n"
    kx_x=$(rpm -q --qf '%{NAME} %{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$kx_q" 2>/dev/null) &&
      kx_h="$kx_h$kx_x
" || { kx_x=$(rpm -q --whatprovides --qf '%{NAME}\n' "$kx_n" 2>/dev/null) && kx_w="$kx_w$kx_n
$kx_x
.
"; }
  done
}
kx_pv() {
  is=
  while read -r kx_x kx_y kx_z; do
    case $1 in
      "$kx_x" | "$kx_x:$kx_y") is=$kx_z; return ;;
    esac
  done <<kx_end
$kx_h
kx_end
  case "
$kx_w" in *"
.
$1
"* | "
$1
"*) is=provided ;; esac
}
"""

REAL: Final = r"""
# Packages for names, as rpm writes them: those that provide it, where no package has the name.
kx_owners() {
  real=
  for kx_n in $drop; do
    kx_pv "$kx_n"
    kx_rpm "$kx_n"
    case $is in
      '') ;;
      provided) real="$real $(rpm -q --whatprovides --qf '%{NAME}\n' "$kx_n")" ;;
      *) real="$real $kx_q" ;;
    esac
  done
}
kx_alone() {
  [ -z "$kx_may" ] || return 0
  more=$(rpm -e --test -- $real 2>&1 | sed -n 's/.*is needed by (installed) //p')
  [ -z "$more" ] || kx_no "others need it and would be removed too: $(echo $more)"
}
"""

DNF: Final = r"""
kx_dnf() {
  case $kx_age in
    '') set -- --setopt=metadata_expire=-1 "$@" ;;
    0) set -- --refresh "$@" ;;
    *) set -- --setopt=metadata_expire=${kx_age}m "$@" ;;
  esac
  dnf -y -q "$@" </dev/null
}
"""
DNF_LATEST: Final = r"""
kx_pl() {
  case $is in '' | provided) return ;; esac
  kx_rpm "$1"
  kx_dnf check-update "$kx_q" >/dev/null 2>&1
  case $? in
    0) is=latest ;;
    100) ;;
    *) kx_no "dnf cannot tell whether there is a newer $1" ;;
  esac
}
"""
DNF_CHANGE: Final = (
    REAL
    + r"""
kx_pg() {
  set -- install
  case $kx_rec in
    yes) set -- "$@" --setopt=install_weak_deps=True ;;
    no) set -- "$@" --setopt=install_weak_deps=False ;;
  esac
  [ -z "$kx_may" ] || set -- "$@" --allowerasing
  newer= want=
  for kx_n in $get; do
    kx_pv "${kx_n%%=*}"
    kx_rpm "${kx_n%%=*}"
    case $kx_n/$is in
      *=*) want="$want $kx_q-${kx_n#*=}" ;;
      */) want="$want $kx_q" ;;
      *) newer="$newer $kx_q" ;;
    esac
  done
  [ -z "$newer" ] || kx_dnf upgrade $newer || return 1
  [ -z "$want" ] || kx_dnf "$@" $want
}
kx_pd() {
  kx_owners
  [ "$real" ] || return 0
  kx_alone
  if [ "$kx_sweep" ]; then kx_dnf remove $real; else kx_dnf remove --noautoremove $real; fi
}
"""
)

ZYPPER: Final = r"""
kx_zypper() { ZYPP_LOCK_TIMEOUT=$kx_wait zypper --non-interactive --quiet --no-refresh "$@" </dev/null; }
# A refresh that finds nothing new leaves no trace but this.
kx_refresh() {
  [ "$kx_age" ] || return 0
  [ "$kx_age" != 0 ] && [ "$(find /var/cache/zypp/raw -prune -mmin -$kx_age 2>/dev/null)" ] && return
  kx_zypper refresh >&2 && touch -c /var/cache/zypp/raw
}
"""
ZYPPER_LATEST: Final = r"""
kx_pl() {
  case $is in '' | provided) return ;; esac
  kx_refresh 2>/dev/null
  kx_rpm "$1"
  kx_x=$(kx_zypper info "$kx_q") || kx_no "zypper cannot tell whether there is a newer $1"
  printf '%s\n' "$kx_x" | grep -q '^Status *: out-of-date' || is=latest
}
"""
ZYPPER_CHANGE: Final = (
    REAL
    + r"""
kx_pg() {
  kx_refresh || :
  set -- install
  case $kx_rec in yes) set -- "$@" --recommends ;; no) set -- "$@" --no-recommends ;; esac
  [ -z "$kx_may" ] || set -- "$@" --force-resolution
  want=
  for kx_n in $get; do
    kx_rpm "${kx_n%%=*}"
    case $kx_n in *=*) want="$want $kx_q=${kx_n#*=}" ;; *) want="$want $kx_q" ;; esac
  done
  case $want in *=*) set -- "$@" --oldpackage ;; esac
  kx_zypper "$@" $want
}
kx_pd() {
  kx_owners
  [ "$real" ] || return 0
  kx_alone
  kx_zypper remove ${kx_sweep:+--clean-deps} $real
}
"""
)
