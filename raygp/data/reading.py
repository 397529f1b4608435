"""From a shard in storage to decoded examples. Every byte is checked against the manifest before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raygp.data.catalog import Catalog, ShardRef
from raygp.errors import InputError
from raygp.store import read_shard
from raygp.tasks.protocol import Task

Decoded = dict[str, np.ndarray]
"""``inputs``: stack of decoded samples; ``targets``: class ids; ``ids``: row ids, int64."""

_CHUNK_ROWS = 512


def read_examples(catalog: Catalog, ref: ShardRef, task: Task, rows: np.ndarray | None = None) -> Iterator[Decoded]:
    """Decode rows of one shard, in pieces of a few hundred.

    Args:
        catalog: whose storage and vocabulary are used.
        ref: the shard.
        task: whose ``decode`` is used.
        rows: which rows of the shard, in the order wanted; all in their order if None.

    Raises:
        InputError: the shard does not match its manifest, a sample cannot be decoded, or a label is outside the
            vocabulary; the message names shard, row and key.
    """
    table = read_shard(catalog.location, ref.arrival, ref.shard)
    rows = np.arange(ref.shard.rows) if rows is None else rows
    class_ids = {label: i for i, label in enumerate(catalog.classes)}
    samples, labels, keys = (table.column(name) for name in ("sample", "label", "key"))
    for start in range(0, len(rows), _CHUNK_ROWS):
        chosen = rows[start : start + _CHUNK_ROWS]
        inputs, targets = [], []
        for row in chosen.tolist():
            label = labels[row].as_py()
            if label not in class_ids:
                raise InputError(f"{_place(ref, row, keys[row].as_py())}: label '{label}' is not in the vocabulary")
            try:
                inputs.append(task.decode(samples[row].as_py()))
            except ValueError as error:
                raise InputError(f"{_place(ref, row, keys[row].as_py())}: {error}") from error
            targets.append(class_ids[label])
        yield {
            "inputs": np.stack(inputs),
            "targets": np.asarray(targets, dtype=np.int64),
            "ids": chosen.astype(np.int64) + ref.first,
        }


def decoded_bytes(catalog: Catalog, task: Task) -> int:
    """What all rows of the catalog take in memory once decoded, judged by the first one."""
    first = catalog.train[0]
    example = next(read_examples(catalog, first, task, np.arange(1)))
    return int(example["inputs"].nbytes) * catalog.rows


def _place(ref: ShardRef, row: int, key: str) -> str:
    return f"arrivals/{ref.arrival}/{ref.shard.file} row {row} ({key})"
