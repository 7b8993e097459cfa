"""Words that probes and applies of resources may use on a host: POSIX `sh`, sent where a program holds a resource.

kx_say NAME VALUE       a line of a state, newlines and backslashes in the value escaped
kx_say_all NAME <TEXT   the same for many lines
kx_stat PATH            sets mode, owner, group, uid, gid, size of what a path leads to; fails where nothing is
kx_sha256 <FILE         hex digest of stdin
kx_real PATH            sets real: the path with symbolic links at its end followed
kx_put PATH MODE OWNER GROUP [KEEP] <CONTENT
stdin to a temporary file beside the target, then owner, mode, rename; what is empty is
kept of the old file, and that itself as KEEP, where nothing has that name. The target is
always the old or the new one, never a mix. What is there and no file is refused.
kx_open PATH            a temporary file beside the target into kx_up: fill it, then kx_put takes it as the content
kx_own PATH MODE OWNER GROUP
owner and mode of what is there, where not empty
kx_chown OPTION… -- OWNER:GROUP PATH…
chown, that says what to do about an owner or group that there is not
kx_dir PATH [WHAT_TO_DO]
fails where a path leads to no folder, and says so
kx_need TOOL PACKAGE    ends where a program is missing, and says which package has it
kx_words TEXT           it in one line, newlines escaped
kx_no TEXT              say why it cannot be done, in one line, and end with 1

They use kx_x, kx_z, kx_k, kx_t, kx_m, kx_o and kx_p for themselves: what is kept in these over a word is lost.
"""

from __future__ import annotations

from typing import Final

from kxflow.shell.preamble import dense

