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
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raygp.sparse import Masks, seed_sparse, wrap_ddp
from raygp.tasks import make_task


@dataclass(frozen=True)
class Case:
    """One model at one batch."""

    task: dict
    batch: int
    limit: float
    """The ratio that must not be exceeded."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.task['name']}, batch {self.batch} a rank"


CASES = (
    Case({"name": "resnet18", "image_size": 64, "dense": ()}, 32, 1.03),
    Case({"name": "lenet-300-100"}, 128, 1.25),
)
DENSITY = 0.1


class Stepper:
    """A model under DDP with SGD, masked or plain."""

    def __init__(self, case: Case, packed: bool | None) -> None:
        torch.manual_seed(0)
        task = make_task(case.task)
        model = task.build_model(10)
        self.masks: Masks | None = None
        self.packed = packed
        if packed is None:
            self.network: nn.Module = DistributedDataParallel(model)
        else:
            self.masks = Masks(model, task.dense)
            seed_sparse(self.masks, DENSITY, torch.Generator().manual_seed(0))
            self.network, _ = wrap_ddp(model, self.masks, packed=packed)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
        size = case.task.get("image_size", 28)
        self.inputs = torch.randn(case.batch, task.spec.channels, size, size)
        self.targets = torch.randint(10, (case.batch,))
        self.task = task

    def run(self, steps: int) -> float:
        """Seconds that ``steps`` steps take, all ranks starting together."""
        dist.barrier()
        started = time.perf_counter()
        for _ in range(steps):
            loss = self.task.losses(self.network(self.inputs), self.targets).mean()
            self.optimizer.zero_grad(set_to_none=False)
            loss.backward()
            if self.masks is not None and not self.packed:
                self.masks.mask_gradients()
            self.optimizer.step()
        dist.barrier()
        return time.perf_counter() - started


def work(rank: int, rendezvous: str, rounds: int, seconds: float, results: str) -> None:
    """One rank; rank 0 writes the ratios."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    rows = []
    for case in CASES:
        variants = {
            "plain": Stepper(case, None),
            "masked": Stepper(case, True),
            "masked, unpacked": Stepper(case, False),
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
