"""Mistakes of a caller: raised at the call that made them. Trouble on a host is never raised, it is a value."""

from __future__ import annotations

from attrs import frozen


class KxflowError(Exception):
    """The common parent of every error that kxflow raises."""


@frozen
class InvalidError(KxflowError, ValueError):
    """An argument that cannot be meant.

    Attributes:
        what: What is wrong.
        remedy: What to do about it.
    """

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


@frozen
class MissingPackageError(KxflowError, ImportError):
    """Something was asked for that needs a package which kxflow does not bring along.

    Attributes:
        what: What was asked for, and what it needs.
        remedy: What to install.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@frozen
class UnknownHostError(KxflowError, LookupError):
    """A host name that the cluster does not hold.

    Attributes:
        host: The name that was asked for.
        near: Names that the cluster holds and that are like it.
    """

    host: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        guess = " or ".join(map(repr, self.near))
        remedy = f"did you mean {guess}?" if guess else "`cluster.names` lists all."
        return f"no host {self.host!r} in the cluster: {remedy}"


@frozen
class Problem:
    """One thing that is wrong with a pipeline or an inventory.

    Attributes:
        where: Path in the pipeline (`deploy/web/join/start`) or place in a file (`hosts.toml:12`).
        what: What is wrong there.
        remedy: What to do about it.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.remedy})" if self.remedy else "")


@frozen
class ProblemsError(KxflowError, ValueError):
    """Several problems, all of them, found before any host was touched.

    Attributes:
        problems: In the order in which they were found.
    """

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@frozen
class CompositionError(ProblemsError):
    """A pipeline that does not fit together, or does not fit its cluster.

    Attributes:
        problems: Each names its place in the pipeline.
    """


@frozen
class InventoryError(ProblemsError):
    """An inventory that cannot be read.

    Attributes:
        problems: Each names its file and line.
    """


@frozen
class MergeError(KxflowError, ValueError):
    """Two reports that say different things of one and the same step on one host.

    Attributes:
        path, host: Of that step.
    """

    path: str
    host: str

    def __str__(self) -> str:
        return f"two different results for {self.path} on {self.host}: these reports are not of one run"


@frozen
class UnencodableError(KxflowError, TypeError):
    """A value that has no place in a result: it is not data."""

    kind: str

    def __str__(self) -> str:
        return f"a {self.kind} is not data: give numbers, text, bytes, None, lists or mappings of them"
