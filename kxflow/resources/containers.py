"""Containers of docker or podman, made anew when what they are to be is another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from attrs import field, frozen
from frozendict import frozendict

from kxflow.flow.actions import shell
from kxflow.flow.ensure import ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.shell.preamble import dense
from kxflow.values.action import Command, clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import Ensured, State

ToolName: TypeAlias = Literal["docker", "podman"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,500}")
_PORT: Final = re.compile(r"[0-9A-Za-z.:\[\]-]*[0-9](/(tcp|udp|sctp))?")
_LAST_PORT: Final = 65535
_ENV: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_RESTART: Final = re.compile(r"no|always|unless-stopped|on-failure(:[0-9]{1,9})?")

_TOOL: Final = """
if command -v docker >/dev/null 2>&1; then tool=docker
elif command -v podman >/dev/null 2>&1; then tool=podman
else kx_no 'there is neither docker nor podman on this host: install one in an earlier step'; fi
"""
# Asking for one that is not there ends as asking a daemon that does not run: so its name is looked for among all.
_WORDS: Final = r"""
kx_there() {
  kx_x=$($tool ps -a --format '{{.Names}}' </dev/null) || exit 1
  printf '%s\n' "$kx_x" | grep -qFx -- "$1"
}
kx_state() {
  kx_x=$($tool inspect --type container -f \
    '{{.State.Running}}/{{index .Config.Labels "kxflow.config"}}/{{index .Config.Labels "kxflow.image"}}' "$1" \
    </dev/null) || exit 1
  running=no
  [ "${kx_x%%/*}" != true ] || running=yes
  kx_x=${kx_x#*/}
  config=${kx_x%%/*} image=${kx_x#*/}
}
"""
_DO: Final = r"""
kx_do() { $tool "$@" </dev/null >/dev/null; }
# The old one steps aside until the new one runs.
kx_new() {
  kx_do image inspect "$wanted_image" 2>/dev/null || kx_do pull -q "$wanted_image" ||
    kx_no "$wanted_image cannot be pulled"
  if kx_there "$name.kx-old"; then
    # a run died on its way
    if kx_there "$name"; then kx_do rm -f "$name.kx-old"; else kx_do rename "$name.kx-old" "$name"; fi || exit 1
  fi
  old=
  if kx_there "$name"; then
    kx_state "$name"
    old=$running
    kx_do rename "$name" "$name.kx-old" && kx_do stop "$name.kx-old" || exit 1
  fi
  kx_make >/dev/null && kx_stays || kx_restore
  [ -z "$old" ] || kx_do rm -f "$name.kx-old"
}
# One that ends at once does not run.
kx_stays() {
  [ "$wanted_running" = yes ] || return 0
  sleep 1
  kx_state "$name"
  [ "$running" = no ] || return 0
  $tool logs --tail 20 "$name" </dev/null >&2
  printf '%s ended at once\n' "$name" >&2
  return 1
}
kx_restore() {
  ! kx_there "$name" || kx_do rm -f "$name"
  [ -z "$old" ] || kx_do rename "$name.kx-old" "$name"
  [ "$old" != yes ] || kx_do start "$name"
  kx_no "$name cannot be made${old:+; the one before is back}"
}
if kx_there "$name" && { kx_state "$name"; [ "$config" = "$wanted_config" ]; }; then
  case $wanted_running in
    "$running") ;;
    yes) kx_do start "$name" || exit 1 ;;
    no) kx_do stop "$name" || exit 1 ;;
  esac
else
  kx_new
