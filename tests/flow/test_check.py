"""Every composition error, each found before any host is touched, all of them at once."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import kxflow as kx
from kxflow.flow.check import checked
from kxflow.values.errors import Problem
from tests.flow.drawn import step_of

FLEET = kx.Cluster(
    [
        kx.Host("db1", roles={"db"}),
        kx.Host("db2", roles={"db"}),
        kx.Host("web1", roles={"web"}),
        kx.Host("web2", roles={"web"}),
    ]
)
A, B = kx.command("a", "true"), kx.command("b", "true")
COUNT = kx.command("count", "nproc", parse=int)
LEAD = kx.host("db1")


def takes(wanted: Any, name: str = "use") -> kx.Step[Any]:
    """A step that takes an input named `value`."""
    return step_of(lambda ctx, value: kx.cmd("use"), name, value=wanted)


def one_module(*tasks: kx.Task, **options: Any) -> kx.Pipeline:
    """A pipeline of one module."""
    return kx.pipeline("p", kx.module("m", *tasks, **options))


def lines(pipeline: kx.Pipeline, cluster: kx.Cluster = FLEET) -> list[str]:
    """Every problem in words."""
    return [str(each) for each in kx.check(pipeline, cluster)]


def only_problem(pipeline: kx.Pipeline, cluster: kx.Cluster = FLEET) -> Problem:
    """The one problem that there is."""
    problems = kx.check(pipeline, cluster)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_pipeline_that_fits_has_no_problem() -> None:
    """Values from here, from one, from all, conditions with inputs, rescue, hooks."""
    lead = kx.command("lead", "hostname", parse=str)
    after = kx.task("clean", A.when(kx.failed), takes(kx.from_all(COUNT, missing="omit")))
    use = takes(kx.from_one(lead)).when(lambda ctx, n: n > 1, n=kx.from_here(COUNT)).rescue(B)
    first, second = kx.task("count", COUNT), kx.task("lead", lead, on=LEAD)
    assert kx.check(kx.pipeline("p", kx.module("m", first, second, kx.task("use", use), after=after)), FLEET) == []


# Paths


def test_two_steps_with_one_path_are_told() -> None:
    """Wherever they stand in their task, however they came there."""
    found = only_problem(one_module(kx.task("t", A, kx.steps(B, A.timeout(5)))))
    assert found == Problem("p/m/t/a", "2 steps have this path", 'give each its own name: step.named("…")')


def test_a_rescue_step_has_a_path_too() -> None:
    """Also one of a rescue step."""
    assert lines(one_module(kx.task("t", A.rescue(B), B))) == [
        'p/m/t/b: 2 steps have this path (give each its own name: step.named("…"))'
    ]
    assert only_problem(one_module(kx.task("t", A.rescue(B.rescue(A))))).where == "p/m/t/a"


def test_two_tasks_with_one_path_are_told() -> None:
    """In a module and among its hooks; a task and a hook of one name are two paths."""
    task = kx.task("t", A)
    assert only_problem(one_module(task, task)) == Problem("p/m/t", "2 tasks have this path", "give each its own name")
    assert only_problem(one_module(before=[task, task])).where == "p/m/@before/t"
    assert only_problem(one_module(after=[task, task])).where == "p/m/@after/t"
    assert only_problem(kx.pipeline("p", before=[task, task])).where == "p/@before/t"
    assert only_problem(kx.pipeline("p", after=[task, task])).where == "p/@after/t"
    assert lines(one_module(task, before=task, after=task)) == []


def test_two_modules_with_one_path_are_told() -> None:
    """Also where one of them is not to run."""
    pipeline = kx.pipeline("p", kx.module("m"), kx.module("m", when=False), kx.module("m"))
    assert only_problem(pipeline) == Problem("p/m", "3 modules have this path", "give each its own name")


# Inputs


def test_an_input_whose_step_comes_later_is_told() -> None:
    """In the same task or in a later one; itself is not earlier."""
    task = kx.task("t", takes(kx.from_here(COUNT)), COUNT)
    assert only_problem(one_module(task)) == Problem(
        "p/m/t/use",
        "input 'value' needs step 'count', which comes later, at p/m/t/count",
        "move it before this one",
    )
    assert (
        "comes later, at p/m/u/count"
        in lines(one_module(kx.task("t", takes(kx.from_all(COUNT))), kx.task("u", COUNT)))[0]
    )


def test_a_step_is_not_earlier_than_itself() -> None:
    """A condition that asks for the value of its own step comes too early."""
    step = COUNT.when(lambda ctx, n: n > 1, n=kx.from_here(COUNT))
    assert "input 'n' needs step 'count', which comes later" in only_problem(one_module(kx.task("t", step))).what


def test_an_input_whose_step_stands_nowhere_is_told() -> None:
    """The step was made and never put into a task."""
    assert only_problem(one_module(kx.task("t", takes(kx.from_here(COUNT))))) == Problem(
        "p/m/t/use",
        "input 'value' needs step 'count', which stands nowhere in this pipeline",
        "put it into an earlier task",
    )


def test_an_input_whose_step_stands_in_a_module_that_is_off_is_told_so() -> None:
    """It is there to be seen, so the message says why it does not count."""
    off = kx.module("facts", kx.task("t", COUNT), when=lambda cluster: False)
    pipeline = kx.pipeline("p", off, kx.module("m", kx.task("t", takes(kx.from_here(COUNT)))))
    assert "that is to run: `when` of module 'facts' is false" in only_problem(pipeline).what


def test_an_input_whose_step_stands_in_several_places_is_told() -> None:
    """Transforms keep the origin: both places are the step that was meant."""
    tasks = [kx.task("t", COUNT), kx.task("u", COUNT.timeout(5)), kx.task("v", takes(kx.from_here(COUNT)))]
    assert only_problem(one_module(*tasks)) == Problem(
        "p/m/v/use",
        "input 'value' needs step 'count', which stands at p/m/t/count and p/m/u/count",
        'say which: in_task="module/task"',
    )


@pytest.mark.parametrize("label", ["m/t", "m/u"])
def test_in_task_cures_several_places(label: str) -> None:
    """It names the one that is meant."""
    wanted = kx.from_here(COUNT, in_task=label)
    assert lines(one_module(kx.task("t", COUNT), kx.task("u", COUNT), kx.task("v", takes(wanted)))) == []


def test_in_task_that_names_another_place_is_told() -> None:
    """The step does not stand there."""
    wanted = kx.from_here(COUNT, in_task="m/x")
    found = only_problem(one_module(kx.task("t", COUNT), kx.task("v", takes(wanted))))
    assert "needs step 'count', which stands nowhere in task 'm/x'" in found.what


def test_a_later_place_of_the_same_step_does_not_matter() -> None:
    """Only earlier ones are asked."""
    assert lines(one_module(kx.task("t", COUNT), kx.task("v", takes(kx.from_here(COUNT))), kx.task("w", COUNT))) == []


def test_inputs_of_conditions_are_checked_too() -> None:
    """By the parameter of the condition."""
    step = A.when(lambda ctx, cores: cores > 2, cores=kx.from_here(COUNT))
    assert only_problem(one_module(kx.task("t", step))).what.startswith("input 'cores' needs step 'count'")


def test_from_one_that_matches_several_is_told() -> None:
    """With their names, and how to narrow it."""
    found = only_problem(one_module(kx.task("t", COUNT), kx.task("u", takes(kx.from_one(COUNT)))))
    assert found == Problem(
        "p/m/u/use",
        "from_one of input 'value' matches 4 hosts (db1, db2, web1, web2)",
        "narrow it: from_one(step, host(…)) or from_one(step, first(…))",
    )


def test_from_one_that_matches_several_is_no_matter_of_empty_tasks() -> None:
    """`allow_empty` excuses no host, not several."""
    use = takes(kx.from_one(COUNT))
    pipeline = one_module(kx.task("t", COUNT), kx.task("u", use, on=kx.role("web"), allow_empty=True))
    assert "matches 4 hosts" in only_problem(pipeline).what


def test_from_one_that_matches_none_is_told() -> None:
    """The selector takes hosts on which the step does not run; where nobody wants the value, nothing is wrong."""
    use = takes(kx.from_one(COUNT, kx.role("web")))
    tasks = [kx.task("t", COUNT, on=kx.role("db")), kx.task("u", use)]
    assert "from_one of input 'value' matches 0 hosts (no host)" in only_problem(one_module(*tasks)).what
    nobody = kx.task("u", use, on=kx.role("cache"), allow_empty=True)
    assert lines(one_module(tasks[0], nobody)) == []


@pytest.mark.parametrize("sel", [LEAD, kx.first(kx.role("db")), kx.role("db") & ~kx.host("db2")])
def test_from_one_is_narrowed_by_a_selector(sel: Any) -> None:
    """To one host of the step's task."""
    assert lines(one_module(kx.task("t", COUNT), kx.task("u", takes(kx.from_one(COUNT, sel))))) == []


