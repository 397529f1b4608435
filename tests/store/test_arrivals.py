from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygp.errors import ConflictError, InputError
from raygp.store import ArrivalWriter, Location, ShardInfo, find_manifest, list_arrivals, read_shard
from tests.store.helpers import publish


def first_shard(location: Location) -> tuple[ShardInfo, str]:
    shard = publish(location, "a").shards_of("train")[0]
    return shard, f"arrivals/a/{shard.file}"


def refusal(location: Location, shard: ShardInfo) -> str:
    with pytest.raises(InputError) as caught:
        read_shard(location, "a", shard)
    return str(caught.value)


def test_rows_come_back_in_order(any_location: Location) -> None:
    written = publish(any_location, "a", rows=5, shard_bytes=6)
    manifest = find_manifest(any_location, "a")
    assert manifest == written and manifest.digest == written.digest and len(manifest.digest) == 64
    assert manifest.rows("train") == 5 and manifest.rows("val") == 1 and manifest.rows("test") == 0
    assert manifest.labels == {"cat": 2, "dog": 3} and manifest.source == "a test"
    stems = [shard.file.rsplit("-", 1)[0] for shard in manifest.shards]
    assert stems == ["train-00000", "train-00001", "train-00002", "val-00000"]
    tables = [read_shard(any_location, "a", shard) for shard in manifest.shards_of("train")]
    rows = pa.concat_tables(tables).to_pydict()
    assert rows == {
        "sample": [f"a-{i}".encode() for i in range(5)],
        "label": ["dog", "cat", "dog", "cat", "dog"],
        "key": [f"k{i}" for i in range(5)],
    }


def test_a_file_is_named_after_its_content(location: Location) -> None:
    shard, path = first_shard(location)
    digest = hashlib.sha256(location.read_bytes(path)).hexdigest()
    assert shard.sha256 == digest and shard.file == f"train-00000-{digest[:8]}.parquet"
    assert shard.bytes == location.size(path)


def test_a_truncated_shard_is_refused(location: Location) -> None:
    shard, path = first_shard(location)
    location.write_bytes(path, location.read_bytes(path)[:-1])
    assert refusal(location, shard) == (
        f"{location.url(path)} is damaged: expected {shard.bytes} bytes, found {shard.bytes - 1} bytes;"
        " restore it from a copy"
    )


def test_a_flipped_bit_is_refused(location: Location) -> None:
    shard, path = first_shard(location)
    data = bytearray(location.read_bytes(path))
    data[10] ^= 1
    location.write_bytes(path, bytes(data))
    assert refusal(location, shard) == (
        f"{location.url(path)} is damaged: expected SHA-256 {shard.sha256},"
        f" found {hashlib.sha256(data).hexdigest()}; restore it from a copy"
    )


def test_a_missing_shard_is_named(location: Location) -> None:
    shard, path = first_shard(location)
    location.delete(path)
    assert refusal(location, shard) == f"{location.url(path)} is missing: restore it from a copy"


def _described(location: Location, data: bytes, rows: int) -> ShardInfo:
    location.write_bytes("arrivals/a/x.parquet", data)
    digest = hashlib.sha256(data).hexdigest()
    return ShardInfo(file="x.parquet", bytes=len(data), sha256=digest, split="train", rows=rows)


