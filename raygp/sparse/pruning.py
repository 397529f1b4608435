"""Pruning: put the connections with the smallest weights to rest (arXiv 1905.10952: magnitude-based pruning).

One function decides which connections go, :func:`select_pruned`; whether their values are kept aside (recoverable) or
gone (permanent) is the phase's business, which snapshots the model before it prunes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from raygp.sparse.budgets import Bounds, Distribution, bound_counts, layer_budgets
from raygp.sparse.masks import Masks
from raygp.sparse.optimizer import clear_state
from raygp.sparse.selection import select_largest, select_smallest


def cubic_density(start: float, end: float, progress: float) -> float:
    """Density at ``progress`` in [0, 1] of a gradual pruning from ``start`` down to ``end``.

    ``end + (start - end) * (1 - progress)^3``: fast at first, while there is much to spare (Zhu and Gupta,
    arXiv 1710.01878, equation 1).
    """
    progress = min(max(progress, 0.0), 1.0)
    return end + (start - end) * (1.0 - progress) ** 3


@torch.no_grad()
def select_pruned(
    masks: Masks, density: float, distribution: Distribution, bounds: Bounds | None = None
) -> dict[str, Tensor]:
    """The active connections to remove so that the model falls to ``density``.

    ``uniform`` and ``erk`` give each layer a budget and remove its smallest |w| above it; a layer already below its
    budget loses nothing. ``global`` lets all layers compete on |w| divided by the root mean square of the layer's
    active weights, so that layers with small weights are not emptied; lower bounds are kept by setting each layer's
    largest weights aside first.

    Returns:
        By layer name, bool of the layer's shape. Ties go to the lower index; nothing is removed that is dormant.
    """
    if distribution == "global":
        return _select_global(masks, density, bounds)
    budgets = layer_budgets(masks, density, distribution, bounds)
    removed: dict[str, Tensor] = {}
    surplus = {layer.name: int(masks.mask(layer).sum()) - budgets[layer.name] for layer in masks.layers}
    # Layers below their budget leave their share to those above it, so that the model's density is met.
    slack = -sum(min(0, over) for over in surplus.values())
    over_total = sum(max(0, over) for over in surplus.values())
    for layer in masks.layers:
        over = max(0, surplus[layer.name])
        spared = min(over, slack, -(-slack * over // over_total)) if over_total else 0
        slack, over_total = slack - spared, over_total - over
        removed[layer.name] = select_smallest(masks.weight(layer).abs(), masks.mask(layer), over - spared)
    return removed


def _select_global(masks: Masks, density: float, bounds: Bounds | None) -> dict[str, Tensor]:
    scores: list[Tensor] = []
    eligible: list[Tensor] = []
    for layer in masks.layers:
        magnitude, mask = masks.weight(layer).abs().float(), masks.mask(layer)
        fewest, _ = bound_counts(mask.numel(), (bounds or {}).get(layer.parameter, (0.0, 1.0)))
        kept = select_largest(magnitude, mask, fewest)
        scale = magnitude.square().sum().div(mask.sum().clamp(min=1)).sqrt().clamp(min=1e-12)
        scores.append((magnitude / scale).reshape(-1))
        eligible.append((mask & ~kept).reshape(-1))
    surplus = max(0, masks.active - round(density * masks.total))
    chosen = select_smallest(torch.cat(scores), torch.cat(eligible), surplus)
    parts = chosen.split([score.numel() for score in scores])
    return {layer.name: part.view(masks.mask(layer).shape) for layer, part in zip(masks.layers, parts, strict=True)}


@torch.no_grad()
def prune(
    masks: Masks,
    density: float,
    distribution: Distribution = "uniform",
    optimizer: Optimizer | None = None,
    bounds: Bounds | None = None,
) -> dict[str, int]:
    """Prune the model down to ``density``, in place: masks, weights and optimizer state.

    Returns:
        Number of connections removed, by layer name.
    """
    removed = select_pruned(masks, density, distribution, bounds)
    counts: dict[str, int] = {}
    for layer in masks.layers:
        chosen = removed[layer.name]
        counts[layer.name] = int(chosen.sum())
        if counts[layer.name]:
            masks.weight(layer).masked_fill_(chosen, 0.0)
            whole = torch.zeros_like(masks.bits[layer.parameter])
            layer.of(whole).copy_(chosen)
            clear_state(optimizer, masks.parameter(layer.parameter), whole)
            masks.update(layer, off=chosen)
    return counts
