"""The public face: what it names is there, documented, and cannot be changed."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

import attrs
import pytest
from frozendict import frozendict

import kxflow as kx
import kxflow.testing
from kxflow import test
from kxflow.edge import RunOptions
from kxflow.flow.actions import Options
from kxflow.flow.inputs import Origin
from kxflow.flow.layout import lay_out
from kxflow.values.context import NoRunner
from kxflow.values.errors import Problem
from kxflow.values.result import Attempt
from kxflow.values.state import state

# Every name that a call of the design's table starts with, and what tests outside of the project use.
FIXED: Final = frozenset(
    """
    Action Cluster Fault Host HostContext Local Output Report Secret Ssh Status Step StepResult Via all_hosts arun both
    check cmd command console context fail fail_fast failed first from_all from_here from_one host keep_going
    max_failures module ndjson on_controller pipeline plan quorum report_of role rollback run shell skip step steps
    stream task tee test value waves where
    """.split()  # noqa: SIM905 -- read as a table
)
# Other interpreters of the same pipeline value. They come: then they leave this list and go into the one above.
LATER: Final = frozenset({"resume", "simulate"})

TRANSFORMS: Final = frozenset(
    """
    become detached ignore_errors ignore_unreachable on rescue retry sensitive timeout when
    """.split()  # noqa: SIM905 -- read as a table
)

FACES: Final = pytest.mark.parametrize("face", [kx, kxflow.testing], ids=["kxflow", "kxflow.testing"])


def exported(face: ModuleType) -> list[tuple[str, Any]]:
    """Every public name with what it stands for."""
    return [(name, getattr(face, name)) for name in face.__all__]


EVERYTHING: Final = [*exported(kx), *exported(kxflow.testing)]
CLASSES: Final = {name: each for name, each in EVERYTHING if isinstance(each, type)}
FUNCTIONS: Final = {name: each for name, each in EVERYTHING if isinstance(each, FunctionType)}
BY_CLASS: Final = pytest.mark.parametrize("its", CLASSES.values(), ids=CLASSES.keys())
BY_FUNCTION: Final = pytest.mark.parametrize("its", FUNCTIONS.values(), ids=FUNCTIONS.keys())


# Names


@FACES
def test_all_names_are_sorted_and_there(face: ModuleType) -> None:
    """`__all__` is sorted, names nothing twice, and everything in it loads."""
    assert list(face.__all__) == sorted(set(face.__all__))
    assert all(hasattr(face, name) for name in face.__all__)


@FACES
def test_all_names_what_is_there(face: ModuleType) -> None:
    """What an importer finds without a leading underscore is in `__all__`, or a module, or an annotation's word."""
    before = _fresh(f"import {face.__name__} as face; print(*vars(face))").split()
    loaded = {name for name in before if not name.startswith("_")}
    modules = {name for name in loaded if isinstance(getattr(face, name, None), ModuleType)}
    assert loaded - modules - set(face.__all__) <= {"Any", "Final", "TYPE_CHECKING", "annotations"}


@FACES
def test_dir_lists_what_loads_late(face: ModuleType) -> None:
    """Completion in a notebook finds every public name, before the first use too."""
    listed = _fresh(f"import {face.__name__} as face; print(*dir(face))").split()
    assert listed == sorted(listed)
    assert set(face.__all__) <= set(listed)


def _python(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60)


