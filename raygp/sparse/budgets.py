"""How many connections each layer may keep at a wanted density of the whole model.

All rules are exact: the counts of the layers add up to the model's budget whenever the bounds leave room for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from raygp.sparse.layers import Layer
from raygp.sparse.masks import Masks

Bounds = Mapping[str, tuple[float, float]]
"""By parameter name, the lowest and highest density allowed."""


def layer_budgets(
    masks: Masks,
    density: float,
    distribution: Literal["uniform", "erk"],
    bounds: Bounds | None = None,
) -> dict[str, int]:
    """Connections by layer name that add up to ``round(density * total)``.

    Shares that a layer's bounds (or its size) cut off are given to the others in proportion, so the total holds; it
    can be missed only where all bounds together do not admit it.
    """
    sizes = [masks.mask(layer).numel() for layer in masks.layers]
    wishes = [
        float(size) if distribution == "uniform" else float(_erk_wish(masks, layer))
        for size, layer in zip(sizes, masks.layers, strict=True)
    ]
    limits = [_limits(layer, size, bounds) for layer, size in zip(masks.layers, sizes, strict=True)]
    counts = share_out(round(density * sum(sizes)), wishes, limits)
    return {layer.name: count for layer, count in zip(masks.layers, counts, strict=True)}


def share_out(total: int, wishes: Sequence[float], limits: Sequence[tuple[int, int]]) -> list[int]:
    """Integers in proportion to ``wishes``, each within its (low, high), that add up to ``total`` if that is possible.

    Water-filling: a common scale is searched by bisection at which the clipped shares meet the total; what rounding
    leaves over goes by largest remainder, ties to the lower index.
    """
    total = min(max(total, sum(low for low, _ in limits)), sum(high for _, high in limits))
    low_scale, high_scale = 0.0, 1.0
    while sum(_clip(w * high_scale, lim) for w, lim in zip(wishes, limits, strict=True)) < total:
        # The scale has no upper bound of its own: a layer at its limit leaves its share to the others.
        high_scale *= 2.0
    # More halvings than a double has digits: the scale is as exact as it can be.
    for _ in range(100):
        middle = (low_scale + high_scale) / 2
        if sum(_clip(w * middle, lim) for w, lim in zip(wishes, limits, strict=True)) < total:
            low_scale = middle
        else:
            high_scale = middle
    exact = [_clip(w * high_scale, lim) for w, lim in zip(wishes, limits, strict=True)]
    counts = [int(share) for share in exact]
    # Rounded, or what bisection leaves in the last digits would decide between equal remainders, not the index.
    by_remainder = sorted(range(len(counts)), key=lambda i: (-round(exact[i] - counts[i], 6), i))
    missing = total - sum(counts)
    while missing > 0:
        for i in by_remainder:
            if missing > 0 and counts[i] < limits[i][1]:
                counts[i] += 1
                missing -= 1
    return counts


def _clip(share: float, limit: tuple[int, int]) -> float:
    return min(max(share, limit[0]), limit[1])


def _erk_wish(masks: Masks, layer: Layer) -> int:
    """Layer size times the ERK density, which is (sum of dimensions) / (product of dimensions)."""
    return sum(masks.mask(layer).shape)


def bound_counts(size: int, bounds: tuple[float, float]) -> tuple[int, int]:
    """The fewest and the most connections that density bounds admit in a layer of ``size``.

    A share that means a whole number gives that number: ``0.29 * 100`` is 28.999... and ``0.07 * 100`` is 7.000...1 in
    floating point, so plain floor and ceil would be one off.
    """
    return math.ceil(bounds[0] * size - 1e-6), math.floor(bounds[1] * size + 1e-6)


def _limits(layer: Layer, size: int, bounds: Bounds | None) -> tuple[int, int]:
    return bound_counts(size, (bounds or {}).get(layer.parameter, (0.0, 1.0)))
