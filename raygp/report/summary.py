"""reports/summary.json: every version of a line with its cost, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from raygp.store import Card, Location

SUMMARY = "reports/summary.json"
_PHASE_FIELDS = ("kind", "epochs", "grown", "pruned", "restored", "density_after", "val_accuracy")
_CARD_FIELDS = (
    "version",
    "parent",
    "arrivals",
    "density",
    "active_connections",
    "total_connections",
    "val_accuracy",
    "test_accuracy",
    "mask_digest",
    "ledger",
)


def summary(cards: Sequence[Card], wall_seconds: float) -> dict[str, Any]:
    """Plain data: ``{"versions": [...], "wall_seconds": ...}``."""
    versions = []
    for card in cards:
        row = card.model_dump(mode="json", include=set(_CARD_FIELDS))
        row["phases"] = [phase.model_dump(include=set(_PHASE_FIELDS)) for phase in card.phases]
        versions.append(row)
    return {"versions": versions, "wall_seconds": round(wall_seconds, 3)}


def write_summary(location: Location, cards: Sequence[Card], wall_seconds: float) -> str:
    """Write it; returns its address."""
    location.write_bytes(SUMMARY, json.dumps(summary(cards, wall_seconds), indent=1).encode())
    return location.url(SUMMARY)
