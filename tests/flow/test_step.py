"""Steps: how they are made, what they would do on a host, and how they splice."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kxflow as kx
from kxflow.flow.inputs import Input, Reach
from kxflow.flow.step import Steps, flatten
from kxflow.values.action import Command
from kxflow.values.outcome import record_of
from tests.flow.drawn import step_of
from tests.laws import laws

CTX = kx.context(kx.Host("web1", roles={"web"}, vars={"port": 80}))
TOKEN = kx.command("token", "cat /token", parse=kx.Secret)
COUNT = kx.command("count", "nproc", parse=int)


def test_step_makes_a_step_of_a_function() -> None:
    """Its name is the function's; what it would do there is the action that the function gives."""

    @kx.step
    def greet(ctx: kx.HostContext) -> kx.Action[kx.Output]:
        return kx.cmd("echo", ctx.host.name, ctx.vars["port"])

    assert (greet.name, dict(greet.inputs), repr(greet)) == ("greet", {}, "Step('greet')")
    assert greet.action(CTX) == kx.cmd("echo", "web1", "80")


def test_step_can_be_called_with_parentheses_too() -> None:
    """`@kx.step()` declares no input."""

    @kx.step()
    def greet(ctx: kx.HostContext) -> kx.Action[kx.Output]:
        return kx.cmd("echo")

    assert greet.action(CTX) == kx.cmd("echo")


def test_inputs_are_declared_as_keywords_of_the_decorator() -> None:
    """And are given by name."""

    @kx.step(token=kx.from_one(TOKEN), count=kx.from_here(COUNT))
    def join(ctx: kx.HostContext, token: kx.Secret, count: int) -> kx.Action[kx.Output]:
        return kx.cmd("join", count, env={"T": token})

    assert list(join.inputs) == ["token", "count"]
    assert repr(join) == "Step('join', inputs=token, count)"
    assert join.action(CTX, token=kx.Secret("x"), count=2) == kx.cmd("join", 2, env={"T": kx.Secret("x")})


def test_inputs_are_declared_as_defaults_in_the_signature() -> None:
    """Keyword-only or not; other defaults stay what they are."""

    @kx.step
    def join(
        ctx: kx.HostContext,
        token: kx.Secret = kx.from_one(TOKEN),
        loud: bool = False,
        *,
        counts: Mapping[str, int] = kx.from_all(COUNT),
    ) -> kx.Action[kx.Output]:
        return kx.cmd("join", *counts.values(), "-v" if loud else "-q", env={"T": token})

    assert join.inputs == {
        "token": Input(TOKEN.origin, "token", Reach.one),
        "counts": Input(COUNT.origin, "count", Reach.every),
    }
    made = join.action(CTX, token=kx.Secret("x"), counts={"a": 1})
    assert made == kx.cmd("join", 1, "-q", env={"T": kx.Secret("x")})


def test_both_forms_declare_the_same() -> None:
    """The keyword wins where both say something of one parameter."""

    def by_default(ctx: kx.HostContext, token: Any = kx.from_one(TOKEN)) -> kx.Action[kx.Output]:
        return kx.cmd("a")

    def by_keyword(ctx: kx.HostContext, token: Any) -> kx.Action[kx.Output]:
        return kx.cmd("a")

    step: Any = kx.step
    plain, named = step(by_default), step(token=kx.from_one(TOKEN))(by_keyword)
    over = step(token=kx.from_here(TOKEN))(by_default)
    assert plain.inputs == named.inputs == {"token": Input(TOKEN.origin, "token", Reach.one)}
    assert over.inputs["token"].reach is Reach.here


def test_a_function_that_takes_any_keywords_takes_any_input() -> None:
    """They arrive as they are named."""
    use = step_of(lambda ctx, **rest: kx.cmd("use", *rest, *rest.values()), count=kx.from_here(COUNT))
    assert use.action(CTX, count=3) == kx.cmd("use", "count", "3")


