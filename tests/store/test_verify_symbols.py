"""Manifests count symbols of labels; so does who verifies them."""

from __future__ import annotations

import json

import pytest

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.store import ArrivalWriter, Location, find_manifest, verify_arrival
from raygp.tasks import make_task


def test_a_sound_line_of_speech_is_whole(location: Location) -> None:
    pytest.importorskip("torchaudio")
    task = {"name": "deepspeech2-small"}
    ingest(location, task, open_source("tones"), IngestSettings(["a"], [1.0], 0.15, 0.15))
    found = verify_arrival(location, "a", make_task(task).symbols)
    assert found.problems == [] and found.rows
    # Whole transcripts are not what the manifest counts.
    assert "labels: not those of the rows in its shards" in verify_arrival(location, "a").problems[0]


def test_a_symbol_that_only_held_out_rows_have_counts_as_0(location: Location) -> None:
    with ArrivalWriter(location, "a", "a test", symbols=set) as writer:
        writer.add("train", b"1", "abba", "k1")
        writer.add("train", b"2", "a", "k2")
        writer.add("val", b"3", "ac", "k3")
        manifest = writer.publish()
    assert manifest.labels == {"a": 2, "b": 1, "c": 0}
    assert verify_arrival(location, "a", set).problems == []


def test_a_class_that_this_arrival_only_holds_out_passes(location: Location) -> None:
    with ArrivalWriter(location, "a", "a test") as writer:
        writer.add("train", b"1", "cat", "k1")
        writer.add("val", b"2", "dog", "k2")
        writer.publish()
    assert verify_arrival(location, "a").problems == []


@pytest.mark.parametrize("labels", [{"a": 2, "b": 1}, {"a": 2, "b": 2, "c": 0}, {"a": 2, "b": 1, "c": 0, "d": 0}])
def test_a_miscounted_symbol_is_found(labels: dict[str, int], location: Location) -> None:
    test_a_symbol_that_only_held_out_rows_have_counts_as_0(location)
    content = json.loads(location.read_bytes("arrivals/a/manifest.json"))
    location.write_bytes("arrivals/a/manifest.json", json.dumps({**content, "labels": labels}).encode())
    assert find_manifest(location, "a") is not None
    assert "labels: not those of the rows in its shards" in verify_arrival(location, "a", set).problems[0]