fi
"""


def _dense(text: str) -> str:
    return f"{dense(text).decode()}\n"


@frozen(kw_only=True)
class Container:
    """A container by its name, and all that decides whether it has to be made anew."""

    name: str
    tool: ToolName | None = None
    image: str = ""
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: frozendict[str, str | Secret] = field(factory=frozendict, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("container", self.name)

    @property
    def digest(self) -> str:
        """Of its configuration; the values of variables are part of it."""
        env = [(name, value.raw if isinstance(value, Secret) else value.encode()) for name, value in self.env.items()]
        told = repr((self.image, self.options, self.command, env))
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()

    def wanted(self, *, running: bool) -> dict[str, str]:
        """The state in which it is this one."""
        return {"image": self.image, "config": self.digest, "running": "yes" if running else "no"}

    @property
    def _tool(self) -> str:
        return f"tool={self.tool}\n" if self.tool is not None else _dense(_TOOL)

    def probe(self, wanted: State) -> str:
        """Image and configuration by its labels, and whether it runs."""
        name = sh(self.name)
        return (
            f"{self._tool}{_dense(_WORDS)}kx_there {name} || exit 0\nkx_state {name}\n"
            'kx_say image "$image"; kx_say config "$config"; kx_say running $running\n'
        )

    def apply(self, wanted: State) -> Command[Any]:
        """Started or stopped where only that is another, else made anew."""
        words = f"{self._tool}{_dense(_WORDS)}name={sh(self.name)}\n"
        if not wanted:
            return _command(f'{words}$tool stop "$name" >/dev/null && $tool rm -f "$name" >/dev/null\n')
        run = "run -d" if wanted["running"] == "yes" else "create"
        labels = f"--label kxflow.config={self.digest} --label kxflow.image={sh(self.image)}"
        words_of = " ".join(map(sh, (*self.options, self.image, *self.command)))
        make = f'kx_make() {{ $tool {run} --name "$name" {labels} --env-file /dev/stdin {words_of}; }}\n'
        given = "".join(f"wanted_{name}={sh(value)}\n" for name, value in wanted.items())
        secret = any(isinstance(value, Secret) for value in self.env.values())
        lines = b"".join(
            name.encode() + b"=" + (value.raw if isinstance(value, Secret) else value.encode()) + b"\n"
            for name, value in self.env.items()
        )
        stdin = Secret(lines) if secret else lines or None
        return _command(f"{words}{given}{make}{_dense(_DO)}", stdin=stdin, sensitive=secret)

    def back(self, before: State) -> Command[Ensured] | None:
        """Away again where there was none, started or stopped where it was this one; another cannot be made again."""
        if not before:
            return ensuring(self, None)
        if not self.image or before["config"] != self.digest:
            return None
        return ensuring(self, self.wanted(running=before["running"] == "yes"))


def _command(text: str, **options: Any) -> Command[Any]:
    return cast("Command[Any]", shell(text, **options))


def container(
    container_name: str,
    *,
    image: str | None = None,
    command: str | Iterable[str] = (),
    ports: Iterable[str | int] = (),
    env: Mapping[str, str | Secret] | None = None,
    volumes: Iterable[str] = (),
    restart: str = "unless-stopped",
    network: str | None = None,
    user: str | None = None,
    options: Iterable[str] = (),
    running: bool = True,
    tool: ToolName | None = None,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A container of docker or podman that is just this: where anything of it is another, it is made anew.

    >>> container("web", image="nginx:1.25", ports=["8080:80"], env={"TZ": "UTC"})
    Step('container web')

    What it was made of is kept as a digest in its label `kxflow.config`; a container of that name that somebody else
    made is replaced. The image is pulled where it is not there, and not looked at again: give it a tag that stays, or
    a digest. The old container is stopped and kept aside until the new one runs; where that fails, or ends within a
    second, the old one comes back. Variables travel on stdin, never in the list of processes; on the host,
    whoever may ask docker or podman can read them. Proved with podman; with docker by recorded replies.

    States: `present`, running or not; `absent`. Probe: `ps -a`, `inspect`. An undo removes what was not there, and
    starts or stops; a container that was another before, or was removed, cannot be brought back.

    Args:
        container_name: Its name.
        image: With tag or digest.
        command: Words; text is one word.
        ports: As `8080:80`, `127.0.0.1:53:53/udp`; a number is the same on both sides.
        env: Variables; values of one line. With a `Secret` among them, the record keeps no state.
        volumes: As `/srv/data:/data:ro` or `name:/data`.
        restart: `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:5`.
        network: Its name.
        user: Whom it runs as.
        options: More words for `docker run`, as `--cap-add=NET_ADMIN`.
        running: Or only made.
        tool: `docker` or `podman`; what the host has, where not given.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name, image or option that cannot be; no image; absent, and with what it is to be.
    """
    what = f"container {container_name!r}"
    if not isinstance(container_name, str) or not _NAME.fullmatch(container_name):
        raise InvalidError(f"{what} cannot be one", "use letters, digits and _.-")
    present = is_wanted(state, what)
    if tool not in (None, "docker", "podman"):
        raise InvalidError(f"{what}: tool={tool!r}", 'write "docker" or "podman"')
    argv = (command,) if isinstance(command, str) else tuple(command)
    variables = frozendict(sorted((env or {}).items()))
    given = _options(what, ports, volumes, restart, network, user, tuple(options))
    if not present:
        if image is not None or argv or variables or given != ("--restart", "unless-stopped"):
            raise InvalidError(f"{what}: absent, and with what it is to be", "give the name only")
        return ensure(Container(name=container_name, tool=tool), None, name=name)
    if image is None or not _IMAGE.fullmatch(image):
        raise InvalidError(f"{what}: image={image!r} cannot be one", "write it with its tag, as nginx:1.25")
    for word in argv:
        _text(what, "command", word)
    for variable, value in variables.items():
        _variable(what, variable, value)
    its = Container(name=container_name, tool=tool, image=image, options=given, command=argv, env=variables)
    return ensure(its, its.wanted(running=running), name=name)