@pytest.mark.parametrize("wanted", [kx.from_one(COUNT, LEAD), kx.from_all(COUNT)])
def test_a_value_of_other_hosts_of_the_same_task_is_told(wanted: Any) -> None:
    """They are at the task at the same time."""
    found = only_problem(one_module(kx.task("t", COUNT, takes(wanted))))
    assert found.what == "input 'value' wants p/m/t/count on other hosts while they are at the same task"
    assert found.remedy == "put that step into an earlier task"


def test_from_here_on_hosts_the_step_does_not_run_on_is_told() -> None:
    """With the first of them."""
    tasks = [kx.task("t", COUNT, on=kx.role("db")), kx.task("u", takes(kx.from_here(COUNT)))]
    assert only_problem(one_module(*tasks)) == Problem(
        "p/m/u/use",
        "input 'value' comes from p/m/t/count, which does not run on web1",
        "select the same hosts, or use from_one",
    )
    assert lines(one_module(tasks[0], kx.task("u", takes(kx.from_here(COUNT)), on=kx.host("db2")))) == []


# Values that may not come

CHECKED = kx.command("count", "nproc", check="test -e /x", parse=int)


@pytest.mark.parametrize(
    ("producer", "why", "remedy"),
    [
        (CHECKED, "has a check", "give it value=, the command that reads the value"),
        (
            step_of(lambda ctx: kx.both(kx.cmd("x"), kx.cmd("nproc", check="test -e /x", parse=int)), "count"),
            "has a check",
            "give it value=",
        ),
        (COUNT.when(lambda ctx: True), "has a when", 'use from_all(…, missing="omit"), or take the condition away'),
        (step_of(lambda ctx: kx.skip("not here"), "count"), "says skip('not here')", "return value(…) there instead"),
    ],
)
@pytest.mark.parametrize("reach", [kx.from_here, kx.from_all, lambda step: kx.from_one(step, LEAD)])
def test_a_needed_value_of_a_step_that_may_be_skipped_is_told(producer: Any, why: str, remedy: str, reach: Any) -> None:
    """By its check, by a condition, by its own word; whoever needs the value."""
    found = only_problem(one_module(kx.task("t", producer), kx.task("u", takes(reach(producer)))))
    assert found.where == "p/m/u/use"
    assert found.what == f"input 'value' needs the value of p/m/t/count, which {why} and may be skipped without one"
    assert remedy in found.remedy


