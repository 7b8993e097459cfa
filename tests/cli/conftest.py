"""The program in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kxflow.testing.plugin import embedded_fleet
from tests.cli.program import LOCAL, Program, environment

__all__ = ["embedded_fleet"]


@pytest.fixture
def kxflow(tmp_path: Path) -> Iterator[Program]:
    """The program in an empty folder; what is still running is ended with the test."""
    program = Program(tmp_path, environment())
    yield program
    program.close()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A folder with the inventory `hosts.toml` of three local hosts, as the working directory of this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a file that is run puts its folder there
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    program = Program(tmp_path, {})
    program.file("hosts.toml", LOCAL)
    return program
