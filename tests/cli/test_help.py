"""What the program says of itself."""

from __future__ import annotations

import shlex

import click
import pytest

import kxflow as kx
from kxflow.cli import cli
from tests.cli.program import call


def examples(text: str) -> list[str]:
    """The lines below `Examples:`."""
    _, _, rest = text.partition("Examples:\n")
    return [line.strip() for line in rest.split("\n\n")[0].splitlines() if line.strip()]


@pytest.mark.parametrize("command", ["", *cli.commands])
def test_help_has_examples_that_can_be_typed(command: str) -> None:
    """Every example names a command that is there, with options that it takes."""
    done = call(*filter(None, [command]), "--help")
    assert done.code == 0
    found = examples(done.out)
    assert found
    for line in found:
        program, name, *args = shlex.split(line.split(" | jq")[0])
        assert program == "kxflow"
        assert not command or name == command
        with cli.commands[name].make_context(name, args):  # raises a UsageError for what cannot be
            pass


def test_help_tells_every_option_in_words() -> None:
    """None is left without a sentence."""
    options = [each for command in cli.commands.values() for each in command.params if isinstance(each, click.Option)]
    assert options
    assert all(each.help for each in options)


def test_help_tells_the_exit_statuses() -> None:
    """All of them, on the first page."""
    words = " ".join(call("--help").out.split())
    for meaning in ("0 all well", "1 a step failed", "2 invalid", "3 hosts", "4 what became", "5 the log", "128+n"):
        assert meaning in words


def test_without_a_command_it_shows_its_help_and_exits_with_2() -> None:
    """Nothing was asked for, so nothing was run."""
    done = call()
    assert done.code == 2
    assert "kxflow demo" in done.out + done.err


def test_version_is_that_of_the_package() -> None:
    """One line."""
    assert call("--version").out == f"kxflow {kx.__version__}\n"
