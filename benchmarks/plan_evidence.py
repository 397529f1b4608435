"""Why the default plan is what it is: accuracy reached against examples spent, on MNIST with LeNet-300-100.

    python benchmarks/plan_evidence.py --idx-dir DIR [--seeds 3] [--new-share 0.5,0.25,0.1] [--out FILE.jsonl]

Train is split into old and new by a seeded draw after 10,000 rows are held out for validation. A parent is synthesised
from the old rows at 10 % density; then each plan below updates it with the new rows. Passes are examples over the
number of all training rows; growth and loss scan count. One process, no Ray. Plans are compared on validation; the
test column is shown, not used. Runs that are in FILE already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from raygp.data.resident import Examples, ResidentData
from raygp.data.sources import open_source
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.engine import Outcome, Update
from raygp.update.plan import Plan
from raygp.update.plans import named_plan

TASK = make_task({"name": "lenet-300-100"})
HELD_OUT = 10_000
DENSE = {"seed_density": 1.0, "density": 1.0, "epochs": 6, "lr": 0.1,
         "phases": [{"kind": "prune-permanent", "gradual": True}]}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no growth": {"alpha": 0.0},
    "alpha 0.1": {"alpha": 0.1},
    "grow everything": {"alpha": 1.0},
    "uniform density": {"distribution": "uniform"},
    "global magnitudes": {"distribution": "global"},
    "random replay": {"replay": {"hard": 0.0}},
    "hardest replay": {"replay": {"hard": 1.0}},
    "scan 40 %": {"replay": {"scan": 0.4}},
    "replay 25 %": {"replay": {"share": 0.25}},
    "2 epochs": {"epochs": 2},
    "5 epochs": {"epochs": 5},
    "lr 0.05": {"lr": 0.05},
    "lr 0.2": {"lr": 0.2},
    "no clipping": {"clip_norm": None},
    "no weight decay": {"optimizer": {"weight_decay": 0.0}},
    "paper": {"name": "paper"},
}


def plan_of(changes: dict[str, Any]) -> Plan:
    """The default update plan (or the one that ``changes`` names) with changes."""
    fields = named_plan(changes.get("name", "default"), "update", TASK.name).model_dump(mode="json")
    for key, value in changes.items():
        fields[key] = fields[key] | value if isinstance(value, dict) else value
    return Plan.model_validate(fields)


class Mnist:
    """All of MNIST, decoded once."""

    def __init__(self, folder: str) -> None:
        rows = {"train": ([], []), "test": ([], [])}
        for sample in open_source(f"idx:{folder}").samples():
            images, labels = rows["test" if sample.split == "test" else "train"]
            images.append(TASK.decode(sample.load()))
            labels.append(int(sample.label))
        self.train, self.test = (
            Examples(torch.from_numpy(np.stack(images)), torch.tensor(labels)) for images, labels in rows.values()
        )

    def part(self, rows: np.ndarray) -> Examples:
        """Some training rows."""
        index = torch.from_numpy(rows)
        return Examples(self.train.inputs[index], self.train.targets[index])

    def split(self, share: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Old, new and validation rows."""
        order = np.random.default_rng(seed).permutation(len(self.train))
        val, rest = order[:HELD_OUT], order[HELD_OUT:]
        new = round(share * len(rest))
        return rest[new:], rest[:new], val

    def data(self, old: np.ndarray, new: np.ndarray, val: np.ndarray) -> ResidentData:
        """The data of one update."""
        return ResidentData(self.part(np.concatenate([old, new])), len(old), {"val": self.part(val), "test": self.test})


def run(plan: Plan, data: ResidentData, seed: int, parent: Outcome | None = None) -> Outcome:
    """One update (or synthesis) in this process; the gate lets everything through."""
    tensors = parent.tensors if parent else None
    learner = make_learner(TASK, data, plan, num_classes=10, seed=seed, parent=tensors)
    return Update(plan, learner, data, seed=seed, has_parent=parent is not None, gate_tolerance=1.0).run()


def measure(mnist: Mnist, share: float, seed: int, done: set[tuple[Any, ...]], console: Console):
    """Yield a row for each run of this split that is not done."""
    old, new, val = mnist.split(share, seed)
    nothing, everything = np.array([], dtype=np.int64), np.concatenate([old, new])
    pending = [name for name in ("dense from scratch", *VARIANTS) if (name, share, seed) not in done]
    parent = None
    for name in pending:
        if name == "dense from scratch":
            outcome = run(Plan.model_validate(DENSE), mnist.data(nothing, everything, val), seed)
        else:
            if parent is None:
                parent = run(named_plan("default", "synthesis", TASK.name), mnist.data(nothing, old, val), seed)
            outcome = run(plan_of(VARIANTS[name]), mnist.data(old, new, val), seed, parent)
        row = {
            "plan": name, "new_share": share, "seed": seed,
            "passes": outcome.ledger["examples"] / len(everything), "ledger": outcome.ledger,
            "parent_val": outcome.parent_val_accuracy, "val": outcome.val_accuracy, "test": outcome.test_accuracy,
            "active": outcome.active_connections,
        }  # fmt: skip
        console.print(f"new {share:.0%} seed {seed} {name}: val {row['val']:.2%} after {row['passes']:.2f} passes")
        yield row


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """A table by new share and plan: means over seeds."""
    for share in sorted({row["new_share"] for row in rows}, reverse=True):
        table = Table(
            "plan", "passes over all data", "val %", "spread", "test %", "active", title=f"new share {share:.0%}"
        )
        for name in ("dense from scratch", *VARIANTS):
            found = [row for row in rows if row["plan"] == name and row["new_share"] == share]
            if found:
                val = [100 * row["val"] for row in found]
                mean = {key: statistics.mean(row[key] for row in found) for key in ("passes", "test", "active")}
                table.add_row(
                    name,
                    f"{mean['passes']:.2f}",
                    f"{statistics.mean(val):.2f}",
                    f"{max(val) - min(val):.2f}",
                    f"{100 * mean['test']:.2f}",
                    f"{mean['active']:,.0f}",
                )
        console.print(table)


def main() -> None:
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idx-dir", required=True, help="folder of the four MNIST files")
    parser.add_argument("--new-share", default="0.5,0.25,0.1", help="shares, comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("plan_evidence.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=120)
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    mnist = Mnist(options.idx_dir)
    for seed in range(options.seeds):
        for share in map(float, options.new_share.split(",")):
            done = {(row["plan"], row["new_share"], row["seed"]) for row in rows}
            for row in measure(mnist, share, seed, done, console):
                rows.append(row)
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    show(rows, console)


if __name__ == "__main__":
    main()
