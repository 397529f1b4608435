"""Rows that a line had already, in words."""

from __future__ import annotations

from raygp.store import Duplicates


def duplicates_line(counts: Duplicates) -> str:
    """``12 duplicates: 8 held out before stay held out, 4 trained on before are skipped``; empty if there are none."""
    said = [
        (counts.held_out, "held out before stay held out"),
        (counts.trained, "trained on before are skipped"),
        (counts.repeated, "that come twice are skipped"),
        (counts.kept, "are kept as training rows"),
        (counts.relabelled, "are left out, labelled otherwise in an earlier arrival"),
        (counts.conflicting, "are left out, under two labels in the source"),
    ]
    parts = [f"{count:,} {what}" for count, what in said if count]
    total = sum(count for count, _ in said)
    return f"{total:,} duplicate{'' if total == 1 else 's'}: {', '.join(parts)}" if parts else ""
