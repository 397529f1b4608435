"""The index of a line's samples: as it is written, of arrivals of earlier versions, and when it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raygp.cli import main
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.known import KnownSamples, check_disjoint, digests_of
from raygp.errors import ConflictError, InputError
from raygp.events import Event, Notice
from raygp.line.jobs import next_job
from raygp.line.state import read_state
from raygp.settings import load_settings
from raygp.store import (
    Location,
    Manifest,
    find_garbage,
    kept_index,
    list_arrivals,
    publishing_lease,
    read_shard,
    sample_digest,
    verify_arrival,
)
from raygp.store.documents import encode, sha256_hex
from tests.data.test_duplicates import SETTINGS, TASK, Pictures, check_places, png, rows_of
from tests.formats.archives import unpack
from tests.store.helpers import publish, race


def from_shards(location: Location, manifest: Manifest, source: str = "copy") -> Pictures:
    """A source of an arrival's samples."""
    rows = []
    for shard in manifest.shards:
        table = read_shard(location, manifest.arrival, shard)
        columns = (table.column(name).to_pylist() for name in ("label", "sample"))
        rows += [(label, sample, None) for label, sample in zip(*columns, strict=True)]
    return Pictures(*rows, name=source)


def quietly(text: str) -> None:
    raise AssertionError(text)


def test_an_index_has_every_row_in_order(location: Location) -> None:
    (manifest,) = ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    index = kept_index(location, manifest)
    assert index is not None
    rows = rows_of(location)
    expected = [(sample_digest(s), split, label) for split, found in rows.items() for s, label in found]
    columns = (index.column(name).to_pylist() for name in ("digest", "split", "label"))
    assert list(zip(*columns, strict=True)) == expected
    known = KnownSamples.read(location, [manifest], quietly)
    assert len(known) == 60
    places = known.find(np.array([sample_digest(png(n)) for n in (3, 1000, 4)], "S16"))
    assert (places >= 0).tolist() == [True, False, True]
    assert known.labels(places[[0, 2]]) == ["cat", "dog"]
    assert known.describe(int(places[0])).startswith("cat/0003.png of arrival arrival-000 (")


def test_digests_that_end_in_zeros_are_told_apart(location: Location) -> None:
    digests = [bytes([number, 0, *[0] * 13, last]) for number in range(4) for last in (0, 1)]
    from raygp.store.samples import encode_samples

    location.write_bytes("x", encode_samples([(digest, "val", "a", "k") for digest in digests], {}))
    import pyarrow.parquet as pq

    known = KnownSamples(["a"], [pq.read_table(location.local_path("x"))])
    assert len(known) == 7 + 1 and (known.find(np.array(digests, "S16")) >= 0).all()
    assert known.find(np.array([bytes([9] * 16)], "S16")).tolist() == [-1]


# -- arrivals that earlier versions published -------------------------------------------------------------------------


def test_arrivals_of_an_earlier_version_are_indexed_once_and_it_is_said(tmp_path: Path) -> None:
    location, said = unpack("line", tmp_path), list[Event]()
    first, second = list_arrivals(location)
    digests = [first.digest, second.digest]
    source = from_shards(location, first).and_of(*(("1", png(number), None) for number in range(20)))
    (manifest,) = ingest(location, None, source, SETTINGS, tell=said.append)
    assert manifest.duplicates.skipped == 120 and sum(shard.rows for shard in manifest.shards) == 20
    assert [event.text for event in said if isinstance(event, Notice)] == [
        f"{name} was published without an index of its samples: reading its 120 rows, this once"
        for name in ("arrival-000", "arrival-001")
    ]
    made = location.list("samples")
    assert len(made) == 2 and made[0].startswith(f"arrival-000-{first.digest[:16]}")
    # They are kept, no garbage, and nothing of the arrivals themselves has changed.
    said.clear()
    assert ingest(location, None, from_shards(location, second), SETTINGS, tell=said.append) == []
    assert not [event for event in said if isinstance(event, Notice)]
    garbage = [item for item in find_garbage(location, -1.0)[1] if not item.what.startswith("versions/")]
    assert garbage == [] and location.list("samples") == made
    assert [manifest.digest for manifest in list_arrivals(location)[:2]] == digests
    assert verify_arrival(location, "arrival-000").problems == []
    # One that is made anew under the same name has another index, and the old one is garbage.
    location.delete("arrivals/arrival-001", recursive=True)
    (stale,) = [item for item in find_garbage(location, -1.0)[1] if not item.what.startswith("versions/")]
    assert (stale.what, stale.reason) == (f"samples/{made[1]}", "index of an arrival that is gone")


def _index(process: int, barrier: object, location: Location) -> list[bytes]:
    barrier.wait()  # type: ignore[attr-defined]
    known = KnownSamples.read(location, list_arrivals(location), lambda text: None)
    return [bytes(digest) for table in known._tables for digest in digests_of(table)]


