"""What a run would do, as a value: planned, looked at, saved, compared, applied later."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import asdict, evolve, field, frozen
from frozendict import frozendict

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError, KxflowError
from kxflow.values.freeze import freeze
from kxflow.values.result import Change, Position

VERSION: Final = 1
_DIFFS: Final = 50
_APART: Final = ("position", "change")
_RARE: Final = ("leaves", "unless")


class Effect(Enum):
    """What a step would do on a host.

    `fail` is what can be seen to fail already, and what no earlier step of the plan could mend.
    """

    fail = "would fail"
    change = "would change"
    none = "no change"
    unknown = "unknown"


@frozen(kw_only=True)
class Planned:
    """What one step would do on one host.

    Attributes:
        module, task, step, host: The address.
        position: Place in the canonical order.
        effect: Would fail, would change, no change, or unknown.
        reason: Why it would fail, why nothing would change, or why it is not known.
        change: Before, after and diff, where the step ensures a state and would change it; also where it would only
            because a step before it would fail: that is unknown.
        undo: Why what it would do could not be taken back; empty where it could.
        leaves: What an undo of what it would do would leave; empty where nothing, or where that is not known.
        unless: Path of the first earlier step on the host that is a command, and may touch what this was told by: it
            is foreseen as if that did not. Empty where there is none.
        digest: Of the action; empty where none could be made.
        wave: Of the roll-out of its task or module, from 0.
        side_by_side: Most hosts at work at the same time, where the task says so; else 0.
    """

    module: str
    task: str
    step: str
    host: str
    position: Position
    effect: Effect
    reason: str = ""
    change: Change | None = None
    undo: str = ""
    leaves: str = ""
    unless: str = ""
    digest: str = ""
    wave: int = 0
    side_by_side: int = 0

    @property
    def path(self) -> str:
        """Module, task and step."""
        return f"{self.module}/{self.task}/{self.step}"

    def __str__(self) -> str:
        told = "; ".join(filter(None, (self.reason, self.unless and f"unless {self.unless} touches it")))
        why = f" ({told})" if told else ""
        return f"{self.host} {self.path}: {self.effect.value}{why}"


def _origin(value: Mapping[str, Any]) -> frozendict[str, Any]:
    return frozendict({name: freeze(each) for name, each in value.items()})


def _entries(value: Iterable[Planned]) -> tuple[Planned, ...]:
    return tuple(value)


@frozen(repr=False)
class Plan:
    """What a run of a pipeline on a cluster would do, host by host and step by step.

    >>> Plan("deploy", "", "").changes
    ()

    Attributes:
        pipeline: Its name.
        fingerprint: Of the pipeline's shape.
        cluster: Digest of the cluster.
        entries: In canonical order.
        origin: Where pipeline and cluster came from, for `kxflow apply`.
    """

    pipeline: str
    fingerprint: str
    cluster: str
    entries: tuple[Planned, ...] = field(default=(), converter=_entries)
    origin: frozendict[str, Any] = field(factory=frozendict, converter=_origin, eq=False)

    @property
    def changes(self) -> tuple[Planned, ...]:
        """Entries that would change something."""
        return tuple(each for each in self.entries if each.effect is Effect.change)

    @property
    def failing(self) -> tuple[Planned, ...]:
        """Entries that would fail."""
        return tuple(each for each in self.entries if each.effect is Effect.fail)

    @property
    def unknown(self) -> tuple[Planned, ...]:
        """Entries of which it is not known."""
        return tuple(each for each in self.entries if each.effect is Effect.unknown)

    @property
    def lasting(self) -> tuple[Planned, ...]:
        """Entries that may change something that could not be taken back."""
        return tuple(each for each in self.entries if each.undo)

    @property
    def provisional(self) -> tuple[Planned, ...]:
        """Entries that hold if a command before them touches nothing of theirs."""
        return tuple(each for each in self.entries if each.unless)

    def by_host(self) -> Mapping[str, tuple[Planned, ...]]:
        """Entries of each host."""
        groups: dict[str, list[Planned]] = {}
        for each in self.entries:
            groups.setdefault(each.host, []).append(each)
        return frozendict({name: tuple(members) for name, members in groups.items()})

    def at_once(self, hosts: Iterable[str]) -> int:
        """How many of some hosts would be changed at the same time, at most: those of one wave of one task.

        A step of which it is not known what it would do may change something, and one that would fail, too.

        Args:
            hosts: Names; of a role, say: `[each.name for each in kx.role("etcd")(cluster)]`.
        """
        wanted = frozenset(hosts)
        together: dict[tuple[Position, int, int], set[str]] = {}
        for each in self.entries:
            if each.host in wanted and each.effect is not Effect.none:
                task = each.position._replace(step=0, host=0)
                together.setdefault((task, each.wave, each.side_by_side), set()).add(each.host)
        return max((min(len(some), bound or len(some)) for (*_, bound), some in together.items()), default=0)

    @property
    def tally(self) -> Mapping[Effect, int]:
        """How many entries have each effect; every effect is there."""
        counts = dict.fromkeys(Effect, 0)
        for each in self.entries:
            counts[each.effect] += 1
        return frozendict(counts)

    @property
    def digest(self) -> str:
        """Hex digest: plans that foresee the same from the same have equal ones."""
        return hashlib.sha256(orjson.dumps(_document(self))).hexdigest()[:32]

    def save(self, path: str | Path) -> None:
        """Write it, readable by its owner only: diffs hold the content of files.

        Raises:
            OSError: It cannot be written.
        """
        document = {"kxflow_plan": VERSION, "digest": self.digest, "origin": dict(self.origin), **_document(self)}
        target = Path(path)
        beside = target.with_name(f".{target.name}.new")
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600, exist_ok=False)
        beside.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
        beside.replace(target)

    @staticmethod
    def load(path: str | Path) -> Plan:
        """Read what `save` wrote.

        Raises:
            InvalidError: It is no plan, of another version, or was changed by hand.
            OSError: It cannot be read.
        """
        try:
            document = orjson.loads(Path(path).read_bytes())
            if document.get("kxflow_plan") != VERSION:
                raise InvalidError(f"{path} is no plan of version {VERSION}", "make it anew: kxflow plan … --save")
            plan = _read(document)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, InvalidError):
                raise
            raise InvalidError(f"{path} is no plan: {error}", "make it anew: kxflow plan … --save") from None
        if plan.digest != document["digest"]:
            raise InvalidError(f"{path} was changed after it was made", "make it anew: kxflow plan … --save")
        return plan

    def __iter__(self) -> Iterator[Planned]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        raise TypeError("a Plan has no truth value: ask `plan.changes`, `plan.failing` or `plan.unknown`")

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {effect.value}" for effect, count in self.tally.items() if count)
        return f"Plan({self.pipeline}: {told or 'nothing'})"

    def _repr_html_(self) -> str:
        from kxflow.values.markup import diff, line, table, title

        shown = sorted(self.entries, key=lambda each: list(Effect).index(each.effect))
        rows = ((each.host, each.path, each.effect.value, _why(each)) for each in shown)
        changing = [(each, each.change) for each in self.changes if each.change is not None]
        diffs = "".join(diff(str(each), change.diff) for each, change in changing[:_DIFFS])
        more = len(changing) - _DIFFS
        rest = line(f"… and {more} more diffs") if more > 0 else ""
        return title(repr(self)) + table(("host", "step", "effect", "why"), rows, total=len(self)) + diffs + rest


def _why(entry: Planned) -> str:
    return "; ".join(filter(None, (entry.reason or entry.undo, entry.unless and f"unless {entry.unless} touches it")))


@frozen
class PlanMovedError(KxflowError, ValueError):
    """A plan that is no longer what a run would do: nothing was done.

    Attributes:
        differences: One line each.
    """

    differences: tuple[str, ...]

    def __str__(self) -> str:
        few = "\n  ".join(self.differences[:50])
        more = f"\n  … and {len(self.differences) - 50} more" if len(self.differences) > 50 else ""
        return f"this is no longer what was planned; plan anew:\n  {few}{more}"


def compare(planned: Plan, now: Plan) -> tuple[str, ...]:
    """What is different between two plans, one line each; empty where they foresee the same from the same."""
    found = [
        f"{what} is another"
        for what, one, other in (
            ("the pipeline", (planned.pipeline, planned.fingerprint), (now.pipeline, now.fingerprint)),
            ("the cluster", planned.cluster, now.cluster),
        )
        if one != other
    ]
    ours = {(each.host, each.path): each for each in planned.entries}
    theirs = {(each.host, each.path): each for each in now.entries}
    for key in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(key), theirs.get(key)
        if one != other:
            roll_out = one is not None and other is not None and _alone(one) == _alone(other)
            was, now_is = _told(one, roll_out=roll_out), _told(other, roll_out=roll_out)
            found.append(f"- {was}\n  + {now_is}" if was != now_is else f"{was}, and what it does is another")
    return tuple(found)


def _alone(entry: Planned) -> Planned:
    return evolve(entry, wave=0, side_by_side=0)


def _told(entry: Planned | None, *, roll_out: bool = False) -> str:
    if entry is None:
        return "(no such step)"
    if roll_out:
        return f"{entry}: wave {entry.wave + 1}, {entry.side_by_side or 'all'} at the same time"
    change = entry.change
    return str(entry) + ("" if change is None else "".join(f"\n      {line}" for line in change.diff.split("\n")))


def cluster_digest(cluster: Cluster) -> str:
    """Hex digest of hosts, ways to reach them and variables; secrets count by being there only."""
    words = [
        (
            host.name,
            host.address,
            sorted(host.roles),
            sorted((name, repr(value)) for name, value in cluster.vars_of(host).items()),
            repr(cluster.connect_of(host)),
        )
        for host in cluster.hosts
    ]
    return hashlib.sha256(repr(words).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "pipeline": _packed(plan.pipeline),
        "fingerprint": plan.fingerprint,
        "cluster": plan.cluster,
        "entries": [_entry(each) for each in plan.entries],
    }


def _entry(entry: Planned) -> dict[str, Any]:
    change = entry.change
    fields = asdict(
        entry, recurse=False, filter=lambda its, value: its.name not in _APART and (value or its.name != "unless")
    )
    return {
        **{name: _plain(value) for name, value in fields.items() if value or name not in _RARE},
        "position": list(entry.position),
        "change": None if change is None else [_packed(each) for each in (change.before, change.after, change.diff)],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Effect):
        return value.value
    return _packed(value) if isinstance(value, str) else value


def _packed(text: str) -> str | dict[str, str]:
    """Text as JSON can say it; bytes of a host that are no UTF-8 as base64."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"b64": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}
    return text


def _unpacked(value: str | dict[str, str]) -> str:
    if isinstance(value, str):
        return value
    return base64.b64decode(value["b64"]).decode("utf-8", "surrogateescape")


def _read(document: dict[str, Any]) -> Plan:
    entries = []
    for each in document["entries"]:
        change = each["change"]
        texts = {name: _unpacked(each[name]) for name in ("module", "task", "step", "host", "reason", "undo", "digest")}
        entries.append(
            Planned(
                **texts,
                position=Position(*each["position"]),
                leaves=_unpacked(each.get("leaves", "")),
                unless=_unpacked(each.get("unless", "")),
                wave=each.get("wave", 0),
                side_by_side=each.get("side_by_side", 0),
                effect=Effect(each["effect"]),
                change=None if change is None else Change(*map(_unpacked, change)),
            )
        )
    return Plan(
        _unpacked(document["pipeline"]),
        document["fingerprint"],
        document["cluster"],
        entries,
        document.get("origin", {}),
    )
