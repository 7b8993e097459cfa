"""Habits of the house that no linter knows, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import pytest

from tests.sources import Source, read, source

Rule: TypeAlias = Callable[[Source], Iterator[tuple[int, str]]]

# What is meant: module, what a rule says of it, and why.
MEANT: Mapping[tuple[str, str], str] = {
    ("kxflow.services.pyfile", "exec_module"): "a user's pipeline file is a program: it is run to have its pipeline",
    ("kxflow.testing.demo", "read_text at import"): "a step is a value, and one holds the program that it brings",
    ("kxflow", "writes globals()"): "what loads late is kept where the next use finds it",
    ("kxflow.testing", "writes globals()"): "as in kxflow",
    ("kxflow.resources", "writes globals()"): "as in kxflow",
    ("kxflow.interpreters.run", "swallows in _main"): "a task of no group: what it raised is raised by whoever ends it",
    ("kxflow.interpreters.controller", "swallows in _awaited"): "only what the user's function brought upon itself",
}

_CONTAINERS: Final = frozenset({"Failure", "FutureResult", "IOFailure", "IOResult", "IOSuccess", "Result", "Success"})
_CODE: Final = frozenset({"cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "runpy", "shelve"})
_RUNNERS: Final = frozenset({"__import__", "eval", "exec", "exec_module", "execfile", "run_path"})
_SHELLS: Final = frozenset({"create_subprocess_shell", "getoutput", "getstatusoutput", "popen", "system"})
_FILES: Final = frozenset({"open", "fdopen", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "touch"})
_MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS: Final = frozenset({"Counter", "OrderedDict", "bytearray", "defaultdict", "deque", "dict", "list", "set"})
_WRITERS: Final = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove"}
    | {"reverse", "setdefault", "sort", "update"}
)
_STARTERS: Final = frozenset({"Popen", "call", "check_call", "check_output", "create_subprocess_exec", "run"})


def called(node: ast.AST) -> str:
    """The last name of what a call calls; empty for all else."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _imported(its: Source) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of every import."""
    for node in ast.walk(its.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def containers(its: Source) -> Iterator[tuple[int, str]]:
    """Only values/outcome.py names the containers."""
    if its.name == "kxflow.values.outcome":
        return
    for line, module, _ in _imported(its):
        if module.split(".")[0] == "returns":
            yield line, f"imports {module}"
    for node in ast.walk(its.tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in _CONTAINERS:
            yield node.lineno, f"names {name}"  # type: ignore[attr-defined]  # a Name or an Attribute, by the line above


def no_shell(its: Source) -> Iterator[tuple[int, str]]:
    """Processes on this machine start from argv lists."""
    for node in ast.walk(its.tree):
        if not isinstance(node, ast.Call):
            continue
        if called(node) in _SHELLS:
            yield node.lineno, called(node)
        for keyword in node.keywords:
            if keyword.arg == "shell" and getattr(keyword.value, "value", True) is not False:
                starts = called(node) in (
                    "Popen",
                    "run",
                    "call",
                    "check_call",
                    "check_output",
                    "create_subprocess_exec",
                )
                if starts or getattr(keyword.value, "value", None) is True:
                    yield node.lineno, "shell=True"


def no_code(its: Source) -> Iterator[tuple[int, str]]:
    """No data becomes code."""
    for line, module, name in _imported(its):
        if module.split(".")[0] in _CODE:
            yield line, f"imports {module}"
        if module == "yaml" and name in ("load", "load_all", "Loader", "FullLoader", "UnsafeLoader", "unsafe_load"):
            yield line, f"yaml.{name}"
    for node in ast.walk(its.tree):
        if called(node) in _RUNNERS:
            yield node.lineno, called(node)  # type: ignore[attr-defined]  # a Call
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("yaml.load", "yaml.load_all", "yaml.unsafe_load"):
            yield node.lineno, ast.unparse(node.func)


def no_print(its: Source) -> Iterator[tuple[int, str]]:
    """What is said goes through a sink or the command line's own output."""
    for node in ast.walk(its.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "print"


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that is evaluated when the module is loaded: function bodies are not, their defaults are."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            args = node.args
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            for part in (*args.defaults, *(each for each in args.kw_defaults if each), *decorators):
                yield part
                yield from _at_import(part)
        else:
            yield from _at_import(node)


def no_files_at_import(its: Source) -> Iterator[tuple[int, str]]:
    """Loading a module touches no file."""
    for node in _at_import(its.tree):
        if called(node) in _FILES:
            yield node.lineno, f"{called(node)} at import"  # type: ignore[attr-defined]  # a Call


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _changeable(value: ast.expr) -> bool:
    return isinstance(value, _MUTABLE) or (isinstance(value, ast.Call) and called(value) in _MAKERS)


def no_state(its: Source) -> Iterator[tuple[int, str]]:
    """No function writes what belongs to a module or a class."""
    names = {name for name, value in _assigned(its.tree.body) if _changeable(value)}
    for node in ast.walk(its.tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"
        if isinstance(node, ast.ClassDef):
            shared = [name for name, value in _assigned(node.body) if _changeable(value)]
            yield from ((node.lineno, f"{node.name}.{name} is shared") for name in shared)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (
                (line, f"writes {name}") for line, name in _written(node) if name in names or name == "globals()"
            )


def _written(function: ast.AST) -> Iterator[tuple[int, str]]:
    """What is written in place: items set or deleted, methods that change."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield node.lineno, ast.unparse(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITERS:
            yield node.lineno, ast.unparse(node.func.value)
        elif isinstance(node, ast.AugAssign):
            yield node.lineno, ast.unparse(node.target)


def no_swallowed_cancel(its: Source) -> Iterator[tuple[int, str]]:
    """Cancellation passes: what is caught around an `await` with everything else is raised again."""
    for function in ast.walk(its.tree):
        if isinstance(function, ast.AsyncFunctionDef):
            for node in _own(function):
                if isinstance(node, ast.Try | ast.TryStar) and any(map(_waits, node.body)):
                    swallowing = [each for each in node.handlers if _catches_all(each) and not _raises(each)]
                    yield from ((each.lineno, f"swallows in {function.name}") for each in swallowing)
                if isinstance(node, ast.With) and any(map(_waits, node.body)):
                    for item in node.items:
                        if called(item.context_expr) == "suppress" and _names_all(item.context_expr):
                            yield node.lineno, f"swallows in {function.name}"


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function, without those of functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own(node)


def _waits(node: ast.AST) -> bool:
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return isinstance(node, kinds) or any(isinstance(each, kinds) for each in _own(node))


def _names_all(node: ast.AST) -> bool:
    words = {"BaseException", "CancelledError", "Cancelled", "get_cancelled_exc_class"}
    names = (each.id if isinstance(each, ast.Name) else getattr(each, "attr", "") for each in ast.walk(node))
    return any(name in words for name in names)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or _names_all(handler.type)


def _raises(handler: ast.ExceptHandler) -> bool:
    """It ends by raising what it caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and (last.exc is None or getattr(last.exc, "id", None) == handler.name)


def trying(what: str, handler: str) -> str:
    """An async function that tries something."""
    return f"async def f():\n    try:\n        {what}\n    {handler}"


RULES: tuple[Rule, ...] = (
    containers,
    no_shell,
    no_code,
    no_print,
    no_files_at_import,
    no_state,
    no_swallowed_cancel,
)


@pytest.fixture(scope="module")
def found() -> Mapping[str, Source]:
    """Every module of the package."""
    return read()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_habit_is_kept(found: Mapping[str, Source], rule: Rule) -> None:
    """No module breaks the rule, but where it is meant and a reason is given."""
    broken = [
        f"{its.name}:{line} {what}" for its in found.values() for line, what in rule(its) if not _meant(its, what)
    ]
    assert broken == []


def _meant(its: Source, what: str) -> bool:
    return (its.name, what) in MEANT


def test_every_exception_is_needed(found: Mapping[str, Source]) -> None:
    """A reason whose case is gone goes too."""
    told = {(its.name, what) for its in found.values() for rule in RULES for _, what in rule(its)}
    assert MEANT.keys() <= told


@pytest.mark.parametrize(
    ("rule", "text", "what"),
    [
        (containers, "from returns.result import Success", "imports returns.result"),
        (containers, "import returns", "imports returns"),
        (containers, "def track():\n    return outcome.Failure(1)", "names Failure"),
        (no_shell, "subprocess.run('ls', shell=True)", "shell=True"),
        (no_shell, "subprocess.run('ls', shell=flag)", "shell=True"),
        (no_shell, "os.system('ls')", "system"),
        (no_shell, "await asyncio.create_subprocess_shell('ls')", "create_subprocess_shell"),
        (no_code, "import pickle", "imports pickle"),
        (no_code, "def late():\n    from marshal import loads", "imports marshal"),
        (no_code, "eval('1')", "eval"),
        (no_code, "exec('1')", "exec"),
        (no_code, "builtins.__import__('os')", "__import__"),
        (no_code, "loader.exec_module(module)", "exec_module"),
        (no_code, "yaml.load(text)", "yaml.load"),
        (no_code, "from yaml import unsafe_load", "yaml.unsafe_load"),
        (no_print, "def say():\n    print('hello')", "print"),
        (no_files_at_import, "text = open('a').read()", "open at import"),
        (no_files_at_import, "text = Path('a').read_text()", "read_text at import"),
        (no_files_at_import, "class A:\n    text = open('a').read()", "open at import"),
        (no_files_at_import, "def f(text=open('a')): ...", "open at import"),
        (no_state, "seen = []\ndef f():\n    seen.append(1)", "writes seen"),
        (no_state, "seen = {}\ndef f():\n    seen['a'] = 1", "writes seen"),
        (no_state, "seen: dict[str, int] = dict()\nasync def f():\n    del seen['a']", "writes seen"),
        (no_state, "seen = set()\ng = lambda: seen.add(1)", "writes seen"),
        (no_state, "seen = []\ndef f():\n    global seen\n    seen = [1]", "global seen"),
        (no_state, "def f():\n    globals()['a'] = 1", "writes globals()"),
        (no_state, "class A:\n    seen = []", "A.seen is shared"),
        (
            no_swallowed_cancel,
            "async def f():\n    try:\n        await g()\n    except BaseException:\n        h()",
            "f",
        ),
        (no_swallowed_cancel, trying("await g()", "except:\n        h()"), "f"),
        (
            no_swallowed_cancel,
            "async def f():\n    try:\n        async with g(): ...\n    except CancelledError: ...",
            "f",
        ),
        (no_swallowed_cancel, trying("await g()", "except (A, BaseException): ..."), "f"),
        (no_swallowed_cancel, "async def f():\n    with suppress(BaseException):\n        await g()", "f"),
    ],
)
def test_a_broken_habit_is_found(rule: Rule, text: str, what: str) -> None:
    """Each rule finds what it is there for, once."""
    made_up = source("kxflow.made_up", text)
    assert [told.removeprefix("swallows in ") for _, told in rule(made_up)] == [what]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (containers, "from kxflow.values.outcome import FutureStep, track"),
        (no_shell, "subprocess.run(['ls'])\nsubprocess.run(['ls'], shell=False)\nstart(1, shell='/bin/fish')"),
        (no_code, "yaml.safe_load(text)\nre.compile('a')\ncompile_program(ops)"),
        (no_print, "screen.print('hello')"),
        (no_files_at_import, "def f():\n    return open('a')\ng = lambda: open('a')"),
        (no_state, "names = ['a']\ndef f():\n    own = []\n    own.append(names[0])\n    return own"),
        (
            no_swallowed_cancel,
            "async def f():\n    try:\n        await g()\n    except BaseException:\n        h()\n        raise",
        ),
        (no_swallowed_cancel, trying("await g()", "except Exception:\n        h()")),
        (no_swallowed_cancel, trying("g()", "except BaseException:\n        h()")),
    ],
)
def test_a_kept_habit_passes(rule: Rule, text: str) -> None:
    """What is no breach is not taken for one."""
    assert list(rule(source("kxflow.made_up", text))) == []
