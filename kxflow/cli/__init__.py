"""The command line: only its door. What takes time to load is loaded inside of `main`, where Ctrl-C is expected."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kxflow.cli.commands import cli
    from kxflow.cli.status import exit_code

__all__ = ["cli", "exit_code", "main"]

_INTERRUPTED: Final = 130


def main() -> None:
    """The program `kxflow`."""
    try:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:  # closed by the caller: the next file opened would take its place
                setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 -- lives as long as the process
        from kxflow.cli.commands import cli

        cli(prog_name="kxflow")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name == "cli":
        from kxflow.cli.commands import cli

        return cli
    if name == "exit_code":
        from kxflow.cli.status import exit_code

        return exit_code
    raise AttributeError(f"module 'kxflow.cli' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
