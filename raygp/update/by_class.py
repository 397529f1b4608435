"""Replay that keeps the shares of classes: for arrivals that bring them unevenly.

A network learns how frequent each class is along with what it looks like. An arrival with many rows of some classes and
few of others shifts that, where it is trained on beside a part of what came before that was drawn at random. Drawn by
class, the replayed rows make up for it: replay and arrival together have the shares that all data have, as far as the
share of replay allows.

Classes that the arrival brings anew are left alone: how they are balanced is a matter of how much is replayed
(:mod:`raygp.update.fitting`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Draw = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Draws ids: see :meth:`ByClass.__call__`."""
_SURE = 0.999
"""Confidence with which an arrival must be uneven, so that chance makes one of a thousand so."""
_MUCH = 0.1
"""Part of an arrival's rows that would have to be of other classes for it to be even; less is not worth it."""
_EXPECTED = 5.0
"""Rows of a class that must be expected for its count to be compared by itself; rarer ones are taken together."""


def uneven(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether an arrival brings classes in other shares than they had, by more than chance explains (Pearson's test of
    two samples).

    Args:
        old: earlier training rows by class, int64.
        new: those of the arrival by class, the same shape. Classes without earlier rows are not looked at.
    """
    old, new = old[old > 0], new[old > 0]
    if len(old) < 2 or not new.sum():
        return False
    if 0.5 * np.abs(old / old.sum() - new / new.sum()).sum() <= _MUCH:
        return False
    counts = _grouped(np.stack([old, new]))
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    free = counts.shape[1] - 1
    return free > 0 and float((np.square(counts - expected) / expected).sum()) > _quantile(free)


def _grouped(counts: np.ndarray) -> np.ndarray:
    """Columns of classes, 2 x groups, with enough rows expected in each. Neighbours are taken together: a choice by
    counts would bring together what chance has made large."""
    expected = counts[1].sum() * counts.sum(axis=0) / counts.sum()
    number, group, rows = 0, [], 0.0
    for more in expected.tolist():
        group.append(number)
        rows += more
        if rows >= _EXPECTED:
            number, rows = number + 1, 0.0
    # Of the last group too few may be expected: it is joined to the one before.
    of_class = np.minimum(group, max(0, number - 1))
    return np.stack([np.bincount(of_class, weights=part) for part in counts])


def _quantile(free: int) -> float:
    """Of chi-square with so many degrees of freedom (Wilson and Hilferty's form)."""
    spread = 2.0 / (9.0 * free)
    return free * (1.0 - spread + NormalDist().inv_cdf(_SURE) * math.sqrt(spread)) ** 3


@dataclass(frozen=True)
class ByClass:
    """Draws earlier examples so that they and those of the arrival have the shares of all data."""

    classes: np.ndarray
    """Class of every training example, by its id."""
    old_rows: int
    """How many of these are earlier ones, which have the first ids."""
    taken: np.ndarray
    """Ids of the arrival's examples that are trained on."""

    def __call__(self, order: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
        """So many of the earlier examples.

        Args:
            order: ids to draw from, in random order: of each class, those that come first are drawn.
            chosen: ids of earlier examples that are trained on in any case.
            count: how many; no more than there are.

        Returns:
            Ids, in that order.
        """
        size = int(self.classes.max(initial=0)) + 1

        def by_class(ids: np.ndarray) -> np.ndarray:
            return np.bincount(self.classes[ids], minlength=size)

        known = by_class(np.arange(self.old_rows)) > 0
        shares = np.where(known, np.bincount(self.classes, minlength=size), 0)
        wanted = quotas(shares, by_class(chosen) + by_class(self.taken), by_class(order), count)
        mine = self.classes[order]
        together, counts = np.argsort(mine, kind="stable"), np.bincount(mine, minlength=size)
        place = np.empty(len(order), dtype=np.int64)  # Among those of its class.
        place[together] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        drawn: np.ndarray = order[place < wanted[mine]]
        return drawn


def quotas(shares: np.ndarray, have: np.ndarray, there: np.ndarray, count: int) -> np.ndarray:
    """How many rows of each class to add, so that all together come as close to some shares as they can: none of a
    class that has more than its share already, and all of one that has too few to reach it.

    Args:
        shares: of the classes, as whole numbers; only their proportions count.
        have: rows by class that are there in any case.
        there: rows by class that can be added; none of a class without a share.
        count: how many to add; no more than there are.

    Returns:
        int64, with the sum ``count``. Whole numbers are reckoned with throughout, so that every rank comes to the same.
    """
    total = int(shares.sum())
    share, had, most = ([int(value) for value in values] for values in (shares, have, there))

    def at(level: int) -> list[int]:
        """What brings every class to its part of so many rows."""
        return [min(m, max(0, level * s // total - h)) for s, h, m in zip(share, had, most, strict=True)]

    low, high = 0, 1
    while sum(at(high)) < count:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sum(at(middle)) >= count else (middle, high)
    # The last row of all takes a class one up, or several: of those, the first ones.
    found, below = at(high), at(low)
    excess = sum(found) - count
    for number in reversed(range(len(found))):
        if excess and found[number] > below[number]:
            found[number], excess = found[number] - 1, excess - 1
    return np.array(found, dtype=np.int64)
