"""Records to compare: without what differs between two runs that did the same."""

from __future__ import annotations

from typing import Any

from raygp.record import RunningRecord


def figures(record: RunningRecord, *other: str) -> list[dict[str, Any]]:
    """What the phases did, epoch by epoch, without seconds (and ``other`` fields of epochs)."""
    return [phase.model_dump(exclude={"history": {"__all__": {"seconds", *other}}}) for phase in record.phases]
