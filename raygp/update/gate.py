"""The gate: whether a candidate may become the head."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_ABOVE_GUESSING = 0.1
"""Accuracy above guessing, as a fraction, from which on its loss is a collapse and not noise."""
_LEFT = 0.1
"""A collapse leaves less than this part of the accuracy above guessing."""


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why, as one line."""

    promoted: bool
    reason: str


def judge(
    candidate: float, parent: float | None, tolerance: float, guessing: float = 0.0, noise: float = 0.0
) -> Verdict:
    """Compare a candidate with its parent on the same validation rows.

    Args:
        candidate: validation accuracy in [0, 1].
        parent: the parent's on the same rows; None for an initial synthesis, which passes if it has learnt anything.
        tolerance: how far below its parent a candidate may be, as a fraction.
        guessing: accuracy of the most frequent class, which an initial synthesis must exceed. Above a half it says
            nothing about a model: not looked at.
        noise: how far below its parent it may be by chance (:func:`val_noise`), as a fraction; counts where it is more
            than the tolerance.
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
    if noise:
        change += f", noise {noise:.2%}"
    if candidate < parent - max(tolerance, noise) - 1e-12:
        return Verdict(False, f"rejected: {change}")
    return Verdict(True, change)


def val_noise(candidate: np.ndarray, parent: np.ndarray, confidence: float) -> float:
    """How much lower a candidate's accuracy on validation may come out although it is as good as its parent.

    Both are measured on the same rows, so only the rows that they answer differently count: the standard error of the
    mean difference, row by row (for answers that are right or wrong, the one of McNemar's test), times the normal
    quantile of the confidence.

    Args:
        candidate: points and weights of each row, rows x 2 (:meth:`raygp.tasks.protocol.Task.score`).
        parent: the parent's on the same rows.
        confidence: one-sided, from 0.5 (no allowance) to less than 1.

    Returns:
        A fraction, on the scale of accuracy; 0 with fewer than two rows.
    """
    rows, weight = len(candidate), float(candidate[:, 1].sum())
    if rows < 2 or weight == 0.0:
        return 0.0
    differences = candidate[:, 0] - parent[:, 0]
    # Rows may weigh more than one (an utterance: its words), so this is the error of a ratio of two sums.
    residuals = differences - differences.sum() / weight * candidate[:, 1]
    error = math.sqrt(float(np.square(residuals).sum()) * rows / (rows - 1)) / weight
    return NormalDist().inv_cdf(confidence) * error


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
