"""From a shard in storage to decoded examples. Every byte is checked against the manifest before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from raygp.data.catalog import Catalog, ShardRef
from raygp.errors import InputError
from raygp.store import read_labels, read_shard
from raygp.tasks.own_errors import in_own_code

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task

Decoded = dict[str, np.ndarray]
"""``inputs``: stack of decoded samples; ``targets``: class ids, or numbers; ``ids``: row ids, int64. Where samples are
sequences, inputs and targets are columns of objects instead, one array for each row."""

_CHUNK_ROWS = 512
_LOOKED_AT = 16
_READERS = 16
"""Shards whose labels are read at once."""


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
    rows = np.arange(ref.shard.rows) if rows is None else rows
    return read_rows(catalog, (ref,), task, np.zeros_like(rows), rows)


def read_rows(
    catalog: Catalog, refs: Sequence[ShardRef], task: Task, numbers: np.ndarray, rows: np.ndarray
) -> Iterator[Decoded]:
    """Decode rows of several shards, in pieces of a few hundred. Each shard is read once and held until the end.

    Args:
        catalog: whose storage and vocabulary are used.
        refs: shards.
        task: whose ``decode`` is used.
        numbers: which of ``refs`` each row lies in, int64, shape (N,).
        rows: which of its rows, int64, shape (N,), in the order wanted.

    Raises:
        InputError: see :func:`read_examples`.
    """
    tables = {}
    for number in np.unique(numbers).tolist():
        table = read_shard(catalog.location, refs[number].arrival, refs[number].shard)
        tables[number] = [table.column(name) for name in ("sample", "label", "key")]
    firsts = np.array([ref.first for ref in refs], dtype=np.int64)
    class_ids = {label: i for i, label in enumerate(catalog.classes)}
    for start in range(0, len(rows), _CHUNK_ROWS):
        shards, chosen = numbers[start : start + _CHUNK_ROWS], rows[start : start + _CHUNK_ROWS]
        inputs, targets = [], []
        for number, row in zip(shards.tolist(), chosen.tolist(), strict=True):
            samples, labels, keys = tables[number]
            try:
                targets.append(task.target(labels[row].as_py(), class_ids))
                inputs.append(task.decode(samples[row].as_py()))
            except KeyError as error:
                place = _place(refs[number], row, keys[row].as_py())
                raise InputError(f"{place}: label '{error.args[0]}' is not in the vocabulary") from error
            except ValueError as error:
                raise InputError(f"{_place(refs[number], row, keys[row].as_py())}: {error}") from error
            except Exception as error:
                if said := in_own_code(error):
                    raise InputError(f"{_place(refs[number], row, keys[row].as_py())}: {said}") from error
                raise
        column = as_objects if task.sequences else np.stack
        yield {"inputs": column(inputs), "targets": column(targets), "ids": chosen + firsts[shards]}


def read_classes(catalog: Catalog, task: Task) -> np.ndarray | None:
    """Class of each training row, by its id, int64; None where labels are no classes. Of the shards, the labels alone
    are read.

    Raises:
        InputError: a shard cannot be read, or a label is outside the vocabulary; the message names shard and row.
    """
    if not task.labels_are_classes or task.sequences:
        return None
    class_ids = {label: i for i, label in enumerate(catalog.classes)}
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda ref: read_labels(catalog.location, ref.arrival, ref.shard), catalog.train))
    classes = np.empty(catalog.train_rows, dtype=np.int64)
    for ref, labels in zip(catalog.train, found, strict=True):
        for row, label in enumerate(labels):
            if label not in class_ids:
                place = f"arrivals/{ref.arrival}/{ref.shard.file} row {row}"
                raise InputError(f"{place}: label '{label}' is not in the vocabulary")
            classes[ref.first + row] = class_ids[label]
    return classes


def as_objects(arrays: list[np.ndarray]) -> np.ndarray:
    """A column of arrays of any shapes, shape (N,)."""
    column = np.empty(len(arrays), dtype=object)
    for row, array in enumerate(arrays):
        column[row] = array
    return column


def can_be_streamed(task: Task) -> bool:
    """Whether training may stream the task's examples in every epoch instead of keeping them in memory.

    A stream stacks the examples of a batch as they come, so they must all be of one shape. Sequences differ in length.
    """
    return not task.sequences


def decoded_bytes(catalog: Catalog, task: Task) -> int:
    """Bytes that all rows of the catalog take in memory once decoded, estimated from the first few."""
    first = catalog.train[0]
    example = next(read_examples(catalog, first, task, np.arange(min(_LOOKED_AT, first.shard.rows))))
    return round(float(np.mean([array.nbytes for array in example["inputs"]])) * catalog.rows)


def _place(ref: ShardRef, row: int, key: str) -> str:
    return f"arrivals/{ref.arrival}/{ref.shard.file} row {row} ({key})"