async def _seven() -> int:
    return 7


def _port(ctx: kx.HostContext, port: int) -> kx.Action[int]:
    """Needs a number, or it raises."""
    return kx.cmd("app", "--port", f"{port + 1:d}", check="app --running", parse=int)


def _key(ctx: kx.HostContext, key: kx.Secret) -> kx.Action[str]:
    """Needs a secret."""
    return kx.shell("app join", env={"KEY": key}, check="app --joined", parse=str)


def _line(ctx: kx.HostContext, output: kx.Output) -> kx.Action[str]:
    """Needs an output."""
    return kx.cmd("app", str(output).splitlines()[0], check="app --there", parse=str)


def _hosts(ctx: kx.HostContext, all_of_them: Any) -> kx.Action[str]:
    """Needs a mapping of all hosts, in which its own is."""
    return kx.cmd("app", *sorted(all_of_them), all_of_them[ctx.host.name]["id"], check="app --all", parse=str)


@pytest.mark.parametrize(
    ("first", "wanted", "function"),
    [
        (COUNT, kx.from_here, _port),
        (kx.command("key", "cat k", parse=kx.Secret), kx.from_here, _key),
        (kx.command("line", "head -1 f"), kx.from_here, _line),
        (kx.command("node", "cat n", parse=lambda text: {"id": text}), kx.from_all, _hosts),
        (kx.command("node", "cat n", parse=lambda text: 1 / 0, example={"id": "n1"}), kx.from_all, _hosts),
        (step_of(lambda ctx: kx.value({"id": "n1"}), "node"), kx.from_all, _hosts),
        (step_of(lambda ctx: kx.on_controller(_seven), "made"), kx.from_here, _port),
    ],
)
def test_a_step_with_inputs_is_looked_into_as_well(first: Any, wanted: Any, function: Any) -> None:
    """Its function is pure: tried with values such as its inputs give, it shows that it has a check and no value."""
    name = [*inspect.signature(function).parameters][1]
    joins = step_of(function, "join", **{name: wanted(first)})
    tasks = [kx.task("t", first), kx.task("u", joins)]
    assert lines(one_module(*tasks)) == []
    found = only_problem(one_module(*tasks, kx.task("v", takes(kx.from_here(joins)))))
    assert found.where == "p/m/v/use"
    assert found.what == "input 'value' needs the value of p/m/u/join, which has a check and may be skipped without one"


