"""Containers, by a stand-in for docker and podman that replies as podman 4.3 was seen to do.

The real podman is in `system/test_container_podman.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import container
from kxflow.testing.plugin import need_program
from tests.resources.helpers_services import before, cycle, done, ran, undone

TOOL = r"""#!/bin/sh
S=${0%/*}/../state
printf '%s\n' "$*" >>"$S/asked"
tr '\0' ' ' <"/proc/$$/cmdline" >>"$S/cmdlines"
[ ! -e "$S/down" ] || { echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1; }
know() { [ -e "$S/c/$1/config" ] || { echo "Error: no such container $1" >&2; exit 125; }; }
make() { # running, then the words of the command line
  on=$1 name= config= image= env=
  shift
  words=$*
  while [ $# -gt 0 ]; do
    case $1 in
      -d) ;;
      --name) name=$2; shift ;;
      --label) case $2 in kxflow.config=*) config=${2#*=} ;; kxflow.image=*) label=${2#*=} ;; esac; shift ;;
      --env-file) env=$(cat "$2"); shift ;;
      --restart | -p | -v) shift ;;
      -*) ;;
      *) image=$1; shift; break ;;
    esac
    shift
  done
  [ ! -e "$S/c/$name" ] || { echo "Error: the container name \"$name\" is already in use" >&2; exit 125; }
  mkdir -p "$S/c/$name"
  printf %s "$words" >"$S/c/$name/words"
  printf %s "$config" >"$S/c/$name/config"
  printf %s "$label" >"$S/c/$name/image"
  printf '%s' "$env" >"$S/c/$name/env"
  echo "$on" >"$S/c/$name/on"
  case $* in
    fails) echo false >"$S/c/$name/on"; echo 'Error: OCI runtime error' >&2; exit 126 ;;
    ends) echo false >"$S/c/$name/on" ;;
  esac
  echo 178a0a5827b6431cb8b8d33ce15c0da6
}
case $1 in
  ps) for x in "$S"/c/*/; do [ -d "$x" ] && basename "$x"; done; : ;;
  inspect)
    for name in "$@"; do :; done
    know "$name"
    echo "$(cat "$S/c/$name/on")/$(cat "$S/c/$name/config")/$(cat "$S/c/$name/image")"
    ;;
  image)
    [ ! -e "$S/i/$(echo "$3" | tr / _)" ] || exit 0
    echo '[]'
    echo "Error: inspecting object: $3: image not known" >&2
    exit 125
    ;;
  pull)
    case $3 in *nope*) echo "Error: initializing source docker://$3: manifest unknown" >&2; exit 125 ;; esac
    : >"$S/i/$(echo "$3" | tr / _)"
    ;;
  run) shift; make true "$@" ;;
  create) shift; make false "$@" ;;
  rename) know "$2"; mv "$S/c/$2" "$S/c/$3" ;;
  start) know "$2"; echo true >"$S/c/$2/on"; echo "$2" ;;
  stop) know "$2"; echo false >"$S/c/$2/on"; echo "$2" ;;
  rm) [ ! -e "$S/c/$3" ] || echo "$3"; rm -rf "$S/c/$3" ;;
  logs) echo 'the last words' ;;
esac
"""


TOOLS = ("sh", "dd", "cat", "grep", "tr", "mkdir", "mv", "rm", "basename", "head", "sed", "env", "id")


class Host:
    """A host with such a tool."""

    def __init__(self, folder: Path, tool: str = "docker") -> None:
        self.folder = folder
        for name in ("bin", "state/c", "state/i"):
            (folder / name).mkdir(parents=True)
        brief = f'#!/bin/sh\n[ "$*" = 1 ] || exec {need_program("sleep")} "$@"\n'  # a second is long for a test
        for name, text in ((tool, TOOL), ("sleep", brief)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        path = f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        if tool != "docker":  # one that is on this machine must not be taken
            for name in TOOLS:
                (folder / "bin" / name).symlink_to(need_program(name))
            path = f"{folder}/bin"
        self.cluster = kx.Cluster([kx.Host("here", connect=kx.Via("env", f"PATH={path}"))])

    def seen(self) -> dict[str, dict[str, str]]:
        """All containers."""
        return {
            each.name: {file.name: file.read_text().strip() for file in sorted(each.iterdir())}
            for each in sorted((self.folder / "state/c").iterdir())
        }

    def asked(self) -> list[str]:
        """What the tool was told since the last time, without the questions."""
        log = self.folder / "state/asked"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.split(" --label")[0] for line in lines if line.split()[0] not in ("ps", "inspect", "image")]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with docker."""
    return Host(tmp_path / "host")


def failure(result: kx.StepResult) -> str:
    """What a failed step says."""
    assert result.status is kx.Status.Failed
    assert result.error is not None
    return result.error.what


