"""Every notebook runs from a clean kernel, and is stored without what a run leaves in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER: Final = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS: Final = sorted(FOLDER.glob("*.ipynb"))
PLACES: Final = re.compile(r"/home/|/root|/tmp|/Users/|/work|C:\\")


def load(path: Path) -> Any:
    """A notebook, valid by its own schema."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types there
    nbformat.validate(notebook)
    return notebook


def outputs(cell: Any) -> str:
    """All that a cell shows: what it prints, and its value as HTML."""
    given = cell.get("outputs", ())
    return "\n".join(
        part for each in given for part in (each.get("text", ""), each.get("data", {}).get("text/html", ""))
    )


def test_there_is_a_first_notebook() -> None:
    """The README leads to it."""
    assert FOLDER / "01_first_pipeline.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda each: each.name)
def test_a_notebook_is_stored_without_outputs_and_places(path: Path) -> None:
    """What it shows is what it gives when it is run; a difference of two versions is one of their sources."""
    text = path.read_text("utf-8")
    assert not PLACES.search(text)
    for cell in load(path).cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.fixture(scope="module")
def executed() -> Any:
    """The first notebook, run from a clean kernel, in a folder of nobody."""
    notebook = load(FOLDER / "01_first_pipeline.ipynb")
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": os.sep}}).execute()
    return notebook


def cell_with(notebook: Any, words: str) -> str:
    """What the one cell with these words gave."""
    found = [each for each in notebook.cells if each.cell_type == "code" and words in each.source]
    assert len(found) == 1
    return outputs(found[0])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("stack = ExitStack()", ["<table>", "web1", "role", "port=8001"]),
        ("look = kx.pipeline", ["pipeline look", "space on all: disk"]),
        ("kx.run(look, fleet)", ["look succeeded: 3 Succeeded", "<td>web2</td>"]),
        ('report["space/disk", "web1"]', ["web1 look/all/space/disk: Succeeded", "<td>exit code</td><td>0</td>"]),
        ("result.status, result.exit_code", ["Status.Succeeded 0"]),
        ("for turn in", ["first Report(setup succeeded: 3 Succeeded)", "second Report(setup succeeded: 3 Skipped)"]),
        ("configure.action(", ["name=web9\nport=9000\n"]),
        ("deploy = kx.pipeline(", ["deploy succeeded: 5 Succeeded"]),
        ('deploy.only("web")', ["deploy/web/join/join: "]),
        ("update = kx.pipeline", ["update failed: 2 Succeeded, 1 Failed, 1 NotRun", "looking for room"]),
        ("fault = report.first_fault", ["exit", "looking for room", "blocked: update/web/release", "1 went wrong"]),
        ("careful = kx.task", ["True", "('release', 'Failed'), ('make room', 'Succeeded'), ('restart', 'Succeeded')"]),
        ("kx.ndjson(log)", ["deploy: succeeded: 5 skipped", "True"]),
        ("kx.MemoryConnector", ["update failed"]),
    ],
)
def test_the_first_notebook_shows_what_it_tells(executed: Any, words: str, shown: list[str]) -> None:
    """Each cell gives what the text around it says."""
    given = cell_with(executed, words)
    for each in shown:
        assert each in given


def test_the_first_notebook_shows_no_secret(executed: Any) -> None:
    """The token is 32 hexadecimal digits."""
    everything = "\n".join(outputs(each) for each in executed.cells)
    assert "deploy succeeded" in everything
    assert not re.search(r"\b[0-9a-f]{32}\b", everything)
