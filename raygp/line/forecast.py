"""What a sweep of the next arrival would try and cost. Nothing is run or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.errors import InputError
from raygp.line.state import LineState, seen_manifests
from raygp.search.layout import Layout, lay_out
from raygp.store import Location, list_versions

if TYPE_CHECKING:
    from raygp.settings import RunSettings


@dataclass(frozen=True)
class SweepForecast:
    """What a sweep would do."""

    arrival: str
    """Of several the newest."""
    parent: str
    layout: Layout
    """What it would try, and the cost that this is expected to have."""
    beside: tuple[str, ...] = ()
    """Other arrivals that it would be of, oldest first."""


def forecast_sweep(location: Location, state: LineState, settings: RunSettings, fold: bool = False) -> SweepForecast:
    """What ``raygp sweep`` would try for the arrival that is next; with ``fold``, for all that wait together.

    Raises:
        InputError: the space does not fit the plan, nothing waits, or there is no version yet.
    """
    if state.next is None:
        raise InputError(f"nothing is waiting in {location.root}: a sweep is of the next arrival")
    if state.card is None:
        raise InputError(f"{location.root} has no version yet, and the first one's plan is not searched for")
    card, trained = state.card, [manifest for manifest in state.pending if manifest.rows("train")]
    new = trained if fold else trained[:1]
    seen, _ = seen_manifests(location, state)
    past = [found.sweep for found in reversed(list_versions(location)) if found.sweep]
    layout = lay_out(
        settings.plan,
        settings.sweep,
        past,
        card.val_accuracy,
        card.total_connections,
        sum(manifest.rows("train") for manifest in seen),
        sum(manifest.rows("train") for manifest in new),
    )
    return SweepForecast(new[-1].arrival, card.version, layout, tuple(manifest.arrival for manifest in new[:-1]))