def test_a_container_comes_is_repaired_and_goes(host: Host) -> None:
    """Fresh, again, drifted, undone."""
    step = container("web", image="nginx:1.25", ports=["8080:80"], volumes=["/srv/data:/data:ro"], env={"TZ": "UTC"})
    first = cycle(
        host.cluster,
        step,
        drift=lambda: (host.folder / "state/c/web/on").write_text("false"),
        seen=host.seen,
    )
    assert first.change is not None
    assert "+image nginx:1.25" in first.change.diff
    assert "+running yes" in first.change.diff


def test_all_that_it_is_to_be_reaches_the_tool(host: Host) -> None:
    """As words, and variables on stdin."""
    step = container(
        "web",
        image="reg.example.org:5000/a/b@sha256:abc",
        command=["serve", "a b", "$(x)"],
        ports=[80, "127.0.0.1:53:53/udp"],
        volumes=["name:/data"],
        env={"B": " x ", "A": '"q"'},
        restart="on-failure:5",
        network="back",
        user="1000:1000",
        options=["--cap-add=NET_ADMIN"],
    )
    done(host.cluster, step)
    words = host.seen()["web"]["words"]
    assert "--restart on-failure:5 -p 80:80 -p 127.0.0.1:53:53/udp -v name:/data" in words
    assert "--network=back --user=1000:1000 --cap-add=NET_ADMIN" in words
    assert words.endswith("reg.example.org:5000/a/b@sha256:abc serve a b $(x)")
    assert host.seen()["web"]["env"] == 'A="q"\nB= x'


@pytest.mark.parametrize(
    "change",
    [
        {"image": "nginx:1.26"},
        {"command": "x"},
        {"ports": ["1:2"]},
        {"env": {"A": "2"}},
        {"env": {"A": kx.Secret("1-and-more")}},
        {"volumes": ["/a:/b"]},
        {"restart": "no"},
        {"network": "n"},
        {"user": "u"},
        {"options": ["--init"]},
    ],
    ids=str,
)
def test_it_is_made_anew_where_anything_of_it_is_another(host: Host, change: dict[str, Any]) -> None:
    """And only then."""
    options: dict[str, Any] = {"image": "nginx:1.25", "env": {"A": "1"}}
    done(host.cluster, container("web", **options))
    host.asked()
    assert ran(host.cluster, container("web", **{**options, "restart": "unless-stopped"})).status is kx.Status.Skipped
    assert ran(host.cluster, container("web", **{**options, **change})).status is kx.Status.Succeeded
    pulled = ["pull -q nginx:1.26"] if "image" in change else []
    assert host.asked() == [
        *pulled,
        "rename web web.kx-old",
        "stop web.kx-old",
        "run -d --name web",
        "rm -f web.kx-old",
    ]
    assert list(host.seen()) == ["web"]


@pytest.mark.parametrize("word", ["fails", "ends"])
def test_where_the_new_one_does_not_run_the_old_one_comes_back(host: Host, word: str) -> None:
    """Its words are told; with no old one nothing is left."""
    told = failure(ran(host.cluster, container("web", image="a:1", command=word)))
    assert "web cannot be made (exit status 1)" in told
    assert host.seen() == {}
    done(host.cluster, container("web", image="a:1"))
    there = host.seen()
    result = ran(host.cluster, container("web", image="a:1", command=word))
    assert "web cannot be made; the one before is back (exit status 1)" in failure(result)
    assert ("the last words" if word == "ends" else "OCI runtime error") in str(result.stderr)
    assert host.seen() == there


def test_an_image_that_cannot_be_had_leaves_the_old_one_alone(host: Host) -> None:
    """It is pulled first."""
    done(host.cluster, container("web", image="a:1"))
    host.asked()
    result = ran(host.cluster, container("web", image="nope:2"))
    assert "nope:2 cannot be pulled (exit status 1)" in failure(result)
    assert "manifest unknown" in str(result.stderr)
    assert host.asked() == ["pull -q nope:2"]


def test_a_run_that_died_on_its_way_is_taken_up(host: Host) -> None:
    """The old one stands aside, or beside a new one that nobody knows to be good."""
    done(host.cluster, container("web", image="a:1"))
    state = host.folder / "state/c"
    (state / "web").rename(state / "web.kx-old")
    assert failure(ran(host.cluster, container("web", image="a:1", command="fails")))
    assert [*host.seen()] == ["web"]
    (state / "web").rename(state / "web.kx-old")
    done(host.cluster, container("web", image="a:2"))
    assert [*host.seen()] == ["web"]


def test_it_is_only_made_or_stopped_where_it_is_not_to_run(host: Host) -> None:
    """Starting and stopping make no new one, and are taken back."""
    done(host.cluster, container("web", image="a:1", running=False))
    assert host.seen()["web"]["on"] == "false"
    assert ran(host.cluster, container("web", image="a:1", running=False)).status is kx.Status.Skipped
    host.asked()
    started = done(host.cluster, container("web", image="a:1"))
    assert host.asked() == ["start web"]
    assert undone(host.cluster, container("web", image="a:1"), before(started)).status is kx.Status.Succeeded
    assert host.asked() == ["stop web"]


