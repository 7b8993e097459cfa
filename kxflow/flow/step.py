"""The smallest unit: a name, declared inputs, and a pure function to an action."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    final,
    overload,
)

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.flow.actions import Options, cmd, positive_seconds, shell
from kxflow.flow.inputs import Input, Origin
from kxflow.flow.selectors import Selector, as_selector
from kxflow.values.action import Action, Command, OnController, Pending, Reboot, T_co, Value, map_parts, no_truth, pend
from kxflow.values.arguments import check_answers, check_takes, is_number, is_whole, kind, members
from kxflow.values.context import HostContext
from kxflow.values.errors import InvalidError
from kxflow.values.host import Become, Method
from kxflow.values.output import Output
from kxflow.values.result import StepResult
from kxflow.values.secret import Secret

if TYPE_CHECKING:
    from kxflow.values.outcome import FutureStep  # the containers load when a step is first called

T = TypeVar("T")
P = ParamSpec("P")

NAME_LIMIT = 200
YEAR: Final = 365 * 86400.0
_UNTIL: Final = "give a function of the result: until=lambda result: …"
_PROGRAM: Final = "give shell text, or a list of program and arguments"


def check_name(name: object, what: str, *, slash: bool = False) -> str:
    """A name that a path can hold.

    Raises:
        InvalidError: Not text, empty, too long, with control characters, with `/` where paths are split, or with a
            leading `@`, which is kept for hooks.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidError(f"{what} name {name!r}", "give a short text")
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise InvalidError(
            f"{what} name {name[:50]!r}", f"use at most {NAME_LIMIT} printable characters, no line breaks"
        )
    if name.startswith("@") or (not slash and "/" in name):
        raise InvalidError(f"{what} name {name!r}", "no leading @, which marks hooks, and no /, which splits paths")
    return name


@frozen
class Retry:
    """Try again when a step fails.

    Attributes:
        times: Further tries after the first.
        delay: Seconds before the first of them.
        backoff: Factor by which the delay grows.
        until: What the result must satisfy; a success that does not is tried again, too.
    """

    times: int
    delay: float = 0.0
    backoff: float = 1.0
    until: Callable[[StepResult], bool] | None = None

    def pause(self, tried: int) -> float:
        """Seconds to wait after that many tries; at most a year, which no float overflows on the way to."""
        if not self.delay:
            return 0.0
        growth = (tried - 1) * math.log(self.backoff) + math.log(self.delay)
        return YEAR if growth >= math.log(YEAR) else float(self.delay * self.backoff ** (tried - 1))


@frozen
class Failed:
    """The condition "the layer of this hook has failed"; see `kxflow.failed`."""

    def __call__(self, ctx: HostContext) -> bool:
        raise InvalidError("kx.failed is no question to a context", "use it as .when(kx.failed) on an `after` task")


failed = Failed()


@frozen
class Condition:
    """When a step is to run: a pure function of the context and declared inputs."""

    function: Callable[..., bool]
    inputs: frozendict[str, Input] = frozendict()


