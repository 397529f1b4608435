"""What the rows of the matrix say: every cell, and means over cells against fine-tuning."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import Any

from rich.table import Table

Row = dict[str, Any]
Cell = tuple[str, str]
BASELINE = "fine-tuning"


def by_cell(rows: list[Row]) -> dict[Cell, dict[str, dict[int, Row]]]:
    """By data set and arrival: by method and seed, the row."""
    found: dict[Cell, dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        found[row["data"], row["arrival"]][row["method"]][row["seed"]] = row
    return found


def cells_table(rows: list[Row]) -> Table:
    """A line for each cell and method: means over seeds."""
    table = Table("data", "arrival", "method", "seeds", "val %", "parent %", "test %", "passes", "GFLOPs", "refused")
    for (data, arrival), methods in by_cell(rows).items():
        for method, seeds in methods.items():
            found = list(seeds.values())
            parents = [row["parent_val_accuracy"] for row in found if row["parent_val_accuracy"] is not None]
            table.add_row(
                data, arrival, method, str(len(found)),
                f"{100 * _mean(found, 'val_accuracy'):.2f}",
                f"{100 * statistics.mean(parents):.2f}" if parents else "-",
                f"{100 * _mean(found, 'test_accuracy'):.2f}",
                f"{statistics.mean(row['examples'] / row['train_rows'] for row in found):.2f}",
                f"{_mean(found, 'sparse_flops') / 1e9:.1f}",
                f"{sum(not row['promoted'] for row in found)}/{len(found)}" if parents else "-",
            )  # fmt: skip
    return table


def against_baseline(rows: list[Row], method: str) -> dict[str, float]:
    """A method against fine-tuning, over the cells and seeds that have both.

    Returns:
        ``cells``; ``test`` and ``worst``: mean and lowest difference of a cell's mean test accuracy, in points;
        ``examples`` and ``flops``: geometric means over cells of the ratio of cost; ``refused``: runs that the gate
        refused where fine-tuning passed it.
    """
    differences, examples, flops, refused = [], [], [], 0
    for methods in by_cell(rows).values():
        pairs = [(row, methods[BASELINE][seed]) for seed, row in methods[method].items() if seed in methods[BASELINE]]
        if not pairs:
            continue
        differences.append(
            statistics.mean(100 * (ours["test_accuracy"] - base["test_accuracy"]) for ours, base in pairs)
        )
        examples.append(statistics.mean(ours["examples"] / base["examples"] for ours, base in pairs))
        flops.append(statistics.mean(ours["sparse_flops"] / base["sparse_flops"] for ours, base in pairs))
        refused += sum(base["promoted"] and not ours["promoted"] for ours, base in pairs)
    if not differences:
        return {"cells": 0}
    return {
        "cells": len(differences), "test": statistics.mean(differences), "worst": min(differences),
        "examples": _geometric(examples), "flops": _geometric(flops), "refused": refused,
    }  # fmt: skip


def markdown_rows(rows: list[Row], method: str = "raygp") -> list[str]:
    """A line of the results page for each cell that has both a method and fine-tuning, means over their seeds."""
    lines = []
    for (data, arrival), methods in sorted(by_cell(rows).items()):
        pairs = [(row, methods[BASELINE][seed]) for seed, row in methods[method].items() if seed in methods[BASELINE]]
        if not pairs:
            continue
        ours, base = (statistics.mean(100 * pair[side]["test_accuracy"] for pair in pairs) for side in (0, 1))
        examples, flops = (statistics.mean(a[key] / b[key] for a, b in pairs) for key in ("examples", "sparse_flops"))
        refused = [sum(not pair[side]["promoted"] for pair in pairs) for side in (0, 1)]
        lines.append(
            f"| {data} | {arrival} | {len(pairs)} | {ours:.2f} | {base:.2f} | {ours - base:+.2f} | {examples:.2f} "
            f"| {flops:.2f} | {refused[0]} | {refused[1]} |"
        )
    return lines


def summary_row(rows: list[Row], name: str, method: str = "raygp") -> str:
    """A line of the results page for some of the cells together."""
    found = against_baseline(rows, method)
    return (
        f"| {name} | {found['cells']:.0f} | {found['test']:+.2f} | {found['worst']:+.2f} | {found['examples']:.2f} "
        f"| {found['flops']:.2f} | {found['refused']:.0f} |"
    )


def summary_table(rows: list[Row]) -> Table:
    """A line for each method against fine-tuning."""
    table = Table("method", "cells", "test points", "worst cell", "examples", "arithmetic", "refused where it passes")
    for method in dict.fromkeys(row["method"] for row in rows):
        found = against_baseline(rows, method)
        if method != BASELINE and found["cells"]:
            table.add_row(
                method, f"{found['cells']:.0f}", f"{found['test']:+.2f}", f"{found['worst']:+.2f}",
                f"{found['examples']:.2f}", f"{found['flops']:.2f}", f"{found['refused']:.0f}",
            )  # fmt: skip
    return table


def _mean(rows: list[Row], key: str) -> float:
    return statistics.mean(row[key] for row in rows)


def _geometric(values: list[float]) -> float:
    return math.exp(statistics.mean(math.log(value) for value in values))
