"""What both growth phases have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from raygp.update.fields import Positive, Share
from raygp.update.phases.base import Phase, Running

if TYPE_CHECKING:
    from raygp.update.plan import Plan

_GROWTH_EXAMPLES = 512
_STEPS_OF_ETA = 50
"""A whole step of the learning rate, taken by many new connections at once, can throw a trained network off."""


class Grow(Phase):
    """Activate dormant connections (:mod:`raygp.sparse.growth`), then train."""

    alpha: Share | None = None
    """Growth ratio: part of a layer's dormant connections that is activated. None: the plan's."""
    sample: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    """Part of the phase's data that the growth pass sums gradients over; never fewer than 512 examples if there are."""
    eta: Positive | None = None
    """Step size of a grown connection's first value. None: a fiftieth of the phase's learning rate."""

    def enter(self, update: Running) -> None:
        """Grow."""
        plan = update.plan
        alpha = plan.alpha if self.alpha is None else self.alpha
        update.grow(alpha, self.eta or plan.lr_of(self) / _STEPS_OF_ETA, self.sampled)

    def sampled(self, rows: int) -> int:
        """How many of ``rows`` examples the growth pass sums gradients over."""
        return min(rows, max(_GROWTH_EXAMPLES, math.ceil(self.sample * rows)))

    def growth_key(self, plan: Plan) -> dict[str, Any]:
        """Its sample, in batches of this size and precision."""
        return {
            "kind": self.kind, "sample": self.sample, "batch_size": plan.batch_size, "precision": plan.precision,
        }  # fmt: skip
