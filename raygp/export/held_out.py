"""Rows of a line that a version never trained on, and some that it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raygp.errors import InputError
from raygp.store import Card, Location, Manifest, find_manifests, read_shard
from raygp.store.manifest import Split
from raygp.tasks.protocol import Task

_ARRIVALS = 8
"""From which rows are taken, at most: a line may have hundreds, each a file to fetch."""
_Row = tuple[bytes, str, tuple[str, str]]


@dataclass(frozen=True)
class Rows:
    """Some rows of a line."""

    samples: Sequence[bytes]
    labels: Sequence[str]
    places: Sequence[tuple[str, str]] = ()
    """Arrival of each, and what its source called it."""

    def __len__(self) -> int:
        return len(self.samples)

    def decoded(self, task: Task) -> list[np.ndarray]:
        """The samples, decoded by the task."""
        return [task.decode(sample) for sample in self.samples]


def held_out_rows(location: Location, card: Card, most: int) -> Rows:
    """Rows that the arrivals of a version hold out, up to ``most``, taken evenly from up to eight of them.

    Raises:
        InputError: no arrival holds a row out, or a shard cannot be read.
    """
    rows = _rows(location, card, ("test", "val"), most)
    if not len(rows):
        raise InputError(f"{location.root} holds no rows out, so that nothing can be checked")
    return rows


def training_rows(location: Location, card: Card, most: int) -> Rows:
    """Training rows of the arrivals of a version, likewise. Raises as :func:`held_out_rows`."""
    return _rows(location, card, ("train",), most)


def validation_rows(location: Location, card: Card, most: int) -> Rows:
    """Rows that the arrivals of a version hold out for validation, likewise; there may be none. Raises as
    :func:`held_out_rows`."""
    return _rows(location, card, ("val",), most)


def _rows(location: Location, card: Card, splits: Sequence[Split], most: int) -> Rows:
    manifests = find_manifests(location, card.measured_on)
    manifests = [manifest for manifest in manifests if any(manifest.shards_of(split) for split in splits)]
    count = min(_ARRIVALS, len(manifests))
    # Evenly over the line's life, the first and the last among them.
    chosen = [manifests[at] for at in np.linspace(0, len(manifests) - 1, count).round().astype(int).tolist()]
    found: list[_Row] = []
    for number, manifest in enumerate(chosen):
        share = -(-(most - len(found)) // (len(chosen) - number))
        found += _of_arrival(location, manifest, splits, share)
    samples, labels, places = zip(*found, strict=True) if found else ((), (), ())
    return Rows(samples, labels, places)


def _of_arrival(location: Location, manifest: Manifest, splits: Sequence[Split], most: int) -> list[_Row]:
    found: list[_Row] = []
    for split in splits:
        for shard in manifest.shards_of(split):
            if len(found) >= most:
                return found
            table = read_shard(location, manifest.arrival, shard)
            # Rows of a class may lie side by side.
            at = np.unique(np.linspace(0, table.num_rows - 1, min(most - len(found), table.num_rows)).astype(int))
            columns = (table.column(name).take(at).to_pylist() for name in ("sample", "label", "key"))
            found += ((sample, label, (manifest.arrival, key)) for sample, label, key in zip(*columns, strict=True))
    return found
