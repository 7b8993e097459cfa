"""Wait until a host is as far: a port, a file, a command, an answer over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from kxflow.flow.actions import positive_seconds, shell, test
from kxflow.flow.step import Step, check_name
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.shell.preamble import dense
from kxflow.values.action import clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.host import valid_name
from kxflow.values.output import Output

# What is asked is `kx_try`: 0 where it is so, 1 where it is not, and `last` says what was seen; 2: it cannot be asked.
_PORT: Final = r"""
kx_try() {
  [ -r /proc/net/tcp ] || { kx_remote 127.0.0.1; return; }
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " &&
    { last="port $port: somebody listens"; return; }
  last="port $port: nobody listens"
  return 1
}
"""
_REMOTE: Final = r"""
kx_remote() {
  if command -v curl >/dev/null 2>&1; then
    kx_x=$1
    case $1 in *:*) kx_x="[$1]" ;; esac
    case $(curl -s -m 2 -w '%{time_connect}' "telnet://$kx_x:$port" </dev/null 2>/dev/null) in
      *[1-9]*) kx_r=0 ;;
      *) kx_r=1 ;;
    esac
  elif command -v nc >/dev/null 2>&1 && ! nc -z 2>&1 | grep -q 'invalid option'; then
    nc -z -w 2 "$1" "$port" </dev/null >/dev/null 2>&1; kx_r=$?
  elif command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$port" 2>/dev/null; kx_r=$?
  else
    printf 'nothing here can ask another host: no curl, no nc -z, no bash\n' >&2
    exit 2
  fi
  [ $kx_r = 0 ] && { last="port $port of $1: it answers"; return; }
  last="port $port of $1: no answer"
  return 1
}
"""
_ELSEWHERE: Final = """kx_try() { kx_remote "$address"; }
"""
_FILE: Final = r"""
kx_try() {
  [ -e "$file" ] || [ -h "$file" ] && { last="$file is there"; return; }
  last="$file is not there"
  return 1
}
"""
_COMMAND: Final = r"""
kx_try() {
  last=$({ (eval "$text"; exit $?) </dev/null 2>&1; printf '\n%s' "$?"; } | tail -c 400)
  kx_r=${last##*
}
  last=$(printf '%s' "${last%
*}" | tail -n 1)
  last="exit status $kx_r${last:+: $last}"
  [ "$kx_r" = 0 ]
}
"""
_HTTP: Final = r"""
kx_try() {
  if command -v curl >/dev/null 2>&1; then
    last=$(curl -sS $insecure -o /dev/null -m 10 -w '\nHTTP/ %{http_code}\n' -- "$url" 2>&1 </dev/null)
  elif command -v wget >/dev/null 2>&1; then
    last=$(wget -S -q ${insecure:+--no-check-certificate} -O /dev/null -- "$url" 2>&1 </dev/null)
  else
    printf 'nothing here can ask over HTTP: no curl, no wget\n' >&2
    exit 2
  fi
  kx_r=$(printf '%s\n' "$last" | sed -n 's/^.*HTTP\/[0-9.]* \([1-9][0-9][0-9]\).*/\1/p' | head -n 1)
  case $kx_r in
    '') last="$url: no answer: $(printf '%s\n' "$last" | sed -n '/^[^H ]/{p;q;}')"; return 1 ;;
  esac
  last="$url: $kx_r"
  case " $status " in *" $kx_r "*) ;; *) return 1 ;; esac
}
"""
_LOOP: Final = r"""
kx_now() {
  kx_s=
  { read -r kx_s kx_x </proc/uptime; } 2>/dev/null
  kx_s=${kx_s%%.*}
  kx_s=${kx_s:-$(date +%s)}
}
kx_now
kx_end=$((kx_s+limit))
until kx_so; do
  kx_now
  [ "$kx_s" -lt $kx_end ] || { printf '%s, after %s s\n' "$last" "$limit" >&2; exit 1; }
  sleep $pause 2>/dev/null || sleep 1
