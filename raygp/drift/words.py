"""Drift in words, for people."""

from __future__ import annotations

from raygp.record import DriftPart, DriftRecord

_NAMES = {"labels": "labels", "features": "features", "together": "features together", "outputs": "outputs"}
_MOST_LABELS = 3


def drift_line(drift: DriftRecord) -> str:
    """One line: ``arrival week7 differs from what v0006 has seen: labels 0.31 (moderate), ...``; or that it does not.

    Parts that do not differ are not named.
    """
    which = f"arrival{'s' if len(drift.arrivals) > 1 else ''} {', '.join(drift.arrivals)}"
    verb = "differ" if len(drift.arrivals) > 1 else "differs"
    if not drift.parts:
        return f"{which} could not be compared with what {drift.parent} has seen: too few rows"
    if drift.level == "none":
        return f"{which} {'are' if len(drift.arrivals) > 1 else 'is'} like what {drift.parent} has seen"
    said = [_part(name, part) for name, part in drift.parts.items() if part.level != "none"]
    return f"{which} {verb} from what {drift.parent} has seen: {', '.join(said)}{_new(drift)}"


def _part(name: str, part: DriftPart) -> str:
    some = f" in {part.found} of {part.tested}" if name in ("features", "outputs") and part.tested > 1 else ""
    return f"{_NAMES[name]} {part.effect:.2f}{some} ({part.level})"


def _new(drift: DriftRecord) -> str:
    """The classes that are new."""
    labels = drift.new_labels
    if not labels:
        return ""
    shown = ", ".join(labels[:_MOST_LABELS])
    more = f" and {len(labels) - _MOST_LABELS:,} more" if len(labels) > _MOST_LABELS else ""
    return f"; new class{'es' if len(labels) > 1 else ''} {shown}{more}"