def test_processes_that_index_an_arrival_at_once_agree(tmp_path: Path) -> None:
    location = unpack("line", tmp_path)
    found = race(_index, location)
    assert len(found[0]) == 240 and all(other == found[0] for other in found)
    assert len(location.list("samples")) == 2


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    location = unpack("line", tmp_path)
    KnownSamples.read(location, list_arrivals(location), lambda text: None)
    path = f"samples/{location.list('samples')[0]}"
    data = bytearray(location.read_bytes(path))
    data[40] ^= 1
    location.write_bytes(path, bytes(data))
    with pytest.raises(InputError, match=rf"^{location.url(path)} is no index of samples: "):
        KnownSamples.read(location, list_arrivals(location), quietly)


# -- damage, races ----------------------------------------------------------------------------------------------------


def test_verify_finds_an_index_that_is_damaged_gone_or_another_ones(location: Location) -> None:
    (manifest,) = ingest(location, TASK, Pictures.of(*range(60)), replace(SETTINGS, part_rows=100))
    (other,) = ingest(Location(f"{location.root}-2"), TASK, Pictures.of(*range(100, 160)), SETTINGS)
    path = f"arrivals/arrival-000/{manifest.samples[0].file}"
    whole = location.read_bytes(path)
    location.write_bytes(path, whole[:-1])
    (problem,) = verify_arrival(location, "arrival-000").problems
    assert problem.startswith(f"{location.url(path)} is damaged: expected ")
    location.delete(path)
    assert verify_arrival(location, "arrival-000").problems == [
        f"{location.url(path)} is missing: restore it from a copy"
    ]
    # Consistent in itself, but of other samples.
    wrong = Location(f"{location.root}-2").read_bytes(f"arrivals/arrival-000/{other.samples[0].file}")
    info = manifest.samples[0].model_copy(update={"bytes": len(wrong), "sha256": sha256_hex(wrong)})
    location.write_bytes(path, wrong)
    changed = manifest.model_copy(update={"samples": [info, *manifest.samples[1:]]})
    location.write_bytes("arrivals/arrival-000/manifest.json", encode(changed))
    (problem,) = verify_arrival(location, "arrival-000").problems
    assert problem == f"{location.url(path)}: not the digests of the samples in the shards: restore it from a copy"


def side_by_side(location: Location) -> Location:
    """Two arrivals published as if neither knew of the other; the second trains on what the first holds out."""
    other = Location(f"{location.root}-2")
    for root, name, seed in ((location, "one", 0), (other, "two", 1)):
        ingest(root, TASK, Pictures.of(*range(60)), IngestSettings([name], part_rows=16, seed=seed))
    for file in other.walk("arrivals"):
        location.write_bytes(file.path, other.read_bytes(file.path))
    return location


def test_an_update_refuses_rows_that_another_arrival_holds_out(location: Location) -> None:
    first, second = list_arrivals(side_by_side(location))
    with pytest.raises(
        InputError, match=r"^arrivals one and two share \d+ samples that one trains on and the other ho"
    ):
        check_disjoint(location, [first], second)
    check_disjoint(location, [], second)
    # Those without an index are not looked at: what an earlier version wrote is updated as before.
    check_disjoint(location, [first.model_copy(update={"samples": []})], second)


def test_no_update_of_such_an_arrival_begins(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = list_arrivals(side_by_side(location))
    state = replace(read_state(location), known={first.arrival: first}, seen=(first.arrival,))
    monkeypatch.setattr("raygp.line.jobs.seen_manifests", lambda location, state: ((first,), state))
    with pytest.raises(InputError, match=r"raygp withdraw two takes it out: then ingest its source again$"):
        next_job(location, state, second, load_settings("lenet-300-100"))


def test_only_one_publishes_at_a_time(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.store.lease._PUBLISHING_S", 0.0)
    monkeypatch.setattr("raygp.store.lease.BEAT_S", 0.05)
    with (
        publishing_lease(location),
        pytest.raises(ConflictError, match="raygp ingest is at work on this line"),
        publishing_lease(location),
    ):
        pass
    with publishing_lease(location):
        assert location.list() == ["publishing.json"]
    assert location.list() == []


def test_an_arrival_written_by_hand_is_indexed_when_something_else_comes(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(40)), SETTINGS)
    publish(location, "by-hand")
    said: list[Event] = []
    ingest(location, None, Pictures.of(*range(80)), SETTINGS, tell=said.append)
    assert [event.text[:20] for event in said if isinstance(event, Notice)] == ["by-hand was publishe"]
    places = rows_of(location)
    assert sum(map(len, places.values())) == 84


def test_a_line_of_an_earlier_version_is_verified_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    location = unpack("line", tmp_path)
    ingest(location, None, Pictures(*((str(n % 10), n, None) for n in range(60))), SETTINGS)
    assert main(["ingest", "--verify", "--root", location.root]) == 0
    assert capsys.readouterr().out.count(": whole") == 3


def test_check_places_sees_what_it_should(location: Location) -> None:
    """The check of these tests itself: it fails where a sample has two places."""
    side_by_side(location)
    with pytest.raises(AssertionError):
        check_places(location)
