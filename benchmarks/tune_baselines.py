"""The recorded search that chose each method's recipe.

    python benchmarks/tune_baselines.py --workload lenet-300-100 --source idx:DIR [--method tfs,nft,gp-fs,raygp]
        [--trials 24] [--seeds 2] [--new-share 0.5] [--out DIR] [--precision bf16] [--device cuda]

For each method, recipes are drawn from its space in ``benchmarks/cost/spaces.py`` (all of it if it has no more than
--trials) and trained on seeds of their own (100, 101, ...), on validation only. ``best`` becomes the dense recipe with
the highest mean of best validation accuracies, which is the reference. Each method keeps the recipe whose mean best
accuracy, less its standard error over seeds, falls least short of the reference less 0.1 point, and among those that
reach it the one that does so at the least mean cost in examples (a seed that does not counts double). A recipe that
lifts its parents by less than 0.1 point is kept only if all are such: near the reference, leaving a parent as it is
would win. Fine-tuning and raygp are tuned for each share by themselves. What was tried is
``benchmarks/recipes/<workload>.search.jsonl``, what was chosen ``benchmarks/recipes/<workload>.yaml``; trials that are
there are not repeated. Methods depend on each other in this order: tfs, gp-fs (whose most accurate recipe synthesises
the parents of raygp), nft, raygp, paper (which starts from the parents of raygp; not searched unless asked for).
Networks with fewer units (few-tfs, few-nft, fast-tfs, fast-nft) need nothing but the reference.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import yaml
from rich.console import Console

from benchmarks.cost.methods import FROM_SCRATCH, RECIPES, make_method
from benchmarks.cost.protocol import MARGIN, cost_until_reached
from benchmarks.cost.runs import Key, run_method
from benchmarks.cost.spaces import SPACES, Recipe, recipes_of
from benchmarks.cost.workloads import TASKS, Workload, load_workload
from raygp.errors import RaygpError

FIRST_SEED = 100


class Search:
    """Trials of one workload, kept in a file."""

    def __init__(
        self, workload: Workload, precision: str, seeds: int, folder: Path, console: Console, device: str = "cpu"
    ) -> None:
        self.workload, self.precision, self.folder, self.console = workload, precision, folder, console
        self.device = device
        self.seeds = range(FIRST_SEED, FIRST_SEED + seeds)
        self.file = RECIPES / f"{workload.name}.search.jsonl"
        self.yaml = RECIPES / f"{workload.name}.yaml"
        self.trials: list[dict[str, Any]] = [json.loads(line) for line in _lines(self.file)]
        self.recipes: dict[str, Any] = yaml.safe_load(self.yaml.read_text()) if self.yaml.exists() else {}

    def run(self, name: str, recipe: Recipe, new_share: float, seed: int) -> None:
        """One trial, unless it is there."""
        method = make_method(name, self.workload.task.name, {**self.recipes, name: recipe}, new_share, self.precision)
        key = Key(self.workload.name, name, new_share if method.incremental else 1.0, seed)
        identity = {"method": name, "recipe": recipe, "new_share": key.new_share, "seed": seed}
        if any(all(trial[k] == v for k, v in identity.items()) for trial in self.trials):
            return
        row = run_method(self.workload, method, key, self.folder, self.device)
        curve = [{k: point[k] for k in _KEPT} for point in row["curve"]]
        kept = {key: row[key] for key in _KEPT_OF_ROW}
        trial = {**identity, "val_accuracy": max(p["val_accuracy"] for p in curve), **kept, "curve": curve}
        self.trials.append(trial)
        with self.file.open("a") as file:
            file.write(json.dumps(trial) + "\n")
        self.console.print(
            f"{name} share {key.new_share:g} seed {seed} {recipe}: best val {trial['val_accuracy']:.2%}, "
            f"{trial['examples'] / trial['train_rows']:.2f} passes, {trial['cpu_seconds']:.0f} s"
        )

    def most_accurate(self, name: str) -> tuple[Recipe, float]:
        """The recipe with the highest mean of best validation accuracies, and that mean."""
        groups = self._groups(name, 1.0)
        best = max(groups, key=lambda g: statistics.mean(t["val_accuracy"] for t in g))
        return best[0]["recipe"], statistics.mean(t["val_accuracy"] for t in best)

    def cheapest(self, name: str, new_share: float, reference: float) -> Recipe:
        """The recipe that reaches the reference at the least mean cost."""

        def cost(group: list[dict[str, Any]]) -> float:
            results = [cost_until_reached(trial, reference) for trial in group]
            return statistics.mean(spent["examples"] * (1.0 if reached else 2.0) for spent, reached in results)

        def idle(group: list[dict[str, Any]]) -> bool:
            """Whether it hardly moves its parent, which may lie near the reference by itself."""
            parents = [trial.get("parent_val_accuracy") for trial in group]
            if None in parents:
                return False
            return statistics.mean(t["val_accuracy"] - p for t, p in zip(group, parents, strict=True)) < MARGIN

        def missed(group: list[dict[str, Any]]) -> float:
            """How far the mean less its standard error lies below: what misses must not win by being short or lucky."""
            values = [trial["val_accuracy"] for trial in group]
            error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
            return round(max(0.0, reference - MARGIN - statistics.mean(values) + error), 5)

        groups = self._groups(name, new_share)
        return min(groups, key=lambda group: (idle(group), missed(group), cost(group)))[0]["recipe"]

    def _groups(self, name: str, new_share: float) -> list[list[dict[str, Any]]]:
        """Complete trials of each recipe."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for trial in self.trials:
            if (trial["method"], trial["new_share"]) == (name, new_share):
                groups.setdefault(json.dumps(trial["recipe"], sort_keys=True), []).append(trial)
        return [group for group in groups.values() if {t["seed"] for t in group} >= set(self.seeds)]

    def keep(self, **recipes: Any) -> None:
        """Write chosen recipes."""
        self.recipes |= recipes
        header = "# Chosen by benchmarks/tune_baselines.py, which says how.\n"
        plain = json.loads(json.dumps(self.recipes))  # No YAML aliases where two methods share a recipe.
        for name in self.recipes.keys() & set(_BY_SHARE):
            plain[name] = self.recipes[name]  # Their keys may be shares, which JSON would turn into text.
        self.yaml.write_text(header + yaml.safe_dump(plain, sort_keys=False))


