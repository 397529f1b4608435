"""The gate: whether a candidate may become the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_ABOVE_GUESSING = 0.1
"""Accuracy above guessing, as a fraction, from which on its loss is a collapse and not noise."""
_LEFT = 0.1
"""A collapse leaves less than this part of the accuracy above guessing."""


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why, as one line."""

    promoted: bool
    reason: str


def judge(candidate: float, parent: float | None, tolerance: float, guessing: float = 0.0) -> Verdict:
    """Compare a candidate with its parent on the same validation rows.

    Args:
        candidate: validation accuracy in [0, 1].
        parent: the parent's on the same rows; None for an initial synthesis, which passes if it has learnt anything.
        tolerance: how far below its parent a candidate may be, as a fraction.
        guessing: accuracy of the most frequent class, which an initial synthesis must exceed. Above a half it says
            nothing about a model: not looked at.
    """
    if parent is None:
        if 0.0 < guessing <= 0.5 and candidate <= guessing + 1e-12:
            return Verdict(
                False,
                f"rejected: validation {candidate:.2%} is no better than always answering with the most frequent class "
                f"({guessing:.2%}): try another synthesis.lr, or more synthesis.epochs",
            )
        return Verdict(True, f"first version, validation {candidate:.2%}")
    change = f"validation {candidate:.2%}, parent {parent:.2%}, tolerance {tolerance:.2%}"
    if candidate < parent - tolerance - 1e-12:
        return Verdict(False, f"rejected: {change}")
    return Verdict(True, change)


def collapsed(accuracy: float, best: float, guessing: Callable[[], float]) -> bool:
    """Whether training has ruined a model: it was well above guessing and has lost nine tenths of that.

    Args:
        accuracy: on validation, now.
        best: the best that the same update has seen.
        guessing: gives the accuracy of the most frequent class; asked only if it can matter.
    """
    if best - accuracy < _ABOVE_GUESSING * (1.0 - _LEFT):
        return False
    chance = guessing()
    return best - chance >= _ABOVE_GUESSING and accuracy - chance < _LEFT * (best - chance)
