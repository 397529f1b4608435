"""Growth and pruning at random: what a criterion is worth is its difference to these (growth as in SET, Mocanu et al.,
Nature Communications 9, 2383, 2018)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def random_growth(gradient: Tensor, weight: Tensor, generator: Generator) -> Tensor:
    """Uniform numbers above 0."""
    return _uniform(weight, generator)


def random_pruning(weight: Tensor, generator: Generator) -> Tensor:
    """Uniform numbers above 0."""
    return _uniform(weight, generator)


def _uniform(like: Tensor, generator: Generator) -> Tensor:
    # Drawn on the CPU whatever the device: the same numbers everywhere. 1 - [0, 1) leaves zero out.
    return (1.0 - torch.rand(like.shape, generator=generator)).to(like.device)