_BY_SHARE = ("nft", "few-nft", "fast-nft", "raygp", "paper")
"""Methods with a recipe for each share of new data."""
_KEPT_OF_ROW = (
    "examples", "sparse_flops", "worker_seconds", "cpu_seconds", "train_rows",
    "active_connections", "total_connections", "parent_val_accuracy", "processor",
)  # fmt: skip
_KEPT = ("examples", "sparse_flops", "worker_seconds", "cpu_seconds", "val_accuracy", "density")


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def tune(search: Search, names: list[str], trials: int, shares: list[float]) -> None:
    """Search method by method, each with what the ones before it left."""
    spaces = SPACES[search.workload.name]
    for name in names:
        for share in [1.0] if name in FROM_SCRATCH else shares:
            for recipe in recipes_of(spaces[name], trials, seed=0):
                for seed in search.seeds:
                    search.run(name, recipe, share, seed)
        if name == "tfs":
            best, reference = search.most_accurate("tfs")
            search.keep(precision=search.precision, reference=round(reference, 5), best=best)
        reference = search.recipes["reference"]
        if name in _BY_SHARE:
            known = {key: value for key, value in search.recipes.get(name, {}).items() if isinstance(key, float)}
            search.keep(**{name: known | {share: search.cheapest(name, share, reference) for share in shares}})
        else:
            search.keep(**{name: search.cheapest(name, 1.0, reference)})
        if name == "gp-fs":
            search.keep(parent=dict(search.most_accurate("gp-fs")[0]))


def main() -> int:
    """Search and write what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", required=True, choices=list(TASKS))
    parser.add_argument("--source", required=True)
    parser.add_argument("--method", default="tfs,gp-fs,nft,raygp", help="comma-separated")
    parser.add_argument("--new-share", default="0.5", help="shares that nft, raygp and paper are tuned at")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("training-cost"), help="folder of parents and runs in flight")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=160)
    try:
        workload = load_workload(options.workload, options.source).without_test()
        folder = options.out / "tuning"
        search = Search(workload, options.precision, options.seeds, folder, console, options.device)
        tune(search, options.method.split(","), options.trials, [float(s) for s in options.new_share.split(",")])
    except RaygpError as error:
        print(f"tune_baselines: {error}", file=sys.stderr)
        return error.exit_code
    console.print(search.yaml.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
