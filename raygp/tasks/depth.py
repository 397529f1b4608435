"""From pixel values of any range to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

BITS = (8, 10, 12, 14, 16)
"""Depths that cameras and scanners have. Values of more than 8 bits are stored in 16, whichever of them it is."""
_LARGEST = (1 << BITS[-1]) - 1

Values = np.ndarray[Any, Any]


class UnfitImage(ValueError):
    """An image that cannot be shown; the message is the whole reason."""


def eight_bits(values: Values, bits: int | None = None) -> Values:
    """Pixel values as uint8, of the same shape.

    Args:
        values: whole numbers or floats. Floats that are all whole count as whole numbers, unless all are from 0 to 1.
        bits: depth of whole numbers, where the format says it; None: the smallest of :data:`BITS` that holds them all.

    Returns:
        Floats from 0 to 1: times 255. Whole numbers of a depth: their 8 highest bits. All else (negative, above 65535,
        other floats): the smallest value becomes 0 and the largest 255.

    Raises:
        UnfitImage: a value is NaN or infinite.
    """
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise UnfitImage("pixels that are NaN or infinite")
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            return _rounded(values * 255)
        if low < 0 or high > _LARGEST or (values != np.rint(values)).any():
            return _stretched(values, low, high)
        values = values.astype(np.uint16)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _LARGEST:
        return _stretched(values, low, high)
    depth = bits or next(depth for depth in BITS if high < 1 << depth)
    eight: Values = (values.astype(np.uint16, copy=False) >> (depth - 8)).astype(np.uint8)
    return eight


def _stretched(values: Values, low: float, high: float) -> Values:
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    return _rounded((values.astype(np.float64) - low) * (255 / (high - low)))


def _rounded(values: Values) -> Values:
    whole: Values = np.rint(values).astype(np.uint8)
    return whole
