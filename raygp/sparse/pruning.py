"""Pruning: put the connections with the smallest weights to rest (arXiv 1905.10952: magnitude-based pruning).

One function decides which connections go, :func:`select_pruned`; whether their values are kept aside (recoverable) or
gone (permanent) is the phase's business, which snapshots the model before it prunes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from raygp.sparse.budgets import Bounds, bound_counts, layer_budgets
from raygp.sparse.criteria import PruningCriterion
from raygp.sparse.criteria.magnitude import by_magnitude
from raygp.sparse.distribution import Distribution
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
    masks: Masks,
    density: float,
    distribution: Distribution,
    bounds: Bounds | None = None,
    criterion: PruningCriterion = by_magnitude,
    generator: Generator | None = None,
) -> dict[str, Tensor]:
    """The active connections to remove so that the model falls to ``density``.

    ``uniform`` and ``erk`` give each layer a budget and remove its lowest scores above it (by default: the smallest
    |w|); a layer already below its budget loses nothing. ``global`` lets all layers compete on scores divided by the
    root mean square of the layer's active ones, so that layers with small weights are not emptied; lower bounds are
    kept by setting each layer's highest scores aside first.

    Args:
        masks: the model's masks.
        density: of the whole model, afterwards.
        distribution: how it is shared out over layers.
        bounds: density bounds by parameter.
        criterion: ranks the active connections.
        generator: of a random criterion, on the CPU, at the same place on every worker. None: a new one with seed 0.

    Returns:
        By layer name, bool of the layer's shape. Ties go to the lower index; nothing is removed that is dormant.
    """
    generator = generator or Generator().manual_seed(0)
    scores = {layer.name: criterion(masks.weight(layer), generator) for layer in masks.layers}
    if distribution == "global":
        return _select_global(masks, scores, density, bounds)
    budgets = layer_budgets(masks, density, distribution, bounds)
    removed: dict[str, Tensor] = {}
    surplus = {layer.name: int(masks.mask(layer).sum()) - budgets[layer.name] for layer in masks.layers}
    # Layers below their budget leave their share to those above it, so that the model's density is met.
    slack = -sum(min(0, over) for over in surplus.values())
    over_total = sum(max(0, over) for over in surplus.values())
    for layer in masks.layers:
        over = max(0, surplus[layer.name])
        # Rounded up, or what integer division leaves over would never be given to anybody.
        spared = min(over, slack, -(-slack * over // over_total)) if over_total else 0
        slack, over_total = slack - spared, over_total - over
        removed[layer.name] = select_smallest(scores[layer.name], masks.mask(layer), over - spared)
    return removed


def _select_global(
    masks: Masks, by_layer: Mapping[str, Tensor], density: float, bounds: Bounds | None
) -> dict[str, Tensor]:
    scores: list[Tensor] = []
    eligible: list[Tensor] = []
    for layer in masks.layers:
        score, mask = by_layer[layer.name].float(), masks.mask(layer)
        fewest, _ = bound_counts(mask.numel(), (bounds or {}).get(layer.parameter, (0.0, 1.0)))
        kept = select_largest(score, mask, fewest)
        # Without it, the layer with the smallest weights would lose all of them. The floor is for a layer of zeros.
        scale = (score * mask).square().sum().div(mask.sum().clamp(min=1)).sqrt().clamp(min=1e-12)
        scores.append((score / scale).reshape(-1))
        eligible.append((mask & ~kept).reshape(-1))
    surplus = max(0, masks.active - round(density * masks.total))
    chosen = select_smallest(torch.cat(scores), torch.cat(eligible), surplus)
    parts = torch.split(chosen, [score.numel() for score in scores])
    return {layer.name: part.view(masks.mask(layer).shape) for layer, part in zip(masks.layers, parts, strict=True)}


@torch.no_grad()
def prune(
    masks: Masks,
    density: float,
    distribution: Distribution = "uniform",
    optimizer: Optimizer | None = None,
    bounds: Bounds | None = None,
    criterion: PruningCriterion = by_magnitude,
    generator: Generator | None = None,
) -> dict[str, int]:
    """Prune the model down to ``density``, in place: masks, weights and optimizer state.

    Arguments as for :func:`select_pruned`, and ``optimizer``, whose state is cleared at the removed entries.

    Returns:
        Number of connections removed, by layer name.
    """
    removed = select_pruned(masks, density, distribution, bounds, criterion, generator)
    counts: dict[str, int] = {}
    for layer in masks.layers:
        chosen = removed[layer.name]
        counts[layer.name] = int(chosen.sum())
        # A generation that goes up for nothing would have gradient factors and packed indices made anew.
        if counts[layer.name]:
            masks.weight(layer).masked_fill_(chosen, 0.0)
            whole = torch.zeros_like(masks.bits[layer.parameter])
            layer.of(whole).copy_(chosen)
            clear_state(optimizer, masks.parameter(layer.parameter), whole)
            masks.update(layer, off=chosen)
    return counts