def test_a_callable_object_and_a_partial_can_be_steps() -> None:
    """Whatever has a signature; the name is that of its class."""

    class Install:
        def __init__(self, package: str) -> None:
            self.package = package

        def __call__(self, ctx: kx.HostContext) -> kx.Action[kx.Output]:
            return kx.cmd("apt-get", "install", self.package)

    def install(package: str, ctx: kx.HostContext) -> kx.Action[kx.Output]:
        return Install(package)(ctx)

    step: Any = kx.step
    assert step(Install("nginx")).name == "Install"
    assert step(functools.partial(install, "nginx")).action(CTX) == kx.cmd("apt-get", "install", "nginx")


def test_a_step_may_return_a_constant_step() -> None:
    """So that a resource is built per host; what shows in its action counts, and this step's word is the last."""

    @kx.step
    def configure(ctx: kx.HostContext) -> kx.Step[kx.Output]:
        return kx.command("any", f"echo {ctx.host.name}").become("app").timeout(5).sensitive()

    assert configure.action(CTX) == kx.shell("echo web1", become="app", timeout=5, sensitive=True)
    assert configure.become("root").action(CTX) == kx.shell("echo web1", become="root", timeout=5, sensitive=True)


INNER = kx.command("inner", "true")


@kx.step
def counting(ctx: kx.HostContext, count: int = kx.from_here(COUNT)) -> kx.Action[kx.Output]:
    """A step with an input."""
    return kx.cmd("a")


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (INNER.retry(2), "returned a step with .retry(): say it on this step instead"),
        (INNER.when(lambda ctx: False), "returned a step with .when()"),
        (INNER.rescue(COUNT), "returned a step with .rescue()"),
        (INNER.ignore_errors(), "returned a step with .ignore_errors()"),
        (INNER.ignore_unreachable(), "returned a step with .ignore_unreachable()"),
        (INNER.on(kx.host("db1")), "returned a step with .on()"),
        (
            counting,
            "returned a step with inputs: declare them on this",
        ),
        (5, "returned an int: return an action: cmd(…)"),
        (None, "returned a NoneType: return an action"),
        ("echo", "returned a str: return an action"),
        ([kx.cmd("a")], "returned a list: return an action"),
    ],
)
def test_what_a_step_returns_must_be_all_in_the_action(inner: Any, words: str) -> None:
    """What would be lost in silence is refused."""
    with pytest.raises(kx.InvalidError) as caught:
        step_of(lambda ctx: inner, "outer").action(CTX)
    assert f"step 'outer' {words}" in str(caught.value)


def test_action_wants_exactly_the_declared_inputs() -> None:
    """Missing ones and others are refused by name."""
    joined = step_of(lambda ctx, token: kx.cmd("a"), token=kx.from_one(TOKEN))
    with pytest.raises(kx.InvalidError, match=r"was given inputs \[\]: it takes: token"):
        joined.action(CTX)
    with pytest.raises(kx.InvalidError, match=r"was given inputs \['other', 'token'\]: it takes: token"):
        joined.action(CTX, token=1, other=2)


def test_what_a_function_raises_flies() -> None:
    """The pure half is the user's code: nothing is hidden from a test of it."""

    @kx.step
    def odd(ctx: kx.HostContext) -> kx.Action[kx.Output]:
        raise ZeroDivisionError(ctx.host.name)

    with pytest.raises(ZeroDivisionError, match="web1"):
        odd.action(CTX)


def test_command_takes_text_for_shell_and_a_list_for_cmd() -> None:
    """The same on every host; other iterables of words will do."""
    assert kx.command("a", "echo $HOME").action(CTX) == kx.shell("echo $HOME")
    assert kx.command("a", ["echo", "$HOME"]).action(CTX) == kx.cmd("echo", "$HOME")
    assert kx.command("a", (word for word in ("x", "y z"))).action(CTX) == kx.cmd("x", "y z")


def test_command_takes_the_options_of_cmd_and_shell() -> None:
    """And is sensitive as a step where its command is."""
    made = kx.command("a", "x", check="y", env={"A": "b"}, parse=int, sensitive=True)
    assert made.action(CTX) == kx.shell("x", check="y", env={"A": "b"}, parse=int, sensitive=True)
    assert made.secret
    assert not kx.command("a", "x").secret


