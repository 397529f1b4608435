"""How far two samples differ: effect sizes, and how likely chance alone is to give as much.

A p-value never decides by itself: of many rows, every difference is significant. An effect size never does either: of
few rows, chance gives large ones. What counts must pass both (:data:`LEVELS`).

Plain arrays, NumPy and SciPy. What is drawn is drawn from a generator that is given; no global state is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from raygp.record import DriftLevel, DriftPart

SURE = 0.01
"""A difference counts where chance alone gives one as large less often than this."""
_EXPECTED = 5.0
"""With fewer rows than this expected in a cell, the chi-square distribution is no good approximation."""
_DRAWS, _PERMUTATIONS = 999, 199
_MMD_ROWS = 200


@dataclass(frozen=True)
class Levels:
    """From which effect on a difference is moderate, or large."""

    moderate: float
    large: float

    def of(self, effect: float, p: float) -> DriftLevel:
        """The level of a difference."""
        if p > SURE or effect < self.moderate:
            return "none"
        return "large" if effect >= self.large else "moderate"


LABELS, NUMBERS, TOGETHER = Levels(0.1, 0.3), Levels(0.15, 0.35), Levels(0.1, 0.2)
"""Of Cramer's V, of Kolmogorov-Smirnov distances, and of the root of the MMD. Chosen on handwritten digits; what they
find and what they wrongly find elsewhere is in docs/results/drift.md."""


def compare_counts(new: Mapping[str, int], seen: Mapping[str, int], draws: np.random.Generator) -> DriftPart | None:
    """Whether classes come in other shares: the chi-square test, with Cramer's V as its effect.

    V is that of a table in which both samples weigh alike: else it would shrink with the arrival, however unlike it is.
    It is adjusted for chance: 0 is what chance gives on average, 1 is nothing in common. Where a class is too rare for
    the chi-square distribution, tables with the same margins are drawn instead.

    Args:
        new: rows by class of the arrival.
        seen: of what came before.
        draws: for tables.

    Returns:
        None if either has no row.
    """
    from scipy.stats import chi2

    names = sorted(name for name in {*new, *seen} if new.get(name, 0) + seen.get(name, 0))
    table = np.array([[side.get(name, 0) for name in names] for side in (new, seen)], dtype=np.int64)
    rows = table.sum(axis=1)
    if not rows.all():
        return None
    free, columns = len(names) - 1, table.sum(axis=0)
    if free == 0:
        return DriftPart(effect=0.0, p=1.0, level="none")
    found = _chi_square(table[:1], rows, columns)[0]
    if (rows[:, None] * columns / rows.sum()).min() >= _EXPECTED:
        p = float(chi2.sf(found, free))
        by_chance = 0.25 * free * float((1.0 / rows).sum())
    else:
        drawn = draws.multivariate_hypergeometric(columns, rows[0], _DRAWS, method="marginals")
        # Rounding must not make a table as extreme as ours less so.
        p = (1 + int((_chi_square(drawn, rows, columns) >= found * (1 - 1e-9)).sum())) / (1 + _DRAWS)
        by_chance = float(_squared_v(drawn, rows, columns).mean())
    squared = float(_squared_v(table[:1], rows, columns)[0])
    effect = float(np.sqrt(np.clip((squared - by_chance) / (1.0 - by_chance), 0.0, 1.0))) if by_chance < 1.0 else 0.0
    return DriftPart(effect=effect, p=p, level=LABELS.of(effect, p), found=int(p <= SURE))


def _chi_square(first_rows: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Chi-square of tables of two rows, given the first row of each (tables x classes) and their common margins."""
    share = rows[0] / rows.sum()
    off = first_rows - share * columns
    return np.asarray((off**2 / (columns * share * (1.0 - share))).sum(axis=1))


def _squared_v(first_rows: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cramer's V, squared, of the same tables with both rows scaled to the same sum."""
    ours, theirs = first_rows / rows[0], (columns - first_rows) / rows[1]
    return np.asarray(0.5 * ((ours - theirs) ** 2 / (ours + theirs)).sum(axis=1))


def compare_numbers(new: np.ndarray, seen: np.ndarray) -> DriftPart | None:
    """Whether numbers are distributed differently: the two-sample Kolmogorov-Smirnov test of each column, with the
    correction of Benjamini and Hochberg for their count.

    Args:
        new: rows x columns, of the arrival.
        seen: of what came before, as many columns.

    Returns:
        None if either has no row, or there is no column.
    """
    from scipy.stats import false_discovery_control, ks_2samp

    if not (len(new) and len(seen) and new.shape[1]):
        return None
    tested = ks_2samp(new, seen, axis=0, method="asymp")
    distances = np.atleast_1d(tested.statistic)
    p = np.atleast_1d(false_discovery_control(np.atleast_1d(tested.pvalue)))
    found = p <= SURE
    effect, least = float(distances[found].max() if found.any() else distances.max()), float(p.min())
    return DriftPart(
        effect=effect, p=least, level=NUMBERS.of(effect, least), tested=len(distances), found=int(found.sum())
    )


def compare_together(new: np.ndarray, seen: np.ndarray, draws: np.random.Generator) -> DriftPart | None:
    """Whether columns are distributed differently together: the maximum mean discrepancy (MMD) with a Gaussian kernel
    as wide as the median distance, by permutation, over a sample of the rows.

    Arguments and result are those of :func:`compare_numbers`; ``draws`` gives sample and permutations.
    """
    from scipy.spatial.distance import cdist

    if not (len(new) > 1 and len(seen) > 1 and new.shape[1]):
        return None
    ours, theirs = (_some(rows, draws) for rows in (new, seen))
    every = np.concatenate([ours, theirs]).astype(np.float64)
    spread = every.std(axis=0)
    every = (every[:, spread > 0] - every[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    squared = cdist(every, every, "sqeuclidean")
    middle = float(np.median(squared[np.triu_indices(len(every), 1)])) if every.shape[1] else 0.0
    if middle <= 0.0:
        return DriftPart(effect=0.0, p=1.0, level="none")
    kernel = np.exp(squared / (-2.0 * middle))
    np.fill_diagonal(kernel, 0.0)
    count = len(ours)
    sides = np.zeros((1 + _PERMUTATIONS, len(every)), dtype=bool)
    sides[0, :count] = True
    for row in sides[1:]:
        row[draws.permutation(len(every))[:count]] = True
    values = _mmd(kernel, sides)
    # Rounding must not make a permutation as extreme as the truth less so.
    p = (1 + int((values[1:] >= values[0] - 1e-12).sum())) / (1 + _PERMUTATIONS)
    effect = float(np.sqrt(np.clip(values[0], 0.0, 1.0)))
    return DriftPart(effect=effect, p=p, level=TOGETHER.of(effect, p), found=int(p <= SURE))


def _some(rows: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    if len(rows) <= _MMD_ROWS:
        return rows
    return rows[np.sort(draws.choice(len(rows), _MMD_ROWS, replace=False))]


def _mmd(kernel: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Squared MMD without bias.

    Args:
        kernel: N x N, zero on the diagonal.
        sides: bool, divisions x N: which rows are on the first side.
    """
    first, second = sides.astype(np.float64), (~sides).astype(np.float64)
    n, m = first.sum(axis=1), second.sum(axis=1)
    of_first, of_second = first @ kernel, second @ kernel
    within = (of_first * first).sum(axis=1) / (n * (n - 1)) + (of_second * second).sum(axis=1) / (m * (m - 1))
    between = (of_first * second).sum(axis=1) / (n * m)
    return np.asarray(within - 2.0 * between)
