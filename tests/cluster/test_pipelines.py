"""Ray Data pipelines over real shards: every row once, orders by seed, both ways of reading alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raygp.cluster.pipeline import collect, materialise, place_by_id
from raygp.cluster.streaming import StreamingData
from raygp.data.catalog import Catalog, build_catalog
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.reading import read_examples
from raygp.errors import InputError
from raygp.store import Location, list_arrivals
from raygp.tasks import make_task
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TASK = make_task({"name": "lenet-300-100"})


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Catalog:
    location = Location(str(tmp_path_factory.mktemp("pipelines") / "root"))
    settings = IngestSettings(["a", "b"], [0.6, 0.4], 0.15, 0.15)
    ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 301), settings)
    first, second = list_arrivals(location)
    return build_catalog(location, [first], [second], sorted(first.labels))


@pytest.fixture(scope="module")
def streaming(catalog: Catalog) -> StreamingData:
    return StreamingData(catalog, TASK, shuffle_rows=64)


def test_materialised_rows_are_those_of_the_shards(catalog: Catalog) -> None:
    datasets = materialise(catalog, TASK)
    data = collect(catalog, {split: dataset.iterator() for split, dataset in datasets.items()})
    assert (data.old_rows, data.new_rows) == (catalog.old_rows, catalog.train_rows - catalog.old_rows)
    for split, examples in (("train", data.train), ("val", data.held_out["val"]), ("test", data.held_out["test"])):
        refs = catalog.train if split == "train" else catalog.held_out[split]
        parts = [part for ref in refs for part in read_examples(catalog, ref, TASK)]
        assert np.array_equal(examples.inputs.numpy(), np.concatenate([part["inputs"] for part in parts]))
        assert np.array_equal(examples.targets.numpy(), np.concatenate([part["targets"] for part in parts]))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_streamed_evaluation_sees_every_row_once(streaming: StreamingData, workers: int) -> None:
    rows = streaming.catalog.held_out["val"][-1].stop
    assert rows % 2 == 1 or rows % 3 != 0  # Some split does not divide evenly.
    ids = [b.ids for rank in range(workers) for b in streaming.evaluation("val", 16, rank, workers)]
    assert np.array_equal(np.sort(np.concatenate(ids)), np.arange(rows))


def test_streamed_epochs_use_each_wanted_row_at_most_once_and_share_them_out(streaming: StreamingData) -> None:
    wanted = np.arange(10, 200)
    batches = {rank: list(streaming.epoch(wanted, 16, 7, rank, 2)) for rank in (0, 1)}
    assert [len(batches[rank]) for rank in (0, 1)] == [190 // 16] * 2
    assert all(len(batch.ids) == 8 for rank in (0, 1) for batch in batches[rank])
    ids = np.concatenate([batch.ids for rank in (0, 1) for batch in batches[rank]])
    assert len(np.unique(ids)) == len(ids) == 190 // 16 * 16
    assert set(ids) <= set(wanted)


def test_streamed_batches_are_the_same_for_any_number_of_workers_and_from_any_step(streaming: StreamingData) -> None:
    wanted = np.arange(10, 200)

    def batches(workers: int, first_step: int = 0) -> list[list[int]]:
        steps: dict[int, list[int]] = {}
        for rank in range(workers):
            for batch in streaming.epoch(wanted, 16, 7, rank, workers, first_step):
                assert batch.offset == len(steps.setdefault(batch.step, []))
                steps[batch.step] += batch.ids.tolist()
        assert list(steps) == list(range(first_step, 190 // 16))
        return list(steps.values())

    alone = batches(1)
    assert batches(2) == batches(3) == alone
    for first_step in (1, 5, 10):
        assert batches(2, first_step) == alone[first_step:]


def test_streamed_order_is_new_for_a_new_seed_and_the_same_for_the_same(streaming: StreamingData) -> None:
    def order(seed: int) -> list[int]:
        return np.concatenate([b.ids for b in streaming.epoch(np.arange(120), 16, seed, 0, 1)]).tolist()

    first, again, other = order(1), order(1), order(2)
    assert first == again
    assert first != other
    assert first != sorted(first)


def test_streamed_examples_keep_their_labels(streaming: StreamingData) -> None:
    truth = {}
    for ref in streaming.catalog.train:
        for part in read_examples(streaming.catalog, ref, TASK):
            truth |= dict(zip(part["ids"].tolist(), part["targets"].tolist(), strict=True))
    for batch in streaming.epoch(np.arange(150), 32, 3, 0, 1):
        assert [truth[int(i)] for i in batch.ids] == batch.targets.tolist()


def test_a_row_that_comes_twice_or_not_at_all_is_noticed() -> None:
    batch = {"ids": torch.tensor([0, 1, 1]), "inputs": torch.zeros(3, 1), "targets": torch.zeros(3, dtype=torch.int64)}
    with pytest.raises(RuntimeError, match="of 3 rows 2 did not come exactly once"):
        place_by_id(3, [batch])


def test_a_damaged_shard_is_named(catalog: Catalog, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "copy"
    shutil.copytree(catalog.location.local_path(), root)
    ref = catalog.train[0]
    shard = root / "arrivals" / ref.arrival / ref.shard.file
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    damaged = Catalog(Location(str(root)), catalog.train, catalog.held_out, catalog.old_rows, catalog.classes)
    with pytest.raises(InputError, match=ref.shard.file):
        next(read_examples(damaged, ref, TASK))
