"""One picture of a run: whole-process medians, a panel a workload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Outcome

_PANELS = ("echo20", "config4", "wan", "slow-login", "upload", "engine")
_COLOURS = {
    "floor": "#777777",
    "kxflow": "#d62728",
    "exec each": "#bbbbbb",
    "scp": "#999999",
    "parallel-ssh": "#1f77b4",
    "fabric": "#2ca02c",
    "pyinfra": "#ff7f0e",
    "nornir": "#9467bd",
    "ansible": "#8c564b",
}


def draw(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Write it; False where matplotlib is not installed, or nothing is to be seen."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    panels = [
        (name, those)
        for name in _PANELS
        if (those := [each for each in outcomes if each.case.workload == name and each.lines])
    ]
    if not panels:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 2.6 * len(panels)), squeeze=False, layout="constrained")
    for (name, those), ax in zip(panels, axes[:, 0], strict=True):
        names = list(dict.fromkeys(line.contender for each in those for line in each.lines))
        names = [each for each in names if each in _COLOURS]
        width = 0.85 / max(1, len(names))
        for place, contender in enumerate(names):
            found = [(i, line.wall) for i, each in enumerate(those) if (line := each.line(contender)) is not None]
            bars = ax.bar(
                [i + (place - (len(names) - 1) / 2) * width for i, _ in found],
                [wall for _, wall in found],
                width,
                label=contender,
                color=_COLOURS[contender],
            )
            ax.bar_label(bars, fmt="%.3g", fontsize=6)
        ax.set_xticks(range(len(those)), [each.case.size or name for each in those])
        ax.set_yscale("log")
        ax.margins(y=0.15)
        ax.set_ylabel("seconds")
        ax.set_title(f"{name}: whole process, median, log scale", fontsize=9)
        ax.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=110)
    return True