def _options(
    what: str,
    ports: Iterable[str | int],
    volumes: Iterable[str],
    restart: str,
    network: str | None,
    user: str | None,
    more: tuple[str, ...],
) -> tuple[str, ...]:
    """Words of the command line, in a fixed order."""
    if isinstance(ports, str) or isinstance(volumes, str):
        raise InvalidError(f"{what}: ports and volumes are lists", 'write ["8080:80"]')
    if not isinstance(restart, str) or not _RESTART.fullmatch(restart):
        raise InvalidError(f"{what}: restart={restart!r}", "write no, always, unless-stopped or on-failure:5")
    words = ["--restart", restart]
    for port in ports:
        words += ["-p", _port(what, port)]
    for volume in volumes:
        if not re.search(r":/", _text(what, "volume", volume)) or "\n" in volume:
            raise InvalidError(f"{what}: volume {volume!r} cannot be one", 'write it as "/srv/data:/data"')
        words += ["-v", volume]
    for option, value in (("--network", network), ("--user", user)):
        if value is not None:
            words.append(f"{option}={_text(what, option[2:], value)}")
    for each in more:
        if not _text(what, "option", each).startswith("-"):
            raise InvalidError(f"{what}: option {each!r} is none", "write option and value as one word: --cpus=2")
        words.append(each)
    return tuple(words)


def _port(what: str, port: str | int) -> str:
    told = f"{port}:{port}" if isinstance(port, int) else port
    if isinstance(port, bool) or not isinstance(told, str) or not _PORT.fullmatch(told):
        raise InvalidError(f"{what}: port {port!r} cannot be one", 'write it as "8080:80"')
    if any(not 1 <= int(each) <= _LAST_PORT for each in _numbers(told)):
        raise InvalidError(f"{what}: port {port!r} cannot be one", f"a port is a number from 1 to {_LAST_PORT}")
    return told


def _numbers(port: str) -> list[str]:
    """Of the host, where it is given, and of the container: both may be ranges, and an address may stand before."""
    address, _, inside = port.partition("/")[0].rpartition(":")
    outside = address.rpartition(":")[2]
    return [each for part in (outside, inside) for each in part.split("-") if each.isdecimal()]


def _text(what: str, where: str, value: Any) -> str:
    if isinstance(value, Secret):
        raise InvalidError(f"{what}: {where} is a Secret", "it would show in the process list: pass it with env=")
    if not isinstance(value, str):
        raise InvalidError(f"{what}: {where} is a {type(value).__name__}", "give text")
    clean_text(value, f"{what}: {where}")
    return value


def _variable(what: str, name: str, value: str | Secret) -> None:
    if not isinstance(name, str) or not _ENV.fullmatch(name):
        raise InvalidError(f"{what}: variable {name!r} cannot be one", "use letters, digits and _")
    raw = value.raw if isinstance(value, Secret) else _text(what, name, value).encode("utf-8", "surrogateescape")
    if b"\n" in raw or b"\r" in raw or b"\0" in raw:
        raise InvalidError(f"{what}: variable {name} has several lines", "bring it as a file, by volumes=")
