"""What all clones of a fleet stand on: made once, in a clone whose changes lie below those of the others."""

from __future__ import annotations

from kxflow.testing.accounts import Login, write_rule
from kxflow.testing.clone_host import Clone, bring_up
from kxflow.testing.clone_keeper import Keeper
from kxflow.testing.clone_plan import BASE, Plan
from kxflow.testing.clone_points import Point
from kxflow.testing.missing import MissingError
from kxflow.values.errors import InvalidError


def lay_base(keeper: Keeper, covered: tuple[Point, ...], hosts: str, prepare: str, accounts: tuple[Login, ...]) -> bool:
    """Run a text for a shell, and add accounts; whether there was anything to do.

    Raises:
        InvalidError: The text failed.
        MissingError: An account cannot be made.
    """
    if not prepare and not accounts:
        return False
    plan = Plan(folder=BASE, name="kxflow-base", points=covered, personal=keeper.personal)
    clone = Clone(plan, keeper, hosts)
    try:
        clone.furnish()
        bring_up([clone])
        if prepare:
            _prepare(clone, prepare)
        for each in accounts:
            _add(clone, each)
        clone.kill()
    finally:
        clone.close()
    return True


def _prepare(clone: Clone, text: str) -> None:
    done = clone.run(("sh", "-c", text))
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise InvalidError(f"prepare= ended with {done.returncode}", said[-500:] or "it said nothing")


def _add(clone: Clone, login: Login) -> None:
    entries = (clone.root / "etc/passwd").read_text("utf-8", "replace").splitlines()
    if not any(line.startswith(f"{login.name}:") for line in entries):
        _must(clone, "useradd", "--create-home", "--shell", login.shell, "--password", "*", login.name)
    if login.password is not None:
        _must(clone, "chpasswd", stdin=login.name.encode() + b":" + login.password.raw + b"\n")
    if login.sudo is not None:
        _must(clone, "sudo", "-V")
        write_rule(clone.root / f"etc/sudoers.d/kxflow-{login.name}", login.rule)


def _must(clone: Clone, *argv: str, stdin: bytes = b"") -> None:
    done = clone.run(argv, stdin)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise MissingError(f"{argv[0]} does not do its work in the clone", said or f"it ended with {done.returncode}")
