"""An ingest that is interrupted goes on with the parts that are missing, and ends as one that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raygp.cli.job import publish_missing
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.parts import ArrivalMaking, one_by_one
from raygp.data.sources import SourceSample
from raygp.errors import ConflictError, InputError, RaygpError
from raygp.line import Line
from raygp.store import Location, Manifest, find_garbage, list_arrivals, read_shard, remove_garbage, verify_arrival
from tests.digits import FewDigits
from tests.store.helpers import race

TASK = {"name": "lenet-300-100"}
SETTINGS = IngestSettings(["one", "two"], [0.7, 0.3], 0.2, 0.1, part_rows=40)
ROWS = 300


class Disturbed(FewDigits):
    """Raises where a sample is read, once so many were; counts what was read."""

    def __init__(self, after: int = ROWS + 1, error: BaseException | None = None) -> None:
        super().__init__(0, ROWS)
        self.read, self.after, self.error = [], after, error  # type: ignore[var-annotated]

    def samples(self) -> Iterator[SourceSample]:
        return (replace(sample, load=lambda sample=sample: self._load(sample)) for sample in super().samples())

    def _load(self, sample: SourceSample) -> bytes:
        if len(self.read) >= self.after and self.error is not None:
            raise self.error
        self.read.append(sample.key)
        return sample.load()


def contents(location: Location) -> list[dict[str, Any]]:
    """What the line's arrivals hold: rows in order by split, labels, what was left out."""
    return [
        {
            "rows": {
                split: pa.concat_tables(read_shard(location, manifest.arrival, shard) for shard in shards).to_pydict()
                for split in ("train", "val", "test")
                if (shards := manifest.shards_of(split))  # type: ignore[arg-type]
            },
            "labels": manifest.labels,
            "quarantined": manifest.quarantined,
        }
        for manifest in list_arrivals(location)
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    location = Location(str(tmp_path_factory.mktemp("undisturbed") / "root"))
    ingest(location, TASK, Disturbed(), SETTINGS)
    return contents(location)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RaygpError("storage is out of reach"), MemoryError()], ids=repr)
def test_what_was_stored_is_not_read_again(
    location: Location, undisturbed: list[dict[str, Any]], error: BaseException
) -> None:
    first = Disturbed(170, error)
    with pytest.raises(type(error)):
        ingest(location, TASK, first, SETTINGS)
    assert list_arrivals(location) == []
    second, seen = Disturbed(), []
    ingest(location, TASK, second, SETTINGS, lambda done, total: seen.append((done, total)))
    # Of the part that was interrupted, the samples are read again.
    stored = ROWS - len(second.read)
    assert 130 < stored < 170
    assert set(first.read[:stored]).isdisjoint(second.read)
    assert seen[0] == (stored, ROWS) and seen[-1] == (ROWS, ROWS)
    assert contents(location) == undisturbed
    for manifest in list_arrivals(location):
        assert verify_arrival(location, manifest.arrival).problems == []
        names = location.list(f"arrivals/{manifest.arrival}")
        assert names == sorted(["manifest.json", *(info.file for info in manifest.files)])


def test_parts_keep_the_order_of_rows(undisturbed: list[dict[str, Any]], location: Location) -> None:
    ingest(location, TASK, Disturbed(), replace(SETTINGS, part_rows=4096))
    assert contents(location) == undisturbed


