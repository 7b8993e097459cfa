"""Accounts of this machine that live as long as a test: with a login shell, a password, a rule for sudo."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from kxflow.testing.fleet import end
from kxflow.testing.missing import MissingError, program
from kxflow.values.errors import InvalidError
from kxflow.values.host import valid_user
from kxflow.values.secret import Secret

Sudo: TypeAlias = Literal["nopasswd", "password"]

_RULES: Final = Path("/etc/sudoers.d")
_LOCK: Final = Path("/run/lock/kxflow-accounts.lock")
_SECONDS: Final = 30
_ROUNDS: Final = 10


@frozen
class Account:
    """An account that was made.

    Attributes:
        name: Login name.
        home: Its home folder.
        uid: Its number.
        shell: Path of its login shell.
        password: What it was given.
    """

    name: str
    home: Path
    uid: int
    shell: str
    password: Secret | None = field(default=None, repr=False)


def _as_secret(value: str | Secret | None) -> Secret | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


@frozen
class Login:
    """An account that the hosts of a fleet of clones are to have, and this machine not.

    Attributes:
        name: Login name; where there is one of that name already, it stays, and gets the rest.
        password: What it is given; None lets nobody in by password.
        sudo: May become anybody, without or with its password; None gives no rule.
        shell: Program of the clones, by path.

    Raises:
        InvalidError: The name cannot be one.
    """

    name: str
    password: Secret | None = field(default=None, converter=_as_secret, kw_only=True, repr=False)
    sudo: Sudo | None = field(default=None, kw_only=True)
    shell: str = field(default="/bin/sh", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not valid_user(self.name):
            raise InvalidError(f"account {self.name!r} cannot be made", "use letters, digits and ._-")

    @property
    def rule(self) -> str:
        """Its lines for sudoers(5); empty without one."""
        return rule_text(self.name, self.sudo) if self.sudo is not None else ""


@contextmanager
def account(
    name: str,
    *,
    shell: str = "sh",
    password: str | None = None,
    sudo: Sudo | None = None,
) -> Iterator[Account]:
    """Make an account, and remove it with its home and its processes. Root only.

    Args:
        name: Login name; there must be none of that name yet.
        shell: Program or path.
        password: None lets nobody in by password; the account is not locked, so keys do.
        sudo: May become anybody, without or with its password; None gives no rule.

    Raises:
        MissingError: Not root, or a program is not installed.
        InvalidError: The name cannot be one, or is taken.
    """
    if os.getuid() != 0:
        raise MissingError("only root can make accounts", "run this as root")
    if not valid_user(name) or _exists(name):
        raise InvalidError(f"account {name!r} cannot be made", "give the name of none that exists")
    tools = [program(tool) for tool in ("useradd", "userdel", "chpasswd", *(("sudo",) if sudo else ()))]
    path = program(shell)
    rule = _RULES / f"kxflow-{name}"
    _locked([tools[0], "--create-home", "--shell", path, "--password", "*", name])
    try:
        if password is not None:
            _locked([tools[2]], f"{name}:{password}\n".encode())
        if sudo is not None:
            write_rule(rule, rule_text(name, sudo))
        entry = pwd.getpwnam(name)
        yield Account(name, Path(entry.pw_dir), entry.pw_uid, path, None if password is None else Secret(password))
    finally:
        _remove(name, tools[1], rule)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def rule_text(name: str, sudo: Sudo) -> str:
    """Lines for sudoers(5)."""
    tag = "NOPASSWD: " if sudo == "nopasswd" else ""
    return f"Defaults:{name} !lecture\n{name} ALL=(ALL:ALL) {tag}ALL\n"


def write_rule(rule: Path, text: str) -> None:
    """Give sudo a rule, in a file of its own."""
    handle = os.open(rule, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o440)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _remove(name: str, userdel: str, rule: Path) -> None:
    rule.unlink(missing_ok=True)
    entry = pwd.getpwnam(name)
    for _ in range(_ROUNDS):
        found = _processes(entry.pw_uid)
        if not found:
            break
        for pid in found:
            end(pid)
    _locked([userdel, "--force", name])
    shutil.rmtree(entry.pw_dir, ignore_errors=True)


def _processes(uid: int) -> set[int]:
    found = set()
    for each in os.scandir("/proc"):
        try:
            if each.name.isdecimal() and each.stat().st_uid == uid:
                found.add(int(each.name))
        except OSError:
            continue
    return found


def _locked(argv: list[str], stdin: bytes | None = None) -> None:
    """Run a tool while no other test does: two at once find `/etc/passwd` locked and give up."""
    with _LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise MissingError(f"{argv[0]} failed", done.stderr.decode("utf-8", "replace").strip()[-300:])
