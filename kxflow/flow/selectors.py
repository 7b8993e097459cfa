"""Which hosts: pure functions from a cluster to its hosts, in its order."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final, NoReturn

from attrs import frozen

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host


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
        return And(self, other)

    def __or__(self, other: Selector) -> Selector:
        return Or(self, other)

    def __invert__(self) -> Selector:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("a selector has no truth value: combine with & | ~, or call it with a cluster")


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
    """Hosts that both take."""

    one: Selector
    other: Selector

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return self.one.holds(cluster) & self.other.holds(cluster)

    def __str__(self) -> str:
        return f"{_inner(self.one)} & {_inner(self.other)}"


@frozen(str=False)
class Or(Selector):
    """Hosts that one of the two takes."""

    one: Selector
    other: Selector

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return self.one.holds(cluster) | self.other.holds(cluster)

    def __str__(self) -> str:
        return f"{self.one} | {self.other}"


@frozen(str=False)
class Not(Selector):
    """Hosts that another does not take."""

    inner: Selector

    def holds(self, cluster: Cluster) -> frozenset[str]:
        return frozenset(cluster.names) - self.inner.holds(cluster)

    def __str__(self) -> str:
        return f"~({self.inner})" if isinstance(self.inner, And | Or) else f"~{self.inner}"


def _inner(selector: Selector) -> str:
    return f"({selector})" if isinstance(selector, Or) else str(selector)


all_hosts: Final[Selector] = All()


def role(name: str) -> Selector:
    """Hosts with a role.

    >>> [each.name for each in role("db")(Cluster([Host("web1", roles={"web"}), Host("db1", roles={"db"})]))]
    ['db1']
    """
    return Role(name)


def host(name: str) -> Selector:
    """The host of that name, or hosts by a pattern with `*`, `?`, `[…]`."""
    return Named(name)


def where(function: Callable[[Host], bool]) -> Selector:
    """Hosts for which a pure function says so."""
    return Where(function)


def first(selector: Selector) -> Selector:
    """The first host, in the cluster's order, that a selector takes."""
    return First(selector)


_TOKEN: Final = re.compile(r"\s*(?:(?P<mark>[&|~()])|(?P<name>[^\s&|~()]+))")


def selector(text: str) -> Selector:
    """Read the text form: `role:db & ~host:db1`, `all`, `first(role:web)`, `web1 | web2`, `host:web*`.

    `~` binds closest, then `&`, then `|`; a bare word is a host's name or pattern.

    >>> str(selector("role:db & ~host:db1"))
    'role:db & ~host:db1'

    Raises:
        InvalidError: It cannot be read; the message says from where on.
    """
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
        return InvalidError(f"selector {self.text!r}: {what} at {rest!r}", "for example: role:db & ~host:db1")

    def either(self) -> Selector:
        found = self.every()
        while self.take("|"):
            found = Or(found, self.every())
        return found

    def every(self) -> Selector:
        found = self.one()
        while self.take("&"):
            found = And(found, self.one())
        return found

    def one(self) -> Selector:
        self.depth += 1
        if self.depth > 200:
            raise self.wrong("nested too deeply")
        if self.take("~"):
            return Not(self.one())
        if self.take("("):
            return self.closed()
        return self.word()

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
        kind, colon, name = word.partition(":")
        if colon and kind == "role" and name:
            return Role(name)
        if colon and kind == "host" and name:
            return Named(name)
        if colon and kind in ("role", "host"):
            raise self.wrong("a name is missing")
        return All() if word == "all" else Named(word)

    def end(self) -> None:
        if self.place < len(self.tokens):
            raise self.wrong("& or | is missing")
