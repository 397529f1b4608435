"""Accuracy against cost, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.cost.methods import METHODS
from benchmarks.cost.protocol import MARGIN, reference_accuracy

_COLOURS = {
    "best": "#b0b0b0", "tfs": "#1f3b57", "nft": "#7a5195", "gp-fs": "#bc5090", "raygp": "#e4572e", "paper": "#ffa600",
    "few-tfs": "#9ecae1", "few-nft": "#6baed6", "fast-tfs": "#a1d99b", "fast-nft": "#41ab5d",
}  # fmt: skip


def draw_curves(rows: Sequence[dict[str, Any]], workload: str, folder: Path) -> list[Path]:
    """One panel a share of new data: validation accuracy over passes, a line a run, a dot at its last epoch.

    Returns:
        The files written: ``<workload>.png`` and ``<workload>.svg``.
    """
    shares = sorted({row["new_share"] for row in rows if row["new_share"] < 1.0}, reverse=True) or [1.0]
    figure, axes = plt.subplots(1, len(shares), figsize=(4.6 * len(shares), 3.8), sharey=True, squeeze=False)
    reference = reference_accuracy(rows)
    for axis, share in zip(axes[0], shares, strict=True):
        for method in METHODS:
            runs = [row for row in rows if row["method"] == method and row["new_share"] in (share, 1.0)]
            for number, row in enumerate(runs):
                passes = [point["examples"] / row["train_rows"] for point in row["curve"]]
                accuracy = [100 * point["val_accuracy"] for point in row["curve"]]
                colour, label = _COLOURS[method], method if number == 0 else None
                # Where a method's recipe is the best dense one's, one line would hide the other.
                style, order = ("--", 3) if method == "best" else ("-", 2)
                axis.plot(passes, accuracy, style, color=colour, alpha=0.75, linewidth=1.2, label=label, zorder=order)
                axis.plot(passes[-1:], accuracy[-1:], "o", color=colour, markersize=4)
        if reference is not None:
            axis.axhline(100 * (reference - MARGIN), color="black", linewidth=0.8, linestyle=":")
        axis.set_xlabel("cost, passes over all training data")
        axis.set_title(f"{share:.0%} new")
        axis.grid(alpha=0.25)
    best = max(point["val_accuracy"] for row in rows for point in row["curve"])
    axes[0][0].set_ylim(max(0.0, 100 * (1 - (1 - best) * 3)), 100 * (best + (1 - best) * 0.1))
    axes[0][0].set_ylabel("validation accuracy, %")
    # The panel with the most methods: not every method was run at every share.
    richest = max(axes[0], key=lambda axis: len(axis.get_legend_handles_labels()[1]))
    richest.legend(loc="lower right", fontsize=8)
    figure.suptitle(f"{workload}; dotted: reference less 0.1 point")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{workload}.png", folder / f"{workload}.svg"]
    for file in files:
        figure.savefig(file, dpi=110)
    plt.close(figure)
    return files