@frozen(kw_only=True, repr=False)
class Step(Generic[T_co]):
    """A name, declared inputs, and a pure function from a `HostContext` to an `Action`; T is the type of its value.

    Transforms give a new step and leave this one as it is; the last one said wins.

    Attributes:
        name: Unique in its task.
        build: An action, or a pure function of a context and the inputs that gives one.
        inputs: Values of earlier steps that it takes, by parameter.
        conditions: All must hold, else it is Skipped.
        attempts: How often to try again; once only where None.
        rescued_by: Steps to run where this one fails; they have their own addresses, after this one's.
        tolerant: Its failure does not put the host out.
        tolerates_unreachable: Nor does a host that cannot be reached.
        escalation: User to act as, over what the action says.
        limit: Seconds, over what the action says.
        secret: Keep no output and no value in records.
        survives: What it starts survives the loss of the connection.
        pending: Marks on the host that it sets, or that it depends on.
        target: The one other host on which it is done, on this host's behalf.
        origin: Identity of its definition; inputs find it by that.
    """

    name: str
    build: Action[T_co] | Callable[..., Action[T_co] | Step[T_co]]
    inputs: frozendict[str, Input] = frozendict()
    conditions: tuple[Condition, ...] = ()
    attempts: Retry | None = None
    rescued_by: tuple[Step[Any], ...] = ()
    tolerant: bool = False
    tolerates_unreachable: bool = False
    escalation: Become | None = None
    limit: float | None = None
    secret: bool = False
    survives: bool = False
    pending: tuple[Pending, ...] = ()
    target: Selector | None = None
    origin: Origin = field(factory=Origin, eq=False, repr=False)

    def action(self, ctx: HostContext, **inputs: Any) -> Action[T_co]:
        """The pure half: what this step would do there.

        Raises:
            InvalidError: An input is missing or unknown, or the function gave something else than an action.
        """
        if inputs.keys() != self.inputs.keys():
            wanted = ", ".join(self.inputs) or "none"
            raise InvalidError(f"step {self.name!r} was given inputs {sorted(inputs)}", f"it takes: {wanted}")
        if isinstance(self.build, Action):
            return self._adapted(self.build)
        made: Any = self.build(ctx, **inputs)
        if isinstance(made, Step):
            made = self._constant(made).action(ctx)
        if not isinstance(made, Action):
            raise InvalidError(
                f"step {self.name!r} returned {kind(made)}",
                "return an action: cmd(…), shell(…), skip(…), fail(…), value(…), both(…) or a constant step",
            )
        return self._adapted(made)

    @property
    def constant(self) -> Action[T_co] | None:
        """The action, where that asks for no host and no input; None where a function makes it.

        Raises:
            InvalidError: It cannot be what transforms make of it.
        """
        return self._adapted(self.build) if isinstance(self.build, Action) and not self.inputs else None

    def _adapted(self, made: Action[Any]) -> Action[T_co]:
        """As transforms of this step say."""
        adapted = map_parts(made, self._adapt)
        return cast("Action[T_co]", pend(adapted, self.pending) if self.pending else adapted)

    def _constant(self, made: Step[Any]) -> Step[Any]:
        """A step that was returned by this one's function; only what shows in its action can be said there.

        Raises:
            InvalidError: It has inputs, conditions, retries or handlers of its own.
        """
        if made.inputs:
            raise InvalidError(f"step {self.name!r} returned a step with inputs", "declare them on this step")
        own = {
            ".when()": made.conditions,
            ".retry()": made.attempts is not None,
            ".rescue()": made.rescued_by,
            ".ignore_errors()": made.tolerant,
            ".ignore_unreachable()": made.tolerates_unreachable,
            ".on()": made.target is not None,
        }
        if said := [name for name, its in own.items() if its]:
            raise InvalidError(f"step {self.name!r} returned a step with {said[0]}", "say it on this step instead")
        return made

    def _adapt(self, part: Action[Any]) -> Action[Any]:
        if isinstance(part, OnController):
            limit = part.timeout if self.limit is None else self.limit
            return evolve(part, sensitive=part.sensitive or self.secret, timeout=limit)
        if isinstance(part, Value) and self.secret:
            return evolve(part, sensitive=True)
        if isinstance(part, Reboot):
            return evolve(part, command=self._adapt_command(part.command), ask=self._adapt_command(part.ask))
        return self._adapt_command(part) if isinstance(part, Command) else part

    def _adapt_command(self, command: Command[Any]) -> Command[Any]:
        changes: dict[str, Any] = {}
        if self.escalation is not None:
            changes["become"] = self.escalation
        if self.limit is not None:
            changes["timeout"] = self.limit
        if self.secret:
            changes["sensitive"] = True
        if self.survives:
            changes["detached"] = True
        return evolve(command, **changes) if changes else command

    def __call__(self, ctx: HostContext, **inputs: Any) -> FutureStep:
        """A fresh container of the result there; success track for Succeeded, Skipped and tolerated. Await it once."""
        from kxflow.flow.perform import perform
        from kxflow.values.outcome import future, track

        async def work() -> Any:
            return track(await perform(self, ctx, inputs))

        return future(work())

    def named(self, name: str) -> Step[T_co]:
        """The same step under another name."""
        return evolve(self, name=check_name(name, "step", slash=True))

    def retry(
        self, times: int, *, delay: float = 0.0, backoff: float = 1.0, until: Callable[[StepResult], bool] | None = None
    ) -> Step[T_co]:
        """Try again up to `times` more times when it fails, or when `until` does not hold of its result.

        Raises:
            InvalidError: A number that cannot be.
        """
        if not is_whole(times) or times < 0:
            raise InvalidError(f"retry(times={times!r})", "give a whole number >= 0 of further tries")
        if until is not None:
            check_answers(until, "retry(until=…)", _UNTIL)
            check_takes(until, "retry(until=…)", _UNTIL, takes=1)
        if not is_number(delay) or not is_number(backoff) or delay < 0 or backoff <= 0:
            raise InvalidError(f"retry(delay={delay!r}, backoff={backoff!r})", "give delay >= 0 and backoff > 0")
        return evolve(self, attempts=Retry(times, float(delay), float(backoff), until))

    def timeout(self, seconds: float) -> Step[T_co]:
        """End it after that many seconds: Failed where its death was confirmed, else Lost.

        Raises:
            InvalidError: No positive number of seconds.
        """
        if seconds is None:
            raise InvalidError("timeout(None)", "every step has a limit; give a large number of seconds")
        return evolve(self, limit=positive_seconds(seconds))

    def when(self, function: Callable[..., bool], **inputs: Any) -> Step[T_co]:
        """Run it only where a pure function of the context (and of inputs) says so; else Skipped.

        Raises:
            InvalidError: The function does not take these inputs.
        """
        where = f"when() of step {self.name!r}"
        _check_inputs(inputs, where)
        if isinstance(function, Failed) and inputs:
            raise InvalidError(f"{where}: kx.failed takes no inputs", "ask for them in a second .when(…)")
        check_answers(function, where, "give a function: .when(lambda ctx: …)")
        declared = _declared(function, inputs, where)
        return evolve(self, conditions=(*self.conditions, Condition(function, declared)))

    def become(
        self, user: str = "root", *, password: str | Secret | None = None, method: Method = "sudo"
    ) -> Step[T_co]:
        """Act as another user on the host."""
        return evolve(self, escalation=Become(user, password=password, method=method))

    def rescue(self, *steps: Step[Any] | Steps) -> Step[T_co]:
        """Where it fails or is cancelled, run these on that host and go on if they succeed."""
        return evolve(self, rescued_by=(*self.rescued_by, *flatten(steps)))

    def ignore_errors(self) -> Step[T_co]:
        """Its failure is recorded, and the host goes on."""
        return evolve(self, tolerant=True)

    def ignore_unreachable(self) -> Step[T_co]:
        """A host that cannot be reached is recorded, and is not out for that."""
        return evolve(self, tolerates_unreachable=True)

    def sensitive(self) -> Step[T_co]:
        """Keep no output and no value of it in records."""
        return evolve(self, secret=True)

    def detached(self) -> Step[T_co]:
        """What it starts survives the loss of the connection."""
        return evolve(self, survives=True)

    def on(self, sel: Selector) -> Step[T_co]:
        """Do it on the one host that `sel` takes, on this host's behalf; the record stays this host's.

        Raises:
            InvalidError: It is no selector.
        """
        return evolve(self, target=as_selector(sel, f".on() of step {self.name!r}"))

    def __bool__(self) -> NoReturn:
        no_truth(self, "run it in a pipeline, and ask the result")

    def __repr__(self) -> str:
        inputs = f", inputs={', '.join(self.inputs)}" if self.inputs else ""
        return f"Step({self.name!r}{inputs})"


