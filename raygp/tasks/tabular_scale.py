"""What numbers are measured by: mean and deviation that a few wild values do not decide. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_INNER = (0.05, 0.95)
_REACH = 10.0
"""So many times the width between the inner quantiles lies a value from them that is far out. Less would cut off what
prices and incomes have by nature."""
_FEWEST = 10
"""Of fewer values, none is far out."""


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of numbers, without those that lie far outside the others."""

    mean: float
    deviation: float
    """0 only where all are the same."""
    low: float
    """The least and the greatest that do not lie far outside."""
    high: float
    far: int
    """How many do."""
    farthest: float
    """The one of them that is farthest from the mean; the mean if there is none."""

    @property
    def doubt(self) -> str:
        """What people are told of those that lie far outside; empty if none do."""
        if not self.far:
            return ""
        return f"far outside the others ({self.farthest:g}, where they are {self.low:g} to {self.high:g})"


def scale_of(values: Sequence[float]) -> Scale:
    """The scale of finite numbers, at least one."""
    found = np.asarray(values, dtype=np.float64)
    low, high = _bounds(found)
    inside = (found >= low) & (found <= high)
    near = found[inside]
    mean, least, most = float(near.mean()), float(near.min()), float(near.max())
    # Where all are the same, rounding gives a deviation that is not quite none.
    deviation = float(near.std()) if least < most else 0.0
    out = found[~inside]
    farthest = float(out[np.abs(out - mean).argmax()]) if len(out) else mean
    return Scale(mean, deviation, least, most, len(out), farthest)


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """Between which values are not far out."""
    middle = float(np.quantile(values, 0.5, method="lower"))
    # Of a column that is nearly always the same, such as 0, what else there is says how wide it is.
    for some in (values, values[values != middle]):
        if len(some) < _FEWEST:
            break
        low = min(middle, float(np.quantile(some, _INNER[0], method="higher")))
        high = max(middle, float(np.quantile(some, _INNER[1], method="lower")))
        if low < high:
            return low - _REACH * (high - low), high + _REACH * (high - low)
    return -np.inf, np.inf
