"""Seeded, stratified division of a source's samples: held-out splits, and training examples by arrival."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raygp.data.sources.source import SourceSample, SplitName
from raygp.errors import InputError

Splits = dict[SplitName, list[int]]
_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def draw_splits(
    samples: Sequence[SourceSample],
    val_share: float,
    test_share: float,
    arrival_shares: Sequence[float],
    seed: int,
    stratified: bool = True,
    rare: bool = False,
) -> list[Splits]:
    """Divide samples into arrivals and, within the first one, splits.

    Samples that came with split val or test keep it. The others are drawn from, class by class. If no sample came with
    split test, a test split is drawn first; then a val split, if none came with that. What is left is train, and is
    divided among the arrivals.

    Every class has at least one sample in each split that is drawn, and in the first arrival's train; one that has too
    few for that is refused, or has them in train first, then in val, then in test. Apart from that, each class's count
    is within 1 of its exact share, and the totals are the rounded shares unless rare classes prevent it.

    Args:
        samples: in any order; the draw depends only on their keys.
        val_share: part of what is left after test, in [0, 1). 0 draws none.
        test_share: part of the samples without a held-out split, in [0, 1). 0 draws none.
        arrival_shares: part of train that each arrival gets; positive, adding up to 1.
        seed: of all draws.
        stratified: draw class by class; False where labels are texts, which hardly ever repeat.
        rare: classes may have too few samples for every split, and even none to draw from.

    Returns:
        For each arrival, indices into ``samples`` by split, in an order drawn from ``seed``. All that is held out is in
        the first arrival.

    Raises:
        InputError: a share is out of range, or (unless ``rare``) a class has too few samples to appear in every split.
    """
    check_shares(val_share, test_share, arrival_shares)
    generator = np.random.default_rng(seed)
    given: dict[SplitName | None, list[int]] = {"val": [], "test": []}
    pools: dict[str, list[int]] = {}
    for index in sorted(range(len(samples)), key=lambda i: samples[i].key):
        pool = pools.setdefault(samples[index].label if stratified else "", [])
        given.get(samples[index].split, pool).append(index)
    shares: tuple[tuple[SplitName, float], ...] = (("test", test_share), ("val", val_share))
    drawn: dict[SplitName, float] = {split: share for split, share in shares if share > 0 and not given[split]}
    if not pools:
        raise InputError("the source holds no samples")
    if not rare:
        _check_counts({label: len(pool) for label, pool in pools.items()}, list(drawn))

    rest = [generator.permutation(pools[label]).tolist() for label in sorted(pools)]
    for left, (split, share) in zip((len(drawn) - i for i in range(len(drawn))), drawn.items(), strict=True):
        counts = np.array([len(pool) for pool in rest], dtype=np.int64)
        taken = np.minimum(apportion(counts, (share, 1 - share))[:, 0], np.maximum(counts - left, 0))
        given[split] = [index for pool, count in zip(rest, taken, strict=True) for index in pool[:count]]
        rest = [pool[count:] for pool, count in zip(rest, taken, strict=True)]

    arrivals: list[Splits] = [{split: [] for split in _SPLITS} for _ in arrival_shares]
    table = apportion(np.array([len(pool) for pool in rest], dtype=np.int64), arrival_shares)
    for pool, row in zip(rest, table, strict=True):
        ends = np.cumsum(row).tolist()
        for arrival, start, end in zip(arrivals, [0, *ends], ends, strict=False):
            arrival["train"] += pool[start:end]
    arrivals[0]["val"], arrivals[0]["test"] = given["val"], given["test"]
    return [{split: generator.permutation(rows[split]).tolist() for split in _SPLITS} for rows in arrivals]


def apportion(counts: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Whole numbers in place of ``counts[i] * shares[j]``.

    Args:
        counts: non-negative, int64, shape (R,).
        shares: positive, C of them, adding up to 1.

    Returns:
        int64, R x C. Rows add up to ``counts``; a row that is not empty has at least 1 in column 0; each cell is within
        1 of its exact value; columns add up to the total's shares by largest remainder, unless the 1 in column 0 of
        many small rows does not allow it.
    """
    # Shares such as 0.1 are not exact in binary: without rounding, 0.1 * 30 would leave a remainder.
    exact = np.round(counts[:, None] * np.asarray(shares, dtype=np.float64)[None, :], 6)
    least = np.floor(exact).astype(np.int64)
    fraction = exact - least
    least[:, 0] += (least[:, 0] == 0) & (fraction[:, 0] > 0)
    fraction[:, 0] = np.where(least[:, 0] > exact[:, 0], 0.0, fraction[:, 0])
    table = least.copy()
    # Class after class, what is left goes to the columns that lag most behind their share so far.
    lag = np.zeros(len(shares))
    for row in range(len(counts)):
        left = int(counts[row] - table[row].sum())
        wanted = np.where(fraction[row] > 0, lag + exact[row] - table[row], -math.inf)
        table[row, np.argsort(-wanted, kind="stable")[:left]] += 1
        lag += exact[row] - table[row]
    totals = _largest_remainder(int(counts.sum()), shares)
    _balance(table, least, np.ceil(exact), totals)
    # A 1 that was put in column 0 may still keep the totals from fitting. Then cells may move by almost 1 either way.
    loosest = np.maximum(np.ceil(exact) - 1, 0)
    loosest[:, 0] = np.maximum(loosest[:, 0], counts > 0)
    _balance(table, loosest, np.floor(exact) + 1, totals)
    return table


