"""What starts services on a host: systemd, OpenRC or SysV scripts, as shell words.

kx_there NAME           it knows such a service
kx_running NAME         sets is: yes, no, or what it is on the way to; dead, where it ended by itself
kx_enabled NAME WANTED  sets is: yes, no, or another word where it can be neither
kx_masked NAME          sets is: yes or no
kx_go ACTION NAME       start, stop, restart, reload, enable, disable, mask, unmask; ends with 1 where it cannot
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from kxflow.shell.preamble import dense

InitName: TypeAlias = Literal["systemd", "openrc", "sysv"]

_NO: Final = r"""kx_no() { printf '%s\n' "$1" >&2; exit 1; }
"""

# Everything that is asked comes with one call.
_SYSTEMD: Final = r"""
kx_show() {
  load= active= unit= stale=
  kx_x=$(LC_ALL=C systemctl show -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -- "$1") || exit 1
  while IFS='=' read -r kx_y kx_z; do
    case $kx_y in
      LoadState) load=$kx_z ;;
      ActiveState) active=$kx_z ;;
      UnitFileState) unit=$kx_z ;;
      NeedDaemonReload) stale=$kx_z ;;
    esac
  done <<kx_end
$kx_x
kx_end
}
kx_there() {
  kx_show "$1"
  [ "$load$active" != not-foundinactive ]
}
kx_running() {
  dead=
  case $active in
    active | reloading) is=yes ;;
    inactive) is=no ;;
    failed) is=no dead=1 ;;
    *) is=$active ;;
  esac
}
kx_enabled() {
  is=$unit
  [ "$is" != generated ] || is=$(LC_ALL=C systemctl is-enabled -- "$1" 2>/dev/null)
  case $is in
    enabled | alias) is=yes ;;
    disabled) is=no ;;
    enabled-runtime | linked*) ;;
    *) [ "$2" != no ] || is=no ;;
  esac
  is=${is:-unknown}
}
kx_masked() { case $unit in masked*) is=yes ;; *) is=no ;; esac; }
kx_go() {
  kx_x=$(LC_ALL=C systemctl --no-ask-password "$1" -- "$2" 2>&1) && return
  case $1 in *start | reload) LC_ALL=C systemctl --no-pager -n 20 status -- "$2" >&2 ;; esac
  kx_no "${kx_x%%
*}"
}
"""

# A daemon that a script starts may keep what it writes to: that is a file, not a pipe.
_SCRIPTS: Final = r"""
kx_there() { [ -x "/etc/init.d/$1" ]; }
kx_loud() {
  kx_x=$(mktemp) || kx_no 'no place for a temporary file'
  LC_ALL=C "$@" </dev/null >"$kx_x" 2>&1 && { rm -f -- "$kx_x"; return; }
  kx_r=$?
  cat "$kx_x" >&2
  rm -f -- "$kx_x"
  return $kx_r
}
kx_masked() { kx_no 'only systemd can mask a service'; }
kx_running() {
  kx_loud kx_script "$1" status 2>/dev/null
  kx_r=$? dead=
  case $kx_r in
    0) is=yes ;;
    1 | 2 | 32) is=no dead=1 ;;
    3) is=no ;;
    *) kx_no "whether $1 is running cannot be told: its status ends with $kx_r" ;;
  esac
}
kx_go() {
  kx_there "$2" || kx_no "there is no service $2: install what brings it in an earlier step"
  case $1 in
    enable) kx_enable "$2" ;;
    disable) kx_disable "$2" ;;
    *mask) kx_masked ;;
    *)
      kx_loud kx_script "$2" "$1" || kx_no "$2 cannot $1: exit status $?"
      case $1 in start) kx_soon "$2" yes ;; stop) kx_soon "$2" no ;; esac
      ;;
  esac
}
# A script may end before its daemon has begun, or ended.
kx_soon() {
  kx_k=0
  kx_running "$1"
  while [ "$is" != "$2" ] && [ $kx_k -lt 50 ]; do
    sleep 0.1 2>/dev/null || { sleep 1; kx_k=$((kx_k+9)); }
    kx_k=$((kx_k+1))
    kx_running "$1"
  done
}
"""

_OPENRC: Final = (
    _SCRIPTS
    + r"""
kx_script() { rc-service "$1" "$2"; }
kx_levels() {
  for kx_x in /etc/runlevels/*/"$1"; do
    kx_y=${kx_x%/*}
    [ ! -h "$kx_x" ] || echo "${kx_y##*/}"
  done
}
kx_enabled() { [ "$(kx_levels "$1")" ] && is=yes || is=no; }
kx_enable() { rc-update -q add "$1" default >&2 || kx_no "$1 cannot be enabled"; }
kx_disable() {
  for kx_x in $(kx_levels "$1"); do rc-update -q del "$1" "$kx_x" >&2 || kx_no "$1 cannot be disabled"; done
}
"""
)

_SYSV: Final = (
    _SCRIPTS
    + r"""
kx_script() {
  if command -v service >/dev/null 2>&1; then service "$1" "$2"; else "/etc/init.d/$1" "$2"; fi
}
kx_enabled() {
  is=no
  for kx_x in /etc/rc[2345].d/S[0-9][0-9]"$1"; do [ ! -h "$kx_x" ] || is=yes; done
}
kx_enable() {
  kx_loud update-rc.d "$1" defaults && kx_loud update-rc.d "$1" enable || kx_no "$1 cannot be enabled"
}
kx_disable() { kx_loud update-rc.d "$1" disable || kx_no "$1 cannot be disabled"; }
"""
)

_HERE: Final[Mapping[InitName, str]] = {
    "systemd": "[ -d /run/systemd/system ]",
    "openrc": "[ -e /run/openrc/softlevel ]",
    "sysv": "[ -d /etc/init.d ]",
}


def _dense(text: str) -> str:
    return f"{dense(text).decode()}\n"


_WORDS: Final[Mapping[InitName, str]] = {
    "systemd": _dense(_SYSTEMD),
    "openrc": _dense(_OPENRC),
    "sysv": _dense(_SYSV),
}

INITS: Final = tuple(_WORDS)


def words(init: InitName | None) -> str:
    """The words of what starts services, or of what does so on the host."""
    if init is not None:
        return _NO + _WORDS[init]
    branches = "el".join(f"if {_HERE[name]}; then\n{text}" for name, text in _WORDS.items())
    return f"{_NO}{branches}else kx_no 'nothing here that starts services: no {', '.join(INITS)}'; fi\n"
