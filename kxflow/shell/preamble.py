"""The part of every program that is the same: POSIX `sh`, sent before the steps.

Three processes beside the steps: M, the shell that runs them in order; G, a guard that reads the lease (stdin, kept
as fd 3); T, a timer for a run of steps with one timeout. G and T end what is in M's session when they must, and say so.

Variables: `kx_n` nonce; `kx_h` why the program is over; `kx_q` group that is left out; `kx_stop`, `kx_tick` set by
signals; `kx_g`, `kx_t` pids of G and T; `kx_y` the timeout T watches; `kx_d` folder to come back to; `kx_r` the exit
status of what ran last.
"""

from __future__ import annotations

import re
from typing import Final

_TEXT: Final = r"""
CDPATH=
kx_nl='
'
kx_out= kx_h= kx_q= kx_stop= kx_tick= kx_g= kx_t= kx_y= kx_d=$PWD kx_up=
exec 3<&0 </dev/null

# Bytes as they are, and bytes from escapes, by builtins only: a command's arguments show to everyone, and are short.
# The Korn shells without a printf of their own (mksh, OpenBSD's sh) have print.
if PATH= command -v printf >/dev/null 2>&1; then
  kx_p() { printf %s "$1"; }
  kx_b() { printf %b "$1"; }
else
  kx_p() { print -nr -- "$1"; }
  kx_b() { print -n -- "$1"; }
fi
# A frame on both streams; and one that goes out with the next, in one write: each is a packet for sshd and the network.
kx_hold() { kx_out="$kx_out\0000$kx_n $*\0000"; }
kx_flush() { [ "$kx_out" ] && { kx_b "$kx_out"; kx_b "$kx_out" >&2; kx_out=; }; }
kx_w() { kx_hold "$@"; kx_flush; }
# An exit status; ksh93 says 256 and the number of the signal.
kx_e() { kx_r=$1; [ "$1" -lt 256 ] || kx_r=$(($1-128)); }
# Others tell M by a signal: to stop, or that time passes. ksh93 is different. A subshell is to be a process of its own;
# it forks only when it must, and a limit that is set again makes it. A signal before that breaks the subshell: the step
# would count as done, and never began. So there M looks for itself, whether who has something to tell has opened fd 7.
# And it would end itself with a child that SIGINT ends.
kx_fork() { :; }
kx_tell() { kill -s "$1" $$; }
kx_told() { return 1; }
case ${KSH_VERSION-} in
  *93*)
    kx_fork() { ulimit -S -t "$(ulimit -S -t)"; }
    trap : INT
    if [ -e /proc/$$/fd/0 ]; then
      kx_tell() { exec 7</dev/null; }
      kx_told() { [ "$1" ] && [ -e "/proc/$1/fd/7" ]; }
    fi
    ;;
esac

# Who am I (kx_me), and whose session is this (kx_s)? In a subshell only /proc/self knows, and asking it forks nothing.
kx_who() {
  kx_i=
  { while IFS= read -r kx_j; do kx_i="$kx_i$kx_j "; done </proc/self/stat; } 2>/dev/null
  if [ "$kx_i" ]; then
    kx_me=${kx_i%% *}
    set -- ${kx_i##*\) }
    kx_s=$4
  else
    kx_me=$(sh -c 'echo $PPID')
    kx_s=$(ps -o sess= -p $$ 2>/dev/null)
    kx_s=${kx_s##* }
  fi
}

# The last line of what /proc says of a process into kx_i, empty where it is gone: a name may hold a newline.
kx_look() {
  kx_i=
  { while IFS= read -r kx_j; do kx_i=$kx_j; done <"/proc/$1/stat"; } 2>/dev/null
}
# Whose sessions are to end (kx_ss): M's, and those that a step has begun and that descend from M still. A daemon does
# not: who started it has ended. A detached step, M's child that leads a session, outlives the lease and what is in it.
kx_ours() {
  kx_ss="|$kx_s|"
  kx_x=$$ kx_z=$1
  while [ "$kx_x" ]; do
    kx_j=$(grep -lE "[)] [^Z] ($kx_x) " /proc/[0-9]*/stat 2>/dev/null)
    kx_x=
    for kx_f in $kx_j; do
      kx_f=${kx_f#/proc/}
      kx_f=${kx_f%/stat}
      kx_look "$kx_f"
      set -- ${kx_i##*\) }
      [ "$4" ] || continue
      [ "$kx_z" = lease ] && [ "$2" = $$ ] && [ "$4" = "$kx_f" ] && continue
      case $kx_ss in *"|$4|"*) ;; *) kx_ss="$kx_ss$4|" ;; esac
      kx_x="$kx_x|$kx_f"
    done
    kx_x=${kx_x#?}
  done
}
# Live processes of these sessions into kx_l, without me and M. The leader is M, a login shell or an agent of sudo.
# grep finds the few that may be of them (a read of a shell costs a system call a byte); each is then looked at.
# Session 0 is that of strangers: seen from inside a container, of all who came in from outside.
kx_scan() {
  kx_l=
  [ "${kx_s:-0}" = 0 ] && return
  if [ -r /proc/self/stat ]; then
    kx_x=${kx_ss#?}
    kx_x="[)] [^Z] [0-9]+ [0-9]+ (${kx_x%?}) "
    if command -v grep >/dev/null 2>&1; then
      kx_x=$(grep -lE "$kx_x" /proc/[0-9]*/stat 2>/dev/null)
    else
      kx_x=$(echo /proc/[0-9]*/stat)
    fi
    for kx_f in $kx_x; do
      kx_f=${kx_f#/proc/}
      kx_lives "${kx_f%/stat}" && kx_add "${kx_f%/stat}"
    done
  else
    for kx_f in $(ps -A -o pid= -o sess= 2>/dev/null | while read -r kx_i kx_j; do
      [ "$kx_j" = "$kx_s" ] && echo "$kx_i"; done); do
      kx_add "$kx_f"
    done
  fi
}
# Is it of these sessions, and no zombie?
kx_lives() {
  kx_look "$1"
  [ "$kx_i" ] || return 1
  set -- ${kx_i##*\) }
  case $kx_ss in *"|$4|"*) [ "$1" != Z ] ;; *) return 1 ;; esac
}
# Which of kx_l are left? Cheaper than another scan, which decides at the end.
kx_left() {
  [ -r /proc/self/stat ] || { kx_scan; return; }
  kx_x=
  for kx_f in $kx_l; do kx_lives "$kx_f" && kx_x="$kx_x $kx_f"; done
  kx_l=$kx_x
}
kx_add() {
  [ "$1" = "$kx_me" ] && return
  [ "$1" = "$kx_s" ] && return
  [ "$1" = $$ ] && return
  kx_l="$kx_l $1"
}
kx_nap() { sleep 0.1 2>/dev/null || sleep 1; }

# End everything in the session: TERM, a second, KILL. Then say so, and whether it is so. M goes last, and begins
# nothing more (its trap for ALRM): sudo ends with it, and would not pass on what is said after that.
kx_reap() {
  trap '' TERM USR1 USR2 ALRM PIPE
  kx_out=
  kx_who
  kx_ours "$1"
  kill -s ALRM $$ 2>/dev/null
  kx_scan
  [ "$kx_l" ] && kill -s TERM $kx_l 2>/dev/null
  kx_k=0
  while [ "$kx_l" ] && [ $kx_k -lt 10 ]; do kx_nap; kx_left; kx_k=$((kx_k+1)); done
  kx_k=0
  kx_scan
  while [ "$kx_l" ] && [ $kx_k -lt 20 ]; do
    kill -s KILL $kx_l 2>/dev/null
    kx_nap
    kx_left
    [ "$kx_l" ] || kx_scan
    kx_k=$((kx_k+1))
  done
  [ "$kx_up" ] && rm -f -- "$kx_up"
  [ "$kx_l" ] || [ "${kx_s:-0}" = 0 ] && kx_w k "$1" 0 || kx_w k "$1" 1
  kx_nap
  kill -s KILL $$ 2>/dev/null
  exit 0
}

# G: the guard.
kx_guard() {
  {
    while IFS= read -r kx_i; do
      case $kx_i in
        stop) kx_tell USR1 ;;
        kill) kx_reap kill ;;
      esac
    done
    kx_reap lease
  } <&3 3<&- 7<&- &
  kx_g=$!
}

# T: the timer. It tells M after a tick, so that M can start a new one, and reaps when nobody did. Its sleep is ended
# by KILL: one that is only being started would miss a TERM. What T says of its sleep's end is no word of the step's.
kx_timer() {
  kx_y=$1 kx_tick=
  {
    kx_z= kx_x=
    trap 'kx_x=1; [ "$kx_z" ] && kill -s KILL "$kx_z" 2>/dev/null' TERM
    trap '' USR1 USR2
    for kx_i in $2 $3; do
      [ "$kx_x" ] && exit 0
      sleep "$kx_i" >/dev/null 2>&1 &
      kx_z=$!
      [ "$kx_x" ] && { kill -s KILL "$kx_z" 2>/dev/null; exit 0; }
      wait "$kx_z"
      [ "$kx_x" ] && exit 0
      kx_z=
      [ "$kx_i" = "$2" ] && kx_tell USR2
    done
    exec 2>&9 9>&-
    kx_reap timeout
  } </dev/null 3<&- 7<&- 9>&2 2>/dev/null &
  kx_t=$!
}
kx_quiet() {
  [ "$kx_t" ] && kill "$kx_t" 2>/dev/null
  kx_told "$kx_g" && kx_stop=1
  [ "$kx_g" ] && kill "$kx_g" 2>/dev/null
  kx_t= kx_g= kx_y=
}

# May an op begin, or the further part of a step, whose group is given? That is left out when a part before it failed,
# and is not stopped.
kx_may() {
  [ "$kx_h" ] && return 1
  if [ "$1" ]; then
    [ "$kx_q" != "$1" ]
  elif [ "$kx_stop" ] || kx_told "$kx_g"; then
    kx_h=stop
    return 1
  fi
}
# Begin the op (index, timeout, tick, rest, group of a further part), if it may. See that somebody watches the clock.
# Its frame waits for the next: what does not send one at once is to flush it.
kx_a() {
  kx_may "$5" || return 1
  [ "$kx_g" ] || kx_guard
  if [ "$kx_y" != "$2" ] || [ "$kx_tick" ] || kx_told "$kx_t"; then
    [ "$kx_t" ] && kill "$kx_t" 2>/dev/null
    kx_timer "$2" "$3" "$4"
  fi
  kx_hold b "$1"
}

# A failed op: leave out the rest of its group, or halt.
kx_f() { if [ "$2" ]; then kx_q=$1; else kx_h=halt; fi; }

# Nobody's business but M's: gone before a step begins. Its stderr is fd 9; that of M, meanwhile, is nothing: what M
# says of how a child of its ended (`Terminated`) is no word of the step's.
kx_in() { kx_fork; unset kx_n kx_pw kx_np; exec 2>&9 3<&- 9>&-; trap - USR1 USR2 ALRM INT; }
kx_back() { cd -- "$kx_d" 2>/dev/null || cd /; }

# Neighbouring ops of another user: one nested program. Its stdin is a pipe that this side feeds and keeps open.
# Where the other side does not end by itself when it is told to, this side ends what it can.
kx_relay() {
  kx_who
  kx_p "$kx_me$kx_nl"
  [ "$kx_need" ] && kx_p "$kx_pw$kx_nl"
  kx_p "$kx_np"
  [ "$kx_nu" ] && head -c "$kx_nu"
  [ "$kx_stop" ] && kx_p "stop$kx_nl"
  kx_z=lease
  while [ $kx_z = lease ] && IFS= read -r kx_i; do
    case $kx_i in
      stop) kx_tell USR1 ;;
      kill) kx_z=kill ;;
    esac
    kx_p "$kx_i$kx_nl"
  done
  exec >&4 4>&-
  sleep 3 >/dev/null 2>&1
  kx_reap $kx_z
}
kx_become() {
  kx_w s "$kx_ni"
  command -v "$kx_nm" >/dev/null 2>&1 || { kx_quiet; kx_w n "$kx_ni" 127; kx_h=halt; return; }
  kx_need=
  if [ "${kx_pw+x}" ]; then
    kx_asked || { kx_quiet; kx_w n "$kx_ni" 1; kx_h=halt; return; }
    [ "$kx_need" ] && kx_w y "$kx_ni" 1 || kx_w y "$kx_ni" 0
  fi
  kx_quiet
  kx_may "$kx_nq" || return
  {
    kx_relay <&3 3<&- 7<&- | (
      kx_fork
      exec 3<&- 4>&-
      IFS= read -r kx_i
      kx_run
      kx_e $?
      case $kx_r in 76 | 77) kx_told "$kx_i" && kx_r=$((kx_r-2)) ;; esac
      kill -s PIPE "$kx_i" 2>/dev/null
      exit $kx_r
    )
  } 4>&1
  kx_e $?
  case $kx_r in 74 | 75) kx_stop=1 kx_r=$((kx_r+2)) ;; esac
  case $kx_r in
    76) kx_q=$kx_ng ;;
    77) ;;
    78) kx_h=halt ;;
    79) kx_h=stop ;;
    *)
      kx_h=halt
      # A signal: the nested guard did it and is about to say so. It may be ending our children too: nap by nap.
      kx_k=0
      while [ $kx_r -gt 128 ] && [ $kx_k -lt 30 ]; do kx_nap; kx_k=$((kx_k+1)); done
      kx_w n "$kx_ni" $kx_r
      ;;
  esac
}
# Is the password asked for (kx_need), and is it the right one? The guard and a timer watch over that.
kx_asked() {
  if [ "$kx_nm" = su ] && [ "$(id -u)" = 0 ]; then return 0; fi
  if [ "$kx_ok" ]; then kx_need=1; return 0; fi
  [ "$kx_g" ] || kx_guard
  [ "$kx_t" ] && kill "$kx_t" 2>/dev/null
  kx_timer 30 1 30
  [ "$kx_nm" = su ] || { kx_try </dev/null >/dev/null 2>&1 && return 0; }
  kx_need=1
  kx_p "$kx_pw$kx_nl" | kx_run >/dev/null
}

kx_done() {
  kx_quiet
  kx_flush
  [ "$kx_c0" = 0 ] && kx_w d "${kx_h:-end}"
  [ "$kx_q" ] && [ "$kx_q" = "$kx_cq" ] && [ -z "$kx_h" ] && exit 76
  case $kx_h in
    halt) exit "$kx_c1" ;;
    stop) exit "$kx_c2" ;;
  esac
  exit "$kx_c0"
}
trap 'kx_stop=1' USR1
trap 'kx_tick=1' USR2
trap 'kx_flush; exec sleep 20' ALRM
kx_w u
"""


def dense(text: str) -> bytes:
    """Without comments, blank lines and indentation: fewer bytes on the wire."""
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line and not re.match(r"#", line)).encode()


PREAMBLE: Final = dense(_TEXT)
