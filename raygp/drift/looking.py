"""What a line shows of an arrival and of what came before it: labels, and what the head makes of a few hundred rows of
each, through its own storage and task.

The arrival's training rows are compared with held-out rows of earlier arrivals: the head was trained on neither. A
network answers rows that it was trained on with more confidence than others of the same kind, so these would look
different without being so. Held-out rows are drawn from the same rows as training rows, and every update reads them.

This runs where the line is worked on and not in the workers that train: what ``on_drift`` decides comes before there is
a job, as it may become another one or none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from raygp.data.catalog import Catalog, ShardRef
from raygp.data.ragged import stacked
from raygp.data.reading import read_examples
from raygp.drift.comparing import LEAST_ROWS, Sample, compare
from raygp.drift.features import FeatureWatch, outputs_by_row
from raygp.inference import Predictor
from raygp.record import CostLedger, DriftRecord
from raygp.sparse.flops import count_uses, training_flops
from raygp.tasks.traits import labels_are_numbers

if TYPE_CHECKING:
    from raygp.store import Card, Location, Manifest
    from raygp.store.manifest import Split
    from raygp.tasks.protocol import Task

ROWS, _SEQUENCES = 500, 250
"""So many rows of each side at most; fewer where each is a sequence."""
_LEAST_ROWS, _FLOPS = 100, 1e12
"""Of a network so large that both sides would cost more than this, fewer rows are looked at, but so many at least."""
_SHARDS, _BYTES = 16, 256 << 20
"""Of each side at most so many shards are read, and no further one once this is reached. Rows lie in a drawn order."""
_BATCH = 64


@dataclass(frozen=True)
class Arrivals:
    """What is compared with what."""

    seen: Sequence[Manifest]
    """Arrivals that the parent has seen."""
    new: Sequence[Manifest]
    """Those that an update is to fold in."""
    classes: Sequence[str]
    """Vocabulary of both."""

    @property
    def rows(self) -> int:
        """Of the side that has fewer to look at."""
        return min(sum(one.rows("train") for one in self.new), sum(one.rows("val") for one in self.seen))


def look(location: Location, task: Task, parent: Card, arrivals: Arrivals, seed: int) -> DriftRecord:
    """Compare new arrivals with those that a version has seen.

    Args:
        location: root of the line.
        task: the line's.
        parent: the version that answers rows of both.
        arrivals: which.
        seed: of all that is drawn.

    Raises:
        RaygpError: the version or a shard cannot be read.
    """
    started = time.perf_counter()
    draws = np.random.default_rng([seed, 0xA22])
    if arrivals.rows < LEAST_ROWS:  # Labels alone can be compared: no model is loaded for them.
        new, seen, ledger = Sample(_counts(task, arrivals.new)), Sample(_counts(task, arrivals.seen)), CostLedger()
    else:
        looking = _Looking(location, task, Predictor.of(location, parent, task), arrivals)
        new, seen = looking.sample(arrivals.new, "train", draws), looking.sample(arrivals.seen, "val", draws)
        ledger = looking.ledger
    parts = compare(new, seen, seed)
    ledger.worker_seconds = time.perf_counter() - started
    return DriftRecord(
        parent=parent.version,
        arrivals=[manifest.arrival for manifest in arrivals.new],
        rows=0 if new.outputs is None else len(new.outputs),
        seen_rows=0 if seen.outputs is None else len(seen.outputs),
        new_labels=sorted(set(new.counts) - set(seen.counts)),
        ledger=ledger,
        labels=parts.get("labels"),
        features=parts.get("features"),
        together=parts.get("together"),
        outputs=parts.get("outputs"),
    )


@dataclass
class _Looking:
    """Samples, as one version sees them."""

    location: Location
    task: Task
    predictor: Predictor
    arrivals: Arrivals
    ledger: CostLedger = field(default_factory=CostLedger)
    _forward: tuple[float, float] | None = None
    """FLOPs of an answer: over active connections, and over all."""

    def sample(self, manifests: Sequence[Manifest], split: Split, draws: np.random.Generator) -> Sample:
        """Labels of some arrivals, and what the version makes of rows of a split of theirs."""
        refs = [ShardRef(manifest.arrival, shard, 0) for manifest in manifests for shard in manifest.shards_of(split)]
        targets: list[np.ndarray] = []
        with FeatureWatch(self.predictor.model, self.task.classifier) as watch:
            parts = [self._answered(inputs, watch) for inputs in self._batches(refs, targets, draws)]
        features = [part[0] for part in parts]
        return Sample(
            _counts(self.task, manifests),
            self._values(targets),
            None if not features or any(part is None for part in features) else _finite(features),  # type: ignore[arg-type]
            _finite([part[1] for part in parts]) if parts else None,
        )

    def _values(self, targets: Sequence[np.ndarray]) -> np.ndarray | None:
        if not targets or self.task.labels_are_classes:
            return None
        if labels_are_numbers(self.task):
            return np.array(targets, dtype=np.float64)
        return np.array([len(target) for target in targets], dtype=np.float64)

    def _batches(
        self, refs: Sequence[ShardRef], targets: list[np.ndarray], draws: np.random.Generator
    ) -> Iterator[list[np.ndarray]]:
        """Decoded rows, batch by batch; their targets are put into a list."""
        catalog = Catalog(self.location, (), {}, 0, tuple(self.arrivals.classes))
        for ref, rows in drawn_rows(refs, self._wanted(catalog, refs), draws):
            for part in read_examples(catalog, ref, self.task, rows):
                targets += list(part["targets"])
                inputs = list(part["inputs"])
                yield from (inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH))

    def _wanted(self, catalog: Catalog, refs: Sequence[ShardRef]) -> int:
        """How many rows are looked at."""
        if self._forward is None and refs:
            first = next(
                read_examples(catalog, min(refs, key=lambda ref: ref.shard.bytes), self.task, np.zeros(1, int))
            )
            self._forward = self._count(first["inputs"][0])
        most = _SEQUENCES if self.task.sequences else ROWS
        dense = self._forward[1] if self._forward else 0.0
        return most if dense <= 0 else int(np.clip(_FLOPS / (2 * dense), _LEAST_ROWS, most))

    def _count(self, decoded: np.ndarray) -> tuple[float, float]:
        model = self.predictor.model
        uses = count_uses(model, self.task.prepare(stacked([decoded], self.task.sequences), None))
        active = {name: int(torch.count_nonzero(model.get_parameter(name))) for name in uses.uses}
        return sum(2.0 * active[name] * times for name, times in uses.uses.items()), uses.dense_forward()

    def _answered(self, decoded: Sequence[np.ndarray], watch: FeatureWatch) -> tuple[np.ndarray | None, np.ndarray]:
        """Features and outputs of a batch, each rows x numbers."""
        outputs = self.predictor.outputs(decoded)
        if self._forward is not None:  # An answer is the forward third of an example.
            self.ledger.charge(len(decoded) / 3.0, *map(training_flops, self._forward))
        found = outputs_by_row(self.task, outputs, self.predictor.classes)
        return watch.by_row(len(decoded), outputs), found


def _counts(task: Task, manifests: Sequence[Manifest]) -> Counter[str]:
    """Training rows by class: manifests know them all, so nothing is drawn. Empty where labels are no classes."""
    found: Counter[str] = Counter()
    if task.labels_are_classes:
        for manifest in manifests:
            found.update({label: rows for label, rows in manifest.labels.items() if rows})
    return found


def drawn_rows(refs: Sequence[ShardRef], wanted: int, draws: np.random.Generator) -> list[tuple[ShardRef, np.ndarray]]:
    """Rows drawn evenly from some shards, in their order: each shard and its rows, int64, ascending.

    Of many shards a few are drawn first, the larger ones more likely.
    """
    if not refs:
        return []
    rows = np.array([ref.shard.rows for ref in refs], dtype=np.int64)
    order = draws.choice(len(refs), min(_SHARDS, len(refs)), replace=False, p=rows / rows.sum())
    bytes_before = np.cumsum([0, *(refs[number].shard.bytes for number in order.tolist())])[:-1]
    chosen = np.sort(order[bytes_before < _BYTES])
    ends = np.cumsum(rows[chosen])
    picked = np.sort(draws.choice(int(ends[-1]), min(wanted, int(ends[-1])), replace=False))
    found = []
    for number, end in zip(chosen.tolist(), ends.tolist(), strict=True):
        start = end - int(rows[number])
        if len(mine := picked[(picked >= start) & (picked < end)]):
            found.append((refs[number], mine - start))
    return found


def _finite(parts: Sequence[np.ndarray]) -> np.ndarray | None:
    """Parts as one, float64; None where a number is not finite, which nothing can be compared with."""
    joined = np.concatenate(parts).astype(np.float64)
    return joined if np.isfinite(joined).all() else None
