"""An arrival whose parts are Ray tasks is the one that a single process makes."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drills import line as running
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import SourceSample
from raygp.errors import InputError
from raygp.store import Location, list_arrivals, read_shard, verify_arrival
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TASK = {"name": "lenet-300-100"}
SETTINGS = IngestSettings(["one"], [1.0], 0.2, 0.1, part_rows=30)


@dataclass(frozen=True)
class Load:
    """Loads a sample in whatever process; the first time somebody asks for it, that process is lost."""

    sample: SourceSample
    marker: Path | None = None
    bad: bool = False

    def __call__(self) -> bytes:
        if self.marker is not None:
            try:
                self.marker.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return b"no image" if self.bad else self.sample.load()


class Digits(FewDigits):
    """200 digits, each behind a :class:`Load`."""

    def __init__(self, lost: Path | None = None, bad: int = 0) -> None:
        super().__init__(0, 200)
        self._lost, self._bad = lost, bad

    def samples(self) -> Iterator[SourceSample]:
        for number, sample in enumerate(super().samples()):
            load = Load(sample, self._lost if number == 150 else None, number < self._bad)
            yield replace(sample, load=load)


def rows(location: Location) -> dict[str, Any]:
    (manifest,) = list_arrivals(location)
    return {
        split: [read_shard(location, "one", shard).to_pylist() for shard in manifest.shards_of(split)]
        for split in ("train", "val", "test")  # type: ignore[misc]
    } | {"labels": manifest.labels}


def publish(location: Location, source: Digits) -> str:
    out = io.StringIO()
    running.publish(Console(file=out, width=200), location, TASK, source, SETTINGS, tasks=2)
    return out.getvalue()


def test_tasks_make_what_one_process_makes_although_one_of_them_is_killed(location: Location, tmp_path: Path) -> None:
    output = publish(location, Digits(lost=tmp_path / "killed"))
    assert (tmp_path / "killed").exists()
    # Lines of progress may come before it: the lost task takes its time.
    assert re.search("^published one: 144 train, 36 val, 20 test", output, re.MULTILINE)
    alone = Location(f"{location.root}-alone")
    ingest(alone, TASK, Digits(), SETTINGS)
    assert rows(location) == rows(alone)
    # What the lost process had begun is no part of it.
    problems = verify_arrival(location, "one").problems
    assert all("raygp gc deletes it" in problem for problem in problems)


def test_tasks_find_the_duplicates_that_one_process_finds(location: Location) -> None:
    class Again(Digits):
        def samples(self) -> Iterator[SourceSample]:
            found = list(super().samples())
            return iter([*found, *(replace(sample, key=f"again-{sample.key}") for sample in found[40:90])])

    publish(location, Again())
    alone = Location(f"{location.root}-alone")
    ingest(alone, TASK, Again(), SETTINGS)
    assert rows(location) == rows(alone)
    (mine,), (other,) = list_arrivals(location), list_arrivals(alone)
    assert mine.duplicates == other.duplicates and mine.duplicates.repeated == 50
    assert verify_arrival(location, "one").problems == []


def test_too_many_bad_rows_in_tasks_refuse_the_arrival_and_leave_nothing(location: Location) -> None:
    with pytest.raises(
        InputError, match=r"^arrival one is refused: \d of 200 rows cannot be used \(the last one seen: "
    ):
        publish(location, Digits(bad=20))
    assert not location.exists("line.json") and location.list("arrivals") == []
