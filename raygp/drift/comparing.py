"""Two samples of a line, compared in every way that their task allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raygp.record import DriftPart

# Imported where it is needed: whoever reads settings imports this package.
if TYPE_CHECKING:
    import numpy as np

LEAST_ROWS = 20
"""Fewer rows on a side are not compared: chance would explain almost anything."""


@dataclass(frozen=True)
class Sample:
    """What is known of some rows. What a task has not stays empty."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by class."""
    values: np.ndarray | None = None
    """A number for each row instead: of a regression its label, of a text its length; shape (rows,)."""
    features: np.ndarray | None = None
    """What goes into the parent's output layer, rows x features."""
    outputs: np.ndarray | None = None
    """The parent's answers, rows x outputs."""


def compare(new: Sample, seen: Sample, seed: int) -> dict[str, DriftPart]:
    """How far an arrival is from what came before: by name, each of ``labels``, ``features``, ``together`` and
    ``outputs`` that both samples have (:class:`raygp.record.DriftRecord`).

    Args:
        new: of the arrival.
        seen: of what came before.
        seed: of all that is drawn. The same samples and seed give the same answer.
    """
    import numpy as np

    from raygp.drift.statistics import compare_counts, compare_numbers, compare_together

    draws = np.random.default_rng([seed, 0xD21F7])
    found: dict[str, DriftPart | None] = {}
    if new.counts and seen.counts:
        found["labels"] = compare_counts(new.counts, seen.counts, draws)
    elif both := _enough(new.values, seen.values):
        found["labels"] = compare_numbers(both[0][:, None], both[1][:, None])
    if both := _enough(new.features, seen.features):
        found["features"] = compare_numbers(*both)
        found["together"] = compare_together(*both, draws)
    if both := _enough(new.outputs, seen.outputs):
        found["outputs"] = compare_numbers(*both)
    return {name: part for name, part in found.items() if part is not None}


def _enough(new: np.ndarray | None, seen: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Both, where both are there and have rows enough."""
    if new is None or seen is None or min(len(new), len(seen)) < LEAST_ROWS:
        return None
    return new, seen
