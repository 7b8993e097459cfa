"""Which hosts: pure functions from a cluster to its hosts, in its order."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final, NoReturn

from attrs import frozen

from kxflow.values.arguments import check_answers, check_takes, kind
from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, valid_role


class Selector:
    """A pure function from a cluster to ordered hosts; `&`, `|`, `~` combine, `str()` is the text form."""

    __slots__ = ()

    def holds(self, cluster: Cluster) -> frozenset[str]:
        """Names of the hosts that it takes."""
        raise TypeError("use role, host, all_hosts, where or first")

    def __call__(self, cluster: Cluster) -> tuple[Host, ...]:
        names = self.holds(cluster)
        return tuple(each for each in cluster.hosts if each.name in names)

    def __and__(self, other: Selector) -> Selector:
        return And((*_flat(self, And), *_flat(as_selector(other, "&"), And)))

    def __or__(self, other: Selector) -> Selector:
        return Or((*_flat(self, Or), *_flat(as_selector(other, "|"), Or)))

    def __invert__(self) -> Selector:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("a selector has no truth value: combine with & | ~, or call it with a cluster")


def as_selector(value: Any, where: str) -> Selector:
    """A selector as it is.

    Raises:
        InvalidError: It is none.
    """
    if not isinstance(value, Selector):
        raise InvalidError(f"{where} got {value!r}, which is no selector", 'write role("web"), host("web1"), where(…)')
    return value


@frozen(str=False)
class All(Selector):
    """Every host."""

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(cluster.names)

    def __str__(self) -> str:
        return "all"


@frozen(str=False)
class Role(Selector):
    """Hosts with a role."""

    role: str

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(each.name for each in cluster.hosts if self.role in each.roles)

    def __str__(self) -> str:
        return f"role:{self.role}"


@frozen(str=False)
class Named(Selector):
    """The host of a name, or hosts by a pattern with `*`, `?`, `[…]`."""

    pattern: str

    def holds(self, cluster: Cluster) -> frozenset[str]:
        if self.pattern in cluster:
            return frozenset({self.pattern})
        return frozenset(name for name in cluster.names if fnmatchcase(name, self.pattern))

    def __str__(self) -> str:
        return f"host:{self.pattern}"


@frozen(str=False)
class Where(Selector):
    """Hosts for which a function says so."""

    function: Callable[[Host], bool]

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(each.name for each in cluster.hosts if self.function(each))

    def __str__(self) -> str:
        return f"where({getattr(self.function, '__name__', 'function')})"


@frozen(str=False)
class First(Selector):
    """The first host that another selector takes."""

    inner: Selector

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(each.name for each in self.inner(cluster)[:1])

    def __str__(self) -> str:
        return f"first({self.inner})"


@frozen(str=False)
class And(Selector):
    """Hosts that all of them take."""

    members: tuple[Selector, ...]

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset.intersection(*(each.holds(cluster) for each in self.members))

    def __str__(self) -> str:
        return " & ".join(f"({each})" if isinstance(each, Or) else str(each) for each in self.members)


@frozen(str=False)
class Or(Selector):
    """Hosts that one of them takes."""

    members: tuple[Selector, ...]

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset.union(*(each.holds(cluster) for each in self.members))

    def __str__(self) -> str:
        return " | ".join(map(str, self.members))


@frozen(str=False)
class Not(Selector):
    """Hosts that another does not take."""

    inner: Selector

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(cluster.names) - self.inner.holds(cluster)

    def __str__(self) -> str:
        return f"~({self.inner})" if isinstance(self.inner, And | Or) else f"~{self.inner}"


def _flat(selector: Selector, layer: type[And | Or]) -> tuple[Selector, ...]:
    """Its members, where it is of that class: hundreds of hosts by name are one level, not hundreds."""
    return selector.members if isinstance(selector, layer) else (selector,)


def _joined(found: list[Selector], layer: type[And | Or]) -> Selector:
    return found[0] if len(found) == 1 else layer(tuple(each for part in found for each in _flat(part, layer)))


all_hosts: Final[Selector] = All()


def role(name: str) -> Selector:
    """Hosts with a role.

    >>> [each.name for each in role("db")(Cluster([Host("web1", roles={"web"}), Host("db1", roles={"db"})]))]
    ['db1']

    Raises:
        InvalidError: No role can have that name.
    """
    if not isinstance(name, str) or not valid_role(name):
        raise InvalidError(f"role {name!r} cannot be a role's name", "use letters, digits and _.-")
    return Role(name)


def host(name: str) -> Selector:
    """The host of that name, or hosts by a pattern with `*`, `?`, `[…]`.

    Raises:
        InvalidError: No host can have that name, and it is no pattern of one.
    """
    if not isinstance(name, str) or not _PATTERN.match(name):
        raise InvalidError(f"host {name!r} cannot be a name or pattern", "use letters, digits, ._:- and * ? [ ] !")
    return Named(name)


def where(function: Callable[[Host], bool]) -> Selector:
    """Hosts for which a pure function says so.

    Raises:
        InvalidError: It is no function of one host.
    """
    remedy = "give a function of a host: where(lambda host: …)"
    check_answers(function, "where()", remedy)
    check_takes(function, "where()", remedy, takes=1)
    return Where(function)


def first(selector: Selector) -> Selector:
    """The first host, in the cluster's order, that a selector takes.

    Raises:
        InvalidError: It is no selector.
    """
    return First(as_selector(selector, "first()"))


_PATTERN: Final = re.compile(r"[A-Za-z0-9._:*?\[\]!-]+\Z")
_EXAMPLE: Final = "for example: role:db & ~host:db1, or web1 | web2"
_DEPTH: Final = 50  # five calls of Python each
_TOKEN: Final = re.compile(r"\s*(?:(?P<mark>[&|~()])|(?P<name>[^\s&|~()]+))")


def selector(text: str) -> Selector:
    """Read the text form: `role:db & ~host:db1`, `all`, `first(role:web)`, `web1 | web2`, `host:web*`.

    `~` binds closest, then `&`, then `|`; a bare word is a host's name or pattern.

    >>> str(selector("role:db & ~host:db1"))
    'role:db & ~host:db1'

    Raises:
        InvalidError: It cannot be read; the message says from where on.
    """
    if not isinstance(text, str):
        raise InvalidError(f"a selector's text is {kind(text)}", _EXAMPLE)
    reader = _Reader(text)
    found = reader.either()
    reader.end()
    return found


class _Reader:
    """Recursive descent over the text form; nesting is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(m.group().strip(), m.start()) for m in _TOKEN.finditer(text)]
        self.place = 0
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, mark: str) -> bool:
        if self.peek() != mark:
            return False
        self.place += 1
        return True

    def wrong(self, what: str) -> InvalidError:
        rest = self.text[self.tokens[self.place][1] :].strip() if self.place < len(self.tokens) else "the end"
        return InvalidError(f"selector {self.text!r}: {what} at {rest!r}", _EXAMPLE)

    def either(self) -> Selector:
        found = [self.every()]
        while self.take("|"):
            found.append(self.every())
        return _joined(found, Or)

    def every(self) -> Selector:
        found = [self.one()]
        while self.take("&"):
            found.append(self.one())
        return _joined(found, And)

    def one(self) -> Selector:
        self.depth += 1
        if self.depth > _DEPTH:
            raise self.wrong("nested too deeply")
        if self.take("~"):
            found: Selector = Not(self.one())
        else:
            found = self.closed() if self.take("(") else self.word()
        self.depth -= 1
        return found

    def closed(self) -> Selector:
        found = self.either()
        if not self.take(")"):
            raise self.wrong("a closing parenthesis is missing")
        return found

    def word(self) -> Selector:
        word = self.peek()
        if not word or word in "&|~()":
            raise self.wrong("a host or role is missing")
        self.place += 1
        if word == "first" and self.take("("):
            return First(self.closed())
        what, colon, name = word.partition(":")
        try:
            if colon and what == "role":
                return role(name)
            if colon and what == "host":
                return host(name)
            return all_hosts if word == "all" else host(word)
        except InvalidError as error:
            self.place -= 1
            raise self.wrong(error.what) from None

    def end(self) -> None:
        if self.place < len(self.tokens):
            raise self.wrong("& or | is missing")
