"""When a run has reached the reference, what it had cost by then, and tables over many runs.

Reference accuracy: the best validation accuracy of training from scratch, mean over seeds. A run has *reached* it at
the first finished epoch whose validation accuracy is within :data:`MARGIN` of the reference and at which the model has
the run's final density.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.table import Table

from benchmarks.cost.methods import METHODS
from raygp.errors import InputError

Row = dict[str, Any]
MARGIN = 0.001
COSTS = {"examples": "examples", "sparse_flops": "sparse FLOPs", "worker_seconds": "worker s", "cpu_seconds": "CPU s"}
_BASELINES = ("tfs", "nft", "gp-fs")
_SCRATCH = 1.0


def reference_accuracy(rows: Iterable[Row]) -> float | None:
    """A*: mean over seeds of the best validation accuracy among dense runs from scratch. None without such runs."""
    best: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] in ("tfs", "best"):
            best.setdefault(row["method"], []).append(max(point["val_accuracy"] for point in row["curve"]))
    return max((statistics.mean(values) for values in best.values()), default=None)


def cost_until_reached(row: Row, reference: float) -> tuple[dict[str, float], bool]:
    """What a run had cost when it reached ``reference``, and True; or all that it cost, and False."""
    final_density = row["active_connections"] / row["total_connections"]
    for point in row["curve"]:
        at_density = point["density"] <= final_density + 1e-9
        if at_density and point["val_accuracy"] >= reference - MARGIN - 1e-12:
            return {key: point[key] for key in COSTS}, True
    return {key: row[key] for key in COSTS}, False


def with_reached(row: Row, reference: float | None) -> Row:
    """The row with its costs counted until the reference was reached (the whole run's under ``total``)."""
    total = row.get("total") or {key: row[key] for key in COSTS}
    if reference is None:
        return row | {"reached": None}
    cost, reached = cost_until_reached(row | total, reference)
    return row | cost | {"reached": reached, "reference": reference, "total": total}


def cost_table(rows: Sequence[Row], new_share: float, unit: str) -> Table:
    """Accuracy, connections and cost at one share of new data, each method against the baselines.

    Args:
        rows: of one workload, as :func:`with_reached` gives them.
        new_share: whose incremental runs are shown, beside those from scratch.
        unit: ``accuracy`` in per cent of this name in the headings, such as "accuracy".
    """
    table = Table(
        "method", "seeds", "reached", f"val {unit} %", f"test {unit} %", "active", "examples, passes", "sparse TFLOP",
        "seconds", *(f"cut vs {name}" for name in _BASELINES), title=f"new share {new_share:.0%}",
    )  # fmt: skip
    shown = {method: _of(rows, method, new_share) for method in METHODS}
    for method, runs in shown.items():
        if not runs:
            continue
        cuts = [_cuts(runs, shown[name]) if method != "best" and name != method else "" for name in _BASELINES]
        table.add_row(
            method,
            str(len(runs)),
            _reached(runs),
            mean_and_spread([100 * run["val_accuracy"] for run in runs]),
            mean_and_spread([100 * run["test_accuracy"] for run in runs]),
            f"{statistics.mean(run['active_connections'] for run in runs):,.0f}",
            mean_and_spread([run["examples"] / run["train_rows"] for run in runs]),
            f"{statistics.mean(run['sparse_flops'] for run in runs) / 1e12:.3g}",
            f"{statistics.mean(run[seconds_of(run)] for run in runs):.1f}",
            *cuts,
        )
    return table


def markdown_row(rows: Sequence[Row], new_share: float, title: str) -> str:
    """The same in one line for the README, the mean of each method.

    Columns: title and share; passes, validation and test accuracy of TFS / NFT / GP-FS / raygp in per cent; raygp's
    active connections; its cuts against the three; how many of its runs reached the reference.

    Raises:
        InputError: a method has no run at this share.
    """
    shown = _runs_of(rows, (*_BASELINES, "raygp"), new_share)
    ours = shown["raygp"]
    active, total = (statistics.mean(run[f"{key}_connections"] for run in ours) for key in ("active", "total"))
    cells = [
        f"{title}, {new_share:.0%}",
        *_cost_and_accuracies(shown),
        f"{active:,.0f} of {total:,.0f}",
        *(_cuts(ours, shown[name]) for name in _BASELINES),
        _reached(ours),
    ]
    return f"| {' | '.join(cells)} |"


def orders_row(rows: Sequence[Row], new_share: float, title: str) -> str:
    """The paper's order of phases beside ours, in one line for the README.

    Columns: title and share; passes, validation and test accuracy of raygp / paper in per cent; how many runs of each
    reached the reference.

    Raises:
        InputError: one of the two has no run at this share.
    """
    shown = _runs_of(rows, ("raygp", "paper"), new_share)
    cells = [f"{title}, {new_share:.0%}", *_cost_and_accuracies(shown), " and ".join(map(_reached, shown.values()))]
    return f"| {' | '.join(cells)} |"


def _runs_of(rows: Sequence[Row], methods: Iterable[str], new_share: float) -> dict[str, list[Row]]:
    shown = {method: _of(rows, method, new_share) for method in methods}
    missing = [method for method, runs in shown.items() if not runs]
    if missing:
        raise InputError(f"no line for the README: there is no run of {', '.join(missing)} at share {new_share:g}")
    return shown


def _cost_and_accuracies(shown: dict[str, list[Row]]) -> list[str]:
    """Passes, validation and test accuracy in per cent: means of each method."""

    def each(value: Callable[[Row], float]) -> str:
        return " / ".join(f"{statistics.mean(map(value, runs)):.2f}" for runs in shown.values())

    return [
        each(lambda run: run["examples"] / run["train_rows"]),
        each(lambda run: 100 * run["val_accuracy"]),
        each(lambda run: 100 * run["test_accuracy"]),
    ]


def _reached(runs: Sequence[Row]) -> str:
    return f"{sum(bool(run['reached']) for run in runs)}/{len(runs)}"


def cut(runs: Sequence[Row], baseline: Sequence[Row], key: str) -> float | None:
    """Per cent less of a cost than the baseline's, by means over seeds; None if there is no baseline run."""
    if not baseline:
        return None
    return 100 * (1 - statistics.mean(r[key] for r in runs) / statistics.mean(r[key] for r in baseline))


def seconds_of(row: Row) -> str:
    """Which seconds a run is charged for: the processor's of this process or, on a GPU, those that passed."""
    return "worker_seconds" if row.get("device", "cpu").startswith("cuda") else "cpu_seconds"


def _cuts(runs: Sequence[Row], baseline: Sequence[Row]) -> str:
    """Cuts in examples / sparse FLOPs / seconds, in brackets unless all runs reached the reference; the last is a
    dash where runs are of different processors."""
    if not baseline:
        return ""
    cuts = [f"{cut(runs, baseline, key):.0f}" for key in ("examples", "sparse_flops")]
    same = len({(run.get("processor"), run.get("precision")) for run in (*runs, *baseline)}) == 1
    text = " / ".join([*cuts, f"{cut(runs, baseline, seconds_of(runs[0])):.0f}" if same else "-"])
    return text if all(run["reached"] for run in runs) else f"({text})"


def _of(rows: Sequence[Row], method: str, new_share: float) -> list[Row]:
    return [row for row in rows if row["method"] == method and row["new_share"] in (new_share, _SCRATCH)]


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and half of the range."""
    return f"{statistics.mean(values):.2f} ±{(max(values) - min(values)) / 2:.2f}"
