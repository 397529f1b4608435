"""Which plans an update tried, in a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygp.record import RungRecord, UpdateRecord


def rung_lines(record: UpdateRecord) -> list[str]:
    """What became of each rung of the ladder; nothing where the first plan held as it is."""
    if len(record.rungs) < 2 and not any(rung.changes for rung in record.rungs):
        return []
    return [_line(number, rung) for number, rung in enumerate(record.rungs, start=1)]


def changes_in_words(changes: Mapping[str, Any]) -> str:
    """Settings as they would be given to an update, without the ``plan.`` before them."""
    return ", ".join(f"{name}={_short(value)}" for name, value in changes.items())


def _line(number: int, rung: RungRecord) -> str:
    changes = changes_in_words(rung.changes)
    cost = f" ({rung.examples:,.0f} examples)" if rung.examples else ""
    with_changes = f" with {changes}" if changes else ""
    came_to = "held" if rung.promoted else rung.reason
    return f"plan {number}, '{rung.name}'{with_changes}: {came_to}{cost}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