@frozen
class Steps:
    """Several steps, spliced where a step can stand."""

    members: tuple[Step[Any], ...]

    def __bool__(self) -> bool:
        no_truth(self, "put them into a task, and ask the report")


def flatten(parts: Iterable[Step[Any] | Steps]) -> tuple[Step[Any], ...]:
    """Steps with splices resolved.

    Raises:
        InvalidError: Something in it is no step.
    """
    found: list[Step[Any]] = []
    for part in parts:
        if isinstance(part, Steps):
            found.extend(part.members)
        elif isinstance(part, Step):
            found.append(part)
        else:
            raise InvalidError(
                f"{part!r} is no step", 'make one: command("name", "text") or @kx.step; several: steps(*them)'
            )
    return tuple(found)


def steps(*parts: Step[Any] | Steps) -> Steps:
    """Splice several steps in where one can stand.

    `steps(a, steps(b, c))` equals `steps(a, b, c)`; `steps()` adds nothing.

    Args:
        parts: Steps, and what `steps` gave.

    Raises:
        InvalidError: Something in it is no step.
    """
    return Steps(flatten(parts))


@overload
def command(
    name: str, program: str | Iterable[str], *, parse: Callable[[str], T], **options: Unpack[Options]
) -> Step[T]: ...
@overload
def command(
    name: str, program: str | Iterable[str], *, parse: None = None, **options: Unpack[Options]
) -> Step[Output]: ...
def command(
    name: str,
    program: str | Iterable[str],
    *,
    parse: Callable[[str], Any] | None = None,
    **options: Unpack[Options],
) -> Step[Any]:
    """A step that is the same everywhere: text is `shell`, a list is `cmd`.

    >>> command("uptime", "uptime")
    Step('uptime')

    Args:
        name: Unique in its task.
        program: Shell text, or program and arguments.
        parse: From stdout (or the text of `value=`), trailing newlines removed, to the value.
        options: See `kxflow.flow.actions.Options`.

    Raises:
        InvalidError: As `shell` and `cmd` do; the message names the step.
    """
    check_name(name, "step", slash=True)
    try:
        made: Action[Any]
        if isinstance(program, str):
            made = shell(program, parse=parse, **options)
        elif isinstance(program, Mapping | AbstractSet):
            raise InvalidError(f"its program is {kind(program)}", _PROGRAM)  # noqa: TRY301 -- named below as the others
        else:
            made = cmd(*members(program, "its program", _PROGRAM), parse=parse, **options)
    except InvalidError as error:
        raise InvalidError(f"step {name!r}: {error.what}", error.remedy) from None
    return Step(name=name, build=made, secret=bool(options.get("sensitive")))


