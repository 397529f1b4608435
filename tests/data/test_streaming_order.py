"""The order of a streamed epoch, without reading anything."""

import numpy as np
import pytest

from raygp.data.catalog import ShardRef
from raygp.data.resident import slice_of_rank
from raygp.data.streaming_order import shuffled_sequence, window_pieces
from raygp.store import ShardInfo

SIZES = [40, 7, 25, 60, 33, 18, 52, 40, 5, 61]
FIRSTS = np.cumsum([0, *SIZES])[:-1]
REFS = tuple(
    ShardRef("a", ShardInfo(file=f"{i}.parquet", bytes=1, sha256="0" * 64, split="train", rows=rows), int(first))
    for i, (rows, first) in enumerate(zip(SIZES, FIRSTS, strict=True))
)
IDS = np.setdiff1d(np.arange(sum(SIZES)), np.arange(3, 300, 7))


def epoch(seed: int, workers: int, first_step: int = 0, window: int = 120) -> tuple[np.ndarray, int]:
    """Ids, steps x batch of 12, and how many reads of shards they take."""
    sequence, steps, reads, columns = shuffled_sequence(REFS, IDS, seed), len(IDS) // 12, 0, []
    for rank in range(workers):
        part = slice_of_rank(12, rank, workers)
        pieces = window_pieces(sequence, 12, steps, window, part, first_step)
        reads += sum(len(np.unique(piece["shard"])) for piece in pieces)
        ids = np.concatenate([FIRSTS[piece["shard"]] + piece["rows"] for piece in pieces])
        columns.append(ids.reshape(steps - first_step, part.stop - part.start))
    return np.concatenate(columns, axis=1), reads


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_global_batches_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    assert np.array_equal(epoch(7, workers)[0], epoch(7, 1)[0])


@pytest.mark.parametrize("first_step", [1, 9, 10, 11, 23])
def test_an_epoch_goes_on_at_any_step(first_step: int) -> None:
    assert np.array_equal(epoch(7, 2, first_step)[0], epoch(7, 2)[0][first_step:])


def test_each_wanted_row_comes_once_at_most_and_only_the_last_batch_is_short() -> None:
    ids = epoch(7, 2)[0]
    assert ids.shape == (len(IDS) // 12, 12)
    assert len(np.unique(ids)) == ids.size
    assert np.isin(ids, IDS).all()


def test_batches_draw_on_several_shards_in_an_order_of_the_seed() -> None:
    first, again, other = epoch(1, 1)[0], epoch(1, 1)[0], epoch(2, 1)[0]
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert all(len(np.unique(np.searchsorted(FIRSTS, batch, "right"))) >= 2 for batch in first)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_shards_are_read_again_only_where_windows_and_ranks_meet(workers: int) -> None:
    windows = (len(IDS) // 12 * 12) // 120
    assert windows >= 2
    assert len(SIZES) <= epoch(3, workers)[1] <= len(SIZES) + windows * workers - 1


def test_skipped_windows_are_not_read() -> None:
    assert epoch(3, 2, first_step=20)[1] < epoch(3, 2)[1]
