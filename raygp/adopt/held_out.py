"""The held-out rows of a line's arrivals, read as they are needed: what a model is measured on before anything has been
trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from raygp.data.batches import Batch, Split
from raygp.data.catalog import Catalog, ShardRef
from raygp.data.ragged import stacked
from raygp.data.reading import read_examples
from raygp.errors import InputError
from raygp.store import Location, Manifest, read_labels
from raygp.tasks.protocol import Task

_READERS = 16
"""Shards whose labels are read at once."""
Watch = Callable[[int], None]
"""Told how many more rows have been answered."""


class HeldOutRows:
    """:class:`raygp.data.batches.TrainingData` without training rows: what arrivals hold out for validation and
    testing, as far as a vocabulary knows its labels. One shard is in memory at a time.

    Args:
        location: root of the line.
        arrivals: whose rows count, in this order.
        classes: the vocabulary.
        task: decodes samples.
        watch: told of progress.

    Raises:
        InputError: a shard cannot be read.
    """

    old_rows = 0
    new_rows = 0

    def __init__(
        self, location: Location, arrivals: Sequence[Manifest], classes: Sequence[str], task: Task, watch: Watch
    ) -> None:
        self._task, self._watch = task, watch
        self._catalog = Catalog(location, (), {}, 0, tuple(classes))
        self._parts: dict[Split, list[tuple[ShardRef, np.ndarray]]] = {}
        self.left_out: dict[Split, int] = {}
        """By split, rows with labels that the vocabulary lacks."""
        for split in ("val", "test"):
            shards = [(manifest.arrival, shard) for manifest in arrivals for shard in manifest.shards_of(split)]
            with ThreadPoolExecutor(_READERS) as pool:
                labels = list(pool.map(lambda pair: read_labels(location, *pair), shards))
            parts, first = [], 0
            for (arrival, shard), found in zip(shards, labels, strict=True):
                rows = self._known(found, set(classes))
                parts.append((ShardRef(arrival, shard, first), rows))
                first += len(rows)
            self._parts[split] = parts
            self.left_out[split] = sum(shard.rows for _, shard in shards) - first

    def _known(self, labels: Sequence[str], classes: set[str]) -> np.ndarray:
        known = {label: self._task.symbols(label) <= classes for label in set(labels)}
        return np.array([row for row, label in enumerate(labels) if known[label]], dtype=np.int64)

    def rows(self, split: Split) -> int:
        """Rows of a split that count."""
        return sum(len(rows) for _, rows in self._parts[split])

    def groups(self, split: Split) -> dict[str, slice]:
        """See :class:`raygp.data.batches.TrainingData`."""
        groups: dict[str, slice] = {}
        for ref, rows in self._parts[split]:
            start = groups[ref.arrival].start if ref.arrival in groups else ref.first
            groups[ref.arrival] = slice(start, ref.first + len(rows))
        return groups

    def evaluation(self, split: Split, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Every row of a split, for one rank alone."""
        step = 0
        for ref, rows in self._parts[split]:
            done = 0
            for part in read_examples(self._catalog, ref, self._task, rows):
                ids = np.arange(ref.first + done, ref.first + done + len(part["ids"]))
                inputs, targets = (stacked(list(part[name]), self._task.sequences) for name in ("inputs", "targets"))
                yield Batch(inputs, targets, ids, int(ids[0]), step)
                done, step = done + len(ids), step + 1
                self._watch(len(ids))

    # -- there is nothing to train on ---------------------------------------------------------------------------------

    def classes(self) -> np.ndarray | None:
        """None: there are no training examples."""
        return None

    def typical_id(self) -> int:
        """Raises InputError: there is none."""
        raise InputError("there is no training example")

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        """Nothing."""
        return iter(())

    def scan(self, ids: np.ndarray, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Nothing."""
        return iter(())