@pytest.mark.parametrize("name", ["deploy", "install nginx", "/etc/motd", "a: b", "schöne Grüße", "x" * 200, "0"])
def test_a_step_name_is_any_printable_text(name: str) -> None:
    """Paths of files are such names."""
    assert kx.command(name, "true").name == name
    assert kx.command("other", "true").named(name).name == name


def test_steps_splice_in_order() -> None:
    """Law 4: grouping leaves no trace, and `steps()` is neutral."""
    a, b, c = (kx.command(name, "true") for name in "abc")
    assert kx.steps(a, kx.steps(b, c)) == kx.steps(kx.steps(a, b), c) == kx.steps(a, b, c) == Steps((a, b, c))
    assert kx.task("t", kx.steps(), a, kx.steps(b, kx.steps()), c).steps == (a, b, c)
    assert kx.steps().members == ()


TREES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([kx.command(name, "true") for name in "abcdef"]),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: kx.steps(*parts)),
    max_leaves=12,
)


def leaves(part: Any) -> list[kx.Step[Any]]:
    """Steps of a tree of splices, by plain recursion."""
    return [part] if isinstance(part, kx.Step) else [each for member in part.members for each in leaves(member)]


@laws(60)
@given(parts=st.lists(TREES, max_size=4))
def test_any_nesting_of_steps_is_the_same_as_none(parts: list[Any]) -> None:
    """In a task, in a splice and in a rescue."""
    plain = tuple(each for part in parts for each in leaves(part))
    assert flatten(parts) == plain
    assert kx.task("t", *parts).steps == kx.task("t", *plain).steps
    assert kx.steps(*parts) == kx.steps(*plain)
    assert COUNT.rescue(*parts).rescued_by == plain


@pytest.mark.parametrize("value", [COUNT, kx.steps(COUNT), step_of(lambda ctx: kx.cmd("a"))])
def test_a_step_has_no_truth_value(value: object) -> None:
    """It is a description: nothing is known of it before it ran."""
    with pytest.raises(TypeError, match=r"a Steps? has no truth value before it ran: (run it|put them)"):
        bool(value)


def test_steps_are_equal_as_their_parts_are() -> None:
    """The origin does not count, but inputs go by it: equal steps are told apart there."""
    one, other = kx.command("a", "true"), kx.command("a", "true")
    assert one == other
    assert one.origin != other.origin
    assert kx.from_here(one) != kx.from_here(other)


def test_a_step_over_a_context_is_a_fresh_container_each_time() -> None:
    """Success track where all is well, failure track else; both carry the record. No runner is asked for `value`."""
    good = step_of(lambda ctx: kx.value(ctx.host.name))
    bad = step_of(lambda ctx: kx.fail("no"))

    async def both() -> list[tuple[str, bool, object]]:
        told = []
        for step in (good, bad, bad.ignore_errors()):
            result = await record_of(step(CTX))
            again = await step(CTX).awaitable()
            on_success = kx.either(again, lambda _: True, lambda _: False)
            told.append((result.status.name, on_success, result.value))
        return told

    assert anyio.run(both) == [("Succeeded", True, "web1"), ("Failed", False, None), ("Failed", True, None)]


odd: Any = kx


async def slow(ctx: kx.HostContext) -> kx.Action[kx.Output]:
    """A step that would act."""
    return kx.cmd("a")


def by_place(ctx: kx.HostContext, count: int, /) -> kx.Action[kx.Output]:
    """A step whose input has no name outside."""
    return kx.cmd("a")