@pytest.mark.parametrize("change", [{"seed": 1}, {"val_share": 0.3}, {"max_bad_share": 0.5}, {"part_rows": 41}])
def test_other_settings_begin_anew(location: Location, change: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        ingest(location, TASK, Disturbed(170, KeyboardInterrupt()), SETTINGS)
    source = Disturbed()
    ingest(location, TASK, source, replace(SETTINGS, **change))
    assert len(source.read) == ROWS
    # What the first one left is garbage.
    head, garbage = find_garbage(location, -1.0)
    assert garbage
    remove_garbage(location, head, garbage)
    for arrival in SETTINGS.arrivals:
        assert verify_arrival(location, arrival).problems == []


def test_shards_that_were_taken_for_garbage_are_made_again(
    location: Location, undisturbed: list[dict[str, Any]]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        ingest(location, TASK, Disturbed(170, KeyboardInterrupt()), SETTINGS)
    shard = next(name for name in location.list("arrivals/one") if name.endswith(".parquet"))
    location.delete(f"arrivals/one/{shard}")
    source = Disturbed()
    ingest(location, TASK, source, SETTINGS)
    assert ROWS - 130 < len(source.read) < ROWS - 90
    assert contents(location) == undisturbed


def test_shards_that_disappear_meanwhile_are_not_published(location: Location) -> None:
    def losing(jobs: Any, watch: Callable[[int], None]) -> Iterator[tuple[int, Any]]:
        yield from one_by_one(jobs, watch)
        shard = next(name for name in location.list("arrivals/two") if name.endswith(".parquet"))
        location.delete(f"arrivals/two/{shard}")

    with pytest.raises(RaygpError, match=r"arrivals/two: 1 of \d parts disappeared while others were written"):
        ingest(location, TASK, Disturbed(), SETTINGS, run=losing)  # type: ignore[arg-type]
    assert [manifest.arrival for manifest in list_arrivals(location)] == ["one"]
    source = Disturbed()
    ingest(location, TASK, source, SETTINGS)
    assert 0 < len(source.read) <= 40
    assert [manifest.arrival for manifest in list_arrivals(location)] == ["one", "two"]


def test_a_job_that_was_killed_between_two_arrivals_publishes_the_other_one(
    location: Location, undisturbed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(making: ArrivalMaking) -> Manifest:
        if making.arrival == "two":
            raise KeyboardInterrupt
        return publish(making)

    publish = ArrivalMaking.publish
    monkeypatch.setattr(ArrivalMaking, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        publish_missing(Line(location), TASK, Disturbed, SETTINGS)
    monkeypatch.undo()
    (first,) = list_arrivals(location)
    source = Disturbed()
    publish_missing(Line(location), TASK, lambda: source, SETTINGS)
    assert source.read == [] and list_arrivals(location)[0] == first
    assert contents(location) == undisturbed


def test_refused_rows_leave_nothing_of_earlier_attempts(location: Location, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ingest(location, TASK, Disturbed(170, KeyboardInterrupt()), SETTINGS)
    with pytest.raises(InputError, match="cannot be read"):
        ingest(location, TASK, Disturbed(20, InputError("7.png cannot be read")), SETTINGS)
    assert location.list("arrivals") == []


def _ingest(process: int, barrier: Any, location: Location) -> list[str]:
    barrier.wait()
    try:
        return [manifest.digest for manifest in ingest(location, TASK, Disturbed(), SETTINGS)]
    except ConflictError:
        return []


def test_processes_that_make_the_same_arrival_publish_it_once(
    location: Location, undisturbed: list[dict[str, Any]]
) -> None:
    digests = race(_ingest, location)
    published = [manifest.digest for manifest in list_arrivals(location)]
    assert published in digests and all(found in (published, []) for found in digests)
    assert contents(location) == undisturbed
    for arrival in SETTINGS.arrivals:
        assert verify_arrival(location, arrival).problems == []


def test_a_published_arrival_is_not_mistaken_for_one_that_is_being_made(location: Location) -> None:
    manifests: list[Manifest] = ingest(location, TASK, Disturbed(), SETTINGS)
    with pytest.raises(ConflictError, match="arrival 'one' is published already and never changes"):
        ingest(location, TASK, Disturbed(), SETTINGS)
    assert list_arrivals(location) == manifests


def test_a_job_says_which_arrivals_of_another_one_are_in_the_way(location: Location) -> None:
    source = Disturbed()
    ingest(location, TASK, source, replace(SETTINGS, arrivals=["one"], shares=[1.0]))
    with pytest.raises(InputError, match="has some of the arrivals of this job but not two"):
        publish_missing(Line(location), TASK, lambda: source, SETTINGS)