def test_a_mapping_of_all_hosts_that_stands_in_is_made_once() -> None:
    """Not once for each host: that would be quadratic in the fleet."""
    given: list[Any] = []

    def middle(ctx: kx.HostContext, counts: Any) -> kx.Action[Any]:
        given.append(counts)
        return kx.value(len(counts))

    joins = step_of(middle, "middle", counts=kx.from_all(COUNT))
    tasks = [kx.task("t", COUNT), kx.task("u", joins), kx.task("v", takes(kx.from_all(joins)))]
    assert lines(one_module(*tasks)) == []
    assert len(given) == len(FLEET)
    assert len({id(each) for each in given}) == 1


def test_what_a_function_says_of_a_value_that_stands_in_is_not_taken_at_its_word() -> None:
    """It may skip for that one only; and one that cannot be tried has no problem that could be known."""

    def perhaps(ctx: kx.HostContext, value: int) -> kx.Action[int]:
        return kx.skip("nothing to count") if value < 7 else kx.value(value)

    def raises(ctx: kx.HostContext, value: int) -> kx.Action[int]:
        raise LookupError(value)

    for function in (perhaps, raises):
        middle = step_of(function, "middle", value=kx.from_here(COUNT))
        assert lines(one_module(kx.task("t", COUNT, middle, takes(kx.from_here(middle))))) == []


def test_a_needed_value_of_a_rescue_step_is_told() -> None:
    """It is skipped where it is not needed."""
    pipeline = one_module(kx.task("t", A.rescue(COUNT)), kx.task("u", takes(kx.from_here(COUNT))))
    found = only_problem(pipeline)
    assert "needs the value of p/m/t/count, which is a rescue step and may be skipped without one" in found.what


@pytest.mark.parametrize(
    "producer",
    [
        kx.command("count", "x", check="y", value="cat /n", parse=int),
        step_of(lambda ctx: kx.both(kx.cmd("x", check="y"), kx.value(7)), "count"),
        step_of(lambda ctx: kx.both(kx.cmd("x", check="y"), kx.cmd("nproc", parse=int)), "count"),
        step_of(lambda ctx: kx.value(len(ctx.cluster)), "count"),
    ],
)
def test_a_value_that_comes_all_the_same_is_no_problem(producer: Any) -> None:
    """`value=` reads it after a skip as after a run; of several parts the last one gives it."""
    assert lines(one_module(kx.task("t", producer), kx.task("u", takes(kx.from_here(producer))))) == []


def test_omit_excuses_values_that_do_not_come() -> None:
    """The consumer takes those that there are."""
    wanted = kx.from_all(CHECKED, missing="omit")
    assert lines(one_module(kx.task("t", CHECKED), kx.task("u", takes(wanted)))) == []


def test_a_value_that_nobody_needs_may_be_skipped() -> None:
    """A check alone is no problem."""
    assert lines(one_module(kx.task("t", CHECKED), kx.task("u", A))) == []


def test_a_step_function_is_asked_on_the_hosts_whose_value_is_needed() -> None:
    """The check is there on web hosts only; one that raises says so in the run, it decides nothing here."""

    def build(ctx: kx.HostContext) -> Any:
        if ctx.host.name == "db2":
            raise RuntimeError
        return kx.cmd("nproc", check="true" if "web" in ctx.host.roles else None, parse=int)

    producer = step_of(build, "count")
    task = kx.task("t", producer)
    assert lines(one_module(task, kx.task("u", takes(kx.from_one(producer, LEAD))))) == []
    assert "has a check" in lines(one_module(task, kx.task("u", takes(kx.from_all(producer)))))[0]