done
"""


def _dense(text: str) -> str:
    return f"{dense(text).decode()}\n"


@frozen
class _Question:
    """What is asked.

    Attributes:
        name: For people.
        text: Shell text that defines `kx_try`.
    """

    name: str
    text: str


def wait_for(
    *,
    port: int | None = None,
    address: str | None = None,
    file: PathLike | None = None,
    command: str | None = None,
    http: str | None = None,
    status: int | Iterable[int] = 200,
    insecure: bool = False,
    gone: bool = False,
    timeout: float = 300,
    interval: float = 1,
    name: str | None = None,
) -> Step[Output]:
    """Wait, on the host, until something is so: Skipped where it is already, Failed with what was last seen.

    >>> wait_for(http="http://localhost:8080/health", status=(200, 204))
    Step('wait for http://localhost:8080/health')
    >>> wait_for(port=22, gone=True)
    Step('wait for no port 22')

    It changes nothing, and says so; a plan asks once and does not wait. The host needs `sh` and, for a port of its own,
    `/proc/net/tcp` only; for one elsewhere one of `curl`, `nc -z` and `bash`; for HTTP `curl` or `wget`, redirections
    are not followed.

    Args:
        port: TCP port on which somebody listens; on the host itself, where no address is given.
        address: Whose port; a name or an address, as seen from the host.
        file: Something at this absolute path, a dangling link too.
        command: Shell text that ends with 0.
        http: URL that answers with a status.
        status: One, or several of which one is enough.
        insecure: Take any certificate.
        gone: Wait until it is not so.
        timeout: Seconds, at least; what is asked last may take longer.
        interval: Seconds between two questions.
        name: Of the step.

    Raises:
        InvalidError: Not just one thing to wait for; a port, address, path, URL, status or time that cannot be.
    """
    given = [each is not None for each in (port, file, command, http)]
    if sum(given) != 1:
        raise InvalidError("wait_for without one thing to wait for", "give one of port=, file=, command=, http=")
    if address is not None and port is None:
        raise InvalidError(f"wait_for: address={address!r} without a port", "give port=")
    if port is not None:
        question = _port(port, address)
    elif file is not None:
        where = remote_path(file)
        question = _Question(where, f"file={sh(where)}\n{_dense(_FILE)}")
    elif command is not None:
        clean_text(command, "wait_for: command")
        if not command.strip():
            raise InvalidError("wait_for: command is empty", "give shell text")
        question = _Question(f"`{command.strip()}`", f"text={sh(command)}\n{_dense(_COMMAND)}")
    else:
        question = _http(http or "", status, insecure)
    limit = int(-(-(positive_seconds(timeout, "wait_for: timeout") or 0) // 1))
    pause = positive_seconds(interval, "wait_for: interval")
    so = "! kx_try" if gone else "kx_try"
    define = f"{question.text}kx_so() {{ {so}; }}\n"
    action = shell(
        f"limit={limit} pause={pause:g}\n{define}{_dense(_LOOP)}",
        check=test(f"{define}kx_so || exit 1"),
        readonly=True,
        idempotent=True,
        timeout=limit + 60,
    )
    shown = f"wait for {'no ' if gone else ''}{question.name}"
    plain = shown if shown.isprintable() else ascii(shown)[1:-1]
    return Step(name=check_name(plain[:200] if name is None else name, "step", slash=True), build=action)


def _port(port: int, address: str | None) -> _Question:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise InvalidError(f"wait_for: port={port!r}", "give a whole number from 1 to 65535")
    if address is None:
        return _Question(f"port {port}", f"port={port} hex={port:04X}\n{_dense(_REMOTE)}{_dense(_PORT)}")
    if not valid_name(address):
        raise InvalidError(f"wait_for: address={address!r}", "give a name or an address")
    return _Question(f"port {port} of {address}", f"port={port} address={sh(address)}\n{_dense(_REMOTE)}{_ELSEWHERE}")


def _http(url: str, status: int | Iterable[int], insecure: bool) -> _Question:
    if not re.fullmatch(r"https?://[!-~]+", url) or "@" in url.split("/")[2]:
        raise InvalidError(f"wait_for: http={url!r}", "give an URL without blanks and without a password in it")
    codes = (status,) if isinstance(status, int) else tuple(status)
    if not codes or not all(isinstance(each, int) and 100 <= each <= 599 for each in codes):
        raise InvalidError(f"wait_for: status={status!r}", "give one or several from 100 to 599")
    told = " ".join(map(str, codes))
    given = f"url={sh(url)} status={sh(told)} insecure={'-k' if insecure else ''}\n"
    return _Question(url, given + _dense(_HTTP))
