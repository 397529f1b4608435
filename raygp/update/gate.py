"""The gate: whether a candidate may become the head.

Here are its settings, its verdict and what looks at one number: the accuracy over all rows. What looks at arrivals and
classes is in :mod:`raygp.update.comparing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from raygp.record import called, measured

AMONG_KNOWN = " among known classes"
"""Said behind an accuracy: the model answered with the classes alone that its parent knows."""
_ABOVE_GUESSING = 0.1
"""Accuracy above guessing, as a fraction, from which on its loss is a collapse and not noise."""
_LEFT = 0.1
"""A collapse leaves less than this part of the accuracy above guessing."""


@dataclass(frozen=True)
class GateSettings:
    """How much a candidate may lose. All are fractions."""

    tolerance: float = 0.002
    """How far below its parent a candidate may be, over all rows and over those of an arrival. 1: nothing is compared,
    and rows of new classes are not looked at either."""
    confidence: float = 0.95
    """With which a candidate must be worse to be refused, one-sided, from 0.5 (no allowance for chance) to below 1."""
    class_tolerance: float = 0.05
    """How far below its parent a candidate may be over the rows of one class; it counts where it is more than
    ``tolerance``. Where classes are new, all comparisons with these in play have it."""
    new_margin: float = 0.0
    """By how much more than guessing the rows of new classes must be right."""

    @property
    def tolerance_of_class(self) -> float:
        """The class tolerance that counts."""
        return max(self.class_tolerance, self.tolerance)

    @property
    def allows_for_chance(self) -> bool:
        """Whether chance is an excuse at all."""
        return self.confidence > 0.5

    @property
    def compares(self) -> bool:
        """Whether anything could be refused."""
        return self.tolerance < 1.0


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why."""

    promoted: bool
    reason: str
    """One line: what was compared on which rows, and what decided."""
    decided_by: str = "validation"
    """What decided: "validation" (all rows compared), "arrival week2", "class 7", "new classes", "new class 5" or
    "phase 2"."""
    rows: int = 0
    """How many validation rows that rests on; 0 for verdicts of raygp 0.1.0, which did not say."""
    advice: str = ""
    """What to try after a refusal; empty if there is nothing to add to the reason."""


def judge(
    candidate: float,
    parent: float | None,
    tolerance: float,
    guessing: float = 0.0,
    noise: float = 0.0,
    how: str = "",
    metric: str = "",
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
        how: said behind the candidate's accuracy, such as :data:`AMONG_KNOWN`.
        metric: what accuracies are called where they are no shares of right answers; then guessing is 0.
    """
    if parent is None:
        if 0.0 < guessing <= 0.5 and candidate <= guessing + 1e-12:
            return Verdict(
                False,
                f"rejected: validation {candidate:.2%} is no better than always answering with the most frequent class "
                f"({guessing:.2%}): try another synthesis.lr, or more synthesis.epochs",
            )
        if metric and candidate <= 0.0:
            return Verdict(
                False,
                f"rejected: validation {called(candidate, metric)} is no better than always answering with the mean "
                f"({measured(0.0, metric)}): try another synthesis.lr, or more synthesis.epochs",
            )
        return Verdict(True, f"first version, validation {called(candidate, metric)}")
    ours, theirs = called(candidate, metric), called(parent, metric)
    change = f"validation {ours}{how}, parent {theirs}, tolerance {measured(tolerance, metric)}"
    if noise:
        change += f", noise {measured(noise, metric)}"
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
    return NormalDist().inv_cdf(confidence) * standard_error(candidate, parent)


def standard_error(candidate: np.ndarray, parent: np.ndarray) -> float:
    """Of the difference of two accuracies that were measured on the same rows, both rows x 2; 0 with fewer than two."""
    rows, weight = len(candidate), float(candidate[:, 1].sum())
    if rows < 2 or weight == 0.0:
        return 0.0
    differences = candidate[:, 0] - parent[:, 0]
    # Rows may weigh more than one (an utterance: its words), so this is the error of a ratio of two sums.
    residuals = differences - differences.sum() / weight * candidate[:, 1]
    return math.sqrt(float(np.square(residuals).sum()) * rows / (rows - 1)) / weight


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
