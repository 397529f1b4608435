"""The gate: whether a candidate may become the head."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why, as one line."""

    promoted: bool
    reason: str


def judge(candidate: float, parent: float | None, tolerance: float) -> Verdict:
    """Compare a candidate with its parent on the same validation rows.

    Args:
        candidate: validation accuracy in [0, 1].
        parent: the parent's on the same rows; None for an initial synthesis, which always passes.
        tolerance: how far below its parent a candidate may be, as a fraction.
    """
    if parent is None:
        return Verdict(True, f"first version, validation {candidate:.2%}")
    change = f"validation {candidate:.2%}, parent {parent:.2%}, tolerance {tolerance:.2%}"
    if candidate < parent - tolerance - 1e-12:
        return Verdict(False, f"rejected: {change}")
    return Verdict(True, change)
