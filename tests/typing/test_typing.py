"""What type checkers say of right and wrong uses.

A trailing comment says what is expected of its line: `# E: code` an error by mypy with that code, and one by pyright,
`# M: code` by mypy alone, `# P` by pyright alone. No other line may have an error.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import pytest

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
RIGHT: Final = sorted(HERE.glob("right_*.py"))
WRONG: Final = sorted(HERE.glob("wrong_*.py"))
MARK: Final = re.compile(r"#\s*(?:([EM]): ([\w, -]+)|(P))$")

Place: TypeAlias = tuple[str, int]


def marked(by: str) -> Mapping[Place, set[str]]:
    """Codes that are expected of a checker, by file and line."""
    found: dict[Place, set[str]] = {}
    for path in WRONG:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            mark = MARK.search(line)
            if mark is not None and (mark[1] == "E" or by == ("mypy" if mark[1] else "pyright")):
                found[path.name, number] = {code.strip() for code in (mark[2] or "").split(",")}
    return found


def mypy(paths: list[Path]) -> Mapping[Place, set[str]]:
    """Codes of errors that mypy finds, by file and line."""
    pytest.importorskip("mypy")
    words = ["--hide-error-context", "--no-pretty", "--no-color-output", "--no-error-summary", "--warn-unreachable"]
    done = _run("mypy", *words, *map(str, paths))
    found: dict[Place, set[str]] = {}
    for line in done.stdout.splitlines():
        if " note: " not in line:
            told = re.fullmatch(r".*?([^/\\]+\.py):(\d+): error: .*\[([\w-]+)\]", line)
            assert told is not None, done.stdout
            found.setdefault((told[1], int(told[2])), set()).add(told[3])
    assert done.returncode in (0, 1), done.stderr
    return found


def pyright(paths: list[Path]) -> Mapping[Place, str]:
    """What pyright says, by file and line, errors only."""
    pytest.importorskip("pyright")
    done = _run("pyright", "--outputjson", "--pythonpath", sys.executable, *map(str, paths))
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    told = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in told
        if each["severity"] == "error"
    }


def _run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", module, *words]
    quiet = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # of newer versions, which it would look up
    return subprocess.run(argv, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=300, check=False)


def test_mypy_passes_right_uses_and_finds_every_wrong_one() -> None:
    """Under the project's own strict settings; each wrong line with the code that it is marked with, no other line."""
    assert len(RIGHT) > 3
    assert mypy([*RIGHT, *WRONG]) == marked("mypy")


def test_pyright_passes_right_uses_and_finds_wrong_ones() -> None:
    """A second opinion: also where inputs stand as defaults, and where a step is asked for its truth."""
    found = pyright([*RIGHT, *WRONG])
    assert found.keys() == marked("pyright").keys(), found


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_right_uses_run(path: Path) -> None:
    """What the checkers pass, Python passes too."""
    importlib.import_module(f"tests.typing.{path.stem}")


def test_every_wrong_file_has_marks() -> None:
    """A mark that is misspelt would expect nothing."""
    for path in WRONG:
        text = path.read_text("utf-8")
        marks = [line for line in text.splitlines() if MARK.search(line)]
        assert len(marks) > 2
        assert len(marks) == len(re.findall(r"  # [A-Z]\b", text))
