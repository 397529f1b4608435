"""Which examples are trained on: some because the model finds them hard, some at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from raygp.sparse import select_largest
from raygp.update.plan import SelectionSettings


def choose_examples(
    settings: SelectionSettings,
    ids: np.ndarray,
    generator: np.random.Generator,
    losses: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Choose ``round(share * len(ids))`` of some training examples.

    Args:
        settings: how many, and how many of them by loss.
        ids: sorted, int64, to choose from.
        generator: of the random part and of what is scanned.
        losses: the model's loss on given ids, the same on every rank; not called when nothing is chosen by loss.

    Returns:
        Sorted ids, int64, without repetition.
    """
    wanted = round(settings.share * len(ids))
    if wanted in (0, len(ids)):
        return ids[:wanted]
    order = generator.permutation(len(ids))
    hard_wanted = round(settings.hard * wanted)
    chosen = np.zeros(len(ids), dtype=bool)
    if hard_wanted:
        scanned = np.sort(order[: max(hard_wanted, round(settings.scan * len(ids)))])
        loss = torch.from_numpy(losses(ids[scanned]))
        hard = select_largest(loss, torch.ones_like(loss, dtype=torch.bool), hard_wanted)
        chosen[scanned[hard.numpy()]] = True
    rest = order[~chosen[order]][: wanted - int(chosen.sum())]
    chosen[rest] = True
    return ids[chosen]
