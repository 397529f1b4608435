"""Ten arrivals, one after the other: accuracy and density after each, and what all of it cost.

    python benchmarks/arrival_chain.py --workload lenet-300-100 --source idx:DIR [--arrivals 10] [--seeds 3] [--out DIR]

The training set is dealt out into equal arrivals. v0000 is synthesised from the first, every other one is folded in by
an update with the default plan: nothing is tuned to the chain. Beside it, for each seed, training from scratch on
everything at once, with the recipe that ``benchmarks/recipes`` records as ``tfs``. Costs are passes over the whole
training set. One line of ``DIR/chain-<workload>.jsonl`` per version; what is there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cost.methods import Method, default_updates, make_method, read_recipes
from benchmarks.cost.protocol import mean_and_spread
from benchmarks.cost.runs import Curve, train
from benchmarks.cost.workloads import TASKS, Workload, load_workload
from raygp.errors import RaygpError
from raygp.update.checkpoints import load, save_outcome
from raygp.update.outcome import Outcome

_NOTHING = np.array([], dtype=np.int64)
_SCRATCH = -1


def deal(rows: np.ndarray, arrivals: int, seed: int) -> list[np.ndarray]:
    """Rows in equal parts by a seeded draw, each sorted."""
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(rows), arrivals)]


def chain(
    workload: Workload, synthesis: Method, update: Method, arrivals: int, seed: int, folder: Path, done: set[int]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each version of one seed's chain that is not done, and one for training from scratch."""
    split = workload.split(0.5, seed)
    rows = np.sort(np.concatenate([split.old, split.new]))
    parts = deal(rows, arrivals, seed)
    parent: Outcome | None = None
    for number, part in enumerate(parts):
        home = folder / f"chain-{workload.name}-{arrivals}-{seed}-{number:02d}"
        old = np.concatenate([_NOTHING, *parts[:number]])
        if number not in done or not (home / "outcome.json").exists():
            plan = update.plan if parent else synthesis.plan
            data = workload.data(old, part, split.val)
            tensors = parent.tensors if parent else None
            outcome = train(workload, plan, data, seed, tensors, Curve(home / "in-flight"), "cpu")
            home.mkdir(parents=True, exist_ok=True)
            save_outcome(home, outcome)
            yield row_of(number, seed, len(old) + len(part), len(rows), outcome)
        loaded = load(home)
        assert isinstance(loaded, Outcome)
        parent = loaded


def row_of(number: int, seed: int, seen: int, total: int, outcome: Outcome) -> dict[str, Any]:
    """What a version came to."""
    record = outcome.record
    return {
        "number": number, "seed": seed, "rows_seen": seen, "train_rows": total, "ledger": record.ledger.to_dict(),
        "val_accuracy": record.val_accuracy, "test_accuracy": record.test_accuracy,
        "active_connections": record.active_connections, "total_connections": record.total_connections,
    }  # fmt: skip


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """A line a version: means over seeds, with half of the range for accuracy."""
    table = Table(
        "version", "rows seen", "val %", "test %", "density", "passes", "passes so far", "sparse TFLOP so far"
    )
    spent = flops = 0.0
    for number in sorted({row["number"] for row in rows}, key=lambda n: (n == _SCRATCH, n)):
        found = [row for row in rows if row["number"] == number]
        passes = statistics.mean(row["ledger"]["examples"] / row["train_rows"] for row in found)
        tera = statistics.mean(row["ledger"]["sparse_flops"] for row in found) / 1e12
        spent, flops = (spent + passes, flops + tera) if number != _SCRATCH else (passes, tera)
        density = statistics.mean(row["active_connections"] / row["total_connections"] for row in found)
        table.add_row(
            f"v{number:04d}" if number != _SCRATCH else "from scratch",
            f"{found[0]['rows_seen']:,}",
            *(mean_and_spread([100 * row[key] for row in found]) for key in ("val_accuracy", "test_accuracy")),
            f"{density:.3f}",
            f"{passes:.2f}",
            f"{spent:.2f}",
            f"{flops:.3f}",
        )
    console.print(table)


def main() -> int:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", required=True, choices=list(TASKS))
    parser.add_argument("--source", required=True)
    parser.add_argument("--arrivals", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("training-cost"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=130)
    file = options.out / f"chain-{options.workload}.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        with file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        console.print(f"seed {row['seed']} version {row['number']}: val {row['val_accuracy']:.2%}")

    try:
        recipes = default_updates(read_recipes(options.workload))
        workload = load_workload(options.workload, options.source)
        precision = recipes.get("precision", "fp32")
        made = {n: make_method(n, workload.task.name, recipes, 0.1, precision) for n in ("tfs", "gp-fs", "raygp")}
        for seed in range(options.seeds):
            done = {row["number"] for row in rows if row["seed"] == seed}
            synthesis = Method("parent", made["raygp"].parent or made["gp-fs"].plan)
            for row in chain(workload, synthesis, made["raygp"], options.arrivals, seed, options.out / "chain", done):
                keep(row)
            if _SCRATCH not in done:
                split = workload.split(0.5, seed)
                everything = np.sort(np.concatenate([split.old, split.new]))
                data = workload.data(_NOTHING, everything, split.val)
                curve = Curve(options.out / "chain" / f"scratch-{workload.name}-{seed}")
                outcome = train(workload, made["tfs"].plan, data, seed, None, curve, "cpu")
                keep(row_of(_SCRATCH, seed, len(everything), len(everything), outcome))
    except RaygpError as error:
        print(f"arrival_chain: {error}", file=sys.stderr)
        return error.exit_code
    show(rows, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
