"""reports/summary.json: every version of a line with its cost, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from raygp.store import Card, Location

SUMMARY = "reports/summary.json"
_PHASE_FIELDS = {"kind", "epochs", "grown", "pruned", "restored", "density_after", "val_accuracy"}
_CARD_FIELDS = {
    "version", "parent", "arrivals", "arrival", "beside", "density", "active_connections", "total_connections",
    "val_accuracy", "test_accuracy", "mask_digest", "ledger", "parent_val_accuracy", "val_noise", "known", "new",
    "by_arrival", "by_class", "drift",
}  # fmt: skip


def summary(cards: Sequence[Card], wall_seconds: float) -> dict[str, Any]:
    """Plain data: ``{"versions": [...], "wall_seconds": ...}``.

    Args:
        cards: of all versions.
        wall_seconds: how long the updates of this command have taken.
    """
    fields: dict[str, Any] = {**dict.fromkeys(_CARD_FIELDS, True), "phases": {"__all__": _PHASE_FIELDS}}
    versions = [{"drift": None, **card.model_dump(mode="json", include=fields), **_derived(card)} for card in cards]
    return {"versions": versions, "wall_seconds": round(wall_seconds, 3)}


def _derived(card: Card) -> dict[str, Any]:
    transfer = card.backward_transfer
    return {"val_rows": card.val_rows, "backward_transfer": transfer.model_dump(mode="json") if transfer else None}


def write_summary(location: Location, cards: Sequence[Card], wall_seconds: float) -> str:
    """Write it; returns its address."""
    location.write_bytes(SUMMARY, json.dumps(summary(cards, wall_seconds), indent=1).encode())
    return location.url(SUMMARY)
