"""The sparse random network that initial synthesis starts from."""

from __future__ import annotations

import math

import torch

from raygp.sparse.budgets import Bounds, layer_budgets
from raygp.sparse.masks import Masks
from raygp.sparse.selection import select_largest


@torch.no_grad()
def seed_sparse(
    masks: Masks, density: float, generator: torch.Generator, distribution: str = "erk", bounds: Bounds | None = None
) -> None:
    """Leave a random part of the connections active and rescale them, in place.

    The survivors of a layer are multiplied by ``1 / sqrt(layer density)``, which keeps the variance of its outputs
    where the dense initialisation put it.

    Args:
        masks: all active, over a freshly initialised model.
        density: of the whole model; ``erk`` unless the distribution is ``uniform``.
        generator: on the CPU; the same generator state gives the same network on any device.
    """
    budgets = layer_budgets(masks, density, "uniform" if distribution == "uniform" else "erk", bounds)
    for layer in masks.layers:
        mask = masks.mask(layer)
        # Drawn on the CPU: a GPU's generator gives other numbers, and the network must not depend on the device.
        scores = torch.rand(mask.shape, generator=generator).to(mask.device)
        chosen = select_largest(scores, torch.ones_like(mask), budgets[layer.name])
        masks.update(layer, off=~chosen)
        if budgets[layer.name]:
            masks.weight(layer).mul_(math.sqrt(mask.numel() / budgets[layer.name]))
    masks.apply()
