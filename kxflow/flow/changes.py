"""What is to follow where something was changed: in this run, or in an earlier one that did not get so far."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import evolve

from kxflow.flow.step import Step, Steps, flatten
from kxflow.values.action import Action, Both, Command, Pending, commands_of, pend
from kxflow.values.errors import InvalidError
from kxflow.values.host import Become

ROOT: Final = "root"


def on_change(*steps: Step[Any] | Steps, then: Step[Any] | Steps | Iterable[Step[Any] | Steps]) -> Steps:
    """Steps, and behind them what is to follow on a host where one of them changed something.

    >>> from kxflow.resources import file, restart_service
    >>> on_change(file("/etc/motd", content="hi"), then=restart_service("cron")).members
    (Step('file /etc/motd'), Step('restart cron'))

    What follows runs at once, in order, and only where one of the steps did something: it was not Skipped, or failed
    after it had begun. Elsewhere it is Skipped (`unchanged`). A run that dies or fails before what follows has ended
    well leaves a mark on the host (for root below `/var/lib/kxflow/pending`, else in the state folder of the user),
    and the next run takes it up, though the steps themselves have nothing to do any more. A failure that is ignored or
    rescued counts as ended. No round trip is added.

    A rollback that takes such a change back does behind it what followed, once more and as one step, so that what runs
    agrees with what was restored; also where it had not come to that, as an earlier run may have left it to do. Of what
    follows, resources and commands with `undo=` are taken back instead; `restart_service` has nothing to do where the
    undo took the service away, or stopped it. Where it fails, the rest is taken back all the
    same, and the mark stays for the next run.

    The mark is known by the names of the steps, and by those of the things that they ensure: keep them. What follows
    may be something else the next time. Steps and what follows may act as different users; where none of two is root,
    that fails on the host, as one cannot see the marks of the other.

    Where what follows ends with a step that may never reach the host (with a `when`, a function, a rescue) a step
    `on_change …` is added behind it, that takes the mark away.

    Args:
        steps: Commands and resources.
        then: One or several of the same.

    Raises:
        InvalidError: None of either, or a step that the host itself does not do: on the controller, or by `.on(…)`.
    """
    changing = flatten(steps)
    following = flatten((then,) if isinstance(then, Step | Steps) else then)
    if not changing or not following:
        raise InvalidError("on_change without steps", "write on_change(step, …, then=step)")
    for each in (*changing, *following):
        _check(each)
    mark = _mark(changing)
    setters, users = _users(changing), _users((*changing, *following))
    shared = len(users) > 1
    sets = Pending(mark, "sets", shared=shared)
    last = following[-1]
    alone = _plain(last) and (setters == (_user(last),) or _user(last) == ROOT)
    rest = [_with(each, _waiting(mark, "awaits", each, setters, shared)) for each in following[:-1]]
    if alone:
        rest.append(_with(last, _waiting(mark, "clears", last, setters, shared)))
    else:
        rest.append(_with(last, _waiting(mark, "awaits", last, setters, shared)))
        rest.extend(_closing(mark, each, shared, named=len(setters) > 1) for each in _last_of_each(changing, setters))
    return Steps((*(_setting(each, sets) for each in changing), *rest))


def _check(step: Step[Any]) -> None:
    if step.target is not None:
        raise InvalidError(f"on_change with step {step.name!r}, which is done elsewhere", "take .on(…) away")
    if isinstance(step.build, Action):
        try:
            pend(step.build, ())
        except InvalidError as error:
            raise InvalidError(f"step {step.name!r}: {error.what}", error.remedy) from None


def _mark(steps: Iterable[Step[Any]]) -> str:
    """A name that is the same as long as the steps have the same names and ensure the same things."""
    told = [(each.name, [*_keys(each)]) for each in steps]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _keys(step: Step[Any]) -> Iterator[tuple[str, str]]:
    if isinstance(step.build, Action):
        yield from (each.probe.key for each in commands_of(step.build) if each.probe is not None)


def _become(step: Step[Any]) -> Become | None:
    """Whom it acts as, as far as that is known here; None: as the connection does."""
    if step.escalation is not None:
        return step.escalation
    commands = commands_of(step.build) if isinstance(step.build, Action) else ()
    return next((each.become for each in commands if each.become is not None), None)


def _user(step: Step[Any]) -> str | None:
    become = _become(step)
    return None if become is None else become.user


def _users(steps: Iterable[Step[Any]]) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys(_user(each) for each in steps))


def _plain(step: Step[Any]) -> bool:
    """The host itself sees how it ends."""
    last = step.build.actions[-1] if isinstance(step.build, Both) else step.build
    return isinstance(last, Command) and not (step.conditions or step.rescued_by or step.tolerant or step.pending)


def _waiting(mark: str, role: Any, step: Step[Any], setters: tuple[str | None, ...], shared: bool) -> Pending:
    return Pending(mark, role, tuple(each for each in setters if each != _user(step)), shared)


def _with(step: Step[Any], pending: Pending) -> Step[Any]:
    return evolve(step, pending=(*step.pending, pending))


def _setting(step: Step[Any], sets: Pending) -> Step[Any]:
    """It marks that something was changed, and so do the steps that rescue it."""
    return evolve(_with(step, sets), rescued_by=tuple(_setting(each, sets) for each in step.rescued_by))


def _last_of_each(steps: tuple[Step[Any], ...], users: tuple[str | None, ...]) -> Iterator[Step[Any]]:
    for user in users:
        yield next(each for each in steps if _user(each) == user)


def _closing(mark: str, like: Step[Any], shared: bool, *, named: bool) -> Step[Any]:
    """Takes the mark of a user away, as that user."""
    who = f" of {_user(like) or 'login'}" if named else ""
    clears = Pending(mark, "clears", shared=shared)
    return Step(name=f"on_change {mark[:8]}{who}", build=Command(text=":", become=_become(like), pending=(clears,)))
