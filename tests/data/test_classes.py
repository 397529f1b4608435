"""The classes of training rows, read without their samples."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from raygp.data.catalog import Catalog, build_catalog
from raygp.data.reading import read_classes
from raygp.errors import InputError
from raygp.store import Location, read_labels
from raygp.tasks import make_task
from tests.store.helpers import publish

TASK = make_task({"name": "lenet-5"})


@pytest.fixture(params=["local", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    return Location(str(tmp_path / "root") if request.param == "local" else f"memory://{uuid.uuid4().hex}/root")


def catalog_of(location: Location, classes: list[str]) -> Catalog:
    """Two arrivals, the second in several shards. Its samples are no images: whoever decoded them would fail."""
    first = publish(location, "first", rows=5)
    return build_catalog(location, [first], [publish(location, "second", rows=7, shard_bytes=40)], classes)


def test_the_classes_of_all_shards_in_the_order_of_ids(location: Location) -> None:
    catalog = catalog_of(location, ["dog", "cat"])
    assert len(catalog.train) > 2
    found = read_classes(catalog, TASK)
    assert found is not None and found.dtype == np.int64
    assert found.tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0]


def test_texts_have_no_classes(location: Location) -> None:
    assert read_classes(catalog_of(location, ["dog"]), make_task({"name": "deepspeech2-small"})) is None


def test_a_label_outside_the_vocabulary_is_named(location: Location) -> None:
    catalog = catalog_of(location, ["dog"])
    file = catalog.train[0].shard.file
    with pytest.raises(InputError, match=rf"^arrivals/first/{file} row 1: label 'cat' is not in the vocabulary$"):
        read_classes(catalog, TASK)


def test_a_shard_that_is_not_what_it_should_be_is_named(location: Location) -> None:
    ref = catalog_of(location, ["dog", "cat"]).train[0]
    path = f"arrivals/first/{ref.shard.file}"
    with pytest.raises(InputError, match="expected labels of 9 rows, found 5"):
        read_labels(location, "first", ref.shard.model_copy(update={"rows": 9}))
    whole = location.read_bytes(path)
    for junk in (b"junk", b"", whole[: len(whole) // 2]):
        location.write_bytes(path, junk)
        with pytest.raises(InputError, match=r"first.*parquet is no Parquet file: "):
            read_labels(location, "first", ref.shard)
    location.delete(path)
    with pytest.raises(InputError, match=r"first.*parquet does not exist"):
        read_labels(location, "first", ref.shard)
