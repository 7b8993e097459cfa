"""Every result of a run, as one value that adds up."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import asdict, field, frozen
from frozendict import frozendict

from kxflow.values.errors import MergeError
from kxflow.values.fault import Fault
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
        if known is not each and known != each:
            raise MergeError(each.path, each.host)
    return tuple(by_key[key] for key in sorted(by_key))


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
    faults: tuple[Fault, ...] = ()

    if TYPE_CHECKING:
        empty: Report

    def __add__(self, other: Report) -> Report:
        if not isinstance(other, Report):
            return NotImplemented
        extra = tuple(each for each in other.faults if each not in self.faults)
        return Report((*self.results, *other.results), (*self.faults, *extra))

    @staticmethod
    def merge(reports: Iterable[Report]) -> Report:
        """The sum of many, in one pass."""
        several = tuple(reports)
        results = [result for each in several for result in each.results]
        faults = tuple(dict.fromkeys(fault for each in several for fault in each.faults))
        return Report(results, faults)

    @property
    def succeeded(self) -> bool:
        """No untolerated fault, nothing left unrun, nothing wrong with the run itself."""
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
            ImportError: pandas is not installed.
        """
        import pandas as pd  # the user's own; nothing else needs it

        return pd.DataFrame(self.to_dicts())

    def __getitem__(self, address: tuple[str, str]) -> StepResult:
        """The one result with this path (or its last parts) on this host.

        Raises:
            LookupError: None, or several.
        """
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
    row["attempts"] = len(result.attempts)
    return row


def _report_html(report: Report, most: int = 200) -> str:
    """A table for notebooks: a summary line, then faults first; everything from hosts is escaped."""
    rows = sorted(report.results, key=lambda each: not each.spoils)[:most]
    head = f"<p><b>{html.escape(repr(report)[7:-1])}</b></p>"
    faults = "".join(f"<p>{html.escape(str(fault))}</p>" for fault in report.faults)
    body = "".join(_row_html(each) for each in rows)
    more = f"<p>… and {len(report) - len(rows)} more</p>" if len(report) > len(rows) else ""
    columns = "".join(f"<th>{name}</th>" for name in ("host", "step", "status", "reason", "seconds", "output"))
    return f"{head}{faults}<table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>{more}"


def last_lines(result: StepResult, most: int = 3) -> str:
    """The end of what a step wrote: of stderr, or of stdout where that is empty."""
    output = result.stderr if result.stderr.size else result.stdout
    return "\n".join(line[-200:] for line in output.lines()[-most:])


def _row_html(result: StepResult) -> str:
    cells = (
        result.host,
        "/".join((result.module, result.task, result.step)),
        result.status.name,
        result.reason,
        f"{result.duration:.2f}",
    )
    texts = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{texts}<td><pre>{html.escape(last_lines(result))}</pre></td></tr>"
