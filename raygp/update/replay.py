"""Which earlier examples are seen again: some because the parent finds them hard, some at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from raygp.sparse import select_largest
from raygp.update.plan import ReplaySettings
from raygp.update.seeds import numpy_generator


def draw_replay(
    settings: ReplaySettings, old_rows: int, seed: int, losses: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Choose ``round(share * old_rows)`` of the old training examples.

    Args:
        settings: how many, and how many of them by loss.
        old_rows: number of old examples; their ids are 0 .. old_rows - 1.
        seed: the update's.
        losses: the model's loss on given ids, the same on every rank; not called when nothing is chosen by loss.

    Returns:
        Sorted ids, int64, without repetition.
    """
    wanted = round(settings.share * old_rows)
    if wanted == 0 or wanted == old_rows:
        return np.arange(wanted, dtype=np.int64)
    order = numpy_generator(seed, "replay").permutation(old_rows)
    hard_wanted = round(settings.hard * wanted)
    chosen = np.zeros(old_rows, dtype=bool)
    if hard_wanted:
        scanned = np.sort(order[: max(hard_wanted, round(settings.scan * old_rows))])
        loss = torch.from_numpy(losses(scanned))
        hard = select_largest(loss, torch.ones_like(loss, dtype=torch.bool), hard_wanted)
        chosen[scanned[hard.numpy()]] = True
    rest = order[~chosen[order]][: wanted - int(chosen.sum())]
    chosen[rest] = True
    return np.flatnonzero(chosen)
