"""Choosing exactly k entries by score. The one rule for ties, here and only here: the lower index is chosen."""

from __future__ import annotations

import torch
from torch import Tensor


def select_largest(scores: Tensor, eligible: Tensor, count: int) -> Tensor:
    """The ``count`` eligible entries with the largest scores.

    Every rank must come to the same answer from the same scores, so nothing may depend on the order in which a sort
    happens to leave equal scores: all entries above the count-th score are taken, then entries equal to it by index
    (row-major) until the count is full.

    Args:
        scores: float, any shape, no NaN among the eligible.
        eligible: bool, the same shape.
        count: how many; fewer are chosen if fewer are eligible.

    Returns:
        bool, the same shape, exactly ``min(count, eligible.sum())`` entries set.
    """
    chosen = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    candidates = eligible.reshape(-1).nonzero().squeeze(1)
    count = min(count, candidates.numel())
    if count <= 0:
        return chosen.view(scores.shape)
    values = scores.reshape(-1)[candidates]
    # kthvalue takes half the time of topk over millions of scores.
    threshold = values.kthvalue(values.numel() - count + 1).values
    above = values > threshold
    # nonzero() gives indices in rising order on every device; a sort of equal scores does not.
    ties = (values == threshold).nonzero().squeeze(1)[: count - int(above.sum())]
    chosen[candidates[above]] = True
    chosen[candidates[ties]] = True
    return chosen.view(scores.shape)


def select_smallest(scores: Tensor, eligible: Tensor, count: int) -> Tensor:
    """The ``count`` eligible entries with the smallest scores; ties go to the lower index."""
    return select_largest(-scores, eligible, count)
