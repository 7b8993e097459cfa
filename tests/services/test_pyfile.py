"""A user's file: what is found in it, and how its mistakes are told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import pytest

import kxflow as kx
from kxflow.services import pyfile
from kxflow.services.pyfile import UnusableFileError

PIPELINE: Final = """
import kxflow as kx
p = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))
"""


@pytest.fixture(autouse=True)
def _python_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is run puts its folder on the path; not for other tests."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def written(tmp_path: Path, text: str, name: str = "deploy.py") -> str:
    """A file with this in it."""
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return str(path)


def refusal(target: str) -> str:
    """How a target is refused."""
    with pytest.raises(UnusableFileError) as caught:
        pyfile.load(target)
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_the_one_pipeline_of_a_file_is_meant(tmp_path: Path) -> None:
    """Also where it has two names."""
    assert pyfile.load(written(tmp_path, PIPELINE + "same = p\n")).pipeline.name == "p"


def test_a_colon_in_the_name_of_a_file_is_no_problem(tmp_path: Path) -> None:
    """The whole is looked for first."""
    target = written(tmp_path, PIPELINE, "a:b.py")
    assert pyfile.load(target).pipeline.name == "p"
    assert pyfile.load(f"{target}:p").pipeline.name == "p"


def test_it_is_run_as_a_module_of_its_own(tmp_path: Path) -> None:
    """What is for `python FILE` only is not done, neighbours can be imported, classes find their module."""
    written(tmp_path, "NAME = 'from the neighbour'\n", "neighbour_of_deploy.py")
    text = f"""
from __future__ import annotations
import dataclasses
import neighbour_of_deploy

@dataclasses.dataclass
class Settings:
    name: str = neighbour_of_deploy.NAME

{PIPELINE}
p = kx.pipeline(Settings().name)
if __name__ == "__main__":
    raise SystemExit("not asked for")
"""
    assert pyfile.load(written(tmp_path, text)).pipeline.name == "from the neighbour"


def test_neighbours_are_those_beside_a_link(tmp_path: Path) -> None:
    """A file that is linked into a folder belongs to that folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").mkdir()
    written(tmp_path / "linked", "NAME = 'beside the link'\n", "neighbour_of_link.py")
    text = PIPELINE + "import neighbour_of_link\np = kx.pipeline(neighbour_of_link.NAME)\n"
    (tmp_path / "linked" / "deploy.py").symlink_to(written(tmp_path / "real", text))
    assert pyfile.load(str(tmp_path / "linked" / "deploy.py")).pipeline.name == "beside the link"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """No compiled files."""
    written(tmp_path, "X = 1\n", "compiled_neighbour.py")
    pyfile.load(written(tmp_path, PIPELINE + "import compiled_neighbour\n"))
    assert sorted(os.listdir(tmp_path)) == ["compiled_neighbour.py", "deploy.py"]  # noqa: PTH208 -- names are enough


def test_a_function_gives_a_fresh_pipeline(tmp_path: Path) -> None:
    """It is called once, for the name that is asked for."""
    text = PIPELINE + "del p\ndef made(name='made'):\n    return kx.pipeline(name)\n"
    assert pyfile.load(written(tmp_path, text) + ":made").pipeline.name == "made"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n1 / 0\n", ["it raised\nTraceback", "line 2, in <module>", "1 / 0", "ZeroDivisionError: division"]),
        ("def f(:\n", ["it is no valid Python\n", "line 1", "def f(:", "SyntaxError: invalid syntax"]),
        ("if True:\nx = 1\n", ["it is no valid Python\n", "line 2", "IndentationError"]),
        ("import no_such_package\n", ["it raised", "line 1", "ModuleNotFoundError: No module named 'no_such_package'"]),
        ("raise SystemExit(3)\n", ["it raised", "line 1", "SystemExit: 3"]),
        ("import kxflow as kx\nkx.command('x', '')\n", ["it raised", "line 2", "kx.command('x', '')"]),
        ("import kxflow as kx\nkx.Host('')\n", ["it raised", "line 2", "kx.Host('')"]),
        ("import kxflow as kx\nkx.Ssh(port='x')\n", ["it raised", "line 2", "kx.Ssh(port='x')"]),
    ],
)  # fmt: skip
def test_what_it_raises_is_told_with_the_places_in_it_and_none_of_ours(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    """A user looks for the line in their file, and finds it."""
    target = written(tmp_path, text)
    told = refusal(target)
    assert told.startswith(f"{target}: ")
    for each in words:
        assert each in told
    files = [line.strip() for line in told.splitlines() if line.strip().startswith("File ")]
    assert files
    assert all(target in each for each in files)


def test_frames_of_ours_are_left_out_of_causes_contexts_and_groups_too(tmp_path: Path) -> None:
    """Wherever an error came from; frames of other packages stay."""
    text = """
import json
import kxflow as kx

def host():
    return kx.Host("")

def first():
    try:
        host()
    except ValueError as error:
        raise RuntimeError("second") from error

def second():
    try:
        first()
    except RuntimeError as error:
        raise ExceptionGroup("third", [error])

try:
    second()
except ExceptionGroup:
    json.loads("{")
"""
    told = refusal(written(tmp_path, text))
    files = {line.split('"')[1] for line in told.splitlines() if "File " in line}
    assert {Path(each).parent.name for each in files} == {tmp_path.name, "json"}
    for each in (
        "RuntimeError: second",
        "third (1 sub-exception)",
        "JSONDecodeError",
        "in host",
        "in first",
        "in second",
    ):
        assert each in told


# Clusters


def test_an_inventory_goes_before_the_cluster_of_the_file(tmp_path: Path) -> None:
    """And settings go over both."""
    source = pyfile.load(written(tmp_path, PIPELINE + "fleet = kx.Cluster([kx.Host('own')])\n"))
    inventory = written(tmp_path, '[hosts]\nlisted = "10.0.0.1"\n', "hosts.toml")
    own, listed = source.cluster(None, {"a": 1}), source.cluster(inventory, {"a": 2})
    assert own is not None
    assert listed is not None
    assert dict(own.vars_of(own["own"])) == {"a": 1}
    assert dict(listed.vars_of(listed["listed"])) == {"a": 2}


@pytest.mark.parametrize("name", ["cluster", "fleet", "inventory"])
def test_the_cluster_of_a_file_has_one_of_three_names(tmp_path: Path, name: str) -> None:
    """Under another name it is somebody's own business."""
    source = pyfile.load(written(tmp_path, PIPELINE + f"{name} = kx.Cluster([kx.Host('own')])\n"))
    found = source.cluster()
    assert found is not None
    assert found.names == ("own",)
    assert pyfile.load(written(tmp_path, PIPELINE + "hosts = kx.Cluster([kx.Host('own')])\n")).cluster() is None


def test_two_names_of_one_cluster_are_one(tmp_path: Path) -> None:
    """As with pipelines; two clusters are not guessed between."""
    same = pyfile.load(written(tmp_path, PIPELINE + "cluster = fleet = kx.Cluster([kx.Host('own')])\n")).cluster()
    assert same == kx.Cluster([kx.Host("own")])
    two = pyfile.load(written(tmp_path, PIPELINE + "cluster, fleet = kx.Cluster(), kx.Cluster([kx.Host('own')])\n"))
    with pytest.raises(UnusableFileError, match="which cluster, cluster or fleet"):
        two.cluster()
