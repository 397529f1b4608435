"""The S3 paths through the real s3fs, against moto's server, which honours conditional writes."""

from __future__ import annotations

import threading

import pytest
import torch

from raygp.errors import ConflictError, InputError
from raygp.store import (
    ArrivalWriter,
    Location,
    create_line,
    finish_interrupted_promotion,
    list_arrivals,
    open_head,
    open_line,
    promote,
    read_head,
    read_shard,
    read_tensors,
    write_version,
)
from tests.conftest import UseServer
from tests.store.helpers import MakeCard, publish


@pytest.fixture
def bucket(moto: str, use_server: UseServer) -> Location:
    return Location(f"s3://{use_server(moto)}/lines/one")


def test_files_round_trip(bucket: Location) -> None:
    bucket.write_bytes("a/b.bin", b"1")
    bucket.write_bytes("a/b.bin", b"22")
    assert bucket.read_bytes("a/b.bin") == b"22" and bucket.size("a/b.bin") == 2
    assert bucket.list() == ["a"] and bucket.list("a") == ["b.bin"] and bucket.list("x") == []
    assert bucket.exists("a/b.bin") and not bucket.exists("a/c.bin") and bucket.read_if_exists("a/c.bin") is None
    bucket.delete("a/b.bin")
    bucket.delete("a/b.bin")
    assert bucket.list() == []
    with pytest.raises(InputError, match=rf"^{bucket.root}/a/b.bin does not exist$"):
        bucket.read_bytes("a/b.bin")


def test_create_and_replace_are_conditional(bucket: Location) -> None:
    bucket.create("head", b"1")
    with pytest.raises(ConflictError, match=r"head exists already$"):
        bucket.create("head", b"2")
    with pytest.raises(ConflictError, match=r"head exists already$"):
        bucket.replace("head", b"2", None)
    for path, expected in (("head", b"0"), ("absent", b"0")):
        with pytest.raises(ConflictError, match=r"was changed by another writer$"):
            bucket.replace(path, b"2", expected)
    bucket.replace("head", b"2", b"1")
    assert bucket.read_bytes("head") == b"2"


def test_a_write_between_read_and_put_is_a_conflict(bucket: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.create("head", b"1")
    call_s3 = bucket._files.fs.call_s3

    def meddle(method: str, **arguments: object) -> object:
        if method == "put_object":
            bucket.write_bytes("head", b"meanwhile")
        return call_s3(method, **arguments)

    monkeypatch.setattr(bucket._files.fs, "call_s3", meddle)
    with pytest.raises(ConflictError, match=r"was changed by another writer$"):
        bucket.replace("head", b"2", b"1")
    assert bucket.read_bytes("head") == b"meanwhile"


def test_no_increment_is_lost(bucket: Location) -> None:
    bucket.create("counter", b"0")

    def increment() -> None:
        done = 0
        while done < 10:
            current = bucket.read_bytes("counter")
            try:
                bucket.replace("counter", str(int(current) + 1).encode(), current)
                done += 1
            except ConflictError:
                pass

    threads = [threading.Thread(target=increment) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bucket.read_bytes("counter") == b"30"


def test_a_whole_line_lives_in_a_bucket(bucket: Location, make_card: MakeCard) -> None:
    spec = create_line(bucket, {"name": "lenet"})
    assert open_line(bucket) == spec
    manifest = publish(bucket, "first")
    assert list_arrivals(bucket) == [manifest]
    assert read_shard(bucket, "first", manifest.shards[0]).num_rows == 3
    with pytest.raises(RuntimeError), ArrivalWriter(bucket, "second", "fails", shard_bytes=1) as writer:
        writer.add("train", b"x", "cat", "k")
        raise RuntimeError
    assert bucket.list("arrivals") == ["first"]
    card = write_version(bucket, make_card(), {"a": torch.ones(2)})
    assert torch.equal(read_tensors(bucket, card)["a"], torch.ones(2))
    assert open_head(bucket, promote(bucket, card, None)) == card
    child = write_version(bucket, make_card("v0001", "v0000", "u2"), {"a": torch.ones(2)})
    assert finish_interrupted_promotion(bucket) == child
    head = read_head(bucket)
    assert head is not None and head.version == "v0001"


def test_a_missing_bucket_is_named(bucket: Location) -> None:
    missing = Location("s3://missing/line")
    expected = "s3://missing/line: there is no such bucket: create it or correct --root"
    for call in (lambda: open_line(missing), lambda: missing.list(), lambda: missing.write_bytes("a", b"x")):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == expected
