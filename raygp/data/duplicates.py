"""Which rows of a source are new to a line: by the bytes of their samples, before any is drawn for a split.

A sample has one place in a line for ever. What an earlier arrival holds out stays held out, what it trains on is never
held out later, and rows of one source that have the same bytes go together. The same bytes under two labels go nowhere.

Rows of a table are something else: two that are alike are two observations, and may well have two labels. Those of one
source all stay, in the same split unless the source says otherwise; one that the line trains on under another label is
a training row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from raygp.data.known import DIGEST, KnownSamples
from raygp.data.sources import SourceSample
from raygp.store import Duplicates


@dataclass(frozen=True)
class Chosen:
    """Rows of a source by what becomes of them; positions in the source."""

    drawn: list[int]
    """New ones, among which the splits are drawn. In order."""
    copies: dict[int, list[int]] = field(default_factory=dict)
    """By row of ``drawn``: others with the same bytes, which are training rows where that one is; else they are
    skipped, unless ``together``."""
    again: list[int] = field(default_factory=list)
    """Training rows, as the same samples are in an earlier arrival."""
    contradicted: dict[int, str] = field(default_factory=dict)
    """Left out as the same bytes have another label too; with the reason."""
    counts: Duplicates = field(default_factory=Duplicates)
    """Of all rows but ``copies``, whose number depends on the draw."""
    together: bool = False
    """``copies`` are observations of their own: they go where their row goes, whichever split that is, and are no
    duplicates."""


class Digests:
    """Digests of a source's rows, as far as they are known.

    Args:
        rows: how many rows the source has.
        known: samples of the line.
    """

    def __init__(self, rows: int, known: KnownSamples) -> None:
        self.known = known
        self.values = np.zeros(rows, DIGEST)
        self.there = np.zeros(rows, bool)
        self._compared = 0
        self._met = False

    def note(self, rows: Sequence[int], digests: np.ndarray) -> None:
        """Note the digests of some rows, of :data:`DIGEST`, shape (N,). An empty one stands for a sample without any
        bytes, which is like no other."""
        full = digests != b""
        chosen = np.asarray(rows, dtype=np.int64)[full]
        self.values[chosen] = digests[full]
        self.there[chosen] = True
        self._met = self._met or bool((self.known.find(digests[full]) >= 0).any())

    def learn(self, later: KnownSamples) -> bool:
        """More samples of the line have become known; whether a noted row is among them."""
        self.known = self.known.and_of(later)
        return bool((later.find(self.values[self.there]) >= 0).any())

    def duplicate_met(self, final: bool = False) -> bool:
        """Whether a noted row is known to the line, or has the bytes of another one.

        Args:
            final: all rows are noted. Before that, rows are compared with each other only when they have doubled in
                number, as it takes a sort.
        """
        noted = int(self.there.sum())
        if not self._met and (final or noted >= 2 * self._compared):
            self._compared = noted
            self._met = len(np.unique(self.values[self.there])) < noted
        return self._met

    def changed(self, rows: Sequence[int], digests: np.ndarray) -> int | None:
        """The first of some rows that has another digest than was noted before; None if none has."""
        chosen = np.asarray(rows, dtype=np.int64)
        different = chosen[self.there[chosen] & (self.values[chosen] != digests)]
        return int(different[0]) if len(different) else None


def choose(
    samples: Sequence[SourceSample],
    rows: Sequence[int],
    digests: Digests,
    keep: bool,
    usable: Callable[[int], bool],
    repeat: bool = False,
) -> Chosen:
    """Decide what becomes of each row.

    Args:
        samples: of the source.
        rows: the ones to decide on, in order.
        digests: those of all ``rows``, but for samples that are empty.
        keep: duplicates of training rows are training rows.
        usable: whether a row's sample can be used; asked of one row of those with the same bytes. Samples that cannot
            be used are no duplicates: each is a bad row.
        repeat: the same bytes may come again as another observation (:func:`raygp.tasks.traits.samples_repeat`).
    """
    chosen = np.asarray(rows, dtype=np.int64)
    places = np.where(digests.there[chosen], digests.known.find(digests.values[chosen]), -1)
    found = _Found(samples, keep, repeat)
    old = np.flatnonzero(places >= 0)
    labels, held_out = digests.known.labels(places[old]), digests.known.held_out(places[old]).tolist()
    for row, place, label, out in zip(chosen[old].tolist(), places[old].tolist(), labels, held_out, strict=True):
        if samples[row].label == label:
            found.known(row, out, keep)
        elif repeat:
            found.known(row, out, True)
        else:
            found.relabelled(row, f"{digests.known.describe(place)}, which is labelled '{label}'")
    new = chosen[(places < 0) & digests.there[chosen]]
    for group in _groups(new, digests.values):
        if usable(group[0]):
            found.twins(group)
    gone = found.gone
    return Chosen(
        [row for row in chosen.tolist() if row not in gone],
        found.copies,
        found.again,
        dict(sorted(found.contradicted.items())),
        Duplicates(**found.counts),
        repeat,
    )


def _groups(rows: np.ndarray, values: np.ndarray) -> list[list[int]]:
    """Rows with the same digest, where there are several; each group in order, groups by their first row."""
    order = rows[np.argsort(values[rows], kind="stable")]
    sorted_values = values[order]
    starts = np.flatnonzero(
        np.concatenate([np.ones(min(1, len(order)), bool), sorted_values[1:] != sorted_values[:-1]])
    )
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(ends - starts > 1)
    return sorted(order[starts[i] : ends[i]].tolist() for i in several)


class _Found:
    """What was decided so far."""

    def __init__(self, samples: Sequence[SourceSample], keep: bool, repeat: bool) -> None:
        self._samples, self._keep, self._repeat = samples, keep, repeat
        self.gone: set[int] = set()
        self.again: list[int] = []
        self.copies: dict[int, list[int]] = {}
        self.contradicted: dict[int, str] = {}
        self.counts = dict.fromkeys(Duplicates.model_fields, 0)

    def known(self, row: int, held_out: bool, keep: bool) -> None:
        """The line has the row, under the same label or as another observation; ``keep``: it is trained on again."""
        self.gone.add(row)
        if keep and not held_out and not self._is_held_out(row):
            self.again.append(row)
            self.counts["kept"] += 1
        else:
            self.counts["held_out" if held_out else "trained"] += 1

    def relabelled(self, row: int, other: str) -> None:
        """The line has the row under another label, which holds."""
        self._contradict(row, other)
        self.counts["relabelled"] += 1

    def twins(self, group: list[int]) -> None:
        """Rows of the source have the same bytes. One of them is drawn, if they have one label.

        If the source holds one of them out, that is the one: no other may become a training row.
        """
        if self._repeat:
            for split in dict.fromkeys(self._samples[row].split for row in group):
                first, *others = [row for row in group if self._samples[row].split == split]
                self.gone.update(others)
                self.copies[first] = others
            return
        if len({self._samples[row].label for row in group}) > 1:
            for row in group:
                label = self._samples[row].label
                other = next(twin for twin in group if self._samples[twin].label != label)
                sample = self._samples[other]
                self._contradict(row, f"{sample.key} (row {other}), which is labelled '{sample.label}'")
                self.counts["conflicting"] += 1
            return
        first = next((row for row in group if self._is_held_out(row)), group[0])
        others = [row for row in group if row != first]
        self.gone.update(others)
        kept = [row for row in others if self._keep and not self._is_held_out(row)]
        if kept and not self._is_held_out(first):
            self.copies[first] = kept
            others = [row for row in others if row not in set(kept)]
        self.counts["repeated"] += len(others)

    def _contradict(self, row: int, other: str) -> None:
        self.gone.add(row)
        self.contradicted[row] = f"the same bytes as {other}"

    def _is_held_out(self, row: int) -> bool:
        return self._samples[row].split in ("val", "test")