def _balance(table: np.ndarray, least: np.ndarray, most: np.ndarray, totals: np.ndarray) -> None:
    """Move single samples between columns, within each cell's bounds, until the columns add up to ``totals``."""
    while True:
        excess = table.sum(axis=0) - totals
        moved = False
        for source in np.flatnonzero(excess > 0):
            for target in np.flatnonzero(excess < 0):
                rows = np.flatnonzero((table[:, source] > least[:, source]) & (table[:, target] < most[:, target]))
                if not moved and len(rows):
                    largest = rows[np.argmax(table[rows, source])]
                    table[largest, source] -= 1
                    table[largest, target] += 1
                    moved = True
        if not moved:
            return


def _largest_remainder(total: int, shares: Sequence[float]) -> np.ndarray:
    exact = np.round(total * np.asarray(shares, dtype=np.float64), 6)
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(-(exact - counts), kind="stable")[: total - int(counts.sum())]] += 1
    return counts


def check_shares(val_share: float, test_share: float, arrival_shares: Sequence[float]) -> None:
    """Raises InputError if a share is out of range, or those of the arrivals do not add up to 1."""
    for name, share in (("val", val_share), ("test", test_share)):
        if not 0 <= share < 1:
            raise InputError(f"the {name} share must be at least 0 and less than 1, not {share}")
    if not arrival_shares or not all(share > 0 for share in arrival_shares):
        raise InputError(f"the arrivals' shares must all be greater than 0, not {list(arrival_shares)}")
    if not abs(sum(arrival_shares) - 1) <= 1e-6:
        raise InputError(f"the arrivals' shares must add up to 1, not {sum(arrival_shares):g}")


def _check_counts(counts: dict[str, int], drawn: list[SplitName]) -> None:
    needed = 1 + len(drawn)
    splits = [split for split in _SPLITS if split == "train" or split in drawn]
    listed = " and ".join([", ".join(splits[:-1]), splits[-1]] if len(splits) > 1 else splits)
    for label in sorted(counts):
        if counts[label] < needed:
            has = f"class '{label}' has {counts[label]} sample{'' if counts[label] == 1 else 's'} to draw from"
            raise InputError(f"{has}: too few to appear in {listed} (at least {needed})")
