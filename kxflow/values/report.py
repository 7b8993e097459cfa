"""Every result of a run, as one value that adds up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import asdict, astuple, field, frozen
from frozendict import frozendict

from kxflow.values.errors import MergeError, MissingPackageError
from kxflow.values.fault import Fault
from kxflow.values.freeze import alike
from kxflow.values.output import Output
from kxflow.values.result import Position, Results, Status, StepResult

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]  # the user's own; no stubs needed for one name


def in_order(results: Iterable[StepResult]) -> Results:
    """Canonical order; results that are there twice and equal count once.

    Raises:
        MergeError: Two results of one step on one host differ.
    """
    by_key: dict[tuple[Position, str], StepResult] = {}
    for each in results:
        known = by_key.setdefault(each.key, each)
        if known is not each and not alike(known, each):
            raise MergeError(each.path, each.host)
    return tuple(by_key[key] for key in sorted(by_key))


def each_once(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Faults of a run, each once; sorted, so that reports add up in any order."""
    return tuple(sorted(set(faults), key=astuple))


@frozen(repr=False)
class Report:
    """Every result of a run in canonical order (module, task, step, host), and what went wrong with the run itself.

    Reports are a monoid: `Report.empty` is neutral, `+` merges by position, in any order.

    Attributes:
        results: Each address once.
        faults: Of the run itself: interrupted, a sink could not write.

    Raises:
        MergeError: Two results of one step on one host differ.
    """

    results: Results = field(default=(), converter=in_order)
    faults: tuple[Fault, ...] = field(default=(), converter=each_once)

    if TYPE_CHECKING:
        empty: Report

    def __add__(self, other: Report) -> Report:
        if not isinstance(other, Report):
            return NotImplemented
        return Report((*self.results, *other.results), (*self.faults, *other.faults))

    @staticmethod
    def merge(reports: Iterable[Report]) -> Report:
        """The sum of many, in one pass."""
        several = tuple(reports)
        results = [result for each in several for result in each.results]
        return Report(results, tuple(fault for each in several for fault in each.faults))

    @property
    def succeeded(self) -> bool:
        """No untolerated fault, nothing left unrun because of one, nothing wrong with the run itself."""
        return not self.faults and not any(each.spoils for each in self.results)

    ok = succeeded

    @property
    def run(self) -> str:
        """Id of the run; empty where there is no result."""
        return self.results[0].run if self.results else ""

    @property
    def pipeline(self) -> str:
        """Name of the pipeline; empty where there is no result."""
        return self.results[0].pipeline if self.results else ""

    def by_host(self) -> Mapping[str, Results]:
        """Results of each host."""
        return _grouped((each.host, each) for each in self.results)

    def by_status(self) -> Mapping[Status, Results]:
        """Results of each status that there is."""
        return _grouped((each.status, each) for each in self.results)

    def by_path(self) -> Mapping[str, Results]:
        """Results of each step, by its path."""
        return _grouped((each.path, each) for each in self.results)

    @property
    def tally(self) -> Mapping[Status, int]:
        """How many results have each status; every status is there."""
        counts = dict.fromkeys(Status, 0)
        for each in self.results:
            counts[each.status] += 1
        return frozendict(counts)

    @property
    def faulty(self) -> Results:
        """Results with an untolerated fault."""
        return tuple(each for each in self.results if each.status.fault and not each.tolerated)

    @property
    def first_fault(self) -> StepResult | None:
        """The untolerated fault that ended first; results read from a log have their times too."""
        return min(self.faulty, key=lambda each: (each.ended_at, each.key), default=None)

    def durations(self) -> Mapping[str, float]:
        """Seconds by step path, summed over hosts."""
        sums: dict[str, float] = {}
        for each in self.results:
            sums[each.path] = sums.get(each.path, 0.0) + each.duration
        return frozendict(sums)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One plain dict a result: enums by name, outputs as text, times as `datetime`."""
        return [_plain(each) for each in self.results]

    def to_pandas(self) -> pd.DataFrame:
        """One row a result.

        Raises:
            MissingPackageError: pandas is not installed; it is an ImportError, too.
        """
        try:
            import pandas as pd  # the user's own; nothing else needs it
        except ImportError:
            raise MissingPackageError("to_pandas() needs pandas", "pip install 'kxflow[pandas]'") from None

        return pd.DataFrame(self.to_dicts())

    def __getitem__(self, address: tuple[str, str]) -> StepResult:
        """The one result with this path (or its last parts) on this host.

        Raises:
            LookupError: None, or several.
            TypeError: No path and host.
        """
        if not isinstance(address, tuple) or len(address) != 2:
            raise TypeError(f'report[{address!r}] names no result: write report["module/task/step", "host"]')
        path, host = address
        found = [
            each for each in self.results if each.host == host and (each.path == path or each.path.endswith("/" + path))
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} results for {path!r} on {host!r}: `report.by_path()` lists the paths")
        return found[0]

    def __iter__(self) -> Iterator[StepResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __bool__(self) -> NoReturn:
        raise TypeError("a Report has no truth value: ask `report.succeeded`")

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status.name}" for status, n in self.tally.items() if n)
        word = "succeeded" if self.succeeded else "failed"
        return f"Report({self.pipeline or 'empty'} {word}: {counts or 'no results'})"

    def _repr_html_(self) -> str:
        return _report_html(self)


Report.empty = Report()


def _grouped(pairs: Iterable[tuple[Any, StepResult]]) -> Mapping[Any, Results]:
    groups: dict[Any, list[StepResult]] = {}
    for key, each in pairs:
        groups.setdefault(key, []).append(each)
    return frozendict({key: tuple(members) for key, members in groups.items()})


def _plain(result: StepResult) -> dict[str, Any]:
    def simple(_: object, __: object, value: Any) -> Any:
        if isinstance(value, Status):
            return value.name
        return str(value) if isinstance(value, Output) else value

    row = asdict(result, recurse=False, value_serializer=simple, filter=lambda a, _: a.name != "payload")
    row["path"] = result.path
    row["position"] = tuple(result.position)
    row["error"] = None if result.error is None else str(result.error)
    row["change"] = None if result.change is None else asdict(result.change)
    row["attempts"] = len(result.attempts)
    return row


def _report_html(report: Report) -> str:
    """A table for notebooks: a summary line, then faults first."""
    from kxflow.values.markup import Block, line, table, title

    rows = sorted(report.results, key=lambda each: not each.spoils)
    cells = ((*_cells(each), Block(last_lines(each))) for each in rows)
    columns = ("host", "step", "status", "reason", "seconds", "last output")
    told = title(repr(report)[len("Report(") : -1]) + "".join(map(line, report.faults))
    return told + table(columns, cells, total=len(rows))


def _cells(result: StepResult) -> tuple[str, ...]:
    path = "/".join((result.module, result.task, result.step))
    return (result.host, path, result.status.name, result.reason, f"{result.duration:.2f}")


def last_lines(result: StepResult, most: int = 3) -> str:
    """The end of what a step wrote: of stderr, or of stdout where that is empty."""
    output = result.stderr if result.stderr.size else result.stdout
    return "\n".join(line[-200:] for line in output.lines()[-most:])
