"""ingest --verify: each kind of damage is found and its file named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from raygp.cli import main
from raygp.store import Location, Manifest, create_line
from raygp.store.documents import encode, sha256_hex
from tests.store.helpers import manifest_of, publish

MANIFEST = "arrivals/a/manifest.json"


@pytest.fixture
def line(location: Location) -> Location:
    create_line(location, {"name": "lenet-300-100"})
    publish(location, "a", rows=4, shard_bytes=6)
    publish(location, "b")
    return location


def shard_path(line: Location) -> str:
    return f"arrivals/a/{manifest_of(line, 'a').shards[0].file}"


def truncate(line: Location) -> str:
    path = shard_path(line)
    line.write_bytes(path, line.read_bytes(path)[:-7])
    return f"{line.url(path)} is damaged: expected "


def flip(line: Location) -> str:
    path = shard_path(line)
    data = bytearray(line.read_bytes(path))
    data[20] ^= 4
    line.write_bytes(path, bytes(data))
    return f"{line.url(path)} is damaged: expected SHA-256 "


def lose(line: Location) -> str:
    path = shard_path(line)
    line.delete(path)
    return f"{line.url(path)} is missing: restore it from a copy"


def add(line: Location) -> str:
    line.write_bytes("arrivals/a/train-00009-00000000.parquet", b"x")
    return f"{line.url('arrivals/a/train-00009-00000000.parquet')} is not in the manifest: "


def rewrite(line: Location, change: Callable[[dict], object]) -> None:
    content = json.loads(line.read_bytes(MANIFEST))
    change(content)
    line.write_bytes(MANIFEST, encode(Manifest.model_validate(content)))


def miscount(line: Location) -> str:
    rewrite(line, lambda content: content["shards"][0].update(rows=9))
    return f"{line.url(shard_path(line))}: expected 9 rows, found 2"


def mislabel(line: Location) -> str:
    rewrite(line, lambda content: content["labels"].update(cat=7))
    return f"{line.url(MANIFEST)}: labels: not those of the rows in its shards"


def reshape(line: Location) -> str:
    path = shard_path(line)
    table = pq.read_table(line.local_path(path)).drop_columns("key")
    pq.write_table(table, line.local_path(path))
    data = line.read_bytes(path)
    rewrite(line, lambda content: content["shards"][0].update(bytes=len(data), sha256=sha256_hex(data)))
    return (
        f"{line.url(path)}: expected columns sample binary, label string, key string, found sample binary, label string"
    )


def modernise(line: Location) -> str:
    content = json.loads(line.read_bytes(MANIFEST))
    line.write_bytes(MANIFEST, json.dumps(content | {"format": 4}).encode())
    return f"{line.url(MANIFEST)} has format 4, this raygp reads formats up to 3: upgrade raygp"


def lose_quarantine(line: Location) -> str:
    rewrite(line, lambda content: content.update(quarantined=1))
    return f"{line.url('arrivals/a/quarantine.jsonl')} is missing: restore it from a copy"


DAMAGES = [truncate, flip, lose, add, miscount, mislabel, reshape, modernise, lose_quarantine]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(line: Location, damage: Callable[[Location], str], capsys: pytest.CaptureFixture[str]) -> None:
    expected = damage(line)
    assert main(["ingest", "--verify", "--root", line.root]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"raygp: {expected}") and captured.err.count("\n") == 1
    assert "b: 2 shards, 4 rows, 0.0 MB: whole" in captured.out and "a: 3 shards" not in captured.out


def test_whole_arrivals_pass_and_unpublished_ones_are_mentioned(
    line: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    line.write_bytes("arrivals/c/train-00000-00000000.parquet", b"x")
    assert main(["ingest", "--verify", "--root", line.root]) == 0
    out = capsys.readouterr().out
    assert "a: 3 shards, 5 rows" in out and "b: 2 shards, 4 rows" in out and "c: not published" in out


def test_without_a_source_there_is_nothing_to_publish(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "--root", line.root]) == 2
    expected = "raygp: ingest: give a path or --source, or --verify to check what was published\n"
    assert capsys.readouterr().err == expected
