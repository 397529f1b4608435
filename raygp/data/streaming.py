"""Training data that do not fit in memory: every epoch streams the shards through Ray Data again.

The epoch's sequence is fixed by its seed alone: shards in a permuted order, the rows of each permuted. A rank reads its
contiguous part of that sequence (a shard on the border is read by both neighbours) and mixes neighbours in a shuffle
buffer. Storage sees whole, sequential reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray.data
import torch

from raygp.data.batches import Batch, Split
from raygp.data.catalog import Catalog, ShardRef
from raygp.data.pipeline import TRAIN, examples_dataset, refs_of
from raygp.data.resident import slice_of_rank
from raygp.tasks.protocol import Task


@dataclass
class StreamingData:
    """:class:`raygp.data.batches.TrainingData` over Ray Data pipelines, one execution an epoch and rank."""

    catalog: Catalog
    task: Task
    shuffle_rows: int = 4096
    """Rows of the shuffle buffer of each worker."""

    @property
    def old_rows(self) -> int:
        """Training examples of earlier arrivals."""
        return self.catalog.old_rows

    @property
    def new_rows(self) -> int:
        """Training examples of the new arrival."""
        return self.catalog.train_rows - self.catalog.old_rows

    def groups(self, split: Split) -> dict[str, slice]:
        """See :class:`raygp.data.batches.TrainingData`."""
        return self.catalog.groups(split)

    def typical_id(self) -> int:
        """See :class:`raygp.data.batches.TrainingData`: streamed examples are all of one size."""
        return 0

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`. What is left out is read all the same: the shuffle buffer's
        order follows from all that went through it."""
        batch_size = min(batch_size, len(ids))
        steps = len(ids) // max(1, batch_size)
        sequence = shuffled_pieces(self.catalog.train, ids, seed)
        # Ranks whose slice of the global batch is larger get a longer part of the sequence.
        part = slice_of_rank(batch_size, rank, world_size)
        mine = _cut(sequence, steps * part.start, steps * part.stop)
        rows = part.stop - part.start
        buffer = min(self.shuffle_rows, max(rows, steps * rows))
        batches = self._batches(mine, rows, local_shuffle_buffer_size=buffer, local_shuffle_seed=seed % 2**32)
        for step, batch in zip(range(steps), batches, strict=False):
            if step >= first_step:
                yield Batch(batch["inputs"], batch["targets"], batch["ids"].numpy(), part.start, step)

    def scan(self, ids: np.ndarray, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`."""
        return self._in_order(TRAIN, np.sort(ids), batch_size, rank, world_size)

    def evaluation(self, split: Split, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`."""
        refs = self.catalog.held_out.get(split, ())
        rows = refs[-1].stop if refs else 0
        return self._in_order(split, np.arange(rows), batch_size, rank, world_size)

    def _in_order(self, split: str, ids: np.ndarray, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        mine = ids[slice_of_rank(len(ids), rank, world_size)]
        pieces = [
            {"split": split, "shard": number, "rows": rows}
            for number, rows in _rows_by_shard(refs_of(self.catalog, split), mine)
        ]
        offset = 0
        for step, batch in enumerate(self._batches(pieces, batch_size)):
            yield Batch(batch["inputs"], batch["targets"], batch["ids"].numpy(), offset, step)
            offset += len(batch["targets"])

    def _batches(self, pieces: list[dict[str, Any]], rows: int, **shuffle: Any) -> Iterator[dict[str, torch.Tensor]]:
        if not pieces:
            return iter(())
        dataset = examples_dataset(self.catalog, self.task, pieces)
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        return iter(dataset.iter_torch_batches(batch_size=rows, prefetch_batches=4, **shuffle))


def shuffled_pieces(refs: tuple[ShardRef, ...], ids: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """The epoch's sequence: wanted rows of each shard, shards and rows permuted by ``seed``."""
    pieces = _rows_by_shard(refs, np.sort(ids))
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(pieces))
    return [
        {"split": TRAIN, "shard": pieces[i][0], "rows": np.random.default_rng([seed, i]).permutation(pieces[i][1])}
        for i in order.tolist()
    ]


def _rows_by_shard(refs: tuple[ShardRef, ...], ids: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Sorted ids as (number of the shard, rows within it); shards without a wanted row are left out."""
    found = []
    for number, ref in enumerate(refs):
        start, stop = np.searchsorted(ids, [ref.first, ref.stop])
        if stop > start:
            found.append((number, ids[start:stop] - ref.first))
    return found


def _cut(pieces: list[dict[str, Any]], start: int, stop: int) -> list[dict[str, Any]]:
    """The rows ``start:stop`` of a sequence of pieces."""
    cut, position = [], 0
    for piece in pieces:
        rows = piece["rows"]
        low, high = max(start - position, 0), min(stop - position, len(rows))
        if low < high:
            cut.append({**piece, "rows": rows[low:high]})
        position += len(rows)
    return cut
