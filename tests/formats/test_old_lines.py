"""Roots that earlier versions of raygp wrote: every file in them is read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.errors import RejectedError
from raygp.store import (
    Location,
    find_garbage,
    find_parts,
    list_arrivals,
    list_versions,
    open_head,
    open_line,
    read_head,
    read_refusal,
    read_tensors,
    rollback,
    verify_arrival,
)
from raygp.update.job import UpdateJob
from tests.formats.archives import DATA, described, unpack
from tests.formats.updates import next_job

ROOTS = ["line", "unfinished", "decided", "sweep", "swept", "refused"]
"""All that hold a line with a version. ``parts`` holds none."""


@pytest.mark.parametrize("name", ROOTS)
def test_a_line_opens_with_all_its_versions_and_arrivals(name: str, tmp_path: Path) -> None:
    location = unpack(name, tmp_path)
    assert open_line(location).task["name"] == "lenet-300-100"
    head = read_head(location)
    assert head is not None and open_head(location, head).version == head.version
    for card in list_versions(location):
        tensors = read_tensors(location, card)
        assert tensors and card.ledger.examples > 0 and 0 < card.density < 0.2
        assert [phase.kind for phase in card.phases] and all(not phase.history for phase in card.phases)
    manifests = list_arrivals(location)
    assert [manifest.arrival for manifest in manifests] == ["arrival-000", "arrival-001"]
    for manifest in manifests:
        found = verify_arrival(location, manifest.arrival)
        assert found.problems == [] and found.rows == 120
    # What a card says of the arrivals that it has seen still holds for their manifests.
    digests = {manifest.arrival: manifest.digest for manifest in manifests}
    for card in list_versions(location):
        assert card.manifests == {arrival: digests[arrival] for arrival in card.arrivals}


def test_a_line_that_was_rolled_back_goes_forward_again(tmp_path: Path) -> None:
    location = unpack("line", tmp_path)
    head = read_head(location)
    assert head is not None and (head.version, head.last) == ("v0000", "v0001")
    moved = rollback(location, "v0001", head)
    assert read_head(location) == moved and open_head(location, moved).parent == "v0000"


def test_a_card_holds_the_record_of_its_sweep(tmp_path: Path) -> None:
    card = list_versions(unpack("swept", tmp_path))[-1]
    assert card.sweep is not None and len(card.sweep["trials"]) == 3
    assert card.sweep["winner"] in [trial["name"] for trial in card.sweep["trials"]]


def test_a_refusal_is_read_and_still_holds(tmp_path: Path) -> None:
    location = unpack("refused", tmp_path)
    [update] = location.list("updates")
    refusal = read_refusal(location, f"updates/{update}")
    assert refusal is not None and "diverged" in refusal.reason
    assert refusal.val_accuracy == pytest.approx(2 / 19) and refusal.ledger.examples > 0
    assert find_garbage(location, 0.0)[1] == []
    with pytest.raises(RejectedError, match="arrival-001 was tried with this plan before: rejected: phase 2 of 2"):
        next_job(location, "refused")


@pytest.mark.parametrize("name", ["unfinished", "decided", "sweep"])
def test_an_unfinished_update_has_the_same_name_now(name: str, tmp_path: Path) -> None:
    location = unpack(name, tmp_path)
    job: UpdateJob = next_job(location, name)
    assert location.list("updates") == [job.update_id]


def test_an_ingest_that_was_killed_goes_on(tmp_path: Path) -> None:
    location = unpack("parts", tmp_path)
    assert list_arrivals(location) == []
    plan = location.list("arrivals/arrival-000/parts")[0].rsplit("-", 1)[0]
    kept = find_parts(location, "arrival-000", plan)
    assert 0 < len(kept) < 12
    before = {shard.file for part in kept.values() for shard in part.shards}
    chosen = IngestSettings(["arrival-000"], [1.0], 0.15, 0.15, part_rows=100)
    seen: list[int] = []
    manifests = ingest(location, None, open_source("digits"), chosen, lambda done, total: seen.append(done))
    assert seen[0] == sum(shard.rows for part in kept.values() for shard in part.shards)
    assert before <= {shard.file for shard in manifests[0].shards}
    assert sum(manifests[0].rows(split) for split in ("train", "val", "test")) == 1797
    assert verify_arrival(location, "arrival-000").problems == []


def test_no_document_names_a_folder_of_the_machine_that_made_it(tmp_path: Path) -> None:
    for name in (*ROOTS, "parts"):
        root = unpack(name, tmp_path).local_path()
        # What Ray Tune keeps of a sweep holds paths of that machine, which Ray replaces when it reads it.
        for file in (path for path in root.rglob("*") if path.is_file() and path.parent.name != "tune"):
            assert b"/tmp/" not in file.read_bytes(), f"{name}: {file.name}"


def test_the_kept_roots_are_small_and_described() -> None:
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 2e6
    assert {file.name.split(".")[0] for file in (DATA / "v0_1_0").iterdir()} == {*ROOTS, "parts"}
    assert all(described(name)["settings"] for name in ROOTS)


def test_a_line_can_be_read_from_another_place(tmp_path: Path) -> None:
    """Nothing in a line depends on where it lies."""
    first, second = (unpack("line", tmp_path / place) for place in ("a", "b"))
    assert isinstance(first, Location) and list_versions(first) == list_versions(second)
