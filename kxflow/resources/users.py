"""An account: its number, groups, home, shell and password."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, TypeAlias

from kxflow.flow.ensure import ensure
from kxflow.flow.step import Step
from kxflow.resources.accounts import keep_root, login_name, names, number
from kxflow.resources.paths import Account, PathLike, remote_path
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.shadow import GIVEN, User
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import Ensured

Expiry: TypeAlias = dt.date | str

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH: Final = dt.date(1970, 1, 1)
_HASH: Final = re.compile(rb"\$[0-9A-Za-z-]+\$[!-9;-~]+|[./0-9A-Za-z]{13}|[*!]{1,2}")


def user(
    login: str,
    *,
    uid: int | None = None,
    group: Account | None = None,
    groups: Iterable[str] | None = None,
    append: bool = False,
    shell: str | None = None,  # its login shell
    home: PathLike | None = None,
    comment: str | None = None,
    password: Secret | None = None,
    locked: bool | None = None,
    expires: Expiry | None = None,
    system: bool = False,
    create_home: bool | None = None,
    remove_home: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """An account with this number, groups, home, shell and password; what is not given is left as it is.

    >>> user("deploy", shell="/bin/bash", groups=["sudo"])
    Step('user deploy')

    States: `present`, `absent`. Probe: `getent passwd` and `id`, and `getent shadow` for password, lock and expiry.
    The host needs useradd, usermod, userdel, gpasswd, chpasswd and chage, and root.

    An account that is in use is not removed, nor given another number or home: the tools say so. Undo brings the entry
    back as it was, with its password, and makes it an administrator of the groups that it was one of; it takes a home
    away only where that still is as every new one. A home that `remove_home` took cannot be brought back, nor a
    password from a record: none holds one.

    Args:
        login: Its name.
        uid: Its number; the files below its home get it, too.
        group: Its own group, by name or number.
        groups: All further groups that it is a member of; with `append`, those that it is a member of at least.
        append: Other groups stay.
        shell: Path of its login shell.
        home: Path; a changed one is not moved.
        comment: Its full name, mostly.
        password: A hash as crypt(3) gives it, or `Secret("*")` for none; a lock stays, unless `locked` is given.
        locked: Nobody gets in by its password; keys still do.
        expires: The first day on which nobody gets in at all: a date, also as text (`"2030-01-01"`), or `"never"`.
        system: Where it is made: with a number of the system's, and without a home.
        create_home: Its home is to be there; where not given it is made with the account.
        remove_home: Absent: its home goes with it.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name, number, path or text that cannot be, a password that is no hash; absent, and with more,
            or root.
    """
    its = User(
        login_name(login),
        password=password,
        among=names(groups or (), "groups", "group") if append else (),
        system=system,
        homes=not system if create_home is None else create_home,
        clears="home" if remove_home else "keep",
    )
    wanted = {
        "user": login,
        **({} if uid is None else {"uid": number(uid, "uid")}),
        **_primary(group),
        **_memberships(its, groups, append=append),
        **({} if comment is None else {"comment": _field(comment, "comment")}),
        **({} if home is None else {"home": _field(remote_path(home, "home"), "home")}),
        **({} if shell is None else {"shell": _field(remote_path(shell, "shell"), "shell")}),
        **_secret(login, password),
        **({} if locked is None else {"locked": "yes" if locked else "no"}),
        **({} if expires is None else {"expires": _days(expires)}),
        **({"folder": "yes"} if create_home else {}),
    }
    if state not in ("present", "absent"):
        raise InvalidError(f"user {login}: state={state!r}", 'write "present" or "absent"')
    if not is_wanted(state, f"user {login}"):
        if len(wanted) > 1 or append or system or create_home is not None:
            raise InvalidError(f"user {login}: absent, and with more than its name", "give the name only")
        keep_root(login, "user")
        return ensure(its, None, name=name, content=its.kept(None))
    if remove_home:
        raise InvalidError(f"user {login}: remove_home= and present", 'it goes with state="absent"')
    return ensure(its, wanted, name=name, content=its.kept(wanted))


def _primary(group: Account | None) -> dict[str, str]:
    if group is None:
        return {}
    return {"gid": number(group, "group")} if isinstance(group, int) else {"group": login_name(group, "group")}


def _memberships(its: User, groups: Iterable[str] | None, *, append: bool) -> dict[str, str]:
    if groups is None:
        if append:
            raise InvalidError(f"user {its.login}: append= without groups=", "give the groups")
        return {}
    if append:
        return {"among": ",".join(its.among)}
    return {"groups": ",".join(names(groups, "groups", "group"))}


def _field(value: str, what: str) -> str:
    if ":" in value or any(ord(each) < 0x20 or ord(each) == 0x7F for each in value):
        raise InvalidError(f"{what} {value!r} cannot be one", "no colons, line breaks or control characters")
    return value


def _secret(login: str, password: Secret | None) -> dict[str, str]:
    if password is None:
        return {}
    if not isinstance(password, Secret):
        raise InvalidError(f"user {login}: the password is no Secret", "give Secret(hash)")
    if not _HASH.fullmatch(password.raw):
        raise InvalidError(f"user {login}: the password is no hash", "make one: openssl passwd -6")
    return {"password": GIVEN}


def _days(expires: object) -> str:
    if expires == "never":
        return "never"
    day = expires
    if isinstance(expires, str) and _DAY.fullmatch(expires):
        with suppress(ValueError):  # the 30th of February
            day = dt.date.fromisoformat(expires)
    if isinstance(day, dt.datetime):
        day = day.date()
    if not isinstance(day, dt.date) or day < _EPOCH:
        raise InvalidError(f"expires={expires!r} cannot be", 'give a day from 1970 on, as "2030-01-01", or "never"')
    return str((day - _EPOCH).days)
