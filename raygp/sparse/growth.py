"""Growth: activate the dormant connections that the gradient asks for.

The paper fixes the principle (arXiv 1905.10952, abstract: grow new connections based on the gradients); the amounts,
the initial value and the treatment of ties are raygp's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from raygp.sparse.budgets import Bounds, bound_counts
from raygp.sparse.criteria import GrowthCriterion
from raygp.sparse.criteria.gradient import by_gradient
from raygp.sparse.layers import Layer
from raygp.sparse.masks import Masks
from raygp.sparse.optimizer import clear_state
from raygp.sparse.selection import select_largest


@dataclass(frozen=True)
class GradientSum:
    """``G = sum over examples of dL/dW`` for every connection, dormant ones included.

    Sums are what workers can add up; |G| is taken after the sum over workers, never before (see
    :func:`raygp.sparse.distributed.reduce_gradient_sum`).
    """

    sums: Mapping[str, Tensor]
    """By parameter name, float, the parameter's shape."""

    examples: int
    """How many examples were summed over."""


def growth_count(dormant: int, alpha: float) -> int:
    """How many of ``dormant`` connections one growth step may activate: ``floor(alpha * dormant)``."""
    # 0.29 * 100 is 28.999... in floating point: a share that means a whole number gives that number.
    return int(alpha * dormant + 1e-6)


def select_growth(scores: Tensor, mask: Tensor, alpha: float, limit: int | None = None) -> Tensor:
    """The dormant connections of one layer that growth activates.

    Those with the highest scores among the dormant, at most ``alpha`` of them, ties to the lower index. A connection
    that scores zero is never grown.

    Args:
        scores: by a growth criterion (:mod:`raygp.sparse.criteria`), float, any shape.
        mask: the layer's mask, bool, the same shape.
        alpha: growth ratio in [0, 1].
        limit: at most this many, if given.

    Returns:
        bool, the same shape: the connections to activate.
    """
    count = growth_count(int((~mask).sum()), alpha)
    if limit is not None:
        count = min(count, limit)
    return select_largest(scores, ~mask & (scores > 0), count)


@torch.no_grad()
def grow(
    masks: Masks,
    gradient: GradientSum,
    alpha: float,
    eta: float,
    optimizer: Optimizer | None = None,
    bounds: Bounds | None = None,
    criterion: GrowthCriterion = by_gradient,
    generator: Generator | None = None,
) -> dict[str, int]:
    """One growth step over all layers, in place.

    A grown connection starts one step of descent away from zero, ``w = -eta * G / n``, with fresh optimizer state;
    active connections are untouched.

    Args:
        masks: the model's masks; model and masks are changed.
        gradient: reduced over all workers.
        alpha: growth ratio.
        eta: step size of the first value (``eta_g`` of DESIGN.md section 2).
        optimizer: whose state to clear at the grown entries.
        bounds: density bounds by parameter; the upper one caps growth.
        criterion: ranks the dormant connections.
        generator: of a random criterion, on the CPU, at the same place on every worker. None: a new one with seed 0.

    Returns:
        Number of connections grown, by layer name.

    Raises:
        ValueError: G is not finite, or nothing was summed.
    """
    if gradient.examples < 1:
        raise ValueError("growth needs the gradient of at least one example")
    # All layers are checked before the first is changed: a refused growth step leaves the model as it was.
    for layer in masks.layers:
        if not bool(torch.isfinite(layer.of(gradient.sums[layer.parameter])).all()):
            raise ValueError(f"{layer.name}: the gradient sum is not finite, so growth cannot rank its connections")
    generator = generator or Generator().manual_seed(0)
    grown: dict[str, int] = {}
    for layer in masks.layers:
        layer_gradient = layer.of(gradient.sums[layer.parameter])
        scores = criterion(layer_gradient, masks.weight(layer), generator)
        chosen = select_growth(scores, masks.mask(layer), alpha, _room(masks, layer, bounds))
        step = (layer_gradient * (-eta / gradient.examples)).to(masks.weight(layer).dtype)
        weight = masks.weight(layer)
        weight.copy_(torch.where(chosen, step, weight))
        # A gate is a part of its parameter, and optimizers keep state by parameter.
        whole = torch.zeros_like(masks.bits[layer.parameter])
        layer.of(whole).copy_(chosen)
        clear_state(optimizer, masks.parameter(layer.parameter), whole)
        masks.update(layer, on=chosen)
        grown[layer.name] = int(chosen.sum())
    return grown


def _room(masks: Masks, layer: Layer, bounds: Bounds | None) -> int | None:
    """How many more connections the layer's upper density bound admits."""
    if not bounds or layer.parameter not in bounds:
        return None
    mask = masks.mask(layer)
    _, most = bound_counts(mask.numel(), bounds[layer.parameter])
    # A layer may be above its bound already, where the bound is newer than the model.
    return max(0, most - int(mask.sum()))
