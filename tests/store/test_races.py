"""Several processes at one root: exactly one wins, nothing is lost."""

from __future__ import annotations

import os
from typing import Any

import pytest

from raygp.errors import ConflictError
from raygp.store import ArrivalWriter, Location, read_shard
from tests.store.helpers import PROCESSES, manifest_of, race

ROUNDS, INCREMENTS = 12, 25


def _increment(process: int, barrier: Any, location: Location) -> None:
    barrier.wait()
    done = 0
    while done < INCREMENTS:
        current = location.read_bytes("counter")
        try:
            location.replace("counter", str(int(current) + 1).encode(), current)
        except ConflictError:
            continue
        done += 1


def test_no_increment_is_lost(location: Location) -> None:
    location.create("counter", b"0")
    race(_increment, location)
    assert location.read_bytes("counter") == str(PROCESSES * INCREMENTS).encode()
    assert os.listdir(location.root) == ["counter"]


def _rounds(process: int, barrier: Any, location: Location, operation: str) -> list[bool]:
    won = []
    for number in range(ROUNDS):
        mine = f"{number}.{process}".encode() * 1000
        expected = location.read_if_exists("head")
        barrier.wait()
        try:
            if operation == "create":
                location.create(f"file{number}", mine)
                assert location.read_bytes(f"file{number}") == mine
            else:
                location.replace("head", mine, expected)
            won.append(True)
        except ConflictError:
            won.append(False)
        barrier.wait()
    return won


@pytest.mark.parametrize("operation", ["create", "replace"])
def test_exactly_one_wins_each_round(location: Location, operation: str) -> None:
    wins = race(_rounds, location, operation)
    assert [sum(won) for won in zip(*wins, strict=True)] == [1] * ROUNDS
    assert not [name for name in os.listdir(location.root) if name.startswith(".")]


def _publish(process: int, barrier: Any, location: Location) -> str | None:
    writer = ArrivalWriter(location, "same", f"process {process}")
    writer.add("train", b"equal samples", "cat", "k")
    writer.finish()
    barrier.wait()
    try:
        return writer.publish().digest
    except ConflictError:
        return None


def test_one_of_racing_arrivals_is_published_and_stays_whole(location: Location) -> None:
    published = [digest for digest in race(_publish, location) if digest]
    manifest = manifest_of(location, "same")
    assert published == [manifest.digest]
    assert location.list("arrivals/same") == ["manifest.json", manifest.shards[0].file]
    assert read_shard(location, "same", manifest.shards[0])["sample"].to_pylist() == [b"equal samples"]
