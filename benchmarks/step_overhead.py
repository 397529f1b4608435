"""What masks cost: a masked DDP training step over a plain DDP step, interleaved in one run of two gloo ranks.

    python benchmarks/step_overhead.py [--rounds 9] [--seconds 2] [--out FILE.json]

The masked step is raygp's: packed gradients (active connections only), dormant weights exactly zero. The plain step is
DistributedDataParallel as it comes, over the same architecture, dense. Each round times both, in turn; the ratio is
taken round by round and its median is the figure to quote.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from rich.console import Console
from rich.table import Table

from benchmarks.stepping import Case, Stepper


@dataclass(frozen=True)
class Limited(Case):
    """A case, and the ratio that must not be exceeded."""

    limit: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.task['name']}, batch {self.batch} a rank"


CASES = (
    Limited({"name": "resnet18", "image_size": 64, "dense": ()}, 32, 1.03),
    Limited({"name": "lenet-300-100"}, 128, 1.25),
)
DENSITY = 0.1


def work(rank: int, rendezvous: str, rounds: int, seconds: float, results: str) -> None:
    """One rank; rank 0 writes the ratios."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    rows = []
    for case in CASES:
        variants = {
            "plain": Stepper(case, "plain", DENSITY),
            "masked": Stepper(case, "packed", DENSITY),
            "masked, unpacked": Stepper(case, "unpacked", DENSITY),
        }
        took = torch.tensor(max(stepper.run(3) / 3 for stepper in variants.values()))
        dist.all_reduce(took, op=dist.ReduceOp.MAX)
        steps = max(2, int(seconds / float(took)))
        times = {name: [] for name in variants}
        for _ in range(rounds):
            for name, stepper in variants.items():
                times[name].append(stepper.run(steps) / steps)
        for name in ("masked", "masked, unpacked"):
            ratios = [a / b for a, b in zip(times[name], times["plain"], strict=True)]
            rows.append(
                {
                    "case": case.name, "variant": name, "density": DENSITY,
                    "plain_ms": 1e3 * statistics.median(times["plain"]),
                    "masked_ms": 1e3 * statistics.median(times[name]),
                    "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
                    "limit": case.limit, "rounds": rounds, "steps": steps,
                }
            )  # fmt: skip
    if rank == 0:
        Path(results).write_text(json.dumps(rows))
    dist.destroy_process_group()


def main() -> None:
    """Run both ranks, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="how often each variant is timed (default 9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one timing (default 2)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = f"{folder}/rows.json"
        mp.spawn(work, (f"{folder}/rendezvous", options.rounds, options.seconds, results), nprocs=2)
        rows = json.loads(Path(results).read_text())
    table = Table("case", "variant", "plain ms", "masked ms", "ratio (min - max)", "limit")
    for row in rows:
        spread = f"{row['ratio']:.3f} ({row['ratio_min']:.3f} - {row['ratio_max']:.3f})"
        times = (f"{row['plain_ms']:.2f}", f"{row['masked_ms']:.2f}")
        table.add_row(row["case"], row["variant"], *times, spread, f"{row['limit']:.2f}")
    Console(highlight=False, width=110).print(table)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
