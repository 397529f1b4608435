"""How an arrival compared with what came before, and what an update did to earlier arrivals, for people."""

from __future__ import annotations

from raygp.drift import drift_line
from raygp.record import BackwardTransfer, DriftPart, DriftRecord
from raygp.report.grid import Column, Grid

_WHAT = {
    "labels": "labels",
    "features": "features of the last layer",
    "together": "the same together (MMD)",
    "outputs": "outputs",
}
_THEN = {"sweep": ": its update becomes a sweep", "warn": "", "note": ""}


def told_line(drift: DriftRecord) -> str:
    """What is printed when an arrival was compared; empty where it does not differ, or where an error says it."""
    if drift.level == "none" or drift.then not in _THEN:
        return ""
    return f"{'warning: ' if drift.then == 'warn' else ''}{drift_line(drift)}{_THEN[drift.then]}"


def drift_table(drift: DriftRecord) -> Grid[tuple[str, DriftPart]]:
    """One row a way of comparing."""
    rows = f"{drift.rows:,} training rows, and {drift.seen_rows:,} held-out rows of earlier arrivals"
    return Grid(
        [
            Column("drift of", lambda part: _WHAT[part[0]], text=True),
            Column("effect", lambda part: f"{part[1].effect:.2f}"),
            Column("level", lambda part: part[1].level, text=True),
            Column("differ", lambda part: f"{part[1].found:,} of {part[1].tested:,}", 1),
            Column("p", lambda part: f"{part[1].p:.2g}", 2),
        ],
        list(drift.parts.items()),
        f"Compared were {rows}; of classes, all training rows.",
    )


def transfer_line(transfer: BackwardTransfer, metric: str = "") -> str:
    """``earlier arrivals: -0.12 points (mean of 3 arrivals -0.30, worst week2 -0.90)``.

    Args:
        transfer: what is said.
        metric: what the accuracies are called where they are no shares.
    """
    unit = metric or "points"
    more = ""
    if transfer.arrivals > 1:
        mean, worst = change(transfer.by_arrival, metric), change(transfer.worst_change, metric)
        more = f" (mean of {transfer.arrivals} arrivals {mean}, worst {transfer.worst} {worst})"
    return f"earlier arrivals: {change(transfer.mean, metric)} {unit}{more}"


def change(value: float | None, metric: str = "") -> str:
    """A change of an accuracy with its sign, in points; of what is no share, as it is. A dash for None."""
    if value is None:
        return "-"
    # No "-0.00".
    return f"{round(value, 3) + 0.0:+.3f}" if metric else f"{round(100 * value, 2) + 0.0:+.2f}"