_TEXT: Final = r"""
kx_flat() {
  kx_x=$1 kx_z=
  while :; do
    case $kx_x in
      *"
"*) kx_z=$kx_z${kx_x%%"
"*}'\n' kx_x=${kx_x#*"
"} ;;
      *) break ;;
    esac
  done
  kx_x=$kx_z$kx_x
}
kx_words() { kx_flat "$1"; printf '%s\n' "$kx_x"; }
kx_no() { kx_words "$1" >&2; exit 1; }
kx_need() {
  command -v "$1" >/dev/null 2>&1 ||
    kx_no "there is no $1 on this host: install the package $2 in an earlier step"
}
kx_dir() {
  [ -d "$1" ] && return
  if [ -e "$1" ]; then kx_x="$1 is there and no folder"
  else kx_x="there is no folder $1: ${2:-make it in an earlier step}"; fi
  kx_words "$kx_x" >&2
  return 1
}
kx_say() {
  kx_x=$2 kx_z=
  case $kx_x in
    *\\*)
      while :; do
        case $kx_x in
          *\\*) kx_z=$kx_z${kx_x%%\\*}'\\' kx_x=${kx_x#*\\} ;;
          *) break ;;
        esac
      done
      kx_x=$kx_z$kx_x
      ;;
  esac
  kx_flat "$kx_x"
  printf '%s %s\n' "$1" "$kx_x"
}

kx_say_all() { printf '%s ' "$1"; sed -e 's/\\/\\\\/g' -e 's/$/\\n/' | tr -d '\n'; printf '\n'; }
kx_stat() {
  kx_x=$(stat -L -c '%a %U %G %u %g %s' -- "$1" 2>/dev/null) ||
    kx_x=$(stat -L -f '%Mp%Lp %Su %Sg %u %g %z' -- "$1" 2>/dev/null) || return 1
  mode=${kx_x%% *} kx_x=${kx_x#* }
  case $mode in 0?*) mode=${mode#0} ;; esac
  owner=${kx_x%% *} kx_x=${kx_x#* }
  group=${kx_x%% *} kx_x=${kx_x#* }
  uid=${kx_x%% *} kx_x=${kx_x#* }
  gid=${kx_x%% *} size=${kx_x#* }
}
kx_sha256() {
  if command -v sha256sum >/dev/null 2>&1; then kx_x=$(sha256sum) || return 1
  elif command -v shasum >/dev/null 2>&1; then kx_x=$(shasum -a 256) || return 1
  elif command -v sha256 >/dev/null 2>&1; then kx_x=$(sha256) || return 1
  elif command -v openssl >/dev/null 2>&1; then
    kx_x=$(openssl dgst -sha256) || return 1
    kx_x=${kx_x##* }
  else
    kx_no 'no sha256sum, shasum, sha256 or openssl on this host'
  fi
  printf '%s\n' "${kx_x%% *}"
}

kx_real() {
  real=$1 kx_k=0
  while [ -h "$real" ]; do
    kx_k=$((kx_k+1))
    [ $kx_k -le 40 ] || kx_no "too many symbolic links: $1"
    kx_x=$(readlink -- "$real" && echo x) || kx_no "cannot read the link $real"
    kx_x=${kx_x%?x}
    case $kx_x in
      /*) real=$kx_x ;;
      *) case $real in */*) real=${real%/*}/$kx_x ;; *) real=./$kx_x ;; esac ;;
    esac
  done
}

kx_chown() {
  kx_x=$(LC_ALL=C chown "$@" 2>&1) && return
  case $kx_x in
    *'invalid '[ug]* | *'unknown '[ug]* | *'illegal '[ug]*)
      while [ "$1" != -- ]; do shift; done
      case $kx_x in
        *'d group'* | *'n group'* | *'l group'*) kx_x="group ${2#*:}" ;;
        *) kx_x="user ${2%%:*}" ;;
      esac
      kx_x="there is no $kx_x: make it in an earlier step"
      ;;
  esac
  printf '%s\n' "$kx_x" >&2
  return 1
}
# With less than five digits GNU's chmod leaves a folder its setuid and setgid.
kx_own() {
  [ -z "$3$4" ] || kx_chown -- "$3${4:+:$4}" "$1" || return 1
  [ -z "$2" ] || chmod -- "00$2" "$1"
}
kx_beside() {
  case $real in /*) kx_x=${real%/*} kx_x=${kx_x:-/} ;; */*) kx_x=${real%/*} ;; *) kx_x=. ;; esac
  kx_dir "$kx_x" || return 1
  kx_t=$(mktemp -- "${kx_x%/}/.kx.XXXXXXXX" && echo x) || return 1
  kx_t=${kx_t%?x}
}
kx_sweep() {
  trap 'rm -f -- "$kx_t"' EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
  trap 'exit 129' HUP
}

# Take the bytes of an upload (op, size, target) from the lease, before anybody else reads it, into kx_up: beside the
# target, or in it where it is a folder. Cut short, it is no program any more: nothing is said, nothing is left.
kx_take() {
  kx_w b "$1"
  kx_t=
  (kx_real "$3") && { kx_real "$3"; [ ! -d "$real" ] || real=$real/x; kx_beside; } || {
    kx_w e "$1" ran 1
    kx_h=halt
    return
  }
  kx_up=$kx_t
  trap 'rm -f -- "$kx_up"' EXIT
  head -c "$2" <&3 >"$kx_up"
  kx_r=$?
  kx_stat "$kx_up"
  if [ "$size" = "$2" ]; then return; fi
  [ $kx_r = 0 ] && exit 1
  kx_words "cannot write $3" >&2
  kx_w e "$1" ran 1
  kx_h=halt
}
kx_open() {
  kx_real "$1"
  kx_beside || exit 1
  kx_up=$kx_t
  kx_sweep
}
kx_put() {
  kx_real "$1"
  [ -f "$real" ] || [ ! -e "$real" ] || kx_no "$1 is there and no file"
  kx_m=$2 kx_o=$3 kx_p=$4
  if kx_stat "$real"; then
    kx_m=${kx_m:-$mode} kx_o=${kx_o:-$uid} kx_p=${kx_p:-$gid}
  else
    kx_m=${kx_m:-644}
  fi
  if [ "$kx_up" ]; then kx_t=$kx_up; else kx_beside || exit 1; fi
  kx_sweep
  [ "$kx_up" ] || cat >"$kx_t" || kx_no "cannot write $1"
  if [ "$kx_o$kx_p" ]; then
    kx_stat "$kx_t"
    case $kx_o in "$uid" | "$owner") kx_o= ;; esac
    case $kx_p in "$gid" | "$group") kx_p= ;; esac
  fi
  kx_own "$kx_t" '' "$kx_o" "$kx_p" && chmod -- "$kx_m" "$kx_t" || kx_no "cannot set owner and mode of $1"
  if [ "$5" ] && [ -f "$real" ] && [ ! -e "$5" ]; then
    [ ! -h "$5" ] || kx_no "cannot keep $1: $5 is a link"
    ln -- "$real" "$5" 2>/dev/null || cp -p -- "$real" "$5" || kx_no "cannot keep $1 as $5"
  fi
  mv -f -- "$kx_t" "$real" || kx_no "cannot put $1 in place"
  trap - EXIT
}
"""


