"""Debian's packages: what dpkg knows of them, and what apt-get does with them.

Variables that steer it: `kx_age` minutes after which lists are fetched anew (empty: never), `kx_wait` seconds to wait
for locks that others hold, `kx_rec` (`yes`, `no` or empty), `kx_may` others may be removed, `kx_purge`, `kx_sweep`;
for undo, what `leavings.steering` gives.
"""

from __future__ import annotations

from typing import Final

GET: Final = r"""
export LC_ALL=C DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1
kx_l=/var/lib/apt/lists kx_locked='Unable to lock'
kx_tmp=$(mktemp -d) || kx_no 'no place for a temporary file'
trap 'rm -rf -- "$kx_tmp"' EXIT
# apt-get waits for the lock of dpkg itself, for those of its lists and its archive not. What it says goes to a file:
# a service that a package starts would keep a pipe open.
kx_get() {
  kx_i=0
  while ! apt-get -qq -y -o DPkg::Lock::Timeout=$kx_wait -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold "$@" </dev/null 2>"$kx_tmp/said"; do
    if [ $kx_i -ge $kx_wait ] || ! grep -q "$kx_locked" "$kx_tmp/said"; then
      cat "$kx_tmp/said" >&2
      kx_why >&2
      return 1
    fi
    sleep 1
    kx_i=$((kx_i+1))
  done
  cat "$kx_tmp/said" >&2
}
# Which package it was, and the last words of its script: of these apt-get itself says nothing.
kx_why() {
  grep -q '^E: Sub-process .*dpkg' "$kx_tmp/said" || return 0
  tail -n 200 /var/log/apt/term.log 2>/dev/null | tr -d '\r' | awk '
    /^Log started/ { why = "" }
    why == "" && /^dpkg: error processing/ {
      why = $5 ": " ; words = last
      if (words ~ /^(Setting up|Preparing to|Unpacking|Removing|Purging) /) words = ""
      getline; sub(/^ */, ""); why = why $0 (words == "" ? "" : ": " words)
    }
    { last = $0 }
    END { if (why != "") print why }'
}
# The folder of unfinished downloads is touched by every update, also where there is nothing new.
kx_fresh() {
  [ "$kx_age" ] || return 0
  [ "$kx_age" != 0 ] || return 1
  [ "$(find $kx_l/partial -prune -mmin -$kx_age 2>/dev/null)" ] || return 1
  [ -z "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer $kx_l/partial 2>/dev/null)" ] || return 1
  ls $kx_l | grep -q _
}
kx_refresh() {
  kx_age=
  kx_get update
}
"""

ASK: Final = r"""
kx_pr() {
  kx_h=$(dpkg-query -W -f '${Package}:${Architecture} ${db:Status-Status} ${Version}\n' "$@" 2>/dev/null)
  kx_w=
  for kx_n in "$@"; do
    kx_pv "$kx_n"
    case $is in '' | config-files) [ "$kx_w" ] || kx_w=$(kx_provided) ;; esac
  done
}
kx_provided() {
  dpkg-query -W -f '${Package} ${db:Status-Status} , ${Provides},\n' |
    sed -n 's/ ([^)]*)//g; s/^\([^ ]*\) installed \(.*, [^,].*\)/\1 \2/; t x; d; :x; s/,/ ,/g; p'
}
# Of several architectures an installed one counts; a name that no package has stands for one that provides it.
kx_pv() {
  is= kx_c= kx_q=$1
  case $kx_q in *:*) ;; *) kx_q="$kx_q:*" ;; esac
  while read -r kx_x kx_y kx_z; do
    case $kx_x in
      $kx_q) ;;
      *) continue ;;
    esac
    case $kx_y in
      installed | triggers-*) is=$kx_z; return ;;
      not-installed) ;;
      config-files) kx_c=config-files ;;
      *) is=$kx_y ;;
    esac
  done <<kx_end
$kx_h
kx_end
  [ "$is" ] || case $kx_w in *", $1 ,"*) is=provided ;; *) is=$kx_c ;; esac
}
"""

LATEST: Final = r"""
kx_pl() {
  case $is in '' | provided | config-files) return ;; esac
  kx_fresh || kx_refresh >/dev/null 2>&1
  kx_x=$(apt-cache policy -- "$1" | sed -n 's/^  Candidate: //p')
  case $kx_x in "$is" | '(none)' | '') is=latest ;; esac
}
"""