def test_a_shard_of_another_kind_is_refused(location: Location) -> None:
    where = location.url("arrivals/a/x.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"sample": ["text"]}), sink)
    assert refusal(location, _described(location, sink.getvalue().to_pybytes(), 1)) == (
        f"{where}: expected columns sample binary, label string, key string, found sample string"
    )
    assert refusal(location, _described(location, b"not parquet", 1)).startswith(f"{where} is no Parquet file: ")


def test_a_wrong_row_count_is_refused(location: Location) -> None:
    shard, path = first_shard(location)
    lying = shard.model_copy(update={"rows": 4})
    assert refusal(location, lying) == f"{location.url(path)}: expected 4 rows, found 3"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 4}, " has format 4, this raygp reads formats up to 3: upgrade raygp"),
        ({"extra": 1}, ": extra: Extra inputs are not permitted"),
        ({"arrival": "b"}, ": arrival: expected 'a', found 'b'; was the folder renamed?"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_why(location: Location, change: dict, expected: str) -> None:
    publish(location, "a")
    content = json.loads(location.read_bytes("arrivals/a/manifest.json"))
    location.write_bytes("arrivals/a/manifest.json", json.dumps(content | change).encode())
    for read in (lambda: find_manifest(location, "a"), lambda: list_arrivals(location)):
        with pytest.raises(InputError) as caught:
            read()
        assert str(caught.value) == f"{location.root}/arrivals/a/manifest.json{expected}"


def test_a_manifest_cannot_point_outside_its_folder(location: Location) -> None:
    publish(location, "a")
    content = json.loads(location.read_bytes("arrivals/a/manifest.json"))
    content["shards"][0]["file"] = "../../line.json"
    location.write_bytes("arrivals/a/manifest.json", json.dumps(content).encode())
    with pytest.raises(InputError, match=r"manifest\.json: shards\.0\.file: String should match pattern"):
        find_manifest(location, "a")


def test_arrivals_are_listed_in_order_of_publication(any_location: Location) -> None:
    for name in ("z", "a", "m"):
        publish(any_location, name)
    assert [manifest.arrival for manifest in list_arrivals(any_location)] == ["z", "a", "m"]


def test_an_arrival_is_unseen_before_it_is_published(any_location: Location) -> None:
    writer = ArrivalWriter(any_location, "half", "a test")
    writer.add("train", b"x", "cat", "k")
    writer.finish()
    publish(any_location, "whole")
    assert any_location.list("arrivals") == ["half", "whole"]
    assert [manifest.arrival for manifest in list_arrivals(any_location)] == ["whole"]
    assert find_manifest(any_location, "half") is None


def test_a_failed_ingest_leaves_nothing(any_location: Location) -> None:
    with (
        pytest.raises(InputError, match=r"^bad: the label is empty$"),
        ArrivalWriter(any_location, "a", "a test", shard_bytes=1) as writer,
    ):
        writer.add("train", b"sample", "cat", "good")
        writer.finish()
        assert len(any_location.list("arrivals/a")) == 1
        writer.add("train", b"sample", "", "bad")
    assert any_location.list("arrivals") == []


def test_an_abort_spares_another_writer(location: Location) -> None:
    mine, other = (ArrivalWriter(location, "a", "a test", shard_bytes=1) for _ in range(2))
    for writer in (mine, other):
        writer.add("train", b"equal", "cat", "k")
        writer.finish()
    assert len(location.list("arrivals/a")) == 2
    mine.abort()
    shard = other.publish().shards[0]
    assert read_shard(location, "a", shard).num_rows == 1
    other.abort()
    assert len(location.list("arrivals/a")) == 2


def test_a_published_arrival_never_changes(location: Location) -> None:
    late = ArrivalWriter(location, "a", "late")
    late.add("train", b"x", "cat", "k")
    manifest = publish(location, "a")
    expected = f"{location.root}: arrival 'a' is published already and never changes: choose another name"
    for attempt in (late.publish, lambda: publish(location, "a")):
        with pytest.raises(ConflictError) as caught:
            attempt()
        assert str(caught.value) == expected
    assert find_manifest(location, "a") == manifest
    assert location.list("arrivals/a") == sorted(["manifest.json", *(shard.file for shard in manifest.shards)])


def test_an_arrival_needs_training_rows(location: Location) -> None:
    with (
        pytest.raises(InputError, match=r"^arrival 'a' has no training rows: nothing to publish$"),
        ArrivalWriter(location, "a", "a test") as writer,
    ):
        writer.add("val", b"x", "cat", "k")
        writer.publish()
    assert location.list("arrivals") == []


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "é", "x" * 101, "a\n"])
def test_an_unusable_name_is_refused(location: Location, name: str) -> None:
    with pytest.raises(InputError, match=r"is no arrival name: use 1 to 100 of"):
        ArrivalWriter(location, name, "a test")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("dev", b"x", "cat", "k"), "k: split 'dev' is none of train, val, test"),
        (("train", b"", "cat", "k"), "k: the sample is empty"),
        (("train", b"x", "cat", "\udcff"), "'\\udcff': label or key is not valid Unicode: rename it"),
    ],
)
def test_an_unusable_row_is_refused(location: Location, row: tuple, expected: str) -> None:
    writer = ArrivalWriter(location, "a", "a test")
    with pytest.raises(InputError) as caught:
        writer.add(*row)
    assert str(caught.value) == expected
