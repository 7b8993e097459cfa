"""Imports point one way: the table of floors, read from the source."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.sources import ROOT, Import, Source, floor, imports, read, source

_LOW = ("values", "shell", "journal", "flow", "resources", "interpreters", "connectors", "sinks")
# What each floor may import from; edge, services and cli stand on one floor and use those named before them.
FLOORS: Mapping[str, tuple[str, ...]] = {
    "values": (),
    "shell": ("values",),
    "journal": ("values",),
    "flow": ("values",),
    "resources": ("values", "shell", "flow"),
    "interpreters": ("values", "shell", "journal", "flow", "resources"),
    "connectors": ("values", "shell", "journal", "interpreters.ports"),
    "sinks": ("values", "shell", "journal", "interpreters.ports"),
    "edge": _LOW,
    "services": (*_LOW, "edge"),
    "cli": (*_LOW, "edge", "services"),
}
ABOVE_ALL = "testing"
# The package itself is a face: it shows what all floors but these two have, and these two use it as users do.
OUTSIDE = ("cli", ABOVE_ALL)

# Steps upwards that are meant.
UPWARDS: Mapping[tuple[str, str], str] = {
    ("kxflow.cli.runs", "kxflow.testing.demo"): "`kxflow demo` runs on a fleet in this process, which is a testing one",
    (
        "kxflow.cli.plans",
        "kxflow.testing.rehearsal",
    ): "`kxflow rehearse` runs on clones of this machine, which is one too",
    ("kxflow.cli.plans", "kxflow.testing.missing"): "and says what clones need",
}
# Imports that close a circle, all late or for types only.
CIRCLES: Mapping[tuple[str, str], str] = {
    ("kxflow.flow.step", "kxflow.flow.perform"): "a step is called with a context; how it is performed needs steps",
    ("kxflow.flow.inputs", "kxflow.flow.step"): "a step holds inputs, and an input is made from a step, typed by it",
    ("kxflow.values.cluster", "kxflow.values.inventory"): "`Cluster.load` is the name; an inventory gives a cluster",
}

# Floors that are data and functions of data: they take no part in what goes on outside.
PURE = ("values", "shell", "journal", "flow", "resources")
WORLD = frozenset(
    {"anyio", "asyncio", "asyncssh", "click", "multiprocessing", "rich", "socket", "ssl", "subprocess", "threading"}
)


def upwards(each: Import) -> str:
    """What is wrong with an import; empty where it points downwards."""
    importer = floor(each.importer)
    imported = each.imported.removeprefix("kxflow").removeprefix(".")
    if importer == ABOVE_ALL or imported.split(".")[0] == importer:
        return ""
    if (each.importer, each.imported) in UPWARDS:
        return ""
    if importer == "":
        allowed: tuple[str, ...] = tuple(FLOORS.keys() - set(OUTSIDE))
    elif importer not in FLOORS:
        return f"{each.importer} stands on no floor: {', '.join(FLOORS)}"
    else:
        allowed = FLOORS[importer]
    face = imported == "" and importer in OUTSIDE
    if face or any(imported == name or imported.startswith(f"{name}.") for name in allowed):
        return ""
    return (
        f"{each.importer}:{each.line} imports {each.imported}: {importer or 'kxflow'} may import {', '.join(allowed)}"
    )


def steps_upwards(those: Iterable[Source], found: Mapping[str, Source]) -> list[str]:
    """Every import in some modules that points upwards."""
    every = [each for its in those for each in imports(its, found)]
    return [wrong for each in every if (wrong := upwards(each))]


def circle(found: Mapping[str, Source], allowed: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Modules that import each other in a circle, one such; empty where there is none."""
    left_out = set(allowed)
    graph: dict[str, set[str]] = {name: set() for name in found}
    for its in found.values():
        pairs = {(each.importer, each.imported) for each in imports(its, found)}
        graph[its.name] |= {imported for _, imported in pairs - left_out if imported != its.name}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def outside_modules(its: Source) -> Iterator[str]:
    """Top names of every module of others that a module imports, also late."""
    for node in ast.walk(its.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Source]:
    """Every module of the package."""
    return read()


def test_every_import_points_downwards(found: Mapping[str, Source]) -> None:
    """No module imports from a floor above it, neither at its top nor late nor for types."""
    assert len(found) > 100
    assert steps_upwards(found.values(), found) == []


def test_no_modules_import_each_other_in_a_circle(found: Mapping[str, Source]) -> None:
    """Late imports count; the few that are meant have a reason."""
    assert circle(found, CIRCLES) == []


def test_every_exception_is_needed(found: Mapping[str, Source]) -> None:
    """An exception whose import is gone goes too, and one that closes no circle is none."""
    pairs = {(each.importer, each.imported) for its in found.values() for each in imports(its, found)}
    assert UPWARDS.keys() | CIRCLES.keys() <= pairs
    for each in CIRCLES:
        assert circle(found, CIRCLES.keys() - {each}) != [], each


