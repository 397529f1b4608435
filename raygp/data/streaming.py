"""Training data that do not fit in memory: every epoch streams the shards through Ray Data again.

The epoch's global batches follow from its seed alone, whatever the number of workers: shards in a permuted order, the
rows of each permuted, give one sequence. It is cut into windows of some shards; a window of K batches of B rows is read
as a table of B lines of K rows, whose columns are the batches: each has a row of every stretch of the window. A rank's
slice of the window's batches is then a run of lines, that is of shards, and one task reads it.

Storage sees whole, sequential reads of shards. A shard in which a window or a rank's run ends is read by both
neighbours: with V windows and W ranks at most V * W - 1 reads more than there are shards. A window has the rows of
``shuffle_shards`` shards at least, so this is at most W / ``shuffle_shards`` of the data (two ranks: a quarter; one: an
eighth), and more only where the whole data have fewer shards than that. A row is decoded once. A task holds the shards
of its run as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
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
    """Rows of a window at least: batches draw on so many."""
    shuffle_shards: int = 8
    """Mean shards of a window at least."""

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
            for number, rows in _rows_by_shard(refs_of(self.catalog, split), mine)
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


@dataclass(frozen=True)
class Sequence:
    """Training examples in the order in which an epoch draws on them."""

    shards: np.ndarray
    """Number of each one's shard, int64, shape (N,)."""
    rows: np.ndarray
    """Its row within that, int64, shape (N,)."""

    @property
    def mean_rows(self) -> int:
        """Rows a shard, those that are wanted; rounded up."""
        return -(-len(self.rows) // max(1, len(np.unique(self.shards))))


def shuffled_sequence(refs: tuple[ShardRef, ...], ids: np.ndarray, seed: int) -> Sequence:
    """The wanted rows of each shard, shards and rows permuted by ``seed``."""
    pieces = _rows_by_shard(refs, np.sort(ids))
    order = np.random.default_rng(seed).permutation(len(pieces)).tolist()
    numbers = np.repeat([pieces[i][0] for i in order], [len(pieces[i][1]) for i in order])
    rows = [np.random.default_rng([seed, i]).permutation(pieces[i][1]) for i in order]
    return Sequence(numbers, np.concatenate(rows) if rows else np.empty(0, dtype=np.int64))


def window_pieces(
    sequence: Sequence, batch_size: int, steps: int, window: int, part: slice, first_step: int
) -> list[dict[str, Any]]:
    """A rank's rows of an epoch, batch after batch, in one piece a window.

    Args:
        sequence: of the epoch, ``batch_size * steps`` rows at least.
        batch_size: rows of a global batch.
        steps: batches of the epoch.
        window: rows of a window at least, unless the epoch has fewer; below twice as many.
        part: the rank's slice of each batch.
        first_step: batches before it are left out.
    """
    windows = max(1, steps * batch_size // max(1, window))
    pieces = []
    for number in range(windows):
        first, stop = steps * number // windows, steps * (number + 1) // windows
        if stop <= first_step:
            continue
        # Lines are stretches of the sequence, columns are batches.
        places = np.arange(first * batch_size, stop * batch_size).reshape(batch_size, stop - first)
        chosen = places[part, max(0, first_step - first) :].T.reshape(-1)
        pieces.append({"split": TRAIN, "shard": sequence.shards[chosen], "rows": sequence.rows[chosen]})
    return pieces


def _rows_by_shard(refs: tuple[ShardRef, ...], ids: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Sorted ids as (number of the shard, rows within it); shards without a wanted row are left out."""
    found = []
    for number, ref in enumerate(refs):
        start, stop = np.searchsorted(ids, [ref.first, ref.stop])
        if stop > start:
            found.append((number, ids[start:stop] - ref.first))
    return found