def test_it_is_taken_away(host: Host) -> None:
    """Stopped first; what was removed cannot be brought back, and what was another neither."""
    done(host.cluster, container("web", image="a:1"))
    host.asked()
    gone = done(host.cluster, container("web", state="absent"))
    assert host.asked() == ["stop web", "rm -f web"]
    assert ran(host.cluster, container("web", state="absent")).status is kx.Status.Skipped
    from kxflow.flow.ensure import undo_of

    ctx = kx.context("here")
    assert undo_of(container("web", state="absent").action(ctx), before(gone)) is None
    done(host.cluster, container("web", image="a:1"))
    changed = done(host.cluster, container("web", image="a:2"))
    assert undo_of(container("web", image="a:2").action(ctx), before(changed)) is None


def test_secrets_are_on_no_command_line_and_in_no_record(host: Host) -> None:
    """They come on stdin."""
    secret = kx.Secret("hunter2-hunter2")
    result = ran(host.cluster, container("db", image="a:1", env={"PASSWORD": secret}))
    assert result.status is kx.Status.Succeeded
    assert result.change is None
    assert host.seen()["db"]["env"] == "PASSWORD=hunter2-hunter2"
    assert "hunter2" not in (host.folder / "state/cmdlines").read_text()
    assert "hunter2" not in (host.folder / "state/asked").read_text()
    assert "hunter2" not in json.dumps(str(result))
    assert ran(host.cluster, container("db", image="a:1", env={"PASSWORD": secret})).status is kx.Status.Skipped


def test_a_tool_that_does_not_answer_is_no_container_that_is_not_there(host: Host) -> None:
    """The state cannot be seen then."""
    (host.folder / "state/down").touch()
    for step in (container("web", image="a:1"), container("web", state="absent")):
        assert "Cannot connect to the Docker daemon" in failure(ran(host.cluster, step))


def test_podman_is_used_where_there_is_no_docker_and_neither_is_told(tmp_path: Path) -> None:
    """Or the one that was named."""
    host = Host(tmp_path / "p", "podman")
    done(host.cluster, container("web", image="a:1"))
    assert ran(host.cluster, container("web", image="a:1", tool="podman")).status is kx.Status.Skipped
    assert ran(host.cluster, container("web", image="a:1", tool="docker")).status is kx.Status.Failed
    (tmp_path / "p/bin/podman").unlink()
    assert "neither docker nor podman on this host" in failure(ran(host.cluster, container("web", image="a:1")))


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "zsh", "busybox"])
def test_every_shell_of_a_host_can_do_it(host: Host, shell: str) -> None:
    """The words are POSIX."""
    (host.folder / "bin/sh").symlink_to(need_program(shell))
    step = container("web", image="a:1", command=["a  b", "c'd"])
    first = done(host.cluster, step)
    assert ran(host.cluster, step).status is kx.Status.Skipped
    assert failure(ran(host.cluster, container("web", image="a:1", command="fails")))
    assert undone(host.cluster, step, before(first)).status.ok
    assert host.seen() == {}


def test_contradictions_are_refused_at_once() -> None:
    """Each says what to write."""
    cases: list[Callable[[], kx.Step[Any]]] = [
        *(
            (lambda name=name: container(name, image="a"))
            for name in ("", "-a", "a b", "a/b", "a\n", "$(x)", "é", "a;b")
        ),
        *(
            (lambda wrong=wrong: container("a", **{"image": "a", **wrong}))
            for wrong in (
                {"image": None},
                {"image": "-a"},
                {"image": "a b"},
                {"ports": "80:80"},
                {"ports": ["80 80"]},
                {"ports": ["-p"]},
                {"ports": [True]},
                {"volumes": ["/a"]},
                {"volumes": ["/a:b"]},
                {"restart": "sometimes"},
                {"options": ["x"]},
                {"options": [kx.Secret("x" * 8)]},
                {"command": [kx.Secret("x" * 8)]},
                {"command": ["a\0"]},
                {"env": {"A B": "x"}},
                {"env": {"A": "x\ny"}},
                {"env": {"A": kx.Secret("x\ny")}},
                {"env": {"A": 1}},
                {"tool": "lxc"},
                {"ports": ["99999:1"]},
                {"ports": ["1:65536/udp"]},
                {"ports": [0]},
                {"ports": ["127.0.0.1:8000-70000:80-90"]},
                {"state": "gone"},
                {"state": "absent"},
            )
        ),
        lambda: container("a", state="absent", ports=["80:80"]),
        lambda: container("a", state="absent", env={"A": "b"}),
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"container|NUL"):
            wrong()