# Selectors


def test_a_selector_that_matches_no_host_names_the_roles_that_exist() -> None:
    """And the way out where that is meant."""
    assert only_problem(one_module(kx.task("t", A, on=kx.role("cache")))) == Problem(
        "p/m/t",
        "the selector role:cache matches no host",
        "roles of this cluster: db, web; or set allow_empty=True",
    )
    assert lines(one_module(kx.task("t", A, on=kx.role("cache"), allow_empty=True))) == []
    assert "roles of this cluster: none" in lines(one_module(kx.task("t", A)), kx.Cluster())[0]


@pytest.mark.parametrize("sel", [kx.host("web-1"), kx.host("web-1") & kx.role("web"), kx.first(kx.host("web-1"))])
def test_a_selector_that_matches_no_host_suggests_near_names(sel: Any) -> None:
    """Also inside of a larger selector; the roles are named as well."""
    found = only_problem(one_module(kx.task("t", A, on=sel)))
    assert found.remedy.startswith("did you mean web1 or web2? roles of this cluster: db, web")


def test_every_task_without_hosts_is_told_hooks_too() -> None:
    """By its path; a module that is off is not asked."""
    empty = kx.task("t", A, on=kx.role("cache"))
    pipeline = kx.pipeline(
        "p",
        kx.module("m", empty, before=empty, after=empty),
        kx.module("off", empty, when=False),
        before=empty,
        after=empty,
    )
    assert [each.where for each in kx.check(pipeline, FLEET)] == [
        "p/@before/t",
        "p/m/@before/t",
        "p/m/t",
        "p/m/@after/t",
        "p/@after/t",
    ]


@pytest.mark.parametrize(
    ("sel", "words"),
    [
        (kx.role("web"), ".on(role:web) matches 2 hosts, it needs exactly one (narrow it: first(…) or host(…))"),
        (kx.role("cache"), ".on(role:cache) matches 0 hosts, it needs exactly one (roles of this cluster: db, web"),
        (kx.host("wbe1"), ".on(host:wbe1) matches 0 hosts, it needs exactly one (did you mean web1"),
    ],
)
def test_on_that_matches_several_or_none_is_told(sel: Any, words: str) -> None:
    """It is done on one host for another."""
    assert lines(one_module(kx.task("t", A.on(sel))))[0].startswith(f"p/m/t/a: {words}")


def test_on_that_matches_none_is_no_matter_where_nobody_runs_it() -> None:
    """A fleet without web hosts needs no balancer for them; several are wrong all the same."""
    empty: dict[str, Any] = {"on": kx.role("cache"), "allow_empty": True}
    assert lines(one_module(kx.task("t", A.on(kx.role("cache")), **empty))) == []
    assert len(lines(one_module(kx.task("t", A.on(kx.role("web")), **empty)))) == 1


def test_failed_outside_of_after_is_told() -> None:
    """In `after` alone it has an answer, of a module's or the pipeline's."""
    task = kx.task("t", A.when(kx.failed))
    problem = ".when(kx.failed) outside of an `after` (move the task into after=)"
    assert lines(one_module(task)) == [f"p/m/t/a: {problem}"]
    assert lines(one_module(before=task)) == [f"p/m/@before/t/a: {problem}"]
    assert lines(kx.pipeline("p", before=task)) == [f"p/@before/t/a: {problem}"]
    assert lines(one_module(after=task)) == []
    assert lines(kx.pipeline("p", after=task)) == []


# Functions of the user's that raise


def broken(host: object) -> bool:
    """A question that cannot be asked."""
    raise KeyError("disk")


def test_a_selector_that_raises_is_told_with_its_task() -> None:
    """What raised, and what it said; whoever wants a value of that task is not blamed for it."""
    sel = kx.where(broken)
    tasks = [kx.task("t", COUNT, on=~sel), kx.task("u", takes(kx.from_here(COUNT)), takes(kx.from_one(COUNT), "one"))]
    assert only_problem(one_module(*tasks)) == Problem(
        "p/m/t", "the selector ~where(broken) raised KeyError: 'disk'", "mend the function"
    )


