"""The package's own source, read and never run: what tests of the house look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

import kxflow

ROOT = Path(kxflow.__file__).parent


def floor(name: str) -> str:
    """The first name below `kxflow`; empty for `kxflow` itself."""
    return ([*name.split("."), ""])[1]


@frozen
class Source:
    """One module.

    Attributes:
        name: Dotted, `kxflow.values.host`; a package by its own name.
        tree: Its syntax.
        package: It is a package's `__init__`.
    """

    name: str
    tree: ast.Module = field(repr=False)
    package: bool = False

    @property
    def floor(self) -> str:
        """The first name below `kxflow`; empty for `kxflow` itself."""
        return floor(self.name)


@frozen
class Import:
    """One import of a module of ours.

    Attributes:
        importer, imported: Dotted names of modules.
        line: Where it stands.
    """

    importer: str
    imported: str
    line: int


def source(name: str, text: str, *, package: bool = False) -> Source:
    """A module out of its text."""
    return Source(name, ast.parse(text), package)


def read(root: Path = ROOT) -> Mapping[str, Source]:
    """Every module below a package's folder, by name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        found[name] = source(name, path.read_text("utf-8"), package=package)
    return found


def imports(its: Source, known: Mapping[str, Source]) -> Iterator[Import]:
    """Every import of ours in a module: at its top, late ones in functions, those for types only, and names as text."""
    for node in ast.walk(its.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(its, node)
            targets = [name if (name := f"{base}.{alias.name}") in known else base for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != "kxflow":
            targets = [node.value] if node.value in known else []  # for importlib.import_module
        else:
            continue
        for target in targets:
            if target.split(".")[0] == "kxflow":
                yield Import(its.name, target, getattr(node, "lineno", 0))


def _base(its: Source, node: ast.ImportFrom) -> str:
    """What stands after `from`, dots resolved."""
    if not node.level:
        return node.module or ""
    parts = its.name.split(".")
    above = parts[: len(parts) - node.level + its.package]
    return ".".join([*above, node.module] if node.module else above)