def forgot_context(token: Any = kx.from_here(TOKEN)) -> kx.Action[kx.Output]:
    """A step whose first parameter is an input."""
    return kx.cmd("a")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: odd.command("", "a"), "step name '': give a short text"),
        (lambda: odd.command(" ", "a"), "step name ' ': give a short text"),
        (lambda: odd.command(5, "a"), "step name 5: give a short text"),
        (lambda: odd.command("a\nb", "a"), "step name 'a\\nb': use at most 200 printable characters"),
        (lambda: odd.command("\ud800", "a"), "printable characters"),
        (lambda: odd.command("x" * 201, "a"), "use at most 200 printable characters, no line breaks"),
        (lambda: odd.command("@after", "a"), "step name '@after': no leading @, which marks hooks"),
        (lambda: odd.command("c", 5), "step 'c': its program is an int: give shell text, or a list of program"),
        (lambda: odd.command("c", b"ls -l"), "step 'c': its program is a bytes"),
        (lambda: odd.command("c", None), "step 'c': its program is a NoneType"),
        (lambda: odd.command("c", Path("/bin/ls")), "step 'c': its program is a PosixPath"),
        (lambda: odd.command("c", kx.Secret("x")), "step 'c': its program is a Secret"),
        (lambda: odd.command("c", {"a": 1}), "step 'c': its program is a dict"),
        (lambda: odd.command("c", {"a", "b"}), "step 'c': its program is a set"),
        (lambda: odd.command("c", []), "step 'c': cmd() needs a program"),
        (lambda: odd.command("c", ["ls -l"]), "step 'c': cmd('ls -l') is one word with a blank"),
        (lambda: odd.command("c", "a", timeout=-1), "step 'c': timeout=-1 cannot be"),
        (lambda: odd.command("c", "a", chek="b"), "step 'c': unknown option 'chek'"),
        (lambda: odd.step(5), "@step takes inputs by name: write @step(token=from_one(token))"),
        (lambda: odd.step("name"), "@step takes inputs by name"),
        (lambda: odd.step(TOKEN.action, TOKEN), "@step takes inputs by name"),
        (lambda: odd.step(token=TOKEN), "@step: token is no input: declare it: from_here(step), from_one(step)"),
        (lambda: odd.step()(5), "step 'int' is an int: a step is a pure function"),
        (lambda: odd.step(slow), "step 'slow' is async"),
        (lambda: odd.step(lambda: 1), "takes no context: its first parameter is a HostContext"),
        (lambda: odd.step(lambda *, ctx: 1), "takes no context"),
        (lambda: odd.step(lambda **all_of_it: 1), "takes no context"),
        (lambda: odd.step(forgot_context), "step 'forgot_context' takes no context"),
        (lambda: odd.step(count=kx.from_here(COUNT))(by_place), "step 'by_place' takes 'count' by place"),
        (lambda: odd.step(lambda ctx, count: 1), "nothing gives 'count': declare it: @step(count=from_here(…))"),
        (lambda: odd.step(lambda ctx, *, count: 1), "nothing gives 'count'"),
        (lambda: odd.step(tokn=kx.from_one(TOKEN))(lambda ctx, token: 1), "has no parameter 'tokn': it has: token"),
        (lambda: odd.step(ctx=kx.from_one(TOKEN))(lambda ctx: 1), "has no parameter 'ctx': it has: none"),
        (lambda: odd.step(rest=kx.from_one(TOKEN))(lambda ctx, *rest: 1), "has no parameter 'rest'"),
        (lambda: odd.step(dict.fromkeys), "step 'fromkeys'"),
        (lambda: odd.step(bool), "step 'bool' has no signature to check: wrap it: lambda ctx: …"),
        (lambda: odd.steps(5), "5 is no step: make one: command("),
        (lambda: odd.steps([COUNT]), "several: steps(*them)"),
        (lambda: odd.steps(kx.cmd("a")), "is no step"),
        (lambda: COUNT.named("@x"), "step name '@x'"),
        (lambda: odd.task("t", kx.task("u")), "is no step"),
    ],
)
def test_bad_arguments_say_what_and_what_to_do(make: Any, words: str) -> None:
    """At the call that was given them."""
    with pytest.raises(kx.InvalidError) as caught:
        make()
    assert words in str(caught.value)
    assert caught.value.remedy


def test_an_action_of_commands_is_what_the_pure_half_gives() -> None:
    """Typed as the value says; the constant step's action is its own."""
    made = COUNT.action(CTX)
    assert isinstance(made, Command)
    assert made.parse is int