CHANGE: Final = r"""
# A dpkg that was ended in the middle has to be seen through first.
kx_mend() {
  set -- /var/lib/dpkg/updates/*
  [ ! -e "$1" ] || dpkg --force-confdef --force-confold --configure -a </dev/null
}
# What is no name would be taken for a pattern (.) or for an order to remove (-).
kx_known() {
  for kx_x in $get; do
    kx_x=${kx_x%%=*}
    case $kx_x in
      *.* | *[+-])
        kx_y=${kx_x%:*}
        apt-cache pkgnames -- "$kx_y" | grep -qFx -- "$kx_y" || kx_no "E: Unable to locate package $kx_x"
        ;;
    esac
  done
}
kx_install() {
  set --
  case $kx_rec in yes) set -- --install-recommends ;; no) set -- --no-install-recommends ;; esac
  [ "$kx_may" ] || set -- "$@" --no-remove
  case $get in *=*) set -- "$@" --allow-downgrades ;; esac
  (kx_known) && kx_get "$@" install -- $get
}
# Lists that are not too old may still be behind: where that is not enough, they are fetched and all is tried again.
kx_pg() {
  kx_mend
  kx_fresh || kx_refresh || ! grep -q "$kx_locked" "$kx_tmp/said" || return 1
  kx_install 2>"$kx_tmp/first" && return
  if [ "$kx_age" ] && grep -qE 'Unable to (locate|fetch)|Failed to fetch|no installation candidate|was not found' \
    "$kx_tmp/first"; then
    kx_refresh
    kx_install
    return
  fi
  cat "$kx_tmp/first" >&2
  return 1
}
kx_sim() { apt-get -s -qq "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p; s/^Purg \([^ ]*\).*/\1/p'; }
# Is it among these, with or without its architecture?
kx_has() { case " $2 " in *" $1 "* | *" ${1%:*} "*) return 0 ;; esac; return 1; }
kx_one() { kx_one=$(echo $1); }
# Packages for names: those that provide it, where no package has the name.
kx_real() {
  real=
  for kx_n in $drop; do
    kx_pv "$kx_n"
    case $is in
      '') ;;
      provided)
        while read -r kx_x kx_y; do case $kx_y in *", $kx_n ,"*) real="$real $kx_x" ;; esac; done <<kx_end
$kx_w
kx_end
        ;;
      *) real="$real $kx_n" ;;
    esac
  done
}
# Configuration that is not as it came may have been there before the package: an undo, which purges, leaves it.
kx_spare() {
  dpkg-query -W -f '${Conffiles}\n' -- $real 2>/dev/null | while read -r kx_x; do
    kx_x=${kx_x% obsolete}
    kx_y=${kx_x##* } kx_x=${kx_x% *}
    [ -f "$kx_x" ] && kx_z=$(md5sum <"$kx_x") && [ "${kx_z%% *}" != "$kx_y" ] && printf '%s\n' "$kx_x"
  done
}
kx_each() {
  kx_z=0
  while IFS= read -r kx_x; do
    kx_z=$((kx_z+1)) kx_y=$kx_tmp/$kx_z.kept
    eval "$1" || return 1
  done <"$kx_tmp/spared"
}
# What was recommended may itself need the package: it came along if nobody asked for it, and nothing that stays
# depends on it or recommends it.
kx_along() {
  kx_has "$1" "$real" && [ "$kx_sweep" ] && [ "$(apt-mark showauto -- "$1")" ] || return 1
  for kx_x in $(apt-cache rdepends --installed --no-suggests --no-enhances --no-conflicts --no-breaks --no-replaces \
    -- "$1" | sed '1,2d; s/^[ |]*//'); do
    kx_has "$kx_x" "$real" || return 1
  done
}
kx_stay() { printf '%s%s\n' "$kx_kept" "$1" >&2; }
# What came with the packages goes with them, unless somebody asked for it since, or something else depends on it.
kx_ours() {
  kx_autos=$(apt-mark showauto)
  kx_one "$kx_autos"
  kx_h=$(echo $(kx_list | sed -n 's/^there \([^ ]*\) .*/\1/p'))
  for kx_y in $kx_came; do
    ! kx_has "$kx_y" "$real" && kx_has "$kx_y" "$kx_h" || continue
    if kx_has "$kx_y" "$kx_one"; then real="$real $kx_y"
    else kx_stay "$kx_y, which is wanted for itself by now"; fi
  done
  kx_k=1
  while [ "$kx_k" ]; do
    kx_k= kx_z=
    for kx_x in $(kx_sim remove -- $real); do kx_has "$kx_x" "$real" || kx_z="$kx_z $kx_x"; done
    [ "$kx_z" ] || return 0
    for kx_y in $real; do
      kx_has "$kx_y" "$asked" || for kx_x in $(kx_sim remove -- "$kx_y"); do
        kx_has "$kx_x" "$real" && continue
        kx_stay "$kx_y, which $kx_x needs by now"
        kx_k=1 real=$(for kx_x in $real; do [ "$kx_x" = "$kx_y" ] || printf ' %s' "$kx_x"; done)
        break
      done
    done
  done
}
# What was removed besides, as far as it is still to be had, comes again.
kx_pf() {
  while read -r kx_x kx_y kx_z; do
    if kx_has "$kx_x" "$kx_names"; then
      [ "$kx_z" != auto ] || kx_found="$kx_found $kx_x"
      continue
    fi
    [ "$(dpkg-query -W -f '${db:Status-Status}' -- "$kx_x" 2>/dev/null)" != installed ] || continue
    if apt-cache madison -- "$kx_x" 2>/dev/null | sed 's/ //g' | grep -qF -- "|$kx_y|"; then
      get="$get $kx_x=$kx_y"
      [ "$kx_z" != auto ] || kx_found="$kx_found $kx_x"
    else
      kx_stay "$kx_x $kx_y, which is not to be had any more"
    fi
  done <<kx_end
$kx_lost
kx_end
}
kx_pa() { apt-mark auto -- $kx_found >/dev/null; }
# Accounts that a script takes away though they were there before come again, as they were.
kx_bases='passwd shadow group gshadow'
kx_accounts() {
  for kx_x in $kx_bases; do [ ! -f /etc/$kx_x ] || (umask 077; cp -- /etc/$kx_x "$kx_tmp/$kx_x") || return 1; done
}
kx_restore() {
  for kx_x in $kx_bases; do
    case $kx_x in *passwd | shadow) kx_y=user ;; *) kx_y=group ;; esac
    [ ! -f "$kx_tmp/$kx_x" ] || awk -F: -v n=" $kx_new " -v k=$kx_y: '
      FILENAME == ARGV[1] { there[$1]; next }
      !($1 in there) && !index(n, " " k $1 " ")' /etc/$kx_x "$kx_tmp/$kx_x" >"$kx_tmp/lost"
    if [ -s "$kx_tmp/lost" ]; then cat "$kx_tmp/lost" >>/etc/$kx_x || return 1; fi
    [ $kx_x != passwd ] || cut -d: -f1 "$kx_tmp/lost" >"$kx_tmp/users"
  done
  while read -r kx_u; do
    kx_g=$(awk -F: -v u="$kx_u" 'index("," $4 ",", "," u ",") { print $1 }' "$kx_tmp/group")
    for kx_y in $kx_g; do usermod -aG "$kx_y" "$kx_u" || return 1; done
  done <"$kx_tmp/users"
}
kx_take() {
  kx_x=
  for kx_y in $real; do kx_has "$kx_y" "$kx_left" || kx_x="$kx_x $kx_y"; done
  if [ "$kx_purge" ] && [ "${kx_x# }" != "${real# }" ]; then
    printf '%s\n' "$kx_older" | while read -r kx_y kx_z; do
      [ -z "$kx_z" ] || kx_stay "configuration of $kx_y: its purge would take $kx_z, which was there before"
    done
    kx_get remove -- $real && { [ -z "$kx_x" ] || kx_get --purge remove -- $kx_x; }
  else
    kx_get ${kx_purge:+--purge} remove -- $real
  fi
}
kx_pd() {
  kx_mend
  kx_real
  [ "$real$kx_came" ] || return 0
  asked=$real more=
  if [ "$kx_came" ]; then
    kx_ours
    [ "$real" ] || return 0
    for kx_y in $(kx_sim remove -- $real); do kx_has "$kx_y" "$real" || more="$more $kx_y"; done
  else
    kx_guess
  fi
  [ -z "$more" ] || [ "$kx_may" ] || kx_no "others need it and would be removed too:$more"
  : >"$kx_tmp/spared"
  [ -z "$kx_purge" ] || [ -z "$kx_sweep" ] || kx_spare >"$kx_tmp/spared"
  kx_each 'cp -p -- "$kx_x" "$kx_y"' || return 1
  [ -z "$kx_came" ] || kx_accounts || return 1
  kx_take
  kx_r=$?
  [ -z "$kx_came" ] || kx_restore || kx_r=1
  kx_each '[ -e "$kx_x" ] || { mkdir -p -- "${kx_x%/*}" && cp -p -- "$kx_y" "$kx_x"; }' || kx_r=1
  return $kx_r
}
# Where it is not known what came along.
kx_guess() {
  if [ "$kx_sweep" ]; then
    kx_one "$(kx_sim autoremove)"
    for kx_y in $(kx_sim --autoremove remove -- $real); do kx_has "$kx_y" "$kx_one$real" || real="$real $kx_y"; done
  fi
  for kx_y in $(kx_sim remove -- $asked); do kx_has "$kx_y" "$asked" || kx_along "$kx_y" || more="$more $kx_y"; done
}
"""
