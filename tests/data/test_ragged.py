"""Rows of different lengths: storage, batches, and epochs that keep similar lengths together."""

import numpy as np
import torch

from raygp.data.ragged import Ragged, bucket_by_length
from raygp.data.resident import Examples, ResidentData

ROWS = [np.full((length, 2), length, dtype=np.float16) for length in (3, 1, 4, 2)]


def test_rows_come_back_padded_and_in_the_order_asked_for() -> None:
    ragged = Ragged.of(ROWS)
    assert len(ragged) == 4 and ragged.lengths.tolist() == [3, 1, 4, 2]
    padded = ragged[torch.tensor([1, 2])]
    assert padded.values.shape == (2, 4, 2) and padded.lengths.tolist() == [1, 4]
    assert padded.values[0, :, 0].tolist() == [1, 0, 0, 0]
    assert padded.valid().tolist() == [[True, False, False, False], [True] * 4]
    taken = ragged.take(torch.tensor([2, 0]))
    assert taken.lengths.tolist() == [4, 3] and taken[torch.tensor([1])].values[0, :, 1].tolist() == [3, 3, 3]


def test_buckets_keep_every_id_and_put_similar_lengths_together() -> None:
    generator = np.random.default_rng(0)
    order = generator.permutation(1003)
    lengths = generator.integers(10, 500, 1003)
    bucketed = bucket_by_length(order, lengths[order], 10, seed=1)
    assert sorted(bucketed.tolist()) == list(range(1003))
    assert np.array_equal(bucketed[1000:], order[1000:])

    def spread(ids: np.ndarray) -> float:
        return float(np.ptp(lengths[ids[:1000]].reshape(-1, 10), axis=1).mean())

    assert spread(bucketed) < spread(order) / 5
    assert np.array_equal(bucketed, bucket_by_length(order, lengths[order], 10, seed=1))
    # Not sorted as a whole: a long batch may come at any time.
    means = lengths[bucketed[:1000]].reshape(-1, 10).mean(axis=1)
    assert abs(np.corrcoef(means, np.arange(100))[0, 1]) < 0.5


def make_data(rows: int = 50) -> ResidentData:
    generator = np.random.default_rng(0)
    inputs = [np.full((length, 3), row, np.float32) for row, length in enumerate(generator.integers(2, 40, rows))]
    targets = [np.arange(row % 3 + 1) for row in range(rows)]
    return ResidentData(Examples.of(inputs, targets, ragged=True), 20, {})


def test_the_same_utterances_meet_in_a_step_whatever_the_number_of_workers() -> None:
    data = make_data()
    ids = np.arange(50)
    alone = [batch.ids for batch in data.epoch(ids, 8, 5, 0, 1)]
    ranks = [list(data.epoch(ids, 8, 5, rank, 3)) for rank in range(3)]
    assert len(alone) == 6
    for step, whole in enumerate(alone):
        assert np.array_equal(np.concatenate([rank[step].ids for rank in ranks]), whole)
        for rank in ranks:
            batch = rank[step]
            assert batch.inputs.values.shape[1] == int(batch.inputs.lengths.max())
            assert batch.inputs.values[:, 0, 0].tolist() == batch.ids.tolist()
            assert (batch.targets.lengths.numpy() == batch.ids % 3 + 1).all()


def test_the_typical_example_is_of_about_the_mean_length() -> None:
    data = make_data()
    lengths = data.train.inputs.lengths
    assert abs(lengths[data.typical_id()] - lengths.mean()) <= 1.0
