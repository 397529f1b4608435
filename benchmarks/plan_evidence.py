"""Why the default plan is what it is: what becomes of an update when one of its parts is left out or changed.

    python benchmarks/plan_evidence.py --source idx:DIR [--workload lenet-300-100] [--seeds 3] [--new-share 0.5,0.1]
        [--recipe]

Every row is the default update (with --recipe: the one recorded in ``benchmarks/recipes``) with one change, from the
same parents, on the same splits. Passes are examples over the number of all training rows, to the end of the plan;
growth pass and loss scan count. Rows are compared on validation; the test column is shown, not used. Runs that are in
``DIR/evidence-<workload>.jsonl`` already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cost.methods import Method, changed, default_updates, make_method, read_recipes
from benchmarks.cost.protocol import mean_and_spread
from benchmarks.cost.runs import Key, run_method
from benchmarks.cost.workloads import TASKS, load_workload
from raygp.errors import RaygpError

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no growth": {"alpha": 0.0},
    "grow everything": {"alpha": 1.0},
    "whole arrival": {"arrival": {"share": 1.0}},
    "examples at random": {"arrival": {"hard": 0.0}, "replay": {"hard": 0.0}},
    "no replay": {"replay": {"share": 0.0}},
    "half are scanned": {"arrival": {"scan": 0.5}, "replay": {"scan": 0.5}},
    "uniform density": {"distribution": "uniform"},
    "global magnitudes": {"distribution": "global"},
    "density 0.05": {"density": 0.05},
    "distilled 0.2": {"distillation": {"weight": 0.2}},
    "distilled 0.5": {"distillation": {"weight": 0.5}},
    "no replay and distilled 0.5": {"distillation": {"weight": 0.5}, "replay": {"share": 0.0}},
    "no replay and distilled 0.8": {"distillation": {"weight": 0.8}, "replay": {"share": 0.0}},
    "paper": {},
    # Small all the way: from a parent of this density, with more epochs to find its connections.
    **{f"small {density}": {"density": density, "epochs": 12} for density in (0.08, 0.05, 0.03, 0.015)},
    "small 0.03 long": {"density": 0.03, "epochs": 20, "arrival": {"share": 1.0}, "replay": {"share": 0.5}},
}
SMALL_PARENTS: dict[str, dict[str, Any]] = {"small 0.03 long": {"epochs": 20}}
"""What the parents of small variants change beside their density."""


def main() -> int:
    """Run what is missing, then print a table a share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default="lenet-300-100", choices=list(TASKS))
    parser.add_argument("--source", required=True)
    parser.add_argument("--new-share", default="0.5,0.1", help="shares, comma-separated")
    parser.add_argument("--variant", default=",".join(VARIANTS), help="rows, comma-separated; default: all")
    parser.add_argument("--recipe", action="store_true", help="change the recorded recipe, not the default plan")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default=None, choices=["fp32", "bf16"], help="default: the recipes'")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("training-cost"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=120)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"evidence-{options.workload}{'-recipe' if options.recipe else ''}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["variant"], row["new_share"], row["seed"]) for row in rows}
    shares = [float(share) for share in options.new_share.split(",")]
    variants = options.variant.split(",")
    if unknown := set(variants) - set(VARIANTS):
        parser.error(f"unknown variant {', '.join(sorted(unknown))}; known are {', '.join(VARIANTS)}")
    try:
        recipes = read_recipes(options.workload)
        if not options.recipe:
            recipes = default_updates(recipes)
        precision = options.precision or recipes.get("precision", "fp32")
        workload = load_workload(options.workload, options.source)
        for seed in range(options.seeds):
            for share in shares:
                for variant in variants:
                    if (variant, share, seed) in done:
                        continue
                    name = "paper" if variant == "paper" else "raygp"
                    base = make_method(name, workload.task.name, recipes, share, precision)
                    parent = base.parent
                    if variant.startswith("small"):
                        smaller = {"density": VARIANTS[variant]["density"], **SMALL_PARENTS.get(variant, {})}
                        parent = changed(base.parent, smaller)
                    method = Method(name, changed(base.plan, VARIANTS[variant]), parent)
                    row = run_method(workload, method, Key(options.workload, name, share, seed), options.out)
                    rows.append({"variant": variant, **row})
                    with file.open("a") as out:
                        out.write(json.dumps(rows[-1]) + "\n")
                    console.print(f"new {share:.0%} seed {seed} {variant}: val {row['val_accuracy']:.2%}")
    except RaygpError as error:
        print(f"plan_evidence: {error}", file=sys.stderr)
        return error.exit_code
    for share in shares:
        console.print(evidence_table([row for row in rows if row["new_share"] == share], share))
    return 0


def evidence_table(rows: list[dict[str, Any]], share: float) -> Table:
    """A line a variant: means over seeds, with half of the range for accuracy."""
    table = Table("update", "passes", "val %", "test %", "active", title=f"new share {share:.0%}")
    for variant in VARIANTS:
        found = [row for row in rows if row["variant"] == variant]
        if found:
            table.add_row(
                variant,
                f"{statistics.mean(row['examples'] / row['train_rows'] for row in found):.2f}",
                mean_and_spread([100 * row["val_accuracy"] for row in found]),
                mean_and_spread([100 * row["test_accuracy"] for row in found]),
                f"{statistics.mean(row['active_connections'] for row in found):,.0f}",
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
