from __future__ import annotations

import numpy as np
import pytest
import torch

from raygp.sparse import select_largest, select_smallest

# scores, eligible, count, largest, smallest
TABLE = [
    ([1, 2, 3, 4], [1, 1, 1, 1], 2, [0, 0, 1, 1], [1, 1, 0, 0]),
    ([5, 5, 5, 5], [1, 1, 1, 1], 2, [1, 1, 0, 0], [1, 1, 0, 0]),
    ([5, 5, 5, 5], [0, 1, 0, 1], 1, [0, 1, 0, 0], [0, 1, 0, 0]),
    ([9, 2, 9, 2, 9], [1, 1, 1, 1, 1], 2, [1, 0, 1, 0, 0], [0, 1, 0, 1, 0]),
    ([9, 2, 9, 2, 9], [0, 1, 1, 1, 1], 3, [0, 1, 1, 0, 1], [0, 1, 1, 1, 0]),
    ([1, 2, 3, 4], [1, 0, 0, 1], 9, [1, 0, 0, 1], [1, 0, 0, 1]),
    ([1, 2, 3, 4], [1, 1, 1, 1], 0, [0, 0, 0, 0], [0, 0, 0, 0]),
    ([1, 2, 3, 4], [1, 1, 1, 1], -1, [0, 0, 0, 0], [0, 0, 0, 0]),
    ([1, 2, 3, 4], [0, 0, 0, 0], 2, [0, 0, 0, 0], [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("scores", "eligible", "count", "largest", "smallest"), TABLE)
def test_ties_go_to_the_lower_index(
    scores: list[float], eligible: list[int], count: int, largest: list[int], smallest: list[int]
) -> None:
    values, allowed = torch.tensor(scores).float(), torch.tensor(eligible).bool()
    assert select_largest(values, allowed, count).int().tolist() == largest
    assert select_smallest(values, allowed, count).int().tolist() == smallest


def test_selection_is_a_stable_sort_by_score_then_index() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        shape = (int(rng.integers(1, 7)), int(rng.integers(1, 7)))
        scores = rng.integers(-2, 3, shape).astype(np.float32)
        eligible = rng.random(shape) < rng.random()
        count = int(rng.integers(0, scores.size + 2))
        for select, key in ((select_largest, -scores), (select_smallest, scores)):
            order = [i for i in np.argsort(key, axis=None, kind="stable") if eligible.flat[i]]
            expected = np.zeros(shape, dtype=bool)
            expected.flat[order[:count]] = True
            chosen = select(torch.from_numpy(scores), torch.from_numpy(eligible), count)
            assert np.array_equal(chosen.numpy(), expected)
