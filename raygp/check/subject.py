"""What is checked: a task, the rows, and what earlier checks made of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raygp.check.rows import Row
from raygp.tasks.own import TaskCode
from raygp.tasks.padded import Padded, take
from raygp.tasks.protocol import Task, Values


@dataclass
class Subject:
    """A task on trial. What a check makes for those after it, it leaves here."""

    task: Task
    spec: dict[str, Any]
    """The task's spec, as ``line.json`` would hold it."""
    rows: Sequence[Row]
    code: TaskCode | None = None
    classes: list[str] = field(default_factory=list)
    """Vocabulary of the rows."""
    decoded: list[np.ndarray] = field(default_factory=list)
    inputs: Values = None
    """The decoded rows as one batch."""
    targets: Values = None
    prepared: Values = None
    """The model's input, without augmentation."""
    model: Any = None
    outputs: Values = None
    """Of the model in evaluation mode."""

    @property
    def is_classifier(self) -> bool:
        """Whether each sample has one label of a few."""
        return self.task.labels_are_classes and not self.task.sequences

    @property
    def network(self) -> nn.Module:
        """The model."""
        assert isinstance(self.model, nn.Module)
        return self.model

    def draws(self, seed: int) -> Tensor:
        """Uniform numbers for the augmentation of all rows."""
        return torch.rand(len(self.rows), self.task.draws, generator=torch.Generator().manual_seed(seed))


def pick(values: Values, rows: Sequence[int]) -> Values:
    """Some rows of a batch."""
    return take(values, torch.tensor(list(rows)))


def row_of(values: Values, row: int) -> Tensor:
    """One row of a batch without its padding."""
    if isinstance(values, Padded):
        return values.values[row, : int(values.lengths[row])].detach()
    found: Tensor = values[row]
    return found.detach()


def differ(first: Tensor, second: Tensor) -> bool:
    """Whether two results are different by more than the order of sums can explain."""
    if first.shape != second.shape:
        return True
    if not first.is_floating_point():
        return not torch.equal(first, second)
    first, second = first.double(), second.double()
    largest = float(second.abs().amax()) if second.numel() else 0.0
    return not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * max(1e-3, largest))


def finite(values: Values) -> bool:
    """Whether all numbers of a batch are; True for whole numbers."""
    tensor = values.values if isinstance(values, Padded) else values
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def shape_of(values: Values) -> str:
    """The shape of a batch, for people."""
    if isinstance(values, Padded):
        return f"{' x '.join(map(str, values.values.shape))}, padded"
    return " x ".join(map(str, values.shape)) if isinstance(values, Tensor) else type(values).__name__


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """All global random numbers from a seed in the block; afterwards they are as they were."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