LIBRARY: Final = dense(_TEXT)

_MARKS: Final = r"""
# Where my marks are (kx_mh); where others deal with them too, at the one place that they know.
kx_marks() {
  kx_mh=${HOME:+$HOME/.local/state}
  [ "$1" ] || kx_mh=${XDG_STATE_HOME:-$kx_mh}
  kx_mh=${kx_mh:+$kx_mh/kxflow/pending}
}
# A user's marks, as root sees them (kx_mh): fails where that user is nobody else, or root.
kx_theirs() {
  kx_mu=${1:-${SUDO_USER:-${DOAS_USER:-$LOGNAME}}}
  case $kx_mu in
    root | "$(id -un)") return 1 ;;
    '' | *[!A-Za-z0-9._-]*) printf 'it cannot be told who set marks\n' >&2; return 2 ;;
  esac
  [ "$(id -u)" = 0 ] || { printf 'marks of %s cannot be seen: only root can\n' "$kx_mu" >&2; return 2; }
  eval "kx_mh=~$kx_mu/.local/state/kxflow/pending"
}
# Is it marked (mark, shared, other users)? 0 yes, 1 no, 2 cannot be told.
kx_marked() {
  [ -e "/var/lib/kxflow/pending/$1" ] && return 0
  kx_marks "$2"
  [ "$kx_mh" ] && [ -e "$kx_mh/$1" ] && return 0
  kx_mm=$1
  shift 2
  for kx_mu in "$@"; do
    kx_theirs "$kx_mu"
    case $? in
      0) [ -e "$kx_mh/$kx_mm" ] && return 0 ;;
      2) return 2 ;;
    esac
  done
  return 1
}
kx_mark() {
  if [ "$(id -u)" = 0 ]; then kx_mh=/var/lib/kxflow/pending; else kx_marks "$2"; fi
  [ "$kx_mh" ] || { printf 'no HOME to keep a mark in\n' >&2; return 1; }
  [ -d "$kx_mh" ] || (umask 022; mkdir -p -- "$kx_mh") || return 1
  printf '' >"$kx_mh/$1"
}
kx_unmark() {
  kx_mm=$1
  kx_marks "$2"
  shift 2
  kx_mk=${kx_mh:-/var/lib/kxflow/pending}
  for kx_mu in "$@"; do kx_theirs "$kx_mu" && rm -f -- "$kx_mh/$kx_mm"; done 2>/dev/null
  rm -f -- "/var/lib/kxflow/pending/$kx_mm" "$kx_mk/$kx_mm" 2>/dev/null
}
"""

MARKS: Final = dense(_MARKS)
"""Words for marks of what is pending, sent where a program has some."""