def test_a_when_of_a_module_that_raises_is_told_with_its_module() -> None:
    """The module is looked at all the same."""
    pipeline = kx.pipeline("p", kx.module("m", kx.task("t", A, on=kx.role("cache")), when=broken))
    assert lines(pipeline) == [
        "p/m: its `when` raised KeyError: 'disk' (mend the function)",
        "p/m/t: the selector role:cache matches no host (roles of this cluster: db, web; or set allow_empty=True)",
    ]


def test_selectors_of_on_and_from_one_that_raise_are_told() -> None:
    """With the step, and the input that selects by it."""
    sel = kx.where(broken)
    pipeline = one_module(kx.task("t", COUNT), kx.task("u", takes(kx.from_one(COUNT, sel)), A.on(sel)))
    assert lines(pipeline) == [
        "p/m/u/use: input 'value' selects by where(broken), which raised KeyError: 'disk' (mend the function)",
        "p/m/u/a: .on(where(broken)) raised KeyError: 'disk' (mend the function)",
    ]


# All of them


def test_all_problems_come_back_at_once() -> None:
    """Nothing hides anything else, and each is told once."""
    pipeline = kx.pipeline(
        "p",
        kx.module("m", kx.task("t", A, A), kx.task("raises", A, on=kx.where(broken)), when=broken),
        kx.module(
            "n",
            kx.task("empty", A, on=kx.host("wbe1")),
            kx.task("u", takes(kx.from_here(B), "one"), takes(kx.from_one(A), "two"), B),
            kx.task("v", B.on(kx.role("db")), A.when(kx.failed)),
        ),
    )
    told = lines(pipeline)
    wheres = [line.split(": ", 1)[0] for line in told]
    assert wheres == ["p/m/t/a", "p/m", "p/m/raises", "p/n/empty", "p/n/u/one", "p/n/u/two", "p/n/v/b", "p/n/v/a"]
    assert told == list(dict.fromkeys(told))


def test_problems_do_not_depend_on_being_asked_before() -> None:
    """Check is pure, and a mended pipeline is fine."""
    bad = one_module(kx.task("t", A, A))
    assert kx.check(bad, FLEET) == kx.check(bad, FLEET)
    assert kx.check(one_module(kx.task("t", A, A.named("again"))), FLEET) == []


def test_checked_raises_all_problems() -> None:
    """As `run` does; its text has a line for each."""
    with pytest.raises(kx.CompositionError) as caught:
        checked(one_module(kx.task("t", A, A), kx.task("u", A, on=kx.role("cache"))), FLEET)
    assert [each.where for each in caught.value.problems] == ["p/m/t/a", "p/m/u"]
    assert len(str(caught.value).splitlines()) == 2


def test_run_refuses_before_any_host_is_touched() -> None:
    """No connection is made."""
    touched: list[str] = []

    def answer(host: kx.Host, command: object) -> int:
        touched.append(host.name)
        return 0

    with pytest.raises(kx.CompositionError, match="2 steps have this path"):
        kx.run(one_module(kx.task("t", A, A)), FLEET, connector=kx.MemoryConnector(answer))
    assert touched == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((kx.task("t", A), FLEET), "check of a Task on a Cluster: give a pipeline("),
        ((one_module(), [kx.Host("a")]), "check of a Pipeline on a list: give a pipeline("),
    ],
)
def test_check_of_something_else_is_refused(args: Any, words: str) -> None:
    """It is the caller's mistake, not the pipeline's."""
    with pytest.raises(kx.InvalidError) as caught:
        kx.check(*args)
    assert words in str(caught.value)


def test_check_of_a_large_pipeline_is_quick() -> None:
    """A selector's function is asked once a host for an input, not once for every pair of hosts."""
    asked = 0

    def lead(host: kx.Host) -> bool:
        nonlocal asked
        asked += 1
        return host.name == "h0"

    size = 500
    fleet = kx.Cluster([kx.Host(f"h{i}") for i in range(size)])
    task = kx.task("u", *(takes(kx.from_one(COUNT, kx.where(lead)), f"use{i}") for i in range(20)))
    assert kx.check(one_module(kx.task("t", COUNT), task), fleet) == []
    assert asked == 20 * size
