"""Training steps alone, for benchmarks that time them: one model, one batch that stays the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raygp.sparse import Masks, PackedReduction, seed_sparse, wrap_ddp
from raygp.tasks import make_task

Mode = Literal["plain", "packed", "unpacked", "alone"]
"""DistributedDataParallel as it comes over a dense model; masked with packed gradients; masked with all of them sent;
masked, on this rank only."""


@dataclass(frozen=True)
class Case:
    """One model at one batch."""

    task: dict[str, Any]
    batch: int
    """Examples a rank."""


class Stepper:
    """A model with SGD in one mode. Where ranks work together, all of them call its methods."""

    def __init__(self, case: Case, mode: Mode, density: float) -> None:
        torch.manual_seed(0)
        task = make_task(case.task)
        model = task.build_model(10)
        self.mode, self.batch = mode, case.batch
        self.masks: Masks | None = None
        self.traffic: PackedReduction | None = None
        self.network: nn.Module = model
        if mode == "plain":
            self.network = DistributedDataParallel(model)
        else:
            self.masks = Masks(model, task.dense)
            seed_sparse(self.masks, density, torch.Generator().manual_seed(0))
            if mode != "alone":
                self.network, self.traffic = wrap_ddp(model, self.masks, packed=mode == "packed")
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
        size = case.task.get("image_size", 28)
        self.inputs = torch.randn(case.batch, task.spec.channels, size, size)
        self.targets = torch.randint(10, (case.batch,))
        self.task = task

    def run(self, steps: int) -> float:
        """Seconds that ``steps`` steps take, all ranks starting together (but in mode ``alone``)."""
        if self.mode != "alone":
            dist.barrier()
        started = time.perf_counter()
        for _ in range(steps):
            loss = self.task.losses(self.network(self.inputs), self.targets).mean()
            self.optimizer.zero_grad(set_to_none=self.mode == "alone")
            loss.backward()
            if self.masks is not None and self.mode != "packed":
                self.masks.mask_gradients()
            self.optimizer.step()
        if self.mode != "alone":
            dist.barrier()
        return time.perf_counter() - started
