"""Growth for old and new together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from raygp.update.phases.grow import Grow

if TYPE_CHECKING:
    from raygp.update.plan import Plan


class GrowAll(Grow):
    """``grow-all``: grow and train on replay and arrival (arXiv 1905.10952, abstract: growth on all data)."""

    kind: Literal["grow-all"] = "grow-all"

    def growth_key(self, plan: Plan) -> dict[str, Any]:
        """Also which examples are chosen."""
        return {**super().growth_key(plan), "data": [plan.replay.model_dump(), plan.arrival.model_dump()]}
