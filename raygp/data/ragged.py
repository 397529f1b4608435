"""Rows of different lengths without padding, and batches that keep similar lengths together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Values

_WINDOW_BATCHES = 16


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, stored one after the other in one tensor. Indexing by row numbers gives those rows,
    padded to the longest of them."""

    values: Tensor
    """All rows concatenated along their first axis."""
    ends: Tensor
    """Where each row ends, int64, shape (N,)."""

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> Ragged:
        """From arrays that differ along their first axis only."""
        ends = torch.from_numpy(np.cumsum([len(row) for row in rows], dtype=np.int64))
        return cls(torch.from_numpy(np.concatenate(rows)) if rows else torch.empty(0), ends)

    @property
    def lengths(self) -> np.ndarray:
        """Of each row, int64, shape (N,)."""
        return np.diff(self.ends.numpy(), prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Tensor) -> Padded:
        rows = [self._row(int(i)) for i in index]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        return Padded(pad_sequence(rows, batch_first=True), lengths)

    def take(self, index: Tensor) -> Ragged:
        """Some of the rows, in the order of ``index``."""
        return Ragged.of([self._row(int(i)).numpy() for i in index])

    def _row(self, number: int) -> Tensor:
        start = int(self.ends[number - 1]) if number else 0
        return self.values[start : int(self.ends[number])]


def stacked(rows: Sequence[np.ndarray], sequences: bool) -> Values:
    """Decoded samples, or targets, as one batch.

    Args:
        rows: one at least, alike but for the first axis of sequences.
        sequences: they differ along that axis (:attr:`raygp.tasks.protocol.Task.sequences`).
    """
    if sequences:
        return Ragged.of(rows)[torch.arange(len(rows))]
    return torch.from_numpy(np.stack(rows))


def bucket_by_length(order: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int) -> np.ndarray:
    """Rearrange a shuffled epoch so that the rows of a batch are of similar length.

    Within windows of some batches, rows are sorted by length and cut into batches; then all batches are shuffled. Rows
    that do not fill a last batch stay at the end.

    Args:
        order: ids, shuffled.
        lengths: of each of them, in the same order.
        batch_size: rows of a batch.
        seed: of the batches' order.
    """
    window = batch_size * _WINDOW_BATCHES
    whole = len(order) // batch_size * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, whole, window):
        stop = min(start + window, whole)
        ranked = order[start:stop][np.argsort(lengths[start:stop], kind="stable")]
        batches += np.split(ranked, len(ranked) // batch_size)
    shuffled = np.random.default_rng(seed).permutation(len(batches))
    return np.concatenate([*(batches[i] for i in shuffled), order[whole:]])
