"""What a sweep of the next arrival would try and cost. Nothing is run or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.errors import InputError
from raygp.line.state import LineState
from raygp.search import (
    ExpectedCost,
    Point,
    cost_limit,
    draws,
    expected_cost,
    experience,
    first_points,
    grid_size,
    kept_points,
    space_of,
)
from raygp.store import Location, list_arrivals, list_versions

if TYPE_CHECKING:
    from raygp.search import Draw
    from raygp.settings import RunSettings


@dataclass(frozen=True)
class SweepForecast:
    """What a sweep would do."""

    arrival: str
    parent: str
    space: dict[str, Draw]
    """By dotted path of a plan's field, how it is drawn."""
    trials: int
    points: tuple[Point, ...]
    """Tried before any that is drawn."""
    kept: tuple[Point, ...]
    """Those of them that no scheduler stops early."""
    known: int
    """Trials of earlier sweeps that a searcher can learn from."""
    cost: ExpectedCost
    limit: float | None
    """Budget in examples; None: no limit."""


def forecast_sweep(location: Location, state: LineState, settings: RunSettings) -> SweepForecast:
    """What ``raygp sweep`` would try for the arrival that is next.

    Raises:
        InputError: the space does not fit the plan, nothing waits, or there is no version yet.
    """
    if not state.pending:
        raise InputError(f"nothing is waiting in {location.root}: a sweep is of the next arrival")
    if state.card is None:
        raise InputError(f"{location.root} has no version yet, and the first one's plan is not searched for")
    sweep, plan, arrival, card = settings.sweep, settings.plan, state.pending[0], state.card
    space = space_of(plan, sweep)
    past = [found.sweep for found in reversed(list_versions(location)) if found.sweep]
    points = first_points(plan, space, past, card.total_connections, sweep)
    kept = kept_points(plan, space, points)
    old = sum(manifest.rows("train") for manifest in list_arrivals(location) if manifest.arrival in state.seen)
    cost = expected_cost(plan, sweep, old, arrival.rows("train"), len(kept))
    return SweepForecast(
        arrival=arrival.arrival,
        parent=card.version,
        space=space,
        trials=draws(space, sweep) * grid_size(space),
        points=tuple(points),
        kept=tuple(kept),
        known=len(experience(plan, space, past, card.val_accuracy, card.total_connections, sweep)),
        cost=cost,
        limit=cost_limit(sweep, cost.update),
    )
