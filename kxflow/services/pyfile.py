"""A pipeline, and maybe its cluster, out of a user's Python file."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeGuard, TypeVar

from attrs import frozen

from kxflow.flow.layers import Pipeline
from kxflow.values.cluster import Cluster
from kxflow.values.errors import KxflowError

T = TypeVar("T")

CLUSTERS: Final = ("cluster", "fleet", "inventory")
_MODULE: Final = "__kxflow_file__"
_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120 -- as tracebacks name it
_NOT_THEIRS: Final = (_OURS, "<frozen importlib", "<attrs generated")


@frozen
class UnusableFileError(KxflowError, ValueError):
    """A file that gives no pipeline: it cannot be read, it raises, or it is not clear which one is meant."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@frozen
class Source:
    """A file that was run, and the pipeline that is meant in it.

    Attributes:
        path: As it was given.
        module: What running it gave.
        pipeline: The one asked for.
    """

    path: Path
    module: ModuleType
    pipeline: Pipeline

    def cluster(self, inventory: str | None = None, overrides: Mapping[str, Any] | None = None) -> Cluster | None:
        """The hosts of an inventory, or the one `Cluster` named `cluster`, `fleet` or `inventory`; None without either.

        Raises:
            InventoryError: Everything that is wrong with the inventory.
            UnusableFileError: The file has several clusters that could be meant.
        """
        if inventory is not None:
            return Cluster.load(inventory, overrides=overrides)
        there = {name: each for name in CLUSTERS if isinstance(each := getattr(self.module, name, None), Cluster)}
        if len({id(each) for each in there.values()}) > 1:
            raise UnusableFileError(str(self.path), f"which cluster, {' or '.join(there)}? Name an inventory with -i")
        return next(iter(there.values())).override(overrides or {}) if there else None


def load(target: str) -> Source:
    """Run a file and find its pipeline.

    It is run as a module of its own: what stands under `if __name__ == "__main__"` is not done. Its folder is searched
    for modules first, as `python FILE` does.

    Args:
        target: `FILE`, where it has one pipeline, or `FILE:NAME`; NAME is a variable, or a function without arguments
            that gives one.

    Raises:
        UnusableFileError: It gives no pipeline.
    """
    path, name = _split(target)
    module = _run(path)
    return Source(path, module, _find(path, module, name))


def _split(target: str) -> tuple[Path, str]:
    text, colon, name = target.rpartition(":")
    whole = Path(target)
    return (Path(text), name) if colon and not whole.exists() else (whole, "")


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnusableFileError(
            str(path), "this is no file: name a Python file" if path.exists() else "there is no such file"
        )
    loader = SourceFileLoader(_MODULE, os.path.abspath(path))  # noqa: PTH100 -- links stay: neighbours are beside the link
    spec = spec_from_loader(_MODULE, loader)
    assert spec is not None  # noqa: S101 -- a loader was given
    module = sys.modules[_MODULE] = module_from_spec(spec)
    sys.path.insert(0, os.path.dirname(loader.path))  # noqa: PTH120 -- text for sys.path
    sys.dont_write_bytecode = True  # leave nothing beside the user's file
    _theirs(path, lambda: loader.exec_module(module))
    return module


def _find(path: Path, module: ModuleType, name: str) -> Pipeline:
    there = {key: each for key, each in vars(module).items() if isinstance(each, Pipeline)}
    listed = f"its pipelines: {', '.join(there) or 'none'}"
    if name:
        return _named(path, module, name, listed)
    if not there:
        raise UnusableFileError(str(path), 'it has no pipeline: give one a name, as in deploy = pipeline("deploy", …)')
    if len({id(each) for each in there.values()}) > 1:
        raise UnusableFileError(str(path), f"which pipeline? Write {path}:NAME; {listed}")
    return next(iter(there.values()))


def _named(path: Path, module: ModuleType, name: str, listed: str) -> Pipeline:
    found = getattr(module, name, None)
    if isinstance(found, Pipeline):
        return found
    if not _needs_nothing(found):
        what = f"{name!r} is no pipeline, and no function without arguments that gives one; {listed}"
        raise UnusableFileError(str(path), what)
    made = _theirs(path, found)
    if not isinstance(made, Pipeline):
        raise UnusableFileError(str(path), f"{name}() gave a {type(made).__name__}, and no pipeline; {listed}")
    return made


def _needs_nothing(found: Any) -> TypeGuard[Callable[[], Any]]:
    """It can be called, and without arguments."""
    if not callable(found) or isinstance(found, type):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def _theirs(path: Path, call: Callable[[], T]) -> T:
    """Call what the user wrote; what it raises is told with the places in their code, not in ours."""
    try:
        return call()
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- theirs: whatever it raises is told
        told = traceback.TracebackException.from_exception(error)
        _keep_theirs(told, os.path.abspath(path))  # noqa: PTH100 -- as the loader names it
        what = "it is no valid Python" if isinstance(error, SyntaxError) else "it raised"
        raise UnusableFileError(str(path), f"{what}\n{''.join(told.format()).rstrip()}") from None


def _keep_theirs(told: traceback.TracebackException | None, file: str) -> None:
    """Leave the frames of their code, also in the errors that this one came from, and in those of a group."""
    if told is None:
        return
    kept = [each for each in told.stack if each.filename == file or not each.filename.startswith(_NOT_THEIRS)]
    told.stack = traceback.StackSummary.from_list(kept)
    for each in (told.__cause__, told.__context__, *(told.exceptions or ())):
        _keep_theirs(each, file)
