"""What the training loop asks of data: numbered training examples, shuffled epochs, exact evaluation.

Training examples carry an *id*: their position in the concatenation of all arrivals, in the order in which the model
line saw them, the new arrival last. Ids never change, so replay selections and data positions are plain integer arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from raygp.tasks.padded import Padded

Split = Literal["val", "test"]


@dataclass(frozen=True)
class Batch:
    """Decoded examples of one rank: its slice of a global batch."""

    inputs: Tensor | Padded
    """Stack of decoded samples, N x ... (images: uint8, N x C x H x W)."""

    targets: Tensor | Padded
    """Class ids, int64, shape (N,), numbers, float32, of the same shape, or sequences of ids."""

    ids: np.ndarray
    """Ids of the training examples (rows of the split in evaluation), int64, shape (N,)."""

    offset: int
    """Position of this slice's first row in the global batch."""

    step: int
    """Number of the global batch in its epoch, from 0."""


class TrainingData(Protocol):
    """The data of one update. Implementations: :mod:`raygp.data.resident`, :mod:`raygp.cluster.streaming`."""

    @property
    def old_rows(self) -> int:
        """Training examples of earlier arrivals: ids 0 .. old_rows - 1."""
        ...

    @property
    def new_rows(self) -> int:
        """Training examples of the new arrival: ids old_rows .. old_rows + new_rows - 1."""
        ...

    def classes(self) -> np.ndarray | None:
        """Class of each training example, by its id, int64; None where labels are no classes. Nothing is decoded."""
        ...

    def groups(self, split: Split) -> dict[str, slice]:
        """By arrival name, which rows of the held-out split it brought: contiguous, in order, covering all rows."""
        ...

    def typical_id(self) -> int:
        """Id of a training example of about the mean length. Where all examples are of one size, any will do."""
        ...

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        """One training epoch over ``ids`` in an order drawn from ``seed``: ``len(ids) // batch_size`` global batches
        (at least one), of each of which this rank gets its contiguous slice, never empty. The first ``first_step``
        batches are left out."""
        ...

    def scan(self, ids: np.ndarray, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """This rank's share of ``ids``, unshuffled; over all ranks every id comes exactly once. May be empty."""
        ...

    def evaluation(self, split: Split, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """This rank's share of a held-out split; over all ranks every row comes exactly once. May be empty."""
        ...
