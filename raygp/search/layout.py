"""All that a sweep is going to do, worked out before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.search.cost import ExpectedCost, cost_limit, expected_cost
from raygp.search.memory import experience, first_points, kept_points
from raygp.search.settings import SweepSettings
from raygp.search.space import Draw, Point, draws, grid_size, space_of
from raygp.update.plan import Plan


@dataclass(frozen=True)
class Layout:
    """What a sweep tries, in which order, and what that is expected to cost."""

    space: dict[str, Draw]
    """By dotted path of a plan's field, what its value is drawn from."""
    points: list[Point]
    """Tried before any that are drawn (:func:`raygp.search.memory.first_points`)."""
    kept: list[Point]
    """Those of them that run to their end whatever the scheduler says."""
    known: list[tuple[Point, float]]
    """Points of earlier sweeps with their scores, for algorithms that learn."""
    draws: int
    """How many times Tune has to draw (:func:`raygp.search.space.draws`)."""
    trials: int
    """Trials there will be: draws times points of the grid."""
    cost: ExpectedCost
    limit: float | None
    """Examples that shared work and trials may cost together; None: as many as it takes."""


def lay_out(
    plan: Plan,
    settings: SweepSettings,
    past: Sequence[Mapping[str, Any]],
    parent_accuracy: float,
    total_connections: int,
    old_rows: int,
    new_rows: int,
) -> Layout:
    """Lay out a sweep around ``plan``. Nothing is run or written.

    Args:
        plan: around which the space lies.
        settings: of the sweep.
        past: the ``sweep`` part of the cards of the line, newest first.
        parent_accuracy: validation accuracy of the version that is updated, 0 to 1.
        total_connections: of the model, active or not.
        old_rows: training examples that the parent has seen.
        new_rows: those of the arrival.

    Raises:
        InputError: the space does not fit the plan, or its grid has more points than there are trials.
    """
    space = space_of(plan, settings)
    points = first_points(plan, space, past, total_connections, settings)
    kept = kept_points(plan, space, points)
    count = draws(space, settings)
    cost = expected_cost(plan, settings, old_rows, new_rows, len(kept))
    return Layout(
        space=space,
        points=points,
        kept=kept,
        known=experience(plan, space, past, parent_accuracy, total_connections, settings),
        draws=count,
        trials=count * grid_size(space),
        cost=cost,
        limit=cost_limit(settings, cost.update),
    )