def _fresh(text: str) -> str:
    """What a new interpreter says."""
    done = _python(text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_costly() -> None:
    """SSH, the console's tables, the command line and YAML are loaded where they are used."""
    costly = {"asyncssh", "click", "cryptography", "rich", "yaml", "trio", "pytest", "hypothesis"}
    loaded = set(_fresh("import kxflow, kxflow.testing, sys; print(*sys.modules)").split())
    assert not costly & loaded
    assert "asyncssh" in _fresh("import kxflow.testing, sys; kxflow.testing.sshd_fleet; print(*sys.modules)").split()


def test_the_names_of_the_design_are_there() -> None:
    """What the design fixes is public; what it leaves for later is listed as such, until it comes."""
    assert set(kx.__all__) >= FIXED
    assert not LATER & set(kx.__all__)


def test_the_methods_of_the_design_are_there() -> None:
    """Transforms work on steps and on tasks; clusters load; pipelines narrow; reports have a neutral one."""
    for its in (kx.Step, kx.Task):
        assert set(dir(its)) >= TRANSFORMS
    assert callable(kx.Cluster.load)
    assert callable(kx.Pipeline.only)
    assert kx.Report.empty == kx.Report()


def test_the_options_of_the_design_are_there() -> None:
    """Actions and runs take what the design says they take."""
    of_actions = {"check", "undo", "value", "env", "cwd", "stdin", "become", "timeout", "ok_codes", "sensitive"}
    assert Options.__annotations__.keys() >= of_actions | {"capture", "idempotent"}
    for its in (kx.cmd, kx.shell, kx.command):
        assert "parse" in inspect.signature(its).parameters
    of_runs = {"sinks", "concurrency", "connects", "open_connections", "fuse", "verify"}
    assert RunOptions.__annotations__.keys() >= of_runs


def test_the_kinds_of_status_are_seven() -> None:
    """The sum is closed."""
    names = "Succeeded Skipped Failed Lost Unreachable Cancelled NotRun"
    assert [each.name for each in kx.Status] == names.split()


@FACES
def test_an_unknown_name_says_what_is_near(face: ModuleType) -> None:
    """A misspelt name is told, with the one that was meant."""
    name = face.__all__[-2]
    with pytest.raises(AttributeError) as raised:
        getattr(face, f"{name}x")
    assert f"module {face.__name__!r} has no attribute '{name}x'" in str(raised.value)
    said = _python(f"import {face.__name__} as face; face.{name}x").stderr
    assert f"Did you mean: '{name}'?" in said


@pytest.mark.parametrize(("name", "its"), EVERYTHING, ids=[name for name, _ in EVERYTHING])
def test_objects_keep_their_real_module(name: str, its: Any) -> None:
    """`SomeClass??` in a notebook finds the source: the module that an object names has it."""
    if isinstance(its, type | FunctionType):
        assert its.__module__.startswith("kxflow.")
        assert getattr(sys.modules[its.__module__], its.__qualname__) is its
        assert inspect.getsource(its)


def test_pytest_does_not_take_the_check_for_a_test(request: pytest.FixtureRequest) -> None:
    """`from kxflow import test` in a file of tests adds none."""
    assert test is kx.test  # imported above, as users do
    assert "test" not in [each.name for each in request.session.items if each.path == request.path]


# Docstrings


def doc(its: Any) -> str:
    """An object's own docstring, not one that it inherits."""
    return inspect.cleandoc(vars(its).get("__doc__") or "") if isinstance(its, type) else inspect.getdoc(its) or ""


def section(its: Any, name: str) -> str:
    """A section of a docstring; empty where there is none."""
    found = re.search(rf"^{name}:\n((?:[ ]+.*\n?|\n)+)", doc(its), re.MULTILINE)
    return "" if found is None else textwrap.dedent(found[1])


def entries(text: str) -> list[str]:
    """The names that a section explains: `a, b: …` explains two."""
    heads = re.findall(r"^(\w[\w, ]*):", text, re.MULTILINE)
    return [name.strip() for head in heads for name in head.split(",")]


@pytest.mark.parametrize("its", [*CLASSES.values(), *FUNCTIONS.values()], ids=[*CLASSES, *FUNCTIONS])
def test_everything_has_a_docstring(its: Any) -> None:
    """Its first line is a sentence."""
    first = doc(its).split("\n")[0]
    assert len(first) > 10
    assert first.endswith((".", "…"))


@BY_CLASS
def test_public_methods_have_docstrings(its: type) -> None:
    """So have methods and properties, own or inherited."""
    for name, each in inspect.getmembers(its):
        ours = callable(each) or isinstance(each, property)
        if ours and not name.startswith("_") and _is_ours(each):
            assert inspect.getdoc(each), f"{its.__name__}.{name}"


def _is_ours(each: Any) -> bool:
    function = each.fget if isinstance(each, property) else each
    return str(getattr(function, "__module__", "")).startswith("kxflow")


@BY_CLASS
def test_classes_document_their_fields(its: type) -> None:
    """Every public field stands under Attributes, and nothing else but properties does."""
    if not attrs.has(its):
        return
    fields = [each.name for each in attrs.fields(its) if not each.name.startswith("_")]
    told = entries(section(its, "Attributes"))
    assert [name for name in fields if name not in told] == []
    assert [name for name in told if name not in fields and not hasattr(its, name)] == []


@BY_FUNCTION
def test_functions_explain_their_parameters(its: Callable[..., Any]) -> None:
    """Every parameter is explained: by Args, which then names them all, or by a sentence that names it."""
    parameters = list(inspect.signature(its).parameters)
    told = entries(section(its, "Args"))
    if told:
        assert told == parameters
    else:
        assert [name for name in parameters if not re.search(rf"\b{name}\b", doc(its))] == []


def raised_in(function: Callable[..., Any]) -> Iterator[str]:
    """Names of the errors that a function's own lines raise."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            yield from [node.exc.func.id] if node.exc.func.id.endswith("Error") else []


def methods(its: type) -> Iterator[Callable[..., Any]]:
    """Public methods that a class itself defines."""
    for name, each in vars(its).items():
        function = each.__func__ if isinstance(each, staticmethod | classmethod) else each
        if isinstance(function, FunctionType) and not name.startswith("_"):
            yield function


@pytest.mark.parametrize("its", EVERYTHING, ids=[name for name, _ in EVERYTHING])
def test_what_is_raised_is_documented(its: tuple[str, Any]) -> None:
    """An error that a public function or method raises stands under its Raises."""
    functions = [its[1]] if isinstance(its[1], FunctionType) else methods(its[1]) if isinstance(its[1], type) else []
    for each in functions:
        told = section(each, "Raises")
        assert [name for name in raised_in(each) if name not in told] == [], each


STEP: Final = kx.command("s", "true")
TASK: Final = kx.task("t", STEP)
FLEET: Final = kx.Cluster([kx.Host("web1", roles={"web"})])
PIPELINE: Final = kx.pipeline("p", kx.module("m", TASK))

WRONG: Final[Mapping[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]] = {
    "host name": (kx.Host, ("-rf",), {}),
    "host address": (kx.Host, ("web1", "a b"), {}),
    "host role": (kx.Host, ("web1",), {"roles": {"a b"}}),
    "hosts twice": (kx.Cluster, ([kx.Host("a"), kx.Host("a")],), {}),
    "no host": (kx.Cluster, (["a"],), {}),
    "ssh port": (kx.Ssh, (), {"port": 0}),
    "ssh known hosts": (kx.Ssh, (), {"known_hosts": ()}),
    "ssh user": (kx.Ssh, (), {"user": "-o"}),
    "ssh time": (kx.Ssh, (), {"connect_timeout": 0}),
    "become method": (kx.Become, (), {"method": "runas"}),
    "via": (kx.Via, (), {}),
    "secret": (kx.Secret, (1,), {}),
    "cmd of nothing": (kx.cmd, (), {}),
    "cmd that wanted shell": (kx.cmd, ("ls -l",), {}),
    "cmd with a secret": (kx.cmd, ("login", kx.Secret("12345678")), {}),
    "cmd option": (kx.cmd, ("ls",), {"timeout": -1}),
    "cmd unknown option": (kx.cmd, ("ls",), {"tiemout": 1}),
    "shell of nothing": (kx.shell, (" ",), {}),
    "shell with a secret": (kx.shell, (f"login {kx.Secret('12345678')}",), {}),
    "test": (test, ("true",), {"undone": (0,)}),
    "on_controller": (kx.on_controller, (1,), {}),
    "both": (kx.both, (), {}),
    "command name": (kx.command, ("", "true"), {}),
    "steps": (kx.steps, (1,), {}),
    "step by place": (kx.step, (1,), {}),
    "input": (kx.from_one, ("token",), {}),
    "input here": (kx.from_here, ("token",), {}),
    "input task": (kx.from_here, (STEP,), {"in_task": "m"}),
    "inputs": (kx.from_all, (STEP,), {"missing": "maybe"}),
    "inputs of": (kx.from_all, ("token",), {}),
    "task name": (kx.task, ("a/b", STEP), {}),
    "task of no step": (kx.task, ("a", 1), {}),
    "task selector": (kx.task, ("a", STEP), {"on": "web"}),
    "task concurrency": (kx.task, ("a", STEP), {"concurrency": 0}),
    "module of no task": (kx.module, ("m", STEP), {}),
    "module waves": (kx.module, ("m", TASK), {"waves": 3}),
    "pipeline of no module": (kx.pipeline, ("p", TASK), {}),
    "pipeline policy": (kx.pipeline, ("p",), {"policy": kx.keep_going}),
    "selector": (kx.selector, ("role:",), {}),
    "failures": (kx.max_failures, ("101%",), {}),
    "quorum": (kx.quorum, (kx.all_hosts, -1), {}),
    "waves of nothing": (kx.waves, (), {}),
    "waves that fall": (kx.waves, (3, 2), {}),
    "run of no pipeline": (kx.run, (TASK, FLEET), {}),
    "run on no cluster": (kx.run, (PIPELINE, [kx.Host("a")]), {}),
    "run option": (kx.run, (PIPELINE, FLEET), {"concurrency": 0}),
    "run unknown option": (kx.run, (PIPELINE, FLEET), {"forks": 5}),
    "run with one sink": (kx.run, (PIPELINE, FLEET), {"sinks": kx.console()}),
    "run with no sink": (kx.run, (PIPELINE, FLEET), {"sinks": ["console"]}),
    "stream of no pipeline": (kx.stream, (TASK, FLEET), {}),
    "tee": (kx.tee, (1,), {}),
}


@pytest.mark.parametrize(("call", "args", "options"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_raises_at_the_call_and_says_what_to_do(
    call: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """An argument that cannot be meant is an InvalidError with a remedy, and the docstring says so."""
    with pytest.raises(kx.InvalidError) as raised:
        call(*args, **options)
    assert raised.value.what
    assert raised.value.remedy
    assert "InvalidError" in section(call, "Raises")


def test_errors_have_two_parents() -> None:
    """Every public error is ours and one of Python's, and can be pickled and shown."""
    errors = [each for each in CLASSES.values() if issubclass(each, Exception) and each is not kx.KxflowError]
    assert len(errors) >= 6
    for each in errors:
        assert issubclass(each, kx.KxflowError)
        assert any(base in (LookupError, OSError, TypeError, ValueError) for base in each.__mro__)


# Frozen

NOW: Final = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
RESULT: Final = kx.StepResult(
    run="r",
    pipeline="p",
    module="m",
    task="t",
    step="s",
    host="web1",
    status=kx.Status.Failed,
    error=kx.Fault("exit", "it ended with exit status 1"),
    value=frozendict({"ports": (80, 443)}),
    started_at=NOW,
    ended_at=NOW,
)
PLANNED: Final = kx.Planned(
    module="m", task="t", step="s", host="web1", position=kx.Position(), effect=kx.Effect.change
)
_ADDRESS: Final[dict[str, Any]] = {"module": "m", "task": "t", "step": "s", "host": "web1", "position": kx.Position()}


@kx.step(token=kx.from_one(STEP))
def join(ctx: kx.HostContext, token: kx.Output) -> kx.Action[kx.Output]:
    """A step with an input."""
    return kx.cmd("join", str(token))


VALUES: Final[Mapping[str, Any]] = {
    "Action": kx.both(
        kx.cmd("a", b"b", env={"T": kx.Secret("12345678")}, ok_codes=[0, 3], check=kx.test("true", undone=[1, 2])),
        kx.shell("true", stdin="x", become="root"),
        kx.value(frozendict({"a": 1})),
        kx.skip("done"),
        kx.fail("no"),
    ),
    "Become": kx.Become("root", password="open sesame"),
    "Cluster": kx.Cluster(
        [kx.Host("web1", vars={"ports": [80, {"tls": [443]}]}, roles=["web"])],
        vars={"names": ["a"], "sets": {1, 2}},
        role_vars={"web": {"paths": ["/srv"]}},
    ),
    "CompositionError": kx.CompositionError((Problem("p/m", "no host"),)),
    "Effect": kx.Effect.change,
    "Ensured": kx.Ensured(None, state({"mode": "644"})),
    "Fault": kx.Fault("exit", "it ended with exit status 1"),
    "Host": kx.Host("web1", roles={"web"}, vars={"ports": [80, 443], "nested": {"list": [[1]]}}),
    "HostContext": kx.context("web1", vars={"ports": [80]}),
    "InvalidError": kx.InvalidError("port 0", "give one from 1 to 65535"),
    "InventoryError": kx.InventoryError((Problem("hosts.toml:1", "no host"),)),
    "Local": kx.Local(become="root"),
    "MemoryConnector": kx.MemoryConnector(),
    "MergeError": kx.MergeError("p/m/t/s", "web1"),
    "Module": kx.module("m", TASK, before=[TASK], after=[TASK], waves=kx.waves(1, "50%")),
    "Output": kx.Output.of(b"hello"),
    "OutputChunk": kx.OutputChunk(**_ADDRESS, stream="stdout", data=b"x"),
    "Pipeline": kx.pipeline("p", kx.module("m", TASK), before=[TASK], policy=kx.max_failures("10%") & kx.fail_fast()),
    "Plan": kx.Plan("p", "f", "c", [PLANNED]),
    "PlanMovedError": kx.PlanMovedError(("the cluster is another",)),
    "Planned": PLANNED,
    "Position": kx.Position(1, 2, 3, 4),
    "ProblemsError": kx.ProblemsError((Problem("p/m", "no host"),)),
    "Reply": kx.Reply(stdout=b"hello"),
    "Report": kx.Report([RESULT], (kx.Fault("interrupted", "SIGTERM"),)),
    "Rollback": kx.rollback("host"),
    "RunBegan": kx.RunBegan(
        run="r", pipeline="p", at=NOW, fingerprint="f", hosts=("web1",), shape=lay_out(PIPELINE, FLEET).shape
    ),
    "RunEnded": kx.RunEnded(run="r", pipeline="p", at=NOW),
    "Secret": kx.Secret("open sesame"),
    "Ssh": kx.Ssh(key_files=["a", "b"], known_hosts=["c"], jump="ops@bastion", become="root", password="open sesame"),
    "Status": kx.Status.Failed,
    "Step": join.retry(3).when(lambda ctx: True).rescue(STEP).become("root").on(kx.host("web1")),
    "StepBegan": kx.StepBegan(run="r", pipeline="p", at=NOW, **_ADDRESS),
    "StepEnded": kx.StepEnded(RESULT),
    "StepLog": kx.StepLog.of("task", RESULT),
    "StepResult": RESULT,
    "StepRetried": kx.StepRetried(**_ADDRESS, attempt=Attempt(kx.Status.Failed, 1, NOW, NOW, 0.1), delay=1.0),
    "Tally": kx.Tally((kx.Host("web1"),)),
    "Task": kx.task("t", join, kx.steps(STEP), on=kx.role("web") & ~kx.host("db1") | kx.first(kx.all_hosts)),
    "TaskRecord": kx.TaskRecord(id="r", name="p", created_at=NOW),
    "TaskStatus": kx.TaskStatus.Running,
    "UnknownHostError": kx.UnknownHostError("web2", ("web1",)),
    "Verdict": kx.Verdict(stops=True),
    "Via": kx.Via("docker", "exec", "-i", "web1"),
}
# What is no value: a place to keep things, what has no fields of its own, and what is only a promise of methods.
NO_VALUES: Final = frozenset({"Connector", "Journal", "KxflowError", "MemoryStore", "Sink", "Store"})
BY_VALUE: Final = pytest.mark.parametrize("its", VALUES.values(), ids=VALUES.keys())


def test_every_public_class_has_an_example_here() -> None:
    """The tests below see them all."""
    names = {name for name in kx.__all__ if isinstance(getattr(kx, name), type)}
    assert names - NO_VALUES == VALUES.keys()
    assert all(isinstance(its, getattr(kx, name)) for name, its in VALUES.items())


@BY_VALUE
def test_no_attribute_of_a_value_can_be_set(its: Any) -> None:
    """Neither a field nor a new name: a value stays what it is."""
    fields = [each.name for each in attrs.fields(type(its))] if attrs.has(type(its)) else getattr(its, "_fields", ())
    for name in (*fields, *(name for name in dir(its) if not name.startswith("_"))):
        with pytest.raises((AttributeError, TypeError)):
            setattr(its, name, None)
        with pytest.raises((AttributeError, TypeError)):
            delattr(its, name)
    if not isinstance(its, Exception | Enum):
        with pytest.raises((AttributeError, TypeError)):
            its.something_new = 1


def changeable(value: Any, where: str) -> Iterator[str]:
    """Places inside of a value that could be changed: lists, dicts, sets, and objects that let themselves be set."""
    plain = (bool, int, float, str, bytes, dt.datetime, FunctionType, BuiltinFunctionType, type, kx.Secret, Enum)
    if value is None or isinstance(value, plain):
        return
    if isinstance(value, frozendict):
        for key, each in value.items():
            yield from changeable(each, f"{where}[{key!r}]")
    elif isinstance(value, tuple | frozenset):
        for place, each in enumerate(value):
            yield from changeable(each, f"{where}[{place}]")
    elif attrs.has(type(value)) and not hasattr(value, "__dict__"):
        for each in attrs.fields(type(value)):
            yield from changeable(getattr(value, each.name), f"{where}.{each.name}")
    elif not isinstance(value, NoRunner | Origin):
        yield f"{where}: {type(value).__name__}"


@BY_VALUE
def test_a_value_is_frozen_all_the_way_down(its: Any) -> None:
    """Whatever it was made from, inside there are tuples and frozen maps only, also in private fields."""
    fields = its.args if isinstance(its, Exception) else its
    assert list(changeable(fields, type(its).__name__)) == []


def test_what_can_be_changed_is_found() -> None:
    """The walk above sees a list wherever it hides."""
    hidden = kx.Reply(value=[1])  # type: ignore[arg-type]  # on purpose
    assert list(changeable(hidden, "Reply")) == ["Reply.value: list"]
    assert list(changeable(frozendict({"a": ({},)}), "v")) == ["v['a'][0]: dict"]


def test_what_is_given_can_be_changed_afterwards() -> None:
    """A value keeps a copy: the caller's own list stays the caller's."""
    ports = [80]
    roles = {"web"}
    host = kx.Host("web1", vars={"ports": ports}, roles=roles)
    ports.append(443)
    roles.add("db")
    assert host.vars["ports"] == (80,)
    assert host.roles == {"web"}


def test_values_from_all_hosts_come_as_a_frozen_map() -> None:
    """The mapping that a step is given cannot be changed by it, or it would be no pure function."""
    given: list[object] = []

    @kx.step(every=kx.from_all(STEP))
    def show(ctx: kx.HostContext, every: Mapping[str, kx.Output]) -> kx.Action[None]:
        given.append(every)
        return kx.value(None)

    tasks = kx.module("m", kx.task("make", STEP), kx.task("show", show))
    kx.run(kx.pipeline("p", tasks), FLEET, connector=kx.MemoryConnector())
    assert given
    assert all(isinstance(each, frozendict) for each in given)
