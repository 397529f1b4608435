"""Training data that fits in memory, decoded once: batches are gathered by index.

The order of an epoch is a permutation of the ids drawn from the epoch's seed and from nothing else, cut into global
batches of which each rank takes its slice: the same examples meet in the same step whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from raygp.data.batches import Batch, Split
from raygp.data.ragged import Ragged, bucket_by_length


@dataclass(frozen=True)
class Examples:
    """Decoded examples with their labels."""

    inputs: Tensor | Ragged
    """N x ... (images: uint8, N x C x H x W)."""
    targets: Tensor | Ragged
    """Class ids, int64, shape (N,), numbers, float32, of the same shape, or sequences of ids."""

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, ids: np.ndarray) -> Examples:
        """Some of the examples, in the order of ``ids``."""
        index = torch.from_numpy(ids)
        inputs, targets = (x.take(index) if isinstance(x, Ragged) else x[index] for x in (self.inputs, self.targets))
        return Examples(inputs, targets)

    @classmethod
    def of(cls, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], ragged: bool) -> Examples:
        """From decoded samples and targets; ``ragged``: they differ in length, as those of a task of sequences do."""
        if ragged:
            return cls(Ragged.of(inputs), Ragged.of(targets))
        return cls(torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets)))


def slice_of_rank(rows: int, rank: int, world_size: int) -> slice:
    """A rank's contiguous part of ``rows``; sizes differ by one at most, and the parts cover all rows."""
    return slice(rows * rank // world_size, rows * (rank + 1) // world_size)


@dataclass
class ResidentData:
    """:class:`raygp.data.batches.TrainingData` over tensors in memory."""

    train: Examples
    """In the order of ids: earlier arrivals first."""
    old_rows: int
    held_out: Mapping[Split, Examples]
    held_out_groups: Mapping[Split, dict[str, slice]] = field(default_factory=dict)
    """By split and arrival, its rows; a split left out counts as brought by one arrival, "all"."""

    @property
    def new_rows(self) -> int:
        """Training examples of the new arrival."""
        return len(self.train) - self.old_rows

    def classes(self) -> np.ndarray | None:
        """See :class:`raygp.data.batches.TrainingData`."""
        targets = self.train.targets
        # Numbers of a regression have one dimension, too, and are no classes.
        is_class = isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point()
        return targets.numpy() if is_class and isinstance(targets, Tensor) else None

    def groups(self, split: Split) -> dict[str, slice]:
        """See :class:`raygp.data.batches.TrainingData`."""
        if split in self.held_out_groups:
            return self.held_out_groups[split]
        return {"all": slice(0, len(self.held_out[split]))} if split in self.held_out else {}

    def typical_id(self) -> int:
        """See :class:`raygp.data.batches.TrainingData`."""
        if not isinstance(self.train.inputs, Ragged):
            return 0
        lengths = self.train.inputs.lengths
        return int(np.abs(lengths - lengths.mean()).argmin())

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`."""
        order = np.random.default_rng(seed).permutation(ids)
        batch_size = min(batch_size, len(order))
        if isinstance(self.train.inputs, Ragged) and batch_size:
            order = bucket_by_length(order, self.train.inputs.lengths[order], batch_size, seed)
        part = slice_of_rank(batch_size, rank, world_size)
        for step in range(first_step, len(order) // max(1, batch_size)):
            chosen = order[step * batch_size : (step + 1) * batch_size][part]
            yield _gather(self.train, chosen, part.start, step)

    def scan(self, ids: np.ndarray, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`."""
        return _in_order(self.train, ids[slice_of_rank(len(ids), rank, world_size)], batch_size)

    def evaluation(self, split: Split, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`."""
        examples = self.held_out.get(split)
        if examples is None:
            return iter(())
        part = slice_of_rank(len(examples), rank, world_size)
        return _in_order(examples, np.arange(part.start, part.stop), batch_size)


def _in_order(examples: Examples, ids: np.ndarray, batch_size: int) -> Iterator[Batch]:
    for step, start in enumerate(range(0, len(ids), batch_size)):
        yield _gather(examples, ids[start : start + batch_size], start, step)


def _gather(examples: Examples, ids: np.ndarray, offset: int, step: int) -> Batch:
    index = torch.from_numpy(ids)
    return Batch(examples.inputs[index], examples.targets[index], ids, offset, step)