def _check_inputs(inputs: Mapping[str, Any], where: str) -> None:
    for name, each in inputs.items():
        if not isinstance(each, Input):
            raise InvalidError(
                f"{where}: {name} is no input", "declare it: from_here(step), from_one(step), from_all(step)"
            )


def _declared(function: Callable[..., Any], inputs: Mapping[str, Any], where: str) -> frozendict[str, Input]:
    """Inputs by parameter: those given, and those that stand as defaults in the signature; checked against it."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some that are not written in Python, such as bool
        raise InvalidError(f"{where} has no signature to check", "wrap it: lambda ctx: …") from None
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    if not parameters or parameters[0].kind in by_name or isinstance(parameters[0].default, Input):
        raise InvalidError(f"{where} takes no context", "its first parameter is a HostContext")
    rest = parameters[1:]
    named = {p.name: p for p in rest if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if by_place := [p.name for p in rest if p.kind is p.POSITIONAL_ONLY]:
        raise InvalidError(f"{where} takes {by_place[0]!r} by place", "inputs are given by name: leave the / out")
    found: dict[str, Input] = {name: p.default for name, p in named.items() if isinstance(p.default, Input)}
    found.update(inputs)
    open_ended = parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
    if unknown := [] if open_ended else sorted(found.keys() - named.keys()):
        raise InvalidError(f"{where} has no parameter {unknown[0]!r}", f"it has: {', '.join(named) or 'none'}")
    fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    missing = [p.name for p in rest if p.default is p.empty and p.kind not in fixed and p.name not in found]
    if missing:
        raise InvalidError(f"{where}: nothing gives {missing[0]!r}", f"declare it: @step({missing[0]}=from_here(…))")
    return frozendict(found)


class Decorator(Protocol[P]):
    """What `@step(…)` gives: it takes a function whose parameters, after the context, are the inputs declared."""

    def __call__(self, function: Callable[Concatenate[HostContext, P], Action[T] | Step[T]], /) -> Step[T]:
        """The step of a function."""
        ...


@final
class _NoFunction:
    """Nothing is one: for a type checker, the second form of `step` takes no function."""


# A function whose inputs are defaults can be called with a context alone: that is the first form. The second is for
# mypy, which binds P by the keywords of the call and then compares names and types with the function's. The third is
# for checkers that do not: they let the second go by, and names are checked when the decorator runs.
@overload
def step(function: Callable[[HostContext], Action[T] | Step[T]], /) -> Step[T]: ...
@overload
def step(nothing: _NoFunction = ..., /, *args: P.args, **inputs: P.kwargs) -> Decorator[P]: ...
@overload
def step(**inputs: Any) -> Decorator[...]: ...  # type: ignore[overload-cannot-match]  # not by mypy
def step(*args: Any, **inputs: Any) -> Any:
    """Make a step of a pure function of a `HostContext` and declared inputs.

    >>> @step
    ... def greet(ctx: HostContext) -> Action[Output]:
    ...     return cmd("echo", "hello", ctx.host.name)
    >>> greet
    Step('greet')

    The function must not act: it is called before anything runs, and again for plans.

    Args:
        args: The function itself, where used without parentheses.
        inputs: `from_here(…)`, `from_one(…)`, `from_all(…)` by parameter; or give them as defaults in the signature.

    Raises:
        InvalidError: Inputs and parameters do not fit together.
    """
    if args and (len(args) > 1 or not callable(args[0])):
        raise InvalidError("@step takes inputs by name", "write @step(token=from_one(token))")

    _check_inputs(inputs, "@step")

    def decorate(function: Callable[..., Any]) -> Step[Any]:
        name = getattr(function, "__name__", type(function).__name__)
        check_answers(function, f"step {name!r}", "a step is a pure function: let it return an action")
        declared = _declared(function, inputs, f"step {name!r}")
        return Step(name=check_name(name, "step", slash=True), build=function, inputs=declared)

    return decorate(args[0]) if args else decorate