def test_imports_that_close_a_circle_are_late(found: Mapping[str, Source]) -> None:
    """The exceptions stand in functions or under TYPE_CHECKING: loading a module never meets a half-loaded one."""
    for importer, imported in CIRCLES:
        top = Source(importer, ast.Module([node for node in found[importer].tree.body if _loads(node)], []))
        assert imported not in {each.imported for each in imports(top, found)}, importer


def _loads(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def test_pure_floors_import_nothing_of_the_world(found: Mapping[str, Source]) -> None:
    """Values, the wire, the record format and pipelines know no sockets, processes, threads or event loops."""
    wrong = {
        its.name: sorted(WORLD.intersection(outside_modules(its)))
        for its in found.values()
        if its.floor in PURE and WORLD.intersection(outside_modules(its))
    }
    assert wrong == {}


def test_the_package_has_no_other_folders() -> None:
    """The folders below kxflow/ are the floors, and each is a package."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= (FLOORS.keys() - {"edge"}) | {ABOVE_ALL}
    assert all((ROOT / name / "__init__.py").is_file() for name in folders)
    assert {path.name for path in ROOT.iterdir() if path.is_file()} == {"__init__.py", "edge.py", "py.typed"}


def test_the_house_has_no_other_folders() -> None:
    """Nothing stands beside package, tests, benchmarks and notebooks; tests mirror the package."""
    house = Path(__file__).parent.parent
    passing = {"build", "dist", "__pycache__"}
    folders = {path.name for path in house.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert {name for name in folders - passing if not name.endswith(".egg-info")} <= {
        "kxflow",
        "tests",
        "benchmarks",
        "notebooks",
    }
    mirrored = {path.name for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert mirrored <= FLOORS.keys() | {ABOVE_ALL, "typing"}


WRONG = {
    "at the top": "from kxflow.flow.step import Step",
    "of a module": "from kxflow.flow import step",
    "plain": "import kxflow.edge",
    "late": "def load():\n    from kxflow.sinks.console import console",
    "in a method": "class A:\n    def load(self):\n        import kxflow.interpreters.run",
    "for types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kxflow.shell.program import Op",
    "relative": "from ..flow.step import Step",
    "relative to a package": "from .. import edge",
    "as text": "import importlib\nimportlib.import_module('kxflow.edge')",
    "of the face": "import kxflow as kx",
    "of the face, by name": "from kxflow import Host",
    "of a testing module": "from kxflow.testing import embedded",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_an_import_upwards_is_found(found: Mapping[str, Source], text: str) -> None:
    """Each form of import is read: a value that imports from above is a mistake."""
    made_up = source("kxflow.values.made_up", text)
    wrong = steps_upwards([made_up], found)
    assert len(wrong) == 1
    assert wrong[0].startswith("kxflow.values.made_up:")


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("kxflow.sinks.made_up", "from kxflow.interpreters.ports import Sink", True),
        ("kxflow.sinks.made_up", "from kxflow.interpreters import ports", True),
        ("kxflow.sinks.made_up", "from kxflow.interpreters.engine import Engine", False),
        ("kxflow.sinks.made_up", "from kxflow.connectors.memory import MemoryConnector", False),
        ("kxflow.shell.made_up", "from kxflow.flow.step import Step", False),
        ("kxflow.journal.made_up", "from kxflow.values.host import Host", True),
        ("kxflow.interpreters.made_up", "from kxflow.journal.fold import Log", True),
        ("kxflow.interpreters.made_up", "from kxflow.connectors.memory import MemoryConnector", False),
        ("kxflow.edge", "from kxflow.sinks.console import console", True),
        ("kxflow.edge", "from kxflow.testing.demo import first_release", False),
        ("kxflow.cli.runs", "from kxflow.testing.demo import first_release", True),
        ("kxflow.cli.runs", "from kxflow.testing.embedded import embedded_fleet", False),
        ("kxflow.cli", "import kxflow", True),
        ("kxflow.testing.made_up", "import kxflow.cli", True),
        ("kxflow.plugins.made_up", "from kxflow.values.host import Host", False),
    ],
)
def test_the_table_is_kept_row_by_row(found: Mapping[str, Source], name: str, text: str, right: bool) -> None:
    """What a row allows passes, what it does not allow is found; a folder that no row names is none."""
    assert (steps_upwards([source(name, text)], found) == []) is right


def test_a_circle_is_found() -> None:
    """Two modules that import each other are found, also where one does so late."""
    one = source("kxflow.values.one", "from kxflow.values.other import b")
    other = source("kxflow.values.other", "def late():\n    from kxflow.values.one import a")
    assert set(circle({one.name: one, other.name: other})) == {one.name, other.name}
    assert circle({one.name: one, other.name: source(other.name, "")}) == []
