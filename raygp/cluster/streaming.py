"""Training data that do not fit in memory: every epoch streams the shards through Ray Data again.

:mod:`raygp.data.streaming_order` says in which order. Storage sees whole, sequential reads of shards, and each row is
decoded once. A task holds the shards of its run of rows as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from raygp.cluster.pipeline import examples_dataset, refs_of
from raygp.data.batches import Batch, Split
from raygp.data.catalog import Catalog
from raygp.data.reading import read_classes
from raygp.data.resident import slice_of_rank
from raygp.data.streaming_order import TRAIN, rows_by_shard, shuffled_sequence, window_pieces
from raygp.tasks.protocol import Task


@dataclass
class StreamingData:
    """:class:`raygp.data.batches.TrainingData` over Ray Data pipelines, one execution an epoch and rank."""

    catalog: Catalog
    task: Task
    shuffle_rows: int = 4096
    """Rows of a window at least. A batch draws on one window, so this is how well rows are mixed."""
    shuffle_shards: int = 8
    """Shards that the rows of a window fill at least, if all shards were of mean size."""

    @property
    def old_rows(self) -> int:
        """Training examples of earlier arrivals."""
        return self.catalog.old_rows

    @property
    def new_rows(self) -> int:
        """Training examples of the new arrival."""
        return self.catalog.train_rows - self.catalog.old_rows

    def classes(self) -> np.ndarray | None:
        """See :class:`raygp.data.batches.TrainingData`. Of the shards, the labels alone are read."""
        return read_classes(self.catalog, self.task)

    def groups(self, split: Split) -> dict[str, slice]:
        """See :class:`raygp.data.batches.TrainingData`."""
        return self.catalog.groups(split)

    def typical_id(self) -> int:
        """See :class:`raygp.data.batches.TrainingData`: streamed examples are all of one size."""
        return 0

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        """See :class:`raygp.data.batches.TrainingData`. Of what is left out, nothing is decoded."""
        batch_size = min(batch_size, len(ids))
        steps = len(ids) // max(1, batch_size)
        sequence = shuffled_sequence(self.catalog.train, ids, seed)
        part = slice_of_rank(batch_size, rank, world_size)
        window = max(self.shuffle_rows, self.shuffle_shards * sequence.mean_rows)
        pieces = window_pieces(sequence, batch_size, steps, window, part, first_step)
        for step, batch in enumerate(self._batches(pieces, part.stop - part.start), first_step):
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
            for number, rows in rows_by_shard(refs_of(self.catalog, split), mine)
        ]
        offset = 0
        for step, batch in enumerate(self._batches(pieces, batch_size)):
            yield Batch(batch["inputs"], batch["targets"], batch["ids"].numpy(), offset, step)
            offset += len(batch["targets"])

    def _batches(self, pieces: list[dict[str, Any]], rows: int) -> Iterator[dict[str, torch.Tensor]]:
        if not pieces:
            return iter(())
        dataset = examples_dataset(self.catalog, self.task, pieces)
        dataset.context.execution_options.preserve_order = True
        return iter(dataset.iter_torch_batches(batch_size=rows, prefetch_batches=4))
