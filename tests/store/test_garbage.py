"""What gc finds, and above all what it spares."""

from __future__ import annotations

import os

import pytest
import torch

from raygp.errors import ConflictError
from raygp.store import (
    Head,
    Location,
    find_garbage,
    list_arrivals,
    open_head,
    promote,
    read_head,
    read_shard,
    read_tensors,
    remove_garbage,
    rollback,
    write_version,
)
from tests.conftest import UseServer
from tests.store.helpers import MakeCard, publish

TENSORS = {"a": torch.ones(2)}


@pytest.fixture(params=["local", "moto"])
def root(request: pytest.FixtureRequest) -> Location:
    if request.param == "local":
        return request.getfixturevalue("location")
    use_server: UseServer = request.getfixturevalue("use_server")
    return Location(f"s3://{use_server(request.getfixturevalue('moto'))}/line")


@pytest.fixture
def head(root: Location, make_card: MakeCard) -> Head:
    """Five versions: v0002 and v0003 rolled back, v0004 made from v0001 after that. Two arrivals, and all kinds of
    leftovers."""
    publish(root, "first")
    publish(root, "second")
    head = None
    for number in range(4):
        card = make_card(f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}")
        head = promote(root, write_version(root, card, TENSORS), head)
    assert head is not None
    head = rollback(root, "v0001", head)
    head = promote(root, write_version(root, make_card("v0004", "v0001", "u4"), TENSORS), head)
    for path in (
        "versions/v0001/weights-00000000.safetensors",
        "versions/v0005/weights-00000000.safetensors",
        "arrivals/second/train-00000-00000000.parquet",
        "arrivals/crashed/train-00000-00000000.parquet",
        "updates/v0004-first-00000000/checkpoint_000000/model.safetensors",
        "updates/v0003-first-00000000/rejected.json",
        "updates/v0005-first-00000000/rejected.json",
        "probes/0123",
        "reports/summary.json",
    ):
        root.write_bytes(path, b"x")
    return head


def test_what_nothing_refers_to_goes_and_all_else_stays(root: Location, head: Head, make_card: MakeCard) -> None:
    waiting = write_version(root, make_card("v0005", "v0004", "u5"), TENSORS)
    found_for, garbage = find_garbage(root, -10)
    assert found_for == head
    reasons = {item.what: item.reason for item in garbage}
    assert reasons == {
        "versions/v0001/weights-00000000.safetensors": "belongs to no version",
        "versions/v0002": "not in the head's history",
        "versions/v0003": "not in the head's history",
        "versions/v0005/weights-00000000.safetensors": "belongs to no version",
        "arrivals/crashed": "of an arrival that was never published",
        "arrivals/second/train-00000-00000000.parquet": "belongs to no arrival",
        "updates/v0003-first-00000000": "of an update that is over or was given up",
        "updates/v0004-first-00000000": "of an update that is over or was given up",
        "probes/0123": "left by a probe of the storage",
    }
    assert garbage[1].files[0].path.endswith("/card.json")
    remove_garbage(root, found_for, garbage)
    assert find_garbage(root, -10)[1] == []
    assert root.list("versions") == ["v0000", "v0001", "v0004", "v0005"]
    assert root.list("arrivals") == ["first", "second"] and root.list("updates") == ["v0005-first-00000000"]
    assert open_head(root, head).version == "v0004" and root.exists("reports/summary.json")
    for card in (open_head(root, head), waiting):
        assert torch.equal(read_tensors(root, card)["a"], TENSORS["a"])
    for manifest in list_arrivals(root):
        assert sum(read_shard(root, manifest.arrival, shard).num_rows for shard in manifest.shards) == 4


def test_what_is_younger_than_the_limit_stays(root: Location, head: Head) -> None:
    assert find_garbage(root, 3600)[1] == []


def test_nothing_goes_once_the_head_has_moved(root: Location, head: Head) -> None:
    found_for, garbage = find_garbage(root, -10)
    rollback(root, "v0003", head)
    with pytest.raises(ConflictError, match="the head moved meanwhile: run raygp gc again"):
        remove_garbage(root, found_for, garbage)
    assert root.list("versions") == ["v0000", "v0001", "v0002", "v0003", "v0004", "v0005"]


def test_a_young_file_keeps_its_whole_folder(location: Location, make_card: MakeCard) -> None:
    promote(location, write_version(location, make_card(), TENSORS), None)
    for name in ("train-00000-00000000.parquet", "train-00001-00000000.parquet"):
        location.write_bytes(f"arrivals/running/{name}", b"x")
    os.utime(location.local_path("arrivals/running/train-00000-00000000.parquet"), (0, 0))
    assert find_garbage(location, 3600)[1] == []
    os.utime(location.local_path("arrivals/running/train-00001-00000000.parquet"), (0, 0))
    assert [item.what for item in find_garbage(location, 3600)[1]] == ["arrivals/running"]


def test_leftovers_of_killed_writers_go(location: Location, make_card: MakeCard) -> None:
    promote(location, write_version(location, make_card(), TENSORS), None)
    for path in (".raygp-0123", ".raygp-lock-head.json", "versions/v0000/.raygp-4567"):
        location.write_bytes(path, b"x")
    head, garbage = find_garbage(location, -10)
    assert len(garbage) == 3
    remove_garbage(location, head, garbage)
    assert read_head(location) == head and find_garbage(location, -10)[1] == []
