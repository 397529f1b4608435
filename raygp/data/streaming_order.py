"""The order in which an epoch draws on training data that do not fit in memory.

An epoch's global batches follow from its seed alone, whatever the number of workers. Shards in a permuted order, with
the rows of each permuted, give one sequence. It is cut into windows of some shards. A window of K batches of B rows is
read as a table of B lines of K rows. The columns are the batches, so each batch has a row of every part of the window.
A rank's slice of the batches is a run of lines, which comes from few shards, and one task reads it.

What that costs: a shard in which a window or a rank's run ends is read by both neighbours. With V windows and W ranks
that is at most V * W - 1 reads more than there are shards. A window has the rows of ``shuffle_shards`` shards at
least, so it is at most W / ``shuffle_shards`` of the data (one rank: an eighth; two: a quarter), and more only where
the whole data have fewer shards than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raygp.data.catalog import ShardRef

TRAIN = "train"


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
    pieces = rows_by_shard(refs, np.sort(ids))
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


def rows_by_shard(refs: tuple[ShardRef, ...], ids: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Sorted ids as (number of the shard, rows within it). Shards that none of the ids lies in are left out."""
    found = []
    for number, ref in enumerate(refs):
        start, stop = np.searchsorted(ids, [ref.first, ref.stop])
        if stop > start:
            found.append((number, ids[start:stop] - ref.first))
    return found
