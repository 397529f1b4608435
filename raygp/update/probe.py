"""A few validation rows, and what the trained model made of them: who loads the version later compares with that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygp.data.catalog import Catalog, ShardRef

ROWS = 16
"""So many rows at the most."""
_POINTS = 1e-6
"""What is the same but for rounding."""
_LOSS, _LOSS_SHARE = 0.05, 0.1
"""How far a row's loss may move from a model that was measured on a GPU, maybe in bfloat16, to the same one loaded on a
CPU: so much, and so much of itself."""


@dataclass(frozen=True)
class Probe:
    """What a model made of some rows of the validation split."""

    rows: tuple[int, ...]
    """Their positions in the split, ascending."""
    points: tuple[float, ...]
    """Of each row by the task's first metric (:meth:`raygp.tasks.protocol.Task.score`)."""
    losses: tuple[float, ...]
    """Of each row (:meth:`raygp.tasks.protocol.Task.losses`)."""

    def differing(self, other: Probe) -> list[int]:
        """Which of the rows the other measurement does not confirm, by their place in :attr:`rows`.

        A row is confirmed by the same points. Where two answers are about equally good, rounding decides between them:
        so one of other points is confirmed by the same loss, but for rounding.
        """
        points = np.abs(np.subtract(self.points, other.points)) <= _POINTS
        ours, theirs = np.asarray(self.losses), np.asarray(other.losses)
        near = np.abs(ours - theirs) <= _LOSS + _LOSS_SHARE * np.abs(ours)
        return [int(place) for place in np.flatnonzero(~(points | near))]


def probe_shard(catalog: Catalog, arrival: str) -> ShardRef:
    """The shard of validation rows that a candidate is tried on: the smallest of the arrival; of all, where that has
    brought none."""
    refs = catalog.held_out["val"]
    return min([ref for ref in refs if ref.arrival == arrival] or refs, key=lambda ref: (ref.shard.bytes, ref.first))


def probe_rows(catalog: Catalog, arrival: str) -> np.ndarray:
    """Positions in the validation split of some rows of :func:`probe_shard`, spread over it, ascending; int64."""
    ref = probe_shard(catalog, arrival)
    return ref.first + np.unique(np.linspace(0, ref.shard.rows - 1, ROWS).astype(np.int64))
