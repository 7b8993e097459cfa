"""Run the comparison: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import Outcome, run_case
from benchmarks.goals import judge
from benchmarks.measure import PEERS
from benchmarks.plot import draw
from benchmarks.saved import read, together
from benchmarks.table import data, machine, table, told, verdicts
from benchmarks.workloads import WORKLOADS

_OUT: Final = Path(__file__).parent / "out"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: is everybody's work right?")
    parser.add_argument("--only", action="append", default=[], choices=WORKLOADS, help="a workload; again for more")
    parser.add_argument("--size", default="", help="only cases whose size holds this text")
    parser.add_argument("--with", action="append", default=[], dest="chosen", help="contenders whose name holds this")
    parser.add_argument("--rounds", type=int, default=0, help="at most so many; by workload where not given")
    parser.add_argument("--peers", type=Path, default=PEERS, help="virtual environment of the peers")
    parser.add_argument("--out", type=Path, default=_OUT, help="folder for results.json, results.md and results.png")
    parser.add_argument("--add", action="store_true", help="keep other cases that are in the folder: a run in parts")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Give 1 where a contender's work was wrong, whatever it took."""
    given = _arguments(argv)
    peers = given.peers.absolute()
    rounds = given.rounds or (1 if given.quick else 99)
    begun = time.monotonic()
    makers = [make for name, those in WORKLOADS.items() if not given.only or name in given.only for make in those]
    before = read(given.out / "results.json") if given.add else []
    outcomes: list[Outcome] = []
    for case in [case for make in makers for case in make(given.quick) if given.size in case.size]:
        outcomes.append(run_case(case, peers=peers, rounds=rounds, chosen=given.chosen, say=_say))
        about = {**machine(peers), "took": round(time.monotonic() - begun), "quick": given.quick}
        _write(together(before, outcomes), about, given.out)  # after each case: a run of half an hour may be broken off
    return _show(together(before, outcomes), given.out)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(outcomes: Sequence[Outcome], about: dict[str, object], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    judged = "" if about["quick"] else f"\n{verdicts(judge(outcomes))}"
    (out / "results.json").write_text(json.dumps(data(outcomes, about), indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(f"{told(about)}\n{table(outcomes)}{judged}", "utf-8")


def _show(outcomes: Sequence[Outcome], out: Path) -> int:
    if not outcomes:
        _say("nothing was run: no case has such a name")
        return 1
    print((out / "results.md").read_text("utf-8"))
    if not draw(outcomes, out / "results.png"):
        _say("no plot: matplotlib is not installed, or nothing was run that it shows")
    for name in sorted({name for each in outcomes for name in each.absent}):
        _say(f"not run: {name} is not installed; benchmarks/README.md says how")
    wrong = [(each.case.label, line) for each in outcomes for line in each.lines if line.problem]
    for label, line in wrong:
        _say(f"WRONG: {label}: {line.contender}: {line.problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
