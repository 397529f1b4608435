"""Ray Data pipelines: shards in storage -> checked -> decoded -> tensors in the workers.

There are two ways, chosen by size. Small data are decoded once, by Ray tasks, into the object store. Each worker then
copies all of them into its memory and shuffles by index (:func:`materialise`, :func:`collect`). Larger data are
streamed anew in every epoch (:mod:`raygp.cluster.streaming`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import ray.data
import torch
from ray.data.dataset import MaterializedDataset

from raygp.data.batches import Split
from raygp.data.catalog import Catalog, ShardRef
from raygp.data.reading import Decoded, as_objects, read_rows
from raygp.data.resident import Examples, ResidentData
from raygp.data.streaming_order import TRAIN
from raygp.tasks.protocol import Task

_BATCH_ROWS = 1024


def examples_dataset(catalog: Catalog, task: Task, pieces: list[dict[str, Any]], board: Any = None) -> ray.data.Dataset:
    """A dataset of decoded examples (columns ``inputs``, ``targets``, ``ids``) out of ``pieces``.

    Args:
        catalog: the update's shards.
        task: whose ``decode`` runs in the tasks.
        pieces: each ``{"split", "shard" (its number in the split, or that of each row's), "rows" (which of its rows, in
            order)}``.
        board: handle of an actor that is told how many rows have been decoded (:mod:`raygp.cluster.board`).
    """
    dataset = ray.data.from_items(pieces, override_num_blocks=len(pieces))
    read = partial(_read_piece, catalog=catalog, task=task, board=board)
    return dataset.map_batches(read, batch_size=1, batch_format="numpy", zero_copy_batch=True)


def refs_of(catalog: Catalog, split: str) -> tuple[ShardRef, ...]:
    """The shards of a split, training or held out."""
    return catalog.train if split == TRAIN else catalog.held_out[split]  # type: ignore[index]


def materialise(catalog: Catalog, task: Task, board: Any = None) -> dict[str, MaterializedDataset[Any]]:
    """Decode every split once into the object store, in parallel over shards. Empty splits are left out.

    The results are brought to the driver's node. If they stayed where they were decoded, a node that is taken away
    would take some with it, and Ray could not decode them again, since the workers have the CPUs for that.
    """
    datasets = {}
    for split in (TRAIN, "val", "test"):
        refs = refs_of(catalog, split)
        if refs:
            pieces = [piece for number, ref in enumerate(refs) for piece in _whole(split, number, ref)]
            datasets[split] = _beside_driver(examples_dataset(catalog, task, pieces, board).materialize())
    return datasets


def _beside_driver(dataset: MaterializedDataset[Any]) -> MaterializedDataset[Any]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    if sum(node["Alive"] for node in nodes) == 1:
        return dataset
    here: Any = [ray.put(ray.get(ref)) for ref in dataset.to_arrow_refs()]
    return ray.data.from_arrow_refs(here)


def collect(catalog: Catalog, iterators: dict[str, ray.data.DataIterator], ragged: bool = False) -> ResidentData:
    """The materialised splits as this worker's resident data, each row put in its place by its id."""
    gather = _gather_ragged if ragged else _gather
    splits = {split: gather(catalog, split, iterator) for split, iterator in iterators.items()}
    held_out: dict[Split, Examples] = {s: splits[s] for s in ("val", "test") if s in splits}
    return ResidentData(splits[TRAIN], catalog.old_rows, held_out, {split: catalog.groups(split) for split in held_out})


def _gather(catalog: Catalog, split: str, iterator: ray.data.DataIterator) -> Examples:
    rows = refs_of(catalog, split)[-1].stop
    return place_by_id(rows, iterator.iter_torch_batches(batch_size=_BATCH_ROWS, prefetch_batches=2))


def _gather_ragged(catalog: Catalog, split: str, iterator: ray.data.DataIterator) -> Examples:
    rows = refs_of(catalog, split)[-1].stop
    inputs: list[np.ndarray | None] = [None] * rows
    targets: list[np.ndarray | None] = [None] * rows
    for batch in iterator.iter_batches(batch_size=_BATCH_ROWS, batch_format="numpy"):
        for row, sample, target in zip(batch["ids"].tolist(), batch["inputs"], batch["targets"], strict=True):
            inputs[row], targets[row] = unpack_array(sample), unpack_array(target)
    missing = sum(array is None for array in inputs)
    if missing:
        raise RuntimeError(f"{missing} of {rows} rows did not come")
    return Examples.of(inputs, targets, ragged=True)  # type: ignore[arg-type]


def place_by_id(rows: int, batches: Iterable[dict[str, torch.Tensor]]) -> Examples:
    """Examples in the order of their ids, whatever order they come in.

    Raises:
        RuntimeError: a row is missing or came twice.
    """
    inputs: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    seen = torch.zeros(rows, dtype=torch.int32)
    for batch in batches:
        ids = batch["ids"]
        if inputs is None or targets is None:
            inputs = torch.empty((rows, *batch["inputs"].shape[1:]), dtype=batch["inputs"].dtype)
            targets = torch.empty((rows, *batch["targets"].shape[1:]), dtype=batch["targets"].dtype)
        inputs[ids] = batch["inputs"]
        targets[ids] = batch["targets"]
        seen.index_add_(0, ids, torch.ones_like(ids, dtype=torch.int32))
    if inputs is None or targets is None or not bool((seen == 1).all()):
        raise RuntimeError(f"of {rows} rows {int((seen != 1).sum())} did not come exactly once")
    return Examples(inputs, targets)


def _whole(split: str, number: int, ref: ShardRef, rows_a_piece: int = 4096) -> Iterator[dict[str, Any]]:
    # A shard of small samples has very many: in pieces, several tasks decode it, and each holds little.
    for start in range(0, ref.shard.rows, rows_a_piece):
        yield {"split": split, "shard": number, "rows": np.arange(start, min(start + rows_a_piece, ref.shard.rows))}


def _read_piece(batch: dict[str, np.ndarray], *, catalog: Catalog, task: Task, board: Any = None) -> Iterator[Decoded]:
    """A Ray task: one piece, as a stream of decoded blocks."""
    for split, number, rows in zip(batch["split"], batch["shard"], batch["rows"], strict=True):
        rows = np.asarray(rows, dtype=np.int64)
        numbers = np.broadcast_to(np.asarray(number, dtype=np.int64), rows.shape)
        for block in read_rows(catalog, refs_of(catalog, str(split)), task, numbers, rows):
            if task.sequences:
                # Arrow has no column for arrays of several shapes that every batch format can read back.
                for name in ("inputs", "targets"):
                    packed: list[Any] = [pack_array(array) for array in block[name]]
                    block[name] = as_objects(packed)
            if board is not None:
                board.add_rows.remote(len(block["ids"]))
            yield block


def pack_array(array: np.ndarray) -> bytes:
    """An array with its shape and type as bytes (numpy's own format)."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def unpack_array(data: bytes) -> np.ndarray:
    """What :func:`pack_array` packed."""
    array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return array
